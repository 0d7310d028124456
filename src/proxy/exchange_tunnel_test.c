/* After 101: tunnels both ways, half-closed and silent ones; and mirrors of requests, whatever
 * becomes of them. */
#include "sim/proxy_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_END "\r\n\r\n"
#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                 \
    "Sec-WebSocket-Key: x\r\n\r\n"
#define SWITCHING                                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

#define HINT_AND_OK "HTTP/1.1 103 Early Hints\r\n\r\n" OK

static struct bed bed;
static struct peer client, backend, copy;

static void open_tunnel(const struct bed_setup *setup, const char *request, const char *reply)
{
    bed_open(&bed, setup);
    client_open(&bed, &client);
    peer_say(&client, request);
    backend_accept(&bed, 0, &backend);
    const char *head = peer_hear(&backend, HEAD_END);
    assert_non_null(strstr(head, "connection: upgrade\r\n"));
    assert_non_null(strstr(head, "upgrade: websocket\r\n"));
    peer_say(&backend, reply);
    head = peer_hear(&client, HEAD_END);
    assert_memory_equal(head, "HTTP/1.1 101 ", 13);
    assert_non_null(strstr(head, "upgrade: websocket\r\n"));
}

static void bytes_flow_both_ways(void **state)
{
    open_tunnel(&(struct bed_setup) { 0 }, UPGRADE "early", SWITCHING "first");
    peer_hear_exactly(&client, "first");
    peer_hear_exactly(&backend, "early");
    peer_say(&client, "ping");
    peer_hear_exactly(&backend, "ping");
    peer_say(&backend, "pong");
    peer_hear_exactly(&client, "pong");
    bed_end(&bed, &client, &backend);
}

static void either_side_may_end_first(void **state)
{
    open_tunnel(&(struct bed_setup) { 0 }, UPGRADE, SWITCHING);
    peer_say(&client, "last");
    peer_end(&client);
    peer_hear_exactly(&backend, "last");
    peer_hear_end(&backend);
    peer_say(&backend, "still");
    peer_hear_exactly(&client, "still");
    peer_end(&backend);
    peer_hear_end(&client);
    bed_must_be_idle(&bed);
    bed_end(&bed, &client, &backend);

    open_tunnel(&(struct bed_setup) { 0 }, UPGRADE, SWITCHING);
    peer_say(&backend, "last");
    peer_end(&backend);
    peer_hear_exactly(&client, "last");
    peer_hear_end(&client);
    peer_say(&client, "still");
    peer_hear_exactly(&backend, "still");
    peer_end(&client);
    peer_hear_end(&backend);
    bed_must_be_idle(&bed);
    bed_end(&bed, &client, &backend);
}

static void an_end_of_both_at_once(void **state)
{
    open_tunnel(&(struct bed_setup) { 0 }, UPGRADE, SWITCHING);
    peer_say(&backend, "bye");
    peer_close(&backend);
    peer_hear_exactly(&client, "bye");
    peer_hear_end(&client);
    peer_say(&client, "into the void");
    peer_say(&client, "again");
    bed_must_be_idle(&bed);
    peer_close(&client);
    bed_close(&bed);
    open_tunnel(&(struct bed_setup) { 0 }, UPGRADE, SWITCHING);
    peer_reset(&client);
    peer_hear_gone(&backend);
    peer_close(&backend);
    bed_close(&bed);
}

static void half_a_tunnel_ends_when_silent(void **state)
{
    open_tunnel(&(struct bed_setup) { .stream_idle_timeout_ms = 60 }, UPGRADE, SWITCHING);
    bed_wait(&bed, 150); /* a whole one may be silent for longer */
    peer_say(&client, "ping");
    peer_hear_exactly(&backend, "ping");
    peer_end(&client);
    peer_hear_end(&backend);
    peer_hear_gone(&client);
    assert_non_null(strstr(bed_log(&bed), "tunnel_idle"));
    bed_end(&bed, &client, &backend);
}

static void a_slow_side_stops_the_other(void **state)
{
    size_t size = (size_t)24 * 1024 * 1024, said = 0, heard = 0;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(i / 251 + i);
    }
    open_tunnel(&(struct bed_setup) { .small_buffers = 8192 }, UPGRADE, SWITCHING);
    for (size_t before = 1; said != before;) {
        before = said;
        said += peer_say_some(&client, text_of(bytes + said, size - said));
        bed_wait(&bed, 3);
    }
    assert_true(said < size);
    assert_true(bed.worker->large_chunks.live + bed.worker->chunks.live <= 3);
    while (heard < size) {
        size_t piece = size - heard < 50000 ? size - heard : 50000;
        assert_memory_equal(peer_hear_bytes(&backend, piece).at, bytes + heard, piece);
        heard += piece;
        said += peer_say_some(&client, text_of(bytes + said, size - said));
    }
    free(bytes);
    bed_end(&bed, &client, &backend);
}

static void an_upgrade_may_be_declined_or_unasked(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    peer_say(&client, UPGRADE);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, SWITCHING);
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 502 ", 13);
    assert_non_null(strstr(bed_log(&bed), "upstream_unasked_upgrade"));
    bed_end(&bed, &client, &backend);
}

