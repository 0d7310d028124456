/* Registry, decoding into arenas, deterministic packing, Any, maps, overrides, composing. */
#include "xds/message.h"

#include "envoy/config/core/v3/core.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"
#include "weft/v1/weft.pb-c.h"
#include "xds/compose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUTE       (&envoy__config__route__v3__route__descriptor)
#define CONFIG      (&envoy__config__route__v3__route_configuration__descriptor)
#define VHOST       (&envoy__config__route__v3__virtual_host__descriptor)
#define WRAPPER     (&envoy__config__route__v3__filter_config__descriptor)
#define CORS_POLICY (&envoy__extensions__filters__http__cors__v3__cors_policy__descriptor)
#define INHERIT     (&weft__v1__inherit__descriptor)
#define ENTRY       (&envoy__config__route__v3__route__typed_per_filter_config_entry__descriptor)

static void registry_is_in_order(void **state)
{
    (void)state;
    size_t count;
    const ProtobufCMessageDescriptor *const *all = registry_all(&count);
    assert_true(count > 20);
    for (size_t i = 0; i < count; i++) {
        char url[256];
        snprintf(url, sizeof(url), TYPE_URL_PREFIX "%s", all[i]->name);
        assert_ptr_equal(registry_find(text_from_string(url)), all[i]);
        if (i > 0)
            assert_true(strcmp(all[i - 1]->name, all[i]->name) < 0);
    }
    assert_null(registry_find(TEXT("")));
    assert_null(registry_find(TEXT("envoy.config.route.v3.RouteConfiguration")));
    assert_null(registry_find(TEXT("type.googleapis.com/")));
    assert_null(registry_find(TEXT("type.googleapis.com/envoy.config.route.v3.RouteConfiguratio")));
    assert_non_null(registry_find(TYPE_LISTENER));
    assert_non_null(registry_find(TYPE_ROUTES));
    assert_non_null(registry_find(TYPE_CLUSTER));
    assert_non_null(registry_find(TYPE_ENDPOINTS));
}

static Envoy__Config__Route__V3__Route__TypedPerFilterConfigEntry *
entry_of(struct arena *arena, const char *key, ProtobufCMessage *message)
{
    void *any = message ? compose_any(arena, message)
                        : compose_new(arena, &google__protobuf__any__descriptor);
    return compose_entry(arena, ENTRY, text_from_string(key), any);
}

static void packs_and_decodes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    Envoy__Config__Route__V3__RouteConfiguration *config = compose_new(&arena, CONFIG);
    config->name = compose_string(&arena, TEXT("routes/[::1]:80"));
    for (int i = 0; i < 37; i++) {
        Envoy__Config__Route__V3__VirtualHost *vhost = compose_new(&arena, VHOST);
        vhost->name = (char *)(uintptr_t)arena_format(&arena, "vhost/%d", i).at;
        COMPOSE_ADD(&arena, vhost, domains, compose_string(&arena, TEXT("*")));
        COMPOSE_ADD(&arena, config, virtual_hosts, vhost);
    }
    config->validate_clusters = compose_bool(&arena, true);
    struct buffer packed;
    buffer_init(&packed);
    xds_pack(&config->base, &packed);

    ProtobufCMessage *message;
    struct error error;
    assert_true(xds_decode(TYPE_ROUTES, buffer_text(&packed), &arena, &message, &error));
    const Envoy__Config__Route__V3__RouteConfiguration *back =
        (const Envoy__Config__Route__V3__RouteConfiguration *)message;
    assert_string_equal(back->name, "routes/[::1]:80");
    assert_int_equal(back->n_virtual_hosts, 37);
    assert_string_equal(back->virtual_hosts[36]->name, "vhost/36");
    assert_string_equal(back->virtual_hosts[36]->domains[0], "*");
    assert_true(xds_bool(back->validate_clusters, false));
    assert_false(xds_decode(TYPE_LISTENER, TEXT("\x0a\x01\xff"), &arena, &message, &error));
    assert_false(xds_decode(TEXT("type.googleapis.com/a.B"), TEXT(""), &arena, &message, &error));
    assert_non_null(strstr(error.text, "unknown type"));
    buffer_fini(&packed);
    arena_fini(&arena);
}

static void pack_route(struct arena *arena, const char *const keys[], struct buffer *out)
{
    Envoy__Config__Route__V3__Route *route = compose_new(arena, ROUTE);
    for (size_t i = 0; keys[i]; i++) {
        Weft__V1__Inherit *inherit = compose_new(arena, INHERIT);
        inherit->next_domain = compose_string(arena, text_from_string(keys[i] + 1));
        char key[2] = { keys[i][0], '\0' };
        COMPOSE_ADD(arena, route, typed_per_filter_config, entry_of(arena, key, &inherit->base));
    }
    xds_pack(&route->base, out);
}

