/* struct admin: the pages an operator looks at, without the sockets (admin_server.h has those). cli
 * registers pages of the other layers as `const struct page`, so that observe sees neither control
 * nor proxy. Main thread only.
 *
 * Three surfaces see different things:
 *   ADMIN_SOCKET   the unix socket (mode 0600): all pages, the only one that may change anything
 *   ADMIN_TCP      loopback 15000: all pages with method GET
 *   ADMIN_METRICS  15020: pages with is_public only (/metrics, /healthz, /readyz)
 * Built in: / /metrics /healthz /readyz /log /buildinfo /memory. */
#pragma once

#include "base/buffer.h"
#include "base/metric.h"

enum admin_surface { ADMIN_SOCKET, ADMIN_TCP, ADMIN_METRICS };

struct admin_request {
    enum admin_surface surface;
    struct text method;
    struct text path;
    struct text query; /* raw, without '?', may be empty */
    struct text body;
};

/* Static, process lifetime. The same path may have a GET and a POST page. */
struct page {
    const char *path;
    const char *method; /* "GET", or "POST" for what changes something */
    const char *content_type;
    const char *about; /* one line for the index */
    bool is_public;
    /* Writes the body to `out` and returns the HTTP status. */
    uint16_t (*on_render)(void *owner, const struct admin_request *request, struct buffer *out);
};

struct admin_options {
    struct metrics *metrics;
    const char *version;
    const char *const *libraries; /* "OpenSSL 3.0.15", ..., NULL-terminated, may be NULL */
    const char *socket_path;      /* for hints, may be NULL */
    /* Whether traffic is welcome; what is missing is appended to `reason`. NULL: always. */
    bool (*on_ready)(void *owner, struct buffer *reason);
    void *owner;
};

struct admin;

struct admin *admin_new(const struct admin_options *options);
void admin_free(struct admin *admin);
/* A page registered later replaces an earlier one of the same path and method. */
void admin_add_page(struct admin *admin, const struct page *page, void *owner);

struct admin_answer {
    uint16_t status;
    const char *content_type;
    const char *allow; /* with 405, else NULL */
};

/* Appends the body to `out`. HEAD is answered as GET (the server leaves the body out). */
struct admin_answer admin_handle(struct admin *admin, const struct admin_request *request,
                                 struct buffer *out);
/* The decoded value of a query parameter, copied to `into`; false where it is absent, badly escaped
 * or longer than size. */
bool admin_query_find(struct text query, struct text name, char *into, size_t size,
                      struct text *out_value);
