/* What a backendRef leads to: kind, ReferenceGrant, Service port or XBackend, and the
 * EndpointSlices behind it. Each destination becomes one struct graph_cluster. */
#include "control/gateway/builder.h"

#include "base/ensure.h"

/* ---- EndpointSlices by Service --------------------------------------------------------------- */

void build_slices(struct builder *builder)
{
    struct object_list all = store_objects(builder->store, KIND_ENDPOINT_SLICE);
    for (size_t i = 0; i < all.count; i++) {
        struct text service = key_value_find(&all.items[i]->labels, TEXT(LABEL_SERVICE_NAME));
        if (service.size == 0) {
            continue;
        }
        char bytes[BUILDER_KEY_MAX];
        struct text key = builder_key(bytes, all.items[i]->name_space, service, TEXT(""));
        struct slice_list *list = map_find(&builder->slices_by_service, key);
        if (!list) {
            list = arena_new(&builder->scratch, struct slice_list);
            map_put(&builder->slices_by_service, arena_copy(&builder->scratch, key), list);
        }
        *array_add(&list->array) = all.items[i];
    }
}

/* Services that want TLS (BackendTLSPolicy). Weft does not speak it to backends yet, and must
 * not send them plain text. */
void build_tls_services(struct builder *builder)
{
    struct object_list all = store_objects(builder->store, KIND_BACKEND_TLS_POLICY);
    for (size_t i = 0; i < all.count; i++) {
        const struct backend_tls_policy *policy = all.items[i]->backend_tls_policy;
        for (size_t k = 0; k < policy->target_refs.count; k++) {
            const struct policy_target *target = &policy->target_refs.items[k];
            char bytes[BUILDER_KEY_MAX];
            struct text key = builder_key(bytes, all.items[i]->name_space, target->name,
                                          target->section_name);
            map_put(&builder->tls_services, arena_copy(&builder->scratch, key), all.items[i]);
        }
    }
}

static bool wants_tls(const struct builder *builder, const struct object *service,
                      const struct service_port *port)
{
    char bytes[BUILDER_KEY_MAX];
    struct text name_space = service->name_space;
    struct text name = port ? port->name : TEXT("");
    return builder->tls_services.count &&
           (map_find(&builder->tls_services,
                     builder_key(bytes, name_space, service->name, TEXT(""))) ||
            map_find(&builder->tls_services, builder_key(bytes, name_space, service->name, name)));
}

static const struct slice_list *slices_of(const struct builder *builder,
                                          const struct object *service)
{
    char bytes[BUILDER_KEY_MAX];
    return map_find(&builder->slices_by_service,
                    builder_key(bytes, service->name_space, service->name, TEXT("")));
}

static void add_slice(struct builder *builder, struct graph_cluster *cluster,
                      const struct object *slice)
{
    cluster->slices[cluster->slice_count++] = slice;
    builder_hold(builder, slice);
}

/* ---- grants ---------------------------------------------------------------------------------- */

static bool grant_is_from(const struct reference_grant *grant, const struct object *route)
{
    for (size_t i = 0; i < grant->from.count; i++) {
        const struct grant_from *from = &grant->from.items[i];
        if (text_equal(from->group, TEXT(GATEWAY_GROUP)) &&
            text_equal(from->kind, route->kind_text) &&
            text_equal(from->name_space, route->name_space)) {
            return true;
        }
    }
    return false;
}

static bool grant_is_to(const struct reference_grant *grant, const struct object_ref *ref)
{
    for (size_t i = 0; i < grant->to.count; i++) {
        const struct grant_to *to = &grant->to.items[i];
        if (text_equal(to->group, ref->group) && text_equal(to->kind, ref->kind) &&
            (to->name.size == 0 || text_equal(to->name, ref->name))) {
            return true;
        }
    }
    return false;
}

static bool is_granted(const struct builder *builder, const struct object *route,
                       const struct object_ref *ref, struct text name_space)
{
    struct object_list grants = store_objects_in(builder->store, KIND_REFERENCE_GRANT, name_space);
    for (size_t i = 0; i < grants.count; i++) {
        const struct reference_grant *grant = grants.items[i]->reference_grant;
        if (grant_is_from(grant, route) && grant_is_to(grant, ref)) {
            return true;
        }
    }
    return false;
}

