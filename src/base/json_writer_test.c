/* Escaping of every byte and of all kinds of broken UTF-8, commas, numbers, and the promise of
 * never writing past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json_writer.h"

#include <stdio.h>
#include <stdlib.h>

#define FFFD "\xef\xbf\xbd"

static void assert_text(struct text got, const char *expected)
{
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.at, expected, got.size);
}

static void expect_escaped(struct text value, const char *expected)
{
    char bytes[4096];
    struct json_writer writer;
    json_writer_init(&writer, bytes, sizeof(bytes));
    json_text(&writer, value);
    assert_text(text_of(bytes, json_writer_finish(&writer)), expected);
}

static void escapes_what_would_break_the_line(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        { "", "\"\"" },
        { "a", "\"a\"" },
        { "plain/path?x=1", "\"plain/path?x=1\"" },
        { "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "\r\n\t\b\f", "\"\\r\\n\\t\\b\\f\"" },
        { "\x1b[31mred", "\"\\u001b[31mred\"" },
        { "\x7f", "\"\\u007f\"" },
        { "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
          "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
        { "\xc2\x80\xc2\x9f\xc2\xa0", "\"\\u0080\\u009f\xc2\xa0\"" },
        { "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\"\\u2028\\u2029\xe2\x80\xaa\"" },
        { "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
        { "\x80", "\"" FFFD "\"" },
        { "\xc0\xaf", "\"" FFFD FFFD "\"" }, /* overlong */
        { "\xe0\x9f\xbf", "\"" FFFD FFFD FFFD "\"" },
        { "\xf0\x8f\xbf\xbf", "\"" FFFD FFFD FFFD FFFD "\"" },
        { "\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"" },          /* surrogate */
        { "\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\"" }, /* beyond U+10FFFF */
        { "\xf5", "\"" FFFD "\"" },
        { "ab\xc3", "\"ab" FFFD "\"" }, /* cut */
        { "ab\xe2\x82", "\"ab" FFFD FFFD "\"" },
        { "\xe2\x82z", "\"" FFFD FFFD "z\"" },
        { "\xf0\x9f\x98z", "\"" FFFD FFFD FFFD "z\"" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_escaped(text_from_string(cases[i].from), cases[i].to);
    }
    expect_escaped(text_of("a\0b", 3), "\"a\\u0000b\"");
}

/* Every byte at every position of texts of every length around the eight-byte steps. */
static void finds_every_byte_at_every_position(void **state)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char lone[32];
        struct json_writer writer;
        json_writer_init(&writer, lone, sizeof(lone));
        char c = (char)byte;
        json_text(&writer, text_of(&c, 1));
        size_t lone_size = json_writer_finish(&writer) - 2;
        bool plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
        assert_true(plain == (lone_size == 1 && lone[1] == c));
        for (size_t size = 1; size <= 26; size++) {
            for (size_t at = 0; at < size; at++) {
                char value[32], out[256], expected[256];
                memset(value, 'x', size);
                value[at] = c;
                json_writer_init(&writer, out, sizeof(out));
                json_text(&writer, text_of(value, size));
                size_t got = json_writer_finish(&writer);
                assert_int_equal(got, size + 1 + lone_size);
                memset(expected, 'x', sizeof(expected));
                expected[0] = expected[got - 1] = '"';
                memcpy(expected + 1 + at, lone + 1, lone_size);
                assert_memory_equal(out, expected, got);
            }
        }
    }
}

/* Whatever bytes come in, what goes out is valid UTF-8 on one line. */
static void any_bytes_give_one_valid_line(void **state)
{
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char value[64], out[512];
        size_t size = (size_t)round % sizeof(value);
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1664525u + 1013904223u;
            static const char rich[] = "\x80\xbf\xc2\xe2\xa8\xed\xf0\x9f\xf4\x1b\n\"\\az";
            value[i] = (seed >> 30) ? rich[(seed >> 16) % (sizeof(rich) - 1)] : (char)(seed >> 20);
        }
        struct json_writer writer;
        json_writer_init(&writer, out, sizeof(out));
        json_text(&writer, text_of(value, size));
        struct text line = text_of(out, json_writer_finish(&writer));
        assert_true(line.size >= 2);
        assert_true(text_is_utf8(line));
        for (size_t i = 0; i < line.size; i++) {
            assert_true((unsigned char)line.at[i] >= 0x20);
        }
    }
}

