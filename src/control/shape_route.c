/* Shapes of the five routes and their filters. */
#include "control/rules.h"

/* ---- parents and backends -------------------------------------------------------------------- */

static const struct field parent_ref_fields[] = {
    { "group", AT(parent_ref, group), .fallback = GATEWAY_GROUP, .value = GROUP_VALUE },
    { "kind", AT(parent_ref, kind), .fallback = "Gateway", .value = KIND_VALUE },
    { "namespace", AT(parent_ref, name_space), .value = NAMESPACE_VALUE },
    { "name", AT(parent_ref, name), .flags = FIELD_REQUIRED, .value = NAME_VALUE },
    { "sectionName", AT(parent_ref, section_name), .value = SECTION_NAME_VALUE },
    { "port", AT(parent_ref, port), HAS(parent_ref, port), .value = { VALUE_PORT } },
};
static const struct shape parent_ref_shape = SHAPE(parent_ref, parent_ref_fields, NULL);
static const struct value parent_ref_item = { VALUE_STRUCT, .shape = &parent_ref_shape };
static const struct value hostname_item = HOSTNAME_VALUE;
static const char *const default_gateways[] = { "", "All", "None", NULL };

#define PARENT_REFS                                                                                \
    { "parentRefs", AT(route_common, parent_refs),                                                 \
      .value = { VALUE_LIST, .max = 32, .item = &parent_ref_item, .check = rule_parent_refs } }
#define HOSTNAMES                                                                                  \
    { "hostnames", AT(route_common, hostnames), .value = LIST_VALUE(16, &hostname_item) }
#define USE_DEFAULT_GATEWAYS                                                                       \
    { "useDefaultGateways", AT(route_common, use_default_gateways),                                \
      .value = WORD_VALUE(default_gateways) }

#define BACKEND_REF_FIELDS                                                                         \
    { "group", AT(backend_ref, ref.group), .fallback = "", .value = GROUP_VALUE },                 \
    { "kind", AT(backend_ref, ref.kind), .fallback = "Service", .value = KIND_VALUE },             \
    { "namespace", AT(backend_ref, ref.name_space), .value = NAMESPACE_VALUE },                    \
    { "name", AT(backend_ref, ref.name), .flags = FIELD_REQUIRED, .value = NAME_VALUE },           \
    { "port", AT(backend_ref, ref.port), AT(backend_ref, ref.has_port) + 1,                        \
      .value = { VALUE_PORT } },                                                                   \
    { "weight", AT(backend_ref, weight), .fallback_number = 1,                                     \
      .value = { VALUE_INT, .min = 0, .max = 1000000 } }

/* ---- filters --------------------------------------------------------------------------------- */

static const struct value header_name_item = HEADER_NAME_VALUE;
static const struct value any_text_item = { VALUE_TEXT };

static const struct field http_header_fields[] = {
    { "name", AT(http_header, name), .flags = FIELD_REQUIRED, .value = HEADER_NAME_VALUE },
    { "value", AT(http_header, value), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, PATTERN_HEADER_VALUE, .min = 1, .max = 4096 } },
};
static const struct shape http_header_shape = SHAPE(http_header, http_header_fields, NULL);
static const struct value http_header_item = { VALUE_STRUCT, .shape = &http_header_shape };

#define HEADER_LIST                                                                                \
    { VALUE_LIST, .max = 16, .item = &http_header_item, .unique = "name", .unique_nocase = true }

static const struct field header_modifier_fields[] = {
    { "set", AT(header_modifier, set), .value = HEADER_LIST },
    { "add", AT(header_modifier, add), .value = HEADER_LIST },
    { "remove", AT(header_modifier, remove),
      .value = { VALUE_LIST, .max = 16, .item = &any_text_item, .unique = "",
                 .unique_nocase = true } },
};
static const struct shape header_modifier_shape =
    SHAPE(header_modifier, header_modifier_fields, rule_header_modifier);

static const char *const path_modifiers[] = { "ReplaceFullPath", "ReplacePrefixMatch", NULL };

static const struct field path_modifier_fields[] = {
    { "type", AT(path_modifier, type), .flags = FIELD_REQUIRED,
      .value = WORD_VALUE(path_modifiers) },
    { "replaceFullPath", AT(path_modifier, replace_full_path),
      .value = { VALUE_TEXT, .max = 1024 } },
    { "replacePrefixMatch", AT(path_modifier, replace_prefix_match),
      .value = { VALUE_TEXT, .max = 1024 } },
};
static const struct shape path_modifier_shape =
    SHAPE(path_modifier, path_modifier_fields, rule_path_modifier);

