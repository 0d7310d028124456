/* The exchange's state machine: head to route to filters to attempt, response to the client,
 * end. */
#include "proxy/exchange.h"

#include "base/clock.h"
#include "base/ensure.h"
#include "proxy/downstream.h"
#include "proxy/mirror.h"
#include "proxy/reply.h"

/* ---- memory ---------------------------------------------------------------------------------- */

struct exchange *exchange_new(struct downstream *downstream)
{
    struct worker *worker = downstream->worker;
    struct exchange *exchange = slab_take(&worker->exchanges);
    if (exchange == NULL) {
        return NULL;
    }
    memset(exchange, 0, offsetof(struct exchange, request));
    exchange->downstream = downstream;
    exchange->worker = worker;
    exchange->memory = exchange->inline_memory;
    exchange->memory_end = exchange->inline_memory + sizeof(exchange->inline_memory);
    exchange->body_whole = true;
    list_init(&exchange->link);
    return exchange;
}

char *exchange_alloc(struct exchange *exchange, size_t size)
{
    if ((size_t)(exchange->memory_end - exchange->memory) < size) {
        bool large = size > CHUNK_SIZE;
        if (exchange->more_count == sizeof(exchange->more_memory) / sizeof(char *) ||
            size > LARGE_CHUNK_SIZE) {
            return NULL;
        }
        char *chunk = worker_take_chunk(exchange->worker, large);
        if (chunk == NULL) {
            return NULL;
        }
        exchange->more_is_large[exchange->more_count] = large;
        exchange->more_memory[exchange->more_count++] = chunk;
        exchange->memory = chunk;
        exchange->memory_end = chunk + (large ? LARGE_CHUNK_SIZE : CHUNK_SIZE);
    }
    char *at = exchange->memory;
    exchange->memory += size;
    return at;
}

static void exchange_free(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    while (exchange->more_count > 0) {
        unsigned last = --exchange->more_count;
        worker_give_chunk(worker, exchange->more_memory[last], exchange->more_is_large[last]);
    }
    worker_give_chunk(worker, exchange->retained, true);
    worker_give_chunk(worker, exchange->head_chunk, exchange->head_is_large);
    if (exchange->plan) {
        plan_hold_unref(exchange->plan);
    }
    slab_give(&worker->exchanges, exchange);
}

void exchange_reap(struct worker *worker)
{
    while (!list_is_empty(&worker->ended)) {
        struct exchange *exchange = list_owner(worker->ended.next, struct exchange, link);
        list_remove(&exchange->link);
        exchange_free(exchange);
    }
}

/* ---- what filters see (exchange_edit.h) ------------------------------------------------------ */

struct request_head *exchange_request(struct exchange *exchange)
{
    return &exchange->request;
}

struct response_head *exchange_response(struct exchange *exchange)
{
    return exchange->response;
}

struct text exchange_path(struct exchange *exchange)
{
    return exchange->path;
}

struct text exchange_query(struct exchange *exchange)
{
    return exchange->query;
}

struct text exchange_scheme(struct exchange *exchange)
{
    return TEXT("http");
}

struct text exchange_authority(struct exchange *exchange)
{
    return exchange->authority;
}

void exchange_set_path(struct exchange *exchange, struct text path)
{
    exchange->path = path;
}

void exchange_set_authority(struct exchange *exchange, struct text authority)
{
    exchange->authority = authority;
}

void exchange_reply(struct exchange *exchange, uint16_t status, const struct header_value *fields,
                    unsigned count, struct text body)
{
    reply_send(exchange, status, fields, count, body);
}

/* ---- the request ----------------------------------------------------------------------------- */

static void on_request_timeout(struct timer *timer)
{
    struct exchange *exchange = list_owner(timer, struct exchange, timer);
    if (exchange->tunnel) {
        return;
    }
    exchange_fail(exchange, FAILURE_REQUEST_TIMEOUT);
}

/* One decision, one string: the path is normalized here and nowhere else. */
static bool normalize(struct exchange *exchange)
{
    struct request_head *head = &exchange->request;
    struct text path = head->path;
    enum path_result result = path_normalize(head->path, &exchange->listener->path_rules,
                                             exchange->worker->encode, &path);
    if (result == PATH_CHANGED) {
        char *copy = exchange_alloc(exchange, path.size);
        if (copy == NULL) {
            exchange_fail(exchange, FAILURE_OVERLOADED);
            return false;
        }
        memcpy(copy, path.at, path.size);
        path.at = copy;
    } else if (result != PATH_SAME) {
        exchange->client_keep_alive = false;
        reply_failure(exchange, FAILURE_BAD_PATH, text_from_string(path_result_name(result)));
        return false;
    }
    exchange->path = path;
    exchange->original_path = path;
    exchange->query = head->query;
    return true;
}

