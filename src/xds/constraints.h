/* The table behind xds/inspect.c: what the public API demands of each field, made at build time
 * from constraints.tsv. In order of message, then field. */
#pragma once

#include <stddef.h>

enum rule {
    RULE_EQ, /* number, wrapper, bool */
    RULE_GE, /* number, wrapper, Duration in seconds */
    RULE_GT,
    RULE_LE,
    RULE_LT,
    RULE_NOT_IN,    /* one number */
    RULE_MIN_LEN,   /* characters of a string */
    RULE_MAX_LEN,   /* characters of a string, size of bytes */
    RULE_MAX_BYTES, /* size of a string */
    RULE_MIN_ITEMS,
    RULE_MAX_ITEMS,
    RULE_HEADER_NAME,         /* no NUL, CR, LF */
    RULE_HEADER_NAME_STRICT,  /* RFC 9110 token, with a leading colon allowed */
    RULE_HEADER_VALUE,        /* no NUL, CR, LF */
    RULE_HEADER_VALUE_STRICT, /* no control characters but tab */
    RULE_REQUIRED,            /* sub-message that must be there */
    RULE_REQUIRED_ONEOF       /* field is one member, text the oneof's name */
};

struct constraint {
    const char *message;
    const char *field;
    enum rule rule;
    double number;
    const char *text;
};

extern const struct constraint constraints[];
extern const size_t constraints_count;
