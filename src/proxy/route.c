/* Route lookup. The host table gives the virtual host; one walk down its path trie gives the lists
 * of routes whose path can match; they are tried in order of configuration, lowest number first
 * over all lists, until the conditions of one hold. No allocation, no state. */
#include "proxy/route.h"

#include "proxy/plan_routes.h"

#define NO_ROUTE UINT32_MAX

struct candidates {
    struct text path;
    const struct trie_node *end; /* the path ends here, or NULL */
    const struct trie_node *up;  /* deepest node with prefixes */
};

static const struct host_domain *find_suffix(const struct plan_routes *routes, struct text host)
{
    const struct host_domain *found = NULL;
    size_t found_size = 0;
    if (host.size > 255 || routes->suffixes.count == 0) {
        return NULL;
    }
    for (size_t i = 1; i < host.size && !found; i++) {
        size_t size = host.size - i;
        if (host.at[i] == '.' && routes->suffix_bits[size / 64] >> size % 64 & 1) {
            found = map_find(&routes->suffixes, text_from(host, i));
            found_size = size;
        }
    }
    for (unsigned i = 0; i < routes->suffix_size_count; i++) {
        size_t size = routes->suffix_sizes[i];
        if (found && size < found_size) {
            break;
        }
        const struct host_domain *other =
            size < host.size ? map_find(&routes->suffixes, text_from(host, host.size - size))
                             : NULL;
        if (other) {
            return other;
        }
    }
    return found;
}

static const struct host_domain *find_domain(const struct plan_routes *routes, struct text host)
{
    if (host.size == 0) {
        return routes->fallback;
    }
    const struct host_domain *found = map_find(&routes->exact, host);
    if (found == NULL) {
        found = find_suffix(routes, host);
    }
    for (unsigned i = 0; found == NULL && i < routes->prefix_size_count; i++) {
        size_t size = routes->prefix_sizes[i];
        if (size < host.size) {
            found = map_find(&routes->prefixes, text_first(host, size));
        }
    }
    return found ? found : routes->fallback;
}

static void walk(const struct trie_node *node, struct text path, struct candidates *out)
{
    *out = (struct candidates){ .path = path };
    const struct trie_node *last = NULL;
    while (node != NULL) {
        size_t from = node->depth - node->label.size;
        if (path.size < node->depth ||
            memcmp(path.at + from, node->label.at, node->label.size) != 0) {
            break;
        }
        last = node;
        if (path.size == node->depth) {
            out->end = node;
            break;
        }
        const uint8_t *child =
            node->child_count == 0
                ? NULL
                : memchr(node->child_bytes, (unsigned char)path.at[node->depth], node->child_count);
        node = child ? &node->children[child - node->child_bytes] : NULL;
    }
    if (last != NULL) {
        out->up = last->elements.count + last->bytes.count > 0 ? last : last->up;
    }
}

/* The lowest number of the list from `from` on. */
static uint32_t lowest(const struct route_list *list, uint32_t from)
{
    uint32_t low = 0;
    uint32_t high = list->count;
    if (high == 0 || list->items[0] >= from) {
        return high == 0 ? NO_ROUTE : list->items[0];
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->items[middle] < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < list->count ? list->items[low] : NO_ROUTE;
}

static uint32_t next_candidate(const struct candidates *candidates, uint32_t from)
{
    struct text path = candidates->path;
    uint32_t best = candidates->end ? lowest(&candidates->end->exact, from) : NO_ROUTE;
    for (const struct trie_node *node = candidates->up; node != NULL; node = node->up) {
        uint32_t found = lowest(&node->bytes, from);
        best = found < best ? found : best;
        if (node->elements.count > 0 && (path.size == node->depth || path.at[node->depth] == '/')) {
            found = lowest(&node->elements, from);
            best = found < best ? found : best;
        }
    }
    return best;
}

static bool prefix_is(struct text path, struct text prefix, bool ignore_case)
{
    struct text first = text_first(path, prefix.size);
    return ignore_case ? text_equal_nocase(first, prefix) : text_equal(first, prefix);
}

bool route_path_check(const struct route_entry *entry, struct text path)
{
    switch ((enum path_kind)entry->path_kind) {
    case PATH_IS:
        return path.size == entry->path.size && prefix_is(path, entry->path, entry->ignore_case);
    case PATH_ELEMENTS:
        return prefix_is(path, entry->path, entry->ignore_case) &&
               (path.size == entry->path.size || path.at[entry->path.size] == '/');
    case PATH_BYTES:
        return prefix_is(path, entry->path, entry->ignore_case);
    case PATH_REGEX:
        return regex_match(entry->regex, path) == REGEX_YES;
    case PATH_NEVER:
        break;
    }
    return false;
}

static const char *check(const struct route_entry *entry, const struct route_request *request,
                         struct text *out_detail)
{
    if (entry->path_check && !route_path_check(entry, request->path)) {
        *out_detail = entry->path;
        return "the path does not match";
    }
    return route_conditions_check(&entry->conditions, request->path, request->query, request->host,
                                  request->head, out_detail);
}

static const struct route *match_in(const struct virtual_host *host,
                                    const struct route_request *request,
                                    const struct route_trace *trace)
{
    struct candidates candidates;
    walk(host->trie, request->path, &candidates);
    uint32_t next = next_candidate(&candidates, 0);
    while (next != NO_ROUTE) {
        const struct route_entry *entry = &host->routes[next];
        struct text detail = text_of(NULL, 0);
        const char *why = check(entry, request, &detail);
        if (trace && trace->on_candidate) {
            trace->on_candidate(trace->owner, &entry->route, why, detail);
        }
        if (why == NULL) {
            return &entry->route;
        }
        next = next_candidate(&candidates, next + 1);
    }
    return NULL;
}

const struct route *route_match(const struct plan_routes *routes,
                                const struct route_request *request,
                                const struct route_trace *trace)
{
    const struct host_domain *domain = routes ? find_domain(routes, request->host) : NULL;
    if (domain == NULL) {
        return NULL;
    }
    struct text name = domain->domain;
    const struct route *route = NULL;
    for (const struct host_entry *entry = domain->entry; entry && !route; entry = entry->next) {
        if (trace && trace->on_virtual_host) {
            trace->on_virtual_host(trace->owner, entry->host->name, name);
        }
        route = match_in(entry->host, request, trace);
        name = entry->host->next_domain;
    }
    return route;
}

const struct route_target *route_pick_target(const struct route *route, uint64_t random)
{
    if (route->total_weight == 0) {
        return NULL;
    }
    uint64_t at = random % route->total_weight;
    for (uint32_t i = 0; i < route->target_count; i++) {
        if (at < route->targets[i].weight) {
            return &route->targets[i];
        }
        at -= route->targets[i].weight;
    }
    return NULL;
}
