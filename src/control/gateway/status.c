/* Status subtrees as Gateway API has them. What others wrote - conditions of types that are not
 * ours, parents of other controllers, fields we do not know - is written again as it was read. */
#include "control/gateway/status.h"

#include "control/gateway/builder.h"
#include "control/gateway/emitter.h"

const char *const status_features[] = {
    "Gateway",
    "GatewayAddressEmpty",
    "GatewayHTTPListenerIsolation",
    "GatewayPort8080",
    "GatewayRouteHostnameIntersectionPrecedence",
    "GatewayStaticAddresses",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteBackendURLRewrite",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteRetryCodes",
    "HTTPRouteRetryConnectionError",
    "HTTPRouteSchemeRedirect",
    "ListenerSet",
    "ReferenceGrant",
    NULL,
};

/* Condition types Weft answers for: what was read of them gives way, also where it is not
 * written. */
static const char *const class_types[] = { "Accepted", "SupportedVersion", NULL };
static const char *const owner_types[] = { "Accepted", "Programmed", NULL };
static const char *const listener_types[] = { "Accepted", "Programmed", "ResolvedRefs",
                                              "Conflicted", NULL };

/* ---- conditions ------------------------------------------------------------------------------ */

static void write_condition(struct emitter *emitter, const struct condition *condition,
                            uint64_t generation)
{
    static const char *const words[] = { "False", "True", "Unknown" };
    if (!condition->type) {
        return;
    }
    char time[TIMESTAMP_SIZE + 1];
    timestamp_format(condition->transition_us, time);
    emit_map_open(emitter, NULL);
    emit_text(emitter, "type", text_from_string(condition->type));
    emit_text(emitter, "status", text_from_string(words[condition->status]));
    emit_u64(emitter, "observedGeneration", generation);
    emit_text(emitter, "lastTransitionTime", text_of(time, TIMESTAMP_SIZE));
    emit_text(emitter, "reason", text_from_string(condition->reason));
    emit_text(emitter, "message", condition->message);
    emit_map_close(emitter);
}

static bool is_among(const char *const *words, struct text word)
{
    for (; *words; words++) {
        if (text_equal(text_from_string(*words), word)) {
            return true;
        }
    }
    return false;
}

static void write_foreign_conditions(struct emitter *emitter, const struct node *list,
                                     const char *const *ours)
{
    for (size_t i = 0; list && list->kind == NODE_LIST && i < list->list.count; i++) {
        if (!is_among(ours, node_find_text(&list->list.items[i], TEXT("type")))) {
            emit_node(emitter, (struct text){ 0 }, &list->list.items[i]);
        }
    }
}

static void write_conditions(struct emitter *emitter, const struct object *object,
                             const struct condition *const *conditions, size_t count,
                             const struct node *read, const char *const *ours)
{
    emit_list_open(emitter, "conditions");
    for (size_t i = 0; i < count; i++) {
        write_condition(emitter, conditions[i], object->generation);
    }
    write_foreign_conditions(emitter, node_find(read, TEXT("conditions")), ours);
    emit_list_close(emitter);
}

/* Fields of status that are none of ours. */
static void write_foreign_fields(struct emitter *emitter, const struct node *status,
                                 const char *const *ours)
{
    for (size_t i = 0; status && status->kind == NODE_MAP && i < status->map.count; i++) {
        const struct node_entry *entry = &status->map.entries[i];
        if (!is_among(ours, entry->key.text)) {
            emit_node(emitter, entry->key.text, &entry->value);
        }
    }
}

/* ---- GatewayClass ---------------------------------------------------------------------------- */

static void write_class(struct emitter *emitter, const struct graph_class *class)
{
    static const char *const fields[] = { "conditions", "supportedFeatures", NULL };
    const struct condition *conditions[] = { &class->accepted, &class->supported_version };
    emit_map_open(emitter, "status");
    write_conditions(emitter, class->object, conditions, 2, class->object->status, class_types);
    emit_list_open(emitter, "supportedFeatures");
    for (size_t i = 0; status_features[i]; i++) {
        emit_map_open(emitter, NULL);
        emit_text(emitter, "name", text_from_string(status_features[i]));
        emit_map_close(emitter);
    }
    emit_list_close(emitter);
    write_foreign_fields(emitter, class->object->status, fields);
    emit_map_close(emitter);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static const struct node *find_listener_node(const struct node *status, struct text name)
{
    const struct node *list = node_find(status, TEXT("listeners"));
    for (size_t i = 0; list && list->kind == NODE_LIST && i < list->list.count; i++) {
        if (text_equal(node_find_text(&list->list.items[i], TEXT("name")), name)) {
            return &list->list.items[i];
        }
    }
    return NULL;
}

static void write_listener(struct emitter *emitter, const struct graph_listener *listener)
{
    const struct node *read = find_listener_node(listener->object->status, listener->spec->name);
    emit_map_open(emitter, NULL);
    emit_text(emitter, "name", listener->spec->name);
    emit_list_open(emitter, "supportedKinds");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (listener->kinds & (1u << kind)) {
            emit_map_open(emitter, NULL);
            emit_text(emitter, "group", object_kind_group((enum object_kind)kind));
            emit_text(emitter, "kind", object_kind_name((enum object_kind)kind));
            emit_map_close(emitter);
        }
    }
    emit_list_close(emitter);
    emit_u64(emitter, "attachedRoutes", listener->attached_routes);
    const struct condition *conditions[LISTENER_CONDITIONS];
    for (size_t i = 0; i < LISTENER_CONDITIONS; i++) {
        conditions[i] = &listener->conditions[i];
    }
    write_conditions(emitter, listener->object, conditions, LISTENER_CONDITIONS, read,
                     listener_types);
    emit_map_close(emitter);
}

