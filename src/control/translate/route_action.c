/* One match of one rule -> Route: name, match, action and what filters add (design note 0001). */
#include "control/translate/parts.h"

#define WEIGHT_OVERRIDE                                                                            \
    ROUTE_TYPE(weighted_cluster__cluster_weight__typed_per_filter_config_entry)
#define WEIGHT_WORD(name) ROUTE_WORD(WEIGHTED_CLUSTER__CLUSTER_WEIGHT__##name)
#define ROUTE_OVERRIDE    ROUTE_TYPE(route__typed_per_filter_config_entry)

/* ---- names and refusals ---------------------------------------------------------------------- */

/* Digits of a small number, in `into`. */
static struct text digits_of(size_t number, char into[20])
{
    size_t at = 20;
    do {
        into[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return text_of(into + at, 20 - at);
}

/* "httproute/NAMESPACE/NAME/RULE/MATCH". Without printf: every route comes by here. */
static char *compose_name(struct arena *arena, const struct route_source *source)
{
    char rule[20];
    char match[20];
    struct text parts[] = { TEXT("httproute"), source->route->object->name_space,
                            source->route->object->name, source->rule->spec->name,
                            digits_of(source->match, match) };
    if (parts[3].size == 0) {
        parts[3] = digits_of(source->rule->index, rule);
    }
    size_t size = 0;
    for (size_t i = 0; i < 5; i++) {
        size += parts[i].size + 1;
    }
    char *name = arena_bytes(arena, size);
    char *at = name;
    for (size_t i = 0; i < 5; i++) {
        memcpy(at, parts[i].at, parts[i].size);
        at += parts[i].size;
        *at++ = i < 4 ? '/' : 0;
    }
    return name;
}

static void set_direct(struct arena *arena, Envoy__Config__Route__V3__Route *route,
                       struct text reason)
{
    Envoy__Config__Route__V3__DirectResponseAction *direct =
        compose_new(arena, &ROUTE_TYPE(direct_response_action));
    direct->status = 500;
    direct->body = compose_new(arena, &CORE_TYPE(data_source));
    direct->body->specifier_case = CORE_WORD(DATA_SOURCE__SPECIFIER_INLINE_STRING);
    direct->body->inline_string = compose_string(arena, reason);
    route->action_case = ROUTE_WORD(ROUTE__ACTION_DIRECT_RESPONSE);
    route->direct_response = direct;
}

Envoy__Config__Route__V3__Route *compose_refusal(struct translation *translation, struct text name,
                                                 struct text reason)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Route__V3__Route *route = compose_new(arena, &ROUTE_TYPE(route));
    route->name = compose_string(arena, name);
    route->match = compose_new(arena, &ROUTE_TYPE(route_match));
    route->match->path_specifier_case = ROUTE_WORD(ROUTE_MATCH__PATH_SPECIFIER_PREFIX);
    route->match->prefix = compose_string(arena, TEXT("/"));
    set_direct(arena, route, reason);
    return route;
}

/* ---- redirect -------------------------------------------------------------------------------- */

/* An empty replacement and "/" mean the same. */
static char *compose_path(struct arena *arena, struct text path)
{
    return compose_string(arena, path.size ? path : TEXT("/"));
}

static uint32_t redirect_port(const struct request_redirect *redirect,
                              const struct graph_listener *listener)
{
    bool tls = listener->protocol->is_tls;
    struct text scheme = redirect->scheme.size ? redirect->scheme
                         : tls                 ? TEXT("https")
                                               : TEXT("http");
    uint32_t own = text_equal(scheme, TEXT("https")) ? 443 : 80;
    uint32_t port = redirect->has_port          ? redirect->port
                    : redirect->scheme.size == 0 ? listener->spec->port
                                                 : own;
    return port == own ? 0 : port;
}

static Envoy__Config__Route__V3__RedirectAction__RedirectResponseCode redirect_code(int32_t status)
{
    switch (status) {
    case 301:
        return ROUTE_WORD(REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__MOVED_PERMANENTLY);
    case 303:
        return ROUTE_WORD(REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__SEE_OTHER);
    case 307:
        return ROUTE_WORD(REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__TEMPORARY_REDIRECT);
    case 308:
        return ROUTE_WORD(REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__PERMANENT_REDIRECT);
    default:
        return ROUTE_WORD(REDIRECT_ACTION__REDIRECT_RESPONSE_CODE__FOUND);
    }
}

static void set_redirect(struct arena *arena, const struct route_source *source,
                         const struct request_redirect *redirect,
                         Envoy__Config__Route__V3__Route *route)
{
    Envoy__Config__Route__V3__RedirectAction *action =
        compose_new(arena, &ROUTE_TYPE(redirect_action));
    if (redirect->scheme.size) {
        action->scheme_rewrite_specifier_case =
            ROUTE_WORD(REDIRECT_ACTION__SCHEME_REWRITE_SPECIFIER_SCHEME_REDIRECT);
        action->scheme_redirect = compose_string(arena, redirect->scheme);
    }
    action->host_redirect = compose_string(arena, redirect->hostname);
    action->port_redirect = redirect_port(redirect, source->listener);
    action->response_code = redirect_code(redirect->status_code);
    if (redirect->path && redirect->path->type == PATH_REPLACE_FULL) {
        action->path_rewrite_specifier_case =
            ROUTE_WORD(REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PATH_REDIRECT);
        action->path_redirect = compose_path(arena, redirect->path->replace_full_path);
    } else if (redirect->path) {
        action->path_rewrite_specifier_case =
            ROUTE_WORD(REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PREFIX_REWRITE);
        action->prefix_rewrite = compose_path(arena, redirect->path->replace_prefix_match);
    }
    route->action_case = ROUTE_WORD(ROUTE__ACTION_REDIRECT);
    route->redirect = action;
}

/* ---- rewrite --------------------------------------------------------------------------------- */

static Weft__V1__UrlRewrite *compose_rewrite(struct arena *arena, const struct url_rewrite *rewrite,
                                             const struct http_match *match)
{
    Weft__V1__UrlRewrite *out = compose_new(arena, &weft__v1__url_rewrite__descriptor);
    const struct path_modifier *path = rewrite->path;
    if (path && path->type == PATH_REPLACE_FULL) {
        out->has_full_path = true;
        out->full_path = compose_path(arena, path->replace_full_path);
    } else if (path) {
        out->has_prefix = true;
        out->prefix = compose_path(arena, path->replace_prefix_match);
        out->matched_prefix = compose_path(arena, match_prefix(match));
    }
    return out;
}

/* Envoy's own words; it replaces prefixes by characters, so a slash at either end needs care. */
static void set_envoy_rewrite(struct arena *arena, const struct path_modifier *path,
                              const struct http_match *match,
                              Envoy__Config__Route__V3__RouteAction *action)
{
    struct text prefix = match_prefix(match);
    struct text with = path->type == PATH_REPLACE_FULL ? path->replace_full_path
                                                       : path->replace_prefix_match;
    bool to_root = with.size == 0 || text_equal(with, TEXT("/"));
    if (path->type == PATH_REPLACE_PREFIX && !(to_root && prefix.size)) {
        bool open = prefix.size == 0 && !text_ends_with(with, TEXT("/"));
        action->prefix_rewrite =
            (char *)(uintptr_t)arena_format(arena, "%.*s%s", TEXT_ARG(with), open ? "/" : "").at;
        return;
    }
    Envoy__Type__Matcher__V3__RegexMatchAndSubstitute *regex =
        compose_new(arena, &MATCHER_TYPE(regex_match_and_substitute));
    regex->pattern = compose_new(arena, &MATCHER_TYPE(regex_matcher));
    regex->pattern->regex =
        path->type == PATH_REPLACE_FULL
            ? compose_string(arena, TEXT("^/.*$"))
            : (char *)(uintptr_t)arena_format(arena, "^\\Q%.*s\\E/*", TEXT_ARG(prefix)).at;
    regex->substitution = to_root ? compose_string(arena, TEXT("/")) : compose_string(arena, with);
    action->regex_rewrite = regex;
}

static void add_rewrite(struct translation *translation, const struct route_source *source,
                        const struct url_rewrite *rewrite, Envoy__Config__Route__V3__Route *route)
{
    struct arena *arena = &translation->arena;
    const struct http_match *match = &source->rule->spec->matches.items[source->match];
    if (rewrite->hostname.size) {
        route->route->host_rewrite_specifier_case =
            ROUTE_WORD(ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL);
        route->route->host_rewrite_literal = compose_string(arena, rewrite->hostname);
    }
    if (rewrite->path && translation->options->for_envoy) {
        set_envoy_rewrite(arena, rewrite->path, match, route->route);
    } else if (rewrite->path) {
        ADD_OVERRIDE(arena, route, ROUTE_OVERRIDE, "weft.url_rewrite",
                     &compose_rewrite(arena, rewrite, match)->base);
    }
}

/* ---- backends -------------------------------------------------------------------------------- */

static void add_weight_filters(struct translation *translation, const struct route_source *source,
                               const struct backend_ref *ref,
                               Envoy__Config__Route__V3__WeightedCluster__ClusterWeight *weight)
{
    struct arena *arena = &translation->arena;
    struct header_edits request = { 0 };
    struct header_edits response = { 0 };
    for (size_t i = 0; i < ref->filters.count; i++) {
        const struct route_filter *filter = &ref->filters.items[i];
        if (filter->type == FILTER_REQUEST_HEADER_MODIFIER) {
            compose_header_edits(translation, filter->request_header_modifier, &request);
        } else if (filter->type == FILTER_RESPONSE_HEADER_MODIFIER) {
            compose_header_edits(translation, filter->response_header_modifier, &response);
        } else if (filter->type == FILTER_URL_REWRITE && !translation->options->for_envoy) {
            Weft__V1__UrlRewrite *rewrite =
                compose_rewrite(arena, filter->url_rewrite,
                                &source->rule->spec->matches.items[source->match]);
            rewrite->host = compose_string(arena, filter->url_rewrite->hostname);
            ADD_OVERRIDE(arena, weight, WEIGHT_OVERRIDE, "weft.url_rewrite", &rewrite->base);
        } else if (filter->type == FILTER_URL_REWRITE && filter->url_rewrite->hostname.size) {
            weight->host_rewrite_specifier_case =
                WEIGHT_WORD(HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL);
            weight->host_rewrite_literal = compose_string(arena, filter->url_rewrite->hostname);
        }
    }
    weight->request_headers_to_add = request.add;
    weight->n_request_headers_to_add = request.n_add;
    weight->request_headers_to_remove = request.remove;
    weight->n_request_headers_to_remove = request.n_remove;
    weight->response_headers_to_add = response.add;
    weight->n_response_headers_to_add = response.n_add;
    weight->response_headers_to_remove = response.remove;
    weight->n_response_headers_to_remove = response.n_remove;
}

static void set_invalid(struct translation *translation, const struct graph_backend *backend,
                        Envoy__Config__Route__V3__WeightedCluster__ClusterWeight *weight)
{
    struct arena *arena = &translation->arena;
    const char *reason = backend_state_reason(backend->state);
    weight->name = (char *)(uintptr_t)arena_format(arena, "invalid/%s", reason).at;
    if (translation->options->for_envoy) {
        return; /* no such cluster: cluster_not_found_response_code */
    }
    Weft__V1__DirectResponse *direct = compose_new(arena, &weft__v1__direct_response__descriptor);
    direct->status = 500;
    direct->reason = compose_string(arena, text_from_string(reason));
    ADD_OVERRIDE(arena, weight, WEIGHT_OVERRIDE, "weft.direct_response", &direct->base);
}

static Envoy__Config__Route__V3__WeightedCluster__ClusterWeight *
compose_weight(struct translation *translation, const struct route_source *source,
               const struct graph_backend *backend)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Route__V3__WeightedCluster__ClusterWeight *weight =
        compose_new(arena, &ROUTE_TYPE(weighted_cluster__cluster_weight));
    weight->weight = compose_uint32(arena, (uint32_t)backend->ref->weight);
    if (!backend->cluster) {
        set_invalid(translation, backend, weight);
        return weight;
    }
    weight->name = compose_string(arena, backend->cluster->name);
    add_weight_filters(translation, source, backend->ref, weight);
    if (backend->cluster->session) {
        ADD_OVERRIDE(arena, weight, WEIGHT_OVERRIDE, "envoy.filters.http.stateful_session",
                     compose_session(translation, backend->cluster->session,
                                     backend->cluster->name));
    }
    return weight;
}

