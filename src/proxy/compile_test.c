/* The plan compiler from bytes: what listeners, routes and clusters become, exact errors, the older
 * version staying in force, and sharing of what did not change. */
#include "proxy/compile_make_test.h"

static const char *const two_hosts[] = { "host a a", "one /one", "host b b", "two /two", NULL };

static void listeners_have_safe_defaults(void **state)
{
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    struct plan *plan = compiler_build(compiler);
    assert_int_equal(plan->listener_count, 1);
    const struct plan_listener *listener = plan->listeners[0];
    const struct listener_limits *limits = &listener->limits;
    assert_int_equal(listener->address.port, 8080);
    assert_int_equal(limits->request_line_bytes, 8192);
    assert_int_equal(limits->header_bytes, 65536);
    assert_int_equal(limits->header_fields, 100);
    assert_int_equal(limits->header_timeout_ms, 10000);
    assert_int_equal(limits->idle_timeout_ms, 75000);
    assert_int_equal(limits->stream_idle_timeout_ms, 300000);
    assert_int_equal(limits->request_timeout_ms, 0);
    assert_int_equal(limits->max_connections, 0);
    assert_null(listener->routes);
    assert_false(listener->upgrades);
    assert_false(listener->access_log);
    plan_unref(plan);
}

static void add_options(MANAGER *manager)
{
    Weft__V1__ListenerOptions *options =
        compose_new(&arena, &weft__v1__listener_options__descriptor);
    options->max_connections = 7;
    options->body_bytes = 1 << 20;
    options->path_rules = compose_new(&arena, &weft__v1__path_rules__descriptor);
    options->path_rules->backslash = WEFT__V1__PATH_RULE__PATH_RULE_KEEP;
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter *filter =
        compose_new(&arena, &MANAGER_PACKAGE(http_filter__descriptor));
    filter->name = compose_string(&arena, TEXT("weft.listener_options"));
    filter->config_type_case = 4;
    filter->typed_config = compose_any(&arena, &options->base);
    COMPOSE_ADD(&arena, manager, http_filters, filter);
}

static void listeners_take_options(void **state)
{
    MANAGER *manager = make_manager("routes");
    manager->request_headers_timeout = compose_duration_ms(&arena, 50);
    manager->stream_idle_timeout = compose_duration_ms(&arena, 0);
    manager->request_timeout = compose_duration_ms(&arena, 1500);
    manager->max_request_headers_kb = compose_uint32(&arena, 16);
    manager->xff_num_trusted_hops = 2;
    manager->merge_slashes = true;
    manager->path_with_escaped_slashes_action =
        MANAGER_OF(PATH_WITH_ESCAPED_SLASHES_ACTION__KEEP_UNCHANGED);
    manager->common_http_protocol_options =
        compose_new(&arena, &envoy__config__core__v3__http_protocol_options__descriptor);
    manager->common_http_protocol_options->max_requests_per_connection = compose_uint32(&arena, 9);
    add_options(manager);
    must_set(TYPE_LISTENER, "l", &make_listener("l", manager)->base);
    set_script(two_hosts);
    struct plan *plan = compiler_build(compiler);
    const struct plan_listener *listener = plan->listeners[0];
    assert_int_equal(listener->limits.header_timeout_ms, 50);
    assert_int_equal(listener->limits.stream_idle_timeout_ms, UINT32_MAX);
    assert_int_equal(listener->limits.request_timeout_ms, 1500);
    assert_int_equal(listener->limits.header_bytes, 16384);
    assert_int_equal(listener->limits.max_requests_per_connection, 9);
    assert_int_equal(listener->limits.max_connections, 7);
    assert_int_equal(listener->limits.body_bytes, 1 << 20);
    assert_int_equal(listener->trusted_hops, 2);
    assert_true(listener->path_rules.merge_slashes);
    assert_int_equal(listener->path_rules.encoded_slash, PATH_KEEP);
    assert_int_equal(listener->path_rules.backslash, PATH_KEEP);
    assert_int_equal(listener->path_rules.double_slash, PATH_REFUSE);
    plan_unref(plan);
}

