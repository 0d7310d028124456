/* What of the wire's vocabulary is acted upon, as a table; everything else that a resource sets is
 * noted, so that an operator sees what has no effect. Messages that are not in the table are
 * leaves. What may not be ignored is refused where it is compiled, or by inspection. */
#include "base/ensure.h"
#include "proxy/compile_parts.h"
#include "xds/inspect.h"
#include "xds/registry.h"

#include <stdio.h>
#include <stdlib.h>

struct support {
    const char *message;
    const char *fields; /* by name, separated by spaces */
};

static const struct support supported[] = {
    { "envoy.config.listener.v3.Listener",
      "name address filter_chains default_filter_chain metadata listener_filters api_listener "
      "additional_addresses use_original_dst transparent bind_to_port stat_prefix "
      "traffic_direction enable_reuse_port" },
    { "envoy.config.listener.v3.FilterChain", "filters name filter_chain_match transport_socket" },
    { "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      "codec_type stat_prefix rds http_filters access_log use_remote_address "
      "xff_num_trusted_hops upgrade_configs stream_idle_timeout request_timeout "
      "max_request_headers_kb merge_slashes common_http_protocol_options "
      "request_headers_timeout path_with_escaped_slashes_action route_config "
      "original_ip_detection_extensions normalize_path generate_request_id" },
    { "envoy.config.core.v3.HttpProtocolOptions",
      "idle_timeout max_headers_count max_requests_per_connection" },
    { "envoy.config.route.v3.RouteConfiguration",
      "name virtual_hosts request_headers_to_add request_headers_to_remove "
      "response_headers_to_add response_headers_to_remove validate_clusters "
      "most_specific_header_mutations_wins request_mirror_policies "
      "ignore_port_in_host_matching typed_per_filter_config" },
    { "envoy.config.route.v3.VirtualHost",
      "name domains routes require_tls request_headers_to_add request_headers_to_remove "
      "response_headers_to_add response_headers_to_remove typed_per_filter_config retry_policy "
      "request_mirror_policies" },
    { "envoy.config.route.v3.Route",
      "match route redirect direct_response non_forwarding_action request_headers_to_add "
      "request_headers_to_remove response_headers_to_add response_headers_to_remove "
      "typed_per_filter_config name stat_prefix" },
    { "envoy.config.route.v3.RouteAction",
      "cluster cluster_header weighted_clusters cluster_specifier_plugin prefix_rewrite "
      "host_rewrite_literal auto_host_rewrite host_rewrite_header host_rewrite_path_regex timeout "
      "retry_policy idle_timeout request_mirror_policies regex_rewrite path_rewrite_policy "
      "path_rewrite" },
    { "envoy.config.route.v3.WeightedCluster", "clusters total_weight runtime_key_prefix" },
    { "envoy.config.route.v3.WeightedCluster.ClusterWeight",
      "name weight request_headers_to_add request_headers_to_remove response_headers_to_add "
      "response_headers_to_remove typed_per_filter_config host_rewrite_literal cluster_header" },
    { "envoy.config.route.v3.RetryPolicy",
      "retry_on num_retries per_try_timeout retriable_status_codes retry_back_off" },
    { "envoy.config.route.v3.RouteAction.RequestMirrorPolicy",
      "cluster runtime_fraction cluster_header disable_shadow_host_suffix_append" },
    { "envoy.config.route.v3.DirectResponseAction", "status body" },
    { "envoy.config.cluster.v3.Cluster",
      "name type cluster_type eds_cluster_config connect_timeout lb_policy "
      "max_requests_per_connection http2_protocol_options dns_lookup_family "
      "least_request_lb_config round_robin_lb_config transport_socket load_assignment "
      "typed_extension_protocol_options respect_dns_ttl load_balancing_policy "
      "transport_socket_matches alt_stat_name" },
    { "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig", "choice_count" },
    { "envoy.config.cluster.v3.Cluster.RoundRobinLbConfig", "" },
    { "envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name endpoints" },
    { "envoy.config.endpoint.v3.LocalityLbEndpoints",
      "locality lb_endpoints load_balancing_weight priority" },
    { "envoy.config.endpoint.v3.LbEndpoint",
      "endpoint endpoint_name health_status load_balancing_weight" },
    { "envoy.config.endpoint.v3.Endpoint", "address hostname" },
};

#define SUPPORTED (sizeof(supported) / sizeof(supported[0]))
#define SLOTS     128 /* more than twice as many as there are messages */

/* Found by descriptor, filled at first use. */
static struct slot {
    const ProtobufCMessageDescriptor *descriptor;
    const struct support *support; /* NULL: a leaf */
    uint64_t fields;               /* bit of each supported field, by its place in the descriptor */
} slots[SLOTS];

