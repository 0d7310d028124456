/* The growing buffer. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void an_empty_buffer_does_everything(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer);
    assert_int_equal(buffer_text(&buffer).size, 0);
    buffer_consume(&buffer, 0);
    buffer_append(&buffer, text_of(NULL, 0));
    buffer_append(&buffer, TEXT(""));
    assert_non_null(buffer_reserve(&buffer, 0));
    buffer_clear(&buffer);
    buffer_format(&buffer, "%s", "");
    assert_int_equal(buffer.size, 0);
    buffer_fini(&buffer);
    buffer_fini(&buffer);
    assert_null(buffer.bytes);
}

static void content_grows_and_shrinks(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer);
    buffer_append(&buffer, TEXT("abc"));
    buffer_append_byte(&buffer, 'd');
    buffer_format(&buffer, "%d%s", 12, "e");
    assert_true(text_equal(buffer_text(&buffer), TEXT("abcd12e")));
    buffer_consume(&buffer, 4);
    assert_true(text_equal(buffer_text(&buffer), TEXT("12e")));
    buffer_consume(&buffer, 3);
    assert_int_equal(buffer.size, 0);
    buffer_append(&buffer, TEXT("x"));
    size_t capacity = buffer.capacity;
    buffer_clear(&buffer);
    assert_int_equal(buffer.capacity, capacity);
    memcpy(buffer_reserve(&buffer, 3), "xyz", 3);
    buffer.size += 3;
    assert_true(text_equal(buffer_text(&buffer), TEXT("xyz")));
    buffer_fini(&buffer);
}

static void growth_keeps_every_byte(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer);
    for (size_t i = 0; i < 70000; i++) {
        if (i % 3 == 0) {
            buffer_format(&buffer, "%c", 'a' + (int)(i % 26));
        } else {
            buffer_append_byte(&buffer, (char)('a' + i % 26));
        }
    }
    assert_int_equal(buffer.size, 70000);
    for (size_t i = 0; i < 70000; i++) {
        assert_int_equal(buffer.bytes[i], 'a' + i % 26);
    }
    buffer_format(&buffer, "%*s|", 100000, "wide");
    assert_int_equal(buffer.size, 170001);
    assert_int_equal(buffer.bytes[170000], '|');
    buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_does_everything),
        cmocka_unit_test(content_grows_and_shrinks),
        cmocka_unit_test(growth_keeps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
