/* Paths, authorities and queries. The tables of spellings are what path rules are slipped past
 * with: each is refused or comes out as the path that every server would make of it. */
#include "http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct path_rules keep = { 0 };
static const struct path_rules merge = { .merge_slashes = true };
/* What stands guard: the defaults where a policy or a route other than "/" is. */
static const struct path_rules guard = { .encoded_slash = PATH_REFUSE,
                                         .backslash = PATH_REFUSE,
                                         .double_slash = PATH_REFUSE,
                                         .parameters = PATH_REFUSE };

struct normalized {
    const char *path;
    enum path_result result;
    const char *out; /* of PATH_CHANGED */
};

/* Normalizes in memory of exactly the size, twice. */
static void check_path(struct text path, const struct path_rules *rules, enum path_result expected,
                       const char *out)
{
    char *from = malloc(path.size + 1), *into = malloc(path.size + 1);
    char *again = malloc(path.size + 1);
    struct text first, second;
    memcpy(from, path.at, path.size);
    from = realloc(from, path.size > 0 ? path.size : 1);
    into = realloc(into, path.size > 0 ? path.size : 1);
    enum path_result result = path_normalize(text_of(from, path.size), rules, into, &first);
    if (result != expected) {
        fail_msg("%.*s: %s, not %s", TEXT_ARG(path), path_result_name(result),
                 path_result_name(expected));
    }
    if (result == PATH_SAME || result == PATH_CHANGED) {
        struct text wanted = result == PATH_SAME ? path : text_from_string(out);
        if (!text_equal(first, wanted)) {
            fail_msg("%.*s: became %.*s", TEXT_ARG(path), TEXT_ARG(first));
        }
        assert_int_equal(path_normalize(first, rules, again, &second), PATH_SAME);
        assert_ptr_equal(second.at, first.at);
    }
    free(from);
    free(into);
    free(again);
}

static void check_paths(const struct normalized *rows, size_t count, const struct path_rules *rules)
{
    for (size_t i = 0; i < count; i++) {
        check_path(text_from_string(rows[i].path), rules, rows[i].result, rows[i].out);
    }
}

#define CHECK_PATHS(rows, rules) check_paths(rows, sizeof(rows) / sizeof(rows[0]), rules)

static void normal_paths_stay(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/",
        "*",
        "/a",
        "/a/",
        "/a/b/c",
        "/a.b",
        "/a..",
        "/a./b",
        "/.a",
        "/..a",
        "/.../a",
        "/a/...",
        "/.well-known/x",
        "/~a_b-c.d",
        "/a!$&'()*+,=:@b",
        "/%20",
        "/%25",
        "/%252e%252e",
        "/%C3%A9",
        "/%E2%82%AC",
        "/%F0%9F%98%80",
        "/%80",
        "/%E9",
        "/%C0",
        "/%C1%20",
        "/%E0%A0%80",
        "/%F0%90%80%80",
        "/[]^`{|}",
        "/%3F",
        "/%23",
        "/%3D%26",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        check_path(text_from_string(paths[i]), &keep, PATH_SAME, NULL);
        check_path(text_from_string(paths[i]), &merge, PATH_SAME, NULL);
        check_path(text_from_string(paths[i]), &guard, PATH_SAME, NULL);
    }
}