/* ---- Services -------------------------------------------------------------------------------- */

enum protocol_use { USE_HTTP1, USE_HTTP2, USE_UNSUPPORTED };

/* GEP-1911. IANA names of protocols that are not HTTP are passed over: often they are mere
 * notes. */
static enum protocol_use judge_app_protocol(struct text name)
{
    static const struct {
        const char *name;
        enum protocol_use use;
    } known[] = {
        { "kubernetes.io/ws", USE_HTTP1 }, { "kubernetes.io/h2c", USE_HTTP2 },
        { "h2c", USE_HTTP2 },              { "http2", USE_HTTP2 },
        { "grpc", USE_HTTP2 },             { "https", USE_UNSUPPORTED },
        { "wss", USE_UNSUPPORTED },        { "tls", USE_UNSUPPORTED },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (text_equal_nocase(name, text_from_string(known[i].name))) {
            return known[i].use;
        }
    }
    return text_starts_with(name, TEXT("kubernetes.io/")) ? USE_UNSUPPORTED : USE_HTTP1;
}

static const struct service_port *find_port(const struct service *service, uint16_t port)
{
    for (size_t i = 0; i < service->ports.count; i++) {
        const struct service_port *candidate = &service->ports.items[i];
        if (candidate->port == port && candidate->protocol == IP_PROTOCOL_TCP) {
            return candidate;
        }
    }
    return NULL;
}

static bool slice_has_port(const struct endpoint_slice *slice, const struct service_port *port)
{
    for (size_t i = 0; i < slice->ports.count; i++) {
        const struct endpoint_port *candidate = &slice->ports.items[i];
        if (candidate->protocol == port->protocol && text_equal(candidate->name, port->name)) {
            return true;
        }
    }
    return false;
}

/* The slices of one address family group: IPs, or FQDNs where there are none. */
static void take_slices(struct builder *builder, struct graph_cluster *cluster,
                        const struct slice_list *list)
{
    size_t total = list ? list->array.count : 0;
    size_t with_port = 0;
    size_t names = 0;
    cluster->slices = arena_new_array(builder->arena, const struct object *, total);
    for (size_t i = 0; i < total; i++) {
        const struct endpoint_slice *slice = list->array.items[i]->endpoint_slice;
        with_port += slice_has_port(slice, cluster->service_port);
        names += slice->address_type == ADDRESS_FQDN;
    }
    bool use_names = total && names == total && builder->options->external_names;
    for (size_t i = 0; i < total; i++) {
        const struct object *slice = list->array.items[i];
        if ((slice->endpoint_slice->address_type == ADDRESS_FQDN) == use_names) {
            add_slice(builder, cluster, slice);
        }
    }
    cluster->discovery = use_names ? CLUSTER_DNS : CLUSTER_EDS;
    cluster->external = use_names;
    if (names == total && total && !use_names) {
        BUILDER_FINDING(builder, cluster->object, "spec", FINDING_WARNING,
                        "its EndpointSlices hold names; they are used with --external-names only");
    } else if (total && with_port == 0) {
        BUILDER_FINDING(builder, cluster->object, "spec.ports", FINDING_WARNING,
                        "none of its EndpointSlices has a port named \"%.*s\": requests get 503",
                        TEXT_ARG(cluster->service_port->name));
    }
}

static bool is_headless(const struct service *service)
{
    return text_equal(service->cluster_ip, TEXT("None"));
}

/* A headless Service without slices: its DNS name gives the endpoints' addresses. */
static void use_service_name(struct builder *builder, struct graph_cluster *cluster)
{
    const struct int_or_string *target = &cluster->service_port->target_port;
    cluster->discovery = CLUSTER_DNS;
    cluster->hostname = arena_format(builder->arena, "%.*s.%.*s.svc.%.*s",
                                     TEXT_ARG(cluster->object->name),
                                     TEXT_ARG(cluster->object->name_space),
                                     TEXT_ARG(builder->options->cluster_domain));
    cluster->port = cluster->service_port->port;
    if (!target->is_string && target->number > 0) {
        cluster->port = (uint16_t)target->number;
    } else if (target->is_string) {
        BUILDER_FINDING(builder, cluster->object, "spec.ports", FINDING_WARNING,
                        "without EndpointSlices the port \"%.*s\" of a headless Service cannot be "
                        "looked up; port %u is used",
                        TEXT_ARG(target->string), cluster->port);
    }
}

