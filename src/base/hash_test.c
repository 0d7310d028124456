/* Hashes: the published vectors of SipHash-2-4, and what the callers rely on. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void siphash_2_4_matches_the_published_vectors(void **state)
{
    /* key 00 01 .. 0f, message 00 01 .. size-1 (the reference implementation's vectors) */
    static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
    static const struct {
        size_t size;
        uint64_t hash;
    } cases[] = {
        { 0, 0x726fdb47dd0e0e31u },  { 1, 0x74f839c593dc67fdu },  { 2, 0x0d6c8009d9a94f5au },
        { 3, 0x85676696d7fb7e2du },  { 7, 0xab0200f58b01d137u },  { 8, 0x93f5f5799a932462u },
        { 15, 0xa129ca6149be45e5u }, { 63, 0x958a324ceb064572u },
    };
    char message[64];
    for (size_t i = 0; i < sizeof(message); i++) {
        message[i] = (char)i;
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text t = text_of(message, cases[i].size);
        assert_true(hash_keyed(key, t) == cases[i].hash);
        assert_true(hash_stable(t) == cases[i].hash); /* in every release: never to change */
    }
}

static void hashes_depend_on_all_they_should(void **state)
{
    static const uint64_t one[2] = { 1, 2 }, other[2] = { 1, 3 };
    assert_true(hash_keyed(one, TEXT("a")) != hash_keyed(other, TEXT("a")));
    assert_true(hash_text(TEXT("a")) != hash_text(TEXT("b")));
    assert_true(hash_text(TEXT("a")) != hash_text(text_of("a\0", 2)));
    assert_true(hash_text(TEXT("")) == hash_text(text_of(NULL, 0)));
    assert_true(hash_text(TEXT("abcdefgh")) == hash_text(text_from_string("abcdefgh")));
    assert_true(hash_text(TEXT("a")) != hash_stable(TEXT("a"))); /* keyed per process */
    char askew[32] = "_unaligned bytes";
    assert_true(hash_text(text_of(askew + 1, 15)) == hash_text(TEXT("unaligned bytes")));
}

static void buckets_are_even(void **state)
{
    unsigned buckets[64] = { 0 };
    for (uint32_t i = 0; i < 64000; i++) {
        buckets[hash_text(text_of((const char *)&i, 4)) & 63]++;
    }
    for (int i = 0; i < 64; i++) {
        assert_in_range(buckets[i], 800, 1200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_2_4_matches_the_published_vectors),
        cmocka_unit_test(hashes_depend_on_all_they_should),
        cmocka_unit_test(buckets_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
