/* What a route does: forward to weighted targets, redirect, answer. What would send a request
 * elsewhere than asked for is an error; what only loses comfort is noted. */
#include "proxy/compile_parts.h"
#include "xds/message.h"

#include "weft/v1/weft.pb-c.h"

#define ROUTE   Envoy__Config__Route__V3__Route
#define ACTION  Envoy__Config__Route__V3__RouteAction
#define WEIGHT  Envoy__Config__Route__V3__WeightedCluster__ClusterWeight
#define MIRROR  Envoy__Config__Route__V3__RouteAction__RequestMirrorPolicy
#define OF(tag) ENVOY__CONFIG__ROUTE__V3__##tag

#define TARGETS_MAX 10000
#define MIRRORS_MAX 100
/* RouteAction.timeout where it is unset, as the API has it. */
#define TIMEOUT_MS 15000

static uint32_t to_ms(const Google__Protobuf__Duration *duration, uint32_t unset)
{
    uint64_t ms = xds_duration_ms(duration, unset);
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* ---- header modifiers: who runs when ---- */

/* Writes the modifiers of these levels in order of execution; responses run a list backwards. */
static uint16_t put_levels(struct host_compile *compile, struct filter *into, const int *levels,
                           unsigned count, bool responses)
{
    uint16_t put = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct level_fields *fields = &compile->fields[levels[responses ? count - 1 - i : i]];
        if (!responses) {
            for (unsigned k = 0; k < fields->request_count; k++) {
                into[put++] = fields->requests[k];
            }
            continue;
        }
        for (unsigned k = fields->response_count; k > 0; k--) {
            into[put++] = fields->responses[k - 1];
        }
    }
    return put;
}

static unsigned count_levels(const struct host_compile *compile)
{
    unsigned count = 0;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        count += compile->fields[i].request_count + compile->fields[i].response_count;
    }
    return count;
}

/* By the API a more specific level runs first, unless most_specific_header_mutations_wins turns
 * the order round. A route's list runs before its target's on requests and after it on responses,
 * so one direction of either order cannot be had with a list each: where a target has modifiers of
 * its own for that direction, its list then takes in the route's levels too. */
static const int specific_first[] = { LEVEL_TARGET, LEVEL_ROUTE, LEVEL_HOST, LEVEL_ROUTES };
static const int specific_last[] = { LEVEL_ROUTES, LEVEL_HOST, LEVEL_ROUTE, LEVEL_TARGET };

struct sharing {
    bool requests_in_target;
    bool responses_in_target;
};

/* ---- targets ---- */

static bool is_direct(struct host_compile *compile, struct route_target *target, bool *out_direct,
                      struct error *error)
{
    ProtobufCMessage *message;
    if (!compile_override_at(compile, LEVEL_TARGET, "weft.direct_response",
                             &weft__v1__direct_response__descriptor, &message, error)) {
        return false;
    }
    const Weft__V1__DirectResponse *direct = (const Weft__V1__DirectResponse *)message;
    *out_direct = direct != NULL;
    if (direct == NULL) {
        return true;
    }
    if (direct->status < 200 || direct->status > 599) {
        return error_set(error, "weft.direct_response: status %u, 200 to 599 is needed",
                         (unsigned)direct->status);
    }
    target->cluster_id = UINT32_MAX;
    target->direct_status = (uint16_t)direct->status;
    target->direct_reason = compile_copy(compile, direct->reason);
    return true;
}

static bool name_cluster(struct host_compile *compile, const char *name, struct text *out_name,
                         uint32_t *out_id, struct error *error)
{
    *out_name = compile_copy(compile, name);
    if (out_name->size == 0) {
        return error_set(error, "the name of the cluster is missing");
    }
    *out_id = cluster_id_of(*out_name);
    return *out_id != UINT32_MAX ||
           error_set(error, "more than %u different clusters", CLUSTER_NAMES_MAX);
}

static bool target_fields(struct host_compile *compile, const WEIGHT *message, struct error *error)
{
    struct field_options options = {
        .request_adds = message->request_headers_to_add,
        .request_add_count = message->n_request_headers_to_add,
        .request_removes = message->request_headers_to_remove,
        .request_remove_count = message->n_request_headers_to_remove,
        .response_adds = message->response_headers_to_add,
        .response_add_count = message->n_response_headers_to_add,
        .response_removes = message->response_headers_to_remove,
        .response_remove_count = message->n_response_headers_to_remove,
    };
    return compile_fields(compile, LEVEL_TARGET, &options, error);
}

