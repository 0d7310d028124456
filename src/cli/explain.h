/* `weft explain`: which listener, route, filters, backend and endpoint a request would meet, and
 * why the near misses lost. It parses the request with the proxy's own codec and runs the proxy's
 * own lookup on a compiled plan; names are joined with places in files through find_origin. */
#pragma once

#include "base/error.h"
#include "observe/admin.h"

struct plan;

struct explain_subject {
    const struct plan *plan; /* NULL: nothing in force */
    /* Writes "file:line" of a key into `into` and returns its length, 0 where it is not known. */
    size_t (*find_origin)(void *owner, struct text key, char *into, size_t size);
    void *owner;
};

struct explain_request {
    struct text method;  /* empty: GET */
    struct text url;     /* "http://host[:port]/path?query", the scheme may be left out */
    struct text headers; /* "Name: value" lines, each ending in CRLF */
};

enum explain_form { EXPLAIN_TEXT, EXPLAIN_JSON };

/* Appends the explanation. False: the request itself makes no sense. */
bool explain_write(const struct explain_subject *subject, const struct explain_request *request,
                   enum explain_form form, struct buffer *out, struct error *error);
/* The admin page: ?request=GET+http://...&header=Name:+value&output=json|text. */
uint16_t explain_page(const struct explain_subject *subject, const struct admin_request *request,
                      struct buffer *out);
