/* Inside of a compiled RouteConfiguration, between the compiler that makes it, route.c that reads
 * it and plan.c that counts references. Immutable once compiled, except for reference counts.
 * Workers read it without locks. */
#pragma once

#include "base/arena.h"
#include "base/array.h"
#include "http/head.h"
#include "proxy/plan.h"
#include "proxy/regex.h"

#define ROUTE_PATH_MAX    4096 /* bytes of a path, prefix or name in a condition */
#define ROUTE_INHERIT_MAX 64   /* virtual hosts one request may fall through */

enum text_match_kind {
    TEXT_EXACT,
    TEXT_PREFIX,
    TEXT_SUFFIX,
    TEXT_CONTAINS,
    TEXT_REGEX,
    TEXT_PRESENT, /* holds for any value, also the empty one */
    TEXT_RANGE,   /* a decimal integer in [low, high) */
};

struct text_match {
    uint8_t kind;
    bool ignore_case;
    struct text text; /* the pattern itself where it is a regular expression */
    const struct regex *regex;
    int64_t low, high;
};

enum pseudo_field { PSEUDO_NONE, PSEUDO_METHOD, PSEUDO_AUTHORITY, PSEUDO_PATH };

/* A header field: several values of one name are joined by "," (RFC 9110 section 5.3) before they
 * are looked at. A field that is missing matches only "absent", never an inverted condition. */
struct header_condition {
    struct text name; /* as configured; compared without case */
    uint8_t field_id;
    uint8_t pseudo; /* enum pseudo_field */
    bool invert;
    bool absent;           /* holds where there is no such field */
    bool missing_is_empty; /* a missing field counts as "" */
    struct text_match match;
};

/* The first parameter of this name counts, decoded. */
struct query_condition {
    struct text name;
    bool absent;
    struct text_match match;
};

struct cookie_condition {
    struct text name;
    bool invert;
    struct text_match match;
};

/* Conditions besides the path; all must hold. */
struct route_conditions {
    struct header_condition *headers;
    struct query_condition *queries;
    struct cookie_condition *cookies;
    uint16_t header_count;
    uint16_t query_count;
    uint16_t cookie_count;
    bool grpc; /* Content-Type: application/grpc[+...] */
    uint8_t
        method; /* enum http_method of an exact condition on a known method, else METHOD_OTHER */
};

enum path_kind {
    PATH_IS,       /* the whole path */
    PATH_ELEMENTS, /* separated prefix: the path itself or followed by '/' */
    PATH_BYTES,    /* any bytes may follow */
    PATH_REGEX,    /* the whole path matches */
    PATH_NEVER,    /* nothing matches (CONNECT only) */
};

struct route_entry {
    struct route route;
    uint8_t path_kind; /* enum path_kind */
    bool ignore_case;  /* of the path */
    bool path_check;   /* the trie alone does not decide: look at the path again */
    struct text path;
    const struct regex *regex;
    struct route_conditions conditions;
};

/* What decides most candidates, small enough to stay in the cache. */
struct route_gate {
    uint8_t method; /* enum http_method it must be, METHOD_OTHER: any */
    bool is_plain;  /* path and method are all it asks for */
};

/* A node of the path trie: `depth` bytes of the path lead to it, the last label_size of them are
 * its label. One cache line. Routes are numbered in the order of configuration; a node has three
 * lists of numbers, each ascending: the path ends here, or '/' follows as well, or anything. */
#define TRIE_INLINE 16
#define TRIE_NONE   UINT32_MAX
struct trie_node {
    uint32_t depth;
    uint32_t up;       /* nearest node above with elements or bytes, or TRIE_NONE */
    uint32_t children; /* the first one; they stand together */
    uint32_t
        first; /* where the lists begin in `order`; the route itself where it is the only one */
    uint32_t exact_count;
    uint32_t elements_count;
    uint32_t bytes_count;
    uint16_t label_size;
    uint16_t child_count;
    union {
        char label[TRIE_INLINE];
        const char *label_at; /* where it is longer */
    };
    union { /* first byte of each child's label, ascending */
        uint8_t child_bytes[TRIE_INLINE];
        const uint8_t *child_bytes_at;
    };
};

struct route_trie {
    const struct trie_node *nodes; /* NULL: no routes */
    const uint32_t *order;
    const struct route_gate *gates; /* [route_count] */
};

/* Shared by successive plans as long as its bytes do not change. */
struct virtual_host {
    _Atomic uint32_t references;
    struct arena arena;
    uint64_t hash[2]; /* of its bytes and of what the RouteConfiguration says around it */
    struct text name;
    struct text *domains;
    uint32_t domain_count;
    bool inherits;
    bool guards_paths;       /* has a route for something else than every path */
    struct text next_domain; /* of weft.inherit, folded; empty: nowhere */
    struct route_entry *routes;
    uint32_t route_count;
    struct route_trie trie;
    struct regex *regexes;
};

/* A virtual host within one RouteConfiguration, with what matching needs of it at hand. */
struct host_entry {
    struct route_trie trie;
    const struct route_entry *routes;
    const struct host_entry *next; /* where matching goes on, NULL: nowhere */
    struct virtual_host *host;
};

/* One domain: a node of the host table. */
struct host_domain {
    struct text domain; /* folded: "a.example", "*.example", "a.*", "*" */
    const struct host_entry *entry;
};

struct plan_routes {
    _Atomic uint32_t references;
    struct arena arena;
    struct text name;
    struct map exact;        /* "a.example" -> struct host_domain */
    struct map suffixes;     /* ".example" of "*.example" -> struct host_domain */
    struct map prefixes;     /* "a." of "a.*" */
    uint64_t suffix_bits[4]; /* sizes of those that begin with '.', to 255 */
    uint16_t *suffix_sizes;  /* of those that do not, descending */
    uint16_t *prefix_sizes;  /* descending */
    uint16_t suffix_size_count;
    uint16_t prefix_size_count;
    const struct host_domain *fallback; /* "*" */
    struct host_entry *entries;
    uint32_t entry_count;
    bool guards_paths;
};

struct virtual_host *virtual_host_ref(struct virtual_host *host);
void virtual_host_unref(struct virtual_host *host);
struct plan_routes *plan_routes_ref(struct plan_routes *routes);
void plan_routes_unref(struct plan_routes *routes);
struct plan_listener *plan_listener_ref(struct plan_listener *listener);
void plan_listener_unref(struct plan_listener *listener);
/* A plan with one reference and nothing in it. */
struct plan *plan_new(void);
/* Every limit at its default. */
void plan_listener_defaults(struct listener_limits *limits);

/* plan_route_index.c: the trie of a virtual host's routes, into its arena. */
void plan_route_index(struct virtual_host *host);
/* plan_host_table.c: fills the maps of `routes` from the domains of its entries, and the next of
 * each entry. False: a domain twice, one that is malformed, or a chain of weft.inherit that is
 * broken or has no end. on_ignored is told of domains that can never match. */
bool plan_host_table(struct plan_routes *routes, void *owner,
                     void (*on_ignored)(void *owner, struct text domain), struct error *error);

/* route_condition.c. NULL: all hold; else which one did not, with *out_detail its subject. */
const char *route_conditions_check(const struct route_conditions *conditions, struct text path,
                                   struct text query, struct text host,
                                   const struct request_head *head, struct text *out_detail);
bool text_match_check(const struct text_match *match, struct text value);
/* "GET" and so on; empty for METHOD_OTHER. */
struct text method_name(enum http_method method);
/* route.c: whether the path alone would do; what the trie finds, without the trie. */
bool route_path_check(const struct route_entry *entry, struct text path);
