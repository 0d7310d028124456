/* Random numbers: the published sequence, ranges, seeding. */
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static void xoroshiro128plus_gives_its_sequence(void **state)
{
    static const uint64_t expected[] = { 3u,
                                         412333834243u,
                                         2360170716294286339u,
                                         9295852285959843169u,
                                         2797080929874688578u,
                                         6019711933173041966u };
    struct random random = { .state = { 1, 2 } };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(random_next(&random) == expected[i]);
    }
}

static void a_seed_is_a_sequence(void **state)
{
    struct random a, b, c;
    random_init(&a, 42);
    random_init(&b, 42);
    random_init(&c, 43);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t next = random_next(&a);
        assert_true(next == random_next(&b));
        differs |= next != random_next(&c);
    }
    assert_true(differs);
    random_init(&a, 0); /* a state of zeros would stay there */
    assert_true((a.state[0] | a.state[1]) != 0);
    random_init_system(&a);
    random_init_system(&b);
    assert_true(random_next(&a) != random_next(&b));
}

static void numbers_stay_below_and_spread(void **state)
{
    static const uint32_t bounds[] = { 1, 2, 3, 10, 1000, 1u << 31, UINT32_MAX };
    struct random random;
    random_init(&random, 1);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        for (int k = 0; k < 1000; k++) {
            assert_true(random_below(&random, bounds[i]) < bounds[i]);
        }
    }
    unsigned counts[10] = { 0 };
    for (int i = 0; i < 100000; i++) {
        counts[random_below(&random, 10)]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
}

static void secrets_fill_exactly_their_place(void **state)
{
    unsigned char bytes[1026] = { 0 }, again[1024];
    bytes[0] = bytes[1025] = 0xa5;
    random_bytes(bytes + 1, 1024);
    random_bytes(again, 1024);
    random_bytes(NULL, 0);
    assert_int_equal(bytes[0], 0xa5);
    assert_int_equal(bytes[1025], 0xa5);
    assert_memory_not_equal(bytes + 1, again, 1024);
    unsigned zeros = 0;
    for (size_t i = 1; i <= 1024; i++) {
        zeros += bytes[i] == 0;
    }
    assert_true(zeros < 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xoroshiro128plus_gives_its_sequence),
        cmocka_unit_test(a_seed_is_a_sequence),
        cmocka_unit_test(numbers_stay_below_and_spread),
        cmocka_unit_test(secrets_fill_exactly_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
