/* Clusters and ClusterLoadAssignments from Services, EndpointSlices and XBackends (design note
 * 0001, "Resources"). */
#include "control/translate/parts.h"

#include "base/hash.h"

#include "envoy/extensions/upstreams/http/v3/http.pb-c.h"

#include <stdlib.h>

#define HTTP_TYPE(name) envoy__extensions__upstreams__http__v3__##name##__descriptor
#define HTTP_WORD(name) ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__##name
#define assignment_message Envoy__Config__Endpoint__V3__ClusterLoadAssignment

/* One endpoint, of all slices; healthy ones and each address once. */
struct target {
    struct text address; /* an IP or a name */
    uint16_t port;
    bool draining;
};

struct target_list {
    ARRAY_OF(struct target) array;
};

/* ---- endpoints ------------------------------------------------------------------------------- */

static bool find_port(const struct graph_cluster *cluster, const struct endpoint_slice *slice,
                      uint16_t *out_port)
{
    if (!cluster->service_port) {
        *out_port = cluster->port;
        return true;
    }
    for (size_t i = 0; i < slice->ports.count; i++) {
        const struct endpoint_port *port = &slice->ports.items[i];
        if (port->has_port && port->protocol == cluster->service_port->protocol &&
            text_equal(port->name, cluster->service_port->name)) {
            *out_port = port->port;
            return true;
        }
    }
    return false;
}

/* Ready ones are healthy; those that end but still serve are drained; others do not exist. */
static bool is_usable(const struct graph_cluster *cluster,
                      const struct endpoint_conditions *conditions, bool *out_draining)
{
    bool all = cluster->object->kind == KIND_SERVICE &&
               cluster->object->service->publish_not_ready_addresses;
    bool ready = all || !conditions->has_ready || conditions->ready;
    bool terminating = conditions->has_terminating && conditions->terminating;
    bool serving = conditions->has_serving ? conditions->serving : ready;
    *out_draining = terminating;
    return terminating ? serving : ready;
}

static int compare_targets(const void *left, const void *right)
{
    const struct target *a = left;
    const struct target *b = right;
    int order = text_compare(a->address, b->address);
    if (order == 0) {
        order = (int)a->port - (int)b->port;
    }
    return order ? order : (int)a->draining - (int)b->draining;
}

static void remove_repeated(struct target_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->array.count; i++) {
        struct target *target = &list->array.items[i];
        struct target *last = kept ? &list->array.items[kept - 1] : NULL;
        if (!last || last->port != target->port || !text_equal(last->address, target->address)) {
            list->array.items[kept++] = *target;
        }
    }
    list->array.count = kept;
}

static void collect(const struct graph_cluster *cluster, struct target_list *list)
{
    for (size_t i = 0; i < cluster->slice_count; i++) {
        const struct endpoint_slice *slice = cluster->slices[i]->endpoint_slice;
        uint16_t port;
        if (!find_port(cluster, slice, &port)) {
            continue;
        }
        for (size_t k = 0; k < slice->endpoints.count; k++) {
            const struct endpoint *endpoint = &slice->endpoints.items[k];
            bool draining;
            if (endpoint->addresses.count &&
                is_usable(cluster, &endpoint->conditions, &draining)) {
                *array_add(&list->array) = (struct target){
                    .address = endpoint->addresses.items[0], .port = port, .draining = draining
                };
            }
        }
    }
    if (list->array.count > 1) {
        qsort(list->array.items, list->array.count, sizeof(*list->array.items), compare_targets);
    }
    remove_repeated(list);
}

static Envoy__Config__Endpoint__V3__LbEndpoint *compose_endpoint(struct arena *arena,
                                                                 const struct target *target)
{
    Envoy__Config__Core__V3__SocketAddress *socket =
        compose_new(arena, &CORE_TYPE(socket_address));
    socket->address = compose_string(arena, target->address);
    socket->port_specifier_case =
        CORE_WORD(SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE);
    socket->port_value = target->port;
    Envoy__Config__Endpoint__V3__LbEndpoint *out = compose_new(arena, &ENDPOINT_TYPE(lb_endpoint));
    out->host_identifier_case = ENDPOINT_WORD(LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT);
    out->endpoint = compose_new(arena, &ENDPOINT_TYPE(endpoint));
    out->endpoint->address = compose_new(arena, &CORE_TYPE(address));
    out->endpoint->address->address_case = CORE_WORD(ADDRESS__ADDRESS_SOCKET_ADDRESS);
    out->endpoint->address->socket_address = socket;
    out->health_status = target->draining ? CORE_WORD(HEALTH_STATUS__DRAINING)
                                          : CORE_WORD(HEALTH_STATUS__HEALTHY);
    return out;
}

static assignment_message *compose_assignment(struct arena *arena,
                                              const struct graph_cluster *cluster,
                                              const struct target_list *list)
{
    assignment_message *out = compose_new(arena, &ENDPOINT_TYPE(cluster_load_assignment));
    out->cluster_name = compose_string(arena, cluster->name);
    Envoy__Config__Endpoint__V3__LocalityLbEndpoints *locality =
        compose_new(arena, &ENDPOINT_TYPE(locality_lb_endpoints));
    for (size_t i = 0; i < list->array.count; i++) {
        COMPOSE_ADD(arena, locality, lb_endpoints,
                    compose_endpoint(arena, &list->array.items[i]));
    }
    if (list->array.count) {
        COMPOSE_ADD(arena, out, endpoints, locality);
    }
    return out;
}

