/* Operator errors: formatting into a fixed buffer. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(struct error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    return false;
}

bool error_prefix(struct error *error, const char *format, ...)
{
    char old[ERROR_TEXT_MAX];
    memcpy(old, error->text, sizeof(old));
    va_list list;
    va_start(list, format);
    int size = vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    if (size >= 0 && (size_t)size < sizeof(error->text)) {
        snprintf(error->text + size, sizeof(error->text) - (size_t)size, ": %s", old);
    }
    return false;
}

bool error_errno(struct error *error, int errno_value, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int size = vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    if (size >= 0 && (size_t)size < sizeof(error->text)) {
        char words[128];
        const char *said = strerror_r(errno_value, words, sizeof(words));
        snprintf(error->text + size, sizeof(error->text) - (size_t)size, ": %s", said);
    }
    return false;
}
