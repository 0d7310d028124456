/* Classes of bytes in HTTP (RFC 9110 5.5 and 5.6, RFC 3986) as one table, and scans over it,
 * sixteen bytes at a time where the machine can. For the codecs and uri.c; no state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum byte_class {
    BYTE_TOKEN = 1,       /* tchar */
    BYTE_VALUE = 2,       /* of a field value: HTAB, SP, VCHAR, obs-text */
    BYTE_TARGET = 4,      /* of a request target: VCHAR without '"', '#', '<', '>' */
    BYTE_HEX = 8,         /* HEXDIG in both cases */
    BYTE_UNRESERVED = 16, /* RFC 3986 2.3 */
    BYTE_HOST = 32,       /* letter, digit, '-', '.', '_' */
    BYTE_QUOTED = 64,     /* qdtext */
    BYTE_PLAIN_PATH = 128 /* of a target, and in a path of no meaning to path_normalize but '/' */
};

extern const uint8_t byte_classes[256];

static inline bool byte_is(char byte, enum byte_class wanted)
{
    return byte_classes[(unsigned char)byte] & wanted;
}

/* 0 to 15, or -1. */
static inline int byte_hex(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The first byte that is not of the class, or end. */
static inline const char *byte_skip(const char *at, const char *end, enum byte_class wanted)
{
    while (at < end && byte_is(*at, wanted)) {
        at++;
    }
    return at;
}

/* The first byte that is not BYTE_TOKEN, or end. */
static inline const char *byte_skip_token(const char *at, const char *end)
{
#ifdef __SSE2__
    /* Letters, digits and '-', what names are made of in practice; the table knows the rest. */
    for (; end - at >= 16; at += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i letter = _mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
        __m128i digit = _mm_sub_epi8(x, _mm_set1_epi8('0'));
        __m128i good = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
        good = _mm_or_si128(good, _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit));
        good = _mm_or_si128(good, _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));
        int mask = _mm_movemask_epi8(good) ^ 0xffff;
        if (mask != 0) {
            at += __builtin_ctz((unsigned)mask);
            break;
        }
    }
#endif
    return byte_skip(at, end, BYTE_TOKEN);
}

/* The first byte that is not BYTE_VALUE, or end. */
static inline const char *byte_skip_value(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    for (; end - at >= 16; at += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, last_control), x);
        __m128i stop =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), control), _mm_cmpeq_epi8(x, del));
        int mask = _mm_movemask_epi8(stop);
        if (mask != 0) {
            return at + __builtin_ctz((unsigned)mask);
        }
    }
#endif
    return byte_skip(at, end, BYTE_VALUE);
}

/* The first byte that is not BYTE_TARGET or is '?', or end. */
static inline const char *byte_skip_target(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i first_visible = _mm_set1_epi8(0x21);
    const __m128i del = _mm_set1_epi8(0x7f);
    for (; end - at >= 16; at += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Signed: bytes from 0x80 on are below 0x21 too. */
        __m128i stop = _mm_or_si128(_mm_cmplt_epi8(x, first_visible), _mm_cmpeq_epi8(x, del));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(x, _mm_set1_epi8('?')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(x, _mm_set1_epi8('#')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(x, _mm_set1_epi8('<')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(x, _mm_set1_epi8('>')));
        int mask = _mm_movemask_epi8(stop);
        if (mask != 0) {
            return at + __builtin_ctz((unsigned)mask);
        }
    }
#endif
    while (at < end && *at != '?' && byte_is(*at, BYTE_TARGET)) {
        at++;
    }
    return at;
}
