/* Constraints, required oneofs, enums, durations, unknown fields and types, each with its path. */
#include "xds/inspect.h"

#include "base/buffer.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/core.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "google/protobuf/any.pb-c.h"
#include "xds/compose.h"
#include "xds/constraints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct check {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    const char *bytes;
    size_t size;
    const char *findings; /* one line each: path: what; "!" unsupported refused, "~" counted */
};

#define ROW(name, type, bytes, findings)                                                           \
    {                                                                                              \
        name, &envoy__config__##type##__descriptor, bytes, sizeof(bytes) - 1, findings             \
    }

static const struct check checks[] = {
    ROW("empty route configuration", route__v3__route_configuration, "", ""),
    ROW("virtual host without anything", route__v3__route_configuration, "\x12\x00",
        "virtual_hosts[0].domains: must not be empty\n"
        "virtual_hosts[0].name: must not be empty\n"),
    ROW("route without match and action", route__v3__virtual_host, "\x0a\x01v\x12\x01*\x1a\x00",
        "routes[0]: one of action must be set\n"
        "routes[0].match: must be set\n"),
    ROW("match without path", route__v3__route, "\x0a\x00\x3a\x03\x08\xc8\x01",
        "match: one of path_specifier must be set\n"),
    ROW("good direct response", route__v3__route, "\x0a\x03\x0a\x01/\x3a\x03\x08\xc8\x01", ""),
    ROW("status too small", route__v3__direct_response_action, "\x08\x63",
        "status: 99: must be at least 200\n"),
    ROW("status too large", route__v3__direct_response_action, "\x08\xd8\x04",
        "status: 600: must be below 600\n"),
    ROW("oneof member not chosen has no constraint", core__v3__data_source, "\x1a\x00", ""),
    ROW("oneof member chosen and empty", core__v3__data_source, "\x0a\x00",
        "filename: must not be empty\n"),
    ROW("header name with CR", core__v3__header_value,
        "\x0a\x02"
        "a\r",
        "key: byte 0x0d cannot stand in a header name\n"),
    ROW("header value with LF", core__v3__header_value,
        "\x0a\x01"
        "a\x12\x02"
        "b\n",
        "value: byte 0x0a cannot stand in a header value\n"),
    ROW("strict header value", core__v3__health_check__http_health_check, "\x0a\x01\x01\x12\x02/\t",
        "host: byte 0x01 cannot stand in a header value\n"),
    ROW("strict header name", core__v3__upstream_http_protocol_options,
        "\x1a\x03"
        "a b",
        "override_auto_sni_header: byte 0x20 cannot stand in a header name\n"),
    ROW("pseudo header as strict name", core__v3__upstream_http_protocol_options,
        "\x1a\x0a:authority", ""),
    ROW("wrapper above maximum", core__v3__cidr_range,
        "\x0a\x01"
        "a\x12\x03\x08\x81\x01",
        "prefix_len: 129: must be at most 128\n"),
    ROW("wrapper absent", core__v3__cidr_range,
        "\x0a\x01"
        "a",
        ""),
    ROW("unknown enum", cluster__v3__cluster,
        "\x0a\x01"
        "c\x30\x04",
        "lb_policy: 4 is no value of LbPolicy\n"),
    ROW("enum in a list", core__v3__health_status_set, "\x0a\x02\x01\x09",
        "statuses[1]: 9 is no value of HealthStatus\n"),
    ROW("value that is not allowed", core__v3__health_check__http_health_check, "\x12\x01/\x68\x06",
        "method: 6: must not be 6\n"),
    ROW("zero duration where more is wanted", cluster__v3__cluster,
        "\x0a\x01"
        "c\x22\x00",
        "connect_timeout: 0: must be above 0\n"),
    ROW("nanos out of range", cluster__v3__cluster,
        "\x0a\x01"
        "c\x22\x06\x10\x80\x94\xeb\xdc\x03",
        "connect_timeout: nanos must be below one second\n"),
    ROW("duration of two signs", cluster__v3__cluster,
        "\x0a\x01"
        "c\x22\x0d\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "connect_timeout: seconds and nanos of different sign\n"),
    ROW("not above a fraction", cluster__v3__cluster__refresh_rate, "\x0a\x04\x10\xc0\x84\x3d",
        "base_interval: 0.001: must be above 0.001\n"),
    ROW("percentage that is no number", cluster__v3__circuit_breakers__thresholds__retry_budget,
        "\x0a\x09\x09\x00\x00\x00\x00\x00\x00\xf8\x7f",
        "budget_percent.value: nan: must be at least 0\n"
        "budget_percent.value: nan: must be at most 100\n"),
    ROW("inside a map", endpoint__v3__cluster_load_assignment,
        "\x0a\x01"
        "c\x2a\x0b\x0a\x01k\x12\x06\x0a\x04\x0a\x02\x18\x50",
        "named_endpoints[\"k\"].address.socket_address.address: must not be empty\n"),

    ROW("unknown field is counted", route__v3__virtual_host, "\x0a\x01v\x12\x01*\xf8\x06\x01",
        "~: envoy.config.route.v3.VirtualHost 111\n"),
    ROW("unknown field of a matcher is refused", route__v3__header_matcher, "\x0a\x01h\xf8\x06\x01",
        "!: envoy.config.route.v3.HeaderMatcher 111\n"),
    ROW("unknown field below a matcher is refused", route__v3__route_match,
        "\x0a\x01/\x4a\x05\x0a\x03\xf8\x06\x01",
        "!runtime_fraction.default_value: envoy.type.v3.FractionalPercent 111\n"),
    ROW("unknown field of a filter chain match is refused", listener__v3__filter_chain,
        "\x0a\x03\xf8\x06\x01",
        "!filter_chain_match: envoy.config.listener.v3.FilterChainMatch 111\n"),
    ROW("filter chain matcher of a listener is refused", listener__v3__listener, "\x82\x02\x00",
        "!: envoy.config.listener.v3.Listener 32\n"),
    ROW("unknown network filter is refused", listener__v3__filter,
        "\x0a\x01n\x22\x05\x0a\x03"
        "t/X",
        "!typed_config: envoy.config.listener.v3.Filter 4 t/X\n"),
    ROW("unknown transport socket is refused", core__v3__transport_socket,
        "\x0a\x01n\x1a\x05\x0a\x03"
        "t/X",
        "!typed_config: envoy.config.core.v3.TransportSocket 3 t/X\n"),
    ROW("unknown load balancer is counted", cluster__v3__load_balancing_policy,
        "\x0a\x0c\x22\x0a\x0a\x01n\x12\x05\x0a\x03"
        "t/X",
        "~policies[0].typed_extension_config.typed_config: "
        "envoy.config.core.v3.TypedExtensionConfig 2 t/X\n"),
    ROW("unknown path match policy is refused", route__v3__route_match,
        "\x7a\x0a\x0a\x01n\x12\x05\x0a\x03"
        "t/X",
        "!path_match_policy.typed_config: envoy.config.core.v3.TypedExtensionConfig 2 t/X\n"),
    ROW("unknown policy of a guarding filter is refused anywhere", route__v3__filter_config,
        "\x0a\x30\x0a\x2e"
        "t/envoy.extensions.filters.http.rbac.v3.Policy",
        "!config: envoy.config.route.v3.FilterConfig 1 "
        "t/envoy.extensions.filters.http.rbac.v3.Policy\n"),
    ROW("any without a type", listener__v3__filter, "\x0a\x01n\x22\x03\x12\x01x",
        "typed_config: a value without a type_url\n"),
    ROW("empty any", listener__v3__filter, "\x0a\x01n\x22\x00", ""),
};

static void note_violation(void *owner, struct text path, struct text what)
{
    buffer_format(owner, "%.*s%s%.*s\n", TEXT_ARG(path), path.size ? ": " : "", TEXT_ARG(what));
}

static void note_unsupported(void *owner, const struct inspect_unsupported *found)
{
    buffer_format(owner, "%s%.*s: %.*s %u%s%.*s\n", found->refuse ? "!" : "~",
                  TEXT_ARG(found->path), TEXT_ARG(found->message), found->field,
                  found->type_url.size ? " " : "", TEXT_ARG(found->type_url));
}

static ProtobufCMessage *unpack(struct arena *arena, const struct check *check)
{
    struct error error;
    ProtobufCMessage *message;
    if (!xds_decode_as(check->descriptor, text_of(check->bytes, check->size), arena, &message,
                       &error))
        fail_msg("%s: %s", check->name, error.text);
    return message;
}

static void finds_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct arena arena;
        struct buffer findings;
        arena_init(&arena);
        buffer_init(&findings);
        struct inspect_events events = { &findings, note_violation, note_unsupported };
        ProtobufCMessage *message = unpack(&arena, &checks[i]);
        size_t count = inspect_message(message, &arena, &events);
        buffer_append_byte(&findings, '\0');
        if (strcmp(findings.bytes, checks[i].findings) != 0)
            fail_msg("%s: found\n%swanted\n%s", checks[i].name, findings.bytes, checks[i].findings);
        bool fit = checks[i].findings[0] == '\0' || checks[i].findings[0] == '~';
        assert_int_equal(count == 0, fit);
        buffer_fini(&findings);
        arena_fini(&arena);
    }
}

