/* Reading an endpoint's response: interim and final head, then the body towards the client. */
#include "base/ensure.h"
#include "proxy/attempt.h"
#include "proxy/downstream.h"
#include "proxy/intake.h"

#include <errno.h>

#define SPLICE_LEAST ((uint64_t)64 * 1024)

/* ---- the head -------------------------------------------------------------------------------- */

/* 1xx are passed on to clients that know them (RFC 9110 15.2). */
static bool pass_interim(struct exchange *exchange, const struct response_head *head)
{
    if (exchange->request.version == HTTP_1_0) {
        return true;
    }
    struct stage stage;
    stage_begin(&stage, &exchange->downstream->wire);
    h1_write_status_line(&stage.writer, head->status, head->reason);
    h1_write_fields(&stage.writer, &head->fields);
    h1_write_end(&stage.writer);
    if (!stage_send(&stage)) {
        exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
        return false;
    }
    return true;
}

static bool wants_retry(struct exchange *exchange, const struct response_head *head)
{
    const struct retry_policy *policy = &exchange->route->retry;
    bool listed = retry_policy_has_status(policy, head->status) ||
                  (policy->server_error && head->status >= 500) ||
                  (policy->gateway_error && head->status >= 502 && head->status <= 504);
    return listed && attempt_may_retry(exchange) && exchange->body_whole;
}

/* Sends what is staged and settles the piece; ends the exchange when that was the last one. False:
 * stop reading. */
static bool deliver(struct exchange *exchange, struct stage *stage, const struct intake *intake)
{
    struct attempt *attempt = &exchange->attempt;
    stage_payload(stage, exchange->response_body, intake->payload);
    exchange->response_body_bytes += intake->payload.size;
    if (attempt->body.done) {
        stage_end_body(stage, exchange->response_body,
                       intake->has_trailers ? &exchange->worker->trailers : NULL);
    }
    bool sent = stage_send(stage);
    intake_settle(&attempt->wire, intake);
    if (!sent) {
        exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
        return false;
    }
    if (attempt->body.done) {
        attempt->state = ATTEMPT_DONE;
        exchange_complete(exchange);
        return false;
    }
    attempt_touch(exchange);
    if (wire_is_blocked(&exchange->downstream->wire)) {
        downstream_watch_slow_reader(exchange->downstream);
        return false;
    }
    return true;
}

static void fail_body(struct exchange *exchange, enum intake_result result)
{
    enum failure failure = result == INTAKE_REFUSED ? FAILURE_UPSTREAM_BAD_RESPONSE
                           : result == INTAKE_END   ? FAILURE_UPSTREAM_ENDED
                                                    : FAILURE_UPSTREAM_RESET;
    exchange_abort(exchange, failure);
}

/* The final head with what of the body came along. */
static void begin_body(struct exchange *exchange, struct response_head *head, struct text rest)
{
    struct attempt *attempt = &exchange->attempt;
    attempt->keep_alive = head->keep_alive;
    h1_body_init(&attempt->body, head->body, head->content_length);
    struct stage stage;
    if (!exchange_on_response(exchange, head, &stage)) {
        return;
    }
    attempt->try_deadline_ms = 0;
    attempt->state = ATTEMPT_BODY;
    struct intake intake = { 0 };
    if (head->status == 101) {
        if (!stage_send(&stage) ||
            (rest.size > 0 && !wire_hold(&attempt->wire, rest))) {
            exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
            return;
        }
        tunnel_start(exchange);
        return;
    }
    if (attempt->body.done) {
        attempt->keep_alive = attempt->keep_alive && rest.size == 0;
    } else if (rest.size > 0 || wire_held(&attempt->wire) > 0) {
        enum intake_result result = intake_take(&attempt->wire, &attempt->body, rest, &intake);
        if (result != INTAKE_OK && result != INTAKE_AGAIN) {
            stage_send(&stage);
            fail_body(exchange, result);
            return;
        }
    }
    if (deliver(exchange, &stage, &intake)) {
        attempt_pump_response(exchange);
    }
}

/* A complete head. False: stop reading. */
static bool on_head(struct exchange *exchange, struct response_head *head, struct text rest)
{
    struct attempt *attempt = &exchange->attempt;
    if (head->status == 101 && !(exchange->upgrade && head->upgrade &&
                                 exchange_is_websocket(&head->fields))) {
        attempt_failed(exchange, FAILURE_UPSTREAM_UNASKED_UPGRADE);
        return false;
    }
    if (head->status < 200 && head->status != 101) {
        if (!pass_interim(exchange, head)) {
            return false;
        }
        if (rest.size > 0 && wire_held(&attempt->wire) == 0 && !wire_hold(&attempt->wire, rest)) {
            attempt_failed(exchange, FAILURE_OVERLOADED);
            return false;
        }
        h1_head_reader_init(&attempt->reader);
        return true;
    }
    if (wants_retry(exchange, head)) {
        exchange->upstream_status = head->status;
        attempt_retry(exchange);
        return false;
    }
    begin_body(exchange, head, rest);
    return false;
}

static enum h1_result parse_head(struct exchange *exchange, struct text span, size_t *out_size)
{
    return h1_read_response(&exchange->attempt.reader, &h1_default_limits,
                            exchange->request.method_id, span.at, span.size,
                            &exchange->worker->response, out_size);
}

static void fail_head(struct exchange *exchange, enum io io)
{
    struct attempt *attempt = &exchange->attempt;
    if (io == IO_END) {
        attempt_failed(exchange, FAILURE_UPSTREAM_ENDED);
    } else if (attempt->connection->transport.failure == ENOBUFS) {
        attempt_failed(exchange, FAILURE_UPSTREAM_BAD_RESPONSE);
    } else {
        attempt_failed(exchange, FAILURE_UPSTREAM_RESET);
    }
}

