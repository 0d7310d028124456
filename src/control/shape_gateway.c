/* Shapes of GatewayClass, Gateway and ListenerSet. */
#include "control/rules.h"

/* ---- GatewayClass ---------------------------------------------------------------------------- */

static const struct field parameters_ref_fields[] = {
    { "group", AT(object_ref, group), .flags = FIELD_REQUIRED, .value = GROUP_VALUE },
    { "kind", AT(object_ref, kind), .flags = FIELD_REQUIRED, .value = KIND_VALUE },
    { "name", AT(object_ref, name), .flags = FIELD_REQUIRED, .value = NAME_VALUE },
    { "namespace", AT(object_ref, name_space), .value = NAMESPACE_VALUE },
};
static const struct shape parameters_ref_shape = SHAPE(object_ref, parameters_ref_fields, NULL);

static const struct field gateway_class_fields[] = {
    { "controllerName", AT(gateway_class, controller_name), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, PATTERN_PREFIXED_PATH, .min = 1, .max = 253 } },
    { "parametersRef", AT(gateway_class, parameters_ref),
      .value = OBJECT_VALUE(parameters_ref_shape) },
    { "description", AT(gateway_class, description), .value = { VALUE_TEXT, .max = 64 } },
};
const struct shape gateway_class_shape = SHAPE(gateway_class, gateway_class_fields, NULL);

/* ---- which namespaces and kinds may attach --------------------------------------------------- */

static const char *const label_operators[] = { "In", "NotIn", "Exists", "DoesNotExist", NULL };
static const struct value any_text_item = { VALUE_TEXT };

static const struct field requirement_fields[] = {
    { "key", AT(label_requirement, key), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, PATTERN_LABEL_KEY, .min = 1 } },
    { "operator", AT(label_requirement, operator_), .flags = FIELD_REQUIRED,
      .value = WORD_VALUE(label_operators) },
    { "values", AT(label_requirement, values), .value = LIST_VALUE(0, &any_text_item) },
};
static const struct shape requirement_shape =
    SHAPE(label_requirement, requirement_fields, rule_label_requirement);
static const struct value requirement_item = { VALUE_STRUCT, .shape = &requirement_shape };

static const struct field label_selector_fields[] = {
    { "matchLabels", AT(label_selector, match_labels),
      .value = { VALUE_TEXT_MAP, PATTERN_LABEL_VALUE, PATTERN_LABEL_KEY } },
    { "matchExpressions", AT(label_selector, match_expressions),
      .value = LIST_VALUE(0, &requirement_item) },
};
static const struct shape label_selector_shape = SHAPE(label_selector, label_selector_fields, NULL);

static const char *const route_from[] = { "All", "Selector", "Same", NULL };
static const char *const listener_from[] = { "All", "Selector", "Same", "None", NULL };

static const struct field route_namespaces_fields[] = {
    { "from", AT(namespaces_allowed, from), .fallback_number = FROM_SAME,
      .value = WORD_VALUE(route_from) },
    { "selector", AT(namespaces_allowed, selector), .value = OBJECT_VALUE(label_selector_shape) },
};
static const struct shape route_namespaces_shape =
    SHAPE(namespaces_allowed, route_namespaces_fields, NULL);

static const struct field listener_namespaces_fields[] = {
    { "from", AT(namespaces_allowed, from), .fallback_number = FROM_NONE,
      .value = WORD_VALUE(listener_from) },
    { "selector", AT(namespaces_allowed, selector), .value = OBJECT_VALUE(label_selector_shape) },
};
static const struct shape listener_namespaces_shape =
    SHAPE(namespaces_allowed, listener_namespaces_fields, NULL);

static const struct field allowed_listeners_fields[] = {
    { "namespaces", AT(allowed_listeners, namespaces), .flags = FIELD_FILLED,
      .value = OBJECT_VALUE(listener_namespaces_shape) },
};
static const struct shape allowed_listeners_shape =
    SHAPE(allowed_listeners, allowed_listeners_fields, NULL);

static const struct field group_kind_fields[] = {
    { "group", AT(route_group_kind, group), .fallback = GATEWAY_GROUP, .value = GROUP_VALUE },
    { "kind", AT(route_group_kind, kind), .flags = FIELD_REQUIRED, .value = KIND_VALUE },
};
static const struct shape group_kind_shape = SHAPE(route_group_kind, group_kind_fields, NULL);
static const struct value group_kind_item = { VALUE_STRUCT, .shape = &group_kind_shape };

static const struct field allowed_routes_fields[] = {
    { "namespaces", AT(allowed_routes, namespaces), .flags = FIELD_FILLED,
      .value = OBJECT_VALUE(route_namespaces_shape) },
    { "kinds", AT(allowed_routes, kinds), .value = LIST_VALUE(8, &group_kind_item) },
};
static const struct shape allowed_routes_shape = SHAPE(allowed_routes, allowed_routes_fields, NULL);

/* ---- listeners ------------------------------------------------------------------------------- */

static const struct value certificate_ref_item = { VALUE_STRUCT, .shape = &certificate_ref_shape };
static const char *const tls_modes[] = { "Terminate", "Passthrough", NULL };

