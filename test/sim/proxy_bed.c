/* The bed: configuration from messages, sockets, hearing and saying. */
#include "sim/proxy_bed.h"

#include "base/clock.h"
#include "proxy/compile_make_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENER_NAME "listener/bed"

/* ---- configuration ----------------------------------------------------------------------------
 */

static void write_options(const struct bed_setup *setup, MANAGER *manager)
{
    Weft__V1__ListenerOptions *options =
        compose_new(&arena, &weft__v1__listener_options__descriptor);
    options->body_stall_timeout_ms = setup->body_stall_timeout_ms;
    options->body_bytes = setup->body_bytes;
    options->request_line_bytes = setup->request_line_bytes;
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter *filter =
        compose_new(&arena, &MANAGER_PACKAGE(http_filter__descriptor));
    filter->name = compose_string(&arena, TEXT("weft.listener_options"));
    filter->config_type_case = 4;
    filter->typed_config = compose_any(&arena, &options->base);
    COMPOSE_ADD(&arena, manager, http_filters, filter);
}

static Google__Protobuf__Duration *duration_or_null(uint32_t ms)
{
    return ms > 0 ? compose_duration_ms(&arena, ms) : NULL;
}

static MANAGER *write_manager(const struct bed_setup *setup)
{
    MANAGER *manager = make_manager("routes");
    manager->request_headers_timeout = duration_or_null(setup->header_timeout_ms);
    manager->stream_idle_timeout = duration_or_null(setup->stream_idle_timeout_ms);
    manager->common_http_protocol_options =
        compose_new(&arena, &envoy__config__core__v3__http_protocol_options__descriptor);
    manager->common_http_protocol_options->idle_timeout = duration_or_null(setup->idle_timeout_ms);
    if (setup->max_requests > 0) {
        manager->common_http_protocol_options->max_requests_per_connection =
            compose_uint32(&arena, setup->max_requests);
    }
    Envoy__Config__Accesslog__V3__AccessLog *log =
        compose_new(&arena, &envoy__config__accesslog__v3__access_log__descriptor);
    log->name = compose_string(&arena, TEXT("log"));
    COMPOSE_ADD(&arena, manager, access_log, log);
    __typeof__(**manager->upgrade_configs) *upgrade =
        compose_new(&arena, &MANAGER_PACKAGE(http_connection_manager__upgrade_config__descriptor));
    upgrade->upgrade_type = compose_string(&arena, TEXT("websocket"));
    COMPOSE_ADD(&arena, manager, upgrade_configs, upgrade);
    write_options(setup, manager);
    return manager;
}

static void write_retry(const struct bed_setup *setup,
                        Envoy__Config__Route__V3__RouteAction *action)
{
    if (setup->retry_on == NULL && setup->per_try_timeout_ms == 0) {
        return;
    }
    Envoy__Config__Route__V3__RetryPolicy *policy =
        compose_new(&arena, &envoy__config__route__v3__retry_policy__descriptor);
    policy->retry_on =
        compose_string(&arena, text_from_string(setup->retry_on ? setup->retry_on : ""));
    policy->num_retries = compose_uint32(&arena, setup->retries);
    policy->per_try_timeout = duration_or_null(setup->per_try_timeout_ms);
    if (setup->retry_status > 0) {
        policy->retriable_status_codes = compose_append(&arena, policy->retriable_status_codes, 0,
                                                        sizeof(*policy->retriable_status_codes));
        policy->retriable_status_codes[policy->n_retriable_status_codes++] = setup->retry_status;
    }
    policy->retry_back_off =
        compose_new(&arena, &envoy__config__route__v3__retry_policy__retry_back_off__descriptor);
    policy->retry_back_off->base_interval = compose_duration_ms(&arena, 1);
    action->retry_policy = policy;
}

static void write_mirror(const struct bed_setup *setup,
                         Envoy__Config__Route__V3__RouteAction *action)
{
    if (setup->mirror_percent == 0) {
        return;
    }
    Envoy__Config__Route__V3__RouteAction__RequestMirrorPolicy *mirror = compose_new(
        &arena, &envoy__config__route__v3__route_action__request_mirror_policy__descriptor);
    mirror->cluster = compose_string(&arena, TEXT("m"));
    mirror->runtime_fraction =
        compose_new(&arena, &envoy__config__core__v3__runtime_fractional_percent__descriptor);
    mirror->runtime_fraction->default_value =
        compose_new(&arena, &envoy__type__v3__fractional_percent__descriptor);
    mirror->runtime_fraction->default_value->numerator = setup->mirror_percent;
    COMPOSE_ADD(&arena, action, request_mirror_policies, mirror);
}

