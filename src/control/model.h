/* The objects Weft reads, as plain C structs: Gateway API v1.7 (apis/v1, apisx/v1alpha1) and the
 * Kubernetes kinds it refers to. Field names are those of the API in snake_case.
 *
 * Rules that hold for every struct here:
 * - Everything lives in the object's own arena and dies with the object (object_unref).
 * - What the decoder (schema.h) leaves behind is valid as far as an API server would check it
 *   (decisions 9, class b), and defaults of the API are filled in: a parentRef's group and kind, a
 *   weight of 1, `from: Same`, a rule's match on prefix "/", ... Each default is named below.
 * - An absent optional string has at == NULL (size 0), an absent optional scalar has_x == false; an
 *   absent optional struct is a NULL pointer, an absent list has count 0.
 * - Durations are milliseconds.
 * - Where something stands is asked by path: object_line(object, "spec.rules[0].name"). */
#pragma once

#include "base/arena.h"
#include "base/text.h"

struct node;

#define LIST_OF(type)                                                                              \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
    }

#define GATEWAY_GROUP   "gateway.networking.k8s.io"
#define GATEWAY_X_GROUP "gateway.networking.x-k8s.io"
#define WEFT_GROUP      "weft.dev"
#define WEFT_CONTROLLER "weft.dev/gateway-controller"
#define WEFT_CLASS      "weft"

enum object_kind {
    KIND_GATEWAY_CLASS,
    KIND_GATEWAY,
    KIND_LISTENER_SET,
    KIND_HTTP_ROUTE,
    KIND_GRPC_ROUTE,
    KIND_TLS_ROUTE,
    KIND_TCP_ROUTE,
    KIND_UDP_ROUTE,
    KIND_REFERENCE_GRANT,
    KIND_BACKEND_TLS_POLICY,
    KIND_NAMESPACE,
    KIND_SERVICE,
    KIND_ENDPOINT_SLICE,
    KIND_CONFIG_MAP,
    KIND_SECRET,
    KIND_X_BACKEND,
    KIND_COUNT,
};

/* A place in a source. file is as the operator named it (folder and relative name). */
struct place {
    struct text file;
    uint32_t line; /* from 1; 0: the whole file or an implied object */
};

struct key_value {
    struct text key;
    struct text value;
};

struct text_list {
    struct text *items;
    size_t count;
};

struct key_value_list {
    struct key_value *items;
    size_t count;
};

/* Kubernetes IntOrString. */
struct int_or_string {
    bool is_string;
    int32_t number;
    struct text string;
};

/* ---- references ------------------------------------------------------------------------------ */

struct parent_ref {
    struct text group; /* default gateway.networking.k8s.io; "" is the core group */
    struct text kind;  /* default Gateway */
    struct text name_space; /* absent: the route's own */
    struct text name;
    struct text section_name;
    bool has_port;
    uint16_t port;
};

/* BackendObjectReference, SecretObjectReference, ObjectReference, LocalObjectReference: what a kind
 * of reference lacks stays absent. */
struct object_ref {
    struct text group; /* "" is the core group; defaults to it where the API has a default */
    struct text kind;  /* default Service (backends) or Secret (certificates) */
    struct text name_space;
    struct text name;
    bool has_port;
    uint16_t port;
};

struct label_requirement {
    struct text key;
    enum label_operator { LABEL_IN, LABEL_NOT_IN, LABEL_EXISTS, LABEL_DOES_NOT_EXIST } operator_;
    struct text_list values;
};

struct label_selector {
    struct key_value_list match_labels;
    LIST_OF(struct label_requirement) match_expressions;
};

/* ---- filters --------------------------------------------------------------------------------- */

struct http_header {
    struct text name;
    struct text value;
};

struct http_header_list {
    struct http_header *items;
    size_t count;
};

struct header_modifier {
    struct http_header_list set; /* names unique, letter case ignored */
    struct http_header_list add;
    struct text_list remove;
};

struct path_modifier {
    enum path_modifier_type { PATH_REPLACE_FULL, PATH_REPLACE_PREFIX } type;
    struct text replace_full_path;    /* may be empty, then at != NULL */
    struct text replace_prefix_match; /* may be empty, then at != NULL */
};

struct request_redirect {
    struct text scheme; /* "http", "https" or absent */
    struct text hostname;
    struct path_modifier *path;
    bool has_port;
    uint16_t port;
    int32_t status_code; /* default 302 */
};

