/* struct error: what an operator is told when something fails. Allocation-free; the caller owns
 * it, passes it last, and reads it only after a `false`. Messages say what is wrong and how to
 * mend it. */
#pragma once

#include "base/text.h"

#define ERROR_TEXT_MAX 512

struct error {
    char text[ERROR_TEXT_MAX]; /* NUL-terminated; a longer message is cut */
};

/* Sets the message and returns false, so that `return error_set(error, ...)` reads well. */
bool error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "prefix: " before the message that is there. Returns false. */
bool error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Like error_set, with ": " and the words for this errno value behind. Returns false. */
bool error_errno(struct error *error, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
