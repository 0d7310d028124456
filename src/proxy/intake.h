/* Taking a body's payload off a wire: from what is held, from bytes just read, or from the socket
 * through the worker's scratch memory. */
#pragma once

#include "http/h1.h"
#include "proxy/wire.h"

enum intake_result {
    INTAKE_OK,      /* payload (possibly empty) and progress */
    INTAKE_AGAIN,   /* nothing to be had now */
    INTAKE_END,     /* the peer ended the stream before the body's end */
    INTAKE_FAILED,  /* the connection failed, or no memory to hold bytes */
    INTAKE_REFUSED, /* malformed: body->reason */
};

struct intake {
    struct text payload; /* valid until intake_settle, or the next use of scratch */
    size_t held_used;    /* of the held input */
    bool has_trailers;   /* worker->trailers was filled: views into the same bytes */
};

/* `preread`: bytes of this wire that are in scratch already (after a head), or empty; what of them
 * is not used is held. body->done tells the end. */
enum intake_result intake_take(struct wire *wire, struct h1_body *body, struct text preread,
                               struct intake *out_intake);
/* Once payload and trailers have been sent. */
void intake_settle(struct wire *wire, const struct intake *intake);
