/* The small server over loopback and unix sockets: its loop runs in a thread, the tests are
 * clients. */
#include "http/client.h"
#include "http/server.h"

#include "base/ensure.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE (8u << 20)

static struct {
    struct loop *loop;
    struct http_server *server;
    struct letter stop;
    pthread_t thread;
    struct address address;
    char path[64]; /* of the unix socket */
} it;

/* What the server saw, or a large body of a known pattern. */
static void on_request(void *owner, const struct http_request *request, struct http_reply *reply)
{
    (void)owner;
    if (text_equal(request->path, TEXT("/large"))) {
        char *at = buffer_reserve(&reply->body, LARGE);
        for (size_t i = 0; i < LARGE; i++) {
            at[i] = (char)('a' + i % 23);
        }
        reply->body.size = LARGE;
        reply->content_type = "application/octet-stream";
        return;
    }
    if (text_equal(request->path, TEXT("/gone"))) {
        reply->status = 405;
        reply->allow = "POST";
        return;
    }
    buffer_format(&reply->body, "%d %.*s %.*s?%.*s %.*s [%.*s]", request->tag,
                  TEXT_ARG(request->method), TEXT_ARG(request->path), TEXT_ARG(request->query),
                  TEXT_ARG(request->host), TEXT_ARG(request->body));
}

static void on_stop(struct letter *letter)
{
    (void)letter;
    loop_stop(it.loop);
}

static void *serve(void *unused)
{
    (void)unused;
    loop_run(it.loop);
    return NULL;
}

