/* Cluster -> settings. Defaults that are not zero stand here (decisions of the product: connect 5
 * s, upstream idle 50 s, two choices). */
#include "upstream/cluster_compile.h"

#include "xds/message.h"

#include "envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb-c.h"
#include "envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.pb-c.h"
#include "envoy/extensions/upstreams/http/v3/http.pb-c.h"

#define MESSAGE Envoy__Config__Cluster__V3__Cluster
#define OPTIONS Envoy__Extensions__Upstreams__Http__V3__HttpProtocolOptions
#define LEAST   Envoy__Extensions__LoadBalancingPolicies__LeastRequest__V3__LeastRequest
#define LEAST_DESCRIPTOR                                                                           \
    envoy__extensions__load_balancing_policies__least_request__v3__least_request__descriptor
#define ROUND_ROBIN_DESCRIPTOR                                                                     \
    envoy__extensions__load_balancing_policies__round_robin__v3__round_robin__descriptor
#define HTTP_DESCRIPTOR envoy__extensions__upstreams__http__v3__http_protocol_options__descriptor
#define OPTIONS_CASE(x) ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__##x

/* Control planes still send Cluster.max_requests_per_connection and http2_protocol_options. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define CONNECT_TIMEOUT_MS 5000
#define IDLE_TIMEOUT_MS    50000
#define CHOICES            2
#define CHOICES_MAX        16
#define HTTP_OPTIONS       "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#define RAW_BUFFER         "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
#define RANDOM             "envoy.extensions.load_balancing_policies.random.v3.Random"

static bool any_is_named(const Google__Protobuf__Any *any, const char *name)
{
    size_t prefix = sizeof(TYPE_URL_PREFIX) - 1;
    return any != NULL && strncmp(any->type_url, TYPE_URL_PREFIX, prefix) == 0 &&
           strcmp(any->type_url + prefix, name) == 0;
}

static uint32_t duration_ms(const Google__Protobuf__Duration *duration, uint32_t unset)
{
    uint64_t ms = xds_duration_ms(duration, unset);
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void set_choices(struct cluster_settings *settings,
                        const Google__Protobuf__UInt32Value *from)
{
    uint32_t choices = xds_uint32(from, CHOICES);
    settings->choices = choices < 2 ? 2 : choices > CHOICES_MAX ? CHOICES_MAX : choices;
}

static void read_lb_policy(struct cluster_settings *settings, const MESSAGE *message)
{
    settings->choices = CHOICES;
    switch (message->lb_policy) {
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN:
        settings->balance = BALANCE_ROUND_ROBIN;
        break;
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__RANDOM:
        settings->balance = BALANCE_RANDOM;
        break;
    default: /* hashing policies too: they are reported, and spread the load at least */
        settings->balance = BALANCE_LEAST_REQUEST;
        break;
    }
    if (message->lb_config_case ==
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_CONFIG_LEAST_REQUEST_LB_CONFIG) {
        set_choices(settings, message->least_request_lb_config->choice_count);
    }
}

/* True where this policy is one of ours. */
static bool use_policy(struct cluster_settings *settings, const Google__Protobuf__Any *config,
                       struct arena *scratch, bool *out_used, struct error *error)
{
    *out_used = true;
    if (xds_any_is(config, &ROUND_ROBIN_DESCRIPTOR)) {
        settings->balance = BALANCE_ROUND_ROBIN;
        return true;
    }
    if (any_is_named(config, RANDOM)) {
        settings->balance = BALANCE_RANDOM;
        return true;
    }
    if (!xds_any_is(config, &LEAST_DESCRIPTOR)) {
        *out_used = false;
        return true;
    }
    ProtobufCMessage *decoded;
    if (!xds_any_decode(config, &LEAST_DESCRIPTOR, scratch, &decoded, error)) {
        return false;
    }
    settings->balance = BALANCE_LEAST_REQUEST;
    set_choices(settings, ((const LEAST *)decoded)->choice_count);
    return true;
}

static bool read_balancing(struct cluster_settings *settings, const MESSAGE *message,
                           struct arena *scratch, struct error *error)
{
    read_lb_policy(settings, message);
    const Envoy__Config__Cluster__V3__LoadBalancingPolicy *policy = message->load_balancing_policy;
    if (policy == NULL) {
        return true;
    }
    for (size_t i = 0; i < policy->n_policies; i++) {
        const Envoy__Config__Core__V3__TypedExtensionConfig *config =
            policy->policies[i]->typed_extension_config;
        bool used = false;
        if (config && !use_policy(settings, config->typed_config, scratch, &used, error)) {
            return error_prefix(error, "load_balancing_policy.policies[%zu]", i);
        }
        if (used) {
            return true;
        }
    }
    return error_set(error, "load_balancing_policy: none of the policies is supported; use "
                            "least_request, round_robin or random");
}

