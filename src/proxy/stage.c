/* Gathering a message's parts, and taking payload out of framing. */
#include "proxy/stage.h"

#include "base/ensure.h"

#define COPY_BELOW 2048 /* bytes */

void stage_begin(struct stage *stage, struct wire *wire)
{
    stage->wire = wire;
    stage->writer = (struct h1_writer){ wire->worker->encode, wire->worker->encode + ENCODE_SIZE,
                                        false };
    stage->mark = wire->worker->encode;
    stage->count = 0;
    stage->payload = 0;
}

static void close_part(struct stage *stage)
{
    if (stage->writer.at != stage->mark) {
        ensure(stage->count < STAGE_PARTS);
        stage->parts[stage->count++] =
            (struct iovec){ stage->mark, (size_t)(stage->writer.at - stage->mark) };
        stage->mark = stage->writer.at;
    }
}

void stage_bytes(struct stage *stage, struct text bytes)
{
    if (bytes.size <= COPY_BELOW) {
        h1_write_text(&stage->writer, bytes); /* cheaper than one more part for the kernel */
        return;
    }
    close_part(stage);
    ensure(stage->count < STAGE_PARTS);
    stage->parts[stage->count++] = (struct iovec){ (char *)bytes.at, bytes.size };
}

void stage_payload(struct stage *stage, enum body_kind body, struct text payload)
{
    if (payload.size == 0) {
        return;
    }
    stage->payload += payload.size;
    if (body == BODY_CHUNKED) {
        char head[H1_CHUNK_HEAD_MAX];
        size_t size = h1_format_chunk_head(head, payload.size);
        h1_write_text(&stage->writer, text_of(head, size));
        stage_bytes(stage, payload);
        h1_write_text(&stage->writer, TEXT("\r\n"));
    } else {
        stage_bytes(stage, payload);
    }
}

void stage_end_body(struct stage *stage, enum body_kind body, const struct fields *trailers)
{
    if (body != BODY_CHUNKED) {
        return;
    }
    h1_write_text(&stage->writer, TEXT("0\r\n"));
    if (trailers) {
        h1_write_fields(&stage->writer, trailers);
    }
    h1_write_end(&stage->writer);
}

bool stage_send(struct stage *stage)
{
    close_part(stage);
    if (stage->writer.overflow) {
        return false;
    }
    return stage->count == 0 || wire_send(stage->wire, stage->parts, stage->count);
}

enum h1_result payload_decode(struct h1_body *body, char *span, size_t size,
                              struct text *out_payload, size_t *out_used)
{
    char *payload = NULL;
    size_t payload_size = 0;
    size_t used = 0;
    enum h1_result result = body->done ? H1_DONE : H1_MORE;
    while (!body->done && !h1_body_in_trailers(body) && used < size) {
        struct text data;
        size_t taken;
        result = h1_body_read(body, span + used, size - used, &data, &taken);
        if (result == H1_REFUSED) {
            break;
        }
        if (data.size > 0) {
            if (payload == NULL) {
                payload = (char *)data.at;
            } else if (payload + payload_size != data.at) {
                memmove(payload + payload_size, data.at, data.size);
            }
            payload_size += data.size;
        }
        used += taken;
        if (taken == 0) {
            break;
        }
    }
    *out_payload = text_of(payload, payload_size);
    *out_used = used;
    return result == H1_REFUSED ? H1_REFUSED : body->done ? H1_DONE : H1_MORE;
}
