/* The event loop: letters across threads, watches that go away, hooks, lag. */
#include "net/loop.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NS_PER_MS 1000000u

static struct error error;

static struct loop *open_loop(void)
{
    struct loop *loop = loop_new(&error);
    assert_non_null(loop);
    return loop;
}

struct note {
    struct letter letter;
    struct loop *loop;
    int sender;
    int number;
};

static int received;
static int expected_number[4];

static void on_note(struct letter *letter)
{
    struct note *note = list_owner(letter, struct note, letter);
    assert_int_equal(note->number, expected_number[note->sender]++);
    received++;
    if (received == 4 * 20000) {
        loop_stop(note->loop);
    }
    free(note);
}

struct sender {
    struct loop *loop;
    int which;
};

static void *send_notes(void *argument)
{
    struct sender *sender = argument;
    for (int i = 0; i < 20000; i++) {
        struct note *note = malloc(sizeof(*note));
        *note = (struct note){ { NULL, on_note }, sender->loop, sender->which, i };
        loop_post(sender->loop, &note->letter);
        if (i % 4000 == 0) {
            usleep(1000); /* lets the loop fall asleep */
        }
    }
    return NULL;
}

static void letters_of_many_threads_arrive_once_and_in_order(void **state)
{
    struct loop *loop = open_loop();
    pthread_t threads[4];
    struct sender senders[4];
    received = 0;
    for (int i = 0; i < 4; i++) {
        expected_number[i] = 0;
        senders[i] = (struct sender){ loop, i };
        pthread_create(&threads[i], NULL, send_notes, &senders[i]);
    }
    loop_run(loop);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(expected_number[i], 20000);
    }
    loop_free(loop);
}

struct echo {
    struct letter letter;
    struct loop *loop;
    int left;
};

static void on_echo(struct letter *letter)
{
    struct echo *echo = list_owner(letter, struct echo, letter);
    if (echo->left-- > 0) {
        loop_post(echo->loop, letter);
    }
}

static void letters_to_oneself_keep_the_loop_awake(void **state)
{
    struct loop *loop = open_loop();
    struct echo echo = { { NULL, on_echo }, loop, 3 };
    loop_post(loop, &echo.letter);
    for (int left = 2; left >= -1; left--) { /* one letter a turn, without a limit to the wait */
        loop_turn(loop, -1);
        assert_int_equal(echo.left, left);
    }
    loop_free(loop);
}

static void a_loop_that_goes_receives_its_letters(void **state)
{
    struct loop *loop = open_loop();
    struct echo echo = { { NULL, on_echo }, loop, 2 };
    loop_post(loop, &echo.letter);
    loop_free(loop);
    assert_int_equal(echo.left, -1);
}

struct peer {
    struct watch watch;
    struct loop *loop;
    int calls;
    unsigned ready;
    struct peer **others; /* unwatched and freed from the first callback */
    int other_count;
};

static void on_peer(struct watch *watch, unsigned ready)
{
    struct peer *peer = list_owner(watch, struct peer, watch);
    peer->calls++;
    peer->ready = ready;
    for (int i = 0; i < peer->other_count; i++) {
        if (peer->others[i] && peer->others[i] != peer) {
            int fd = peer->others[i]->watch.fd;
            loop_forget(peer->loop, &peer->others[i]->watch);
            close(fd);
            free(peer->others[i]);
            peer->others[i] = NULL;
        }
    }
}

static void a_watch_may_free_all_others_in_the_same_turn(void **state)
{
    enum { COUNT = 100 };
    struct loop *loop = open_loop();
    struct peer *peers[COUNT];
    int far_ends[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        peers[i] = calloc(1, sizeof(*peers[i]));
        *peers[i] = (struct peer){ .watch = { .on_ready = on_peer }, .loop = loop };
        peers[i]->others = peers;
        peers[i]->other_count = COUNT;
        far_ends[i] = pair[1];
        assert_true(loop_watch(loop, &peers[i]->watch, pair[0], &error));
    }
    loop_turn(loop, 0); /* all are writable; the first told frees the rest */
    int alive = 0;
    for (int i = 0; i < COUNT; i++) {
        close(far_ends[i]);
        if (peers[i]) {
            alive++;
            assert_int_equal(peers[i]->calls, 1);
            loop_turn(loop, 0);
            assert_true(peers[i]->ready & READY_CLOSED);
            int fd = peers[i]->watch.fd;
            loop_unwatch(loop, &peers[i]->watch);
            loop_unwatch(loop, &peers[i]->watch);
            assert_int_equal(peers[i]->watch.fd, -1);
            close(fd);
            free(peers[i]);
        }
    }
    assert_int_equal(alive, 1);
    loop_free(loop);
}

