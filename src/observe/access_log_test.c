/* The access log's output: files, reopening, a pipe that blocks, whole lines from several rings,
 * and how often workers have to wake main. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "observe/access_log.h"
#include "observe/log_pump.h"
#include "observe/prometheus.h"

#include <fcntl.h>
#include <signal.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RINGS 2

struct fixture {
    struct loop *loop;
    struct ring *rings[RINGS];
    struct metrics *metrics;
    char folder[64];
    char path[96];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct error error;
    fixture->loop = loop_new(&error);
    assert_non_null(fixture->loop);
    for (int i = 0; i < RINGS; i++) {
        fixture->rings[i] = ring_new(64 * 1024);
    }
    fixture->metrics = metrics_new(RINGS);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/weft-access-log-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/access.log", fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    metrics_free(fixture->metrics);
    for (int i = 0; i < RINGS; i++) {
        ring_free(fixture->rings[i]);
    }
    loop_free(fixture->loop);
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.1", fixture->path);
    remove(moved);
    remove(fixture->path);
    assert_int_equal(remove(fixture->folder), 0);
    free(fixture);
    return 0;
}

static void assert_file(const char *path, const char *expected)
{
    char bytes[4096];
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t size = read(fd, bytes, sizeof(bytes) - 1);
    close(fd);
    bytes[size > 0 ? size : 0] = '\0';
    assert_string_equal(bytes, expected);
}

static struct access_log *open_log(struct fixture *fixture, const char *path)
{
    struct error error;
    struct access_log *log =
        access_log_open(fixture->loop, fixture->rings, RINGS, path, fixture->metrics, &error);
    assert_non_null(log);
    return log;
}

static void turn_for(struct loop *loop, unsigned ms)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)ms * 1000000;
    while (clock_now_ns() < end_ns) {
        loop_turn(loop, 5);
    }
}

static void put_line(struct ring *ring, const char *line)
{
    ring_put(ring, text_from_string(line));
    ring_flush(ring);
}

static void writes_lines_within_the_delay(void **state)
{
    struct fixture *fixture = *state;
    struct access_log *log = open_log(fixture, fixture->path);
    put_line(fixture->rings[0], "one\n");
    put_line(fixture->rings[1], "two\n");
    loop_turn(fixture->loop, 0);
    assert_file(fixture->path, ""); /* a wake alone writes nothing yet: lines are batched */
    turn_for(fixture->loop, 3 * ACCESS_LOG_DELAY_MS);
    assert_file(fixture->path, "one\ntwo\n");
    put_line(fixture->rings[0], "three\n");
    access_log_close(log); /* writes what is left */
    assert_file(fixture->path, "one\ntwo\nthree\n");
    struct stat stat_now;
    assert_int_equal(stat(fixture->path, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 07137, 0); /* at most 0640 */
}

static void lines_from_before_the_start_are_written(void **state)
{
    struct fixture *fixture = *state;
    put_line(fixture->rings[1], "early\n");
    access_log_close(open_log(fixture, fixture->path));
    access_log_close(open_log(fixture, fixture->path)); /* appends */
    assert_file(fixture->path, "early\n");
}

static void a_path_that_cannot_be_opened_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    assert_null(access_log_open(fixture->loop, fixture->rings, RINGS, "/nonexistent/a.log",
                                fixture->metrics, &error));
    assert_non_null(strstr(error.text, "/nonexistent/a.log"));
    assert_non_null(strstr(error.text, "No such file"));
}

static void reopens_after_a_rename(void **state)
{
    struct fixture *fixture = *state;
    struct access_log *log = open_log(fixture, fixture->path);
    put_line(fixture->rings[0], "old\n");
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.1", fixture->path);
    assert_int_equal(rename(fixture->path, moved), 0);
    struct error error;
    assert_true(access_log_reopen(log, &error));
    put_line(fixture->rings[0], "new\n");
    access_log_drain(log);
    assert_file(moved, "old\n");
    assert_file(fixture->path, "new\n");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_false(access_log_reopen(log, &error)); /* a folder: the old file goes on */
    access_log_close(log);
}

/* Fills a FIFO nobody reads, then reads all: nothing mixed, nothing half, the rest counted. */
static void a_blocked_pipe_loses_whole_lines_only(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    int reader = open(fixture->path, O_RDONLY | O_NONBLOCK);
    fcntl(reader, F_SETPIPE_SZ, 4096);
    struct access_log *log = open_log(fixture, fixture->path);
    unsigned put = 0;
    uint64_t start_ns = clock_now_ns();
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < RINGS; i++) {
            char line[128];
            snprintf(
                line, sizeof(line), "%d %06d %.*s\n", i, round, round % 91,
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                "xxxxxxxxxxxx");
            put += ring_put(fixture->rings[i], text_from_string(line));
            ring_flush(fixture->rings[i]);
        }
        if (round % 100 == 0) {
            access_log_drain(log);
        }
    }
    assert_true(clock_now_ns() - start_ns < 1000000000); /* nobody waited */
    uint64_t dropped = ring_dropped(fixture->rings[0]) + ring_dropped(fixture->rings[1]);
    assert_true(dropped > 100);
    static char bytes[1 << 18];
    size_t size = 0;
    for (int idle = 0; idle < 20;) {
        ssize_t got = read(reader, bytes + size, sizeof(bytes) - size);
        idle = got > 0 ? 0 : idle + 1;
        size += got > 0 ? (size_t)got : 0;
        loop_turn(fixture->loop, 1);
    }
    unsigned lines = 0;
    int last[RINGS] = { -1, -1 };
    for (struct text rest = text_of(bytes, size), line; text_split(&rest, '\n', &line);) {
        if (line.size == 0) {
            continue;
        }
        int ring, round;
        assert_int_equal(sscanf(line.at, "%d %06d", &ring, &round), 2);
        assert_true(round > last[ring]);
        assert_int_equal(line.size, 9 + (size_t)(round % 91));
        last[ring] = round;
        lines++;
    }
    assert_int_equal(bytes[size - 1], '\n');
    assert_int_equal(lines, put);
    assert_int_equal(lines + dropped, 2 * 2000);
    struct buffer out;
    buffer_init(&out);
    prometheus_format(fixture->metrics, &out);
    buffer_append_byte(&out, '\0');
    char expected[96];
    snprintf(expected, sizeof(expected), "\nweft_access_log_dropped_lines_total %d\n",
             (int)dropped);
    assert_non_null(strstr(out.bytes, expected));
    buffer_fini(&out);
    access_log_close(log);
    close(reader);
}

