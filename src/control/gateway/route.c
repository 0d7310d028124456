/* Attachment of routes: parentRefs to listeners, by section name, port, allowed kinds and
 * namespaces, and hostnames. Routes of kinds that no listener supports yet get their Accepted=False
 * here too. */
#include "control/gateway/builder.h"

#include "control/node.h"

#include <stdio.h>
#include <stdlib.h>

static const enum object_kind route_kinds[] = { KIND_HTTP_ROUTE, KIND_GRPC_ROUTE, KIND_TLS_ROUTE,
                                                KIND_TCP_ROUTE, KIND_UDP_ROUTE };
#define ROUTE_KINDS (sizeof(route_kinds) / sizeof(route_kinds[0]))

/* ---- parents --------------------------------------------------------------------------------- */

/* Tells about a parentRef that leads nowhere. One that leads to somebody else's Gateway is fine. */
static void tell_missing(struct builder *builder, const struct object *route, size_t index,
                         enum object_kind kind, struct text name_space, struct text name)
{
    if (store_find(builder->store, kind, name_space, name)) {
        return;
    }
    char path[64];
    snprintf(path, sizeof(path), "spec.parentRefs[%zu]", index);
    BUILDER_FINDING(builder, route, path, FINDING_ERROR,
                    "there is no %.*s %.*s/%.*s to attach to", TEXT_ARG(object_kind_name(kind)),
                    TEXT_ARG(name_space), TEXT_ARG(name));
}

static void tell_unserved(struct builder *builder, const struct object *route, size_t index,
                          const struct parent_ref *ref)
{
    char path[64];
    snprintf(path, sizeof(path), "spec.parentRefs[%zu].kind", index);
    BUILDER_FINDING(builder, route, path, FINDING_WARNING,
                    "Weft serves parents of kind Gateway and ListenerSet, not %.*s; this parentRef "
                    "has no effect",
                    TEXT_ARG(ref->kind));
}

/* Fills in the parent; false where it is none of ours. */
static bool find_parent(struct builder *builder, const struct object *route, size_t index,
                        struct graph_parent *parent)
{
    const struct parent_ref *ref = &route->route->parent_refs.items[index];
    struct text name_space = ref->name_space.size ? ref->name_space : route->name_space;
    enum object_kind kind;
    if (!object_kind_find(ref->group, ref->kind, &kind) ||
        (kind != KIND_GATEWAY && kind != KIND_LISTENER_SET)) {
        tell_unserved(builder, route, index, ref);
        return false;
    }
    *parent = (struct graph_parent){ .ref = ref, .index = index };
    char bytes[BUILDER_KEY_MAX];
    struct text key = builder_key(bytes, object_kind_name(kind), name_space, ref->name);
    if (kind == KIND_GATEWAY) {
        parent->gateway = map_find(&builder->graph->gateways_by_key, key);
    } else {
        parent->listener_set = map_find(&builder->graph->listener_sets_by_key, key);
        parent->gateway = parent->listener_set ? parent->listener_set->gateway : NULL;
    }
    if (!parent->gateway) {
        tell_missing(builder, route, index, kind, name_space, ref->name);
    }
    return parent->gateway != NULL;
}

/* ---- hostnames ------------------------------------------------------------------------------- */

static void add_domain(struct graph_attachment *attachment, struct text name, struct text own)
{
    for (size_t i = 0; i < attachment->domain_count; i++) {
        struct graph_domain *domain = &attachment->domains[i];
        if (text_equal(domain->name, name)) {
            if (hostname_compare(own, domain->route_hostname) < 0) {
                domain->route_hostname = own;
            }
            return;
        }
    }
    attachment->domains[attachment->domain_count++] =
        (struct graph_domain){ .name = name, .route_hostname = own };
}

static void intersect(struct builder *builder, const struct object *route,
                      struct graph_attachment *attachment)
{
    const struct text_list *hostnames = &route->route->hostnames;
    struct text listener = attachment->listener->hostname;
    size_t room = hostnames->count ? hostnames->count : 1;
    attachment->domains = arena_new_array(builder->arena, struct graph_domain, room);
    if (hostnames->count == 0 || !attachment->listener->protocol->has_hostname) {
        add_domain(attachment, listener, TEXT("*"));
        return;
    }
    for (size_t i = 0; i < hostnames->count; i++) {
        struct text own = hostname_fold(builder->arena, hostnames->items[i]);
        struct text both;
        if (hostname_intersect(listener, own, &both)) {
            add_domain(attachment, both, own);
        }
    }
}

