/* Scripts for the ADS tests: lines of commands, each followed by the lines ("> ...") that must be
 * said back before the next. Included by one test program each. */
#pragma once

#include "base/buffer.h"
#include "base/hash.h"
#include "xds/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct script {
    const char *name;
    const char *lines;
};

struct script_nonce {
    char type[8];
    char nonce[16]; /* empty: answered */
};

static inline struct text script_url(struct text type)
{
    if (text_equal(type, TEXT("LDS")))
        return TYPE_LISTENER;
    if (text_equal(type, TEXT("RDS")))
        return TYPE_ROUTES;
    if (text_equal(type, TEXT("CDS")))
        return TYPE_CLUSTER;
    assert_true(text_equal(type, TEXT("EDS")));
    return TYPE_ENDPOINTS;
}

static inline const char *script_short(struct text url)
{
    return text_equal(url, TYPE_LISTENER)    ? "LDS"
           : text_equal(url, TYPE_ROUTES)    ? "RDS"
           : text_equal(url, TYPE_CLUSTER)   ? "CDS"
           : text_equal(url, TYPE_ENDPOINTS) ? "EDS"
                                             : "?";
}

static inline bool script_word(struct text *rest, struct text *out_word)
{
    return rest->size > 0 && text_split(rest, ' ', out_word) && out_word->size > 0;
}

/* The version the server gives these bytes. */
static inline void script_version(struct text bytes, char out[20])
{
    snprintf(out, 20, "%016" PRIx64, hash_stable(bytes));
}

static inline void script_play(const struct script *script, struct buffer *said, void *owner,
                               void (*run)(void *owner, struct text verb, struct text rest))
{
    struct text lines = text_from_string(script->lines), line;
    while (lines.size > 0 && text_split(&lines, '\n', &line)) {
        if (line.size > 0 && line.at[0] == '>') {
            struct text first =
                text_first(buffer_text(said), text_find_byte(buffer_text(said), '\n'));
            if (!text_equal(first, line))
                fail_msg("%s: wanted \"%.*s\", got \"%.*s\"", script->name, TEXT_ARG(line),
                         TEXT_ARG(first));
            buffer_consume(said, first.size + 1);
            continue;
        }
        if (said->size > 0)
            fail_msg("%s: before \"%.*s\": unexpected\n%.*s", script->name, TEXT_ARG(line),
                     TEXT_ARG(buffer_text(said)));
        struct text verb;
        assert_true(script_word(&line, &verb));
        run(owner, verb, line);
    }
    if (said->size > 0)
        fail_msg("%s: unexpected at the end\n%.*s", script->name, TEXT_ARG(buffer_text(said)));
}
