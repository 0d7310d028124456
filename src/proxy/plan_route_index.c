/* Builds the path trie of a virtual host: a radix tree over the bytes of paths and prefixes.
 * Regular expressions hang where their literal beginning ends, so that they too are only tried
 * where they can match. Main thread, at compile time. */
#include "base/ensure.h"
#include "proxy/plan_routes.h"

#include <assert.h>
#include <stdlib.h>

enum { LIST_EXACT, LIST_ELEMENTS, LIST_BYTES };

struct item {
    struct text key;
    uint32_t list;
    uint32_t index;
};

struct build {
    struct arena *arena;
    const struct item *items;
    struct trie_node *nodes;
    uint32_t node_count;
};

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    int order = text_compare(a->key, b->key);
    if (order == 0) {
        order = (a->list > b->list) - (a->list < b->list);
    }
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static struct item item_of(struct route_entry *entry, uint32_t index)
{
    struct item item = { .key = entry->path, .list = LIST_BYTES, .index = index };
    if (entry->path_kind == PATH_REGEX) {
        item.key = entry->ignore_case ? text_of("", 0) : regex_literal_prefix(entry->path);
        entry->path_check = true;
    } else if (entry->ignore_case) {
        item.key = text_of("", 0);
        entry->path_check = true;
    } else if (entry->path_kind == PATH_IS) {
        item.list = LIST_EXACT;
    } else if (entry->path_kind == PATH_ELEMENTS) {
        item.list = LIST_ELEMENTS;
    }
    return item;
}

/* How many items at the front of [from, to) end at `depth` and belong to this list. */
static uint32_t count_list(const struct build *build, uint32_t from, uint32_t to, uint32_t depth,
                           uint32_t list)
{
    uint32_t at = from;
    while (at < to && build->items[at].key.size == depth && build->items[at].list == list) {
        at++;
    }
    return at - from;
}

static uint32_t shared_depth(const struct build *build, uint32_t from, uint32_t to, uint32_t depth)
{
    struct text a = build->items[from].key;
    struct text b = build->items[to - 1].key;
    size_t least = a.size < b.size ? a.size : b.size;
    while (depth < least && a.at[depth] == b.at[depth]) {
        depth++;
    }
    return depth;
}

static uint32_t group_end(const struct build *build, uint32_t from, uint32_t to, uint32_t depth)
{
    char byte = build->items[from].key.at[depth];
    while (from < to && build->items[from].key.at[depth] == byte) {
        from++;
    }
    return from;
}

static void set_label(struct trie_node *node, const char *label)
{
    if (node->label_size > TRIE_INLINE) {
        node->label_at = label;
    } else {
        memcpy(node->label, label, node->label_size);
    }
}

/* Takes the node's own lists off the front; returns where the items of its children begin. */
static uint32_t fill_lists(const struct build *build, struct trie_node *node, uint32_t from,
                           uint32_t to)
{
    uint32_t at = from;
    node->exact_count = count_list(build, at, to, node->depth, LIST_EXACT);
    at += node->exact_count;
    node->elements_count = count_list(build, at, to, node->depth, LIST_ELEMENTS);
    at += node->elements_count;
    node->bytes_count = count_list(build, at, to, node->depth, LIST_BYTES);
    at += node->bytes_count;
    node->first = at - from == 1 ? build->items[from].index : from;
    return at;
}

static uint8_t *add_children(struct build *build, struct trie_node *node, uint32_t from,
                             uint32_t to)
{
    for (uint32_t at = from; at < to; at = group_end(build, at, to, node->depth)) {
        node->child_count++;
    }
    node->children = build->node_count;
    build->node_count += node->child_count;
    if (node->child_count <= TRIE_INLINE) {
        return node->child_bytes;
    }
    uint8_t *bytes = (uint8_t *)arena_bytes(build->arena, node->child_count);
    node->child_bytes_at = bytes;
    return bytes;
}

/* Recursion is as deep as paths are nested: ROUTE_PATH_MAX at most. */
static void fill_node(struct build *build, uint32_t number, uint32_t from, uint32_t to,
                      uint32_t parent_depth, uint32_t up)
{
    struct trie_node *node = &build->nodes[number];
    node->depth = shared_depth(build, from, to, parent_depth);
    node->label_size = (uint16_t)(node->depth - parent_depth);
    set_label(node, build->items[from].key.at + parent_depth);
    node->up = up;
    from = fill_lists(build, node, from, to);
    uint8_t *bytes = add_children(build, node, from, to);
    up = node->elements_count + node->bytes_count > 0 ? number : up;
    for (uint32_t child = node->children; from < to; child++, bytes++) {
        uint32_t end = group_end(build, from, to, node->depth);
        *bytes = (uint8_t)build->items[from].key.at[node->depth];
        fill_node(build, child, from, end, node->depth, up);
        from = end;
    }
}

/* Nodes begin cache lines. */
static struct trie_node *keep_nodes(struct arena *arena, const struct trie_node *nodes,
                                    uint32_t count)
{
    char *at = arena_bytes(arena, (count + 1) * sizeof(*nodes));
    at += -(uintptr_t)at & (sizeof(*nodes) - 1);
    memcpy(at, nodes, count * sizeof(*nodes));
    return (struct trie_node *)(void *)at;
}

static void build_trie(struct virtual_host *host, struct item *items, uint32_t count)
{
    qsort(items, count, sizeof(*items), compare_items);
    uint32_t *order = arena_new_array(&host->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = items[i].index;
    }
    /* A tree has fewer branches than leaves. */
    struct build build = { .arena = &host->arena, .items = items, .node_count = 1 };
    build.nodes = calloc(2 * (size_t)count, sizeof(*build.nodes));
    ensure(build.nodes != NULL);
    fill_node(&build, 0, 0, count, 0, TRIE_NONE);
    host->trie.nodes = keep_nodes(&host->arena, build.nodes, build.node_count);
    host->trie.order = order;
    free(build.nodes);
}

static struct route_gate gate_of(const struct route_entry *entry)
{
    const struct route_conditions *conditions = &entry->conditions;
    unsigned others = conditions->header_count + conditions->query_count + conditions->cookie_count;
    return (struct route_gate){
        .method = conditions->method,
        .is_plain = others == 0 && !conditions->grpc && !entry->path_check,
    };
}

void plan_route_index(struct virtual_host *host)
{
    static_assert(sizeof(struct trie_node) == 64, "a node is a cache line");
    uint32_t count = 0;
    struct item *items = calloc(host->route_count + 1, sizeof(*items));
    struct route_gate *gates = (struct route_gate *)(void *)arena_bytes(
        &host->arena, host->route_count * sizeof(struct route_gate));
    ensure(items != NULL);
    for (uint32_t i = 0; i < host->route_count; i++) {
        struct route_entry *entry = &host->routes[i];
        if (entry->path_kind != PATH_NEVER) {
            items[count++] = item_of(entry, i);
        }
        gates[i] = gate_of(entry);
        bool all = entry->path_kind == PATH_BYTES && entry->path.size <= 1;
        host->guards_paths |= !all;
    }
    host->trie.gates = gates;
    if (count > 0) {
        build_trie(host, items, count);
    }
    free(items);
}
