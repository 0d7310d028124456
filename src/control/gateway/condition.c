/* Conditions: making them, the Programmed ones that follow the sockets' states, and their
 * transition times, which stay what they were as long as the status does (metav1.Condition). */
#include "control/gateway/builder.h"

#include "base/clock.h"
#include "control/node.h"

#include <time.h>

struct condition condition_make(const char *type, enum condition_status status,
                                const char *reason, struct text message)
{
    return (struct condition){
        .type = type, .status = status, .reason = reason, .message = message
    };
}

/* ---- times ----------------------------------------------------------------------------------- */

static bool digits(struct text t, size_t from, size_t count, int64_t *out_value)
{
    uint64_t value;
    if (!text_parse_u64(text_first(text_from(t, from), count), 9999, &value)) {
        return false;
    }
    *out_value = (int64_t)value;
    return true;
}

bool timestamp_parse(struct text t, int64_t *out_us)
{
    int64_t year, month, day, hour, minute, second;
    if (t.size != TIMESTAMP_SIZE || t.at[4] != '-' || t.at[7] != '-' || t.at[10] != 'T' ||
        t.at[13] != ':' || t.at[16] != ':' || t.at[19] != 'Z' || !digits(t, 0, 4, &year) ||
        !digits(t, 5, 2, &month) || !digits(t, 8, 2, &day) || !digits(t, 11, 2, &hour) ||
        !digits(t, 14, 2, &minute) || !digits(t, 17, 2, &second)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60) {
        return false;
    }
    struct tm tm = { .tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day,
                     .tm_hour = (int)hour, .tm_min = (int)minute, .tm_sec = (int)second };
    *out_us = (int64_t)timegm(&tm) * 1000000;
    return true;
}

void timestamp_format(int64_t us, char out[TIMESTAMP_SIZE + 1])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm = { 0 };
    gmtime_r(&seconds, &tm);
    if (strftime(out, TIMESTAMP_SIZE + 1, "%Y-%m-%dT%H:%M:%SZ", &tm) != TIMESTAMP_SIZE) {
        memcpy(out, "1970-01-01T00:00:00Z", TIMESTAMP_SIZE + 1);
    }
}

static bool read_before(const struct condition *condition, const struct node *list,
                        int64_t *out_us)
{
    static const char *const words[] = { "False", "True", "Unknown" };
    for (size_t i = 0; list && list->kind == NODE_LIST && i < list->list.count; i++) {
        const struct node *item = &list->list.items[i];
        if (text_equal(node_find_text(item, TEXT("type")), text_from_string(condition->type))) {
            return text_equal(node_find_text(item, TEXT("status")),
                              text_from_string(words[condition->status])) &&
                   timestamp_parse(node_find_text(item, TEXT("lastTransitionTime")), out_us);
        }
    }
    return false;
}

void condition_settle(struct condition *condition, const struct condition *before,
                      const struct node *list, int64_t now_us)
{
    if (!condition->type) {
        return;
    }
    condition->transition_us = now_us;
    if (before && before->type) {
        if (before->status == condition->status) {
            condition->transition_us = before->transition_us;
        }
        return;
    }
    int64_t read_us;
    if (read_before(condition, list, &read_us)) {
        condition->transition_us = read_us;
    }
}

/* ---- Programmed ------------------------------------------------------------------------------ */

static void replace(struct condition *condition, struct condition with)
{
    with.transition_us = condition->type && condition->status == with.status
                             ? condition->transition_us
                             : clock_wall_us();
    *condition = with;
}

static struct condition programmed(enum condition_status status, const char *reason,
                                   struct text message)
{
    return condition_make("Programmed", status, reason, message);
}

/* Default addresses are an offer: where this machine has no IPv6, say, ::1 is passed over as long
 * as another one works. */
static bool is_passed_over(const struct graph_listener *listener,
                           const struct graph_socket *socket)
{
    if (socket->state != LISTENER_ADDRESS_UNUSABLE || !listener->gateway->addresses[0].implied) {
        return false;
    }
    for (size_t i = 0; i < listener->socket_count; i++) {
        if (listener->sockets[i]->state != LISTENER_ADDRESS_UNUSABLE) {
            return true;
        }
    }
    return false;
}

static struct condition socket_condition(const struct graph_listener *listener)
{
    struct condition condition =
        programmed(CONDITION_TRUE, "Programmed", TEXT("in force on every address"));
    for (size_t i = 0; i < listener->socket_count; i++) {
        const struct graph_socket *socket = listener->sockets[i];
        if (socket->state == LISTENER_BOUND || is_passed_over(listener, socket)) {
            continue;
        }
        if (socket->state != LISTENER_PENDING) {
            return programmed(CONDITION_FALSE, "Invalid", socket->message);
        }
        condition = programmed(CONDITION_FALSE, "Pending", TEXT("no proxy has it in force yet"));
    }
    return condition;
}

