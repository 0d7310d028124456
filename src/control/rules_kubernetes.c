/* Rules of Kubernetes' own kinds, as its API server has them. */
#include "control/rules.h"

#include <stdio.h>

#define DATA_MAX (1u << 20) /* bytes of a ConfigMap or Secret */

void rule_label_requirement(struct decode *decode, const struct node *node, const void *self)
{
    const struct label_requirement *requirement = self;
    bool listing = requirement->operator_ == LABEL_IN || requirement->operator_ == LABEL_NOT_IN;
    if (listing && requirement->values.count == 0) {
        decode_error(decode, node, "values", "is missing; operator In and NotIn need it");
    } else if (!listing && requirement->values.count > 0) {
        decode_error(decode, node, "values",
                     "does not go with operator Exists and DoesNotExist; remove it");
    }
}

/* ---- Service --------------------------------------------------------------------------------- */

static void check_ports(struct decode *decode, const struct node *node,
                        const struct service *service)
{
    for (size_t i = 0; i < service->ports.count; i++) {
        const struct service_port *port = &service->ports.items[i];
        char sub[48];
        if (service->ports.count > 1 && port->name.size == 0) {
            snprintf(sub, sizeof(sub), "ports[%zu].name", i);
            decode_error(decode, node, sub, "is missing; each of several ports needs a name");
        }
        for (size_t j = 0; j < i && j < 100; j++) {
            const struct service_port *other = &service->ports.items[j];
            snprintf(sub, sizeof(sub), "ports[%zu]", i);
            if (port->name.size > 0 && text_equal(port->name, other->name)) {
                decode_error(decode, node, sub, "has the name of [%zu]; rename one", j);
                break;
            }
            if (port->port != 0 && port->port == other->port &&
                port->protocol == other->protocol) {
                decode_error(decode, node, sub, "has the port and protocol of [%zu]; keep one", j);
                break;
            }
        }
    }
}

void rule_service(struct decode *decode, const struct node *node, const void *self)
{
    struct service *service = (struct service *)(uintptr_t)self;
    bool headless = text_equal(service->cluster_ip, TEXT("None"));
    bool external = service->type == SERVICE_EXTERNAL_NAME;
    if (external && service->external_name.size == 0) {
        decode_error(decode, node, "externalName", "is missing; type ExternalName needs it");
    }
    if (!external && !headless && service->ports.count == 0) {
        decode_error(decode, node, "ports", "is missing; give at least one port");
    }
    if (service->cluster_ip.size > 0 && !headless && !text_is_ip_address(service->cluster_ip)) {
        decode_error(decode, node, "clusterIP", "\"%.*s\" is not valid; must be an IP address or "
                     "\"None\"", TEXT_ARG(text_first(service->cluster_ip, 100)));
    }
    check_ports(decode, node, service);
    for (size_t i = 0; i < service->ports.count; i++) {
        struct service_port *port = &service->ports.items[i];
        if (!port->has_target_port) {
            port->has_target_port = true;
            port->target_port.number = port->port;
        }
    }
}

/* ---- EndpointSlice --------------------------------------------------------------------------- */

static bool address_fits(enum endpoint_address_type type, struct text address)
{
    bool colon = text_find_byte(address, ':') < address.size;
    switch (type) {
    case ADDRESS_IPV4:
        return text_is_ip_address(address) && !colon;
    case ADDRESS_IPV6:
        return text_is_ip_address(address) && colon;
    case ADDRESS_FQDN:
        return pattern_matches(PATTERN_PRECISE_HOSTNAME, address);
    }
    return false;
}

