/* The small parent with a fake child: this program itself, started as "parent_test fake DIR". The
 * child answers on one kept socket; files in DIR make it misbehave. Real processes and signals. */
#include "cli/parent_link.h"

#include "base/ensure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

/* ---- the fake child ---- */

struct fake {
    struct parent_link link;
    struct loop *loop;
    struct watch listening;
    const char *folder;
};

static volatile sig_atomic_t hangups_seen;

static void on_hangup(int number)
{
    hangups_seen++;
}

static bool has_file(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void write_file(const char *folder, const char *name, const char *text, bool append)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0600);
    ensure(fd >= 0);
    ensure(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static int listen_anywhere(unsigned *out_port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ensure(fd >= 0);
    ensure(bind(fd, (struct sockaddr *)&at, size) == 0 && listen(fd, 128) == 0);
    ensure(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    *out_port = ntohs(at.sin_port);
    return fd;
}

/* The socket of this name, kept over crashes; its port is written to DIR/NAME once. */
static int take_or_listen(struct fake *fake, const char *name)
{
    int fd = parent_link_take(&fake->link, text_from_string(name));
    if (fd < 0) {
        char text[16];
        unsigned port;
        fd = listen_anywhere(&port);
        snprintf(text, sizeof(text), "%u", port);
        ensure(parent_link_keep(&fake->link, text_from_string(name), fd));
        write_file(fake->folder, name, text, false);
    }
    return fd;
}

static void keep_many(struct fake *fake)
{
    size_t back = 0;
    char key[PARENT_KEY_MAX + 1];
    char text[32];
    static const char filler[] = "a key that is nearly as long as one may be, so that much is sent";
    while (parent_link_take_any(&fake->link, key) >= 0) {
        back++;
    }
    snprintf(text, sizeof(text), "%zu\n", back);
    write_file(fake->folder, "back", text, true);
    for (unsigned i = (unsigned)back; i < 700; i++) {
        unsigned port;
        int fd = listen_anywhere(&port);
        snprintf(key, sizeof(key), "many %u %s", i, filler);
        ensure(parent_link_keep(&fake->link, text_from_string(key), fd));
    }
}

static void answer(struct fake *fake, int fd)
{
    char word = 0;
    char text[64];
    ssize_t size = read(fd, &word, 1);
    (void)size;
    if (word == 'c') {
        _exit(3);
    } else if (word == 'x') {
        parent_link_draining(&fake->link);
        _exit(0);
    } else if (word == 'd') {
        parent_link_drop(&fake->link, TEXT("main"));
        close(fake->listening.fd);
    } else if (word == 'o') {
        take_or_listen(fake, "other");
    }
    snprintf(text, sizeof(text), "%d %d", (int)getpid(), (int)hangups_seen);
    ensure(write(fd, text, strlen(text)) > 0);
}

static void on_connect(struct watch *watch, unsigned ready)
{
    struct fake *fake = list_owner(watch, struct fake, listening);
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        answer(fake, fd);
        close(fd);
    }
}

static void on_fake_drain(struct parent_link *link)
{
    struct fake *fake = link->owner;
    parent_link_draining(link);
    write_file(fake->folder, link->replaced ? "replaced" : "drained", "x", true);
    if (!has_file(fake->folder, "stuck")) {
        parent_link_drop(link, TEXT("main")); /* as listeners do; a successor's stay open */
        loop_stop(fake->loop);
    }
}

static int fake_child(const char *folder)
{
    static struct fake fake;
    struct error error;
    fake.folder = folder;
    if (has_file(folder, "exit_4")) {
        return 4;
    }
    struct sigaction hangup = { .sa_handler = on_hangup };
    sigaction(SIGHUP, &hangup, NULL);
    ensure(parent_link_present() && parent_link_open(&fake.link, &error));
    fake.link.owner = &fake;
    fake.link.on_drain = on_fake_drain;
    write_file(folder, "starts", "x", true);
    if (has_file(folder, "crash")) {
        abort();
    }
    fake.loop = loop_new(&error);
    ensure(fake.loop != NULL);
    int fd = take_or_listen(&fake, "main");
    fake.listening.on_ready = on_connect;
    ensure(loop_watch_level(fake.loop, &fake.listening, fd, &error));
    ensure(parent_link_watch(&fake.link, fake.loop, &error));
    if (has_file(folder, "second")) {
        take_or_listen(&fake, "other");
    }
    if (has_file(folder, "many")) {
        keep_many(&fake);
    }
    while (has_file(folder, "wait")) {
        usleep(1000);
    }
    if (!has_file(folder, "never_ready")) {
        parent_link_ready(&fake.link);
        write_file(folder, "ready", "x", true);
    }
    loop_run(fake.loop);
    parent_link_close(&fake.link);
    return 0;
}

static int fake_main(char **argv)
{
    static const struct parent_limits limits = {
        .ready_ms = 700, .backoff_ms = 50, .backoff_max_ms = 200, .steady_ms = 1000
    };
    return parent_link_present() ? fake_child(argv[2]) : parent_run(argv, &limits);
}

/* ---- the tests' hands ---- */

struct bench {
    char folder[64];
    char binary[96];
    pid_t parent;
    int notify;
};

static void nap_ms(long ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static long file_size(const struct bench *bench, const char *name)
{
    char path[512];
    struct stat about;
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    return stat(path, &about) == 0 ? (long)about.st_size : 0;
}

static void wait_for_size(const struct bench *bench, const char *name, long size)
{
    for (int i = 0; i < 1000 && file_size(bench, name) < size; i++) {
        nap_ms(5);
    }
    assert_true(file_size(bench, name) >= size);
}

/* A copy takes the place of the binary, as a package upgrade does it. */
static void install_binary(const struct bench *bench, const char *content)
{
    char next[128];
    snprintf(next, sizeof(next), "%s.new", bench->binary);
    int to = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(to >= 0);
    if (content != NULL) {
        assert_int_equal(write(to, content, strlen(content)), strlen(content));
    } else {
        int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        static char bytes[1 << 16];
        ssize_t size;
        while ((size = read(from, bytes, sizeof(bytes))) > 0) {
            assert_int_equal(write(to, bytes, (size_t)size), size);
        }
        close(from);
    }
    close(to);
    assert_int_equal(rename(next, bench->binary), 0);
}

static int prepare(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/weft-parent-XXXXXX");
    ensure(mkdtemp(bench->folder) != NULL);
    snprintf(bench->binary, sizeof(bench->binary), "%s/weft", bench->folder);
    bench->notify = -1;
    install_binary(bench, NULL);
    *state = bench;
    return 0;
}

static void start(struct bench *bench)
{
    bench->parent = fork();
    if (bench->parent == 0) {
        if (!has_file(bench->folder, "loud")) {
            char path[512];
            snprintf(path, sizeof(path), "%s/log", bench->folder);
            int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
            dup2(log, STDERR_FILENO);
        }
        execl(bench->binary, bench->binary, "fake", bench->folder, (char *)NULL);
        _exit(126);
    }
}

static int wait_for_end(struct bench *bench)
{
    int status = -1;
    for (int i = 0; i < 1000; i++) {
        if (waitpid(bench->parent, &status, WNOHANG) == bench->parent) {
            bench->parent = 0;
            return status;
        }
        nap_ms(5);
    }
    fail_msg("the parent does not end");
    return status;
}

static int clear(void **state)
{
    struct bench *bench = *state;
    char command[128];
    if (bench->parent > 0) {
        kill(bench->parent, SIGTERM);
        nap_ms(50);
        kill(bench->parent, SIGTERM);
        waitpid(bench->parent, NULL, 0);
    }
    if (bench->notify >= 0) {
        close(bench->notify);
        unsetenv("NOTIFY_SOCKET");
    }
    static const char *const names[] = { "weft", "weft.new", "log", "main", "other", "many", "back",
                                         "starts", "ready", "stuck", "crash", "second", "exit_4",
                                         "never_ready", "notify", "wait", "replaced", "drained" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(command, sizeof(command), "%s/%s", bench->folder, names[i]);
        unlink(command);
    }
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static void forget_file(const struct bench *bench, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    unlink(path);
}

static bool log_has(const struct bench *bench, const char *words)
{
    char path[512];
    static char text[1 << 16];
    snprintf(path, sizeof(path), "%s/log", bench->folder);
    for (int i = 0; i < 400; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
        close(fd);
        text[size > 0 ? size : 0] = '\0';
        if (strstr(text, words) != NULL) {
            return true;
        }
        nap_ms(5);
    }
    print_message("log:\n%s\n", text);
    return false;
}

static int connect_to(const struct bench *bench, const char *name)
{
    char path[512];
    char text[16] = "";
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0 && read(file, text, sizeof(text) - 1) > 0);
    close(file);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)strtoul(text, NULL, 10)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Asks the child; its pid, 0 where the connection ended without an answer. A refused connect fails
 * the test. */
static pid_t ask(const struct bench *bench, const char *word, int *out_hangups)
{
    int fd = connect_to(bench, "main");
    assert_true(fd >= 0);
    char text[64] = "";
    struct pollfd event = { .fd = fd, .events = POLLIN };
    assert_int_equal(write(fd, word, 1), 1);
    assert_int_equal(poll(&event, 1, 5000), 1);
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0) {
        return 0;
    }
    char *rest;
    pid_t pid = (pid_t)strtol(text, &rest, 10);
    if (out_hangups != NULL) {
        *out_hangups = (int)strtol(rest, NULL, 10);
    }
    return pid;
}

static void start_ready(struct bench *bench)
{
    start(bench);
    wait_for_size(bench, "ready", 1);
}

/* ---- the cases ---- */

static void serves_and_ends_with_0_on_sigterm(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    pid_t child = ask(bench, "p", NULL);
    assert_true(child > 0 && child != bench->parent);
    kill(bench->parent, SIGTERM);
    int status = wait_for_end(bench);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(connect_to(bench, "main"), -1);
}

static void a_killed_child_is_replaced_and_no_connect_is_refused(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    pid_t before = ask(bench, "p", NULL);
    for (int i = 0; i < 2; i++) {
        kill(before, SIGKILL);
        pid_t after = ask(bench, "p", NULL); /* at once: waits in the accept queue at most */
        if (after == 0 || after == before) {
            after = ask(bench, "p", NULL);
        }
        assert_true(after > 0 && after != before);
        before = after;
    }
    assert_int_equal(ask(bench, "c", NULL), 0);
    assert_true(ask(bench, "p", NULL) != before);
    assert_true(log_has(bench, "crashed (exit code 3)"));
    assert_true(log_has(bench, "crashed (signal 9, Killed)"));
}

static void restarts_slow_down_while_every_child_crashes(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    pid_t child = ask(bench, "p", NULL);
    write_file(bench->folder, "crash", "", false);
    kill(child, SIGKILL);
    nap_ms(600); /* 0, 50, 100, 200, 200 ms: five at most, six for a slow clock */
    long starts = file_size(bench, "starts") - 1;
    assert_in_range(starts, 2, 6);
    forget_file(bench, "crash");
    assert_true(ask(bench, "p", NULL) > 0);
}

static void a_code_before_ready_ends_the_parent_with_it(void **state)
{
    struct bench *bench = *state;
    write_file(bench->folder, "exit_4", "", false);
    start(bench);
    int status = wait_for_end(bench);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 4);
}

