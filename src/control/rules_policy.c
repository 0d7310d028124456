/* Rules of BackendTLSPolicy and XBackend. */
#include "control/rules.h"

#include <stdio.h>

void rule_policy_targets(struct decode *decode, const struct node *node, const void *self)
{
    const struct {
        struct policy_target *items;
        size_t count;
    } *list = self;
    for (size_t i = 1; i < list->count && i < 16; i++) {
        const struct policy_target *a = &list->items[i];
        for (size_t j = 0; j < i && a->name.at != NULL; j++) {
            const struct policy_target *b = &list->items[j];
            bool same = text_equal(a->group, b->group) && text_equal(a->kind, b->kind) &&
                        text_equal(a->name, b->name);
            bool apart = a->section_name.size > 0 && b->section_name.size > 0 &&
                         !text_equal(a->section_name, b->section_name);
            if (same && !apart) {
                char sub[32];
                snprintf(sub, sizeof(sub), "[%zu]", i);
                decode_error(decode, node, sub, "the same target as [%zu]; give each its own "
                             "sectionName or keep one", j);
                break;
            }
        }
    }
}

void rule_backend_validation(struct decode *decode, const struct node *node, const void *self)
{
    const struct backend_validation *validation = self;
    bool refs = validation->ca_certificate_refs.count > 0;
    bool well_known = validation->well_known_ca_certificates.size > 0;
    if (refs && well_known) {
        decode_error(decode, node, "wellKnownCACertificates",
                     "does not go with caCertificateRefs; keep one of them");
    } else if (!refs && !well_known) {
        decode_error(decode, node, "caCertificateRefs", "is missing; name the CA certificates, or "
                     "set wellKnownCACertificates to System");
    }
}

void rule_subject_alt_name(struct decode *decode, const struct node *node, const void *self)
{
    const struct subject_alt_name *name = self;
    bool host = name->type == SAN_HOSTNAME;
    const char *type = host ? "Hostname" : "URI";
    if ((host ? name->hostname : name->uri).size == 0) {
        decode_error(decode, node, host ? "hostname" : "uri", "is missing; type %s needs it", type);
    }
    if ((host ? name->uri : name->hostname).size > 0) {
        decode_error(decode, node, host ? "uri" : "hostname", "does not go with type %s; remove it",
                     type);
    }
}

void rule_x_backend_tls(struct decode *decode, const struct node *node, const void *self)
{
    static const char *const modes[] = { "None", "ServerOnly", "ClientAndServer" };
    const struct x_backend_tls *tls = self;
    if (tls->mode == X_TLS_NONE && tls->validation != NULL) {
        decode_error(decode, node, "validation", "does not go with mode None; remove it");
    } else if (tls->mode != X_TLS_NONE && tls->validation == NULL) {
        decode_error(decode, node, "validation", "is missing; mode %s needs it", modes[tls->mode]);
    }
    if (tls->mode == X_TLS_CLIENT_AND_SERVER && tls->client_certificate_ref == NULL) {
        decode_error(decode, node, "clientCertificateRef",
                     "is missing; mode ClientAndServer needs it");
    } else if (tls->mode != X_TLS_CLIENT_AND_SERVER && tls->client_certificate_ref != NULL) {
        decode_error(decode, node, "clientCertificateRef", "does not go with mode %s; remove it",
                     modes[tls->mode]);
    }
}

static void check_type(struct decode *decode, const struct node *node,
                       const struct x_backend *backend)
{
    bool external = backend->type == X_BACKEND_EXTERNAL_HOSTNAME;
    const char *type = external ? "ExternalHostname" : "EndpointSelector";
    const char *meant = external ? "externalHostname" : "endpointSelector";
    const char *other = external ? "endpointSelector" : "externalHostname";
    const void *meant_part = external ? (const void *)backend->external_hostname
                                      : (const void *)backend->endpoint_selector;
    const void *other_part = external ? (const void *)backend->endpoint_selector
                                      : (const void *)backend->external_hostname;
    if (meant_part == NULL) {
        decode_error(decode, node, meant, "is missing; type %s needs it", type);
    }
    if (other_part != NULL) {
        decode_error(decode, node, other, "does not go with type %s; remove it", type);
    }
    if (external && backend->session_persistence != NULL) {
        decode_error(decode, node, "sessionPersistence",
                     "goes with type EndpointSelector only; remove it");
    }
}

void rule_x_backend(struct decode *decode, const struct node *node, const void *self)
{
    const struct x_backend *backend = self;
    check_type(decode, node, backend);
    bool tls = backend->tls != NULL && backend->tls->mode != X_TLS_NONE;
    if (backend->protocol == X_PROTOCOL_H2C && tls) {
        decode_error(decode, node, "protocol", "H2C has no TLS; use HTTP2 for HTTP/2 with TLS");
    }
    if (backend->protocol == X_PROTOCOL_HTTP2 && !tls) {
        decode_error(decode, node, "protocol", "HTTP2 needs TLS; use H2C for HTTP/2 without TLS");
    }
    if (backend->protocol == X_PROTOCOL_WSS && !tls) {
        decode_error(decode, node, "protocol", "WSS needs TLS; set tls.mode to ServerOnly");
    }
    if (backend->external_hostname != NULL &&
        text_ends_with(backend->external_hostname->hostname, TEXT(".cluster.local"))) {
        decode_error(decode, node, "externalHostname.hostname",
                     "must not be a name of the cluster; refer to the Service instead");
    }
}
