/* Clusters and endpoints: Services, EndpointSlices and XBackends in, clusters and assignments
 * out. */
#include "control/translate/translate_testing.h"

#define ROUTE_TO(ref) YAML_EDGE YAML_ROUTE("name: r", "name: edge",                                \
                                           "  rules: [{backendRefs: [{" ref "}]}]\n")
#define SERVICE(spec)                                                                              \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {" spec "}\n"
#define SLICE(name, type, ports, endpoints)                                                        \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                  \
    "metadata: {name: " name ", labels: {kubernetes.io/service-name: web, app: web}}\n"            \
    "addressType: " type "\nports: [" ports "]\nendpoints: [" endpoints "]\n"
#define EP(address) "{addresses: [\"" address "\"]}"
#define EP_IS(address, conditions) "{addresses: [\"" address "\"], conditions: {" conditions "}}"

struct endpoint_case {
    const char *name;
    const char *yaml;
    const char *endpoints; /* "ADDRESS:PORT[d]" joined by spaces, d for draining */
};

static const struct endpoint_case cases[] = {
    { "named ports, several slices, both families, in order",
      ROUTE_TO("name: web, port: 80")
      SERVICE("ports: [{name: http, port: 80, targetPort: web}, {name: other, port: 81}]")
      SLICE("b", "IPv4", "{name: other, port: 9}, {name: http, port: 8080}",
            EP("10.0.0.2") ", " EP("10.0.0.1"))
      SLICE("a", "IPv6", "{name: http, port: 8081}", EP("fd00::1")),
      "10.0.0.1:8080 10.0.0.2:8080 fd00::1:8081" },

    { "conditions: ready, not ready, terminating",
      ROUTE_TO("name: web, port: 80") SERVICE("ports: [{port: 80}]")
      SLICE("a", "IPv4", "{port: 80}",
            EP("10.0.0.1") ", " EP_IS("10.0.0.2", "ready: false") ", "
            EP_IS("10.0.0.3", "ready: false, serving: true, terminating: true") ", "
            EP_IS("10.0.0.4", "ready: false, serving: false, terminating: true") ", "
            EP_IS("10.0.0.5", "ready: true, serving: true, terminating: false")),
      "10.0.0.1:80 10.0.0.3:80d 10.0.0.5:80" },

    { "publishNotReadyAddresses",
      ROUTE_TO("name: web, port: 80") SERVICE("publishNotReadyAddresses: true, ports: [{port: 80}]")
      SLICE("a", "IPv4", "{port: 80}", EP_IS("10.0.0.2", "ready: false")),
      "10.0.0.2:80" },

    { "an address in two slices counts once, healthy before draining",
      ROUTE_TO("name: web, port: 80") SERVICE("ports: [{port: 80}]")
      SLICE("a", "IPv4", "{port: 80}",
            EP_IS("10.0.0.1", "ready: false, serving: true, terminating: true"))
      SLICE("b", "IPv4", "{port: 80}", EP("10.0.0.1"))
      SLICE("c", "IPv4", "{port: 81}", EP("10.0.0.1")),
      "10.0.0.1:80 10.0.0.1:81" },

    { "slices without the port, of another protocol, or of names give nothing",
      ROUTE_TO("name: web, port: 80") SERVICE("ports: [{name: http, port: 80}]")
      SLICE("a", "IPv4", "{name: other, port: 80}", EP("10.0.0.1"))
      SLICE("b", "IPv4", "{name: http, port: 80, protocol: UDP}", EP("10.0.0.2"))
      SLICE("c", "FQDN", "{name: http, port: 80}", EP("a.test")),
      "" },

    { "a headless service with slices goes by them",
      ROUTE_TO("name: web, port: 80") SERVICE("clusterIP: None, ports: [{port: 80}]")
      SLICE("a", "IPv4", "{port: 3000}", EP("127.0.0.1")),
      "127.0.0.1:3000" },

    { "an XBackend selects endpoints by labels",
      ROUTE_TO("group: gateway.networking.x-k8s.io, kind: XBackend, name: x")
      "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\nmetadata: {name: x}\n"
      "spec: {type: EndpointSelector, endpointSelector: {matchLabels: {app: web}}, "
      "port: {number: 7000}, sessionPersistence: {type: Cookie, cookie: {name: c}}}\n"
      SLICE("a", "IPv4", "{port: 3000}", EP("10.0.0.1")),
      "10.0.0.1:7000" },
};

static void print_endpoints(const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *assignment,
                            struct buffer *out)
{
    for (size_t i = 0; i < assignment->n_endpoints; i++) {
        for (size_t k = 0; k < assignment->endpoints[i]->n_lb_endpoints; k++) {
            const Envoy__Config__Endpoint__V3__LbEndpoint *endpoint =
                assignment->endpoints[i]->lb_endpoints[k];
            const Envoy__Config__Core__V3__SocketAddress *address =
                endpoint->endpoint->address->socket_address;
            bool draining =
                endpoint->health_status == ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING;
            buffer_format(out, "%s%s:%u%s", out->size ? " " : "", address->address,
                          address->port_value, draining ? "d" : "");
        }
    }
}

