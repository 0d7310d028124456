/* Trees of nodes: building, finding, copying, printing. */
#include "control/node.h"

#include "base/ensure.h"
#include "base/map.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A map with more keys than this is checked for duplicates through a hash table. */
#define SMALL_MAP 12

void node_builder_init(struct node_builder *builder, struct document_handler *handler)
{
    *builder = (struct node_builder){ .handler = handler };
    arena_init(&builder->arena);
}

void node_builder_fini(struct node_builder *builder)
{
    arena_fini(&builder->arena);
    array_free(&builder->stack);
    array_free(&builder->frames);
}

bool node_builder_fail(struct node_builder *builder, uint32_t line, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    builder->failed = true;
    builder->handler->on_problem(builder->handler, line, text);
    return false;
}

static struct node_frame *innermost(const struct node_builder *builder)
{
    return builder->frames.count == 0 ? NULL : &builder->frames.items[builder->frames.count - 1];
}

bool node_builder_wants_key(const struct node_builder *builder)
{
    const struct node_frame *frame = innermost(builder);
    return frame != NULL && frame->node.kind == NODE_MAP && !frame->has_key;
}

static bool count_node(struct node_builder *builder, const struct node *node)
{
    builder->nodes++;
    if (node->kind < NODE_LIST) {
        builder->bytes += node->text.size;
    }
    if (builder->nodes > DOCUMENT_NODES_MAX) {
        return node_builder_fail(builder, node->line,
                                 "more than %d values in one document; split it",
                                 DOCUMENT_NODES_MAX);
    }
    return true;
}

bool node_builder_key(struct node_builder *builder, struct node key)
{
    struct node_frame *frame = innermost(builder);
    ensure(frame != NULL && frame->node.kind == NODE_MAP && !frame->has_key);
    frame->has_key = true;
    array_add(&builder->stack)->key = key;
    return count_node(builder, &key);
}

/* The entry the next value goes to. */
static struct node_entry *next_slot(struct node_builder *builder)
{
    struct node_frame *frame = innermost(builder);
    if (frame != NULL && frame->node.kind == NODE_MAP) {
        ensure(frame->has_key);
        frame->has_key = false;
        return &builder->stack.items[builder->stack.count - 1];
    }
    return array_add(&builder->stack);
}

bool node_builder_value(struct node_builder *builder, struct node value)
{
    next_slot(builder)->value = value;
    return count_node(builder, &value);
}

bool node_builder_open(struct node_builder *builder, struct node head, struct text anchor)
{
    if (builder->frames.count >= DOCUMENT_DEPTH_MAX) {
        return node_builder_fail(builder, head.line, "nested deeper than %d levels; flatten it",
                                 DOCUMENT_DEPTH_MAX);
    }
    next_slot(builder);
    size_t nodes = builder->nodes;
    size_t bytes = builder->bytes;
    *array_add(&builder->frames) = (struct node_frame){
        .node = head,
        .start = builder->stack.count,
        .anchor = anchor,
        .nodes = nodes,
        .bytes = bytes,
    };
    return count_node(builder, &head);
}

static void tell_duplicate(struct node_builder *builder, const struct node *key,
                           const struct node *first)
{
    node_builder_fail(builder, key->line,
                      "the key \"%.*s\" stands twice in one map (first on line %u); keep one",
                      (int)(key->text.size < 100 ? key->text.size : 100), key->text.at,
                      first->line);
}

static void check_duplicates(struct node_builder *builder, const struct node *map)
{
    struct node_entry *entries = map->map.entries;
    if (map->map.count <= SMALL_MAP) {
        for (size_t i = 1; i < map->map.count; i++) {
            for (size_t j = 0; j < i; j++) {
                if (text_equal(entries[i].key.text, entries[j].key.text)) {
                    tell_duplicate(builder, &entries[i].key, &entries[j].key);
                    break;
                }
            }
        }
        return;
    }
    struct map seen;
    map_init(&seen);
    for (size_t i = 0; i < map->map.count; i++) {
        struct node *first = map_find(&seen, entries[i].key.text);
        if (first != NULL) {
            tell_duplicate(builder, &entries[i].key, first);
        } else {
            map_put(&seen, entries[i].key.text, &entries[i].key);
        }
    }
    map_fini(&seen);
}

struct node node_builder_close(struct node_builder *builder, struct node_frame *out_frame)
{
    struct node_frame frame = *innermost(builder);
    builder->frames.count--;
    size_t count = builder->stack.count - frame.start;
    const struct node_entry *entries = builder->stack.items + frame.start;
    if (frame.node.kind == NODE_MAP) {
        frame.node.map.count = count;
        frame.node.map.entries = arena_new_array(&builder->arena, struct node_entry, count);
        for (size_t i = 0; i < count; i++) {
            frame.node.map.entries[i] = entries[i];
        }
        check_duplicates(builder, &frame.node);
    } else {
        frame.node.list.count = count;
        frame.node.list.items = arena_new_array(&builder->arena, struct node, count);
        for (size_t i = 0; i < count; i++) {
            frame.node.list.items[i] = entries[i].value;
        }
    }
    builder->stack.count = frame.start;
    builder->stack.items[frame.start - 1].value = frame.node;
    *out_frame = frame;
    return frame.node;
}

void node_builder_finish(struct node_builder *builder)
{
    ensure(builder->frames.count == 0 && builder->stack.count <= 1);
    if (builder->stack.count == 1) {
        struct node root = builder->stack.items[0].value;
        struct arena arena = builder->arena;
        arena_init(&builder->arena);
        builder->handler->on_document(builder->handler, &arena, root);
    }
    arena_reset(&builder->arena);
    builder->stack.count = 0;
    builder->nodes = 0;
    builder->bytes = 0;
}