static void edges_are_told_once_and_again_when_rearmed(void **state)
{
    struct loop *loop = open_loop();
    struct peer peer = { .watch = { .on_ready = on_peer }, .loop = loop };
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_true(loop_watch(loop, &peer.watch, pair[0], &error));
    loop_turn(loop, 0);
    assert_int_equal(peer.ready, READY_WRITE);
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 1);
    assert_int_equal(write(pair[1], "x", 1), 1);
    loop_turn(loop, 0);
    assert_int_equal(peer.ready, READY_READ | READY_WRITE);
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 2);
    loop_rearm(loop, &peer.watch);
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 3);
    close(pair[1]);
    loop_turn(loop, 0);
    assert_true(peer.ready & READY_CLOSED);
    loop_unwatch(loop, &peer.watch);
    close(pair[0]);
    loop_free(loop);
}

static void levels_are_told_until_they_are_gone(void **state)
{
    struct loop *loop = open_loop();
    struct peer peer = { .watch = { .on_ready = on_peer }, .loop = loop };
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_true(loop_watch_level(loop, &peer.watch, pair[0], &error));
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 2);
    loop_set_level(loop, &peer.watch, false, true);
    loop_turn(loop, 0);
    assert_int_equal(peer.ready, READY_WRITE);
    loop_set_level(loop, &peer.watch, false, false);
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 3);
    loop_unwatch(loop, &peer.watch);
    loop_turn(loop, 0);
    assert_int_equal(peer.calls, 3);
    close(pair[0]);
    close(pair[1]);
    loop_free(loop);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    struct loop *loop = open_loop();
    struct peer peer = { .watch = { .on_ready = on_peer }, .loop = loop };
    char name[] = "/tmp/weft-loop-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_false(loop_watch(loop, &peer.watch, fd, &error));
    assert_non_null(strstr(error.text, "cannot watch"));
    assert_int_equal(peer.watch.fd, -1);
    close(fd);
    loop_free(loop);
}

static int hook_calls[2];

static void on_first_hook(void *owner)
{
    assert_ptr_equal(owner, &hook_calls[0]);
    hook_calls[0]++;
    assert_int_equal(hook_calls[1], hook_calls[0] - 1);
}

static void on_second_hook(void *owner)
{
    assert_ptr_equal(owner, &hook_calls[1]);
    hook_calls[1]++;
}

static void hooks_end_each_turn_in_order(void **state)
{
    struct loop *loop = open_loop();
    loop_on_turn_end(loop, on_first_hook, &hook_calls[0]);
    loop_on_turn_end(loop, on_second_hook, &hook_calls[1]);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(hook_calls[0], 2);
    assert_int_equal(hook_calls[1], 2);
    loop_stop(loop);
    loop_run(loop);
    assert_int_equal(hook_calls[0], 2);
    loop_free(loop);
}

static void on_slow_letter(struct letter *letter)
{
    usleep(30000);
}

static void a_long_turn_shows_as_lag(void **state)
{
    struct loop *loop = open_loop();
    struct letter slow = { NULL, on_slow_letter };
    loop_turn(loop, 0);
    loop_post(loop, &slow);
    uint64_t before_ns = clock_now_ns();
    loop_turn(loop, 0);
    assert_in_range(loop_lag_ns(loop), 25 * NS_PER_MS, 5000 * (uint64_t)NS_PER_MS);
    assert_true(loop_now_ns(loop) >= before_ns + 25 * NS_PER_MS); /* what follows is not late */
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_of_many_threads_arrive_once_and_in_order),
        cmocka_unit_test(letters_to_oneself_keep_the_loop_awake),
        cmocka_unit_test(a_loop_that_goes_receives_its_letters),
        cmocka_unit_test(a_watch_may_free_all_others_in_the_same_turn),
        cmocka_unit_test(edges_are_told_once_and_again_when_rearmed),
        cmocka_unit_test(levels_are_told_until_they_are_gone),
        cmocka_unit_test(a_descriptor_that_cannot_be_watched_is_an_error),
        cmocka_unit_test(hooks_end_each_turn_in_order),
        cmocka_unit_test(a_long_turn_shows_as_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
