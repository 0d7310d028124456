/* Translation: a graph into serialized xDS resources (design note 0001). The translator remembers a
 * hash of what every resource was made from, so that only what changed is encoded: one changed
 * EndpointSlice gives one ClusterLoadAssignment, one changed HTTPRoute its RouteConfigurations.
 * Used on the main thread by whoever feeds the ADS server. */
#pragma once

#include "control/gateway/graph.h"

struct translator;

/* All times in milliseconds; 0 means none unless the comment says otherwise. */
struct translate_options {
    uint32_t connect_timeout_ms;     /* 5,000; never 0 */
    uint32_t header_timeout_ms;      /* 10,000 */
    uint32_t idle_timeout_ms;        /* 75,000: between requests */
    uint32_t stream_idle_timeout_ms; /* 300,000: no byte either way */
    uint32_t request_timeout_ms;     /* 0: whole exchange, where the route says nothing */
    uint32_t max_requests_per_connection;
    uint32_t max_header_bytes;  /* 65,536; rounded up to KiB; at most 8 MiB */
    uint32_t max_header_fields; /* 100 */
    uint32_t trusted_hops;      /* entries of X-Forwarded-For to trust, from the right */
    bool merge_slashes;
    bool access_log; /* listeners write one; where and how is the proxy's own affair */
    enum translate_slashes { SLASHES_DEFAULT, SLASHES_KEEP, SLASHES_REFUSE } encoded_slashes;
    /* weft.v1.ListenerOptions; 0: the proxy's default */
    uint32_t max_connections;
    uint32_t request_line_bytes;
    uint64_t body_bytes;
    uint32_t body_stall_timeout_ms;
    enum translate_slashes backslash;
    enum translate_slashes double_slash;
    struct text_list session_keys; /* secrets: the first signs, all verify */
    /* For Envoy: no weft.inherit; the routes of wider hosts are appended to each virtual host, as
     * long as a RouteConfiguration stays within this many routes (0: 100,000). */
    bool for_envoy;
    uint32_t appended_routes_max;
};

struct translate_options translate_options_defaults(void);

struct translate_resource {
    struct text type_url; /* TYPE_LISTENER, ... of xds/registry.h */
    struct text name;
    struct text bytes;   /* all texts live as long as the call */
    char version[17];    /* hash_stable of bytes, 16 hexadecimal digits */
    struct place origin; /* of the object it comes from, the first of several */
};

/* Gets what is new or changed, in the order clusters, endpoints, listeners, routes; then what is
 * gone, in the order listeners, routes, clusters, endpoints. */
struct translate_sink {
    void *owner;
    void (*on_resource)(void *owner, const struct translate_resource *resource);
    void (*on_removed)(void *owner, struct text type_url, struct text name);
};

struct translate_counts {
    size_t encoded;   /* resources that were encoded anew */
    size_t changed;   /* of them with other bytes than before: told to the sink */
    size_t unchanged; /* recognised by their inputs */
    size_t removed;
};

struct translator *translator_new(const struct translate_options *options);
void translator_free(struct translator *translator);
struct translate_counts translate(struct translator *translator, const struct graph *graph,
                                  const struct translate_sink *sink);
/* Forgets what was sent: the next translate tells everything anew. */
void translator_reset(struct translator *translator);

/* graph_find_origin, under the name the joins of status and explain know. */
static inline bool translate_find_origin(const struct graph *graph, struct text key,
                                         struct place *out_place)
{
    return graph_find_origin(graph, key, out_place);
}
