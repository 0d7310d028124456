/* struct address: an IPv4 or IPv6 address and port, 20 bytes, comparable and hashable as bytes.
 * IPv4 is kept as IPv4-mapped IPv6 (::ffff:a.b.c.d). */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <sys/socket.h>

struct address {
    unsigned char ip[16];
    uint16_t port;  /* host order */
    uint16_t scope; /* interface index of a link-local IPv6, else 0 */
};

#define ADDRESS_TEXT_MAX 64 /* "[ipv6%65535]:65535" and a NUL */

bool address_equal(const struct address *a, const struct address *b);
bool address_same_ip(const struct address *a, const struct address *b);
bool address_is_v4(const struct address *address);
bool address_is_loopback(const struct address *address);
bool address_is_link_local(const struct address *address);
/* An IP without port, brackets or zone ("10.0.0.1", "::1"); strict dotted quad, no leading
 * zeros. */
bool address_parse_ip(struct text t, struct address *out_address);
/* "10.0.0.1:80", "[::1]:80", "[fe80::1%2]:80". */
bool address_parse(struct text t, struct address *out_address);
/* Without and with port; return the size written, NUL-terminated. */
size_t address_format_ip(const struct address *address, char out[ADDRESS_TEXT_MAX]);
size_t address_format(const struct address *address, char out[ADDRESS_TEXT_MAX]);
socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *out);
bool address_from_sockaddr(const struct sockaddr_storage *from, struct address *out_address);

/* A block such as 10.0.0.0/8 or ::1/128; a bare address is the whole width. Bits behind the width
 * are cleared. An IPv6 block never contains an IPv4 address: ::/0 is all of IPv6. */
struct address_block {
    struct address address;
    unsigned bits; /* of the 128 */
};
bool address_block_parse(struct text t, struct address_block *out_block);
bool address_block_contains(const struct address_block *block, const struct address *address);
