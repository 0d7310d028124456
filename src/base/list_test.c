/* Intrusive lists. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct list link;
};

static int numbers_of(const struct list *list)
{
    int digits = 0;
    int count = 0;
    for (const struct list *link = list->next; link != list; link = link->next) {
        assert_ptr_equal(link->next->prev, link);
        assert_true(count++ < 10);
        digits = digits * 10 + list_owner(link, struct item, link)->number;
    }
    return digits;
}

static void links_come_and_go(void **state)
{
    struct list list;
    struct item a = { .number = 1 }, b = { .number = 2 }, c = { .number = 3 };
    list_init(&list);
    assert_true(list_is_empty(&list));
    list_add_last(&list, &b.link);
    list_add_first(&list, &a.link);
    list_add_last(&list, &c.link);
    assert_int_equal(numbers_of(&list), 123);
    list_remove(&b.link);
    assert_int_equal(numbers_of(&list), 13);
    assert_true(list_is_empty(&b.link));
    list_remove(&b.link); /* twice is harmless */
    assert_int_equal(numbers_of(&list), 13);
    list_remove(&a.link);
    list_add_last(&list, &a.link);
    assert_int_equal(numbers_of(&list), 31);
    list_remove(&a.link);
    list_remove(&c.link);
    assert_true(list_is_empty(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
