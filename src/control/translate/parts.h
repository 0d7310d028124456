/* What the files of the translation share: where messages are made, and who makes which part.
 * Private to control/translate. */
#pragma once

#include "control/translate/translate.h"
#include "xds/compose.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/core.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "weft/v1/weft.pb-c.h"

/* The enumerators and descriptors of generated headers, without their packages. */
#define ROUTE_WORD(name)    ENVOY__CONFIG__ROUTE__V3__##name
#define CLUSTER_WORD(name)  ENVOY__CONFIG__CLUSTER__V3__##name
#define CORE_WORD(name)     ENVOY__CONFIG__CORE__V3__##name
#define ENDPOINT_WORD(name) ENVOY__CONFIG__ENDPOINT__V3__##name
#define MATCHER_WORD(name)  ENVOY__TYPE__MATCHER__V3__##name
#define ROUTE_TYPE(name)    envoy__config__route__v3__##name##__descriptor
#define CLUSTER_TYPE(name)  envoy__config__cluster__v3__##name##__descriptor
#define CORE_TYPE(name)     envoy__config__core__v3__##name##__descriptor
#define ENDPOINT_TYPE(name) envoy__config__endpoint__v3__##name##__descriptor
#define MATCHER_TYPE(name)  envoy__type__matcher__v3__##name##__descriptor

struct route_cache;

struct translation {
    const struct translate_options *options;
    struct route_cache *cache; /* the translator's */
    const struct graph *graph;
    struct arena arena; /* of the messages at hand */
};

/* What was composed is packed: its memory may go. Not each time, that costs more than it saves. */
static inline void translation_recycle(struct translation *translation)
{
    if (translation->arena.used > 256 * 1024) {
        arena_reset(&translation->arena);
    }
}

/* One entry of a typed_per_filter_config; `entry` is the descriptor of the map's entries. */
#define ADD_OVERRIDE(arena, owner, entry, name, message)                                           \
    COMPOSE_ADD((arena), (owner), typed_per_filter_config,                                         \
                compose_entry((arena), &(entry), TEXT(name), compose_any((arena), (message))))

/* Order-dependent mixing of input hashes. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t value)
{
    hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    return hash * 0xff51afd7ed558ccdu;
}

/* listeners.c */
void encode_listener(struct translation *translation, const struct graph_socket *socket,
                     struct buffer *out);

/* routes.c: the virtual hosts of a RouteConfiguration (they depend on the socket's listeners
 * alone), and what stands around them. */
void encode_virtual_hosts(struct translation *translation, const struct graph_socket *socket,
                          struct buffer *out);
void encode_routes(struct translation *translation, const struct graph_socket *socket,
                   struct text virtual_hosts, struct buffer *out);
uint64_t hash_routes(const struct graph_socket *socket);

/* route_action.c */
struct route_source {
    const struct graph_route *route;
    const struct graph_rule *rule;
    size_t match; /* in rule->spec->matches */
    const struct graph_listener *listener;
};
Envoy__Config__Route__V3__Route *compose_route(struct translation *translation,
                                               const struct route_source *source);
/* Answers every request 500 with this reason. */
Envoy__Config__Route__V3__Route *compose_refusal(struct translation *translation, struct text name,
                                                 struct text reason);

/* route_match.c */
Envoy__Config__Route__V3__RouteMatch *compose_match(struct arena *arena,
                                                    const struct http_match *match);
/* The prefix without its trailing slash; "" for "/" and for matches of another type. */
struct text match_prefix(const struct http_match *match);

/* route_filter.c: filters that a Route and a ClusterWeight share. */
struct header_edits {
    Envoy__Config__Core__V3__HeaderValueOption **add;
    size_t n_add;
    char **remove;
    size_t n_remove;
};
void compose_header_edits(struct translation *translation, const struct header_modifier *modifier,
                          struct header_edits *edits);
ProtobufCMessage *compose_cors(struct arena *arena, const struct cors *cors);
/* StatefulSessionPerRoute; `key` names the cookie where the configuration does not. */
ProtobufCMessage *compose_session(struct translation *translation,
                                  const struct session_persistence *session, struct text key);

/* clusters.c */
void encode_cluster(struct translation *translation, const struct graph_cluster *cluster,
                    struct buffer *out);
void encode_endpoints(struct translation *translation, const struct graph_cluster *cluster,
                      struct buffer *out);
uint64_t hash_cluster(const struct graph_cluster *cluster);
uint64_t hash_endpoints(const struct graph_cluster *cluster);
