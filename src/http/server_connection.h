/* One connection of struct http_server: reads a request, has it answered, writes the answer, again.
 * For server.c alone, which owns the sockets and the list of connections. */
#pragma once

#include "http/h1.h"
#include "http/server.h"
#include "net/transport.h"

struct server_connection;

enum server_connection_state {
    CONNECTION_HEAD, /* of the next request; idle while nothing of it has come */
    CONNECTION_BODY,
    CONNECTION_WRITE,
    CONNECTION_LINGER, /* the answer to something broken is out; lets the peer read it */
};

struct server_connection {
    struct transport transport;
    struct list link; /* in the server's, the longest idle first */
    struct timer deadline;
    struct timer again; /* goes on after a turn's share of writing */
    struct http_server *server;
    struct http_server_socket socket;
    enum server_connection_state state;
    bool keep_alive;
    bool head_only;   /* the request is HEAD */
    bool timing_head; /* the deadline is that of a head that has begun */
    unsigned served;
    struct h1_head_reader reader;
    struct h1_body decoder;
    struct buffer in;   /* head, then what was not decoded yet */
    size_t head_size;   /* of `in`, once read */
    size_t body_used;   /* bytes behind the head that the decoder has taken */
    struct buffer body; /* decoded */
    char out_head[512];
    size_t out_head_size;
    struct buffer out;
    size_t out_at; /* bytes of out_head and out that were sent */
    size_t lingered;
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct list sockets;
    struct list connections;
    unsigned count;
    bool stopped;             /* answers close their connections */
    struct timer retry;       /* accepting again after a shortage */
    struct request_head head; /* scratch */
    struct fields trailers;   /* scratch */
    char path[8192];          /* scratch, of the request line's limit */
};

/* Takes a connected, non-blocking descriptor; NULL (and closed) where the system refuses. */
struct server_connection *server_connection_open(struct http_server *server, int fd,
                                                 const struct http_server_socket *socket);
/* Frees it and tells the server (server_on_closed). */
void server_connection_close(struct server_connection *connection, bool reset);
bool server_connection_is_idle(const struct server_connection *connection);

/* server.c: a connection has gone, there is room for another. */
void server_on_closed(struct http_server *server);
