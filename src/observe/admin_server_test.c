/* The pages over real sockets: what each may do, Host, and big answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "http/client.h"
#include "net/listener.h"
#include "observe/admin_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUTES 800

struct fixture {
    struct loop *loop;
    struct metrics *metrics;
    struct admin *admin;
    struct admin_server *server;
    struct address tcp;     /* ADMIN_TCP */
    struct address scraped; /* ADMIN_METRICS */
    char folder[64];
    char path[96];
};

/* A listening loopback socket on a free port. */
static int listen_somewhere(struct address *out_address)
{
    struct error error;
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    int reason;
    assert_true(address_parse(TEXT("127.0.0.1:1"), out_address));
    out_address->port = 0;
    int fd = listen_tcp(out_address, false, false, &reason, &error);
    assert_true(fd >= 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
    assert_true(address_from_sockaddr(&bound, out_address));
    return fd;
}

static void fill_metrics(struct metrics *metrics)
{
    static const struct metric_definition duration = {
        METRIC_HISTOGRAM, "duration_seconds", "Duration.", { "route" }, 0
    };
    struct metric_family *family = metric_register(metrics, &duration);
    for (int i = 0; i < ROUTES; i++) {
        char name[64];
        int size = snprintf(name, sizeof(name), "HTTPRoute/default/route-%04d/0/0", i);
        struct text value = text_of(name, (size_t)size);
        histogram_observe(metric_take(family, 0, &value), 1);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct error error;
    fixture->loop = loop_new(&error);
    fixture->metrics = metrics_new(1);
    fill_metrics(fixture->metrics);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/weft-admin-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/admin.sock", fixture->folder);
    struct admin_options options = { .metrics = fixture->metrics,
                                     .version = "1",
                                     .socket_path = fixture->path };
    fixture->admin = admin_new(&options);
    struct admin_sockets sockets = { .unix_path = fixture->path };
    fixture->server = admin_server_open(fixture->loop, fixture->admin, &sockets, &error);
    assert_non_null(fixture->server);
    assert_true(admin_server_take(fixture->server, listen_somewhere(&fixture->tcp), ADMIN_TCP,
                                  true, &error));
    assert_true(admin_server_take(fixture->server, listen_somewhere(&fixture->scraped),
                                  ADMIN_METRICS, true, &error));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    admin_server_close(fixture->server);
    assert_int_equal(access(fixture->path, F_OK), -1); /* the path is gone */
    admin_free(fixture->admin);
    metrics_free(fixture->metrics);
    loop_free(fixture->loop);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    log_set_level(LOG_INFO);
    return 0;
}

struct call {
    struct http_client_request request;
    struct http_client_answer answer;
    struct error error;
    bool succeeded;
    _Atomic bool done;
};

static void *send_call(void *owner)
{
    struct call *call = owner;
    call->succeeded = http_client_send(&call->request, &call->answer, &call->error);
    atomic_store(&call->done, true);
    return NULL;
}

/* The client blocks, so it has a thread of its own while the loop turns here. */
static uint16_t ask(struct fixture *fixture, const struct http_client_request *request,
                    struct buffer *out_body)
{
    struct call call = { .request = *request };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_call, &call), 0);
    while (!atomic_load(&call.done)) {
        loop_turn(fixture->loop, 2);
    }
    pthread_join(thread, NULL);
    assert_true(call.succeeded);
    uint16_t status = call.answer.status;
    if (out_body) {
        buffer_clear(out_body);
        buffer_append(out_body, buffer_text(&call.answer.body));
        buffer_append_byte(out_body, '\0');
    }
    http_client_answer_fini(&call.answer);
    return status;
}

static void the_unix_socket_may_change_things(void **state)
{
    struct fixture *fixture = *state;
    struct stat stat_now;
    assert_int_equal(stat(fixture->path, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0600);
    struct http_client_request request = { .unix_path = fixture->path,
                                           .method = TEXT("POST"),
                                           .target = TEXT("/log?level=error") };
    struct buffer body = { 0 };
    assert_int_equal(ask(fixture, &request, &body), 200);
    assert_non_null(strstr(body.bytes, "\"level\":\"error\""));
    assert_int_equal(log_level_now, LOG_ERROR);
    request.target = TEXT("/log?level=no");
    assert_int_equal(ask(fixture, &request, NULL), 400);
    buffer_fini(&body);
}

static void tcp_is_read_only_and_for_loopback_hosts(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *method, *target, *host;
        uint16_t tcp, scraped;
    } cases[] = {
        { "GET", "/", "localhost", 200, 404 },
        { "GET", "/log", "127.0.0.1:15000", 200, 404 },
        { "GET", "/./log", "[::1]", 200, 404 },
        { "GET", "/healthz", "localhost:15020", 200, 200 },
        { "GET", "/healthz", "evil.example", 403, 403 },
        { "POST", "/log?level=debug", "localhost", 403, 404 },
        { "DELETE", "/log", "localhost", 405, 404 },
        { "GET", "/none", "localhost", 404, 404 },
        { "GET", "/buildinfo", "localhost", 200, 404 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_client_request request = { .address = &fixture->tcp,
                                               .method = text_from_string(cases[i].method),
                                               .target = text_from_string(cases[i].target),
                                               .host = text_from_string(cases[i].host) };
        assert_int_equal(ask(fixture, &request, NULL), cases[i].tcp);
        request.address = &fixture->scraped;
        assert_int_equal(ask(fixture, &request, NULL), cases[i].scraped);
    }
    assert_int_equal(log_level_now, LOG_INFO);
}

static void a_large_scrape_comes_whole(void **state)
{
    struct fixture *fixture = *state;
    struct http_client_request request = { .address = &fixture->scraped,
                                           .target = TEXT("/metrics") };
    struct buffer body = { 0 };
    assert_int_equal(ask(fixture, &request, &body), 200);
    assert_true(body.size > 800000);
    size_t lines = 0;
    for (struct text rest = buffer_text(&body), line; text_split(&rest, '\n', &line);) {
        lines += line.size > 1;
    }
    assert_int_equal(lines, 2 + 17 * ROUTES);
    buffer_fini(&body);
}

static void a_taken_path_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct admin_sockets sockets = { .unix_path = fixture->path };
    struct error error;
    assert_null(admin_server_open(fixture->loop, fixture->admin, &sockets, &error));
    assert_non_null(strstr(error.text, "admin socket: "));
    sockets = (struct admin_sockets){ .metrics = &fixture->tcp };
    assert_null(admin_server_open(fixture->loop, fixture->admin, &sockets, &error));
    assert_non_null(strstr(error.text, "metrics port: "));
    assert_int_equal(access(fixture->path, F_OK), 0); /* the running one keeps its path */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_unix_socket_may_change_things, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tcp_is_read_only_and_for_loopback_hosts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_large_scrape_comes_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_taken_path_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