/* The same under all rules. */
static const struct normalized always[] = {
    { "/%41%7a%30%2d%2E%5f%7E", PATH_CHANGED, "/Az0-._~" },
    { "/%c3%a9", PATH_CHANGED, "/%C3%A9" },
    { "/%3f%2b", PATH_CHANGED, "/%3F%2B" },
    { "/a/./b", PATH_CHANGED, "/a/b" },
    { "/a/../b", PATH_CHANGED, "/b" },
    { "/a/b/..", PATH_CHANGED, "/a/" },
    { "/a/b/.", PATH_CHANGED, "/a/b/" },
    { "/a/..", PATH_CHANGED, "/" },
    { "/.", PATH_CHANGED, "/" },
    { "/./", PATH_CHANGED, "/" },
    { "/./.", PATH_CHANGED, "/" },
    { "/a/b/c/./../../g", PATH_CHANGED, "/a/g" },
    { "/a/%2e/b", PATH_CHANGED, "/a/b" },
    { "/a/%2E%2e/b", PATH_CHANGED, "/b" },
    { "/a/.%2e/b", PATH_CHANGED, "/b" },
    { "/a/%2e./b", PATH_CHANGED, "/b" },
    { "/a/%2e%2e", PATH_CHANGED, "/" },
    { "/..", PATH_ABOVE_ROOT, NULL },
    { "/../a", PATH_ABOVE_ROOT, NULL },
    { "/a/../../b", PATH_ABOVE_ROOT, NULL },
    { "/%2e%2e/a", PATH_ABOVE_ROOT, NULL },
    { "/./../a", PATH_ABOVE_ROOT, NULL },
    { "", PATH_BAD_BYTE, NULL },
    { "a", PATH_BAD_BYTE, NULL },
    { "**", PATH_BAD_BYTE, NULL },
    { "%2Fa", PATH_BAD_BYTE, NULL },
    { "/a#b", PATH_BAD_BYTE, NULL },
    { "/a?b", PATH_BAD_BYTE, NULL },
    { "/a b", PATH_BAD_BYTE, NULL },
    { "/a\tb", PATH_BAD_BYTE, NULL },
    { "/a\x7f", PATH_BAD_BYTE, NULL },
    { "/\xc3\xa9", PATH_BAD_BYTE, NULL },
    { "/a\"b", PATH_BAD_BYTE, NULL },
    { "/<a>", PATH_BAD_BYTE, NULL },
    { "/%", PATH_BAD_ESCAPE, NULL },
    { "/%2", PATH_BAD_ESCAPE, NULL },
    { "/%2/", PATH_BAD_ESCAPE, NULL },
    { "/%zz", PATH_BAD_ESCAPE, NULL },
    { "/%u002e", PATH_BAD_ESCAPE, NULL },
    { "/%%32%65", PATH_BAD_ESCAPE, NULL },
    { "/%00", PATH_BAD_ESCAPE, NULL },
    { "/a%00.txt", PATH_BAD_ESCAPE, NULL },
    { "/%0a", PATH_BAD_ESCAPE, NULL },
    { "/%0d%0aX:%20y", PATH_BAD_ESCAPE, NULL },
    { "/%1F", PATH_BAD_ESCAPE, NULL },
    { "/%7f", PATH_BAD_ESCAPE, NULL },
    { "/%c0%ae%c0%ae/a", PATH_BAD_ESCAPE, NULL },
    { "/%c0%af", PATH_BAD_ESCAPE, NULL },
    { "/%C1%9C", PATH_BAD_ESCAPE, NULL },
    { "/%e0%80%af", PATH_BAD_ESCAPE, NULL },
    { "/%f0%80%80%af", PATH_BAD_ESCAPE, NULL },
    { "/%f8%80%80%80%af", PATH_BAD_ESCAPE, NULL },
    { "/%fc%80%80%80%80%af", PATH_BAD_ESCAPE, NULL },
    { "/x/..;/a", PATH_REFUSED_PARAMETER, NULL },
    { "/x/.;/a", PATH_REFUSED_PARAMETER, NULL },
    { "/x/..;y=z/a", PATH_REFUSED_PARAMETER, NULL },
    { "/x/..%3b/a", PATH_REFUSED_PARAMETER, NULL },
    { "/x/%2e%2e;/a", PATH_REFUSED_PARAMETER, NULL },
    { "/x/..%2fa", PATH_REFUSED_SLASH, NULL },
    { "/x/..%2Fa", PATH_REFUSED_SLASH, NULL },
    { "/x%2f../a", PATH_REFUSED_SLASH, NULL },
    { "/x%2f..", PATH_REFUSED_SLASH, NULL },
    { "/x%2f%2e%2e%2fa", PATH_REFUSED_SLASH, NULL },
    { "/x/.%2fa", PATH_REFUSED_SLASH, NULL },
    { "/x/..\\a", PATH_REFUSED_BACKSLASH, NULL },
    { "/x/..%5ca", PATH_REFUSED_BACKSLASH, NULL },
    { "/x/%2e%2e%5Ca", PATH_REFUSED_BACKSLASH, NULL },
    { "/a//../b", PATH_REFUSED_DOUBLE_SLASH, NULL },
};

