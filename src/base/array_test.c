/* Growing arrays. */
#include "base/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct item {
    int number;
    char name[20];
};

static void items_are_added_zeroed_and_kept(void **state)
{
    ARRAY_OF(struct item) items = { 0 };
    for (int i = 0; i < 1000; i++) {
        struct item *item = array_add(&items);
        assert_int_equal(item->number, 0);
        assert_int_equal(item->name[19], 0);
        item->number = i;
        item->name[19] = (char)i;
        assert_int_equal(items.count, i + 1);
        assert_true(items.capacity >= items.count);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(items.items[i].number, i);
    }
    array_free(&items);
    assert_null(items.items);
    assert_int_equal(items.count + items.capacity, 0);
    *array_add(&items) = (struct item){ .number = 5 };
    assert_int_equal(items.items[0].number, 5);
    array_free(&items);
    array_free(&items);
}

static void an_item_given_back_is_zeroed_again(void **state)
{
    ARRAY_OF(int) numbers = { 0 };
    *array_add(&numbers) = 7;
    numbers.count--;
    assert_int_equal(*array_add(&numbers), 0);
    array_free(&numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_added_zeroed_and_kept),
        cmocka_unit_test(an_item_given_back_is_zeroed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
