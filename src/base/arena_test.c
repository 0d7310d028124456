/* The arena: alignment, zeroing, growth, copies. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void allocations_are_zeroed_aligned_and_apart(void **state)
{
    static const size_t sizes[] = { 1, 16, 0, 15, 17, 1000, 1024, 5000, 65536, 200000, 3, 64 };
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    struct arena arena;
    char *at[COUNT];
    size_t total = 0;
    arena_init(&arena);
    for (size_t i = 0; i < COUNT; i++) {
        arena_bytes(&arena, i); /* sets the next address askew */
        at[i] = arena_alloc(&arena, sizes[i]);
        assert_int_equal((uintptr_t)at[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(at[i][k], 0);
        }
        memset(at[i], (int)i + 1, sizes[i]);
        total += sizes[i] + i;
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(at[i][k], i + 1);
        }
    }
    assert_int_equal(arena.used, total);
    arena_fini(&arena);
    arena_fini(&arena);
}

static void a_reset_arena_starts_again(void **state)
{
    struct arena arena;
    arena_init(&arena);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            int *number = arena_new(&arena, int);
            assert_int_equal(*number, 0);
            *number = i + 1;
        }
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
        assert_null(arena.chunks);
    }
    arena_fini(&arena);
}

static void copies_end_in_nul(void **state)
{
    struct arena arena;
    arena_init(&arena);
    char original[] = "original";
    struct text copy = arena_copy(&arena, text_from_string(original));
    original[0] = 'X';
    assert_string_equal(copy.at, "original");
    assert_int_equal(copy.size, 8);
    copy = arena_copy(&arena, text_of(NULL, 0));
    assert_int_equal(copy.size, 0);
    assert_string_equal(copy.at, "");
    copy = arena_copy(&arena, text_of("a\0b", 3));
    assert_memory_equal(copy.at, "a\0b", 4);
    copy = arena_format(&arena, "%s-%d", "x", 42);
    assert_string_equal(copy.at, "x-42");
    assert_int_equal(copy.size, 4);
    copy = arena_format(&arena, "%*s", 5000, "");
    assert_int_equal(copy.size, 5000);
    copy = arena_format(&arena, "%s", "");
    assert_int_equal(copy.size, 0);
    arena_fini(&arena);
}

static void arrays_are_of_their_type(void **state)
{
    struct arena arena;
    arena_init(&arena);
    uint64_t *numbers = arena_new_array(&arena, uint64_t, 10000);
    assert_int_equal(numbers[9999], 0);
    assert_int_equal(arena.used, 80000);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_reset_arena_starts_again),
        cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(arrays_are_of_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
