/* One exchange after another: keep-alive, pipelining, heads, methods, versions, interim responses,
 * and the limits between requests. */
#include "sim/proxy_bed.h"

#include "proxy/downstream.h"

#include <stdio.h>
#include <string.h>

#define HEAD_END "\r\n\r\n"

static struct bed bed;
static struct peer client, backend;

static void open_plain(void)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
}

/* A request id and a trace, in digits and never the same. */
static void must_carry_new_ids(const char *head)
{
    static char last[56];
    const char *id = strstr(head, "x-request-id: "), *trace = strstr(head, "traceparent: ");
    assert_non_null(id);
    assert_non_null(trace);
    assert_int_equal(strspn(id + 14, "0123456789abcdef"), 32);
    assert_int_equal(strspn(trace + 13, "0123456789abcdef-"), 55);
    assert_memory_equal(trace + 13, "00-", 3);
    assert_memory_not_equal(trace + 13, last, 55);
    memcpy(last, trace + 13, 55);
}

static void requests_share_both_connections(void **state)
{
    open_plain();
    for (int i = 0; i < 5; i++) {
        peer_say(&client, GET);
        const char *head = peer_hear(&backend, HEAD_END);
        assert_memory_equal(head, "GET /a HTTP/1.1\r\nhost: h\r\n", 26);
        assert_non_null(strstr(head, "x-forwarded-for: 127.0.0.1\r\n"));
        must_carry_new_ids(head);
        peer_say(&backend, OK);
        assert_string_equal(peer_hear(&client, HEAD_END),
                            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        peer_hear_exactly(&client, "ok");
        bed_must_be_idle(&bed);
    }
    assert_false(backend_is_asked(&bed, 0));
    assert_non_null(strstr(bed_log(&bed), "\"status\":200"));
    bed_end(&bed, &client, &backend);
}

static void answers_pipelined_requests_in_order(void **state)
{
    open_plain();
    peer_say(&client, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                      "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                      "GET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHo");
    for (int i = 1; i <= 4; i++) {
        char begin[32], reply[64];
        snprintf(begin, sizeof(begin), "%s /%d HTTP/1.1\r\n", i == 2 ? "POST" : "GET", i);
        peer_hear_message(&backend, begin, i == 2 ? "abc" : "");
        peer_hear_nothing(&backend);
        snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i);
        peer_say(&backend, reply);
        peer_hear_message(&client, "HTTP/1.1 200 OK\r\n",
                          strchr("1234", '0' + i) ? reply + 38 : "");
        if (i == 3) {
            peer_say(&client, "st: h\r\n\r\n");
        }
    }
    bed_end(&bed, &client, &backend);
}

static void heads_may_come_in_any_pieces(void **state)
{
    static const char request[] = "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-Some: thing\r\n\r\n";
    static const char reply[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\nA: b\r\n\r\nx";
    open_plain();
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        peer_say_bytes(&client, text_of(request, cut));
        peer_hear_nothing(&backend);
        peer_say(&client, request + cut);
        assert_non_null(strstr(peer_hear(&backend, HEAD_END), "X-Some: thing\r\n"));
        size_t at = cut % (sizeof(reply) - 2) + 1;
        peer_say_bytes(&backend, text_of(reply, at));
        peer_say(&backend, reply + at);
        peer_hear_message(&client, "HTTP/1.1 404 Not Found\r\n", "x");
    }
    bed_must_be_idle(&bed);
    bed_end(&bed, &client, &backend);
}

static void some_responses_have_no_body(void **state)
{
    static const struct {
        const char *method, *reply, *head;
    } cases[] = {
        { "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" },
        { "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n" },
        { "GET", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n" },
        { "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"a\"\r\n\r\n",
          "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n" },
        { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
        { "OPTIONS", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n" },
    };
    open_plain();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[64];
        snprintf(request, sizeof(request), "%s / HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].method);
        peer_say(&client, request);
        peer_hear(&backend, HEAD_END);
        peer_say(&backend, cases[i].reply);
        peer_hear_message(&client, cases[i].head, "");
        peer_hear_nothing(&client);
    }
    assert_false(backend_is_asked(&bed, 0));
    bed_end(&bed, &client, &backend);
}

static void a_body_until_close_becomes_chunks(void **state)
{
    open_plain();
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\n\r\nhello");
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                      "5\r\nhello\r\n");
    peer_say(&backend, " world");
    peer_close(&backend);
    peer_hear_exactly(&client, "6\r\n world\r\n0\r\n\r\n");
    peer_say(&client, GET);
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_end(&bed, &client, &backend);
}

static void old_clients_get_what_they_understand(void **state)
{
    open_plain();
    peer_say(&client, "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK);
    const char *head = peer_hear(&client, HEAD_END);
    assert_memory_equal(head, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(head, "connection: keep-alive\r\n"));
    peer_hear_exactly(&client, "ok");
    peer_say(&client, "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    head = peer_hear(&client, HEAD_END);
    assert_null(strstr(head, "hunked"));
    assert_non_null(strstr(head, "connection: close\r\n"));
    peer_hear_exactly(&client, "ab");
    peer_hear_end(&client);
    bed_end(&bed, &client, &backend);
}

static void interim_responses_are_passed_on(void **state)
{
    static const char *const pieces[][4] = {
        { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK },
        { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK },
        { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 20",
          "0 OK\r\nContent-Length: 2\r\n\r", "\no", "k" },
        { "HTTP/1.1 103 Early Hints\r\nLink", ": </a>\r\n\r\n" OK },
    };
    open_plain();
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        peer_say(&client, GET);
        peer_hear(&backend, HEAD_END);
        for (int j = 0; j < 4 && pieces[i][j]; j++) {
            peer_say(&backend, pieces[i][j]);
        }
        peer_hear_exactly(&client, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
        bed_must_be_idle(&bed);
    }
    bed_end(&bed, &client, &backend);
}

static void continue_is_the_endpoints_to_say(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .body_stall_timeout_ms = 50 });
    bed_pair(&bed, &client, &backend);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                      "Content-Length: 4\r\n\r\n");
    peer_hear(&backend, HEAD_END);
    peer_hear_nothing(&client);
    bed_wait(&bed, 120); /* it waits for leave, which is not being slow */
    peer_hear_nothing(&client);
    peer_say(&backend, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_hear_exactly(&client, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_say(&client, "body");
    peer_hear_exactly(&backend, "body");
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_end(&bed, &client, &backend);
}

static void close_is_honoured_both_ways(void **state)
{
    open_plain();
    peer_say(&client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert_non_null(strstr(peer_hear(&client, HEAD_END), "connection: close\r\n"));
    peer_hear_exactly(&client, "ok");
    peer_hear_end(&client);
    peer_hear_end(&backend);
    bed_end(&bed, &client, &backend);
}

static void a_connection_serves_so_many_requests(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .max_requests = 2 });
    bed_pair(&bed, &client, &backend);
    peer_say(&client, GET GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, OK);
    assert_non_null(strstr(peer_hear(&client, HEAD_END), "connection: close\r\n"));
    peer_hear_exactly(&client, "ok");
    peer_hear_end(&client);
    peer_hear_nothing(&backend);
    bed_end(&bed, &client, &backend);
}

/* A path that is normalized needs a copy, however long it is. */
static void long_paths_are_normalized(void **state)
{
    static char request[41000], wanted[41000];
    size_t size = 0;
    bed_open(&bed, &(struct bed_setup){ .request_line_bytes = 50000 });
    bed_pair(&bed, &client, &backend);
    size += (size_t)snprintf(request, sizeof(request), "GET /a/../b");
    memset(request + size, 'x', 40000);
    size += 40000;
    snprintf(wanted, sizeof(wanted), "GET /b%.40000s HTTP/1.1\r\n", request + 11);
    snprintf(request + size, sizeof(request) - size, "?c HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_say(&client, request);
    assert_memory_equal(peer_hear(&backend, HEAD_END), wanted, 40006);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_must_be_idle(&bed);
    bed_end(&bed, &client, &backend);
}

static void bad_heads_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *request, *status, *reason;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "host" },
        { "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 505 ", "version" },
        { "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405 ", "method_refused" },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 400 ", "" },
        { "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 ", "" },
    };
    bed_open(&bed, &(struct bed_setup) { 0 });
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        client_open(&bed, &client);
        peer_say(&client, cases[i].request);
        const char *head = peer_hear(&client, HEAD_END);
        assert_memory_equal(head, cases[i].status, 13);
        assert_non_null(strstr(bed_log(&bed), cases[i].reason));
        peer_hear(&client, "\n");
        if (strstr(cases[i].status, "405") == NULL) {
            peer_hear_end(&client);
        }
        peer_close(&client);
    }
    bed_close(&bed);
}