static bool fold_host(struct exchange *exchange)
{
    struct request_head *head = &exchange->request;
    char *folded = exchange_alloc(exchange, head->host.size + 1);
    if (folded == NULL) {
        exchange_fail(exchange, FAILURE_OVERLOADED);
        return false;
    }
    exchange->host = host_fold(head->host, folded);
    exchange->original_host = exchange->host;
    exchange->authority = head->authority;
    return true;
}

/* The only protocol a listener's upgrade_configs can name. Others would carry requests past every
 * rule (h2c above all, RFC 9113 3.1). */
bool exchange_is_websocket(const struct fields *fields)
{
    const struct field *upgrade = fields_find(fields, FIELD_UPGRADE);
    return upgrade != NULL && text_equal_nocase(upgrade->value, TEXT("websocket"));
}

static bool check_request(struct exchange *exchange)
{
    struct request_head *head = &exchange->request;
    const struct listener_limits *limits = &exchange->listener->limits;
    if (head->method_id == METHOD_CONNECT || head->method_id == METHOD_TRACE) {
        /* What a client sends behind CONNECT is meant for a tunnel, not for us. */
        exchange->client_keep_alive = false;
        exchange_fail(exchange, FAILURE_METHOD_REFUSED);
        return false;
    }
    if (limits->body_bytes > 0 && head->body == BODY_LENGTH &&
        head->content_length > limits->body_bytes) {
        exchange_fail(exchange, FAILURE_BODY_TOO_LARGE);
        return false;
    }
    exchange->upgrade = head->upgrade && exchange->listener->upgrades &&
                        exchange->request_body.done && exchange_is_websocket(&head->fields);
    return true;
}

static bool run_request_filters(struct exchange *exchange, const struct filter *filters,
                                unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct filter_type *type = filters[i].type;
        if (type->on_request == NULL) {
            continue;
        }
        enum filter_result result = type->on_request(exchange, filters[i].config);
        if (result == FILTER_REPLIED || exchange->ended || exchange->response_started) {
            return false;
        }
        ensure(result == FILTER_NEXT);
    }
    return true;
}

static void answer_redirect(struct exchange *exchange)
{
    const struct redirect *redirect = exchange->route->redirect;
    size_t room = 1024 + exchange->path.size + exchange->query.size + exchange->host.size;
    char *memory = exchange_alloc(exchange, room);
    struct header_value location = { .name = TEXT("location") };
    uint32_t port =
        exchange->request.port ? exchange->request.port : exchange->listener->address.port;
    if (memory == NULL ||
        !redirect_format(redirect, TEXT("http"), exchange->host, port, exchange->path,
                         exchange->query, memory, room, &location.value)) {
        exchange_fail(exchange, FAILURE_OVERLOADED);
        return;
    }
    exchange->failure = FAILURE_ROUTE_DIRECT;
    reply_send(exchange, redirect->status, &location, 1, TEXT(""));
}

/* What the matched route does: forward to one of its targets, or answer. */
static void run_route(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    if (!run_request_filters(exchange, route->filters, route->filter_count)) {
        return;
    }
    if (route->action == ROUTE_REDIRECT) {
        answer_redirect(exchange);
        return;
    }
    if (route->action == ROUTE_DIRECT) {
        if (route->direct_status == 500) {
            exchange_fail(exchange, FAILURE_BACKEND_INVALID);
        } else {
            exchange->failure = FAILURE_ROUTE_DIRECT;
            reply_send(exchange, route->direct_status, NULL, 0, route->direct_body);
        }
        return;
    }
    const struct route_target *target =
        route_pick_target(route, random_next(&exchange->worker->random));
    exchange->target = target;
    if (target == NULL) {
        exchange_fail(exchange, FAILURE_BACKEND_INVALID);
        return;
    }
    if (target->cluster_id == UINT32_MAX) {
        reply_failure(exchange, FAILURE_BACKEND_INVALID, target->direct_reason);
        return;
    }
    if (!run_request_filters(exchange, target->filters, target->filter_count)) {
        return;
    }
    mirror_start_all(exchange);
    attempt_start(exchange);
}

