/* What routes become: header modifiers in their order, targets, retries, redirects, filters; what
 * has no effect, and exact errors. */
#include "proxy/compile_make_test.h"

static OPTION *make_option(const char *name, const char *value,
                           Envoy__Config__Core__V3__HeaderValueOption__HeaderAppendAction action)
{
    OPTION *option = compose_new(&arena, &envoy__config__core__v3__header_value_option__descriptor);
    option->header = compose_new(&arena, &envoy__config__core__v3__header_value__descriptor);
    option->header->key = compose_string(&arena, text_from_string(name));
    option->header->value = compose_string(&arena, text_from_string(value));
    option->append_action = action;
    return option;
}

#define ACTION(which)  ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__##which
#define SET            ACTION(OVERWRITE_IF_EXISTS_OR_ADD)
#define ADD            ACTION(APPEND_IF_EXISTS_OR_ADD)
#define WEIGHTED(name) envoy__config__route__v3__weighted_cluster__cluster_weight__##name
#define SESSION(x)     envoy__extensions__filters__http__stateful_session__v3__stateful_session##x

static ROUTES *one_route(ROUTE **out_route)
{
    static const char *const lines[] = { "host a *", "one /one", NULL };
    ROUTES *routes = script_message(&arena, lines);
    *out_route = routes->virtual_hosts[0]->routes[0];
    return routes;
}

static WEIGHT *add_weight(ROUTE *route, const char *cluster, uint32_t weight)
{
    if (route->route->weighted_clusters == NULL ||
        route->route->cluster_specifier_case !=
            ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS) {
        route->route->cluster_specifier_case =
            ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS;
        route->route->weighted_clusters =
            compose_new(&arena, &envoy__config__route__v3__weighted_cluster__descriptor);
    }
    WEIGHT *added = compose_new(
        &arena, &envoy__config__route__v3__weighted_cluster__cluster_weight__descriptor);
    added->name = compose_string(&arena, text_from_string(cluster));
    added->weight = compose_uint32(&arena, weight);
    COMPOSE_ADD(&arena, route->route->weighted_clusters, clusters, added);
    return added;
}

/* The plan with this one RouteConfiguration; *out_route is its first route. */
static struct plan *plan_of(ROUTES *routes, const struct route **out_route)
{
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    must_set(TYPE_ROUTES, "routes", &routes->base);
    struct plan *plan = compiler_build(compiler);
    *out_route = &plan->listeners[0]->routes->entries[0].routes[0].route;
    return plan;
}

/* Names of header values in the order in which the filters of both lists set them. */
static void list_sets(const struct route *route, const struct filter_type *type, bool backwards,
                      char out[64])
{
    const struct filter *all[16];
    unsigned count = 0;
    for (unsigned i = 0; i < route->filter_count; i++) {
        all[count++] = &route->filters[i];
    }
    for (unsigned i = 0; i < route->targets[0].filter_count; i++) {
        all[count++] = &route->targets[0].filters[i];
    }
    out[0] = '\0';
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct filter *filter = all[backwards ? count - 1 - i : i];
        const struct header_modifier *modifier = filter->config;
        if (filter->type == type && modifier->set_count > 0) {
            size +=
                (size_t)snprintf(out + size, 64 - size, "%.*s", TEXT_ARG(modifier->set[0].value));
        }
    }
}