static void an_optional_http_filter_may_be_unknown(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const ProtobufCMessageDescriptor *filter = registry_find(
        TEXT(TYPE_URL_PREFIX "envoy.extensions.filters.network.http_connection_manager.v3."
                             "HttpConnectionManager"));
    filter = protobuf_c_message_descriptor_get_field_by_name(filter, "http_filters")->descriptor;
    static const struct text wires[] = { { "\x0a\x01n\x22\x05\x0a\x03t/X", 10 },
                                         { "\x0a\x01n\x22\x05\x0a\x03t/X\x30\x01", 12 } };
    for (size_t i = 0; i < 2; i++) {
        struct error error;
        ProtobufCMessage *message;
        assert_true(xds_decode_as(filter, wires[i], &arena, &message, &error));
        struct inspect_events none = { 0 };
        assert_int_equal(inspect_message(message, &arena, &none), i == 0);
        assert_int_equal(inspect_or_refuse(message, &arena, NULL, &error), i == 1);
        if (i == 0)
            assert_string_equal(error.text, "typed_config: type t/X is not supported, and "
                                            "skipping it here could open a door");
    }
    arena_fini(&arena);
}

/* Into Anys, with one path from the root. */
static void looks_into_anys(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    Envoy__Config__Listener__V3__Filter *filter =
        compose_new(&arena, &envoy__config__listener__v3__filter__descriptor);
    filter->name = compose_string(&arena, TEXT("n"));
    Envoy__Config__Route__V3__VirtualHost *vhost =
        compose_new(&arena, &envoy__config__route__v3__virtual_host__descriptor);
    vhost->name = compose_string(&arena, TEXT("v"));
    filter->config_type_case = ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter->typed_config = compose_any(&arena, &vhost->base);
    struct error error;
    assert_false(inspect_or_refuse(&filter->base, &arena, NULL, &error));
    assert_string_equal(error.text, "typed_config.domains: must not be empty");
    /* Bytes that the guard refuses inside an Any. */
    filter->typed_config->value.data[0] = 0x0b;
    assert_false(inspect_or_refuse(&filter->base, &arena, NULL, &error));
    assert_non_null(strstr(error.text, "typed_config: envoy.config.route.v3.VirtualHost: a group"));
    arena_fini(&arena);
}

