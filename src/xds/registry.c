/* Which message types Weft knows by type URL: a table in order of full name, searched by halves. */
#include "xds/registry.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/core.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "envoy/extensions/access_loggers/stream/v3/stream.pb-c.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"
#include "envoy/extensions/filters/http/header_mutation/v3/header_mutation.pb-c.h"
#include "envoy/extensions/filters/http/router/v3/router.pb-c.h"
#include "envoy/extensions/filters/http/stateful_session/v3/stateful_session.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/extensions/http/original_ip_detection/xff/v3/xff.pb-c.h"
#include "envoy/extensions/http/stateful_session/cookie/v3/cookie.pb-c.h"
#include "envoy/extensions/http/stateful_session/header/v3/header.pb-c.h"
#include "envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb-c.h"
#include "envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.pb-c.h"
#include "envoy/extensions/upstreams/http/v3/http.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "weft/v1/weft.pb-c.h"

/* The full name is longer than a line. */
#define HCM_V3(name) envoy__extensions__filters__network__http_connection_manager__v3__##name

static const ProtobufCMessageDescriptor *const known[] = {
    &envoy__config__cluster__v3__cluster__descriptor,
    &envoy__config__core__v3__typed_extension_config__descriptor,
    &envoy__config__endpoint__v3__cluster_load_assignment__descriptor,
    &envoy__config__listener__v3__listener__descriptor,
    &envoy__config__route__v3__filter_config__descriptor,
    &envoy__config__route__v3__route_configuration__descriptor,
    &envoy__config__route__v3__virtual_host__descriptor,
    &envoy__extensions__access_loggers__stream__v3__stdout_access_log__descriptor,
    &envoy__extensions__filters__http__cors__v3__cors__descriptor,
    &envoy__extensions__filters__http__cors__v3__cors_policy__descriptor,
    &envoy__extensions__filters__http__header_mutation__v3__header_mutation__descriptor,
    &envoy__extensions__filters__http__header_mutation__v3__header_mutation_per_route__descriptor,
    &envoy__extensions__filters__http__router__v3__router__descriptor,
    &envoy__extensions__filters__http__stateful_session__v3__stateful_session__descriptor,
    &envoy__extensions__filters__http__stateful_session__v3__stateful_session_per_route__descriptor,
    &HCM_V3(http_connection_manager__descriptor),
    &envoy__extensions__http__original_ip_detection__xff__v3__xff_config__descriptor,
    &envoy__extensions__http__stateful_session__cookie__v3__cookie_based_session_state__descriptor,
    &envoy__extensions__http__stateful_session__header__v3__header_based_session_state__descriptor,
    &envoy__extensions__load_balancing_policies__least_request__v3__least_request__descriptor,
    &envoy__extensions__load_balancing_policies__round_robin__v3__round_robin__descriptor,
    &envoy__extensions__upstreams__http__v3__http_protocol_options__descriptor,
    &envoy__service__discovery__v3__resource_error__descriptor,
    &google__protobuf__any__descriptor,
    &google__protobuf__bool_value__descriptor,
    &google__protobuf__bytes_value__descriptor,
    &google__protobuf__double_value__descriptor,
    &google__protobuf__duration__descriptor,
    &google__protobuf__float_value__descriptor,
    &google__protobuf__int32_value__descriptor,
    &google__protobuf__int64_value__descriptor,
    &google__protobuf__list_value__descriptor,
    &google__protobuf__string_value__descriptor,
    &google__protobuf__struct__descriptor,
    &google__protobuf__uint32_value__descriptor,
    &google__protobuf__uint64_value__descriptor,
    &google__protobuf__value__descriptor,
    &weft__v1__direct_response__descriptor,
    &weft__v1__inherit__descriptor,
    &weft__v1__listener_options__descriptor,
    &weft__v1__path_rules__descriptor,
    &weft__v1__session_state__descriptor,
    &weft__v1__url_rewrite__descriptor,
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

const ProtobufCMessageDescriptor *registry_find(struct text type_url)
{
    size_t slash = type_url.size;
    while (slash > 0 && type_url.at[slash - 1] != '/')
        slash--;
    if (slash == 0)
        return NULL;
    struct text name = text_from(type_url, slash);
    size_t low = 0, high = KNOWN_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = text_compare(name, text_from_string(known[middle]->name));
        if (order == 0)
            return known[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const ProtobufCMessageDescriptor *const *registry_all(size_t *out_count)
{
    *out_count = KNOWN_COUNT;
    return known;
}