static void target_filters(struct host_compile *compile, struct route_target *target,
                           const struct url_rewrite *rewrite, const struct sharing *sharing)
{
    unsigned room = count_levels(compile) + (rewrite != NULL);
    if (room == 0) {
        return;
    }
    const int own[] = { LEVEL_TARGET };
    bool last = compile->most_specific_wins;
    const int *order = last ? specific_last : specific_first;
    struct filter *filters = arena_new_array(compile->arena, struct filter, room);
    unsigned count = put_levels(compile, filters, sharing->requests_in_target ? order : own,
                                sharing->requests_in_target ? LEVEL_COUNT : 1, false);
    if (rewrite != NULL) {
        filters[count++] = (struct filter){ &url_rewrite_filter, rewrite };
    }
    count += put_levels(compile, filters + count, sharing->responses_in_target ? order : own,
                        sharing->responses_in_target ? LEVEL_COUNT : 1, true);
    target->filters = filters;
    target->filter_count = (uint16_t)count;
}

static bool compile_target(struct host_compile *compile, struct route_entry *entry,
                           struct route_target *target, const WEIGHT *message,
                           const struct sharing *sharing, struct error *error)
{
    const struct url_rewrite *rewrite;
    bool direct;
    struct text host = text_of(NULL, 0);
    if (message->host_rewrite_specifier_case ==
        OF(WEIGHTED_CLUSTER__CLUSTER_WEIGHT__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL)) {
        host = text_from_string(message->host_rewrite_literal);
    }
    if (message->cluster_header[0] != '\0') {
        return error_set(error, "cluster_header: not supported");
    }
    target->weight = xds_uint32(message->weight, 0);
    compile_set_overrides(compile, LEVEL_TARGET,
                          (ProtobufCMessage *const *)message->typed_per_filter_config,
                          message->n_typed_per_filter_config);
    target->session = entry->route.session;
    if (message->n_typed_per_filter_config > 0 &&
        !compile_session(compile, LEVEL_TARGET, &target->session, error)) {
        return false;
    }
    if (!is_direct(compile, target, &direct, error) || !target_fields(compile, message, error) ||
        !compile_rewrite(compile, LEVEL_TARGET, entry, host, text_of(NULL, 0), &rewrite, error)) {
        return false;
    }
    if (direct) {
        target->cluster_name = compile_copy(compile, message->name);
    } else if (!name_cluster(compile, message->name, &target->cluster_name, &target->cluster_id,
                             error)) {
        return false;
    }
    target_filters(compile, target, rewrite, sharing);
    return true;
}

static struct sharing find_sharing(const struct host_compile *compile,
                                   const Envoy__Config__Route__V3__WeightedCluster *weighted)
{
    bool requests = false;
    bool responses = false;
    for (size_t i = 0; i < weighted->n_clusters; i++) {
        const WEIGHT *weight = weighted->clusters[i];
        bool other = weight->n_typed_per_filter_config > 0;
        requests |= weight->n_request_headers_to_add + weight->n_request_headers_to_remove > 0;
        responses |= weight->n_response_headers_to_add + weight->n_response_headers_to_remove > 0;
        requests |= other;
        responses |= other;
    }
    return (struct sharing){
        .requests_in_target = requests && !compile->most_specific_wins,
        .responses_in_target = responses && compile->most_specific_wins,
    };
}

static bool weighted_targets(struct host_compile *compile, struct route_entry *entry,
                             const Envoy__Config__Route__V3__WeightedCluster *weighted,
                             const struct sharing *sharing, struct error *error)
{
    struct route *route = &entry->route;
    if (weighted->n_clusters == 0 || weighted->n_clusters > TARGETS_MAX) {
        return error_set(error, "weighted_clusters.clusters: from 1 to %d are needed", TARGETS_MAX);
    }
    route->targets = arena_new_array(compile->arena, struct route_target, weighted->n_clusters);
    for (size_t i = 0; i < weighted->n_clusters; i++) {
        struct route_target *target = &route->targets[route->target_count++];
        if (!compile_target(compile, entry, target, weighted->clusters[i], sharing, error)) {
            return error_prefix(error, "weighted_clusters.clusters[%zu]", i);
        }
        route->total_weight += target->weight;
    }
    compile->overrides[LEVEL_TARGET] = (struct level_overrides){ 0 };
    compile->fields[LEVEL_TARGET] = (struct level_fields){ 0 };
    return route->total_weight <= UINT32_MAX ||
           error_set(error, "weighted_clusters: the weights add up to more than %u", UINT32_MAX);
}