/* Ambiguous slashes are refused as soon as a route is for part of the paths. */
static void slashes_follow_the_routes(void **state)
{
    static const char *const open[] = { "host a *", "all /", NULL };
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    set_script(open);
    struct plan *before = compiler_build(compiler);
    assert_int_equal(before->listeners[0]->path_rules.encoded_slash, PATH_KEEP);
    set_script(two_hosts);
    struct plan *after = compiler_build(compiler);
    assert_int_equal(after->listeners[0]->path_rules.encoded_slash, PATH_REFUSE);
    plan_unref(before);
    plan_unref(after);
}

static void break_chain(LISTENER *listener)
{
    listener->filter_chains[0]->transport_socket =
        compose_new(&arena, &envoy__config__core__v3__transport_socket__descriptor);
    listener->filter_chains[0]->transport_socket->name = compose_string(&arena, TEXT("tls"));
}

static void break_match(LISTENER *listener)
{
    Envoy__Config__Listener__V3__FilterChainMatch *match =
        compose_new(&arena, &envoy__config__listener__v3__filter_chain_match__descriptor);
    COMPOSE_ADD(&arena, match, server_names, compose_string(&arena, TEXT("a")));
    listener->filter_chains[0]->filter_chain_match = match;
}

static void break_address(LISTENER *listener)
{
    listener->address = make_address("localhost", 80);
}

static void break_port(LISTENER *listener)
{
    listener->address = make_address("::1", 65536);
}

static void break_name(LISTENER *listener)
{
    listener->name = compose_string(&arena, TEXT("other"));
}

static void break_filters(LISTENER *listener)
{
    listener->filter_chains[0]->n_filters = 0;
}