/* What is held may be a whole head already (after an interim one), so it is parsed before
 * reading. */
static bool read_head_held(struct exchange *exchange)
{
    struct wire *wire = &exchange->attempt.wire;
    size_t size;
    enum h1_result result = parse_head(exchange, wire_input(wire), &size);
    if (result == H1_REFUSED) {
        exchange->h1_reason = (uint8_t)exchange->attempt.reader.reason;
        attempt_failed(exchange, FAILURE_UPSTREAM_BAD_RESPONSE);
        return false;
    }
    if (result == H1_DONE) {
        /* Views of the head point into the chunk: it is consumed when the head has been used. */
        struct response_head *head = &exchange->worker->response;
        char *chunk = wire->input;
        bool large = wire->input_is_large;
        wire->input_is_borrowed = true;
        wire_consume(wire, size);
        bool more = on_head(exchange, head, text_of(NULL, 0));
        if (!exchange->ended && wire->transport && wire->input == chunk) {
            wire->input_is_borrowed = false;
        } else {
            worker_give_chunk(exchange->worker, chunk, large);
        }
        return more;
    }
    enum io io = wire_fill(wire);
    if (io != IO_OK && io != IO_AGAIN) {
        fail_head(exchange, io);
    }
    return io == IO_OK;
}

static bool read_head(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    struct wire *wire = &attempt->wire;
    if (wire_held(wire) > 0) {
        return read_head_held(exchange);
    }
    if (!wire->transport->readable && !wire->transport->hung_up) {
        return false;
    }
    size_t got, size;
    enum io io = transport_read(wire->transport, exchange->worker->scratch, SCRATCH_SIZE, &got);
    if (io == IO_AGAIN) {
        return false;
    }
    if (io != IO_OK) {
        fail_head(exchange, io);
        return false;
    }
    attempt->got_bytes = true;
    struct text span = text_of(exchange->worker->scratch, got);
    switch (parse_head(exchange, span, &size)) {
    case H1_REFUSED:
        exchange->h1_reason = (uint8_t)attempt->reader.reason;
        attempt_failed(exchange, FAILURE_UPSTREAM_BAD_RESPONSE);
        return false;
    case H1_DONE:
        return on_head(exchange, &exchange->worker->response, text_from(span, size));
    case H1_MORE:
        break;
    }
    if (!wire_hold(wire, span)) {
        attempt_failed(exchange, FAILURE_OVERLOADED);
        return false;
    }
    return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

/* Whether the rest is long enough for splice(2): both sides plain sockets, nothing held. */
static bool may_splice(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    if (attempt->body.kind == BODY_CHUNKED || exchange->response_body == BODY_CHUNKED ||
        wire_held(&attempt->wire) > 0 || h1_body_run(&attempt->body) < SPLICE_LEAST) {
        return false;
    }
    struct transport *source = &attempt->connection->transport;
    struct transport *sink = &exchange->downstream->transport;
    return exchange->relay.open ||
           (source->type->descriptor(source) >= 0 && sink->type->descriptor(sink) >= 0);
}

static void splice_body(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    struct relay *relay = &exchange->relay.relay;
    struct downstream *downstream = exchange->downstream;
    uint64_t before = relay->moved;
    uint64_t limit = h1_body_run(&attempt->body);
    limit = limit == UINT64_MAX ? limit : relay->moved + limit;
    enum relay_result result = relay_run(relay, &attempt->connection->transport,
                                         &downstream->transport, limit);
    uint64_t moved = relay->moved - before;
    h1_body_advance(&attempt->body, moved);
    exchange->response_body_bytes += moved;
    downstream->wire.sent += moved;
    switch (result) {
    case RELAY_SINK_FAILED:
        exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
        return;
    case RELAY_SOURCE_FAILED:
        exchange_abort(exchange, FAILURE_UPSTREAM_RESET);
        return;
    case RELAY_END:
        if (!attempt->body.done && !h1_body_end(&attempt->body)) {
            exchange_abort(exchange, FAILURE_UPSTREAM_ENDED);
            return;
        }
        break;
    case RELAY_DONE:
        break;
    case RELAY_BLOCKED:
        attempt_touch(exchange);
        if (relay->held > 0) {
            downstream_watch_slow_reader(downstream);
        } else if (downstream->timer_purpose == TIMER_READER) {
            downstream_unwatch(downstream);
        }
        return;
    }
    attempt->state = ATTEMPT_DONE;
    exchange_complete(exchange);
}

/* One piece of the body. False: stop. */
static bool read_body(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    if (exchange->relay.open || may_splice(exchange)) {
        if (exchange->relay.open || relay_open(&exchange->relay.relay)) {
            exchange->relay.open = true;
            splice_body(exchange);
            return false;
        }
    }
    struct intake intake;
    enum intake_result result =
        intake_take(&attempt->wire, &attempt->body, text_of(NULL, 0), &intake);
    if (result == INTAKE_AGAIN) {
        return false;
    }
    if (result != INTAKE_OK) {
        fail_body(exchange, result);
        return false;
    }
    struct stage stage;
    stage_begin(&stage, &exchange->downstream->wire);
    return deliver(exchange, &stage, &intake);
}

void attempt_pump_response(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    bool more = true;
    for (unsigned round = 0; more && !exchange->ended && attempt->connection &&
                             !wire_is_blocked(&exchange->downstream->wire);
         round++) {
        if (round == WIRE_ROUNDS && wire_yield(&attempt->wire)) {
            break;
        }
        if (attempt->state == ATTEMPT_WAITING) {
            more = read_head(exchange);
        } else if (attempt->state == ATTEMPT_BODY) {
            more = read_body(exchange);
        } else {
            break;
        }
    }
}