/* ---- forwarding ------------------------------------------------------------------------------ */

static uint64_t total_weight(const struct graph_rule *rule)
{
    uint64_t total = 0;
    for (size_t i = 0; i < rule->spec->backend_refs.count; i++) {
        total += (uint64_t)rule->spec->backend_refs.items[i].weight;
    }
    return total;
}

static void add_mirror(struct arena *arena, const struct request_mirror *mirror,
                       const struct graph_backend *backend,
                       Envoy__Config__Route__V3__RouteAction *action)
{
    if (!backend->cluster) {
        return;
    }
    Envoy__Config__Route__V3__RouteAction__RequestMirrorPolicy *policy =
        compose_new(arena, &ROUTE_TYPE(route_action__request_mirror_policy));
    policy->cluster = compose_string(arena, backend->cluster->name);
    policy->disable_shadow_host_suffix_append = true;
    Envoy__Type__V3__FractionalPercent *share =
        compose_new(arena, &envoy__type__v3__fractional_percent__descriptor);
    share->numerator = mirror->has_percent ? (uint32_t)mirror->percent : 100;
    if (mirror->fraction && mirror->fraction->denominator > 0) {
        share->denominator = ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__MILLION;
        share->numerator = (uint32_t)((uint64_t)mirror->fraction->numerator * 1000000 /
                                      (uint64_t)mirror->fraction->denominator);
    }
    policy->runtime_fraction =
        compose_new(arena, &CORE_TYPE(runtime_fractional_percent));
    policy->runtime_fraction->default_value = share;
    COMPOSE_ADD(arena, action, request_mirror_policies, policy);
}

