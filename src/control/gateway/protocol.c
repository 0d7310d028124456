/* Listener protocols and who may attach to a listener. To serve one more protocol is to change its
 * line here. */
#include "control/gateway/builder.h"

#define KIND_BIT(kind) (1u << (kind))

enum family { FAMILY_HTTP, FAMILY_TLS, FAMILY_TCP, FAMILY_UDP };

/* HTTPS and TLS share a port: both are told apart by SNI. */
static const struct graph_protocol protocols[] = {
    { .name = "HTTP", .supported = true, .has_hostname = true, .family = FAMILY_HTTP,
      .kinds = KIND_BIT(KIND_HTTP_ROUTE) },
    { .name = "HTTPS", .supported = false, .has_hostname = true, .is_tls = true,
      .family = FAMILY_TLS, .kinds = KIND_BIT(KIND_HTTP_ROUTE) },
    { .name = "TLS", .supported = false, .has_hostname = true, .is_tls = true,
      .family = FAMILY_TLS, .kinds = KIND_BIT(KIND_TLS_ROUTE) },
    { .name = "TCP", .supported = false, .family = FAMILY_TCP,
      .kinds = KIND_BIT(KIND_TCP_ROUTE) },
    { .name = "UDP", .supported = false, .is_udp = true, .family = FAMILY_UDP,
      .kinds = KIND_BIT(KIND_UDP_ROUTE) },
};

const struct graph_protocol *protocol_find(struct text name)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (text_equal(text_from_string(protocols[i].name), name)) {
            return &protocols[i];
        }
    }
    return NULL;
}

bool namespaces_allow(const struct store *store, const struct namespaces_allowed *allowed,
                      struct text own, struct text name_space)
{
    switch (allowed->from) {
    case FROM_ALL:
        return true;
    case FROM_SAME:
        return text_equal(own, name_space);
    case FROM_NONE:
        return false;
    case FROM_SELECTOR:
        break;
    }
    const struct object *object = store_find(store, KIND_NAMESPACE, TEXT(""), name_space);
    return object && label_selector_matches(allowed->selector, &object->labels);
}