static void start(struct http_server_options options, bool loopback_only)
{
    struct error error;
    const struct http_server_socket tcp = { .tag = 1, .loopback_only = loopback_only };
    const struct http_server_socket local = { .tag = 2 };
    options.on_request = on_request;
    it.loop = loop_new(&error);
    assert_non_null(it.loop);
    it.server = http_server_new(it.loop, &options);
    assert_true(address_parse(TEXT("127.0.0.1:0"), &it.address));
    if (!http_server_listen(it.server, &it.address, &tcp, &error)) {
        fail_msg("%s", error.text);
    }
    it.address.port = http_server_port(it.server);
    snprintf(it.path, sizeof(it.path), "/tmp/weft-server-test-%d.sock", (int)getpid());
    if (!http_server_listen_unix(it.server, it.path, &local, &error)) {
        fail_msg("%s", error.text);
    }
    it.stop.on_receive = on_stop;
    assert_int_equal(pthread_create(&it.thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
    loop_post(it.loop, &it.stop);
    pthread_join(it.thread, NULL);
    http_server_free(it.server);
    loop_free(it.loop);
    struct stat status;
    assert_int_equal(lstat(it.path, &status), -1);
}

static int dial(void)
{
    struct sockaddr_storage where;
    socklen_t size = address_to_sockaddr(&it.address, &where);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, size), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

/* Reads until the peer closes or `room` is full; NUL-terminated. False: nothing for two seconds. */
static bool hear(int fd, char *into, size_t room)
{
    size_t size = 0;
    while (size + 1 < room) {
        struct pollfd one = { .fd = fd, .events = POLLIN };
        if (poll(&one, 1, 2000) <= 0) {
            into[size] = '\0';
            return false;
        }
        ssize_t got = recv(fd, into + size, room - 1 - size, 0);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    into[size] = '\0';
    return true;
}

/* Reads until `text` has come. */
static void hear_until(int fd, const char *text, char *into, size_t room)
{
    size_t size = 0;
    into[0] = '\0';
    while (strstr(into, text) == NULL) {
        struct pollfd one = { .fd = fd, .events = POLLIN };
        assert_true(size + 1 < room);
        assert_int_equal(poll(&one, 1, 2000), 1);
        ssize_t got = recv(fd, into + size, room - 1 - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
        into[size] = '\0';
    }
}

/* One raw exchange; the answer until the connection ends. */
static void exchange(const char *request, char *into, size_t room)
{
    int fd = dial();
    say(fd, request);
    assert_true(hear(fd, into, room));
    close(fd);
}

static void ask(struct http_client_request request, uint16_t status, const char *body)
{
    struct http_client_answer answer;
    struct error error;
    if (!http_client_send(&request, &answer, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.body.size, strlen(body));
    assert_memory_equal(answer.body.bytes ? answer.body.bytes : "", body, strlen(body));
    http_client_answer_fini(&answer);
}

static void answers_on_tcp_and_unix_sockets(void **state)
{
    (void)state;
    start((struct http_server_options) { 0 }, false);
    ask((struct http_client_request) { .address = &it.address, .target = TEXT("/a/%62?c=d") }, 200,
        "1 GET /a/b?c=d localhost []");
    ask((struct http_client_request) { .unix_path = it.path,
                                       .method = TEXT("POST"),
                                       .target = TEXT("/x"),
                                       .host = TEXT("Weft:1"),
                                       .body = TEXT("body") },
        200, "2 POST /x? Weft [body]");
    ask((struct http_client_request) { .address = &it.address, .method = TEXT("HEAD") }, 200, "");
    ask((struct http_client_request) { .address = &it.address, .method = TEXT("TRACE") }, 405,
        "method not allowed\n");
    ask((struct http_client_request) { .address = &it.address, .target = TEXT("/..%2f") }, 400,
        "encoded_slash\n");
    stop();
}

static void guards_the_unix_path(void **state)
{
    (void)state;
    struct error error;
    struct stat status;
    const struct http_server_socket local = { .tag = 2 };
    start((struct http_server_options) { 0 }, false);
    assert_int_equal(lstat(it.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    /* In use, a plain file, too long. */
    struct http_server *other =
        http_server_new(it.loop, &(struct http_server_options) { .on_request = on_request });
    assert_false(http_server_listen_unix(other, it.path, &local, &error));
    assert_non_null(strstr(error.text, "in use"));
    char path[80], longer[200];
    snprintf(path, sizeof(path), "%s.file", it.path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_false(http_server_listen_unix(other, path, &local, &error));
    assert_non_null(strstr(error.text, "no socket"));
    assert_int_equal(unlink(path), 0);
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_false(http_server_listen_unix(other, longer, &local, &error));
    http_server_free(other);
    stop();
}

static void replaces_a_stale_unix_path(void **state)
{
    (void)state;
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    snprintf(where.sun_path, sizeof(where.sun_path), "/tmp/weft-server-test-%d.sock",
             (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    close(fd);
    start((struct http_server_options) { 0 }, false);
    ask((struct http_client_request) { .unix_path = it.path }, 200, "2 GET /? localhost []");
    stop();
}

static void answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    char heard[4096];
    start((struct http_server_options) { 0 }, false);
    exchange("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
             "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
             "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
             "2;x=y\r\nde\r\n1\r\nf\r\n0\r\nX-T: u\r\n\r\n\r\n"
             "HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n"
             "GET /5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
             "GET /6 HTTP/1.1\r\nHost: a\r\n\r\n",
             heard, sizeof(heard));
    static const char *const expected[] = { "1 GET /1? a []", "1 POST /2? a [abc]",
                                            "1 POST /3? a [def]", "Content-Length: 15\r\n\r\nHTTP",
                                            "1 GET /5? a []" };
    const char *at = heard;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        at = strstr(at, expected[i]);
        if (at == NULL) {
            fail_msg("%s missing in: %s", expected[i], heard);
        }
    }
    assert_null(strstr(heard, "/6"));
    assert_non_null(strstr(heard, "Connection: keep-alive\r\n"));
    assert_non_null(strstr(heard, "Connection: close\r\n"));
    stop();
}

static void takes_requests_in_any_pieces(void **state)
{
    (void)state;
    char heard[1024];
    const char *request = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                          "Connection: close\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n";
    start((struct http_server_options) { 0 }, false);
    int fd = dial();
    for (size_t i = 0; i < strlen(request); i++) {
        char one[2] = { request[i], '\0' };
        say(fd, one);
        if (i % 8 == 0) {
            usleep(200);
        }
    }
    assert_true(hear(fd, heard, sizeof(heard)));
    assert_non_null(strstr(heard, "1 POST /p? a [abc]"));
    close(fd);
    stop();
}

static void says_100_continue(void **state)
{
    (void)state;
    char heard[1024];
    start((struct http_server_options) { 0 }, false);
    int fd = dial();
    say(fd, "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    hear_until(fd, "HTTP/1.1 100 Continue\r\n\r\n", heard, sizeof(heard));
    say(fd, "hi");
    hear_until(fd, "1 POST /e? a [hi]", heard, sizeof(heard));
    close(fd);
    stop();
}

static void refuses_what_is_malformed_or_too_large(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *expected;
    } rows[] = {
        { "GET / HTTP/1.1\r\n\r\n", "400 Bad Request" },
        { "GET / HTTP/1.1\r\n\r\n", "missing_host\n" },
        { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported" },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", "413 Content Too Large" },
        { "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n",
          "HTTP/1.1 413 " },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\n",
          "bad_chunk_size\n" },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a\r\n\r\n",
          "bad_trailer\n" },
        { "GET /a%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "bad_escape\n" },
        { "GET /gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Allow: POST\r\n" },
    };
    start((struct http_server_options) { 0 }, false);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char heard[1024];
        exchange(rows[i].request, heard, sizeof(heard));
        if (strstr(heard, rows[i].expected) == NULL) {
            fail_msg("row %zu: %s", i, heard);
        }
    }
    /* Chunks that go on for ever. */
    int fd = dial();
    char heard[1024], chunk[1100];
    say(fd, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    int size = snprintf(chunk, sizeof(chunk), "400\r\n%01024d\r\n", 0);
    for (int i = 0; i < 65; i++) {
        if (send(fd, chunk, (size_t)size, MSG_NOSIGNAL) != size) {
            break;
        }
    }
    assert_true(hear(fd, heard, sizeof(heard)));
    assert_non_null(strstr(heard, "413 Content Too Large"));
    close(fd);
    stop();
}

static void takes_the_largest_body(void **state)
{
    (void)state;
    struct buffer body = { 0 };
    memset(buffer_reserve(&body, 65536), 'b', 65536);
    body.size = 65536;
    start((struct http_server_options) { 0 }, false);
    struct http_client_request request = { .address = &it.address,
                                           .method = TEXT("PUT"),
                                           .body = buffer_text(&body) };
    struct http_client_answer answer;
    struct error error;
    assert_true(http_client_send(&request, &answer, &error));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, strlen("1 PUT /? localhost []") + 65536);
    http_client_answer_fini(&answer);
    buffer_fini(&body);
    stop();
}

static void serves_only_loopback_names_where_asked(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool welcome;
    } rows[] = {
        { "Host: localhost\r\n", true },
        { "Host: LOCALHOST:15000\r\n", true },
        { "Host: 127.0.0.1\r\n", true },
        { "Host: 127.1.2.3:1\r\n", true },
        { "Host: [::1]:15000\r\n", true },
        { "Host: localhost.evil.example\r\n", false },
        { "Host: evil.example\r\n", false },
        { "Host: 10.0.0.1\r\n", false },
        { "Host: 127.0.0.1.evil.example\r\n", false },
        { "Host: [::2]\r\n", false },
        { "Host: localhost\r\nOrigin: http://localhost:15000\r\n", true },
        { "Host: localhost\r\nOrigin: http://127.0.0.1\r\n", true },
        { "Host: localhost\r\nOrigin: http://evil.example\r\n", false },
        { "Host: localhost\r\nOrigin: null\r\n", false },
        { "Host: localhost\r\nOrigin: http://localhost.evil\r\n", false },
    };
    start((struct http_server_options) { 0 }, true);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[256], heard[1024];
        snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nConnection: close\r\n%s\r\n",
                 rows[i].fields);
        exchange(request, heard, sizeof(heard));
        if ((strstr(heard, "HTTP/1.1 200 OK") != NULL) != rows[i].welcome) {
            fail_msg("row %zu: %s", i, heard);
        }
        assert_true(rows[i].welcome || strstr(heard, "HTTP/1.1 403 Forbidden") != NULL);
    }
    char heard[1024];
    exchange("GET / HTTP/1.0\r\n\r\n", heard, sizeof(heard));
    assert_non_null(strstr(heard, "403"));
    /* The unix socket has its own rule. */
    ask((struct http_client_request) { .unix_path = it.path, .host = TEXT("evil.example") }, 200,
        "2 GET /? evil.example []");
    stop();
}

/* A reader that takes nothing holds up nobody, and gets all of it in the end. */
static void large_answers_do_not_block_others(void **state)
{
    (void)state;
    start((struct http_server_options) { 0 }, false);
    int fd = dial();
    say(fd, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        ask((struct http_client_request) { .address = &it.address }, 200, "1 GET /? localhost []");
    }
    char *all = malloc(LARGE + 1024);
    assert_true(hear(fd, all, LARGE + 1024));
    const char *body = strstr(all, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    assert_int_equal(strlen(body), LARGE);
    for (size_t i = 0; i < LARGE; i += 1009) {
        assert_int_equal(body[i], 'a' + i % 23);
    }
    free(all);
    close(fd);
    stop();
}

static void on_half_stop(struct letter *letter)
{
    (void)letter;
    http_server_stop(it.server);
}

static void a_stopped_server_answers_once_more(void **state)
{
    (void)state;
    char heard[1024];
    struct stat status;
    struct letter letter = { .on_receive = on_half_stop };
    start((struct http_server_options) { 0 }, false);
    int fd = dial();
    say(fd, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_until(fd, "1 GET /1? a []", heard, sizeof(heard));
    loop_post(it.loop, &letter);
    for (int i = 0; i < 400 && lstat(it.path, &status) == 0; i++) {
        usleep(5000);
    }
    assert_int_equal(lstat(it.path, &status), -1);
    say(fd, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(hear(fd, heard, sizeof(heard)));
    assert_non_null(strstr(heard, "1 GET /2? a []"));
    assert_non_null(strstr(heard, "Connection: close\r\n"));
    close(fd);
    struct sockaddr_storage where;
    socklen_t size = address_to_sockaddr(&it.address, &where);
    fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, size), -1);
    close(fd);
    stop();
}

static void slow_clients_are_let_go(void **state)
{
    (void)state;
    char heard[1024];
    start((struct http_server_options) { .head_timeout_ms = 60,
                                         .body_timeout_ms = 60,
                                         .idle_timeout_ms = 60,
                                         .write_timeout_ms = 100 },
          false);
    exchange("GET / HTTP/1.1\r\nHost:", heard, sizeof(heard));
    assert_non_null(strstr(heard, "408 Request Timeout"));
    exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx", heard, sizeof(heard));
    assert_non_null(strstr(heard, "408 Request Timeout"));
    /* Nothing said, or nothing more: closed without a word. */
    exchange("", heard, sizeof(heard));
    assert_string_equal(heard, "");
    exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", heard, sizeof(heard));
    assert_non_null(strstr(heard, "200 OK"));
    assert_null(strstr(heard, "408"));
    /* One byte a while does not win time for the head. */
    int fd = dial();
    int sent = 0;
    while (sent < 100 && send(fd, "G", 1, MSG_NOSIGNAL) == 1) {
        sent++;
        usleep(20000);
        struct pollfd one = { .fd = fd, .events = POLLIN };
        if (poll(&one, 1, 0) == 1) {
            break;
        }
    }
    assert_true(sent < 20);
    close(fd);
    /* An answer nobody reads. */
    fd = dial();
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(400000);
    char *all = malloc(LARGE + 1024);
    hear(fd, all, LARGE + 1024);
    assert_true(strlen(all) < LARGE);
    free(all);
    close(fd);
    stop();
}

static void idle_connections_make_room(void **state)
{
    (void)state;
    char heard[1024];
    start((struct http_server_options) { .connections = 2 }, false);
    int first = dial(), second = dial();
    say(first, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_until(first, "/1?", heard, sizeof(heard));
    say(second, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_until(second, "/2?", heard, sizeof(heard));
    int third = dial();
    say(third, "GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET");
    hear_until(third, "/3?", heard, sizeof(heard));
    assert_true(hear(first, heard, sizeof(heard)));
    assert_string_equal(heard, "");
    /* Now nobody is idle: the next one waits until one goes. */
    say(second, "GET");
    usleep(20000);
    int fourth = dial();
    say(fourth, "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    struct pollfd one = { .fd = fourth, .events = POLLIN };
    assert_int_equal(poll(&one, 1, 50), 0);
    close(third);
    hear_until(fourth, "/4?", heard, sizeof(heard));
    close(first);
    close(second);
    close(fourth);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_on_tcp_and_unix_sockets),
        cmocka_unit_test(guards_the_unix_path),
        cmocka_unit_test(replaces_a_stale_unix_path),
        cmocka_unit_test(answers_pipelined_requests_in_order),
        cmocka_unit_test(takes_requests_in_any_pieces),
        cmocka_unit_test(says_100_continue),
        cmocka_unit_test(refuses_what_is_malformed_or_too_large),
        cmocka_unit_test(takes_the_largest_body),
        cmocka_unit_test(serves_only_loopback_names_where_asked),
        cmocka_unit_test(large_answers_do_not_block_others),
        cmocka_unit_test(a_stopped_server_answers_once_more),
        cmocka_unit_test(slow_clients_are_let_go),
        cmocka_unit_test(idle_connections_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
