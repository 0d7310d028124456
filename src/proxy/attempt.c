/* One try after another: endpoint, connection, request out, deadlines, and whether a failure is
 * tried again. Reading the response is attempt_response.c. */
#include "proxy/attempt.h"

#include "base/ensure.h"
#include "proxy/downstream.h"
#include "proxy/intake.h"
#include "proxy/reply.h"

#define BACKOFF_BASE_MS 25
#define BACKOFF_MAX_MS  250

static struct exchange *from_transport(struct transport *transport)
{
    struct connection *connection = list_owner(transport, struct connection, transport);
    return attempt_exchange(connection->user);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void on_deadline(struct timer *timer);

/* The nearest deadline; each activity moves only the idle one, which is lazily followed. */
static void arm(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    struct loop *loop = exchange->worker->loop;
    uint64_t now = loop_now_ms(loop);
    uint32_t idle_ms = exchange->route && exchange->route->idle_timeout_ms
                           ? exchange->route->idle_timeout_ms
                           : exchange->listener->limits.stream_idle_timeout_ms;
    uint64_t due = idle_ms ? now + idle_ms : UINT64_MAX;
    if (attempt->state == ATTEMPT_CONNECTING && attempt->connect_deadline_ms < due) {
        due = attempt->connect_deadline_ms;
    }
    if (attempt->try_deadline_ms > 0 && attempt->try_deadline_ms < due) {
        due = attempt->try_deadline_ms;
    }
    struct connection *connection = attempt->connection;
    connection->timer.on_expire = on_deadline;
    if (due != UINT64_MAX) {
        timer_start(loop, &connection->timer, due > now ? due - now : 0);
    } else {
        timer_pause(&connection->timer);
    }
}

void attempt_touch(struct exchange *exchange)
{
    if (!exchange->ended && !exchange->tunnel && exchange->attempt.connection) {
        arm(exchange);
    }
}

static void on_backoff(struct timer *timer)
{
    attempt_start(attempt_exchange(list_owner(timer, struct attempt, timer)));
}

/* The connection's timer: it is its idle timer while pooled, so going from one purpose to the other
 * only moves its due time. */
static void on_deadline(struct timer *timer)
{
    struct connection *connection = list_owner(timer, struct connection, timer);
    struct exchange *exchange = attempt_exchange(connection->user);
    struct attempt *attempt = &exchange->attempt;
    uint64_t now = loop_now_ms(exchange->worker->loop);
    if (attempt->try_deadline_ms > 0 && now >= attempt->try_deadline_ms) {
        attempt_failed(exchange, FAILURE_PER_TRY_TIMEOUT);
    } else if (attempt->state == ATTEMPT_CONNECTING && now >= attempt->connect_deadline_ms) {
        attempt_failed(exchange, FAILURE_CONNECT_TIMEOUT);
    } else {
        exchange_fail(exchange, FAILURE_STREAM_IDLE);
    }
}

/* ---- letting go ------------------------------------------------------------------------------ */

void attempt_release(struct exchange *exchange, bool clean)
{
    struct attempt *attempt = &exchange->attempt;
    if (exchange->relay.open) {
        clean = clean && exchange->relay.relay.held == 0;
        relay_close(&exchange->relay.relay);
        exchange->relay.open = false;
    }
    if (attempt->state == ATTEMPT_BACKOFF) {
        timer_stop(&attempt->timer);
    }
    if (attempt->started_ns > 0) {
        exchange->upstream_ns += loop_now_ns(exchange->worker->loop) - attempt->started_ns;
        attempt->started_ns = 0;
    }
    if (attempt->connection) {
        clean = clean && wire_held(&attempt->wire) == 0 && !wire_is_blocked(&attempt->wire) &&
                !attempt->wire.failed;
        wire_fini(&attempt->wire);
        struct connection *connection = attempt->connection;
        attempt->connection = NULL;
        if (clean) {
            pool_give(connection);
        } else {
            pool_close(connection, false);
        }
    }
    if (attempt->endpoint) {
        endpoint_release(attempt->endpoint);
        attempt->endpoint = NULL;
    }
    attempt->state = ATTEMPT_NONE;
}

/* ---- trying again ---------------------------------------------------------------------------- */

static bool is_idempotent(const struct exchange *exchange)
{
    switch (exchange->request.method_id) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_OPTIONS:
    case METHOD_PUT:
    case METHOD_DELETE:
        return true;
    default:
        return false;
    }
}

