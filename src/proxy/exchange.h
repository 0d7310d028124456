/* An exchange: one request and its response, from the end of the request's head until the last byte
 * of the response. One arena, one state machine, one owner (the downstream connection).
 *
 *   downstream -> exchange_start -> route -> filters -> attempt_start ... exchange_on_response
 *              -> body -> exchange_end -> downstream (next request)
 *
 * Everything that may end the exchange returns void or bool and is followed by a look at
 * exchange->ended: the struct stays valid until the end of the turn (exchange_reap). */
#pragma once

#include "http/h1.h"
#include "net/relay.h"
#include "proxy/exchange_edit.h"
#include "proxy/failure.h"
#include "proxy/filter/session.h"
#include "proxy/route.h"
#include "proxy/stage.h"

struct downstream;
struct intake;
struct mirror_attempt;

#define MIRRORS_MAX 8 /* of one exchange; more in a route are not sent and counted */

enum attempt_state {
    ATTEMPT_NONE,
    ATTEMPT_BACKOFF,    /* waits before the next try */
    ATTEMPT_CONNECTING,
    ATTEMPT_WAITING,    /* head sent, response head not yet complete */
    ATTEMPT_BODY,       /* response body flows */
    ATTEMPT_DONE,       /* response complete */
};

/* One try of the exchange at one endpoint. */
struct attempt {
    struct connection *connection;
    struct endpoint *endpoint; /* counted in with endpoint_use */
    struct wire wire;
    struct timer timer; /* of the backoff; deadlines are the connection's timer's */
    struct h1_head_reader reader;
    struct h1_body body;
    uint64_t connect_deadline_ms; /* 0: none */
    uint64_t try_deadline_ms;     /* 0: none */
    uint64_t started_ns;
    uint8_t state;     /* enum attempt_state */
    bool reused;       /* the connection had served before */
    bool request_sent; /* the whole request was handed to the socket or the wire */
    bool got_bytes;    /* of a response */
    bool keep_alive;   /* the response allows another request */
};

struct relay_state {
    struct relay relay;
    bool open;
};

struct exchange {
    struct downstream *downstream;
    struct worker *worker;
    struct plan_hold *plan;
    const struct plan_listener *listener;
    struct list link; /* in worker->ended */
    struct timer timer; /* request timeout */

    const struct route *route;
    const struct route_target *target;
    struct cluster *cluster;
    struct response_head *response; /* scratch of the worker, while response filters run */

    char *head_chunk; /* holds what request's views point to */
    bool head_is_large;

    struct text host;      /* folded, for routing */
    struct text path; /* normalized; what routing saw and what goes upstream unless rewritten */
    struct text query;     /* at == NULL: none */
    struct text authority; /* what goes upstream as Host */
    struct text client_ip;
    struct text request_id;
    struct text trace_id;
    struct text span_id;
    struct text reason; /* a more precise word than the failure's row, may be empty */
    struct text original_path; /* for the log */
    struct text original_host;

    struct h1_body request_body;
    char *retained;         /* LARGE chunk with the payload sent so far, for a retry */
    struct text whole_body; /* the complete payload within head_chunk, instead of retained */
    uint32_t retained_size;
    bool body_whole;    /* nothing of the body sent so far is lost: a retry can send it again */

    struct attempt attempt;
    struct relay_state relay; /* splice of the response body */
    uint32_t attempts;
    uint32_t stale_retries;
    const struct endpoint *last_endpoint; /* of the last try; compared only, may be gone */
    struct address endpoint_address;
    struct mirror_attempt *mirrors[MIRRORS_MAX]; /* still sending; NULL: done or given up */
    struct session session; /* what the request carried, where its route persists sessions */
    uint64_t affinity;      /* of the endpoint in use */

    enum body_kind response_body; /* framing towards the client */
    uint16_t status;
    uint16_t upstream_status;
    uint8_t failure; /* enum failure */
    uint8_t h1_reason;
    bool ended;
    bool upgrade;           /* asked for and allowed */
    bool tunnel_client_ended;
    bool tunnel_endpoint_ended;
    bool tunnel;            /* 101 sent: raw bytes both ways */
    bool response_started;  /* a final head was handed to the client's wire */
    bool response_complete; /* and its last byte */
    bool client_keep_alive;

    uint64_t started_ns;
    uint64_t upstream_ns; /* time of all attempts */
    uint64_t request_head_bytes;
    uint64_t request_body_bytes;
    uint64_t response_head_bytes;
    uint64_t response_body_bytes;

    /* The exchange's memory: first `inline_memory`, then further chunks. */
    char *memory;
    char *memory_end;
    char *more_memory[4];
    bool more_is_large[4];
    uint8_t more_count;

    struct request_head request;
    _Alignas(16) char inline_memory[2048];
};

_Static_assert(sizeof(struct attempt) <= 224, "one in every exchange");
_Static_assert(offsetof(struct exchange, request) <= 960, "zeroed for every request");
_Static_assert(sizeof(struct exchange) <= 9728, "one for every request under way");

/* Takes a zeroed exchange off the slab, NULL without memory. request.fields is left as it is. */
struct exchange *exchange_new(struct downstream *downstream);
/* The head is read: everything from here to the response. */
void exchange_start(struct exchange *exchange);
/* A request that was refused while reading its head. */
void exchange_refuse(struct exchange *exchange, enum failure failure, enum h1_reason reason);
/* Something may move on the client's side: flush, body to read, hang-up. */
void exchange_on_downstream(struct exchange *exchange);
/* The request's body, as far as both sides allow. */
void exchange_pump_request(struct exchange *exchange);
/* What of the body is there already, or a retry's replay, goes with the head. False: ended. */
bool exchange_stage_first_body(struct exchange *exchange, struct stage *stage,
                               struct intake *out_intake);
/* The last attempt failed for good. */
void exchange_fail(struct exchange *exchange, enum failure failure);
/* Fails without a reply (client gone), or in the middle of a response. */
void exchange_abort(struct exchange *exchange, enum failure failure);
/* A final response head came from upstream: filters, then the stage gets the client's head. False
 * when the exchange ended otherwise. `stage` is begun here. */
bool exchange_on_response(struct exchange *exchange, struct response_head *head,
                          struct stage *stage);
/* The response is complete and handed to the wire. */
void exchange_complete(struct exchange *exchange);
/* Gives back everything at the end of the turn. */
void exchange_reap(struct worker *worker);
/* Upgrade says websocket and nothing else. */
bool exchange_is_websocket(const struct fields *fields);
/* Whether the connection will serve another request after this one; settles client_keep_alive. */
bool exchange_will_keep_alive(struct exchange *exchange);
/* The cluster of the exchange's target in the plan it started with, NULL: not configured. */
struct cluster *exchange_cluster(struct exchange *exchange);
/* Starts (again) with the first or next attempt. attempt.c */
void attempt_start(struct exchange *exchange);
/* Lets go of the attempt's connection; `clean`: may be pooled. */
void attempt_release(struct exchange *exchange, bool clean);
/* The response side may go on (the client's wire has room). */
void attempt_pump_response(struct exchange *exchange);
void attempt_touch(struct exchange *exchange);
/* Forwarding headers, request id, trace context. forwarding.c */
bool forwarding_apply(struct exchange *exchange);
/* tunnel.c */
void tunnel_start(struct exchange *exchange);
void tunnel_run(struct exchange *exchange);
/* access_record.c: log line and metrics of an ended exchange. */
void access_record_close(struct exchange *exchange);

static inline struct exchange *attempt_exchange(struct attempt *attempt)
{
    return list_owner(attempt, struct exchange, attempt);
}
