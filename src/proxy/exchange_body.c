/* The request's body on its way from client to endpoint: bounded, counted, retained for a retry
 * while it fits; and what else happens on the client's side during an exchange. */
#include "base/ensure.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"
#include "proxy/intake.h"
#include "proxy/mirror.h"

#define RETAIN_LIMIT ((uint32_t)64 * 1024)
#define FRAMING_MAX  64 /* bytes around the piece of a chunked body */

static void drop_retained(struct exchange *exchange)
{
    exchange->body_whole = false;
    if (exchange->retained) {
        worker_give_chunk(exchange->worker, exchange->retained, true);
        exchange->retained = NULL;
    }
    exchange->retained_size = 0;
}

/* Keeps payload for a retry (decision 18): in place where the whole body came with the head. */
static void retain(struct exchange *exchange, struct text payload, bool in_head_chunk)
{
    if (!exchange->body_whole || payload.size == 0) {
        return;
    }
    bool may_retry = exchange->route->retry.attempts > 0 || exchange->attempt.reused;
    if (!may_retry) {
        drop_retained(exchange);
        return;
    }
    if (in_head_chunk && exchange->request_body.done && exchange->retained_size == 0) {
        exchange->whole_body = payload;
        return;
    }
    if (exchange->retained == NULL) {
        exchange->retained = worker_take_chunk(exchange->worker, true);
    }
    if (exchange->retained == NULL || exchange->retained_size + payload.size > RETAIN_LIMIT) {
        drop_retained(exchange);
        return;
    }
    memcpy(exchange->retained + exchange->retained_size, payload.at, payload.size);
    exchange->retained_size += (uint32_t)payload.size;
}

/* Adds a piece of the body to the stage towards the endpoint. */
static void stage_piece(struct exchange *exchange, struct stage *stage, const struct intake *intake)
{
    enum body_kind kind = exchange->request.body;
    bool done = exchange->request_body.done;
    stage_payload(stage, kind, intake->payload);
    if (done) {
        const struct fields *trailers = intake->has_trailers ? &exchange->worker->trailers : NULL;
        stage_end_body(stage, kind, trailers);
        exchange->attempt.request_sent = true;
        if (trailers) {
            drop_retained(exchange);
        }
    }
    mirror_body_all(exchange, intake->payload, done);
}

/* A client that asked first sends nothing before the endpoint has answered. */
static bool waits_for_continue(const struct exchange *exchange)
{
    return exchange->request.expect_continue && exchange->request_body_bytes == 0;
}

/* Takes the next piece from the client. False: no piece now, or the exchange is over. */
static bool take_piece(struct exchange *exchange, struct intake *intake)
{
    struct downstream *downstream = exchange->downstream;
    struct wire *wire = &downstream->wire;
    bool in_head_chunk = wire->input_is_borrowed;
    switch (intake_take(wire, &exchange->request_body, text_of(NULL, 0), intake)) {
    case INTAKE_AGAIN:
        if (exchange->request.body == BODY_LENGTH && !waits_for_continue(exchange)) {
            downstream_watch_slow_body(downstream);
        }
        return false;
    case INTAKE_END:
    case INTAKE_FAILED:
        exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
        return false;
    case INTAKE_REFUSED:
        exchange->h1_reason = exchange->request_body.reason;
        exchange_fail(exchange, FAILURE_BAD_BODY);
        return false;
    case INTAKE_OK:
        break;
    }
    exchange->request_body_bytes += intake->payload.size;
    uint64_t limit = exchange->listener->limits.body_bytes;
    if (limit > 0 && exchange->request_body_bytes > limit) {
        exchange->client_keep_alive = false; /* the piece stays in the wire, and is no request */
        exchange_fail(exchange, FAILURE_BODY_TOO_LARGE);
        return false;
    }
    retain(exchange, intake->payload, in_head_chunk);
    return true;
}

/* With the head, in one write: what of the body has come already. Also a retry's replay. */
bool exchange_stage_first_body(struct exchange *exchange, struct stage *stage,
                               struct intake *out_intake)
{
    *out_intake = (struct intake){ 0 };
    enum body_kind kind = exchange->request.body;
    struct text replay = exchange->whole_body.size > 0
                             ? exchange->whole_body
                             : text_of(exchange->retained, exchange->retained_size);
    stage_payload(stage, kind, replay);
    if (exchange->request_body.done) {
        stage_end_body(stage, kind, NULL);
        exchange->attempt.request_sent = true;
        return true;
    }
    size_t held = wire_held(&exchange->downstream->wire);
    size_t written = (size_t)(stage->writer.at - exchange->worker->encode) + replay.size;
    if (held == 0 || held + written + FRAMING_MAX > LARGE_CHUNK_SIZE) {
        return true; /* what does not fit into one send follows it */
    }
    if (!take_piece(exchange, out_intake)) {
        return !exchange->ended && !exchange->response_started;
    }
    stage_piece(exchange, stage, out_intake);
    return true;
}

static bool may_send(const struct exchange *exchange)
{
    const struct attempt *attempt = &exchange->attempt;
    return !exchange->ended && !exchange->request_body.done && !attempt->wire.failed &&
           (attempt->state == ATTEMPT_WAITING || attempt->state == ATTEMPT_BODY) &&
           !wire_is_blocked(&attempt->wire);
}

void exchange_pump_request(struct exchange *exchange)
{
    for (unsigned round = 0; may_send(exchange); round++) {
        struct intake intake;
        if (round == WIRE_ROUNDS && wire_yield(&exchange->downstream->wire)) {
            return;
        }
        if (!take_piece(exchange, &intake)) {
            return;
        }
        struct stage stage;
        stage_begin(&stage, &exchange->attempt.wire);
        stage_piece(exchange, &stage, &intake);
        stage_send(&stage); /* a failure shows on the reading side, which may hold an answer */
        intake_settle(&exchange->downstream->wire, &intake);
        attempt_touch(exchange);
    }
    if (!exchange->ended && exchange->downstream->timer_purpose == TIMER_BODY) {
        downstream_unwatch(exchange->downstream); /* not the client's fault, or done */
    }
}

/* The client hung up, or sent more requests and then hung up. */
static void check_hang_up(struct exchange *exchange)
{
    struct wire *wire = &exchange->downstream->wire;
    enum io io;
    do {
        io = wire_fill(wire);
    } while (io == IO_OK);
    /* Further requests followed by an end are a client that only half-closed: they are served. */
    if (io == IO_FAILED || (io == IO_END && wire_held(wire) == 0)) {
        exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
    }
}

void exchange_on_downstream(struct exchange *exchange)
{
    struct downstream *downstream = exchange->downstream;
    struct wire *wire = &downstream->wire;
    if (wire_is_blocked(wire)) {
        uint64_t sent = wire->sent;
        if (!wire_flush(wire)) {
            exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
            return;
        }
        if (wire->sent != sent) {
            attempt_touch(exchange);
        }
        if (!wire_is_blocked(wire) && downstream->timer_purpose == TIMER_READER) {
            downstream_unwatch(downstream);
        }
    }
    if (exchange->tunnel) {
        tunnel_run(exchange);
        return;
    }
    if (exchange->response_complete) {
        if (!wire_is_blocked(wire)) {
            exchange_complete(exchange);
        }
        return;
    }
    if (!wire_is_blocked(wire)) {
        attempt_pump_response(exchange);
    }
    if (exchange->ended) {
        return;
    }
    exchange_pump_request(exchange);
    if (!exchange->ended && !exchange->response_complete && exchange->request_body.done &&
        downstream->transport.hung_up) {
        check_hang_up(exchange);
    }
}