static struct condition listener_condition(const struct graph_listener *listener)
{
    const struct condition *accepted = &listener->conditions[LISTENER_ACCEPTED];
    if (listener->conditions[LISTENER_CONFLICTED].status == CONDITION_TRUE) {
        return programmed(CONDITION_FALSE, accepted->reason, accepted->message);
    }
    if (accepted->status != CONDITION_TRUE) {
        return programmed(CONDITION_FALSE, "Invalid", accepted->message);
    }
    if (!listener->valid) {
        return programmed(CONDITION_FALSE, "Invalid",
                          TEXT("no route of a supported kind may attach"));
    }
    if (!listener->served) {
        bool serves = listener->gateway->serves;
        return programmed(CONDITION_FALSE, serves ? "Pending" : "Invalid",
                          serves ? TEXT("it has no address") : TEXT("its Gateway is not accepted"));
    }
    return socket_condition(listener);
}

/* The first valid listener that is not in force; a failed one before a pending one. */
static const struct condition *find_obstacle(const struct graph_listener_list *listeners)
{
    const struct condition *obstacle = NULL;
    for (size_t i = 0; i < listeners->count; i++) {
        const struct graph_listener *listener = &listeners->items[i];
        const struct condition *condition = &listener->conditions[LISTENER_PROGRAMMED];
        if (!listener->valid || condition->status == CONDITION_TRUE) {
            continue;
        }
        if (strcmp(condition->reason, "Pending") != 0) {
            return condition;
        }
        obstacle = obstacle ? obstacle : condition;
    }
    return obstacle;
}

static const struct graph_socket *find_unusable(const struct graph_gateway *gateway)
{
    for (size_t i = 0; i < gateway->listeners.count; i++) {
        const struct graph_listener *listener = &gateway->listeners.items[i];
        for (size_t k = 0; k < listener->socket_count; k++) {
            if (listener->sockets[k]->state == LISTENER_ADDRESS_UNUSABLE &&
                !is_passed_over(listener, listener->sockets[k])) {
                return listener->sockets[k];
            }
        }
    }
    return NULL;
}

static struct condition gateway_condition(const struct graph_gateway *gateway)
{
    if (gateway->accepted.status != CONDITION_TRUE) {
        return programmed(CONDITION_FALSE, "Invalid", gateway->accepted.message);
    }
    const struct graph_socket *unusable = find_unusable(gateway);
    if (unusable) {
        return programmed(CONDITION_FALSE, "AddressNotUsable", unusable->message);
    }
    if (gateway->address_missing) {
        return programmed(CONDITION_FALSE, "AddressNotAssigned",
                          TEXT("no address is left in the pool"));
    }
    const struct condition *obstacle = find_obstacle(&gateway->listeners);
    return obstacle ? programmed(CONDITION_FALSE, obstacle->reason, obstacle->message)
                    : programmed(CONDITION_TRUE, "Programmed", TEXT("in force"));
}

static struct condition set_condition(const struct graph_listener_set *set)
{
    if (set->accepted.status != CONDITION_TRUE) {
        return programmed(CONDITION_FALSE, set->accepted.reason, set->accepted.message);
    }
    const struct condition *obstacle = find_obstacle(&set->listeners);
    return obstacle ? programmed(CONDITION_FALSE, obstacle->reason, obstacle->message)
                    : programmed(CONDITION_TRUE, "Programmed", TEXT("in force"));
}

static void update_listeners(struct graph_listener_list *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        replace(&listeners->items[i].conditions[LISTENER_PROGRAMMED],
                listener_condition(&listeners->items[i]));
    }
}

void programmed_update(struct graph_gateway *gateway)
{
    update_listeners(&gateway->listeners);
    replace(&gateway->programmed, gateway_condition(gateway));
    for (size_t i = 0; i < gateway->listener_set_count; i++) {
        update_listeners(&gateway->listener_sets[i]->listeners);
        replace(&gateway->listener_sets[i]->programmed, set_condition(gateway->listener_sets[i]));
    }
}

/* ---- settling -------------------------------------------------------------------------------- */

static const struct node *conditions_of(const struct node *status)
{
    return node_find(status, TEXT("conditions"));
}

static void settle_listeners(const struct builder *builder, struct graph_listener_list *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct graph_listener *listener = &listeners->items[i];
        const struct graph_listener *before =
            builder->previous ? map_find(&builder->previous->listeners_by_key, listener->key)
                              : NULL;
        const struct node *list = node_find(listener->object->status, TEXT("listeners"));
        const struct node *read = NULL;
        for (size_t k = 0; list && list->kind == NODE_LIST && k < list->list.count; k++) {
            if (text_equal(node_find_text(&list->list.items[k], TEXT("name")),
                           listener->spec->name)) {
                read = conditions_of(&list->list.items[k]);
            }
        }
        for (size_t k = 0; k < LISTENER_CONDITIONS; k++) {
            condition_settle(&listener->conditions[k], before ? &before->conditions[k] : NULL, read,
                             builder->graph->now_us);
        }
    }
}

