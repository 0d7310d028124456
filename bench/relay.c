/* The floor of the benchmark: a byte relay on bare epoll, edge-triggered, one thread, no parsing.
 * Each client connection gets one upstream connection at accept time; both live as long as the
 * client keeps its own. What a proxy adds to this is the price of understanding HTTP.
 *
 *     relay LISTEN_PORT UPSTREAM_PORT      (both on 127.0.0.1) */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 65536, EVENTS_MAX = 256 };

struct side {
    struct pair *pair;
    int fd;
    bool readable; /* an edge said so and no read found the end yet */
    char *unsent;  /* what this side could not take, BUFFER_SIZE; NULL: nothing */
    size_t unsent_size;
};

struct pair {
    struct side client;
    struct side upstream;
    struct pair *next_dead;
    bool dead;
};

static char buffer[BUFFER_SIZE];
static struct pair *dead_pairs; /* freed after the batch of events that may still name them */
static int epoll_fd;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void bury(struct pair *pair)
{
    if (pair->dead) {
        return;
    }
    pair->dead = true;
    close(pair->client.fd);
    close(pair->upstream.fd);
    pair->next_dead = dead_pairs;
    dead_pairs = pair;
}

static void free_dead(void)
{
    while (dead_pairs) {
        struct pair *pair = dead_pairs;
        dead_pairs = pair->next_dead;
        free(pair->client.unsent);
        free(pair->upstream.unsent);
        free(pair);
    }
}

static struct side *other(struct side *side)
{
    struct pair *pair = side->pair;
    return side == &pair->client ? &pair->upstream : &pair->client;
}

/* Keeps what the socket did not take. */
static void keep(struct side *to, const char *data, size_t size)
{
    to->unsent = malloc(BUFFER_SIZE);
    if (!to->unsent) {
        fail("malloc");
    }
    memcpy(to->unsent, data, size);
    to->unsent_size = size;
}

static bool flush(struct side *to)
{
    ssize_t sent = send(to->fd, to->unsent, to->unsent_size, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN;
    }
    to->unsent_size -= (size_t)sent;
    memmove(to->unsent, to->unsent + sent, to->unsent_size);
    if (to->unsent_size == 0) {
        free(to->unsent);
        to->unsent = NULL;
    }
    return true;
}

/* Moves bytes until the source is empty or the target full. A short read means empty. */
static void move(struct side *from)
{
    struct side *to = other(from);
    while (from->readable && !to->unsent) {
        ssize_t got = recv(from->fd, buffer, BUFFER_SIZE, 0);
        if (got <= 0) {
            if (got < 0 && errno == EAGAIN) {
                from->readable = false;
                return;
            }
            bury(from->pair);
            return;
        }
        from->readable = got == BUFFER_SIZE;
        ssize_t sent = send(to->fd, buffer, (size_t)got, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            bury(from->pair);
            return;
        }
        if (sent < got) {
            sent = sent < 0 ? 0 : sent;
            keep(to, buffer + sent, (size_t)(got - sent));
        }
    }
}

static void on_event(struct side *side, uint32_t events)
{
    if (side->pair->dead) {
        return;
    }
    if (side->unsent && (events & EPOLLOUT)) {
        if (!flush(side)) {
            bury(side->pair);
            return;
        }
        if (!side->unsent) {
            move(other(side));
        }
    }
    if (!side->pair->dead && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
        side->readable = true;
        move(side);
    }
}

static void watch(struct side *side, struct pair *pair, int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    side->pair = pair;
    side->fd = fd;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = side };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void accept_all(int listener, const struct sockaddr_in *upstream_address)
{
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            return;
        }
        int upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (upstream < 0) {
            close(client);
            return;
        }
        int result = connect(upstream, (const struct sockaddr *)upstream_address,
                             sizeof(*upstream_address));
        if (result != 0 && errno != EINPROGRESS) {
            close(client);
            close(upstream);
            continue;
        }
        struct pair *pair = calloc(1, sizeof(*pair));
        if (!pair) {
            fail("calloc");
        }
        watch(&pair->upstream, pair, upstream);
        watch(&pair->client, pair, client);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    struct sockaddr_in address = loopback(argv[1]);
    struct sockaddr_in upstream_address = loopback(argv[2]);
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 4096) != 0) {
        fail("relay: bind");
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                on_event(events[i].data.ptr, events[i].events);
            } else {
                accept_all(listener, &upstream_address);
            }
        }
        free_dead();
    }
}