static void a_reader_that_went_away_costs_lines_not_more(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    int reader = open(fixture->path, O_RDONLY | O_NONBLOCK);
    struct access_log *log = open_log(fixture, fixture->path);
    close(reader);
    log_set_level(LOG_LEVELS);
    put_line(fixture->rings[0], "a\nb\n");
    access_log_drain(log);
    assert_int_equal(ring_fill(fixture->rings[0]), 0);
    log_set_level(LOG_INFO);
    struct buffer out;
    buffer_init(&out);
    prometheus_format(fixture->metrics, &out);
    buffer_append_byte(&out, '\0');
    assert_non_null(strstr(out.bytes, "\nweft_access_log_lost_lines_total 2\n"));
    buffer_fini(&out);
    access_log_close(log);
}

/* Standard output of each kind; the descriptor others share keeps its flags. */
static void writes_to_standard_output_without_touching_its_flags(void **state)
{
    struct fixture *fixture = *state;
    for (int kind = 0; kind < 3; kind++) {
        int fds[2];
        if (kind == 0) {
            assert_int_equal(pipe(fds), 0);
        } else if (kind == 1) {
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        } else {
            fds[1] = open(fixture->path, O_WRONLY | O_CREAT, 0600);
            fds[0] = open(fixture->path, O_RDONLY);
        }
        fflush(stdout);
        int saved = dup(STDOUT_FILENO);
        dup2(fds[1], STDOUT_FILENO);
        struct access_log *log = open_log(fixture, "-");
        int flags = fcntl(STDOUT_FILENO, F_GETFL);
        put_line(fixture->rings[0], "hello\n");
        access_log_drain(log);
        struct error error;
        bool reopened = access_log_reopen(log, &error);
        access_log_close(log);
        dup2(saved, STDOUT_FILENO);
        close(saved);
        assert_true(reopened);
        assert_false(flags & O_NONBLOCK);
        char bytes[16];
        assert_int_equal(read(fds[0], bytes, sizeof(bytes)), 6);
        assert_memory_equal(bytes, "hello\n", 6);
        close(fds[0]);
        close(fds[1]);
    }
}

struct worker {
    struct ring *ring;
    unsigned lines;
};

static void *work(void *owner)
{
    struct worker *worker = owner;
    for (unsigned i = 0; i < worker->lines; i++) {
        ring_put(worker->ring, TEXT("a line of some forty bytes, more or less\n"));
        ring_flush(worker->ring);
        if (i % 64 == 0) {
            usleep(100);
        }
    }
    return NULL;
}

static void workers_and_main_run_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct access_log *log = open_log(fixture, fixture->path);
    struct worker workers[RINGS];
    pthread_t threads[RINGS];
    for (int i = 0; i < RINGS; i++) {
        workers[i] = (struct worker){ fixture->rings[i], 20000 };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    turn_for(fixture->loop, 300);
    for (int i = 0; i < RINGS; i++) {
        pthread_join(threads[i], NULL);
    }
    access_log_close(log);
    struct stat stat_now;
    assert_int_equal(stat(fixture->path, &stat_now), 0);
    uint64_t records = ring_records(fixture->rings[0]) + ring_records(fixture->rings[1]);
    assert_int_equal(stat_now.st_size, records * 41);
    assert_true(records > 20000);
}

static void operator_lines_of_workers_are_pumped(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    log_set_fd(fd);
    struct log_pump *pump = calloc(1, sizeof(*pump));
    log_pump_start(pump, fixture->loop, fixture->rings, RINGS);
    log_attach_ring(fixture->rings[1]);
    for (int i = 0; i < 12; i++) {
        log_info("worker", "hello");
    }
    log_attach_ring(NULL);
    loop_turn(fixture->loop, 0);
    struct stat stat_now;
    assert_int_equal(fstat(fd, &stat_now), 0);
    size_t line = strlen("2026-01-02T03:04:05.678Z info worker: hello\n");
    assert_int_equal(stat_now.st_size, 10 * line);
    turn_for(fixture->loop, 1200);
    assert_int_equal(fstat(fd, &stat_now), 0);
    assert_true((size_t)stat_now.st_size > 10 * line); /* and 2 were suppressed */
    log_pump_stop(pump);
    log_set_fd(2);
    close(fd);
    loop_free(fixture->loop); /* its hook points to the pump */
    free(pump);
    struct error error;
    fixture->loop = loop_new(&error);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_lines_within_the_delay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_from_before_the_start_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_opened_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reopens_after_a_rename, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blocked_pipe_loses_whole_lines_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_went_away_costs_lines_not_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(writes_to_standard_output_without_touching_its_flags,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_and_main_run_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(operator_lines_of_workers_are_pumped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
