/* Route lookup: host table, then path trie, then what else a route asks for. Cost does not grow
 * with the number of routes: only candidates whose path can match are looked at, the first in
 * configuration order wins. */
#pragma once

#include "http/head.h"
#include "net/address.h"
#include "proxy/plan.h"

struct route_request {
    struct text host; /* folded, without port and trailing dot; empty for HTTP/1.0 without Host */
    struct text path; /* normalized */
    struct text query;
    const struct request_head *head;
};

/* For `weft explain`: told of every candidate that was looked at. All optional. */
struct route_trace {
    void *owner;
    void (*on_virtual_host)(void *owner, struct text name, struct text domain);
    /* why == NULL: matched. Otherwise which condition did not hold, in words. */
    void (*on_candidate)(void *owner, const struct route *route, const char *why,
                         struct text detail);
};

/* NULL: no route (404). */
const struct route *route_match(const struct plan_routes *routes,
                                const struct route_request *request,
                                const struct route_trace *trace);
/* Whether a server that drops path parameters ("/admin;x") would take the path for one that is
 * another route's, or nobody's: then who may reach what hangs on who reads it, and the request is
 * refused. Costs a look for ';', and lookups only where there is one. `memory` holds path.size + 1
 * bytes. */
bool route_is_ambiguous(const struct plan_routes *routes, const struct route_request *request,
                        const struct route *route, char *memory);
/* The share of a route's targets for this random number, or NULL when all weights are 0. */
const struct route_target *route_pick_target(const struct route *route, uint64_t random);
