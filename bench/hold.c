/* Idle clients of the benchmark: opens many connections, has each serve one request, and holds
 * them. Prints "held N" then; on a line of input prints "open N", how many the server has not
 * closed, and on end of input leaves.
 *
 *     hold PORT COUNT TARGET      (on 127.0.0.1) */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_SIZE = 128 };

/* True once the head of a 200 and its body have come. */
static bool receive_response(int fd)
{
    char response[4096];
    size_t size = 0;
    while (size < sizeof(response)) {
        ssize_t got = recv(fd, response + size, sizeof(response) - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        const char *end = memmem(response, size, "\r\n\r\n", 4);
        if (end && size >= (size_t)(end + 4 - response) + BODY_SIZE) {
            return memcmp(response, "HTTP/1.1 200", 12) == 0;
        }
    }
    return false;
}

static int open_one(const struct sockaddr_in *address, const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    size_t size = strlen(request);
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size || !receive_response(fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

static size_t count_open(const int *fds, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        char byte;
        open += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }
    return open;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: hold PORT COUNT TARGET\n");
        return 2;
    }
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    size_t wanted = strtoul(argv[2], NULL, 10);
    int *fds = calloc(wanted + 1, sizeof(*fds));
    char request[512];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bench.example\r\n\r\n", argv[3]);
    size_t held = 0;
    while (fds && held < wanted) {
        fds[held] = open_one(&address, request);
        if (fds[held] < 0) {
            break;
        }
        held++;
    }
    printf("held %zu\n", held);
    fflush(stdout);
    for (int byte = getchar(); byte != EOF; byte = getchar()) {
        if (byte == '\n') {
            printf("open %zu\n", count_open(fds, held));
            fflush(stdout);
        }
    }
    return held == wanted ? 0 : 1;
}