static void normalizes(void **state)
{
    (void)state;
    CHECK_PATHS(always, &keep);
    /* Merged, "//" is no longer there for ".." to take away. */
    check_paths(always, sizeof(always) / sizeof(always[0]) - 1, &merge);
    check_path(TEXT("/a//../b"), &merge, PATH_CHANGED, "/b");
}

static void keeps_what_it_is_told_to_keep(void **state)
{
    (void)state;
    static const struct normalized rows[] = {
        { "/@scope%2fname", PATH_CHANGED, "/@scope%2Fname" },
        { "/@scope%2Fname", PATH_SAME, NULL },
        { "/a%2f%2fb", PATH_CHANGED, "/a%2F%2Fb" },
        { "/a\\b", PATH_SAME, NULL },
        { "/a%5cb", PATH_CHANGED, "/a%5Cb" },
        { "/a;b=c/d;", PATH_SAME, NULL },
        { "/a%3bb", PATH_CHANGED, "/a%3Bb" },
        { "/a;..", PATH_SAME, NULL },
        { "/a;..%2fb", PATH_CHANGED, "/a;..%2Fb" },
        { "//", PATH_SAME, NULL },
        { "//a", PATH_SAME, NULL },
        { "/a//b", PATH_SAME, NULL },
        { "/a/.//b", PATH_CHANGED, "/a//b" },
        { "/a/..//b", PATH_CHANGED, "//b" },
        { "//a/..", PATH_CHANGED, "//" },
        { "/a//b/..", PATH_CHANGED, "/a//" },
        { "//..", PATH_REFUSED_DOUBLE_SLASH, NULL },
    };
    CHECK_PATHS(rows, &keep);
}

static void merges_slashes(void **state)
{
    (void)state;
    static const struct normalized rows[] = {
        { "//", PATH_CHANGED, "/" },
        { "///a", PATH_CHANGED, "/a" },
        { "/a//b///c", PATH_CHANGED, "/a/b/c" },
        { "/a//", PATH_CHANGED, "/a/" },
        { "/a/.//b", PATH_CHANGED, "/a/b" },
        { "/a//..", PATH_CHANGED, "/" },
        { "//..", PATH_ABOVE_ROOT, NULL },
        { "/a//.//b", PATH_CHANGED, "/a/b" },
        { "/a/b//../c", PATH_CHANGED, "/a/c" },
    };
    CHECK_PATHS(rows, &merge);
}

/* Ways to spell /admin/x that some server, proxy or framework has taken for it. Guarded, each is
 * refused, or comes out as that path, or is another path for all of them. */
