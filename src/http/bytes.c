/* The table of byte classes. Every byte not listed is a control byte and of no class. */
#include "http/bytes.h"

#define VISIBLE   (BYTE_VALUE | BYTE_QUOTED)
#define IN_TARGET (VISIBLE | BYTE_TARGET | BYTE_PLAIN_PATH)
#define IN_TOKEN  (IN_TARGET | BYTE_TOKEN)
#define IN_NAME   (IN_TOKEN | BYTE_UNRESERVED | BYTE_HOST)
#define IN_HEX    (IN_NAME | BYTE_HEX)

/* Runs of equal entries. */
#define X2(x)  x, x
#define X4(x)  X2(x), X2(x)
#define X6(x)  X4(x), X2(x)
#define X10(x) X6(x), X4(x)
#define X20(x) X10(x), X10(x)
#define X32(x) X20(x), X10(x), X2(x)
#define X128(x) X32(x), X32(x), X32(x), X32(x)

const uint8_t byte_classes[256] = {
    ['\t'] = VISIBLE,
    [' '] = VISIBLE,
    ['!'] = IN_TOKEN,
    ['"'] = BYTE_VALUE,
    ['#'] = VISIBLE | BYTE_TOKEN,
    ['$'] = IN_TOKEN,
    ['%'] = VISIBLE | BYTE_TARGET | BYTE_TOKEN,
    ['&'] = IN_TOKEN,
    ['\''] = IN_TOKEN,
    ['('] = IN_TARGET,
    [')'] = IN_TARGET,
    ['*'] = IN_TOKEN,
    ['+'] = IN_TOKEN,
    [','] = IN_TARGET,
    ['-'] = IN_NAME,
    ['.'] = IN_NAME,
    ['/'] = VISIBLE | BYTE_TARGET,
    ['0'] = X10(IN_HEX),
    [':'] = IN_TARGET,
    [';'] = VISIBLE | BYTE_TARGET,
    ['<'] = VISIBLE,
    ['='] = IN_TARGET,
    ['>'] = VISIBLE,
    ['?'] = VISIBLE | BYTE_TARGET,
    ['@'] = IN_TARGET,
    ['A'] = X6(IN_HEX),
    ['G'] = X20(IN_NAME),
    ['['] = IN_TARGET,
    ['\\'] = BYTE_VALUE | BYTE_TARGET,
    [']'] = IN_TARGET,
    ['^'] = IN_TOKEN,
    ['_'] = IN_NAME,
    ['`'] = IN_TOKEN,
    ['a'] = X6(IN_HEX),
    ['g'] = X20(IN_NAME),
    ['{'] = IN_TARGET,
    ['|'] = IN_TOKEN,
    ['}'] = IN_TARGET,
    ['~'] = IN_TOKEN | BYTE_UNRESERVED,
    [0x80] = X128(VISIBLE),
};
