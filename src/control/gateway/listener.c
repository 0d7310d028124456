/* The listeners of Gateways and ListenerSets: protocol, kinds, and who of several gets a hostname
 * on a port (Gateway API: Listener precedence; decisions 6). Listeners of one address and port
 * share a socket, also across Gateways. */
#include "control/gateway/builder.h"

#include <stdio.h>
#include <stdlib.h>

/* Somebody who writes listeners, in the order of precedence. */
struct owner {
    const struct object *object;
    struct graph_gateway *gateway;
    struct graph_listener_set *set; /* or NULL */
    struct graph_listener_list *listeners;
    int64_t since_us; /* a ListenerSet never comes before its Gateway */
};

static int compare_owners(const void *left, const void *right)
{
    const struct owner *a = left;
    const struct owner *b = right;
    if (a->since_us != b->since_us) {
        return a->since_us < b->since_us ? -1 : 1;
    }
    if ((a->set != NULL) != (b->set != NULL)) {
        return a->set ? 1 : -1;
    }
    return object_compare_age(a->object, b->object);
}

static size_t collect_owners(struct builder *builder, struct owner **out)
{
    struct graph *graph = builder->graph;
    struct owner *owners = arena_new_array(&builder->scratch, struct owner,
                                           graph->gateway_count + graph->listener_set_count);
    size_t count = 0;
    for (size_t i = 0; i < graph->gateway_count; i++) {
        struct graph_gateway *gateway = &graph->gateways[i];
        owners[count++] = (struct owner){ .object = gateway->object,
                                          .gateway = gateway,
                                          .listeners = &gateway->listeners,
                                          .since_us = gateway->object->creation_us };
    }
    for (size_t i = 0; i < graph->listener_set_count; i++) {
        struct graph_listener_set *set = &graph->listener_sets[i];
        int64_t gateway_us = set->gateway->object->creation_us;
        if (set->allowed) {
            owners[count++] = (struct owner){
                .object = set->object,
                .gateway = set->gateway,
                .set = set,
                .listeners = &set->listeners,
                .since_us = set->object->creation_us > gateway_us ? set->object->creation_us
                                                                  : gateway_us,
            };
        }
    }
    qsort(owners, count, sizeof(*owners), compare_owners);
    *out = owners;
    return count;
}

/* ---- one listener ---------------------------------------------------------------------------- */

static void listener_path(const struct graph_listener *listener, const char *rest, char out[96])
{
    snprintf(out, 96, "spec.listeners[%zu]%s", listener->index, rest);
}

static void refuse(struct builder *builder, struct graph_listener *listener, const char *reason,
                   const char *path_rest, struct text message)
{
    listener->valid = false;
    listener->conditions[LISTENER_ACCEPTED] =
        condition_make("Accepted", CONDITION_FALSE, reason, message);
    char path[96];
    listener_path(listener, path_rest, path);
    BUILDER_FINDING(builder, listener->object, path, FINDING_ERROR, "%s: %.*s", reason,
                    TEXT_ARG(message));
}

/* Which of the kinds that allowedRoutes ask for Weft attaches to this protocol. */
static void judge_kinds(struct builder *builder, struct graph_listener *listener)
{
    uint32_t possible = listener->protocol && listener->protocol->supported
                            ? listener->protocol->kinds
                            : 0;
    const struct allowed_routes *allowed = listener->spec->allowed_routes;
    listener->conditions[LISTENER_RESOLVED_REFS] =
        condition_make("ResolvedRefs", CONDITION_TRUE, "ResolvedRefs",
                       TEXT("all references are resolved"));
    if (allowed->kinds.count == 0 || possible == 0) {
        listener->kinds = possible;
        return;
    }
    for (size_t i = 0; i < allowed->kinds.count; i++) {
        const struct route_group_kind *wanted = &allowed->kinds.items[i];
        enum object_kind kind;
        if (object_kind_find(wanted->group, wanted->kind, &kind) && (possible & (1u << kind))) {
            listener->kinds |= 1u << kind;
            continue;
        }
        struct text message =
            arena_format(builder->arena, "kind %.*s cannot be attached to protocol %.*s",
                         TEXT_ARG(wanted->kind), TEXT_ARG(listener->spec->protocol));
        listener->conditions[LISTENER_RESOLVED_REFS] =
            condition_make("ResolvedRefs", CONDITION_FALSE, "InvalidRouteKinds", message);
        char path[96];
        listener_path(listener, ".allowedRoutes.kinds", path);
        BUILDER_FINDING(builder, listener->object, path, FINDING_ERROR,
                        "InvalidRouteKinds: %.*s; name HTTPRoute", TEXT_ARG(message));
    }
    listener->valid = listener->valid && listener->kinds != 0;
}