static const char *const schemes[] = { "http", "https", NULL };

static const struct field request_redirect_fields[] = {
    { "scheme", AT(request_redirect, scheme), .value = { VALUE_TEXT, .words = schemes } },
    { "hostname", AT(request_redirect, hostname), .value = PRECISE_HOST_VALUE },
    { "path", AT(request_redirect, path), .value = OBJECT_VALUE(path_modifier_shape) },
    { "port", AT(request_redirect, port), HAS(request_redirect, port), .value = { VALUE_PORT } },
    { "statusCode", AT(request_redirect, status_code), .fallback_number = 302,
      .value = { VALUE_INT, .min = 300, .max = 399 } },
};
static const struct shape request_redirect_shape =
    SHAPE(request_redirect, request_redirect_fields, rule_redirect);

static const struct field url_rewrite_fields[] = {
    { "hostname", AT(url_rewrite, hostname), .value = PRECISE_HOST_VALUE },
    { "path", AT(url_rewrite, path), .value = OBJECT_VALUE(path_modifier_shape) },
};
static const struct shape url_rewrite_shape = SHAPE(url_rewrite, url_rewrite_fields, NULL);

static const struct field fraction_fields[] = {
    { "numerator", AT(fraction, numerator), .flags = FIELD_REQUIRED,
      .value = { VALUE_INT, .min = 0, .max = INT32_MAX } },
    { "denominator", AT(fraction, denominator), .fallback_number = 100,
      .value = { VALUE_INT, .min = 1, .max = INT32_MAX } },
};
static const struct shape fraction_shape = SHAPE(fraction, fraction_fields, rule_fraction);

static const struct field request_mirror_fields[] = {
    { "backendRef", AT(request_mirror, backend_ref), .flags = FIELD_REQUIRED,
      .value = OBJECT_VALUE(backend_object_ref_shape) },
    { "percent", AT(request_mirror, percent), HAS(request_mirror, percent),
      .value = { VALUE_INT, .min = 0, .max = 100 } },
    { "fraction", AT(request_mirror, fraction), .value = OBJECT_VALUE(fraction_shape) },
};
static const struct shape request_mirror_shape =
    SHAPE(request_mirror, request_mirror_fields, rule_mirror);

static const char *const cors_methods[] = { "GET",     "HEAD",  "POST",  "PUT", "DELETE", "CONNECT",
                                            "OPTIONS", "TRACE", "PATCH", "*",   NULL };
static const struct value cors_method_item = { VALUE_TEXT, .words = cors_methods };
static const struct value cors_origin_item = { VALUE_TEXT, PATTERN_CORS_ORIGIN, .min = 1,
                                               .max = 253 };

static const struct field cors_fields[] = {
    { "allowOrigins", AT(cors, allow_origins),
      .value = { VALUE_LIST, .max = 64, .item = &cors_origin_item, .unique = "",
                 .check = rule_star_alone } },
    { "allowCredentials", AT(cors, allow_credentials), .value = { VALUE_BOOL } },
    { "allowMethods", AT(cors, allow_methods),
      .value = { VALUE_LIST, .max = 9, .item = &cors_method_item, .unique = "",
                 .check = rule_star_alone } },
    { "allowHeaders", AT(cors, allow_headers),
      .value = { VALUE_LIST, .max = 64, .item = &header_name_item, .unique = "",
                 .unique_nocase = true, .check = rule_star_alone } },
    { "exposeHeaders", AT(cors, expose_headers),
      .value = { VALUE_LIST, .max = 64, .item = &header_name_item, .unique = "",
                 .unique_nocase = true } },
    { "maxAge", AT(cors, max_age_s), .fallback_number = 5,
      .value = { VALUE_INT, .min = 1, .max = INT32_MAX } },
};
static const struct shape cors_shape = SHAPE(cors, cors_fields, NULL);

static const char *const http_filter_types[] = {
    [FILTER_REQUEST_HEADER_MODIFIER] = "RequestHeaderModifier",
    [FILTER_RESPONSE_HEADER_MODIFIER] = "ResponseHeaderModifier",
    [FILTER_REQUEST_MIRROR] = "RequestMirror",
    [FILTER_REQUEST_REDIRECT] = "RequestRedirect",
    [FILTER_URL_REWRITE] = "URLRewrite",
    [FILTER_EXTENSION_REF] = "ExtensionRef",
    [FILTER_CORS] = "CORS",
    [FILTER_EXTERNAL_AUTH] = "ExternalAuth",
    NULL,
};

