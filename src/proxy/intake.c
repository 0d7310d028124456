/* Payload out of a wire's bytes. */
#include "proxy/intake.h"

#include "base/ensure.h"
#include "proxy/stage.h"

/* A read never takes more than the body has left where its length is known, so nothing of the next
 * message is read along. */
static size_t read_limit(const struct h1_body *body)
{
    if (body->kind == BODY_LENGTH && body->left < SCRATCH_SIZE) {
        return (size_t)body->left;
    }
    return SCRATCH_SIZE;
}

static enum intake_result from_io(struct h1_body *body, enum io io)
{
    switch (io) {
    case IO_OK:
        return INTAKE_OK;
    case IO_AGAIN:
        return INTAKE_AGAIN;
    case IO_END:
        return h1_body_end(body) ? INTAKE_OK : INTAKE_END;
    default:
        return INTAKE_FAILED;
    }
}

static enum intake_result decode(struct wire *wire, struct h1_body *body, char *span, size_t size,
                                 struct intake *intake, size_t *out_used)
{
    size_t used = 0;
    if (payload_decode(body, span, size, &intake->payload, &used) == H1_REFUSED) {
        return INTAKE_REFUSED;
    }
    if (h1_body_in_trailers(body) && !body->done) {
        struct fields *trailers = &wire->worker->trailers;
        size_t taken = 0;
        enum h1_result result = h1_read_trailers(body, &h1_default_limits, span + used,
                                                 size - used, trailers, &taken);
        if (result == H1_REFUSED) {
            return INTAKE_REFUSED;
        }
        if (result == H1_DONE) {
            used += taken;
            intake->has_trailers = trailers->count > 0;
        }
    }
    *out_used = used;
    return INTAKE_OK;
}

static enum intake_result take_held(struct wire *wire, struct h1_body *body, struct intake *intake)
{
    if (h1_body_in_trailers(body)) {
        /* Trailers are read whole: what is held was not enough. */
        enum intake_result result = from_io(body, wire_fill(wire));
        if (result != INTAKE_OK) {
            return result;
        }
    }
    return decode(wire, body, wire->input + wire->input_start, wire_held(wire), intake,
                  &intake->held_used);
}

enum intake_result intake_take(struct wire *wire, struct h1_body *body, struct text preread,
                               struct intake *out_intake)
{
    *out_intake = (struct intake){ 0 };
    if (wire_held(wire) > 0) {
        ensure(preread.size == 0);
        return take_held(wire, body, out_intake);
    }
    char *span = (char *)preread.at;
    size_t size = preread.size;
    if (size == 0) {
        if (!wire->transport->readable && !wire->transport->hung_up) {
            return INTAKE_AGAIN;
        }
        span = wire->worker->scratch;
        enum intake_result result =
            from_io(body, transport_read(wire->transport, span, read_limit(body), &size));
        if (result != INTAKE_OK || body->done) {
            return result;
        }
    }
    size_t used;
    enum intake_result result = decode(wire, body, span, size, out_intake, &used);
    if (result == INTAKE_OK && used < size &&
        !wire_hold(wire, text_of(span + used, size - used))) {
        return INTAKE_FAILED;
    }
    return result;
}

void intake_settle(struct wire *wire, const struct intake *intake)
{
    if (intake->held_used > 0) {
        wire_consume(wire, intake->held_used);
    }
}
