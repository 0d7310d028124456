/* Between http/server.h and the pages. */
#include "observe/admin_server.h"

#include "base/ensure.h"
#include "http/server.h"

#include <stdlib.h>

struct admin_server {
    struct admin *admin;
    struct http_server *http;
};

static void on_request(void *owner, const struct http_request *request, struct http_reply *reply)
{
    struct admin_server *server = owner;
    struct admin_request question = { .surface = (enum admin_surface)request->tag,
                                      .method = request->method,
                                      .path = request->path,
                                      .query = request->query,
                                      .body = request->body };
    struct admin_answer answer = admin_handle(server->admin, &question, &reply->body);
    reply->status = answer.status;
    reply->content_type = answer.content_type;
    reply->allow = answer.allow;
}

static bool listen_tcp_surface(struct admin_server *server, const struct address *address,
                               enum admin_surface surface, const char *option,
                               struct error *error)
{
    if (!address || address->port == 0) {
        return true;
    }
    struct http_server_socket socket = { .tag = surface,
                                         .loopback_only = address_is_loopback(address) };
    return http_server_listen(server->http, address, &socket, error) ||
           error_prefix(error, "%s", option);
}

static bool listen_all(struct admin_server *server, const struct admin_sockets *sockets,
                       struct error *error)
{
    struct http_server_socket socket = { .tag = ADMIN_SOCKET };
    if (sockets->unix_path &&
        !http_server_listen_unix(server->http, sockets->unix_path, &socket, error)) {
        return error_prefix(error, "admin socket");
    }
    return listen_tcp_surface(server, sockets->admin, ADMIN_TCP, "admin port", error) &&
           listen_tcp_surface(server, sockets->metrics, ADMIN_METRICS, "metrics port", error);
}

struct admin_server *admin_server_open(struct loop *loop, struct admin *admin,
                                       const struct admin_sockets *sockets, struct error *error)
{
    struct admin_server *server = calloc(1, sizeof(*server));
    ensure(server != NULL);
    server->admin = admin;
    struct http_server_options options = { .on_request = on_request, .owner = server };
    server->http = http_server_new(loop, &options);
    if (!listen_all(server, sockets, error)) {
        admin_server_close(server);
        return NULL;
    }
    return server;
}

bool admin_server_take(struct admin_server *server, int fd, enum admin_surface surface,
                       bool is_loopback, struct error *error)
{
    struct http_server_socket socket = { .tag = surface, .loopback_only = is_loopback };
    return http_server_take(server->http, fd, &socket, error);
}

void admin_server_stop(struct admin_server *server)
{
    http_server_stop(server->http);
}

void admin_server_close(struct admin_server *server)
{
    if (server) {
        http_server_free(server->http);
        free(server);
    }
}
