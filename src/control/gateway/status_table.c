/* Status for people: one line an object, its listeners or parents below it, the reason where
 * something is not well. */
#include "control/gateway/status.h"

#include <stdio.h>

#define NAME_WIDTH 44

static void write_line(struct buffer *out, const char *indent, struct text name, const char *state,
                       struct text detail)
{
    int width = NAME_WIDTH - (int)strlen(indent);
    buffer_format(out, "%s%-*.*s  %-26s %.*s\n", indent, width, (int)name.size, name.at, state,
                  TEXT_ARG(detail));
}

/* The first condition that is not as it should be, else "Programmed" or "Accepted". */
static void write_state(struct buffer *out, const char *indent, struct text name,
                        const struct condition *const *conditions, size_t count,
                        const char *good, struct text detail)
{
    for (size_t i = 0; i < count; i++) {
        const struct condition *condition = conditions[i];
        bool bad_when_true = condition->type && (strcmp(condition->type, "Conflicted") == 0 ||
                                                 strcmp(condition->type, "PartiallyInvalid") == 0);
        bool bad = condition->type && (condition->status == CONDITION_TRUE) == bad_when_true;
        if (bad) {
            write_line(out, indent, name, condition->reason, condition->message);
            return;
        }
    }
    write_line(out, indent, name, good, detail);
}

static struct text join(char *into, size_t room, const char *kind, struct text name_space,
                        struct text name)
{
    int size = snprintf(into, room, "%s %.*s%s%.*s", kind, TEXT_ARG(name_space),
                        name_space.size ? "/" : "", TEXT_ARG(name));
    return text_of(into, size < (int)room ? (size_t)size : room - 1);
}

static void write_listener(struct buffer *out, const struct graph_listener *listener)
{
    const struct condition *conditions[] = { &listener->conditions[LISTENER_ACCEPTED],
                                             &listener->conditions[LISTENER_RESOLVED_REFS],
                                             &listener->conditions[LISTENER_PROGRAMMED] };
    char detail[512];
    int size = snprintf(detail, sizeof(detail), "%.*s port %u, %.*s, %u routes",
                        TEXT_ARG(listener->spec->protocol), listener->spec->port,
                        TEXT_ARG(listener->hostname), listener->attached_routes);
    write_state(out, "  ", listener->spec->name, conditions, 3, "Programmed",
                text_of(detail, size < (int)sizeof(detail) ? (size_t)size : sizeof(detail) - 1));
}

static void write_owner(struct buffer *out, const char *kind, const struct object *object,
                        const struct condition *accepted, const struct condition *programmed,
                        const struct graph_listener_list *listeners)
{
    const struct condition *conditions[] = { accepted, programmed };
    char name[600];
    write_state(out, "", join(name, sizeof(name), kind, object->name_space, object->name),
                conditions, 2, "Programmed", TEXT(""));
    for (size_t i = 0; i < listeners->count; i++) {
        write_listener(out, &listeners->items[i]);
    }
}

static void write_parent(struct buffer *out, const struct graph_route *route,
                         const struct graph_parent *parent)
{
    const struct condition *conditions[] = { &parent->conditions[ROUTE_ACCEPTED],
                                             &parent->conditions[ROUTE_RESOLVED_REFS],
                                             &parent->conditions[ROUTE_PARTIALLY_INVALID] };
    struct text name_space = parent->ref->name_space.size ? parent->ref->name_space
                                                          : route->object->name_space;
    char name[900];
    int size = snprintf(name, sizeof(name), "%.*s %.*s/%.*s%s%.*s", TEXT_ARG(parent->ref->kind),
                        TEXT_ARG(name_space), TEXT_ARG(parent->ref->name),
                        parent->ref->section_name.size ? "/" : "",
                        TEXT_ARG(parent->ref->section_name));
    size_t used = size < (int)sizeof(name) ? (size_t)size : sizeof(name) - 1;
    write_state(out, "  ", text_of(name, used), conditions, 3, "Accepted", TEXT(""));
}

static void write_route(struct buffer *out, const struct graph_route *route)
{
    char kind[32];
    char name[600];
    snprintf(kind, sizeof(kind), "%.*s", TEXT_ARG(route->object->kind_text));
    struct text full = join(name, sizeof(name), kind, route->object->name_space,
                            route->object->name);
    if (route->parent_count == 0) {
        return;
    }
    buffer_format(out, "%.*s\n", TEXT_ARG(full));
    for (size_t i = 0; i < route->parent_count; i++) {
        write_parent(out, route, &route->parents[i]);
    }
}

void status_write_table(const struct graph *graph, struct buffer *out)
{
    for (size_t i = 0; i < graph->class_count; i++) {
        const struct condition *conditions[] = { &graph->classes[i].accepted,
                                                 &graph->classes[i].supported_version };
        char name[600];
        write_state(out, "",
                    join(name, sizeof(name), "GatewayClass", TEXT(""),
                         graph->classes[i].object->name),
                    conditions, 2, "Accepted", TEXT(""));
    }
    for (size_t i = 0; i < graph->gateway_count; i++) {
        const struct graph_gateway *gateway = &graph->gateways[i];
        write_owner(out, "Gateway", gateway->object, &gateway->accepted, &gateway->programmed,
                    &gateway->listeners);
    }
    for (size_t i = 0; i < graph->listener_set_count; i++) {
        const struct graph_listener_set *set = &graph->listener_sets[i];
        write_owner(out, "ListenerSet", set->object, &set->accepted, &set->programmed,
                    &set->listeners);
    }
    for (size_t i = 0; i < graph->route_count; i++) {
        write_route(out, &graph->routes[i]);
    }
}
