/* Field names and values: ids, validity, what may be a trailer. */
#include "http/field.h"

#include "http/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_name_has_its_id_in_any_case(void **state)
{
    (void)state;
    for (enum field_id id = FIELD_HOST; id < FIELD_COUNT; id++) {
        struct text name = field_name(id);
        char other[64];
        assert_true(name.size > 0 && name.size < sizeof(other));
        assert_int_equal(field_id_of(name), id);
        for (size_t upper = 0; upper < name.size; upper++) {
            for (size_t i = 0; i < name.size; i++) {
                bool raise = i == upper || upper == 0;
                other[i] = raise && name.at[i] >= 'a' ? (char)(name.at[i] - 0x20) : name.at[i];
            }
            assert_int_equal(field_id_of(text_of(other, name.size)), id);
        }
    }
    assert_int_equal(field_name(FIELD_OTHER).size, 0);
}

/* Changing any one byte of a known name to any other but the letter's other case loses the id; the
 * name stands in memory of exactly its size. */
static void near_misses_have_no_id(void **state)
{
    (void)state;
    for (enum field_id id = FIELD_HOST; id < FIELD_COUNT; id++) {
        struct text name = field_name(id);
        char *other = malloc(name.size);
        for (size_t i = 0; i < name.size; i++) {
            memcpy(other, name.at, name.size);
            for (unsigned byte = 0; byte < 256; byte++) {
                other[i] = (char)byte;
                if (text_lower_byte((char)byte) != name.at[i]) {
                    enum field_id found = field_id_of(text_of(other, name.size));
                    assert_true(found == FIELD_OTHER ||
                                text_equal_nocase(field_name(found), text_of(other, name.size)));
                }
            }
        }
        memcpy(other, name.at, name.size);
        assert_int_equal(field_id_of(text_of(other, name.size - 1)), FIELD_OTHER);
        free(other);
    }
    static const char *const others[] = { "",
                                          "a",
                                          "hosts",
                                          "hast",
                                          "x-custom",
                                          "content_length",
                                          "content-length ",
                                          "access-control-request-headersx" };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(field_id_of(text_from_string(others[i])), FIELD_OTHER);
    }
}

/* The scans of sixteen bytes agree with the table at every place. */
static void scans_stop_at_the_same_byte_everywhere(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 40; place++) {
            char *span = malloc(40);
            memset(span, 'a', 40);
            span[place] = (char)byte;
            const char *end = span + 40, *stop = span + place;
            assert_ptr_equal(byte_skip_value(span, end),
                             byte_is((char)byte, BYTE_VALUE) ? end : stop);
            assert_ptr_equal(byte_skip_token(span, end),
                             byte_is((char)byte, BYTE_TOKEN) ? end : stop);
            bool target = byte_is((char)byte, BYTE_TARGET) && byte != '?';
            assert_ptr_equal(byte_skip_target(span, end), target ? end : stop);
            free(span);
        }
    }
}

/* The classes, each from its definition. */
static void classes_are_those_of_the_grammar(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool digit = byte >= '0' && byte <= '9';
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool visible = byte > 0x20 && byte < 0x7f;
        bool token = digit || letter || (byte != 0 && strchr("!#$%&'*+-.^_`|~", (int)byte));
        assert_int_equal(byte_is(c, BYTE_TOKEN), token);
        bool value = visible || byte == '\t' || byte == ' ' || byte >= 0x80;
        assert_int_equal(byte_is(c, BYTE_VALUE), value);
        assert_int_equal(byte_is(c, BYTE_QUOTED), value && byte != '"' && byte != '\\');
        bool target = visible && !strchr("\"#<>", (int)byte);
        assert_int_equal(byte_is(c, BYTE_TARGET), target);
        assert_int_equal(byte_is(c, BYTE_PLAIN_PATH), target && !strchr("%/;?\\", (int)byte));
        assert_int_equal(byte_is(c, BYTE_UNRESERVED),
                         digit || letter || (visible && strchr("-._~", (int)byte)));
        assert_int_equal(byte_is(c, BYTE_HOST),
                         digit || letter || (visible && strchr("-._", (int)byte)));
        bool hex = digit || (visible && strchr("abcdefABCDEF", (int)byte));
        assert_int_equal(byte_is(c, BYTE_HEX), hex);
        assert_int_equal(byte_hex(c) >= 0, hex);
    }
    assert_int_equal(byte_hex('0'), 0);
    assert_int_equal(byte_hex('9'), 9);
    assert_int_equal(byte_hex('a'), 10);
    assert_int_equal(byte_hex('F'), 15);
}

