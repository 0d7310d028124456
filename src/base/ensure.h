/* Always-on assertion for programmer errors. A failed ensure() prints the place and aborts; it is
 * never used for anything input or the operating system can cause. */
#pragma once

void ensure_failed(const char *file, int line, const char *what) __attribute__((noreturn));

#define ensure(condition)                                                                          \
    (__builtin_expect(!!(condition), 1) ? (void)0 : ensure_failed(__FILE__, __LINE__, #condition))
