/* Listener -> listener_part: address, limits, habits, the name of its routes. One filter chain with
 * one HttpConnectionManager. TLS, matching of filter chains and unknown filters are errors: without
 * them the listener would be more open than asked for. */
#include "base/ensure.h"
#include "proxy/compile_parts.h"
#include "xds/message.h"

#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/extensions/filters/http/header_mutation/v3/header_mutation.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/extensions/http/original_ip_detection/xff/v3/xff.pb-c.h"
#include "weft/v1/weft.pb-c.h"

#include <stdlib.h>

#define LISTENER Envoy__Config__Listener__V3__Listener
#define CHAIN    Envoy__Config__Listener__V3__FilterChain
#define MANAGER                                                                                    \
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager
#define MANAGER_PACKAGE(name)                                                                      \
    envoy__extensions__filters__network__http_connection_manager__v3__##name
#define MANAGER_DESCRIPTOR MANAGER_PACKAGE(http_connection_manager__descriptor)
#define MANAGER_OF(tag)                                                                            \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__##tag
#define HTTP_FILTER Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter
#define MUTATION_DESCRIPTOR                                                                        \
    envoy__extensions__filters__http__header_mutation__v3__header_mutation__descriptor
#define XFF Envoy__Extensions__Http__OriginalIpDetection__Xff__V3__XffConfig
#define XFF_DESCRIPTOR                                                                             \
    envoy__extensions__http__original_ip_detection__xff__v3__xff_config__descriptor

#define OPTIONS_NAME "weft.listener_options"
#define HOPS_MAX     32
#define BLOCKS_MAX   1000

struct listener_compile {
    struct listener_part *part;
    struct arena scratch;
    struct compile_notes *notes;
};