void encode_endpoints(struct translation *translation, const struct graph_cluster *cluster,
                      struct buffer *out)
{
    struct target_list list = { 0 };
    collect(cluster, &list);
    xds_pack(&compose_assignment(&translation->arena, cluster, &list)->base, out);
    array_free(&list.array);
    translation_recycle(translation);
}

/* ---- clusters -------------------------------------------------------------------------------- */

static void set_dns(struct arena *arena, const struct graph_cluster *cluster,
                    Envoy__Config__Cluster__V3__Cluster *out)
{
    struct target_list list = { 0 };
    if (cluster->hostname.size) {
        *array_add(&list.array) =
            (struct target){ .address = cluster->hostname, .port = cluster->port };
    } else {
        collect(cluster, &list);
    }
    out->type = CLUSTER_WORD(CLUSTER__DISCOVERY_TYPE__STRICT_DNS);
    out->load_assignment = compose_assignment(arena, cluster, &list);
    out->dns_lookup_family = CLUSTER_WORD(CLUSTER__DNS_LOOKUP_FAMILY__ALL);
    array_free(&list.array);
}

static void set_eds(struct arena *arena, Envoy__Config__Cluster__V3__Cluster *out)
{
    Envoy__Config__Core__V3__ConfigSource *source =
        compose_new(arena, &CORE_TYPE(config_source));
    source->config_source_specifier_case =
        CORE_WORD(CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS);
    source->ads = compose_new(arena, &CORE_TYPE(aggregated_config_source));
    source->resource_api_version = CORE_WORD(API_VERSION__V3);
    out->type = CLUSTER_WORD(CLUSTER__DISCOVERY_TYPE__EDS);
    out->eds_cluster_config = compose_new(arena, &CLUSTER_TYPE(cluster__eds_cluster_config));
    out->eds_cluster_config->eds_config = source;
    out->eds_cluster_config->service_name = out->name;
}

static void set_http2(struct arena *arena, Envoy__Config__Cluster__V3__Cluster *out)
{
    Envoy__Extensions__Upstreams__Http__V3__HttpProtocolOptions *options =
        compose_new(arena, &HTTP_TYPE(http_protocol_options));
    Envoy__Extensions__Upstreams__Http__V3__HttpProtocolOptions__ExplicitHttpConfig *config =
        compose_new(arena, &HTTP_TYPE(http_protocol_options__explicit_http_config));
    config->protocol_config_case =
        HTTP_WORD(EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP2_PROTOCOL_OPTIONS);
    config->http2_protocol_options = compose_new(arena, &CORE_TYPE(http2_protocol_options));
    options->upstream_protocol_options_case =
        HTTP_WORD(UPSTREAM_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG);
    options->explicit_http_config = config;
    COMPOSE_ADD(arena, out, typed_extension_protocol_options,
                compose_entry(arena, &CLUSTER_TYPE(cluster__typed_extension_protocol_options_entry),
                              TEXT("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
                              compose_any(arena, &options->base)));
}

void encode_cluster(struct translation *translation, const struct graph_cluster *cluster,
                    struct buffer *out)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Cluster__V3__Cluster *message = compose_new(arena, &CLUSTER_TYPE(cluster));
    message->name = compose_string(arena, cluster->name);
    message->cluster_discovery_type_case =
        CLUSTER_WORD(CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE);
    if (cluster->discovery == CLUSTER_DNS) {
        set_dns(arena, cluster, message);
    } else {
        set_eds(arena, message);
    }
    message->connect_timeout = compose_duration_ms(arena, translation->options->connect_timeout_ms);
    message->lb_policy = CLUSTER_WORD(CLUSTER__LB_POLICY__LEAST_REQUEST);
    message->lb_config_case = CLUSTER_WORD(CLUSTER__LB_CONFIG_LEAST_REQUEST_LB_CONFIG);
    message->least_request_lb_config =
        compose_new(arena, &CLUSTER_TYPE(cluster__least_request_lb_config));
    message->least_request_lb_config->choice_count = compose_uint32(arena, 2);
    if (cluster->http2) {
        set_http2(arena, message);
    }
    xds_pack(&message->base, out);
    translation_recycle(translation);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

uint64_t hash_endpoints(const struct graph_cluster *cluster)
{
    uint64_t hash = hash_mix(cluster->object->spec_hash, cluster->port);
    hash = hash_mix(hash, hash_stable(cluster->name));
    for (size_t i = 0; i < cluster->slice_count; i++) {
        hash = hash_mix(hash, cluster->slices[i]->spec_hash);
    }
    return hash;
}

uint64_t hash_cluster(const struct graph_cluster *cluster)
{
    uint64_t hash = hash_mix(hash_stable(cluster->name), cluster->discovery);
    hash = hash_mix(hash, cluster->http2);
    hash = hash_mix(hash, hash_stable(cluster->hostname));
    hash = hash_mix(hash, cluster->port);
    return cluster->discovery == CLUSTER_DNS && cluster->hostname.size == 0
               ? hash_mix(hash, hash_endpoints(cluster))
               : hash;
}
