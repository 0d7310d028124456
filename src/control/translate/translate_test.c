/* The translator: only what changed is encoded and told, in order; listeners; and the cost of ten
 * thousand routes. */
#include "control/translate/translate_testing.h"

#include "base/clock.h"

#define ROUTE_A YAML_ROUTE("name: a", "name: edge", "  hostnames: [a.test]\n" YAML_BACKEND("80"))
#define SLICE(address)                                                                             \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                  \
    "metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n"                         \
    "addressType: IPv4\nports: [{port: 8080}]\nendpoints: [{addresses: [" address "]}]\n"
#define SERVICE                                                                                    \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"

static void expect_log(struct listening *listening, const char *wanted)
{
    if (!text_equal(buffer_text(&listening->log), text_from_string(wanted))) {
        fail_msg("wanted:\n%sgot:\n%.*s", wanted, TEXT_ARG(buffer_text(&listening->log)));
    }
}

static void only_what_changed_is_told(void **state)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "gateway.yaml", YAML_EDGE);
    world_put(&world, "route.yaml", ROUTE_A);
    world_put(&world, "service.yaml", SERVICE);
    world_put(&world, "slice.yaml", SLICE("10.0.0.1"));
    struct translate_counts counts = listening_run(&listening, &world);
    assert_int_equal(counts.encoded, 6);
    expect_log(&listening, "+Cluster service/default/web/80\n"
                           "+ClusterLoadAssignment service/default/web/80\n"
                           "+Listener listener/127.0.0.1:80\n"
                           "+Listener listener/[::1]:80\n"
                           "+RouteConfiguration routes/127.0.0.1:80\n"
                           "+RouteConfiguration routes/[::1]:80\n");

    counts = listening_run(&listening, &world);
    assert_int_equal(counts.encoded, 0);
    assert_int_equal(counts.unchanged, 6);
    expect_log(&listening, "");

    world_put(&world, "slice.yaml", SLICE("10.0.0.2"));
    counts = listening_run(&listening, &world);
    assert_int_equal(counts.encoded, 1);
    expect_log(&listening, "+ClusterLoadAssignment service/default/web/80\n");

    world_put(&world, "route.yaml",
              YAML_ROUTE("name: a", "name: edge", "  hostnames: [b.test]\n" YAML_BACKEND("80")));
    counts = listening_run(&listening, &world);
    assert_int_equal(counts.encoded, 2);
    expect_log(&listening, "+RouteConfiguration routes/127.0.0.1:80\n"
                           "+RouteConfiguration routes/[::1]:80\n");

    /* Other inputs, the same bytes: nothing is told. */
    world_put(&world, "slice.yaml",
              "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
              "metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n"
              "addressType: IPv4\nports: [{port: 8080}]\n"
              "endpoints: [{addresses: [10.0.0.2], zone: z}]\n");
    counts = listening_run(&listening, &world);
    assert_int_equal(counts.encoded, 1);
    assert_int_equal(counts.changed, 0);
    expect_log(&listening, "");
    listening_fini(&listening);
    world_fini(&world);
}

static void what_is_gone_is_told_last(void **state)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "gateway.yaml", YAML_GATEWAY("edge", "  - {name: a, port: 80, protocol: "
                                                           "HTTP}\n"
                                                   "  - {name: b, port: 81, protocol: HTTP}\n"));
    world_put(&world, "rest.yaml", ROUTE_A SERVICE SLICE("10.0.0.1"));
    world.options.default_addresses.count = 1;
    world_put(&world, "route.yaml",
              YAML_ROUTE("name: b", "name: edge",
                         "  hostnames: [b.test]\n  rules: [{backendRefs: [{name: gone, port: "
                         "1}]}]\n"));
    listening_run(&listening, &world);
    world_put(&world, "gateway.yaml",
              YAML_GATEWAY("edge", "  - {name: a, port: 80, protocol: HTTP}\n"));
    world_put(&world, "rest.yaml", SERVICE SLICE("10.0.0.1"));
    struct translate_counts counts = listening_run(&listening, &world);
    assert_int_equal(counts.removed, 4);
    expect_log(&listening, "+RouteConfiguration routes/127.0.0.1:80\n"
                           "-Listener listener/127.0.0.1:81\n"
                           "-RouteConfiguration routes/127.0.0.1:81\n"
                           "-Cluster service/default/web/80\n"
                           "-ClusterLoadAssignment service/default/web/80\n");
    translator_reset(listening.translator);
    counts = listening_run(&listening, &world);
    assert_int_equal(counts.changed, 2);
    listening_fini(&listening);
    world_fini(&world);
}