/* ---- attachment ------------------------------------------------------------------------------ */

static bool is_selected(const struct graph_parent *parent, const struct graph_listener *listener)
{
    const struct parent_ref *ref = parent->ref;
    return (ref->section_name.size == 0 || text_equal(ref->section_name, listener->spec->name)) &&
           (!ref->has_port || ref->port == listener->spec->port);
}

static bool is_allowed(const struct builder *builder, const struct object *route,
                       const struct graph_listener *listener)
{
    return (listener->kinds & (1u << route->kind)) &&
           namespaces_allow(builder->store, listener->spec->allowed_routes->namespaces,
                            listener->object->name_space, route->name_space);
}

enum progress { NOT_SELECTED, NOT_ALLOWED, NO_HOSTNAME, ATTACHED };

static enum progress attach(struct builder *builder, struct graph_route *route,
                            struct graph_parent *parent, struct graph_listener *listener)
{
    if (!is_selected(parent, listener)) {
        return NOT_SELECTED;
    }
    if (!is_allowed(builder, route->object, listener)) {
        return NOT_ALLOWED;
    }
    struct graph_attachment *attachment = &parent->attachments[parent->attachment_count];
    *attachment = (struct graph_attachment){ .route = route, .listener = listener };
    intersect(builder, route->object, attachment);
    if (attachment->domain_count == 0) {
        return NO_HOSTNAME;
    }
    parent->attachment_count++;
    return ATTACHED;
}

/* Accepted=False with its finding. */
static void reject(struct builder *builder, struct graph_route *route, struct graph_parent *parent,
                   enum progress progress)
{
    static const struct {
        const char *reason, *message, *remedy;
    } words[] = {
        [NOT_SELECTED] = { "NoMatchingParent", "no listener has this sectionName and port",
                           "name a listener of the parent" },
        [NOT_ALLOWED] = { "NotAllowedByListeners",
                          "no listener admits routes of this kind and namespace",
                          "see protocol and allowedRoutes of the listeners" },
        [NO_HOSTNAME] = { "NoMatchingListenerHostname",
                          "no hostname is within a listener's hostname",
                          "compare the hostnames of route and listener" },
    };
    parent->conditions[ROUTE_ACCEPTED] =
        condition_make("Accepted", CONDITION_FALSE, words[progress].reason,
                       text_from_string(words[progress].message));
    char path[64];
    snprintf(path, sizeof(path), "spec.parentRefs[%zu]", parent->index);
    BUILDER_FINDING(builder, route->object, path, FINDING_ERROR, "%s: %s; %s",
                    words[progress].reason, words[progress].message, words[progress].remedy);
}

static void attach_parent(struct builder *builder, struct graph_route *route,
                          struct graph_parent *parent)
{
    struct graph_listener_list *listeners =
        parent->listener_set ? &parent->listener_set->listeners : &parent->gateway->listeners;
    parent->attachments = arena_new_array(builder->arena, struct graph_attachment,
                                          listeners->count);
    enum progress best = NOT_SELECTED;
    for (size_t i = 0; i < listeners->count; i++) {
        enum progress progress = attach(builder, route, parent, &listeners->items[i]);
        best = progress > best ? progress : best;
    }
    if (best == ATTACHED) {
        parent->conditions[ROUTE_ACCEPTED] =
            condition_make("Accepted", CONDITION_TRUE, "Accepted", TEXT("the route is attached"));
    } else {
        reject(builder, route, parent, best);
    }
}

/* ---- all routes ------------------------------------------------------------------------------ */

/* A route that once had a parent of ours must have that entry taken away. */
static bool names_our_controller(const struct builder *builder, const struct object *route)
{
    const struct node *parents = node_find(route->status, TEXT("parents"));
    for (size_t i = 0; parents && parents->kind == NODE_LIST && i < parents->list.count; i++) {
        if (text_equal(node_find_text(&parents->list.items[i], TEXT("controllerName")),
                       builder->options->controller_name)) {
            return true;
        }
    }
    return false;
}

