/* Series, the cap, expiry and reuse, and workers recording while main reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "base/metric.h"

#include <pthread.h>
#include <stdio.h>

static const struct metric_definition requests = {
    METRIC_COUNTER, "b_requests_total", "Requests.", { "route", "code" }, 4
};
static const struct metric_definition active = { METRIC_GAUGE, "a_active", "Active.", { NULL }, 0 };
static const struct metric_definition duration = {
    METRIC_HISTOGRAM, "c_duration_seconds", "Duration.", { "route" }, 0
};

/* Everything the reader shows, as lines "name|value|value=number". */
static void on_family(void *owner, const struct metric_definition *definition, unsigned labels)
{
}

static void on_sample(void *owner, const struct metric_definition *definition, unsigned labels,
                      const struct metric_sample *sample)
{
    struct buffer *out = owner;
    buffer_format(out, "%s", definition->name);
    for (unsigned i = 0; i < labels; i++) {
        buffer_format(out, "|%.*s", TEXT_ARG(sample->values[i]));
    }
    if (definition->kind != METRIC_HISTOGRAM) {
        buffer_format(out, "=%lld\n", (long long)sample->value);
        return;
    }
    for (unsigned i = 0; i <= METRIC_BOUNDS; i++) {
        buffer_format(out, "%s%llu", i ? "," : "=", (unsigned long long)sample->counts[i]);
    }
    buffer_format(out, " %llu\n", (unsigned long long)sample->sum_ns);
}

static void expect(struct metrics *metrics, const char *expected)
{
    struct buffer out;
    buffer_init(&out);
    struct metric_visitor visitor = { on_family, on_sample, &out };
    metrics_read(metrics, &visitor);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, expected);
    buffer_fini(&out);
}

static struct metric_series *take(struct metric_family *family, unsigned worker, const char *a,
                                  const char *b)
{
    struct text values[] = { text_from_string(a), text_from_string(b) };
    return metric_take(family, worker, values);
}

static void sums_shards_in_stable_order(void **state)
{
    struct metrics *metrics = metrics_new(2);
    struct metric_family *counter = metric_register(metrics, &requests);
    struct metric_family *gauge = metric_register(metrics, &active);
    assert_ptr_equal(metric_register(metrics, &requests), counter);
    metric_add(take(counter, 1, "b", "200"), 5);
    metric_add(take(counter, 0, "b", "200"), 7);
    metric_add(take(counter, 0, "a", "500"), 1);
    metric_add(take(counter, METRIC_MAIN, "a", "404"), 2);
    metric_add(take(counter, 0, "ab", ""), 3);
    metric_add(metric_take(gauge, 0, NULL), 3);
    metric_add(metric_take(gauge, 1, NULL), -5);
    expect(metrics, "a_active=-2\nb_requests_total|a|404=2\nb_requests_total|a|500=1\n"
                    "b_requests_total|ab|=3\nb_requests_total|b|200=12\n");
    metric_set(metric_take(gauge, 1, NULL), 4);
    size_t bytes;
    assert_int_equal(metrics_count(metrics, &bytes), 7);
    assert_true(bytes > 0);
    metrics_free(metrics);
}

static void the_same_values_are_the_same_series(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_family *family = metric_register(metrics, &requests);
    struct metric_series *series = take(family, 0, "a", "1");
    assert_ptr_equal(take(family, 0, "a", "1"), series);
    assert_ptr_not_equal(take(family, METRIC_MAIN, "a", "1"), series);
    assert_ptr_not_equal(take(family, 0, "a1", ""), series);
    assert_ptr_not_equal(take(family, 0, "", "a1"), series);
    metrics_free(metrics);
}