/* R RouteConfiguration, V virtual host, r route, t target. */
static void modifiers_run_in_the_order_of_the_api(void **state)
{
    for (int wins = 0; wins < 2; wins++) {
        for (int own = 0; own < 2; own++) {
            ROUTE *message;
            const struct route *route;
            char order[64];
            ROUTES *routes = one_route(&message);
            WEIGHT *weight = add_weight(message, "c", 1);
            routes->most_specific_header_mutations_wins = wins;
            COMPOSE_ADD(&arena, routes, request_headers_to_add, make_option("x", "R", SET));
            COMPOSE_ADD(&arena, routes, response_headers_to_add, make_option("x", "R", SET));
            COMPOSE_ADD(&arena, routes->virtual_hosts[0], request_headers_to_add,
                        make_option("x", "V", SET));
            COMPOSE_ADD(&arena, routes->virtual_hosts[0], response_headers_to_add,
                        make_option("x", "V", SET));
            COMPOSE_ADD(&arena, message, request_headers_to_add, make_option("x", "r", SET));
            COMPOSE_ADD(&arena, message, response_headers_to_add, make_option("x", "r", SET));
            if (own) {
                COMPOSE_ADD(&arena, weight, request_headers_to_add, make_option("x", "t", SET));
                COMPOSE_ADD(&arena, weight, response_headers_to_add, make_option("x", "t", SET));
            }
            struct plan *plan = plan_of(routes, &route);
            const char *expected = own ? (wins ? "RVrt" : "trVR") : (wins ? "RVr" : "rVR");
            list_sets(route, &request_header_modifier_filter, false, order);
            assert_string_equal(order, expected);
            list_sets(route, &response_header_modifier_filter, true, order);
            assert_string_equal(order, expected);
            plan_unref(plan);
        }
    }
}

static void header_values_are_read(void **state)
{
    ROUTE *message;
    const struct route *route;
    ROUTES *routes = one_route(&message);
    COMPOSE_ADD(&arena, message, request_headers_to_add, make_option("a", "50%% off", SET));
    COMPOSE_ADD(&arena, message, request_headers_to_add, make_option("b", "100%", ADD));
    COMPOSE_ADD(&arena, message, request_headers_to_add, make_option("c", "later", SET));
    COMPOSE_ADD(&arena, message, request_headers_to_add, make_option("Content-Length", "1", SET));
    COMPOSE_ADD(&arena, message, request_headers_to_add, make_option("host", "x", SET));
    COMPOSE_ADD(&arena, message, request_headers_to_remove, compose_string(&arena, TEXT("d")));
    struct plan *plan = plan_of(routes, &route);
    assert_int_equal(route->filter_count, 2); /* set after add needs a second one */
    const struct header_modifier *first = route->filters[0].config;
    const struct header_modifier *second = route->filters[1].config;
    assert_string_equal(first->remove[0].at, "d");
    assert_true(text_equal(first->set[0].value, TEXT("50% off")));
    assert_true(text_equal(first->add[0].value, TEXT("100%")));
    assert_int_equal(second->set_count, 1);
    assert_string_equal(second->set[0].name.at, "c");
    plan_unref(plan);
}

static void targets_are_weighted(void **state)
{
    ROUTE *message;
    const struct route *route;
    ROUTES *routes = one_route(&message);
    add_weight(message, "blue", 9);
    WEIGHT *invalid = add_weight(message, "invalid/BackendNotFound", 1);
    Weft__V1__DirectResponse *direct = compose_new(&arena, &weft__v1__direct_response__descriptor);
    direct->status = 500;
    direct->reason = compose_string(&arena, TEXT("BackendNotFound"));
    COMPOSE_ADD(&arena, invalid, typed_per_filter_config,
                compose_entry(&arena, &WEIGHTED(typed_per_filter_config_entry__descriptor),
                              TEXT("weft.direct_response"), compose_any(&arena, &direct->base)));
    message->route->timeout = compose_duration_ms(&arena, 0);
    struct plan *plan = plan_of(routes, &route);
    assert_int_equal(route->action, ROUTE_FORWARD);
    assert_int_equal(route->target_count, 2);
    assert_int_equal(route->total_weight, 10);
    assert_int_equal(route->targets[0].cluster_id, cluster_id_of(TEXT("blue")));
    assert_int_equal(route->targets[1].cluster_id, UINT32_MAX);
    assert_int_equal(route->targets[1].direct_status, 500);
    assert_string_equal(route->targets[1].direct_reason.at, "BackendNotFound");
    assert_int_equal(route->timeout_ms, 0);
    assert_null(plan->clusters_by_id[route->targets[0].cluster_id]); /* no such cluster: 503 */
    plan_unref(plan);
}

