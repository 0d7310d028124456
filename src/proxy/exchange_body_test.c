/* Bodies both ways: every framing at every cut, trailers, early answers, back-pressure with bounded
 * memory, slow peers, and long bodies that go through splice(2). */
#include "sim/proxy_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_END "\r\n\r\n"
#define LONG     ((size_t)8 * 1024 * 1024)

static struct bed bed;
static struct peer client, backend;

static void open_with(const struct bed_setup *setup)
{
    bed_open(&bed, setup);
    bed_pair(&bed, &client, &backend);
}

/* Both hear all of it, and the connections are still good. */
static void finish_good(void)
{
    peer_hear_nothing(&client);
    peer_hear_nothing(&backend);
    bed_must_be_idle(&bed);
}

static void hear_chunks(struct peer *peer, char *body, size_t room)
{
    size_t size = 0;
    for (unsigned long left; (left = strtoul(peer_hear(peer, "\r\n"), NULL, 16));) {
        assert_true(size + left < room);
        memcpy(body + size, peer_hear_bytes(peer, left).at, left);
        size += left;
        peer_hear_exactly(peer, "\r\n");
    }
    body[size] = '\0';
}

static void requests_in_any_pieces(void **state)
{
    static const struct {
        const char *bytes, *body;
    } cases[] = {
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world", "hello world" },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
          "hello world" },
    };
    open_with(&(struct bed_setup) { 0 });
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(cases[i].bytes);
        for (size_t cut = 1; cut < size; cut++) {
            peer_say_bytes(&client, text_of(cases[i].bytes, cut));
            peer_say(&client, cases[i].bytes + cut);
            const char *head = peer_hear(&backend, HEAD_END);
            assert_memory_equal(head, "POST / HTTP/1.1\r\n", 17);
            if (i == 0) {
                assert_non_null(strstr(head, "Content-Length: 11\r\n"));
                peer_hear_exactly(&backend, cases[i].body);
            } else {
                char body[64];
                hear_chunks(&backend, body, sizeof(body));
                peer_hear_exactly(&backend, "\r\n");
                assert_string_equal(body, cases[i].body);
            }
            peer_say(&backend, OK);
            peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
            finish_good();
        }
    }
    bed_end(&bed, &client, &backend);
}

static void responses_in_any_pieces(void **state)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n6\r\n "
        "world\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"
        "b\r\nhello world\r\n0\r\ngrpc-status: 3\r\nx-sum: 1\r\n\r\n",
    };
    open_with(&(struct bed_setup) { 0 });
    for (size_t i = 0; i < 3; i++) {
        for (size_t cut = 1; cut < strlen(replies[i]); cut++) {
            char body[64];
            peer_say(&client, GET);
            peer_hear(&backend, HEAD_END);
            peer_say_bytes(&backend, text_of(replies[i], cut));
            peer_say(&backend, replies[i] + cut);
            peer_hear(&client, HEAD_END);
            if (i == 0) {
                peer_hear_exactly(&client, "hello world");
            } else {
                hear_chunks(&client, body, sizeof(body));
                assert_string_equal(body, "hello world");
                peer_hear_exactly(&client, i == 1 ? "\r\n" : "grpc-status: 3\r\nx-sum: 1\r\n\r\n");
            }
            finish_good();
        }
    }
    bed_end(&bed, &client, &backend);
}

static void trailers_of_requests_go_on(void **state)
{
    static const char request[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "2\r\nab\r\n0\r\nx-sum: 1\r\nx-other: 2\r\n\r\n";
    open_with(&(struct bed_setup) { 0 });
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        peer_say_bytes(&client, text_of(request, cut));
        peer_say(&client, request + cut);
        peer_hear(&backend, HEAD_END);
        peer_hear(&backend, "0\r\n");
        peer_hear_exactly(&backend, "x-sum: 1\r\nx-other: 2\r\n\r\n");
        peer_say(&backend, OK);
        peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
        finish_good();
    }
    bed_end(&bed, &client, &backend);
}

/* The answer is delivered, and neither connection serves again: the rest of the body is in the way.
 */
