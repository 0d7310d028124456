/* Shapes of Kubernetes' own kinds. Fields Weft has no use for are known, so that a manifest written
 * for a cluster reads without findings. */
#include "control/rules.h"

#define IGNORED(field_name) { .name = (field_name), .value = { VALUE_IGNORED } }

/* ---- Namespace ------------------------------------------------------------------------------- */

struct nothing {
    char unused;
};

static const struct field namespace_fields[] = { IGNORED("spec") };
const struct shape namespace_shape = SHAPE(nothing, namespace_fields, NULL);

/* ---- Service --------------------------------------------------------------------------------- */

static const char *const ip_protocols[] = { "TCP", "UDP", "SCTP", NULL };

static const struct field service_port_fields[] = {
    { "name", AT(service_port, name), .value = { VALUE_TEXT, PATTERN_DNS_LABEL, .min = 1 } },
    { "protocol", AT(service_port, protocol), .value = WORD_VALUE(ip_protocols) },
    { "port", AT(service_port, port), .flags = FIELD_REQUIRED, .value = { VALUE_PORT } },
    { "targetPort", AT(service_port, target_port), HAS(service_port, target_port),
      .value = { VALUE_INT_OR_STRING } },
    { "appProtocol", AT(service_port, app_protocol),
      .value = { VALUE_TEXT, PATTERN_LABEL_KEY, .min = 1 } },
    IGNORED("nodePort"),
};
static const struct shape service_port_shape = SHAPE(service_port, service_port_fields, NULL);
static const struct value service_port_item = { VALUE_STRUCT, .shape = &service_port_shape };

static const char *const service_types[] = { "ClusterIP", "NodePort", "LoadBalancer",
                                             "ExternalName", NULL };
static const struct value text_item = { VALUE_TEXT };

static const struct field service_fields[] = {
    { "type", AT(service, type), .value = WORD_VALUE(service_types) },
    { "clusterIP", AT(service, cluster_ip), .value = { VALUE_TEXT } },
    { "clusterIPs", AT(service, cluster_ips), .value = LIST_VALUE(2, &text_item) },
    { "externalName", AT(service, external_name), .value = { VALUE_TEXT, PATTERN_DNS_SUBDOMAIN } },
    { "ports", AT(service, ports), .value = LIST_VALUE(0, &service_port_item) },
    { "selector", AT(service, selector),
      .value = { VALUE_TEXT_MAP, PATTERN_LABEL_VALUE, PATTERN_LABEL_KEY } },
    { "publishNotReadyAddresses", AT(service, publish_not_ready_addresses),
      .value = { VALUE_BOOL } },
    IGNORED("allocateLoadBalancerNodePorts"),
    IGNORED("externalIPs"),
    IGNORED("externalTrafficPolicy"),
    IGNORED("healthCheckNodePort"),
    IGNORED("internalTrafficPolicy"),
    IGNORED("ipFamilies"),
    IGNORED("ipFamilyPolicy"),
    IGNORED("loadBalancerClass"),
    IGNORED("loadBalancerIP"),
    IGNORED("loadBalancerSourceRanges"),
    IGNORED("sessionAffinity"),
    IGNORED("sessionAffinityConfig"),
    IGNORED("trafficDistribution"),
};
const struct shape service_shape = SHAPE(service, service_fields, rule_service);

/* ---- EndpointSlice --------------------------------------------------------------------------- */

static const struct field conditions_fields[] = {
    { "ready", AT(endpoint_conditions, ready), HAS(endpoint_conditions, ready),
      .value = { VALUE_BOOL } },
    { "serving", AT(endpoint_conditions, serving), HAS(endpoint_conditions, serving),
      .value = { VALUE_BOOL } },
    { "terminating", AT(endpoint_conditions, terminating), HAS(endpoint_conditions, terminating),
      .value = { VALUE_BOOL } },
};
static const struct shape conditions_shape = SHAPE(endpoint_conditions, conditions_fields, NULL);