static void settle_gateway(struct builder *builder, struct graph_gateway *gateway)
{
    int64_t now_us = builder->graph->now_us;
    const struct node *read = conditions_of(gateway->object->status);
    const struct graph_gateway *before =
        builder->previous ? map_find(&builder->previous->gateways_by_key, gateway->object->key)
                          : NULL;
    programmed_update(gateway);
    condition_settle(&gateway->accepted, before ? &before->accepted : NULL, read, now_us);
    condition_settle(&gateway->programmed, before ? &before->programmed : NULL, read, now_us);
    settle_listeners(builder, &gateway->listeners);
    for (size_t i = 0; i < gateway->listener_set_count; i++) {
        gateway->attached_listener_sets +=
            gateway->listener_sets[i]->accepted.status == CONDITION_TRUE;
    }
}

static void settle_set(struct builder *builder, struct graph_listener_set *set)
{
    int64_t now_us = builder->graph->now_us;
    const struct node *read = conditions_of(set->object->status);
    const struct graph_listener_set *before =
        builder->previous ? map_find(&builder->previous->listener_sets_by_key, set->object->key)
                          : NULL;
    condition_settle(&set->accepted, before ? &before->accepted : NULL, read, now_us);
    condition_settle(&set->programmed, before ? &before->programmed : NULL, read, now_us);
    settle_listeners(builder, &set->listeners);
}

static bool same_parent(const struct parent_ref *a, const struct parent_ref *b)
{
    return text_equal(a->name, b->name) && text_equal(a->kind, b->kind) &&
           text_equal(a->name_space, b->name_space) &&
           text_equal(a->section_name, b->section_name) && a->has_port == b->has_port &&
           a->port == b->port;
}

static const struct condition *route_before(const struct graph_route *before,
                                            const struct graph_parent *parent)
{
    for (size_t i = 0; before && i < before->parent_count; i++) {
        if (same_parent(before->parents[i].ref, parent->ref)) {
            return before->parents[i].conditions;
        }
    }
    return NULL;
}

/* The conditions that were read with the route for this parent, or NULL. */
static const struct node *route_read(const struct builder *builder, const struct object *route,
                                     const struct graph_parent *parent)
{
    const struct node *list = node_find(route->status, TEXT("parents"));
    for (size_t i = 0; list && list->kind == NODE_LIST && i < list->list.count; i++) {
        const struct node *ref = node_find(&list->list.items[i], TEXT("parentRef"));
        if (text_equal(node_find_text(&list->list.items[i], TEXT("controllerName")),
                       builder->options->controller_name) &&
            text_equal(node_find_text(ref, TEXT("name")), parent->ref->name) &&
            text_equal(node_find_text(ref, TEXT("sectionName")), parent->ref->section_name)) {
            return conditions_of(&list->list.items[i]);
        }
    }
    return NULL;
}

static void settle_route(struct builder *builder, struct graph_route *route)
{
    const struct graph_route *before =
        builder->previous ? map_find(&builder->previous->routes_by_key, route->object->key) : NULL;
    for (size_t i = 0; i < route->parent_count; i++) {
        struct graph_parent *parent = &route->parents[i];
        const struct condition *old = route_before(before, parent);
        const struct node *read = old ? NULL : route_read(builder, route->object, parent);
        for (size_t k = 0; k < ROUTE_CONDITIONS; k++) {
            condition_settle(&parent->conditions[k], old ? &old[k] : NULL, read,
                             builder->graph->now_us);
        }
    }
}

void build_statuses(struct builder *builder)
{
    struct graph *graph = builder->graph;
    for (size_t i = 0; i < graph->class_count; i++) {
        struct graph_class *class = &graph->classes[i];
        const struct node *read = conditions_of(class->object->status);
        const struct graph_class *before =
            builder->previous ? map_find(&builder->previous->classes_by_key, class->object->key)
                              : NULL;
        condition_settle(&class->accepted, before ? &before->accepted : NULL, read, graph->now_us);
        condition_settle(&class->supported_version, before ? &before->supported_version : NULL,
                         read, graph->now_us);
    }
    for (size_t i = 0; i < graph->gateway_count; i++) {
        settle_gateway(builder, &graph->gateways[i]);
    }
    for (size_t i = 0; i < graph->listener_set_count; i++) {
        settle_set(builder, &graph->listener_sets[i]);
    }
    for (size_t i = 0; i < graph->route_count; i++) {
        settle_route(builder, &graph->routes[i]);
    }
}
