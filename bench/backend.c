/* The backend of the benchmark: HTTP/1.1 on bare epoll, made to cost little. Any request is
 * answered with 200 and 128 bytes; a target that ends in "16k" with 16 KiB. Keep-alive and
 * pipelining; no request bodies.
 *
 *     backend PORT      (on 127.0.0.1) */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, EVENTS_MAX = 256 };

struct response {
    char *data;
    size_t size;
};

struct connection {
    int fd;
    size_t size; /* of the request bytes in head */
    const char *unsent;
    size_t unsent_size;
    char head[HEAD_MAX];
};

static struct response small_response, large_response;
static int epoll_fd;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct response response_new(size_t body_size)
{
    struct response response = { .data = malloc(body_size + 256) };
    if (!response.data) {
        fail("malloc");
    }
    int head = snprintf(response.data, 256,
                        "HTTP/1.1 200 OK\r\nServer: backend\r\n"
                        "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                        "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                        body_size);
    memset(response.data + head, 'x', body_size);
    response.size = (size_t)head + body_size;
    return response;
}

static const struct response *choose(const char *line, size_t size)
{
    const char *end = memmem(line, size, " HTTP/1", 7);
    bool large = end && end - line > 3 && memcmp(end - 3, "16k", 3) == 0;
    return large ? &large_response : &small_response;
}

static void connection_close(struct connection *connection)
{
    close(connection->fd);
    free(connection);
}

/* False: the connection failed. */
static bool flush(struct connection *connection)
{
    ssize_t sent = send(connection->fd, connection->unsent, connection->unsent_size, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN;
    }
    connection->unsent += sent;
    connection->unsent_size -= (size_t)sent;
    return true;
}

/* Answers the whole requests held, as long as the client takes the answers. */
static bool answer(struct connection *connection)
{
    size_t done = 0;
    while (connection->unsent_size == 0) {
        const char *start = connection->head + done;
        const char *end = memmem(start, connection->size - done, "\r\n\r\n", 4);
        if (!end) {
            break;
        }
        const struct response *response = choose(start, (size_t)(end - start));
        done += (size_t)(end + 4 - start);
        connection->unsent = response->data;
        connection->unsent_size = response->size;
        if (!flush(connection)) {
            return false;
        }
    }
    connection->size -= done;
    if (connection->size > 0 && done > 0) {
        memmove(connection->head, connection->head + done, connection->size);
    }
    return connection->size < HEAD_MAX;
}

static void on_event(struct connection *connection)
{
    if (connection->unsent_size > 0 && !flush(connection)) {
        connection_close(connection);
        return;
    }
    for (;;) {
        if (!answer(connection)) {
            connection_close(connection);
            return;
        }
        if (connection->unsent_size > 0) {
            return; /* EPOLLOUT comes back here */
        }
        size_t room = HEAD_MAX - connection->size;
        ssize_t got = recv(connection->fd, connection->head + connection->size, room, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            connection_close(connection);
            return;
        }
        if (got < 0) {
            return;
        }
        connection->size += (size_t)got;
        if ((size_t)got < room) { /* a short read emptied the socket */
            if (!answer(connection)) {
                connection_close(connection);
            }
            return;
        }
    }
}

static void accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct connection *connection = calloc(1, sizeof(*connection));
        if (!connection) {
            fail("calloc");
        }
        connection->fd = fd;
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                     .data.ptr = connection };
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            fail("epoll_ctl");
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: backend PORT\n");
        return 2;
    }
    small_response = response_new(128);
    large_response = response_new(16384);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 4096) != 0) {
        fail("backend: bind");
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                on_event(events[i].data.ptr);
            } else {
                accept_all(listener);
            }
        }
    }
}