/* ---- mirrors ---- */

static void exchange_with_copy(const char *request, const char *body, const char *reply)
{
    peer_say(&client, request);
    if (backend.bed == NULL) {
        backend_accept(&bed, 0, &backend);
    }
    peer_hear_message(&backend, "POST / ", body);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    if (reply) {
        if (copy.bed == NULL) {
            backend_accept(&bed, MIRROR_BACKEND, &copy);
        }
        peer_hear_message(&copy, "POST / ", body);
        peer_say(&copy, reply);
    }
    bed_must_be_idle(&bed);
}

static void mirrors_get_the_same(void **state)
{
    static const char *const replies[] = {
        OK,
        HINT_AND_OK,
        "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    };
    bed_open(&bed, &(struct bed_setup) { .mirror_percent = 100 });
    client_open(&bed, &client);
    backend = copy = (struct peer) { 0 };
    for (size_t i = 0; i < 4; i++) {
        exchange_with_copy("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", "body",
                           replies[i]);
        exchange_with_copy("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "4\r\nbody\r\n0\r\n\r\n",
                           "4\r\nbody\r\n0\r\n\r\n", replies[i]);
    }
    assert_false(backend_is_asked(&bed, MIRROR_BACKEND)); /* one connection for all */
    peer_close(&copy);
    bed_end(&bed, &client, &backend);
}

static void a_share_is_mirrored(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .mirror_percent = 50 });
    client_open(&bed, &client);
    unsigned count = 0;
    for (int i = 0; i < 200; i++) {
        peer_say(&client, GET);
        if (i == 0) {
            backend_accept(&bed, 0, &backend);
        }
        peer_hear(&backend, HEAD_END);
        peer_say(&backend, OK);
        peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
        while (backend_is_asked(&bed, MIRROR_BACKEND)) {
            backend_accept(&bed, MIRROR_BACKEND, &copy);
            peer_reset(&copy);
            count++;
        }
    }
    assert_in_range(count, 60, 140);
    bed_end(&bed, &client, &backend);
}

static void a_dead_mirror_harms_nobody(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .mirror_percent = 100, .dead = 1 << MIRROR_BACKEND });
    bed_pair(&bed, &client, &backend);
    bed_end(&bed, &client, &backend);
    bed_open(&bed, &(struct bed_setup) { .mirror_percent = 100 });
    client_open(&bed, &client);
    peer_say(&client, GET);
    backend_accept(&bed, 0, &backend);
    backend_accept(&bed, MIRROR_BACKEND, &copy);
    peer_say(&copy, "garbage\r\n\r\n");
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    peer_close(&copy);
    bed_end(&bed, &client, &backend);
}

static void a_mirror_that_lags_is_given_up(void **state)
{
    size_t size = 16000000;
    char *bytes = malloc(size), head[100];
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    bed_open(&bed, &(struct bed_setup) { .mirror_percent = 100, .small_buffers = 8192 });
    client_open(&bed, &client);
    snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
    peer_say(&client, head);
    backend_accept(&bed, 0, &backend);
    backend_accept(&bed, MIRROR_BACKEND, &copy);
    peer_hear(&backend, HEAD_END);
    for (size_t said = 0, heard = 0; heard < size;) {
        said += peer_say_some(&client, text_of(bytes + said, size - said));
        size_t piece = size - heard < 20000 ? size - heard : 20000;
        piece = piece < said - heard ? piece : said - heard;
        heard += peer_hear_bytes(&backend, piece).size;
    }
    assert_int_equal(bed.worker->mirrors.live, 0);
    peer_say(&backend, OK);
    peer_hear_message(&client, "HTTP/1.1 200 OK\r\n", "ok");
    free(bytes);
    peer_close(&copy);
    bed_end(&bed, &client, &backend);
}

static void a_mirror_goes_with_its_exchange(void **state)
{
    bed_open(&bed, &(struct bed_setup) { .mirror_percent = 100 });
    client_open(&bed, &client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo");
    backend_accept(&bed, 0, &backend);
    backend_accept(&bed, MIRROR_BACKEND, &copy);
    peer_close(&client);
    bed_must_be_idle(&bed);
    peer_hear(&copy, HEAD_END "bo");
    peer_hear_end(&copy);
    peer_close(&copy);
    peer_close(&backend);
    bed_close(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_flow_both_ways),
    cmocka_unit_test(either_side_may_end_first),
    cmocka_unit_test(an_end_of_both_at_once),
    cmocka_unit_test(half_a_tunnel_ends_when_silent),
    cmocka_unit_test(a_slow_side_stops_the_other),
    cmocka_unit_test(an_upgrade_may_be_declined_or_unasked),
    cmocka_unit_test(mirrors_get_the_same),
    cmocka_unit_test(a_share_is_mirrored),
    cmocka_unit_test(a_dead_mirror_harms_nobody),
    cmocka_unit_test(a_mirror_that_lags_is_given_up),
    cmocka_unit_test(a_mirror_goes_with_its_exchange),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