static void a_child_that_drains_by_itself_ends_the_parent(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    ask(bench, "x", NULL);
    int status = wait_for_end(bench);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(file_size(bench, "starts"), 1);
}

static void a_second_sigterm_kills_at_once(void **state)
{
    struct bench *bench = *state;
    write_file(bench->folder, "stuck", "", false);
    start_ready(bench);
    pid_t child = ask(bench, "p", NULL);
    kill(bench->parent, SIGTERM);
    nap_ms(100);
    assert_int_equal(waitpid(bench->parent, NULL, WNOHANG), 0);
    assert_true(ask(bench, "p", NULL) == child); /* it drains, and still serves */
    kill(bench->parent, SIGTERM);
    int status = wait_for_end(bench);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
    assert_int_equal(kill(child, 0), -1);
}

static void a_child_drains_when_its_parent_is_killed(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    pid_t child = ask(bench, "p", NULL);
    kill(bench->parent, SIGKILL);
    waitpid(bench->parent, NULL, 0);
    bench->parent = 0;
    for (int i = 0; i < 1000 && kill(child, 0) == 0; i++) {
        nap_ms(5);
    }
    assert_int_equal(connect_to(bench, "main"), -1);
}

static void sighup_goes_on_to_the_child(void **state)
{
    struct bench *bench = *state;
    int hangups = 0;
    start_ready(bench);
    pid_t child = ask(bench, "p", NULL);
    kill(bench->parent, SIGHUP);
    for (int i = 0; i < 200 && hangups == 0; i++) {
        assert_true(ask(bench, "p", &hangups) == child);
        nap_ms(5);
    }
    assert_int_equal(hangups, 1);
}

