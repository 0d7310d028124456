/* Filters against a fake exchange: header modifiers, rewriting, redirects, CORS, sessions. The fake
 * has the functions of proxy/exchange_edit.h and remembers what was asked of it. */
#include "proxy/filter/filter.h"

#include "base/clock.h"
#include "http/field_edit.h"
#include "proxy/cookie.h"
#include "proxy/exchange_edit.h"
#include "proxy/filter/session.h"
#include "proxy/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct fake {
    struct request_head request;
    struct response_head response;
    struct text path, query, scheme, authority;
    uint16_t replied; /* status */
    struct fields reply;
    char memory[4096];
    size_t used;
    size_t limit;
};

static struct fake fake;
static struct exchange *const exchange = (struct exchange *)(void *)&fake;

struct request_head *exchange_request(struct exchange *x)
{
    return &fake.request;
}

struct response_head *exchange_response(struct exchange *x)
{
    return &fake.response;
}

char *exchange_alloc(struct exchange *x, size_t size)
{
    if (size > fake.limit - fake.used) {
        return NULL;
    }
    char *at = fake.memory + fake.used;
    fake.used += size;
    return at;
}

struct text exchange_path(struct exchange *x)
{
    return fake.path;
}

struct text exchange_query(struct exchange *x)
{
    return fake.query;
}

struct text exchange_scheme(struct exchange *x)
{
    return fake.scheme;
}

struct text exchange_authority(struct exchange *x)
{
    return fake.authority;
}

void exchange_set_path(struct exchange *x, struct text path)
{
    fake.path = path;
}

void exchange_set_authority(struct exchange *x, struct text authority)
{
    fake.authority = authority;
}

void exchange_reply(struct exchange *x, uint16_t status, const struct header_value *fields,
                    unsigned count, struct text body)
{
    fake.replied = status;
    for (unsigned i = 0; i < count; i++) {
        assert_true(fields_add(&fake.reply, fields[i].name, fields[i].value));
    }
}

static void fill_fields(struct fields *fields, const char *lines)
{
    struct text rest = text_from_string(lines);
    struct text line;
    while (text_split(&rest, '\n', &line)) {
        size_t colon = text_find_byte(line, ':');
        assert_true(
            fields_add(fields, text_first(line, colon), text_trim(text_from(line, colon + 1))));
    }
}

/* "name: value" of each field, separated by '|'. */
static const char *list_fields(const struct fields *fields)
{
    static char out[1024];
    size_t size = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < fields->count; i++) {
        size += (size_t)snprintf(out + size, sizeof(out) - size, "%s%.*s: %.*s", i ? "|" : "",
                                 TEXT_ARG(fields->items[i].name), TEXT_ARG(fields->items[i].value));
    }
    return out;
}

static void reset(const char *request_fields, const char *response_fields)
{
    memset(&fake, 0, sizeof(fake));
    fake.limit = sizeof(fake.memory);
    fake.scheme = TEXT("http");
    fake.authority = TEXT("a.example");
    fake.path = TEXT("/");
    fill_fields(&fake.request.fields, request_fields);
    fill_fields(&fake.response.fields, response_fields);
}

#define T(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define VALUE(a, b)                                                                                \
    {                                                                                              \
        TEXT(a), TEXT(b)                                                                           \
    }