static void odd_values_are_tamed(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_family *family = metric_register(metrics, &duration);
    char longer[METRIC_LABEL_VALUE_MAX + 10];
    memset(longer, 'x', sizeof(longer));
    struct text a = text_of(longer, sizeof(longer)), b = text_of(longer, METRIC_LABEL_VALUE_MAX);
    assert_ptr_equal(metric_take(family, 0, &a), metric_take(family, 0, &b));
    struct text nul = text_of("\0a\0", 3), mark = TEXT("?a?");
    assert_ptr_equal(metric_take(family, 0, &nul), metric_take(family, 0, &mark));
    struct text empty = { NULL, 0 };
    assert_non_null(metric_take(family, 0, &empty));
    metrics_free(metrics);
}

static void the_cap_leads_to_overflow(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_family *family = metric_register(metrics, &requests); /* cap 4 */
    char name[8];
    struct metric_series *last = NULL;
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof(name), "r%d", i);
        last = take(family, 0, name, "200");
        metric_add(last, 1);
    }
    assert_ptr_equal(take(family, 0, "r9", "200"), last);
    assert_ptr_not_equal(take(family, 0, "r1", "200"), last); /* known ones still work */
    expect(metrics, "b_requests_total|overflow|overflow=3\nb_requests_total|r0|200=1\n"
                    "b_requests_total|r1|200=1\nb_requests_total|r2|200=1\n"
                    "b_requests_total|r3|200=1\n"
                    "weft_metric_overflow_total|b_requests_total=4\n");
    metrics_free(metrics);
}

static void observes_into_otel_buckets(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_series *series = metric_take(metric_register(metrics, &duration), 0, &TEXT("r"));
    histogram_observe(series, 0);
    histogram_observe(series, 5000000); /* bounds are inclusive */
    histogram_observe(series, 5000001);
    histogram_observe(series, 10000000000);
    histogram_observe(series, 10000000001);
    histogram_observe(series, 60000000000);
    expect(metrics, "c_duration_seconds|r=2,1,0,0,0,0,0,0,0,0,0,0,0,1,2 80010000002\n");
    metrics_free(metrics);
}

static void unused_series_expire_and_make_room(void **state)
{
    struct metrics *metrics = metrics_new(2);
    struct metric_family *family = metric_register(metrics, &requests);
    struct metric_series *old[2] = { take(family, 0, "old", "1"), take(family, 1, "old", "1") };
    struct metric_series *held = take(family, 0, "held", "1");
    metric_add(old[0], 5);
    metric_add(old[1], 6);
    metric_add(held, 1);
    metrics_expire(metrics, 1000);
    metric_give(old[0]);
    metrics_expire(metrics, 1000 + 2 * METRIC_EXPIRE_MS); /* the other shard's is still held */
    expect(metrics, "b_requests_total|held|1=1\nb_requests_total|old|1=11\n");
    metric_give(old[1]);
    metrics_expire(metrics, 1000 + 2 * METRIC_EXPIRE_MS + METRIC_EXPIRE_MS - 1);
    expect(metrics, "b_requests_total|held|1=1\nb_requests_total|old|1=11\n");
    metrics_expire(metrics, 1000 + 3 * METRIC_EXPIRE_MS);
    expect(metrics, "b_requests_total|held|1=1\n");
    struct metric_series *fresh = take(family, 0, "a longer new value", "2");
    assert_ptr_equal(fresh, old[0]); /* the slot is used again, from nought */
    metric_add(fresh, 1);
    assert_ptr_equal(take(family, 1, "old", "1"), old[1]); /* back from the dead, from nought */
    metric_add(old[1], 2);
    expect(metrics, "b_requests_total|a longer new value|2=1\nb_requests_total|held|1=1\n"
                    "b_requests_total|old|1=2\n");
    metrics_free(metrics);
}

static void change_keeps_a_series_alive(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_family *family = metric_register(metrics, &requests);
    struct metric_series *series = take(family, 0, "a", "1");
    metric_give(series);
    for (uint64_t i = 1; i < 5; i++) {
        metric_add(series, 1); /* as if by a holder that gave it back at once */
        metrics_expire(metrics, i * METRIC_EXPIRE_MS);
    }
    expect(metrics, "b_requests_total|a|1=4\n");
    metrics_expire(metrics, 5 * METRIC_EXPIRE_MS);
    expect(metrics, "");
    metrics_free(metrics);
}

