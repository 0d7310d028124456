/* Session persistence: which endpoint a request was pinned to, and telling the client. The token
 * holds the endpoint's affinity key, hidden and signed with the policy's keys, and when the session
 * began and was last used; never an address. Used by exchange.c around picking an endpoint. */
#pragma once

#include "proxy/exchange_edit.h"

struct session {
    uint64_t affinity; /* 0: the request carries no session that holds */
    uint32_t began_s;  /* Unix time */
    uint32_t used_s;
};

/* Reads the request's cookie or header. A token that is malformed, forged or over is as none. */
struct session session_read(const struct session_policy *policy, const struct request_head *head);
/* Puts the token into the response where it is new, names another endpoint than before, or its use
 * should be noted again. False: no room; the response goes out without it. */
bool session_write(const struct session_policy *policy, const struct session *session,
                   uint64_t affinity, struct exchange *exchange);