static void refuses_bad_listeners(void **state)
{
    static const struct {
        void (*spoil)(LISTENER *listener);
        const char *error;
    } cases[] = {
        { break_chain, "filter_chains[0].transport_socket: TLS is not supported" },
        { break_match, "filter_chains[0].filter_chain_match: not supported" },
        { break_address, "address.socket_address.address: \"localhost\" is no IP address" },
        { break_port, "address.socket_address.port_value: " },
        { break_name, "name: \"other\" in a resource named \"l\"" },
        { break_filters,
          "filter_chains[0].filters: exactly one HttpConnectionManager is supported" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = { 0 };
        LISTENER *listener = make_listener("l", make_manager("routes"));
        cases[i].spoil(listener);
        assert_false(set(TYPE_LISTENER, "l", &listener->base, &error));
        if (strncmp(error.text, cases[i].error, strlen(cases[i].error)) != 0) {
            fail_msg("case %zu: %s", i, error.text);
        }
    }
}

static void the_older_version_stays(void **state)
{
    static const char *const bad[] = { "host a a", "one ~(", NULL };
    struct error error;
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    must_set(TYPE_CLUSTER, "c", &make_cluster("c")->base);
    must_set(TYPE_ENDPOINTS, "c", &make_assignment("c", "10.0.0.1", 80)->base);
    set_script(two_hosts);
    struct plan *before = compiler_build(compiler);
    assert_false(set(TYPE_ROUTES, "routes", &script_message(&arena, bad)->base, &error));
    assert_false(compiler_set(compiler, TYPE_ROUTES, TEXT("routes"), TEXT("\x0a\xff"), &error));
    assert_false(compiler_set(compiler, TYPE_LISTENER, TEXT("l"), TEXT("\xff"), &error));
    assert_false(compiler_set(compiler, TYPE_CLUSTER, TEXT("c"), TEXT("\x0a\x02\xff\xff"), &error));
    assert_false(set(TYPE_ENDPOINTS, "c", &make_assignment("c", "name", 80)->base, &error));
    assert_string_equal(error.text,
                        "endpoints[0].lb_endpoints[0]: endpoint: address.socket_address.address: "
                        "\"name\" is no IP address; names need a cluster of type STRICT_DNS");
    assert_false(
        compiler_set(compiler, TEXT("type.googleapis.com/x.Y"), TEXT("c"), TEXT(""), &error));
    struct plan *after = compiler_build(compiler);
    assert_ptr_equal(before->listeners[0], after->listeners[0]);
    assert_ptr_equal(map_find(&before->clusters, TEXT("c")), map_find(&after->clusters, TEXT("c")));
    assert_true(after->generation > before->generation);
    plan_unref(before);
    plan_unref(after);
}

static const struct cluster_config *cluster_of(const struct plan *plan, const char *name)
{
    return map_find(&plan->clusters, text_from_string(name));
}

static void what_did_not_change_is_shared(void **state)
{
    static const char *const changed[] = { "host a a", "one /one", "host b b", "other /other",
                                           NULL };
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    must_set(TYPE_LISTENER, "m", &make_listener("m", make_manager("others"))->base);
    must_set(TYPE_CLUSTER, "c", &make_cluster("c")->base);
    must_set(TYPE_CLUSTER, "d", &make_cluster("d")->base);
    must_set(TYPE_ENDPOINTS, "c", &make_assignment("c", "10.0.0.1", 80)->base);
    set_script(two_hosts);
    struct plan *first = compiler_build(compiler);

    must_set(TYPE_ENDPOINTS, "c", &make_assignment("c", "10.0.0.2", 80)->base);
    struct plan *second = compiler_build(compiler);
    assert_ptr_equal(first->listeners[0], second->listeners[0]);
    assert_ptr_not_equal(cluster_of(first, "c"), cluster_of(second, "c"));
    assert_ptr_equal(cluster_of(first, "d"), cluster_of(second, "d"));
    assert_int_equal(cluster_of(first, "c")->id, cluster_of(second, "c")->id);
    assert_ptr_equal(second->clusters_by_id[cluster_of(second, "c")->id], cluster_of(second, "c"));
    assert_string_equal(cluster_of(first, "c")->endpoints[0].text.at, "10.0.0.1:80");

    set_script(changed);
    must_set(TYPE_ENDPOINTS, "c", &make_assignment("c", "10.0.0.2", 80)->base);
    struct plan *third = compiler_build(compiler);
    assert_ptr_not_equal(second->listeners[0], third->listeners[0]);
    assert_ptr_equal(second->listeners[1], third->listeners[1]);
    const struct plan_routes *before = second->listeners[0]->routes;
    const struct plan_routes *after = third->listeners[0]->routes;
    assert_ptr_equal(before->entries[0].host, after->entries[0].host);
    assert_ptr_not_equal(before->entries[1].host, after->entries[1].host);
    assert_ptr_equal(cluster_of(second, "c"), cluster_of(third, "c"));
    plan_unref(first);
    plan_unref(second);
    plan_unref(third);
}

/* Above sixteen changed virtual hosts go the other way through the decoder. */
static void many_hosts_are_decoded_together(void **state)
{
    static char lines[60][48];
    const char *script[61] = { 0 };
    for (unsigned i = 0; i < 30; i++) {
        snprintf(lines[2 * i], sizeof(lines[0]), "host v%u h%u", i, i);
        snprintf(lines[2 * i + 1], sizeof(lines[0]), "r%u /r%u", i, i);
        script[2 * i] = lines[2 * i];
        script[2 * i + 1] = lines[2 * i + 1];
    }
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    set_script(script);
    struct plan *first = compiler_build(compiler);
    for (unsigned i = 5; i < 25; i++) {
        snprintf(lines[2 * i + 1], sizeof(lines[0]), "s%u /s%u", i, i);
    }
    set_script(script);
    struct plan *second = compiler_build(compiler);
    for (unsigned i = 0; i < 30; i++) {
        const struct host_entry *before = &first->listeners[0]->routes->entries[i];
        const struct host_entry *after = &second->listeners[0]->routes->entries[i];
        assert_int_equal(before->host == after->host, i < 5 || i >= 25);
        assert_int_equal(after->routes[0].route.key.at[0], i < 5 || i >= 25 ? 'r' : 's');
    }
    snprintf(lines[27], sizeof(lines[0]), "bad ~(");
    for (unsigned i = 14; i < 30; i++) {
        snprintf(lines[2 * i + 1], sizeof(lines[0]), "t%u /t%u", i, i);
    }
    struct error error;
    assert_false(set(TYPE_ROUTES, "routes", &script_message(&arena, script)->base, &error));
    assert_non_null(strstr(error.text, "virtual_hosts[13]: routes[0]: match: safe_regex.regex: "));
    plan_unref(first);
    plan_unref(second);
}

struct names {
    char text[512];
};

static void collect(void *owner, struct text type_url, struct text name)
{
    struct names *names = owner;
    size_t size = strlen(names->text);
    snprintf(names->text + size, sizeof(names->text) - size, "%.*s ", TEXT_ARG(name));
}

static void collect_host(void *owner, struct text name)
{
    collect(owner, TEXT(""), name);
}

static void tells_what_it_wants(void **state)
{
    struct names wanted = { { 0 } };
    struct names hosts = { { 0 } };
    CLUSTER *dns = make_cluster("dns");
    dns->type = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STRICT_DNS;
    dns->load_assignment = make_assignment("dns", "backend.example", 80);
    must_set(TYPE_LISTENER, "l", &make_listener("l", make_manager("routes"))->base);
    must_set(TYPE_LISTENER, "m", &make_listener("m", make_manager("routes"))->base);
    must_set(TYPE_CLUSTER, "c", &make_cluster("c")->base);
    must_set(TYPE_CLUSTER, "dns", &dns->base);
    compiler_each_wanted(compiler, &wanted, collect);
    assert_string_equal(wanted.text, "routes c ");
    compiler_each_dns_name(compiler, &hosts, collect_host);
    assert_string_equal(hosts.text, "backend.example ");
    compiler_remove(compiler, TYPE_CLUSTER, TEXT("c"));
    compiler_remove(compiler, TYPE_CLUSTER, TEXT("nobody"));
    memset(&wanted, 0, sizeof(wanted));
    compiler_each_wanted(compiler, &wanted, collect);
    assert_string_equal(wanted.text, "routes ");
}

static void names_are_resolved_from_outside(void **state)
{
    CLUSTER *dns = make_cluster("dns");
    dns->type = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STRICT_DNS;
    dns->load_assignment = make_assignment("dns", "backend.example", 80);
    must_set(TYPE_CLUSTER, "dns", &dns->base);
    struct plan *none = compiler_build(compiler);
    assert_int_equal(cluster_of(none, "dns")->endpoint_count, 0);
    assert_false(cluster_of(none, "dns")->dns_failed);
    compiler_set_addresses(compiler, TEXT("backend.example"), NULL, 0, true);
    struct plan *failed = compiler_build(compiler);
    assert_true(cluster_of(failed, "dns")->dns_failed);
    struct address addresses[2];
    assert_true(address_parse_ip(TEXT("10.0.0.2"), &addresses[0]));
    assert_true(address_parse_ip(TEXT("::1"), &addresses[1]));
    compiler_set_addresses(compiler, TEXT("backend.example"), addresses, 2, false);
    struct plan *both = compiler_build(compiler);
    assert_int_equal(cluster_of(both, "dns")->healthy_count, 2);
    assert_string_equal(cluster_of(both, "dns")->endpoints[0].hostname.at, "backend.example");
    /* The same answer again, and a failure after success, change nothing. */
    compiler_set_addresses(compiler, TEXT("backend.example"), addresses, 2, false);
    compiler_set_addresses(compiler, TEXT("backend.example"), NULL, 0, true);
    struct plan *same = compiler_build(compiler);
    assert_ptr_equal(cluster_of(both, "dns"), cluster_of(same, "dns"));
    plan_unref(none);
    plan_unref(failed);
    plan_unref(both);
    plan_unref(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(listeners_have_safe_defaults),    TEST(listeners_take_options),
        TEST(slashes_follow_the_routes),       TEST(refuses_bad_listeners),
        TEST(the_older_version_stays),         TEST(what_did_not_change_is_shared),
        TEST(many_hosts_are_decoded_together), TEST(tells_what_it_wants),
        TEST(names_are_resolved_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
