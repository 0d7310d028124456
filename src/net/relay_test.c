/* The relay between socket pairs: everything arrives, in order, and not a byte more than the
 * limit. */
#include "net/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct error error;

/* feed -> source -> relay -> sink -> drain; feed and drain are the test's own ends. */
struct line {
    struct loop *loop;
    struct transport source, sink;
    int feed, drain;
    struct relay relay;
    int calls;
};

static struct line *line_of_callback;

static void on_line(struct transport *transport)
{
    line_of_callback->calls++;
}

static void set_buffers(int fd, int size)
{
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int open_side(struct line *line, struct transport *transport)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    set_buffers(pair[0], 65536);
    set_buffers(pair[1], 65536);
    transport->on_ready = on_line;
    assert_true(tcp_open(transport, line->loop, pair[0], &error));
    return pair[1];
}

static void open_line(struct line *line)
{
    *line = (struct line){ .loop = loop_new(&error) };
    line_of_callback = line;
    line->feed = open_side(line, &line->source);
    line->drain = open_side(line, &line->sink);
    assert_true(relay_open(&line->relay));
    assert_true(line->relay.capacity >= 16384);
    loop_turn(line->loop, 0);
}

static void close_line(struct line *line)
{
    relay_close(&line->relay);
    relay_close(&line->relay);
    assert_int_equal(line->relay.pipe[0], -1);
    transport_close(&line->source, false);
    transport_close(&line->sink, false);
    close(line->feed);
    close(line->drain);
    loop_free(line->loop);
}

static char pattern(uint64_t at)
{
    return (char)(at * 31 + at / 509);
}

/* Writes what fits; returns the new position. */
static uint64_t feed(struct line *line, uint64_t at, uint64_t until)
{
    char block[4099];
    while (at < until) {
        size_t size = until - at < sizeof(block) ? (size_t)(until - at) : sizeof(block);
        for (size_t i = 0; i < size; i++) {
            block[i] = pattern(at + i);
        }
        ssize_t put = send(line->feed, block, size, MSG_NOSIGNAL);
        if (put <= 0) {
            break;
        }
        at += (size_t)put;
    }
    return at;
}

static uint64_t drain(struct line *line, uint64_t at, size_t most)
{
    char block[4099];
    size_t left = most;
    while (left > 0) {
        size_t size = left < sizeof(block) ? left : sizeof(block);
        ssize_t got = recv(line->drain, block, size, 0);
        if (got <= 0) {
            break;
        }
        for (ssize_t i = 0; i < got; i++) {
            assert_int_equal(block[i], pattern(at + (uint64_t)i));
        }
        at += (size_t)got;
        left -= (size_t)got;
    }
    return at;
}

static void a_slow_sink_gets_everything(void **state)
{
    enum { SIZE = 1024 * 1024 };
    struct line line;
    open_line(&line);
    uint64_t fed = 0, drained = 0;
    int blocked = 0;
    enum relay_result result = RELAY_BLOCKED;
    while (result == RELAY_BLOCKED) {
        if (fed < SIZE) {
            fed = feed(&line, fed, SIZE);
            if (fed == SIZE) {
                shutdown(line.feed, SHUT_WR);
            }
        }
        result = relay_run(&line.relay, &line.source, &line.sink, UINT64_MAX);
        blocked += !line.sink.writable;
        drained = drain(&line, drained, 10000);
        loop_turn(line.loop, 0);
    }
    assert_int_equal(result, RELAY_END);
    assert_int_equal(line.relay.moved, SIZE);
    assert_int_equal(line.relay.held, 0);
    assert_true(blocked > 0);
    while (drained < SIZE) {
        drained = drain(&line, drained, SIZE);
    }
    close_line(&line);
}

static void the_limit_is_exact(void **state)
{
    static const uint64_t limits[] = { 0, 1, 4095, 65536, 65537, 100000 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct line line;
        open_line(&line);
        uint64_t fed = 0, drained = 0;
        enum relay_result result = RELAY_BLOCKED;
        while (result == RELAY_BLOCKED) {
            fed = feed(&line, fed, limits[i] + 1000); /* what follows belongs to somebody else */
            loop_turn(line.loop, 0);
            result = relay_run(&line.relay, &line.source, &line.sink, limits[i]);
            drained = drain(&line, drained, SIZE_MAX);
        }
        assert_int_equal(result, RELAY_DONE);
        assert_int_equal(line.relay.moved, limits[i]);
        drained = drain(&line, drained, SIZE_MAX);
        assert_int_equal(drained, limits[i]);

        fed = feed(&line, fed, limits[i] + 1000);
        assert_int_equal(fed, limits[i] + 1000);
        char next;
        size_t size;
        line.source.readable = true;
        assert_int_equal(transport_read(&line.source, &next, 1, &size), IO_OK);
        assert_int_equal(next, pattern(limits[i]));
        close_line(&line);
    }
}

static void an_end_before_the_limit_is_an_end(void **state)
{
    struct line line;
    open_line(&line);
    assert_int_equal(feed(&line, 0, 500), 500);
    loop_turn(line.loop, 0);
    assert_int_equal(relay_run(&line.relay, &line.source, &line.sink, 1000), RELAY_BLOCKED);
    assert_false(line.source.readable);
    shutdown(line.feed, SHUT_WR);
    loop_turn(line.loop, 0);
    assert_int_equal(relay_run(&line.relay, &line.source, &line.sink, 1000), RELAY_END);
    assert_int_equal(line.relay.moved, 500);
    close_line(&line);
}

