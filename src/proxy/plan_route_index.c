/* Builds the path trie of a virtual host: a radix tree over the bytes of paths and prefixes.
 * Regular expressions hang where their literal beginning ends, so that they too are only tried
 * where they can match. Main thread, at compile time. */
#include "base/ensure.h"
#include "proxy/plan_routes.h"

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
    uint32_t *indexes; /* of items, in their order */
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

/* The items of this list at the front of [*from, to) that end at `depth`. */
static struct route_list take_list(const struct build *build, uint32_t *from, uint32_t to,
                                   uint32_t depth, uint32_t list)
{
    uint32_t first = *from;
    while (*from < to && build->items[*from].key.size == depth &&
           build->items[*from].list == list) {
        (*from)++;
    }
    return (struct route_list){ build->indexes + first, *from - first };
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

/* Recursion is as deep as paths are nested: ROUTE_PATH_MAX at most. */
static void fill_node(const struct build *build, struct trie_node *node, uint32_t from, uint32_t to,
                      uint32_t parent_depth, const struct trie_node *up)
{
    uint32_t depth = shared_depth(build, from, to, parent_depth);
    node->label = text_of(build->items[from].key.at + parent_depth, depth - parent_depth);
    node->depth = depth;
    node->up = up;
    node->exact = take_list(build, &from, to, depth, LIST_EXACT);
    node->elements = take_list(build, &from, to, depth, LIST_ELEMENTS);
    node->bytes = take_list(build, &from, to, depth, LIST_BYTES);
    uint16_t count = 0;
    for (uint32_t at = from; at < to; at = group_end(build, at, to, depth)) {
        count++;
    }
    if (count == 0) {
        return;
    }
    struct trie_node *children = arena_new_array(build->arena, struct trie_node, count);
    uint8_t *bytes = (uint8_t *)arena_bytes(build->arena, count);
    node->children = children;
    node->child_bytes = bytes;
    node->child_count = count;
    up = node->elements.count + node->bytes.count > 0 ? node : up;
    for (uint32_t at = from; at < to; children++, bytes++) {
        uint32_t end = group_end(build, at, to, depth);
        *bytes = (uint8_t)build->items[at].key.at[depth];
        fill_node(build, children, at, end, depth, up);
        at = end;
    }
}

void plan_route_index(struct virtual_host *host)
{
    uint32_t count = 0;
    struct item *items = calloc(host->route_count + 1, sizeof(*items));
    ensure(items != NULL);
    for (uint32_t i = 0; i < host->route_count; i++) {
        struct route_entry *entry = &host->routes[i];
        if (entry->path_kind != PATH_NEVER) {
            items[count++] = item_of(entry, i);
        }
        bool all = entry->path_kind == PATH_BYTES && entry->path.size <= 1;
        host->guards_paths |= !all;
    }
    if (count > 0) {
        qsort(items, count, sizeof(*items), compare_items);
        uint32_t *indexes = arena_new_array(&host->arena, uint32_t, count);
        for (uint32_t i = 0; i < count; i++) {
            indexes[i] = items[i].index;
        }
        struct build build = { &host->arena, items, indexes };
        struct trie_node *root = arena_new(&host->arena, struct trie_node);
        fill_node(&build, root, 0, count, 0, NULL);
        host->trie = root;
    }
    free(items);
}
