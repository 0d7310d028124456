/* Mirroring (Gateway API RequestMirror). */
#include "proxy/mirror.h"

#include "base/ensure.h"
#include "proxy/attempt.h"
#include "proxy/intake.h"
#include "proxy/series.h"

#define LIFETIME_MS 30000

static void mirror_end(struct mirror_attempt *mirror, bool clean, enum mirror_outcome outcome)
{
    struct worker *worker = mirror->worker;
    if (mirror->exchange) {
        mirror->exchange->mirrors[mirror->index] = NULL;
    }
    timer_stop(&mirror->timer);
    list_remove(&mirror->link);
    if (mirror->connection) {
        clean = clean && wire_held(&mirror->wire) == 0 && !wire_is_blocked(&mirror->wire);
        wire_fini(&mirror->wire);
        if (clean) {
            pool_give(mirror->connection);
        } else {
            pool_close(mirror->connection, false);
        }
    }
    endpoint_release(mirror->endpoint);
    series_count_mirror(worker->series, outcome);
    list_add_last(&worker->mirrors_ended, &mirror->link);
}

static void on_timer(struct timer *timer)
{
    mirror_end(list_owner(timer, struct mirror_attempt, timer), false, MIRROR_TIMED_OUT);
}

/* Reads the response away. Returns false when the mirror is over. */
static bool read_response(struct mirror_attempt *mirror)
{
    struct worker *worker = mirror->worker;
    struct wire *wire = &mirror->wire;
    bool more = wire_held(wire) == 0;
    while (!mirror->head_done) {
        enum io io = more ? wire_fill(wire) : IO_OK;
        if (io == IO_AGAIN) {
            return true;
        }
        if (io != IO_OK) {
            mirror_end(mirror, false, MIRROR_FAILED);
            return false;
        }
        struct text span = wire_input(wire);
        size_t size;
        enum h1_result result = h1_read_response(&mirror->reader, &h1_default_limits,
                                                 mirror->method, span.at, span.size,
                                                 &worker->response, &size);
        more = true;
        if (result == H1_REFUSED) {
            mirror_end(mirror, false, MIRROR_FAILED);
            return false;
        }
        if (result == H1_DONE) {
            struct response_head *head = &worker->response;
            wire_consume(wire, size);
            more = wire_held(wire) == 0; /* behind an interim head the next may be there already */
            h1_head_reader_init(&mirror->reader);
            mirror->head_done = head->status >= 200;
            mirror->keep_alive = head->keep_alive;
            h1_body_init(&mirror->body, head->body, head->content_length);
        }
    }
    while (!mirror->body.done) {
        struct intake intake;
        enum intake_result result = intake_take(wire, &mirror->body, text_of(NULL, 0), &intake);
        if (result == INTAKE_AGAIN) {
            return true;
        }
        if (result != INTAKE_OK) {
            mirror_end(mirror, false, MIRROR_FAILED);
            return false;
        }
        intake_settle(wire, &intake);
    }
    mirror_end(mirror, mirror->keep_alive && mirror->request_done, MIRROR_DONE);
    return false;
}

static void on_ready(struct transport *transport)
{
    struct connection *connection = list_owner(transport, struct connection, transport);
    struct mirror_attempt *mirror = connection->user;
    if (transport->connecting) {
        return;
    }
    if (transport->failure != 0 || !wire_flush(&mirror->wire)) {
        mirror_end(mirror, false, MIRROR_FAILED);
        return;
    }
    if (transport->readable || transport->hung_up) {
        read_response(mirror);
    }
}

static struct mirror_attempt *mirror_new(struct exchange *exchange, struct endpoint *endpoint)
{
    struct worker *worker = exchange->worker;
    struct mirror_attempt *mirror = slab_take(&worker->mirrors);
    if (mirror == NULL) {
        return NULL;
    }
    *mirror = (struct mirror_attempt){ .worker = worker,
                                       .endpoint = endpoint,
                                       .method = exchange->request.method_id };
    int connect_errno;
    mirror->connection = pool_take(endpoint);
    if (mirror->connection == NULL) {
        mirror->connection = pool_connect(endpoint, &connect_errno);
    }
    if (mirror->connection == NULL) {
        slab_give(&worker->mirrors, mirror);
        return NULL;
    }
    endpoint_use(endpoint);
    mirror->connection->user = mirror;
    mirror->connection->requests++;
    mirror->connection->transport.on_ready = on_ready;
    wire_init(&mirror->wire, worker, &mirror->connection->transport);
    timer_init(&mirror->timer, on_timer);
    timer_start(worker->loop, &mirror->timer, LIFETIME_MS);
    h1_head_reader_init(&mirror->reader);
    list_init(&mirror->link);
    list_add_last(&worker->mirrors_active, &mirror->link);
    return mirror;
}

