/* The plan: one generation of compiled configuration, immutable, all that workers see. Compiled on
 * the main thread from xDS resources; every part is reference counted (atomic), so an unchanged
 * resource is shared by the next plan instead of being compiled again. */
#pragma once

#include "base/map.h"
#include "http/uri.h"
#include "proxy/filter/filter.h"
#include "upstream/cluster_config.h"

struct plan_listener;
struct plan_routes;

struct plan {
    _Atomic uint32_t references;
    uint64_t generation;
    struct plan_listener **listeners;
    uint32_t listener_count;
    struct map clusters; /* name -> struct cluster_config */
    struct cluster_config **clusters_by_id; /* [cluster_id_limit], NULL where not in this plan */
    uint32_t cluster_id_limit;
};

void plan_unref(struct plan *plan);
struct plan *plan_ref(struct plan *plan);

/* Limits and habits of a listener; every value has a safe default (plan_listener_defaults). 0 means
 * "none" where the comment says so. */
struct listener_limits {
    uint32_t request_line_bytes;     /* 8192 */
    uint32_t header_bytes;           /* 65536 */
    uint16_t header_fields;          /* 100 */
    uint64_t body_bytes;             /* 0: none */
    uint32_t header_timeout_ms;      /* 10,000: first byte of a request to end of its head */
    uint32_t body_stall_timeout_ms;  /* 10,000: grace before the minimum rate of 500 B/s holds */
    uint32_t idle_timeout_ms;        /* 75,000: between requests */
    uint32_t stream_idle_timeout_ms; /* 300,000: no byte either way during an exchange */
    uint32_t request_timeout_ms;     /* 0: none; whole exchange, where the route says nothing */
    uint32_t tunnel_idle_timeout_ms; /* 3,600,000 */
    uint32_t max_connections;        /* 0: only the process-wide cap */
    uint32_t max_requests_per_connection; /* 0: none */
};

struct plan_listener {
    _Atomic uint32_t references;
    struct arena arena;
    struct text name; /* "listener/127.0.0.1:8080" */
    struct address address;
    struct listener_limits limits;
    struct path_rules path_rules;
    uint32_t trusted_hops;               /* X-Forwarded-For entries from the right to trust */
    struct address_block *trusted_peers; /* whose forwarding headers are believed */
    uint32_t trusted_peer_count;
    bool upgrades;            /* Upgrade is tunnelled */
    bool access_log;
    struct plan_routes *routes; /* NULL until the RouteConfiguration came: 404 */
    struct text routes_name;
};

/* One way to answer within a route: a share of weighted_clusters. */
struct route_target {
    uint32_t weight;
    uint32_t cluster_id;      /* of the process-wide table; UINT32_MAX: answers by itself */
    uint16_t direct_status;   /* of a share that answers by itself */
    struct text direct_reason;
    struct text cluster_name;
    struct filter *filters; /* of this share, run after the route's own */
    uint16_t filter_count;
    const struct session_policy *session; /* its own or the route's; pins an endpoint inside it */
};

struct retry_policy {
    uint32_t attempts;         /* after the first; 0: none */
    bool connect_failure;      /* could not connect, or refused before processing */
    bool reset;                /* reset before response headers */
    bool gateway_error;        /* 502, 503, 504 */
    bool server_error;         /* any 5xx */
    uint64_t status_bits[4];   /* bit (status - 400) for 400-599 */
    uint32_t backoff_base_ms;
    uint32_t backoff_max_ms;
};

struct mirror {
    uint32_t cluster_id;
    struct text cluster_name;
    uint32_t numerator; /* share of requests: numerator / denominator */
    uint32_t denominator;
};

enum route_action { ROUTE_FORWARD, ROUTE_REDIRECT, ROUTE_DIRECT };

/* What is done with a request that matched; matching itself is route.c's own business. */
struct route {
    struct text key;  /* Route.name */
    enum route_action action;
    uint16_t direct_status;
    struct text direct_body;
    const struct redirect *redirect;
    struct route_target *targets;
    uint32_t target_count;
    uint64_t total_weight;
    struct filter *filters; /* in order */
    uint16_t filter_count;
    uint32_t timeout_ms; /* 0: none; UINT32_MAX: unset, listener's request_timeout_ms */
    uint32_t per_try_timeout_ms; /* 0: none */
    uint32_t idle_timeout_ms;    /* 0: the listener's */
    struct retry_policy retry;
    struct mirror *mirrors;
    uint16_t mirror_count;
    struct text matched_prefix; /* of a prefix route, for prefix rewrites; else empty */
    const struct session_policy *session; /* of the route, or of its only target */
};

static inline bool retry_policy_has_status(const struct retry_policy *policy, unsigned status)
{
    return status >= 400 && status < 656 &&
           (policy->status_bits[(status - 400) / 64] >> ((status - 400) % 64) & 1) != 0;
}