static void start_request_timer(struct exchange *exchange)
{
    uint32_t timeout_ms = exchange->route->timeout_ms;
    if (timeout_ms == 0 || timeout_ms == UINT32_MAX) {
        timeout_ms = exchange->listener->limits.request_timeout_ms;
    }
    if (timeout_ms > 0) {
        timer_start(exchange->worker->loop, &exchange->timer, timeout_ms);
    }
}

static struct cluster *find_cluster(struct exchange *exchange, uint32_t id)
{
    const struct plan *plan = exchange->plan->plan;
    struct cluster_config *config = id < plan->cluster_id_limit ? plan->clusters_by_id[id] : NULL;
    return config ? upstreams_cluster(&exchange->worker->upstreams, config) : NULL;
}

static void health_reply(struct exchange *exchange)
{
    bool ready = exchange->worker->ready;
    bool is_readiness = text_equal(exchange->request.path, TEXT("/readyz"));
    if (!is_readiness && !text_equal(exchange->request.path, TEXT("/healthz"))) {
        exchange_fail(exchange, FAILURE_ROUTE_NOT_FOUND);
    } else if (is_readiness && !ready) {
        reply_send(exchange, 503, NULL, 0, TEXT("not ready\n"));
    } else {
        reply_send(exchange, 200, NULL, 0, TEXT("ok\n"));
    }
}

void exchange_start(struct exchange *exchange)
{
    struct request_head *head = &exchange->request;
    timer_init(&exchange->timer, on_request_timeout);
    exchange->client_keep_alive = head->keep_alive;
    h1_body_init(&exchange->request_body, head->body, head->content_length);
    exchange->original_host = head->host;
    exchange->original_path = head->path;
    if (exchange->downstream->listener->health) {
        health_reply(exchange);
        return;
    }
    if (exchange->listener == NULL) { /* removed, and this connection is not closed yet */
        exchange_fail(exchange, FAILURE_DRAINING);
        return;
    }
    if (!check_request(exchange) || !normalize(exchange) || !fold_host(exchange)) {
        return;
    }
    struct route_request request = { .host = exchange->host,
                                     .path = head->form == TARGET_ASTERISK ? TEXT("/")
                                                                           : exchange->path,
                                     .query = exchange->query,
                                     .head = head };
    if (exchange->listener->routes) {
        exchange->route = route_match(exchange->listener->routes, &request, NULL);
    }
    if (exchange->route == NULL) {
        exchange_fail(exchange, FAILURE_ROUTE_NOT_FOUND);
        return;
    }
    if (route_is_ambiguous(exchange->listener->routes, &request, exchange->route,
                           exchange->worker->encode)) {
        const char *word = path_result_name(PATH_REFUSED_PARAMETER);
        exchange->client_keep_alive = false;
        reply_failure(exchange, FAILURE_BAD_PATH, text_from_string(word));
        return;
    }
    if (!forwarding_apply(exchange)) {
        exchange_fail(exchange, FAILURE_FIELDS_FULL);
        return;
    }
    start_request_timer(exchange);
    run_route(exchange);
}

void exchange_refuse(struct exchange *exchange, enum failure failure, enum h1_reason reason)
{
    timer_init(&exchange->timer, on_request_timeout);
    exchange->h1_reason = (uint8_t)reason;
    exchange->client_keep_alive = false;
    memset(&exchange->request, 0, offsetof(struct request_head, fields));
    exchange->request.fields.count = 0;
    exchange->request.version = HTTP_1_1;
    h1_body_init(&exchange->request_body, BODY_NONE, 0);
    reply_failure(exchange, failure, reason ? text_from_string(h1_reason_name(reason)) : TEXT(""));
}

/* ---- the response ---------------------------------------------------------------------------- */

static void run_response_filters(struct exchange *exchange, struct response_head *head)
{
    exchange->response = head;
    if (exchange->target) {
        for (unsigned i = exchange->target->filter_count; i-- > 0;) {
            const struct filter *filter = &exchange->target->filters[i];
            if (filter->type->on_response) {
                filter->type->on_response(exchange, filter->config);
            }
        }
    }
    for (unsigned i = exchange->route->filter_count; i-- > 0;) {
        const struct filter *filter = &exchange->route->filters[i];
        if (filter->type->on_response) {
            filter->type->on_response(exchange, filter->config);
        }
    }
    if (exchange->target && exchange->target->session) {
        session_write(exchange->target->session, &exchange->session, exchange->affinity, exchange);
    }
    exchange->response = NULL;
}

