/* Views of bytes. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct text nothing = { NULL, 0 };

static void texts_are_compared_bytewise(void **state)
{
    static const struct {
        struct text a, b;
        int order;
        bool nocase;
    } cases[] = {
        { { "", 0 }, { NULL, 0 }, 0, true },
        { { "a", 1 }, { "", 0 }, 1, false },
        { { "a", 1 }, { "b", 1 }, -1, false },
        { { "a", 1 }, { "A", 1 }, 1, true },
        { { "a", 1 }, { "ab", 2 }, -1, false },
        { { "a\0b", 3 }, { "a\0c", 3 }, -1, false },
        { { "Content-Length", 14 }, { "content-lENGTH", 14 }, -1, true },
        { { "@", 1 }, { "`", 1 }, -1, false },       /* one bit apart, as a and A are */
        { { "[", 1 }, { "{", 1 }, -1, false },
        { { "\xc4", 1 }, { "\xe4", 1 }, -1, false }, /* only ASCII is folded */
        { { "\x7f", 1 }, { "\x80", 1 }, -1, false }, /* bytes are unsigned */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text a = cases[i].a, b = cases[i].b;
        int order = text_compare(a, b);
        assert_int_equal((order > 0) - (order < 0), cases[i].order);
        order = text_compare(b, a);
        assert_int_equal((order > 0) - (order < 0), -cases[i].order);
        assert_int_equal(text_equal(a, b), cases[i].order == 0);
        assert_int_equal(text_equal_nocase(a, b), cases[i].nocase);
    }
}

static void beginnings_and_ends_are_found(void **state)
{
    assert_true(text_starts_with(TEXT("abc"), TEXT("ab")));
    assert_true(text_starts_with(TEXT("abc"), TEXT("")));
    assert_true(text_starts_with(nothing, TEXT("")));
    assert_false(text_starts_with(TEXT("ab"), TEXT("abc")));
    assert_false(text_starts_with(TEXT("abc"), TEXT("bc")));
    assert_true(text_ends_with(TEXT("abc"), TEXT("bc")));
    assert_true(text_ends_with(TEXT("abc"), TEXT("abc")));
    assert_true(text_ends_with(nothing, nothing));
    assert_false(text_ends_with(TEXT("bc"), TEXT("abc")));
    assert_false(text_ends_with(TEXT("abc"), TEXT("ab")));
}

static void bytes_and_words_are_found(void **state)
{
    assert_int_equal(text_find_byte(TEXT("a.b.c"), '.'), 1);
    assert_int_equal(text_find_byte(TEXT("abc"), '.'), 3);
    assert_int_equal(text_find_byte(nothing, '.'), 0);
    assert_int_equal(text_find_byte(text_of("a\0b", 3), '\0'), 1);
    assert_int_equal(text_find(TEXT("hello"), TEXT("ll")), 2);
    assert_int_equal(text_find(TEXT("hello"), TEXT("l")), 2);
    assert_int_equal(text_find(TEXT("hello"), TEXT("world")), 5);
    assert_int_equal(text_find(TEXT("hello"), TEXT("")), 0);
    assert_int_equal(text_find(nothing, TEXT("x")), 0);
    assert_int_equal(text_find(nothing, nothing), 0);
}

static void cutting_stays_inside(void **state)
{
    assert_true(text_equal(text_from(TEXT("abc"), 1), TEXT("bc")));
    assert_true(text_equal(text_from(TEXT("abc"), 3), TEXT("")));
    assert_true(text_equal(text_from(TEXT("abc"), 99), TEXT("")));
    assert_true(text_equal(text_from(nothing, 0), TEXT("")));
    assert_true(text_equal(text_from(nothing, 5), TEXT("")));
    assert_true(text_equal(text_first(TEXT("abc"), 2), TEXT("ab")));
    assert_true(text_equal(text_first(TEXT("abc"), 99), TEXT("abc")));
    assert_true(text_equal(text_trim(TEXT(" \t a b\t ")), TEXT("a b")));
    assert_true(text_equal(text_trim(TEXT(" \t ")), TEXT("")));
    assert_true(text_equal(text_trim(TEXT("\r a\n")), TEXT("\r a\n"))); /* blanks only */
    assert_true(text_equal(text_trim(nothing), TEXT("")));
    assert_true(text_equal(text_from_string("abc"), TEXT("abc")));
    assert_int_equal(text_from_string(NULL).size, 0);
}