static void write_listeners(struct emitter *emitter, const struct graph_listener_list *listeners)
{
    emit_list_open(emitter, "listeners");
    for (size_t i = 0; i < listeners->count; i++) {
        write_listener(emitter, &listeners->items[i]);
    }
    emit_list_close(emitter);
}

/* ---- Gateway and ListenerSet ----------------------------------------------------------------- */

/* An address stays out while no proxy can bind it. */
static bool is_usable(const struct graph_gateway *gateway, const struct graph_address *address)
{
    bool known = false;
    for (size_t i = 0; i < gateway->listeners.count; i++) {
        const struct graph_listener *listener = &gateway->listeners.items[i];
        for (size_t k = 0; k < listener->socket_count; k++) {
            const struct graph_socket *socket = listener->sockets[k];
            if (address_same_ip(&socket->address, &address->address)) {
                if (socket->state != LISTENER_ADDRESS_UNUSABLE) {
                    return true;
                }
                known = true;
            }
        }
    }
    return !known;
}

static void write_gateway(struct emitter *emitter, const struct graph_gateway *gateway)
{
    static const char *const fields[] = { "conditions", "addresses", "listeners",
                                          "attachedListenerSets", NULL };
    const struct condition *conditions[] = { &gateway->accepted, &gateway->programmed };
    emit_map_open(emitter, "status");
    emit_list_open(emitter, "addresses");
    for (size_t i = 0; gateway->serves && i < gateway->address_count; i++) {
        if (is_usable(gateway, &gateway->addresses[i])) {
            emit_map_open(emitter, NULL);
            emit_text(emitter, "type", gateway->addresses[i].type);
            emit_text(emitter, "value", gateway->addresses[i].value);
            emit_map_close(emitter);
        }
    }
    emit_list_close(emitter);
    emit_u64(emitter, "attachedListenerSets", gateway->attached_listener_sets);
    write_conditions(emitter, gateway->object, conditions, 2, gateway->object->status,
                     owner_types);
    write_listeners(emitter, &gateway->listeners);
    write_foreign_fields(emitter, gateway->object->status, fields);
    emit_map_close(emitter);
}

