/* Answers Weft gives by itself: the only turning point of an exchange. */
#pragma once

#include "proxy/exchange.h"

/* Status, Proxy-Status and a short body by the failure's row; word: a more precise reason than the
 * row's, or empty. The connection closes when the request's body was not read to its end. */
void reply_failure(struct exchange *exchange, enum failure failure, struct text word);
/* A reply of a filter or route: fields and body as given. failure FAILURE_NONE keeps the log
 * clean. */
void reply_send(struct exchange *exchange, uint16_t status, const struct header_value *fields,
                unsigned count, struct text body);
