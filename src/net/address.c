/* Addresses: parsing, formatting, comparing. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#define V4_PREFIX_SIZE 12
#define IP_TEXT_MAX    45 /* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255" */

static const unsigned char v4_prefix[V4_PREFIX_SIZE] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

_Static_assert(sizeof(struct address) == 20, "comparable and hashable as bytes: no padding");

bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool address_same_ip(const struct address *a, const struct address *b)
{
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->scope == b->scope;
}

bool address_is_v4(const struct address *address)
{
    return memcmp(address->ip, v4_prefix, V4_PREFIX_SIZE) == 0;
}

bool address_is_loopback(const struct address *address)
{
    static const unsigned char v6_loopback[16] = { [15] = 1 };
    if (address_is_v4(address)) {
        return address->ip[12] == 127;
    }
    return memcmp(address->ip, v6_loopback, sizeof(v6_loopback)) == 0;
}

bool address_is_link_local(const struct address *address)
{
    if (address_is_v4(address)) {
        return address->ip[12] == 169 && address->ip[13] == 254;
    }
    return address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

bool address_parse_ip(struct text t, struct address *out_address)
{
    char string[IP_TEXT_MAX + 1];
    if (t.size == 0 || t.size > IP_TEXT_MAX || text_find_byte(t, '\0') < t.size) {
        return false;
    }
    memcpy(string, t.at, t.size);
    string[t.size] = '\0';
    struct address address = { 0 };
    memcpy(address.ip, v4_prefix, V4_PREFIX_SIZE);
    if (inet_pton(AF_INET, string, address.ip + V4_PREFIX_SIZE) != 1 &&
        inet_pton(AF_INET6, string, address.ip) != 1) {
        return false;
    }
    *out_address = address;
    return true;
}

/* Decimal, without leading zeros. */
static bool parse_number(struct text t, uint64_t max, uint64_t *out_value)
{
    return (t.size == 1 || (t.size > 1 && t.at[0] != '0')) && text_parse_u64(t, max, out_value);
}

/* "::1", "fe80::1%2": only a link-local address has a zone, and that is an interface index. */
static bool parse_bracketed(struct text t, struct address *out_address)
{
    size_t percent = text_find_byte(t, '%');
    uint64_t scope = 0;
    if (text_find_byte(t, ':') == t.size ||
        !address_parse_ip(text_first(t, percent), out_address)) {
        return false;
    }
    if (percent == t.size) {
        return true;
    }
    if (!parse_number(text_from(t, percent + 1), UINT16_MAX, &scope) || scope == 0 ||
        address_is_v4(out_address) || !address_is_link_local(out_address)) {
        return false;
    }
    out_address->scope = (uint16_t)scope;
    return true;
}

bool address_parse(struct text t, struct address *out_address)
{
    struct address address;
    uint64_t port;
    size_t colon;
    if (t.size > 0 && t.at[0] == '[') {
        size_t end = text_find_byte(t, ']');
        colon = end + 1;
        if (colon >= t.size || t.at[colon] != ':' ||
            !parse_bracketed(text_of(t.at + 1, end - 1), &address)) {
            return false;
        }
    } else {
        colon = text_find_byte(t, ':');
        if (colon == t.size || !address_parse_ip(text_first(t, colon), &address)) {
            return false;
        }
    }
    if (!parse_number(text_from(t, colon + 1), UINT16_MAX, &port)) {
        return false;
    }
    address.port = (uint16_t)port;
    *out_address = address;
    return true;
}

/* At most five digits; the end of them. */
static char *put_decimal(char *at, unsigned value)
{
    char digits[5];
    size_t begin = sizeof(digits);
    do {
        digits[--begin] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(at, digits + begin, sizeof(digits) - begin);
    return at + sizeof(digits) - begin;
}

/* By hand: a proxied request is written with three of them. */
static char *put_v4(char *at, const struct address *address)
{
    for (int i = 0; i < 4; i++) {
        at = put_decimal(at, address->ip[V4_PREFIX_SIZE + i]);
        *at++ = '.';
    }
    return at - 1;
}

size_t address_format_ip(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    if (address_is_v4(address)) {
        char *end = put_v4(out, address);
        *end = '\0';
        return (size_t)(end - out);
    }
    inet_ntop(AF_INET6, address->ip, out, ADDRESS_TEXT_MAX);
    return strlen(out);
}

size_t address_format(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    char ip[ADDRESS_TEXT_MAX];
    int size;
    if (address_is_v4(address)) {
        char *end = put_v4(out, address);
        *end++ = ':';
        end = put_decimal(end, address->port);
        *end = '\0';
        return (size_t)(end - out);
    }
    address_format_ip(address, ip);
    if (address->scope != 0) {
        size = snprintf(out, ADDRESS_TEXT_MAX, "[%.45s%%%u]:%u", ip, address->scope, address->port);
    } else {
        size = snprintf(out, ADDRESS_TEXT_MAX, "[%.45s]:%u", ip, address->port);
    }
    return (size_t)size;
}

socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (address_is_v4(address)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(address->port);
        memcpy(&v4->sin_addr, address->ip + V4_PREFIX_SIZE, 4);
        return sizeof(*v4);
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address->port);
    v6->sin6_scope_id = address->scope;
    memcpy(&v6->sin6_addr, address->ip, 16);
    return sizeof(*v6);
}

bool address_from_sockaddr(const struct sockaddr_storage *from, struct address *out_address)
{
    *out_address = (struct address){ 0 };
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        memcpy(out_address->ip, v4_prefix, V4_PREFIX_SIZE);
        memcpy(out_address->ip + V4_PREFIX_SIZE, &v4->sin_addr, 4);
        out_address->port = ntohs(v4->sin_port);
        return true;
    }
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        memcpy(out_address->ip, &v6->sin6_addr, 16);
        out_address->port = ntohs(v6->sin6_port);
        /* An index beyond 16 bits is only lost for showing: accepted sockets answer without it. */
        out_address->scope = v6->sin6_scope_id <= UINT16_MAX ? (uint16_t)v6->sin6_scope_id : 0;
        return true;
    }
    return false;
}

/* Clears all bits behind the first `bits`. */
static void mask(unsigned char ip[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits <= i * 8 ? 0 : bits - i * 8;
        if (keep < 8) {
            ip[i] &= (unsigned char)(0xff00u >> keep);
        }
    }
}

bool address_block_parse(struct text t, struct address_block *out_block)
{
    size_t slash = text_find_byte(t, '/');
    struct text ip = text_first(t, slash);
    struct address_block block = { .bits = 128 };
    if (!address_parse_ip(ip, &block.address)) {
        return false;
    }
    if (slash < t.size) {
        unsigned before = text_find_byte(ip, ':') == ip.size ? 96 : 0;
        uint64_t bits;
        if (!parse_number(text_from(t, slash + 1), 128 - before, &bits)) {
            return false;
        }
        block.bits = before + (unsigned)bits;
    }
    mask(block.address.ip, block.bits);
    *out_block = block;
    return true;
}

bool address_block_contains(const struct address_block *block, const struct address *address)
{
    bool v4_block = block->bits >= 96 && address_is_v4(&block->address);
    if (v4_block != address_is_v4(address)) {
        return false;
    }
    unsigned char ip[16];
    memcpy(ip, address->ip, sizeof(ip));
    mask(ip, block->bits);
    return memcmp(ip, block->address.ip, sizeof(ip)) == 0;
}
