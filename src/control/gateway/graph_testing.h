/* For tests of gateway/ and translate/: a YAML text becomes a store and a graph; status is asked
 * for by path, one expectation a line: Gateway/default/edge listeners.http.conditions.Accepted =
 * True/Accepted A part of a path is a key, an index, or the name or type of a list's item. A
 * condition is written Status/Reason, a list by its items' kind, value or name. */
#pragma once

#include "control/gateway/status.h"

#include "control/intake.h"
#include "control/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct world {
    struct store *store;
    struct graph_options options;
    struct finding_list findings;
    struct graph *graph;
    struct graph *before; /* the graph before, kept for transition times */
};

static inline void world_init(struct world *world)
{
    *world = (struct world){ .store = store_new(), .options = graph_options_defaults() };
    finding_list_init(&world->findings);
}

static inline void world_fini(struct world *world)
{
    graph_free(world->graph);
    graph_free(world->before);
    finding_list_fini(&world->findings);
    store_free(world->store);
}

/* Puts a file and evaluates. What the store itself finds is a mistake of the test. */
static inline void world_put(struct world *world, const char *file, const char *yaml)
{
    struct text name = text_from_string(file);
    store_put(world->store, 0,
              intake_read(name, text_from_string(yaml), FORMAT_YAML,
                          store_intake(world->store, name)));
    store_commit(world->store);
    finding_list_clear(&world->findings);
    store_findings(world->store, &world->findings);
    if (world->findings.array.count) {
        struct buffer out;
        buffer_init(&out);
        finding_list_format(&world->findings, &out);
        print_message("%.*s", TEXT_ARG(buffer_text(&out)));
        buffer_fini(&out);
    }
    assert_int_equal(world->findings.array.count, 0);
    graph_free(world->before);
    world->before = world->graph;
    world->graph = graph_build(world->store, &world->options, world->before, &world->findings);
}

/* ---- status by path -------------------------------------------------------------------------- */

struct status_document {
    struct document_handler handler;
    struct arena arena;
    struct node root;
    bool found;
};

static inline void status_take(struct document_handler *handler, struct arena *arena,
                               struct node root)
{
    struct status_document *document = (struct status_document *)handler;
    document->arena = *arena;
    document->root = root;
    document->found = true;
}

static inline void status_problem(struct document_handler *handler, uint32_t line, const char *text)
{
    (void)handler;
    fail_msg("status is no JSON, line %u: %s", line, text);
}

static inline const struct node *status_step(const struct node *node, struct text part)
{
    if (node->kind == NODE_MAP) {
        return node_find(node, part);
    }
    uint64_t index;
    if (node->kind == NODE_LIST && text_parse_u64(part, 1000, &index)) {
        return index < node->list.count ? &node->list.items[index] : NULL;
    }
    for (size_t i = 0; node->kind == NODE_LIST && i < node->list.count; i++) {
        if (text_equal(node_find_text(&node->list.items[i], TEXT("name")), part) ||
            text_equal(node_find_text(&node->list.items[i], TEXT("type")), part)) {
            return &node->list.items[i];
        }
    }
    return NULL;
}

static inline void status_print(const struct node *node, struct buffer *out)
{
    if (!node) {
        buffer_append(out, TEXT("-"));
    } else if (node->kind == NODE_LIST) {
        for (size_t i = 0; i < node->list.count; i++) {
            buffer_append(out, i ? TEXT(",") : TEXT(""));
            status_print(&node->list.items[i], out);
        }
    } else if (node->kind == NODE_MAP) {
        static const char *const names[] = { "kind", "value", "name" };
        struct text status = node_find_text(node, TEXT("status"));
        if (status.at) {
            buffer_format(out, "%.*s/%.*s", TEXT_ARG(status),
                          TEXT_ARG(node_find_text(node, TEXT("reason"))));
            return;
        }
        for (size_t i = 0; i < 3; i++) {
            struct text text = node_find_text(node, text_from_string(names[i]));
            if (text.at) {
                buffer_append(out, text);
                return;
            }
        }
        buffer_append(out, TEXT("{}"));
    } else {
        buffer_append(out, node->text);
    }
}

static inline void status_read(const struct graph *graph, struct text key, struct text path,
                               struct buffer *out)
{
    struct buffer json;
    buffer_init(&json);
    if (!status_write_object(graph, key, &json)) {
        buffer_append(out, TEXT("none"));
        buffer_fini(&json);
        return;
    }
    struct status_document document = { .handler = { status_take, status_problem } };
    assert_true(json_read(buffer_text(&json), &document.handler));
    assert_true(document.found);
    const struct node *node = &document.root;
    struct text part;
    node = node_find(node, TEXT("status"));
    while (node && text_split(&path, '.', &part)) {
        node = status_step(node, part);
    }
    status_print(node, out);
    arena_fini(&document.arena);
    buffer_fini(&json);
}

