/* Growable bytes. */
#include "base/buffer.h"

#include "base/ensure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer){ 0 };
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->bytes);
    buffer_init(buffer);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t needed = buffer->size + more;
    ensure(needed >= more && needed <= SIZE_MAX / 2);
    if (buffer->bytes == NULL || needed > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : 256;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *bytes = realloc(buffer->bytes, capacity);
        ensure(bytes != NULL);
        buffer->bytes = bytes;
        buffer->capacity = capacity;
    }
    return buffer->bytes + buffer->size;
}

void buffer_append(struct buffer *buffer, struct text t)
{
    char *at = buffer_reserve(buffer, t.size);
    if (t.size > 0) {
        memcpy(at, t.at, t.size);
    }
    buffer->size += t.size;
}

void buffer_append_byte(struct buffer *buffer, char byte)
{
    *buffer_reserve(buffer, 1) = byte;
    buffer->size++;
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    va_list again;
    va_copy(again, list);
    ensure(format != NULL);
    int size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    ensure(size >= 0);
    char *at = buffer_reserve(buffer, (size_t)size + 1);
    vsnprintf(at, (size_t)size + 1, format, again);
    va_end(again);
    buffer->size += (size_t)size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    ensure(size <= buffer->size);
    if (size == 0) {
        return; /* an empty buffer has no bytes to move */
    }
    memmove(buffer->bytes, buffer->bytes + size, buffer->size - size);
    buffer->size -= size;
}