static void modifies_headers(void **state)
{
    struct header_value sets[] = { VALUE("X-Set", "new"), VALUE("other", "1") };
    struct header_value adds[] = { VALUE("x-add", "2") };
    struct header_value absent[] = { VALUE("x-set", "no"), VALUE("x-absent", "yes") };
    struct header_value replace[] = { VALUE("x-old", "replaced"), VALUE("x-none", "no") };
    struct text removes[] = { TEXT("X-GONE"), TEXT("x-nothing") };
    struct header_modifier modifier = { .set = sets,
                                        .set_count = 2,
                                        .add = adds,
                                        .add_count = 1,
                                        .add_absent = absent,
                                        .add_absent_count = 2,
                                        .replace = replace,
                                        .replace_count = 2,
                                        .remove = removes,
                                        .remove_count = 2 };
    const char *before = "x-gone: 1\nx-set: a\nx-add: 1\nx-set: b\nx-old: o\nX-Gone: 2";
    reset(before, before);
    assert_int_equal(request_header_modifier_filter.on_request(exchange, &modifier), FILTER_NEXT);
    const char *after = "X-Set: new|x-add: 1|x-old: replaced|other: 1|x-absent: yes|x-add: 2";
    assert_string_equal(list_fields(&fake.request.fields), after);
    assert_int_equal(response_header_modifier_filter.on_response(exchange, &modifier), FILTER_NEXT);
    assert_string_equal(list_fields(&fake.response.fields), after);
    assert_null(request_header_modifier_filter.on_response);
    assert_null(response_header_modifier_filter.on_request);
}

static void a_full_message_is_answered(void **state)
{
    struct header_value adds[] = { VALUE("x", "1") };
    struct header_modifier modifier = { .add = adds, .add_count = 1 };
    reset(NULL, NULL);
    while (fields_add(&fake.request.fields, TEXT("y"), TEXT("z"))) {
    }
    assert_int_equal(request_header_modifier_filter.on_request(exchange, &modifier),
                     FILTER_REPLIED);
    assert_int_equal(fake.replied, 500);
}

