/* What an exchange costs once a worker is warm: calls that reach the C library's allocator (none),
 * memory mapped or unmapped (none), and system calls (one to receive and one to send on each side,
 * no epoll_ctl). The calls are counted by defining them here, in front of the C library's, and only
 * while the worker's loop is turned. Access log and metrics are on.
 *
 *   exchange_cost              all kinds of exchange, as a test
 *   exchange_cost KIND COUNT   COUNT exchanges of one kind, for test/cost/instructions */
#include "sim/proxy_bed.h"

#include "base/ensure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WARM_UP 100
#define COUNT   10000

enum call {
    CALL_HEAP,
    CALL_MAP,
    CALL_RECV,
    CALL_SEND,
    CALL_EPOLL_WAIT,
    CALL_EPOLL_CTL,
    CALL_OTHER,
    CALLS,
};
static const char *const call_names[CALLS] = {
    "heap", "map", "recv", "send", "epoll_wait", "epoll_ctl", "other",
};
/* Volatile: the compiler knows strdup and takes it for not touching them. */
static volatile uint64_t calls[CALLS];
static volatile bool counting;

static void count(enum call call)
{
    if (counting) {
        calls[call]++;
    }
}

/* ---- the C library's functions, counted --------------------------------------------------------
 */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *at);

void *malloc(size_t size)
{
    count(CALL_HEAP);
    return __libc_malloc(size);
}

void *calloc(size_t items, size_t size)
{
    count(CALL_HEAP);
    return __libc_calloc(items, size);
}

