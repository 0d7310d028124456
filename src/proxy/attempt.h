/* Attempts of an exchange: what attempt.c and attempt_response.c share. */
#pragma once

#include "proxy/exchange.h"

/* This try is over without a usable response: retried where policy and body allow, else the
 * exchange fails with this. */
void attempt_failed(struct exchange *exchange, enum failure failure);
/* Whether the route allows one more try. */
bool attempt_may_retry(struct exchange *exchange);
/* Lets go of this try and starts another after the backoff. */
void attempt_retry(struct exchange *exchange);
/* The request's head as it goes to an endpoint. */
void attempt_write_head(struct exchange *exchange, struct h1_writer *writer);