static void a_sink_that_is_gone_fails(void **state)
{
    struct line line;
    open_line(&line);
    assert_int_equal(feed(&line, 0, 500), 500);
    close(line.drain);
    loop_turn(line.loop, 0);
    enum relay_result result = relay_run(&line.relay, &line.source, &line.sink, UINT64_MAX);
    assert_int_equal(result, RELAY_SINK_FAILED);
    assert_int_equal(line.sink.failure, EPIPE);
    assert_int_equal(line.relay.held, 500);
    int lost = line.relay.pipe[0];
    relay_close(&line.relay); /* with bytes in it: not for the pool */
    assert_int_equal(fcntl(lost, F_GETFD), -1);
    line.drain = dup(line.feed);
    close_line(&line);
}

static void a_source_that_resets_fails(void **state)
{
    struct line line;
    size_t size;
    open_line(&line);
    struct iovec part = { (void *)"unread", 6 };
    assert_int_equal(transport_write(&line.source, &part, 1, &size), IO_OK);
    close(line.feed); /* with unread bytes: a reset, for unix sockets too */
    loop_turn(line.loop, 0);
    enum relay_result result = relay_run(&line.relay, &line.source, &line.sink, UINT64_MAX);
    assert_int_equal(result, RELAY_SOURCE_FAILED);
    assert_int_equal(line.source.failure, ECONNRESET);
    line.feed = dup(line.drain);
    close_line(&line);
}

static void *drain_all(void *argument)
{
    struct line *line = argument;
    char block[65536];
    fcntl(line->drain, F_SETFL, 0);
    while (recv(line->drain, block, sizeof(block), 0) > 0) {
    }
    return NULL;
}

static void *feed_all(void *argument)
{
    struct line *line = argument;
    static char block[65536];
    fcntl(line->feed, F_SETFL, 0);
    for (int i = 0; i < 128; i++) {
        assert_int_equal(send(line->feed, block, sizeof(block), MSG_NOSIGNAL), sizeof(block));
    }
    shutdown(line->feed, SHUT_WR);
    return NULL;
}

/* Both ends as fast as they can: no call moves more than its share, and on_ready carries on. */
static void a_fast_stream_gives_way(void **state)
{
    struct line line;
    pthread_t feeder, drainer;
    open_line(&line);
    pthread_create(&feeder, NULL, feed_all, &line);
    pthread_create(&drainer, NULL, drain_all, &line);
    enum relay_result result = RELAY_BLOCKED;
    while (result == RELAY_BLOCKED) {
        uint64_t before = line.relay.moved;
        line.calls = 0;
        for (int turns = 0; line.calls == 0 && turns < 10000; turns++) {
            loop_turn(line.loop, 2000); /* an event may bring no news */
        }
        assert_true(line.calls > 0);
        result = relay_run(&line.relay, &line.source, &line.sink, UINT64_MAX);
        assert_true(line.relay.moved - before < 1024 * 1024 + line.relay.capacity);
    }
    assert_int_equal(result, RELAY_END);
    assert_int_equal(line.relay.moved, 128 * 65536);
    shutdown(line.sink.watch.fd, SHUT_WR);
    pthread_join(feeder, NULL);
    pthread_join(drainer, NULL);
    close_line(&line);
}

static void pipes_are_used_again(void **state)
{
    struct relay first, second;
    assert_true(relay_open(&first));
    int pipe = first.pipe[0];
    relay_close(&first);
    assert_true(relay_open(&second));
    assert_int_equal(second.pipe[0], pipe);
    assert_int_equal(second.moved, 0);
    relay_close(&second);
}

static void the_pool_has_an_end(void **state)
{
    enum { COUNT = 100 };
    struct relay relays[COUNT];
    int open = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(relay_open(&relays[i]));
    }
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = relays[i].pipe[0];
        relay_close(&relays[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        open += fcntl(fds[i], F_GETFD) >= 0;
    }
    assert_int_equal(open, 64);
}

static void *use_pool(void *argument)
{
    struct relay relay;
    assert_true(relay_open(&relay));
    *(int *)argument = relay.pipe[0];
    relay_close(&relay);
    assert_true(fcntl(*(int *)argument, F_GETFD) >= 0);
    return NULL;
}

static void a_thread_that_ends_closes_its_pipes(void **state)
{
    pthread_t thread;
    int fd;
    pthread_create(&thread, NULL, use_pool, &fd);
    pthread_join(thread, NULL);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void *open_without_descriptors(void *argument)
{
    struct relay relay;
    struct rlimit limit, none = { 0, 0 };
    getrlimit(RLIMIT_NOFILE, &limit);
    none.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    bool opened = relay_open(&relay);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_false(opened);
    relay_close(&relay);
    return NULL;
}

static void without_descriptors_there_is_no_relay(void **state)
{
    pthread_t thread; /* one with an empty pool */
    pthread_create(&thread, NULL, open_without_descriptors, NULL);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_sink_gets_everything),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(an_end_before_the_limit_is_an_end),
        cmocka_unit_test(a_sink_that_is_gone_fails),
        cmocka_unit_test(a_source_that_resets_fails),
        cmocka_unit_test(a_fast_stream_gives_way),
        cmocka_unit_test(pipes_are_used_again),
        cmocka_unit_test(the_pool_has_an_end),
        cmocka_unit_test(a_thread_that_ends_closes_its_pipes),
        cmocka_unit_test(without_descriptors_there_is_no_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
