/* Filters: one file each, one line in the table of filter.c. A filter looks at and edits an
 * exchange on its way in (on_request) and out (on_response). It never allocates from the heap,
 * frees, or touches a socket. Its config is immutable plan memory, compiled by plan code.
 *
 * Editing goes through http/field_edit.h on exchange_request(x)->fields and
 * exchange_response(x)->fields, and through the functions of proxy/exchange.h. Views put into a
 * message must live as long as the exchange: plan memory does, exchange_alloc() does. */
#pragma once

#include "base/text.h"

struct exchange;

enum filter_result {
    FILTER_NEXT,    /* go on */
    FILTER_WAIT,    /* resume with exchange_resume() */
    FILTER_REPLIED, /* answered through reply_send(): nothing further runs */
};

struct filter_type {
    const char *name;
    enum filter_result (*on_request)(struct exchange *exchange, const void *config);
    /* Runs before the response head is sent, in reverse order. Also for replies made by Weft when
     * `on_own_replies` is set (CORS). */
    enum filter_result (*on_response)(struct exchange *exchange, const void *config);
    bool on_own_replies;
};

struct filter {
    const struct filter_type *type;
    const void *config;
};

struct header_value {
    struct text name;
    struct text value;
};

/* header_modifier.c: request and response header modifiers of a route or a backend. */
struct header_modifier {
    struct header_value *set;
    struct header_value *add;
    struct text *remove;
    struct header_value *add_absent; /* only where there is no field of this name */
    struct header_value *replace;    /* only where there is one */
    uint16_t set_count;
    uint16_t add_count;
    uint16_t remove_count;
    uint16_t add_absent_count;
    uint16_t replace_count;
};
extern const struct filter_type request_header_modifier_filter;
extern const struct filter_type response_header_modifier_filter;

/* url_rewrite.c */
struct url_rewrite {
    struct text host; /* empty: kept */
    bool has_full_path;
    bool has_prefix;
    struct text full_path; /* without query; the query is kept */
    struct text prefix;    /* replaces matched_prefix, by path elements */
    struct text matched_prefix;
};
extern const struct filter_type url_rewrite_filter;

/* redirect.c: not in a list; a route's action. */
struct redirect {
    struct text scheme; /* empty: the request's */
    struct text host;   /* empty: the request's */
    uint32_t port;      /* 0: none written */
    bool has_full_path;
    bool has_prefix;
    struct text full_path;
    struct text prefix;
    struct text matched_prefix;
    uint16_t status;
    bool strip_query;
};
/* Writes the Location value; false when it would not fit into `room`. */
bool redirect_format(const struct redirect *redirect, struct text scheme, struct text host,
                     uint32_t port, struct text path, struct text query, char *into, size_t room,
                     struct text *out_location);

/* Both share this: replaces the first `matched` path elements of path by prefix ("/" aware). */
bool path_replace_prefix(struct text path, struct text matched, struct text prefix, char *into,
                         size_t room, struct text *out_path);

/* cors.c */
struct cors_origin {
    struct text scheme; /* folded; empty with any */
    struct text host;   /* folded, without "*." of a wildcard */
    uint32_t port;      /* 0: any port with `any_port`, else the scheme's own */
    bool wildcard;      /* "*.host" */
    bool any;           /* "*" */
    void *regex;        /* compiled PCRE2 code or NULL */
};
struct cors_policy {
    struct cors_origin *origins;
    uint16_t origin_count;
    struct text allow_methods; /* joined; "*" handled with credentials as the standard says */
    struct text allow_headers;
    struct text expose_headers;
    struct text max_age; /* empty: not sent */
    bool allow_credentials;
};
extern const struct filter_type cors_filter;

/* session.c: session persistence by cookie or header. */
struct session_policy {
    bool by_header;
    struct text name;       /* of the cookie or header */
    struct text path;       /* of the cookie */
    uint32_t ttl_s;         /* 0: session cookie */
    struct text attributes; /* preformatted: "; HttpOnly; SameSite=Strict..." */
    bool secure_on_https;   /* "; Secure" too where the request came by https */
    uint32_t absolute_s;    /* a session ends this long after it began, 0: never */
    uint32_t idle_s;        /* ... and this long after it was last used, 0: never */
    uint64_t (*keys)[2];    /* the first one signs, every one verifies; none: a fixed one */
    uint16_t key_count;
};

/* filter.c: the type with this name, or NULL. */
const struct filter_type *filter_find(struct text name);
