/* The access log's output. How to write without ever waiting depends on what the descriptor is:
 *
 *   file     write(2); the page cache takes it
 *   own      a pipe, FIFO or terminal opened anew through /proc, so that O_NONBLOCK is ours alone
 *   socket   send(2) with MSG_DONTWAIT (systemd's journal)
 *   shared   what could not be opened anew: poll, then what a writable pipe takes (PIPE_BUF) */
#include "observe/access_log.h"

#include "base/ensure.h"
#include "base/log.h"
#include "observe/ring_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the kernel is asked to buffer in a pipe, and at most wait for it at the end. */
#define PIPE_SIZE (1024 * 1024)
#define CLOSE_MS  200

enum output_kind { OUTPUT_FILE, OUTPUT_OWN, OUTPUT_SOCKET, OUTPUT_SHARED };

struct output {
    enum output_kind kind;
    int fd;
};

struct access_log {
    struct ring_reader reader;
    struct output output;
    struct watch watch; /* of OUTPUT_OWN: told when it takes bytes again */
    char *path;         /* NULL: standard output */
    struct metrics *metrics;
    int unfinished; /* ring whose line was cut by a short write, or -1 */
    uint64_t lost;  /* lines the output refused for good */
    struct metric_series *lines_series;
    struct metric_series *dropped_series;
    struct metric_series *lost_series;
};

static const struct metric_definition lines_definition = {
    METRIC_COUNTER, "weft_access_log_lines_total", "Access-log lines made by workers.", { NULL }, 0
};
static const struct metric_definition dropped_definition = {
    METRIC_COUNTER,
    "weft_access_log_dropped_lines_total",
    "Access-log lines dropped because the log's reader did not keep up.",
    { NULL },
    0
};
static const struct metric_definition lost_definition = {
    METRIC_COUNTER,
    "weft_access_log_lost_lines_total",
    "Access-log lines lost because writing them failed.",
    { NULL },
    0
};

/* --- the output --- */

static bool output_open_file(struct output *output, const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        return error_errno(error, errno, "access log %s cannot be opened", path);
    }
    *output = (struct output){ S_ISREG(stat.st_mode) ? OUTPUT_FILE : OUTPUT_OWN, fd };
    return true;
}

static bool output_open_stdout(struct output *output, struct error *error)
{
    struct stat stat;
    if (fstat(STDOUT_FILENO, &stat) != 0) {
        return error_errno(error, errno, "access log: standard output is closed");
    }
    if (S_ISREG(stat.st_mode) || S_ISSOCK(stat.st_mode)) {
        *output =
            (struct output){ S_ISREG(stat.st_mode) ? OUTPUT_FILE : OUTPUT_SOCKET, STDOUT_FILENO };
        return true;
    }
    int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    *output = (struct output){ fd < 0 ? OUTPUT_SHARED : OUTPUT_OWN, fd < 0 ? STDOUT_FILENO : fd };
    if (S_ISFIFO(stat.st_mode)) {
        fcntl(output->fd, F_SETPIPE_SZ, PIPE_SIZE); /* fails harmlessly above the user's quota */
    }
    return true;
}

static void output_close(struct output *output)
{
    if (output->fd != STDOUT_FILENO) {
        close(output->fd);
    }
}