/* A cross-namespace grant that comes or goes changes the routes that need it. */
static void a_grant_changes_the_routes(void **state)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "f.yaml",
              YAML_EDGE YAML_SERVICE("web", "back", "")
              YAML_ROUTE("name: r", "name: edge",
                         "  rules: [{backendRefs: [{name: web, namespace: back, port: 80}]}]\n"));
    listening_run(&listening, &world);
    expect_routes(&listening, "without", "RouteConfiguration routes/127.0.0.1:80",
                  "[*]\n  r/0/0 / : invalid/RefNotPermitted*1\n");
    world_put(&world, "grant.yaml",
              "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n"
              "metadata: {name: g, namespace: back}\n"
              "spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, "
              "namespace: default}], to: [{group: \"\", kind: Service}]}\n");
    listening_run(&listening, &world);
    expect_routes(&listening, "with", "RouteConfiguration routes/127.0.0.1:80",
                  "[*]\n  r/0/0 / : service/back/web/80*1\n");
    listening_fini(&listening);
    world_fini(&world);
}

#define REDIRECT(name, host)                                                                       \
    YAML_ROUTE("name: " name, "name: edge",                                                        \
               "  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: " host    \
               "}}]}]\n")

/* A redirect without port says the listener's: one route has other bytes at another port, and
 * each of them follows its changes. */
static void a_route_at_two_ports_is_kept_for_both(void **state)
{
    static const char *const hosts[] = { "a.test", "b.test", "c.test" };
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "f.yaml",
              YAML_GATEWAY("edge", "  - {name: a, port: 80, protocol: HTTP}\n"
                                   "  - {name: b, port: 8080, protocol: HTTP}\n"));
    world_put(&world, "other.yaml", REDIRECT("other", "x.test"));
    for (size_t i = 0; i < 3; i++) {
        char yaml[1024];
        char line[64];
        snprintf(yaml, sizeof(yaml), REDIRECT("r", "%s"), hosts[i]);
        snprintf(line, sizeof(line), "\"host_redirect\": \"%s\"\n", hosts[i]);
        world_put(&world, "r.yaml", yaml);
        listening_run(&listening, &world);
        expect_json(&listening, "80", "RouteConfiguration routes/127.0.0.1:80", line);
        expect_json(&listening, "80", "RouteConfiguration routes/127.0.0.1:80",
                    "\"host_redirect\": \"x.test\"\n!port_redirect\n");
        expect_json(&listening, "8080", "RouteConfiguration routes/127.0.0.1:8080", line);
        expect_json(&listening, "8080", "RouteConfiguration routes/127.0.0.1:8080",
                    "\"port_redirect\": 8080\n");
    }
    world_put(&world, "r.yaml", "");
    listening_run(&listening, &world);
    expect_json(&listening, "gone", "RouteConfiguration routes/127.0.0.1:80", "!c.test");
    world_put(&world, "r.yaml", REDIRECT("r", "d.test"));
    listening_run(&listening, &world);
    expect_json(&listening, "back", "RouteConfiguration routes/127.0.0.1:8080",
                "\"host_redirect\": \"d.test\"\n\"host_redirect\": \"x.test\"\n");
    listening_fini(&listening);
    world_fini(&world);
}

static void listeners_carry_their_options(void **state)
{
    struct translate_options options = translate_options_defaults();
    struct world world;
    struct listening listening;
    options.trusted_hops = 2;
    options.body_bytes = 1024;
    options.encoded_slashes = SLASHES_REFUSE;
    options.max_header_bytes = 1025;
    options.max_requests_per_connection = 7;
    options.merge_slashes = true;
    world_init(&world);
    listening_init(&listening, &options);
    world_put(&world, "f.yaml", YAML_EDGE);
    listening_run(&listening, &world);
    expect_json(&listening, __func__, "Listener listener/[::1]:80",
                "\"name\": \"listener/[::1]:80\"\n\"address\": \"::1\"\n\"port_value\": 80\n"
                "\"route_config_name\": \"routes/[::1]:80\"\n\"ads\": {}\n"
                "\"idle_timeout\": \"75s\"\n\"request_headers_timeout\": \"10s\"\n"
                "\"stream_idle_timeout\": \"300s\"\n\"max_headers_count\": 100\n"
                "\"max_request_headers_kb\": 2\n\"max_requests_per_connection\": 7\n"
                "\"xff_num_trusted_hops\": 2\n\"upgrade_type\": \"websocket\"\n"
                "\"merge_slashes\": true\n"
                "\"path_with_escaped_slashes_action\": \"REJECT_REQUEST\"\n"
                "\"name\": \"weft.listener_options\"\n\"body_bytes\": \"1024\"\n"
                "\"encoded_slash\": \"PATH_RULE_REFUSE\"\n!\"request_timeout\"\n");
    /* The router is the last filter. */
    struct text json = told_json(&listening, "Listener listener/[::1]:80");
    size_t router = text_find(json, TEXT("\"envoy.filters.http.router\""));
    assert_true(router < json.size);
    assert_true(router > text_find(json, TEXT("weft.listener_options")));
    assert_true(router > text_find(json, TEXT("envoy.filters.http.stateful_session")));
    assert_true(text_find(json, TEXT("envoy.filters.http.cors")) < json.size);
    listening_fini(&listening);
    world_fini(&world);
}