static const struct normalized spellings[] = {
    { "/admin/x", PATH_SAME, NULL },
    { "//admin/x", PATH_REFUSED_DOUBLE_SLASH, NULL },
    { "/admin//x", PATH_REFUSED_DOUBLE_SLASH, NULL },
    { "///admin/x", PATH_REFUSED_DOUBLE_SLASH, NULL },
    { "/./admin/x", PATH_CHANGED, "/admin/x" },
    { "/admin/./x", PATH_CHANGED, "/admin/x" },
    { "/.//admin/x", PATH_REFUSED_DOUBLE_SLASH, NULL },
    { "/%2e/admin/x", PATH_CHANGED, "/admin/x" },
    { "/%2e%2fadmin/x", PATH_REFUSED_SLASH, NULL },
    { "/y/../admin/x", PATH_CHANGED, "/admin/x" },
    { "/y/%2e%2e/admin/x", PATH_CHANGED, "/admin/x" },
    { "/y/.%2e/admin/x", PATH_CHANGED, "/admin/x" },
    { "/y/%2E./admin/x", PATH_CHANGED, "/admin/x" },
    { "/y/..%2fadmin/x", PATH_REFUSED_SLASH, NULL },
    { "/y%2f../admin/x", PATH_REFUSED_SLASH, NULL },
    { "/y/..%5cadmin/x", PATH_REFUSED_BACKSLASH, NULL },
    { "/y/..\\admin/x", PATH_REFUSED_BACKSLASH, NULL },
    { "/y\\..\\admin/x", PATH_REFUSED_BACKSLASH, NULL },
    { "/y/..;/admin/x", PATH_REFUSED_PARAMETER, NULL },
    { "/y/..;z/admin/x", PATH_REFUSED_PARAMETER, NULL },
    { "/y/.;/../admin/x", PATH_REFUSED_PARAMETER, NULL },
    { "/;/admin/x", PATH_REFUSED_PARAMETER, NULL },
    { "/;y/admin/x", PATH_REFUSED_PARAMETER, NULL },
    { "/admin;/x", PATH_REFUSED_PARAMETER, NULL },
    { "/admin;y=z/x", PATH_REFUSED_PARAMETER, NULL },
    { "/admin%3b/x", PATH_REFUSED_PARAMETER, NULL },
    { "/admin/x;", PATH_REFUSED_PARAMETER, NULL },
    { "/admin%2fx", PATH_REFUSED_SLASH, NULL },
    { "/%2fadmin/x", PATH_REFUSED_SLASH, NULL },
    { "/admin%2Fx", PATH_REFUSED_SLASH, NULL },
    { "/admin\\x", PATH_REFUSED_BACKSLASH, NULL },
    { "/admin%5cx", PATH_REFUSED_BACKSLASH, NULL },
    { "\\admin\\x", PATH_BAD_BYTE, NULL },
    { "/%61dmin/x", PATH_CHANGED, "/admin/x" },
    { "/%61%64%6D%69%6e/x", PATH_CHANGED, "/admin/x" },
    { "/admin/%78", PATH_CHANGED, "/admin/x" },
    { "/%2561dmin/x", PATH_SAME, NULL },
    { "/y/%252e%252e/admin/x", PATH_SAME, NULL },
    { "/y/%c0%ae%c0%ae/admin/x", PATH_BAD_ESCAPE, NULL },
    { "/y/%e0%80%ae%e0%80%ae/admin/x", PATH_BAD_ESCAPE, NULL },
    { "/%c0%afadmin/x", PATH_BAD_ESCAPE, NULL },
    { "/y/%u002e%u002e/admin/x", PATH_BAD_ESCAPE, NULL },
    { "/admin%00/x", PATH_BAD_ESCAPE, NULL },
    { "/admin/x%00.png", PATH_BAD_ESCAPE, NULL },
    { "/admin%0a/x", PATH_BAD_ESCAPE, NULL },
    { "/admin%09/x", PATH_BAD_ESCAPE, NULL },
    { "/admin/x#y", PATH_BAD_BYTE, NULL },
    { "/\x61\x64min/x\xff", PATH_BAD_BYTE, NULL },
    { "/admin/x/.", PATH_CHANGED, "/admin/x/" },
    { "/admin/x/y/..", PATH_CHANGED, "/admin/x/" },
    { "/admin/../admin/x", PATH_CHANGED, "/admin/x" },
    { "/../admin/x", PATH_ABOVE_ROOT, NULL },
    { "/ADMIN/x", PATH_SAME, NULL },
    { "/admin./x", PATH_SAME, NULL },
    { "/admin.../x", PATH_SAME, NULL },
    { "/admin%20/x", PATH_SAME, NULL },
};

static void no_spelling_slips_past_a_guard(void **state)
{
    (void)state;
    CHECK_PATHS(spellings, &guard);
}

