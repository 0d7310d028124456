/* The access-log line: keys, absence, cutting, and room on the ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/record.h"

#include <stdlib.h>

static struct access_record full_record(void)
{
    return (struct access_record){
        .start_wall_us = INT64_C(1767323045678901),
        .total_us = 12345,
        .upstream_us = 12000,
        .weft_us = 345,
        .method = TEXT("GET"),
        .scheme = TEXT("http"),
        .host = TEXT("shop.example"),
        .path = TEXT("/cart"),
        .query = TEXT("a=1"),
        .user_agent = TEXT("curl/7.88.1"),
        .referer = TEXT("http://shop.example/"),
        .protocol = TEXT("HTTP/1.1"),
        .request_id = TEXT("7b0e"),
        .trace_id = TEXT("4bf92f3577b34da6a3ce929d0e0e4736"),
        .span_id = TEXT("00f067aa0ba902b7"),
        .status = 503,
        .upstream_status = 500,
        .attempts = 2,
        .worker = 1,
        .reason = TEXT("upstream_connect_refused"),
        .flag = TEXT("UF"),
        .listener = TEXT("Gateway/default/edge/http"),
        .route = TEXT("HTTPRoute/default/cart/0/0"),
        .rule = TEXT("main"),
        .backend = TEXT("Service/default/cart/8080"),
        .endpoint = TEXT("10.0.0.7:8080"),
        .client = TEXT("192.0.2.1"),
        .peer = TEXT("192.0.2.1:40000"),
        .generation = 3,
        .request_head_bytes = 120,
        .request_body_bytes = 0,
        .response_head_bytes = 200,
        .response_body_bytes = 1024,
        .tls_version = TEXT("TLSv1.3"),
        .tls_cipher = TEXT("TLS_AES_128_GCM_SHA256"),
        .tls_peer = TEXT("spiffe://example/ns/a"),
    };
}

static const char full_line[] =
    "{\"time\":\"2026-01-02T03:04:05.678Z\",\"request_id\":\"7b0e\",\"client\":\"192.0.2.1\","
    "\"peer\":\"192.0.2.1:40000\",\"listener\":\"Gateway/default/edge/http\",\"method\":\"GET\","
    "\"scheme\":\"http\",\"host\":\"shop.example\",\"path\":\"/cart\",\"query\":\"a=1\","
    "\"protocol\":\"HTTP/1.1\",\"user_agent\":\"curl/7.88.1\",\"referer\":\"http://shop.example/\","
    "\"status\":503,\"upstream_status\":500,\"reason\":\"upstream_connect_refused\",\"flag\":"
    "\"UF\","
    "\"route\":\"HTTPRoute/default/cart/0/0\",\"rule\":\"main\","
    "\"backend\":\"Service/default/cart/8080\",\"endpoint\":\"10.0.0.7:8080\",\"attempts\":2,"
    "\"total_ms\":12.345,\"weft_ms\":0.345,\"upstream_ms\":12.000,\"request_head_bytes\":120,"
    "\"request_body_bytes\":0,\"response_head_bytes\":200,\"response_body_bytes\":1024,"
    "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"span_id\":\"00f067aa0ba902b7\","
    "\"tls_version\":\"TLSv1.3\",\"tls_cipher\":\"TLS_AES_128_GCM_SHA256\","
    "\"tls_peer\":\"spiffe://example/ns/a\",\"worker\":1,\"generation\":3}\n";

static void assert_line(const struct access_record *record, const char *expected)
{
    char out[8192];
    size_t size = record_format_json(record, out, sizeof(out));
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(out, expected, size);
}

static void writes_every_key(void **state)
{
    struct access_record record = full_record();
    assert_line(&record, full_line);
}

static void leaves_out_what_is_absent(void **state)
{
    struct access_record record = { 0 };
    assert_line(
        &record,
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"status\":0,\"attempts\":0,\"total_ms\":0.000,"
        "\"weft_ms\":0.000,\"upstream_ms\":0.000,\"request_head_bytes\":0,"
        "\"request_body_bytes\":0,\"response_head_bytes\":0,\"response_body_bytes\":0,"
        "\"worker\":0,\"generation\":0}\n");
}

static void the_cached_second_is_never_stale(void **state)
{
    static const struct {
        int64_t wall_us;
        const char *time;
    } cases[] = {
        { 1767323045678901, "2026-01-02T03:04:05.678Z" },
        { 1767323045009000, "2026-01-02T03:04:05.009Z" },
        { 1767323045999999, "2026-01-02T03:04:05.999Z" },
        { 1767323046000000, "2026-01-02T03:04:06.000Z" },
        { 1767323045123000, "2026-01-02T03:04:05.123Z" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct access_record record = { .start_wall_us = cases[i].wall_us };
        char out[1024];
        assert_true(record_format_json(&record, out, sizeof(out)) > 0);
        assert_memory_equal(out + strlen("{\"time\":\""), cases[i].time, 24);
    }
}

static void long_texts_are_cut_and_marked(void **state)
{
    char big[60000];
    memset(big, 'p', sizeof(big));
    struct access_record record = { .path = text_of(big, sizeof(big)) };
    char *out = malloc(RECORD_LINE_MAX);
    size_t size = record_format_json(&record, out, RECORD_LINE_MAX);
    assert_true(size > RECORD_TEXT_MAX && size < RECORD_TEXT_MAX + 512);
    assert_memory_equal(out + size - 19, ",\"truncated\":true}\n", 19);
    record.path.size = RECORD_TEXT_MAX;
    size = record_format_json(&record, out, RECORD_LINE_MAX);
    assert_memory_equal(out + size - 18, "0,\"generation\":0}\n", 18);
    free(out);
}

/* Every text as long and as bad to escape as can be. */
static void the_largest_line_always_fits(void **state)
{
    char big[RECORD_TEXT_MAX];
    memset(big, 1, sizeof(big));
    struct text t = text_of(big, sizeof(big));
    struct access_record record = full_record();
    struct text *texts[] = { &record.method,     &record.scheme,   &record.host,
                             &record.path,       &record.query,    &record.user_agent,
                             &record.referer,    &record.protocol, &record.request_id,
                             &record.trace_id,   &record.span_id,  &record.reason,
                             &record.flag,       &record.listener, &record.route,
                             &record.rule,       &record.backend,  &record.endpoint,
                             &record.client,     &record.peer,     &record.tls_version,
                             &record.tls_cipher, &record.tls_peer };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = t;
    }
    char *out = malloc(RECORD_LINE_MAX);
    assert_int_equal(record_format_json(&record, out, RECORD_LINE_MAX - 1), 0);
    size_t size = record_format_json(&record, out, RECORD_LINE_MAX);
    assert_true(size > 0);
    assert_int_equal(out[size - 1], '\n');
    free(out);
}

static void lines_go_onto_the_ring_or_are_counted(void **state)
{
    struct ring *ring = ring_new(64 * 1024);
    struct access_record record = full_record();
    record_put_json(&record, ring);
    struct text span = ring_peek(ring);
    assert_int_equal(span.size, sizeof(full_line) - 1);
    assert_memory_equal(span.at, full_line, span.size);
    char big[RECORD_TEXT_MAX];
    memset(big, 'x', sizeof(big));
    record.path = record.query = record.referer = text_of(big, sizeof(big)); /* the second try */
    record_put_json(&record, ring);
    assert_true(ring_peek(ring).size > sizeof(full_line) + 3 * sizeof(big));
    for (int i = 0; i < 200; i++) {
        record_put_json(&record, ring);
    }
    assert_int_equal(ring_records(ring) + ring_dropped(ring), 202);
    assert_true(ring_dropped(ring) > 150);
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_every_key),
        cmocka_unit_test(leaves_out_what_is_absent),
        cmocka_unit_test(the_cached_second_is_never_stale),
        cmocka_unit_test(long_texts_are_cut_and_marked),
        cmocka_unit_test(the_largest_line_always_fits),
        cmocka_unit_test(lines_go_onto_the_ring_or_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
