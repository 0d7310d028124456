/* Bodies, the first byte choosing the framing: any cut gives the same payload and the same end. */
#include "target.h"

#include "base/buffer.h"
#include "http/h1.h"

struct outcome {
    enum h1_result result;
    bool done;
    uint8_t reason;
    size_t used;
    unsigned trailers;
    struct buffer payload;
};

static void read_trailers(struct h1_body *body, const char *span, size_t size, size_t step,
                          struct outcome *outcome)
{
    static struct fields fields;
    size_t used = 0;
    enum h1_result result = H1_MORE;
    for (size_t given = step; result == H1_MORE; given += step) {
        size_t now = given < size ? given : size;
        result = h1_read_trailers(body, &h1_default_limits, span, now, &fields, &used);
        if (now == size) {
            break;
        }
    }
    outcome->result = result;
    if (result == H1_DONE) {
        ensure(body->done && used <= size);
        outcome->used += used;
        outcome->trailers = fields.count;
    }
}

static void read_cut(enum body_kind kind, uint64_t length, const char *span, size_t size,
                     size_t step, struct outcome *outcome)
{
    struct h1_body body;
    h1_body_init(&body, kind, length);
    size_t at = 0;
    outcome->result = H1_MORE;
    while (at < size && !body.done && !h1_body_in_trailers(&body)) {
        size_t part = size - at < step ? size - at : step;
        while (part > 0 && !body.done && !h1_body_in_trailers(&body)) {
            struct text data;
            size_t used;
            outcome->result = h1_body_read(&body, span + at, part, &data, &used);
            if (outcome->result == H1_REFUSED) {
                outcome->reason = body.reason;
                return;
            }
            ensure(used <= part && used > 0 && data.size <= used);
            buffer_append(&outcome->payload, data);
            at += used;
            part -= used;
        }
    }
    outcome->used = at;
    if (h1_body_in_trailers(&body)) {
        read_trailers(&body, span + at, size - at, step, outcome);
    }
    outcome->done = body.done;
    outcome->reason = outcome->result == H1_REFUSED ? body.reason : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    enum body_kind kind = data[0] % 4 == 0 ? BODY_LENGTH : BODY_CHUNKED;
    struct outcome whole = { 0 };
    struct outcome parts = { 0 };
    const char *span = (const char *)data + 1;
    read_cut(kind, data[0], span, size - 1, size - 1, &whole);
    read_cut(kind, data[0], span, size - 1, size < 4096 ? 1 : 1 + data[size - 1] % 97, &parts);
    ensure(whole.result == parts.result || whole.result != H1_REFUSED);
    ensure(whole.done == parts.done && whole.reason == parts.reason);
    if (whole.result != H1_REFUSED) {
        ensure(whole.used == parts.used && whole.trailers == parts.trailers);
        ensure(text_equal(buffer_text(&whole.payload), buffer_text(&parts.payload)));
    }
    buffer_fini(&whole.payload);
    buffer_fini(&parts.payload);
    return 0;
}