static void a_dropped_socket_is_closed_by_both(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    ask(bench, "d", NULL);
    int fd = 0;
    for (int i = 0; i < 200 && fd >= 0; i++) {
        fd = connect_to(bench, "main");
        close(fd);
        nap_ms(5);
    }
    assert_int_equal(fd, -1);
}

static void sockets_nobody_takes_after_a_crash_are_closed(void **state)
{
    struct bench *bench = *state;
    write_file(bench->folder, "second", "", false);
    start_ready(bench);
    int fd = connect_to(bench, "other");
    assert_true(fd >= 0);
    close(fd);
    forget_file(bench, "second");
    ask(bench, "c", NULL);
    wait_for_size(bench, "ready", 2);
    for (int i = 0; i < 200 && (fd = connect_to(bench, "other")) >= 0; i++) {
        close(fd);
        nap_ms(5);
    }
    assert_int_equal(fd, -1);
}

static void seven_hundred_sockets_outlive_a_crash(void **state)
{
    struct bench *bench = *state;
    write_file(bench->folder, "many", "", false);
    start_ready(bench);
    ask(bench, "c", NULL);
    wait_for_size(bench, "back", 6); /* "0\n" and "700\n" */
    char path[512];
    char text[16] = "";
    snprintf(path, sizeof(path), "%s/back", bench->folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_string_equal(text, "0\n700\n");
}

static bool parent_runs_the_file_on_disk(const struct bench *bench)
{
    char link[64];
    char target[256] = "";
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)bench->parent);
    ssize_t size = readlink(link, target, sizeof(target) - 1);
    assert_true(size > 0);
    return strcmp(target, bench->binary) == 0;
}