static void slow_heads_and_silence_end(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .header_timeout_ms = 60, .idle_timeout_ms = 60 });
    client_open(&bed, &client);
    peer_say(&client, "GET / HT");
    peer_hear_nothing(&client);
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 408 ", 13);
    peer_hear(&client, "\n");
    peer_close(&client);
    client_open(&bed, &client);
    peer_hear_end(&client);
    peer_close(&client);
    bed_close(&bed);
}

static void sheds_idle_connections_when_short(void **state)
{
    struct peer peers[12];
    bed_open(&bed, &(struct bed_setup) { .max_connections = 10 });
    for (int i = 0; i < 12; i++) {
        client_open(&bed, &peers[i]);
    }
    assert_true(bed.worker->connections <= 10);
    peer_hear_end(&peers[0]);
    peer_hear_nothing(&peers[11]);
    for (int i = 0; i < 12; i++) {
        peer_close(&peers[i]);
    }
    bed_close(&bed);
}

static void refuses_connections_above_the_cap(void **state)
{
    struct peer peers[6], backends[5];
    bed_open(&bed, &(struct bed_setup) { .max_connections = 5 });
    for (int i = 0; i < 5; i++) {
        client_open(&bed, &peers[i]);
        peer_say(&peers[i], GET);
        backend_accept(&bed, 0, &backends[i]);
    }
    client_open(&bed, &peers[5]);
    peer_hear_gone(&peers[5]); /* nobody is idle, so nobody makes room */
    for (int i = 0; i < 5; i++) {
        peer_hear(&backends[i], HEAD_END);
        peer_say(&backends[i], OK);
        peer_hear_message(&peers[i], "HTTP/1.1 200 OK\r\n", "ok");
        peer_close(&backends[i]);
    }
    for (int i = 0; i < 6; i++) {
        peer_close(&peers[i]);
    }
    bed_close(&bed);
}