static bool compile_targets(struct host_compile *compile, struct route_entry *entry,
                            const ACTION *action, struct sharing *out_sharing, struct error *error)
{
    struct route *route = &entry->route;
    *out_sharing = (struct sharing){ 0 };
    switch (action->cluster_specifier_case) {
    case OF(ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS):
        *out_sharing = find_sharing(compile, action->weighted_clusters);
        return weighted_targets(compile, entry, action->weighted_clusters, out_sharing, error);
    case OF(ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER):
        route->targets = arena_new(compile->arena, struct route_target);
        route->target_count = 1;
        route->targets->weight = 1;
        route->targets->session = route->session;
        route->total_weight = 1;
        return name_cluster(compile, action->cluster, &route->targets->cluster_name,
                            &route->targets->cluster_id, error) ||
               error_prefix(error, "cluster");
    case OF(ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER_HEADER):
        return error_set(error, "cluster_header: not supported");
    case OF(ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER_SPECIFIER_PLUGIN):
        return error_set(error, "cluster_specifier_plugin: not supported");
    default:
        return error_set(error, "cluster_specifier: none is set");
    }
}

/* ---- mirrors ---- */

static bool compile_mirror(struct host_compile *compile, struct mirror *mirror,
                           const MIRROR *message, struct error *error)
{
    static const uint32_t denominators[] = { 100, 10000, 1000000 };
    if (message->cluster_header[0] != '\0') {
        return error_set(error, "cluster_header: not supported");
    }
    mirror->numerator = 1;
    mirror->denominator = 1;
    if (message->runtime_fraction && message->runtime_fraction->default_value) {
        const Envoy__Type__V3__FractionalPercent *share = message->runtime_fraction->default_value;
        if ((unsigned)share->denominator > 2) {
            return error_set(error, "runtime_fraction.default_value.denominator: not defined");
        }
        mirror->denominator = denominators[share->denominator];
        mirror->numerator =
            share->numerator < mirror->denominator ? share->numerator : mirror->denominator;
    }
    return name_cluster(compile, message->cluster, &mirror->cluster_name, &mirror->cluster_id,
                        error);
}

static bool compile_mirrors(struct host_compile *compile, struct route *route, const ACTION *action,
                            struct error *error)
{
    MIRROR *const *mirrors = action->request_mirror_policies;
    size_t count = action->n_request_mirror_policies;
    if (count == 0) { /* the nearest level that has any */
        mirrors = compile->message->request_mirror_policies;
        count = compile->message->n_request_mirror_policies;
    }
    if (count == 0) {
        mirrors = compile->routes->request_mirror_policies;
        count = compile->routes->n_request_mirror_policies;
    }
    if (count > MIRRORS_MAX) {
        return error_set(error, "request_mirror_policies: more than %d", MIRRORS_MAX);
    }
    route->mirrors = arena_new_array(compile->arena, struct mirror, count);
    for (size_t i = 0; i < count; i++) {
        if (!compile_mirror(compile, &route->mirrors[route->mirror_count++], mirrors[i], error)) {
            return error_prefix(error, "request_mirror_policies[%zu]", i);
        }
    }
    return true;
}

/* ---- the route ---- */

static bool check_action(struct host_compile *compile, const ACTION *action, struct error *error)
{
    if (action->regex_rewrite != NULL) {
        return error_set(error, "regex_rewrite: not supported");
    }
    if (action->path_rewrite_policy != NULL || action->path_rewrite[0] != '\0') {
        return error_set(error, "path_rewrite: not supported; use prefix_rewrite");
    }
    switch (action->host_rewrite_specifier_case) {
    case OF(ROUTE_ACTION__HOST_REWRITE_SPECIFIER__NOT_SET):
    case OF(ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL):
        return true;
    case OF(ROUTE_ACTION__HOST_REWRITE_SPECIFIER_AUTO_HOST_REWRITE):
        if (xds_bool(action->auto_host_rewrite, false)) {
            compile_note(compile->notes, TEXT("RouteAction.auto_host_rewrite"));
        }
        return true;
    default:
        return error_set(error, "host_rewrite_specifier: only host_rewrite_literal is supported");
    }
}

