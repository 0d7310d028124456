/* Writing status: what others wrote is kept, transition times stay, YAML and tables. */
#include "control/gateway/graph_testing.h"

#include "control/gateway/builder.h"
#include "control/gateway/emitter.h"

/* ---- what others wrote ----------------------------------------------------------------------- */

#define FOREIGN                                                                                    \
    "{type: example.com/Odd, status: \"True\", reason: R, message: \"as it was: \\\"x\\\"\", "     \
    "observedGeneration: 7, lastTransitionTime: \"2026-01-01T00:00:00Z\", extra: [1, {a: null}]}"

static void conditions_of_others_are_kept(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml",
              "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: "
              "weft}\n"
              "spec: {controllerName: weft.dev/gateway-controller}\n"
              "status: {conditions: [" FOREIGN "]}\n"
              YAML_EDGE
              "status:\n"
              "  note: kept\n"
              "  conditions: [" FOREIGN ", {type: Accepted, status: \"False\", reason: Old}]\n"
              "  listeners:\n"
              "  - {name: http, attachedRoutes: 5, conditions: [" FOREIGN "]}\n"
              "  - {name: gone, conditions: [" FOREIGN "]}\n"
              YAML_SET("name: set", "name: edge", "  - {name: s, port: 81, protocol: HTTP}\n")
              "status: {conditions: [" FOREIGN "], listeners: [{name: s, conditions: [" FOREIGN
              "]}]}\n"
              YAML_ROUTE("name: r", "name: edge", "  rules: [{name: x}]\n")
              "status:\n"
              "  parents:\n"
              "  - {parentRef: {name: edge}, controllerName: example.com/other, conditions: "
              "[" FOREIGN
              ", {type: Accepted, status: \"False\", reason: Theirs}]}\n"
              "  - {parentRef: {name: edge}, controllerName: weft.dev/gateway-controller, "
              "conditions: ["
              FOREIGN ", {type: PartiallyInvalid, status: \"True\", reason: Old}]}\n");
    world_bind(&world);
    expect_status(world.graph, __func__,
                  "GatewayClass//weft conditions.example.com/Odd = -\n"
                  "GatewayClass//weft conditions.1 = True/R\n"
                  "Gateway/default/edge note = kept\n"
                  "Gateway/default/edge conditions = "
                  "True/Accepted,True/Programmed,True/R\n"
                  "Gateway/default/edge conditions.2.message = as it was: \"x\"\n"
                  "Gateway/default/edge conditions.2.observedGeneration = 7\n"
                  "Gateway/default/edge conditions.2.lastTransitionTime = 2026-01-01T00:00:00Z\n"
                  "Gateway/default/edge conditions.2.extra = 1,{}\n"
                  "Gateway/default/edge listeners.http.conditions = "
                  "True/Accepted,True/Programmed,True/ResolvedRefs,False/NoConflicts,True/R\n"
                  "Gateway/default/edge listeners.http.attachedRoutes = 1\n"
                  "Gateway/default/edge listeners.gone = -\n"
                  "ListenerSet/default/set conditions.2 = True/R\n"
                  "ListenerSet/default/set listeners.s.conditions.4 = True/R\n"
                  "HTTPRoute/default/r parents.0.controllerName = weft.dev/gateway-controller\n"
                  "HTTPRoute/default/r parents.0.conditions = "
                  "True/Accepted,True/ResolvedRefs,True/R\n"
                  "HTTPRoute/default/r parents.1.controllerName = example.com/other\n"
                  "HTTPRoute/default/r parents.1.conditions = True/R,False/Theirs\n"
                  "HTTPRoute/default/r parents.2 = -\n");
    struct buffer json;
    buffer_init(&json);
    assert_true(status_write_object(world.graph, TEXT("Gateway/default/edge"), &json));
    assert_true(text_find(buffer_text(&json), TEXT("\"extra\":[1,{\"a\":null}]")) < json.size);
    buffer_fini(&json);
    world_fini(&world);
}