static void churn_does_not_fill_the_cap(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_family *family = metric_register(metrics, &requests); /* cap 4 */
    uint64_t now_ms = 1;
    for (int round = 0; round < 50; round++) {
        struct metric_series *series[4];
        for (int i = 0; i < 4; i++) {
            char name[16];
            snprintf(name, sizeof(name), "r%d-%d", round, i);
            series[i] = take(family, 0, name, "1");
            metric_add(series[i], 1);
        }
        for (int i = 0; i < 4; i++) {
            metric_give(series[i]);
        }
        metrics_expire(metrics, now_ms);
        metrics_expire(metrics, now_ms += METRIC_EXPIRE_MS);
        expect(metrics, "");
    }
    size_t bytes;
    assert_int_equal(metrics_count(metrics, &bytes), 4);
    metrics_free(metrics);
}

static void on_read(void *owner)
{
    metric_set(owner, 77);
}

static void hooks_run_before_a_read(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_series *series =
        metric_take(metric_register(metrics, &active), METRIC_MAIN, NULL);
    metrics_on_read(metrics, on_read, series);
    expect(metrics, "a_active=77\n");
    metrics_off_read(metrics, series);
    metric_set(series, 1);
    expect(metrics, "a_active=1\n");
    metrics_free(metrics);
}

struct recorder {
    struct metric_family *family;
    unsigned worker;
    _Atomic bool done;
};

#define ROUNDS 30000

/* A worker whose series come and go, so that the slots are reused while main reads and expires. */
static void *record(void *owner)
{
    struct recorder *recorder = owner;
    struct metric_series *total = take(recorder->family, recorder->worker, "total", "");
    for (int i = 0; i < ROUNDS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i % 7);
        struct metric_series *series = take(recorder->family, recorder->worker, name, "");
        metric_add(series, 1);
        metric_add(total, 1);
        metric_give(series);
    }
    atomic_store(&recorder->done, true);
    return NULL;
}

static void main_reads_and_expires_while_workers_record(void **state)
{
    struct metrics *metrics = metrics_new(2);
    struct recorder recorders[2] = { { metric_register(metrics, &requests), 0, false },
                                     { metric_register(metrics, &requests), 1, false } };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, record, &recorders[i]), 0);
    }
    uint64_t now_ms = 1;
    struct buffer out;
    buffer_init(&out);
    struct metric_visitor visitor = { on_family, on_sample, &out };
    while (!atomic_load(&recorders[0].done) || !atomic_load(&recorders[1].done)) {
        buffer_clear(&out);
        metrics_read(metrics, &visitor);
        metrics_expire(metrics, now_ms += METRIC_EXPIRE_MS);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    buffer_clear(&out);
    metrics_read(metrics, &visitor);
    buffer_append_byte(&out, '\0');
    char expected[64];
    snprintf(expected, sizeof(expected), "b_requests_total|total|=%d\n", 2 * ROUNDS);
    assert_non_null(strstr(out.bytes, expected));
    buffer_fini(&out);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_shards_in_stable_order),
        cmocka_unit_test(the_same_values_are_the_same_series),
        cmocka_unit_test(odd_values_are_tamed),
        cmocka_unit_test(the_cap_leads_to_overflow),
        cmocka_unit_test(observes_into_otel_buckets),
        cmocka_unit_test(unused_series_expire_and_make_room),
        cmocka_unit_test(change_keeps_a_series_alive),
        cmocka_unit_test(churn_does_not_fill_the_cap),
        cmocka_unit_test(hooks_run_before_a_read),
        cmocka_unit_test(main_reads_and_expires_while_workers_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
