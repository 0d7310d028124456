/* What a filter may do to an exchange: the whole of it. Implemented by exchange.c, or by a fake in
 * the tests of filters. Nothing here allocates from the heap; texts handed over must live as long
 * as the exchange (plan memory, exchange_alloc, or views that the exchange gave out itself). */
#pragma once

#include "http/head.h"
#include "proxy/filter/filter.h"

/* The request head as it goes upstream; its fields are edited with http/field_edit.h. */
struct request_head *exchange_request(struct exchange *exchange);
/* The response head as it goes to the client. Only in on_response. */
struct response_head *exchange_response(struct exchange *exchange);

/* Uninitialised bytes that live as long as the exchange; NULL at its limit (answer 500). */
char *exchange_alloc(struct exchange *exchange, size_t size);

/* Normalized path ("/..." or "*"), query without '?' (at == NULL where there is none), scheme
 * ("http", "https"), authority as it goes upstream (folded host, port where there was one). */
struct text exchange_path(struct exchange *exchange);
struct text exchange_query(struct exchange *exchange);
struct text exchange_scheme(struct exchange *exchange);
struct text exchange_authority(struct exchange *exchange);

/* What goes upstream; routing is not repeated. The query is kept. */
void exchange_set_path(struct exchange *exchange, struct text path);
void exchange_set_authority(struct exchange *exchange, struct text authority);

/* Answers by itself: the filter then returns FILTER_REPLIED. Content-Length, Date and the like are
 * the exchange's own business. body may be empty. */
void exchange_reply(struct exchange *exchange, uint16_t status, const struct header_value *fields,
                    unsigned count, struct text body);
