/* Clusters from messages: settings, weights, priorities, order and doubles of endpoints, names that
 * resolve outside, and exact errors. */
#include "upstream/cluster_compile.h"

#include "base/hash.h"
#include "envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb-c.h"
#include "envoy/extensions/upstreams/http/v3/http.pb-c.h"
#include "xds/compose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define CLUSTER         Envoy__Config__Cluster__V3__Cluster
#define ASSIGNMENT      Envoy__Config__Endpoint__V3__ClusterLoadAssignment
#define LOCALITY        Envoy__Config__Endpoint__V3__LocalityLbEndpoints
#define ENDPOINT        Envoy__Config__Endpoint__V3__LbEndpoint
#define CLUSTER_OF(x)   ENVOY__CONFIG__CLUSTER__V3__CLUSTER__##x
#define HTTP_OPTIONS(x) envoy__extensions__upstreams__http__v3__http_protocol_options__##x
#define HTTP_CASE(x)    ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__##x

#define ENTRY                                                                                      \
    envoy__config__cluster__v3__cluster__typed_extension_protocol_options_entry__descriptor

static struct arena arena;

static int set_up(void **state)
{
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    return 0;
}

static char *string(const char *s)
{
    return compose_string(&arena, text_from_string(s));
}

static CLUSTER *make_cluster(int type)
{
    CLUSTER *cluster = compose_new(&arena, &envoy__config__cluster__v3__cluster__descriptor);
    cluster->name = string("c");
    cluster->cluster_discovery_type_case = CLUSTER_OF(CLUSTER_DISCOVERY_TYPE_TYPE);
    cluster->type = type;
    return cluster;
}

static ENDPOINT *make_endpoint(const char *host, uint32_t port, uint32_t weight, int health)
{
    ENDPOINT *endpoint = compose_new(&arena, &envoy__config__endpoint__v3__lb_endpoint__descriptor);
    Envoy__Config__Core__V3__SocketAddress *socket =
        compose_new(&arena, &envoy__config__core__v3__socket_address__descriptor);
    socket->address = string(host);
    socket->port_specifier_case =
        ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
    socket->port_value = port;
    endpoint->host_identifier_case =
        ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT;
    endpoint->endpoint = compose_new(&arena, &envoy__config__endpoint__v3__endpoint__descriptor);
    endpoint->endpoint->address =
        compose_new(&arena, &envoy__config__core__v3__address__descriptor);
    endpoint->endpoint->address->address_case =
        ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS;
    endpoint->endpoint->address->socket_address = socket;
    endpoint->load_balancing_weight = weight ? compose_uint32(&arena, weight) : NULL;
    endpoint->health_status = health;
    return endpoint;
}

/* Lines "host port weight health locality_weight priority"; a new locality where one of the last
 * two changes. health: 0 unknown, 2 unhealthy, 3 draining. */
struct line {
    const char *host;
    uint32_t port, weight;
    int health;
    uint32_t locality_weight, priority;
};

static ASSIGNMENT *make_assignment(const struct line *lines, size_t count)
{
    ASSIGNMENT *assignment =
        compose_new(&arena, &envoy__config__endpoint__v3__cluster_load_assignment__descriptor);
    LOCALITY *locality = NULL;
    assignment->cluster_name = string("c");
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || lines[i].locality_weight != lines[i - 1].locality_weight ||
            lines[i].priority != lines[i - 1].priority) {
            locality = compose_new(&arena,
                                   &envoy__config__endpoint__v3__locality_lb_endpoints__descriptor);
            locality->priority = lines[i].priority;
            if (lines[i].locality_weight > 0) {
                locality->load_balancing_weight = compose_uint32(&arena, lines[i].locality_weight);
            }
            COMPOSE_ADD(&arena, assignment, endpoints, locality);
        }
        COMPOSE_ADD(&arena, locality, lb_endpoints,
                    make_endpoint(lines[i].host, lines[i].port, lines[i].weight, lines[i].health));
    }
    return assignment;
}

