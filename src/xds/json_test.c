/* JSON of messages against what protobuf's own JSON mapping says. */
#include "xds/json.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/core.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "weft/v1/weft.pb-c.h"
#include "xds/compose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROW(name, type, bytes, json)                                                               \
    {                                                                                              \
        name, &type##__descriptor, bytes, sizeof(bytes) - 1, json                                  \
    }

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    const char *bytes;
    size_t size;
    const char *json;
} rows[] = {
    ROW("empty", envoy__config__core__v3__address, "", "{}"),
    ROW("nested, defaults left out", envoy__config__core__v3__address,
        "\x0a\x0a\x12\x06"
        "10.0.1\x18\x50",
        "{\n  \"socket_address\": {\n    \"address\": \"10.0.1\",\n    \"port_value\": 80\n  }\n}"),
    ROW("oneof member of default value", envoy__config__core__v3__socket_address, "\x18\x00",
        "{\n  \"port_value\": 0\n}"),
    ROW("enum", envoy__config__core__v3__socket_address, "\x08\x01",
        "{\n  \"protocol\": \"UDP\"\n}"),
    ROW("unknown enum", envoy__config__core__v3__socket_address, "\x08\x07",
        "{\n  \"protocol\": 7\n}"),
    ROW("list of enums", envoy__config__core__v3__health_status_set, "\x0a\x02\x01\x03",
        "{\n  \"statuses\": [\n    \"HEALTHY\",\n    \"DRAINING\"\n  ]\n}"),
    ROW("escapes", envoy__config__core__v3__locality,
        "\x0a\x09"
        "\"\\\n\t\x01\xc3\xa9/\r",
        "{\n  \"region\": \"\\\"\\\\\\n\\t\\u0001\xc3\xa9/\\r\"\n}"),
    ROW("bytes, 1", envoy__config__core__v3__data_source, "\x12\x01\xff",
        "{\n  \"inline_bytes\": \"/w==\"\n}"),
    ROW("bytes, 2", envoy__config__core__v3__data_source, "\x12\x02\xff\xfe",
        "{\n  \"inline_bytes\": \"//4=\"\n}"),
    ROW("bytes, 3", envoy__config__core__v3__data_source, "\x12\x03Man",
        "{\n  \"inline_bytes\": \"TWFu\"\n}"),
    ROW("wrapper", envoy__config__core__v3__cidr_range,
        "\x0a\x01"
        "a\x12\x02\x08\x08",
        "{\n  \"address_prefix\": \"a\",\n  \"prefix_len\": 8\n}"),
    ROW("wrapper of 0", envoy__config__core__v3__cidr_range, "\x12\x00",
        "{\n  \"prefix_len\": 0\n}"),
    ROW("64 bits", weft__v1__listener_options, "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "{\n  \"body_bytes\": \"18446744073709551615\"\n}"),
    ROW("double", envoy__type__v3__percent, "\x09\x9a\x99\x99\x99\x99\x99\xb9\x3f",
        "{\n  \"value\": 0.1\n}"),
    ROW("not a number", envoy__type__v3__percent, "\x09\x00\x00\x00\x00\x00\x00\xf8\x7f",
        "{\n  \"value\": \"NaN\"\n}"),
    ROW("duration", google__protobuf__duration, "\x08\x01\x10\x80\xca\xb5\xee\x01", "\"1.5s\""),
    ROW("whole duration", google__protobuf__duration, "\x08\x0f", "\"15s\""),
    ROW("no duration", google__protobuf__duration, "", "\"0s\""),
    ROW("one nanosecond less", google__protobuf__duration,
        "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\"-0.000000001s\""),
    ROW("string map", envoy__service__discovery__v3__delta_discovery_request,
        "\x2a\x06\x0a\x01"
        "b\x12\x01"
        "1\x2a\x06\x0a\x01"
        "a\x12\x01"
        "2\x2a\x06\x0a\x01"
        "b\x12\x01"
        "3",
        "{\n  \"initial_resource_versions\": {\n    \"a\": \"2\",\n    \"b\": \"3\"\n  }\n}"),
    ROW("struct", envoy__config__core__v3__node,
        "\x1a\x15\x0a\x09\x0a\x01n\x12\x04\x32\x02\x0a\x00\x0a\x08\x0a\x01t\x12\x03\x1a\x01x",
        "{\n  \"metadata\": {\n    \"n\": [\n      null\n    ],\n    \"t\": \"x\"\n  }\n}"),
    ROW("struct numbers", google__protobuf__value, "\x11\x00\x00\x00\x00\x00\x00\x59\x40", "100"),
    ROW("struct bool", google__protobuf__value, "\x20\x00", "false"),
    ROW("struct null", google__protobuf__value, "\x08\x00", "null"),
    ROW("empty struct", google__protobuf__struct, "", "{}"),
    ROW("empty any", google__protobuf__any, "", "{}"),
    ROW("unknown any", google__protobuf__any, "\x0a\x03t/X\x12\x01\xff",
        "{\n  \"@type\": \"t/X\",\n  \"value\": \"/w==\"\n}"),
    ROW("any of a known type", google__protobuf__any, "\x0a\x11t/weft.v1.Inherit\x12\x03\x0a\x01*",
        "{\n  \"@type\": \"t/weft.v1.Inherit\",\n  \"next_domain\": \"*\"\n}"),
    ROW("any of a type with its own form", google__protobuf__any,
        "\x0a\x1at/google.protobuf.Duration\x12\x02\x08\x02",
        "{\n  \"@type\": \"t/google.protobuf.Duration\",\n  \"value\": \"2s\"\n}"),
    ROW("any that cannot be read", google__protobuf__any, "\x0a\x11t/weft.v1.Inherit\x12\x01\x0a",
        "{\n  \"@type\": \"t/weft.v1.Inherit\",\n  \"value\": \"Cg==\"\n}"),
    ROW("unknown fields are left out", envoy__config__core__v3__locality, "\x0a\x01r\xf8\x06\x01",
        "{\n  \"region\": \"r\"\n}"),
};

static void writes_each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct buffer out;
        struct error error;
        ProtobufCMessage *message;
        arena_init(&arena);
        buffer_init(&out);
        if (!xds_decode_envelope(rows[i].descriptor, text_of(rows[i].bytes, rows[i].size), &arena,
                                 &message, &error))
            fail_msg("%s: %s", rows[i].name, error.text);
        json_write_message(message, &arena, &out);
        buffer_append_byte(&out, '\0');
        if (strcmp(out.bytes, rows[i].json) != 0)
            fail_msg("%s: wrote\n%s\nwanted\n%s", rows[i].name, out.bytes, rows[i].json);
        buffer_fini(&out);
        arena_fini(&arena);
    }
}

