/* What goes wrong: clients that leave, endpoints that reset, close or stay silent in every state,
 * kept connections gone stale, retries and what they may not do, and the time limits. */
#include "sim/proxy_bed.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_END "\r\n\r\n"
#define POST_4   "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"

static struct bed bed;
static struct peer client, backend;

static void open_with(const struct bed_setup *setup)
{
    bed_open(&bed, setup);
    client_open(&bed, &client);
}

static void accept_and_hear(void)
{
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, HEAD_END);
}

/* Our own answer of this status, and this word in the log. */
static void must_fail(const char *status, const char *reason)
{
    const char *head = peer_hear(&client, HEAD_END);
    if (strncmp(head + 9, status, 3) != 0) {
        fail_msg("%s instead of %s", head, status);
    }
    assert_non_null(strstr(head, "proxy-status: weft; error="));
    peer_hear(&client, "\n");
    bed_must_be_idle(&bed);
    const char *log = bed_log(&bed);
    if (strstr(log, reason) == NULL) {
        fail_msg("no %s in %s", reason, log);
    }
}

struct leaving {
    const char *name, *request, *reply;
    bool connected;
};

static const struct leaving leavings[] = {
    { "in the head", "GET / HTTP/1.1\r\nHo", NULL, false },
    { "waiting", GET, NULL, true },
    { "in its body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab", NULL, true },
    { "in chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na", NULL,
      true },
    { "in the endpoint's head", GET, "HTTP/1.1 200 OK\r\nConte", true },
    { "in the response", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", true },
    { "in a long response", GET, "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nab", true },
    { "in a chunked response", GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
      true },
};

static void clients_may_leave_at_any_time(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    for (int with_reset = 0; with_reset < 2; with_reset++) {
        for (size_t i = 0; i < sizeof(leavings) / sizeof(leavings[0]); i++) {
            client_open(&bed, &client);
            peer_say(&client, leavings[i].request);
            if (leavings[i].connected) {
                accept_and_hear();
            }
            if (leavings[i].reply) {
                peer_say(&backend, leavings[i].reply);
            }
            with_reset ? peer_reset(&client) : peer_close(&client);
            bed_must_be_idle(&bed);
            assert_int_equal(bed.worker->downstreams.live, 0);
            const char *log = bed_log(&bed);
            if (leavings[i].connected) {
                if (strstr(log, "client_closed") == NULL) {
                    fail_msg("%s: %s", leavings[i].name, log);
                }
                peer_end(&backend);
                peer_close(&backend);
            }
        }
    }
    bed_close(&bed);
}

static void clients_may_leave_while_connecting(void **state)
{
    open_with(&(struct bed_setup) { .retry_on = "reset", .retries = 3, .dead = 1 });
    peer_say(&client, GET);
    peer_close(&client);
    bed_wait(&bed, 50);
    bed_close(&bed);
}

/* Fills the queue of backend 0, so that nobody else gets an answer to a SYN. */
static void fill_queue(int *fds, int count)
{
    struct sockaddr_in where = { .sin_family = AF_INET,
                                 .sin_port = htons(bed.ports[0]),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(listen(bed.listening[0], 0), 0);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        connect(fds[i], (struct sockaddr *)&where, sizeof(where));
    }
}

static void connecting_has_its_time(void **state)
{
    int fds[3];
    struct peer leaving;
    open_with(&(struct bed_setup) { .connect_timeout_ms = 60, .mirror_percent = 100 });
    fill_queue(fds, 3);
    client_open(&bed, &leaving);
    peer_say(&leaving, GET);
    assert_int_equal(bed.worker->exchanges.live, 1);
    peer_close(&leaving);
    assert_int_equal(bed.worker->exchanges.live, 0);
    assert_non_null(strstr(bed_log(&bed), "client_closed"));
    peer_say(&client, POST_4);
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(bed_log(&bed), "connect_timeout"));
    peer_hear(&client, "\n");
    for (int i = 0; i < 2; i++) {
        backend_accept(&bed, MIRROR_BACKEND, &backend);
        peer_close(&backend);
    }
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    peer_close(&client);
    bed_close(&bed);
}

struct breaking {
    const char *reply;  /* said before it breaks */
    const char *reason; /* with an end */
    const char *heard;  /* by the client: NULL: our own 502 */
};

