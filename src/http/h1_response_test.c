/* Response heads: what is taken, whether a body follows, what is refused, each at every cut of its
 * bytes. */
#include "http/h1_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct response_head response;

static enum h1_result read_response(struct text input, enum http_method method,
                                    enum h1_reason *out_reason, size_t *out_size)
{
    struct h1_head_reader reader;
    h1_head_reader_init(&reader);
    enum h1_result result = h1_read_response(&reader, &h1_default_limits, method, input.at,
                                             input.size, &response, out_size);
    *out_reason = reader.reason;
    return result;
}

#define assert_text(actual, expected)                                                              \
    do {                                                                                           \
        struct text text_ = (actual);                                                              \
        assert_int_equal(text_.size, strlen(expected));                                            \
        assert_memory_equal(text_.at, expected, text_.size);                                       \
    } while (0)

#define CHECK_REFUSED(kind, rows)                                                                  \
    do {                                                                                           \
        enum h1_reason reason_;                                                                    \
        size_t count_ = sizeof(rows) / sizeof(rows[0]);                                            \
        size_t row_ = split_check_refused(kind, rows, count_, &reason_);                           \
        if (row_ < count_) {                                                                       \
            fail_msg("row %zu: %s, not %s: %.*s", row_, h1_reason_name(reason_),                   \
                     h1_reason_name(rows[row_].reason), TEXT_ARG(rows[row_].input));               \
        }                                                                                          \
    } while (0)

#define REFUSED(input, reason)                                                                     \
    {                                                                                              \
        TEXT_STATIC(input), reason                                                                 \
    }

static const struct split_refused refused_responses[] = {
    REFUSED("HTTP/1.1 20 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 2000 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 099 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 600 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 2x0 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 +20 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1  200 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1\t200 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 200\tOK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 \r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 200 O\x01K\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/1.1 200 O\0K\r\n\r\n", H1_NUL_BYTE),
    REFUSED("http/1.1 200 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("\r\nHTTP/1.1 200 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("ICY 200 OK\r\n\r\n", H1_BAD_STATUS_LINE),
    REFUSED("HTTP/2.0 200 OK\r\n\r\n", H1_UNSUPPORTED_VERSION),
    REFUSED("HTTP/0.9 200 OK\r\n\r\n", H1_UNSUPPORTED_VERSION),
    REFUSED("HTTP/1.1 200 OK\n\n", H1_BAD_LINE_END),
    REFUSED("HTTP/1.1 200 OK\rX: y\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("HTTP/1.1 200\n\n", H1_BAD_LINE_END),
    REFUSED("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", H1_SPACE_BEFORE_COLON),
    REFUSED("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", H1_OBS_FOLD),
    REFUSED("HTTP/1.1 200 OK\r\nX: y\nZ: a\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", H1_NUL_BYTE),
    REFUSED("HTTP/1.1 200 OK\r\n: a\r\n\r\n", H1_BAD_FIELD_NAME),
    REFUSED("HTTP/1.1 200 OK\r\nnothing\r\n\r\n", H1_BAD_FIELD_NAME),
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            H1_SEVERAL_LENGTHS),
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", H1_BAD_LENGTH),
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", H1_BAD_LENGTH),
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            H1_LENGTH_AND_ENCODING),
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", H1_BAD_ENCODING),
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", H1_BAD_ENCODING),
    REFUSED("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", H1_ENCODING_IN_1_0),
    REFUSED("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", H1_BAD_LENGTH),
    REFUSED("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", H1_BAD_ENCODING),
    REFUSED("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", H1_BAD_LENGTH),
    REFUSED("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n", H1_BAD_ENCODING),
    REFUSED("HTTP/1.1 200 OK\r\nConnection: content-length\r\n\r\n", H1_BAD_CONNECTION),
};

static void refuses_responses(void **state)
{
    (void)state;
    CHECK_REFUSED(SPLIT_RESPONSE, refused_responses);
}

struct answered {
    const char *input;
    enum http_method method;
    uint16_t status;
    const char *reason;
    enum body_kind body;
    uint64_t length;
    bool has_length;
    bool keep_alive;
    bool upgrade;
};

#define L5                   "Content-Length: 5\r\n"
#define TE                   "Transfer-Encoding: chunked\r\n"
#define ANSWER(line, fields) "HTTP/1.1 " line "\r\n" fields "\r\n"