static struct cluster_settings *must_compile(const CLUSTER *cluster)
{
    struct error error;
    struct cluster_settings *settings = cluster_settings_compile(cluster, TEXT("c"), &error);
    if (settings == NULL) {
        fail_msg("%s", error.text);
    }
    return settings;
}

static struct cluster_config *build(const CLUSTER *cluster)
{
    struct cluster_settings *settings = must_compile(cluster);
    struct cluster_config *config = cluster_config_build(settings, settings->assignment, NULL);
    cluster_settings_free(settings);
    return config;
}

/* "address/weight/health " of each endpoint. */
static const char *list(const struct cluster_config *config)
{
    static char out[512];
    size_t size = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < config->endpoint_count; i++) {
        const struct endpoint_config *endpoint = &config->endpoints[i];
        size += (size_t)snprintf(out + size, sizeof(out) - size, "%s/%u/%u ", endpoint->text.at,
                                 (unsigned)endpoint->weight, endpoint->health);
    }
    return out;
}

static void defaults_are_those_of_the_product(void **state)
{
    CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__EDS));
    struct cluster_settings *settings = must_compile(cluster);
    assert_int_equal(settings->discovery, DISCOVERY_EDS);
    assert_string_equal(settings->service_name.at, "c");
    assert_int_equal(settings->balance, BALANCE_ROUND_ROBIN); /* what 0 means by the API */
    assert_int_equal(settings->choices, 2);
    assert_int_equal(settings->connect_timeout_ms, 5000);
    assert_int_equal(settings->idle_timeout_ms, 50000);
    assert_int_equal(settings->max_requests_per_connection, 0);
    assert_false(settings->http2);
    struct cluster_config *config = cluster_config_build(settings, NULL, NULL);
    assert_int_equal(config->endpoint_count, 0);
    assert_int_equal(config->id, cluster_id_of(TEXT("c")));
    assert_true(config->id < cluster_id_limit());
    assert_int_not_equal(cluster_id_of(TEXT("d")), config->id);
    cluster_config_unref(cluster_config_ref(config));
    cluster_config_unref(config);
    cluster_settings_free(settings);
}

static void add_protocol_options(CLUSTER *cluster)
{
    Envoy__Extensions__Upstreams__Http__V3__HttpProtocolOptions *options =
        compose_new(&arena, &HTTP_OPTIONS(descriptor));
    options->upstream_protocol_options_case =
        HTTP_CASE(UPSTREAM_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG);
    options->explicit_http_config =
        compose_new(&arena, &HTTP_OPTIONS(explicit_http_config__descriptor));
    options->explicit_http_config->protocol_config_case =
        HTTP_CASE(EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP2_PROTOCOL_OPTIONS);
    options->explicit_http_config->http2_protocol_options =
        compose_new(&arena, &envoy__config__core__v3__http2_protocol_options__descriptor);
    options->common_http_protocol_options =
        compose_new(&arena, &envoy__config__core__v3__http_protocol_options__descriptor);
    options->common_http_protocol_options->idle_timeout = compose_duration_ms(&arena, 1234);
    options->common_http_protocol_options->max_requests_per_connection = compose_uint32(&arena, 5);
    COMPOSE_ADD(&arena, cluster, typed_extension_protocol_options,
                compose_entry(&arena, &ENTRY,
                              TEXT("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
                              compose_any(&arena, &options->base)));
}

static void settings_are_read(void **state)
{
    CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__EDS));
    cluster->connect_timeout = compose_duration_ms(&arena, 50);
    cluster->lb_policy = CLUSTER_OF(LB_POLICY__LEAST_REQUEST);
    cluster->lb_config_case = CLUSTER_OF(LB_CONFIG_LEAST_REQUEST_LB_CONFIG);
    cluster->least_request_lb_config = compose_new(
        &arena, &envoy__config__cluster__v3__cluster__least_request_lb_config__descriptor);
    cluster->least_request_lb_config->choice_count = compose_uint32(&arena, 4);
    cluster->eds_cluster_config =
        compose_new(&arena, &envoy__config__cluster__v3__cluster__eds_cluster_config__descriptor);
    cluster->eds_cluster_config->service_name = string("other");
    add_protocol_options(cluster);
    struct cluster_settings *settings = must_compile(cluster);
    assert_int_equal(settings->connect_timeout_ms, 50);
    assert_int_equal(settings->balance, BALANCE_LEAST_REQUEST);
    assert_int_equal(settings->choices, 4);
    assert_string_equal(settings->service_name.at, "other");
    assert_int_equal(settings->idle_timeout_ms, 1234);
    assert_int_equal(settings->max_requests_per_connection, 5);
    assert_true(settings->http2);
    cluster_settings_free(settings);
}