static void endpoints_come_from_slices(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        struct listening listening;
        world_init(&world);
        listening_init(&listening, NULL);
        world_put(&world, "f.yaml", cases[i].yaml);
        listening_run(&listening, &world);
        assert_int_equal(world.graph->cluster_count, 1);
        char key[128];
        snprintf(key, sizeof(key), "ClusterLoadAssignment %.*s",
                 TEXT_ARG(world.graph->clusters[0]->name));
        struct buffer out;
        buffer_init(&out);
        print_endpoints(told_message(&listening, key), &out);
        if (!text_equal(buffer_text(&out), text_from_string(cases[i].endpoints))) {
            fail_msg("%s: wanted %s, got %.*s", cases[i].name, cases[i].endpoints,
                     TEXT_ARG(buffer_text(&out)));
        }
        buffer_fini(&out);
        listening_fini(&listening);
        world_fini(&world);
    }
}

struct cluster_case {
    const char *name;
    const char *yaml;
    const char *key;
    const char *json;
};

static const struct cluster_case cluster_cases[] = {
    { "EDS", ROUTE_TO("name: web, port: 80") YAML_WEB, "Cluster service/default/web/80",
      "\"type\": \"EDS\"\n\"service_name\": \"service/default/web/80\"\n\"ads\": {}\n"
      "\"connect_timeout\": \"5s\"\n\"lb_policy\": \"LEAST_REQUEST\"\n\"choice_count\": 2\n"
      "!http2_protocol_options\n!load_assignment" },

    { "h2c",
      ROUTE_TO("name: web, port: 80")
      YAML_SERVICE("web", "default", ", appProtocol: kubernetes.io/h2c"),
      "Cluster service/default/web/80",
      "\"envoy.extensions.upstreams.http.v3.HttpProtocolOptions\": {\n"
      "\"explicit_http_config\": {\n\"http2_protocol_options\": {}\n" },

    { "websocket is plain HTTP/1.1",
      ROUTE_TO("name: web, port: 80")
      YAML_SERVICE("web", "default", ", appProtocol: kubernetes.io/ws"),
      "Cluster service/default/web/80", "\"type\": \"EDS\"\n!http2_protocol_options" },

    { "a headless service without slices goes by its name and target port",
      ROUTE_TO("name: web, port: 80")
      SERVICE("clusterIP: None, ports: [{port: 80, targetPort: 3000}]"),
      "Cluster service/default/web/80",
      "\"type\": \"STRICT_DNS\"\n\"address\": \"web.default.svc.cluster.local\"\n"
      "\"port_value\": 3000\n\"dns_lookup_family\": \"ALL\"\n" },

    { "ExternalName", ROUTE_TO("name: web, port: 80")
      SERVICE("type: ExternalName, externalName: a.test, ports: [{port: 80, targetPort: 81}]"),
      "Cluster service/default/web/80",
      "\"type\": \"STRICT_DNS\"\n\"address\": \"a.test\"\n\"port_value\": 80\n" },

    { "slices of names",
      ROUTE_TO("name: web, port: 80") SERVICE("ports: [{port: 80}]")
      SLICE("c", "FQDN", "{port: 81}", EP("a.test") ", " EP("b.test")),
      "Cluster service/default/web/80",
      "\"type\": \"STRICT_DNS\"\n\"address\": \"a.test\"\n\"address\": \"b.test\"\n"
      "\"port_value\": 81\n" },

    { "XBackend outside",
      ROUTE_TO("group: gateway.networking.x-k8s.io, kind: XBackend, name: x")
      "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\nmetadata: {name: x}\n"
      "spec: {type: ExternalHostname, externalHostname: {hostname: a.test}, port: {number: 8080}, "
      "protocol: H2C}\n",
      "Cluster xbackend/default/x/8080",
      "\"type\": \"STRICT_DNS\"\n\"address\": \"a.test\"\n\"port_value\": 8080\n"
      "\"http2_protocol_options\": {}\n" },
};

static void clusters_are_written_as_the_note_says(void **state)
{
    for (size_t i = 0; i < sizeof(cluster_cases) / sizeof(cluster_cases[0]); i++) {
        struct world world;
        struct listening listening;
        world_init(&world);
        listening_init(&listening, NULL);
        world.options.external_names = true;
        world_put(&world, "f.yaml", cluster_cases[i].yaml);
        listening_run(&listening, &world);
        expect_json(&listening, cluster_cases[i].name, cluster_cases[i].key,
                    cluster_cases[i].json);
        listening_fini(&listening);
        world_fini(&world);
    }
}

/* The session of an XBackend pins an endpoint inside the backend that its weight chose. */
static void sessions_of_a_backend_stand_at_its_weight(void **state)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "f.yaml", cases[sizeof(cases) / sizeof(cases[0]) - 1].yaml);
    listening_run(&listening, &world);
    const Envoy__Config__Route__V3__RouteConfiguration *routes =
        told_message(&listening, "RouteConfiguration routes/127.0.0.1:80");
    const Envoy__Config__Route__V3__Route *route = routes->virtual_hosts[0]->routes[0];
    assert_int_equal(route->n_typed_per_filter_config, 0);
    const Envoy__Config__Route__V3__WeightedCluster__ClusterWeight *weight =
        route->route->weighted_clusters->clusters[0];
    assert_int_equal(weight->n_typed_per_filter_config, 1);
    assert_string_equal(weight->typed_per_filter_config[0]->key,
                        "envoy.filters.http.stateful_session");
    listening_fini(&listening);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_come_from_slices),
        cmocka_unit_test(clusters_are_written_as_the_note_says),
        cmocka_unit_test(sessions_of_a_backend_stand_at_its_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
