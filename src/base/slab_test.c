/* Slabs: distinct objects, limits, memory that goes back. */
#include "base/slab.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void objects_are_apart_and_aligned(void **state)
{
    static const size_t sizes[] = { 1, 8, 16, 17, 48, 100, 512, 4096, 5000, 70000 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct slab slab;
        unsigned char *objects[100];
        slab_init(&slab, sizes[i], 0);
        assert_true(slab.per_block >= 15 && slab.object_size % 16 == 0);
        for (int k = 0; k < 100; k++) {
            objects[k] = slab_take(&slab);
            assert_int_equal((uintptr_t)objects[k] % 16, 0);
            memset(objects[k], k, sizes[i]);
        }
        assert_int_equal(slab.live, 100);
        for (int k = 0; k < 100; k++) {
            for (size_t at = 0; at < sizes[i]; at += 13) {
                assert_int_equal(objects[k][at], k);
            }
            slab_give(&slab, objects[k]);
        }
        assert_int_equal(slab.live, 0);
        assert_true(slab_trim(&slab) || slab.blocks == 1); /* was in use: nothing goes */
        assert_false(slab_trim(&slab));
        assert_int_equal(slab.blocks, 1); /* one empty block is kept */
        slab_give(&slab, NULL);
        slab_fini(&slab);
        assert_int_equal(slab.blocks, 0);
    }
}

static void the_last_given_is_taken_first(void **state)
{
    struct slab slab;
    slab_init(&slab, 64, 0);
    void *a = slab_take(&slab);
    void *b = slab_take(&slab);
    slab_give(&slab, a);
    assert_ptr_equal(slab_take(&slab), a);
    slab_give(&slab, a);
    slab_give(&slab, b);
    assert_ptr_equal(slab_take(&slab), b);
    assert_ptr_equal(slab_take(&slab), a);
    slab_give(&slab, a);
    slab_give(&slab, b);
    slab_fini(&slab);
}

static void a_limit_holds(void **state)
{
    struct slab slab;
    void *objects[3];
    slab_init(&slab, 32, 3);
    for (int i = 0; i < 3; i++) {
        objects[i] = slab_take(&slab);
        assert_non_null(objects[i]);
    }
    assert_null(slab_take(&slab));
    slab_give(&slab, objects[1]);
    objects[1] = slab_take(&slab);
    assert_non_null(objects[1]);
    assert_null(slab_take(&slab));
    for (int i = 0; i < 3; i++) {
        slab_give(&slab, objects[i]);
    }
    slab_fini(&slab);
}

/* Takes and gives at random through many blocks; every object holds its own mark throughout. */
static void random_use_keeps_the_books(void **state)
{
    enum { MOST = 1000 };
    struct slab slab;
    size_t *objects[MOST];
    size_t count = 0;
    struct random random;
    random_init(&random, 5);
    slab_init(&slab, 2000, 0);
    for (size_t step = 0; step < 100000; step++) {
        bool growing = step / 5000 % 2 == 0;
        if (count < MOST && random_below(&random, 10) < (growing ? 7u : 3u)) {
            objects[count] = slab_take(&slab);
            objects[count][0] = objects[count][249] = count;
            count++;
        } else if (count > 0) {
            size_t which = random_below(&random, (uint32_t)count);
            assert_int_equal(objects[which][0], which);
            assert_int_equal(objects[which][249], which);
            slab_give(&slab, objects[which]);
            objects[which] = objects[--count];
            if (which < count) {
                objects[which][0] = objects[which][249] = which;
            }
        }
        assert_int_equal(slab.live, count);
        assert_true(slab.empty_blocks <= 4 + slab.blocks / 4);
        assert_true(slab.blocks * slab.per_block >= count);
    }
    while (count > 0) {
        slab_give(&slab, objects[--count]);
    }
    assert_int_equal(slab.blocks, slab.empty_blocks);
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_apart_and_aligned),
        cmocka_unit_test(the_last_given_is_taken_first),
        cmocka_unit_test(a_limit_holds),
        cmocka_unit_test(random_use_keeps_the_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