static bool is_forbidden_name(struct text name)
{
    struct address address;
    if (address_parse_ip(name, &address)) {
        return address_is_loopback(&address) || address_is_link_local(&address);
    }
    struct text bare = text_ends_with(name, TEXT(".")) ? text_first(name, name.size - 1) : name;
    return text_equal_nocase(bare, TEXT("localhost")) ||
           (bare.size > 10 &&
            text_equal_nocase(text_from(bare, bare.size - 10), TEXT(".localhost")));
}

static enum backend_state use_external_name(struct builder *builder, struct graph_cluster *cluster,
                                            uint16_t port)
{
    struct text name = cluster->object->service->external_name;
    if (!builder->options->external_names) {
        BUILDER_FINDING(builder, cluster->object, "spec.type", FINDING_ERROR,
                        "UnsupportedValue: ExternalName Services are off; start Weft with "
                        "--external-names to allow them");
        return BACKEND_UNSUPPORTED_VALUE;
    }
    if (is_forbidden_name(name)) {
        BUILDER_FINDING(builder, cluster->object, "spec.externalName", FINDING_ERROR,
                        "UnsupportedValue: \"%.*s\" is this machine or link-local; an ExternalName "
                        "must lead elsewhere",
                        TEXT_ARG(name));
        return BACKEND_UNSUPPORTED_VALUE;
    }
    cluster->discovery = CLUSTER_DNS;
    cluster->external = true;
    cluster->hostname = name;
    cluster->port = port;
    return BACKEND_RESOLVED;
}

static enum backend_state judge_service(struct builder *builder, struct graph_cluster *cluster,
                                        uint16_t port)
{
    const struct service *service = cluster->object->service;
    bool external = service->type == SERVICE_EXTERNAL_NAME;
    if (builder_policy_invalid(builder, cluster->object, TEXT(""))) {
        return BACKEND_POLICY_INVALID;
    }
    cluster->service_port = find_port(service, port);
    if (!cluster->service_port && !(external && service->ports.count == 0)) {
        return BACKEND_NOT_FOUND;
    }
    if (wants_tls(builder, cluster->object, cluster->service_port)) {
        return BACKEND_UNSUPPORTED_PROTOCOL;
    }
    if (cluster->service_port) {
        enum protocol_use use = judge_app_protocol(cluster->service_port->app_protocol);
        if (use == USE_UNSUPPORTED) {
            return BACKEND_UNSUPPORTED_PROTOCOL;
        }
        cluster->http2 = use == USE_HTTP2;
    }
    if (external) {
        return use_external_name(builder, cluster, port);
    }
    const struct slice_list *slices = slices_of(builder, cluster->object);
    if (!slices && is_headless(service)) {
        use_service_name(builder, cluster);
        return BACKEND_RESOLVED;
    }
    if (!slices) {
        BUILDER_FINDING(builder, cluster->object, "spec", FINDING_WARNING,
                        "it has no EndpointSlice (label " LABEL_SERVICE_NAME
                        "): requests get 503");
    }
    take_slices(builder, cluster, slices);
    return BACKEND_RESOLVED;
}

/* ---- XBackends ------------------------------------------------------------------------------- */

static enum protocol_use judge_x_protocol(const struct x_backend *backend)
{
    if (backend->tls && backend->tls->mode != X_TLS_NONE) {
        return USE_UNSUPPORTED;
    }
    switch (backend->protocol) {
    case X_PROTOCOL_UNSET:
    case X_PROTOCOL_HTTP:
    case X_PROTOCOL_HTTP11:
    case X_PROTOCOL_MCP:
        return USE_HTTP1;
    case X_PROTOCOL_H2C:
    case X_PROTOCOL_GRPC:
        return USE_HTTP2;
    case X_PROTOCOL_HTTP2:
    case X_PROTOCOL_WSS:
    case X_PROTOCOL_TCP:
        break;
    }
    return USE_UNSUPPORTED;
}