#define FILTER_PART(json, member, of)                                                              \
    { json, AT(route_filter, member), .value = OBJECT_VALUE(of) }

static const struct field http_filter_fields[] = {
    { "type", AT(route_filter, type), .flags = FIELD_REQUIRED,
      .value = WORD_VALUE(http_filter_types) },
    FILTER_PART("requestHeaderModifier", request_header_modifier, header_modifier_shape),
    FILTER_PART("responseHeaderModifier", response_header_modifier, header_modifier_shape),
    FILTER_PART("requestMirror", request_mirror, request_mirror_shape),
    FILTER_PART("requestRedirect", request_redirect, request_redirect_shape),
    FILTER_PART("urlRewrite", url_rewrite, url_rewrite_shape),
    FILTER_PART("extensionRef", extension_ref, extension_ref_shape),
    FILTER_PART("cors", cors, cors_shape),
    FILTER_PART("externalAuth", external_auth, external_auth_shape),
};
static const struct shape http_filter_shape = SHAPE(route_filter, http_filter_fields, rule_filter);
static const struct value http_filter_item = { VALUE_STRUCT, .shape = &http_filter_shape };

static const char *const grpc_filter_types[] = {
    [FILTER_REQUEST_HEADER_MODIFIER] = "RequestHeaderModifier",
    [FILTER_RESPONSE_HEADER_MODIFIER] = "ResponseHeaderModifier",
    [FILTER_REQUEST_MIRROR] = "RequestMirror",
    [FILTER_REQUEST_REDIRECT] = "",
    [FILTER_URL_REWRITE] = "",
    [FILTER_EXTENSION_REF] = "ExtensionRef",
    NULL,
};

static const struct field grpc_filter_fields[] = {
    { "type", AT(route_filter, type), .flags = FIELD_REQUIRED,
      .value = WORD_VALUE(grpc_filter_types) },
    FILTER_PART("requestHeaderModifier", request_header_modifier, header_modifier_shape),
    FILTER_PART("responseHeaderModifier", response_header_modifier, header_modifier_shape),
    FILTER_PART("requestMirror", request_mirror, request_mirror_shape),
    FILTER_PART("extensionRef", extension_ref, extension_ref_shape),
};
static const struct shape grpc_filter_shape = SHAPE(route_filter, grpc_filter_fields, rule_filter);
static const struct value grpc_filter_item = { VALUE_STRUCT, .shape = &grpc_filter_shape };

#define FILTER_LIST(of) { VALUE_LIST, .max = 16, .item = &(of), .check = rule_filters }

/* ---- HTTPRoute ------------------------------------------------------------------------------- */

static const struct field http_backend_ref_fields[] = {
    BACKEND_REF_FIELDS,
    { "filters", AT(backend_ref, filters), .value = FILTER_LIST(http_filter_item) },
};
static const struct shape http_backend_ref_shape =
    SHAPE(backend_ref, http_backend_ref_fields, rule_backend_ref);
static const struct value http_backend_ref_item = { VALUE_STRUCT,
                                                    .shape = &http_backend_ref_shape };

static const char *const path_match_types[] = { "Exact", "PathPrefix", "RegularExpression", NULL };
static const char *const match_types[] = { "Exact", "RegularExpression", NULL };

static const struct field path_match_fields[] = {
    { "type", AT(path_match, type), .fallback_number = PATH_MATCH_PREFIX,
      .value = WORD_VALUE(path_match_types) },
    { "value", AT(path_match, value), .fallback = "/", .value = { VALUE_TEXT, .max = 1024 } },
};
static const struct shape path_match_shape = SHAPE(path_match, path_match_fields, rule_path_match);

static const struct field header_match_fields[] = {
    { "type", AT(value_match, type), .value = WORD_VALUE(match_types) },
    { "name", AT(value_match, name), .flags = FIELD_REQUIRED, .value = HEADER_NAME_VALUE },
    { "value", AT(value_match, value), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, PATTERN_HEADER_VALUE, .min = 1, .max = 4096 } },
};
static const struct shape header_match_shape = SHAPE(value_match, header_match_fields, NULL);
static const struct value header_match_item = { VALUE_STRUCT, .shape = &header_match_shape };