static void add_policy(CLUSTER *cluster, Google__Protobuf__Any *any)
{
    Envoy__Config__Cluster__V3__LoadBalancingPolicy__Policy *policy =
        compose_new(&arena, &envoy__config__cluster__v3__load_balancing_policy__policy__descriptor);
    policy->typed_extension_config =
        compose_new(&arena, &envoy__config__core__v3__typed_extension_config__descriptor);
    policy->typed_extension_config->typed_config = any;
    if (cluster->load_balancing_policy == NULL) {
        cluster->load_balancing_policy =
            compose_new(&arena, &envoy__config__cluster__v3__load_balancing_policy__descriptor);
    }
    COMPOSE_ADD(&arena, cluster->load_balancing_policy, policies, policy);
}

static void the_first_known_policy_counts(void **state)
{
    CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__EDS));
    Google__Protobuf__Any *unknown = compose_new(&arena, &google__protobuf__any__descriptor);
    unknown->type_url = string("type.googleapis.com/some.Policy");
    struct error error;
    add_policy(cluster, unknown);
    assert_null(cluster_settings_compile(cluster, TEXT("c"), &error));
    assert_string_equal(error.text, "load_balancing_policy: none of the policies is supported; use "
                                    "least_request, round_robin or random");
    Envoy__Extensions__LoadBalancingPolicies__LeastRequest__V3__LeastRequest *least = compose_new(
        &arena,
        &envoy__extensions__load_balancing_policies__least_request__v3__least_request__descriptor);
    least->choice_count = compose_uint32(&arena, 3);
    add_policy(cluster, compose_any(&arena, &least->base));
    struct cluster_settings *settings = must_compile(cluster);
    assert_int_equal(settings->balance, BALANCE_LEAST_REQUEST);
    assert_int_equal(settings->choices, 3);
    cluster_settings_free(settings);
}

