/* Client connections: accept, request loop, time limits, closing. */
#include "proxy/downstream.h"

#include "base/ensure.h"
#include "proxy/exchange.h"
#include "proxy/shed.h"

#include <errno.h>
#include <unistd.h>

#define LINGER_MS       1000
#define LINGER_BYTES    ((uint64_t)256 * 1024)
#define MINIMUM_RATE    500 /* bytes per second, of slow bodies and readers */
#define DEFAULT_IDLE_MS 75000
#define REQUESTS_A_TURN 64
#define DEFAULT_HEAD_MS 10000

static void request_loop(struct downstream *downstream);

static struct downstream *from_transport(struct transport *transport)
{
    return list_owner(transport, struct downstream, transport);
}

static void close_now(struct downstream *downstream, bool reset)
{
    struct worker *worker = downstream->worker;
    ensure(!downstream->closed);
    downstream->closed = true;
    timer_stop(&downstream->timer);
    wire_fini(&downstream->wire);
    transport_close(&downstream->transport, reset);
    list_remove(&downstream->link);
    list_add_last(&worker->closed, &downstream->link);
    downstream->listener->connections--;
    __atomic_store_n(&worker->connections, worker->connections - 1, __ATOMIC_RELAXED);
}

void downstream_reap(struct worker *worker)
{
    while (!list_is_empty(&worker->closed)) {
        struct downstream *downstream = list_owner(worker->closed.next, struct downstream, link);
        list_remove(&downstream->link);
        slab_give(&worker->downstreams, downstream);
    }
}

/* ---- time limits ----------------------------------------------------------------------------- */

static void start_timer(struct downstream *downstream, enum downstream_timer purpose, uint64_t ms)
{
    downstream->timer_purpose = (uint8_t)purpose;
    timer_start(downstream->worker->loop, &downstream->timer, ms);
}

static const struct listener_limits *limits_of(const struct downstream *downstream)
{
    const struct plan_listener *config = downstream->listener->config;
    return config ? &config->limits : NULL;
}

static uint64_t progress_of(const struct downstream *downstream)
{
    return downstream->timer_purpose == TIMER_READER ? downstream->wire.sent
                                                     : downstream->exchange->request_body_bytes;
}

static uint32_t stall_ms(const struct downstream *downstream)
{
    const struct listener_limits *limits = limits_of(downstream);
    uint32_t ms = limits ? limits->body_stall_timeout_ms : 0;
    return ms ? ms : DEFAULT_HEAD_MS;
}

static void watch_rate(struct downstream *downstream, enum downstream_timer purpose)
{
    if (downstream->timer_purpose != purpose) {
        start_timer(downstream, purpose, stall_ms(downstream));
        downstream->progress = progress_of(downstream);
    }
}

void downstream_watch_slow_reader(struct downstream *downstream)
{
    watch_rate(downstream, TIMER_READER);
}

void downstream_watch_slow_body(struct downstream *downstream)
{
    watch_rate(downstream, TIMER_BODY);
}

void downstream_watch_tunnel(struct downstream *downstream, uint32_t idle_ms)
{
    start_timer(downstream, TIMER_TUNNEL, idle_ms);
}

void downstream_unwatch(struct downstream *downstream)
{
    if (downstream->timer_purpose != TIMER_NONE) {
        downstream->timer_purpose = TIMER_NONE;
        timer_pause(&downstream->timer);
    }
}

/* The minimum rate: what moved since the last look against what should have. */
static void check_rate(struct downstream *downstream)
{
    uint64_t now = progress_of(downstream);
    uint64_t least = (uint64_t)stall_ms(downstream) * MINIMUM_RATE / 1000;
    bool reader = downstream->timer_purpose == TIMER_READER;
    if (now - downstream->progress < least) {
        exchange_fail(downstream->exchange, reader ? FAILURE_SLOW_READER : FAILURE_BODY_TIMEOUT);
        return;
    }
    downstream->progress = now;
    start_timer(downstream, downstream->timer_purpose, stall_ms(downstream));
}

static void begin_exchange(struct downstream *downstream, struct exchange *exchange)
{
    struct worker *worker = downstream->worker;
    downstream->exchange = exchange;
    downstream->requests++;
    exchange->plan = worker->plan ? plan_hold_ref(worker->plan) : NULL;
    exchange->listener = downstream->listener->config;
    exchange->started_ns =
        downstream->head_since_ns ? downstream->head_since_ns : loop_now_ns(worker->loop);
    downstream->head_since_ns = 0;
    downstream_unwatch(downstream);
    list_remove(&downstream->link);
    list_add_last(&worker->busy, &downstream->link);
}

static void on_header_timeout(struct downstream *downstream)
{
    struct exchange *exchange = exchange_new(downstream);
    if (exchange == NULL) {
        close_now(downstream, true);
        return;
    }
    begin_exchange(downstream, exchange);
    exchange_refuse(exchange, FAILURE_HEADER_TIMEOUT, H1_OK);
}