static const struct field query_match_fields[] = {
    { "type", AT(value_match, type), .value = WORD_VALUE(match_types) },
    { "name", AT(value_match, name), .flags = FIELD_REQUIRED, .value = HEADER_NAME_VALUE },
    { "value", AT(value_match, value), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, .min = 1, .max = 1024 } },
};
static const struct shape query_match_shape = SHAPE(value_match, query_match_fields, NULL);
static const struct value query_match_item = { VALUE_STRUCT, .shape = &query_match_shape };

static const char *const methods[] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                       "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL };

static const struct field http_match_fields[] = {
    { "path", AT(http_match, path), .flags = FIELD_FILLED,
      .value = OBJECT_VALUE(path_match_shape) },
    { "headers", AT(http_match, headers),
      .value = { VALUE_LIST, .max = 16, .item = &header_match_item, .unique = "name",
                 .unique_nocase = true } },
    { "queryParams", AT(http_match, query_params),
      .value = { VALUE_LIST, .max = 16, .item = &query_match_item, .unique = "name" } },
    { "method", AT(http_match, method), .value = { VALUE_TEXT, .words = methods } },
};
static const struct shape http_match_shape = SHAPE(http_match, http_match_fields, NULL);
static const struct value http_match_item = { VALUE_STRUCT, .shape = &http_match_shape };

static const struct field timeouts_fields[] = {
    { "request", AT(route_timeouts, request_ms), HAS(route_timeouts, request),
      .value = { VALUE_DURATION } },
    { "backendRequest", AT(route_timeouts, backend_request_ms),
      HAS(route_timeouts, backend_request), .value = { VALUE_DURATION } },
};
static const struct shape timeouts_shape = SHAPE(route_timeouts, timeouts_fields, rule_timeouts);

static const struct value retry_code_item = { VALUE_INT, .min = 400, .max = 599 };

static const struct field retry_fields[] = {
    { "codes", AT(route_retry, codes),
      .value = { VALUE_LIST, .max = 200, .item = &retry_code_item, .unique = "" } },
    { "attempts", AT(route_retry, attempts), .fallback_number = 1,
      .value = { VALUE_INT, .min = 0, .max = INT32_MAX } },
    { "backoff", AT(route_retry, backoff_ms), HAS(route_retry, backoff),
      .value = { VALUE_DURATION } },
};
static const struct shape retry_shape = SHAPE(route_retry, retry_fields, NULL);

static const struct field http_rule_fields[] = {
    { "name", AT(http_rule, name), .value = SECTION_NAME_VALUE },
    { "matches", AT(http_rule, matches), .flags = FIELD_FILLED,
      .value = LIST_VALUE(64, &http_match_item) },
    { "filters", AT(http_rule, filters), .value = FILTER_LIST(http_filter_item) },
    { "backendRefs", AT(http_rule, backend_refs), .value = LIST_VALUE(16, &http_backend_ref_item) },
    { "timeouts", AT(http_rule, timeouts), .value = OBJECT_VALUE(timeouts_shape) },
    { "retry", AT(http_rule, retry), .value = OBJECT_VALUE(retry_shape) },
    { "sessionPersistence", AT(http_rule, session_persistence),
      .value = OBJECT_VALUE(session_persistence_shape) },
};
static const struct shape http_rule_shape = SHAPE(http_rule, http_rule_fields, rule_http_rule);
static const struct value http_rule_item = { VALUE_STRUCT, .shape = &http_rule_shape };

static const struct field http_route_fields[] = {
    PARENT_REFS,
    HOSTNAMES,
    USE_DEFAULT_GATEWAYS,
    { "rules", AT(http_route, rules), .flags = FIELD_FILLED,
      .value = { VALUE_LIST, .min = 1, .max = 16, .item = &http_rule_item, .unique = "name",
                 .check = rule_http_rules } },
};
const struct shape http_route_shape = SHAPE(http_route, http_route_fields, NULL);

/* ---- GRPCRoute ------------------------------------------------------------------------------- */

static const struct field grpc_backend_ref_fields[] = {
    BACKEND_REF_FIELDS,
    { "filters", AT(backend_ref, filters), .value = FILTER_LIST(grpc_filter_item) },
};
static const struct shape grpc_backend_ref_shape =
    SHAPE(backend_ref, grpc_backend_ref_fields, rule_backend_ref);
static const struct value grpc_backend_ref_item = { VALUE_STRUCT,
                                                    .shape = &grpc_backend_ref_shape };

static const struct field grpc_method_fields[] = {
    { "type", AT(grpc_method_match, type), .value = WORD_VALUE(match_types) },
    { "service", AT(grpc_method_match, service), .value = { VALUE_TEXT, .max = 1024 } },
    { "method", AT(grpc_method_match, method), .value = { VALUE_TEXT, .max = 1024 } },
};
static const struct shape grpc_method_shape =
    SHAPE(grpc_method_match, grpc_method_fields, rule_grpc_method);