static void write_routes(const struct bed_setup *setup)
{
    static const char *const lines[] = { "host all *", "c ^/", NULL };
    ROUTES *routes = script_message(&arena, lines);
    Envoy__Config__Route__V3__RouteAction *action = routes->virtual_hosts[0]->routes[0]->route;
    action->timeout = compose_duration_ms(&arena, setup->timeout_ms);
    write_retry(setup, action);
    write_mirror(setup, action);
    must_set(TYPE_ROUTES, "routes", &routes->base);
}

static void write_clusters(struct bed *bed, const struct bed_setup *setup)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *all = NULL;
    unsigned count = setup->backends ? setup->backends : 1;
    for (unsigned i = 0; i < count; i++) {
        Envoy__Config__Endpoint__V3__ClusterLoadAssignment *one =
            make_assignment("c", "127.0.0.1", bed->ports[i]);
        if (bed->removed >> i & 1) {
            continue;
        }
        if (all == NULL) {
            all = one;
        } else {
            COMPOSE_ADD(&arena, all->endpoints[0], lb_endpoints,
                        one->endpoints[0]->lb_endpoints[0]);
        }
    }
    if (all == NULL) {
        all = make_assignment("c", "127.0.0.1", 1);
        all->n_endpoints = 0;
    }
    CLUSTER *cluster = make_cluster("c");
    cluster->connect_timeout = duration_or_null(setup->connect_timeout_ms);
    cluster->lb_policy = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN;
    must_set(TYPE_CLUSTER, "c", &cluster->base);
    must_set(TYPE_ENDPOINTS, "c", &all->base);
    must_set(TYPE_CLUSTER, "m", &make_cluster("m")->base);
    must_set(TYPE_ENDPOINTS, "m",
             &make_assignment("m", "127.0.0.1", bed->ports[MIRROR_BACKEND])->base);
}

