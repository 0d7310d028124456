/* Asynchronous DNS over c-ares, for the main loop. A and AAAA are asked together; TTLs are kept, at
 * least 1 s. /etc/hosts is honoured; a changed resolv.conf means a new channel (decision 15). */
#pragma once

#include "net/address.h"
#include "net/loop.h"

struct dns;

struct dns_answer {
    const struct address *addresses; /* port 0, deduplicated, IPv6 and IPv4; at most 1,000 */
    size_t count;
    uint32_t ttl_s;      /* lowest of the records */
    const char *failure; /* NULL, or what went wrong in words */
};

struct dns *dns_new(struct loop *loop, struct error *error);
void dns_free(struct dns *dns); /* outstanding queries end with failure "cancelled" */
/* name: at most 253 bytes. The answer is valid during the call of on_answer only. */
bool dns_resolve(struct dns *dns, struct text name, void *owner,
                 void (*on_answer)(void *owner, const struct dns_answer *answer));
void dns_cancel(struct dns *dns, void *owner);
