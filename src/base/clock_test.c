/* Clocks, and the two forms of a date. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void clocks_run_and_can_be_stopped(void **state)
{
    uint64_t before = clock_now_ns();
    uint64_t after = clock_now_ns();
    assert_true(after >= before);
    uint64_t coarse = clock_coarse_ns();
    uint64_t now = clock_now_ns();
    assert_true(coarse <= now && now - coarse < 1000000000u);
    assert_true(clock_wall_us() > 1600000000000000);
    clock_fake(5, 6);
    assert_int_equal(clock_now_ns(), 5);
    assert_int_equal(clock_coarse_ns(), 5);
    assert_int_equal(clock_wall_us(), 6);
    clock_real();
    assert_true(clock_now_ns() >= after);
}

static void dates_are_formatted(void **state)
{
    static const struct {
        int64_t wall_us;
        const char *rfc3339, *imf;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 784111777000000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT" },
        { 951782400123456, "2000-02-29T00:00:00.123Z", "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 1767322999999999, "2026-01-02T03:03:19.999Z", "Fri, 02 Jan 2026 03:03:19 GMT" },
        { 4102444799999000, "2099-12-31T23:59:59.999Z", "Thu, 31 Dec 2099 23:59:59 GMT" },
        { -1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT" },
        { -1000000, "1969-12-31T23:59:59.000Z", "Wed, 31 Dec 1969 23:59:59 GMT" },
        { 253402300799000000, "9999-12-31T23:59:59.000Z", "Fri, 31 Dec 9999 23:59:59 GMT" },
        { 253402300800000000, "9999-12-31T23:59:59.000Z", "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MIN, "0000-01-01T00:00:00.224Z", "Sat, 01 Jan 0000 00:00:00 GMT" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char rfc3339[CLOCK_RFC3339_SIZE + 1] = { 0 }, imf[CLOCK_IMF_SIZE + 1] = { 0 };
        clock_format_rfc3339(cases[i].wall_us, rfc3339);
        clock_format_imf(cases[i].wall_us, imf);
        assert_string_equal(rfc3339, cases[i].rfc3339);
        assert_string_equal(imf, cases[i].imf);
    }
}

static void dates_are_parsed(void **state)
{
    static const struct {
        const char *in;
        int64_t wall_us;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1994-11-06T08:49:37Z", 784111777000000 },
        { "1994-11-06T08:49:37.5Z", 784111777500000 },
        { "1994-11-06t08:49:37.123456z", 784111777123456 },
        { "1994-11-06T08:49:37.123456999Z", 784111777123456 },
        { "1994-11-06T09:49:37+01:00", 784111777000000 },
        { "1994-11-06T03:19:37-05:30", 784111777000000 },
        { "2000-02-29T00:00:00Z", 951782400000000 },
        { "2000-02-29T00:00:00-00:00", 951782400000000 },
        { "1969-12-31T23:59:59.999Z", -1000 },
        { "2016-12-31T23:59:60Z", 1483228800000000 }, /* a leap second is the next minute's first */
        { "0000-01-01T00:00:00Z", -62167219200000000 },
        { "9999-12-31T23:59:59Z", 253402300799000000 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t wall_us;
        if (!clock_parse_rfc3339(text_from_string(cases[i].in), &wall_us)) {
            fail_msg("refused: %s", cases[i].in);
        }
        assert_true(wall_us == cases[i].wall_us);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const cases[] = {
        "", "2026", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z",
        "2026-1-2T03:04:05Z", "26-01-02T03:04:05Z", "2026-01-02T03:04Z", "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z", "2026-01-02T03:04:05+1:00", "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+01", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+00:60",
        "2026-01-02T03:04:05Zx", " 2026-01-02T03:04:05Z", "2026-01-02T03:04:05 Z",
        "2026-00-02T03:04:05Z", "2026-13-02T03:04:05Z", "2026-01-00T03:04:05Z",
        "2026-01-32T03:04:05Z", "2026-02-29T03:04:05Z", "2026-02-30T03:04:05Z",
        "2100-02-29T00:00:00Z", "2026-04-31T03:04:05Z", "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z", "2026-01-02T03:04:61Z", "-026-01-02T03:04:05Z",
        "2026-01-02T+3:04:05Z", "2026-01-02T03:04:05.-5Z",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t wall_us;
        if (clock_parse_rfc3339(text_from_string(cases[i]), &wall_us)) {
            fail_msg("taken: %s", cases[i]);
        }
    }
}

static void what_is_formatted_is_parsed_again(void **state)
{
    for (int64_t wall_us = -62135596800000000; wall_us < 253402300800000000;
         wall_us += 86399999 * 10007000LL) {
        char out[CLOCK_RFC3339_SIZE];
        int64_t again;
        clock_format_rfc3339(wall_us, out);
        assert_true(clock_parse_rfc3339(text_of(out, sizeof(out)), &again));
        assert_true(again == wall_us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_run_and_can_be_stopped),
        cmocka_unit_test(dates_are_formatted),
        cmocka_unit_test(dates_are_parsed),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(what_is_formatted_is_parsed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