struct url_rewrite {
    struct text hostname;
    struct path_modifier *path;
};

struct fraction {
    int32_t numerator;
    int32_t denominator; /* default 100 */
};

struct request_mirror {
    struct object_ref *backend_ref; /* never NULL */
    bool has_percent;
    int32_t percent;
    struct fraction *fraction;
};

struct cors {
    struct text_list allow_origins;
    bool allow_credentials;
    struct text_list allow_methods;
    struct text_list allow_headers;
    struct text_list expose_headers;
    int32_t max_age_s; /* default 5 */
};

struct external_auth_grpc {
    struct text_list allowed_headers;
};

struct external_auth_http {
    struct text path;
    struct text_list allowed_headers;
    struct text_list allowed_response_headers;
};

struct forward_body {
    int32_t max_size; /* bytes, default 0 */
};

struct external_auth {
    enum external_auth_protocol { EXTERNAL_AUTH_HTTP, EXTERNAL_AUTH_GRPC } protocol;
    struct object_ref *backend_ref; /* never NULL */
    struct external_auth_grpc *grpc;
    struct external_auth_http *http;
    struct forward_body *forward_body;
};

enum route_filter_type {
    FILTER_REQUEST_HEADER_MODIFIER,
    FILTER_RESPONSE_HEADER_MODIFIER,
    FILTER_REQUEST_MIRROR,
    FILTER_REQUEST_REDIRECT,
    FILTER_URL_REWRITE,
    FILTER_EXTENSION_REF,
    FILTER_CORS,
    FILTER_EXTERNAL_AUTH,
};

/* A filter of an HTTPRoute, GRPCRoute or listener: the pointer its type names is set, no other. */
struct route_filter {
    enum route_filter_type type;
    struct header_modifier *request_header_modifier;
    struct header_modifier *response_header_modifier;
    struct request_mirror *request_mirror;
    struct request_redirect *request_redirect;
    struct url_rewrite *url_rewrite;
    struct object_ref *extension_ref;
    struct cors *cors;
    struct external_auth *external_auth;
};

struct route_filter_list {
    struct route_filter *items;
    size_t count;
};

/* ---- session persistence --------------------------------------------------------------------- */

/* The shape of v1.7. The older inline form (sessionName, cookieConfig) is read into it too. */
struct session_cookie {
    struct text name;
    struct text path; /* default "/" */
    enum cookie_lifetime { COOKIE_SESSION, COOKIE_PERMANENT } lifetime_type; /* default Session */
};

struct session_header {
    struct text name;
};

struct session_persistence {
    enum session_type { SESSION_COOKIE, SESSION_HEADER } type; /* default Cookie */
    bool has_absolute_timeout;
    int64_t absolute_timeout_ms;
    struct session_cookie *cookie; /* set for SESSION_COOKIE, else NULL */
    struct session_header *header; /* set for SESSION_HEADER, else NULL */
};

/* ---- routes ---------------------------------------------------------------------------------- */

struct backend_ref {
    struct object_ref ref;
    int32_t weight;                   /* default 1; 0 takes no traffic */
    struct route_filter_list filters; /* HTTPRoute and GRPCRoute only */
};

struct backend_ref_list {
    struct backend_ref *items;
    size_t count;
};

enum default_gateways { DEFAULT_GATEWAYS_UNSET, DEFAULT_GATEWAYS_ALL, DEFAULT_GATEWAYS_NONE };

/* First member of every route's spec, so that attachment sees all five kinds alike. TCPRoute and
 * UDPRoute have no hostnames; a TLSRoute of v1 has at least one. */
struct route_common {
    LIST_OF(struct parent_ref) parent_refs;
    struct text_list hostnames;
    enum default_gateways use_default_gateways;
};

enum match_type { MATCH_EXACT, MATCH_REGULAR_EXPRESSION };

enum path_match_type { PATH_MATCH_EXACT, PATH_MATCH_PREFIX, PATH_MATCH_REGULAR_EXPRESSION };

struct path_match {
    enum path_match_type type; /* default PathPrefix */
    struct text value;         /* default "/" */
};

/* A header or a query parameter. */
struct value_match {
    enum match_type type; /* default Exact */
    struct text name;
    struct text value;
};