static const struct field listener_tls_fields[] = {
    { "mode", AT(listener_tls, mode), HAS(listener_tls, mode), .value = WORD_VALUE(tls_modes) },
    { "certificateRefs", AT(listener_tls, certificate_refs),
      .value = LIST_VALUE(64, &certificate_ref_item) },
    { "options", AT(listener_tls, options),
      .value = { VALUE_TEXT_MAP, PATTERN_ANY, PATTERN_LABEL_KEY, .max = 16 } },
};
static const struct shape listener_tls_shape =
    SHAPE(listener_tls, listener_tls_fields, rule_listener_tls);

static const char *const listener_filter_types[] = {
    [FILTER_REQUEST_HEADER_MODIFIER] = "",
    [FILTER_RESPONSE_HEADER_MODIFIER] = "",
    [FILTER_REQUEST_MIRROR] = "",
    [FILTER_REQUEST_REDIRECT] = "",
    [FILTER_URL_REWRITE] = "",
    [FILTER_EXTENSION_REF] = "ExtensionRef",
    [FILTER_CORS] = "",
    [FILTER_EXTERNAL_AUTH] = "ExternalAuth",
    NULL,
};

static const struct field listener_filter_fields[] = {
    { "type", AT(route_filter, type), .flags = FIELD_REQUIRED,
      .value = WORD_VALUE(listener_filter_types) },
    { "extensionRef", AT(route_filter, extension_ref), .value = OBJECT_VALUE(extension_ref_shape) },
    { "externalAuth", AT(route_filter, external_auth), .value = OBJECT_VALUE(external_auth_shape) },
};
static const struct shape listener_filter_shape =
    SHAPE(route_filter, listener_filter_fields, rule_filter);
static const struct value listener_filter_item = { VALUE_STRUCT, .shape = &listener_filter_shape };

static const struct field listener_filters_fields[] = {
    { "requests", AT(listener_filters, requests), .value = LIST_VALUE(16, &listener_filter_item) },
};
static const struct shape listener_filters_shape =
    SHAPE(listener_filters, listener_filters_fields, NULL);

static const struct field listener_fields[] = {
    { "name", AT(gateway_listener, name), .flags = FIELD_REQUIRED, .value = SECTION_NAME_VALUE },
    { "hostname", AT(gateway_listener, hostname), .value = HOSTNAME_VALUE },
    { "port", AT(gateway_listener, port), .flags = FIELD_REQUIRED, .value = { VALUE_PORT } },
    { "protocol", AT(gateway_listener, protocol), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, PATTERN_PROTOCOL, .min = 1, .max = 255 } },
    { "tls", AT(gateway_listener, tls), .value = OBJECT_VALUE(listener_tls_shape) },
    { "allowedRoutes", AT(gateway_listener, allowed_routes), .flags = FIELD_FILLED,
      .value = OBJECT_VALUE(allowed_routes_shape) },
    { "filters", AT(gateway_listener, filters), .value = OBJECT_VALUE(listener_filters_shape) },
};
static const struct shape listener_shape = SHAPE(gateway_listener, listener_fields, rule_listener);
static const struct value listener_item = { VALUE_STRUCT, .shape = &listener_shape };

#define LISTENERS                                                                                  \
    { VALUE_LIST, .min = 1, .max = 64, .item = &listener_item, .unique = "name",                   \
      .check = rule_listeners }

/* ---- TLS of a whole Gateway ------------------------------------------------------------------ */

static const struct field ca_ref_fields[] = {
    { "group", AT(object_ref, group), .flags = FIELD_REQUIRED, .value = GROUP_VALUE },
    { "kind", AT(object_ref, kind), .flags = FIELD_REQUIRED, .value = KIND_VALUE },
    { "name", AT(object_ref, name), .flags = FIELD_REQUIRED, .value = NAME_VALUE },
    { "namespace", AT(object_ref, name_space), .value = NAMESPACE_VALUE },
};
static const struct shape ca_ref_shape = SHAPE(object_ref, ca_ref_fields, NULL);
static const struct value ca_ref_item = { VALUE_STRUCT, .shape = &ca_ref_shape };
static const char *const validation_modes[] = { "AllowValidOnly", "AllowInsecureFallback", NULL };

static const struct field frontend_validation_fields[] = {
    { "caCertificateRefs", AT(frontend_validation, ca_certificate_refs), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 16, .item = &ca_ref_item, .check = rule_ca_refs } },
    { "mode", AT(frontend_validation, mode), .value = WORD_VALUE(validation_modes) },
};
static const struct shape frontend_validation_shape =
    SHAPE(frontend_validation, frontend_validation_fields, NULL);

static const struct field frontend_tls_fields[] = {
    { "validation", AT(frontend_tls, validation),
      .value = OBJECT_VALUE(frontend_validation_shape) },
};
static const struct shape frontend_tls_shape = SHAPE(frontend_tls, frontend_tls_fields, NULL);

