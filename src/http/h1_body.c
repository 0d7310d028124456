/* Bodies as they arrive: a length, chunks, or until the end of the connection (RFC 9112 sections 6
 * and 7), and trailers. A byte at a time through framing, a view at a time through payload. */
#include "http/h1.h"

#include "http/bytes.h"
#include "http/h1_section.h"

#include "base/ensure.h"

#include <assert.h>

enum body_state {
    STATE_LENGTH,
    STATE_UNTIL_CLOSE,
    STATE_SIZE,    /* in the digits */
    STATE_SIZE_LF, /* behind the CR of the size line */
    STATE_NAME,    /* behind ';', no byte of the name yet */
    STATE_IN_NAME,
    STATE_VALUE, /* behind '=', no byte of the value yet */
    STATE_IN_VALUE,
    STATE_QUOTED,
    STATE_ESCAPE,     /* behind '\' in a quoted string */
    STATE_QUOTED_END, /* behind the closing '"' */
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILERS,
    STATE_DONE,
    STATE_REFUSED,
};

#define SIZE_DIGITS_MAX 16

static_assert(sizeof(struct h1_body) <= 40, "one per exchange and direction");

void h1_body_init(struct h1_body *body, enum body_kind kind, uint64_t content_length)
{
    *body = (struct h1_body) { .kind = (uint8_t)kind };
    switch (kind) {
    case BODY_NONE:
        body->state = STATE_DONE;
        break;
    case BODY_LENGTH:
        body->left = content_length;
        body->state = content_length > 0 ? STATE_LENGTH : STATE_DONE;
        break;
    case BODY_CHUNKED:
        body->state = STATE_SIZE;
        break;
    case BODY_UNTIL_CLOSE:
        body->state = STATE_UNTIL_CLOSE;
        break;
    }
    body->done = body->state == STATE_DONE;
}

static bool refuse(struct h1_body *body, enum h1_reason reason)
{
    body->state = STATE_REFUSED;
    body->reason = (uint8_t)reason;
    return false;
}

/* A byte of the size line that is not allowed there. */
static bool refuse_line_byte(struct h1_body *body, char byte, enum h1_reason otherwise)
{
    if (byte == '\n') {
        otherwise = H1_BAD_LINE_END;
    } else if (byte == '\0') {
        otherwise = H1_NUL_BYTE;
    }
    return refuse(body, otherwise);
}

static bool step_size(struct h1_body *body, char byte)
{
    int digit = byte_hex(byte);
    if (digit >= 0) {
        body->left = body->left << 4 | (unsigned)digit;
        body->digits++;
        bool fits = body->digits <= SIZE_DIGITS_MAX && body->left <= INT64_MAX;
        return fits || refuse(body, H1_BAD_CHUNK_SIZE);
    }
    if (body->digits > 0 && byte == '\r') {
        body->state = STATE_SIZE_LF;
        return true;
    }
    if (body->digits > 0 && byte == ';') {
        body->state = STATE_NAME;
        return true;
    }
    return refuse_line_byte(body, byte, H1_BAD_CHUNK_SIZE);
}

static bool step_size_end(struct h1_body *body, char byte)
{
    if (byte != '\n') {
        return refuse(body, H1_BAD_LINE_END);
    }
    body->state = body->left > 0 ? STATE_DATA : STATE_TRAILERS;
    body->line = 0;
    body->digits = 0;
    return true;
}

/* What may stand behind a whole extension. */
static bool step_extension_end(struct h1_body *body, char byte)
{
    if (byte == ';') {
        body->state = STATE_NAME;
        return true;
    }
    if (byte == '\r') {
        body->state = STATE_SIZE_LF;
        return true;
    }
    return refuse_line_byte(body, byte, H1_BAD_CHUNK_EXTENSION);
}

/* chunk-ext of RFC 9112 7.1.1: ";token" or ";token=token" or ";token=\"...\"". The white space its
 * grammar would tolerate is refused: proxies have disagreed over it. */
