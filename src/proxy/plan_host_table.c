/* Builds the host table of a RouteConfiguration: which virtual host owns which domain, and where
 * matching goes on behind weft.inherit. Domains as Envoy has them: "a.example", "*.example" (one or
 * more labels), "*-x.example", "a.*", "*". Main thread, at compile time. */
#include "proxy/plan_routes.h"

#include <stdlib.h>

#define DOMAIN_MAX 255

static struct text fold(struct text domain, char into[DOMAIN_MAX])
{
    for (size_t i = 0; i < domain.size; i++) {
        into[i] = text_lower_byte(domain.at[i]);
    }
    bool dotted = domain.size > 1 && into[domain.size - 1] == '.';
    return text_of(into, domain.size - dotted);
}

static bool domain_is_valid(struct text domain)
{
    if (domain.size == 0 || domain.size > DOMAIN_MAX) {
        return false;
    }
    for (size_t i = 0; i < domain.size; i++) {
        unsigned char c = (unsigned char)domain.at[i];
        bool inner = i > 0 && i + 1 < domain.size;
        if (c <= ' ' || c >= 0x7f || c == '/' || c == '?' || c == '#' || c == '@' ||
            (c == '*' && (inner || (i > 0 && domain.at[0] == '*')))) {
            return false;
        }
    }
    return true;
}

/* Hosts are looked up without their port. */
static bool domain_has_port(struct text domain)
{
    size_t from = domain.at[0] == '[' ? text_find_byte(domain, ']') : 0;
    return text_find_byte(text_from(domain, from), ':') < domain.size - from;
}

/* Where a domain is kept, and under which key. NULL for "*". */
static struct map *place_of(struct plan_routes *routes, struct text domain, struct text *out_key)
{
    if (domain.at[0] == '*') {
        *out_key = text_from(domain, 1);
        return domain.size == 1 ? NULL : &routes->suffixes;
    }
    if (domain.at[domain.size - 1] == '*') {
        *out_key = text_first(domain, domain.size - 1);
        return &routes->prefixes;
    }
    *out_key = domain;
    return &routes->exact;
}

static const struct host_domain *find_domain(struct plan_routes *routes, struct text domain)
{
    struct text key;
    struct map *map = place_of(routes, domain, &key);
    return map ? map_find(map, key) : routes->fallback;
}

static bool add_domain(struct plan_routes *routes, const struct host_entry *entry,
                       struct text domain, struct error *error)
{
    const struct host_domain *other = find_domain(routes, domain);
    if (other != NULL) {
        return error_set(error,
                         "domain \"%.*s\" stands in virtual hosts \"%.*s\" and \"%.*s\"; "
                         "keep it in one",
                         TEXT_ARG(domain), TEXT_ARG(other->entry->host->name),
                         TEXT_ARG(entry->host->name));
    }
    /* The bytes of the key stand behind the value: one miss of the cache less. */
    struct host_domain *added = arena_alloc(&routes->arena, sizeof(*added) + domain.size);
    memcpy(added + 1, domain.at, domain.size);
    domain.at = (const char *)(added + 1);
    *added = (struct host_domain){ domain, entry };
    struct text key;
    struct map *map = place_of(routes, domain, &key);
    if (map == NULL) {
        routes->fallback = added;
        return true;
    }
    map_put(map, key, added);
    if (map == &routes->suffixes && key.at[0] == '.') {
        routes->suffix_bits[key.size / 64] |= UINT64_C(1) << key.size % 64;
    }
    return true;
}

static bool add_domains(struct plan_routes *routes, const struct host_entry *entry, void *owner,
                        void (*on_ignored)(void *owner, struct text domain), struct error *error)
{
    const struct virtual_host *host = entry->host;
    char folded[DOMAIN_MAX];
    for (uint32_t i = 0; i < host->domain_count; i++) {
        if (!domain_is_valid(host->domains[i])) {
            return error_set(error,
                             "virtual host \"%.*s\": \"%.*s\" is no domain; write a host "
                             "name, \"*.\" and a name, or \"*\"",
                             TEXT_ARG(host->name), TEXT_ARG(host->domains[i]));
        }
        struct text domain = fold(host->domains[i], folded);
        if (domain_has_port(domain)) {
            on_ignored(owner, domain);
        } else if (!add_domain(routes, entry, domain, error)) {
            return false;
        }
    }
    return true;
}

static int compare_descending(const void *left, const void *right)
{
    return (int)*(const uint16_t *)right - (int)*(const uint16_t *)left;
}

/* The distinct sizes of a map's keys, descending; without those that begin with `but`. */
static uint16_t *collect_sizes(struct arena *arena, const struct map *map, char but,
                               uint16_t *out_count)
{
    bool seen[DOMAIN_MAX + 1] = { false };
    uint16_t sizes[DOMAIN_MAX + 1];
    uint16_t count = 0;
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(map, &cursor)) != NULL) {
        if (entry->key.at[0] != but && !seen[entry->key.size]) {
            seen[entry->key.size] = true;
            sizes[count++] = (uint16_t)entry->key.size;
        }
    }
    qsort(sizes, count, sizeof(sizes[0]), compare_descending);
    uint16_t *kept = arena_new_array(arena, uint16_t, count + 1u);
    memcpy(kept, sizes, count * sizeof(sizes[0]));
    *out_count = count;
    return kept;
}

static bool link_next(struct plan_routes *routes, struct host_entry *entry, struct error *error)
{
    const struct virtual_host *host = entry->host;
    if (!host->inherits || host->next_domain.size == 0) {
        return true;
    }
    const struct host_domain *next = find_domain(routes, host->next_domain);
    if (next == NULL) {
        return error_set(error,
                         "virtual host \"%.*s\": weft.inherit names domain \"%.*s\", which no "
                         "virtual host has",
                         TEXT_ARG(host->name), TEXT_ARG(host->next_domain));
    }
    entry->next = next->entry;
    return true;
}

static bool chain_ends(const struct host_entry *entry)
{
    unsigned steps = 0;
    while (entry != NULL && steps <= ROUTE_INHERIT_MAX) {
        entry = entry->next;
        steps++;
    }
    return entry == NULL;
}

bool plan_host_table(struct plan_routes *routes, void *owner,
                     void (*on_ignored)(void *owner, struct text domain), struct error *error)
{
    for (uint32_t i = 0; i < routes->entry_count; i++) {
        if (!add_domains(routes, &routes->entries[i], owner, on_ignored, error)) {
            return false;
        }
        routes->guards_paths |= routes->entries[i].host->guards_paths;
    }
    routes->suffix_sizes =
        collect_sizes(&routes->arena, &routes->suffixes, '.', &routes->suffix_size_count);
    routes->prefix_sizes =
        collect_sizes(&routes->arena, &routes->prefixes, '\0', &routes->prefix_size_count);
    for (uint32_t i = 0; i < routes->entry_count; i++) {
        if (!link_next(routes, &routes->entries[i], error)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < routes->entry_count; i++) {
        if (!chain_ends(&routes->entries[i])) {
            return error_set(error,
                             "virtual host \"%.*s\": weft.inherit goes round in a circle, or "
                             "through more than %d virtual hosts",
                             TEXT_ARG(routes->entries[i].host->name), ROUTE_INHERIT_MAX);
        }
    }
    return true;
}