static ssize_t output_write_once(const struct output *output, struct text t)
{
    if (output->kind == OUTPUT_SOCKET) {
        return send(output->fd, t.at, t.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (output->kind == OUTPUT_SHARED) {
        struct pollfd poll_fd = { .fd = output->fd, .events = POLLOUT };
        if (poll(&poll_fd, 1, 0) == 0) {
            errno = EAGAIN;
            return -1;
        }
        t = text_first(t, PIPE_BUF);
    }
    return write(output->fd, t.at, t.size);
}

/* Bytes written; 0: it takes none now; -1 with errno: it failed. */
static ssize_t output_write(const struct output *output, struct text t)
{
    for (;;) {
        ssize_t written = output_write_once(output, t);
        if (written >= 0) {
            return written;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        if (errno != EINTR) {
            return -1;
        }
    }
}

/* --- the rings --- */

static uint64_t lines_in(struct text t)
{
    uint64_t lines = 0;
    for (size_t at; (at = text_find_byte(t, '\n')) < t.size; t = text_from(t, at + 1)) {
        lines++;
    }
    return lines;
}

static void lose(struct access_log *log, struct ring *ring, struct text t)
{
    log->lost += lines_in(t);
    ring_consume(ring, t.size);
}

/* Leaves at most one ring with a begun line, remembered in `unfinished`. */
static enum drained drain_ring(struct access_log *log, unsigned index)
{
    struct ring *ring = log->reader.rings[index];
    size_t budget = ring_capacity(ring);
    for (;;) {
        struct text span = ring_peek(ring);
        if (span.size == 0) {
            return DRAINED_ALL;
        }
        if (budget == 0 && log->unfinished < 0) {
            return DRAINED_SOME;
        }
        ssize_t written = output_write(&log->output, span);
        if (written == 0) {
            return DRAINED_BLOCKED;
        }
        if (written < 0) {
            log_error("access-log", "lines are lost: %s", strerror(errno));
            lose(log, ring, span);
            log->unfinished = -1;
            return DRAINED_ALL;
        }
        log->unfinished = span.at[written - 1] == '\n' ? -1 : (int)index;
        ring_consume(ring, (size_t)written);
        budget -= (size_t)written < budget ? (size_t)written : budget;
    }
}

static enum drained on_drain(struct ring_reader *reader, unsigned index)
{
    struct access_log *log = list_owner(reader, struct access_log, reader);
    if (log->unfinished >= 0 && log->unfinished != (int)index &&
        drain_ring(log, (unsigned)log->unfinished) == DRAINED_BLOCKED) {
        return DRAINED_BLOCKED;
    }
    return drain_ring(log, index);
}

static void on_ready(struct watch *watch, unsigned ready)
{
    struct access_log *log = list_owner(watch, struct access_log, watch);
    if (ready & READY_CLOSED) {
        loop_unwatch(log->reader.loop,
                     watch); /* the timer goes on; the write tells what is wrong */
    }
    if (timer_is_running(&log->reader.tick)) {
        ring_reader_drain(&log->reader);
    }
}

static void watch_output(struct access_log *log)
{
    log->watch = (struct watch){ .fd = -1, .on_ready = on_ready };
    struct error ignored;
    if (log->output.kind == OUTPUT_OWN) {
        /* Where epoll refuses the descriptor (/dev/null) the retry timer is enough. */
        (void)loop_watch(log->reader.loop, &log->watch, log->output.fd, &ignored);
    }
}

/* --- the log --- */

static void on_read_metrics(void *owner)
{
    struct access_log *log = owner;
    uint64_t lines = 0, dropped = 0;
    for (unsigned i = 0; i < log->reader.count; i++) {
        lines += ring_records(log->reader.rings[i]);
        dropped += ring_dropped(log->reader.rings[i]);
    }
    metric_set(log->lines_series, (int64_t)lines);
    metric_set(log->dropped_series, (int64_t)dropped);
    metric_set(log->lost_series, (int64_t)log->lost);
}

static struct metric_series *own_series(struct metrics *metrics,
                                        const struct metric_definition *definition)
{
    return metric_take(metric_register(metrics, definition), METRIC_MAIN, NULL);
}

struct access_log *access_log_open(struct loop *loop, struct ring *const *rings, unsigned count,
                                   const char *path, struct metrics *metrics, struct error *error)
{
    bool is_stdout = strcmp(path, "-") == 0;
    struct output output;
    if (!(is_stdout ? output_open_stdout(&output, error)
                    : output_open_file(&output, path, error))) {
        return NULL;
    }
    struct access_log *log = calloc(1, sizeof(*log));
    ensure(log != NULL);
    log->output = output;
    log->path = is_stdout ? NULL : strdup(path);
    log->unfinished = -1;
    log->metrics = metrics;
    log->lines_series = own_series(metrics, &lines_definition);
    log->dropped_series = own_series(metrics, &dropped_definition);
    log->lost_series = own_series(metrics, &lost_definition);
    metrics_on_read(metrics, on_read_metrics, log);
    ring_reader_start(&log->reader, loop, rings, count, ACCESS_LOG_DELAY_MS, on_drain);
    watch_output(log);
    return log;
}

/* The rest of a line whose beginning went to the old file. */
static void skip_unfinished(struct access_log *log)
{
    if (log->unfinished >= 0) {
        struct ring *ring = log->reader.rings[log->unfinished];
        struct text span = ring_peek(ring);
        lose(log, ring, text_first(span, text_find_byte(span, '\n') + 1));
        log->unfinished = -1;
    }
}

bool access_log_reopen(struct access_log *log, struct error *error)
{
    if (!log->path) {
        return true;
    }
    access_log_drain(log);
    struct output output = { 0 };
    if (!output_open_file(&output, log->path, error)) {
        return false;
    }
    loop_unwatch(log->reader.loop, &log->watch);
    output_close(&log->output);
    log->output = output;
    skip_unfinished(log);
    watch_output(log);
    ring_reader_drain(&log->reader);
    return true;
}

void access_log_drain(struct access_log *log)
{
    ring_reader_drain(&log->reader);
}

static bool is_drained(const struct access_log *log)
{
    for (unsigned i = 0; i < log->reader.count; i++) {
        if (ring_fill(log->reader.rings[i]) > 0) {
            return false;
        }
    }
    return true;
}

void access_log_close(struct access_log *log)
{
    on_read_metrics(log);
    metrics_off_read(log->metrics, log);
    ring_reader_stop(&log->reader);
    loop_unwatch(log->reader.loop, &log->watch);
    for (int waited_ms = 0; !is_drained(log) && waited_ms < CLOSE_MS; waited_ms += 10) {
        struct pollfd poll_fd = { .fd = log->output.fd, .events = POLLOUT };
        poll(&poll_fd, 1, 10);
        ring_reader_drain(&log->reader);
    }
    timer_stop(&log->reader.tick);
    output_close(&log->output);
    free(log->path);
    free(log);
}