static bool step_extension(struct h1_body *body, char byte)
{
    bool token = byte_is(byte, BYTE_TOKEN);
    switch (body->state) {
    case STATE_NAME:
        body->state = STATE_IN_NAME;
        return token || refuse_line_byte(body, byte, H1_BAD_CHUNK_EXTENSION);
    case STATE_IN_NAME:
        if (byte == '=') {
            body->state = STATE_VALUE;
            return true;
        }
        return token || step_extension_end(body, byte);
    case STATE_VALUE:
        body->state = byte == '"' ? STATE_QUOTED : STATE_IN_VALUE;
        return token || byte == '"' || refuse_line_byte(body, byte, H1_BAD_CHUNK_EXTENSION);
    case STATE_IN_VALUE:
        return token || step_extension_end(body, byte);
    case STATE_QUOTED:
        if (byte == '"') {
            body->state = STATE_QUOTED_END;
            return true;
        }
        if (byte == '\\') {
            body->state = STATE_ESCAPE;
            return true;
        }
        return byte_is(byte, BYTE_QUOTED) || refuse_line_byte(body, byte, H1_BAD_CHUNK_EXTENSION);
    case STATE_ESCAPE:
        body->state = STATE_QUOTED;
        return byte_is(byte, BYTE_VALUE) || refuse_line_byte(body, byte, H1_BAD_CHUNK_EXTENSION);
    default:
        return step_extension_end(body, byte);
    }
}

/* One byte of framing between chunks. */
static bool step(struct h1_body *body, char byte)
{
    switch (body->state) {
    case STATE_DATA_CR:
        body->state = STATE_DATA_LF;
        return byte == '\r' || refuse(body, H1_BAD_CHUNK_END);
    case STATE_DATA_LF:
        body->state = STATE_SIZE;
        return byte == '\n' || refuse(body, H1_BAD_CHUNK_END);
    case STATE_SIZE_LF:
        return step_size_end(body, byte);
    case STATE_SIZE:
        if (!step_size(body, byte)) {
            return false;
        }
        break;
    default:
        body->extensions++;
        if (!step_extension(body, byte)) {
            return false;
        }
        break;
    }
    /* The CR that ends the line is not of it. */
    body->line += body->state != STATE_SIZE_LF;
    if (body->line > H1_CHUNK_LINE_MAX || body->extensions > H1_CHUNK_EXTENSIONS_MAX) {
        return refuse(body, H1_BAD_CHUNK_EXTENSION);
    }
    return true;
}

static bool is_payload(const struct h1_body *body)
{
    return body->state == STATE_LENGTH || body->state == STATE_DATA ||
           body->state == STATE_UNTIL_CLOSE;
}

void h1_body_advance(struct h1_body *body, uint64_t size)
{
    if (body->state == STATE_UNTIL_CLOSE) {
        return;
    }
    ensure(is_payload(body) && size <= body->left);
    body->left -= size;
    if (body->left > 0) {
        return;
    }
    if (body->state == STATE_DATA) {
        body->state = STATE_DATA_CR;
    } else {
        body->state = STATE_DONE;
        body->done = true;
    }
}

uint64_t h1_body_run(const struct h1_body *body)
{
    if (body->state == STATE_UNTIL_CLOSE) {
        return UINT64_MAX;
    }
    return is_payload(body) ? body->left : 0;
}

enum h1_result h1_body_read(struct h1_body *body, const char *span, size_t size,
                            struct text *out_data, size_t *out_used)
{
    size_t at = 0;
    *out_data = text_of(span, 0);
    while (at < size && !is_payload(body) && body->state < STATE_TRAILERS) {
        if (!step(body, span[at++])) {
            break;
        }
    }
    if (is_payload(body) && at < size) {
        uint64_t run = h1_body_run(body);
        size_t take = size - at < run ? size - at : (size_t)run;
        *out_data = text_of(span + at, take);
        *out_used = at + take;
        h1_body_advance(body, take);
        return H1_MORE;
    }
    *out_used = at;
    if (body->state == STATE_REFUSED) {
        return H1_REFUSED;
    }
    return body->state == STATE_DONE ? H1_DONE : H1_MORE;
}

bool h1_body_end(struct h1_body *body)
{
    if (body->state == STATE_UNTIL_CLOSE) {
        body->state = STATE_DONE;
        body->done = true;
    }
    return body->done;
}

bool h1_body_in_trailers(const struct h1_body *body)
{
    return body->state == STATE_TRAILERS;
}

enum h1_result h1_read_trailers(struct h1_body *body, const struct h1_limits *limits,
                                const char *span, size_t size, struct fields *out_fields,
                                size_t *out_size)
{
    ensure(body->state == STATE_TRAILERS);
    struct h1_seen seen;
    enum h1_reason reason;
    enum h1_result result = h1_section_read(&body->section, limits, span, 0, size, out_fields,
                                            &seen, out_size, &reason);
    for (size_t i = 0; result == H1_DONE && i < out_fields->count; i++) {
        const struct field *field = &out_fields->items[i];
        if (!field_is_trailer((enum field_id)field->id, field->name)) {
            result = H1_REFUSED;
            reason = H1_BAD_TRAILER;
        }
    }
    if (result == H1_DONE) {
        body->state = STATE_DONE;
        body->done = true;
    } else if (result == H1_REFUSED) {
        refuse(body, reason);
    }
    return result;
}
