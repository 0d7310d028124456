/* Rules of Gateways and ListenerSets. */
#include "control/rules.h"

#include <stdio.h>

static bool is_protocol(const struct gateway_listener *listener, const char *name)
{
    return text_equal(listener->protocol, text_from_string(name));
}

static bool has_no_tls(const struct gateway_listener *listener)
{
    return is_protocol(listener, "HTTP") || is_protocol(listener, "TCP") ||
           is_protocol(listener, "UDP");
}

void rule_listener(struct decode *decode, const struct node *node, const void *self)
{
    const struct gateway_listener *listener = self;
    if (listener->tls != NULL && has_no_tls(listener)) {
        decode_error(decode, node, "tls", "does not go with protocol %.*s; remove it or use %s",
                     TEXT_ARG(listener->protocol), is_protocol(listener, "HTTP") ? "HTTPS" : "TLS");
    }
    if (listener->tls != NULL && is_protocol(listener, "HTTPS") &&
        listener->tls->mode == TLS_MODE_PASSTHROUGH) {
        decode_error(decode, node, "tls.mode", "must be Terminate for protocol HTTPS; to pass TLS "
                     "through use protocol TLS");
    }
    if (listener->tls == NULL && is_protocol(listener, "TLS")) {
        decode_error(decode, node, "tls", "is missing; protocol TLS needs it with a mode");
    }
    if (listener->hostname.size > 0 &&
        (is_protocol(listener, "TCP") || is_protocol(listener, "UDP"))) {
        decode_error(decode, node, "hostname", "does not go with protocol %.*s; remove it",
                     TEXT_ARG(listener->protocol));
    }
    if (listener->filters != NULL && !is_protocol(listener, "HTTP") &&
        !is_protocol(listener, "HTTPS")) {
        decode_error(decode, node, "filters", "go with protocol HTTP and HTTPS only; remove them");
    }
}

void rule_listener_tls(struct decode *decode, const struct node *node, const void *self)
{
    const struct listener_tls *tls = self;
    if (tls->mode == TLS_MODE_TERMINATE && tls->certificate_refs.count == 0 &&
        tls->options.count == 0) {
        decode_error(decode, node, "certificateRefs",
                     "is missing; to terminate TLS name a Secret with the certificate");
    }
}

static bool same_place(const struct gateway_listener *a, const struct gateway_listener *b)
{
    return a->port == b->port && text_equal(a->protocol, b->protocol) &&
           text_equal(a->hostname, b->hostname);
}

void rule_listeners(struct decode *decode, const struct node *node, const void *self)
{
    const struct gateway_listener_list *list = self;
    for (size_t i = 1; i < list->count && i < 64; i++) {
        const struct gateway_listener *listener = &list->items[i];
        for (size_t j = 0; j < i; j++) {
            if (listener->port == 0 || listener->protocol.size == 0 ||
                !same_place(listener, &list->items[j])) {
                continue;
            }
            char sub[32];
            snprintf(sub, sizeof(sub), "[%zu]", i);
            decode_error(decode, node, sub, "has the port, protocol and hostname of [%zu]; change "
                         "one of them", j);
            break;
        }
    }
}

void rule_gateway_address(struct decode *decode, const struct node *node, const void *self)
{
    const struct gateway_address *address = self;
    if (text_equal(address->type, TEXT("IPAddress")) && address->value.size > 0 &&
        !text_is_ip_address(address->value)) {
        decode_error(decode, node, "value", "\"%.*s\" is not valid; must be %s",
                     TEXT_ARG(text_first(address->value, 100)), pattern_words(PATTERN_IP_ADDRESS));
    }
    if (text_equal(address->type, TEXT("Hostname")) && address->value.size > 0 &&
        !pattern_matches(PATTERN_HOSTNAME, address->value)) {
        decode_error(decode, node, "value", "\"%.*s\" is not valid; must be %s",
                     TEXT_ARG(text_first(address->value, 100)), pattern_words(PATTERN_HOSTNAME));
    }
}

void rule_gateway_addresses(struct decode *decode, const struct node *node, const void *self)
{
    const struct {
        struct gateway_address *items;
        size_t count;
    } *list = self;
    for (size_t i = 1; i < list->count && i < 16; i++) {
        const struct gateway_address *address = &list->items[i];
        bool judged = text_equal(address->type, TEXT("IPAddress")) ||
                      text_equal(address->type, TEXT("Hostname"));
        for (size_t j = 0; j < i && judged && address->value.size > 0; j++) {
            if (!text_equal(address->type, list->items[j].type) ||
                !text_equal(address->value, list->items[j].value)) {
                continue;
            }
            char sub[32];
            snprintf(sub, sizeof(sub), "[%zu].value", i);
            decode_error(decode, node, sub, "\"%.*s\" is here twice (first in [%zu]); keep one",
                         TEXT_ARG(address->value), j);
            break;
        }
    }
}

void rule_ca_refs(struct decode *decode, const struct node *node, const void *self)
{
    const struct object_ref_list *list = self;
    for (size_t i = 0; i < list->count; i++) {
        const struct object_ref *ref = &list->items[i];
        if (text_equal(ref->group, TEXT("certificates.k8s.io")) &&
            text_equal(ref->kind, TEXT("ClusterTrustBundle")) && ref->name_space.size > 0) {
            char sub[48];
            snprintf(sub, sizeof(sub), "[%zu].namespace", i);
            decode_error(decode, node, sub,
                         "a ClusterTrustBundle belongs to no namespace; remove it");
        }
    }
}