static void replaces_prefixes(void **state)
{
    static const struct {
        const char *path, *matched, *prefix, *result;
    } cases[] = {
        /* the table of Gateway API, HTTPPathModifier.replacePrefixMatch */
        { "/foo/bar", "/foo", "/xyz", "/xyz/bar" },
        { "/foo/bar", "/foo", "/xyz/", "/xyz/bar" },
        { "/foo/bar", "/foo/", "/xyz", "/xyz/bar" },
        { "/foo/bar", "/foo/", "/xyz/", "/xyz/bar" },
        { "/foo", "/foo", "/xyz", "/xyz" },
        { "/foo/", "/foo", "/xyz", "/xyz/" },
        { "/foo/bar", "/foo", "", "/bar" },
        { "/foo/", "/foo", "", "/" },
        { "/foo", "/foo", "", "/" },
        { "/foo/", "/foo", "/", "/" },
        { "/foo", "/foo", "/", "/" },
        /* and beyond */
        { "/foo/bar", "/", "/xyz", "/xyz/foo/bar" },
        { "/", "/", "/xyz", "/xyz/" },
        { "/foo", "", "/xyz", "/xyz/foo" },
        { "/foo//bar", "/foo", "/xyz", "/xyz//bar" },
        { "/foobar", "/foo", "/xyz", "/xyzbar" },
        { "/other", "/foo", "/xyz", NULL },
        { "/fo", "/foo", "/xyz", NULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char into[64];
        struct text out;
        bool done =
            path_replace_prefix(text_from_string(cases[i].path), text_from_string(cases[i].matched),
                                text_from_string(cases[i].prefix), into, sizeof(into), &out);
        assert_int_equal(done, cases[i].result != NULL);
        if (done && !text_equal(out, text_from_string(cases[i].result))) {
            fail_msg("case %zu: %.*s", i, TEXT_ARG(out));
        }
    }
    char small[4];
    struct text out;
    assert_false(path_replace_prefix(TEXT("/a"), TEXT("/a"), TEXT("/long"), small, 4, &out));
}

static void rewrites_urls(void **state)
{
    static const struct {
        struct url_rewrite rewrite;
        const char *path, *to_path, *to_authority;
    } cases[] = {
        { { .host = { "b", 1 } }, "/x", "/x", "b" },
        { { .has_full_path = true, .full_path = { "/y", 2 } }, "/x", "/y", "a.example" },
        { { .has_full_path = true }, "/x", "/", "a.example" },
        { { .has_prefix = true, .prefix = { "/y", 2 }, .matched_prefix = { "/x", 2 } },
          "/x/z",
          "/y/z",
          "a.example" },
        { { .has_prefix = true, .prefix = { "/y", 2 }, .matched_prefix = { "/q", 2 } },
          "/x/z",
          "/x/z",
          "a.example" },
        { { .has_full_path = true, .full_path = { "/y", 2 } }, "*", "*", "a.example" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        reset(NULL, NULL);
        fake.path = text_from_string(cases[i].path);
        assert_int_equal(url_rewrite_filter.on_request(exchange, &cases[i].rewrite), FILTER_NEXT);
        assert_true(text_equal(fake.path, text_from_string(cases[i].to_path)));
        assert_true(text_equal(fake.authority, text_from_string(cases[i].to_authority)));
    }
    struct url_rewrite prefix = { .has_prefix = true, .prefix = TEXT("/y") };
    reset(NULL, NULL);
    fake.limit = 1;
    assert_int_equal(url_rewrite_filter.on_request(exchange, &prefix), FILTER_REPLIED);
    assert_int_equal(fake.replied, 500);
}

static void formats_redirects(void **state)
{
    static const struct {
        struct redirect redirect;
        const char *scheme, *host;
        uint32_t port;
        const char *path, *query, *location;
    } cases[] = {
        { { .host = T("b.example") }, "http", "a.example", 80, "/x", NULL, "http://b.example/x" },
        { { .scheme = T("https") }, "http", "a.example", 8080, "/x", "q", "https://a.example/x?q" },
        { { .scheme = T("https"), .port = 443 }, "http", "a", 80, "/", NULL, "https://a/" },
        { { .scheme = T("https"), .port = 80 }, "http", "a", 80, "/", NULL, "https://a:80/" },
        { { .scheme = T("http"), .port = 443 }, "https", "a", 80, "/", NULL, "http://a:443/" },
        { { .port = 80 }, "http", "a", 80, "/", NULL, "http://a/" },
        { { .port = 8080 }, "http", "a", 80, "/", NULL, "http://a:8080/" },
        { { .scheme = T("ftp") }, "http", "a", 2121, "/", NULL, "ftp://a:2121/" },
        { { .host = T("[::1]"), .port = 81 }, "http", "a", 80, "/", NULL, "http://[::1]:81/" },
        { { .has_full_path = true, .full_path = T("/new") },
          "http",
          "a",
          80,
          "/x/y",
          "q=1",
          "http://a/new?q=1" },
        { { .has_full_path = true, .full_path = T("/new?z=2") },
          "http",
          "a",
          80,
          "/x",
          "q=1",
          "http://a/new?z=2" },
        { { .has_prefix = true, .prefix = T("/new"), .matched_prefix = T("/old") },
          "http",
          "a",
          80,
          "/old/x",
          NULL,
          "http://a/new/x" },
        { { .has_prefix = true, .prefix = T("/"), .matched_prefix = T("/old") },
          "http",
          "a",
          80,
          "/old",
          NULL,
          "http://a/" },
        { { .strip_query = true }, "http", "a", 80, "/x", "q=1", "http://a/x" },
        { { .status = 302 }, "http", "a", 80, "/x", "", "http://a/x?" },
        { { .has_full_path = true, .full_path = T("/new") }, "http", "", 0, "/x", NULL, "/new" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char into[128];
        struct text location;
        assert_true(redirect_format(
            &cases[i].redirect, text_from_string(cases[i].scheme), text_from_string(cases[i].host),
            cases[i].port, text_from_string(cases[i].path), text_from_string(cases[i].query), into,
            sizeof(into), &location));
        if (!text_equal(location, text_from_string(cases[i].location))) {
            fail_msg("case %zu: %.*s", i, TEXT_ARG(location));
        }
        for (size_t room = 0; room < location.size; room++) { /* never beyond its room */
            char *exact = malloc(room + 1);
            assert_false(redirect_format(&cases[i].redirect, text_from_string(cases[i].scheme),
                                         text_from_string(cases[i].host), cases[i].port,
                                         text_from_string(cases[i].path),
                                         text_from_string(cases[i].query), exact, room, &location));
            free(exact);
            location.size = strlen(cases[i].location);
        }
    }
}

/* ---- CORS ---- */

static struct cors_origin origins[] = {
    { .scheme = T("https"), .host = T("www.foo.com") },
    { .scheme = T("https"), .host = T("bar.com"), .wildcard = true },
    { .scheme = T("http"), .host = T("foo.com"), .port = 8080 },
    { .scheme = T("http"), .wildcard = true, .port = 81 },
    { .scheme = T("https"), .host = T("[::1]") },
};

static struct cors_policy listed_policy(void)
{
    return (struct cors_policy){
        .origins = origins,
        .origin_count = COUNT(origins),
        .allow_methods = TEXT("GET, OPTIONS"),
        .allow_headers = TEXT("x-1, x-2"),
        .expose_headers = TEXT("x-3"),
        .max_age = TEXT("3600"),
        .allow_credentials = true,
    };
}

static void answers_preflights(void **state)
{
    struct cors_policy policy = listed_policy();
    reset("Origin: https://www.foo.com\nAccess-Control-Request-Method: GET", NULL);
    fake.request.method_id = METHOD_OPTIONS;
    assert_int_equal(cors_filter.on_request(exchange, &policy), FILTER_REPLIED);
    assert_int_equal(fake.replied, 200);
    assert_string_equal(list_fields(&fake.reply),
                        "vary: Origin|access-control-allow-origin: https://www.foo.com|"
                        "access-control-allow-methods: GET, OPTIONS|"
                        "access-control-allow-headers: x-1, x-2|access-control-expose-headers: x-3|"
                        "access-control-max-age: 3600|access-control-allow-credentials: true");
    /* The answer passes the response hook too, which changes nothing. */
    fake.response.fields = fake.reply;
    char once[1024];
    snprintf(once, sizeof(once), "%s", list_fields(&fake.reply));
    assert_int_equal(cors_filter.on_response(exchange, &policy), FILTER_NEXT);
    assert_int_equal(fake.response.fields.count, fake.reply.count);
}

static void wildcards_echo_what_was_asked(void **state)
{
    struct cors_origin any = { .any = true };
    struct cors_policy policy = { .origins = &any,
                                  .origin_count = 1,
                                  .allow_methods = TEXT("*"),
                                  .allow_headers = TEXT("*"),
                                  .expose_headers = TEXT("*") };
    const char *request = "Origin: null\nAccess-Control-Request-Method: PUT\n"
                          "Access-Control-Request-Headers: x-a,x-b";
    reset(request, NULL);
    fake.request.method_id = METHOD_OPTIONS;
    cors_filter.on_request(exchange, &policy);
    assert_string_equal(list_fields(&fake.reply),
                        "vary: Origin|access-control-allow-origin: null|"
                        "access-control-allow-methods: PUT|access-control-allow-headers: x-a,x-b|"
                        "access-control-expose-headers: *");
    policy.allow_credentials = true;
    reset("Origin: null\nAccess-Control-Request-Method: PUT", NULL);
    fake.request.method_id = METHOD_OPTIONS;
    cors_filter.on_request(exchange, &policy);
    assert_string_equal(list_fields(&fake.reply), "vary: Origin|access-control-allow-origin: null|"
                                                  "access-control-allow-methods: PUT|"
                                                  "access-control-allow-credentials: true");
}

static void knows_origins(void **state)
{
    static const struct {
        const char *origin;
        bool allowed;
    } cases[] = {
        { "https://www.foo.com", true },
        { "HTTPS://WWW.FOO.COM", true },
        { "https://www.foo.com:443", true },
        { "https://www.foo.com:444", false },
        { "http://www.foo.com", false },
        { "https://foo.com", false },
        { "https://www.bar.com", true },
        { "https://a.www.bar.com", true },
        { "https://bar.com", false },
        { "https://.bar.com", false },
        { "https://evilbar.com", false },
        { "http://foo.com:8080", true },
        { "http://foo.com", false },
        { "http://any.thing:81", true },
        { "http://any.thing", false },
        { "https://[::1]", true },
        { "null", false },
        { "", false },
        { "https://", false },
        { "://www.foo.com", false },
        { "https://www.foo.com:", false },
        { "https://www.foo.com:x", false },
        { "https://www.foo.com/", false },
        { "https://www.bar.com.evil.org", false },
    };
    struct cors_policy policy = listed_policy();
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[128];
        snprintf(line, sizeof(line), "Origin: %s\nAccess-Control-Request-Method: GET",
                 cases[i].origin);
        reset(line, NULL);
        fake.request.method_id = METHOD_OPTIONS;
        assert_int_equal(cors_filter.on_request(exchange, &policy), FILTER_REPLIED);
        if ((fake.replied == 200) != cases[i].allowed) {
            fail_msg("%s: %u", cases[i].origin, fake.replied);
        }
        if (!cases[i].allowed) {
            assert_int_equal(fake.replied, 403);
            assert_string_equal(list_fields(&fake.reply), "vary: Origin");
        }
    }
}

static void origins_may_be_patterns(void **state)
{
    struct regex regex;
    struct error error;
    assert_true(regex_init(&regex, TEXT("https://[a-z]+\\.foo\\.com"), false, &error));
    struct cors_origin pattern = { .regex = &regex };
    struct cors_policy policy = { .origins = &pattern, .origin_count = 1 };
    reset("Origin: https://abc.foo.com", NULL);
    cors_filter.on_response(exchange, &policy);
    assert_non_null(
        strstr(list_fields(&fake.response.fields), "allow-origin: https://abc.foo.com"));
    reset("Origin: https://abc.foo.com.evil", NULL);
    cors_filter.on_response(exchange, &policy);
    assert_string_equal(list_fields(&fake.response.fields), "vary: Origin");
    regex_fini(&regex);
}

static void actual_responses_carry_the_policy(void **state)
{
    static const struct {
        const char *request, *before, *after;
    } cases[] = {
        { "Origin: https://www.foo.com", "Vary: Accept\nAccess-Control-Allow-Origin: *",
          "Vary: Accept|vary: Origin|access-control-allow-origin: https://www.foo.com|"
          "access-control-allow-credentials: true|access-control-expose-headers: x-3" },
        { "Origin: https://other",
          "vary: accept, origin\nAccess-Control-Allow-Origin: *\n"
          "access-control-allow-credentials: true",
          "vary: accept, origin" },
        { NULL, "Access-Control-Allow-Origin: *", "Access-Control-Allow-Origin: *|vary: Origin" },
        { NULL, "vary: *", "vary: *" },
    };
    struct cors_policy policy = listed_policy();
    for (size_t i = 0; i < COUNT(cases); i++) {
        reset(cases[i].request, cases[i].before);
        assert_int_equal(cors_filter.on_request(exchange, &policy), FILTER_NEXT);
        assert_int_equal(cors_filter.on_response(exchange, &policy), FILTER_NEXT);
        assert_string_equal(list_fields(&fake.response.fields), cases[i].after);
    }
}

static void other_options_requests_pass(void **state)
{
    struct cors_policy policy = listed_policy();
    reset("Origin: https://www.foo.com", NULL);
    fake.request.method_id = METHOD_OPTIONS;
    assert_int_equal(cors_filter.on_request(exchange, &policy), FILTER_NEXT);
    reset("Access-Control-Request-Method: GET", NULL);
    fake.request.method_id = METHOD_OPTIONS;
    assert_int_equal(cors_filter.on_request(exchange, &policy), FILTER_NEXT);
    reset("Origin: https://www.foo.com\nAccess-Control-Request-Method: GET", NULL);
    fake.request.method_id = METHOD_GET;
    assert_int_equal(cors_filter.on_request(exchange, &policy), FILTER_NEXT);
    assert_int_equal(fake.replied, 0);
    assert_true(cors_filter.on_own_replies);
}

/* ---- sessions ---- */

static void finds_cookies(void **state)
{
    static const struct {
        const char *fields, *name, *value;
    } cases[] = {
        { "Cookie: a=1; b=2", "b", "2" },
        { "Cookie: a=1;b=2", "b", "2" },
        { "Cookie: ab=1; b=\"2\"", "b", "2" },
        { "Cookie: b=1\nCookie: c=2", "c", "2" },
        { "Cookie: b=1; b=2", "b", "1" },
        { "Cookie: b", "b", NULL },
        { "Cookie: B=1", "b", NULL },
        { "Cookie: b=", "b", "" },
        { "X: b=1", "b", NULL },
        { "Cookie: x=b=1; b=a=c", "b", "a=c" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text value;
        reset(cases[i].fields, NULL);
        bool found = cookie_find(&fake.request.fields, text_from_string(cases[i].name), &value);
        assert_int_equal(found, cases[i].value != NULL);
        assert_true(!found || text_equal(value, text_from_string(cases[i].value)));
    }
}

static uint64_t first_keys[1][2] = { { 1, 2 } };
static uint64_t next_keys[2][2] = { { 3, 4 }, { 1, 2 } };

static struct session_policy cookie_policy(void)
{
    return (struct session_policy){
        .name = TEXT("pin"),
        .path = TEXT("/"),
        .ttl_s = 60,
        .keys = first_keys,
        .key_count = 1,
        .attributes = TEXT("; HttpOnly"),
        .secure_on_https = true,
    };
}

/* Sends the response's cookie back and reads it. */
static struct session give_back(const struct session_policy *policy)
{
    static char line[256];
    const struct field *cookie = fields_find(&fake.response.fields, FIELD_SET_COOKIE);
    assert_non_null(cookie);
    struct text pair = text_first(cookie->value, text_find_byte(cookie->value, ';'));
    snprintf(line, sizeof(line), "Cookie: %.*s", TEXT_ARG(pair));
    reset(line, NULL);
    return session_read(policy, &fake.request);
}

static void sessions_go_round(void **state)
{
    struct session_policy policy = cookie_policy();
    struct session none = { 0 };
    clock_fake(0, 1000 * INT64_C(1000000));
    reset(NULL, NULL);
    fake.scheme = TEXT("https");
    assert_true(session_write(&policy, &none, 0x1122334455667788, exchange));
    const struct field *cookie = fields_find(&fake.response.fields, FIELD_SET_COOKIE);
    assert_true(text_starts_with(cookie->value, TEXT("pin=")));
    assert_true(text_ends_with(cookie->value, TEXT("; Path=/; Max-Age=60; HttpOnly; Secure")));
    assert_int_equal(cookie->value.size, 4 + 32 + strlen("; Path=/; Max-Age=60; HttpOnly; Secure"));
    struct session back = give_back(&policy);
    assert_true(back.affinity == 0x1122334455667788);
    assert_int_equal(back.began_s, 1000);
    assert_true(session_write(&policy, &back, back.affinity, exchange));
    assert_int_equal(fake.response.fields.count, 0); /* the same endpoint: nothing new to say */
    assert_true(session_write(&policy, &back, 5, exchange));
    assert_int_equal(give_back(&policy).affinity, 5);
    clock_real();
}

static void keys_can_be_changed(void **state)
{
    struct session_policy policy = cookie_policy();
    struct session none = { 0 };
    reset(NULL, NULL);
    assert_true(session_write(&policy, &none, 7, exchange));
    policy.keys = next_keys;
    policy.key_count = 2;
    assert_int_equal(give_back(&policy).affinity, 7);
    reset(NULL, NULL);
    assert_true(session_write(&policy, &none, 7, exchange));
    policy.keys = first_keys;
    policy.key_count = 1;
    assert_int_equal(give_back(&policy).affinity, 0); /* signed with a key this one has not */
}

static void forged_tokens_are_none(void **state)
{
    struct session_policy policy = cookie_policy();
    struct session none = { 0 };
    char line[256];
    reset(NULL, NULL);
    assert_true(session_write(&policy, &none, 7, exchange));
    const struct field *cookie = fields_find(&fake.response.fields, FIELD_SET_COOKIE);
    snprintf(line, sizeof(line), "Cookie: %.*s", 36, cookie->value.at);
    for (size_t i = 12; i < 44; i++) { /* any one character changed */
        char kept = line[i];
        line[i] = kept == 'A' ? 'B' : 'A';
        reset(line, NULL);
        assert_int_equal(session_read(&policy, &fake.request).affinity, 0);
        line[i] = kept;
    }
    static const char *const bad[] = { "Cookie: pin=", "Cookie: pin=short",
                                       "Cookie: pin=********************************",
                                       "Cookie: other=1", NULL };
    for (size_t i = 0; bad[i] != NULL; i++) {
        reset(bad[i], NULL);
        assert_int_equal(session_read(&policy, &fake.request).affinity, 0);
    }
}

static void sessions_end(void **state)
{
    struct session_policy policy = cookie_policy();
    struct session none = { 0 };
    policy.absolute_s = 100;
    policy.idle_s = 30;
    clock_fake(0, 1000 * INT64_C(1000000));
    reset(NULL, NULL);
    assert_true(session_write(&policy, &none, 7, exchange));
    clock_fake(0, 1029 * INT64_C(1000000));
    struct session back = give_back(&policy);
    assert_int_equal(back.affinity, 7);
    assert_true(session_write(&policy, &back, 7, exchange)); /* its use is noted again */
    clock_fake(0, 1058 * INT64_C(1000000));
    back = give_back(&policy);
    assert_int_equal(back.affinity, 7);
    assert_int_equal(back.began_s, 1000);
    clock_fake(0, 1060 * INT64_C(1000000));
    assert_int_equal(session_read(&policy, &fake.request).affinity, 0); /* idle */
    policy.idle_s = 0;
    assert_int_equal(session_read(&policy, &fake.request).affinity, 7);
    clock_fake(0, 1100 * INT64_C(1000000));
    assert_int_equal(session_read(&policy, &fake.request).affinity, 0); /* absolute */
    clock_real();
}

static void sessions_go_by_header(void **state)
{
    struct session_policy policy = { .by_header = true, .name = TEXT("X-Pin") };
    struct session none = { 0 };
    char line[128];
    reset(NULL, NULL);
    assert_true(session_write(&policy, &none, 9, exchange));
    const struct field *field = fields_find_name(&fake.response.fields, TEXT("x-pin"));
    snprintf(line, sizeof(line), "x-pin: %.*s", TEXT_ARG(field->value));
    reset(line, NULL);
    assert_int_equal(session_read(&policy, &fake.request).affinity, 9);
    fake.limit = 8;
    assert_false(session_write(&policy, &none, 9, exchange));
}

static void filters_have_names(void **state)
{
    assert_ptr_equal(filter_find(TEXT("cors")), &cors_filter);
    assert_null(filter_find(TEXT("nothing")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modifies_headers),
        cmocka_unit_test(a_full_message_is_answered),
        cmocka_unit_test(replaces_prefixes),
        cmocka_unit_test(rewrites_urls),
        cmocka_unit_test(formats_redirects),
        cmocka_unit_test(answers_preflights),
        cmocka_unit_test(wildcards_echo_what_was_asked),
        cmocka_unit_test(knows_origins),
        cmocka_unit_test(origins_may_be_patterns),
        cmocka_unit_test(actual_responses_carry_the_policy),
        cmocka_unit_test(other_options_requests_pass),
        cmocka_unit_test(finds_cookies),
        cmocka_unit_test(sessions_go_round),
        cmocka_unit_test(keys_can_be_changed),
        cmocka_unit_test(forged_tokens_are_none),
        cmocka_unit_test(sessions_end),
        cmocka_unit_test(sessions_go_by_header),
        cmocka_unit_test(filters_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