static void judge_protocol(struct builder *builder, struct graph_listener *listener)
{
    struct text protocol = listener->spec->protocol;
    if (!listener->protocol) {
        refuse(builder, listener, "UnsupportedProtocol", ".protocol",
               arena_format(builder->arena, "Weft knows no protocol \"%.*s\"; HTTP is supported",
                            TEXT_ARG(protocol)));
    } else if (!listener->protocol->supported) {
        refuse(builder, listener, "UnsupportedProtocol", ".protocol",
               arena_format(builder->arena,
                            "protocol %.*s is not supported yet; HTTP is supported",
                            TEXT_ARG(protocol)));
    } else if (listener->spec->filters && listener->spec->filters->requests.count) {
        /* A filter may be a guard: what Weft cannot run keeps the listener closed. */
        refuse(builder, listener, "UnsupportedValue", ".filters",
               TEXT("filters of listeners are not supported; remove them"));
    } else if (++builder->listener_total > builder->options->max_listeners) {
        refuse(builder, listener, "TooManyListeners", "",
               arena_format(builder->arena, "more than %u listeners; raise the limit",
                            builder->options->max_listeners));
    }
}

static void init_listener(struct builder *builder, struct owner *owner, size_t index)
{
    struct graph_listener *listener = &owner->listeners->items[index];
    const struct object *object = owner->object;
    listener->gateway = owner->gateway;
    listener->object = object;
    listener->spec = owner->set ? &object->listener_set->listeners.items[index]
                                : &object->gateway->listeners.items[index];
    listener->index = index;
    listener->key = arena_format(builder->arena, "%s/%.*s/%.*s/%.*s",
                                 owner->set ? "listenerset" : "gateway",
                                 TEXT_ARG(object->name_space), TEXT_ARG(object->name),
                                 TEXT_ARG(listener->spec->name));
    listener->hostname = hostname_fold(builder->arena, listener->spec->hostname);
    listener->protocol = protocol_find(listener->spec->protocol);
    listener->valid = true;
    listener->policy_invalid = builder_policy_invalid(builder, object, listener->spec->name) ||
                               builder_policy_invalid(builder, owner->gateway->object, TEXT(""));
    listener->conditions[LISTENER_ACCEPTED] =
        condition_make("Accepted", CONDITION_TRUE, "Accepted", TEXT("the listener is valid"));
    listener->conditions[LISTENER_CONFLICTED] =
        condition_make("Conflicted", CONDITION_FALSE, "NoConflicts", TEXT("no conflicts"));
    map_put(&builder->graph->listeners_by_key, listener->key, listener);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static uint16_t bound_port(const struct graph_options *options, uint16_t port)
{
    for (size_t i = 0; i < options->port_map_count; i++) {
        if (options->port_map[i].from == port) {
            return options->port_map[i].to;
        }
    }
    return port;
}

/* "udp/127.0.0.1:53": the socket's place in a port space. */
static struct text socket_key(const struct graph_listener *listener, struct address address,
                              const struct graph_options *options, char into[ADDRESS_TEXT_MAX + 8])
{
    bool is_udp = listener->protocol && listener->protocol->is_udp;
    memcpy(into, is_udp ? "udp/" : "tcp/", 4);
    address.port = bound_port(options, listener->spec->port);
    size_t size = address_format(&address, into + 4);
    return text_of(into, size + 4);
}

/* The listener that keeps this one from the socket, and why. */
static const struct graph_listener *find_rival(const struct builder *builder,
                                               const struct graph_listener *listener,
                                               const struct graph_socket *socket,
                                               const char **out_reason)
{
    const struct graph_listener *first = socket->listeners[0];
    if (first->protocol->family != listener->protocol->family) {
        *out_reason = "ProtocolConflict";
        return first;
    }
    *out_reason = "HostnameConflict";
    if (!first->protocol->has_hostname) {
        return first;
    }
    char bytes[BUILDER_KEY_MAX];
    return map_find(&builder->hosts,
                    builder_key(bytes, socket->name, listener->hostname, TEXT("")));
}

static void judge_conflict(struct builder *builder, struct graph_listener *listener)
{
    for (size_t i = 0; listener->protocol && i < listener->gateway->address_count; i++) {
        const struct graph_address *address = &listener->gateway->addresses[i];
        char bytes[ADDRESS_TEXT_MAX + 8];
        struct text key = socket_key(listener, address->address, builder->options, bytes);
        const struct graph_socket *socket = map_find(&builder->taken, key);
        const char *reason = NULL;
        const struct graph_listener *rival =
            socket ? find_rival(builder, listener, socket, &reason) : NULL;
        if (!rival) {
            continue;
        }
        struct text message = arena_format(
            builder->arena, "%.*s on %.*s belongs to listener %.*s (protocol %.*s, hostname %.*s)",
            TEXT_ARG(listener->hostname), TEXT_ARG(text_from(key, 4)), TEXT_ARG(rival->key),
            TEXT_ARG(rival->spec->protocol), TEXT_ARG(rival->hostname));
        refuse(builder, listener, reason, "", message);
        listener->conditions[LISTENER_CONFLICTED] =
            condition_make("Conflicted", CONDITION_TRUE, reason, message);
        return;
    }
}

static struct graph_socket *socket_new(struct builder *builder, struct text key,
                                       struct address address)
{
    struct graph_socket *socket = arena_new(builder->arena, struct graph_socket);
    socket->address = address;
    socket->name = arena_format(builder->arena, "listener/%.*s", TEXT_ARG(text_from(key, 4)));
    socket->routes_name = arena_format(builder->arena, "routes/%.*s",
                                       TEXT_ARG(text_from(key, 4)));
    const struct graph_socket *before =
        builder->previous ? map_find(&builder->previous->sockets_by_name, socket->name) : NULL;
    if (before) {
        socket->state = before->state;
        socket->message = arena_copy(builder->arena, before->message);
    }
    map_put(&builder->taken, arena_copy(&builder->scratch, key), socket);
    map_put(&builder->graph->sockets_by_name, socket->name, socket);
    *array_add(&builder->sockets) = socket;
    return socket;
}

static void add_to_socket(struct builder *builder, struct graph_socket *socket,
                          struct graph_listener *listener)
{
    /* Grown by doubling: the count alone tells when the room is full. */
    size_t count = socket->listener_count;
    if ((count & (count - 1)) == 0) {
        struct graph_listener **more =
            arena_new_array(builder->arena, struct graph_listener *, count ? count * 2 : 1);
        if (count) {
            memcpy(more, socket->listeners, count * sizeof(*more));
        }
        socket->listeners = more;
    }
    socket->listeners[socket->listener_count++] = listener;
    char bytes[BUILDER_KEY_MAX];
    struct text key = builder_key(bytes, socket->name, listener->hostname, TEXT(""));
    map_put(&builder->hosts, arena_copy(&builder->scratch, key), listener);
    listener->sockets[listener->socket_count++] = socket;
}

/* Puts a valid listener on its sockets. */
static void serve(struct builder *builder, struct graph_listener *listener)
{
    const struct graph_gateway *gateway = listener->gateway;
    listener->sockets = arena_new_array(builder->arena, struct graph_socket *,
                                        gateway->address_count);
    for (size_t i = 0; i < gateway->address_count; i++) {
        char bytes[ADDRESS_TEXT_MAX + 8];
        struct address address = gateway->addresses[i].address;
        struct text key = socket_key(listener, address, builder->options, bytes);
        address.port = bound_port(builder->options, listener->spec->port);
        struct graph_socket *socket = map_find(&builder->taken, key);
        if (!socket && builder->sockets.count < builder->options->max_sockets) {
            socket = socket_new(builder, key, address);
        }
        if (socket) {
            add_to_socket(builder, socket, listener);
        }
    }
    listener->served = listener->socket_count > 0;
    if (!listener->served && gateway->address_count) {
        refuse(builder, listener, "TooManyListeners", "",
               arena_format(builder->arena, "more than %u addresses and ports; raise the limit",
                            builder->options->max_sockets));
    }
}

/* ---- owners ---------------------------------------------------------------------------------- */

/* Accepted of a Gateway or ListenerSet, from its listeners. */
static void judge_owner(struct condition *accepted, const struct graph_listener_list *listeners)
{
    size_t valid = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        valid += listeners->items[i].valid;
    }
    if (valid == 0) {
        accepted->status = CONDITION_FALSE;
        accepted->reason = "ListenersNotValid";
        accepted->message = TEXT("no listener is valid");
    } else if (valid < listeners->count) {
        accepted->reason = "ListenersNotValid";
        accepted->message = TEXT("some listeners are not valid");
    }
}

