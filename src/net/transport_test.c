/* TCP and memory transports behave alike: the same cases run over a loopback connection and over a
 * pair in memory. Connecting is TCP's alone. */
#include "net/transport.h"

#include "base/clock.h"
#include "net/listener.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMORY_CAPACITY 4096

static struct error error;

struct side {
    struct transport transport;
    int calls;
};

struct pair {
    struct loop *loop;
    struct side a, b;
};

static void on_side(struct transport *transport)
{
    list_owner(transport, struct side, transport)->calls++;
}

static struct address loopback(uint16_t port)
{
    struct address address;
    assert_true(address_parse_ip(TEXT("127.0.0.1"), &address));
    address.port = port;
    return address;
}

static struct address bound_address(int fd)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    struct address address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
    assert_true(address_from_sockaddr(&bound, &address));
    return address;
}

static int listen_on(struct address *address)
{
    int reason;
    *address = loopback(0);
    int fd = listen_tcp(address, false, false, &reason, &error);
    assert_true(fd >= 0);
    *address = bound_address(fd);
    return fd;
}

static void turn_until(struct loop *loop, bool (*holds)(struct pair *), struct pair *pair)
{
    uint64_t give_up_ns = clock_now_ns() + 3000000000u;
    while (!holds(pair)) {
        assert_true(clock_now_ns() < give_up_ns);
        loop_turn(loop, 10);
    }
}

static bool a_connected(struct pair *pair)
{
    return !pair->a.transport.connecting;
}

static void open_tcp_pair(struct pair *pair)
{
    struct address address;
    int listening = listen_on(&address);
    assert_true(tcp_connect(&pair->a.transport, pair->loop, &address, &error));
    int fd = -1;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) < 0) {
        loop_turn(pair->loop, 1);
    }
    assert_true(tcp_open(&pair->b.transport, pair->loop, fd, &error));
    turn_until(pair->loop, a_connected, pair);
    assert_int_equal(pair->a.transport.failure, 0);
    close(listening);
}

static void open_pair(struct pair *pair, bool memory)
{
    *pair = (struct pair){ .loop = loop_new(&error) };
    pair->a.transport.on_ready = pair->b.transport.on_ready = on_side;
    if (memory) {
        memory_open(&pair->a.transport, &pair->b.transport, pair->loop, MEMORY_CAPACITY);
    } else {
        open_tcp_pair(pair);
    }
    loop_turn(pair->loop, 0);
    pair->a.calls = pair->b.calls = 0;
}

static void close_pair(struct pair *pair)
{
    transport_close(&pair->a.transport, false);
    transport_close(&pair->b.transport, false);
    loop_free(pair->loop);
}

static enum io put(struct side *side, struct text t, size_t *out_size)
{
    struct iovec part = { (void *)t.at, t.size };
    return transport_write(&side->transport, &part, 1, out_size);
}

static bool b_readable(struct pair *pair)
{
    return pair->b.transport.readable;
}

static bool b_hung_up(struct pair *pair)
{
    return pair->b.transport.hung_up;
}

static void bytes_pass_and_readable_follows(bool memory)
{
    struct pair pair;
    size_t size;
    char into[16];
    open_pair(&pair, memory);
    assert_false(pair.b.transport.readable);
    assert_true(pair.a.transport.writable && pair.b.transport.writable);
    struct iovec parts[] = { { (void *)"he", 2 }, { (void *)"l", 1 }, { (void *)"lo!!", 4 } };
    assert_int_equal(transport_write(&pair.a.transport, parts, 3, &size), IO_OK);
    assert_int_equal(size, 7);
    assert_int_equal(pair.b.calls, 0); /* never from within a call */
    turn_until(pair.loop, b_readable, &pair);
    assert_int_equal(pair.b.calls, 1);

    assert_int_equal(transport_read(&pair.b.transport, into, 4, &size), IO_OK);
    assert_int_equal(size, 4);
    assert_true(pair.b.transport.readable); /* a full read says nothing */
    assert_int_equal(transport_read(&pair.b.transport, into + 4, 12, &size), IO_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(into, "hello!!", 7);
    assert_false(pair.b.transport.readable); /* a short one does */
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_AGAIN);
    assert_int_equal(size, 0);

    assert_int_equal(put(&pair.a, TEXT("x"), &size), IO_OK); /* and the next edge comes */
    turn_until(pair.loop, b_readable, &pair);
    assert_int_equal(pair.b.calls, 2);
    assert_int_equal(put(&pair.a, TEXT("y"), &size), IO_OK); /* nothing new to one who knows */
    for (int i = 0; i < 3; i++) {
        loop_turn(pair.loop, 1);
    }
    assert_int_equal(pair.b.calls, 2);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_OK);
    assert_int_equal(size, 2);
    close_pair(&pair);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