void *realloc(void *at, size_t size)
{
    count(CALL_HEAP);
    return __libc_realloc(at, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count(CALL_HEAP);
    return __libc_memalign(alignment, size);
}

void free(void *at)
{
    count(CALL_HEAP);
    __libc_free(at);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    count(CALL_MAP);
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

int munmap(void *at, size_t size)
{
    count(CALL_MAP);
    return (int)syscall(SYS_munmap, at, size);
}

int madvise(void *at, size_t size, int advice)
{
    count(CALL_MAP);
    return (int)syscall(SYS_madvise, at, size, advice);
}

ssize_t recv(int fd, void *into, size_t size, int flags)
{
    count(CALL_RECV);
    return syscall(SYS_recvfrom, fd, into, size, flags, NULL, NULL);
}

ssize_t send(int fd, const void *from, size_t size, int flags)
{
    count(CALL_SEND);
    return syscall(SYS_sendto, fd, from, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    count(CALL_SEND);
    return syscall(SYS_sendmsg, fd, message, flags);
}

int epoll_wait(int fd, struct epoll_event *events, int room, int wait_ms)
{
    count(CALL_EPOLL_WAIT);
    return (int)syscall(SYS_epoll_pwait, fd, events, room, wait_ms, NULL, 8);
}

int epoll_ctl(int fd, int operation, int watched, struct epoll_event *event)
{
    count(CALL_EPOLL_CTL);
    return (int)syscall(SYS_epoll_ctl, fd, operation, watched, event);
}

ssize_t read(int fd, void *into, size_t size)
{
    count(CALL_OTHER);
    return syscall(SYS_read, fd, into, size);
}

ssize_t write(int fd, const void *from, size_t size)
{
    count(CALL_OTHER);
    return syscall(SYS_write, fd, from, size);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    count(CALL_OTHER);
    return (int)syscall(SYS_setsockopt, fd, level, option, value, size);
}

int socket(int family, int type, int protocol)
{
    count(CALL_OTHER);
    return (int)syscall(SYS_socket, family, type, protocol);
}

int close(int fd)
{
    count(CALL_OTHER);
    return (int)syscall(SYS_close, fd);
}

/* ---- exchanges ---------------------------------------------------------------------------------
 */

#define BROWSER                                                                                    \
    "Host: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\r\n"          \
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"                  \
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
#define REPLY_FIELDS                                                                               \
    "Server: backend\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"

struct kind {
    const char *name;
    const char *request;
    size_t request_body; /* bytes of 'x' behind the request */
    const char *reply;
    const char *request_ends; /* how what the backend hears ends */
    const char *reply_ends;
};

static const struct kind kinds[] = {
    { "get", "GET /shop/items?page=2 HTTP/1.1\r\n" BROWSER "\r\n", 0,
      "HTTP/1.1 200 OK\r\n" REPLY_FIELDS "Content-Length: 13\r\n\r\nHello, World!", "\r\n\r\n",
      "World!" },
    { "post", "POST /shop/items HTTP/1.1\r\n" BROWSER "Content-Length: 1024\r\n\r\n", 1024,
      "HTTP/1.1 201 Created\r\n" REPLY_FIELDS "Content-Length: 2\r\n\r\nok", "xxxx", "ok" },
    { "chunked",
      "POST /shop/items HTTP/1.1\r\n" BROWSER "Transfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
      0,
      "HTTP/1.1 200 OK\r\n" REPLY_FIELDS "Transfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
      "world\r\n0\r\n\r\n", "world\r\n0\r\n\r\n" },
};

static struct bed bed;
static struct peer client, backend;

/* The one function whose instructions test/cost/instructions counts. */
__attribute__((noinline)) void cost_turn(struct loop *loop);
void cost_turn(struct loop *loop)
{
    counting = true;
    loop_turn(loop, 0);
    counting = false;
}

static void pass(int from, int to, const char *bytes, size_t size, const char *ends)
{
    static char heard[16384];
    size_t got = 0, tail = strlen(ends);
    ensure(send(from, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
    for (unsigned turn = 0; turn < 1000; turn++) {
        cost_turn(bed.worker->loop);
        ssize_t more = recv(to, heard + got, sizeof(heard) - got, MSG_DONTWAIT);
        got += more > 0 ? (size_t)more : 0;
        if (got >= tail && memcmp(heard + got - tail, ends, tail) == 0) {
            return;
        }
    }
    ensure(!"the exchange got stuck");
}

static void drain_log(void)
{
    struct text lines;
    while ((lines = ring_peek(bed.log)).size > 0) {
        ring_consume(bed.log, lines.size);
    }
}

static void run(const struct kind *kind, unsigned times)
{
    static char request[4096];
    size_t size = strlen(kind->request);
    memcpy(request, kind->request, size);
    memset(request + size, 'x', kind->request_body);
    size += kind->request_body;
    for (unsigned i = 0; i < times; i++) {
        pass(client.fd, backend.fd, request, size, kind->request_ends);
        pass(backend.fd, client.fd, kind->reply, strlen(kind->reply), kind->reply_ends);
        drain_log();
    }
}

static bool expect(const struct kind *kind, enum call call, uint64_t wanted)
{
    if (calls[call] == wanted) {
        return true;
    }
    printf("%s: %llu calls of kind %s in %u exchanges, not %llu\n", kind->name,
           (unsigned long long)calls[call], call_names[call], COUNT, (unsigned long long)wanted);
    return false;
}

static bool measure(const struct kind *kind)
{
    run(kind, WARM_UP);
    for (unsigned call = 0; call < CALLS; call++) {
        calls[call] = 0;
    }
    uint64_t lines = ring_records(bed.log);
    run(kind, COUNT);
    ensure(ring_records(bed.log) - lines == COUNT);
    printf("%s: %.3f recv, %.3f send, %.3f epoll_wait an exchange\n", kind->name,
           (double)calls[CALL_RECV] / COUNT, (double)calls[CALL_SEND] / COUNT,
           (double)calls[CALL_EPOLL_WAIT] / COUNT);
    bool good = expect(kind, CALL_HEAP, 0);
    good = expect(kind, CALL_MAP, 0) && good;
    good = expect(kind, CALL_EPOLL_CTL, 0) && good;
    good = expect(kind, CALL_OTHER, 0) && good;
    good = expect(kind, CALL_RECV, 2 * COUNT) && good;
    return expect(kind, CALL_SEND, 2 * COUNT) && good;
}

/* That the library's own calls come here as well, not only those of this file. */
static void check_counting(void)
{
    counting = true;
    char *volatile copy = strdup("counted");
    free(copy);
    counting = false;
    ensure(calls[CALL_HEAP] == 2);
}

int main(int count_of_words, char **words)
{
    bool good = true;
    check_counting();
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (count_of_words == 1) {
            good = measure(&kinds[i]) && good;
        } else if (count_of_words == 3 && strcmp(words[1], kinds[i].name) == 0) {
            run(&kinds[i], (unsigned)strtoul(words[2], NULL, 10));
        }
    }
    bed_end(&bed, &client, &backend);
    return good ? 0 : 1;
}
