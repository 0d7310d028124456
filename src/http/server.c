/* Listening sockets of the small server: accepting, making room, unix paths. */
#include "http/server.h"

#include "http/server_connection.h"

#include "base/ensure.h"
#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_A_TURN 16
#define RETRY_MS      100

struct listening {
    struct list link;
    struct watch watch;
    struct http_server *server;
    struct http_server_socket socket;
    int fd;
    char *path; /* of a unix socket that this process made, else NULL */
};

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value != 0 ? value : fallback;
}

static void watch_all(struct http_server *server)
{
    for (struct list *at = server->sockets.next; at != &server->sockets; at = at->next) {
        struct listening *listening = list_owner(at, struct listening, link);
        struct error error;
        if (listening->watch.fd < 0 &&
            !loop_watch_level(server->loop, &listening->watch, listening->fd, &error)) {
            timer_start(server->loop, &server->retry, RETRY_MS);
        }
    }
}

/* Nobody is accepted until a connection closes, or for RETRY_MS. */
static void unwatch_all(struct http_server *server)
{
    for (struct list *at = server->sockets.next; at != &server->sockets; at = at->next) {
        loop_unwatch(server->loop, &list_owner(at, struct listening, link)->watch);
    }
}

static void on_retry(struct timer *timer)
{
    watch_all(list_owner(timer, struct http_server, retry));
}

void server_on_closed(struct http_server *server)
{
    if (!timer_is_running(&server->retry)) {
        watch_all(server);
    }
}

static struct server_connection *find_idle(struct http_server *server)
{
    for (struct list *at = server->connections.next; at != &server->connections; at = at->next) {
        struct server_connection *c = list_owner(at, struct server_connection, link);
        if (server_connection_is_idle(c)) {
            return c;
        }
    }
    return NULL;
}