static void names_and_values_are_checked(void **state)
{
    (void)state;
    assert_true(field_name_is_valid(TEXT("X-a_b.c~1")));
    assert_false(field_name_is_valid(TEXT("")));
    assert_false(field_name_is_valid(TEXT("a b")));
    assert_false(field_name_is_valid(TEXT("a:")));
    assert_false(field_name_is_valid(TEXT("a\r")));
    assert_false(field_name_is_valid(TEXT("a\0")));
    assert_true(field_value_is_valid(TEXT("")));
    assert_true(field_value_is_valid(text_of(NULL, 0)));
    assert_true(field_value_is_valid(TEXT("a \t\"\x80\xff")));
    assert_false(field_value_is_valid(TEXT("a\r\nX: b")));
    assert_false(field_value_is_valid(TEXT("a\n")));
    assert_false(field_value_is_valid(TEXT("a\0")));
    assert_false(field_value_is_valid(TEXT("\x1b[0m")));
    assert_false(field_value_is_valid(TEXT("0123456789abcdef\x7f")));
}

static void some_fields_are_no_trailers(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "Content-Length",
        "transfer-encoding",
        "Host",
        "Trailer",
        "Connection",
        "TE",
        "Upgrade",
        "Authorization",
        "Proxy-Authorization",
        "WWW-Authenticate",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "CONTENT-ENCODING",
        "Content-Range",
        "Range",
        "If-Match",
        "Cache-Control",
        "Expect",
        "Location",
        "Vary",
        "Date",
        "X-Forwarded-For",
        "X-Forwarded-Prefix",
        "Forwarded",
        "x_forwarded_for",
        "X-Weft-Peer",
        "X-Real-IP",
        "X-Request-Id",
        "Origin",
    };
    static const char *const taken[] = { "Grpc-Status",   "grpc-message", "grpc-status-details-bin",
                                         "Server-Timing", "Digest",       "ETag",
                                         "X-Checksum",    "x-forwarded",  "x-weft" };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct text name = text_from_string(refused[i]);
        assert_false(field_is_trailer(field_id_of(name), name));
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        struct text name = text_from_string(taken[i]);
        assert_true(field_is_trailer(field_id_of(name), name));
    }
}

static void fields_are_found(void **state)
{
    (void)state;
    static struct fields fields = {
        .items = { { .name = TEXT_STATIC("X-A"), .value = TEXT_STATIC("1") },
                   { .name = TEXT_STATIC("HOST"), .value = TEXT_STATIC("2"), .id = FIELD_HOST },
                   { .name = TEXT_STATIC("x-a"), .value = TEXT_STATIC("3") } },
        .count = 3,
    };
    assert_ptr_equal(fields_find(&fields, FIELD_HOST), &fields.items[1]);
    assert_null(fields_find(&fields, FIELD_DATE));
    assert_null(fields_find(&fields, FIELD_OTHER));
    assert_ptr_equal(fields_find_name(&fields, TEXT("x-A")), &fields.items[0]);
    assert_ptr_equal(fields_find_name(&fields, TEXT("host")), &fields.items[1]);
    assert_null(fields_find_name(&fields, TEXT("x-b")));
}

static void knows_names_that_read_like_ours(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "X-Forwarded-For",  "x_forwarded_for", "X-Forwarded_For", "X_FORWARDED-Anything",
        "X.Forwarded.For",  "x-weft-identity", "X_Weft_Identity", "x-weft_a",
        "X-Real-IP",        "X_Real-IP",       "x_real_ip",       "X~Request^Id",
    };
    static const char *const others[] = { "",          "x",           "x-forwarded",
                                          "x-weft",    "y-weft-a",    "x-real-ipv6",
                                          "forwarded", "x-request-ids", "xforwardedfor",
                                          "x-forward-for" };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        assert_true(field_is_set_by_proxy(text_from_string(ours[i])));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(field_is_set_by_proxy(text_from_string(others[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_names_that_read_like_ours),
        cmocka_unit_test(every_name_has_its_id_in_any_case),
        cmocka_unit_test(near_misses_have_no_id),
        cmocka_unit_test(scans_stop_at_the_same_byte_everywhere),
        cmocka_unit_test(classes_are_those_of_the_grammar),
        cmocka_unit_test(names_and_values_are_checked),
        cmocka_unit_test(some_fields_are_no_trailers),
        cmocka_unit_test(fields_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
