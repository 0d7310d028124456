/* A small HTTP/1.1 server on a loop, for admin, metrics and health ports: few connections, whole
 * requests, whole answers. Not the proxy's. It listens on TCP and on unix sockets, reads with the
 * strict readers of h1.h, answers pipelined requests in order and never blocks its loop: a large
 * answer goes out as the peer takes it. Owned by one loop's thread. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "http/head.h"
#include "net/address.h"
#include "net/loop.h"

struct http_server;

/* Everything is valid until on_request returns. */
struct http_request {
    int tag; /* of the listening socket it came by */
    enum http_method method_id;
    struct text method;
    struct text path;  /* normalized: no dot segments, "//", encoded slashes or ';' come through */
    struct text query; /* raw, without '?'; empty where there is none */
    struct text body;
    struct text host; /* without port; empty with HTTP/1.0 */
    const struct request_head *head;
};

/* Filled in by on_request. The body is the server's from then on. */
struct http_reply {
    uint16_t status;          /* 200 at first */
    const char *content_type; /* static; text/plain at first */
    const char *allow;        /* static, the Allow field of a 405; NULL: none */
    struct buffer body;       /* empty at first; left out in the reply to HEAD */
};

struct http_server_options {
    /* Called with CONNECT and TRACE refused (405) and, where asked, hosts and origins checked. */
    void (*on_request)(void *owner, const struct http_request *request, struct http_reply *reply);
    void *owner;
    unsigned connections;      /* at most; 0: 32. The longest idle one makes room for a new one */
    unsigned head_timeout_ms;  /* from a request's first byte to its head's end; 0: 5 s */
    unsigned body_timeout_ms;  /* from there to the body's end; 0: 10 s */
    unsigned idle_timeout_ms;  /* between requests; 0: 30 s */
    unsigned write_timeout_ms; /* without a byte taken; 0: 30 s */
    size_t body_max;           /* 0: 64 KiB; above it 413 */
};

struct http_server_socket {
    int tag; /* the owner's: which surface this is */
    /* Only requests whose Host is localhost, 127.0.0.0/8 or [::1] (any port), and whose Origin,
     * where there is one, is such a host too; others get 403. Guards a loopback port against
     * browsers that were led here (DNS rebinding, cross-site requests). */
    bool loopback_only;
};

/* The options are copied. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options);
/* Closes the listening sockets (removing the paths of http_server_listen_unix); an open connection
 * ends with its next answer. For a process whose successor serves the same sockets. */
void http_server_stop(struct http_server *server);
/* http_server_stop, and closes all connections. */
void http_server_free(struct http_server *server);

bool http_server_listen(struct http_server *server, const struct address *address,
                        const struct http_server_socket *socket, struct error *error);
/* A stream socket at `path` with mode 0600. A socket nobody answers on is replaced; one in use, or
 * a file that is no socket, is an error. */
bool http_server_listen_unix(struct http_server *server, const char *path,
                             const struct http_server_socket *socket, struct error *error);
/* The socket alone, for http_server_take: the caller removes the path. -1 with error. */
int http_server_open_unix(const char *path, struct error *error);
/* Takes a bound, listening, non-blocking descriptor over and closes it in the end. */
bool http_server_take(struct http_server *server, int fd, const struct http_server_socket *socket,
                      struct error *error);
/* The port of the first TCP socket, for listening on port 0; 0 where there is none. */
uint16_t http_server_port(const struct http_server *server);
unsigned http_server_connections(const struct http_server *server);