void bed_configure(struct bed *bed, const struct bed_setup *setup)
{
    if (setup->no_listener) {
        compiler_remove(compiler, TYPE_LISTENER, TEXT(LISTENER_NAME));
    } else {
        LISTENER *listener = make_listener(LISTENER_NAME, write_manager(setup));
        must_set(TYPE_LISTENER, LISTENER_NAME, &listener->base);
    }
    write_routes(setup);
    write_clusters(bed, setup);
    struct plan *old = bed->plan;
    bed->plan = compiler_build(compiler);
    worker_post_plan(bed->worker, bed->plan);
    if (old) {
        plan_unref(old);
    }
    bed_settle(bed);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static int listen_anywhere(uint16_t *out_port, int receive_bytes)
{
    struct sockaddr_in where = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ensure(fd >= 0);
    if (receive_bytes > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    ensure(bind(fd, (struct sockaddr *)&where, size) == 0 && listen(fd, 128) == 0);
    ensure(getsockname(fd, (struct sockaddr *)&where, &size) == 0);
    *out_port = ntohs(where.sin_port);
    return fd;
}

void bed_open(struct bed *bed, const struct bed_setup *setup)
{
    struct error error;
    *bed = (struct bed) { .setup = *setup };
    set_up(NULL);
    bed->metrics = metrics_new(1);
    bed->proxy_metrics = proxy_metrics_new(bed->metrics);
    bed->log = ring_new((size_t)1 << 20);
    struct worker_options options = { .count = 1,
                                      .max_connections = setup->max_connections,
                                      .metrics = bed->proxy_metrics,
                                      .access_log = bed->log };
    bed->worker = worker_new(&options, &error);
    ensure(bed->worker != NULL);
    for (unsigned i = 0; i <= BED_BACKENDS; i++) {
        bed->listening[i] = listen_anywhere(&bed->ports[i], setup->small_buffers);
        if (setup->dead >> i & 1) {
            close(bed->listening[i]);
            bed->listening[i] = -1;
        }
    }
    int fd = listen_anywhere(&bed->port, 0);
    worker_post_listen(bed->worker, TEXT(LISTENER_NAME), fd, setup->health);
    bed_configure(bed, setup);
}

void bed_must_be_idle(struct bed *bed)
{
    struct worker *worker = bed->worker;
    bed_settle(bed);
    assert_int_equal(worker->exchanges.live, 0);
    assert_int_equal(worker->mirrors.live, 0);
    assert_int_equal(worker->chunks.live, 0);
    assert_int_equal(worker->large_chunks.live, 0);
}

void bed_close(struct bed *bed)
{
    bed_must_be_idle(bed);
    assert_int_equal(bed->worker->downstreams.live, 0);
    assert_int_equal(bed->worker->connections, 0);
    worker_free(bed->worker);
    assert_int_equal(bed->plan->references, 1);
    plan_unref(bed->plan);
    proxy_metrics_free(bed->proxy_metrics);
    metrics_free(bed->metrics);
    ring_free(bed->log);
    for (unsigned i = 0; i <= BED_BACKENDS; i++) {
        if (bed->listening[i] >= 0) {
            close(bed->listening[i]);
        }
    }
    tear_down(NULL);
}

void bed_settle(struct bed *bed)
{
    for (unsigned i = 0; i < 6; i++) {
        loop_turn(bed->worker->loop, 0);
    }
}

void bed_wait(struct bed *bed, unsigned ms)
{
    uint64_t until = clock_now_ns() + (uint64_t)ms * 1000000;
    while (clock_now_ns() < until) {
        loop_turn(bed->worker->loop, 1);
    }
}

const char *bed_log(struct bed *bed)
{
    static char lines[64 * 1024];
    size_t size = 0;
    struct text span;
    while ((span = ring_peek(bed->log)).size > 0) {
        size_t room = sizeof(lines) - 1 - size;
        size_t kept = span.size < room ? span.size : room;
        memcpy(lines + size, span.at, kept);
        size += kept;
        ring_consume(bed->log, span.size);
    }
    lines[size] = '\0';
    return lines;
}

/* ---- peers ------------------------------------------------------------------------------------
 */

static void peer_init(struct peer *peer, struct bed *bed, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *peer = (struct peer) { .bed = bed, .fd = fd };
}

void client_open_small(struct bed *bed, struct peer *out_client, int bytes)
{
    struct sockaddr_in where = { .sin_family = AF_INET,
                                 .sin_port = htons(bed->port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ensure(fd >= 0);
    if (bytes > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
    ensure(connect(fd, (struct sockaddr *)&where, sizeof(where)) == 0);
    peer_init(out_client, bed, fd);
    bed_settle(bed);
}

void client_open(struct bed *bed, struct peer *out_client)
{
    client_open_small(bed, out_client, 0);
}

static int try_accept(struct bed *bed, unsigned backend)
{
    return accept4(bed->listening[backend], NULL, NULL, SOCK_CLOEXEC);
}

void backend_accept(struct bed *bed, unsigned backend, struct peer *out_backend)
{
    uint64_t until = clock_now_ns() + (uint64_t)BED_WAIT_MS * 1000000;
    int fd;
    while ((fd = try_accept(bed, backend)) < 0) {
        if (clock_now_ns() > until) {
            fail_msg("backend %u was not connected to", backend);
        }
        loop_turn(bed->worker->loop, 1);
    }
    peer_init(out_backend, bed, fd);
    bed_settle(bed);
}

bool backend_is_asked(struct bed *bed, unsigned backend)
{
    bed_settle(bed);
    struct pollfd ready = { .fd = bed->listening[backend], .events = POLLIN };
    return poll(&ready, 1, 0) == 1;
}

size_t peer_say_some(struct peer *peer, struct text bytes)
{
    ssize_t sent = send(peer->fd, bytes.at, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? (size_t)sent : 0;
}

void peer_say_bytes(struct peer *peer, struct text bytes)
{
    uint64_t until = clock_now_ns() + (uint64_t)BED_WAIT_MS * 1000000;
    while (bytes.size > 0) {
        bytes = text_from(bytes, peer_say_some(peer, bytes));
        if (clock_now_ns() > until) {
            fail_msg("%zu bytes are not taken", bytes.size);
        }
        loop_turn(peer->bed->worker->loop, 0);
    }
    bed_settle(peer->bed);
}

void peer_say(struct peer *peer, const char *words)
{
    peer_say_bytes(peer, text_from_string(words));
}

/* Takes what has come in. */
static void receive_some(struct peer *peer)
{
    if (peer->room - peer->size < 65536) {
        peer->room = peer->room * 2 + 131072;
        peer->bytes = realloc(peer->bytes, peer->room);
        ensure(peer->bytes != NULL);
    }
    ssize_t got;
    while (!peer->ended && !peer->reset && peer->size < peer->room - 1 &&
           (got = recv(peer->fd, peer->bytes + peer->size, peer->room - 1 - peer->size,
                       MSG_DONTWAIT)) != -1) {
        peer->ended = got == 0;
        peer->size += (size_t)got;
    }
    if (!peer->ended && !peer->reset && peer->size < peer->room - 1) {
        peer->reset = errno == ECONNRESET || errno == EPIPE;
    }
    peer->bytes[peer->size] = '\0';
}

static void turn_and_receive(struct peer *peer)
{
    receive_some(peer);
    loop_turn(peer->bed->worker->loop, 0);
    receive_some(peer);
}

/* Waits until `size` bytes are there. */
static void await(struct peer *peer, size_t size)
{
    uint64_t until = clock_now_ns() + (uint64_t)BED_WAIT_MS * 1000000;
    turn_and_receive(peer);
    while (peer->size - peer->start < size) {
        if (peer->ended || peer->reset || clock_now_ns() > until) {
            fail_msg("%s after %zu of %zu bytes: %.300s",
                     peer->reset   ? "reset"
                     : peer->ended ? "end"
                                   : "silence",
                     peer->size - peer->start, size, peer->bytes + peer->start);
        }
        loop_turn(peer->bed->worker->loop, 1);
        receive_some(peer);
    }
}

struct text peer_hear_bytes(struct peer *peer, size_t size)
{
    await(peer, size);
    struct text heard = text_of(peer->bytes + peer->start, size);
    peer->start += size;
    return heard;
}

/* Moves what is unheard to the front. */
static void forget_heard(struct peer *peer)
{
    memmove(peer->bytes, peer->bytes + peer->start, peer->size - peer->start);
    peer->size -= peer->start;
    peer->start = 0;
}

const char *peer_hear(struct peer *peer, const char *until)
{
    static char heard[256 * 1024];
    size_t wanted = 1;
    for (;;) {
        await(peer, wanted);
        const char *from = peer->bytes + peer->start;
        const char *found = memmem(from, peer->size - peer->start, until, strlen(until));
        if (found) {
            size_t size = (size_t)(found - from) + strlen(until);
            ensure(size < sizeof(heard));
            memcpy(heard, from, size);
            heard[size] = '\0';
            peer->start += size;
            forget_heard(peer);
            return heard;
        }
        wanted = peer->size - peer->start + 1;
    }
}

void peer_hear_exactly(struct peer *peer, const char *words)
{
    struct text heard = peer_hear_bytes(peer, strlen(words));
    if (!text_equal(heard, text_from_string(words))) {
        fail_msg("heard \"%.*s\" instead of \"%s\"", TEXT_ARG(heard), words);
    }
}

void peer_hear_message(struct peer *peer, const char *head_begins, const char *body)
{
    const char *head = peer_hear(peer, "\r\n\r\n");
    if (strncmp(head, head_begins, strlen(head_begins)) != 0) {
        fail_msg("heard \"%s\" instead of \"%s\"", head, head_begins);
    }
    peer_hear_exactly(peer, body);
}

void bed_pair(struct bed *bed, struct peer *out_client, struct peer *out_backend)
{
    client_open(bed, out_client);
    peer_say(out_client, GET);
    backend_accept(bed, 0, out_backend);
    peer_hear(out_backend, "\r\n\r\n");
    peer_say(out_backend, OK);
    peer_hear_message(out_client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_must_be_idle(bed);
    bed_log(bed);
}

void bed_end(struct bed *bed, struct peer *client, struct peer *backend)
{
    peer_close(client);
    peer_close(backend);
    bed_close(bed);
}

static void hear_gone(struct peer *peer)
{
    uint64_t until = clock_now_ns() + (uint64_t)BED_WAIT_MS * 1000000;
    turn_and_receive(peer);
    while (!peer->ended && !peer->reset && clock_now_ns() < until) {
        loop_turn(peer->bed->worker->loop, 1);
        receive_some(peer);
    }
    if (peer->size != peer->start) {
        fail_msg("more words: %.300s", peer->bytes + peer->start);
    }
    if (!peer->ended && !peer->reset) {
        fail_msg("neither end nor reset");
    }
}

void peer_hear_end(struct peer *peer)
{
    hear_gone(peer);
    assert_true(peer->ended);
}

void peer_hear_reset(struct peer *peer)
{
    hear_gone(peer);
    assert_true(peer->reset);
}

void peer_hear_gone(struct peer *peer)
{
    hear_gone(peer);
}

void peer_hear_nothing(struct peer *peer)
{
    bed_settle(peer->bed);
    turn_and_receive(peer);
    if (peer->size != peer->start || peer->ended || peer->reset) {
        fail_msg("heard %s: %.300s",
                 peer->reset   ? "a reset"
                 : peer->ended ? "the end"
                               : "words",
                 peer->bytes + peer->start);
    }
}

void peer_end(struct peer *peer)
{
    shutdown(peer->fd, SHUT_WR);
    bed_settle(peer->bed);
}

void peer_close(struct peer *peer)
{
    close(peer->fd);
    free(peer->bytes);
    peer->fd = -1;
    peer->bytes = NULL;
    bed_settle(peer->bed);
}

void peer_reset(struct peer *peer)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    peer_close(peer);
}