static void check_addresses(struct decode *decode, const struct node *node,
                            const struct endpoint_slice *slice)
{
    static const char *const words[] = {
        [ADDRESS_IPV4] = "an IPv4 address",
        [ADDRESS_IPV6] = "an IPv6 address",
        [ADDRESS_FQDN] = "a host name",
    };
    for (size_t i = 0; i < slice->endpoints.count; i++) {
        const struct text_list *addresses = &slice->endpoints.items[i].addresses;
        for (size_t j = 0; j < addresses->count; j++) {
            if (addresses->items[j].at == NULL ||
                address_fits(slice->address_type, addresses->items[j])) {
                continue;
            }
            char sub[64];
            snprintf(sub, sizeof(sub), "endpoints[%zu].addresses[%zu]", i, j);
            decode_error(decode, node, sub, "\"%.*s\" is not %s, as addressType says",
                         TEXT_ARG(text_first(addresses->items[j], 100)),
                         words[slice->address_type]);
        }
    }
}

void rule_endpoint_slice(struct decode *decode, const struct node *node, const void *self)
{
    const struct endpoint_slice *slice = self;
    check_addresses(decode, node, slice);
    for (size_t i = 0; i < slice->ports.count && i < 100; i++) {
        struct text name = slice->ports.items[i].name;
        char sub[48];
        snprintf(sub, sizeof(sub), "ports[%zu].name", i);
        if (name.size > 0 && !pattern_matches(PATTERN_DNS_LABEL, name)) {
            decode_error(decode, node, sub, "\"%.*s\" is not valid; must be %s",
                         TEXT_ARG(text_first(name, 100)), pattern_words(PATTERN_DNS_LABEL));
        }
        for (size_t j = 0; j < i; j++) {
            if (text_equal(name, slice->ports.items[j].name)) {
                decode_error(decode, node, sub, "is that of [%zu]; each port needs its own", j);
                break;
            }
        }
    }
}

/* ---- ConfigMap, Secret ----------------------------------------------------------------------- */

/* Puts both lists into result.data, with one value for a key: that of `other`. False: a key is in
 * both (*out_key). */
static bool join_data(struct decode *decode, struct data_read *read, struct text *out_key)
{
    struct key_value_list *data = &read->result.data;
    struct key_value *all = arena_new_array(decode->arena, struct key_value,
                                            data->count + read->other.count);
    size_t count = 0;
    bool apart = true;
    for (size_t i = 0; i < data->count; i++) {
        if (key_value_find(&read->other, data->items[i].key).at != NULL) {
            *out_key = data->items[i].key;
            apart = false;
        } else {
            all[count++] = data->items[i];
        }
    }
    for (size_t i = 0; i < read->other.count; i++) {
        all[count++] = read->other.items[i];
    }
    *data = (struct key_value_list){ all, count };
    return apart;
}

static void check_size(struct decode *decode, const struct node *node,
                       const struct key_value_list *data)
{
    size_t size = 0;
    for (size_t i = 0; i < data->count; i++) {
        size += data->items[i].key.size + data->items[i].value.size;
    }
    if (size > DATA_MAX) {
        decode_error(decode, node, "data", "holds %zu bytes; at most %u are "
                                           "allowed", size, DATA_MAX);
    }
}

void rule_config_map(struct decode *decode, const struct node *node, const void *self)
{
    struct data_read *read = (struct data_read *)(uintptr_t)self;
    struct text key;
    if (read->other.count > 0 && !join_data(decode, read, &key)) {
        decode_error(decode, node, "binaryData", "has the key \"%.*s\" that data has; keep one",
                     TEXT_ARG(text_first(key, 100)));
    }
    check_size(decode, node, &read->result.data);
}

void rule_secret(struct decode *decode, const struct node *node, const void *self)
{
    static const char *const tls_keys[] = { "tls.crt", "tls.key" };
    struct data_read *read = (struct data_read *)(uintptr_t)self;
    struct text key;
    if (read->other.count > 0) {
        join_data(decode, read, &key);
    }
    check_size(decode, node, &read->result.data);
    for (size_t i = 0; i < 2 && text_equal(read->result.type, TEXT("kubernetes.io/tls")); i++) {
        if (key_value_find(&read->result.data, text_from_string(tls_keys[i])).at == NULL) {
            decode_error(decode, node, "data", "has no \"%s\"; a Secret of type kubernetes.io/tls "
                         "needs it", tls_keys[i]);
        }
    }
}
