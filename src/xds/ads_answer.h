/* The answer an ADS client owes to one response: ACK, or NACK with what was refused. Owned by
 * ads_client.c, which links it into its list until it is sent. */
#pragma once

#include "base/array.h"
#include "base/list.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "xds/compose.h"

struct client_type;

struct ads_refusal {
    struct text name;
    char *reason;
};

struct ads_answer {
    struct list link;
    struct client_type *type;
    struct text nonce; /* empty: the stream is gone, nothing is sent */
    uint64_t batch;    /* number of the on_idle after which it is due */
    ARRAY_OF(struct ads_refusal) refusals;
};

struct ads_answer *ads_answer_new(struct client_type *type, struct text nonce, uint64_t batch);
void ads_answer_free(struct ads_answer *answer);
/* The stream the nonce belongs to is gone. */
void ads_answer_orphan(struct ads_answer *answer);
void ads_answer_refuse(struct ads_answer *answer, struct text name, const char *reason);
/* Writes nonce and, where anything was refused, error_detail: a summary for people in message, one
 * envoy.service.discovery.v3.ResourceError for each name in details. */
void ads_answer_write(const struct ads_answer *answer, struct arena *arena,
                      Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request);
