/* Route lookup. The host table gives the virtual host; one walk down its path trie gives the lists
 * of routes whose path can match; they are tried in order of configuration, lowest number first
 * over all lists, until the conditions of one hold. No allocation, no state. */
#include "proxy/route.h"

#include "proxy/plan_routes.h"

#define NO_ROUTE UINT32_MAX

struct candidates {
    const struct route_trie *trie;
    struct text path;
    const struct trie_node *end; /* the path ends here, or NULL */
    const struct trie_node *up;  /* deepest node with prefixes, or NULL */
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

static bool label_fits(const struct trie_node *node, struct text path)
{
    const char *label = node->label_size > TRIE_INLINE ? node->label_at : node->label;
    return path.size >= node->depth &&
           memcmp(path.at + node->depth - node->label_size, label, node->label_size) == 0;
}

static const struct trie_node *find_child(const struct route_trie *trie,
                                          const struct trie_node *node, char byte)
{
    const uint8_t *bytes =
        node->child_count > TRIE_INLINE ? node->child_bytes_at : node->child_bytes;
    const uint8_t *found =
        node->child_count > 0 ? memchr(bytes, (unsigned char)byte, node->child_count) : NULL;
    return found ? &trie->nodes[node->children + (found - bytes)] : NULL;
}

static const struct trie_node *node_up(const struct route_trie *trie, const struct trie_node *node)
{
    return node->up != TRIE_NONE ? &trie->nodes[node->up] : NULL;
}

static void walk(const struct route_trie *trie, struct text path, struct candidates *out)
{
    *out = (struct candidates){ .trie = trie, .path = path };
    const struct trie_node *last = NULL;
    const struct trie_node *node = trie->nodes;
    while (node != NULL && label_fits(node, path)) {
        last = node;
        if (path.size == node->depth) {
            out->end = node;
            break;
        }
        node = find_child(trie, node, path.at[node->depth]);
    }
    if (last != NULL) {
        bool has_prefixes = last->elements_count + last->bytes_count > 0;
        out->up = has_prefixes ? last : node_up(trie, last);
    }
}

/* The lowest number from `from` on. */
static uint32_t lowest(const uint32_t *items, uint32_t count, uint32_t from)
{
    uint32_t low = 0;
    uint32_t high = count;
    if (high == 0 || items[0] >= from) {
        return high == 0 ? NO_ROUTE : items[0];
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle] < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count ? items[low] : NO_ROUTE;
}

static const uint32_t *lists_of(const struct route_trie *trie, const struct trie_node *node)
{
    bool alone = node->exact_count + node->elements_count + node->bytes_count == 1;
    return alone ? &node->first : trie->order + node->first;
}

static uint32_t next_candidate(const struct candidates *candidates, uint32_t from)
{
    struct text path = candidates->path;
    const struct trie_node *end = candidates->end;
    uint32_t best = NO_ROUTE;
    if (end != NULL) {
        best = lowest(lists_of(candidates->trie, end), end->exact_count, from);
    }
    for (const struct trie_node *node = candidates->up; node != NULL;
         node = node_up(candidates->trie, node)) {
        const uint32_t *elements = lists_of(candidates->trie, node) + node->exact_count;
        uint32_t found = lowest(elements + node->elements_count, node->bytes_count, from);
        best = found < best ? found : best;
        if (node->elements_count > 0 && (path.size == node->depth || path.at[node->depth] == '/')) {
            found = lowest(elements, node->elements_count, from);
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

/* Told of everything: slower, and used by people. */
static const struct route *match_traced(const struct host_entry *host,
                                        const struct route_request *request,
                                        const struct route_trace *trace)
{
    struct candidates candidates;
    walk(&host->trie, request->path, &candidates);
    uint32_t next = next_candidate(&candidates, 0);
    for (; next != NO_ROUTE; next = next_candidate(&candidates, next + 1)) {
        const struct route_entry *entry = &host->routes[next];
        struct text detail = text_of(NULL, 0);
        const char *why = check(entry, request, &detail);
        if (trace->on_candidate) {
            trace->on_candidate(trace->owner, &entry->route, why, detail);
        }
        if (why == NULL) {
            return &entry->route;
        }
    }
    return NULL;
}

static const struct route *match_in(const struct host_entry *host,
                                    const struct route_request *request)
{
    struct candidates candidates;
    walk(&host->trie, request->path, &candidates);
    uint32_t next = next_candidate(&candidates, 0);
    for (; next != NO_ROUTE; next = next_candidate(&candidates, next + 1)) {
        struct route_gate gate = host->trie.gates[next];
        if (gate.method != METHOD_OTHER && gate.method != request->head->method_id) {
            continue;
        }
        struct text detail;
        if (gate.is_plain || check(&host->routes[next], request, &detail) == NULL) {
            return &host->routes[next].route;
        }
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
        route = trace ? match_traced(entry, request, trace) : match_in(entry, request);
        if (trace) {
            name = entry->host->next_domain;
        }
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

bool route_is_ambiguous(const struct plan_routes *routes, const struct route_request *request,
                        const struct route *route, char *memory)
{
    struct text path = request->path;
    bool has_parameters = text_find_byte(path, ';') < path.size ||
                          (text_find_byte(path, '%') < path.size &&
                           text_find(path, TEXT("%3B")) < path.size);
    if (!routes->guards_paths || !has_parameters) {
        return false;
    }
    struct route_request lenient = *request;
    lenient.path = path_without_parameters(path, false, memory);
    if (route_match(routes, &lenient, NULL) != route) {
        return true;
    }
    lenient.path = path_without_parameters(path, true, memory);
    return route_match(routes, &lenient, NULL) != route;
}