/* Compares what the lines say with the graph's status; says which lines differ. */
static inline void expect_status(const struct graph *graph, const char *name, const char *lines)
{
    struct text rest = text_from_string(lines);
    struct text line;
    size_t wrong = 0;
    while (text_split(&rest, '\n', &line)) {
        line = text_trim(line);
        if (line.size == 0) {
            continue;
        }
        size_t space = text_find_byte(line, ' ');
        size_t equals = text_find(line, TEXT(" ="));
        assert_true(space < equals && equals < line.size);
        struct text key = text_first(line, space);
        struct text path = text_trim(text_first(text_from(line, space), equals - space));
        struct text wanted = text_trim(text_from(line, equals + 2));
        struct buffer got;
        buffer_init(&got);
        status_read(graph, key, path, &got);
        if (!text_equal(buffer_text(&got), wanted)) {
            print_error("%s: %.*s: got %.*s\n", name, TEXT_ARG(line), TEXT_ARG(buffer_text(&got)));
            wrong++;
        }
        buffer_fini(&got);
    }
    assert_int_equal(wrong, 0);
}

/* All sockets bound. */
static inline void world_bind(struct world *world)
{
    for (size_t i = 0; i < world->graph->socket_count; i++) {
        assert_true(graph_set_listener_state(world->graph, world->graph->sockets[i]->name,
                                             LISTENER_BOUND, TEXT("")));
    }
}

/* Every line of `lines` must be part of a finding's text form, and there must be no other
 * finding. */
static inline void expect_findings(struct world *world, const char *name, const char *lines)
{
    struct buffer out;
    buffer_init(&out);
    finding_list_sort(&world->findings);
    finding_list_format(&world->findings, &out);
    struct text rest = text_from_string(lines);
    struct text line;
    size_t count = 0;
    while (text_split(&rest, '\n', &line)) {
        line = text_trim(line);
        if (line.size == 0) {
            continue;
        }
        count++;
        if (text_find(buffer_text(&out), line) == out.size) {
            print_error("%s: no finding \"%.*s\" in:\n%.*s", name, TEXT_ARG(line),
                        TEXT_ARG(buffer_text(&out)));
            fail();
        }
    }
    if (count != world->findings.array.count) {
        print_error("%s: %zu findings instead of %zu:\n%.*s", name, world->findings.array.count,
                    count, TEXT_ARG(buffer_text(&out)));
        fail();
    }
    buffer_fini(&out);
}

/* ---- pieces of YAML -------------------------------------------------------------------------- */

/* Gateway default/edge with one listener "http" on port 80 for routes of all namespaces. */
#define YAML_EDGE                                                                                  \
    "---\n"                                                                                        \
    "apiVersion: gateway.networking.k8s.io/v1\n"                                                   \
    "kind: Gateway\n"                                                                              \
    "metadata: {name: edge}\n"                                                                     \
    "spec:\n"                                                                                      \
    "  gatewayClassName: weft\n"                                                                   \
    "  allowedListeners: {namespaces: {from: All}}\n"                                              \
    "  listeners:\n"                                                                               \
    "  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}\n"

#define YAML_GATEWAY(name, listeners)                                                              \
    "---\n"                                                                                        \
    "apiVersion: gateway.networking.k8s.io/v1\n"                                                   \
    "kind: Gateway\n"                                                                              \
    "metadata: {name: " name "}\n"                                                                 \
    "spec:\n"                                                                                      \
    "  gatewayClassName: weft\n"                                                                   \
    "  allowedListeners: {namespaces: {from: All}}\n"                                              \
    "  listeners:\n" listeners

#define YAML_SET(metadata, parent, listeners)                                                      \
    "---\n"                                                                                        \
    "apiVersion: gateway.networking.k8s.io/v1\n"                                                   \
    "kind: ListenerSet\n"                                                                          \
    "metadata: {" metadata "}\n"                                                                   \
    "spec:\n"                                                                                      \
    "  parentRef: {" parent "}\n"                                                                  \
    "  listeners:\n" listeners

/* spec: the rest of the spec in block style, two spaces deep. */
#define YAML_ROUTE(metadata, parent, spec)                                                         \
    "---\n"                                                                                        \
    "apiVersion: gateway.networking.k8s.io/v1\n"                                                   \
    "kind: HTTPRoute\n"                                                                            \
    "metadata: {" metadata "}\n"                                                                   \
    "spec:\n"                                                                                      \
    "  parentRefs: [{" parent "}]\n" spec

#define YAML_BACKEND(port) "  rules: [{backendRefs: [{name: web, port: " port "}]}]\n"

/* Service default/web, port 80 -> 8080, with one slice of one endpoint. */
#define YAML_WEB YAML_SERVICE("web", "default", "")
#define YAML_SERVICE(name, name_space, port_extra)                                                 \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Service\n"                                                                              \
    "metadata: {name: " name ", namespace: " name_space "}\n"                                      \
    "spec: {ports: [{port: 80, targetPort: 8080" port_extra "}]}\n"                                \
    "---\n"                                                                                        \
    "apiVersion: discovery.k8s.io/v1\n"                                                            \
    "kind: EndpointSlice\n"                                                                        \
    "metadata:\n"                                                                                  \
    "  name: " name "-1\n"                                                                         \
    "  namespace: " name_space "\n"                                                                \
    "  labels: {kubernetes.io/service-name: " name "}\n"                                           \
    "addressType: IPv4\n"                                                                          \
    "ports: [{port: 8080}]\n"                                                                      \
    "endpoints: [{addresses: [10.0.0.1]}]\n"
