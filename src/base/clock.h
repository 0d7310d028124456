/* Time. Durations and timers use the monotonic clock; only log lines, dates and certificates use
 * the wall clock. Both can be replaced in tests (clock_fake). */
#pragma once

#include "base/text.h"

/* Nanoseconds since some start; never goes back. */
uint64_t clock_now_ns(void);
/* clock_now_ns() as of the last kernel tick (1 to 10 ms ago), at a quarter of the price. */
uint64_t clock_coarse_ns(void);
/* Microseconds since 1970-01-01 UTC. */
int64_t clock_wall_us(void);
/* From now on both clocks stand still at these values; clock_real() undoes it. */
void clock_fake(uint64_t now_ns, int64_t wall_us);
void clock_real(void);

#define CLOCK_RFC3339_SIZE 24
/* "2026-01-02T03:04:05.678Z", exactly CLOCK_RFC3339_SIZE bytes and no NUL. */
void clock_format_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_SIZE]);
#define CLOCK_IMF_SIZE 29
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7), exactly CLOCK_IMF_SIZE bytes and no NUL. */
void clock_format_imf(int64_t wall_us, char out[CLOCK_IMF_SIZE]);
/* Reads "2026-01-02T03:04:05[.fff](Z|+hh:mm)" (RFC 3339). */
bool clock_parse_rfc3339(struct text t, int64_t *out_wall_us);