static void set_retry(struct arena *arena, const struct http_rule *rule,
                      Envoy__Config__Route__V3__RouteAction *action)
{
    const struct route_timeouts *timeouts = rule->timeouts;
    uint64_t request_ms = timeouts && timeouts->has_request ? (uint64_t)timeouts->request_ms : 0;
    uint64_t try_ms =
        timeouts && timeouts->has_backend_request ? (uint64_t)timeouts->backend_request_ms : 0;
    try_ms = request_ms && try_ms > request_ms ? request_ms : try_ms;
    action->timeout = compose_duration_ms(arena, request_ms);
    bool retries = rule->retry && rule->retry->attempts > 0;
    if (!retries && try_ms == 0) {
        return;
    }
    Envoy__Config__Route__V3__RetryPolicy *policy = compose_new(arena, &ROUTE_TYPE(retry_policy));
    policy->num_retries = compose_uint32(arena, retries ? (uint32_t)rule->retry->attempts : 0);
    if (try_ms) {
        policy->per_try_timeout = compose_duration_ms(arena, try_ms);
    }
    if (retries) {
        policy->retry_on = compose_string(
            arena, rule->retry->codes.count
                       ? TEXT("connect-failure,refused-stream,retriable-status-codes")
                       : TEXT("connect-failure,refused-stream"));
        for (size_t i = 0; i < rule->retry->codes.count; i++) {
            COMPOSE_ADD(arena, policy, retriable_status_codes,
                        (uint32_t)rule->retry->codes.items[i]);
        }
        if (rule->retry->has_backoff && rule->retry->backoff_ms > 0) {
            policy->retry_back_off = compose_new(arena, &ROUTE_TYPE(retry_policy__retry_back_off));
            policy->retry_back_off->base_interval =
                compose_duration_ms(arena, (uint64_t)rule->retry->backoff_ms);
        }
    }
    action->retry_policy = policy;
}

