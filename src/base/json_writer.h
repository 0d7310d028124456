/* struct json_writer: writes one JSON text (RFC 8259) on one line, either into a caller's fixed
 * bytes (what does not fit sets `overflow`, nothing is ever written past the end) or onto a struct
 * buffer. No allocation in fixed mode, no printf: made for a log line per request.
 *
 * Commas are the writer's business; nesting and the order key, value are the caller's. Text is
 * escaped so that the line stays one line in a terminal too: control characters, DEL, C1 controls
 * and U+2028/2029 as \uXXXX, and each byte that is not part of valid UTF-8 becomes U+FFFD. */
#pragma once

#include "base/buffer.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct json_writer {
    char *at;
    char *end;
    char *start;           /* of what this writer wrote into; moves in buffer mode */
    struct buffer *buffer; /* NULL in fixed mode */
    bool comma;            /* one is due before the next key or item */
    bool overflow;         /* fixed mode: something did not fit; the output is to be thrown away */
};

void json_writer_init(struct json_writer *writer, char *bytes, size_t size);
/* Appends to `buffer`; its size is right only after json_writer_finish. */
void json_writer_init_buffer(struct json_writer *writer, struct buffer *buffer);
/* Ends the text: returns the bytes written by this writer (0 on overflow), updates the buffer. */
size_t json_writer_finish(struct json_writer *writer);

void json_object_open(struct json_writer *writer);
void json_object_close(struct json_writer *writer);
void json_array_open(struct json_writer *writer);
void json_array_close(struct json_writer *writer);
/* A key in any text. */
void json_key(struct json_writer *writer, struct text key);
/* A key that needs no escaping, as a literal: JSON_KEY(writer, "route"). */
#define JSON_KEY(writer, literal) json_key_raw((writer), TEXT("\"" literal "\":"))
void json_key_slow(struct json_writer *writer, struct text quoted);

/* The bytes `"key":`, already quoted and with the colon. Inline, so that a literal's copy is a few
 * moves. */
static inline void json_key_raw(struct json_writer *writer, struct text quoted)
{
    if ((size_t)(writer->end - writer->at) <= quoted.size) {
        json_key_slow(writer, quoted);
        return;
    }
    char *at = writer->at;
    if (writer->comma) {
        *at++ = ',';
    }
    writer->comma = false;
    memcpy(at, quoted.at, quoted.size);
    writer->at = at + quoted.size;
}

void json_text(struct json_writer *writer, struct text value);
void json_u64(struct json_writer *writer, uint64_t value);
void json_i64(struct json_writer *writer, int64_t value);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
/* Microseconds as milliseconds with three digits: 1234 is written 1.234. */
void json_ms(struct json_writer *writer, uint64_t us);
/* Text that is a JSON value already. */
void json_raw(struct json_writer *writer, struct text value);
/* One byte outside the JSON text, for the line end. */
void json_byte(struct json_writer *writer, char byte);

/* Whole members: JSON_KEY and value. */
#define JSON_TEXT(writer, literal, value) (JSON_KEY(writer, literal), json_text((writer), (value)))
#define JSON_U64(writer, literal, value)  (JSON_KEY(writer, literal), json_u64((writer), (value)))