/* How the body is framed for this client (RFC 9112 6). */
static enum body_kind choose_framing(struct exchange *exchange, const struct response_head *head)
{
    if (head->body == BODY_NONE || head->body == BODY_LENGTH) {
        return head->body;
    }
    if (exchange->request.version == HTTP_1_0) {
        exchange->client_keep_alive = false;
        return BODY_UNTIL_CLOSE;
    }
    return BODY_CHUNKED;
}

bool exchange_will_keep_alive(struct exchange *exchange)
{
    struct downstream *downstream = exchange->downstream;
    uint32_t limit =
        exchange->listener ? exchange->listener->limits.max_requests_per_connection : 0;
    if (!exchange->client_keep_alive || exchange->worker->draining ||
        downstream->listener->fd < 0 || (limit > 0 && downstream->requests >= limit)) {
        exchange->client_keep_alive = false;
    }
    return exchange->client_keep_alive;
}

bool exchange_on_response(struct exchange *exchange, struct response_head *head,
                          struct stage *stage)
{
    exchange->status = head->status;
    exchange->upstream_status = head->status;
    run_response_filters(exchange, head);
    exchange->response_body = choose_framing(exchange, head);
    if (exchange->request.expect_continue && !exchange->request_body.done) {
        exchange->client_keep_alive = false; /* whether the body still comes is not known */
    }
    stage_begin(stage, &exchange->downstream->wire);
    struct h1_writer *writer = &stage->writer;
    char *start = writer->at;
    h1_write_status_line(writer, head->status, head->reason);
    h1_write_fields(writer, &head->fields);
    bool keeps_length = head->body == BODY_NONE && head->has_length && head->status != 204;
    h1_write_framing(writer, keeps_length ? BODY_LENGTH : exchange->response_body,
                     head->content_length);
    if (head->status == 101) {
        const struct field *upgrade = fields_find(&head->fields, FIELD_UPGRADE);
        h1_write_field(writer, TEXT("connection"), TEXT("upgrade"));
        h1_write_field(writer, TEXT("upgrade"), upgrade ? upgrade->value : TEXT(""));
    } else if (!exchange_will_keep_alive(exchange)) {
        h1_write_field(writer, TEXT("connection"), TEXT("close"));
    } else if (exchange->request.version == HTTP_1_0) {
        h1_write_field(writer, TEXT("connection"), TEXT("keep-alive"));
    }
    h1_write_end(writer);
    exchange->response_head_bytes = (uint64_t)(writer->at - start);
    exchange->response_started = true;
    return true;
}

static void end(struct exchange *exchange)
{
    exchange->ended = true;
    timer_stop(&exchange->timer);
    mirror_leave_all(exchange);
    access_record_close(exchange);
    list_add_last(&exchange->worker->ended, &exchange->link);
}

void exchange_complete(struct exchange *exchange)
{
    if (exchange->ended) {
        return;
    }
    exchange->response_complete = true;
    bool clean = exchange->attempt.keep_alive && exchange->request_body.done &&
                 exchange->attempt.request_sent;
    attempt_release(exchange, clean);
    if (wire_is_blocked(&exchange->downstream->wire)) {
        downstream_watch_slow_reader(exchange->downstream);
        return; /* exchange_on_downstream goes on when it is flushed */
    }
    bool keep = exchange->client_keep_alive && exchange->request_body.done;
    end(exchange);
    downstream_exchange_ended(exchange->downstream, keep);
}

void exchange_fail(struct exchange *exchange, enum failure failure)
{
    if (exchange->ended) {
        return;
    }
    if (exchange->response_started || failure_row(failure)->status == 0) {
        exchange_abort(exchange, failure);
    } else {
        reply_failure(exchange, failure, TEXT(""));
    }
}

void exchange_abort(struct exchange *exchange, enum failure failure)
{
    if (exchange->ended) {
        return;
    }
    exchange->failure = (uint8_t)failure;
    if (!exchange->response_started) {
        exchange->status = 0;
    }
    attempt_release(exchange, false);
    end(exchange);
    downstream_exchange_aborted(exchange->downstream);
}

struct cluster *exchange_cluster(struct exchange *exchange)
{
    if (exchange->cluster == NULL) {
        exchange->cluster = find_cluster(exchange, exchange->target->cluster_id);
    }
    return exchange->cluster;
}