static void by_default_listeners_need_no_words_of_ours(void **state)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "f.yaml", YAML_EDGE);
    listening_run(&listening, &world);
    expect_json(&listening, __func__, "Listener listener/127.0.0.1:80", "!weft.\n");
    struct told_resource *told =
        map_find(&listening.resources, TEXT("Listener listener/127.0.0.1:80"));
    assert_non_null(told);
    assert_int_equal(told->origin.line, 9);
    assert_true(text_equal(told->origin.file, TEXT("f.yaml")));
    listening_fini(&listening);
    world_fini(&world);
}

/* ---- many routes ----------------------------------------------------------------------------- */

static void put_many(struct store *store, size_t files, size_t routes_per_file, const char *path)
{
    struct buffer yaml;
    buffer_init(&yaml);
    for (size_t i = 0; i < files; i++) {
        char name[32];
        buffer_clear(&yaml);
        for (size_t k = 0; k < routes_per_file; k++) {
            size_t n = i * routes_per_file + k;
            buffer_format(&yaml,
                          "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                          "metadata: {name: r%zu}\n"
                          "spec:\n  parentRefs: [{name: edge}]\n  hostnames: [h%zu.test]\n"
                          "  rules:\n  - matches: [{path: {value: \"%s%zu\"}}]\n"
                          "    backendRefs: [{name: web, port: 80}]\n",
                          n, n % 1000, path, n);
        }
        snprintf(name, sizeof(name), "routes-%zu.yaml", i);
        store_put(store, 0,
                  intake_read(text_from_string(name), buffer_text(&yaml), FORMAT_YAML,
                              store_intake(store, text_from_string(name))));
    }
    buffer_fini(&yaml);
}

static double ms_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e6;
}

/* Printed, not asserted: under sanitizers and on a busy machine times say little. What is asserted
 * is that the cost is linear enough to end, and that all are there. */
static void ten_thousand_routes(void **state)
{
    struct world world;
    struct listening listening;
    struct finding_list findings;
    world_init(&world);
    listening_init(&listening, NULL);
    finding_list_init(&findings);
    world_put(&world, "f.yaml", YAML_EDGE YAML_WEB);
    put_many(world.store, 100, 100, "/p");
    store_commit(world.store);
    for (int round = 0; round < 3; round++) {
        uint64_t start_ns = clock_now_ns();
        struct graph *graph =
            graph_build(world.store, &world.options, world.graph, &findings);
        double build_ms = ms_since(start_ns);
        graph_free(world.graph);
        world.graph = graph;
        start_ns = clock_now_ns();
        struct translate_counts counts = listening_run(&listening, &world);
        print_message("10,000 routes: graph %.1f ms, translation %.1f ms (%zu encoded)\n",
                      build_ms, ms_since(start_ns), counts.encoded);
        assert_int_equal(graph->route_count, 10000);
        assert_int_equal(counts.encoded, round == 1 ? 0 : round == 0 ? 6 : 2);
        if (round == 1) {
            put_many(world.store, 1, 100, "/q");
            store_commit(world.store);
        }
    }
    assert_int_equal(findings.array.count, 0);
    const Envoy__Config__Route__V3__RouteConfiguration *routes =
        told_message(&listening, "RouteConfiguration routes/127.0.0.1:80");
    assert_int_equal(routes->n_virtual_hosts, 1001);
    finding_list_fini(&findings);
    listening_fini(&listening);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_changed_is_told),
        cmocka_unit_test(what_is_gone_is_told_last),
        cmocka_unit_test(a_grant_changes_the_routes),
        cmocka_unit_test(a_route_at_two_ports_is_kept_for_both),
        cmocka_unit_test(listeners_carry_their_options),
        cmocka_unit_test(by_default_listeners_need_no_words_of_ours),
        cmocka_unit_test(ten_thousand_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
