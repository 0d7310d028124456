/* Operator errors: wording and bounds. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void messages_are_set_prefixed_and_explained(void **state)
{
    struct error error;
    assert_false(error_set(&error, "port %d", 80));
    assert_string_equal(error.text, "port 80");
    assert_false(error_prefix(&error, "%s:%d", "file.yaml", 3));
    assert_string_equal(error.text, "file.yaml:3: port 80");
    assert_false(error_errno(&error, ENOENT, "cannot open %s", "x"));
    assert_string_equal(error.text, "cannot open x: No such file or directory");
    assert_false(error_errno(&error, 99999, "odd"));
    assert_memory_equal(error.text, "odd: ", 5);
}

static void long_messages_are_cut(void **state)
{
    char longer[2 * ERROR_TEXT_MAX];
    struct error error;
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    error_set(&error, "%s", longer);
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
    error_prefix(&error, "first");
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
    assert_memory_equal(error.text, "first: xxx", 10);
    error_prefix(&error, "%s", longer);
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
    error_errno(&error, ENOENT, "%s", longer);
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);

    longer[ERROR_TEXT_MAX - 4] = '\0'; /* room for ": N" only */
    error_errno(&error, ENOENT, "%s", longer);
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
    assert_string_equal(error.text + ERROR_TEXT_MAX - 4, ": N");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_set_prefixed_and_explained),
        cmocka_unit_test(long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
