/* Listening: ports in use, shared ports, pausing, stopping, running out of descriptors. */
#include "net/listener.h"

#include "base/clock.h"
#include "net/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static struct error error;

struct door {
    struct listener listener;
    int count;
    int fds[200];
    struct address peer;
    int stop_at;  /* stop from the callback at this count; 0: never */
    int pause_at; /* likewise */
};

static void on_accept(struct listener *listener, int fd, const struct address *peer)
{
    struct door *door = list_owner(listener, struct door, listener);
    door->fds[door->count++] = fd;
    door->peer = *peer;
    if (door->stop_at && door->count >= door->stop_at) {
        listener_stop(listener);
    }
    if (door->count == door->pause_at) {
        listener_pause(listener, true);
    }
}

static void close_accepted(struct door *door)
{
    while (door->count > 0) {
        close(door->fds[--door->count]);
    }
}

static struct address address_of(const char *string)
{
    struct address address;
    assert_true(address_parse(text_from_string(string), &address));
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

static int listen_on(const char *string)
{
    struct address address = address_of(string);
    int reason;
    int fd = listen_tcp(&address, false, false, &reason, &error);
    if (fd < 0) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(reason, 0);
    return fd;
}

static int connect_to(const struct address *address)
{
    struct sockaddr_storage where;
    socklen_t size = address_to_sockaddr(address, &where);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, size), 0);
    return fd;
}