static void ten_upgrades_keep_pid_and_socket_and_refuse_nobody(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    pid_t before = ask(bench, "p", NULL);
    for (int round = 0; round < 10; round++) {
        install_binary(bench, NULL);
        assert_false(parent_runs_the_file_on_disk(bench));
        kill(bench->parent, SIGUSR2);
        for (int i = 0; i < 1000 && !parent_runs_the_file_on_disk(bench); i++) {
            assert_true(ask(bench, "p", NULL) > 0); /* every single one is answered */
            nap_ms(2);
        }
        assert_true(parent_runs_the_file_on_disk(bench));
        pid_t after = before;
        for (int i = 0; i < 200 && after == before; i++) {
            after = ask(bench, "p", NULL);
            nap_ms(5);
        }
        assert_true(after != before);
        before = after;
    }
    kill(before, SIGKILL); /* the new parent restarts like the old one */
    pid_t after = ask(bench, "p", NULL);
    assert_true((after > 0 ? after : ask(bench, "p", NULL)) != before);
    kill(bench->parent, SIGTERM);
    int status = wait_for_end(bench);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_child_hears_whether_another_has_its_sockets(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    kill(bench->parent, SIGUSR2);
    wait_for_size(bench, "replaced", 1);
    assert_int_equal(file_size(bench, "drained"), 0);
    wait_for_size(bench, "ready", 2);
    kill(bench->parent, SIGTERM);
    int status = wait_for_end(bench);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(file_size(bench, "drained"), 1);
    assert_int_equal(file_size(bench, "replaced"), 1);
}

/* A socket which the old child opened when the new one had been handed its own: the new one does
 * not know it, so nobody would accept from the parent's copy. */
static void a_socket_opened_during_an_upgrade_is_not_kept(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    pid_t old = ask(bench, "p", NULL);
    write_file(bench->folder, "wait", "", false);
    kill(bench->parent, SIGUSR2);
    wait_for_size(bench, "starts", 2);
    assert_true(ask(bench, "o", NULL) == old);
    int fd = connect_to(bench, "other");
    assert_true(fd >= 0);
    close(fd);
    forget_file(bench, "wait");
    wait_for_size(bench, "ready", 2);
    for (int i = 0; i < 400 && (fd = connect_to(bench, "other")) >= 0; i++) {
        close(fd);
        nap_ms(5);
    }
    assert_int_equal(fd, -1);
    assert_true(ask(bench, "p", NULL) != old);
}

static void failed_upgrade(struct bench *bench, const char *content, const char *words)
{
    start_ready(bench);
    pid_t before = ask(bench, "p", NULL);
    install_binary(bench, content);
    kill(bench->parent, SIGUSR2);
    assert_true(log_has(bench, words));
    assert_true(log_has(bench, "goes on"));
    assert_true(ask(bench, "p", NULL) == before);
    kill(before, SIGKILL); /* restarted from the old image, not from the bad file */
    pid_t after = ask(bench, "p", NULL);
    assert_true((after > 0 ? after : ask(bench, "p", NULL)) != before);
}

static void an_upgrade_to_garbage_changes_nothing(void **state)
{
    failed_upgrade(*state, "garbage", "cannot execute");
}

static void an_upgrade_that_exits_changes_nothing(void **state)
{
    failed_upgrade(*state, "#!/bin/sh\nexit 7\n", "exit code 7");
}

static void an_upgrade_that_is_never_ready_changes_nothing(void **state)
{
    failed_upgrade(*state, "#!/bin/sh\nexec sleep 60\n", "not ready within 700 ms");
}

static void sockets_of_a_new_binary_that_fails_are_closed(void **state)
{
    struct bench *bench = *state;
    start_ready(bench);
    write_file(bench->folder, "second", "", false);
    write_file(bench->folder, "never_ready", "", false);
    kill(bench->parent, SIGUSR2);
    assert_true(log_has(bench, "goes on"));
    assert_true(file_size(bench, "other") > 0);
    assert_int_equal(connect_to(bench, "other"), -1);
    assert_true(ask(bench, "p", NULL) > 0);
}

static void open_notify(struct bench *bench)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", bench->folder);
    bench->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bench->notify, (struct sockaddr *)&at, sizeof(at)), 0);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
}

