/* Shapes that several kinds share: references, filters' targets, session persistence. */
#include "control/rules.h"

/* ---- references ------------------------------------------------------------------------------ */

static const struct field certificate_ref_fields[] = {
    { "group", AT(object_ref, group), .fallback = "",
      .value = GROUP_VALUE },
    { "kind", AT(object_ref, kind), .fallback = "Secret",
      .value = KIND_VALUE },
    { "namespace", AT(object_ref, name_space),
      .value = NAMESPACE_VALUE },
    { "name", AT(object_ref, name), .flags = FIELD_REQUIRED,
      .value = NAME_VALUE },
};
const struct shape certificate_ref_shape = SHAPE(object_ref, certificate_ref_fields, NULL);

static const struct field local_ref_fields[] = {
    { "group", AT(object_ref, group), .flags = FIELD_REQUIRED,
      .value = GROUP_VALUE },
    { "kind", AT(object_ref, kind), .flags = FIELD_REQUIRED,
      .value = KIND_VALUE },
    { "name", AT(object_ref, name), .flags = FIELD_REQUIRED,
      .value = NAME_VALUE },
};
const struct shape local_ca_ref_shape = SHAPE(object_ref, local_ref_fields, NULL);
const struct shape extension_ref_shape = SHAPE(object_ref, local_ref_fields, NULL);

static const struct field backend_object_ref_fields[] = {
    { "group", AT(object_ref, group), .fallback = "",
      .value = GROUP_VALUE },
    { "kind", AT(object_ref, kind), .fallback = "Service",
      .value = KIND_VALUE },
    { "namespace", AT(object_ref, name_space),
      .value = NAMESPACE_VALUE },
    { "name", AT(object_ref, name), .flags = FIELD_REQUIRED,
      .value = NAME_VALUE },
    { "port", AT(object_ref, port), HAS(object_ref, port), .value = { VALUE_PORT } },
};
const struct shape backend_object_ref_shape =
    SHAPE(object_ref, backend_object_ref_fields, rule_backend_object_ref);

/* ---- external authorization ------------------------------------------------------------------ */

static const struct value any_text = { VALUE_TEXT };

static const struct field auth_grpc_fields[] = {
    { "allowedHeaders", AT(external_auth_grpc, allowed_headers),
      .value = { VALUE_LIST, .max = 64, .item = &any_text, .unique = "", .unique_nocase = true } },
};
static const struct shape auth_grpc_shape = SHAPE(external_auth_grpc, auth_grpc_fields, NULL);

static const struct field auth_http_fields[] = {
    { "path", AT(external_auth_http, path),
      .value = { VALUE_TEXT, PATTERN_URI_PATH, .max = 1024 } },
    { "allowedHeaders", AT(external_auth_http, allowed_headers),
      .value = { VALUE_LIST, .max = 64, .item = &any_text, .unique = "", .unique_nocase = true } },
    { "allowedResponseHeaders", AT(external_auth_http, allowed_response_headers),
      .value = { VALUE_LIST, .max = 64, .item = &any_text, .unique = "", .unique_nocase = true } },
};
static const struct shape auth_http_shape = SHAPE(external_auth_http, auth_http_fields, NULL);

static const struct field forward_body_fields[] = {
    { "maxSize", AT(forward_body, max_size), .value = { VALUE_INT, .max = INT32_MAX } },
};
static const struct shape forward_body_shape = SHAPE(forward_body, forward_body_fields, NULL);

static const char *const auth_protocols[] = { "HTTP", "GRPC", NULL };

static const struct field external_auth_fields[] = {
    { "protocol", AT(external_auth, protocol), .flags = FIELD_REQUIRED,
      .value = { VALUE_WORD, .words = auth_protocols } },
    { "backendRef", AT(external_auth, backend_ref), .flags = FIELD_REQUIRED,
      .value = { VALUE_OBJECT, .shape = &backend_object_ref_shape } },
    { "grpc", AT(external_auth, grpc), .value = { VALUE_OBJECT, .shape = &auth_grpc_shape } },
    { "http", AT(external_auth, http), .value = { VALUE_OBJECT, .shape = &auth_http_shape } },
    { "forwardBody", AT(external_auth, forward_body),
      .value = { VALUE_OBJECT, .shape = &forward_body_shape } },
};
const struct shape external_auth_shape =
    SHAPE(external_auth, external_auth_fields, rule_external_auth);