static void read_protocol(struct cluster_settings *settings, const OPTIONS *options)
{
    const Envoy__Config__Core__V3__HttpProtocolOptions *shared =
        options->common_http_protocol_options;
    if (shared != NULL) {
        settings->idle_timeout_ms = duration_ms(shared->idle_timeout, settings->idle_timeout_ms);
        settings->max_requests_per_connection =
            xds_uint32(shared->max_requests_per_connection, settings->max_requests_per_connection);
    }
    if (options->upstream_protocol_options_case ==
        OPTIONS_CASE(UPSTREAM_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG)) {
        settings->http2 =
            options->explicit_http_config->protocol_config_case ==
            OPTIONS_CASE(EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP2_PROTOCOL_OPTIONS);
    }
}

static bool read_connection(struct cluster_settings *settings, const MESSAGE *message,
                            struct arena *scratch, struct error *error)
{
    settings->connect_timeout_ms = duration_ms(message->connect_timeout, CONNECT_TIMEOUT_MS);
    settings->idle_timeout_ms = IDLE_TIMEOUT_MS;
    settings->max_requests_per_connection = xds_uint32(message->max_requests_per_connection, 0);
    settings->http2 = message->http2_protocol_options != NULL;
    if (settings->connect_timeout_ms == 0) {
        return error_set(error, "connect_timeout: must be more than 0");
    }
    const Google__Protobuf__Any *any = (const void *)xds_map_find(
        (ProtobufCMessage *const *)message->typed_extension_protocol_options,
        message->n_typed_extension_protocol_options, TEXT(HTTP_OPTIONS));
    if (any == NULL) {
        return true;
    }
    ProtobufCMessage *options;
    if (!xds_any_decode(any, &HTTP_DESCRIPTOR, scratch, &options, error)) {
        return error_prefix(error, "typed_extension_protocol_options[\"%s\"]", HTTP_OPTIONS);
    }
    read_protocol(settings, (const OPTIONS *)options);
    return true;
}

static bool check_plain(const MESSAGE *message, struct error *error)
{
    const Envoy__Config__Core__V3__TransportSocket *socket = message->transport_socket;
    if (message->n_transport_socket_matches > 0) {
        return error_set(error, "transport_socket_matches: not supported");
    }
    if (socket == NULL || any_is_named(socket->typed_config, RAW_BUFFER)) {
        return true;
    }
    return error_set(error,
                     "transport_socket: TLS towards endpoints is not supported, and sending in "
                     "the clear instead would be wrong");
}

static enum cluster_family family_of(const MESSAGE *message)
{
    switch (message->dns_lookup_family) {
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__V4_ONLY:
        return FAMILY_V4;
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__V6_ONLY:
        return FAMILY_V6;
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__V4_PREFERRED:
        return FAMILY_PREFER_V4;
    default:
        return FAMILY_ALL;
    }
}

static bool read_discovery(struct cluster_settings *settings, const MESSAGE *message,
                           struct error *error)
{
    if (message->cluster_discovery_type_case ==
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_CLUSTER_TYPE) {
        return error_set(error, "cluster_type: not supported; use type STATIC, STRICT_DNS or EDS");
    }
    settings->family = family_of(message);
    switch (message->type) {
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STATIC:
        settings->discovery = DISCOVERY_STATIC;
        break;
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STRICT_DNS:
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__LOGICAL_DNS:
        settings->discovery = DISCOVERY_DNS;
        break;
    case ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS:
        settings->discovery = DISCOVERY_EDS;
        break;
    default:
        return error_set(error, "type: not supported; use STATIC, STRICT_DNS, LOGICAL_DNS or EDS");
    }
    if (settings->discovery == DISCOVERY_EDS) {
        struct text service = text_from_string(
            message->eds_cluster_config ? message->eds_cluster_config->service_name : NULL);
        settings->service_name =
            service.size > 0 ? arena_copy(&settings->arena, service) : settings->name;
        return true;
    }
    if (message->load_assignment == NULL) {
        return error_set(error, "load_assignment: missing");
    }
    settings->assignment = cluster_assignment_compile(message->load_assignment,
                                                      settings->discovery == DISCOVERY_DNS, error);
    return settings->assignment != NULL || error_prefix(error, "load_assignment");
}

struct cluster_settings *cluster_settings_compile(const MESSAGE *message, struct text name,
                                                  struct error *error)
{
    if (!text_equal(text_from_string(message->name), name)) {
        error_set(error, "name: \"%s\" in a resource named \"%.*s\"", message->name,
                  TEXT_ARG(name));
        return NULL;
    }
    struct arena arena;
    struct arena scratch;
    arena_init(&arena);
    arena_init(&scratch);
    struct cluster_settings *settings = arena_new(&arena, struct cluster_settings);
    settings->name = arena_copy(&arena, name);
    settings->arena = arena;
    bool read = check_plain(message, error) && read_balancing(settings, message, &scratch, error) &&
                read_connection(settings, message, &scratch, error) &&
                read_discovery(settings, message, error);
    arena_fini(&scratch);
    if (!read) {
        cluster_settings_free(settings);
        return NULL;
    }
    return settings;
}

void cluster_settings_free(struct cluster_settings *settings)
{
    if (settings != NULL) {
        cluster_assignment_free(settings->assignment);
        struct arena arena = settings->arena;
        arena_fini(&arena);
    }
}