/* Bytes that came in this very moment are served: closing over them would reset the connection. */
static void close_idle(struct downstream *downstream)
{
    downstream->timer_purpose = TIMER_NONE;
    downstream->transport.readable = true;
    request_loop(downstream);
    if (!downstream->closed && downstream->timer_purpose == TIMER_IDLE) {
        close_now(downstream, false);
    }
}

static void on_timer(struct timer *timer)
{
    struct downstream *downstream = list_owner(timer, struct downstream, timer);
    switch ((enum downstream_timer)downstream->timer_purpose) {
    case TIMER_NONE:
        break;
    case TIMER_IDLE:
        close_idle(downstream);
        break;
    case TIMER_LINGER:
        close_now(downstream, true);
        break;
    case TIMER_HEADER:
        on_header_timeout(downstream);
        break;
    case TIMER_BODY:
    case TIMER_READER:
        check_rate(downstream);
        break;
    case TIMER_TUNNEL:
        exchange_abort(downstream->exchange, FAILURE_TUNNEL_IDLE);
        break;
    }
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Reads away what the client still sends, so that it can read our last answer before the reset. */
static void linger(struct downstream *downstream)
{
    struct worker *worker = downstream->worker;
    while (downstream->transport.readable || downstream->transport.hung_up) {
        size_t size;
        enum io io =
            transport_read(&downstream->transport, worker->scratch, SCRATCH_SIZE, &size);
        if (io == IO_AGAIN) {
            return;
        }
        downstream->progress += io == IO_OK ? size : 0;
        if (io != IO_OK || downstream->progress > LINGER_BYTES) {
            close_now(downstream, false);
            return;
        }
    }
}

static void close_gracefully(struct downstream *downstream, bool request_read)
{
    bool clean = request_read && wire_held(&downstream->wire) == 0 &&
                 !downstream->transport.readable;
    if (clean || downstream->transport.hung_up) {
        close_now(downstream, false);
        return;
    }
    transport_shutdown(&downstream->transport);
    downstream->lingering = true;
    downstream->progress = 0;
    wire_fini(&downstream->wire);
    start_timer(downstream, TIMER_LINGER, LINGER_MS);
    linger(downstream);
}

void downstream_exchange_ended(struct downstream *downstream, bool keep)
{
    struct exchange *exchange = downstream->exchange;
    downstream->exchange = NULL;
    downstream_unwatch(downstream);
    if (!keep) {
        close_gracefully(downstream, exchange->request_body.done && exchange->h1_reason == H1_OK);
        return;
    }
    list_remove(&downstream->link);
    list_add_last(&downstream->worker->idle, &downstream->link);
    if (downstream->wire.input_is_borrowed) {
        /* The next request's bytes are in the chunk of this exchange: they change hands. */
        downstream->wire.input_is_borrowed = false;
        exchange->head_chunk = NULL;
    }
    if (!downstream->running) {
        request_loop(downstream);
    }
}

void downstream_exchange_aborted(struct downstream *downstream)
{
    downstream->exchange = NULL;
    close_now(downstream, true);
}

/* ---- reading requests ------------------------------------------------------------------------ */

static uint32_t idle_ms(const struct downstream *downstream)
{
    const struct listener_limits *limits = limits_of(downstream);
    uint32_t ms = limits && limits->idle_timeout_ms ? limits->idle_timeout_ms : DEFAULT_IDLE_MS;
    bool retired = downstream->listener->fd < 0;
    return retired && ms > DOWNSTREAM_RETIRED_MS ? DOWNSTREAM_RETIRED_MS : ms;
}

/* Nothing more to read for now: the connection waits, idle or in the middle of a head. */
static void wait_for_bytes(struct downstream *downstream)
{
    const struct listener_limits *limits = limits_of(downstream);
    if (wire_held(&downstream->wire) == 0) {
        if (downstream->timer_purpose != TIMER_IDLE) {
            start_timer(downstream, TIMER_IDLE, idle_ms(downstream));
        }
    } else if (downstream->timer_purpose != TIMER_HEADER) {
        downstream->head_since_ns = loop_now_ns(downstream->worker->loop);
        start_timer(downstream, TIMER_HEADER,
                    limits && limits->header_timeout_ms ? limits->header_timeout_ms
                                                        : DEFAULT_HEAD_MS);
    }
}

/* Reads more of the head. False: the loop must end (waiting, or the connection is gone). */
static bool fill(struct downstream *downstream)
{
    if (!downstream->transport.readable && !downstream->transport.hung_up) {
        wait_for_bytes(downstream);
        return false;
    }
    switch (wire_fill(&downstream->wire)) {
    case IO_OK:
        return true;
    case IO_AGAIN:
        wait_for_bytes(downstream);
        return false;
    default:
        close_now(downstream, downstream->transport.failure == ENOBUFS);
        return false;
    }
}

static struct h1_limits head_limits(const struct downstream *downstream)
{
    const struct listener_limits *limits = limits_of(downstream);
    struct h1_limits h1 = h1_default_limits;
    if (limits) {
        h1.request_line = limits->request_line_bytes ? limits->request_line_bytes : h1.request_line;
        h1.head = limits->header_bytes ? limits->header_bytes : h1.head;
        h1.fields = limits->header_fields ? limits->header_fields : h1.fields;
    }
    return h1;
}

/* Hands the chunk with the head to the exchange; what follows in it stays this wire's input. */
static void lend_head(struct downstream *downstream, struct exchange *exchange, size_t size)
{
    struct wire *wire = &downstream->wire;
    exchange->head_chunk = wire->input;
    exchange->head_is_large = wire->input_is_large;
    exchange->request_head_bytes = size;
    wire->input_is_borrowed = true;
    wire_consume(wire, size);
}

/* One round of the loop. True: look again. */
static bool read_request(struct downstream *downstream)
{
    struct wire *wire = &downstream->wire;
    if (wire_held(wire) == 0) {
        h1_head_reader_init(&downstream->reader);
        if (!fill(downstream)) {
            return false;
        }
    }
    struct worker *worker = downstream->worker;
    struct exchange *exchange = exchange_new(downstream);
    if (exchange == NULL) {
        close_now(downstream, true);
        return false;
    }
    struct h1_limits limits = head_limits(downstream);
    struct text span = wire_input(wire);
    size_t size = 0;
    enum h1_result result = h1_read_request(&downstream->reader, &limits, span.at, span.size,
                                            &exchange->request, &size);
    if (result == H1_MORE) {
        slab_give(&worker->exchanges, exchange);
        return fill(downstream);
    }
    begin_exchange(downstream, exchange);
    if (result == H1_REFUSED) {
        exchange_refuse(exchange, FAILURE_BAD_REQUEST, downstream->reader.reason);
        return true;
    }
    h1_head_reader_init(&downstream->reader);
    lend_head(downstream, exchange, size);
    exchange_start(exchange);
    return true;
}

static void request_loop(struct downstream *downstream)
{
    downstream->running = true;
    for (unsigned round = 0;
         !downstream->closed && !downstream->lingering && downstream->exchange == NULL; round++) {
        if (round == REQUESTS_A_TURN && wire_yield(&downstream->wire)) {
            break; /* a client that pipelines what is answered here does not keep others waiting */
        }
        if (!read_request(downstream)) {
            break;
        }
    }
    downstream->running = false;
}

static void on_ready(struct transport *transport)
{
    struct downstream *downstream = from_transport(transport);
    if (downstream->closed) {
        return;
    }
    if (downstream->lingering) {
        linger(downstream);
    } else if (downstream->exchange) {
        exchange_on_downstream(downstream->exchange);
    } else {
        request_loop(downstream);
    }
}

/* ---- accepting ------------------------------------------------------------------------------- */

void downstream_accept(struct listener *listener, int fd, const struct address *peer)
{
    struct worker_listener *owner = list_owner(listener, struct worker_listener, listener);
    struct worker *worker = owner->worker;
    const struct plan_listener *config = owner->config;
    uint32_t limit = config ? config->limits.max_connections : 0;
    if ((limit > 0 && owner->connections >= limit) || !shed_make_room(worker)) {
        close(fd);
        return;
    }
    struct downstream *downstream = slab_take(&worker->downstreams);
    struct error error;
    if (downstream == NULL) {
        close(fd);
        return;
    }
    memset(downstream, 0, sizeof(*downstream));
    if (!tcp_open(&downstream->transport, worker->loop, fd, &error)) {
        slab_give(&worker->downstreams, downstream);
        return;
    }
    downstream->transport.on_ready = on_ready;
    downstream->worker = worker;
    downstream->listener = owner;
    downstream->peer = *peer;
    wire_init(&downstream->wire, worker, &downstream->transport);
    timer_init(&downstream->timer, on_timer);
    h1_head_reader_init(&downstream->reader);
    list_add_last(&worker->idle, &downstream->link);
    owner->connections++;
    __atomic_store_n(&worker->connections, worker->connections + 1, __ATOMIC_RELAXED);
    wait_for_bytes(downstream);
}

void downstream_retire_idle(struct worker *worker, const struct worker_listener *listener)
{
    struct list *link;
    for (link = worker->idle.next; link != &worker->idle; link = link->next) {
        struct downstream *downstream = list_owner(link, struct downstream, link);
        bool mine = listener == NULL || downstream->listener == listener;
        if (mine && downstream->timer_purpose == TIMER_IDLE) {
            start_timer(downstream, TIMER_IDLE, idle_ms(downstream));
        }
    }
}

void downstream_shed(struct downstream *downstream)
{
    close_now(downstream, false);
}

void downstream_close_all(struct worker *worker)
{
    while (!list_is_empty(&worker->busy)) {
        struct downstream *downstream = list_owner(worker->busy.next, struct downstream, link);
        if (downstream->exchange) {
            exchange_abort(downstream->exchange, FAILURE_DRAINING);
        } else {
            close_now(downstream, true);
        }
    }
    while (!list_is_empty(&worker->idle)) {
        close_now(list_owner(worker->idle.next, struct downstream, link), false);
    }
}
