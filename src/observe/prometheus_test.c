/* The text exposition, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "observe/process.h"
#include "observe/prometheus.h"

#include <stdio.h>

static const struct metric_definition requests = {
    METRIC_COUNTER, "b_total", "Help with \\ and\nline.", { "route", "code" }, 0
};
static const struct metric_definition active = { METRIC_GAUGE, "a_active", "Active.", { NULL }, 0 };
static const struct metric_definition duration = {
    METRIC_HISTOGRAM, "c_seconds", "Duration.", { "route" }, 0
};
static const struct metric_definition plain = { METRIC_HISTOGRAM, "d_seconds", "D.", { NULL }, 0 };
static const struct metric_definition cpu = {
    METRIC_COUNTER_NS, "e_seconds_total", "E.", { NULL }, 0
};

static void expect(struct metrics *metrics, const char *expected)
{
    struct buffer out;
    buffer_init(&out);
    prometheus_format(metrics, &out);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, expected);
    buffer_fini(&out);
}

static struct metric_series *take(struct metrics *metrics,
                                  const struct metric_definition *definition, struct text a,
                                  struct text b)
{
    struct text values[] = { a, b };
    return metric_take(metric_register(metrics, definition), 0, values);
}

static void families_without_series_are_not_shown(void **state)
{
    struct metrics *metrics = metrics_new(1);
    metric_register(metrics, &requests);
    struct buffer out;
    buffer_init(&out);
    prometheus_format(metrics, &out);
    assert_int_equal(out.size, 0);
    buffer_fini(&out);
    metrics_free(metrics);
}

static void formats_counters_and_gauges(void **state)
{
    struct metrics *metrics = metrics_new(1);
    metric_add(take(metrics, &requests, TEXT("a\"b\\c\nd"),
                    TEXT("\xff"
                         "caf\xc3\xa9")),
               3);
    metric_add(take(metrics, &requests, TEXT("caf\xc3\xa9"), TEXT("")), INT64_MAX);
    metric_add(take(metrics, &active, TEXT(""), TEXT("")), -12);
    metric_add(take(metrics, &cpu, TEXT(""), TEXT("")), 1050000000);
    expect(metrics, "# HELP a_active Active.\n# TYPE a_active gauge\na_active -12\n"
                    "# HELP b_total Help with \\\\ and\\nline.\n# TYPE b_total counter\n"
                    "b_total{route=\"a\\\"b\\\\c\\nd\",code=\"\xef\xbf\xbd"
                    "caf\xef\xbf\xbd\xef\xbf\xbd\"} 3\n"
                    "b_total{route=\"caf\xc3\xa9\",code=\"\"} 9223372036854775807\n"
                    "# HELP e_seconds_total E.\n# TYPE e_seconds_total counter\n"
                    "e_seconds_total 1.05\n");
    metrics_free(metrics);
}

static void formats_histograms_cumulatively_in_seconds(void **state)
{
    struct metrics *metrics = metrics_new(1);
    struct metric_series *series = take(metrics, &duration, TEXT("r"), TEXT(""));
    histogram_observe(series, 1000000);
    histogram_observe(series, 80000000);
    histogram_observe(series, 20000000000);
    histogram_observe(take(metrics, &plain, TEXT(""), TEXT("")), 3000000000);
    expect(metrics, "# HELP c_seconds Duration.\n# TYPE c_seconds histogram\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.005\"} 1\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.01\"} 1\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.025\"} 1\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.05\"} 1\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.075\"} 1\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.1\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.25\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.5\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"0.75\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"1\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"2.5\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"5\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"7.5\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"10\"} 2\n"
                    "c_seconds_bucket{route=\"r\",le=\"+Inf\"} 3\n"
                    "c_seconds_sum{route=\"r\"} 20.081\nc_seconds_count{route=\"r\"} 3\n"
                    "# HELP d_seconds D.\n# TYPE d_seconds histogram\n"
                    "d_seconds_bucket{le=\"0.005\"} 0\nd_seconds_bucket{le=\"0.01\"} 0\n"
                    "d_seconds_bucket{le=\"0.025\"} 0\nd_seconds_bucket{le=\"0.05\"} 0\n"
                    "d_seconds_bucket{le=\"0.075\"} 0\nd_seconds_bucket{le=\"0.1\"} 0\n"
                    "d_seconds_bucket{le=\"0.25\"} 0\nd_seconds_bucket{le=\"0.5\"} 0\n"
                    "d_seconds_bucket{le=\"0.75\"} 0\nd_seconds_bucket{le=\"1\"} 0\n"
                    "d_seconds_bucket{le=\"2.5\"} 0\nd_seconds_bucket{le=\"5\"} 1\n"
                    "d_seconds_bucket{le=\"7.5\"} 1\nd_seconds_bucket{le=\"10\"} 1\n"
                    "d_seconds_bucket{le=\"+Inf\"} 1\nd_seconds_sum 3\nd_seconds_count 1\n");
    metrics_free(metrics);
}

/* The names of the bounds are the bounds. */
static void bounds_are_spelled_as_they_are(void **state)
{
    struct metrics *metrics = metrics_new(1);
    take(metrics, &plain, TEXT(""), TEXT(""));
    struct buffer out;
    buffer_init(&out);
    prometheus_format(metrics, &out);
    struct text rest = buffer_text(&out);
    for (unsigned i = 0; i < METRIC_BOUNDS; i++) {
        size_t at = text_find(rest, TEXT("le=\""));
        assert_true(at < rest.size);
        rest = text_from(rest, at + 4);
        double seconds = 0;
        assert_int_equal(sscanf(rest.at, "%lf", &seconds), 1);
        assert_int_equal((uint64_t)(seconds * 1e9 + 0.5), metric_bounds_ns[i]);
    }
    buffer_fini(&out);
    metrics_free(metrics);
}

static void tells_about_the_process(void **state)
{
    clock_fake(1, INT64_C(1767323045678000));
    struct metrics *metrics = metrics_new(1);
    struct process_metrics process;
    process_metrics_start(&process, metrics);
    struct buffer out;
    buffer_init(&out);
    prometheus_format(metrics, &out);
    struct text text = buffer_text(&out);
    static const char *const lines[] = { "\nprocess_start_time_seconds 1767323045\n",
                                         "# TYPE process_cpu_seconds_total counter\n",
                                         "\nprocess_open_fds ", "\nprocess_max_fds ",
                                         "\nprocess_resident_memory_bytes " };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_true(text_find(text, text_from_string(lines[i])) < text.size);
    }
    struct process_stats stats;
    process_read(&stats);
    assert_in_range(stats.open_fds, 3, 100);
    assert_true(stats.rss_bytes > 100000 && stats.anonymous_bytes > 0);
    assert_true(stats.anonymous_bytes < stats.rss_bytes);
    assert_true(stats.max_fds >= stats.open_fds);
    buffer_fini(&out);
    metrics_free(metrics);
    clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_without_series_are_not_shown),
        cmocka_unit_test(formats_counters_and_gauges),
        cmocka_unit_test(formats_histograms_cumulatively_in_seconds),
        cmocka_unit_test(bounds_are_spelled_as_they_are),
        cmocka_unit_test(tells_about_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
