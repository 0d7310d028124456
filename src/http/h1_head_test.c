/* Request heads: what is taken and what it is taken for, what is refused and with which
 * word, each at every cut of its bytes. */
#include "http/h1_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct request_head request;

static enum h1_result read_request(struct text input, enum h1_reason *out_reason, size_t *out_size)
{
    struct h1_head_reader reader;
    h1_head_reader_init(&reader);
    enum h1_result result =
        h1_read_request(&reader, &h1_default_limits, input.at, input.size, &request, out_size);
    *out_reason = reader.reason;
    return result;
}

static void take_request(const char *input)
{
    size_t size;
    enum h1_reason reason;
    struct text t = text_from_string(input);
    assert_int_equal(read_request(t, &reason, &size), H1_DONE);
    assert_int_equal(size, t.size);
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
/* A request that is fine but for these lines. */
#define FIELDS(lines, reason)                                                                      \
    {                                                                                              \
        TEXT_STATIC("GET / HTTP/1.1\r\nHost: a\r\n" lines "\r\n"), reason                          \
    }

static const struct split_refused refused_lines[] = {
    REFUSED("GET\r\n\r\n", H1_BAD_METHOD),
    REFUSED("GET \r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("GET /\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("GET / \tHTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_METHOD),
    REFUSED("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_REQUEST_LINE),
    REFUSED("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_METHOD),
    REFUSED("G:T / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_METHOD),
    REFUSED("GE\xc3\xa9T / HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_METHOD),
    REFUSED("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", H1_NUL_BYTE),
    REFUSED("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n",
            H1_BAD_METHOD),
    REFUSED("\x16\x03\x01\x02\x00\x01", H1_BAD_REQUEST_LINE),
    REFUSED("GET / http/1.1\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/1.\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/1\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/11\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/1.10\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/1.1a\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/+1.1\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTPS/1.1\r\nHost: a\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / X\r\n\r\n", H1_BAD_VERSION),
    REFUSED("GET / HTTP/1.1\0\r\nHost: a\r\n\r\n", H1_NUL_BYTE),
    REFUSED("GET / HTTP/0.9\r\nHost: a\r\n\r\n", H1_UNSUPPORTED_VERSION),
    REFUSED("GET / HTTP/2.0\r\nHost: a\r\n\r\n", H1_UNSUPPORTED_VERSION),
    REFUSED("GET / HTTP/3.1\r\nHost: a\r\n\r\n", H1_UNSUPPORTED_VERSION),
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H1_UNSUPPORTED_VERSION),
    REFUSED("GET / HTTP/1.1\nHost: a\n\n", H1_BAD_LINE_END),
    REFUSED("GET / HTTP/1.1\rHost: a\r\r", H1_BAD_LINE_END),
    REFUSED("GET / HTTP/1.1\r\rHost: a\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("GET / HTTP/1.1\r\r\n", H1_BAD_LINE_END),
    REFUSED("GET /\nHost: a\r\n\r\n", H1_BAD_LINE_END),
    REFUSED("GET /\rx HTTP/1.1\r\n", H1_BAD_LINE_END),
};

static const struct split_refused refused_targets[] = {
    REFUSED("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET # HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /a?<b> HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", H1_NUL_BYTE),
    REFUSED("GET /01234567890123456789012345678\xff HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET a HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET a.example/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET a.example:80 HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET * HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET file:///b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http:/a/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http://?b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http://u@a/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http://u:p@a/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http://a:/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("GET http://a:65536/b HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
    REFUSED("CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", H1_BAD_TARGET),
};

static const struct split_refused refused_fields[] = {
    FIELDS(" folded: x\r\n", H1_OBS_FOLD),
    FIELDS("X: a\r\n b\r\n", H1_OBS_FOLD),
    FIELDS("X: a\r\n\tb\r\n", H1_OBS_FOLD),
    FIELDS("X: a\r\n \r\n", H1_OBS_FOLD),
    REFUSED("GET / HTTP/1.1\r\n Host: a\r\n\r\n", H1_OBS_FOLD),
    FIELDS("X : a\r\n", H1_SPACE_BEFORE_COLON),
    FIELDS("X\t: a\r\n", H1_SPACE_BEFORE_COLON),
    FIELDS("Content-Length : 5\r\n", H1_SPACE_BEFORE_COLON),
    FIELDS("X Y: a\r\n", H1_SPACE_BEFORE_COLON),
    FIELDS(": a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X(Y): a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X/Y: a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("\"X\": a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X\x80: a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X\x0b: a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X-a-name-of-more-than-sixteen-bytes@: a\r\n", H1_BAD_FIELD_NAME),
    FIELDS("X\0Y: a\r\n", H1_NUL_BYTE),
    FIELDS("X: a\0b\r\n", H1_NUL_BYTE),
    FIELDS("X: a value of more than sixteen bytes\0\r\n", H1_NUL_BYTE),
    FIELDS("X: a\x01\r\n", H1_BAD_FIELD_VALUE),
    FIELDS("X: a\x7f\r\n", H1_BAD_FIELD_VALUE),
    FIELDS("X: a\x1b[31m value of more than sixteen\r\n", H1_BAD_FIELD_VALUE),
    FIELDS("X: a\x0c\r\n", H1_BAD_FIELD_VALUE),
    FIELDS("X: a\nY: b\r\n", H1_BAD_LINE_END),
    FIELDS("X: a\rY: b\r\n", H1_BAD_LINE_END),
    FIELDS("X: a\r\r\n", H1_BAD_LINE_END),
    FIELDS("X\n: a\r\n", H1_BAD_LINE_END),
    FIELDS("X\r: a\r\n", H1_BAD_LINE_END),
    FIELDS("X: a\r\n\n", H1_BAD_LINE_END),
    FIELDS("\rX: a\r\n", H1_BAD_LINE_END),
};

static const struct split_refused refused_framing[] = {
    FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", H1_LENGTH_AND_ENCODING),
    FIELDS("transfer-encoding: chunked\r\nCONTENT-LENGTH: 5\r\n", H1_LENGTH_AND_ENCODING),
    FIELDS("Content-Length: 0\r\nTransfer-Encoding: identity\r\n", H1_LENGTH_AND_ENCODING),
    FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n", H1_SEVERAL_LENGTHS),
    FIELDS("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n", H1_SEVERAL_LENGTHS),
    FIELDS("Content-Length: 5, 5\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length:\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: +5\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: -5\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: 0x5\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: 5.0\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: 5 5\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: \"5\"\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: five\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: 9223372036854775808\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: 18446744073709551616\r\n", H1_BAD_LENGTH),
    FIELDS("Content-Length: 18446744073709551621\r\n", H1_BAD_LENGTH),
    FIELDS("Transfer-Encoding: gzip, chunked\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: chunked, chunked\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: chunked,\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: identity\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: xchunked\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: chunkedx\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: \"chunked\"\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: chunked;q=1\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding:\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", H1_BAD_ENCODING),
    FIELDS("Transfer-Encoding: \x0b"
           "chunked\r\n",
           H1_BAD_FIELD_VALUE),
    REFUSED("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", H1_ENCODING_IN_1_0),
    FIELDS("Expect: 200-ok\r\n", H1_BAD_EXPECT),
    FIELDS("Expect:\r\n", H1_BAD_EXPECT),
    FIELDS("Expect: 100-continue, x\r\n", H1_BAD_EXPECT),
    FIELDS("Expect: 100-continue\r\nExpect: x\r\n", H1_BAD_EXPECT),
    FIELDS("Connection: host\r\n", H1_BAD_CONNECTION),
    FIELDS("Connection: close, Content-Length\r\n", H1_BAD_CONNECTION),
    FIELDS("Connection: TRANSFER-ENCODING\r\n", H1_BAD_CONNECTION),
    FIELDS("Connection: a b\r\n", H1_BAD_CONNECTION),
    FIELDS("Connection: close;x\r\n", H1_BAD_CONNECTION),
    FIELDS("Connection: close\r\nConnection: \"x\"\r\n", H1_BAD_CONNECTION),
    FIELDS("Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n", H1_BAD_CONNECTION),
};

static const struct split_refused refused_hosts[] = {
    REFUSED("GET / HTTP/1.1\r\n\r\n", H1_MISSING_HOST),
    REFUSED("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", H1_MISSING_HOST),
    REFUSED("GET http://a/ HTTP/1.1\r\n\r\n", H1_MISSING_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", H1_SEVERAL_HOSTS),
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHOST: b\r\n\r\n", H1_SEVERAL_HOSTS),
    REFUSED("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", H1_SEVERAL_HOSTS),
    REFUSED("GET / HTTP/1.1\r\nHost:\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.0\r\nHost: \r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a:70000\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: a\x80\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", H1_BAD_HOST),
    REFUSED("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("GET http://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("GET http://a/ HTTP/1.1\r\nHost: a.\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", H1_HOST_MISMATCH),
    REFUSED("CONNECT a:443 HTTP/1.1\r\nHost: a:80\r\n\r\n", H1_HOST_MISMATCH),
};

static void refuses_requests(void **state)
{
    (void)state;
    CHECK_REFUSED(SPLIT_REQUEST, refused_lines);
    CHECK_REFUSED(SPLIT_REQUEST, refused_targets);
    CHECK_REFUSED(SPLIT_REQUEST, refused_fields);
    CHECK_REFUSED(SPLIT_REQUEST, refused_framing);
    CHECK_REFUSED(SPLIT_REQUEST, refused_hosts);
}

struct taken {
    const char *input;
    enum http_version version;
    enum http_method method;
    enum target_form form;
    const char *path;
    const char *query; /* NULL: none */
    const char *host;
    uint32_t port;
    enum body_kind body;
    uint64_t length;
    bool keep_alive;
    bool expect;
    bool upgrade;
};

#define LINE(method, target) method " " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define WITH(fields)         "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define GET(target, path, query)                                                                   \
    {                                                                                              \
        LINE("GET", target), HTTP_1_1, METHOD_GET, TARGET_ORIGIN, path, query, "a", 0, BODY_NONE,  \
            0, true, false, false                                                                  \
    }
#define POST(fields, body, length, keep, expect, upgrade)                                          \
    {                                                                                              \
        WITH(fields), HTTP_1_1, METHOD_POST, TARGET_ORIGIN, "/", NULL, "a", 0, body, length, keep, \
            expect, upgrade                                                                        \
    }
#define OLD(fields, host, body, length, keep)                                                      \
    {                                                                                              \
        "POST / HTTP/1.0\r\n" fields "\r\n", HTTP_1_0, METHOD_POST, TARGET_ORIGIN, "/", NULL,      \
            host, 0, body, length, keep, false, false                                              \
    }
#define METHOD(token, id)                                                                          \
    {                                                                                              \
        LINE(token, "/"), HTTP_1_1, id, TARGET_ORIGIN, "/", NULL, "a", 0, BODY_NONE, 0, true,      \
            false, false                                                                           \
    }
#define HOST(value, host, port)                                                                    \
    {                                                                                              \
        "GET / HTTP/1.1\r\nHost:" value "\r\n\r\n", HTTP_1_1, METHOD_GET, TARGET_ORIGIN, "/",      \
            NULL, host, port, BODY_NONE, 0, true, false, false                                     \
    }
#define ABSOLUTE(line, field, method, path, query, host, port)                                     \
    {                                                                                              \
        line " HTTP/1.1\r\nHost: " field "\r\n\r\n", HTTP_1_1, method, TARGET_ABSOLUTE, path,      \
            query, host, port, BODY_NONE, 0, true, false, false                                    \
    }

static const struct taken taken_rows[] = {
    GET("/", "/", NULL),
    GET("/?", "/", ""),
    GET("/a?b", "/a", "b"),
    GET("/a?b?c=/d?", "/a", "b?c=/d?"),
    GET("//a", "//a", NULL),
    GET("/%zz", "/%zz", NULL),
    GET("/a;b=c/@d:e!$&'()*+,=-._~", "/a;b=c/@d:e!$&'()*+,=-._~", NULL),
    GET("/[]\\^`{|}?[]\\^`{|}", "/[]\\^`{|}", "[]\\^`{|}"),
    GET("/a/path/of/more/than/sixteen/bytes?and=a&query=too", "/a/path/of/more/than/sixteen/bytes",
        "and=a&query=too"),
    METHOD("GET", METHOD_GET),
    METHOD("HEAD", METHOD_HEAD),
    METHOD("POST", METHOD_POST),
    METHOD("PUT", METHOD_PUT),
    METHOD("DELETE", METHOD_DELETE),
    METHOD("OPTIONS", METHOD_OPTIONS),
    METHOD("PATCH", METHOD_PATCH),
    METHOD("TRACE", METHOD_TRACE),
    METHOD("get", METHOD_OTHER),
    METHOD("GETS", METHOD_OTHER),
    METHOD("PURGE", METHOD_OTHER),
    METHOD("!#$%&'*+-.^_`|~09aZ", METHOD_OTHER),
    { "\r\n" LINE("GET", "/"), HTTP_1_1, METHOD_GET, TARGET_ORIGIN, "/", NULL, "a", 0, BODY_NONE, 0,
      true, false, false },
    { LINE("OPTIONS", "*"), HTTP_1_1, METHOD_OPTIONS, TARGET_ASTERISK, "*", NULL, "a", 0, BODY_NONE,
      0, true, false, false },
    { "CONNECT a:443 HTTP/1.1\r\nHost: A\r\n\r\n", HTTP_1_1, METHOD_CONNECT, TARGET_AUTHORITY, "",
      NULL, "a", 443, BODY_NONE, 0, true, false, false },
    { "GET / HTTP/1.7\r\nHost: a\r\n\r\n", HTTP_1_1, METHOD_GET, TARGET_ORIGIN, "/", NULL, "a", 0,
      BODY_NONE, 0, true, false, false },
    ABSOLUTE("GET http://a", "a", METHOD_GET, "/", NULL, "a", 0),
    ABSOLUTE("GET http://a?b", "a", METHOD_GET, "/", "b", "a", 0),
    ABSOLUTE("GET http://a/b?c", "a", METHOD_GET, "/b", "c", "a", 0),
    ABSOLUTE("GET HTTP://A:80/b", "a", METHOD_GET, "/b", NULL, "A", 80),
    ABSOLUTE("GET https://a/b", "a:443", METHOD_GET, "/b", NULL, "a", 0),
    ABSOLUTE("GET http://[::1]:8080/b", "[::1]:8080", METHOD_GET, "/b", NULL, "[::1]", 8080),
    ABSOLUTE("GET http://a/b?c=http://d/", "a", METHOD_GET, "/b", "c=http://d/", "a", 0),
    ABSOLUTE("OPTIONS http://a", "a", METHOD_OPTIONS, "*", NULL, "a", 0),
    ABSOLUTE("OPTIONS http://a/", "a", METHOD_OPTIONS, "/", NULL, "a", 0),
    ABSOLUTE("OPTIONS http://a?b", "a", METHOD_OPTIONS, "/", "b", "a", 0),
    HOST("a", "a", 0),
    HOST("\t a \t", "a", 0),
    HOST("A.Example.:8080", "A.Example.", 8080),
    HOST("my_service", "my_service", 0),
    HOST("10.0.0.1:1", "10.0.0.1", 1),
    HOST("[2001:db8::1]", "[2001:db8::1]", 0),
    HOST("[::ffff:1.2.3.4]:65535", "[::ffff:1.2.3.4]", 65535),
    POST("Content-Length: 5\r\n", BODY_LENGTH, 5, true, false, false),
    POST("Content-Length: 0\r\n", BODY_LENGTH, 0, true, false, false),
    POST("content-length:\t007 \r\n", BODY_LENGTH, 7, true, false, false),
    POST("Content-Length: 9223372036854775807\r\n", BODY_LENGTH, INT64_MAX, true, false, false),
    POST("Transfer-Encoding: chunked\r\n", BODY_CHUNKED, 0, true, false, false),
    POST("TRANSFER-ENCODING:CHUNKED\r\n", BODY_CHUNKED, 0, true, false, false),
    POST("Connection: close\r\n", BODY_NONE, 0, false, false, false),
    POST("Connection: CLOSE\r\n", BODY_NONE, 0, false, false, false),
    POST("Connection: keep-alive\r\nConnection: x, close\r\n", BODY_NONE, 0, false, false, false),
    POST("Connection: , keep-alive ,, te\r\n", BODY_NONE, 0, true, false, false),
    POST("Connection:\r\n", BODY_NONE, 0, true, false, false),
    POST("Proxy-Connection: close\r\n", BODY_NONE, 0, true, false, false),
    POST("Expect: 100-continue\r\nContent-Length: 1\r\n", BODY_LENGTH, 1, true, true, false),
    POST("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", BODY_CHUNKED, 0, true, true,
         false),
    POST("Expect: 100-continue\r\nContent-Length: 0\r\n", BODY_LENGTH, 0, true, false, false),
    POST("Expect: 100-continue\r\n", BODY_NONE, 0, true, false, false),
    POST("Connection: Upgrade\r\nUpgrade: websocket\r\n", BODY_NONE, 0, true, false, true),
    POST("Upgrade: websocket\r\n", BODY_NONE, 0, true, false, false),
    POST("Upgrade:\r\nConnection: upgrade\r\n", BODY_NONE, 0, true, false, false),
    POST("Connection: upgrade\r\n", BODY_NONE, 0, true, false, false),
    POST("X:\r\nY:   \r\nZ: \x80\xff \t\"quoted\" (c) obs-text and tabs\t.\r\n", BODY_NONE, 0, true,
         false, false),
    OLD("", "", BODY_NONE, 0, false),
    OLD("Host: a\r\n", "a", BODY_NONE, 0, false),
    OLD("Connection: Keep-Alive\r\nContent-Length: 3\r\n", "", BODY_LENGTH, 3, true),
    OLD("Connection: keep-alive, close\r\n", "", BODY_NONE, 0, false),
    OLD("Expect: 100-continue\r\nContent-Length: 3\r\n", "", BODY_LENGTH, 3, false),
    OLD("Connection: upgrade\r\nUpgrade: websocket\r\n", "", BODY_NONE, 0, false),
};

static void takes_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken_rows) / sizeof(taken_rows[0]); i++) {
        const struct taken *row = &taken_rows[i];
        size_t size = strlen(row->input);
        struct split_outcome outcome =
            split_check(SPLIT_REQUEST, &h1_default_limits, row->input, size, 1);
        if (outcome.result != H1_DONE || outcome.size != size) {
            fail_msg("row %zu: %s: %s", i, h1_reason_name(outcome.reason), row->input);
        }
        take_request(row->input);
        assert_int_equal(request.version, row->version);
        assert_int_equal(request.method_id, row->method);
        assert_int_equal(request.form, row->form);
        assert_text(request.path, row->path);
        assert_int_equal(request.query.at != NULL, row->query != NULL);
        assert_text(request.query, row->query ? row->query : "");
        assert_text(request.host, row->host);
        assert_int_equal(request.port, row->port);
        assert_int_equal(request.body, row->body);
        assert_int_equal(request.content_length, row->length);
        assert_int_equal(request.keep_alive, row->keep_alive);
        assert_int_equal(request.expect_continue, row->expect);
        assert_int_equal(request.upgrade, row->upgrade);
    }
}

static void names_what_it_read(void **state)
{
    (void)state;
    take_request("POST http://A.example:8080/b/c?d HTTP/1.1\r\n"
                 "Host: a.EXAMPLE:8080\r\n"
                 "X-Empty:\r\n"
                 "Content-TYPE: \t text/plain; a=b \t\r\n\r\n");
    assert_text(request.method, "POST");
    assert_text(request.target, "http://A.example:8080/b/c?d");
    assert_text(request.scheme, "http");
    assert_text(request.authority, "A.example:8080");
    assert_int_equal(request.fields.count, 3);
    assert_text(request.fields.items[1].name, "X-Empty");
    assert_text(request.fields.items[1].value, "");
    const struct field *type = fields_find(&request.fields, FIELD_CONTENT_TYPE);
    assert_ptr_equal(type, &request.fields.items[2]);
    assert_text(type->name, "Content-TYPE");
    assert_text(type->value, "text/plain; a=b");
}

static bool is_hop(const char *name)
{
    const struct field *field = fields_find_name(&request.fields, text_from_string(name));
    assert_non_null(field);
    return field->hop_by_hop;
}

static void connection_names_fields_that_stay(void **state)
{
    (void)state;
    take_request("GET / HTTP/1.1\r\nHost: a\r\nX-Secret: 1\r\nX-Kept: 2\r\n"
                 "Authorization: b\r\nCookie: c\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=a\r\n"
                 "X-Forwarded-Prefix: /p\r\nX-Weft-Peer: d\r\nVia: e\r\nTraceparent: f\r\n"
                 "Connection: x-secret, Authorization, cookie, X-Forwarded-For, forwarded, te,\r\n"
                 "Connection: x-forwarded-prefix, x-weft-peer, via, traceparent, absent\r\n"
                 "Keep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\n"
                 "Proxy-Connection: close\r\nProxy-Authorization: g\r\nX-Secret: 3\r\n\r\n");
    static const char *const hop[] = { "x-secret", "connection",       "keep-alive",         "te",
                                       "upgrade",  "proxy-connection", "proxy-authorization" };
    static const char *const end_to_end[] = {
        "host",
        "x-kept",
        "authorization",
        "cookie",
        "x-forwarded-for",
        "forwarded",
        "x-forwarded-prefix",
        "x-weft-peer",
        "via",
        "traceparent",
        "trailer",
    };
    for (size_t i = 0; i < sizeof(hop) / sizeof(hop[0]); i++) {
        assert_true(is_hop(hop[i]));
    }
    for (size_t i = 0; i < sizeof(end_to_end) / sizeof(end_to_end[0]); i++) {
        assert_false(is_hop(end_to_end[i]));
    }
    assert_true(request.fields.items[request.fields.count - 1].hop_by_hop);
}

/* An input of `size` bytes with `begin` in front and the rest `fill`. */
static char *filled(const char *begin, char fill, size_t size)
{
    char *input = malloc(size);
    assert_non_null(input);
    memset(input, fill, size);
    memcpy(input, begin, strlen(begin));
    return input;
}

static void check_limit(char *input, size_t size, enum h1_result result, enum h1_reason reason)
{
    struct split_outcome outcome =
        split_check(SPLIT_REQUEST, &h1_default_limits, input, size, size / 16 + 1);
    assert_int_equal(outcome.result, result);
    assert_int_equal(outcome.reason, reason);
    free(input);
}

static void limits_the_request_line(void **state)
{
    (void)state;
    const char *end = " HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t longest = 8192 - strlen(" HTTP/1.1"), tail = strlen(end);
    for (size_t over = 0; over < 3; over++) {
        char *input = filled("GET /", 'a', longest + over + tail);
        memcpy(input + longest + over, end, tail);
        check_limit(input, longest + over + tail, over ? H1_REFUSED : H1_DONE,
                    over ? H1_REQUEST_LINE_TOO_LONG : H1_OK);
    }
    check_limit(filled("GET /", 'a', 8194), 8194, H1_MORE, H1_OK);
    check_limit(filled("GET /", 'a', 8195), 8195, H1_REFUSED, H1_REQUEST_LINE_TOO_LONG);
    assert_int_equal(h1_reason_status(H1_REQUEST_LINE_TOO_LONG), 414);
}

static void limits_the_head(void **state)
{
    (void)state;
    const char *begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ", *end = "\r\n\r\n";
    const size_t line = strlen("GET / HTTP/1.1\r\n");
    for (size_t over = 0; over < 2; over++) {
        size_t size = line + 65536 + 2 + over;
        char *input = filled(begin, 'a', size);
        memcpy(input + size - 4, end, 4);
        struct split_outcome outcome =
            split_check(SPLIT_REQUEST, &h1_default_limits, input, size, 9000);
        assert_int_equal(outcome.result, over ? H1_REFUSED : H1_DONE);
        assert_int_equal(outcome.reason, over ? H1_HEAD_TOO_LARGE : H1_OK);
        free(input);
    }
    assert_int_equal(h1_reason_status(H1_HEAD_TOO_LARGE), 431);
}

static void limits_the_number_of_fields(void **state)
{
    (void)state;
    char input[4096];
    for (size_t count = 99; count <= 101; count++) {
        size_t size = (size_t)snprintf(input, sizeof(input), "GET / HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < count; i++) {
            size += (size_t)snprintf(input + size, sizeof(input) - size, "F%zu: %zu\r\n", i, i);
        }
        size += (size_t)snprintf(input + size, sizeof(input) - size, "\r\n");
        struct split_outcome outcome =
            split_check(SPLIT_REQUEST, &h1_default_limits, input, size, 1);
        assert_int_equal(outcome.result, count <= 100 ? H1_DONE : H1_REFUSED);
        assert_int_equal(outcome.reason, count <= 100 ? H1_OK : H1_TOO_MANY_FIELDS);
    }
    const struct h1_limits few = { .request_line = 30, .head = 100, .fields = 2 };
    const char *two = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    const char *three = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n";
    assert_int_equal(split_check(SPLIT_REQUEST, &few, two, strlen(two), 1).result, H1_DONE);
    assert_int_equal(split_check(SPLIT_REQUEST, &few, three, strlen(three), 1).reason,
                     H1_TOO_MANY_FIELDS);
}

/* A head that drips in is looked at once, and once more when complete: not once for each byte. */
static void dripping_costs_no_more_than_its_bytes(void **state)
{
    (void)state;
    const size_t size = 60000;
    char *input = filled("GET / HTTP/1.1\r\nHost: a\r\n", 'a', size);
    struct h1_head_reader reader;
    h1_head_reader_init(&reader);
    for (size_t fed = 1; fed <= size; fed++) {
        size_t used;
        enum h1_result result =
            h1_read_request(&reader, &h1_default_limits, input, fed, &request, &used);
        assert_int_equal(result, H1_MORE);
        /* What is behind `scanned` is all that a call looks at. */
        assert_true(fed < 25 || fed - reader.section.scanned <= 1);
    }
    free(input);
}

static void leaves_what_follows(void **state)
{
    (void)state;
    size_t size;
    enum h1_reason reason;
    struct text two = TEXT("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(read_request(two, &reason, &size), H1_DONE);
    assert_text(request.path, "/a");
    assert_int_equal(size, two.size / 2);
    assert_int_equal(read_request(text_from(two, size), &reason, &size), H1_DONE);
    assert_text(request.path, "/b");
}

static void reasons_have_words_and_statuses(void **state)
{
    (void)state;
    for (enum h1_reason reason = H1_OK; reason < H1_REASON_COUNT; reason++) {
        assert_non_null(h1_reason_name(reason));
        uint16_t status = h1_reason_status(reason);
        assert_true(status == 400 || status == 414 || status == 417 || status == 431 ||
                    status == 505 || reason == H1_OK);
        for (enum h1_reason other = H1_OK; other < reason; other++) {
            assert_string_not_equal(h1_reason_name(reason), h1_reason_name(other));
        }
    }
    assert_int_equal(h1_reason_status(H1_UNSUPPORTED_VERSION), 505);
    assert_int_equal(h1_reason_status(H1_BAD_EXPECT), 417);
    assert_int_equal(h1_reason_status(H1_TOO_MANY_FIELDS), 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_requests),
        cmocka_unit_test(takes_requests),
        cmocka_unit_test(names_what_it_read),
        cmocka_unit_test(connection_names_fields_that_stay),
        cmocka_unit_test(limits_the_request_line),
        cmocka_unit_test(limits_the_head),
        cmocka_unit_test(limits_the_number_of_fields),
        cmocka_unit_test(dripping_costs_no_more_than_its_bytes),
        cmocka_unit_test(leaves_what_follows),
        cmocka_unit_test(reasons_have_words_and_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