static void write_set(struct emitter *emitter, const struct graph_listener_set *set)
{
    static const char *const fields[] = { "conditions", "listeners", NULL };
    const struct condition *conditions[] = { &set->accepted, &set->programmed };
    emit_map_open(emitter, "status");
    write_conditions(emitter, set->object, conditions, 2, set->object->status, owner_types);
    write_listeners(emitter, &set->listeners);
    write_foreign_fields(emitter, set->object->status, fields);
    emit_map_close(emitter);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void write_parent_ref(struct emitter *emitter, const struct parent_ref *ref)
{
    emit_map_open(emitter, "parentRef");
    emit_text(emitter, "group", ref->group);
    emit_text(emitter, "kind", ref->kind);
    if (ref->name_space.size) {
        emit_text(emitter, "namespace", ref->name_space);
    }
    emit_text(emitter, "name", ref->name);
    if (ref->section_name.size) {
        emit_text(emitter, "sectionName", ref->section_name);
    }
    if (ref->has_port) {
        emit_u64(emitter, "port", ref->port);
    }
    emit_map_close(emitter);
}

static bool same_text(const struct node *map, struct text key, struct text value,
                      struct text absent)
{
    struct text read = node_find_text(map, key);
    return text_equal(read.at ? read : absent, value);
}

/* The entry that was read for this parentRef, for its conditions of types that are not ours. */
static const struct node *find_parent_node(const struct graph *graph,
                                           const struct graph_route *route,
                                           const struct parent_ref *ref)
{
    const struct node *list = node_find(route->object->status, TEXT("parents"));
    for (size_t i = 0; list && list->kind == NODE_LIST && i < list->list.count; i++) {
        const struct node *item = &list->list.items[i];
        const struct node *read = node_find(item, TEXT("parentRef"));
        if (same_text(item, TEXT("controllerName"), graph->options.controller_name, TEXT("")) &&
            same_text(read, TEXT("name"), ref->name, TEXT("")) &&
            same_text(read, TEXT("kind"), ref->kind, TEXT("Gateway")) &&
            same_text(read, TEXT("namespace"), ref->name_space, TEXT("")) &&
            same_text(read, TEXT("sectionName"), ref->section_name, TEXT(""))) {
            return item;
        }
    }
    return NULL;
}

static void write_parent(struct emitter *emitter, const struct graph *graph,
                         const struct graph_route *route, const struct graph_parent *parent)
{
    static const char *const ours[] = { "Accepted", "ResolvedRefs", "PartiallyInvalid", NULL };
    const struct condition *conditions[ROUTE_CONDITIONS];
    for (size_t i = 0; i < ROUTE_CONDITIONS; i++) {
        conditions[i] = &parent->conditions[i];
    }
    emit_map_open(emitter, NULL);
    write_parent_ref(emitter, parent->ref);
    emit_text(emitter, "controllerName", graph->options.controller_name);
    write_conditions(emitter, route->object, conditions, ROUTE_CONDITIONS,
                     find_parent_node(graph, route, parent->ref), ours);
    emit_map_close(emitter);
}

static void write_route(struct emitter *emitter, const struct graph *graph,
                        const struct graph_route *route)
{
    static const char *const fields[] = { "parents", NULL };
    const struct node *list = node_find(route->object->status, TEXT("parents"));
    emit_map_open(emitter, "status");
    emit_list_open(emitter, "parents");
    for (size_t i = 0; i < route->parent_count; i++) {
        write_parent(emitter, graph, route, &route->parents[i]);
    }
    for (size_t i = 0; list && list->kind == NODE_LIST && i < list->list.count; i++) {
        const struct node *item = &list->list.items[i];
        if (!same_text(item, TEXT("controllerName"), graph->options.controller_name, TEXT(""))) {
            emit_node(emitter, (struct text){ 0 }, item);
        }
    }
    emit_list_close(emitter);
    write_foreign_fields(emitter, route->object->status, fields);
    emit_map_close(emitter);
}

/* ---- items ----------------------------------------------------------------------------------- */

static void item_open(struct emitter *emitter, const struct object *object)
{
    emit_document(emitter);
    emit_map_open(emitter, NULL);
    emit_text(emitter, "apiVersion",
              object->api_version.size ? object->api_version : TEXT(GATEWAY_GROUP "/v1"));
    emit_text(emitter, "kind", object->kind_text);
    emit_map_open(emitter, "metadata");
    if (object->name_space.size) {
        emit_text(emitter, "namespace", object->name_space);
    }
    emit_text(emitter, "name", object->name);
    emit_u64(emitter, "generation", object->generation);
    emit_map_close(emitter);
}

static void write_items(struct emitter *emitter, const struct graph *graph)
{
    for (size_t i = 0; i < graph->class_count; i++) {
        item_open(emitter, graph->classes[i].object);
        write_class(emitter, &graph->classes[i]);
        emit_map_close(emitter);
    }
    for (size_t i = 0; i < graph->gateway_count; i++) {
        item_open(emitter, graph->gateways[i].object);
        write_gateway(emitter, &graph->gateways[i]);
        emit_map_close(emitter);
    }
    for (size_t i = 0; i < graph->listener_set_count; i++) {
        item_open(emitter, graph->listener_sets[i].object);
        write_set(emitter, &graph->listener_sets[i]);
        emit_map_close(emitter);
    }
    for (size_t i = 0; i < graph->route_count; i++) {
        item_open(emitter, graph->routes[i].object);
        write_route(emitter, graph, &graph->routes[i]);
        emit_map_close(emitter);
    }
}

void status_write_json(const struct graph *graph, struct buffer *out)
{
    struct emitter emitter;
    emitter_init_json(&emitter, out);
    emit_map_open(&emitter, NULL);
    emit_list_open(&emitter, "items");
    write_items(&emitter, graph);
    emit_list_close(&emitter);
    emit_map_close(&emitter);
    emitter_finish(&emitter);
}

void status_write_yaml(const struct graph *graph, struct buffer *out)
{
    struct emitter emitter;
    emitter_init_yaml(&emitter, out);
    write_items(&emitter, graph);
    emitter_finish(&emitter);
}

bool status_write_object(const struct graph *graph, struct text key, struct buffer *out)
{
    const struct graph_class *class = map_find(&graph->classes_by_key, key);
    const struct graph_gateway *gateway = map_find(&graph->gateways_by_key, key);
    const struct graph_listener_set *set = map_find(&graph->listener_sets_by_key, key);
    const struct graph_route *route = map_find(&graph->routes_by_key, key);
    struct emitter emitter;
    emitter_init_json(&emitter, out);
    emit_map_open(&emitter, NULL);
    if (class) {
        write_class(&emitter, class);
    } else if (gateway) {
        write_gateway(&emitter, gateway);
    } else if (set) {
        write_set(&emitter, set);
    } else if (route) {
        write_route(&emitter, graph, route);
    }
    emit_map_close(&emitter);
    emitter_finish(&emitter);
    return class || gateway || set || route;
}