struct value_match_list {
    struct value_match *items;
    size_t count;
};

struct http_match {
    struct path_match *path; /* never NULL: PathPrefix "/" where absent */
    struct value_match_list headers;
    struct value_match_list query_params;
    struct text method; /* absent: any */
};

struct route_timeouts {
    bool has_request;
    int64_t request_ms; /* 0: no limit */
    bool has_backend_request;
    int64_t backend_request_ms;
};

struct route_retry {
    LIST_OF(int32_t) codes;
    int32_t attempts; /* after the first try; default 1, 0 is off */
    bool has_backoff;
    int64_t backoff_ms;
};

struct http_rule {
    struct text name;
    LIST_OF(struct http_match) matches; /* never empty: one match on prefix "/" where absent */
    struct route_filter_list filters;
    struct backend_ref_list backend_refs;
    struct route_timeouts *timeouts;
    struct route_retry *retry;
    struct session_persistence *session_persistence; /* deprecated by XBackend's */
};

struct http_route {
    struct route_common common;
    LIST_OF(struct http_rule) rules; /* never empty: one catch-all rule where absent */
};

struct grpc_method_match {
    enum match_type type; /* default Exact */
    struct text service;
    struct text method;
};

struct grpc_match {
    struct grpc_method_match *method; /* NULL: any */
    struct value_match_list headers;
};

struct grpc_rule {
    struct text name;
    LIST_OF(struct grpc_match) matches; /* empty: everything */
    struct route_filter_list filters;
    struct backend_ref_list backend_refs;
    struct session_persistence *session_persistence;
};

struct grpc_route {
    struct route_common common;
    LIST_OF(struct grpc_rule) rules; /* may be empty: everything */
};

struct l4_rule {
    struct text name;
    struct backend_ref_list backend_refs;
};

/* TLSRoute, TCPRoute, UDPRoute. */
struct l4_route {
    struct route_common common;
    LIST_OF(struct l4_rule) rules;
};

/* ---- GatewayClass, Gateway, ListenerSet ------------------------------------------------------ */

struct gateway_class {
    struct text controller_name;
    struct object_ref *parameters_ref;
    struct text description;
};

enum from_namespaces { FROM_ALL, FROM_SELECTOR, FROM_SAME, FROM_NONE };

struct namespaces_allowed {
    enum from_namespaces from;
    struct label_selector *selector; /* used with FROM_SELECTOR; NULL selects nothing */
};

struct route_group_kind {
    struct text group; /* default gateway.networking.k8s.io */
    struct text kind;
};

struct allowed_routes {
    struct namespaces_allowed *namespaces; /* never NULL; default from Same */
    LIST_OF(struct route_group_kind) kinds; /* empty: by protocol */
};

enum tls_mode { TLS_MODE_TERMINATE, TLS_MODE_PASSTHROUGH };

struct object_ref_list {
    struct object_ref *items;
    size_t count;
};

struct listener_tls {
    bool has_mode;
    enum tls_mode mode; /* default Terminate */
    struct object_ref_list certificate_refs;
    struct key_value_list options;
};

struct listener_filters {
    struct route_filter_list requests; /* ExternalAuth and ExtensionRef only */
};

struct gateway_listener {
    struct text name;
    struct text hostname;
    uint16_t port;
    struct text protocol; /* HTTP, HTTPS, TLS, TCP, UDP or a domain-prefixed name */
    struct listener_tls *tls;
    struct allowed_routes *allowed_routes; /* never NULL */
    struct listener_filters *filters;
};

struct gateway_listener_list {
    struct gateway_listener *items;
    size_t count;
};

struct gateway_address {
    struct text type; /* default IPAddress */
    struct text value;
    bool has_routability;
    struct text routability; /* "", "Cluster" or prefixed */
};

struct gateway_infrastructure {
    struct key_value_list labels;
    struct key_value_list annotations;
    struct object_ref *parameters_ref;
};

struct allowed_listeners {
    struct namespaces_allowed *namespaces; /* never NULL; default from None */
};

enum frontend_validation_mode { FRONTEND_ALLOW_VALID_ONLY, FRONTEND_ALLOW_INSECURE_FALLBACK };

struct frontend_validation {
    struct object_ref_list ca_certificate_refs; /* never empty */
    enum frontend_validation_mode mode;         /* default AllowValidOnly */
};

