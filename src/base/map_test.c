/* The map, against an array that is searched. */
#include "base/map.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void values_are_put_found_replaced_and_removed(void **state)
{
    struct map map;
    int one, two;
    map_init(&map);
    assert_null(map_find(&map, TEXT("a")));
    assert_null(map_remove(&map, TEXT("a")));
    assert_null(map_put(&map, TEXT("a"), &one));
    assert_ptr_equal(map_find(&map, TEXT("a")), &one);
    assert_null(map_find(&map, TEXT("A")));
    assert_ptr_equal(map_put(&map, TEXT("a"), &two), &one);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_find(&map, TEXT("a")), &two);
    assert_ptr_equal(map_remove(&map, TEXT("a")), &two);
    assert_null(map_find(&map, TEXT("a")));
    assert_int_equal(map.count, 0);
    map_fini(&map);
    map_fini(&map);
}

static void odd_keys_are_keys(void **state)
{
    struct map map;
    int values[3];
    map_init(&map);
    assert_null(map_put(&map, text_of(NULL, 0), &values[0])); /* empty, however it is made */
    assert_ptr_equal(map_find(&map, TEXT("")), &values[0]);
    assert_null(map_put(&map, text_of("a\0b", 3), &values[1]));
    assert_null(map_put(&map, text_of("a\0c", 3), &values[2]));
    assert_ptr_equal(map_find(&map, text_of("a\0b", 3)), &values[1]);
    assert_null(map_find(&map, TEXT("a")));
    assert_ptr_equal(map_remove(&map, text_of(NULL, 0)), &values[0]);
    assert_int_equal(map.count, 2);
    map_fini(&map);
}

static void replacing_takes_the_new_key(void **state)
{
    struct map map;
    char first[] = "key", second[] = "key";
    size_t cursor = 0;
    map_init(&map);
    map_put(&map, text_from_string(first), &map);
    map_put(&map, text_from_string(second), &map);
    first[0] = 'X'; /* whoever owned the first key may free it now */
    assert_ptr_equal(map_find(&map, TEXT("key")), &map);
    assert_ptr_equal(map_next(&map, &cursor)->key.at, second);
    map_fini(&map);
}

static size_t count_by_walking(const struct map *map)
{
    size_t cursor = 0, count = 0;
    for (const struct map_entry *entry; (entry = map_next(map, &cursor)) != NULL; count++) {
        assert_ptr_equal(map_find(map, entry->key), entry->value);
    }
    return count;
}

static void random_changes_agree_with_an_array(void **state)
{
    enum { KEYS = 500 };
    static char names[KEYS][16];
    void *values[KEYS] = { 0 };
    size_t count = 0;
    struct random random;
    struct map map;
    random_init(&random, 3);
    map_init(&map);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "key-%zu", i);
    }
    for (int step = 0; step < 50000; step++) {
        size_t which = random_below(&random, KEYS);
        struct text key = text_from_string(names[which]);
        if (random_below(&random, 2)) {
            void *value = &names[random_below(&random, KEYS)];
            assert_ptr_equal(map_put(&map, key, value), values[which]);
            count += values[which] == NULL;
            values[which] = value;
        } else {
            assert_ptr_equal(map_remove(&map, key), values[which]);
            count -= values[which] != NULL;
            values[which] = NULL;
        }
        assert_int_equal(map.count, count);
        if (step % 1000 == 0) {
            assert_int_equal(count_by_walking(&map), count);
            for (size_t i = 0; i < KEYS; i++) {
                assert_ptr_equal(map_find(&map, text_from_string(names[i])), values[i]);
            }
        }
    }
    map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_put_found_replaced_and_removed),
        cmocka_unit_test(odd_keys_are_keys),
        cmocka_unit_test(replacing_takes_the_new_key),
        cmocka_unit_test(random_changes_agree_with_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
