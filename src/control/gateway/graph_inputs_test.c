/* What comes to a graph from outside the objects: states of sockets, options; and what is asked
 * of it by key. */
#include "control/gateway/graph_testing.h"

/* ---- states of sockets ----------------------------------------------------------------------- */

#define ONE_ADDRESS                                                                                \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"               \
    "spec: {gatewayClassName: weft, addresses: [{value: 127.0.0.9}, {value: 127.0.0.8}], "         \
    "listeners: [{name: http, port: 80, protocol: HTTP}]}\n"

static void programmed_follows_the_sockets(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml", ONE_ADDRESS);
    expect_status(world.graph, "pending",
                  "Gateway/default/g conditions.Programmed = False/Pending\n"
                  "Gateway/default/g listeners.http.conditions.Programmed = False/Pending\n");
    graph_set_listener_state(world.graph, TEXT("listener/127.0.0.9:80"), LISTENER_BOUND, TEXT(""));
    expect_status(world.graph, "half", "Gateway/default/g conditions.Programmed = False/Pending\n");
    graph_set_listener_state(world.graph, TEXT("listener/127.0.0.8:80"), LISTENER_FAILED,
                             TEXT("permission denied; --port-map 80:8080"));
    expect_status(world.graph, "failed",
                  "Gateway/default/g conditions.Programmed = False/Invalid\n"
                  "Gateway/default/g conditions.Programmed.message = "
                  "permission denied; --port-map 80:8080\n"
                  "Gateway/default/g listeners.http.conditions.Programmed = False/Invalid\n"
                  "Gateway/default/g addresses = 127.0.0.9,127.0.0.8\n");
    graph_set_listener_state(world.graph, TEXT("listener/127.0.0.8:80"), LISTENER_ADDRESS_UNUSABLE,
                             TEXT("not of this machine"));
    expect_status(world.graph, "unusable",
                  "Gateway/default/g conditions.Accepted = True/Accepted\n"
                  "Gateway/default/g conditions.Programmed = False/AddressNotUsable\n"
                  "Gateway/default/g addresses = 127.0.0.9\n");
    graph_set_listener_state(world.graph, TEXT("listener/127.0.0.8:80"), LISTENER_BOUND, TEXT(""));
    expect_status(world.graph, "bound",
                  "Gateway/default/g conditions.Programmed = True/Programmed\n");
    assert_false(graph_set_listener_state(world.graph, TEXT("listener/1.1.1.1:80"), LISTENER_BOUND,
                                          TEXT("")));
    world_fini(&world);
}

static void states_survive_the_next_evaluation(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml", YAML_EDGE);
    world_bind(&world);
    world_put(&world, "g.yaml", YAML_ROUTE("name: r", "name: edge", "  rules: [{name: a}]\n"));
    expect_status(world.graph, __func__,
                  "Gateway/default/edge conditions.Programmed = True/Programmed\n"
                  "Gateway/default/edge listeners.http.attachedRoutes = 1\n");
    world_fini(&world);
}

/* A machine without IPv6 still serves the default addresses. */
static void a_default_address_may_be_missing(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml", YAML_EDGE);
    graph_set_listener_state(world.graph, TEXT("listener/127.0.0.1:80"), LISTENER_BOUND, TEXT(""));
    graph_set_listener_state(world.graph, TEXT("listener/[::1]:80"), LISTENER_ADDRESS_UNUSABLE,
                             TEXT("no IPv6"));
    expect_status(world.graph, __func__,
                  "Gateway/default/edge conditions.Programmed = True/Programmed\n"
                  "Gateway/default/edge addresses = 127.0.0.1\n");
    graph_set_listener_state(world.graph, TEXT("listener/127.0.0.1:80"),
                             LISTENER_ADDRESS_UNUSABLE, TEXT("none"));
    expect_status(world.graph, __func__,
                  "Gateway/default/edge conditions.Programmed = False/AddressNotUsable\n");
    world_fini(&world);
}

/* ---- options --------------------------------------------------------------------------------- */

static void addresses_come_from_the_pool(void **state)
{
    struct text pool[] = { TEXT("127.0.1.1"), TEXT("127.0.1.2") };
    struct world world;
    world_init(&world);
    world.options.address_pool = (struct text_list){ pool, 2 };
#define POOLED(name)                                                                               \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: " name "}\n"   \
    "spec: {gatewayClassName: weft, addresses: [{type: IPAddress}], "                              \
    "listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
    world_put(&world, "f.yaml", POOLED("a") POOLED("b") POOLED("c"));
    world_bind(&world);
    expect_status(world.graph, __func__,
                  "Gateway/default/a addresses = 127.0.1.1\n"
                  "Gateway/default/b addresses = 127.0.1.2\n"
                  "Gateway/default/b conditions.Programmed = True/Programmed\n"
                  "Gateway/default/c conditions.Accepted = True/Accepted\n"
                  "Gateway/default/c conditions.Programmed = False/AddressNotAssigned\n");
    expect_findings(&world, __func__, "Gateway/default/c: spec.addresses[0]: AddressNotAssigned\n");
    world_fini(&world);
}