static void maps_pack_in_order_and_the_last_duplicate_stays(void **state)
{
    (void)state;
    struct arena arena;
    struct buffer expected, got;
    arena_init(&arena);
    buffer_init(&expected);
    buffer_init(&got);
    static const char *const orders[][7] = {
        { "a1", "b2", "c3", NULL },
        { "c3", "b2", "a1", NULL },
        { "b2", "a1", "c3", NULL },
        { "a0", "c3", "a1", "b2", NULL },
        { "c0", "c1", "b2", "a1", "c3", NULL },
    };
    pack_route(&arena, orders[0], &expected);
    for (size_t i = 1; i < sizeof(orders) / sizeof(orders[0]); i++) {
        buffer_clear(&got);
        pack_route(&arena, orders[i], &got);
        assert_int_equal(got.size, expected.size);
        assert_memory_equal(got.bytes, expected.bytes, got.size);
    }
    buffer_fini(&expected);
    buffer_fini(&got);
    arena_fini(&arena);
}

static void finds_overrides(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct error error;
    Envoy__Config__Route__V3__Route *route = compose_new(&arena, ROUTE);
    ProtobufCMessage *cors = compose_new(&arena, CORS_POLICY);
    Envoy__Config__Route__V3__FilterConfig *off = compose_new(&arena, WRAPPER);
    off->disabled = true;
    Envoy__Config__Route__V3__FilterConfig *on = compose_new(&arena, WRAPPER);
    on->config = compose_new(&arena, &google__protobuf__any__descriptor);
    Envoy__Config__Route__V3__FilterConfig *wrapped = compose_new(&arena, WRAPPER);
    wrapped->config = compose_any(&arena, cors);
    wrapped->is_optional = true;
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "twice", &off->base));
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "plain", cors));
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "off", &off->base));
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "on", &on->base));
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "in", &wrapped->base));
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "none", NULL));
    COMPOSE_ADD(&arena, route, typed_per_filter_config, entry_of(&arena, "twice", cors));
    static const struct {
        const char *key;
        bool found, config, disabled, optional;
    } rows[] = {
        { "plain", true, true, false, false },    { "off", true, false, true, false },
        { "on", true, false, false, false },      { "in", true, true, false, true },
        { "none", true, false, false, false },    { "twice", true, true, false, false },
        { "absent", false, false, false, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool found;
        struct xds_override out;
        assert_true(xds_override_find((ProtobufCMessage *const *)route->typed_per_filter_config,
                                      route->n_typed_per_filter_config,
                                      text_from_string(rows[i].key), &arena, &found, &out, &error));
        assert_int_equal(found, rows[i].found);
        assert_int_equal(out.config != NULL, rows[i].config);
        assert_int_equal(out.disabled, rows[i].disabled);
        assert_int_equal(out.is_optional, rows[i].optional);
        if (out.config) {
            ProtobufCMessage *message;
            assert_true(xds_any_is(out.config, CORS_POLICY));
            assert_true(xds_any_decode(out.config, CORS_POLICY, &arena, &message, &error));
            assert_false(xds_any_decode(out.config, INHERIT, &arena, &message, &error));
            assert_non_null(strstr(error.text, "weft.v1.Inherit is wanted"));
        }
    }
    arena_fini(&arena);
}

static void knows_maps(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *owner;
        const char *field;
        bool map;
    } rows[] = {
        { ROUTE, "typed_per_filter_config", true },
        { ROUTE, "request_headers_to_add", false },
        { ROUTE, "name", false },
        { VHOST, "routes", false },
        { &envoy__config__core__v3__metadata__descriptor, "filter_metadata", true },
        { &envoy__config__endpoint__v3__cluster_load_assignment__descriptor, "named_endpoints",
          true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(rows[i].owner, rows[i].field);
        assert_non_null(field);
        assert_int_equal(xds_field_is_map(rows[i].owner, field), rows[i].map);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        uint64_t ms;
    } rows[] = { { 0, 0, 0 },  { 0, 1, 1 },      { 1, 500000000, 1500 },      { -1, 0, 0 },
                 { 0, -1, 0 }, { 15, 0, 15000 }, { INT64_MAX, 0, UINT64_MAX } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
        duration.seconds = rows[i].seconds;
        duration.nanos = rows[i].nanos;
        assert_int_equal(xds_duration_ms(&duration, 7), rows[i].ms);
    }
    assert_int_equal(xds_duration_ms(NULL, 7), 7);
    struct arena arena;
    arena_init(&arena);
    assert_int_equal(xds_duration_ms(compose_duration_ms(&arena, 12345), 0), 12345);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_is_in_order),
        cmocka_unit_test(packs_and_decodes),
        cmocka_unit_test(maps_pack_in_order_and_the_last_duplicate_stays),
        cmocka_unit_test(finds_overrides),
        cmocka_unit_test(knows_maps),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
