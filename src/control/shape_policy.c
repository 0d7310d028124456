/* Shapes of ReferenceGrant, BackendTLSPolicy and XBackend. */
#include "control/rules.h"

/* ---- ReferenceGrant -------------------------------------------------------------------------- */

static const struct field grant_from_fields[] = {
    { "group", AT(grant_from, group), .flags = FIELD_REQUIRED, .value = GROUP_VALUE },
    { "kind", AT(grant_from, kind), .flags = FIELD_REQUIRED, .value = KIND_VALUE },
    { "namespace", AT(grant_from, name_space), .flags = FIELD_REQUIRED, .value = NAMESPACE_VALUE },
};
static const struct shape grant_from_shape = SHAPE(grant_from, grant_from_fields, NULL);
static const struct value grant_from_item = { VALUE_STRUCT, .shape = &grant_from_shape };

static const struct field grant_to_fields[] = {
    { "group", AT(grant_to, group), .flags = FIELD_REQUIRED, .value = GROUP_VALUE },
    { "kind", AT(grant_to, kind), .flags = FIELD_REQUIRED, .value = KIND_VALUE },
    { "name", AT(grant_to, name), .value = NAME_VALUE },
};
static const struct shape grant_to_shape = SHAPE(grant_to, grant_to_fields, NULL);
static const struct value grant_to_item = { VALUE_STRUCT, .shape = &grant_to_shape };

static const struct field reference_grant_fields[] = {
    { "from", AT(reference_grant, from), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 16, .item = &grant_from_item } },
    { "to", AT(reference_grant, to), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 16, .item = &grant_to_item } },
};
const struct shape reference_grant_shape = SHAPE(reference_grant, reference_grant_fields, NULL);

/* ---- BackendTLSPolicy ------------------------------------------------------------------------ */

static const struct field policy_target_fields[] = {
    { "group", AT(policy_target, group), .flags = FIELD_REQUIRED, .value = GROUP_VALUE },
    { "kind", AT(policy_target, kind), .flags = FIELD_REQUIRED, .value = KIND_VALUE },
    { "name", AT(policy_target, name), .flags = FIELD_REQUIRED, .value = NAME_VALUE },
    { "sectionName", AT(policy_target, section_name), .value = SECTION_NAME_VALUE },
};
static const struct shape policy_target_shape = SHAPE(policy_target, policy_target_fields, NULL);
static const struct value policy_target_item = { VALUE_STRUCT, .shape = &policy_target_shape };

static const struct field backend_tls_policy_fields[] = {
    { "targetRefs", AT(backend_tls_policy, target_refs), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 16, .item = &policy_target_item,
                 .check = rule_policy_targets } },
    { "validation", AT(backend_tls_policy, validation), .flags = FIELD_REQUIRED,
      .value = OBJECT_VALUE(backend_validation_shape) },
    { "options", AT(backend_tls_policy, options),
      .value = { VALUE_TEXT_MAP, PATTERN_ANY, PATTERN_LABEL_KEY, .max = 16 } },
};
const struct shape backend_tls_policy_shape =
    SHAPE(backend_tls_policy, backend_tls_policy_fields, NULL);

/* ---- XBackend -------------------------------------------------------------------------------- */

static const struct field external_hostname_fields[] = {
    { "hostname", AT(x_external_hostname, hostname), .flags = FIELD_REQUIRED,
      .value = PRECISE_HOST_VALUE },
};
static const struct shape external_hostname_shape =
    SHAPE(x_external_hostname, external_hostname_fields, NULL);

static const struct field endpoint_selector_fields[] = {
    { "matchLabels", AT(x_endpoint_selector, match_labels), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT_MAP, PATTERN_LABEL_VALUE, PATTERN_LABEL_KEY, .min = 1, .max = 64 } },
};
static const struct shape endpoint_selector_shape =
    SHAPE(x_endpoint_selector, endpoint_selector_fields, NULL);

static const struct field backend_port_fields[] = {
    { "number", AT(x_backend_port, number), HAS(x_backend_port, number), .flags = FIELD_REQUIRED,
      .value = { VALUE_PORT } },
};
static const struct shape backend_port_shape = SHAPE(x_backend_port, backend_port_fields, NULL);

static const char *const tls_modes[] = { "None", "ServerOnly", "ClientAndServer", NULL };

static const struct field x_backend_tls_fields[] = {
    { "mode", AT(x_backend_tls, mode), .value = WORD_VALUE(tls_modes) },
    { "validation", AT(x_backend_tls, validation),
      .value = OBJECT_VALUE(backend_validation_shape) },
    { "clientCertificateRef", AT(x_backend_tls, client_certificate_ref),
      .value = OBJECT_VALUE(certificate_ref_shape) },
};
static const struct shape x_backend_tls_shape =
    SHAPE(x_backend_tls, x_backend_tls_fields, rule_x_backend_tls);

static const char *const backend_types[] = { "ExternalHostname", "EndpointSelector", NULL };
static const char *const backend_protocols[] = { "",    "TCP", "HTTP", "HTTP2", "HTTP11",
                                                 "H2C", "MCP", "GRPC", "WSS",   NULL };

static const struct field x_backend_fields[] = {
    { "type", AT(x_backend, type), .flags = FIELD_REQUIRED, .value = WORD_VALUE(backend_types) },
    { "externalHostname", AT(x_backend, external_hostname),
      .value = OBJECT_VALUE(external_hostname_shape) },
    { "endpointSelector", AT(x_backend, endpoint_selector),
      .value = OBJECT_VALUE(endpoint_selector_shape) },
    { "port", AT(x_backend, port), .flags = FIELD_REQUIRED,
      .value = OBJECT_VALUE(backend_port_shape) },
    { "protocol", AT(x_backend, protocol), .value = WORD_VALUE(backend_protocols) },
    { "tls", AT(x_backend, tls), .flags = FIELD_FILLED,
      .value = OBJECT_VALUE(x_backend_tls_shape) },
    { "sessionPersistence", AT(x_backend, session_persistence),
      .value = OBJECT_VALUE(session_persistence_shape) },
};
const struct shape x_backend_shape = SHAPE(x_backend, x_backend_fields, rule_x_backend);