/* Writes from a until a blocks; returns what went. */
static size_t write_until_blocked(struct pair *pair, size_t from, size_t until)
{
    static char block[1000];
    size_t total = from;
    while (total < until && pair->a.transport.writable) {
        size_t size = until - total < sizeof(block) ? until - total : sizeof(block);
        size_t put_size;
        for (size_t i = 0; i < size; i++) {
            block[i] = (char)pattern(total + i);
        }
        enum io io = put(&pair->a, text_of(block, size), &put_size);
        assert_true(io == IO_OK || (io == IO_AGAIN && put_size == 0));
        assert_true(io == IO_OK || !pair->a.transport.writable);
        total += put_size;
    }
    return total;
}

static size_t read_until_blocked(struct pair *pair, size_t from)
{
    char block[777];
    size_t size;
    while (pair->b.transport.readable &&
           transport_read(&pair->b.transport, block, sizeof(block), &size) == IO_OK) {
        for (size_t i = 0; i < size; i++) {
            assert_int_equal((uint8_t)block[i], pattern(from + i));
        }
        from += size;
    }
    return from;
}

static void a_full_peer_holds_the_writer_back(bool memory)
{
    enum { SIZE = 16 * 1024 * 1024 };
    size_t until = memory ? SIZE / 16 : SIZE;
    struct pair pair;
    open_pair(&pair, memory);
    size_t written = write_until_blocked(&pair, 0, until);
    assert_in_range(written, 1, until - 1);
    assert_false(pair.a.transport.writable);
    for (int i = 0; i < 3; i++) {
        loop_turn(pair.loop, 1);
    }
    assert_true(!memory || !pair.a.transport.writable); /* nobody has read */
    size_t got = 0;
    int blocked = 0;
    while (got < until) {
        got = read_until_blocked(&pair, got);
        written = write_until_blocked(&pair, written, until);
        blocked += !pair.a.transport.writable;
        loop_turn(pair.loop, got < until ? 10 : 0);
    }
    assert_int_equal(got, until);
    assert_true(blocked > 0 && pair.a.calls > 0);
    close_pair(&pair);
}

static void one_direction_ends_before_the_other(bool memory)
{
    struct pair pair;
    size_t size;
    char into[16];
    open_pair(&pair, memory);
    assert_int_equal(put(&pair.a, TEXT("last"), &size), IO_OK);
    transport_shutdown(&pair.a.transport);
    turn_until(pair.loop, b_hung_up, &pair);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_OK);
    assert_int_equal(size, 4);
    assert_true(pair.b.transport.readable); /* short, but the end is still to be read */
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_END);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_END);

    assert_int_equal(put(&pair.b, TEXT("answer"), &size), IO_OK);
    while (!pair.a.transport.readable) {
        loop_turn(pair.loop, 10);
    }
    assert_int_equal(transport_read(&pair.a.transport, into, 16, &size), IO_OK);
    assert_int_equal(size, 6);
    assert_int_equal(put(&pair.a, TEXT("x"), &size), IO_FAILED);
    assert_int_equal(pair.a.transport.failure, EPIPE);
    close_pair(&pair);
}

static void the_end_after_a_short_read_is_a_new_edge(bool memory)
{
    struct pair pair;
    size_t size;
    char into[16];
    open_pair(&pair, memory);
    assert_int_equal(put(&pair.a, TEXT("data"), &size), IO_OK);
    turn_until(pair.loop, b_readable, &pair);
    transport_shutdown(&pair.a.transport); /* not yet told when b reads */
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_OK);
    assert_false(pair.b.transport.readable);
    turn_until(pair.loop, b_readable, &pair);
    assert_true(pair.b.transport.hung_up);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_END);
    close_pair(&pair);
}

static void a_reset_is_told(bool memory)
{
    struct pair pair;
    size_t size;
    char into[16];
    open_pair(&pair, memory);
    transport_close(&pair.a.transport, true);
    turn_until(pair.loop, b_hung_up, &pair);
    assert_true(pair.b.transport.readable);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_FAILED);
    assert_int_equal(pair.b.transport.failure, ECONNRESET);
    assert_int_equal(put(&pair.b, TEXT("x"), &size), IO_FAILED);
    close_pair(&pair);
}

static void closing_with_unread_bytes_resets(bool memory)
{
    struct pair pair;
    size_t size;
    char into[16];
    open_pair(&pair, memory);
    assert_int_equal(put(&pair.b, TEXT("unread"), &size), IO_OK);
    while (!pair.a.transport.readable) {
        loop_turn(pair.loop, 10);
    }
    transport_close(&pair.a.transport, false);
    turn_until(pair.loop, b_hung_up, &pair);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_FAILED);
    assert_int_equal(pair.b.transport.failure, ECONNRESET);
    close_pair(&pair);
}