/* ---- session persistence --------------------------------------------------------------------- */

static const char *const lifetimes[] = { "Session", "Permanent", NULL };
static const char *const session_types[] = { "Cookie", "Header", NULL };

static const struct field session_cookie_fields[] = {
    { "name", AT(session_cookie, name),
      .value = HEADER_NAME_VALUE },
    { "path", AT(session_cookie, path), .fallback = "/", .value = { VALUE_TEXT, .max = 1024 } },
    { "lifetimeType", AT(session_cookie, lifetime_type),
      .value = { VALUE_WORD, .words = lifetimes } },
};
static const struct shape session_cookie_shape = SHAPE(session_cookie, session_cookie_fields, NULL);

static const struct field cookie_config_fields[] = {
    { "lifetimeType", AT(session_cookie, lifetime_type),
      .value = { VALUE_WORD, .words = lifetimes } },
};
static const struct shape cookie_config_shape = SHAPE(session_cookie, cookie_config_fields, NULL);

static const struct field session_header_fields[] = {
    { "name", AT(session_header, name), .flags = FIELD_REQUIRED,
      .value = HEADER_NAME_VALUE },
};
static const struct shape session_header_shape = SHAPE(session_header, session_header_fields, NULL);

static const struct field session_persistence_fields[] = {
    { "type", AT(session_persistence_read, result.type), HAS(session_persistence_read, type),
      .value = { VALUE_WORD, .words = session_types } },
    { "absoluteTimeout", AT(session_persistence_read, result.absolute_timeout_ms),
      AT(session_persistence_read, result.has_absolute_timeout) + 1, .value = { VALUE_DURATION } },
    { "cookie", AT(session_persistence_read, result.cookie),
      .value = { VALUE_OBJECT, .shape = &session_cookie_shape } },
    { "header", AT(session_persistence_read, result.header),
      .value = { VALUE_OBJECT, .shape = &session_header_shape } },
    { "sessionName", AT(session_persistence_read, session_name),
      .value = { VALUE_TEXT, PATTERN_HEADER_NAME, .min = 1, .max = 128 } },
    { "cookieConfig", AT(session_persistence_read, cookie_config),
      .value = { VALUE_OBJECT, .shape = &cookie_config_shape } },
};
const struct shape session_persistence_shape =
    SHAPE(session_persistence_read, session_persistence_fields, rule_session_persistence);

/* ---- TLS towards backends -------------------------------------------------------------------- */

static const char *const san_types[] = { "Hostname", "URI", NULL };

static const struct field subject_alt_name_fields[] = {
    { "type", AT(subject_alt_name, type), .flags = FIELD_REQUIRED,
      .value = { VALUE_WORD, .words = san_types } },
    { "hostname", AT(subject_alt_name, hostname),
      .value = { VALUE_TEXT, PATTERN_HOSTNAME, .min = 1, .max = 253 } },
    { "uri", AT(subject_alt_name, uri),
      .value = { VALUE_TEXT, PATTERN_ABSOLUTE_URI, .min = 1, .max = 253 } },
};
static const struct shape subject_alt_name_shape =
    SHAPE(subject_alt_name, subject_alt_name_fields, rule_subject_alt_name);
static const struct value subject_alt_name_item = { VALUE_STRUCT,
                                                    .shape = &subject_alt_name_shape };
static const struct value local_ca_ref_item = { VALUE_STRUCT, .shape = &local_ca_ref_shape };

static const struct field backend_validation_fields[] = {
    { "caCertificateRefs", AT(backend_validation, ca_certificate_refs),
      .value = { VALUE_LIST, .max = 8, .item = &local_ca_ref_item } },
    { "wellKnownCACertificates", AT(backend_validation, well_known_ca_certificates),
      .value = { VALUE_TEXT, PATTERN_WELL_KNOWN_CA, .min = 1, .max = 253 } },
    { "hostname", AT(backend_validation, hostname), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, PATTERN_PRECISE_HOSTNAME, .min = 1, .max = 253 } },
    { "subjectAltNames", AT(backend_validation, subject_alt_names),
      .value = { VALUE_LIST, .max = 5, .item = &subject_alt_name_item } },
};
const struct shape backend_validation_shape =
    SHAPE(backend_validation, backend_validation_fields, rule_backend_validation);