static void timeouts_and_retries_are_read(void **state)
{
    ROUTE *message;
    const struct route *route;
    ROUTES *routes = one_route(&message);
    Envoy__Config__Route__V3__RetryPolicy *retry =
        compose_new(&arena, &envoy__config__route__v3__retry_policy__descriptor);
    retry->retry_on = compose_string(
        &arena, TEXT("connect-failure,refused-stream, retriable-status-codes,unheard-of"));
    retry->num_retries = compose_uint32(&arena, 3);
    retry->per_try_timeout = compose_duration_ms(&arena, 250);
    COMPOSE_ADD(&arena, retry, retriable_status_codes, 500);
    COMPOSE_ADD(&arena, retry, retriable_status_codes, 503);
    retry->retry_back_off =
        compose_new(&arena, &envoy__config__route__v3__retry_policy__retry_back_off__descriptor);
    retry->retry_back_off->base_interval = compose_duration_ms(&arena, 100);
    message->route->retry_policy = retry;
    struct plan *plan = plan_of(routes, &route);
    assert_int_equal(route->timeout_ms, 15000); /* unset means that by the API */
    assert_int_equal(route->per_try_timeout_ms, 250);
    assert_int_equal(route->retry.attempts, 3);
    assert_true(route->retry.connect_failure);
    assert_false(route->retry.reset);
    assert_true(retry_policy_has_status(&route->retry, 500));
    assert_true(retry_policy_has_status(&route->retry, 503));
    assert_false(retry_policy_has_status(&route->retry, 502));
    assert_int_equal(route->retry.backoff_base_ms, 100);
    assert_int_equal(route->retry.backoff_max_ms, 1000);
    plan_unref(plan);
}

static void redirects_are_read(void **state)
{
    ROUTE *message;
    const struct route *route;
    ROUTES *routes = one_route(&message);
    message->action_case = ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_REDIRECT;
    message->redirect = compose_new(&arena, &envoy__config__route__v3__redirect_action__descriptor);
    message->redirect->host_redirect = compose_string(&arena, TEXT("other.example"));
    message->redirect->response_code = 4;
    message->redirect->port_redirect = 8443;
    message->redirect->path_rewrite_specifier_case =
        ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__PATH_REWRITE_SPECIFIER_PREFIX_REWRITE;
    message->redirect->prefix_rewrite = compose_string(&arena, TEXT("/two"));
    struct plan *plan = plan_of(routes, &route);
    char into[128];
    struct text location;
    assert_int_equal(route->action, ROUTE_REDIRECT);
    assert_int_equal(route->redirect->status, 308);
    assert_true(redirect_format(route->redirect, TEXT("http"), TEXT("a"), 8080, TEXT("/one/x"),
                                TEXT("q=1"), into, sizeof(into), &location));
    assert_true(text_equal(location, TEXT("http://other.example:8443/two/x?q=1")));
    plan_unref(plan);
}

static ProtobufCMessage *route_override(ROUTE *route, const char *name, ProtobufCMessage *config)
{
    COMPOSE_ADD(
        &arena, route, typed_per_filter_config,
        compose_entry(&arena,
                      &envoy__config__route__v3__route__typed_per_filter_config_entry__descriptor,
                      text_from_string(name), compose_any(&arena, config)));
    return config;
}

static ProtobufCMessage *make_session(const char *name)
{
    Weft__V1__SessionState *state_message =
        compose_new(&arena, &weft__v1__session_state__descriptor);
    state_message->name = compose_string(&arena, text_from_string(name));
    state_message->cookie_path = compose_string(&arena, TEXT("/"));
    state_message->idle_timeout_ms = 1500;
    Envoy__Extensions__Filters__Http__StatefulSession__V3__StatefulSessionPerRoute *session =
        compose_new(&arena, &SESSION(_per_route__descriptor));
    session->override_case = 2;
    session->stateful_session = compose_new(&arena, &SESSION(__descriptor));
    session->stateful_session->session_state =
        compose_new(&arena, &envoy__config__core__v3__typed_extension_config__descriptor);
    session->stateful_session->session_state->name = compose_string(&arena, TEXT("x"));
    session->stateful_session->session_state->typed_config =
        compose_any(&arena, &state_message->base);
    return &session->base;
}