static void set_forward(struct translation *translation, const struct route_source *source,
                        Envoy__Config__Route__V3__Route *route)
{
    struct arena *arena = &translation->arena;
    const struct graph_rule *rule = source->rule;
    Envoy__Config__Route__V3__RouteAction *action = compose_new(arena, &ROUTE_TYPE(route_action));
    action->cluster_specifier_case =
        ROUTE_WORD(ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS);
    action->weighted_clusters = compose_new(arena, &ROUTE_TYPE(weighted_cluster));
    for (size_t i = 0; i < rule->spec->backend_refs.count; i++) {
        COMPOSE_ADD(arena, action->weighted_clusters, clusters,
                    compose_weight(translation, source, &rule->backends[i]));
        if (!rule->backends[i].cluster && translation->options->for_envoy) {
            action->cluster_not_found_response_code =
                ROUTE_WORD(ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__INTERNAL_SERVER_ERROR);
        }
    }
    for (size_t i = 0; i < rule->spec->filters.count; i++) {
        if (rule->spec->filters.items[i].type == FILTER_REQUEST_MIRROR) {
            add_mirror(arena, rule->spec->filters.items[i].request_mirror, &rule->mirrors[i],
                       action);
        }
    }
    set_retry(arena, rule->spec, action);
    route->action_case = ROUTE_WORD(ROUTE__ACTION_ROUTE);
    route->route = action;
}