bool node_bool(const struct node *node)
{
    char first = node->text.size ? text_lower_byte(node->text.at[0]) : 'n';
    return first == 't' || first == 'y' ||
           (first == 'o' && text_equal_nocase(node->text, TEXT("on")));
}

bool node_int(const struct node *node, int64_t *out_value)
{
    struct text digits = node->text;
    bool negative = digits.size > 0 && digits.at[0] == '-';
    digits = text_from(digits, negative ? 1 : 0);
    uint64_t value;
    if (node->kind != NODE_INT || (digits.size > 1 && digits.at[0] == '0') ||
        !text_parse_u64(digits, INT64_MAX, &value)) {
        return false;
    }
    *out_value = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

const struct node *node_find(const struct node *map, struct text key)
{
    if (map == NULL || map->kind != NODE_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->map.count; i++) {
        if (text_equal(map->map.entries[i].key.text, key)) {
            return &map->map.entries[i].value;
        }
    }
    return NULL;
}

struct text node_find_text(const struct node *map, struct text key)
{
    const struct node *found = node_find(map, key);
    return found != NULL && found->kind == NODE_STRING ? found->text : text_of(NULL, 0);
}

/* Takes one step off the path: a name, [index] or ["key"]. False at the end or where malformed. */
static bool path_step(const char **path, struct text *out_name, uint64_t *out_index)
{
    const char *at = *path;
    at += *at == '.';
    *out_name = text_of(NULL, 0);
    const char *end;
    if (at[0] == '[' && at[1] == '"') {
        end = strstr(at, "\"]");
        if (end == NULL || end < at + 2) {
            return false;
        }
        *out_name = text_of(at + 2, (size_t)(end - at - 2));
        *path = end + 2;
        return true;
    }
    if (at[0] == '[') {
        end = strchr(at, ']');
        *path = end ? end + 1 : at;
        return end != NULL && text_parse_u64(text_of(at + 1, (size_t)(end - at - 1)), UINT32_MAX,
                                             out_index);
    }
    end = at + strcspn(at, ".[");
    *out_name = text_of(at, (size_t)(end - at));
    *path = end;
    return end > at;
}

const struct node *node_at(const struct node *root, const char *path, bool *out_whole)
{
    const struct node *node = root;
    *out_whole = true;
    while (*path != '\0') {
        struct text name;
        uint64_t index = 0;
        const struct node *next = NULL;
        if (path_step(&path, &name, &index)) {
            if (name.at != NULL) {
                next = node_find(node, name);
            } else if (node->kind == NODE_LIST && index < node->list.count) {
                next = &node->list.items[index];
            }
        }
        if (next == NULL) {
            *out_whole = false;
            return node;
        }
        node = next;
    }
    return node;
}

const char *node_kind_words(const struct node *node)
{
    static const char *const words[] = {
        [NODE_NULL] = "empty (null)", [NODE_BOOL] = "a boolean", [NODE_INT] = "a number",
        [NODE_FLOAT] = "a number",    [NODE_STRING] = "text",    [NODE_LIST] = "a list",
        [NODE_MAP] = "a map",
    };
    return words[node->kind];
}

struct node node_copy(struct arena *arena, const struct node *node)
{
    struct node copy = *node;
    if (node->kind == NODE_MAP) {
        copy.map.entries = arena_new_array(arena, struct node_entry, node->map.count);
        for (size_t i = 0; i < node->map.count; i++) {
            copy.map.entries[i].key = node_copy(arena, &node->map.entries[i].key);
            copy.map.entries[i].value = node_copy(arena, &node->map.entries[i].value);
        }
    } else if (node->kind == NODE_LIST) {
        copy.list.items = arena_new_array(arena, struct node, node->list.count);
        for (size_t i = 0; i < node->list.count; i++) {
            copy.list.items[i] = node_copy(arena, &node->list.items[i]);
        }
    } else {
        copy.text = arena_copy(arena, node->text);
    }
    return copy;
}

/* Kind, relative line and a count or size in front of what follows: one reservation a node. */
static void flatten_head(const struct node *node, uint32_t base_line, size_t count,
                         struct text text, struct buffer *out)
{
    char *to = buffer_reserve(out, 16 + text.size);
    uint32_t line = base_line != 0 ? node->line - base_line : 0;
    uint32_t number = (uint32_t)count;
    to[0] = (char)node->kind;
    memcpy(to + 1, &line, sizeof(line));
    memcpy(to + 5, &number, sizeof(number));
    if (text.size > 0) {
        memcpy(to + 9, text.at, text.size);
    }
    out->size += 9 + text.size;
}

void node_flatten(const struct node *node, uint32_t base_line, struct buffer *out)
{
    struct text none = text_of(NULL, 0);
    if (node->kind == NODE_MAP) {
        flatten_head(node, base_line, node->map.count, none, out);
        for (size_t i = 0; i < node->map.count; i++) {
            node_flatten(&node->map.entries[i].key, base_line, out);
            node_flatten(&node->map.entries[i].value, base_line, out);
        }
    } else if (node->kind == NODE_LIST) {
        flatten_head(node, base_line, node->list.count, none, out);
        for (size_t i = 0; i < node->list.count; i++) {
            node_flatten(&node->list.items[i], base_line, out);
        }
    } else {
        flatten_head(node, base_line, node->text.size, node->text, out);
    }
}
