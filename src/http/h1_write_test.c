/* Writers: bytes as they should be, nothing past the end, framing never copied, and what is written
 * is what the readers take. */
#include "http/h1_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char room[512];

static struct h1_writer begin(size_t size)
{
    assert_true(size <= sizeof(room));
    memset(room, '#', sizeof(room));
    return (struct h1_writer) { .at = room, .end = room + size };
}

static void check(const struct h1_writer *writer, const char *expected)
{
    assert_false(writer->overflow);
    assert_int_equal(writer->at - room, strlen(expected));
    assert_memory_equal(room, expected, strlen(expected));
    assert_int_equal(*writer->at, '#');
}

static void writes_lines(void **state)
{
    (void)state;
    struct h1_writer writer = begin(sizeof(room));
    h1_write_request_line(&writer, TEXT("PURGE"), TEXT("/a?b"));
    h1_write_field(&writer, TEXT("Host"), TEXT("a"));
    h1_write_field(&writer, TEXT("X"), text_of(NULL, 0));
    h1_write_framing(&writer, BODY_LENGTH, UINT64_MAX);
    h1_write_end(&writer);
    check(&writer, "PURGE /a?b HTTP/1.1\r\nHost: a\r\nX: \r\n"
                   "Content-Length: 18446744073709551615\r\n\r\n");
    writer = begin(sizeof(room));
    h1_write_status_line(&writer, 200, text_of(NULL, 0));
    h1_write_status_line(&writer, 404, TEXT("Gone fishing"));
    h1_write_status_line(&writer, 599, text_of(NULL, 0));
    h1_write_framing(&writer, BODY_CHUNKED, 7);
    h1_write_framing(&writer, BODY_NONE, 7);
    h1_write_framing(&writer, BODY_UNTIL_CLOSE, 7);
    check(&writer, "HTTP/1.1 200 OK\r\nHTTP/1.1 404 Gone fishing\r\nHTTP/1.1 599 \r\n"
                   "Transfer-Encoding: chunked\r\n");
}

static void writes_numbers(void **state)
{
    (void)state;
    static const uint64_t values[] = { 0, 1, 9, 10, 99, 100, 4294967296, UINT64_MAX };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)values[i]);
        struct h1_writer writer = begin(sizeof(room));
        h1_write_u64(&writer, values[i]);
        check(&writer, expected);
    }
}

static void writes_chunk_heads(void **state)
{
    (void)state;
    char out[H1_CHUNK_HEAD_MAX], expected[32];
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t size = (1ull << shift) + (uint64_t)off;
            int length = snprintf(expected, sizeof(expected), "%llx\r\n", (unsigned long long)size);
            assert_int_equal(h1_format_chunk_head(out, size), length);
            assert_memory_equal(out, expected, (size_t)length);
        }
    }
    assert_int_equal(h1_format_chunk_head(out, 0), 3);
    assert_memory_equal(out, "0\r\n", 3);
    assert_int_equal(h1_format_chunk_head(out, UINT64_MAX), 18);
}

/* Every room from none to enough: what is written is a prefix in whole pieces, never a byte more.
 */
static void never_writes_past_the_end(void **state)
{
    (void)state;
    const char *whole = "HTTP/1.1 204 No Content\r\nA: b\r\nContent-Length: 12\r\n\r\n";
    for (size_t size = 0; size <= strlen(whole); size++) {
        struct h1_writer writer = begin(size);
        h1_write_status_line(&writer, 204, text_of(NULL, 0));
        h1_write_field(&writer, TEXT("A"), TEXT("b"));
        h1_write_framing(&writer, BODY_LENGTH, 12);
        h1_write_end(&writer);
        assert_int_equal(writer.overflow, size < strlen(whole));
        size_t written = (size_t)(writer.at - room);
        assert_true(written <= size);
        assert_memory_equal(room, whole, written);
        assert_true(written == 0 || room[written - 1] == '\n');
        for (size_t i = written; i < sizeof(room); i++) {
            assert_int_equal(room[i], '#');
        }
    }
    struct h1_writer short_of_one = begin(17);
    h1_write_request_line(&short_of_one, TEXT("GET"), TEXT("/ab"));
    assert_true(short_of_one.overflow);
    assert_ptr_equal(short_of_one.at, room);
    /* Overflow stays: a short text behind a long one must not slip in. */
    struct h1_writer writer = begin(4);
    h1_write_text(&writer, TEXT("too long"));
    h1_write_text(&writer, TEXT("x"));
    assert_true(writer.overflow);
    assert_ptr_equal(writer.at, room);
}

static void leaves_out_what_is_of_one_hop(void **state)
{
    (void)state;
    const struct text input = TEXT("POST / HTTP/1.1\r\nHost: a\r\nConnection: x-b, keep-alive\r\n"
                                   "X-A: 1\r\nX-B: 2\r\nContent-Length: 3\r\nTE: trailers\r\n"
                                   "Upgrade: h2c\r\nKeep-Alive: 5\r\nCookie: c\r\n\r\n");
    static struct request_head head;
    struct h1_head_reader reader;
    size_t size;
    h1_head_reader_init(&reader);
    assert_int_equal(
        h1_read_request(&reader, &h1_default_limits, input.at, input.size, &head, &size), H1_DONE);
    struct h1_writer writer = begin(sizeof(room));
    h1_write_fields(&writer, &head.fields);
    check(&writer, "Host: a\r\nX-A: 1\r\nCookie: c\r\n");
    /* Upgrade, were it not marked, is framing all the same. */
    for (size_t i = 0; i < head.fields.count; i++) {
        head.fields.items[i].hop_by_hop = false;
    }
    writer = begin(sizeof(room));
    h1_write_fields(&writer, &head.fields);
    check(&writer, "Host: a\r\nX-A: 1\r\nX-B: 2\r\nTE: trailers\r\nCookie: c\r\n");
}

static void written_heads_are_read(void **state)
{
    (void)state;
    static struct response_head head;
    for (uint16_t status = 100; status < 600; status++) {
        struct h1_head_reader reader;
        size_t size;
        struct h1_writer writer = begin(sizeof(room));
        h1_write_status_line(&writer, status, text_of(NULL, 0));
        h1_write_framing(&writer, BODY_LENGTH, 0);
        h1_write_end(&writer);
        h1_head_reader_init(&reader);
        assert_int_equal(h1_read_response(&reader, &h1_default_limits, METHOD_GET, room,
                                          (size_t)(writer.at - room), &head, &size),
                         H1_DONE);
        assert_int_equal(head.status, status);
        assert_true(text_equal(head.reason, h1_status_phrase(status)));
    }
}

static void knows_phrases(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *phrase;
    } rows[] = {
        { 100, "Continue" },
        { 200, "OK" },
        { 206, "Partial Content" },
        { 304, "Not Modified" },
        { 306, "" },
        { 418, "" },
        { 421, "Misdirected Request" },
        { 431, "Request Header Fields Too Large" },
        { 503, "Service Unavailable" },
        { 511, "Network Authentication Required" },
        { 0, "" },
        { 999, "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(text_equal(h1_status_phrase(rows[i].status), text_from_string(rows[i].phrase)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_lines),
        cmocka_unit_test(writes_numbers),
        cmocka_unit_test(writes_chunk_heads),
        cmocka_unit_test(never_writes_past_the_end),
        cmocka_unit_test(leaves_out_what_is_of_one_hop),
        cmocka_unit_test(written_heads_are_read),
        cmocka_unit_test(knows_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
