/* ClusterLoadAssignment -> endpoints with one weight each. */
#include "base/ensure.h"
#include "upstream/cluster_compile.h"

#include <stdlib.h>

/* The heaviest endpoint gets this much where localities have weights of their own. */
#define WEIGHT_SCALE 65536.0

#define MESSAGE  Envoy__Config__Endpoint__V3__ClusterLoadAssignment
#define LOCALITY Envoy__Config__Endpoint__V3__LocalityLbEndpoints
#define ENDPOINT Envoy__Config__Endpoint__V3__LbEndpoint

static enum endpoint_health health_of(const ENDPOINT *endpoint)
{
    switch (endpoint->health_status) {
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING:
        return ENDPOINT_DRAINING;
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNHEALTHY:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__TIMEOUT:
        return ENDPOINT_UNHEALTHY;
    default:
        return ENDPOINT_HEALTHY;
    }
}

static uint32_t weight_of(const ENDPOINT *endpoint)
{
    uint32_t weight = endpoint->load_balancing_weight ? endpoint->load_balancing_weight->value : 1;
    return weight > 0 ? weight : 1;
}

static bool locality_has_healthy(const LOCALITY *locality)
{
    for (size_t i = 0; i < locality->n_lb_endpoints; i++) {
        if (health_of(locality->lb_endpoints[i]) == ENDPOINT_HEALTHY) {
            return true;
        }
    }
    return false;
}

/* The first priority with a healthy endpoint, else the first with any. */
static uint32_t choose_priority(const MESSAGE *message)
{
    uint32_t healthy = UINT32_MAX;
    uint32_t any = UINT32_MAX;
    for (size_t i = 0; i < message->n_endpoints; i++) {
        const LOCALITY *locality = message->endpoints[i];
        if (locality->n_lb_endpoints > 0 && locality->priority < any) {
            any = locality->priority;
        }
        if (locality->priority < healthy && locality_has_healthy(locality)) {
            healthy = locality->priority;
        }
    }
    return healthy != UINT32_MAX ? healthy : any;
}

static bool read_host(struct cluster_assignment *assignment, struct assigned_endpoint *to,
                      const Envoy__Config__Core__V3__SocketAddress *socket, bool names,
                      struct error *error)
{
    if (socket->protocol != ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PROTOCOL__TCP) {
        return error_set(error, "address.socket_address.protocol: only TCP is supported");
    }
    if (socket->port_specifier_case !=
            ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE ||
        socket->port_value == 0 || socket->port_value > 65535) {
        return error_set(error,
                         "address.socket_address.port_value: a port from 1 to 65535 is needed");
    }
    struct text host = text_from_string(socket->address);
    if (host.size == 0 || host.size > 255) {
        return error_set(error, "address.socket_address.address: empty, or longer than 255 bytes");
    }
    to->host = arena_copy(&assignment->arena, host);
    to->is_name = !address_parse_ip(host, &to->address);
    if (to->is_name && !names) {
        return error_set(error,
                         "address.socket_address.address: \"%.*s\" is no IP address; names "
                         "need a cluster of type STRICT_DNS",
                         TEXT_ARG(host));
    }
    to->address.port = (uint16_t)socket->port_value;
    return true;
}

static bool read_endpoint(struct cluster_assignment *assignment, const ENDPOINT *from, bool names,
                          struct error *error)
{
    struct assigned_endpoint *to = &assignment->endpoints[assignment->endpoint_count];
    if (from->host_identifier_case !=
        ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT) {
        return error_set(error, "endpoint: missing (endpoint_name is not supported)");
    }
    const Envoy__Config__Core__V3__Address *address = from->endpoint->address;
    if (address == NULL ||
        address->address_case != ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS) {
        return error_set(error, "endpoint.address: only socket_address is supported");
    }
    if (!read_host(assignment, to, address->socket_address, names, error)) {
        return error_prefix(error, "endpoint");
    }
    to->hostname = arena_copy(&assignment->arena, text_from_string(from->endpoint->hostname));
    to->health = (uint8_t)health_of(from);
    to->weight = weight_of(from);
    assignment->endpoint_count++;
    return true;
}