/* A route that left our Gateway loses the entry we wrote, and no other. */
static void an_entry_of_ours_goes_with_its_parent(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml",
              "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: "
              "theirs}\n"
              "spec: {controllerName: example.com/other}\n"
              "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: "
              "theirs}\n"
              "spec: {gatewayClassName: theirs, listeners: [{name: x, port: 80, protocol: HTTP}]}\n"
              YAML_ROUTE("name: r", "name: theirs", "  rules: [{name: x}]\n")
              "status:\n"
              "  parents:\n"
              "  - {parentRef: {name: old}, controllerName: weft.dev/gateway-controller, "
              "conditions: []}\n"
              "  - {parentRef: {name: theirs}, controllerName: example.com/other, conditions: "
              "[]}\n");
    expect_status(world.graph, __func__,
                  "HTTPRoute/default/r parents.0.controllerName = example.com/other\n"
                  "HTTPRoute/default/r parents.1 = -\n");
    world_fini(&world);
}

/* ---- times ----------------------------------------------------------------------------------- */

#define BAD_ROUTE(ref) YAML_ROUTE("name: r", "name: " ref, "  rules: [{name: x}]\n")

static void transition_times_stay_while_the_status_does(void **state)
{
    struct world world;
    world_init(&world);
    world.options.now_us = 1767225600000000; /* 2026-01-01T00:00:00Z */
    world_put(&world, "f.yaml", YAML_EDGE);
    world_put(&world, "r.yaml", BAD_ROUTE("edge, sectionName: none"));
    expect_status(world.graph, "first",
                  "HTTPRoute/default/r parents.0.conditions.Accepted.lastTransitionTime = "
                  "2026-01-01T00:00:00Z\n");
    world.options.now_us += 60 * 1000000ll;
    world_put(&world, "r.yaml", BAD_ROUTE("edge, sectionName: none") "status: {}\n");
    expect_status(world.graph, "same status",
                  "HTTPRoute/default/r parents.0.conditions.Accepted.lastTransitionTime = "
                  "2026-01-01T00:00:00Z\n"
                  "Gateway/default/edge conditions.Accepted.lastTransitionTime = "
                  "2026-01-01T00:00:00Z\n");
    world_put(&world, "g.yaml",
              YAML_SET("name: s", "name: edge", "  - {name: s, port: 81, protocol: HTTP}\n"));
    expect_status(world.graph, "new object",
                  "ListenerSet/default/s conditions.Accepted.lastTransitionTime = "
                  "2026-01-01T00:01:00Z\n");
    world_fini(&world);
}

static void transition_times_are_read_with_the_object(void **state)
{
    struct world world;
    world_init(&world);
    world.options.now_us = 1767225600000000;
    world_put(&world, "f.yaml",
              YAML_EDGE
              "status:\n"
              "  conditions:\n"
              "  - {type: Accepted, status: \"True\", lastTransitionTime: "
              "\"2020-02-29T23:59:59Z\"}\n"
              "  - {type: Programmed, status: \"True\", lastTransitionTime: "
              "\"2020-02-29T23:59:59Z\"}\n"
              "  listeners:\n"
              "  - {name: http, conditions: [{type: Accepted, status: \"True\", "
              "lastTransitionTime: "
              "\"2020-01-01T00:00:00Z\"}]}\n"
              YAML_ROUTE("name: r", "name: edge", "  rules: [{name: x}]\n")
              "status: {parents: [{parentRef: {name: edge}, controllerName: "
              "weft.dev/gateway-controller, conditions: [{type: Accepted, status: \"True\", "
              "lastTransitionTime: \"2020-01-02T00:00:00Z\"}, {type: ResolvedRefs, status: "
              "\"True\", "
              "lastTransitionTime: nonsense}]}]}\n");
    expect_status(world.graph, __func__,
                  "Gateway/default/edge conditions.Accepted.lastTransitionTime = "
                  "2020-02-29T23:59:59Z\n"
                  "Gateway/default/edge conditions.Programmed = False/Pending\n"
                  "Gateway/default/edge conditions.Programmed.lastTransitionTime = "
                  "2026-01-01T00:00:00Z\n"
                  "Gateway/default/edge listeners.http.conditions.Accepted.lastTransitionTime = "
                  "2020-01-01T00:00:00Z\n"
                  "HTTPRoute/default/r parents.0.conditions.Accepted.lastTransitionTime = "
                  "2020-01-02T00:00:00Z\n"
                  "HTTPRoute/default/r parents.0.conditions.ResolvedRefs.lastTransitionTime = "
                  "2026-01-01T00:00:00Z\n");
    world_fini(&world);
}

