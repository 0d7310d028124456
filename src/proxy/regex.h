/* Regular expressions of configuration: PCRE2 with JIT, matched against the whole subject,
 * bytewise, within a limit of steps, so that hostile input cannot stall a worker (0.03 ms at most).
 * Compiled on the main thread, matched by any; each thread keeps its own JIT stack and match data,
 * made at its first match. */
#pragma once

#include "base/error.h"
#include "base/text.h"

#define REGEX_PATTERN_MAX 4096
#define REGEX_MATCH_LIMIT 10000

struct regex {
    void *code;         /* pcre2_code */
    struct regex *next; /* the owner's list of what to free */
};

/* False: the pattern is no regular expression, or too long. What it makes is freed by regex_fini.
 */
bool regex_init(struct regex *regex, struct text pattern, bool ignore_case, struct error *error);
void regex_fini(struct regex *regex);

enum regex_result { REGEX_NO, REGEX_YES, REGEX_FAILED /* over the limit: counted, denies */ };
enum regex_result regex_match(const struct regex *regex, struct text subject);
/* How many matches failed in this process. Any thread. */
uint64_t regex_failures(void);
/* The bytes every match begins with, as far as a quick look at the pattern tells; may be empty. A
 * view into the pattern. */
struct text regex_literal_prefix(struct text pattern);
