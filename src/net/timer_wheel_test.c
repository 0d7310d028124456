/* Timers under a fake clock, and the wheel against a plain list. */
#include "net/loop.h"

#include "base/clock.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
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
    assert_in_range(took_ns, 20 * NS_PER_MS, 1000 * NS_PER_MS);
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
        cmocka_unit_test_teardown(the_real_clock_is_waited_for, real_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
