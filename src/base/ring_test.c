/* The ring: order, laps, drops, wakes, and two threads against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void keeps_records_in_order(void **state)
{
    struct ring *ring = ring_new(1); /* 4096 */
    assert_int_equal(ring_capacity(ring), 4096);
    assert_int_equal(ring_peek(ring).size, 0);
    assert_true(ring_put(ring, TEXT("one\n")));
    assert_true(ring_put(ring, TEXT("two\n")));
    struct text span = ring_peek(ring);
    assert_true(text_equal(span, TEXT("one\ntwo\n")));
    ring_consume(ring, 3);
    assert_true(text_equal(ring_peek(ring), TEXT("\ntwo\n")));
    ring_consume(ring, 5);
    assert_int_equal(ring_peek(ring).size, 0);
    assert_int_equal(ring_records(ring), 2);
    ring_free(ring);
}

static void commits_less_than_reserved_or_nothing(void **state)
{
    struct ring *ring = ring_new(4096);
    char *at = ring_reserve(ring, 100);
    memcpy(at, "abc", 3);
    ring_commit(ring, 3);
    assert_non_null(ring_reserve(ring, 100));
    ring_commit(ring, 0);
    assert_true(text_equal(ring_peek(ring), TEXT("abc")));
    assert_int_equal(ring_records(ring), 1);
    ring_free(ring);
}

/* All record sizes at all fill states of several laps, against a plain copy. */
static void survives_laps_of_any_size(void **state)
{
    struct ring *ring = ring_new(4096);
    char *expected = malloc(1 << 20), *got = malloc(1 << 20);
    size_t expected_size = 0, got_size = 0;
    uint32_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        seed = seed * 1664525u + 1013904223u;
        size_t size = (seed >> 8) % (round % 3 == 0 ? 2049 : 300);
        uint64_t drops = ring_dropped(ring);
        char *at = ring_reserve(ring, size);
        if (at && expected_size + size < 1 << 20) {
            memset(at, 'a' + round % 26, size);
            memset(expected + expected_size, 'a' + round % 26, size);
            ring_commit(ring, size);
            expected_size += size;
        }
        assert_int_equal(ring_dropped(ring), drops + (at ? 0 : 1));
        assert_true(ring_fill(ring) <= 4096);
        struct text span = ring_peek(ring);
        size_t take = (seed >> 20) % 2 ? span.size : span.size / 2;
        if (take > 0) {
            memcpy(got + got_size, span.at, take);
            got_size += take;
        }
        ring_consume(ring, take);
    }
    for (struct text span; (span = ring_peek(ring)).size > 0; ring_consume(ring, span.size)) {
        memcpy(got + got_size, span.at, span.size);
        got_size += span.size;
    }
    assert_true(expected_size > 50 * 4096);
    assert_int_equal(got_size, expected_size);
    assert_memory_equal(got, expected, got_size);
    free(expected);
    free(got);
    ring_free(ring);
}

static void fills_to_the_last_byte(void **state)
{
    struct ring *ring = ring_new(4096);
    for (int lap = 0; lap < 3; lap++) {
        for (int i = 0; i < 4; i++) {
            assert_non_null(ring_reserve(ring, 1024));
            ring_commit(ring, 1024);
        }
        assert_null(ring_try_reserve(ring, 1));
        assert_int_equal(ring_peek(ring).size, 4096);
        ring_consume(ring, 4096);
        assert_int_equal(ring_peek(ring).size, 0);
    }
    assert_int_equal(ring_dropped(ring), 0);
    ring_free(ring);
}

static void drops_and_counts_what_does_not_fit(void **state)
{
    struct ring *ring = ring_new(4096);
    assert_null(ring_reserve(ring, 2049)); /* more than half can never be promised */
    assert_non_null(ring_reserve(ring, 2048));
    ring_commit(ring, 2048);
    assert_non_null(ring_reserve(ring, 2000));
    ring_commit(ring, 2000);
    assert_false(ring_put(ring, TEXT("0123456789012345678901234567890123456789012345678")));
    assert_true(ring_put(ring, TEXT("fits")));
    assert_int_equal(ring_dropped(ring), 2);
    ring_free(ring);
}

