/* What the three files of the decoder share: schema_scalar.c, schema.c, schema_object.c. */
#pragma once

#include "control/schema.h"

/* Extend the path of the value at hand by a step; each gives the size to cut it back to. */
size_t decode_push(struct decode *decode, const char *step);
size_t decode_push_index(struct decode *decode, size_t index);
size_t decode_push_key(struct decode *decode, struct text key);
/* An error about the value at hand; returns false. */
bool decode_wrong(struct decode *decode, const struct node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The part of a text that a message quotes. */
struct text decode_quoted(struct text t);
/* The word nearest to a mistyped one, or NULL. */
const char *word_nearest(struct text t, const char *const *words);
/* "A, B, C" into out. */
const char *words_join(const char *const *words, char *out, size_t size);

/* Each tells what is wrong and returns false (the index: -1). */
bool decode_expect_text(struct decode *decode, const struct node *node);
int decode_word_index(struct decode *decode, const struct node *node, const char *const *words);
bool decode_text(struct decode *decode, const struct value *value, const struct node *node,
                 struct text *out);
bool decode_bool(struct decode *decode, const struct node *node, bool *out);
bool decode_number(struct decode *decode, const struct node *node, int64_t min, int64_t max,
                   int64_t *out);
bool decode_duration(struct decode *decode, const struct node *node, int64_t *out);
bool decode_int_or_string(struct decode *decode, const struct node *node,
                          struct int_or_string *out);
/* A map into the shape's struct at out. */
bool decode_fields(struct decode *decode, const struct shape *shape, const struct node *node,
                   void *out);
