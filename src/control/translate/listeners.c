/* Listeners: one address and port with one HttpConnectionManager, whose routes come by RDS (design
 * note 0001, "Resources" and "Listener options"). */
#include "control/translate/parts.h"

#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"
#include "envoy/extensions/filters/http/router/v3/router.pb-c.h"
#include "envoy/extensions/filters/http/stateful_session/v3/stateful_session.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"

#define HCM_TYPE(name)                                                                             \
    envoy__extensions__filters__network__http_connection_manager__v3__##name##__descriptor
#define HCM_WORD(name)                                                                             \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__##name
#define SLASHES_WORD(name)                                                                         \
    HCM_WORD(HTTP_CONNECTION_MANAGER__PATH_WITH_ESCAPED_SLASHES_ACTION__##name)
#define hcm_message                                                                                \
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager
#define hcm_filter Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter

static Envoy__Config__Core__V3__ConfigSource *compose_ads(struct arena *arena)
{
    Envoy__Config__Core__V3__ConfigSource *source =
        compose_new(arena, &CORE_TYPE(config_source));
    source->config_source_specifier_case =
        CORE_WORD(CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS);
    source->ads = compose_new(arena, &CORE_TYPE(aggregated_config_source));
    source->resource_api_version = CORE_WORD(API_VERSION__V3);
    return source;
}

static hcm_filter *add_filter(struct arena *arena, hcm_message *manager, struct text name,
                              ProtobufCMessage *config)
{
    hcm_filter *filter = compose_new(arena, &HCM_TYPE(http_filter));
    filter->name = compose_string(arena, name);
    filter->config_type_case =
        HCM_WORD(HTTP_FILTER__CONFIG_TYPE_TYPED_CONFIG);
    filter->typed_config = compose_any(arena, config);
    COMPOSE_ADD(arena, manager, http_filters, filter);
    return filter;
}

static Weft__V1__PathRule path_rule(enum translate_slashes slashes)
{
    return slashes == SLASHES_KEEP     ? WEFT__V1__PATH_RULE__PATH_RULE_KEEP
           : slashes == SLASHES_REFUSE ? WEFT__V1__PATH_RULE__PATH_RULE_REFUSE
                                       : WEFT__V1__PATH_RULE__PATH_RULE_DEFAULT;
}

/* What neither Listener nor HttpConnectionManager has words for; nothing where all is by
 * default. */
static void add_listener_options(struct arena *arena, const struct translate_options *options,
                                 hcm_message *manager)
{
    bool rules = options->backslash || options->double_slash || options->encoded_slashes;
    if (!rules && !options->max_connections && !options->request_line_bytes &&
        !options->body_bytes && !options->body_stall_timeout_ms) {
        return;
    }
    Weft__V1__ListenerOptions *message =
        compose_new(arena, &weft__v1__listener_options__descriptor);
    message->max_connections = options->max_connections;
    message->request_line_bytes = options->request_line_bytes;
    message->body_bytes = options->body_bytes;
    message->body_stall_timeout_ms = options->body_stall_timeout_ms;
    if (rules) {
        message->path_rules = compose_new(arena, &weft__v1__path_rules__descriptor);
        message->path_rules->encoded_slash = path_rule(options->encoded_slashes);
        message->path_rules->backslash = path_rule(options->backslash);
        message->path_rules->double_slash = path_rule(options->double_slash);
    }
    hcm_filter *filter =
        add_filter(arena, manager, TEXT("weft.listener_options"), &message->base);
    filter->is_optional = true;
}

static void add_filters(struct arena *arena, const struct translate_options *options,
                        hcm_message *manager)
{
    ProtobufCMessage *cors =
        compose_new(arena, &envoy__extensions__filters__http__cors__v3__cors__descriptor);
    ProtobufCMessage *session = compose_new(
        arena,
        &envoy__extensions__filters__http__stateful_session__v3__stateful_session__descriptor);
    ProtobufCMessage *router =
        compose_new(arena, &envoy__extensions__filters__http__router__v3__router__descriptor);
    add_filter(arena, manager, TEXT("envoy.filters.http.cors"), cors);
    add_filter(arena, manager, TEXT("envoy.filters.http.stateful_session"), session);
    add_listener_options(arena, options, manager);
    add_filter(arena, manager, TEXT("envoy.filters.http.router"), router);
}

static void set_limits(struct arena *arena, const struct translate_options *options,
                       hcm_message *manager)
{
    Envoy__Config__Core__V3__HttpProtocolOptions *limits =
        compose_new(arena, &CORE_TYPE(http_protocol_options));
    limits->idle_timeout = compose_duration_ms(arena, options->idle_timeout_ms);
    limits->max_headers_count = compose_uint32(arena, options->max_header_fields);
    if (options->max_requests_per_connection) {
        limits->max_requests_per_connection =
            compose_uint32(arena, options->max_requests_per_connection);
    }
    manager->common_http_protocol_options = limits;
    uint32_t header_kib = options->max_header_bytes / 1024 +
                          (options->max_header_bytes % 1024 > 0);
    manager->max_request_headers_kb = compose_uint32(arena, header_kib < 8192 ? header_kib : 8192);
    manager->request_headers_timeout = compose_duration_ms(arena, options->header_timeout_ms);
    manager->stream_idle_timeout = compose_duration_ms(arena, options->stream_idle_timeout_ms);
    if (options->request_timeout_ms) {
        manager->request_timeout = compose_duration_ms(arena, options->request_timeout_ms);
    }
}

static hcm_message *compose_manager(struct translation *translation,
                                    const struct graph_socket *socket)
{
    struct arena *arena = &translation->arena;
    const struct translate_options *options = translation->options;
    hcm_message *manager = compose_new(arena, &HCM_TYPE(http_connection_manager));
    manager->stat_prefix = compose_string(arena, socket->name);
    manager->route_specifier_case =
        HCM_WORD(HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_RDS);
    manager->rds = compose_new(arena, &HCM_TYPE(rds));
    manager->rds->route_config_name = compose_string(arena, socket->routes_name);
    manager->rds->config_source = compose_ads(arena);
    manager->use_remote_address = compose_bool(arena, true);
    manager->normalize_path = compose_bool(arena, true);
    manager->merge_slashes = options->merge_slashes;
    manager->xff_num_trusted_hops = options->trusted_hops;
    if (options->for_envoy) {
        manager->server_header_transformation =
            HCM_WORD(HTTP_CONNECTION_MANAGER__SERVER_HEADER_TRANSFORMATION__PASS_THROUGH);
    }
    manager->path_with_escaped_slashes_action =
        options->encoded_slashes == SLASHES_KEEP
            ? SLASHES_WORD(KEEP_UNCHANGED)
        : options->encoded_slashes == SLASHES_REFUSE
            ? SLASHES_WORD(REJECT_REQUEST)
            : SLASHES_WORD(IMPLEMENTATION_SPECIFIC_DEFAULT);
    __typeof__(*manager->upgrade_configs) upgrade =
        compose_new(arena, &HCM_TYPE(http_connection_manager__upgrade_config));
    upgrade->upgrade_type = compose_string(arena, TEXT("websocket"));
    COMPOSE_ADD(arena, manager, upgrade_configs, upgrade);
    if (options->access_log) {
        __typeof__(*manager->access_log) log =
            compose_new(arena, &envoy__config__accesslog__v3__access_log__descriptor);
        log->name = compose_string(arena, TEXT("weft.access_log"));
        COMPOSE_ADD(arena, manager, access_log, log);
    }
    set_limits(arena, options, manager);
    add_filters(arena, options, manager);
    return manager;
}

static Envoy__Config__Core__V3__Address *compose_address(struct arena *arena,
                                                         const struct address *address)
{
    Envoy__Config__Core__V3__Address *out =
        compose_new(arena, &CORE_TYPE(address));
    Envoy__Config__Core__V3__SocketAddress *socket =
        compose_new(arena, &CORE_TYPE(socket_address));
    char bytes[ADDRESS_TEXT_MAX];
    size_t size = address_format_ip(address, bytes);
    socket->address = compose_string(arena, text_of(bytes, size));
    socket->port_specifier_case =
        CORE_WORD(SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE);
    socket->port_value = address->port;
    out->address_case = CORE_WORD(ADDRESS__ADDRESS_SOCKET_ADDRESS);
    out->socket_address = socket;
    return out;
}

void encode_listener(struct translation *translation, const struct graph_socket *socket,
                     struct buffer *out)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Listener__V3__Listener *listener =
        compose_new(arena, &envoy__config__listener__v3__listener__descriptor);
    listener->name = compose_string(arena, socket->name);
    listener->address = compose_address(arena, &socket->address);
    Envoy__Config__Listener__V3__Filter *filter =
        compose_new(arena, &envoy__config__listener__v3__filter__descriptor);
    filter->name = compose_string(arena, TEXT("envoy.filters.network.http_connection_manager"));
    filter->config_type_case = ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter->typed_config = compose_any(arena, &compose_manager(translation, socket)->base);
    Envoy__Config__Listener__V3__FilterChain *chain =
        compose_new(arena, &envoy__config__listener__v3__filter_chain__descriptor);
    chain->name = compose_string(arena, TEXT("http"));
    COMPOSE_ADD(arena, chain, filters, filter);
    COMPOSE_ADD(arena, listener, filter_chains, chain);
    listener->traffic_direction = CORE_WORD(TRAFFIC_DIRECTION__INBOUND);
    xds_pack(&listener->base, out);
    translation_recycle(translation);
}