static void observed_generation_follows_the_spec(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml", YAML_EDGE);
    world_put(&world, "f.yaml", YAML_GATEWAY("edge", "  - {name: http, port: 81, protocol: "
                                                     "HTTP}\n"));
    expect_status(world.graph, __func__,
                  "Gateway/default/edge conditions.Accepted.observedGeneration = 2\n"
                  "Gateway/default/edge conditions.Programmed.observedGeneration = 2\n"
                  "Gateway/default/edge listeners.http.conditions.Accepted.observedGeneration = "
                  "2\n");
    world_fini(&world);
}

static void timestamps_are_strict(void **state)
{
    static const char *const bad[] = { "", "2026-01-01", "2026-01-01T00:00:00",
                                       "2026-13-01T00:00:00Z",
                                       "2026-01-01T24:00:00Z", "2026-01-01 00:00:00Z",
                                       "2026-01-01T00:00:00.0Z", "x026-01-01T00:00:00Z" };
    int64_t us;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(timestamp_parse(text_from_string(bad[i]), &us));
    }
    assert_true(timestamp_parse(TEXT("1970-01-02T00:00:01Z"), &us));
    assert_int_equal(us, 86401000000);
    char out[TIMESTAMP_SIZE + 1];
    timestamp_format(us, out);
    assert_string_equal(out, "1970-01-02T00:00:01Z");
}

/* ---- forms ----------------------------------------------------------------------------------- */

struct tree {
    struct document_handler handler;
    struct arena arena;
    struct node root;
    size_t count;
};

static void take_tree(struct document_handler *handler, struct arena *arena, struct node root)
{
    struct tree *tree = (struct tree *)handler;
    if (tree->count++ == 0) {
        tree->arena = *arena;
        tree->root = root;
    } else {
        arena_fini(arena);
    }
}

static void fail_tree(struct document_handler *handler, uint32_t line, const char *text)
{
    fail_msg("line %u: %s", line, text);
}

static void write_again(const struct node *node, struct buffer *out)
{
    struct json_writer writer;
    json_writer_init_buffer(&writer, out);
    node_write_json(node, &writer);
    json_writer_finish(&writer);
}

/* What YAML says is what JSON says. */
static void yaml_reads_back_as_the_same_tree(void **state)
{
    static const char *const rows[] = {
        "{\"a\":\"b\",\"c\":[],\"d\":{},\"e\":[{\"f\":1,\"g\":[\"h\",[\"i\"]]},\"yes\",\"1\"]}",
        "{\"odd\":\"a: b # c\",\"line\":\"two\\nlines\",\"x\":\"true\",\"e\":\"\"}",
        "{\"null\":null,\"true\":true,\"0777\":\"0777\",\"n\":\"~\",\"f\":1.5}",
        "{\"l\":[[1,2],[],{},{\"a\":{\"b\":[{\"c\":\"-\"}]}}]}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tree json = { .handler = { take_tree, fail_tree } };
        struct tree yaml = { .handler = { take_tree, fail_tree } };
        struct emitter emitter;
        struct buffer text, out;
        buffer_init(&text);
        buffer_init(&out);
        assert_true(json_read(text_from_string(rows[i]), &json.handler));
        emitter_init_yaml(&emitter, &text);
        emit_document(&emitter);
        emit_node(&emitter, (struct text){ 0 }, &json.root);
        emitter_finish(&emitter);
        assert_true(yaml_read(buffer_text(&text), &yaml.handler));
        write_again(&yaml.root, &out);
        if (!text_equal(buffer_text(&out), text_from_string(rows[i]))) {
            fail_msg("%s became\n%.*s", rows[i], TEXT_ARG(buffer_text(&text)));
        }
        arena_fini(&json.arena);
        arena_fini(&yaml.arena);
        buffer_fini(&text);
        buffer_fini(&out);
    }
}