static void fill_slot(struct slot *slot, const ProtobufCMessageDescriptor *descriptor)
{
    slot->descriptor = descriptor;
    for (size_t i = 0; i < SUPPORTED && slot->support == NULL; i++) {
        if (strcmp(supported[i].message, descriptor->name) == 0) {
            slot->support = &supported[i];
        }
    }
    if (slot->support == NULL) {
        return;
    }
    ensure(descriptor->n_fields <= 64);
    struct text rest = text_from_string(slot->support->fields);
    struct text name;
    while (text_split(&rest, ' ', &name)) {
        for (unsigned i = 0; i < descriptor->n_fields; i++) {
            if (text_equal(name, text_from_string(descriptor->fields[i].name))) {
                slot->fields |= UINT64_C(1) << i;
            }
        }
    }
}

static const struct slot *find_slot(const ProtobufCMessageDescriptor *descriptor)
{
    size_t at = ((uintptr_t)descriptor >> 4) % SLOTS;
    for (unsigned tries = 0; tries < SLOTS; tries++, at = (at + 1) % SLOTS) {
        if (slots[at].descriptor == descriptor) {
            return &slots[at];
        }
        if (slots[at].descriptor == NULL) {
            fill_slot(&slots[at], descriptor);
            return &slots[at];
        }
    }
    return NULL; /* more types than slots: those are leaves */
}

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

static bool scalar_is_set(const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *string = *(char *const *)at;
        return string != NULL && string[0] != '\0';
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)at != NULL;
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len > 0;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)at != 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return *(const uint64_t *)at != 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        return *(const double *)at != 0;
    default:
        return *(const uint32_t *)at != 0;
    }
}

static size_t field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return *(const size_t *)member(message, field->quantifier_offset);
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        return *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
    }
    return scalar_is_set(field, member(message, field->offset));
}

static void note_field(struct compile_notes *notes, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    char where[256];
    int size = snprintf(where, sizeof(where), "%s.%s", message->descriptor->name, field->name);
    compile_note(notes,
                 text_of(where, (size_t)size < sizeof(where) ? (size_t)size : sizeof(where) - 1));
}

/* As deep as the messages in the table nest: a dozen. */
void compile_note_message(struct compile_notes *notes, const ProtobufCMessage *message)
{
    const struct slot *slot = find_slot(message->descriptor);
    if (slot == NULL || slot->support == NULL) {
        return;
    }
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        size_t count = field_count(message, field);
        if (count == 0) {
            continue;
        }
        if ((slot->fields >> i & 1) == 0) {
            note_field(notes, message, field);
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            const void *at = member(message, field->offset);
            ProtobufCMessage *const *items = field->label == PROTOBUF_C_LABEL_REPEATED
                                                 ? *(ProtobufCMessage *const *const *)at
                                                 : at;
            for (size_t k = 0; k < count; k++) {
                compile_note_message(notes, items[k]);
            }
        }
    }
}

void compile_notes_init(struct compile_notes *notes)
{
    map_init(&notes->counts);
    arena_init(&notes->arena);
}

void compile_notes_fini(struct compile_notes *notes)
{
    map_fini(&notes->counts);
    arena_fini(&notes->arena);
}

void compile_note(struct compile_notes *notes, struct text where)
{
    struct compile_count *count = map_find(&notes->counts, where);
    if (count == NULL && notes->counts.count >= NOTES_MAX) {
        where = TEXT("others");
        count = map_find(&notes->counts, where);
    }
    if (count == NULL) {
        count = arena_new(&notes->arena, struct compile_count);
        count->where = arena_copy(&notes->arena, where);
        map_put(&notes->counts, count->where, count);
    }
    count->count++;
}

static void note_unsupported(void *owner, const struct inspect_unsupported *found)
{
    char where[256];
    int size = found->type_url.size > 0
                   ? snprintf(where, sizeof(where), "type %.*s", TEXT_ARG(found->type_url))
                   : snprintf(where, sizeof(where), "%.*s field %u", TEXT_ARG(found->message),
                              (unsigned)found->field);
    compile_note(owner,
                 text_of(where, (size_t)size < sizeof(where) ? (size_t)size : sizeof(where) - 1));
}

bool compile_inspect(struct compile_notes *notes, const ProtobufCMessage *message,
                     struct arena *scratch, struct error *error)
{
    struct inspect_events events = { .owner = notes, .on_unsupported = note_unsupported };
    return inspect_or_refuse(message, scratch, &events, error);
}