static void connections_are_handed_over_ready_to_use(void **state)
{
    static const char *const cases[] = { "127.0.0.1:0", "[::1]:0" };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loop *loop = loop_new(&error);
        struct door door = { .listener.on_accept = on_accept };
        int fd = listen_on(cases[i]);
        assert_true(listener_start(&door.listener, loop, fd, &error));
        assert_int_not_equal(door.listener.address.port, 0);
        int client = connect_to(&door.listener.address);
        struct address from = bound_address(client);
        loop_turn(loop, 1000);
        assert_int_equal(door.count, 1);
        assert_true(address_equal(&door.peer, &from));
        int on = 0;
        socklen_t size = sizeof(on);
        assert_int_equal(getsockopt(door.fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
        assert_true(on);
        assert_true(fcntl(door.fds[0], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(door.fds[0], F_GETFD) & FD_CLOEXEC);
        listener_stop(&door.listener);
        listener_stop(&door.listener);
        assert_true(fcntl(fd, F_GETFD) >= 0); /* the descriptor stays the caller's */
        close_accepted(&door);
        close(client);
        close(fd);
        loop_free(loop);
    }
}

static void a_port_in_use_is_an_error(void **state)
{
    static const struct {
        bool holder_reuses, probe;
        bool taken; /* whether the second listen succeeds */
    } cases[] = {
        { false, false, false }, /* the holder does not share */
        { false, true, false },
        { true, false, true }, /* shares, and nobody asks: half of the traffic goes elsewhere */
        { true, true, false }, /* the probe asks */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address address = address_of("127.0.0.1:0");
        int reason;
        int holder = listen_tcp(&address, cases[i].holder_reuses, false, &reason, &error);
        assert_true(holder >= 0);
        address = bound_address(holder);
        int fd = listen_tcp(&address, true, cases[i].probe, &reason, &error);
        assert_int_equal(fd >= 0, cases[i].taken);
        if (fd < 0) {
            char name[ADDRESS_TEXT_MAX];
            address_format(&address, name);
            assert_int_equal(reason, EADDRINUSE);
            assert_non_null(strstr(error.text, name));
            assert_non_null(strstr(error.text, "another process"));
        } else {
            close(fd);
        }
        close(holder);
        fd = listen_tcp(&address, true, true, &reason, &error); /* free again at once */
        assert_true(fd >= 0);
        close(fd);
    }
}

static void both_families_share_a_port(void **state)
{
    int v6 = listen_on("[::]:0");
    struct address address = address_of("0.0.0.0:0");
    address.port = bound_address(v6).port;
    int reason;
    int v4 = listen_tcp(&address, true, true, &reason, &error);
    assert_true(v4 >= 0);
    close(v4);
    close(v6);
}

static void a_foreign_address_is_an_error(void **state)
{
    struct address address = address_of("192.0.2.1:0"); /* TEST-NET-1 */
    int reason;
    assert_int_equal(listen_tcp(&address, true, true, &reason, &error), -1);
    assert_int_equal(reason, EADDRNOTAVAIL);
    assert_non_null(strstr(error.text, "no interface"));
}

static void workers_share_the_connections_of_a_port(void **state)
{
    struct loop *loop = loop_new(&error);
    struct door doors[2] = { { .listener.on_accept = on_accept },
                             { .listener.on_accept = on_accept } };
    struct address address = address_of("127.0.0.1:0");
    int reason, fds[2], clients[64];
    for (int i = 0; i < 2; i++) {
        fds[i] = listen_tcp(&address, true, i == 0, &reason, &error);
        assert_true(fds[i] >= 0);
        address = bound_address(fds[i]);
        assert_true(listener_start(&doors[i].listener, loop, fds[i], &error));
    }
    for (int i = 0; i < 64; i++) {
        clients[i] = connect_to(&address);
    }
    for (int i = 0; i < 10; i++) {
        loop_turn(loop, 1);
    }
    assert_int_equal(doors[0].count + doors[1].count, 64);
    assert_in_range(doors[0].count, 5, 59);
    for (int i = 0; i < 64; i++) {
        close(clients[i]);
    }
    for (int i = 0; i < 2; i++) {
        listener_stop(&doors[i].listener);
        close_accepted(&doors[i]);
        close(fds[i]);
    }
    loop_free(loop);
}

/* One door with this many connections waiting before it. */
struct queue {
    struct loop *loop;
    struct door door;
    int fd;
    int clients[150];
    int count;
};

static void open_queue(struct queue *queue, int count)
{
    *queue = (struct queue){ .loop = loop_new(&error), .count = count };
    queue->door.listener.on_accept = on_accept;
    queue->fd = listen_on("127.0.0.1:0");
    assert_true(listener_start(&queue->door.listener, queue->loop, queue->fd, &error));
    for (int i = 0; i < count; i++) {
        queue->clients[i] = connect_to(&queue->door.listener.address);
    }
}

static void close_queue(struct queue *queue)
{
    listener_stop(&queue->door.listener);
    close_accepted(&queue->door);
    for (int i = 0; i < queue->count; i++) {
        close(queue->clients[i]);
    }
    close(queue->fd);
    loop_free(queue->loop);
}

static void a_turn_takes_64(void **state)
{
    struct queue queue;
    open_queue(&queue, 150);
    loop_turn(queue.loop, 1000);
    assert_int_equal(queue.door.count, 64);
    loop_turn(queue.loop, 1000);
    assert_int_equal(queue.door.count, 128);
    loop_turn(queue.loop, 1000);
    assert_int_equal(queue.door.count, 150);
    close_queue(&queue);
}

static void a_paused_listener_lets_them_wait(void **state)
{
    struct queue queue;
    open_queue(&queue, 10);
    queue.door.pause_at = 4;
    loop_turn(queue.loop, 1000);
    assert_int_equal(queue.door.count, 4);
    loop_turn(queue.loop, 10);
    assert_int_equal(queue.door.count, 4);
    listener_pause(&queue.door.listener, true);
    listener_pause(&queue.door.listener, false);
    loop_turn(queue.loop, 1000);
    assert_int_equal(queue.door.count, 10);
    close_queue(&queue);
}

static void stopping_takes_what_is_queued(void **state)
{
    struct queue queue;
    open_queue(&queue, 150);
    listener_stop(&queue.door.listener);
    assert_int_equal(queue.door.count, 150);
    assert_int_equal(queue.door.listener.fd, -1);
    loop_turn(queue.loop, 0);
    close_queue(&queue);
}

static void a_listener_may_be_stopped_within_its_callback(void **state)
{
    struct queue queue;
    open_queue(&queue, 150);
    queue.door.stop_at = 2;
    loop_turn(queue.loop, 1000);
    assert_int_equal(queue.door.count, 150);
    assert_int_equal(queue.door.listener.fd, -1);
    close_queue(&queue);
}

static void without_descriptors_it_waits_and_goes_on(void **state)
{
    struct queue queue;
    struct rlimit limit, tight;
    open_queue(&queue, 10);
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = dup(0); /* the lowest free number: room for three more from there */
    close(next);
    tight = (struct rlimit){ (rlim_t)next + 3, limit.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    loop_turn(queue.loop, 1000);
    int accepted = queue.door.count;
    bool waiting = timer_is_running(&queue.door.listener.retry);
    uint64_t began_ns = clock_now_ns();
    loop_turn(queue.loop, 30); /* does not spin meanwhile */
    uint64_t waited_ns = clock_now_ns() - began_ns;
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(accepted, 3);
    assert_true(waiting);
    assert_true(waited_ns >= 25000000u);
    for (int i = 0; i < 5 && queue.door.count < 10; i++) {
        loop_turn(queue.loop, 200);
    }
    assert_int_equal(queue.door.count, 10);
    close_queue(&queue);
}

static void only_an_ip_socket_can_listen(void **state)
{
    struct loop *loop = loop_new(&error);
    struct listener listener = { .on_accept = on_accept };
    int pipes[2], pair[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(listener_start(&listener, loop, pipes[0], &error));
    assert_non_null(strstr(error.text, "no socket"));
    assert_false(listener_start(&listener, loop, pair[0], &error));
    assert_non_null(strstr(error.text, "no IP socket"));
    for (int i = 0; i < 2; i++) {
        close(pipes[i]);
        close(pair[i]);
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_handed_over_ready_to_use),
        cmocka_unit_test(a_port_in_use_is_an_error),
        cmocka_unit_test(both_families_share_a_port),
        cmocka_unit_test(a_foreign_address_is_an_error),
        cmocka_unit_test(workers_share_the_connections_of_a_port),
        cmocka_unit_test(a_turn_takes_64),
        cmocka_unit_test(a_paused_listener_lets_them_wait),
        cmocka_unit_test(stopping_takes_what_is_queued),
        cmocka_unit_test(a_listener_may_be_stopped_within_its_callback),
        cmocka_unit_test(without_descriptors_it_waits_and_goes_on),
        cmocka_unit_test(only_an_ip_socket_can_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
