/* The two clocks and their formats. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static bool faked;
static uint64_t fake_now_ns;
static int64_t fake_wall_us;

uint64_t clock_now_ns(void)
{
    if (faked) {
        return fake_now_ns;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_coarse_ns(void)
{
    if (faked) {
        return fake_now_ns;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t clock_wall_us(void)
{
    if (faked) {
        return fake_wall_us;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_fake(uint64_t now_ns, int64_t wall_us)
{
    faked = true;
    fake_now_ns = now_ns;
    fake_wall_us = wall_us;
}

void clock_real(void)
{
    faked = false;
}

/* 0000-01-01 and 9999-12-31: what four digits of a year can say. */
#define FIRST_SECOND (-62167219200)
#define LAST_SECOND  253402300799

/* Splits into date, time and milliseconds; rounds down, before 1970 as well. */
static struct tm date_of(int64_t wall_us, int *out_milliseconds)
{
    int64_t fraction_us = wall_us % 1000000;
    time_t seconds = (time_t)(wall_us / 1000000);
    if (fraction_us < 0) {
        fraction_us += 1000000;
        seconds--;
    }
    seconds = seconds < FIRST_SECOND ? FIRST_SECOND : seconds;
    seconds = seconds > LAST_SECOND ? LAST_SECOND : seconds;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    *out_milliseconds = (int)(fraction_us / 1000);
    return tm;
}

static void put_digits(char *at, int width, int value)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_format_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_SIZE])
{
    int milliseconds;
    struct tm tm = date_of(wall_us, &milliseconds);
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_SIZE);
    put_digits(out, 4, tm.tm_year + 1900);
    put_digits(out + 5, 2, tm.tm_mon + 1);
    put_digits(out + 8, 2, tm.tm_mday);
    put_digits(out + 11, 2, tm.tm_hour);
    put_digits(out + 14, 2, tm.tm_min);
    put_digits(out + 17, 2, tm.tm_sec);
    put_digits(out + 20, 3, milliseconds);
}

void clock_format_imf(int64_t wall_us, char out[CLOCK_IMF_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int milliseconds;
    struct tm tm = date_of(wall_us, &milliseconds);
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", CLOCK_IMF_SIZE);
    memcpy(out, days + tm.tm_wday * 3, 3);
    put_digits(out + 5, 2, tm.tm_mday);
    memcpy(out + 8, months + tm.tm_mon * 3, 3);
    put_digits(out + 12, 4, tm.tm_year + 1900);
    put_digits(out + 17, 2, tm.tm_hour);
    put_digits(out + 20, 2, tm.tm_min);
    put_digits(out + 23, 2, tm.tm_sec);
}

/* Takes exactly `width` digits off the front. */
static bool take_digits(struct text *t, size_t width, int *out_value)
{
    uint64_t value;
    if (t->size < width || !text_parse_u64(text_first(*t, width), 9999, &value)) {
        return false;
    }
    *t = text_from(*t, width);
    *out_value = (int)value;
    return true;
}

static bool take_byte(struct text *t, char byte)
{
    if (t->size == 0 || t->at[0] != byte) {
        return false;
    }
    *t = text_from(*t, 1);
    return true;
}

static bool take_fraction(struct text *t, int64_t *out_us)
{
    int64_t scale = 100000;
    *out_us = 0;
    if (!take_byte(t, '.')) {
        return true;
    }
    if (t->size == 0 || t->at[0] < '0' || t->at[0] > '9') {
        return false;
    }
    while (t->size > 0 && t->at[0] >= '0' && t->at[0] <= '9') {
        *out_us += (t->at[0] - '0') * scale;
        scale /= 10;
        *t = text_from(*t, 1);
    }
    return true;
}

static bool take_zone(struct text *t, int64_t *out_seconds)
{
    *out_seconds = 0;
    if (take_byte(t, 'Z') || take_byte(t, 'z')) {
        return true;
    }
    int sign = take_byte(t, '+') ? 1 : take_byte(t, '-') ? -1 : 0;
    int hours, minutes;
    if (sign == 0 || !take_digits(t, 2, &hours) || !take_byte(t, ':') ||
        !take_digits(t, 2, &minutes)) {
        return false;
    }
    *out_seconds = sign * (hours * 3600 + minutes * 60);
    return hours <= 23 && minutes <= 59;
}

bool clock_parse_rfc3339(struct text t, int64_t *out_wall_us)
{
    struct tm tm = { 0 };
    int64_t fraction_us, zone_s;
    if (!take_digits(&t, 4, &tm.tm_year) || !take_byte(&t, '-') ||
        !take_digits(&t, 2, &tm.tm_mon) || !take_byte(&t, '-') ||
        !take_digits(&t, 2, &tm.tm_mday) || !(take_byte(&t, 'T') || take_byte(&t, 't')) ||
        !take_digits(&t, 2, &tm.tm_hour) || !take_byte(&t, ':') ||
        !take_digits(&t, 2, &tm.tm_min) || !take_byte(&t, ':') ||
        !take_digits(&t, 2, &tm.tm_sec) || !take_fraction(&t, &fraction_us) ||
        !take_zone(&t, &zone_s) || t.size > 0) {
        return false;
    }
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60) {
        return false;
    }
    int day = tm.tm_mday;
    int second = tm.tm_sec;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    tm.tm_sec = 0;
    int64_t minute_s = (int64_t)timegm(&tm);
    if (tm.tm_mday != day) {
        return false; /* no such day in this month: timegm moved on to the next */
    }
    *out_wall_us = (minute_s + second - zone_s) * 1000000 + fraction_us;
    return true;
}