static void filters_of_a_route_are_read(void **state)
{
    ROUTE *message;
    const struct route *route;
    ROUTES *routes = one_route(&message);
    Envoy__Extensions__Filters__Http__Cors__V3__CorsPolicy *cors =
        compose_new(&arena, &envoy__extensions__filters__http__cors__v3__cors_policy__descriptor);
    COMPOSE_ADD(&arena, cors, allow_origin_string_match,
                script_string(&arena, '=', TEXT("https://*.Foo.com:8443")));
    COMPOSE_ADD(&arena, cors, allow_origin_string_match, script_string(&arena, '~', TEXT(".*")));
    cors->allow_methods = compose_string(&arena, TEXT("GET, PUT"));
    Weft__V1__UrlRewrite *rewrite = compose_new(&arena, &weft__v1__url_rewrite__descriptor);
    rewrite->has_prefix = true;
    rewrite->prefix = compose_string(&arena, TEXT("/v2"));
    route_override(message, "envoy.filters.http.cors", &cors->base);
    route_override(message, "weft.url_rewrite", &rewrite->base);
    route_override(message, "envoy.filters.http.stateful_session", make_session("pin"));
    message->route->host_rewrite_specifier_case = 6;
    message->route->host_rewrite_literal = compose_string(&arena, TEXT("inner.example"));
    struct plan *plan = plan_of(routes, &route);
    assert_int_equal(route->filter_count, 2);
    assert_ptr_equal(route->filters[0].type, &cors_filter);
    const struct cors_policy *policy = route->filters[0].config;
    assert_int_equal(policy->origin_count, 2);
    assert_true(text_equal(policy->origins[0].host, TEXT("foo.com")));
    assert_true(policy->origins[0].wildcard);
    assert_int_equal(policy->origins[0].port, 8443);
    assert_true(policy->origins[1].any);
    assert_ptr_equal(route->filters[1].type, &url_rewrite_filter);
    const struct url_rewrite *url = route->filters[1].config;
    assert_string_equal(url->host.at, "inner.example");
    assert_string_equal(url->prefix.at, "/v2");
    assert_string_equal(url->matched_prefix.at, "/one");
    assert_string_equal(route->session->name.at, "pin");
    assert_int_equal(route->session->idle_s, 2);
    plan_unref(plan);
}

static void pin_weight(WEIGHT *weight, const char *name)
{
    COMPOSE_ADD(&arena, weight, typed_per_filter_config,
                compose_entry(&arena, &WEIGHTED(typed_per_filter_config_entry__descriptor),
                              TEXT("envoy.filters.http.stateful_session"),
                              compose_any(&arena, make_session(name))));
}

/* A share may pin its own endpoints; where it is the only one, that is the route's session. */
static void sessions_of_shares_are_read(void **state)
{
    ROUTE *message;
    const struct route *route;
    ROUTES *routes = one_route(&message);
    pin_weight(add_weight(message, "blue", 1), "blue");
    struct plan *one = plan_of(routes, &route);
    assert_string_equal(route->targets[0].session->name.at, "blue");
    assert_ptr_equal(route->session, route->targets[0].session);
    plan_unref(one);
    add_weight(message, "green", 1);
    route_override(message, "envoy.filters.http.stateful_session", make_session("both"));
    struct plan *two = plan_of(routes, &route);
    assert_string_equal(route->targets[0].session->name.at, "blue");
    assert_string_equal(route->targets[1].session->name.at, "both");
    assert_string_equal(route->session->name.at, "both");
    plan_unref(two);
}

static void count_note(void *owner, struct text where, uint64_t count)
{
    uint64_t *found = owner;
    if (text_equal(where, TEXT("envoy.config.route.v3.RouteAction.hash_policy")) ||
        text_equal(where, TEXT("RetryPolicy.retry_on unheard-of")) ||
        text_equal(where, TEXT("header modifier of host or a framing field"))) {
        *found += count;
    }
}

