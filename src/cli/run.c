/* `weft run`: everything in one process under the small parent. */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/parent.h"
#include "cli/runtime.h"
#include "http/server.h"
#include "net/listener.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DRAIN_LOOK_MS 20
#define UPKEEP_MS     60000

/* ---- readiness ------------------------------------------------------------------------------- */

static void announce(struct runtime *runtime)
{
    if (runtime->announced) {
        return;
    }
    runtime->announced = true;
    runtime->state = RUNTIME_SERVING;
    data_plane_set_ready(&runtime->data, true);
    parent_link_ready(&runtime->link);
    uint64_t us = (clock_now_ns() - runtime->started_ns) / 1000;
    log_with(LOG_INFO, "weft",
             LOG_PAIRS(LOG_PAIR_NUMBER("listeners", runtime->data.sockets.count),
                       LOG_PAIR_NUMBER("workers", runtime->worker_count),
                       LOG_PAIR_NUMBER("ms", us / 1000)),
             "ready");
}

static void on_settled(void *owner)
{
    announce(owner);
}

static void on_sources_changed(void *owner)
{
    malloc_trim(0);
}

static bool on_ready(void *owner, struct buffer *reason)
{
    struct runtime *runtime = owner;
    if (runtime->state == RUNTIME_SERVING) {
        return true;
    }
    buffer_append(reason, runtime->state == RUNTIME_STARTING ? TEXT("starting") : TEXT("draining"));
    return false;
}

/* ---- signals and drain ----------------------------------------------------------------------- */

static void on_drain_timer(struct timer *timer)
{
    struct runtime *runtime = list_owner(timer, struct runtime, drain_timer);
    if (!runtime->accepting_stopped) {
        runtime->accepting_stopped = true;
        data_plane_drain(&runtime->data, DRAIN_STOP);
        runtime->drain_deadline_ms =
            loop_now_ms(runtime->loop) + runtime->options.drain_timeout_ms;
        timer_start(runtime->loop, &runtime->drain_timer, DRAIN_LOOK_MS);
        return;
    }
    bool closed = data_plane_is_closed(&runtime->data);
    uint32_t open = data_plane_connections(&runtime->data);
    if ((closed && open == 0) || loop_now_ms(runtime->loop) >= runtime->drain_deadline_ms) {
        log_with(LOG_INFO, "weft", LOG_PAIRS(LOG_PAIR_NUMBER("connections_cut", open)), "drained");
        loop_stop(runtime->loop);
        return;
    }
    timer_start(runtime->loop, &runtime->drain_timer, DRAIN_LOOK_MS);
}

static bool start_draining(struct runtime *runtime)
{
    if (runtime->state == RUNTIME_DRAINING) {
        return false;
    }
    runtime->state = RUNTIME_DRAINING;
    parent_link_draining(&runtime->link);
    log_info("weft", "draining");
    return true;
}

static void begin_drain(struct runtime *runtime)
{
    if (start_draining(runtime)) {
        data_plane_drain(&runtime->data, DRAIN_BEGIN);
        timer_start(runtime->loop, &runtime->drain_timer, runtime->options.drain_delay_ms);
    }
}

/* The successor accepts already, so nothing is waited for. */
static void begin_yielding(struct runtime *runtime)
{
    if (start_draining(runtime)) {
        runtime->yielded = true;
        runtime->accepting_stopped = true;
        runtime->drain_deadline_ms =
            loop_now_ms(runtime->loop) + runtime->options.drain_timeout_ms;
        control_plane_leave(&runtime->control);
        data_plane_drain(&runtime->data, DRAIN_REPLACED);
        admin_server_stop(runtime->admin_server);
        timer_start(runtime->loop, &runtime->drain_timer, DRAIN_LOOK_MS);
    }
}

static void on_link_drain(struct parent_link *link)
{
    if (link->replaced) {
        begin_yielding(link->owner);
    } else {
        begin_drain(link->owner);
    }
}

static void on_stop_signal(struct runtime *runtime)
{
    bool again = runtime->state == RUNTIME_DRAINING;
    if (again && runtime->link.fd < 0) {
        loop_stop(runtime->loop); /* asked twice: now */
        return;
    }
    begin_drain(runtime);
}

static void on_reopen_signal(struct runtime *runtime)
{
    struct error error;
    if (runtime->access_log && !access_log_reopen(runtime->access_log, &error)) {
        log_error("access-log", "%s", error.text);
    }
}

static void on_signal(struct watch *watch, unsigned ready)
{
    struct runtime *runtime = list_owner(watch, struct runtime, signals);
    struct signalfd_siginfo info;
    while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGHUP:
            control_plane_rescan(&runtime->control);
            parent_link_ready(&runtime->link);
            break;
        case SIGUSR1:
            on_reopen_signal(runtime);
            break;
        case SIGUSR2:
            log_warn("weft", "SIGUSR2 is for the parent process, which upgrades: ignored");
            break;
        default:
            on_stop_signal(runtime);
        }
    }
}

