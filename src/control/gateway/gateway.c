/* First steps of a graph: which GatewayClasses, Gateways and ListenerSets are ours, and what about
 * them keeps their listeners from being served. */
#include "control/gateway/builder.h"

#include <stdlib.h>

static bool is_ours(const struct builder *builder, const struct object *class)
{
    return text_equal(class->gateway_class->controller_name, builder->options->controller_name);
}

static struct condition judge_version(const struct builder *builder)
{
    struct text version = builder->options->bundle_version;
    if (version.size == 0) {
        return (struct condition){ 0 };
    }
    if (text_starts_with(version, TEXT("v1.7."))) {
        return condition_make("SupportedVersion", CONDITION_TRUE, "SupportedVersion",
                              TEXT("the installed CRDs are supported"));
    }
    return condition_make("SupportedVersion", CONDITION_FALSE, "UnsupportedVersion",
                          arena_format(builder->arena,
                                       "the installed CRDs are %.*s; Weft supports v1.7",
                                       TEXT_ARG(version)));
}

static void judge_class(struct builder *builder, struct graph_class *class)
{
    class->usable = class->object->gateway_class->parameters_ref == NULL;
    class->supported_version = judge_version(builder);
    if (class->usable) {
        class->accepted = condition_make("Accepted", CONDITION_TRUE, "Accepted",
                                         TEXT("served by Weft"));
        return;
    }
    class->accepted = condition_make("Accepted", CONDITION_FALSE, "InvalidParameters",
                                     TEXT("Weft takes no parametersRef"));
    BUILDER_FINDING(builder, class->object, "spec.parametersRef", FINDING_ERROR,
                    "InvalidParameters: Weft takes no parameters; remove parametersRef");
}

void build_classes(struct builder *builder)
{
    struct graph *graph = builder->graph;
    struct object_list all = store_objects(builder->store, KIND_GATEWAY_CLASS);
    graph->classes = arena_new_array(builder->arena, struct graph_class, all.count);
    for (size_t i = 0; i < all.count; i++) {
        if (!is_ours(builder, all.items[i])) {
            continue;
        }
        struct graph_class *class = &graph->classes[graph->class_count++];
        class->object = all.items[i];
        builder_hold(builder, class->object);
        map_put(&graph->classes_by_key, class->object->key, class);
        judge_class(builder, class);
    }
}

/* ---- Gateways -------------------------------------------------------------------------------- */

static struct graph_class *find_class(struct builder *builder, const struct object *gateway)
{
    struct text name = gateway->gateway->gateway_class_name;
    char bytes[BUILDER_KEY_MAX];
    struct text key = builder_key(bytes, TEXT("GatewayClass"), TEXT(""), name);
    struct graph_class *class = map_find(&builder->graph->classes_by_key, key);
    if (!class && !store_find(builder->store, KIND_GATEWAY_CLASS, TEXT(""), name)) {
        BUILDER_FINDING(builder, gateway, "spec.gatewayClassName", FINDING_ERROR,
                        "there is no GatewayClass %.*s, so nobody serves this Gateway; name "
                        "\"%s\", which Weft implies",
                        TEXT_ARG(name), WEFT_CLASS);
    }
    return class;
}

/* What about the Gateway itself refuses it; its addresses and listeners come later. */
static void judge_gateway(struct builder *builder, struct graph_gateway *gateway)
{
    const struct gateway *spec = gateway->object->gateway;
    gateway->serves = true;
    gateway->accepted = condition_make("Accepted", CONDITION_TRUE, "Accepted",
                                       TEXT("the Gateway is valid"));
    if (!gateway->class->usable) {
        gateway->serves = false;
        gateway->accepted = condition_make("Accepted", CONDITION_FALSE, "Invalid",
                                           TEXT("its GatewayClass is not accepted"));
    } else if (spec->infrastructure && spec->infrastructure->parameters_ref) {
        gateway->serves = false;
        gateway->accepted = condition_make("Accepted", CONDITION_FALSE, "InvalidParameters",
                                           TEXT("Weft takes no parametersRef"));
        BUILDER_FINDING(builder, gateway->object, "spec.infrastructure.parametersRef",
                        FINDING_ERROR,
                        "InvalidParameters: Weft takes no parameters; remove parametersRef");
    }
}

static int compare_gateways(const void *a, const void *b)
{
    return object_compare_age(((const struct graph_gateway *)a)->object,
                              ((const struct graph_gateway *)b)->object);
}