/* Every path of up to six pieces from what matters: idempotent, never longer, no dot segment left.
 */
static void normalizing_twice_changes_nothing(void **state)
{
    (void)state;
    static const char *const pieces[] = { "/", ".", "%2e", "a", "%2f", "\\", ";", "%" };
    const struct path_rules *const rules[] = { &keep, &merge, &guard };
    for (unsigned code = 0; code < 8u * 8 * 8 * 8 * 8 * 8; code++) {
        char path[32] = "/", into[32], again[32];
        size_t size = 1;
        for (unsigned rest = code, i = 0; i < 6; i++, rest /= 8) {
            const char *piece = pieces[rest % 8];
            memcpy(path + size, piece, strlen(piece));
            size += strlen(piece);
        }
        for (size_t i = 0; i < 3; i++) {
            struct text first, second;
            enum path_result result = path_normalize(text_of(path, size), rules[i], into, &first);
            if (result != PATH_SAME && result != PATH_CHANGED) {
                continue;
            }
            assert_true(first.size <= size && first.size > 0 && first.at[0] == '/');
            assert_int_equal(path_normalize(first, rules[i], again, &second), PATH_SAME);
            assert_int_equal(text_find(first, TEXT("/./")), first.size);
            assert_int_equal(text_find(first, TEXT("/../")), first.size);
            assert_false(text_ends_with(first, TEXT("/..")) || text_ends_with(first, TEXT("/.")));
        }
    }
}

static void results_have_words(void **state)
{
    (void)state;
    for (enum path_result result = PATH_SAME; result <= PATH_ABOVE_ROOT; result++) {
        assert_string_not_equal(path_result_name(result), "unknown");
        for (enum path_result other = PATH_SAME; other < result; other++) {
            assert_string_not_equal(path_result_name(result), path_result_name(other));
        }
    }
    assert_string_equal(path_result_name((enum path_result)99), "unknown");
}

static void parses_authorities(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *host;
        uint32_t port;
    } rows[] = {
        { "a", "a", 0 },
        { "a:1", "a", 1 },
        { "A.b.:65535", "A.b.", 65535 },
        { "my_svc.ns", "my_svc.ns", 0 },
        { "1.2.3.4:80", "1.2.3.4", 80 },
        { "[::]", "[::]", 0 },
        { "[::1]:8080", "[::1]", 8080 },
        { "[2001:db8:0:0:0:0:0:1]", "[2001:db8:0:0:0:0:0:1]", 0 },
        { "[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]", 0 },
        { "-", "-", 0 },
    };
    static const char *const refused[] = {
        "",           ".",
        "..",         "a..b",
        ".a",         "a:",
        "a:0",        "a:01",
        "a:65536",    "a:99999999999999999999",
        "a:-1",       "a:+1",
        "a:b",        "a:1:2",
        ":1",         "u@a",
        "u:p@a",      "a b",
        " a",         "a ",
        "a/",         "a?",
        "a#",         "a,b",
        "a%41",       "a\\b",
        "a\"",        "a;b",
        "a*",         "*",
        "~a",         "\x80",
        "[",          "[]",
        "[::1",       "::1",
        "[::1]a",     "[::1]80",
        "[::1]:",     "[::1%25eth0]",
        "[::1%eth0]", "[v1.a]",
        "[1.2.3.4]",  "[a]",
        "[:::]",      "[1:2:3:4:5:6:7:8:9]",
        "[[::1]]",    "a[::1]",
        "[::1].",     "a\tb",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text host;
        uint32_t port;
        assert_true(authority_parse(text_from_string(rows[i].in), &host, &port));
        assert_true(text_equal(host, text_from_string(rows[i].host)));
        assert_int_equal(port, rows[i].port);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct text host;
        uint32_t port;
        if (authority_parse(text_from_string(refused[i]), &host, &port)) {
            fail_msg("taken: %s", refused[i]);
        }
    }
    struct text host;
    uint32_t port;
    assert_false(authority_parse(TEXT("a\0b"), &host, &port));
    assert_false(authority_parse(TEXT("[::1\0]"), &host, &port));
    char name[255];
    memset(name, 'a', sizeof(name));
    assert_true(authority_parse(text_of(name, 253), &host, &port));
    assert_false(authority_parse(text_of(name, 254), &host, &port));
    name[253] = '.';
    assert_true(authority_parse(text_of(name, 254), &host, &port));
}

