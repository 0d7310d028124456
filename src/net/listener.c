/* Listening sockets. They are watched level-triggered: what is left after 64 connections, or after
 * a shortage of descriptors, is told again by itself. */
#include "net/listener.h"

#include "base/ensure.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG       4096
#define ACCEPT_A_TURN 64
#define ACCEPT_AT_END (2 * BACKLOG)
#define RETRY_MS      100

static bool set_option(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

/* A bound socket, or -1 and errno. */
static int bind_socket(const struct address *address, bool reuse_port)
{
    struct sockaddr_storage where;
    socklen_t size = address_to_sockaddr(address, &where);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return -1;
    }
    bool done = set_option(fd, SOL_SOCKET, SO_REUSEADDR) &&
                (!reuse_port || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
                (where.ss_family == AF_INET || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
                bind(fd, (const struct sockaddr *)&where, size) == 0;
    if (!done) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static int listen_failed(const struct address *address, int reason, int *out_errno,
                         struct error *error)
{
    char name[ADDRESS_TEXT_MAX];
    address_format(address, name);
    *out_errno = reason;
    error_errno(error, reason, "cannot listen on %s", name);
    size_t used = strlen(error->text);
    const char *remedy = "";
    if (reason == EACCES) {
        remedy = "; map the port (--port-map 80:8080), give the capability CAP_NET_BIND_SERVICE or "
                 "lower the sysctl net.ipv4.ip_unprivileged_port_start";
    } else if (reason == EADDRINUSE) {
        remedy = "; another process holds the port: stop it or choose another port";
    } else if (reason == EADDRNOTAVAIL) {
        remedy = "; " LISTEN_NO_SUCH_ADDRESS;
    }
    snprintf(error->text + used, sizeof(error->text) - used, "%s", remedy);
    return -1;
}

int listen_tcp(const struct address *address, bool reuse_port, bool probe, int *out_errno,
               struct error *error)
{
    if (probe && reuse_port && address->port != 0) {
        int probing = bind_socket(address, false);
        if (probing < 0) {
            return listen_failed(address, errno, out_errno, error);
        }
        close(probing);
    }
    int fd = bind_socket(address, reuse_port);
    if (fd < 0) {
        return listen_failed(address, errno, out_errno, error);
    }
    /* Accepted sockets inherit TCP_NODELAY, which saves a system call for each. */
    if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY) || listen(fd, BACKLOG) != 0) {
        int reason = errno;
        close(fd);
        return listen_failed(address, reason, out_errno, error);
    }
    *out_errno = 0;
    return fd;
}

/* Accepts one connection; false: there is none, or no means to take it. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof(from);
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        struct address peer;
        if (!address_from_sockaddr(&from, &peer)) {
            close(fd);
            return true;
        }
        listener->on_accept(listener, fd, &peer);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        loop_unwatch(listener->loop, &listener->watch);
        timer_start(listener->loop, &listener->retry, RETRY_MS);
        return false;
    }
    /* Anything else concerns a connection that died in the queue (accept(2)). */
    return errno != EAGAIN && errno != EINVAL && errno != EBADF;
}

static bool is_accepting(const struct listener *listener)
{
    return listener->fd >= 0 && !listener->paused && !timer_is_running(&listener->retry);
}

static void on_connections(struct watch *watch, unsigned ready)
{
    struct listener *listener = list_owner(watch, struct listener, watch);
    for (int i = 0; i < ACCEPT_A_TURN && is_accepting(listener); i++) {
        if (!accept_one(listener)) {
            break;
        }
    }
}

/* Watches when it should and does not, or the other way round. */
static void settle(struct listener *listener)
{
    struct error error;
    if (!is_accepting(listener)) {
        loop_unwatch(listener->loop, &listener->watch);
    } else if (listener->watch.fd < 0 &&
               !loop_watch_level(listener->loop, &listener->watch, listener->fd, &error)) {
        timer_start(listener->loop, &listener->retry, RETRY_MS);
    }
}

static void on_retry(struct timer *timer)
{
    settle(list_owner(timer, struct listener, retry));
}

bool listener_start(struct listener *listener, struct loop *loop, int fd, struct error *error)
{
    ensure(listener->on_accept != NULL);
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        return error_errno(error, errno, "descriptor %d is no socket to listen on", fd);
    }
    if (!address_from_sockaddr(&bound, &listener->address)) {
        return error_set(error, "descriptor %d is no IP socket", fd);
    }
    listener->loop = loop;
    listener->paused = listener->stopping = false;
    timer_init(&listener->retry, on_retry);
    listener->watch = (struct watch){ .fd = -1, .on_ready = on_connections };
    listener->fd = -1;
    if (!loop_watch_level(loop, &listener->watch, fd, error)) {
        return false;
    }
    listener->fd = fd;
    return true;
}

void listener_pause(struct listener *listener, bool paused)
{
    listener->paused = paused;
    settle(listener);
}

void listener_stop(struct listener *listener)
{
    if (listener->fd < 0 || listener->stopping) {
        return;
    }
    listener->stopping = true;
    for (int i = 0; i < ACCEPT_AT_END && is_accepting(listener); i++) {
        if (!accept_one(listener)) {
            break;
        }
    }
    timer_stop(&listener->retry);
    loop_unwatch(listener->loop, &listener->watch);
    listener->fd = -1;
}