struct frontend_tls {
    struct frontend_validation *validation; /* NULL: clients need no certificate */
};

struct frontend_tls_port {
    uint16_t port;
    struct frontend_tls *tls; /* never NULL */
};

struct frontend_tls_config {
    struct frontend_tls *default_; /* never NULL */
    LIST_OF(struct frontend_tls_port) per_port;
};

struct backend_tls {
    struct object_ref *client_certificate_ref;
};

struct gateway_tls {
    struct backend_tls *backend;
    struct frontend_tls_config *frontend;
};

struct gateway {
    struct text gateway_class_name;
    struct gateway_listener_list listeners; /* never empty */
    LIST_OF(struct gateway_address) addresses;
    struct gateway_infrastructure *infrastructure;
    struct allowed_listeners *allowed_listeners; /* NULL: no ListenerSet may attach */
    struct gateway_tls *tls;
    enum default_gateways default_scope;
};

struct listener_set {
    struct object_ref *parent_ref; /* never NULL; group and kind default to Gateway's */
    struct gateway_listener_list listeners;
};

/* ---- ReferenceGrant, BackendTLSPolicy, XBackend ---------------------------------------------- */

struct grant_from {
    struct text group;
    struct text kind;
    struct text name_space;
};

struct grant_to {
    struct text group;
    struct text kind;
    struct text name; /* absent: all of that kind */
};

struct reference_grant {
    LIST_OF(struct grant_from) from;
    LIST_OF(struct grant_to) to;
};

struct subject_alt_name {
    enum san_type { SAN_HOSTNAME, SAN_URI } type;
    struct text hostname;
    struct text uri;
};

struct backend_validation {
    struct object_ref_list ca_certificate_refs;
    struct text well_known_ca_certificates; /* "System" or a prefixed name */
    struct text hostname;
    LIST_OF(struct subject_alt_name) subject_alt_names;
};

struct policy_target {
    struct text group;
    struct text kind;
    struct text name;
    struct text section_name;
};

struct backend_tls_policy {
    LIST_OF(struct policy_target) target_refs;
    struct backend_validation *validation; /* never NULL */
    struct key_value_list options;
};

enum x_backend_type { X_BACKEND_EXTERNAL_HOSTNAME, X_BACKEND_ENDPOINT_SELECTOR };

enum x_backend_protocol {
    X_PROTOCOL_UNSET,
    X_PROTOCOL_TCP,
    X_PROTOCOL_HTTP,
    X_PROTOCOL_HTTP2,
    X_PROTOCOL_HTTP11,
    X_PROTOCOL_H2C,
    X_PROTOCOL_MCP,
    X_PROTOCOL_GRPC,
    X_PROTOCOL_WSS,
};

enum x_backend_tls_mode { X_TLS_NONE, X_TLS_SERVER_ONLY, X_TLS_CLIENT_AND_SERVER };

struct x_external_hostname {
    struct text hostname;
};

struct x_endpoint_selector {
    struct key_value_list match_labels;
};

struct x_backend_port {
    bool has_number;
    uint16_t number;
};

struct x_backend_tls {
    enum x_backend_tls_mode mode; /* default None */
    struct backend_validation *validation;
    struct object_ref *client_certificate_ref;
};

struct x_backend {
    enum x_backend_type type;
    struct x_external_hostname *external_hostname;
    struct x_endpoint_selector *endpoint_selector;
    struct x_backend_port *port; /* never NULL */
    enum x_backend_protocol protocol;
    struct x_backend_tls *tls; /* never NULL */
    struct session_persistence *session_persistence;
};

/* ---- core kinds ------------------------------------------------------------------------------ */

enum service_type {
    SERVICE_CLUSTER_IP,
    SERVICE_NODE_PORT,
    SERVICE_LOAD_BALANCER,
    SERVICE_EXTERNAL_NAME
};

enum ip_protocol { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IP_PROTOCOL_SCTP };

struct service_port {
    struct text name; /* may be absent where there is one port */
    enum ip_protocol protocol; /* default TCP */
    uint16_t port;
    bool has_target_port; /* always true after decoding: defaults to port */
    struct int_or_string target_port;
    struct text app_protocol;
};

struct service {
    enum service_type type;
    struct text cluster_ip; /* "None": headless; absent in files that leave it to the API server */
    struct text_list cluster_ips;
    struct text external_name;
    LIST_OF(struct service_port) ports;
    struct key_value_list selector;
    bool publish_not_ready_addresses;
};