static void reports_are_bounded_but_counted(void **state)
{
    (void)state;
    struct arena arena;
    struct buffer findings;
    arena_init(&arena);
    buffer_init(&findings);
    Envoy__Config__Route__V3__RouteConfiguration *config =
        compose_new(&arena, &envoy__config__route__v3__route_configuration__descriptor);
    for (int i = 0; i < 5000; i++)
        COMPOSE_ADD(&arena, config, virtual_hosts,
                    compose_new(&arena, &envoy__config__route__v3__virtual_host__descriptor));
    struct inspect_events events = { &findings, note_violation, note_unsupported };
    assert_int_equal(inspect_message(&config->base, &arena, &events), 10000);
    size_t lines = 0;
    for (size_t i = 0; i < findings.size; i++)
        lines += findings.bytes[i] == '\n';
    assert_int_equal(lines, 100);
    struct error error;
    assert_false(inspect_or_refuse(&config->base, &arena, NULL, &error));
    assert_true(strlen(error.text) < ERROR_TEXT_MAX);
    buffer_fini(&findings);
    arena_fini(&arena);
}

/* inspect.c searches it by halves; that each row names a field is proto_numbers_test.py's. */
static void the_table_is_in_order(void **state)
{
    (void)state;
    assert_true(constraints_count > 200);
    for (size_t i = 1; i < constraints_count; i++)
        assert_true(strcmp(constraints[i - 1].message, constraints[i].message) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_wrong),
        cmocka_unit_test(an_optional_http_filter_may_be_unknown),
        cmocka_unit_test(looks_into_anys),
        cmocka_unit_test(reports_are_bounded_but_counted),
        cmocka_unit_test(the_table_is_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
