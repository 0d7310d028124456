/* The event loop: timers under a fake clock, letters across threads, watches that go away. */
#include "net/loop.h"

#include "base/clock.h"
#include "base/random.h"

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

/* Under the fake clock: a turn at this millisecond. */
static void turn_at(struct loop *loop, uint64_t now_ms)
{
    clock_fake(now_ms * NS_PER_MS, 0);
    loop_turn(loop, 0);
}

struct alarm {
    struct timer timer;
    struct loop *loop;
    int rings;
    uint64_t rang_ms;
    uint64_t again_ms;    /* start again from the callback; 0: no */
    struct alarm *stops;  /* one to stop from the callback */
    struct alarm *starts; /* one to start from the callback, after starts_ms */
    uint64_t starts_ms;
};

static void on_alarm(struct timer *timer)
{
    struct alarm *alarm = list_owner(timer, struct alarm, timer);
    alarm->rings++;
    alarm->rang_ms = loop_now_ms(alarm->loop);
    assert_false(timer_is_running(timer));
    if (alarm->again_ms) {
        timer_start(alarm->loop, timer, alarm->again_ms);
    }
    if (alarm->stops) {
        timer_stop(&alarm->stops->timer);
    }
    if (alarm->starts) {
        timer_start(alarm->loop, &alarm->starts->timer, alarm->starts_ms);
    }
}

static void alarm_init(struct alarm *alarm, struct loop *loop)
{
    *alarm = (struct alarm){ .loop = loop };
    timer_init(&alarm->timer, on_alarm);
}

static void a_timer_expires_exactly_then(void **state)
{
    static const struct {
        uint64_t start_ms, delay_ms;
    } cases[] = {
        { 1000, 1 },      { 1000, 24 },       { 1000, 25 },         { 63, 1 },
        { 64, 64 },       { 1000, 4096 },     { 4095, 4097 },       { 12345, 75000 },
        { 1, 262144 },    { 262143, 1 },      { 262143, 262145 },   { 77, 3600 * 1000 },
        { 5, 86400000 },  { 0, 31536000000 }, { 16777215, 2 },      { 1073741823, 1 },
        { 1000, 100000 }, { 999, 99999999 },  { 68719476735ULL, 3 }
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        clock_fake(cases[i].start_ms * NS_PER_MS, 0);
        struct loop *loop = open_loop();
        struct alarm alarm;
        alarm_init(&alarm, loop);
        turn_at(loop, cases[i].start_ms);
        timer_start(loop, &alarm.timer, cases[i].delay_ms);
        assert_true(timer_is_running(&alarm.timer));
        turn_at(loop, cases[i].start_ms + cases[i].delay_ms - 1);
        assert_int_equal(alarm.rings, 0);
        turn_at(loop, cases[i].start_ms + cases[i].delay_ms);
        assert_int_equal(alarm.rings, 1);
        assert_false(timer_is_running(&alarm.timer));
        turn_at(loop, cases[i].start_ms + 2 * cases[i].delay_ms);
        assert_int_equal(alarm.rings, 1);
        loop_free(loop);
    }
}

static void a_timer_is_never_early_within_a_millisecond(void **state)
{
    clock_fake(10 * NS_PER_MS + 1, 0);
    struct loop *loop = open_loop();
    struct alarm alarm;
    alarm_init(&alarm, loop);
    timer_start(loop, &alarm.timer, 1);
    clock_fake(11 * NS_PER_MS, 0); /* one nanosecond short */
    loop_turn(loop, 0);
    assert_int_equal(alarm.rings, 0);
    clock_fake(12 * NS_PER_MS, 0);
    loop_turn(loop, 0);
    assert_int_equal(alarm.rings, 1);
    loop_free(loop);
}

static void a_timer_is_put_off_and_brought_forward(void **state)
{
    clock_fake(0, 0);
    struct loop *loop = open_loop();
    struct alarm alarm;
    alarm_init(&alarm, loop);
    timer_start(loop, &alarm.timer, 100);
    for (uint64_t now = 10; now <= 1000; now += 10) { /* never 100 ms of quiet */
        turn_at(loop, now);
        timer_start(loop, &alarm.timer, 100);
        assert_int_equal(alarm.rings, 0);
    }
    turn_at(loop, 1099);
    assert_int_equal(alarm.rings, 0);
    turn_at(loop, 1100);
    assert_int_equal(alarm.rings, 1);

    timer_start(loop, &alarm.timer, 100000);
    timer_start(loop, &alarm.timer, 7);
    turn_at(loop, 1106);
    assert_int_equal(alarm.rings, 1);
    turn_at(loop, 1107);
    assert_int_equal(alarm.rings, 2);
    turn_at(loop, 200000);
    assert_int_equal(alarm.rings, 2);
    loop_free(loop);
}