static bool route_rewrite(struct host_compile *compile, const struct route_entry *entry,
                          const ACTION *action, const struct url_rewrite **out_rewrite,
                          struct error *error)
{
    struct text host = text_of(NULL, 0);
    if (action->host_rewrite_specifier_case ==
        OF(ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL)) {
        host = text_from_string(action->host_rewrite_literal);
    }
    return compile_rewrite(compile, LEVEL_ROUTE, entry, host,
                           text_from_string(action->prefix_rewrite), out_rewrite, error);
}

static void route_filters(struct host_compile *compile, struct route *route,
                          const struct cors_policy *cors, const struct url_rewrite *rewrite,
                          const struct sharing *sharing)
{
    const int *order = compile->most_specific_wins ? specific_last : specific_first + 1;
    if (cors == NULL && rewrite == NULL && count_levels(compile) == 0) {
        return;
    }
    struct filter *filters =
        arena_new_array(compile->arena, struct filter, count_levels(compile) + 2);
    unsigned count = 0;
    if (cors != NULL) {
        filters[count++] = (struct filter){ &cors_filter, cors };
    }
    if (!sharing->requests_in_target) {
        count += put_levels(compile, filters + count, order, LEVEL_TARGET, false);
    }
    if (rewrite != NULL) {
        filters[count++] = (struct filter){ &url_rewrite_filter, rewrite };
    }
    if (!sharing->responses_in_target) {
        count += put_levels(compile, filters + count, order, LEVEL_TARGET, true);
    }
    route->filters = filters;
    route->filter_count = (uint16_t)count;
}

static void set_timeouts(struct host_compile *compile, struct route *route, const ACTION *action)
{
    route->timeout_ms = to_ms(action->timeout, TIMEOUT_MS);
    if (action->idle_timeout != NULL) {
        uint32_t idle = to_ms(action->idle_timeout, 0);
        route->idle_timeout_ms = idle > 0 ? idle : UINT32_MAX;
    }
    if (action->retry_policy != NULL) {
        compile_retry(compile, route, action->retry_policy);
    } else if (compile->message->retry_policy != NULL) {
        compile_retry(compile, route, compile->message->retry_policy);
    }
}

bool compile_forward(struct host_compile *compile, struct route_entry *entry, const ROUTE *message,
                     struct error *error)
{
    const ACTION *action = message->route;
    const struct cors_policy *cors;
    const struct url_rewrite *rewrite;
    struct sharing sharing;
    entry->route.action = ROUTE_FORWARD;
    if (!compile_session(compile, LEVEL_ROUTE, &entry->route.session, error)) {
        return false;
    }
    if (!check_action(compile, action, error) ||
        !compile_targets(compile, entry, action, &sharing, error) ||
        !compile_mirrors(compile, &entry->route, action, error) ||
        !route_rewrite(compile, entry, action, &rewrite, error)) {
        return error_prefix(error, "route");
    }
    if (!compile_cors(compile, &cors, error)) {
        return false;
    }
    if (entry->route.target_count == 1) {
        entry->route.session = entry->route.targets[0].session;
    }
    set_timeouts(compile, &entry->route, action);
    route_filters(compile, &entry->route, cors, rewrite, &sharing);
    return true;
}

/* Filters of a route that answers by itself: CORS, and response modifiers. */
static bool answer_filters(struct host_compile *compile, struct route *route, struct error *error)
{
    static const struct sharing none = { 0 };
    const struct cors_policy *cors;
    if (!compile_cors(compile, &cors, error)) {
        return false;
    }
    route->timeout_ms = UINT32_MAX;
    route_filters(compile, route, cors, NULL, &none);
    return true;
}