static const struct field grpc_match_fields[] = {
    { "method", AT(grpc_match, method), .value = OBJECT_VALUE(grpc_method_shape) },
    { "headers", AT(grpc_match, headers),
      .value = { VALUE_LIST, .max = 16, .item = &header_match_item, .unique = "name",
                 .unique_nocase = true } },
};
static const struct shape grpc_match_shape = SHAPE(grpc_match, grpc_match_fields, NULL);
static const struct value grpc_match_item = { VALUE_STRUCT, .shape = &grpc_match_shape };

static const struct field grpc_rule_fields[] = {
    { "name", AT(grpc_rule, name), .value = SECTION_NAME_VALUE },
    { "matches", AT(grpc_rule, matches), .value = LIST_VALUE(64, &grpc_match_item) },
    { "filters", AT(grpc_rule, filters), .value = FILTER_LIST(grpc_filter_item) },
    { "backendRefs", AT(grpc_rule, backend_refs), .value = LIST_VALUE(16, &grpc_backend_ref_item) },
    { "sessionPersistence", AT(grpc_rule, session_persistence),
      .value = OBJECT_VALUE(session_persistence_shape) },
};
static const struct shape grpc_rule_shape = SHAPE(grpc_rule, grpc_rule_fields, NULL);
static const struct value grpc_rule_item = { VALUE_STRUCT, .shape = &grpc_rule_shape };

static const struct field grpc_route_fields[] = {
    PARENT_REFS,
    HOSTNAMES,
    USE_DEFAULT_GATEWAYS,
    { "rules", AT(grpc_route, rules),
      .value = { VALUE_LIST, .max = 16, .item = &grpc_rule_item, .unique = "name",
                 .check = rule_grpc_rules } },
};
const struct shape grpc_route_shape = SHAPE(grpc_route, grpc_route_fields, NULL);

/* ---- TLSRoute, TCPRoute, UDPRoute ------------------------------------------------------------ */

static const struct field l4_backend_ref_fields[] = { BACKEND_REF_FIELDS };
static const struct shape l4_backend_ref_shape =
    SHAPE(backend_ref, l4_backend_ref_fields, rule_backend_ref);
static const struct value l4_backend_ref_item = { VALUE_STRUCT, .shape = &l4_backend_ref_shape };

static const struct field l4_rule_fields[] = {
    { "name", AT(l4_rule, name), .value = SECTION_NAME_VALUE },
    { "backendRefs", AT(l4_rule, backend_refs), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 16, .item = &l4_backend_ref_item } },
};
static const struct shape l4_rule_shape = SHAPE(l4_rule, l4_rule_fields, NULL);
static const struct value l4_rule_item = { VALUE_STRUCT, .shape = &l4_rule_shape };

#define L4_RULES(most)                                                                             \
    { "rules", AT(l4_route, rules), .flags = FIELD_REQUIRED,                                       \
      .value = { VALUE_LIST, .min = 1, .max = (most), .item = &l4_rule_item, .unique = "name" } }

static const struct field tls_route_fields[] = {
    PARENT_REFS,
    { "hostnames", AT(route_common, hostnames), .flags = FIELD_REQUIRED,
      .value = { VALUE_LIST, .min = 1, .max = 1024, .item = &hostname_item } },
    USE_DEFAULT_GATEWAYS,
    L4_RULES(1),
};
const struct shape tls_route_shape = SHAPE(l4_route, tls_route_fields, NULL);

static const struct field tls_route_alpha_fields[] = {
    PARENT_REFS,
    { "hostnames", AT(route_common, hostnames), .value = LIST_VALUE(1024, &hostname_item) },
    USE_DEFAULT_GATEWAYS,
    L4_RULES(16),
};
const struct shape tls_route_alpha_shape = SHAPE(l4_route, tls_route_alpha_fields, NULL);

static const struct field l4_route_fields[] = { PARENT_REFS, USE_DEFAULT_GATEWAYS, L4_RULES(1) };
const struct shape l4_route_shape = SHAPE(l4_route, l4_route_fields, NULL);

static const struct field l4_route_alpha_fields[] = { PARENT_REFS, USE_DEFAULT_GATEWAYS,
                                                      L4_RULES(16) };
const struct shape l4_route_alpha_shape = SHAPE(l4_route, l4_route_alpha_fields, NULL);