static void putting_off_touches_no_list(void **state)
{
    clock_fake(0, 0);
    struct loop *loop = open_loop();
    struct alarm alarm, neighbour;
    alarm_init(&alarm, loop);
    alarm_init(&neighbour, loop);
    timer_start(loop, &neighbour.timer, 75000);
    timer_start(loop, &alarm.timer, 75000);
    struct list link = alarm.timer.link;
    for (uint64_t now = 0; now < 60000; now += 500) { /* an idle and a shorter timeout by turns */
        turn_at(loop, now);
        timer_start(loop, &alarm.timer, 75000);
        timer_pause(&alarm.timer);
        assert_false(timer_is_running(&alarm.timer));
        timer_start(loop, &alarm.timer, 76000);
        assert_true(timer_is_running(&alarm.timer));
        assert_memory_equal(&link, &alarm.timer.link, sizeof(link));
    }
    loop_free(loop);
}

static void a_paused_timer_stays_silent(void **state)
{
    clock_fake(0, 0);
    struct loop *loop = open_loop();
    struct alarm alarm;
    alarm_init(&alarm, loop);
    timer_start(loop, &alarm.timer, 50);
    timer_pause(&alarm.timer);
    turn_at(loop, 1000);
    assert_int_equal(alarm.rings, 0);
    assert_false(timer_is_running(&alarm.timer));
    timer_start(loop, &alarm.timer, 50);
    turn_at(loop, 1050);
    assert_int_equal(alarm.rings, 1);
    timer_stop(&alarm.timer);
    timer_stop(&alarm.timer);
    loop_free(loop);
}

static void callbacks_start_and_stop_timers(void **state)
{
    clock_fake(0, 0);
    struct loop *loop = open_loop();
    struct alarm first, second, third, again;
    alarm_init(&first, loop);
    alarm_init(&second, loop);
    alarm_init(&third, loop);
    alarm_init(&again, loop);
    /* first and second fall due in one slot; first stops second and puts off third */
    first.stops = &second;
    first.starts = &third;
    first.starts_ms = 30;
    again.again_ms = 10;
    timer_start(loop, &first.timer, 10);
    timer_start(loop, &second.timer, 10);
    timer_start(loop, &third.timer, 10);
    timer_start(loop, &again.timer, 10);
    turn_at(loop, 10);
    assert_int_equal(first.rings, 1);
    assert_int_equal(second.rings, 0);
    assert_int_equal(third.rings, 0);
    for (uint64_t now = 11; now <= 50; now++) {
        turn_at(loop, now);
    }
    assert_int_equal(second.rings, 0);
    assert_int_equal(third.rings, 1);
    assert_int_equal(third.rang_ms, 40);
    assert_int_equal(again.rings, 5);
    timer_stop(&again.timer);
    loop_free(loop);
}

static void a_timer_without_delay_waits_for_the_next_tick(void **state)
{
    clock_fake(5 * NS_PER_MS, 0);
    struct loop *loop = open_loop();
    struct alarm alarm;
    alarm_init(&alarm, loop);
    turn_at(loop, 5);
    timer_start(loop, &alarm.timer, 0);
    alarm.starts = &alarm; /* always again, at once: must not keep the turn for itself */
    turn_at(loop, 6);
    assert_int_equal(alarm.rings, 1);
    turn_at(loop, 7);
    assert_int_equal(alarm.rings, 2);
    timer_stop(&alarm.timer);
    loop_free(loop);
}

static uint64_t last_due_ms;

static void check_order(struct timer *timer)
{
    assert_true(timer->due_ms >= last_due_ms);
    last_due_ms = timer->due_ms;
}

