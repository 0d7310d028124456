/* Asynchronous DNS over c-ares, for the main loop. A and AAAA are asked together; TTLs are kept, at
 * least 1 s. /etc/hosts is honoured; names are absolute, search domains are not tried. When
 * resolv.conf changes, a new channel is made and what is outstanding is asked again there (c-ares
 * 1.18 cannot reread it). */
#pragma once

#include "net/address.h"
#include "net/loop.h"

struct dns;

struct dns_answer {
    const struct address *addresses; /* port 0, sorted, each once, IPv6 and IPv4; at most 1,000 */
    size_t count;
    uint32_t ttl_s;      /* lowest of the records; a day for a name that is an address */
    const char *failure; /* NULL, or what went wrong in words */
};

struct dns *dns_new(struct loop *loop, struct error *error);
void dns_free(struct dns *dns); /* outstanding queries end with failure "cancelled" */
/* name: 1 to 253 bytes. False when it is not such a name or 10,000 are outstanding. on_answer comes
 * from a later turn, never from within this call; the answer is valid during it only, and it may
 * call everything here but dns_free. */
bool dns_resolve(struct dns *dns, struct text name, void *owner,
                 void (*on_answer)(void *owner, const struct dns_answer *answer));
/* Drops the owner's outstanding queries; their on_answer is not called any more. */
void dns_cancel(struct dns *dns, void *owner);

/* In place of what resolv.conf says, from now on. */
bool dns_use_server(struct dns *dns, const struct address *server, struct error *error);
/* Another resolv.conf, and the port its servers are asked at; path stays the caller's. */
bool dns_use_resolv_conf(struct dns *dns, const char *path, uint16_t port, struct error *error);
/* How long a server is waited for at first (doubled each round) and how many rounds are made;
 * 2,000 ms and 2 without this. */
bool dns_set_patience(struct dns *dns, uint32_t timeout_ms, uint32_t rounds, struct error *error);