static const struct field target_ref_fields[] = {
    { "kind", AT(object_ref, kind), .value = { VALUE_TEXT } },
    { "namespace", AT(object_ref, name_space), .value = { VALUE_TEXT } },
    { "name", AT(object_ref, name), .value = { VALUE_TEXT } },
    IGNORED("apiVersion"),
    IGNORED("uid"),
    IGNORED("resourceVersion"),
    IGNORED("fieldPath"),
};
static const struct shape target_ref_shape = SHAPE(object_ref, target_ref_fields, NULL);

static const struct field endpoint_fields[] = {
    { "addresses", AT(endpoint, addresses), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 100, .item = &text_item, .unique = "" } },
    { "conditions", AT(endpoint, conditions),
      .value = { VALUE_STRUCT, .shape = &conditions_shape } },
    { "hostname", AT(endpoint, hostname), .value = { VALUE_TEXT, PATTERN_DNS_LABEL, .min = 1 } },
    { "nodeName", AT(endpoint, node_name), .value = { VALUE_TEXT } },
    { "zone", AT(endpoint, zone), .value = { VALUE_TEXT } },
    { "targetRef", AT(endpoint, target_ref), .value = OBJECT_VALUE(target_ref_shape) },
    IGNORED("deprecatedTopology"),
    IGNORED("hints"),
};
static const struct shape endpoint_shape = SHAPE(endpoint, endpoint_fields, NULL);
static const struct value endpoint_item = { VALUE_STRUCT, .shape = &endpoint_shape };

static const struct field endpoint_port_fields[] = {
    { "name", AT(endpoint_port, name), .value = { VALUE_TEXT } },
    { "protocol", AT(endpoint_port, protocol), .value = WORD_VALUE(ip_protocols) },
    { "port", AT(endpoint_port, port), HAS(endpoint_port, port), .value = { VALUE_PORT } },
    { "appProtocol", AT(endpoint_port, app_protocol),
      .value = { VALUE_TEXT, PATTERN_LABEL_KEY, .min = 1 } },
};
static const struct shape endpoint_port_shape = SHAPE(endpoint_port, endpoint_port_fields, NULL);
static const struct value endpoint_port_item = { VALUE_STRUCT, .shape = &endpoint_port_shape };
static const char *const address_types[] = { "IPv4", "IPv6", "FQDN", NULL };

static const struct field endpoint_slice_fields[] = {
    { "addressType", AT(endpoint_slice, address_type), .flags = FIELD_REQUIRED,
      .value = WORD_VALUE(address_types) },
    { "endpoints", AT(endpoint_slice, endpoints), .value = LIST_VALUE(1000, &endpoint_item) },
    { "ports", AT(endpoint_slice, ports), .value = LIST_VALUE(100, &endpoint_port_item) },
};
const struct shape endpoint_slice_shape =
    SHAPE(endpoint_slice, endpoint_slice_fields, rule_endpoint_slice);

/* ---- ConfigMap, Secret ----------------------------------------------------------------------- */

static const struct field config_map_fields[] = {
    { "data", AT(data_read, result.data),
      .value = { VALUE_TEXT_MAP, PATTERN_ANY, PATTERN_DATA_KEY } },
    { "binaryData", AT(data_read, other),
      .value = { VALUE_DATA_MAP, .key_pattern = PATTERN_DATA_KEY } },
    IGNORED("immutable"),
};
const struct shape config_map_shape = SHAPE(data_read, config_map_fields, rule_config_map);

static const struct field secret_fields[] = {
    { "type", AT(data_read, result.type), .fallback = "Opaque", .value = { VALUE_TEXT } },
    { "data", AT(data_read, result.data),
      .value = { VALUE_DATA_MAP, .key_pattern = PATTERN_DATA_KEY } },
    { "stringData", AT(data_read, other),
      .value = { VALUE_TEXT_MAP, PATTERN_ANY, PATTERN_DATA_KEY } },
    IGNORED("immutable"),
};
const struct shape secret_shape = SHAPE(data_read, secret_fields, rule_secret);