static void endpoints_become_a_list(void **state)
{
    static const struct {
        struct line lines[5];
        const char *list;
        uint32_t healthy;
        uint64_t total;
    } cases[] = {
        { { { "10.0.0.2", 80 }, { "10.0.0.1", 81 }, { "10.0.0.1", 80 } },
          "10.0.0.1:80/1/0 10.0.0.1:81/1/0 10.0.0.2:80/1/0 ",
          3,
          3 },
        { { { "10.0.0.1", 80, 0, 3 }, { "10.0.0.3", 80, 0, 2 }, { "10.0.0.2", 80, 5, 1 } },
          "10.0.0.2:80/5/0 10.0.0.1:80/1/1 10.0.0.3:80/1/2 ",
          1,
          5 },
        /* doubles: the better health, then the greater weight */
        { { { "10.0.0.1", 80, 9, 3 }, { "10.0.0.1", 80, 2 }, { "10.0.0.1", 80, 3 } },
          "10.0.0.1:80/3/0 ",
          1,
          3 },
        { { { "::1", 80 }, { "::ffff:10.0.0.1", 80 }, { "10.0.0.1", 80 } },
          "[::1]:80/1/0 10.0.0.1:80/1/0 ",
          2,
          2 },
        /* localities of weight 3 and 1: three times the share, however many endpoints they have */
        { { { "10.0.0.1", 80, 0, 0, 3 }, { "10.0.0.2", 80, 0, 0, 3 }, { "10.0.0.3", 80, 0, 0, 1 } },
          "10.0.0.1:80/65536/0 10.0.0.2:80/65536/0 10.0.0.3:80/43691/0 ",
          3,
          174763 },
        /* one locality: its weight says nothing */
        { { { "10.0.0.1", 80, 1, 0, 7 }, { "10.0.0.2", 80, 2, 0, 7 } },
          "10.0.0.1:80/1/0 10.0.0.2:80/2/0 ",
          2,
          3 },
        /* a locality without weight beside weighted ones gets nothing */
        { { { "10.0.0.1", 80, 0, 0, 2 }, { "10.0.0.2", 80, 0, 0, 0 } },
          "10.0.0.1:80/65536/0 ",
          1,
          65536 },
        /* priorities: the first with a healthy endpoint */
        { { { "10.0.0.1", 80, 0, 0, 0, 1 }, { "10.0.0.2", 80, 0, 0, 0, 0 } },
          "10.0.0.2:80/1/0 ",
          1,
          1 },
        { { { "10.0.0.1", 80, 0, 0, 0, 1 }, { "10.0.0.2", 80, 0, 2, 0, 0 } },
          "10.0.0.1:80/1/0 ",
          1,
          1 },
        { { { "10.0.0.1", 80, 0, 3, 0, 1 }, { "10.0.0.2", 80, 0, 3, 0, 0 } },
          "10.0.0.2:80/1/1 ",
          0,
          0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t count = 0;
        while (count < 5 && cases[i].lines[count].host != NULL) {
            count++;
        }
        CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__STATIC));
        cluster->load_assignment = make_assignment(cases[i].lines, count);
        struct cluster_config *config = build(cluster);
        if (strcmp(list(config), cases[i].list) != 0) {
            fail_msg("case %zu: %s", i, list(config));
        }
        assert_int_equal(config->healthy_count, cases[i].healthy);
        assert_int_equal(config->total_weight, cases[i].total);
        cluster_config_unref(config);
    }
}

static void affinity_follows_the_address(void **state)
{
    static const struct line lines[] = { { "10.0.0.1", 80 }, { "10.0.0.2", 80 } };
    CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__STATIC));
    cluster->load_assignment = make_assignment(lines, 2);
    struct cluster_config *both = build(cluster);
    cluster->load_assignment = make_assignment(lines + 1, 1);
    struct cluster_config *one = build(cluster);
    assert_true(both->endpoints[0].affinity == hash_stable(TEXT("10.0.0.1:80")));
    assert_true(both->endpoints[1].affinity == one->endpoints[0].affinity);
    assert_false(cluster_config_equal(both, one));
    struct cluster_config *again = build(cluster);
    assert_true(cluster_config_equal(again, one));
    cluster_config_unref(both);
    cluster_config_unref(one);
    cluster_config_unref(again);
}

static struct address resolved[3];
static size_t resolved_count;

static struct cluster_addresses resolve(void *owner, struct text hostname)
{
    if (text_equal(hostname, TEXT("known"))) {
        return (struct cluster_addresses){ resolved, resolved_count, false };
    }
    return (struct cluster_addresses){ .failed = text_equal(hostname, TEXT("failed")) };
}

