/* From a key of an xDS resource back to the file and line it comes from (decisions 12). Computed
 * when asked: explain and reports ask for a few of many thousand keys. */
#include "control/gateway/builder.h"

#include <stdio.h>

static struct place place_at(const struct object *object, const char *path)
{
    struct place place = object->place;
    uint32_t line = object_line(object, path);
    place.line = line ? line : place.line;
    return place;
}

static bool find_listener(const struct graph *graph, struct text key, struct place *out_place)
{
    const struct graph_listener *listener = map_find(&graph->listeners_by_key, key);
    if (!listener) {
        return false;
    }
    char path[64];
    snprintf(path, sizeof(path), "spec.listeners[%zu]", listener->index);
    *out_place = place_at(listener->object, path);
    return true;
}

/* The rule of this name, else of this index. */
static size_t find_rule(const struct graph_route *route, struct text word)
{
    for (size_t i = 0; i < route->rule_count; i++) {
        if (word.size && text_equal(route->rules[i].spec->name, word)) {
            return i;
        }
    }
    uint64_t index;
    return text_parse_u64(word, route->rule_count, &index) ? (size_t)index : route->rule_count;
}

/* NAMESPACE/NAME[/RULE[/MATCH]] */
static bool find_route(const struct graph *graph, struct text rest, struct place *out_place)
{
    struct text name_space, name, rule, match;
    if (!text_split(&rest, '/', &name_space) || !text_split(&rest, '/', &name)) {
        return false;
    }
    char bytes[BUILDER_KEY_MAX];
    const struct graph_route *route = map_find(
        &graph->routes_by_key, builder_key(bytes, TEXT("HTTPRoute"), name_space, name));
    if (!route) {
        return false;
    }
    *out_place = route->object->place;
    size_t index = text_split(&rest, '/', &rule) ? find_rule(route, rule) : route->rule_count;
    if (index >= route->rule_count) {
        return true;
    }
    char path[96];
    uint64_t which;
    snprintf(path, sizeof(path), "spec.rules[%zu]", index);
    *out_place = place_at(route->object, path);
    if (text_split(&rest, '/', &match) && text_parse_u64(match, UINT32_MAX, &which)) {
        snprintf(path, sizeof(path), "spec.rules[%zu].matches[%llu]", index,
                 (unsigned long long)which);
        *out_place = place_at(route->object, path);
    }
    return true;
}

static bool find_cluster(const struct graph *graph, struct text key, struct place *out_place)
{
    const struct graph_cluster *cluster = map_find(&graph->clusters_by_name, key);
    if (!cluster) {
        return false;
    }
    *out_place = cluster->object->place;
    if (cluster->service_port) {
        const struct service_port *first = cluster->object->service->ports.items;
        char path[64];
        snprintf(path, sizeof(path), "spec.ports[%td]", cluster->service_port - first);
        *out_place = place_at(cluster->object, path);
    }
    return true;
}

static bool find_socket(const struct graph *graph, struct text key, struct place *out_place)
{
    const struct graph_socket *socket = map_find(&graph->sockets_by_name, key);
    return socket && find_listener(graph, socket->listeners[0]->key, out_place);
}

/* OWNER/DOMAIN (or OWNER/policy_invalid), the owner being KIND/NAMESPACE/NAME/SECTION. */
static bool find_virtual_host(const struct graph *graph, struct text rest, struct place *out_place)
{
    size_t end = rest.size;
    while (end > 0 && rest.at[end - 1] != '/') {
        end--;
    }
    return end > 0 && find_listener(graph, text_first(rest, end - 1), out_place);
}

bool graph_find_origin(const struct graph *graph, struct text key, struct place *out_place)
{
    struct text rest = key;
    struct text kind;
    if (!text_split(&rest, '/', &kind)) {
        return false;
    }
    if (text_equal(kind, TEXT("httproute"))) {
        return find_route(graph, rest, out_place);
    }
    if (text_equal(kind, TEXT("service")) || text_equal(kind, TEXT("xbackend"))) {
        return find_cluster(graph, key, out_place);
    }
    if (text_equal(kind, TEXT("gateway")) || text_equal(kind, TEXT("listenerset"))) {
        return find_listener(graph, key, out_place) || find_virtual_host(graph, key, out_place);
    }
    if (text_equal(kind, TEXT("listener"))) {
        return find_socket(graph, key, out_place);
    }
    if (text_equal(kind, TEXT("vhost"))) {
        return find_virtual_host(graph, rest, out_place);
    }
    if (text_equal(kind, TEXT("routes"))) {
        char bytes[ADDRESS_TEXT_MAX + 16];
        int size = snprintf(bytes, sizeof(bytes), "listener/%.*s", TEXT_ARG(rest));
        return size < (int)sizeof(bytes) &&
               find_socket(graph, text_of(bytes, (size_t)size), out_place);
    }
    return false;
}