struct reading {
    const char *name;
    int64_t value;
};

static void on_family(void *owner, const struct metric_definition *definition, unsigned labels)
{
}

static void on_sample(void *owner, const struct metric_definition *definition, unsigned labels,
                      const struct metric_sample *sample)
{
    struct reading *reading = owner;
    if (strcmp(definition->name, reading->name) == 0) {
        reading->value = sample->value;
    }
}

static int64_t gauge(const char *name)
{
    struct reading reading = { name, -1 };
    struct metric_visitor visitor = { .owner = &reading,
                                      .on_family = on_family,
                                      .on_sample = on_sample };
    bed_settle(&bed);
    metrics_read(bed.metrics, &visitor);
    return reading.value;
}

static void open_ones_are_told(void **state)
{
    struct peer second;
    open_plain();
    client_open(&bed, &second);
    assert_int_equal(gauge("weft_server_open_connections"), 2);
    assert_int_equal(gauge("http_server_active_requests"), 0);
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    assert_int_equal(gauge("http_server_active_requests"), 1);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_close(&second);
    assert_int_equal(gauge("weft_server_open_connections"), 1);
    assert_int_equal(gauge("http_server_active_requests"), 0);
    bed_end(&bed, &client, &backend);
}

/* More than a turn's worth of requests and of interim responses in one go. */
static void many_at_once_lose_nothing(void **state)
{
    static const char ask[] = "HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    static const char hint[] = "HTTP/1.1 103 Early Hints\r\n\r\n";
    static char all[1000 * sizeof(ask)];
    size_t size = 0;
    bed_open(&bed, &(struct bed_setup){ .health = 1 });
    client_open(&bed, &client);
    for (int i = 0; i < 1000; i++) {
        memcpy(all + size, ask, sizeof(ask) - 1);
        size += sizeof(ask) - 1;
    }
    peer_say_bytes(&client, text_of(all, size));
    for (int i = 0; i < 1000; i++) {
        assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 200 ", 13);
    }
    peer_hear_nothing(&client);
    peer_close(&client);
    bed_close(&bed);
    open_plain();
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    size = 0;
    for (int i = 0; i < 300; i++) {
        memcpy(all + size, hint, sizeof(hint) - 1);
        size += sizeof(hint) - 1;
    }
    memcpy(all + size, OK, sizeof(OK) - 1);
    peer_say_bytes(&backend, text_of(all, size + sizeof(OK) - 1));
    for (int i = 0; i < 300; i++) {
        peer_hear_exactly(&client, hint);
    }
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    bed_must_be_idle(&bed);
    bed_end(&bed, &client, &backend);
}

static void health_is_answered_here(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .health = 1 });
    client_open(&bed, &client);
    peer_say(&client, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_hear(&client, HEAD_END);
    peer_hear_exactly(&client, "ok\n");
    peer_say(&client, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 503 ", 13);
    peer_hear_exactly(&client, "not ready\n");
    worker_post_ready(bed.worker, true);
    bed_settle(&bed);
    peer_say(&client, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 200 ", 13);
    peer_hear_exactly(&client, "ok\n");
    peer_close(&client);
    assert_string_equal(bed_log(&bed), "");
    bed_close(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_share_both_connections),
    cmocka_unit_test(answers_pipelined_requests_in_order),
    cmocka_unit_test(heads_may_come_in_any_pieces),
    cmocka_unit_test(some_responses_have_no_body),
    cmocka_unit_test(a_body_until_close_becomes_chunks),
    cmocka_unit_test(old_clients_get_what_they_understand),
    cmocka_unit_test(interim_responses_are_passed_on),
    cmocka_unit_test(continue_is_the_endpoints_to_say),
    cmocka_unit_test(close_is_honoured_both_ways),
    cmocka_unit_test(a_connection_serves_so_many_requests),
    cmocka_unit_test(long_paths_are_normalized),
    cmocka_unit_test(bad_heads_are_refused_with_a_reason),
    cmocka_unit_test(slow_heads_and_silence_end),
    cmocka_unit_test(sheds_idle_connections_when_short),
    cmocka_unit_test(refuses_connections_above_the_cap),
    cmocka_unit_test(open_ones_are_told),
    cmocka_unit_test(many_at_once_lose_nothing),
    cmocka_unit_test(health_is_answered_here),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