static void an_early_answer_ends_both(void **state)
{
    open_with(&(struct bed_setup) { 0 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome");
    peer_hear(&backend, HEAD_END);
    peer_hear_exactly(&backend, "some");
    peer_say(&backend, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    peer_hear_message(&client, "HTTP/1.1 413 Content Too Large\r\n", "no");
    peer_hear_end(&client);
    peer_hear_end(&backend);
    bed_end(&bed, &client, &backend);
}

static void malformed_bodies_are_refused(void **state)
{
    open_with(&(struct bed_setup) { .body_bytes = 10 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    peer_hear(&backend, HEAD_END);
    peer_say(&client, "loX\r\n");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 400 ", 13);
    peer_hear(&client, "\n");
    peer_hear_end(&client);
    peer_close(&client);
    peer_close(&backend);
    client_open(&bed, &client);
    peer_say(&client,
             "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, "hello\r\n");
    peer_say(&client, "6\r\n world\r\n");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 413 ", 13);
    peer_hear(&client, "\n");
    peer_close(&client);
    client_open(&bed, &client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 413 ", 13);
    peer_hear(&client, "\n");
    bed_end(&bed, &client, &backend);
}

static void malformed_responses_are_cut(void **state)
{
    open_with(&(struct bed_setup) { 0 });
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "2\r\nab\r\n");
    peer_say(&backend, "zz\r\n");
    peer_hear_reset(&client);
    assert_non_null(strstr(bed_log(&bed), "upstream_bad_response"));
    peer_close(&client);
    peer_close(&backend);
    client_open(&bed, &client);
    peer_say(&client, GET);
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 502 ", 13);
    peer_hear(&client, "\n");
    bed_end(&bed, &client, &backend);
}

/* Bytes that tell where they belong. */
static char *make_long(size_t size)
{
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)('a' + (i / 997 + i) % 26);
    }
    bytes[size] = '\0';
    return bytes;
}

static void hear_long(struct peer *peer, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t piece = size < 100000 ? size : 100000;
        struct text heard = peer_hear_bytes(peer, piece);
        assert_memory_equal(heard.at, bytes, piece);
        bytes += piece;
        size -= piece;
        if (peer->start > 1000000) {
            memmove(peer->bytes, peer->bytes + peer->start, peer->size - peer->start);
            peer->size -= peer->start;
            peer->start = 0;
        }
    }
}

/* Says as much as is taken without the other side reading; how much that was. */
static size_t fill_up(struct peer *peer, const char *bytes, size_t size)
{
    size_t said = 0, before;
    do {
        before = said;
        said += peer_say_some(peer, text_of(bytes + said, size - said));
        bed_settle(&bed);
        said += peer_say_some(peer, text_of(bytes + said, size - said));
        bed_wait(&bed, 2);
    } while (said != before);
    return said;
}

static void memory_is_bounded(unsigned large)
{
    assert_true(bed.worker->chunks.live <= 2);
    assert_true(bed.worker->large_chunks.live <= large);
    assert_int_equal(bed.worker->exchanges.live, 1);
}

static void hear_slowly(struct peer *from, struct peer *to, const char *bytes, size_t said,
                        size_t size)
{
    size_t heard = 0;
    while (heard < size) {
        size_t piece = size - heard < 100000 ? size - heard : 100000;
        struct text got = peer_hear_bytes(to, piece);
        assert_memory_equal(got.at, bytes + heard, piece);
        heard += piece;
        said += peer_say_some(from, text_of(bytes + said, size - said));
        memmove(to->bytes, to->bytes + to->start, to->size - to->start);
        to->size -= to->start;
        to->start = 0;
    }
}

static void a_slow_backend_stops_the_client(void **state)
{
    char *bytes = make_long(LONG);
    char head[100];
    open_with(&(struct bed_setup) { .small_buffers = 8192 });
    snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", LONG);
    peer_say(&client, head);
    size_t said = fill_up(&client, bytes, LONG);
    assert_true(said < LONG);
    memory_is_bounded(2);
    peer_hear(&backend, HEAD_END);
    hear_slowly(&client, &backend, bytes, said, LONG);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    finish_good();
    free(bytes);
    bed_end(&bed, &client, &backend);
}

static void open_slow_reader(const struct bed_setup *setup)
{
    bed_open(&bed, setup);
    client_open_small(&bed, &client, 8192);
    peer_say(&client, GET);
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, HEAD_END);
}

static void a_slow_client_stops_the_backend(bool chunked)
{
    char *bytes = make_long(LONG);
    char head[100];
    open_slow_reader(&(struct bed_setup) { 0 });
    if (chunked) {
        peer_say(&backend, "HTTP/1.1 200 OK\r\n\r\n");
    } else {
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", LONG);
        peer_say(&backend, head);
    }
    size_t said = fill_up(&backend, bytes, LONG);
    assert_true(said < LONG);
    memory_is_bounded(1);
    peer_hear(&client, HEAD_END);
    if (!chunked) {
        assert_true(bed.worker->large_chunks.live == 0);
        hear_slowly(&backend, &client, bytes, said, LONG);
        finish_good();
    } else {
        peer_reset(&client);
        bed_must_be_idle(&bed);
        peer_hear_gone(&backend);
        client_open(&bed, &client);
    }
    free(bytes);
    bed_end(&bed, &client, &backend);
}

static void a_slow_client_stops_splicing(void **state)
{
    a_slow_client_stops_the_backend(false);
}

static void a_slow_client_stops_copying(void **state)
{
    a_slow_client_stops_the_backend(true);
}

/* Chunks of the backend's own sizes, larger than any buffer, arrive whole. */
static void long_chunks_arrive_whole(void **state)
{
    char *bytes = make_long(1000000), *got = malloc(1000001);
    char line[32];
    open_with(&(struct bed_setup) { 0 });
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, size = 1; at < 1000000; at += size, size = size * 3 + 1) {
        size = size < 1000000 - at ? size : 1000000 - at;
        snprintf(line, sizeof(line), "%zx\r\n", size);
        peer_say(&backend, line);
        peer_say_bytes(&backend, text_of(bytes + at, size));
        peer_say(&backend, "\r\n");
    }
    peer_say(&backend, "0\r\n\r\n");
    peer_hear(&client, HEAD_END);
    hear_chunks(&client, got, 1000001);
    peer_hear_exactly(&client, "\r\n");
    assert_memory_equal(got, bytes, 1000000);
    finish_good();
    free(bytes);
    free(got);
    bed_end(&bed, &client, &backend);
}

/* The connection is fit for the next request after a body went through a pipe. */
static void spliced_bodies_keep_the_connection(void **state)
{
    char *bytes = make_long(LONG);
    char head[100];
    open_with(&(struct bed_setup) { 0 });
    for (int i = 0; i < 3; i++) {
        size_t size = LONG - (size_t)i * 12345;
        peer_say(&client, GET);
        peer_hear(&backend, HEAD_END);
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
        peer_say(&backend, head);
        size_t said = fill_up(&backend, bytes, size);
        peer_hear(&client, HEAD_END);
        hear_slowly(&backend, &client, bytes, said, size);
        finish_good();
    }
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    peer_say_bytes(&backend, text_of(bytes, 500000));
    peer_hear(&client, HEAD_END);
    hear_long(&client, bytes, 500000);
    peer_close(&backend); /* cut in the middle */
    peer_hear_reset(&client);
    assert_non_null(strstr(bed_log(&bed), "upstream_ended"));
    free(bytes);
    peer_close(&client);
    bed_close(&bed);
}

static void slow_bodies_are_ended(void **state)
{
    open_with(&(struct bed_setup) { .body_stall_timeout_ms = 60 });
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nab");
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 408 ", 13);
    peer_hear(&client, "\n");
    assert_non_null(strstr(bed_log(&bed), "body_timeout"));
    bed_end(&bed, &client, &backend);
}

/* Whether the body goes through a pipe, is or is copied. */
static void slow_readers_are_ended(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n",
    };
    char *bytes = make_long(LONG);
    for (size_t i = 0; i < 2; i++) {
        open_slow_reader(&(struct bed_setup) { .body_stall_timeout_ms = 60 });
        peer_say(&backend, heads[i]);
        fill_up(&backend, bytes, LONG);
        bed_wait(&bed, 250);
        bed_must_be_idle(&bed);
        assert_non_null(strstr(bed_log(&bed), "slow_reader"));
        peer_hear_gone(&backend);
        bed_end(&bed, &client, &backend);
    }
    free(bytes);
}