/* A whole route as it stands in `weft xds dump`. */
static void writes_a_route(void **state)
{
    (void)state;
    struct arena arena;
    struct buffer out;
    arena_init(&arena);
    buffer_init(&out);
    Envoy__Config__Route__V3__Route *route =
        compose_new(&arena, &envoy__config__route__v3__route__descriptor);
    route->name = compose_string(&arena, TEXT("httproute/default/shop/0/0"));
    route->match = compose_new(&arena, &envoy__config__route__v3__route_match__descriptor);
    route->match->path_specifier_case =
        ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX;
    route->match->prefix = compose_string(&arena, TEXT("/"));
    Envoy__Config__Route__V3__RouteAction *action =
        compose_new(&arena, &envoy__config__route__v3__route_action__descriptor);
    action->cluster_specifier_case =
        ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER;
    action->cluster = compose_string(&arena, TEXT("service/default/shop/80"));
    action->timeout = compose_duration_ms(&arena, 250);
    route->action_case = ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE;
    route->route = action;
    Weft__V1__UrlRewrite *rewrite = compose_new(&arena, &weft__v1__url_rewrite__descriptor);
    rewrite->has_full_path = true;
    rewrite->full_path = compose_string(&arena, TEXT("/x"));
    COMPOSE_ADD(
        &arena, route, typed_per_filter_config,
        compose_entry(&arena,
                      &envoy__config__route__v3__route__typed_per_filter_config_entry__descriptor,
                      TEXT("weft.url_rewrite"), compose_any(&arena, &rewrite->base)));
    json_write_message(&route->base, &arena, &out);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, "{\n"
                                   "  \"match\": {\n"
                                   "    \"prefix\": \"/\"\n"
                                   "  },\n"
                                   "  \"route\": {\n"
                                   "    \"cluster\": \"service/default/shop/80\",\n"
                                   "    \"timeout\": \"0.25s\"\n"
                                   "  },\n"
                                   "  \"typed_per_filter_config\": {\n"
                                   "    \"weft.url_rewrite\": {\n"
                                   "      \"@type\": \"type.googleapis.com/weft.v1.UrlRewrite\",\n"
                                   "      \"full_path\": \"/x\",\n"
                                   "      \"has_full_path\": true\n"
                                   "    }\n"
                                   "  },\n"
                                   "  \"name\": \"httproute/default/shop/0/0\"\n"
                                   "}");
    buffer_fini(&out);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_each_row),
        cmocka_unit_test(writes_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
