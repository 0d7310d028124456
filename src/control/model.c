/* Kinds, object lifetime, label selectors. */
#include "control/model.h"

#include "base/ensure.h"
#include "control/node.h"

#include <stdlib.h>

static const struct {
    struct text name;
    struct text group;
    bool is_cluster;
} kinds[KIND_COUNT] = {
    [KIND_GATEWAY_CLASS] = { { "GatewayClass", 12 }, { GATEWAY_GROUP, 25 }, true },
    [KIND_GATEWAY] = { { "Gateway", 7 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_LISTENER_SET] = { { "ListenerSet", 11 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_HTTP_ROUTE] = { { "HTTPRoute", 9 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_GRPC_ROUTE] = { { "GRPCRoute", 9 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_TLS_ROUTE] = { { "TLSRoute", 8 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_TCP_ROUTE] = { { "TCPRoute", 8 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_UDP_ROUTE] = { { "UDPRoute", 8 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_REFERENCE_GRANT] = { { "ReferenceGrant", 14 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_BACKEND_TLS_POLICY] = { { "BackendTLSPolicy", 16 }, { GATEWAY_GROUP, 25 }, false },
    [KIND_NAMESPACE] = { { "Namespace", 9 }, { "", 0 }, true },
    [KIND_SERVICE] = { { "Service", 7 }, { "", 0 }, false },
    [KIND_ENDPOINT_SLICE] = { { "EndpointSlice", 13 }, { "discovery.k8s.io", 16 }, false },
    [KIND_CONFIG_MAP] = { { "ConfigMap", 9 }, { "", 0 }, false },
    [KIND_SECRET] = { { "Secret", 6 }, { "", 0 }, false },
    [KIND_X_BACKEND] = { { "XBackend", 8 }, { GATEWAY_X_GROUP, 27 }, false },
};

struct text object_kind_name(enum object_kind kind)
{
    ensure(kind < KIND_COUNT);
    return kinds[kind].name;
}

struct text object_kind_group(enum object_kind kind)
{
    ensure(kind < KIND_COUNT);
    return kinds[kind].group;
}

bool object_kind_is_namespaced(enum object_kind kind)
{
    ensure(kind < KIND_COUNT);
    return !kinds[kind].is_cluster;
}

bool object_kind_find(struct text group, struct text kind, enum object_kind *out_kind)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (text_equal(kinds[i].name, kind) && text_equal(kinds[i].group, group)) {
            *out_kind = (enum object_kind)i;
            return true;
        }
    }
    return false;
}

struct object *object_ref(struct object *object)
{
    ensure(object->references > 0);
    object->references++;
    return object;
}

static void wipe(const struct key_value_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].value.size > 0) {
            explicit_bzero((char *)(uintptr_t)list->items[i].value.at, list->items[i].value.size);
        }
    }
}

/* The document still holds what was decoded from it. */
static void wipe_node(const struct node *node)
{
    if (node->kind == NODE_MAP) {
        for (size_t i = 0; i < node->map.count; i++) {
            wipe_node(&node->map.entries[i].value);
        }
    } else if (node->kind == NODE_STRING && node->text.size > 0) {
        explicit_bzero((char *)(uintptr_t)node->text.at, node->text.size);
    }
}

void object_unref(struct object *object)
{
    if (object == NULL) {
        return;
    }
    ensure(object->references > 0);
    if (--object->references > 0) {
        return;
    }
    if (object->kind == KIND_SECRET && object->secret != NULL) {
        wipe(&object->secret->data);
        const struct node *data = node_find(object->root, TEXT("data"));
        const struct node *text = node_find(object->root, TEXT("stringData"));
        if (data != NULL) {
            wipe_node(data);
        }
        if (text != NULL) {
            wipe_node(text);
        }
    }
    arena_fini(&object->arena);
    free(object);
}

uint32_t object_line(const struct object *object, const char *path)
{
    if (object->root == NULL) {
        return 0;
    }
    bool whole;
    return (uint32_t)((int64_t)node_at(object->root, path, &whole)->line + object->line_shift);
}

struct text key_value_find(const struct key_value_list *list, struct text key)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_equal(list->items[i].key, key)) {
            return list->items[i].value;
        }
    }
    return text_of(NULL, 0);
}

static bool requirement_holds(const struct label_requirement *requirement,
                              const struct key_value_list *labels)
{
    struct text value = key_value_find(labels, requirement->key);
    bool listed = false;
    for (size_t i = 0; i < requirement->values.count && value.at != NULL; i++) {
        listed = listed || text_equal(requirement->values.items[i], value);
    }
    switch (requirement->operator_) {
    case LABEL_IN:
        return listed;
    case LABEL_NOT_IN:
        return !listed;
    case LABEL_EXISTS:
        return value.at != NULL;
    case LABEL_DOES_NOT_EXIST:
        return value.at == NULL;
    }
    return false;
}

bool label_selector_matches(const struct label_selector *selector,
                            const struct key_value_list *labels)
{
    if (selector == NULL) {
        return false;
    }
    for (size_t i = 0; i < selector->match_labels.count; i++) {
        struct text value = key_value_find(labels, selector->match_labels.items[i].key);
        if (value.at == NULL || !text_equal(value, selector->match_labels.items[i].value)) {
            return false;
        }
    }
    for (size_t i = 0; i < selector->match_expressions.count; i++) {
        if (!requirement_holds(&selector->match_expressions.items[i], labels)) {
            return false;
        }
    }
    return true;
}