/* SIGINT is the parent's business where there is one. */
static bool watch_signals(struct runtime *runtime, struct error *error)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    if (runtime->link.fd < 0) {
        sigaddset(&set, SIGINT);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    runtime->signals.on_ready = on_signal;
    if (fd < 0) {
        return error_set(error, "signalfd failed");
    }
    return loop_watch_level(runtime->loop, &runtime->signals, fd, error);
}

/* ---- wiring ---------------------------------------------------------------------------------- */

static void send_request(void *owner, struct text request)
{
    struct data_plane *data = owner;
    struct runtime *runtime = data->owner;
    ads_pipe_send(runtime->pipe, request);
}

static void on_upkeep(struct timer *timer)
{
    struct runtime *runtime = list_owner(timer, struct runtime, upkeep);
    metrics_expire(runtime->metrics, loop_now_ms(runtime->loop));
    timer_start(runtime->loop, &runtime->upkeep, UPKEEP_MS);
}

static bool open_access_log(struct runtime *runtime, struct error *error)
{
    const char *path = runtime->options.access_log;
    if (strcmp(path, "off") == 0) {
        return true;
    }
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        runtime->access_rings[i] = ring_new(RING_CAPACITY_DEFAULT);
    }
    runtime->access_log =
        access_log_open(runtime->loop, runtime->access_rings, runtime->worker_count,
                        strcmp(path, "stdout") == 0 ? "-" : path, runtime->metrics, error);
    return runtime->access_log != NULL;
}

static bool start_planes(struct runtime *runtime, struct error *error)
{
    control_plane_init(&runtime->control, runtime->loop, &runtime->options);
    runtime->data.owner = runtime;
    runtime->data.on_settled = on_settled;
    struct data_plane_parts parts = {
        .loop = runtime->loop,
        .options = &runtime->options,
        .link = &runtime->link,
        .metrics = runtime->metrics,
        .access_rings = runtime->access_log ? runtime->access_rings : NULL,
        .workers = runtime->worker_count,
    };
    struct ads_client_events carrier = { .send = send_request };
    if (!data_plane_start(&runtime->data, &parts, &carrier, error) ||
        !data_plane_listen_health(&runtime->data, error)) {
        return false;
    }
    runtime->pipe = ads_pipe_new(runtime->loop, runtime->control.server);
    ads_pipe_join(runtime->pipe, runtime->data.client);
    if (!control_plane_load(&runtime->control)) {
        announce(runtime); /* nothing to serve is in force at once */
    }
    return control_plane_watch(&runtime->control, runtime, on_sources_changed, error);
}

/* An admin port is kept by the parent like a listener, so that an upgrade hands it on. */
static bool take_admin_port(struct runtime *runtime, const struct address *address,
                            enum admin_surface surface, const char *option, struct error *error)
{
    if (address->port == 0) {
        return true;
    }
    char text[ADDRESS_TEXT_MAX];
    char key[PARENT_KEY_MAX];
    address_format(address, text);
    snprintf(key, sizeof(key), "admin %s", text);
    int fd = parent_link_take(&runtime->link, text_from_string(key));
    if (fd < 0) {
        int bind_errno;
        fd = listen_tcp(address, runtime->link.fd >= 0, true, &bind_errno, error);
        if (fd < 0) {
            return error_prefix(error, "%s %s", option, text);
        }
        parent_link_keep(&runtime->link, text_from_string(key), fd);
    }
    return admin_server_take(runtime->admin_server, fd, surface, address_is_loopback(address),
                             error);
}

/* The unix socket likewise. Its path stays through crashes and upgrades. */
static bool take_admin_socket(struct runtime *runtime, struct error *error)
{
    const char *path = runtime->options.admin_socket;
    if (path == NULL) {
        return true;
    }
    int fd = parent_link_take(&runtime->link, TEXT("admin socket"));
    if (fd < 0) {
        fd = http_server_open_unix(path, error);
        if (fd < 0) {
            return error_prefix(error, "--admin-socket");
        }
        parent_link_keep(&runtime->link, TEXT("admin socket"), fd);
    }
    return admin_server_take(runtime->admin_server, fd, ADMIN_SOCKET, false, error);
}

