/* Compiles Cluster and ClusterLoadAssignment messages into what a cluster_config is made of, and
 * puts those together. Three steps, so that a changed assignment or DNS answer does not need the
 * Cluster again. Main thread; the messages have passed guard and inspection. */
#pragma once

#include "base/error.h"
#include "upstream/cluster_config.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"

enum cluster_discovery { DISCOVERY_STATIC, DISCOVERY_DNS, DISCOVERY_EDS };
enum cluster_family { FAMILY_ALL, FAMILY_V4, FAMILY_V6, FAMILY_PREFER_V4 };

struct assigned_endpoint {
    struct text host;       /* IP address or name */
    struct text hostname;   /* of Endpoint.hostname, may be empty */
    struct address address; /* with port; its IP counts only where is_name is false */
    bool is_name;
    uint8_t health;  /* enum endpoint_health */
    uint32_t weight; /* of locality and endpoint together, at least 1 */
};

struct cluster_assignment {
    struct arena arena;
    struct assigned_endpoint *endpoints;
    uint32_t endpoint_count;
};

struct cluster_settings {
    struct arena arena;
    struct text name;
    enum cluster_discovery discovery;
    enum cluster_family family;
    struct text service_name; /* which assignment it wants, EDS */
    enum balance_kind balance;
    uint32_t choices;
    uint32_t connect_timeout_ms;          /* default 5,000 */
    uint32_t idle_timeout_ms;             /* default 50,000 */
    uint32_t max_requests_per_connection; /* 0: no limit */
    bool http2;
    struct cluster_assignment *assignment; /* its own; NULL with EDS */
};

/* NULL on error. TLS towards endpoints and load balancing of unknown kind are errors: what they ask
 * for cannot be left out. `name` is the resource's; the message must agree. */
struct cluster_settings *
cluster_settings_compile(const Envoy__Config__Cluster__V3__Cluster *message, struct text name,
                         struct error *error);
void cluster_settings_free(struct cluster_settings *settings);

/* NULL on error. Localities are flattened into weights; of several priorities the first one with a
 * healthy endpoint counts. names: whether hosts may be names (DNS clusters). */
struct cluster_assignment *
cluster_assignment_compile(const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *message,
                           bool names, struct error *error);
void cluster_assignment_free(struct cluster_assignment *assignment);

/* What a host name resolved to. */
struct cluster_addresses {
    const struct address *items; /* ports do not count */
    size_t count;
    bool failed; /* never resolved so far */
};
struct cluster_resolver {
    void *owner;
    struct cluster_addresses (*find)(void *owner, struct text hostname);
};

/* A new config with one reference. assignment NULL: not there yet, no endpoints. resolver is only
 * asked for DNS clusters. */
struct cluster_config *cluster_config_build(const struct cluster_settings *settings,
                                            const struct cluster_assignment *assignment,
                                            const struct cluster_resolver *resolver);
/* Same in all that workers see. */
bool cluster_config_equal(const struct cluster_config *a, const struct cluster_config *b);
