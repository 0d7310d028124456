/* For the tests of the plan compiler: one compiler and one arena a test, and messages to feed it.
 */
#pragma once

#include "proxy/compile.h"

#include "proxy/route_script_test.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"
#include "envoy/extensions/filters/http/stateful_session/v3/stateful_session.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROUTES       Envoy__Config__Route__V3__RouteConfiguration
#define ROUTE        Envoy__Config__Route__V3__Route
#define WEIGHT       Envoy__Config__Route__V3__WeightedCluster__ClusterWeight
#define OPTION       Envoy__Config__Core__V3__HeaderValueOption
#define CLUSTER      Envoy__Config__Cluster__V3__Cluster
#define LISTENER     Envoy__Config__Listener__V3__Listener
#define MANAGER                                                                                    \
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager
#define MANAGER_PACKAGE(name)                                                                      \
    envoy__extensions__filters__network__http_connection_manager__v3__##name
#define MANAGER_OF(tag)                                                                            \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__##tag

static struct arena arena;
static struct compiler *compiler;

static inline int set_up(void **state)
{
    arena_init(&arena);
    compiler = compiler_new();
    return 0;
}

static inline int tear_down(void **state)
{
    compiler_free(compiler);
    arena_fini(&arena);
    return 0;
}

static inline bool set(struct text type_url, const char *name, ProtobufCMessage *message,
                       struct error *error)
{
    struct buffer bytes;
    buffer_init(&bytes);
    xds_pack(message, &bytes);
    bool taken =
        compiler_set(compiler, type_url, text_from_string(name), buffer_text(&bytes), error);
    buffer_fini(&bytes);
    return taken;
}

static inline void must_set(struct text type_url, const char *name, ProtobufCMessage *message)
{
    struct error error;
    if (!set(type_url, name, message, &error)) {
        fail_msg("%s: %s", name, error.text);
    }
}

static inline Envoy__Config__Core__V3__Address *make_address(const char *ip, uint32_t port)
{
    Envoy__Config__Core__V3__Address *address =
        compose_new(&arena, &envoy__config__core__v3__address__descriptor);
    address->address_case = ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS;
    address->socket_address =
        compose_new(&arena, &envoy__config__core__v3__socket_address__descriptor);
    address->socket_address->address = compose_string(&arena, text_from_string(ip));
    address->socket_address->port_specifier_case =
        ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
    address->socket_address->port_value = port;
    return address;
}

static inline MANAGER *make_manager(const char *routes)
{
    MANAGER *manager = compose_new(&arena, &MANAGER_PACKAGE(http_connection_manager__descriptor));
    manager->stat_prefix = compose_string(&arena, TEXT("x"));
    manager->route_specifier_case = MANAGER_OF(ROUTE_SPECIFIER_RDS);
    manager->rds = compose_new(&arena, &MANAGER_PACKAGE(rds__descriptor));
    manager->rds->route_config_name = compose_string(&arena, text_from_string(routes));
    manager->rds->config_source =
        compose_new(&arena, &envoy__config__core__v3__config_source__descriptor);
    manager->rds->config_source->config_source_specifier_case =
        ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS;
    manager->rds->config_source->ads =
        compose_new(&arena, &envoy__config__core__v3__aggregated_config_source__descriptor);
    return manager;
}

static inline LISTENER *make_listener(const char *name, MANAGER *manager)
{
    LISTENER *listener = compose_new(&arena, &envoy__config__listener__v3__listener__descriptor);
    listener->name = compose_string(&arena, text_from_string(name));
    listener->address = make_address("127.0.0.1", 8080);
    Envoy__Config__Listener__V3__FilterChain *chain =
        compose_new(&arena, &envoy__config__listener__v3__filter_chain__descriptor);
    Envoy__Config__Listener__V3__Filter *filter =
        compose_new(&arena, &envoy__config__listener__v3__filter__descriptor);
    filter->name = compose_string(&arena, TEXT("http"));
    filter->config_type_case = ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter->typed_config = compose_any(&arena, &manager->base);
    COMPOSE_ADD(&arena, chain, filters, filter);
    COMPOSE_ADD(&arena, listener, filter_chains, chain);
    return listener;
}

static inline CLUSTER *make_cluster(const char *name)
{
    CLUSTER *cluster = compose_new(&arena, &envoy__config__cluster__v3__cluster__descriptor);
    cluster->name = compose_string(&arena, text_from_string(name));
    cluster->cluster_discovery_type_case =
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE;
    cluster->type = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS;
    return cluster;
}

static inline Envoy__Config__Endpoint__V3__ClusterLoadAssignment *
make_assignment(const char *name, const char *host, uint32_t port)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *assignment =
        compose_new(&arena, &envoy__config__endpoint__v3__cluster_load_assignment__descriptor);
    assignment->cluster_name = compose_string(&arena, text_from_string(name));
    Envoy__Config__Endpoint__V3__LocalityLbEndpoints *locality =
        compose_new(&arena, &envoy__config__endpoint__v3__locality_lb_endpoints__descriptor);
    Envoy__Config__Endpoint__V3__LbEndpoint *endpoint =
        compose_new(&arena, &envoy__config__endpoint__v3__lb_endpoint__descriptor);
    endpoint->host_identifier_case =
        ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT;
    endpoint->endpoint = compose_new(&arena, &envoy__config__endpoint__v3__endpoint__descriptor);
    endpoint->endpoint->address = make_address(host, port);
    COMPOSE_ADD(&arena, locality, lb_endpoints, endpoint);
    COMPOSE_ADD(&arena, assignment, endpoints, locality);
    return assignment;
}

static inline void set_script(const char *const *lines)
{
    must_set(TYPE_ROUTES, "routes", &script_message(&arena, lines)->base);
}