static void hear(const struct bench *bench, const char *words)
{
    char text[256] = "";
    struct pollfd event = { .fd = bench->notify, .events = POLLIN };
    assert_int_equal(poll(&event, 1, 5000), 1);
    assert_true(recv(bench->notify, text, sizeof(text) - 1, 0) > 0);
    if (strncmp(text, words, strlen(words)) != 0) {
        fail_msg("systemd hears \"%s\" instead of \"%s\"", text, words);
    }
}

static void systemd_hears_ready_reloading_and_stopping(void **state)
{
    struct bench *bench = *state;
    char ready[64];
    open_notify(bench);
    start(bench);
    snprintf(ready, sizeof(ready), "READY=1\nMAINPID=%d", (int)bench->parent);
    hear(bench, ready);
    kill(bench->parent, SIGHUP);
    hear(bench, "RELOADING=1\nMONOTONIC_USEC=");
    kill(bench->parent, SIGUSR2);
    hear(bench, ready);
    hear(bench, ready); /* once more by the parent that is new */
    kill(bench->parent, SIGTERM);
    hear(bench, "STOPPING=1");
    assert_int_equal(wait_for_end(bench), 0);
}

static void without_a_parent_everything_is_a_no_op(void **state)
{
    struct parent_link link;
    struct error error;
    char key[PARENT_KEY_MAX + 1];
    assert_false(parent_link_present());
    assert_true(parent_link_open(&link, &error));
    assert_true(parent_link_watch(&link, NULL, &error));
    assert_int_equal(parent_link_take(&link, TEXT("tcp")), -1);
    assert_int_equal(parent_link_take_any(&link, key), -1);
    assert_true(parent_link_keep(&link, TEXT("tcp"), 0));
    parent_link_ready(&link);
    parent_link_draining(&link);
    parent_link_close(&link);
}

static void a_foreign_variable_is_an_error(void **state)
{
    static const char *const values[] = { "x", "", "-1", "99999999999", "4095" };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct parent_link link;
        struct error error;
        setenv(PARENT_FD_VARIABLE, values[i], 1);
        assert_false(parent_link_open(&link, &error));
        assert_non_null(strstr(error.text, PARENT_FD_VARIABLE));
        parent_link_close(&link);
        unsetenv(PARENT_FD_VARIABLE);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clear)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "fake") == 0) {
        return fake_main(argv);
    }
    const struct CMUnitTest tests[] = {
        CASE(serves_and_ends_with_0_on_sigterm),
        CASE(a_killed_child_is_replaced_and_no_connect_is_refused),
        CASE(restarts_slow_down_while_every_child_crashes),
        CASE(a_code_before_ready_ends_the_parent_with_it),
        CASE(a_child_that_drains_by_itself_ends_the_parent),
        CASE(a_child_hears_whether_another_has_its_sockets),
        CASE(a_socket_opened_during_an_upgrade_is_not_kept),
        CASE(a_second_sigterm_kills_at_once),
        CASE(a_child_drains_when_its_parent_is_killed),
        CASE(sighup_goes_on_to_the_child),
        CASE(a_dropped_socket_is_closed_by_both),
        CASE(sockets_nobody_takes_after_a_crash_are_closed),
        CASE(seven_hundred_sockets_outlive_a_crash),
        CASE(ten_upgrades_keep_pid_and_socket_and_refuse_nobody),
        CASE(an_upgrade_to_garbage_changes_nothing),
        CASE(an_upgrade_that_exits_changes_nothing),
        CASE(an_upgrade_that_is_never_ready_changes_nothing),
        CASE(sockets_of_a_new_binary_that_fails_are_closed),
        CASE(systemd_hears_ready_reloading_and_stopping),
        cmocka_unit_test(without_a_parent_everything_is_a_no_op),
        cmocka_unit_test(a_foreign_variable_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