/* The idle-close race: the pooled connection was closed by the endpoint while the request was on
 * its way. Tried once more, at no cost to the route's retries, where that is safe (RFC 9110
 * 9.2.2). */
static bool is_stale_race(const struct exchange *exchange, enum failure failure)
{
    const struct attempt *attempt = &exchange->attempt;
    bool broken = failure == FAILURE_UPSTREAM_RESET || failure == FAILURE_UPSTREAM_ENDED;
    bool never_left = attempt->wire.sent == 0;
    return broken && attempt->reused && !attempt->got_bytes && exchange->stale_retries == 0 &&
           (never_left || is_idempotent(exchange));
}

static bool policy_covers(const struct retry_policy *policy, enum failure failure)
{
    switch (failure) {
    case FAILURE_CONNECT_REFUSED:
    case FAILURE_CONNECT_TIMEOUT:
        return policy->connect_failure || policy->reset || policy->gateway_error;
    case FAILURE_UPSTREAM_RESET:
    case FAILURE_UPSTREAM_ENDED:
        return policy->reset;
    case FAILURE_PER_TRY_TIMEOUT:
        return policy->gateway_error || policy->server_error ||
               retry_policy_has_status(policy, 504);
    default:
        return false;
    }
}

static void back_off(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    const struct retry_policy *policy = &exchange->route->retry;
    uint64_t base = policy->backoff_base_ms ? policy->backoff_base_ms : BACKOFF_BASE_MS;
    uint64_t cap = policy->backoff_max_ms ? policy->backoff_max_ms
                   : policy->backoff_base_ms ? base * 10 : BACKOFF_MAX_MS;
    uint64_t delay = base;
    for (uint32_t i = 1; i < exchange->attempts && delay < cap; i++) {
        delay *= 2;
    }
    delay = delay < cap ? delay : cap;
    delay += random_below(&exchange->worker->random, (uint32_t)(delay / 4 + 1));
    attempt->state = ATTEMPT_BACKOFF;
    timer_init(&attempt->timer, on_backoff);
    timer_start(exchange->worker->loop, &attempt->timer, delay);
}

bool attempt_may_retry(struct exchange *exchange)
{
    const struct retry_policy *policy = &exchange->route->retry;
    uint32_t retried = exchange->attempts - 1 - exchange->stale_retries;
    return !exchange->response_started && policy->attempts > retried;
}

void attempt_retry(struct exchange *exchange)
{
    attempt_release(exchange, false);
    back_off(exchange);
}

void attempt_failed(struct exchange *exchange, enum failure failure)
{
    if (exchange->ended || exchange->response_complete) {
        return;
    }
    if (exchange->response_started) {
        exchange_abort(exchange, failure);
        return;
    }
    bool stale = is_stale_race(exchange, failure);
    bool covered = stale || (policy_covers(&exchange->route->retry, failure) &&
                             attempt_may_retry(exchange));
    if (covered && !exchange->body_whole) {
        exchange_fail(exchange, FAILURE_RETRY_BODY_GONE);
        return;
    }
    if (stale) {
        exchange->stale_retries++;
        attempt_release(exchange, false);
        attempt_start(exchange);
    } else if (covered) {
        attempt_retry(exchange);
    } else {
        exchange_fail(exchange, failure);
    }
}

/* ---- the request goes out -------------------------------------------------------------------- */

void attempt_write_head(struct exchange *exchange, struct h1_writer *writer)
{
    struct request_head *head = &exchange->request;
    h1_write_text(writer, head->method);
    h1_write_text(writer, TEXT(" "));
    h1_write_text(writer, exchange->path);
    if (exchange->query.at) {
        h1_write_text(writer, TEXT("?"));
        h1_write_text(writer, exchange->query);
    }
    h1_write_text(writer, TEXT(" HTTP/1.1\r\n"));
    h1_write_field(writer, TEXT("host"), exchange->authority);
    h1_write_fields(writer, &head->fields);
    h1_write_framing(writer, head->body, head->content_length);
    if (exchange->upgrade) {
        const struct field *upgrade = fields_find(&head->fields, FIELD_UPGRADE);
        h1_write_field(writer, TEXT("connection"), TEXT("upgrade"));
        h1_write_field(writer, TEXT("upgrade"), upgrade ? upgrade->value : TEXT(""));
    }
    h1_write_end(writer);
}

