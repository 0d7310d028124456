/* SipHash (Aumasson, Bernstein 2012), with c compression and d finalisation rounds. */
#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static void sip_rounds(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t siphash(const uint64_t key[2], struct text t, int c, int d)
{
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                      key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
    size_t i = 0;
    for (; i + 8 <= t.size; i += 8) {
        uint64_t word;
        memcpy(&word, t.at + i, 8);
        v[3] ^= word;
        sip_rounds(v, c);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)t.size << 56;
    for (size_t shift = 0; i < t.size; i++, shift += 8) {
        last |= (uint64_t)(unsigned char)t.at[i] << shift;
    }
    v[3] ^= last;
    sip_rounds(v, c);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_rounds(v, d);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void make_process_key(void)
{
    if (getrandom(process_key, sizeof(process_key), GRND_NONBLOCK) != sizeof(process_key)) {
        process_key[0] = (uint64_t)(uintptr_t)&process_key;
    }
}

uint64_t hash_text(struct text t)
{
    pthread_once(&process_key_once, make_process_key);
    return siphash(process_key, t, 1, 3);
}

uint64_t hash_stable(struct text t)
{
    static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
    return siphash(key, t, 2, 4);
}

uint64_t hash_keyed(const uint64_t key[2], struct text t)
{
    return siphash(key, t, 2, 4);
}