static bool has_all_labels(const struct key_value_list *labels,
                           const struct key_value_list *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        struct text value = key_value_find(labels, wanted->items[i].key);
        if (!value.at || !text_equal(value, wanted->items[i].value)) {
            return false;
        }
    }
    return true;
}

/* Weft sees no pods. A Service whose selector asks for all of these labels selects some of the pods
 * meant; so do slices that carry the labels themselves. */
static void select_endpoints(struct builder *builder, struct graph_cluster *cluster)
{
    const struct key_value_list *wanted =
        &cluster->object->x_backend->endpoint_selector->match_labels;
    struct text name_space = cluster->object->name_space;
    struct object_list all = store_objects_in(builder->store, KIND_ENDPOINT_SLICE, name_space);
    cluster->slices = arena_new_array(builder->arena, const struct object *, all.count);
    for (size_t i = 0; i < all.count; i++) {
        const struct object *slice = all.items[i];
        struct text service_name = key_value_find(&slice->labels, TEXT(LABEL_SERVICE_NAME));
        const struct object *service =
            store_find(builder->store, KIND_SERVICE, name_space, service_name);
        if (slice->endpoint_slice->address_type != ADDRESS_FQDN &&
            (has_all_labels(&slice->labels, wanted) ||
             (service && has_all_labels(&service->service->selector, wanted)))) {
            add_slice(builder, cluster, slice);
        }
    }
    cluster->discovery = CLUSTER_EDS;
    if (cluster->slice_count == 0) {
        BUILDER_FINDING(builder, cluster->object, "spec.endpointSelector", FINDING_WARNING,
                        "no EndpointSlice carries these labels, and none belongs to a Service that "
                        "selects by them: requests get 503");
    }
}

static enum backend_state judge_x_backend(struct builder *builder, struct graph_cluster *cluster)
{
    const struct x_backend *spec = cluster->object->x_backend;
    if (builder_policy_invalid(builder, cluster->object, TEXT(""))) {
        return BACKEND_POLICY_INVALID;
    }
    enum protocol_use use = judge_x_protocol(spec);
    if (use == USE_UNSUPPORTED) {
        return BACKEND_UNSUPPORTED_PROTOCOL;
    }
    cluster->http2 = use == USE_HTTP2;
    cluster->port = spec->port->has_number ? spec->port->number : 80;
    if (spec->type == X_BACKEND_ENDPOINT_SELECTOR) {
        cluster->session = spec->session_persistence;
        select_endpoints(builder, cluster);
        return BACKEND_RESOLVED;
    }
    if (is_forbidden_name(spec->external_hostname->hostname)) {
        BUILDER_FINDING(builder, cluster->object, "spec.externalHostname.hostname", FINDING_ERROR,
                        "UnsupportedValue: an external hostname must lead to another machine");
        return BACKEND_UNSUPPORTED_VALUE;
    }
    cluster->discovery = CLUSTER_DNS;
    cluster->external = true;
    cluster->hostname = spec->external_hostname->hostname;
    return BACKEND_RESOLVED;
}

/* ---- resolution ------------------------------------------------------------------------------ */

