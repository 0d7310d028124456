/* TCP transports (any stream socket will do, a test uses socketpairs). A connection is registered
 * with its loop once and never again. */
#include "net/transport.h"

#include "base/ensure.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static enum io fail(struct transport *t, int reason)
{
    t->failure = (int16_t)reason;
    return IO_FAILED;
}

static enum io tcp_read(struct transport *t, void *into, size_t size, size_t *out_size)
{
    ensure(size > 0);
    ssize_t got;
    do {
        got = recv(t->watch.fd, into, size, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        /* A short read has emptied the socket, and what comes later is a new edge. Not so the end
         * of the stream, once it has been told: it is still to be read. */
        if ((size_t)got < size && !t->hung_up) {
            t->readable = false;
        }
        *out_size = (size_t)got;
        return IO_OK;
    }
    int reason = errno;
    t->readable = false;
    *out_size = 0;
    if (got == 0) {
        return IO_END;
    }
    return reason == EAGAIN ? IO_AGAIN : fail(t, reason);
}

static ssize_t send_parts(int fd, const struct iovec *parts, int count)
{
    if (count == 1) {
        return send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
    }
    struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count };
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static enum io tcp_write(struct transport *t, const struct iovec *parts, int count,
                         size_t *out_size)
{
    ensure(count > 0 && count <= IOV_MAX);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    ensure(total > 0);
    ssize_t sent;
    do {
        sent = send_parts(t->watch.fd, parts, count);
    } while (sent < 0 && errno == EINTR);
    if (sent > 0) {
        if ((size_t)sent < total) {
            t->writable = false;
        }
        *out_size = (size_t)sent;
        return IO_OK;
    }
    int reason = errno;
    t->writable = false;
    *out_size = 0;
    return sent == 0 || reason == EAGAIN ? IO_AGAIN : fail(t, reason);
}

static void tcp_shutdown(struct transport *t)
{
    shutdown(t->watch.fd, SHUT_WR);
}

static void tcp_close(struct transport *t, bool reset)
{
    int fd = t->watch.fd;
    if (fd < 0) {
        return;
    }
    if (reset) {
        struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    loop_forget(t->loop, &t->watch);
    close(fd);
    t->readable = t->writable = t->connecting = false;
}

static int tcp_descriptor(struct transport *t)
{
    return t->watch.fd;
}

static const struct transport_type tcp_type = {
    .name = "tcp",
    .read = tcp_read,
    .write = tcp_write,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
    .descriptor = tcp_descriptor,
};

static void end_connecting(struct transport *t)
{
    int reason = 0;
    socklen_t size = sizeof(reason);
    if (getsockopt(t->watch.fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) {
        reason = errno;
    }
    t->connecting = false;
    t->failure = (int16_t)reason;
}

static void on_tcp_ready(struct watch *watch, unsigned ready)
{
    struct transport *t = list_owner(watch, struct transport, watch);
    bool news = (ready & READY_READ && !t->readable) || (ready & READY_WRITE && !t->writable) ||
                (ready & READY_CLOSED && !t->hung_up);
    if (ready & READY_READ) {
        t->readable = true;
    }
    if (ready & READY_WRITE) {
        t->writable = true;
    }
    if (ready & READY_CLOSED) {
        t->hung_up = true;
    }
    if (t->connecting) {
        end_connecting(t);
    }
    if (news) {
        t->on_ready(t);
    }
}

static void prepare(struct transport *t, struct loop *loop)
{
    t->type = &tcp_type;
    t->loop = loop;
    t->watch = (struct watch){ .fd = -1, .on_ready = on_tcp_ready };
    t->readable = t->hung_up = t->connecting = false;
    t->writable = true;
    t->failure = 0;
}

bool tcp_open(struct transport *transport, struct loop *loop, int fd, struct error *error)
{
    prepare(transport, loop);
    if (!loop_watch(loop, &transport->watch, fd, error)) {
        close(fd);
        return false;
    }
    return true;
}

static bool connect_failed(struct transport *t, int fd, int reason, const struct address *to,
                           struct error *error)
{
    char name[ADDRESS_TEXT_MAX];
    address_format(to, name);
    if (fd >= 0) {
        close(fd);
    }
    t->writable = t->connecting = false;
    t->failure = (int16_t)reason;
    return error_errno(error, reason, "cannot connect to %s", name);
}

bool tcp_connect(struct transport *transport, struct loop *loop, const struct address *to,
                 struct error *error)
{
    struct sockaddr_storage where;
    socklen_t size = address_to_sockaddr(to, &where);
    prepare(transport, loop);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    int on = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        return connect_failed(transport, fd, errno, to, error);
    }
    if (connect(fd, (const struct sockaddr *)&where, size) != 0) {
        if (errno != EINPROGRESS) {
            return connect_failed(transport, fd, errno, to, error);
        }
        transport->connecting = true;
        transport->writable = false;
    }
    if (!loop_watch(loop, &transport->watch, fd, error)) {
        connect_failed(transport, fd, errno, to, &(struct error){ 0 });
        return false;
    }
    return true;
}
