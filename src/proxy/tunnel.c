/* After 101 Switching Protocols: raw bytes both ways until both sides have ended, or one fails. */
#include "base/ensure.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"

enum flow { FLOW_OPEN, FLOW_ENDED, FLOW_FAILED };

/* Moves what can be moved one way. */
static enum flow pump(struct wire *from, struct wire *to, uint64_t *bytes)
{
    for (unsigned round = 0;; round++) {
        if (round == WIRE_ROUNDS && wire_yield(from)) {
            return FLOW_OPEN;
        }
        if (wire_is_blocked(to)) {
            if (!to->transport->writable) {
                return FLOW_OPEN;
            }
            if (!wire_flush(to)) {
                return FLOW_FAILED;
            }
            if (wire_is_blocked(to)) {
                return FLOW_OPEN;
            }
        }
        struct text data = wire_held(from) > 0 ? wire_input(from) : text_of(NULL, 0);
        bool held = data.size > 0;
        if (!held) {
            if (!from->transport->readable && !from->transport->hung_up) {
                return FLOW_OPEN;
            }
            size_t size;
            char *scratch = from->worker->scratch;
            enum io io = transport_read(from->transport, scratch, SCRATCH_SIZE, &size);
            if (io != IO_OK) {
                return io == IO_AGAIN ? FLOW_OPEN : io == IO_END ? FLOW_ENDED : FLOW_FAILED;
            }
            data = text_of(scratch, size);
        }
        struct iovec part = { (char *)data.at, data.size };
        if (!wire_send(to, &part, 1)) {
            return FLOW_FAILED;
        }
        *bytes += data.size;
        if (held) {
            wire_consume(from, data.size);
        }
    }
}

static void finish(struct exchange *exchange)
{
    exchange->attempt.keep_alive = false;
    exchange->client_keep_alive = false;
    exchange_complete(exchange);
}

/* Half a tunnel is not kept for as long as a whole one. */
static uint32_t idle_ms(const struct exchange *exchange)
{
    const struct listener_limits *limits = &exchange->listener->limits;
    bool half = exchange->tunnel_endpoint_ended || exchange->tunnel_client_ended;
    return half && limits->stream_idle_timeout_ms < limits->tunnel_idle_timeout_ms
               ? limits->stream_idle_timeout_ms
               : limits->tunnel_idle_timeout_ms;
}

void tunnel_run(struct exchange *exchange)
{
    struct downstream *downstream = exchange->downstream;
    struct attempt *attempt = &exchange->attempt;
    if (exchange->response_complete) {
        if (!wire_flush(&downstream->wire)) {
            exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
        } else if (!wire_is_blocked(&downstream->wire)) {
            exchange_complete(exchange);
        }
        return;
    }
    enum flow down = exchange->tunnel_endpoint_ended
                         ? FLOW_OPEN
                         : pump(&attempt->wire, &downstream->wire, &exchange->response_body_bytes);
    enum flow up = exchange->tunnel_client_ended
                       ? FLOW_OPEN
                       : pump(&downstream->wire, &attempt->wire, &exchange->request_body_bytes);
    if (up == FLOW_FAILED && (down == FLOW_ENDED || exchange->tunnel_endpoint_ended)) {
        up = FLOW_ENDED; /* an endpoint that is gone altogether hears nothing more */
    }
    if (down == FLOW_FAILED || up == FLOW_FAILED) {
        exchange_abort(exchange, FAILURE_NONE);
        return;
    }
    if (down == FLOW_ENDED) {
        exchange->tunnel_endpoint_ended = true;
        transport_shutdown(downstream->wire.transport);
    }
    if (up == FLOW_ENDED) {
        exchange->tunnel_client_ended = true;
        transport_shutdown(attempt->wire.transport);
    }
    if (exchange->tunnel_endpoint_ended && exchange->tunnel_client_ended) {
        finish(exchange);
    } else {
        downstream_watch_tunnel(downstream, idle_ms(exchange));
    }
}

void tunnel_start(struct exchange *exchange)
{
    exchange->tunnel = true;
    timer_stop(&exchange->timer);
    timer_pause(&exchange->attempt.connection->timer);
    tunnel_run(exchange);
}