static void yaml_and_json_hold_all_items(void **state)
{
    struct world world;
    struct buffer out;
    buffer_init(&out);
    world_init(&world);
    world_put(&world, "f.yaml",
              YAML_EDGE YAML_SET("name: s", "name: edge", "  - {name: s, port: 81, protocol: "
                                                          "HTTP}\n")
              YAML_ROUTE("name: r", "name: edge", "  rules: [{name: x}]\n"));
    struct tree yaml = { .handler = { take_tree, fail_tree } };
    status_write_yaml(world.graph, &out);
    assert_true(yaml_read(buffer_text(&out), &yaml.handler));
    assert_int_equal(yaml.count, 4);
    assert_true(text_equal(node_find_text(&yaml.root, TEXT("kind")), TEXT("GatewayClass")));
    arena_fini(&yaml.arena);
    buffer_clear(&out);
    struct tree json = { .handler = { take_tree, fail_tree } };
    status_write_json(world.graph, &out);
    assert_true(json_read(buffer_text(&out), &json.handler));
    const struct node *items = node_find(&json.root, TEXT("items"));
    assert_non_null(items);
    assert_int_equal(items->list.count, 4);
    static const char *const kinds[] = { "GatewayClass", "Gateway", "ListenerSet", "HTTPRoute" };
    for (size_t i = 0; i < 4; i++) {
        assert_true(text_equal(node_find_text(&items->list.items[i], TEXT("kind")),
                               text_from_string(kinds[i])));
        assert_non_null(node_find(&items->list.items[i], TEXT("status")));
    }
    arena_fini(&json.arena);
    buffer_fini(&out);
    world_fini(&world);
}

static void the_table_says_what_is_not_well(void **state)
{
    static const char *const lines[] = {
        "GatewayClass weft                             Accepted",
        "Gateway default/edge                          Programmed",
        "  http                                        Programmed                 "
        "HTTP port 80, *, 2 routes",
        "HTTPRoute default/good\n  Gateway default/edge                        Accepted",
        "HTTPRoute default/bad\n  Gateway default/edge/none                   NoMatchingParent    "
        "       "
        "no listener has",
        "HTTPRoute default/gone\n  Gateway default/edge                        BackendNotFound",
    };
    struct world world;
    struct buffer out;
    buffer_init(&out);
    world_init(&world);
    world_put(&world, "f.yaml",
              YAML_GATEWAY("edge", "  - {name: http, port: 80, protocol: HTTP}\n")
              YAML_ROUTE("name: good", "name: edge", "  rules: [{name: x}]\n")
              YAML_ROUTE("name: bad", "name: edge, sectionName: none", "  rules: [{name: x}]\n"));
    world_put(&world, "g.yaml",
              YAML_ROUTE("name: gone", "name: edge", YAML_BACKEND("80")));
    world_bind(&world);
    status_write_table(world.graph, &out);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct text line = text_from_string(lines[i]);
        if (text_find(buffer_text(&out), line) == out.size) {
            fail_msg("no \"%.*s\" in:\n%.*s", TEXT_ARG(line), TEXT_ARG(buffer_text(&out)));
        }
    }
    buffer_fini(&out);
    world_fini(&world);
}

static void features_are_in_order_and_unique(void **state)
{
    for (size_t i = 1; status_features[i]; i++) {
        assert_true(strcmp(status_features[i - 1], status_features[i]) < 0);
    }
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml", YAML_EDGE);
    expect_status(world.graph, __func__, "GatewayClass//weft supportedFeatures.0 = Gateway\n");
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_of_others_are_kept),
        cmocka_unit_test(an_entry_of_ours_goes_with_its_parent),
        cmocka_unit_test(transition_times_stay_while_the_status_does),
        cmocka_unit_test(transition_times_are_read_with_the_object),
        cmocka_unit_test(observed_generation_follows_the_spec),
        cmocka_unit_test(timestamps_are_strict),
        cmocka_unit_test(yaml_reads_back_as_the_same_tree),
        cmocka_unit_test(yaml_and_json_hold_all_items),
        cmocka_unit_test(the_table_says_what_is_not_well),
        cmocka_unit_test(features_are_in_order_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