static void collect_route(struct builder *builder, const struct object *object)
{
    struct graph *graph = builder->graph;
    struct graph_route *route = &graph->routes[graph->route_count];
    size_t wanted = object->route->parent_refs.count;
    *route = (struct graph_route){ .object = object };
    route->parents = arena_new_array(builder->arena, struct graph_parent, wanted);
    if (object->route->use_default_gateways == DEFAULT_GATEWAYS_ALL) {
        BUILDER_FINDING(builder, object, "spec.useDefaultGateways", FINDING_WARNING,
                        "default gateways are not supported; name the Gateway in parentRefs");
    }
    for (size_t i = 0; i < wanted; i++) {
        if (find_parent(builder, object, i, &route->parents[route->parent_count])) {
            route->parent_count++;
        }
    }
    if (route->parent_count || names_our_controller(builder, object)) {
        graph->route_count++;
        builder_hold(builder, object);
    }
}

static int compare_routes(const void *a, const void *b)
{
    return object_compare_age(((const struct graph_route *)a)->object,
                              ((const struct graph_route *)b)->object);
}

static void collect_routes(struct builder *builder)
{
    struct graph *graph = builder->graph;
    struct object_list lists[ROUTE_KINDS];
    size_t total = 0;
    for (size_t i = 0; i < ROUTE_KINDS; i++) {
        lists[i] = store_objects(builder->store, route_kinds[i]);
        total += lists[i].count;
    }
    graph->routes = arena_new_array(builder->arena, struct graph_route, total);
    for (size_t i = 0; i < ROUTE_KINDS; i++) {
        for (size_t k = 0; k < lists[i].count; k++) {
            collect_route(builder, lists[i].items[k]);
        }
    }
    /* The store's order is that of age where nothing says when objects were made. */
    for (size_t i = 1; i < graph->route_count; i++) {
        if (compare_routes(&graph->routes[i - 1], &graph->routes[i]) > 0) {
            qsort(graph->routes, graph->route_count, sizeof(*graph->routes), compare_routes);
            return;
        }
    }
}

static bool is_served(const struct graph_route *route)
{
    for (size_t i = 0; i < route->parent_count; i++) {
        for (size_t k = 0; k < route->parents[i].attachment_count; k++) {
            if (route->parents[i].attachments[k].listener->served) {
                return true;
            }
        }
    }
    return false;
}

/* Counts what is attached to each listener; the second time fills the lists in. */
static void link_attachments(struct builder *builder, bool fill)
{
    struct graph *graph = builder->graph;
    for (size_t i = 0; i < graph->route_count; i++) {
        struct graph_route *route = &graph->routes[i];
        for (size_t p = 0; p < route->parent_count; p++) {
            struct graph_parent *parent = &route->parents[p];
            bool accepted = parent->conditions[ROUTE_ACCEPTED].status == CONDITION_TRUE;
            for (size_t k = 0; k < parent->attachment_count; k++) {
                struct graph_attachment *attachment = &parent->attachments[k];
                struct graph_listener *listener = attachment->listener;
                if (fill && !attachment->again) {
                    listener->attachments[listener->attachment_count++] = attachment;
                } else if (!fill) {
                    attachment->again = listener->last_route == route;
                    listener->last_route = route;
                    listener->attachment_count += !attachment->again;
                    listener->attached_routes += !attachment->again && accepted;
                }
            }
        }
    }
}

static void make_room(struct builder *builder, struct graph_listener_list *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct graph_listener *listener = &listeners->items[i];
        listener->attachments = arena_new_array(builder->arena, struct graph_attachment *,
                                                listener->attachment_count);
        listener->attachment_count = 0;
    }
}

void build_routes(struct builder *builder)
{
    struct graph *graph = builder->graph;
    collect_routes(builder);
    for (size_t i = 0; i < graph->route_count; i++) {
        struct graph_route *route = &graph->routes[i];
        map_put(&graph->routes_by_key, route->object->key, route);
        for (size_t p = 0; p < route->parent_count; p++) {
            attach_parent(builder, route, &route->parents[p]);
        }
        if (route->object->kind == KIND_HTTP_ROUTE) {
            build_rules(builder, route, is_served(route));
        }
    }
    link_attachments(builder, false);
    for (size_t i = 0; i < graph->gateway_count; i++) {
        make_room(builder, &graph->gateways[i].listeners);
    }
    for (size_t i = 0; i < graph->listener_set_count; i++) {
        make_room(builder, &graph->listener_sets[i].listeners);
    }
    link_attachments(builder, true);
}
