/* struct buffer: owns growable bytes. For configuration, admin pages and tests; the hot path writes
 * into fixed buffers. Growth failure aborts. */
#pragma once

#include "base/text.h"

struct buffer {
    char *bytes; /* malloc'd; NULL while empty */
    size_t size;
    size_t capacity;
};

void buffer_init(struct buffer *buffer);
void buffer_fini(struct buffer *buffer);
/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Room for `more` further bytes; returns where they go. The caller then adds to size. */
char *buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, struct text t);
void buffer_append_byte(struct buffer *buffer, char byte);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);
static inline struct text buffer_text(const struct buffer *buffer)
{
    return text_of(buffer->bytes, buffer->size);
}
