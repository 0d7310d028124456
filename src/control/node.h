/* struct node: a document as a tree of maps, lists and scalars that remembers where each stood.
 * YAML (yaml.c, libyaml's events) and JSON (json.c, our own strict reader) give the same trees;
 * schema.h reads them. A tree lives in the arena it was built in and is never changed.
 *
 * Limits, for both readers: 16 MiB a file, 64 levels, 2,000,000 nodes a document; what YAML
 * aliases repeat may add up to 10,000 nodes and 1 MiB of text in one document. */
#pragma once

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/json_writer.h"

#define DOCUMENT_FILE_MAX        (16u << 20)
#define DOCUMENT_DEPTH_MAX       64
#define DOCUMENT_NODES_MAX       2000000
#define DOCUMENT_ALIAS_NODES_MAX 10000
#define DOCUMENT_ALIAS_BYTES_MAX (1u << 20)

enum node_kind { NODE_NULL, NODE_BOOL, NODE_INT, NODE_FLOAT, NODE_STRING, NODE_LIST, NODE_MAP };

struct node_entry;

struct node {
    uint8_t kind;    /* enum node_kind */
    bool plain;      /* a YAML scalar without quotes and tag: its kind was guessed from its looks */
    uint16_t column; /* from 1; 65535 where it stands further right */
    uint32_t line;   /* from 1 */
    union {
        struct text text; /* scalars: as written, without quotes and escapes */
        struct {
            struct node_entry *entries;
            size_t count;
        } map;
        struct {
            struct node *items;
            size_t count;
        } list;
    };
};

struct node_entry {
    struct node key; /* a scalar; `kind` tells what an unquoted key would be to Kubernetes */
    struct node value;
};

/* Gets what a reader finds. on_document takes over the arena (moves the struct) and the root in it;
 * a problem makes the whole file unusable, but reading goes on where that is possible. */
struct document_handler {
    void (*on_document)(struct document_handler *handler, struct arena *arena, struct node root);
    void (*on_problem)(struct document_handler *handler, uint32_t line, const char *text);
};

/* All documents of a stream; empty ones are passed over. False where there was a problem. */
bool yaml_read(struct text bytes, struct document_handler *handler);
/* Exactly one value (RFC 8259; a leading byte order mark is passed over). Duplicate keys, lone
 * surrogates, malformed UTF-8 and raw control characters are refused. Numbers of any size are read
 * as text; node_int says whether one fits. */
bool json_read(struct text bytes, struct document_handler *handler);

/* What a plain YAML scalar is to Kubernetes, which reads YAML 1.1 (yes, on, y, 0777, 1e3, ~). */
enum node_kind yaml_plain_kind(struct text scalar);
/* Truth of a scalar of kind NODE_BOOL. */
bool node_bool(const struct node *node);
/* False where a NODE_INT is not written in plain decimal or does not fit. */
bool node_int(const struct node *node, int64_t *out_value);
/* The value under this key of a map, or NULL (also for a node that is no map, or NULL). */
const struct node *node_find(const struct node *map, struct text key);
/* The text under this key; at == NULL where there is none or it is no string. */
struct text node_find_text(const struct node *map, struct text key);
/* Follows `a.b[0].c["key.with.dots"]` from root as far as it is written; *out_whole says whether
 * the whole path is. Never NULL for a root that is not. */
const struct node *node_at(const struct node *root, const char *path, bool *out_whole);
/* "text", "a number", ... for messages. */
const char *node_kind_words(const struct node *node);
/* A deep copy. */
struct node node_copy(struct arena *arena, const struct node *node);
/* Appends an unambiguous form of the tree for hashing: without places, or with lines relative to
 * base_line where that is not 0. Maps keep their order. */
void node_flatten(const struct node *node, uint32_t base_line, struct buffer *out);
/* Writes the tree as JSON. A number JSON cannot say (0777, .inf, 1_000) goes as text. */
void node_write_json(const struct node *node, struct json_writer *writer);

/* ---- for the readers ------------------------------------------------------------------------- */

struct node_frame {
    struct node node; /* line, column and kind of the open map or list */
    size_t start;     /* its first entry on the stack */
    struct text anchor;
    size_t nodes;     /* of the builder when it was opened */
    size_t bytes;
    bool has_key;     /* a map's key was read, its value is due */
};

/* Builds a tree from events. */
struct node_builder {
    struct document_handler *handler;
    struct arena arena;
    ARRAY_OF(struct node_entry) stack;
    ARRAY_OF(struct node_frame) frames;
    size_t nodes;
    size_t bytes;
    bool failed; /* a problem was told */
};

void node_builder_init(struct node_builder *builder, struct document_handler *handler);
void node_builder_fini(struct node_builder *builder);
/* Tells a problem; returns false. */
bool node_builder_fail(struct node_builder *builder, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether a map is open whose next event must be a key. */
bool node_builder_wants_key(const struct node_builder *builder);
/* False (told) beyond a limit; then reading must stop. */
bool node_builder_key(struct node_builder *builder, struct node key);
bool node_builder_value(struct node_builder *builder, struct node value);
bool node_builder_open(struct node_builder *builder, struct node head, struct text anchor);
/* Closes the innermost map or list. Duplicate keys are told. */
struct node node_builder_close(struct node_builder *builder, struct node_frame *out_frame);
/* Hands the finished document on; where one of it was told, drops it. */
void node_builder_finish(struct node_builder *builder);
