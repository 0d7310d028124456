/* struct text: a view of bytes by value, not NUL-terminated, never owning. Lives as long as what it
 * points into. All comparisons are bytewise; "nocase" folds ASCII letters only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *at;
    size_t size;
};

/* A view of a string literal. */
#define TEXT(literal) ((struct text){ "" literal, sizeof(literal) - 1 })
/* The same as an initialiser of static tables, where a compound literal is not a constant. */
#define TEXT_STATIC(literal) { "" literal, sizeof(literal) - 1 }
/* For printf("%.*s"). */
#define TEXT_ARG(t) (int)(t).size, (t).at

static inline struct text text_of(const char *at, size_t size)
{
    return (struct text){ at, size };
}

static inline struct text text_from_string(const char *string)
{
    return (struct text){ string, string ? strlen(string) : 0 };
}

static inline bool text_equal(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static inline char text_lower_byte(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

bool text_equal_nocase(struct text a, struct text b);
/* <0, 0, >0 like memcmp, a shorter prefix first. */
int text_compare(struct text a, struct text b);
bool text_starts_with(struct text t, struct text prefix);
bool text_ends_with(struct text t, struct text suffix);
/* Index of the first such byte, or t.size where there is none. */
size_t text_find_byte(struct text t, char byte);
/* Index of the first occurrence, or t.size. */
size_t text_find(struct text t, struct text needle);
/* From `from` to the end; empty where from is past the end. */
struct text text_from(struct text t, size_t from);
struct text text_first(struct text t, size_t size);
/* Without leading and trailing spaces and tabs. */
struct text text_trim(struct text t);
/* Takes what stands before `separator` off *rest; false when *rest was exhausted before. An empty
 * rest with a NULL `at` is exhausted; "a," gives "a" and "". */
bool text_split(struct text *rest, char separator, struct text *out_part);
/* Decimal digits only, the whole text, no sign; false when empty, otherwise shaped or above max. */
bool text_parse_u64(struct text t, uint64_t max, uint64_t *out_value);
/* Valid UTF-8 as of RFC 3629: no overlong forms, surrogates or values above U+10FFFF. */
bool text_is_utf8(struct text t);
