/* struct emitter: one way of writing maps, lists and scalars, as JSON on one line or as YAML.
 * Private to control/gateway; status.c is its user. Keys are plain words. */
#pragma once

#include "base/buffer.h"
#include "base/json_writer.h"
#include "control/node.h"

#define EMITTER_DEPTH_MAX 80

struct emitter {
    struct buffer *out;
    bool yaml;
    struct json_writer json;
    unsigned depth;
    struct {
        bool list;
        bool empty;
    } levels[EMITTER_DEPTH_MAX];
    bool after_dash; /* YAML: the line has "- " and no content yet */
};

void emitter_init_json(struct emitter *emitter, struct buffer *out);
/* Documents: call emit_document before each. */
void emitter_init_yaml(struct emitter *emitter, struct buffer *out);
void emitter_finish(struct emitter *emitter);
void emit_document(struct emitter *emitter);

/* key is NULL within a list and at the top. */
void emit_map_open(struct emitter *emitter, const char *key);
void emit_map_close(struct emitter *emitter);
void emit_list_open(struct emitter *emitter, const char *key);
void emit_list_close(struct emitter *emitter);
void emit_text(struct emitter *emitter, const char *key, struct text value);
void emit_u64(struct emitter *emitter, const char *key, uint64_t value);
/* A subtree as it was read. */
void emit_node(struct emitter *emitter, struct text key, const struct node *node);