/* A request whose head takes 50 KB, with the body behind it. */
static size_t write_large_request(char *out, size_t room, const char *body, size_t body_size)
{
    size_t size = (size_t)snprintf(
        out, room, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n", body_size);
    for (int i = 0; i < 10; i++) {
        size += (size_t)snprintf(out + size, room - size, "x-long-%d: %05000d\r\n", i, i);
    }
    size += (size_t)snprintf(out + size, room - size, "\r\n%s", body);
    return size;
}

/* A head and a body that together exceed the largest buffer go out all the same. */
static void a_large_head_with_a_body_behind_it(void **state)
{
    char *request = malloc(200000);
    char *body = make_long(100000);
    size_t size = write_large_request(request, 200000, body, 100000);
    open_with(&(struct bed_setup) { .small_buffers = 4096 });
    peer_say_bytes(&client, text_of(request, 20000));
    size_t said = 20000 + fill_up(&client, request + 20000, size - 20000);
    peer_hear(&backend, HEAD_END);
    hear_slowly(&client, &backend, body, 100000 - (size - said), 100000);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    finish_good();
    free(request);
    free(body);
    bed_end(&bed, &client, &backend);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_in_any_pieces),
    cmocka_unit_test(responses_in_any_pieces),
    cmocka_unit_test(trailers_of_requests_go_on),
    cmocka_unit_test(an_early_answer_ends_both),
    cmocka_unit_test(malformed_bodies_are_refused),
    cmocka_unit_test(malformed_responses_are_cut),
    cmocka_unit_test(a_slow_backend_stops_the_client),
    cmocka_unit_test(a_slow_client_stops_splicing),
    cmocka_unit_test(a_slow_client_stops_copying),
    cmocka_unit_test(long_chunks_arrive_whole),
    cmocka_unit_test(spliced_bodies_keep_the_connection),
    cmocka_unit_test(slow_bodies_are_ended),
    cmocka_unit_test(slow_readers_are_ended),
    cmocka_unit_test(a_large_head_with_a_body_behind_it),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