static void what_has_no_effect_is_noted(void **state)
{
    ROUTE *message;
    const struct route *route;
    uint64_t found = 0;
    ROUTES *routes = one_route(&message);
    Envoy__Config__Route__V3__RouteAction__HashPolicy *hash =
        compose_new(&arena, &envoy__config__route__v3__route_action__hash_policy__descriptor);
    hash->policy_specifier_case = 3;
    hash->connection_properties = compose_new(
        &arena,
        &envoy__config__route__v3__route_action__hash_policy__connection_properties__descriptor);
    COMPOSE_ADD(&arena, message->route, hash_policy, hash);
    COMPOSE_ADD(&arena, message, request_headers_to_remove,
                compose_string(&arena, TEXT("Connection")));
    plan_unref(plan_of(routes, &route));
    compiler_each_unsupported(compiler, &found, count_note);
    assert_int_equal(found, 2);
}

static void break_cluster_header(ROUTE *route)
{
    route->route->cluster_specifier_case = 2;
    route->route->cluster_header = compose_string(&arena, TEXT("x"));
}

static void break_weights(ROUTE *route)
{
    add_weight(route, "a", UINT32_MAX);
    add_weight(route, "b", 1);
}

static void break_rewrite(ROUTE *route)
{
    route->route->prefix_rewrite = compose_string(&arena, TEXT("no-slash"));
}

static void break_substitution(ROUTE *route)
{
    COMPOSE_ADD(&arena, route, request_headers_to_add, make_option("a", "%REQ(:path)%", SET));
}

static void break_header_name(ROUTE *route)
{
    COMPOSE_ADD(&arena, route, response_headers_to_remove, compose_string(&arena, TEXT("a b")));
}

static void break_pseudo(ROUTE *route)
{
    script_header(&arena, route->match, TEXT(":scheme=http"));
}

static void break_fraction(ROUTE *route)
{
    route->match->runtime_fraction =
        compose_new(&arena, &envoy__config__core__v3__runtime_fractional_percent__descriptor);
    route->match->runtime_fraction->default_value =
        compose_new(&arena, &envoy__type__v3__fractional_percent__descriptor);
    route->match->runtime_fraction->default_value->numerator = 50;
}

static void break_session(ROUTE *route)
{
    Envoy__Extensions__Filters__Http__Cors__V3__CorsPolicy *cors =
        compose_new(&arena, &envoy__extensions__filters__http__cors__v3__cors_policy__descriptor);
    route_override(route, "envoy.filters.http.stateful_session", &cors->base);
}

static void break_slash(ROUTE *route)
{
    route->match->path_separated_prefix = compose_string(&arena, TEXT("/a/"));
}

static void refuses_bad_routes(void **state)
{
    static const struct {
        void (*spoil)(ROUTE *route);
        const char *error;
    } cases[] = {
        { break_cluster_header, "route: cluster_header: not supported" },
        { break_weights, "route: weighted_clusters: the weights add up to more than 4294967295" },
        { break_rewrite, "route: prefix_rewrite: \"no-slash\" does not begin with \"/\"" },
        { break_substitution,
          "request_headers_to_add[0]: header.value: \"%REQ(:path)%\" is a substitution, which is "
          "not supported; write \"%%\" for a percent sign" },
        { break_header_name, "response_headers_to_remove[0]" },
        { break_pseudo, "match: headers[0]: name: \":scheme\" is no header name" },
        { break_fraction, "match: runtime_fraction: not supported; use weighted_clusters" },
        { break_session, "typed_per_filter_config[\"envoy.filters.http.stateful_session\"]" },
        { break_slash, "match: path_separated_prefix" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = { 0 };
        ROUTE *route;
        ROUTES *routes = one_route(&route);
        cases[i].spoil(route);
        assert_false(set(TYPE_ROUTES, "routes", &routes->base, &error));
        if (strstr(error.text, cases[i].error) == NULL) {
            print_message("case %zu: %s\n", i, error.text);
            assert_non_null(strstr(error.text, "routes[0]"));
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(modifiers_run_in_the_order_of_the_api),
        TEST(header_values_are_read),
        TEST(targets_are_weighted),
        TEST(timeouts_and_retries_are_read),
        TEST(redirects_are_read),
        TEST(filters_of_a_route_are_read),
        TEST(sessions_of_shares_are_read),
        TEST(what_has_no_effect_is_noted),
        TEST(refuses_bad_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