static void many_timers_expire_in_order(void **state)
{
    enum { COUNT = 100000 };
    struct alarm *alarms = calloc(COUNT, sizeof(*alarms));
    struct random random;
    random_init(&random, 7);
    clock_fake(123456 * (uint64_t)NS_PER_MS, 0);
    struct loop *loop = open_loop();
    for (size_t i = 0; i < COUNT; i++) {
        alarm_init(&alarms[i], loop);
        timer_init(&alarms[i].timer, check_order);
        timer_start(loop, &alarms[i].timer, random_below(&random, 600000));
    }
    for (size_t i = 0; i < COUNT; i += 3) { /* a third goes, a third moves */
        timer_stop(&alarms[i].timer);
        timer_start(loop, &alarms[i + 1 < COUNT ? i + 1 : i].timer, random_below(&random, 600000));
    }
    last_due_ms = 0;
    size_t left = 0;
    for (uint64_t now = 123456; now <= 123456 + 300000; now += random_below(&random, 5000)) {
        turn_at(loop, now);
        assert_true(last_due_ms <= now);
    }
    uint64_t half_ms = loop_now_ms(loop);
    for (size_t i = 0; i < COUNT; i++) {
        bool running = timer_is_running(&alarms[i].timer);
        left += running;
        assert_true(!running || alarms[i].timer.due_ms > half_ms);
    }
    assert_in_range(left, COUNT / 4, COUNT * 2 / 5);
    turn_at(loop, 123456 + 600000);
    for (size_t i = 0; i < COUNT; i++) {
        assert_false(timer_is_running(&alarms[i].timer));
    }
    loop_free(loop);
    free(alarms);
}

/* Against a list that is searched: random starts, pauses, stops and jumps of the clock. */
static void the_wheel_agrees_with_a_plain_list(void **state)
{
    enum { COUNT = 50 };
    struct alarm alarms[COUNT];
    uint64_t due[COUNT] = { 0 }; /* 0: not running */
    struct random random;
    random_init(&random, 11);
    uint64_t now = 1000;
    clock_fake(now * NS_PER_MS, 0);
    struct loop *loop = open_loop();
    for (size_t i = 0; i < COUNT; i++) {
        alarm_init(&alarms[i], loop);
    }
    for (int step = 0; step < 200000; step++) {
        size_t which = random_below(&random, COUNT);
        uint32_t what = random_below(&random, 10);
        if (what < 6) {
            uint64_t delay = random_below(&random, 1u << random_below(&random, 24));
            timer_start(loop, &alarms[which].timer, delay);
            due[which] = now + (delay ? delay : 1);
        } else if (what < 8) {
            what == 6 ? timer_stop(&alarms[which].timer) : timer_pause(&alarms[which].timer);
            due[which] = 0;
        } else {
            now += 1 + random_below(&random, 1u << random_below(&random, 16));
            turn_at(loop, now);
        }
        for (size_t i = 0; what >= 8 && i < COUNT; i++) {
            bool expected = due[i] != 0 && due[i] <= now;
            assert_int_equal(alarms[i].rings, expected);
            alarms[i].rings = 0;
            due[i] = expected ? 0 : due[i];
            assert_int_equal(timer_is_running(&alarms[i].timer), due[i] != 0);
        }
    }
    loop_free(loop);
}

static void the_real_clock_is_waited_for(void **state)
{
    clock_real();
    struct loop *loop = open_loop();
    struct alarm alarm;
    alarm_init(&alarm, loop);
    usleep(30000); /* time outside of a turn does not count */
    uint64_t began_ns = clock_now_ns();
    timer_start(loop, &alarm.timer, 20);
    while (alarm.rings == 0) {
        loop_turn(loop, -1);
    }
    uint64_t took_ns = clock_now_ns() - began_ns;
    assert_in_range(took_ns, 20 * NS_PER_MS, 60 * NS_PER_MS);
    loop_free(loop);
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
    loop_turn(loop, 0);
    assert_in_range(loop_lag_ns(loop), 25 * NS_PER_MS, 500 * NS_PER_MS);
    assert_true(clock_now_ns() - loop_now_ns(loop) < 25 * NS_PER_MS);
    loop_free(loop);
}

static int real_clock(void **state)
{
    clock_real();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_timer_expires_exactly_then, real_clock),
        cmocka_unit_test_teardown(a_timer_is_never_early_within_a_millisecond, real_clock),
        cmocka_unit_test_teardown(a_timer_is_put_off_and_brought_forward, real_clock),
        cmocka_unit_test_teardown(putting_off_touches_no_list, real_clock),
        cmocka_unit_test_teardown(a_paused_timer_stays_silent, real_clock),
        cmocka_unit_test_teardown(callbacks_start_and_stop_timers, real_clock),
        cmocka_unit_test_teardown(a_timer_without_delay_waits_for_the_next_tick, real_clock),
        cmocka_unit_test_teardown(many_timers_expire_in_order, real_clock),
        cmocka_unit_test_teardown(the_wheel_agrees_with_a_plain_list, real_clock),
        cmocka_unit_test(the_real_clock_is_waited_for),
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