static const struct answered answered_rows[] = {
    { ANSWER("200 OK", L5), METHOD_GET, 200, "OK", BODY_LENGTH, 5, true, true, false },
    { ANSWER("200 OK", TE), METHOD_GET, 200, "OK", BODY_CHUNKED, 0, false, true, false },
    { ANSWER("200 OK", ""), METHOD_GET, 200, "OK", BODY_UNTIL_CLOSE, 0, false, false, false },
    { ANSWER("200 OK", L5), METHOD_HEAD, 200, "OK", BODY_NONE, 5, true, true, false },
    { ANSWER("200 OK", TE), METHOD_HEAD, 200, "OK", BODY_NONE, 0, false, true, false },
    { ANSWER("200 OK", ""), METHOD_HEAD, 200, "OK", BODY_NONE, 0, false, true, false },
    { ANSWER("204 No Content", ""), METHOD_GET, 204, "No Content", BODY_NONE, 0, false, true,
      false },
    { ANSWER("204 No", "Content-Length: 0\r\n"), METHOD_GET, 204, "No", BODY_NONE, 0, true, true,
      false },
    { ANSWER("304 Not Modified", L5), METHOD_GET, 304, "Not Modified", BODY_NONE, 5, true, true,
      false },
    { ANSWER("304 Not Modified", TE), METHOD_GET, 304, "Not Modified", BODY_NONE, 0, false, true,
      false },
    { ANSWER("304 x", ""), METHOD_HEAD, 304, "x", BODY_NONE, 0, false, true, false },
    { ANSWER("100 Continue", ""), METHOD_POST, 100, "Continue", BODY_NONE, 0, false, true, false },
    { ANSWER("103 x", "Link: </a>\r\n"), METHOD_GET, 103, "x", BODY_NONE, 0, false, true, false },
    { ANSWER("101 x", "Connection: upgrade\r\nUpgrade: websocket\r\n"), METHOD_GET, 101, "x",
      BODY_NONE, 0, false, true, true },
    { ANSWER("101 x", "Upgrade: websocket\r\n"), METHOD_GET, 101, "x", BODY_NONE, 0, false, true,
      false },
    { ANSWER("200 x", L5 "Connection: upgrade\r\nUpgrade: h2c\r\n"), METHOD_GET, 200, "x",
      BODY_LENGTH, 5, true, true, false },
    { ANSWER("205 x", "Content-Length: 0\r\n"), METHOD_GET, 205, "x", BODY_LENGTH, 0, true, true,
      false },
    { ANSWER("200 OK", L5 "Connection: close\r\n"), METHOD_GET, 200, "OK", BODY_LENGTH, 5, true,
      false, false },
    { "HTTP/1.0 200 OK\r\n" L5 "\r\n", METHOD_GET, 200, "OK", BODY_LENGTH, 5, true, false, false },
    { "HTTP/1.0 200 OK\r\n" L5 "Connection: keep-alive\r\n\r\n", METHOD_GET, 200, "OK", BODY_LENGTH,
      5, true, true, false },
    { "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", METHOD_GET, 200, "OK", BODY_UNTIL_CLOSE,
      0, false, false, false },
    { ANSWER("200", L5), METHOD_GET, 200, "", BODY_LENGTH, 5, true, true, false },
    { ANSWER("200 ", L5), METHOD_GET, 200, "", BODY_LENGTH, 5, true, true, false },
    { ANSWER("599 \x80 a\tphrase of more than sixteen bytes", L5), METHOD_GET, 599,
      "\x80 a\tphrase of more than sixteen bytes", BODY_LENGTH, 5, true, true, false },
    { ANSWER("200 x", L5 "X: \xe9\xff\r\n"), METHOD_GET, 200, "x", BODY_LENGTH, 5, true, true,
      false },
    { ANSWER("200 x", ""), METHOD_CONNECT, 200, "x", BODY_NONE, 0, false, true, false },
    { "HTTP/1.2 200 x\r\n" L5 "\r\n", METHOD_GET, 200, "x", BODY_LENGTH, 5, true, true, false },
};

static void takes_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answered_rows) / sizeof(answered_rows[0]); i++) {
        const struct answered *row = &answered_rows[i];
        struct text input = text_from_string(row->input);
        size_t size;
        enum h1_reason reason;
        split_check(SPLIT_RESPONSE, &h1_default_limits, input.at, input.size, 1);
        if (read_response(input, row->method, &reason, &size) != H1_DONE) {
            fail_msg("row %zu: %s: %s", i, h1_reason_name(reason), row->input);
        }
        assert_int_equal(size, input.size);
        assert_int_equal(response.status, row->status);
        assert_text(response.reason, row->reason);
        assert_int_equal(response.body, row->body);
        assert_int_equal(response.content_length, row->length);
        assert_int_equal(response.has_length, row->has_length);
        assert_int_equal(response.keep_alive, row->keep_alive);
        assert_int_equal(response.upgrade, row->upgrade);
    }
}

static void leaves_what_follows(void **state)
{
    (void)state;
    size_t size;
    enum h1_reason reason;
    struct text input = TEXT("HTTP/1.1 204 x\r\n\r\n\0\0\0");
    assert_int_equal(read_response(input, METHOD_GET, &reason, &size), H1_DONE);
    assert_int_equal(size, input.size - 3);
}

/* One body per row and method: the matrix of RFC 9112 6.3. */
static void only_some_responses_have_bodies(void **state)
{
    (void)state;
    static const uint16_t statuses[] = { 100, 101, 103, 199, 200, 201, 204, 205, 206,
                                         299, 301, 304, 400, 404, 500, 503, 599 };
    static const enum http_method methods[] = { METHOD_GET, METHOD_HEAD, METHOD_POST,
                                                METHOD_OTHER };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        for (size_t j = 0; j < sizeof(methods) / sizeof(methods[0]); j++) {
            char input[64];
            size_t size;
            enum h1_reason reason;
            int length = snprintf(input, sizeof(input), "HTTP/1.1 %u x\r\n\r\n", statuses[i]);
            assert_int_equal(
                read_response(text_of(input, (size_t)length), methods[j], &reason, &size), H1_DONE);
            bool none = statuses[i] < 200 || statuses[i] == 204 || statuses[i] == 304 ||
                        methods[j] == METHOD_HEAD;
            assert_int_equal(response.body, none ? BODY_NONE : BODY_UNTIL_CLOSE);
            assert_int_equal(response.keep_alive, none);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_responses),
        cmocka_unit_test(takes_responses),
        cmocka_unit_test(leaves_what_follows),
        cmocka_unit_test(only_some_responses_have_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