static void folds_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } rows[] = { { "A.Example", "a.example" },
                 { "a.", "a" },
                 { "[2001:DB8::A]", "[2001:db8::a]" },
                 { "", "" },
                 { "A_B", "a_b" } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char into[32];
        struct text out = host_fold(text_from_string(rows[i].in), into);
        assert_true(text_equal(out, text_from_string(rows[i].out)));
    }
}

static void walks_queries(void **state)
{
    (void)state;
    struct text rest = TEXT("a=1&b&&=c&d==&e=f=g&"), name, value;
    static const char *const expected[][2] = {
        { "a", "1" }, { "b", "" }, { "", "c" }, { "d", "=" }, { "e", "f=g" }
    };
    for (size_t i = 0; i < 5; i++) {
        assert_true(query_next(&rest, &name, &value));
        assert_true(text_equal(name, text_from_string(expected[i][0])));
        assert_true(text_equal(value, text_from_string(expected[i][1])));
    }
    assert_false(query_next(&rest, &name, &value));
    rest = text_of(NULL, 0);
    assert_false(query_next(&rest, &name, &value));
    rest = TEXT("");
    assert_false(query_next(&rest, &name, &value));
}

static void decodes_queries(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } rows[] = {
        { "", "" },      { "a+b", "a b" }, { "%41%2B%2b", "A++" }, { "%c3%A9", "\xc3\xa9" },
        { "%", NULL },   { "%4", NULL },   { "a%4", NULL },        { "%4g", NULL },
        { "%%41", NULL }
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char into[32];
        struct text out;
        assert_int_equal(query_decode(text_from_string(rows[i].in), into, &out),
                         rows[i].out != NULL);
        assert_true(rows[i].out == NULL || text_equal(out, text_from_string(rows[i].out)));
    }
}

static void drops_parameters_as_lenient_servers_do(void **state)
{
    (void)state;
    static const struct {
        const char *in, *each, *to_end;
    } rows[] = {
        { "/", "/", "/" },
        { "/a/b", "/a/b", "/a/b" },
        { "/a;x", "/a", "/a" },
        { "/a;x/b;y=z/c", "/a/b/c", "/a" },
        { "/;x/a", "/a", "/" },
        { "/;x", "/", "/" },
        { "/a/;x/;y/b", "/a/b", "/a/" },
        { "/a%3Bx/b", "/a/b", "/a" },
        { "/a;%3B;/b", "/a/b", "/a" },
        { "/a%3Cx/b", "/a%3Cx/b", "/a%3Cx/b" },
        { "/a%3", "/a%3", "/a%3" },
        { ";a", "/", "/" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text path = text_from_string(rows[i].in);
        char *into = malloc(path.size + 1);
        assert_true(text_equal(path_without_parameters(path, false, into),
                               text_from_string(rows[i].each)));
        assert_true(text_equal(path_without_parameters(path, true, into),
                               text_from_string(rows[i].to_end)));
        free(into);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_parameters_as_lenient_servers_do),
        cmocka_unit_test(normal_paths_stay),
        cmocka_unit_test(normalizes),
        cmocka_unit_test(keeps_what_it_is_told_to_keep),
        cmocka_unit_test(merges_slashes),
        cmocka_unit_test(no_spelling_slips_past_a_guard),
        cmocka_unit_test(normalizing_twice_changes_nothing),
        cmocka_unit_test(results_have_words),
        cmocka_unit_test(parses_authorities),
        cmocka_unit_test(folds_hosts),
        cmocka_unit_test(walks_queries),
        cmocka_unit_test(decodes_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