/* ---- the route ------------------------------------------------------------------------------- */

static const struct request_redirect *find_redirect(const struct http_rule *rule)
{
    for (size_t i = 0; i < rule->filters.count; i++) {
        if (rule->filters.items[i].type == FILTER_REQUEST_REDIRECT) {
            return rule->filters.items[i].request_redirect;
        }
    }
    return NULL;
}

static void set_action(struct translation *translation, const struct route_source *source,
                       Envoy__Config__Route__V3__Route *route)
{
    struct arena *arena = &translation->arena;
    const struct graph_rule *rule = source->rule;
    const struct request_redirect *redirect = find_redirect(rule->spec);
    if (rule->refusal) {
        set_direct(arena, route, text_from_string(rule->refusal));
    } else if (redirect) {
        set_redirect(arena, source, redirect, route);
    } else if (total_weight(rule) == 0) {
        set_direct(arena, route, TEXT("no_backend"));
    } else {
        set_forward(translation, source, route);
    }
}

static void add_filters(struct translation *translation, const struct route_source *source,
                        Envoy__Config__Route__V3__Route *route)
{
    struct arena *arena = &translation->arena;
    struct header_edits request = { 0 };
    struct header_edits response = { 0 };
    bool forwards = route->action_case == ROUTE_WORD(ROUTE__ACTION_ROUTE);
    for (size_t i = 0; i < source->rule->spec->filters.count; i++) {
        const struct route_filter *filter = &source->rule->spec->filters.items[i];
        if (filter->type == FILTER_REQUEST_HEADER_MODIFIER) {
            compose_header_edits(translation, filter->request_header_modifier, &request);
        } else if (filter->type == FILTER_RESPONSE_HEADER_MODIFIER) {
            compose_header_edits(translation, filter->response_header_modifier, &response);
        } else if (filter->type == FILTER_CORS) {
            ADD_OVERRIDE(arena, route, ROUTE_OVERRIDE, "envoy.filters.http.cors",
                         compose_cors(arena, filter->cors));
        } else if (filter->type == FILTER_URL_REWRITE && forwards) {
            add_rewrite(translation, source, filter->url_rewrite, route);
        }
    }
    route->request_headers_to_add = request.add;
    route->n_request_headers_to_add = request.n_add;
    route->request_headers_to_remove = request.remove;
    route->n_request_headers_to_remove = request.n_remove;
    route->response_headers_to_add = response.add;
    route->n_response_headers_to_add = response.n_add;
    route->response_headers_to_remove = response.remove;
    route->n_response_headers_to_remove = response.n_remove;
    if (source->rule->spec->session_persistence && forwards) {
        /* One session for all matches of the rule. */
        struct text key = text_from_string(route->name);
        while (text_find_byte(text_from(key, key.size - 1), '/') == 1) {
            key.size--;
        }
        ADD_OVERRIDE(arena, route, ROUTE_OVERRIDE, "envoy.filters.http.stateful_session",
                     compose_session(translation, source->rule->spec->session_persistence, key));
    }
}

Envoy__Config__Route__V3__Route *compose_route(struct translation *translation,
                                               const struct route_source *source)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Route__V3__Route *route = compose_new(arena, &ROUTE_TYPE(route));
    route->name = compose_name(arena, source);
    route->match = compose_match(arena, &source->rule->spec->matches.items[source->match]);
    set_action(translation, source, route);
    add_filters(translation, source, route);
    return route;
}