/* 0 switches a timeout off where `off` says what that is. */
static uint32_t timeout_ms(const Google__Protobuf__Duration *duration, uint32_t unset, uint32_t off)
{
    if (duration == NULL) {
        return unset;
    }
    uint64_t ms = xds_duration_ms(duration, 0);
    return ms == 0 ? off : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static bool read_address(struct listener_compile *compile, const LISTENER *message,
                         struct error *error)
{
    struct address *address = &compile->part->listener.address;
    if (message->address == NULL || message->address->address_case !=
                                        ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS) {
        return error_set(error, "address: a socket_address is needed");
    }
    const Envoy__Config__Core__V3__SocketAddress *socket = message->address->socket_address;
    if (socket->protocol != ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PROTOCOL__TCP) {
        return error_set(error, "address.socket_address.protocol: only TCP is supported");
    }
    if (!address_parse_ip(text_from_string(socket->address), address)) {
        return error_set(error, "address.socket_address.address: \"%.100s\" is no IP address",
                         socket->address);
    }
    if (socket->port_specifier_case !=
            ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE ||
        socket->port_value > 65535) {
        return error_set(error, "address.socket_address.port_value: missing, or above 65535");
    }
    address->port = (uint16_t)socket->port_value;
    return true;
}

static bool check_listener(const LISTENER *message, struct error *error)
{
    if (message->api_listener != NULL) {
        return error_set(error, "api_listener: not supported");
    }
    if (message->n_additional_addresses > 0) {
        return error_set(error, "additional_addresses: not supported; use a Listener each");
    }
    if (xds_bool(message->use_original_dst, false) || xds_bool(message->transparent, false)) {
        return error_set(error, "use_original_dst, transparent: not supported");
    }
    if (!xds_bool(message->bind_to_port, true)) {
        return error_set(error, "bind_to_port: false is not supported");
    }
    if (message->n_listener_filters > 0) {
        return error_set(error, "listener_filters[0]: \"%.100s\" is not supported",
                         message->listener_filters[0]->name);
    }
    return true;
}

/* True where it lets every connection through. */
static bool matches_all(const Envoy__Config__Listener__V3__FilterChainMatch *match)
{
    return match == NULL || protobuf_c_message_get_packed_size(&match->base) == 0;
}

static const CHAIN *find_chain(const LISTENER *message, struct error *error)
{
    const CHAIN *chain = message->default_filter_chain;
    if (message->n_filter_chains + (chain != NULL) != 1) {
        error_set(error, "filter_chains: exactly one is supported");
        return NULL;
    }
    chain = chain ? chain : message->filter_chains[0];
    if (!matches_all(chain->filter_chain_match)) {
        error_set(error, "filter_chains[0].filter_chain_match: not supported");
        return NULL;
    }
    if (chain->transport_socket != NULL) {
        error_set(error, "filter_chains[0].transport_socket: TLS is not supported");
        return NULL;
    }
    return chain;
}

static bool find_manager(struct listener_compile *compile, const LISTENER *message,
                         const MANAGER **out_manager, struct error *error)
{
    const CHAIN *chain = find_chain(message, error);
    ProtobufCMessage *manager = NULL;
    if (chain == NULL) {
        return false;
    }
    if (chain->n_filters != 1 ||
        !xds_any_is(chain->filters[0]->typed_config, &MANAGER_DESCRIPTOR)) {
        return error_set(error, "filter_chains[0].filters: exactly one HttpConnectionManager is "
                                "supported");
    }
    if (!xds_any_decode(chain->filters[0]->typed_config, &MANAGER_DESCRIPTOR, &compile->scratch,
                        &manager, error)) {
        return error_prefix(error, "filter_chains[0].filters[0]");
    }
    *out_manager = (const MANAGER *)manager;
    return true;
}

static void read_options(struct listener_compile *compile, const Weft__V1__ListenerOptions *options)
{
    struct listener_part *part = compile->part;
    struct listener_limits *limits = &part->listener.limits;
    limits->max_connections = options->max_connections;
    if (options->request_line_bytes > 0) {
        limits->request_line_bytes = options->request_line_bytes;
    }
    limits->body_bytes = options->body_bytes;
    if (options->body_stall_timeout_ms > 0) {
        limits->body_stall_timeout_ms = options->body_stall_timeout_ms;
    }
    const Weft__V1__PathRules *rules = options->path_rules;
    if (rules != NULL) {
        part->encoded_slash =
            rules->encoded_slash ? (uint8_t)rules->encoded_slash : part->encoded_slash;
        part->backslash = (uint8_t)rules->backslash;
        part->double_slash = (uint8_t)rules->double_slash;
    }
}

static bool read_any_options(struct listener_compile *compile, const Google__Protobuf__Any *any,
                             struct error *error)
{
    ProtobufCMessage *options;
    if (!xds_any_decode(any, &weft__v1__listener_options__descriptor, &compile->scratch, &options,
                        error)) {
        return error_prefix(error, OPTIONS_NAME);
    }
    read_options(compile, (const Weft__V1__ListenerOptions *)options);
    return true;
}

/* Filters work by what routes say; what is left to check is that none is asked for that Weft does
 * not have. Unknown types were refused by inspection, unless they call themselves optional. */
static bool read_http_filter(struct listener_compile *compile, const HTTP_FILTER *filter,
                             struct error *error)
{
    const Google__Protobuf__Any *any = filter->typed_config;
    if (any == NULL || filter->disabled) {
        return true;
    }
    if (xds_any_is(any, &weft__v1__listener_options__descriptor)) {
        return read_any_options(compile, any, error);
    }
    if (xds_any_is(any, &MUTATION_DESCRIPTOR) && any->value.len > 0) {
        compile_note(compile->notes, TEXT("HttpConnectionManager.http_filters header_mutation"));
    }
    return true;
}

static bool read_http_filters(struct listener_compile *compile, const MANAGER *manager,
                              struct error *error)
{
    for (size_t i = 0; i < manager->n_http_filters; i++) {
        if (!read_http_filter(compile, manager->http_filters[i], error)) {
            return error_prefix(error, "http_filters[%zu]", i);
        }
    }
    return true;
}

static bool read_blocks(struct listener_compile *compile, const XFF *xff, struct error *error)
{
    struct plan_listener *listener = &compile->part->listener;
    size_t count = xff->xff_trusted_cidrs ? xff->xff_trusted_cidrs->n_cidrs : 0;
    if (count > BLOCKS_MAX) {
        return error_set(error, "xff_trusted_cidrs.cidrs: more than %d", BLOCKS_MAX);
    }
    listener->trusted_peers =
        arena_new_array(&compile->part->arena, struct address_block, count + 1);
    for (size_t i = 0; i < count; i++) {
        const Envoy__Config__Core__V3__CidrRange *range = xff->xff_trusted_cidrs->cidrs[i];
        struct text written = text_from_string(range->address_prefix);
        if (range->prefix_len != NULL) {
            written = arena_format(&compile->scratch, "%.*s/%u", TEXT_ARG(written),
                                   (unsigned)range->prefix_len->value);
        }
        struct address_block *block = &listener->trusted_peers[listener->trusted_peer_count++];
        if (!address_block_parse(written, block)) {
            return error_set(error, "xff_trusted_cidrs.cidrs[%zu]: \"%.*s\" is no address block", i,
                             TEXT_ARG(text_first(written, 100)));
        }
    }
    return true;
}

static bool read_forwarding(struct listener_compile *compile, const MANAGER *manager,
                            struct error *error)
{
    struct plan_listener *listener = &compile->part->listener;
    listener->trusted_hops = manager->xff_num_trusted_hops;
    for (size_t i = 0; i < manager->n_original_ip_detection_extensions; i++) {
        ProtobufCMessage *xff;
        const Google__Protobuf__Any *any =
            manager->original_ip_detection_extensions[i]->typed_config;
        if (!xds_any_is(any, &XFF_DESCRIPTOR) || i > 0) {
            return error_set(error,
                             "original_ip_detection_extensions[%zu]: one XffConfig is "
                             "supported",
                             i);
        }
        if (!xds_any_decode(any, &XFF_DESCRIPTOR, &compile->scratch, &xff, error) ||
            !read_blocks(compile, (const XFF *)xff, error)) {
            return error_prefix(error, "original_ip_detection_extensions[%zu]", i);
        }
        uint32_t hops = ((const XFF *)xff)->xff_num_trusted_hops;
        listener->trusted_hops = hops > listener->trusted_hops ? hops : listener->trusted_hops;
    }
    return listener->trusted_hops <= HOPS_MAX ||
           error_set(error, "xff_num_trusted_hops: more than %d", HOPS_MAX);
}

static void read_limits(struct listener_compile *compile, const MANAGER *manager)
{
    struct listener_limits *limits = &compile->part->listener.limits;
    const Envoy__Config__Core__V3__HttpProtocolOptions *shared =
        manager->common_http_protocol_options;
    if (manager->max_request_headers_kb != NULL && manager->max_request_headers_kb->value > 0) {
        uint32_t kb = manager->max_request_headers_kb->value;
        limits->header_bytes = (kb < 8192 ? kb : 8192) * 1024;
    }
    limits->header_timeout_ms =
        timeout_ms(manager->request_headers_timeout, limits->header_timeout_ms, UINT32_MAX);
    limits->stream_idle_timeout_ms =
        timeout_ms(manager->stream_idle_timeout, limits->stream_idle_timeout_ms, UINT32_MAX);
    limits->request_timeout_ms = timeout_ms(manager->request_timeout, 0, 0);
    if (shared == NULL) {
        return;
    }
    limits->idle_timeout_ms = timeout_ms(shared->idle_timeout, limits->idle_timeout_ms, UINT32_MAX);
    limits->max_requests_per_connection = xds_uint32(shared->max_requests_per_connection, 0);
    uint32_t fields = xds_uint32(shared->max_headers_count, limits->header_fields);
    if (fields > FIELDS_MAX || fields == 0) {
        compile_note(compile->notes, TEXT("HttpProtocolOptions.max_headers_count above 100"));
        fields = FIELDS_MAX;
    }
    limits->header_fields = (uint16_t)fields;
}

static void read_habits(struct listener_compile *compile, const MANAGER *manager)
{
    struct listener_part *part = compile->part;
    part->listener.path_rules.merge_slashes = manager->merge_slashes;
    part->listener.access_log = manager->n_access_log > 0;
    for (size_t i = 0; i < manager->n_upgrade_configs; i++) {
        bool websocket = text_equal_nocase(
            text_from_string(manager->upgrade_configs[i]->upgrade_type), TEXT("websocket"));
        if (!websocket) {
            compile_note(compile->notes, TEXT("HttpConnectionManager.upgrade_configs"));
        } else if (xds_bool(manager->upgrade_configs[i]->enabled, true)) {
            part->listener.upgrades = true;
        }
    }
    switch (manager->path_with_escaped_slashes_action) {
    case MANAGER_OF(PATH_WITH_ESCAPED_SLASHES_ACTION__IMPLEMENTATION_SPECIFIC_DEFAULT):
        break;
    case MANAGER_OF(PATH_WITH_ESCAPED_SLASHES_ACTION__KEEP_UNCHANGED):
        part->encoded_slash = WEFT__V1__PATH_RULE__PATH_RULE_KEEP;
        break;
    case MANAGER_OF(PATH_WITH_ESCAPED_SLASHES_ACTION__REJECT_REQUEST):
        part->encoded_slash = WEFT__V1__PATH_RULE__PATH_RULE_REFUSE;
        break;
    default: /* unescaping is not done: refusing is the safe side */
        compile_note(compile->notes,
                     TEXT("HttpConnectionManager.path_with_escaped_slashes_action"));
        part->encoded_slash = WEFT__V1__PATH_RULE__PATH_RULE_REFUSE;
        break;
    }
}

static bool read_routes(struct listener_compile *compile, const MANAGER *manager,
                        struct error *error)
{
    struct listener_part *part = compile->part;
    if (manager->route_specifier_case == MANAGER_OF(ROUTE_SPECIFIER_RDS)) {
        part->listener.routes_name =
            arena_copy(&part->arena, text_from_string(manager->rds->route_config_name));
        return part->listener.routes_name.size > 0 ||
               error_set(error, "rds.route_config_name: missing");
    }
    if (manager->route_specifier_case != MANAGER_OF(ROUTE_SPECIFIER_ROUTE_CONFIG)) {
        return error_set(error, "route_specifier: rds or route_config is needed");
    }
    struct buffer bytes;
    buffer_init(&bytes);
    xds_pack(&manager->route_config->base, &bytes);
    part->inline_routes = compile_routes(text_from_string(manager->route_config->name),
                                         buffer_text(&bytes), NULL, compile->notes, error);
    buffer_fini(&bytes);
    return part->inline_routes != NULL || error_prefix(error, "route_config");
}

static bool read_manager(struct listener_compile *compile, const MANAGER *manager,
                         struct error *error)
{
    if (manager->codec_type != MANAGER_OF(CODEC_TYPE__AUTO) &&
        manager->codec_type != MANAGER_OF(CODEC_TYPE__HTTP1)) {
        return error_set(error, "codec_type: only AUTO and HTTP1 are supported");
    }
    read_limits(compile, manager);
    read_habits(compile, manager);
    return read_http_filters(compile, manager, error) && read_forwarding(compile, manager, error) &&
           read_routes(compile, manager, error);
}

static bool read_metadata(struct listener_compile *compile, const LISTENER *message,
                          struct error *error)
{
    const Envoy__Config__Core__V3__Metadata *metadata = message->metadata;
    if (metadata == NULL) {
        return true;
    }
    const Google__Protobuf__Any *any = (const Google__Protobuf__Any *)xds_map_find(
        (ProtobufCMessage *const *)metadata->typed_filter_metadata,
        metadata->n_typed_filter_metadata, TEXT(OPTIONS_NAME));
    return any == NULL || read_any_options(compile, any, error) || error_prefix(error, "metadata");
}

static bool read_listener(struct listener_compile *compile, const LISTENER *message,
                          struct text name, struct error *error)
{
    const MANAGER *manager = NULL;
    if (!text_equal(text_from_string(message->name), name)) {
        return error_set(error, "name: \"%s\" in a resource named \"%.*s\"", message->name,
                         TEXT_ARG(name));
    }
    compile->part->listener.name = arena_copy(&compile->part->arena, name);
    if (!check_listener(message, error) || !read_address(compile, message, error) ||
        !find_manager(compile, message, &manager, error)) {
        return false;
    }
    compile_note_message(compile->notes, &manager->base);
    return (read_manager(compile, manager, error) ||
            error_prefix(error, "HttpConnectionManager")) &&
           read_metadata(compile, message, error);
}

struct listener_part *compile_listener(struct text name, struct text bytes,
                                       struct compile_notes *notes, struct error *error)
{
    struct listener_part *part = calloc(1, sizeof(*part));
    ensure(part != NULL);
    arena_init(&part->arena);
    plan_listener_defaults(&part->listener.limits);
    struct listener_compile compile = { .part = part, .notes = notes };
    arena_init(&compile.scratch);
    ProtobufCMessage *message;
    bool read = xds_decode(TYPE_LISTENER, bytes, &compile.scratch, &message, error) &&
                compile_inspect(notes, message, &compile.scratch, error);
    if (read) {
        compile_note_message(notes, message);
        read = read_listener(&compile, (const LISTENER *)message, name, error);
    }
    arena_fini(&compile.scratch);
    if (!read) {
        listener_part_free(part);
        return NULL;
    }
    return part;
}

void listener_part_free(struct listener_part *part)
{
    if (part != NULL) {
        plan_routes_unref(part->inline_routes);
        plan_listener_unref(part->linked);
        arena_fini(&part->arena);
        free(part);
    }
}

/* Where nothing is said, ambiguous slashes are refused as soon as some route is for a part of the
 * paths only: who may reach what then hangs on how a path is read. */
static enum path_slashes resolve(uint8_t rule, bool guarded)
{
    if (rule == WEFT__V1__PATH_RULE__PATH_RULE_DEFAULT) {
        return guarded ? PATH_REFUSE : PATH_KEEP;
    }
    return rule == WEFT__V1__PATH_RULE__PATH_RULE_KEEP ? PATH_KEEP : PATH_REFUSE;
}

static struct plan_listener *copy_listener(const struct listener_part *part)
{
    struct arena arena;
    arena_init(&arena);
    struct plan_listener *listener = arena_new(&arena, struct plan_listener);
    memcpy(listener, &part->listener, sizeof(*listener));
    atomic_init(&listener->references, 1);
    listener->name = arena_copy(&arena, part->listener.name);
    listener->routes_name = arena_copy(&arena, part->listener.routes_name);
    size_t count = part->listener.trusted_peer_count;
    listener->trusted_peers = arena_new_array(&arena, struct address_block, count + 1);
    for (size_t i = 0; i < count; i++) {
        listener->trusted_peers[i] = part->listener.trusted_peers[i];
    }
    listener->arena = arena;
    return listener;
}

struct plan_listener *listener_part_link(struct listener_part *part, struct plan_routes *routes)
{
    routes = part->inline_routes ? part->inline_routes : routes;
    if (part->linked != NULL && part->linked->routes == routes) {
        return plan_listener_ref(part->linked);
    }
    struct plan_listener *listener = copy_listener(part);
    bool guarded = routes != NULL && routes->guards_paths;
    listener->routes = routes ? plan_routes_ref(routes) : NULL;
    listener->path_rules.encoded_slash = resolve(part->encoded_slash, guarded);
    listener->path_rules.backslash = resolve(part->backslash, guarded);
    listener->path_rules.double_slash = resolve(part->double_slash, guarded);
    plan_listener_unref(part->linked);
    part->linked = plan_listener_ref(listener);
    return listener;
}
