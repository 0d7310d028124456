/* Views of bytes: comparing, searching, splitting. */
#include "base/text.h"

bool text_equal_nocase(struct text a, struct text b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (text_lower_byte(a.at[i]) != text_lower_byte(b.at[i])) {
            return false;
        }
    }
    return true;
}

int text_compare(struct text a, struct text b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter == 0 ? 0 : memcmp(a.at, b.at, shorter);
    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

bool text_starts_with(struct text t, struct text prefix)
{
    return t.size >= prefix.size && text_equal(text_first(t, prefix.size), prefix);
}

bool text_ends_with(struct text t, struct text suffix)
{
    return t.size >= suffix.size && text_equal(text_from(t, t.size - suffix.size), suffix);
}

size_t text_find_byte(struct text t, char byte)
{
    if (t.size == 0) {
        return 0;
    }
    const char *found = memchr(t.at, byte, t.size);
    return found ? (size_t)(found - t.at) : t.size;
}

size_t text_find(struct text t, struct text needle)
{
    if (needle.size == 0) {
        return 0;
    }
    if (t.size == 0) {
        return t.size;
    }
    const char *found = memmem(t.at, t.size, needle.at, needle.size);
    return found ? (size_t)(found - t.at) : t.size;
}

struct text text_from(struct text t, size_t from)
{
    if (t.size == 0) {
        return t; /* whose `at` may be NULL */
    }
    if (from >= t.size) {
        return text_of(t.at + t.size, 0);
    }
    return text_of(t.at + from, t.size - from);
}

struct text text_first(struct text t, size_t size)
{
    return text_of(t.at, size < t.size ? size : t.size);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct text text_trim(struct text t)
{
    while (t.size > 0 && is_blank(t.at[0])) {
        t.at++;
        t.size--;
    }
    while (t.size > 0 && is_blank(t.at[t.size - 1])) {
        t.size--;
    }
    return t;
}

bool text_split(struct text *rest, char separator, struct text *out_part)
{
    if (rest->at == NULL) {
        return false;
    }
    size_t end = text_find_byte(*rest, separator);
    *out_part = text_first(*rest, end);
    bool last = end == rest->size;
    *rest = last ? text_of(NULL, 0) : text_of(rest->at + end + 1, rest->size - end - 1);
    return true;
}

bool text_parse_u64(struct text t, uint64_t max, uint64_t *out_value)
{
    uint64_t value = 0;
    if (t.size == 0) {
        return false;
    }
    for (size_t i = 0; i < t.size; i++) {
        unsigned digit = (unsigned)(unsigned char)t.at[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out_value = value;
    return value <= max;
}

/* The length of the UTF-8 sequence at `at`, or 0 where it is malformed. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t size;
    if (lead < 0x80) {
        return 1;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
        size = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        size = 3;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        size = 4;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (left < size || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool text_is_utf8(struct text t)
{
    const unsigned char *at = (const unsigned char *)t.at;
    size_t i = 0;
    while (i < t.size) {
        size_t size = utf8_sequence(at + i, t.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}