static void on_wake(void *owner)
{
    ++*(int *)owner;
}

static void wakes_a_sleeper_once(void **state)
{
    struct ring *ring = ring_new(4096);
    int wakes = 0;
    ring_on_wake(ring, (struct ring_wake){ on_wake, &wakes });
    ring_put(ring, TEXT("a"));
    ring_flush(ring);
    assert_int_equal(wakes, 0);     /* nobody sleeps */
    assert_false(ring_sleep(ring)); /* something is there */
    ring_put(ring, TEXT("b"));
    ring_flush(ring);
    assert_int_equal(wakes, 0);
    ring_consume(ring, 2);
    assert_true(ring_sleep(ring));
    ring_flush(ring);
    assert_int_equal(wakes, 0); /* nothing new */
    ring_put(ring, TEXT("c"));
    assert_int_equal(wakes, 0); /* not before the flush */
    ring_flush(ring);
    assert_int_equal(wakes, 1);
    ring_put(ring, TEXT("d"));
    ring_flush(ring);
    assert_int_equal(wakes, 1);
    ring_free(ring);
}

static void wakes_when_half_full_once_a_drain(void **state)
{
    struct ring *ring = ring_new(4096);
    int wakes = 0;
    ring_on_wake(ring, (struct ring_wake){ on_wake, &wakes });
    for (int drain = 1; drain <= 3; drain++) {
        for (int i = 0; i < 3; i++) {
            assert_non_null(ring_reserve(ring, 1024));
            ring_commit(ring, 1024);
            ring_flush(ring);
        }
        assert_int_equal(wakes, drain);
        struct text span;
        while ((span = ring_peek(ring)).size > 0) {
            ring_consume(ring, span.size);
        }
        ring_put(ring, TEXT("x"));
        ring_flush(ring);
        ring_consume(ring, ring_peek(ring).size);
    }
    ring_free(ring);
}

#define RECORDS 100000

static void *produce(void *owner)
{
    struct ring *ring = owner;
    for (uint32_t i = 0; i < RECORDS;) {
        char *at = ring_try_reserve(ring, 4 + i % 61);
        if (!at) {
            sched_yield();
            continue;
        }
        memset(at, (int)(i % 251), 4 + i % 61);
        memcpy(at, &i, 4);
        ring_commit(ring, 4 + i % 61);
        ring_flush(ring);
        i++;
    }
    return NULL;
}

static void two_threads_lose_nothing(void **state)
{
    struct ring *ring = ring_new(4096);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
    for (uint32_t next = 0; next < RECORDS;) {
        struct text span = ring_peek(ring);
        size_t at = 0;
        while (at < span.size) {
            uint32_t i;
            memcpy(&i, span.at + at, 4);
            assert_int_equal(i, next);
            for (size_t k = 4; k < 4 + i % 61; k++) {
                assert_int_equal((unsigned char)span.at[at + k], i % 251);
            }
            at += 4 + i % 61;
            next++;
        }
        assert_int_equal(at, span.size); /* whole records only */
        ring_consume(ring, span.size);
        if (span.size == 0) {
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(ring_fill(ring), 0);
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_records_in_order),
        cmocka_unit_test(commits_less_than_reserved_or_nothing),
        cmocka_unit_test(survives_laps_of_any_size),
        cmocka_unit_test(fills_to_the_last_byte),
        cmocka_unit_test(drops_and_counts_what_does_not_fit),
        cmocka_unit_test(wakes_a_sleeper_once),
        cmocka_unit_test(wakes_when_half_full_once_a_drain),
        cmocka_unit_test(two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