static void on_connections(struct watch *watch, unsigned ready)
{
    struct listening *listening = list_owner(watch, struct listening, watch);
    struct http_server *server = listening->server;
    (void)ready;
    for (int i = 0; i < ACCEPT_A_TURN; i++) {
        bool full = server->count >= server->options.connections;
        struct server_connection *idle = full ? find_idle(server) : NULL;
        if (full && idle == NULL) {
            unwatch_all(server);
            return;
        }
        int fd = accept4(listening->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (idle != NULL) {
                server_connection_close(idle, false);
            }
            server_connection_open(server, fd, &listening->socket);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            unwatch_all(server);
            timer_start(server->loop, &server->retry, RETRY_MS);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options)
{
    struct http_server *server = calloc(1, sizeof(*server));
    ensure(server != NULL && options->on_request != NULL);
    server->loop = loop;
    server->options = *options;
    server->options.connections = or_default(options->connections, 32);
    server->options.head_timeout_ms = or_default(options->head_timeout_ms, 5000);
    server->options.body_timeout_ms = or_default(options->body_timeout_ms, 10000);
    server->options.idle_timeout_ms = or_default(options->idle_timeout_ms, 30000);
    server->options.write_timeout_ms = or_default(options->write_timeout_ms, 30000);
    server->options.body_max = options->body_max != 0 ? options->body_max : 64u << 10;
    list_init(&server->sockets);
    list_init(&server->connections);
    timer_init(&server->retry, on_retry);
    return server;
}

static void listening_free(struct listening *listening)
{
    loop_unwatch(listening->server->loop, &listening->watch);
    list_remove(&listening->link);
    close(listening->fd);
    if (listening->path != NULL) {
        unlink(listening->path);
        free(listening->path);
    }
    free(listening);
}

void http_server_stop(struct http_server *server)
{
    server->stopped = true;
    while (!list_is_empty(&server->sockets)) {
        listening_free(list_owner(server->sockets.next, struct listening, link));
    }
}

void http_server_free(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    http_server_stop(server);
    while (!list_is_empty(&server->connections)) {
        server_connection_close(
            list_owner(server->connections.next, struct server_connection, link), false);
    }
    timer_stop(&server->retry);
    free(server);
}

/* Owns fd and path from the call on. */
static bool add_socket(struct http_server *server, int fd, char *path,
                       const struct http_server_socket *socket, struct error *error)
{
    struct listening *listening = calloc(1, sizeof(*listening));
    ensure(listening != NULL);
    listening->server = server;
    listening->socket = *socket;
    listening->fd = fd;
    listening->path = path;
    listening->watch = (struct watch) { .fd = -1, .on_ready = on_connections };
    list_init(&listening->link);
    if (!loop_watch_level(server->loop, &listening->watch, fd, error)) {
        listening_free(listening);
        return false;
    }
    list_add_last(&server->sockets, &listening->link);
    return true;
}

bool http_server_take(struct http_server *server, int fd, const struct http_server_socket *socket,
                      struct error *error)
{
    return add_socket(server, fd, NULL, socket, error);
}

bool http_server_listen(struct http_server *server, const struct address *address,
                        const struct http_server_socket *socket, struct error *error)
{
    int reason;
    int fd = listen_tcp(address, false, false, &reason, error);
    return fd >= 0 && add_socket(server, fd, NULL, socket, error);
}

/* Whether somebody answers at a unix path. */
static bool is_in_use(const struct sockaddr_un *where)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true;
    }
    bool used = connect(fd, (const struct sockaddr *)where, sizeof(*where)) == 0 ||
                (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    return used;
}

/* Removes what a killed process left, and nothing else. */
static bool clear_path(const char *path, const struct sockaddr_un *where, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return errno == ENOENT || error_errno(error, errno, "cannot look at %s", path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return error_set(error, "%s is in the way and is no socket; choose another path", path);
    }
    if (is_in_use(where)) {
        return error_set(error, "%s is in use: another process listens there", path);
    }
    return unlink(path) == 0 || errno == ENOENT ||
           error_errno(error, errno, "cannot remove the stale socket %s", path);
}

static int open_unix(const char *path, const struct sockaddr_un *where, struct error *error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_errno(error, errno, "cannot make a unix socket");
        return -1;
    }
    /* On Linux the mode of the descriptor, less the umask, is that of the path: never open to
     * others, not even between bind and chmod. */
    bool done = fchmod(fd, 0600) == 0 &&
                bind(fd, (const struct sockaddr *)where, sizeof(*where)) == 0 &&
                chmod(path, 0600) == 0 && listen(fd, 64) == 0;
    if (!done) {
        error_errno(error, errno, "cannot listen on %s", path);
        close(fd);
        return -1;
    }
    return fd;
}

int http_server_open_unix(const char *path, struct error *error)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(where.sun_path)) {
        error_set(error, "the socket path %s is empty or longer than %zu bytes", path,
                  sizeof(where.sun_path) - 1);
        return -1;
    }
    memcpy(where.sun_path, path, size);
    return clear_path(path, &where, error) ? open_unix(path, &where, error) : -1;
}

bool http_server_listen_unix(struct http_server *server, const char *path,
                             const struct http_server_socket *socket, struct error *error)
{
    int fd = http_server_open_unix(path, error);
    if (fd < 0) {
        return false;
    }
    char *copy = strdup(path);
    ensure(copy != NULL);
    return add_socket(server, fd, copy, socket, error);
}

uint16_t http_server_port(const struct http_server *server)
{
    for (struct list *at = server->sockets.next; at != &server->sockets; at = at->next) {
        struct sockaddr_storage bound;
        struct address address;
        socklen_t size = sizeof(bound);
        if (getsockname(list_owner(at, struct listening, link)->fd, (struct sockaddr *)&bound,
                        &size) == 0 &&
            address_from_sockaddr(&bound, &address)) {
            return address.port;
        }
    }
    return 0;
}

unsigned http_server_connections(const struct http_server *server)
{
    return server->count;
}
