/* Operator log: both formats, levels, budget, cutting, rings, and a reader that does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define SECOND  INT64_C(1000000000)
#define WALL_US INT64_C(1767323045678000) /* 2026-01-02T03:04:05.678Z */
#define STAMP   "2026-01-02T03:04:05.678Z "

static int pipe_fds[2];
static uint64_t now_ns = 1000 * SECOND;

/* A fresh second and a fresh pipe for every test. */
static int set_up(void **state)
{
    now_ns += 10 * SECOND;
    clock_fake(now_ns, WALL_US);
    log_report_suppressed();
    if (pipe2(pipe_fds, O_NONBLOCK) != 0) {
        return -1;
    }
    log_set_fd(pipe_fds[1]);
    log_set_format(LOG_TEXT);
    log_set_level(LOG_INFO);
    return 0;
}

static int tear_down(void **state)
{
    log_set_fd(2);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    clock_real();
    return 0;
}

static const char *read_all(void)
{
    static char bytes[65536 + 1];
    ssize_t size = read(pipe_fds[0], bytes, sizeof(bytes) - 1);
    bytes[size > 0 ? size : 0] = '\0';
    return bytes;
}

static void writes_text_lines(void **state)
{
    log_warn("listener", "port %d may not be bound", 80);
    log_with(LOG_ERROR, "config",
             LOG_PAIRS(LOG_PAIR("file", TEXT("a.yaml")), LOG_PAIR("text", TEXT("x \"y\"\n")),
                       LOG_PAIR("none", TEXT("")), LOG_PAIR_NUMBER("line", -7)),
             "refused");
    log_info("config", "keeps \"quotes\", caf\xc3\xa9, not \x1b[31m, \r\n, \xc2\x9b or \x7f");
    log_info("config", "\xff\xc3\xa9");
    assert_string_equal(
        read_all(),
        STAMP "warn listener: port 80 may not be bound\n" STAMP
              "error config: refused file=a.yaml text=\"x \\\"y\\\"\\n\" none=\"\" line=-7\n" STAMP
              "info config: keeps \"quotes\", caf\xc3\xa9, not \\x1b[31m, \\x0d\\x0a, "
              "\xc2\\x9b or \\x7f\n" STAMP "info config: \\xff\\xc3\\xa9\n");
}

static void writes_json_lines(void **state)
{
    log_set_format(LOG_JSON);
    log_with(LOG_WARN, "xds", LOG_PAIRS(LOG_PAIR("type", TEXT("a\"b")), LOG_PAIR_NUMBER("n", 3)),
             "got %s\n", "this");
    assert_string_equal(
        read_all(),
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\",\"component\":\"xds\","
        "\"message\":\"got this\\n\",\"type\":\"a\\\"b\",\"n\":3}\n");
}

static void the_level_filters(void **state)
{
    log_debug("a", "no");
    log_set_level(LOG_ERROR);
    log_warn("a", "no");
    log_error("a", "yes");
    log_set_level(LOG_DEBUG);
    log_debug("a", "yes");
    assert_string_equal(read_all(), STAMP "error a: yes\n" STAMP "debug a: yes\n");
    for (int i = 0; i < LOG_LEVELS; i++) {
        enum log_level level;
        assert_true(log_level_parse(text_from_string(log_level_name((enum log_level)i)), &level));
        assert_int_equal(level, i);
    }
    enum log_level level;
    assert_false(log_level_parse(TEXT("WARN"), &level));
    assert_false(log_level_parse(TEXT(""), &level));
}

static void shout(int times)
{
    for (int i = 0; i < times; i++) {
        log_info("noisy", "again");
    }
}

static size_t lines_in(const char *text)
{
    size_t lines = 0;
    for (; *text; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void a_site_has_a_budget(void **state)
{
    shout(25);
    log_info("other", "another site is free");
    assert_int_equal(lines_in(read_all()), LOG_PER_SECOND + 1);
    clock_fake(now_ns + SECOND, WALL_US);
    shout(1);
    assert_string_equal(read_all(), STAMP "info noisy: again suppressed=15\n");
    shout(1);
    assert_string_equal(read_all(), STAMP "info noisy: again\n");
}

static void silence_after_noise_is_told(void **state)
{
    shout(12);
    assert_int_equal(lines_in(read_all()), LOG_PER_SECOND);
    assert_true(log_has_suppressed());
    assert_true(log_report_suppressed()); /* the second is not over */
    assert_string_equal(read_all(), "");
    clock_fake(now_ns + SECOND, WALL_US);
    assert_false(log_report_suppressed());
    assert_string_equal(read_all(), STAMP
                        "info noisy: lines were suppressed, all like \"again\" suppressed=2\n");
    assert_false(log_has_suppressed());
    assert_false(log_report_suppressed());
    assert_string_equal(read_all(), "");
}

static void long_lines_are_cut(void **state)
{
    char big[5000];
    memset(big, '\n', sizeof(big)); /* grows when escaped */
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        log_set_format((enum log_format)format);
        struct text text = text_of(big, sizeof(big));
        log_with(LOG_INFO, "a", LOG_PAIRS(LOG_PAIR("k", text), LOG_PAIR("l", text)), "%.*s",
                 TEXT_ARG(text));
        const char *got = read_all();
        assert_int_equal(lines_in(got), 1);
        assert_true(strlen(got) <= LOG_LINE_MAX);
        assert_non_null(strstr(got, "l"));
    }
}

static void a_stuck_reader_stops_nobody(void **state)
{
    char fill[4096] = { 0 };
    while (write(pipe_fds[1], fill, sizeof(fill)) > 0) {
    }
    int flags = fcntl(pipe_fds[1], F_GETFL);
    fcntl(pipe_fds[1], F_SETFL, flags & ~O_NONBLOCK); /* a blocking write would hang the test */
    uint64_t before = log_dropped();
    log_error("a", "lost");
    assert_int_equal(log_dropped(), before + 1);
    struct ring *ring = ring_new(4096);
    ring_put(ring, TEXT("kept\n"));
    assert_false(log_drain(ring));
    assert_int_equal(ring_fill(ring), 5);
    for (size_t got = 0; got < 65536;) {
        got += (size_t)read(pipe_fds[0], fill, sizeof(fill));
    }
    assert_true(log_drain(ring));
    assert_string_equal(read_all(), "kept\n");
    ring_free(ring);
}

static void *speak(void *owner)
{
    log_attach_ring(owner);
    for (int i = 0; i < 100; i++) {
        log_with(LOG_INFO, "worker", LOG_PAIRS(LOG_PAIR_NUMBER("i", i)), "line"); /* one site: 10 */
    }
    log_info("worker", "done");
    return NULL;
}

static void workers_speak_through_their_rings(void **state)
{
    struct ring *rings[2] = { ring_new(16384), ring_new(16384) };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, speak, rings[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_string_equal(read_all(), "");
    assert_true(log_drain(rings[0]) && log_drain(rings[1]));
    assert_int_equal(lines_in(read_all()), LOG_PER_SECOND + 2);
    ring_free(rings[0]);
    ring_free(rings[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_text_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_json_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_level_filters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_site_has_a_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_after_noise_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stuck_reader_stops_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_speak_through_their_rings, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