static void the_port_map_changes_what_is_bound(void **state)
{
    struct graph_port_map ports[] = { { 80, 8080 } };
    struct world world;
    world_init(&world);
    world.options.port_map = ports;
    world.options.port_map_count = 1;
    world_put(&world, "f.yaml", YAML_EDGE);
    assert_int_equal(world.graph->socket_count, 2);
    assert_true(text_equal(world.graph->sockets[0]->name, TEXT("listener/127.0.0.1:8080")));
    assert_true(text_equal(world.graph->sockets[1]->name, TEXT("listener/[::1]:8080")));
    assert_true(text_equal(world.graph->sockets[1]->routes_name, TEXT("routes/[::1]:8080")));
    assert_int_equal(world.graph->sockets[0]->listeners[0]->spec->port, 80);
    world_fini(&world);
}

static void names_outside_need_the_option(void **state)
{
    struct world world;
    world_init(&world);
    world.options.external_names = true;
#define OUTSIDE(name, target)                                                                      \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\n"                             \
    "spec: {type: ExternalName, externalName: " target "}\n"
    world_put(&world, "f.yaml",
              YAML_EDGE OUTSIDE("good", "a.test") OUTSIDE("own", "localhost")
              OUTSIDE("dotted", "x.localhost") OUTSIDE("ip", "127.0.0.1")
              YAML_ROUTE("name: r", "name: edge",
                         "  rules: [{backendRefs: [{name: good, port: 81}, {name: own, port: 80}, "
                         "{name: dotted, port: 80}, {name: ip, port: 80}]}]\n"));
    assert_int_equal(world.graph->cluster_count, 1);
    assert_true(text_equal(world.graph->clusters[0]->name, TEXT("service/default/good/81")));
    assert_true(text_equal(world.graph->clusters[0]->hostname, TEXT("a.test")));
    assert_int_equal(world.graph->clusters[0]->port, 81);
    expect_findings(&world, __func__,
                    "Service/default/own: spec.externalName: UnsupportedValue\n"
                    "Service/default/dotted: spec.externalName: UnsupportedValue\n"
                    "Service/default/ip: spec.externalName: UnsupportedValue\n"
                    "spec.rules[0].backendRefs[1]: UnsupportedValue\n"
                    "spec.rules[0].backendRefs[2]: UnsupportedValue\n"
                    "spec.rules[0].backendRefs[3]: UnsupportedValue\n");
    world_fini(&world);
}

static void bundle_version_is_judged(void **state)
{
    static const struct {
        const char *version, *status;
    } rows[] = { { "v1.7.0", "True/SupportedVersion" }, { "v1.6.3", "False/UnsupportedVersion" } };
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        char line[128];
        world_init(&world);
        world.options.bundle_version = text_from_string(rows[i].version);
        world_put(&world, "f.yaml", YAML_EDGE);
        snprintf(line, sizeof(line), "GatewayClass//weft conditions.SupportedVersion = %s",
                 rows[i].status);
        expect_status(world.graph, __func__, line);
        world_fini(&world);
    }
}

/* ---- origins --------------------------------------------------------------------------------- */

static void keys_lead_back_to_lines(void **state)
{
    static const struct {
        const char *key;
        uint32_t line; /* 0: not found */
    } rows[] = {
        { "listener/127.0.0.1:80", 9 }, { "routes/127.0.0.1:80", 9 },
        { "gateway/default/edge/http", 9 }, { "vhost/gateway/default/edge/http/*", 9 },
        { "httproute/default/r/second/1", 21 }, { "httproute/default/r/0/0", 17 },
        { "httproute/default/r/9/0", 11 }, { "service/default/web/80", 26 },
        { "service/default/web/81", 0 }, { "listener/1.2.3.4:80", 0 }, { "httproute/default", 0 },
        { "gateway/default/edge/http/policy_invalid", 9 }, { "odd/default/x", 0 }, { "", 0 },
    };
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml",
              YAML_EDGE
              "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
              "metadata: {name: r}\nspec:\n  parentRefs: [{name: edge}]\n  rules:\n"
              "  - backendRefs: [{name: web, port: 80}]\n"
              "  - name: second\n"
              "    matches:\n"
              "    - path: {value: /a}\n"
              "    - path: {value: /b}\n" YAML_WEB);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct place place = { 0 };
        bool found = graph_find_origin(world.graph, text_from_string(rows[i].key), &place);
        if (found != (rows[i].line != 0) || (found && place.line != rows[i].line)) {
            fail_msg("%s: line %u instead of %u", rows[i].key, place.line, rows[i].line);
        }
    }
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programmed_follows_the_sockets),
        cmocka_unit_test(states_survive_the_next_evaluation),
        cmocka_unit_test(a_default_address_may_be_missing),
        cmocka_unit_test(addresses_come_from_the_pool),
        cmocka_unit_test(the_port_map_changes_what_is_bound),
        cmocka_unit_test(names_outside_need_the_option),
        cmocka_unit_test(bundle_version_is_judged),
        cmocka_unit_test(keys_lead_back_to_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