static void splitting_gives_every_part(void **state)
{
    static const struct {
        const char *in;
        const char *parts[4];
        size_t count;
    } cases[] = {
        { "a,b,c", { "a", "b", "c" }, 3 }, { "a", { "a" }, 1 },   { "", { "" }, 1 },
        { ",", { "", "" }, 2 },            { "a,", { "a", "" }, 2 }, { ",a", { "", "a" }, 2 },
        { "a,,b", { "a", "", "b" }, 3 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text rest = text_from_string(cases[i].in);
        struct text part;
        size_t count = 0;
        while (text_split(&rest, ',', &part)) {
            assert_true(count < cases[i].count);
            assert_true(text_equal(part, text_from_string(cases[i].parts[count])));
            count++;
        }
        assert_int_equal(count, cases[i].count);
        assert_false(text_split(&rest, ',', &part));
    }
    struct text rest = nothing, part;
    assert_false(text_split(&rest, ',', &part));
}

static void numbers_are_parsed_strictly(void **state)
{
    static const struct {
        const char *in;
        uint64_t max;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", 0, true, 0 },
        { "7", 7, true, 7 },
        { "8", 7, false, 0 },
        { "0010", 10, true, 10 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "18446744073709551620", UINT64_MAX, false, 0 },
        { "99999999999999999999", UINT64_MAX, false, 0 },
        { "184467440737095516150", UINT64_MAX, false, 0 },
        { "", 10, false, 0 },
        { "+1", 10, false, 0 },
        { "-1", 10, false, 0 },
        { " 1", 10, false, 0 },
        { "1 ", 10, false, 0 },
        { "1.0", 10, false, 0 },
        { "0x1", 10, false, 0 },
        { "1e1", 10, false, 0 },
        { "\xb1", 10, false, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value;
        bool ok = text_parse_u64(text_from_string(cases[i].in), cases[i].max, &value);
        if (ok != cases[i].ok) {
            fail_msg("'%s': %s", cases[i].in, ok ? "taken" : "refused");
        }
        assert_true(!ok || value == cases[i].value);
    }
    uint64_t value;
    assert_false(text_parse_u64(text_of("1\0", 2), 10, &value));
    assert_false(text_parse_u64(nothing, 10, &value));
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    static const struct {
        const char *in;
        bool ok;
    } cases[] = {
        { "", true },
        { "plain", true },
        { "\x7f", true },
        { "\xc2\x80", true },                 /* U+0080 */
        { "\xdf\xbf", true },                 /* U+07FF */
        { "\xe0\xa0\x80", true },             /* U+0800 */
        { "\xed\x9f\xbf", true },             /* U+D7FF */
        { "\xee\x80\x80", true },             /* U+E000 */
        { "\xef\xbf\xbf", true },             /* U+FFFF */
        { "\xf0\x90\x80\x80", true },         /* U+10000 */
        { "\xf4\x8f\xbf\xbf", true },         /* U+10FFFF */
        { "a\xe2\x82\xac" "b", true },        /* the euro between letters */
        { "\x80", false },                    /* a continuation alone */
        { "\xc0\x80", false },                /* overlong NUL */
        { "\xc1\xbf", false },                /* overlong */
        { "\xe0\x9f\xbf", false },            /* overlong */
        { "\xf0\x8f\xbf\xbf", false },        /* overlong */
        { "\xed\xa0\x80", false },            /* surrogate */
        { "\xed\xbf\xbf", false },            /* surrogate */
        { "\xf4\x90\x80\x80", false },        /* U+110000 */
        { "\xf5\x80\x80\x80", false },
        { "\xff", false },
        { "\xc2", false },                    /* cut off */
        { "\xe2\x82", false },
        { "\xf0\x90\x80", false },
        { "\xc2\x41", false },                /* no continuation */
        { "\xe2\x82\x41", false },
        { "\xf0\x90\x80\xc0", false },
        { "ok\xc2\x80\x80", false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (text_is_utf8(text_from_string(cases[i].in)) != cases[i].ok) {
            fail_msg("case %zu", i);
        }
    }
    assert_true(text_is_utf8(nothing));
    assert_true(text_is_utf8(text_of("\0", 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_compared_bytewise),
        cmocka_unit_test(beginnings_and_ends_are_found),
        cmocka_unit_test(bytes_and_words_are_found),
        cmocka_unit_test(cutting_stays_inside),
        cmocka_unit_test(splitting_gives_every_part),
        cmocka_unit_test(numbers_are_parsed_strictly),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
