/* The addresses of a Gateway (decisions 6): those of spec.addresses, or the default ones, or the
 * next of the pool. An address is a promise to bind; whether it can be bound proxies say later. */
#include "control/gateway/builder.h"

#include <stdio.h>

static void add(struct builder *builder, struct graph_gateway *gateway, struct text value,
                bool implied)
{
    struct address address;
    if (!address_parse_ip(value, &address)) {
        return;
    }
    for (size_t i = 0; i < gateway->address_count; i++) {
        if (address_same_ip(&gateway->addresses[i].address, &address)) {
            return;
        }
    }
    char bytes[ADDRESS_TEXT_MAX];
    size_t size = address_format_ip(&address, bytes);
    gateway->addresses[gateway->address_count++] = (struct graph_address){
        .type = TEXT("IPAddress"),
        .value = arena_copy(builder->arena, text_of(bytes, size)),
        .address = address,
        .implied = implied,
    };
}

static void add_from_pool(struct builder *builder, struct graph_gateway *gateway, const char *path)
{
    const struct text_list *pool = &builder->options->address_pool;
    if (builder->pool_next < pool->count) {
        add(builder, gateway, pool->items[builder->pool_next++], false);
        return;
    }
    gateway->address_missing = true;
    BUILDER_FINDING(builder, gateway->object, path, FINDING_ERROR,
                    "AddressNotAssigned: no address is left in the pool of %zu; give a value, or "
                    "more addresses with --address-pool",
                    pool->count);
}

static void refuse(struct builder *builder, struct graph_gateway *gateway,
                   const struct gateway_address *wanted, const char *path)
{
    const char *why = text_equal(wanted->type, TEXT("IPAddress")) ? "is no IP address"
                                                                  : "has a type Weft cannot bind";
    gateway->serves = false;
    gateway->accepted = condition_make(
        "Accepted", CONDITION_FALSE, "UnsupportedAddress",
        arena_format(builder->arena, "%s: \"%.*s\" %s; only type IPAddress is supported", path,
                     TEXT_ARG(wanted->value), why));
    BUILDER_FINDING(builder, gateway->object, path, FINDING_ERROR,
                    "UnsupportedAddress: \"%.*s\" %s; use IPAddress and an IP of this machine",
                    TEXT_ARG(wanted->value), why);
}

static void add_wanted(struct builder *builder, struct graph_gateway *gateway)
{
    const struct gateway *spec = gateway->object->gateway;
    for (size_t i = 0; i < spec->addresses.count; i++) {
        const struct gateway_address *wanted = &spec->addresses.items[i];
        char path[64];
        snprintf(path, sizeof(path), "spec.addresses[%zu]", i);
        struct address address;
        bool is_ip = text_equal(wanted->type, TEXT("IPAddress"));
        if (is_ip && wanted->value.size == 0) {
            add_from_pool(builder, gateway, path);
        } else if (is_ip && address_parse_ip(wanted->value, &address)) {
            add(builder, gateway, wanted->value, false);
        } else if (gateway->serves) {
            refuse(builder, gateway, wanted, path);
        }
    }
}

void build_addresses(struct builder *builder)
{
    const struct graph_options *options = builder->options;
    for (size_t i = 0; i < builder->graph->gateway_count; i++) {
        struct graph_gateway *gateway = &builder->graph->gateways[i];
        size_t wanted = gateway->object->gateway->addresses.count;
        size_t room = wanted ? wanted : options->default_addresses.count + 1;
        gateway->addresses = arena_new_array(builder->arena, struct graph_address, room);
        if (wanted) {
            add_wanted(builder, gateway);
        } else if (options->address_per_gateway) {
            add_from_pool(builder, gateway, "spec");
        } else {
            for (size_t k = 0; k < options->default_addresses.count; k++) {
                add(builder, gateway, options->default_addresses.items[k], true);
            }
        }
    }
}