static void an_orderly_close_is_an_end(bool memory)
{
    struct pair pair;
    size_t size;
    char into[16];
    open_pair(&pair, memory);
    assert_int_equal(put(&pair.a, TEXT("bye"), &size), IO_OK);
    transport_close(&pair.a.transport, false);
    transport_close(&pair.a.transport, false); /* harmless */
    turn_until(pair.loop, b_hung_up, &pair);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_OK);
    assert_int_equal(size, 3);
    assert_int_equal(transport_read(&pair.b.transport, into, 16, &size), IO_END);
    close_pair(&pair);
}

static void over_both(void (*test)(bool memory))
{
    test(false);
    test(true);
}

static void bytes_pass(void **state)
{
    over_both(bytes_pass_and_readable_follows);
}

static void back_pressure(void **state)
{
    over_both(a_full_peer_holds_the_writer_back);
}

static void half_close(void **state)
{
    over_both(one_direction_ends_before_the_other);
}

static void late_end(void **state)
{
    over_both(the_end_after_a_short_read_is_a_new_edge);
}

static void reset(void **state)
{
    over_both(a_reset_is_told);
}

static void close_unread(void **state)
{
    over_both(closing_with_unread_bytes_resets);
}

static void orderly_close(void **state)
{
    over_both(an_orderly_close_is_an_end);
}

static void a_refused_connect_tells_why(void **state)
{
    struct pair pair = { .loop = loop_new(&error) };
    struct address address;
    int listening = listen_on(&address);
    close(listening);
    pair.a.transport.on_ready = on_side;
    if (tcp_connect(&pair.a.transport, pair.loop, &address, &error)) {
        assert_true(pair.a.transport.connecting);
        assert_false(pair.a.transport.writable);
        turn_until(pair.loop, a_connected, &pair);
        assert_int_equal(pair.a.calls, 1);
    } else {
        assert_non_null(strstr(error.text, "cannot connect to 127.0.0.1:"));
    }
    assert_int_equal(pair.a.transport.failure, ECONNREFUSED);
    transport_close(&pair.a.transport, false);
    loop_free(pair.loop);
}

static void an_unreachable_address_fails_at_once(void **state)
{
    struct pair pair = { .loop = loop_new(&error) };
    struct address address = loopback(80);
    memset(address.ip + 12, 255, 4); /* TCP to a broadcast address */
    pair.a.transport.on_ready = on_side;
    assert_false(tcp_connect(&pair.a.transport, pair.loop, &address, &error));
    assert_int_not_equal(pair.a.transport.failure, 0);
    assert_non_null(strstr(error.text, "255.255.255.255:80"));
    transport_close(&pair.a.transport, false); /* nothing to close, and harmless */
    loop_free(pair.loop);
}

static void a_connection_can_be_closed_while_connecting(void **state)
{
    struct pair pair = { .loop = loop_new(&error) };
    struct address address;
    int listening = listen_on(&address);
    pair.a.transport.on_ready = on_side;
    assert_true(tcp_connect(&pair.a.transport, pair.loop, &address, &error));
    transport_close(&pair.a.transport, true);
    loop_turn(pair.loop, 5);
    assert_int_equal(pair.a.calls, 0);
    close(listening);
    loop_free(pair.loop);
}

static void only_tcp_has_a_descriptor(void **state)
{
    struct pair pair;
    open_pair(&pair, true);
    assert_int_equal(pair.a.transport.type->descriptor(&pair.a.transport), -1);
    assert_int_equal(pair.a.transport.watch.fd, -1);
    close_pair(&pair);
    open_pair(&pair, false);
    assert_true(pair.a.transport.type->descriptor(&pair.a.transport) >= 0);
    close_pair(&pair);
}

static struct pair *closing_pair;

static void close_both(struct transport *transport)
{
    transport_close(&closing_pair->a.transport, false);
    transport_close(&closing_pair->b.transport, false);
}

static void both_ends_may_close_within_a_callback(void **state)
{
    for (int memory = 0; memory <= 1; memory++) {
        struct pair pair;
        size_t size;
        open_pair(&pair, memory);
        closing_pair = &pair;
        pair.a.transport.on_ready = pair.b.transport.on_ready = close_both;
        assert_int_equal(put(&pair.a, TEXT("x"), &size), IO_OK);
        assert_int_equal(put(&pair.b, TEXT("x"), &size), IO_OK);
        loop_turn(pair.loop, 50);
        loop_turn(pair.loop, 0);
        assert_int_equal(pair.a.transport.watch.fd, -1);
        loop_free(pair.loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass),
        cmocka_unit_test(back_pressure),
        cmocka_unit_test(half_close),
        cmocka_unit_test(late_end),
        cmocka_unit_test(reset),
        cmocka_unit_test(close_unread),
        cmocka_unit_test(orderly_close),
        cmocka_unit_test(a_refused_connect_tells_why),
        cmocka_unit_test(an_unreachable_address_fails_at_once),
        cmocka_unit_test(a_connection_can_be_closed_while_connecting),
        cmocka_unit_test(only_tcp_has_a_descriptor),
        cmocka_unit_test(both_ends_may_close_within_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
