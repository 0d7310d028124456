/* Regular expressions by PCRE2: JIT, whole subject, limited steps. */
#include "proxy/regex.h"

#include "base/ensure.h"

#include <pthread.h>
#include <stdatomic.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define JIT_STACK_FIRST (16 * 1024)
#define JIT_STACK_MAX   (256 * 1024)
#define HEAP_LIMIT_KIB  256

/* What one thread matches with. */
struct matcher {
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

static _Atomic uint64_t failures;
static __thread struct matcher *matcher;
static __thread struct matcher matcher_space;
static pthread_key_t matcher_key;
static pthread_once_t matcher_once = PTHREAD_ONCE_INIT;

static void matcher_fini(void *at)
{
    struct matcher *ended = at;
    pcre2_match_data_free(ended->data);
    pcre2_match_context_free(ended->context);
    pcre2_jit_stack_free(ended->stack);
    matcher = NULL;
}

static void make_key(void)
{
    ensure(pthread_key_create(&matcher_key, matcher_fini) == 0);
}

static struct matcher *own_matcher(void)
{
    if (matcher != NULL) {
        return matcher;
    }
    pthread_once(&matcher_once, make_key);
    struct matcher *made = &matcher_space;
    made->context = pcre2_match_context_create(NULL);
    made->data = pcre2_match_data_create(1, NULL);
    made->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    ensure(made->context != NULL && made->data != NULL);
    pcre2_set_match_limit(made->context, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(made->context, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(made->context, HEAP_LIMIT_KIB);
    if (made->stack != NULL) {
        pcre2_jit_stack_assign(made->context, NULL, made->stack);
    }
    pthread_setspecific(matcher_key, made);
    matcher = made;
    return made;
}

bool regex_init(struct regex *regex, struct text pattern, bool ignore_case, struct error *error)
{
    *regex = (struct regex){ 0 };
    if (pattern.size == 0) {
        return error_set(error, "the regular expression is empty");
    }
    if (pattern.size > REGEX_PATTERN_MAX) {
        return error_set(error, "the regular expression has %zu bytes, at most %d are allowed",
                         pattern.size, REGEX_PATTERN_MAX);
    }
    int code = 0;
    PCRE2_SIZE offset = 0;
    uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_DOLLAR_ENDONLY |
                       (ignore_case ? PCRE2_CASELESS : 0u);
    regex->code =
        pcre2_compile((PCRE2_SPTR)pattern.at, pattern.size, options, &code, &offset, NULL);
    if (regex->code == NULL) {
        PCRE2_UCHAR words[128];
        pcre2_get_error_message(code, words, sizeof(words));
        return error_set(error, "\"%.*s\" is no regular expression: %s, at byte %zu",
                         (int)(pattern.size < 128 ? pattern.size : 128), pattern.at, (char *)words,
                         (size_t)offset);
    }
    /* Without JIT (a hardened kernel may forbid it) the interpreter matches, with the same limit.
     */
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    return true;
}

void regex_fini(struct regex *regex)
{
    pcre2_code_free(regex->code);
    regex->code = NULL;
}

enum regex_result regex_match(const struct regex *regex, struct text subject)
{
    struct matcher *own = own_matcher();
    const char *at = subject.at ? subject.at : "";
    int result =
        pcre2_match(regex->code, (PCRE2_SPTR)at, subject.size, 0, 0, own->data, own->context);
    if (result >= 0) {
        return REGEX_YES;
    }
    if (result == PCRE2_ERROR_NOMATCH) {
        return REGEX_NO;
    }
    atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
    return REGEX_FAILED;
}

uint64_t regex_failures(void)
{
    return atomic_load_explicit(&failures, memory_order_relaxed);
}

static bool is_literal(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '_' || c == '-' || c == '~' || c == '%' || c == '=' || c == ',' || c == ';' ||
           c == ':' || c == '@' || c == '!' || c == '&';
}

struct text regex_literal_prefix(struct text pattern)
{
    size_t from = pattern.size > 0 && pattern.at[0] == '^' ? 1 : 0;
    size_t to = from;
    if (text_find_byte(pattern, '|') < pattern.size) {
        return text_of(pattern.at, 0); /* an alternative may begin otherwise */
    }
    while (to < pattern.size && is_literal(pattern.at[to])) {
        to++;
    }
    char next = to < pattern.size ? pattern.at[to] : '\0';
    if (to > from && (next == '?' || next == '*' || next == '+' || next == '{')) {
        to--; /* the quantifier makes the byte before optional */
    }
    return text_of(pattern.at + from, to - from);
}