static const struct field frontend_port_fields[] = {
    { "port", AT(frontend_tls_port, port), .flags = FIELD_REQUIRED, .value = { VALUE_PORT } },
    { "tls", AT(frontend_tls_port, tls), .flags = FIELD_REQUIRED,
      .value = OBJECT_VALUE(frontend_tls_shape) },
};
static const struct shape frontend_port_shape =
    SHAPE(frontend_tls_port, frontend_port_fields, NULL);
static const struct value frontend_port_item = { VALUE_STRUCT, .shape = &frontend_port_shape };

static const struct field frontend_config_fields[] = {
    { "default", AT(frontend_tls_config, default_), .flags = FIELD_REQUIRED,
      .value = OBJECT_VALUE(frontend_tls_shape) },
    { "perPort", AT(frontend_tls_config, per_port),
      .value = { VALUE_LIST, .max = 64, .item = &frontend_port_item, .unique = "port" } },
};
static const struct shape frontend_config_shape =
    SHAPE(frontend_tls_config, frontend_config_fields, NULL);

static const struct field backend_tls_fields[] = {
    { "clientCertificateRef", AT(backend_tls, client_certificate_ref),
      .value = OBJECT_VALUE(certificate_ref_shape) },
};
static const struct shape backend_tls_shape = SHAPE(backend_tls, backend_tls_fields, NULL);

static const struct field gateway_tls_fields[] = {
    { "backend", AT(gateway_tls, backend), .value = OBJECT_VALUE(backend_tls_shape) },
    { "frontend", AT(gateway_tls, frontend), .value = OBJECT_VALUE(frontend_config_shape) },
};
static const struct shape gateway_tls_shape = SHAPE(gateway_tls, gateway_tls_fields, NULL);

/* ---- Gateway --------------------------------------------------------------------------------- */

static const struct field address_fields[] = {
    { "type", AT(gateway_address, type), .fallback = "IPAddress",
      .value = { VALUE_TEXT, PATTERN_ADDRESS_TYPE, .min = 1, .max = 253 } },
    { "value", AT(gateway_address, value), .value = { VALUE_TEXT, .max = 253 } },
    { "routability", AT(gateway_address, routability), HAS(gateway_address, routability),
      .value = { VALUE_TEXT, PATTERN_ROUTABILITY, .max = 253 } },
};
static const struct shape address_shape =
    SHAPE(gateway_address, address_fields, rule_gateway_address);
static const struct value address_item = { VALUE_STRUCT, .shape = &address_shape };

static const struct field infrastructure_fields[] = {
    { "labels", AT(gateway_infrastructure, labels),
      .value = { VALUE_TEXT_MAP, PATTERN_LABEL_VALUE, PATTERN_LABEL_KEY, .max = 8 } },
    { "annotations", AT(gateway_infrastructure, annotations),
      .value = { VALUE_TEXT_MAP, PATTERN_ANY, PATTERN_LABEL_KEY, .max = 16 } },
    { "parametersRef", AT(gateway_infrastructure, parameters_ref),
      .value = OBJECT_VALUE(extension_ref_shape) },
};
static const struct shape infrastructure_shape =
    SHAPE(gateway_infrastructure, infrastructure_fields, NULL);

static const char *const default_scopes[] = { "", "All", "None", NULL };

static const struct field gateway_fields[] = {
    { "gatewayClassName", AT(gateway, gateway_class_name), .flags = FIELD_REQUIRED,
      .value = NAME_VALUE },
    { "listeners", AT(gateway, listeners), .flags = FIELD_REQUIRED, .value = LISTENERS },
    { "addresses", AT(gateway, addresses),
      .value = { VALUE_LIST, .max = 16, .item = &address_item, .check = rule_gateway_addresses } },
    { "infrastructure", AT(gateway, infrastructure), .value = OBJECT_VALUE(infrastructure_shape) },
    { "allowedListeners", AT(gateway, allowed_listeners),
      .value = OBJECT_VALUE(allowed_listeners_shape) },
    { "tls", AT(gateway, tls), .value = OBJECT_VALUE(gateway_tls_shape) },
    { "defaultScope", AT(gateway, default_scope), .value = WORD_VALUE(default_scopes) },
};
const struct shape gateway_shape = SHAPE(gateway, gateway_fields, NULL);

/* ---- ListenerSet ----------------------------------------------------------------------------- */

static const struct field set_parent_fields[] = {
    { "group", AT(object_ref, group), .fallback = GATEWAY_GROUP, .value = GROUP_VALUE },
    { "kind", AT(object_ref, kind), .fallback = "Gateway", .value = KIND_VALUE },
    { "name", AT(object_ref, name), .flags = FIELD_REQUIRED, .value = NAME_VALUE },
    { "namespace", AT(object_ref, name_space), .value = NAMESPACE_VALUE },
};
static const struct shape set_parent_shape = SHAPE(object_ref, set_parent_fields, NULL);

static const struct field listener_set_fields[] = {
    { "parentRef", AT(listener_set, parent_ref), .flags = FIELD_REQUIRED,
      .value = OBJECT_VALUE(set_parent_shape) },
    { "listeners", AT(listener_set, listeners), .flags = FIELD_REQUIRED, .value = LISTENERS },
};
const struct shape listener_set_shape = SHAPE(listener_set, listener_set_fields, NULL);
