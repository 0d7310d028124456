/* A small synchronous HTTP/1.1 client for commands that talk to a running process: one connection,
 * one request, one answer, a deadline. Never on a loop's thread. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "http/head.h"
#include "net/address.h"

#define HTTP_CLIENT_ANSWER_MAX (64u << 20) /* bytes of a body */

struct http_client_request {
    const char *unix_path;         /* connect here, or */
    const struct address *address; /* here */
    struct text method;            /* empty: GET */
    struct text target;            /* path and query; empty: "/" */
    struct text host;              /* empty: "localhost" */
    struct text content_type;      /* with a body */
    struct text body;
    unsigned timeout_ms; /* for all of it; 0: 10 s */
};

struct http_client_answer {
    uint16_t status;
    char content_type[128]; /* NUL-terminated, cut where longer */
    struct buffer body;
};

/* True: an answer of any status was read whole; http_client_answer_fini frees it. False: nothing to
 * free. `out_answer` need not be initialised. */
bool http_client_send(const struct http_client_request *request,
                      struct http_client_answer *out_answer, struct error *error);
void http_client_answer_fini(struct http_client_answer *answer);