static bool redirect_path(struct host_compile *compile, struct redirect *redirect,
                          const struct route_entry *entry,
                          const Envoy__Config__Route__V3__RedirectAction *message,
                          struct error *error)
{
    bool whole = entry->path_kind == PATH_IS || entry->path_kind == PATH_REGEX;
    redirect->matched_prefix = entry->route.matched_prefix;
    switch (message->path_rewrite_specifier_case) {
    case OF(REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PATH_REDIRECT):
        redirect->has_full_path = message->path_redirect[0] != '\0';
        redirect->full_path = compile_copy(compile, message->path_redirect);
        break;
    case OF(REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PREFIX_REWRITE):
        redirect->has_prefix = !whole;
        redirect->has_full_path = whole;
        *(whole ? &redirect->full_path : &redirect->prefix) =
            compile_copy(compile, message->prefix_rewrite);
        break;
    case OF(REDIRECT_ACTION__PATH_REWRITE_SPECIFIER__NOT_SET):
        return true;
    default:
        return error_set(error, "path_rewrite_specifier: only path_redirect and prefix_rewrite are "
                                "supported");
    }
    struct text to = redirect->has_full_path ? redirect->full_path : redirect->prefix;
    for (size_t i = 0; i < to.size; i++) {
        if ((unsigned char)to.at[i] <= ' ' || (unsigned char)to.at[i] >= 0x7f) {
            return error_set(error, "the path \"%.*s\" holds a byte that must be percent-encoded",
                             TEXT_ARG(text_first(to, 100)));
        }
    }
    return to.size == 0 || to.at[0] == '/' ||
           error_set(error, "the path \"%.*s\" does not begin with \"/\"",
                     TEXT_ARG(text_first(to, 100)));
}

static bool is_scheme(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        char c = text_lower_byte(t.at[i]);
        bool digit = c >= '0' && c <= '9';
        if (!(c >= 'a' && c <= 'z') && !(i > 0 && (digit || c == '+' || c == '-' || c == '.'))) {
            return false;
        }
    }
    return true;
}

bool compile_redirect(struct host_compile *compile, struct route_entry *entry,
                      const Envoy__Config__Route__V3__RedirectAction *message, struct error *error)
{
    static const uint16_t codes[] = { 301, 302, 303, 307, 308 };
    struct redirect *redirect = arena_new(compile->arena, struct redirect);
    if ((unsigned)message->response_code >= sizeof(codes) / sizeof(codes[0])) {
        return error_set(error, "redirect.response_code: not defined");
    }
    if (message->port_redirect > 65535) {
        return error_set(error, "redirect.port_redirect: above 65535");
    }
    redirect->status = codes[message->response_code];
    redirect->host = compile_copy(compile, message->host_redirect);
    redirect->port = message->port_redirect;
    redirect->strip_query = message->strip_query;
    if (message->scheme_rewrite_specifier_case ==
        OF(REDIRECT_ACTION__SCHEME_REWRITE_SPECIFIER_SCHEME_REDIRECT)) {
        redirect->scheme = compile_copy(compile, message->scheme_redirect);
    } else if (message->scheme_rewrite_specifier_case ==
                   OF(REDIRECT_ACTION__SCHEME_REWRITE_SPECIFIER_HTTPS_REDIRECT) &&
               message->https_redirect) {
        redirect->scheme = TEXT("https");
    }
    if (!is_scheme(redirect->scheme)) {
        return error_set(error, "redirect.scheme_redirect: \"%.*s\" is no scheme",
                         TEXT_ARG(text_first(redirect->scheme, 100)));
    }
    if (!redirect_path(compile, redirect, entry, message, error)) {
        return error_prefix(error, "redirect");
    }
    entry->route.action = ROUTE_REDIRECT;
    entry->route.redirect = redirect;
    return answer_filters(compile, &entry->route, error);
}

bool compile_direct(struct host_compile *compile, struct route_entry *entry,
                    const Envoy__Config__Route__V3__DirectResponseAction *message,
                    struct error *error)
{
    const Envoy__Config__Core__V3__DataSource *body = message->body;
    if (message->status < 200 || message->status > 599) {
        return error_set(error, "direct_response.status: 200 to 599 is needed");
    }
    entry->route.action = ROUTE_DIRECT;
    entry->route.direct_status = (uint16_t)message->status;
    if (body == NULL) {
        return answer_filters(compile, &entry->route, error);
    }
    switch (body->specifier_case) {
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_INLINE_STRING:
        entry->route.direct_body = compile_copy(compile, body->inline_string);
        break;
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_INLINE_BYTES:
        entry->route.direct_body = arena_copy(compile->arena, xds_bytes(body->inline_bytes));
        break;
    default:
        return error_set(error, "direct_response.body: only inline_string and inline_bytes are "
                                "supported");
    }
    return answer_filters(compile, &entry->route, error);
}