/* "NAME/80". Without printf: each backendRef comes by here. */
static struct text append_number(char bytes[BUILDER_KEY_MAX], struct text name, uint16_t number)
{
    char digits[8];
    size_t size = 0;
    do {
        digits[size++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    ensure(name.size + size + 1 < BUILDER_KEY_MAX);
    bytes[name.size++] = '/';
    while (size) {
        bytes[name.size++] = digits[--size];
    }
    return name;
}

/* The cluster of this object and port, made on first use. */
static struct graph_cluster *find_cluster(struct builder *builder, const struct object *object,
                                          uint16_t port)
{
    bool is_service = object->kind == KIND_SERVICE;
    char bytes[BUILDER_KEY_MAX];
    struct text name = builder_key(bytes, is_service ? TEXT("service") : TEXT("xbackend"),
                                   object->name_space, object->name);
    name = append_number(bytes, name, port);
    struct map *clusters = &builder->graph->clusters_by_name;
    struct graph_cluster *cluster = map_find(clusters, name);
    if (cluster) {
        return cluster;
    }
    cluster = arena_new(builder->arena, struct graph_cluster);
    cluster->name = arena_copy(builder->arena, name);
    cluster->object = object;
    builder_hold(builder, object);
    cluster->state = is_service ? judge_service(builder, cluster, port)
                                : judge_x_backend(builder, cluster);
    map_put(clusters, cluster->name, cluster);
    *array_add(&builder->clusters) = cluster;
    return cluster;
}

void backend_tell(struct builder *builder, const struct object *route, const char *path,
                  const struct object_ref *ref, enum backend_state state)
{
    const char *reason = backend_state_reason(state);
    struct text name_space = ref->name_space.size ? ref->name_space : route->name_space;
    switch (state) {
    case BACKEND_INVALID_KIND:
        BUILDER_FINDING(builder, route, path, FINDING_ERROR,
                        "%s: group \"%.*s\" kind %.*s is no backend; use a Service or an XBackend",
                        reason, TEXT_ARG(ref->group), TEXT_ARG(ref->kind));
        break;
    case BACKEND_NOT_PERMITTED:
        BUILDER_FINDING(builder, route, path, FINDING_ERROR,
                        "%s: no ReferenceGrant in namespace %.*s allows a %.*s of namespace %.*s "
                        "to refer to %.*s %.*s",
                        reason, TEXT_ARG(name_space), TEXT_ARG(route->kind_text),
                        TEXT_ARG(route->name_space), TEXT_ARG(ref->kind), TEXT_ARG(ref->name));
        break;
    case BACKEND_NOT_FOUND:
        BUILDER_FINDING(builder, route, path, FINDING_ERROR,
                        "%s: there is no %.*s %.*s/%.*s with TCP port %u; such requests get 500",
                        reason, TEXT_ARG(ref->kind), TEXT_ARG(name_space), TEXT_ARG(ref->name),
                        ref->port);
        break;
    case BACKEND_UNSUPPORTED_PROTOCOL:
        BUILDER_FINDING(builder, route, path, FINDING_ERROR,
                        "%s: the protocol of %.*s %.*s/%.*s is unsupported; such requests get 500",
                        reason, TEXT_ARG(ref->kind), TEXT_ARG(name_space), TEXT_ARG(ref->name));
        break;
    case BACKEND_UNSUPPORTED_VALUE:
        BUILDER_FINDING(builder, route, path, FINDING_ERROR,
                        "%s: %.*s %.*s/%.*s cannot be used; such requests get 500", reason,
                        TEXT_ARG(ref->kind), TEXT_ARG(name_space), TEXT_ARG(ref->name));
        break;
    case BACKEND_POLICY_INVALID: /* the policy has its own finding */
    case BACKEND_RESOLVED:
        break;
    }
}

static enum backend_state resolve(struct builder *builder, const struct object *route,
                                  const struct object_ref *ref, struct text name_space,
                                  struct graph_cluster **out_cluster)
{
    enum object_kind kind;
    if (!object_kind_find(ref->group, ref->kind, &kind) ||
        (kind != KIND_SERVICE && kind != KIND_X_BACKEND)) {
        return BACKEND_INVALID_KIND;
    }
    /* An XBackend is its own namespace's alone. */
    if (!text_equal(name_space, route->name_space) &&
        (kind == KIND_X_BACKEND || !is_granted(builder, route, ref, name_space))) {
        return BACKEND_NOT_PERMITTED;
    }
    const struct object *object = store_find(builder->store, kind, name_space, ref->name);
    if (!object || (kind == KIND_SERVICE && !ref->has_port)) {
        return BACKEND_NOT_FOUND;
    }
    uint16_t port = ref->port;
    if (kind == KIND_X_BACKEND) {
        port = object->x_backend->port->has_number ? object->x_backend->port->number : 80;
    }
    struct graph_cluster *cluster = find_cluster(builder, object, port);
    *out_cluster = cluster->state == BACKEND_RESOLVED ? cluster : NULL;
    return cluster->state;
}

struct graph_backend backend_resolve(struct builder *builder, const struct object *route,
                                     const struct object_ref *ref)
{
    struct graph_backend backend = { 0 };
    struct text name_space = ref->name_space.size ? ref->name_space : route->name_space;
    backend.state = resolve(builder, route, ref, name_space, &backend.cluster);
    return backend;
}