static void send_request(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    attempt->state = ATTEMPT_WAITING;
    attempt->connection->requests++;
    h1_head_reader_init(&attempt->reader);
    struct stage stage;
    struct intake intake;
    stage_begin(&stage, &attempt->wire);
    attempt_write_head(exchange, &stage.writer);
    if (stage.writer.overflow) {
        exchange_fail(exchange, FAILURE_FIELDS_FULL);
        return;
    }
    if (!exchange_stage_first_body(exchange, &stage, &intake)) {
        return;
    }
    bool sent = stage_send(&stage);
    intake_settle(&exchange->downstream->wire, &intake);
    if (!sent) {
        /* Perhaps the endpoint closed an idle connection: what it sent before is of no use. */
        attempt_failed(exchange, FAILURE_UPSTREAM_RESET);
        return;
    }
    arm(exchange);
    exchange_pump_request(exchange);
}

static void on_connected(struct exchange *exchange)
{
    struct attempt *attempt = &exchange->attempt;
    struct transport *transport = &attempt->connection->transport;
    if (transport->failure != 0) {
        attempt_failed(exchange, FAILURE_CONNECT_REFUSED);
        return;
    }
    send_request(exchange);
}

static void on_ready(struct transport *transport)
{
    struct exchange *exchange = from_transport(transport);
    struct attempt *attempt = &exchange->attempt;
    if (attempt->state == ATTEMPT_CONNECTING) {
        if (!transport->connecting) {
            on_connected(exchange);
        }
        return;
    }
    if (wire_is_blocked(&attempt->wire)) {
        uint64_t sent = attempt->wire.sent;
        wire_flush(&attempt->wire);
        if (attempt->wire.sent != sent) {
            attempt_touch(exchange);
        }
    }
    if (exchange->tunnel) {
        tunnel_run(exchange);
        return;
    }
    attempt_pump_response(exchange);
    if (!exchange->ended && attempt->connection) {
        exchange_pump_request(exchange);
    }
}

static struct endpoint *choose_endpoint(struct exchange *exchange, struct cluster *cluster,
                                        const struct endpoint *avoid)
{
    const struct session_policy *policy = exchange->target->session;
    if (exchange->attempts == 0 && policy) {
        exchange->session = session_read(policy, &exchange->request);
        uint64_t affinity = exchange->session.affinity;
        struct endpoint *wished = affinity ? cluster_find_affinity(cluster, affinity) : NULL;
        if (wished) {
            return wished;
        }
    }
    return cluster_pick(cluster, avoid);
}

static void begin_try(struct exchange *exchange, struct cluster *cluster, struct endpoint *endpoint)
{
    struct attempt *attempt = &exchange->attempt;
    struct loop *loop = exchange->worker->loop;
    exchange->attempts++;
    endpoint_use(endpoint);
    *attempt = (struct attempt){ .endpoint = endpoint, .started_ns = loop_now_ns(loop) };
    uint64_t now = loop_now_ms(loop);
    if (exchange->route->per_try_timeout_ms > 0) {
        attempt->try_deadline_ms = now + exchange->route->per_try_timeout_ms;
    }
    /* Where one kept connection turned out dead the others may be as well. */
    attempt->connection = exchange->stale_retries == 0 ? pool_take(endpoint) : NULL;
    attempt->reused = attempt->connection != NULL;
    if (attempt->connection == NULL) {
        int connect_errno;
        attempt->state = ATTEMPT_CONNECTING;
        attempt->connection = pool_connect(endpoint, &connect_errno);
        if (attempt->connection == NULL) {
            attempt_failed(exchange, FAILURE_CONNECT_REFUSED);
            return;
        }
        attempt->connect_deadline_ms = now + cluster->config->connect_timeout_ms;
    }
    struct connection *connection = attempt->connection;
    connection->user = attempt;
    connection->transport.on_ready = on_ready;
    wire_init(&attempt->wire, exchange->worker, &connection->transport);
    if (connection->transport.connecting) {
        arm(exchange);
    } else {
        on_connected(exchange);
    }
}

void attempt_start(struct exchange *exchange)
{
    struct cluster *cluster = exchange_cluster(exchange);
    if (cluster == NULL) {
        exchange_fail(exchange, FAILURE_CLUSTER_NOT_FOUND);
        return;
    }
    const struct endpoint *avoid = exchange->last_endpoint;
    struct endpoint *endpoint = choose_endpoint(exchange, cluster, avoid);
    if (endpoint == NULL) {
        exchange_fail(exchange, FAILURE_NO_HEALTHY_ENDPOINT);
        return;
    }
    exchange->last_endpoint = endpoint;
    exchange->endpoint_address = endpoint->address;
    exchange->affinity = endpoint->affinity;
    begin_try(exchange, cluster, endpoint);
}
