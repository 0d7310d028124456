/* Copies of requests to further backends: fire and forget. A mirror never delays its exchange: it
 * keeps at most one chunk of unsent bytes, lives at most 30 s, and its answer is thrown away. */
#pragma once

#include "proxy/exchange.h"

struct mirror_attempt {
    struct list link; /* worker->mirrors_active */
    struct worker *worker;
    struct exchange *exchange; /* while the request is still being sent, else NULL */
    unsigned index;            /* in exchange->mirrors */
    struct connection *connection;
    struct endpoint *endpoint;
    struct wire wire;
    struct timer timer;
    struct h1_head_reader reader;
    struct h1_body body;
    enum http_method method;
    bool head_done;
    bool request_done;
    bool keep_alive;
};

_Static_assert(sizeof(struct mirror_attempt) <= 240, "up to MIRRORS_MAX for every request");

/* Starts the mirrors of the exchange's route whose share it falls into. */
void mirror_start_all(struct exchange *exchange);
/* A piece of the request's body, before it is sent to the endpoint. */
void mirror_body_all(struct exchange *exchange, struct text payload, bool done);
/* The exchange ends: mirrors that have not got the whole request are given up. */
void mirror_leave_all(struct exchange *exchange);
void mirror_close_all(struct worker *worker);
/* At the end of every turn. */
void mirror_reap(struct worker *worker);