static void names_use_all_addresses(void **state)
{
    static const struct {
        int family;
        const char *name;
        const char *list;
        bool failed;
    } cases[] = {
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__AUTO), "known",
          "[::1]:80/2/0 10.0.0.1:80/2/0 10.0.0.2:80/2/0 ", false },
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__V4_ONLY), "known", "10.0.0.1:80/2/0 10.0.0.2:80/2/0 ",
          false },
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__V6_ONLY), "known", "[::1]:80/2/0 ", false },
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__V4_PREFERRED), "known", "10.0.0.1:80/2/0 10.0.0.2:80/2/0 ",
          false },
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__AUTO), "failed", "", true },
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__AUTO), "pending", "", false },
        { CLUSTER_OF(DNS_LOOKUP_FAMILY__AUTO), "10.9.9.9", "10.9.9.9:80/2/0 ", false },
    };
    struct cluster_resolver resolver = { NULL, resolve };
    assert_true(address_parse_ip(TEXT("10.0.0.2"), &resolved[0]));
    assert_true(address_parse_ip(TEXT("::1"), &resolved[1]));
    assert_true(address_parse_ip(TEXT("10.0.0.1"), &resolved[2]));
    resolved_count = 3;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct line line = { cases[i].name, 80, 2, 0, 0, 0 };
        CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__STRICT_DNS));
        cluster->dns_lookup_family = cases[i].family;
        cluster->load_assignment = make_assignment(&line, 1);
        struct cluster_settings *settings = must_compile(cluster);
        struct cluster_config *config =
            cluster_config_build(settings, settings->assignment, &resolver);
        if (strcmp(list(config), cases[i].list) != 0) {
            fail_msg("case %zu: %s", i, list(config));
        }
        assert_int_equal(config->dns_failed, cases[i].failed);
        cluster_config_unref(config);
        cluster_settings_free(settings);
    }
}

static void break_name(CLUSTER *cluster)
{
    cluster->name = string("d");
}

static void break_tls(CLUSTER *cluster)
{
    cluster->transport_socket =
        compose_new(&arena, &envoy__config__core__v3__transport_socket__descriptor);
    cluster->transport_socket->name = string("tls");
}

static void break_type(CLUSTER *cluster)
{
    cluster->type = CLUSTER_OF(DISCOVERY_TYPE__ORIGINAL_DST);
}

static void break_missing(CLUSTER *cluster)
{
    cluster->load_assignment = NULL;
}

static void break_host(CLUSTER *cluster)
{
    static const struct line line = { "name.example", 80 };
    cluster->load_assignment = make_assignment(&line, 1);
}

static void break_port(CLUSTER *cluster)
{
    static const struct line lines[] = { { "10.0.0.1", 80 }, { "10.0.0.1", 0 } };
    cluster->load_assignment = make_assignment(lines, 2);
}

static void break_timeout(CLUSTER *cluster)
{
    cluster->connect_timeout = compose_duration_ms(&arena, 0);
}

static void refuses_bad_clusters(void **state)
{
    static const struct line line = { "10.0.0.1", 80 };
    static const struct {
        void (*spoil)(CLUSTER *cluster);
        const char *error;
    } cases[] = {
        { break_name, "name: \"d\" in a resource named \"c\"" },
        { break_tls, "transport_socket: TLS towards endpoints is not supported, and sending in the "
                     "clear instead would be wrong" },
        { break_type, "type: not supported; use STATIC, STRICT_DNS, LOGICAL_DNS or EDS" },
        { break_missing, "load_assignment: missing" },
        { break_host,
          "load_assignment: endpoints[0].lb_endpoints[0]: endpoint: "
          "address.socket_address.address: "
          "\"name.example\" is no IP address; names need a cluster of type STRICT_DNS" },
        { break_port, "load_assignment: endpoints[0].lb_endpoints[1]: endpoint: "
                      "address.socket_address.port_value: a port from 1 to 65535 is needed" },
        { break_timeout, "connect_timeout: must be more than 0" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error;
        CLUSTER *cluster = make_cluster(CLUSTER_OF(DISCOVERY_TYPE__STATIC));
        cluster->load_assignment = make_assignment(&line, 1);
        cases[i].spoil(cluster);
        assert_null(cluster_settings_compile(cluster, TEXT("c"), &error));
        assert_string_equal(error.text, cases[i].error);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_those_of_the_product),
        TEST(settings_are_read),
        TEST(the_first_known_policy_counts),
        TEST(endpoints_become_a_list),
        TEST(affinity_follows_the_address),
        TEST(names_use_all_addresses),
        TEST(refuses_bad_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
