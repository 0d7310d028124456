/* Bodies and trailers: payload, framing and refusals at every cut, limits, ends of streams. */
#include "http/h1_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Decodes at once and collects the payload; limits are the defaults. */
static struct split_outcome decode(struct text input, char *into, size_t room, size_t *out_size)
{
    struct h1_body body;
    h1_body_init(&body, BODY_CHUNKED, 0);
    size_t used = 0, size = 0;
    enum h1_result result = H1_MORE;
    while (result == H1_MORE && used < input.size && !h1_body_in_trailers(&body)) {
        struct text data;
        size_t piece;
        result = h1_body_read(&body, input.at + used, input.size - used, &data, &piece);
        assert_true(size + data.size <= room);
        memcpy(into + size, data.at, data.size);
        size += data.size;
        used += piece;
    }
    *out_size = size;
    return (struct split_outcome) { .result = result, .reason = body.reason, .size = used };
}

struct chunked {
    struct text input;
    const char *payload;
    size_t rest; /* bytes behind the body */
};

#define CHUNKED(input, payload, rest)                                                              \
    {                                                                                              \
        TEXT_STATIC(input), payload, rest                                                          \
    }

static const struct chunked chunked_rows[] = {
    CHUNKED("0\r\n\r\n", "", 0),
    CHUNKED("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
    CHUNKED("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world", 3),
    CHUNKED("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0),
    CHUNKED("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0),
    CHUNKED("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", "x", 0),
    CHUNKED("1;a\r\nx\r\n0;b=c\r\n\r\n", "x", 0),
    CHUNKED("1;a=b;c;d=\"e f\\\"\\\\\t;\"\r\nx\r\n0\r\n\r\n", "x", 0),
    CHUNKED("1;a=\"\"\r\nx\r\n0;q=\"\x80\";r\r\n\r\n", "x", 0),
    CHUNKED("1\r\nx\r\n0\r\nX-T: a\r\nGrpc-Status: 0\r\n\r\n\r\n", "x", 2),
};

static void takes_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(chunked_rows) / sizeof(chunked_rows[0]); i++) {
        const struct chunked *row = &chunked_rows[i];
        char payload[64];
        size_t size;
        struct split_outcome outcome =
            split_check(SPLIT_CHUNKED, &h1_default_limits, row->input.at, row->input.size, 1);
        if (outcome.result != H1_DONE || outcome.size + row->rest != row->input.size) {
            fail_msg("row %zu: %s after %zu", i, h1_reason_name(outcome.reason), outcome.size);
        }
        decode(row->input, payload, sizeof(payload), &size);
        assert_int_equal(size, strlen(row->payload));
        assert_memory_equal(payload, row->payload, size);
    }
}

#define REFUSED(input, reason)                                                                     \
    {                                                                                              \
        TEXT_STATIC(input), reason                                                                 \
    }
#define SIZE(line, reason)                                                                         \
    {                                                                                              \
        TEXT_STATIC(line "x\r\n0\r\n\r\n"), reason                                                 \
    }
#define TRAILER(line, reason)                                                                      \
    {                                                                                              \
        TEXT_STATIC("0\r\nX: y\r\n" line "\r\n"), reason                                           \
    }

static const struct split_refused refused_rows[] = {
    SIZE("\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("g\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("-1\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("+1\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("0x1\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1g\r\n", H1_BAD_CHUNK_SIZE),
    SIZE(" 1\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1 \r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1\t\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1 ;a\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1,1\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1_0\r\n", H1_BAD_CHUNK_SIZE),
    SIZE(";a\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1\0\r\n", H1_NUL_BYTE),
    SIZE("\0"
         "1\r\n",
         H1_NUL_BYTE),
    SIZE("00000000000000001\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("10000000000000000\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("10000000000000001\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("8000000000000000\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("ffffffffffffffff\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("fffffffffffffffff\r\n", H1_BAD_CHUNK_SIZE),
    SIZE("1\n", H1_BAD_LINE_END),
    SIZE("\n1\r\n", H1_BAD_LINE_END),
    SIZE("1\r", H1_BAD_LINE_END),
    SIZE("1\r\r\n", H1_BAD_LINE_END),
    SIZE("1;a\n", H1_BAD_LINE_END),
    SIZE("1;a=\n", H1_BAD_LINE_END),
    SIZE("1;a=\"b\n\"\r\n", H1_BAD_LINE_END),
    SIZE("1;a\rb\r\n", H1_BAD_LINE_END),
    SIZE("1;a=\"b\r\n\"\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;;a\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1; a\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a =b\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a= b\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a=\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a==b\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;=b\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a=\"b\"c\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a=\"b\x01\"\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a=\"\\\x7f\"\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a\x80\r\n", H1_BAD_CHUNK_EXTENSION),
    SIZE("1;a\0\r\n", H1_NUL_BYTE),
    REFUSED("1\r\nxx\r\n0\r\n\r\n", H1_BAD_CHUNK_END),
    REFUSED("1\r\nx\n0\r\n\r\n", H1_BAD_CHUNK_END),
    REFUSED("1\r\nx\r0\r\n\r\n", H1_BAD_CHUNK_END),
    REFUSED("1\r\nx0\r\n\r\n", H1_BAD_CHUNK_END),
    REFUSED("1\r\nx\r\n\r\n", H1_BAD_CHUNK_SIZE),
    TRAILER("Content-Length: 5\r\n", H1_BAD_TRAILER),
    TRAILER("Transfer-Encoding: chunked\r\n", H1_BAD_TRAILER),
    TRAILER("Host: a\r\n", H1_BAD_TRAILER),
    TRAILER("Authorization: a\r\n", H1_BAD_TRAILER),
    TRAILER("content-type: a\r\n", H1_BAD_TRAILER),
    TRAILER("Content-Encoding: a\r\n", H1_BAD_TRAILER),
    TRAILER("Trailer: a\r\n", H1_BAD_TRAILER),
    TRAILER("Set-Cookie: a\r\n", H1_BAD_TRAILER),
    TRAILER("Connection: close\r\n", H1_BAD_TRAILER),
    TRAILER("X-Forwarded-For: a\r\n", H1_BAD_TRAILER),
    TRAILER("A : b\r\n", H1_SPACE_BEFORE_COLON),
    TRAILER(" b\r\n", H1_OBS_FOLD),
    TRAILER("A\r\n", H1_BAD_FIELD_NAME),
    TRAILER("A: b\n", H1_BAD_LINE_END),
    TRAILER("A: \0\r\n", H1_NUL_BYTE),
    TRAILER("\n", H1_BAD_LINE_END),
    REFUSED("0\r\n\n", H1_BAD_LINE_END),
    REFUSED("0\r\n\rx", H1_BAD_LINE_END),
};

static void refuses_chunks(void **state)
{
    (void)state;
    enum h1_reason reason;
    size_t count = sizeof(refused_rows) / sizeof(refused_rows[0]);
    size_t row = split_check_refused(SPLIT_CHUNKED, refused_rows, count, &reason);
    if (row < count) {
        fail_msg("row %zu: %s, not %s: %.*s", row, h1_reason_name(reason),
                 h1_reason_name(refused_rows[row].reason), TEXT_ARG(refused_rows[row].input));
    }
}

static void takes_the_largest_size(void **state)
{
    (void)state;
    struct h1_body body;
    struct text data;
    size_t used;
    h1_body_init(&body, BODY_CHUNKED, 0);
    struct text input = TEXT("7fffffffffffffff\r\nxy");
    assert_int_equal(h1_body_read(&body, input.at, input.size, &data, &used), H1_MORE);
    assert_int_equal(used, input.size);
    assert_int_equal(data.size, 2);
    assert_true(h1_body_run(&body) == INT64_MAX - 2);
}

/* A size line of `size` bytes in all before its CRLF. */
static struct split_outcome with_line(size_t size)
{
    char input[512];
    memset(input, 'a', sizeof(input));
    memcpy(input, "1;", 2);
    memcpy(input + size, "\r\nx\r\n0\r\n\r\n", 10);
    return split_check(SPLIT_CHUNKED, &h1_default_limits, input, size + 10, 1);
}

static void limits_size_lines(void **state)
{
    (void)state;
    assert_int_equal(with_line(256).result, H1_DONE);
    assert_int_equal(with_line(257).reason, H1_BAD_CHUNK_EXTENSION);
    assert_int_equal(with_line(300).reason, H1_BAD_CHUNK_EXTENSION);
}

/* Many small extensions are as much as one large. */
static void limits_extensions_of_a_message(void **state)
{
    (void)state;
    char line[300], into[8];
    struct h1_body body;
    h1_body_init(&body, BODY_CHUNKED, 0);
    int size = snprintf(line, sizeof(line), "1;%0200d\r\nx\r\n", 0);
    size_t chunks = 0;
    enum h1_result result = H1_MORE;
    while (result == H1_MORE && chunks < 1000) {
        for (size_t at = 0; at < (size_t)size && result == H1_MORE;) {
            struct text data;
            size_t used;
            result = h1_body_read(&body, line + at, (size_t)size - at, &data, &used);
            memcpy(into, data.at, data.size);
            at += used;
        }
        chunks++;
    }
    assert_int_equal(result, H1_REFUSED);
    assert_int_equal(body.reason, H1_BAD_CHUNK_EXTENSION);
    assert_in_range(chunks, 80, 83);
}

static void limits_trailers(void **state)
{
    (void)state;
    char input[4096] = "0\r\n";
    size_t size = 3;
    for (size_t i = 0; i < 101; i++) {
        size += (size_t)snprintf(input + size, sizeof(input) - size, "T%zu: a\r\n", i);
    }
    size += (size_t)snprintf(input + size, sizeof(input) - size, "\r\n");
    assert_int_equal(split_check(SPLIT_CHUNKED, &h1_default_limits, input, size, 1).reason,
                     H1_TOO_MANY_FIELDS);
    const struct h1_limits small = { .request_line = 100, .head = 8, .fields = 100 };
    const char *fits = "0\r\nA: bcd\r\n\r\n", *exceeds = "0\r\nA: bcde\r\n\r\n";
    assert_int_equal(split_check(SPLIT_CHUNKED, &small, fits, strlen(fits), 1).result, H1_DONE);
    assert_int_equal(split_check(SPLIT_CHUNKED, &small, exceeds, strlen(exceeds), 1).reason,
                     H1_HEAD_TOO_LARGE);
}

static void returns_trailers(void **state)
{
    (void)state;
    struct h1_body body;
    struct text data, input = TEXT("0\r\nX-Sum: 5\r\n\r\nrest");
    size_t used, size;
    static struct fields fields;
    h1_body_init(&body, BODY_CHUNKED, 0);
    assert_false(h1_body_in_trailers(&body));
    assert_int_equal(h1_body_read(&body, input.at, input.size, &data, &used), H1_MORE);
    assert_int_equal(used, 3);
    assert_true(h1_body_in_trailers(&body));
    assert_false(body.done);
    /* Nothing more is taken as a chunk. */
    assert_int_equal(h1_body_read(&body, input.at + 3, input.size - 3, &data, &size), H1_MORE);
    assert_int_equal(size, 0);
    assert_int_equal(
        h1_read_trailers(&body, &h1_default_limits, input.at + 3, input.size - 3, &fields, &size),
        H1_DONE);
    assert_int_equal(size, input.size - 3 - 4);
    assert_int_equal(fields.count, 1);
    assert_true(text_equal(fields.items[0].name, TEXT("X-Sum")));
    assert_true(text_equal(fields.items[0].value, TEXT("5")));
    assert_true(body.done);
    assert_int_equal(h1_body_read(&body, input.at, input.size, &data, &used), H1_DONE);
    assert_int_equal(used, 0);
}

static void reads_a_length(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= 5; cut++) {
        struct h1_body body;
        struct text data;
        size_t used;
        h1_body_init(&body, BODY_LENGTH, 5);
        assert_int_equal(h1_body_read(&body, "helloGET", cut, &data, &used), H1_MORE);
        assert_int_equal(used, cut);
        assert_int_equal(data.size, cut);
        assert_int_equal(h1_body_run(&body), 5 - cut);
        if (!body.done) {
            assert_int_equal(h1_body_read(&body, &"helloGET"[cut], 8 - cut, &data, &used), H1_MORE);
            assert_int_equal(used, 5 - cut);
            assert_memory_equal(data.at, &"hello"[cut], 5 - cut);
        }
        assert_true(body.done);
        assert_int_equal(h1_body_read(&body, "GET", 3, &data, &used), H1_DONE);
        assert_int_equal(used, 0);
        assert_int_equal(data.size, 0);
    }
}

static void knows_empty_bodies(void **state)
{
    (void)state;
    struct h1_body body;
    struct text data;
    size_t used;
    h1_body_init(&body, BODY_NONE, 0);
    assert_true(body.done);
    assert_int_equal(h1_body_read(&body, "x", 1, &data, &used), H1_DONE);
    assert_int_equal(used, 0);
    h1_body_init(&body, BODY_LENGTH, 0);
    assert_true(body.done);
    assert_int_equal(h1_body_run(&body), 0);
    assert_true(h1_body_end(&body));
}

static void ends_with_the_stream_only_when_that_is_the_framing(void **state)
{
    (void)state;
    struct h1_body body;
    struct text data;
    size_t used;
    h1_body_init(&body, BODY_UNTIL_CLOSE, 0);
    assert_true(h1_body_run(&body) == UINT64_MAX);
    assert_int_equal(h1_body_read(&body, "abc", 3, &data, &used), H1_MORE);
    assert_int_equal(data.size, 3);
    h1_body_advance(&body, 1000);
    assert_false(body.done);
    assert_true(h1_body_end(&body));
    assert_true(body.done);
    h1_body_init(&body, BODY_LENGTH, 3);
    assert_int_equal(h1_body_read(&body, "ab", 2, &data, &used), H1_MORE);
    assert_false(h1_body_end(&body));
    /* Chunks: cut anywhere, also right before the last CRLF. */
    const char *whole = "1\r\nx\r\n0\r\n\r\n";
    for (size_t cut = 0; cut < strlen(whole); cut++) {
        struct split_body split = { .limits = &h1_default_limits, .input = whole };
        h1_body_init(&split.body, BODY_CHUNKED, 0);
        assert_false(split_body_feed(&split, cut));
        assert_false(h1_body_end(&split.body));
    }
}

static void moves_payload_unseen(void **state)
{
    (void)state;
    struct h1_body body;
    struct text data;
    size_t used;
    h1_body_init(&body, BODY_CHUNKED, 0);
    assert_int_equal(h1_body_run(&body), 0);
    assert_int_equal(h1_body_read(&body, "ff\r\n", 4, &data, &used), H1_MORE);
    assert_int_equal(h1_body_run(&body), 255);
    h1_body_advance(&body, 200);
    assert_int_equal(h1_body_run(&body), 55);
    h1_body_advance(&body, 55);
    assert_int_equal(h1_body_run(&body), 0);
    assert_int_equal(h1_body_read(&body, "\r\n0\r\n", 5, &data, &used), H1_MORE);
    assert_int_equal(used, 5);
    assert_true(h1_body_in_trailers(&body));
    h1_body_init(&body, BODY_LENGTH, 10);
    h1_body_advance(&body, 10);
    assert_true(body.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_chunks),
        cmocka_unit_test(refuses_chunks),
        cmocka_unit_test(takes_the_largest_size),
        cmocka_unit_test(limits_size_lines),
        cmocka_unit_test(limits_extensions_of_a_message),
        cmocka_unit_test(limits_trailers),
        cmocka_unit_test(returns_trailers),
        cmocka_unit_test(reads_a_length),
        cmocka_unit_test(knows_empty_bodies),
        cmocka_unit_test(ends_with_the_stream_only_when_that_is_the_framing),
        cmocka_unit_test(moves_payload_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
