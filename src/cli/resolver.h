/* Keeps the host names of DNS clusters resolved: asks, follows TTLs, keeps the last good answer for
 * an hour when a name stops resolving. Main thread. */
#pragma once

#include "base/error.h"
#include "net/loop.h"
#include "proxy/compile.h"

struct resolver;

/* on_change: addresses of the compiler changed, a new plan is due. */
struct resolver *resolver_new(struct loop *loop, struct compiler *compiler, void *owner,
                              void (*on_change)(void *owner), struct error *error);
void resolver_free(struct resolver *resolver);
/* After the compiler took in resources: starts and forgets names. */
void resolver_follow(struct resolver *resolver);