static bool owner_serves(struct owner *owner)
{
    const struct graph_gateway *gateway = owner->gateway;
    if (!owner->set) {
        return gateway->serves;
    }
    if (gateway->accepted.status == CONDITION_TRUE) {
        return true;
    }
    owner->set->accepted = condition_make("Accepted", CONDITION_FALSE, "ParentNotAccepted",
                                          TEXT("its Gateway is not accepted"));
    return false;
}

static void build_owner(struct builder *builder, struct owner *owner)
{
    bool serves = owner_serves(owner);
    owner->listeners->count = owner->set ? owner->object->listener_set->listeners.count
                                         : owner->object->gateway->listeners.count;
    owner->listeners->items = arena_new_array(builder->arena, struct graph_listener,
                                              owner->listeners->count);
    for (size_t i = 0; i < owner->listeners->count; i++) {
        struct graph_listener *listener = &owner->listeners->items[i];
        init_listener(builder, owner, i);
        judge_kinds(builder, listener);
        judge_conflict(builder, listener);
        if (listener->conditions[LISTENER_ACCEPTED].status == CONDITION_TRUE) {
            judge_protocol(builder, listener);
        }
        if (listener->valid && serves) {
            serve(builder, listener);
        }
    }
    if (owner->set && serves) {
        judge_owner(&owner->set->accepted, owner->listeners);
    } else if (!owner->set && serves) {
        judge_owner(&owner->gateway->accepted, owner->listeners);
    }
}

static int compare_sockets(const void *a, const void *b)
{
    return text_compare((*(struct graph_socket *const *)a)->name,
                        (*(struct graph_socket *const *)b)->name);
}

void build_listeners(struct builder *builder)
{
    struct owner *owners;
    size_t count = collect_owners(builder, &owners);
    for (size_t i = 0; i < count; i++) {
        build_owner(builder, &owners[i]);
    }
    struct graph *graph = builder->graph;
    graph->socket_count = builder->sockets.count;
    graph->sockets = arena_new_array(builder->arena, struct graph_socket *, graph->socket_count);
    for (size_t i = 0; i < graph->socket_count; i++) {
        graph->sockets[i] = builder->sockets.items[i];
    }
    qsort(graph->sockets, graph->socket_count, sizeof(*graph->sockets), compare_sockets);
}