struct endpoint_conditions {
    bool has_ready;
    bool ready; /* absent means ready */
    bool has_serving;
    bool serving;
    bool has_terminating;
    bool terminating;
};

struct endpoint {
    struct text_list addresses; /* never empty; the first is meant */
    struct endpoint_conditions conditions;
    struct text hostname;
    struct text node_name;
    struct text zone;
    struct object_ref *target_ref;
};

struct endpoint_port {
    struct text name; /* absent is "" */
    enum ip_protocol protocol; /* default TCP */
    bool has_port;             /* absent: all ports */
    uint16_t port;
    struct text app_protocol;
};

struct endpoint_slice {
    enum endpoint_address_type { ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_FQDN } address_type;
    LIST_OF(struct endpoint) endpoints;
    LIST_OF(struct endpoint_port) ports;
};

/* The Service a slice belongs to is its label kubernetes.io/service-name. */
#define LABEL_SERVICE_NAME "kubernetes.io/service-name"
/* Every Namespace carries its own name under this label; the store adds it. */
#define LABEL_NAMESPACE_NAME "kubernetes.io/metadata.name"

/* Values of ConfigMap.data are text; of ConfigMap.binaryData and Secret.data decoded base64. */
struct data_object {
    struct text type; /* of a Secret; default Opaque */
    struct key_value_list data;
};

/* ---- the object ------------------------------------------------------------------------------ */

struct object {
    enum object_kind kind;
    struct text api_version; /* as written */
    struct text kind_text;   /* "HTTPRoute" */
    struct text name_space;  /* "default" where a file gives none; absent for cluster kinds */
    struct text name;
    struct text key; /* "HTTPRoute/default/shop"; cluster kinds "GatewayClass//weft" */
    struct key_value_list labels;
    struct key_value_list annotations;
    int64_t creation_us; /* creationTimestamp since 1970, or 0 */
    uint64_t generation; /* from 1; counts changes of spec within the process */
    struct place place;  /* of the object's first line */
    bool implied;        /* made by the store, not written by anybody */

    /* The typed spec; `kind` says which one (route: any of the five routes). */
    union {
        void *spec;
        struct route_common *route;
        struct gateway_class *gateway_class;
        struct gateway *gateway;
        struct listener_set *listener_set;
        struct http_route *http_route;
        struct grpc_route *grpc_route;
        struct l4_route *l4_route;
        struct reference_grant *reference_grant;
        struct backend_tls_policy *backend_tls_policy;
        struct service *service;
        struct endpoint_slice *endpoint_slice;
        struct data_object *config_map;
        struct data_object *secret;
        struct x_backend *x_backend; /* a Namespace has none: NULL */
    };

    const struct node *root;   /* the document; NULL for implied objects */
    const struct node *status; /* the `status` subtree as it was read, or NULL */
    uint64_t spec_hash;        /* of everything but metadata and status */
    uint64_t content_hash;     /* of everything, relative lines included */
    int32_t line_shift;        /* added to the lines in root */
    uint32_t references;
    struct arena arena; /* owns all of the above */
};

/* One more owner; objects are read-only for everybody but the store. */
struct object *object_ref(struct object *object);
/* Frees with the last owner; what a Secret held is wiped. */
void object_unref(struct object *object);

/* The line of what `path` names ("spec.rules[0].matches[1].path.value"), or of its nearest part
 * that is written; 0 for implied objects. */
uint32_t object_line(const struct object *object, const char *path);
/* "HTTPRoute"; static. */
struct text object_kind_name(enum object_kind kind);
/* "gateway.networking.k8s.io", "" for core; static. */
struct text object_kind_group(enum object_kind kind);
bool object_kind_is_namespaced(enum object_kind kind);
/* The kind of this group and kind name; false where Weft reads no such kind. */
bool object_kind_find(struct text group, struct text kind, enum object_kind *out_kind);
/* The value of a label or annotation; at == NULL where there is none. */
struct text key_value_find(const struct key_value_list *list, struct text key);
/* Kubernetes' meaning of a label selector: all requirements hold. A NULL selector selects nothing,
 * an empty one everything. */
bool label_selector_matches(const struct label_selector *selector,
                            const struct key_value_list *labels);
