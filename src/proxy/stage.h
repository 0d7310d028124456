/* struct stage: what one callback wants to send on a wire, gathered into one writev: heads and
 * framing are written into the worker's encode memory, payload is referred to. One stage at a time
 * per worker; it is sent before its callback returns, since it points into scratch. */
#pragma once

#include "http/h1.h"
#include "proxy/worker.h"

struct stage {
    struct wire *wire;
    struct h1_writer writer;
    char *mark; /* start of what the writer wrote since the last part */
    struct iovec parts[STAGE_PARTS];
    int count;
    uint64_t payload; /* bytes of payload in it */
};

void stage_begin(struct stage *stage, struct wire *wire);
/* A view that stays valid until stage_send. */
void stage_bytes(struct stage *stage, struct text bytes);
/* Payload with the framing of `body`: as it is, or as one chunk. */
void stage_payload(struct stage *stage, enum body_kind body, struct text payload);
/* The last chunk with trailers (NULL: none); nothing for other kinds. */
void stage_end_body(struct stage *stage, enum body_kind body, const struct fields *trailers);
/* False: the connection failed, or what was written did not fit. */
bool stage_send(struct stage *stage);

/* Takes payload out of a span of received bytes, in place: *out_payload is contiguous within the
 * span, *out_used tells how much of the span was taken. Ends at the body's end, at trailers, or
 * with the span; H1_REFUSED: body->reason. */
enum h1_result payload_decode(struct h1_body *body, char *span, size_t size,
                              struct text *out_payload, size_t *out_used);