static bool start_admin(struct runtime *runtime, struct error *error)
{
    struct admin_options options = { .metrics = runtime->metrics,
                                     .version = WEFT_VERSION,
                                     .socket_path = runtime->options.admin_socket,
                                     .on_ready = on_ready,
                                     .owner = runtime };
    runtime->admin = admin_new(&options);
    admin_pages_register(runtime);
    struct admin_sockets sockets = { 0 };
    runtime->admin_server = admin_server_open(runtime->loop, runtime->admin, &sockets, error);
    return runtime->admin_server != NULL && take_admin_socket(runtime, error) &&
           take_admin_port(runtime, &runtime->options.admin, ADMIN_TCP, "--admin", error) &&
           take_admin_port(runtime, &runtime->options.metrics, ADMIN_METRICS, "--metrics", error);
}

static bool start(struct runtime *runtime, struct error *error)
{
    runtime->worker_count = run_workers(&runtime->options);
    runtime->loop = loop_new(error);
    if (runtime->loop == NULL || !parent_link_open(&runtime->link, error)) {
        return false;
    }
    runtime->link.owner = runtime;
    runtime->link.on_drain = on_link_drain;
    timer_init(&runtime->drain_timer, on_drain_timer);
    timer_init(&runtime->upkeep, on_upkeep);
    timer_start(runtime->loop, &runtime->upkeep, UPKEEP_MS);
    runtime->metrics = metrics_new(runtime->worker_count);
    process_metrics_start(&runtime->process, runtime->metrics);
    return watch_signals(runtime, error) && open_access_log(runtime, error) &&
           start_planes(runtime, error) && start_admin(runtime, error) &&
           parent_link_watch(&runtime->link, runtime->loop, error);
}

static void stop(struct runtime *runtime)
{
    if (runtime->admin_server) {
        admin_server_close(runtime->admin_server);
        if (runtime->options.admin_socket && !runtime->yielded) {
            unlink(runtime->options.admin_socket);
        }
    }
    if (runtime->admin) {
        admin_free(runtime->admin);
    }
    data_plane_stop(&runtime->data);
    if (runtime->pipe) {
        ads_pipe_free(runtime->pipe);
    }
    control_plane_fini(&runtime->control);
    if (runtime->access_log) {
        access_log_close(runtime->access_log);
    }
    for (unsigned i = 0; i < runtime->worker_count && runtime->access_rings[i]; i++) {
        ring_free(runtime->access_rings[i]);
    }
    timer_stop(&runtime->upkeep);
    timer_stop(&runtime->drain_timer);
    if (runtime->signals.fd >= 0) {
        int fd = runtime->signals.fd;
        loop_unwatch(runtime->loop, &runtime->signals);
        close(fd);
    }
    parent_link_close(&runtime->link);
    loop_free(runtime->loop);
    metrics_free(runtime->metrics);
}

static int run_child(struct runtime *runtime)
{
    struct error error;
    if (!start(runtime, &error)) {
        fprintf(stderr, "weft: %s\n", error.text);
        return EXIT_FINDINGS; /* the system takes back what was opened */
    }
    loop_run(runtime->loop);
    stop(runtime);
    return EXIT_GOOD;
}

static bool set_up_log(const struct run_options *options, struct error *error)
{
    enum log_level level;
    if (!log_level_parse(text_from_string(options->log_level), &level)) {
        return error_set(error, "--log-level is debug, info, warn or error");
    }
    log_set_level(level);
    log_set_format(options->log_json ? LOG_JSON : LOG_TEXT);
    return true;
}

static bool wants_help(int argc, char **argv)
{
    return argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
}

/* Only when a person starts it: a folder that goes away later is a finding. */
static bool check_paths(const struct run_options *options)
{
    struct error error;
    bool started_anew = !parent_link_present() && getenv(PARENT_UPGRADE_VARIABLE) == NULL;
    if (started_anew && !run_options_paths_exist(options, &error)) {
        fprintf(stderr, "weft run: %s\n", error.text);
        return false;
    }
    return true;
}

static int run(int argc, char **argv, char **program)
{
    static struct runtime runtime;
    struct error error;
    if (wants_help(argc, argv)) {
        run_options_help();
        return EXIT_GOOD;
    }
    runtime.started_ns = clock_now_ns();
    run_options_defaults(&runtime.options);
    if (!run_options_parse(&runtime.options, argc, argv, &error) ||
        !set_up_log(&runtime.options, &error)) {
        fprintf(stderr, "weft run: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (runtime.options.path_count == 0) {
        fputs("weft run: name a folder or file with Gateway API resources\n", stderr);
        return EXIT_USAGE;
    }
    if (!check_paths(&runtime.options)) {
        return EXIT_FINDINGS;
    }
    if (!runtime.options.no_parent && !parent_link_present()) {
        return parent_run(program, NULL);
    }
    runtime.signals.fd = -1;
    return run_child(&runtime);
}

const struct command command_run = {
    .name = "run",
    .arguments = "DIR|FILE... [options]",
    .about = "serves what the files say; reloads when they change",
    .run = run,
};
