/* Settings, assignment and resolved names -> cluster_config: endpoints once each, those that may be
 * picked first, by address within. */
#include "base/array.h"
#include "base/ensure.h"
#include "base/hash.h"
#include "upstream/cluster_compile.h"

#include <stdlib.h>

struct endpoints {
    struct endpoint_config *items;
    size_t count;
    size_t capacity;
};

static int compare_addresses(const struct endpoint_config *a, const struct endpoint_config *b)
{
    int order = memcmp(a->address.ip, b->address.ip, sizeof(a->address.ip));
    if (order == 0) {
        order = (int)a->address.port - (int)b->address.port;
    }
    return order ? order : (int)a->address.scope - (int)b->address.scope;
}

/* The better health first among equal addresses. */
static int compare_by_address(const void *left, const void *right)
{
    const struct endpoint_config *a = left;
    const struct endpoint_config *b = right;
    int order = compare_addresses(a, b);
    return order ? order : (int)a->health - (int)b->health;
}

static int compare_by_health(const void *left, const void *right)
{
    const struct endpoint_config *a = left;
    const struct endpoint_config *b = right;
    int order = (a->health != ENDPOINT_HEALTHY) - (b->health != ENDPOINT_HEALTHY);
    return order ? order : compare_addresses(a, b);
}

static void add(struct endpoints *endpoints, const struct assigned_endpoint *from,
                const struct address *ip)
{
    struct endpoint_config *added = array_add(endpoints);
    added->address = *ip;
    added->address.port = from->address.port;
    added->hostname = from->hostname.size > 0 ? from->hostname
                      : from->is_name         ? from->host
                                              : text_of(NULL, 0);
    added->weight = from->weight;
    added->health = from->health;
}

static bool family_fits(enum cluster_family family, const struct cluster_addresses *addresses,
                        const struct address *address)
{
    bool v4 = address_is_v4(address);
    if (family == FAMILY_PREFER_V4 && !v4) {
        for (size_t i = 0; i < addresses->count; i++) {
            if (address_is_v4(&addresses->items[i])) {
                return false;
            }
        }
    }
    return (family != FAMILY_V4 || v4) && (family != FAMILY_V6 || !v4);
}

static void collect(struct endpoints *endpoints, const struct cluster_settings *settings,
                    const struct cluster_assignment *assignment,
                    const struct cluster_resolver *resolver, bool *out_failed)
{
    for (uint32_t i = 0; i < assignment->endpoint_count; i++) {
        const struct assigned_endpoint *from = &assignment->endpoints[i];
        if (!from->is_name) {
            add(endpoints, from, &from->address);
            continue;
        }
        struct cluster_addresses addresses = resolver->find(resolver->owner, from->host);
        *out_failed |= addresses.failed;
        for (size_t k = 0; k < addresses.count; k++) {
            if (family_fits(settings->family, &addresses, &addresses.items[k])) {
                add(endpoints, from, &addresses.items[k]);
            }
        }
    }
}

static void drop_doubles(struct endpoints *endpoints)
{
    size_t kept = 0;
    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint_config *next = &endpoints->items[i];
        struct endpoint_config *last = kept > 0 ? &endpoints->items[kept - 1] : NULL;
        if (last == NULL || compare_addresses(last, next) != 0) {
            endpoints->items[kept++] = *next;
        } else if (next->health == last->health && next->weight > last->weight) {
            last->weight = next->weight;
        }
    }
    endpoints->count = kept;
}

static void fill(struct cluster_config *config, struct endpoints *endpoints)
{
    struct arena *arena = &config->arena;
    config->endpoints = arena_new_array(arena, struct endpoint_config, endpoints->count + 1);
    config->endpoint_count = (uint32_t)endpoints->count;
    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint_config *to = &config->endpoints[i];
        char text[ADDRESS_TEXT_MAX];
        *to = endpoints->items[i];
        to->text = arena_copy(arena, text_of(text, address_format(&to->address, text)));
        to->hostname = arena_copy(arena, to->hostname);
        to->affinity = hash_stable(to->text);
        if (to->health == ENDPOINT_HEALTHY) {
            config->healthy_count++;
            config->total_weight += to->weight;
        }
    }
}

struct cluster_config *cluster_config_build(const struct cluster_settings *settings,
                                            const struct cluster_assignment *assignment,
                                            const struct cluster_resolver *resolver)
{
    struct arena arena;
    arena_init(&arena);
    struct cluster_config *config = arena_new(&arena, struct cluster_config);
    atomic_init(&config->references, 1);
    config->name = arena_copy(&arena, settings->name);
    config->arena = arena;
    config->id = cluster_id_of(settings->name);
    config->balance = settings->balance;
    config->choices = settings->choices;
    config->connect_timeout_ms = settings->connect_timeout_ms;
    config->idle_timeout_ms = settings->idle_timeout_ms;
    config->max_requests_per_connection = settings->max_requests_per_connection;
    config->http2 = settings->http2;
    struct endpoints endpoints = { 0 };
    if (assignment != NULL) {
        collect(&endpoints, settings, assignment, resolver, &config->dns_failed);
    }
    if (endpoints.count > 0) {
        qsort(endpoints.items, endpoints.count, sizeof(*endpoints.items), compare_by_address);
        drop_doubles(&endpoints);
        qsort(endpoints.items, endpoints.count, sizeof(*endpoints.items), compare_by_health);
    }
    fill(config, &endpoints);
    free(endpoints.items);
    return config;
}

static bool endpoint_equal(const struct endpoint_config *a, const struct endpoint_config *b)
{
    return address_equal(&a->address, &b->address) && text_equal(a->hostname, b->hostname) &&
           a->weight == b->weight && a->health == b->health;
}

bool cluster_config_equal(const struct cluster_config *a, const struct cluster_config *b)
{
    if (a->id != b->id || a->balance != b->balance || a->choices != b->choices ||
        a->connect_timeout_ms != b->connect_timeout_ms ||
        a->idle_timeout_ms != b->idle_timeout_ms ||
        a->max_requests_per_connection != b->max_requests_per_connection || a->http2 != b->http2 ||
        a->dns_failed != b->dns_failed || a->endpoint_count != b->endpoint_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->endpoint_count; i++) {
        if (!endpoint_equal(&a->endpoints[i], &b->endpoints[i])) {
            return false;
        }
    }
    return true;
}
