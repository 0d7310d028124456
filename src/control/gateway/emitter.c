/* Writing trees as JSON (base/json_writer.h) or as block YAML whose strings are quoted wherever a
 * reader could take them for something else. */
#include "control/gateway/emitter.h"

#include "base/ensure.h"

#include <stdio.h>

void emitter_init_json(struct emitter *emitter, struct buffer *out)
{
    *emitter = (struct emitter){ .out = out };
    json_writer_init_buffer(&emitter->json, out);
}

void emitter_init_yaml(struct emitter *emitter, struct buffer *out)
{
    *emitter = (struct emitter){ .out = out, .yaml = true };
}

void emitter_finish(struct emitter *emitter)
{
    ensure(emitter->depth == 0);
    if (!emitter->yaml) {
        json_writer_finish(&emitter->json);
    }
}

void emit_document(struct emitter *emitter)
{
    if (emitter->yaml) {
        buffer_append(emitter->out, TEXT("---\n"));
    }
}

/* ---- YAML ------------------------------------------------------------------------------------ */

static bool is_plain_safe(struct text value)
{
    if (value.size == 0 || value.size > 200 || yaml_plain_kind(value) != NODE_STRING) {
        return false;
    }
    for (size_t i = 0; i < value.size; i++) {
        char c = value.at[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '_' || c == '-';
        if (!alpha && (i == 0 || !other)) {
            return false;
        }
    }
    return true;
}

/* A JSON string is a YAML string. */
static void yaml_scalar(struct emitter *emitter, struct text value)
{
    if (is_plain_safe(value)) {
        buffer_append(emitter->out, value);
        return;
    }
    struct json_writer writer;
    json_writer_init_buffer(&writer, emitter->out);
    json_text(&writer, value);
    json_writer_finish(&writer);
}

/* What stands before a value: indentation, dash, key. Maps and lists in a list start on its
 * line. */
static void yaml_lead(struct emitter *emitter, struct text key)
{
    if (emitter->depth) {
        if (emitter->levels[emitter->depth - 1].empty && !emitter->after_dash &&
            emitter->depth > 1) {
            buffer_append_byte(emitter->out, '\n');
        }
        emitter->levels[emitter->depth - 1].empty = false;
    }
    if (!emitter->after_dash) {
        for (unsigned i = 1; i < emitter->depth; i++) {
            buffer_append(emitter->out, TEXT("  "));
        }
    }
    emitter->after_dash = false;
    if (emitter->depth && emitter->levels[emitter->depth - 1].list) {
        buffer_append(emitter->out, TEXT("- "));
        emitter->after_dash = true;
    } else if (key.at) {
        yaml_scalar(emitter, key);
        buffer_append_byte(emitter->out, ':');
    }
}

static void yaml_value_start(struct emitter *emitter)
{
    if (!emitter->after_dash) {
        buffer_append_byte(emitter->out, ' ');
    }
    emitter->after_dash = false;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void lead(struct emitter *emitter, struct text key)
{
    if (emitter->yaml) {
        yaml_lead(emitter, key);
    } else if (key.at) {
        json_key(&emitter->json, key);
    }
}

static void open_level(struct emitter *emitter, struct text key, bool list)
{
    ensure(emitter->depth < EMITTER_DEPTH_MAX);
    lead(emitter, key);
    emitter->levels[emitter->depth].list = list;
    emitter->levels[emitter->depth].empty = true;
    emitter->depth++;
    if (!emitter->yaml && list) {
        json_array_open(&emitter->json);
    } else if (!emitter->yaml) {
        json_object_open(&emitter->json);
    }
}

static void close_level(struct emitter *emitter)
{
    ensure(emitter->depth > 0);
    emitter->depth--;
    bool list = emitter->levels[emitter->depth].list;
    if (!emitter->yaml && list) {
        json_array_close(&emitter->json);
    } else if (!emitter->yaml) {
        json_object_close(&emitter->json);
    } else if (emitter->levels[emitter->depth].empty) {
        if (emitter->depth) {
            yaml_value_start(emitter);
        }
        buffer_append(emitter->out, list ? TEXT("[]\n") : TEXT("{}\n"));
    }
}

void emit_map_open(struct emitter *emitter, const char *key)
{
    open_level(emitter, text_from_string(key), false);
}

void emit_map_close(struct emitter *emitter)
{
    close_level(emitter);
}

void emit_list_open(struct emitter *emitter, const char *key)
{
    open_level(emitter, text_from_string(key), true);
}

void emit_list_close(struct emitter *emitter)
{
    close_level(emitter);
}

static void scalar(struct emitter *emitter, struct text key, struct text value, bool quoted)
{
    lead(emitter, key);
    if (!emitter->yaml && quoted) {
        json_text(&emitter->json, value);
    } else if (!emitter->yaml) {
        json_raw(&emitter->json, value);
    } else {
        yaml_value_start(emitter);
        if (quoted) {
            yaml_scalar(emitter, value);
        } else {
            buffer_append(emitter->out, value);
        }
        buffer_append_byte(emitter->out, '\n');
    }
}

void emit_text(struct emitter *emitter, const char *key, struct text value)
{
    scalar(emitter, text_from_string(key), value, true);
}

void emit_u64(struct emitter *emitter, const char *key, uint64_t value)
{
    char bytes[24];
    int size = snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)value);
    scalar(emitter, text_from_string(key), text_of(bytes, (size_t)size), false);
}

static void emit_scalar_node(struct emitter *emitter, struct text key, const struct node *node)
{
    if (node->kind == NODE_STRING) {
        scalar(emitter, key, node->text, true);
        return;
    }
    struct buffer json;
    struct json_writer writer;
    buffer_init(&json);
    json_writer_init_buffer(&writer, &json);
    node_write_json(node, &writer);
    json_writer_finish(&writer);
    scalar(emitter, key, buffer_text(&json), false);
    buffer_fini(&json);
}

void emit_node(struct emitter *emitter, struct text key, const struct node *node)
{
    if (node->kind == NODE_MAP) {
        open_level(emitter, key, false);
        for (size_t i = 0; i < node->map.count; i++) {
            emit_node(emitter, node->map.entries[i].key.text, &node->map.entries[i].value);
        }
        close_level(emitter);
    } else if (node->kind == NODE_LIST) {
        open_level(emitter, key, true);
        for (size_t i = 0; i < node->list.count; i++) {
            emit_node(emitter, (struct text){ 0 }, &node->list.items[i]);
        }
        close_level(emitter);
    } else {
        emit_scalar_node(emitter, key, node);
    }
}