static void mirror_send_head(struct mirror_attempt *mirror, struct exchange *exchange)
{
    struct stage stage;
    stage_begin(&stage, &mirror->wire);
    attempt_write_head(exchange, &stage.writer);
    mirror->request_done = exchange->request_body.done;
    if (!stage_send(&stage)) {
        mirror_end(mirror, false, MIRROR_FAILED);
    } else if (mirror->request_done) {
        exchange->mirrors[mirror->index] = NULL;
        mirror->exchange = NULL;
    }
}

static void start_one(struct exchange *exchange, const struct mirror *policy, unsigned index)
{
    const struct plan *plan = exchange->plan->plan;
    struct worker *worker = exchange->worker;
    uint32_t id = policy->cluster_id;
    struct cluster_config *config = id < plan->cluster_id_limit ? plan->clusters_by_id[id] : NULL;
    struct cluster *cluster = config ? upstreams_cluster(&worker->upstreams, config) : NULL;
    struct endpoint *endpoint = cluster ? cluster_pick(cluster, NULL) : NULL;
    struct mirror_attempt *mirror = endpoint ? mirror_new(exchange, endpoint) : NULL;
    if (mirror == NULL) {
        series_count_mirror(worker->series, MIRROR_NOT_STARTED);
        return;
    }
    mirror->exchange = exchange;
    mirror->index = index;
    exchange->mirrors[index] = mirror;
    mirror_send_head(mirror, exchange);
}

void mirror_start_all(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    unsigned index = 0;
    for (unsigned i = 0; i < route->mirror_count; i++) {
        const struct mirror *policy = &route->mirrors[i];
        uint32_t drawn = random_below(&exchange->worker->random, policy->denominator);
        if (drawn >= policy->numerator) {
            continue;
        }
        if (index == MIRRORS_MAX || exchange->upgrade) {
            series_count_mirror(exchange->worker->series, MIRROR_NOT_STARTED);
            continue;
        }
        start_one(exchange, policy, index++);
    }
}

static bool has_mirrors(const struct exchange *exchange)
{
    return exchange->route && exchange->route->mirror_count > 0;
}

void mirror_body_all(struct exchange *exchange, struct text payload, bool done)
{
    if (!has_mirrors(exchange)) {
        return;
    }
    for (unsigned i = 0; i < MIRRORS_MAX; i++) {
        struct mirror_attempt *mirror = exchange->mirrors[i];
        if (mirror == NULL) {
            continue;
        }
        char head[H1_CHUNK_HEAD_MAX];
        struct iovec parts[4];
        int count = 0;
        bool chunked = exchange->request.body == BODY_CHUNKED;
        if (payload.size > 0) {
            if (chunked) {
                parts[count++] = (struct iovec){ head, h1_format_chunk_head(head, payload.size) };
            }
            parts[count++] = (struct iovec){ (char *)payload.at, payload.size };
            if (chunked) {
                parts[count++] = (struct iovec){ (char *)"\r\n", 2 };
            }
        }
        if (done && chunked) {
            parts[count++] = (struct iovec){ (char *)"0\r\n\r\n", 5 };
        }
        mirror->request_done = done;
        if (!wire_send(&mirror->wire, parts, count)) {
            mirror_end(mirror, false, MIRROR_LAGGED);
        } else if (done) {
            exchange->mirrors[i] = NULL;
            mirror->exchange = NULL;
        }
    }
}

void mirror_leave_all(struct exchange *exchange)
{
    for (unsigned i = 0; has_mirrors(exchange) && i < MIRRORS_MAX; i++) {
        if (exchange->mirrors[i]) {
            mirror_end(exchange->mirrors[i], false, MIRROR_FAILED);
        }
    }
}

void mirror_close_all(struct worker *worker)
{
    while (!list_is_empty(&worker->mirrors_active)) {
        mirror_end(list_owner(worker->mirrors_active.next, struct mirror_attempt, link), false,
                   MIRROR_FAILED);
    }
    mirror_reap(worker);
}

void mirror_reap(struct worker *worker)
{
    while (!list_is_empty(&worker->mirrors_ended)) {
        struct mirror_attempt *mirror =
            list_owner(worker->mirrors_ended.next, struct mirror_attempt, link);
        list_remove(&mirror->link);
        slab_give(&worker->mirrors, mirror);
    }
}