static void collect_gateways(struct builder *builder)
{
    struct graph *graph = builder->graph;
    struct object_list all = store_objects(builder->store, KIND_GATEWAY);
    graph->gateways = arena_new_array(builder->arena, struct graph_gateway, all.count);
    for (size_t i = 0; i < all.count; i++) {
        struct graph_class *class = find_class(builder, all.items[i]);
        if (class) {
            struct graph_gateway *gateway = &graph->gateways[graph->gateway_count++];
            gateway->object = all.items[i];
            gateway->class = class;
            builder_hold(builder, gateway->object);
        }
    }
    qsort(graph->gateways, graph->gateway_count, sizeof(*graph->gateways), compare_gateways);
    for (size_t i = 0; i < graph->gateway_count; i++) {
        map_put(&graph->gateways_by_key, graph->gateways[i].object->key, &graph->gateways[i]);
        judge_gateway(builder, &graph->gateways[i]);
    }
}

/* ---- ListenerSets ---------------------------------------------------------------------------- */

static bool is_gateway_ref(const struct object_ref *ref)
{
    return text_equal(ref->group, TEXT(GATEWAY_GROUP)) && text_equal(ref->kind, TEXT("Gateway"));
}

static struct graph_gateway *find_parent(struct builder *builder, const struct object *set)
{
    const struct object_ref *ref = set->listener_set->parent_ref;
    if (!is_gateway_ref(ref)) {
        return NULL;
    }
    struct text name_space = ref->name_space.size ? ref->name_space : set->name_space;
    char bytes[BUILDER_KEY_MAX];
    struct text key = builder_key(bytes, TEXT("Gateway"), name_space, ref->name);
    struct graph_gateway *gateway = map_find(&builder->graph->gateways_by_key, key);
    if (!gateway && !store_find(builder->store, KIND_GATEWAY, name_space, ref->name)) {
        BUILDER_FINDING(builder, set, "spec.parentRef", FINDING_ERROR,
                        "there is no Gateway %.*s/%.*s to attach to", TEXT_ARG(name_space),
                        TEXT_ARG(ref->name));
    }
    return gateway;
}

static bool set_is_allowed(const struct builder *builder, const struct graph_listener_set *set)
{
    const struct allowed_listeners *allowed = set->gateway->object->gateway->allowed_listeners;
    return allowed && namespaces_allow(builder->store, allowed->namespaces,
                                       set->gateway->object->name_space, set->object->name_space);
}

static void judge_set(struct builder *builder, struct graph_listener_set *set)
{
    set->allowed = set_is_allowed(builder, set);
    if (set->allowed) {
        set->accepted = condition_make("Accepted", CONDITION_TRUE, "Accepted",
                                       TEXT("the ListenerSet is attached"));
        return;
    }
    set->accepted = condition_make("Accepted", CONDITION_FALSE, "NotAllowed",
                                   TEXT("the Gateway's allowedListeners do not admit it"));
    BUILDER_FINDING(builder, set->object, "spec.parentRef", FINDING_ERROR,
                    "NotAllowed: Gateway %.*s/%.*s admits no ListenerSet of namespace %.*s; set "
                    "its spec.allowedListeners.namespaces",
                    TEXT_ARG(set->gateway->object->name_space),
                    TEXT_ARG(set->gateway->object->name), TEXT_ARG(set->object->name_space));
}

static int compare_sets(const void *a, const void *b)
{
    return object_compare_age(((const struct graph_listener_set *)a)->object,
                              ((const struct graph_listener_set *)b)->object);
}

static void collect_sets(struct builder *builder)
{
    struct graph *graph = builder->graph;
    struct object_list all = store_objects(builder->store, KIND_LISTENER_SET);
    graph->listener_sets = arena_new_array(builder->arena, struct graph_listener_set, all.count);
    for (size_t i = 0; i < all.count; i++) {
        struct graph_gateway *gateway = find_parent(builder, all.items[i]);
        if (gateway) {
            struct graph_listener_set *set = &graph->listener_sets[graph->listener_set_count++];
            set->object = all.items[i];
            set->gateway = gateway;
            gateway->listener_set_count++;
            builder_hold(builder, set->object);
        }
    }
    qsort(graph->listener_sets, graph->listener_set_count, sizeof(*graph->listener_sets),
          compare_sets);
}

void build_gateways(struct builder *builder)
{
    struct graph *graph = builder->graph;
    collect_gateways(builder);
    collect_sets(builder);
    for (size_t i = 0; i < graph->gateway_count; i++) {
        struct graph_gateway *gateway = &graph->gateways[i];
        gateway->listener_sets = arena_new_array(builder->arena, struct graph_listener_set *,
                                                 gateway->listener_set_count);
        gateway->listener_set_count = 0;
    }
    for (size_t i = 0; i < graph->listener_set_count; i++) {
        struct graph_listener_set *set = &graph->listener_sets[i];
        set->gateway->listener_sets[set->gateway->listener_set_count++] = set;
        map_put(&graph->listener_sets_by_key, set->object->key, set);
        judge_set(builder, set);
    }
}