/* Locality weights count where one of several localities of the priority has one; a locality
 * without then gets no traffic, as Envoy and gRPC have it. */
static bool localities_are_weighted(const MESSAGE *message, uint32_t priority)
{
    unsigned localities = 0;
    bool weighted = false;
    for (size_t i = 0; i < message->n_endpoints; i++) {
        const LOCALITY *locality = message->endpoints[i];
        if (locality->priority == priority && locality->n_lb_endpoints > 0) {
            localities++;
            weighted |= locality->load_balancing_weight && locality->load_balancing_weight->value;
        }
    }
    return weighted && localities > 1;
}

/* shares[i]: what part of all traffic endpoint i of the locality should get, unscaled. */
static void share_locality(const LOCALITY *locality, const struct assigned_endpoint *endpoints,
                           double *shares)
{
    double sum = 0;
    for (size_t i = 0; i < locality->n_lb_endpoints; i++) {
        sum += endpoints[i].health == ENDPOINT_HEALTHY ? endpoints[i].weight : 0;
    }
    for (size_t i = 0; i < locality->n_lb_endpoints; i++) {
        shares[i] = sum > 0
                        ? endpoints[i].weight * (double)locality->load_balancing_weight->value / sum
                        : 0;
    }
}

static void scale_weights(struct cluster_assignment *assignment, const double *shares)
{
    double most = 0;
    for (uint32_t i = 0; i < assignment->endpoint_count; i++) {
        bool healthy = assignment->endpoints[i].health == ENDPOINT_HEALTHY;
        most = healthy && shares[i] > most ? shares[i] : most;
    }
    for (uint32_t i = 0; i < assignment->endpoint_count && most > 0; i++) {
        double weight = shares[i] / most * WEIGHT_SCALE + 0.5;
        weight = weight > WEIGHT_SCALE ? WEIGHT_SCALE : weight;
        assignment->endpoints[i].weight = weight < 1 ? 1 : (uint32_t)weight;
    }
}

static bool read_localities(struct cluster_assignment *assignment, const MESSAGE *message,
                            bool names, double *shares, struct error *error)
{
    uint32_t priority = choose_priority(message);
    bool weighted = localities_are_weighted(message, priority);
    for (size_t i = 0; i < message->n_endpoints; i++) {
        const LOCALITY *locality = message->endpoints[i];
        bool idle = weighted &&
                    !(locality->load_balancing_weight && locality->load_balancing_weight->value);
        bool used = locality->priority == priority && !idle;
        uint32_t first = assignment->endpoint_count;
        for (size_t k = 0; k < locality->n_lb_endpoints; k++) {
            if (!read_endpoint(assignment, locality->lb_endpoints[k], names, error)) {
                return error_prefix(error, "endpoints[%zu].lb_endpoints[%zu]", i, k);
            }
        }
        if (!used) { /* read all the same, so that an error is not hidden */
            assignment->endpoint_count = first;
        } else if (weighted) {
            share_locality(locality, assignment->endpoints + first, shares + first);
        }
    }
    if (weighted) {
        scale_weights(assignment, shares);
    }
    return true;
}

struct cluster_assignment *cluster_assignment_compile(const MESSAGE *message, bool names,
                                                      struct error *error)
{
    size_t count = 1;
    for (size_t i = 0; i < message->n_endpoints; i++) {
        count += message->endpoints[i]->n_lb_endpoints;
    }
    struct arena arena;
    arena_init(&arena);
    struct cluster_assignment *assignment = arena_new(&arena, struct cluster_assignment);
    assignment->endpoints = arena_new_array(&arena, struct assigned_endpoint, count);
    assignment->arena = arena;
    double *shares = calloc(count, sizeof(*shares));
    ensure(shares != NULL);
    bool read = read_localities(assignment, message, names, shares, error);
    free(shares);
    if (!read) {
        cluster_assignment_free(assignment);
        return NULL;
    }
    return assignment;
}

void cluster_assignment_free(struct cluster_assignment *assignment)
{
    if (assignment != NULL) {
        struct arena arena = assignment->arena;
        arena_fini(&arena);
    }
}