static const struct breaking breakings[] = {
    { "", "upstream_ended", NULL },
    { "HTTP/1.1 200 OK\r\nContent-Le", "upstream_ended", NULL },
    { "HTTP/1.1 100 Continue\r\n\r\n", "upstream_ended", "HTTP/1.1 100 Continue\r\n\r\n" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "upstream_ended", "HTTP/1.1 200 OK" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "upstream_ended", "HTTP/1.1 200 OK" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "upstream_ended",
      "HTTP/1.1 200 OK" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-a: ",
      "upstream_ended", "HTTP/1.1 200 OK" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nab", "upstream_ended", "HTTP/1.1 200 OK" },
};

static void break_once(const struct breaking *breaking, bool with_reset, const char *request)
{
    client_open(&bed, &client);
    peer_say(&client, request);
    accept_and_hear();
    peer_say(&backend, breaking->reply);
    if (breaking->heard) {
        peer_hear(&client, HEAD_END);
    }
    with_reset ? peer_reset(&backend) : peer_close(&backend);
    if (breaking->heard == NULL || strstr(breaking->heard, "100")) {
        must_fail("502", with_reset ? "upstream_reset" : breaking->reason);
    } else {
        bed_must_be_idle(&bed);
        const char *log = bed_log(&bed);
        if (strstr(log, with_reset ? "upstream_reset" : breaking->reason) == NULL) {
            fail_msg("%s: %s", breaking->reply, log);
        }
        assert_int_equal(bed.worker->connections, 0);
    }
    peer_close(&client);
}

static void endpoints_may_break_at_any_time(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    for (size_t i = 0; i < sizeof(breakings) / sizeof(breakings[0]); i++) {
        break_once(&breakings[i], false, GET);
        break_once(&breakings[i], true, GET);
        break_once(&breakings[i], false, POST_4);
    }
    bed_close(&bed);
}

/* The kept connection dies when the next request is on its way: tried once more on a new one. */
static void a_stale_connection_costs_nothing(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_reset(&backend);
    accept_and_hear();
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_close(&backend);
    accept_and_hear();
    peer_close(&backend); /* a new connection is not stale */
    must_fail("502", "upstream_ended");
    peer_close(&client);
    bed_close(&bed);
}

static void a_post_is_not_sent_twice(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    peer_say(&client, POST_4);
    peer_hear_message(&backend, "POST / ", "body");
    peer_close(&backend);
    must_fail("502", "upstream_ended");
    assert_false(backend_is_asked(&bed, 0));
    peer_close(&client);
    bed_close(&bed);
}

/* The backend closed while nobody looked: the write itself fails, so nothing of the POST has left,
 * or the pool has noticed before. */
static void a_post_that_never_left_is_sent(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(backend.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    size_t said = peer_say_some(&client, text_from_string(POST_4));
    assert_int_equal(said, strlen(POST_4));
    close(backend.fd); /* both events are told in one turn, the request first */
    free(backend.bytes);
    backend_accept(&bed, 0, &backend);
    peer_hear_message(&backend, "POST / ", "body");
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_end(&bed, &client, &backend);
}

static void refused_connections_are_retried_elsewhere(void **state)
{
    open_with(&(struct bed_setup) {
        .backends = 2, .dead = 2, .retry_on = "connect-failure", .retries = 1 });
    for (int i = 0; i < 4; i++) {
        peer_say(&client, POST_4);
        if (i == 0) {
            backend_accept(&bed, 0, &backend);
        }
        peer_hear_message(&backend, "POST / ", "body");
        peer_say(&backend, OK);
        peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    }
    assert_non_null(strstr(bed_log(&bed), "\"attempts\":2"));
    bed_end(&bed, &client, &backend);
}

static void without_endpoints_it_is_503(void **state)
{
    open_with(&(struct bed_setup) { .dead = 1 });
    peer_say(&client, GET);
    must_fail("503", "connect_failed");
    bed.removed = 1;
    bed_configure(&bed, &bed.setup);
    peer_say(&client, GET);
    must_fail("503", "no_healthy_endpoint");
    peer_close(&client);
    bed_close(&bed);
}

static void listed_statuses_are_retried(void **state)
{
    open_with(&(struct bed_setup) {
        .retry_on = "retriable-status-codes", .retry_status = 503, .retries = 2 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        backend_accept(&bed, 0, &backend);
        peer_hear_message(&backend, "POST / ", "4\r\nbody\r\n0\r\n\r\n");
        peer_say(&backend, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
        if (i < 2) {
            peer_hear_end(&backend);
            peer_close(&backend);
        }
    }
    peer_hear_message(&client, "HTTP/1.1 503 Service Unavailable\r\n", "busy");
    assert_non_null(strstr(bed_log(&bed), "\"attempts\":3"));
    bed_end(&bed, &client, &backend);
}

/* The body came in pieces, so it was retained apart from the head. */
static void a_retained_body_is_replayed(void **state)
{
    open_with(&(struct bed_setup) { .retry_on = "reset", .retries = 1 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n");
    accept_and_hear();
    peer_say(&client, "abc");
    peer_hear_exactly(&backend, "abc");
    peer_reset(&backend);
    backend_accept(&bed, 0, &backend);
    peer_hear_message(&backend, "POST / ", "abc");
    peer_say(&client, "defgh");
    peer_hear_exactly(&backend, "defgh");
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_end(&bed, &client, &backend);
}

static void a_body_too_long_to_keep_is_not_retried(void **state)
{
    char *bytes = malloc(70000);
    assert_non_null(bytes);
    memset(bytes, 'x', 70000);
    open_with(&(struct bed_setup) { .retry_on = "reset", .retries = 1 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70001\r\n\r\n");
    accept_and_hear();
    peer_say_bytes(&client, text_of(bytes, 70000));
    peer_hear_bytes(&backend, 70000);
    peer_reset(&backend);
    must_fail("502", "retry_body_gone");
    assert_false(backend_is_asked(&bed, 0));
    free(bytes);
    peer_close(&client);
    bed_close(&bed);
}

/* Trailers are not kept, and without them it would be another request. */
static void a_body_with_trailers_is_not_retried(void **state)
{
    open_with(&(struct bed_setup) { .retry_on = "reset", .retries = 1 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n");
    accept_and_hear();
    peer_hear(&backend, "x-sum: 1" HEAD_END);
    peer_reset(&backend);
    must_fail("502", "retry_body_gone");
    assert_false(backend_is_asked(&bed, 0));
    peer_close(&client);
    bed_close(&bed);
}

static void each_try_has_its_time(void **state)
{
    open_with(&(struct bed_setup) { .retry_on = "5xx", .retries = 1, .per_try_timeout_ms = 60 });
    peer_say(&client, GET);
    accept_and_hear();
    peer_hear_end(&backend);
    peer_close(&backend);
    accept_and_hear();
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_hear_end(&backend);
    peer_close(&backend);
    accept_and_hear();
    must_fail("504", "per_try_timeout");
    peer_close(&backend);
    peer_say(&client, GET);
    accept_and_hear();
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_end(&bed, &client, &backend);
}

static void a_request_has_its_time(void **state)
{
    open_with(&(struct bed_setup) { .timeout_ms = 60 });
    peer_say(&client, GET);
    accept_and_hear();
    must_fail("504", "request_timeout");
    peer_hear_end(&backend);
    peer_close(&backend);
    peer_say(&client, GET); /* it does not count against the next */
    accept_and_hear();
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ab");
    peer_hear_reset(&client);
    assert_non_null(strstr(bed_log(&bed), "request_timeout"));
    bed_end(&bed, &client, &backend);
}

static void silence_ends_an_exchange(void **state)
{
    open_with(&(struct bed_setup) { .stream_idle_timeout_ms = 80 });
    peer_say(&client, GET);
    accept_and_hear();
    must_fail("504", "stream_idle");
    peer_close(&backend);
    peer_say(&client, GET);
    accept_and_hear();
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
    peer_hear(&client, HEAD_END);
    for (int i = 0; i < 4; i++) { /* longer than the limit in all */
        bed_wait(&bed, 40);
        peer_say(&backend, "x");
        peer_hear_exactly(&client, "x");
    }
    peer_hear_reset(&client);
    assert_non_null(strstr(bed_log(&bed), "stream_idle"));
    bed_end(&bed, &client, &backend);
}

/* What an endpoint says unasked on an idle connection spoils it. */
static void unasked_bytes_close_an_idle_connection(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    peer_say(&backend, OK);
    peer_hear_gone(&backend);
    peer_close(&backend);
    peer_say(&client, GET);
    accept_and_hear();
    peer_say(&backend, OK OK); /* more than one answer to one request */
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_hear_gone(&backend);
    peer_hear_nothing(&client);
    peer_close(&backend);
    peer_say(&client, GET);
    accept_and_hear();
    peer_say(&backend, "HTTP/1.1 204 No Content\r\n\r\n" OK); /* also where no body is due */
    peer_hear_message(&client, "HTTP/1.1 204 No Content\r\n", "");
    peer_hear_gone(&backend);
    peer_hear_nothing(&client);
    bed_end(&bed, &client, &backend);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(clients_may_leave_at_any_time),
    cmocka_unit_test(clients_may_leave_while_connecting),
    cmocka_unit_test(connecting_has_its_time),
    cmocka_unit_test(endpoints_may_break_at_any_time),
    cmocka_unit_test(a_stale_connection_costs_nothing),
    cmocka_unit_test(a_post_is_not_sent_twice),
    cmocka_unit_test(a_post_that_never_left_is_sent),
    cmocka_unit_test(refused_connections_are_retried_elsewhere),
    cmocka_unit_test(without_endpoints_it_is_503),
    cmocka_unit_test(listed_statuses_are_retried),
    cmocka_unit_test(a_retained_body_is_replayed),
    cmocka_unit_test(a_body_too_long_to_keep_is_not_retried),
    cmocka_unit_test(a_body_with_trailers_is_not_retried),
    cmocka_unit_test(each_try_has_its_time),
    cmocka_unit_test(a_request_has_its_time),
    cmocka_unit_test(silence_ends_an_exchange),
    cmocka_unit_test(unasked_bytes_close_an_idle_connection),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