static void write_all_kinds(struct json_writer *writer)
{
    json_object_open(writer);
    JSON_TEXT(writer, "a", TEXT("x"));
    JSON_KEY(writer, "b");
    json_array_open(writer);
    json_array_close(writer);
    JSON_KEY(writer, "c");
    json_array_open(writer);
    json_u64(writer, 0);
    json_u64(writer, 18446744073709551615u);
    json_i64(writer, INT64_MIN);
    json_i64(writer, 100);
    json_bool(writer, true);
    json_bool(writer, false);
    json_null(writer);
    json_object_open(writer);
    json_object_close(writer);
    json_raw(writer, TEXT("[1]"));
    json_array_close(writer);
    json_key(writer, TEXT("d\n"));
    json_ms(writer, 1234);
    JSON_KEY(writer, "e");
    json_array_open(writer);
    json_ms(writer, 0);
    json_ms(writer, 7);
    json_ms(writer, 60000050);
    json_array_close(writer);
    JSON_U64(writer, "f", 42);
    json_object_close(writer);
    json_byte(writer, '\n');
}

static const char all_kinds[] = "{\"a\":\"x\",\"b\":[],\"c\":[0,18446744073709551615,-"
                                "9223372036854775808,100,true,false,null,{},"
                                "[1]],\"d\\n\":1.234,\"e\":[0.000,0.007,60000.050],\"f\":42}\n";

static void writes_all_kinds_with_commas(void **state)
{
    char bytes[512];
    struct json_writer writer;
    json_writer_init(&writer, bytes, sizeof(bytes));
    write_all_kinds(&writer);
    assert_text(text_of(bytes, json_writer_finish(&writer)), all_kinds);
}

static void appends_to_a_buffer(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer);
    buffer_append(&buffer, TEXT("before "));
    struct json_writer writer;
    json_writer_init_buffer(&writer, &buffer);
    json_array_open(&writer);
    char big[3000];
    memset(big, '"', sizeof(big));
    json_text(&writer, text_of(big, sizeof(big)));
    json_array_close(&writer);
    assert_int_equal(json_writer_finish(&writer), 6004);
    assert_int_equal(buffer.size, 7 + 6004);
    assert_memory_equal(buffer.bytes, "before [\"\\\"", 11);
    assert_memory_equal(buffer.bytes + buffer.size - 4, "\\\"\"]", 4);
    buffer_fini(&buffer);
}

/* In every smaller size: overflow is said and no byte behind the end is touched (ASan looks on). */
static void never_writes_past_the_end(void **state)
{
    size_t full = sizeof(all_kinds) - 1;
    for (size_t size = 0; size <= full; size++) {
        char *bytes = malloc(size ? size : 1);
        struct json_writer writer;
        json_writer_init(&writer, bytes, size);
        write_all_kinds(&writer);
        size_t written = json_writer_finish(&writer);
        assert_int_equal(written, size == full ? full : 0);
        assert_int_equal(writer.overflow, size < full);
        free(bytes);
    }
    for (size_t size = 0; size < 40; size++) {
        char *bytes = malloc(size ? size : 1);
        struct json_writer writer;
        json_writer_init(&writer, bytes, size);
        json_text(&writer, TEXT("\x01\x02\x03\xff\xc3\xa9")); /* 18 + 3 + 2, and the quotes */
        size_t written = json_writer_finish(&writer);
        assert_true(written == 0 || written == 25);
        assert_true(size >= 25 + 6 ? written == 25 : true); /* room is asked for generously */
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_would_break_the_line),
        cmocka_unit_test(finds_every_byte_at_every_position),
        cmocka_unit_test(any_bytes_give_one_valid_line),
        cmocka_unit_test(writes_all_kinds_with_commas),
        cmocka_unit_test(appends_to_a_buffer),
        cmocka_unit_test(never_writes_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
