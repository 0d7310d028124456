/* struct admin_server: the sockets of the admin pages, all on the main loop:
 *   the unix socket (0600), which may change things;
 *   the admin port, read-only; on a loopback address only for requests whose Host is loopback;
 *   the metrics port with the public pages, the same. */
#pragma once

#include "net/address.h"
#include "net/loop.h"
#include "observe/admin.h"

struct admin_server;

struct admin_sockets {
    const char *unix_path;         /* NULL: none */
    const struct address *admin;   /* NULL or port 0: none */
    const struct address *metrics; /* likewise */
};

/* NULL with error where one cannot be bound. The admin stays the caller's and outlives it. */
struct admin_server *admin_server_open(struct loop *loop, struct admin *admin,
                                       const struct admin_sockets *sockets, struct error *error);
/* Takes over a bound, listening, non-blocking descriptor as the given surface. is_loopback: of a
 * TCP one, only requests for loopback hosts are answered. */
bool admin_server_take(struct admin_server *server, int fd, enum admin_surface surface,
                       bool is_loopback, struct error *error);
/* Stops listening; open connections end with their next answer. */
void admin_server_stop(struct admin_server *server);
/* Closes all and removes the unix socket's path. */
void admin_server_close(struct admin_server *server);
