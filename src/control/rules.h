/* What must hold between the fields of an object beyond each field's own shape: the validations of
 * Gateway API's CRDs and of the Kubernetes API server, called by the decoder as the shapes' checks.
 * Each tells its findings through decode_error. */
#pragma once

#include "control/schema.h"

#define RULE(name) void name(struct decode *decode, const struct node *node, const void *self)

/* rules_route.c */
RULE(rule_parent_refs);      /* of a { struct parent_ref *, count } */
RULE(rule_http_rules);       /* names, total of matches */
RULE(rule_http_rule);        /* redirect and backendRefs, replacePrefixMatch, ... */
RULE(rule_grpc_rules);
RULE(rule_path_match);
RULE(rule_grpc_method);
RULE(rule_timeouts);

/* rules_filter.c */
RULE(rule_filters);          /* of a struct route_filter_list */
RULE(rule_filter);           /* the type and its field */
RULE(rule_path_modifier);
RULE(rule_redirect);
RULE(rule_mirror);
RULE(rule_fraction);
RULE(rule_header_modifier);
RULE(rule_star_alone);       /* of a struct text_list: "*" has no company */
RULE(rule_external_auth);
RULE(rule_backend_object_ref); /* of a struct object_ref: Service with, XBackend without port */
RULE(rule_backend_ref);        /* the same of a struct backend_ref */
RULE(rule_session_persistence);

/* rules_gateway.c */
RULE(rule_listeners);        /* of a struct gateway_listener_list */
RULE(rule_listener);
RULE(rule_listener_tls);
RULE(rule_gateway_address);
RULE(rule_gateway_addresses);
RULE(rule_ca_refs);          /* of a struct object_ref_list */

/* rules_policy.c */
RULE(rule_policy_targets);
RULE(rule_backend_validation);
RULE(rule_subject_alt_name);
RULE(rule_x_backend);
RULE(rule_x_backend_tls);

/* rules_kubernetes.c */
RULE(rule_label_requirement);
RULE(rule_service);
RULE(rule_endpoint_slice);
RULE(rule_config_map);
RULE(rule_secret);

/* What the decoder reads before rule_session_persistence and the data rules bring it into the shape
 * of model.h, which is the first member of each. */
struct session_persistence_read {
    struct session_persistence result;
    struct text session_name;              /* before v1.7 */
    struct session_cookie *cookie_config;  /* before v1.7 */
    bool has_type;
};

struct data_read {
    struct data_object result;
    struct key_value_list other; /* ConfigMap.binaryData, Secret.stringData */
};
