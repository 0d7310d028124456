/* The small client against servers that answer what a table says. */
#include "http/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A server of one connection: reads one request, sends `answer`, waits for `hold_ms`, closes. */
struct canned {
    int fd;
    struct address address;
    struct text answer;
    size_t repeat; /* of the answer's last byte */
    unsigned hold_ms;
    char request[1024];
    pthread_t thread;
};

static void *serve(void *owner)
{
    struct canned *it = owner;
    int fd = accept(it->fd, NULL, NULL);
    size_t size = 0;
    while (strstr(it->request, "\r\n\r\n") == NULL && size + 1 < sizeof(it->request)) {
        ssize_t got = recv(fd, it->request + size, sizeof(it->request) - 1 - size, 0);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    send(fd, it->answer.at, it->answer.size, MSG_NOSIGNAL);
    if (it->repeat > 0) {
        char *more = malloc(it->repeat);
        memset(more, it->answer.at[it->answer.size - 1], it->repeat);
        for (size_t at = 0; at < it->repeat;) {
            ssize_t sent = send(fd, more + at, it->repeat - at, MSG_NOSIGNAL);
            if (sent <= 0) {
                break;
            }
            at += (size_t)sent;
        }
        free(more);
    }
    usleep(it->hold_ms * 1000);
    close(fd);
    return NULL;
}

static void start(struct canned *it)
{
    struct sockaddr_storage where;
    assert_true(address_parse(TEXT("127.0.0.1:0"), &it->address));
    socklen_t size = address_to_sockaddr(&it->address, &where);
    it->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(it->fd, (struct sockaddr *)&where, size), 0);
    assert_int_equal(listen(it->fd, 1), 0);
    size = sizeof(where);
    assert_int_equal(getsockname(it->fd, (struct sockaddr *)&where, &size), 0);
    assert_true(address_from_sockaddr(&where, &it->address));
    assert_int_equal(pthread_create(&it->thread, NULL, serve, it), 0);
}

static void stop(struct canned *it)
{
    pthread_join(it->thread, NULL);
    close(it->fd);
}

static void reads_answers_of_every_framing(void **state)
{
    (void)state;
    static const struct {
        struct text answer;
        struct text method;
        uint16_t status;
        const char *body;
        const char *type;
    } rows[] = {
        { TEXT_STATIC("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nhi"),
          { 0 },
          200,
          "hi",
          "a/b" },
        { TEXT_STATIC("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more"),
          { 0 },
          200,
          "hi",
          "" },
        { TEXT_STATIC("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2\r\nhi\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n"),
          { 0 },
          404,
          "hi!",
          "" },
        { TEXT_STATIC("HTTP/1.0 200 OK\r\n\r\nuntil the end"), { 0 }, 200, "until the end", "" },
        { TEXT_STATIC("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n"),
          { 0 },
          204,
          "",
          "" },
        { TEXT_STATIC("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), TEXT_STATIC("HEAD"), 200, "",
          "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct canned it = { .answer = rows[i].answer };
        struct http_client_answer answer;
        struct error error;
        start(&it);
        struct http_client_request request = { .address = &it.address, .method = rows[i].method };
        if (!http_client_send(&request, &answer, &error)) {
            fail_msg("row %zu: %s", i, error.text);
        }
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(answer.body.size, strlen(rows[i].body));
        assert_memory_equal(answer.body.bytes ? answer.body.bytes : "", rows[i].body,
                            answer.body.size);
        assert_string_equal(answer.content_type, rows[i].type);
        http_client_answer_fini(&answer);
        stop(&it);
    }
}

static void says_what_is_wrong_with_an_answer(void **state)
{
    (void)state;
    static const struct {
        struct text answer;
        size_t repeat;
        const char *error;
    } rows[] = {
        { TEXT_STATIC(""), 0, "ended too early" },
        { TEXT_STATIC("HTTP/1.1 200 OK\r\n"), 0, "ended too early" },
        { TEXT_STATIC("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), 0, "ended too early" },
        { TEXT_STATIC("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"), 0,
          "ended too early" },
        { TEXT_STATIC("SSH-2.0-x\r\n"), 0, "bad_status_line" },
        { TEXT_STATIC("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx"), 0,
          "bad_chunk_size" },
        { TEXT_STATIC("HTTP/1.0 200 OK\r\n\r\nx"), HTTP_CLIENT_ANSWER_MAX, "longer than 64 MiB" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct canned it = { .answer = rows[i].answer, .repeat = rows[i].repeat };
        struct http_client_answer answer;
        struct error error;
        start(&it);
        struct http_client_request request = { .address = &it.address };
        assert_false(http_client_send(&request, &answer, &error));
        char name[ADDRESS_TEXT_MAX];
        address_format(&it.address, name);
        if (strstr(error.text, rows[i].error) == NULL || strstr(error.text, name) == NULL) {
            fail_msg("row %zu: %s", i, error.text);
        }
        stop(&it);
    }
}

static void gives_up_in_time(void **state)
{
    (void)state;
    struct canned it = { .answer = TEXT_STATIC("HTTP/1.1 200 OK\r\n"), .hold_ms = 300 };
    struct http_client_answer answer;
    struct error error;
    start(&it);
    struct http_client_request request = { .address = &it.address, .timeout_ms = 50 };
    assert_false(http_client_send(&request, &answer, &error));
    assert_non_null(strstr(error.text, "no answer in time"));
    stop(&it);
}

static void cannot_connect_to_nobody(void **state)
{
    (void)state;
    struct http_client_answer answer;
    struct error error;
    struct address address;
    char longer[200];
    assert_true(address_parse(TEXT("127.0.0.1:1"), &address));
    assert_false(
        http_client_send(&(struct http_client_request) { .address = &address }, &answer, &error));
    assert_non_null(strstr(error.text, "cannot connect to 127.0.0.1:1"));
    struct http_client_request request = { .unix_path = "/nonexistent/socket" };
    assert_false(http_client_send(&request, &answer, &error));
    assert_non_null(strstr(error.text, "cannot connect to /nonexistent/socket"));
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    request.unix_path = longer;
    assert_false(http_client_send(&request, &answer, &error));
}

static void sends_what_it_is_told(void **state)
{
    (void)state;
    struct canned it = { .answer = TEXT_STATIC("HTTP/1.1 204 x\r\n\r\n") };
    struct http_client_answer answer;
    struct error error;
    start(&it);
    struct http_client_request request = { .address = &it.address,
                                           .method = TEXT("POST"),
                                           .target = TEXT("/a?b"),
                                           .host = TEXT("h:1"),
                                           .content_type = TEXT("c/d"),
                                           .body = TEXT("ef") };
    assert_true(http_client_send(&request, &answer, &error));
    stop(&it);
    static const char head[] = "POST /a?b HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n"
                               "Content-Type: c/d\r\nContent-Length: 2\r\n\r\n";
    assert_memory_equal(it.request, head, strlen(head));
    http_client_answer_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_answers_of_every_framing),
        cmocka_unit_test(says_what_is_wrong_with_an_answer),
        cmocka_unit_test(gives_up_in_time),
        cmocka_unit_test(cannot_connect_to_nobody),
        cmocka_unit_test(sends_what_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
