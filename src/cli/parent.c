/* The small parent: signals, crashes, restarts and upgrades. Everything it needs is static, so that
 * it costs no heap; clean pages of code are given back before each wait. */
#include "cli/parent_state.h"

#include "base/clock.h"

#include <errno.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

const struct parent_limits parent_default_limits = {
    .ready_ms = 10000, .backoff_ms = 50, .backoff_max_ms = 5000, .steady_ms = 500
};

static struct parent the_parent;

uint64_t parent_now_ms(void)
{
    return clock_now_ns() / 1000000;
}

void parent_say(const char *format, ...)
{
    char line[512] = "weft: ";
    size_t size = strlen(line);
    va_list list;
    va_start(list, format);
    int more = vsnprintf(line + size, sizeof(line) - size - 1, format, list);
    va_end(list);
    size += more < 0 ? 0 : (size_t)more;
    size = size > sizeof(line) - 2 ? sizeof(line) - 2 : size;
    line[size++] = '\n';
    struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };
    if (poll(&to, 1, 0) == 1 && (to.revents & POLLOUT) != 0) {
        ssize_t written = write(STDERR_FILENO, line, size);
        (void)written; /* a log that cannot be written harms nobody */
    }
}

void parent_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof(to.sun_path)) {
        return;
    }
    size_t size = strlen(path);
    memcpy(to.sun_path, path, size);
    if (path[0] == '@') {
        to.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&to, length) < 0) {
        parent_say("NOTIFY_SOCKET %s: %s", path, strerrordesc_np(errno));
    }
    close(fd);
}

static void notify_ready(void)
{
    char state[64];
    snprintf(state, sizeof(state), "READY=1\nMAINPID=%d", (int)getpid());
    parent_notify(state);
}

static void notify_reloading(void)
{
    char state[64];
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)(clock_now_ns() / 1000));
    parent_notify(state);
}

/* Which signals are events here; children get an empty mask. */
static bool open_signals(struct parent *parent)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaddset(&set, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    parent->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (parent->signals < 0) {
        parent_say("signalfd: %s", strerrordesc_np(errno));
    }
    return parent->signals >= 0;
}

static void drain_all(struct parent *parent)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (parent->children[i].pid > 0) {
            child_drain(parent, &parent->children[i]);
        }
    }
}

static void stop(struct parent *parent, int exit_code)
{
    if (!parent->stopping) {
        parent->stopping = true;
        parent->restart_ms = 0;
        parent->exit_code = exit_code;
        child_forget_all_sockets(
            parent); /* queued connects must not wait on a copy nobody serves */
        parent_notify("STOPPING=1");
    }
    drain_all(parent);
}

static void kill_all(struct parent *parent, int signal_number)
{
    parent->killed = true;
    parent->exit_code = 128 + signal_number;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (parent->children[i].pid > 0) {
            kill(parent->children[i].pid, SIGKILL);
        }
    }
}

/* The parent's own image, not the path: a file replaced on disk waits for SIGUSR2. */
static void start_current(struct parent *parent)
{
    parent->restart_ms = 0;
    if (child_spawn(parent, CHILD_CURRENT, "/proc/self/exe") == NULL) {
        parent->restart_ms = parent_now_ms() + parent->limits->backoff_max_ms;
    }
}

static void start_upgrade(struct parent *parent)
{
    if (parent->stopping || child_find(parent, CHILD_NEXT) != NULL) {
        parent_say("upgrade: one is under way, or the end is: SIGUSR2 ignored");
        return;
    }
    parent_say("upgrade: starting %s", parent->path);
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        parent->kept[i].late = false;
    }
    if (child_spawn(parent, CHILD_NEXT, parent->path) != NULL) {
        parent->ready_due_ms = parent_now_ms() + parent->limits->ready_ms;
    }
}

void parent_on_ready(struct parent *parent, struct child *child)
{
    if (child->role == CHILD_OLD) {
        return;
    }
    if (child->role == CHILD_NEXT) {
        struct child *old = child_find(parent, CHILD_CURRENT);
        child->role = CHILD_CURRENT;
        parent->restart_ms = 0;
        parent->reexec = true;
        if (old != NULL) {
            old->role = CHILD_OLD;
            child_drain(parent, old);
            child_forget_late_sockets(parent);
            parent_say("upgrade: process %d serves, process %d drains", (int)child->pid,
                       (int)old->pid);
        }
    }
    parent->was_ready = true;
    if (!parent->stopping) {
        notify_ready();
    }
}

static void forward(struct parent *parent, int signal_number)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &parent->children[i];
        /* One that is not ready may not yet catch the signal, and reads what it is to read anyway.
         * One that drains still writes its log. */
        bool concerned = child->role == CHILD_CURRENT ||
                         (child->role == CHILD_OLD && signal_number == SIGUSR1);
        if (child->pid <= 0 || !child->ready || !concerned) {
            continue;
        }
        if (signal_number == SIGHUP) {
            notify_reloading();
        }
        kill(child->pid, signal_number);
    }
}

static void on_signal(struct parent *parent, int signal_number)
{
    switch (signal_number) {
    case SIGTERM:
    case SIGINT:
        if (parent->stopping) {
            kill_all(parent, signal_number);
        } else {
            stop(parent, 0);
        }
        break;
    case SIGHUP:
    case SIGUSR1:
        forward(parent, signal_number);
        break;
    case SIGUSR2:
        start_upgrade(parent);
        break;
    default: /* SIGCHLD: reaped every turn */
        break;
    }
}

static void read_signals(struct parent *parent)
{
    struct signalfd_siginfo info;
    while (read(parent->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        on_signal(parent, (int)info.ssi_signo);
    }
}

/* Words for a wait status, in a static buffer. */
static const char *ending(int status)
{
    static char words[96];
    if (WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        snprintf(words, sizeof(words), "signal %d, %s", WTERMSIG(status), name ? name : "unknown");
    } else {
        snprintf(words, sizeof(words), "exit code %d", WEXITSTATUS(status));
    }
    return words;
}

static void on_crash(struct parent *parent, const struct child *child, int status)
{
    uint64_t now_ms = parent_now_ms();
    if (now_ms - child->started_ms >= parent->limits->steady_ms) {
        parent->crashes = 0;
    }
    uint64_t wait_ms = 0;
    if (parent->crashes > 0) {
        uint32_t shift = parent->crashes - 1 < 16 ? parent->crashes - 1 : 16;
        wait_ms = (uint64_t)parent->limits->backoff_ms << shift;
    }
    if (wait_ms > parent->limits->backoff_max_ms) {
        wait_ms = parent->limits->backoff_max_ms;
    }
    parent->crashes++;
    parent_say("process %d crashed (%s); its sockets stay open, starting anew in %llu ms",
               (int)child->pid, ending(status), (unsigned long long)wait_ms);
    parent->restart_ms = now_ms + wait_ms;
}

static void on_current_exit(struct parent *parent, const struct child *child, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (parent->stopping) {
        bool our_signal = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
        if (!parent->killed && !our_signal && code != 0) {
            parent_say("process %d did not end well (%s)", (int)child->pid, ending(status));
            parent->exit_code = code;
        }
    } else if (WIFEXITED(status) && ((child->draining && code == 0) || !parent->was_ready)) {
        stop(parent, code);
    } else {
        on_crash(parent, child, status);
    }
}

static void on_exit_of(struct parent *parent, struct child *slot, int status)
{
    child_read(parent, slot); /* its last words, "draining" perhaps */
    struct child child = *slot;
    if (child.fd >= 0) {
        close(child.fd);
    }
    *slot = (struct child){ 0 };
    if (child.role == CHILD_CURRENT) {
        on_current_exit(parent, &child, status);
    } else if (child.role == CHILD_NEXT) {
        child_forget_sockets(parent, child.pid);
        if (!parent->stopping) {
            parent_say("upgrade failed: %s ended before it was ready (%s); process %d goes on",
                       parent->path, ending(status),
                       child_find(parent, CHILD_CURRENT) ? child_find(parent, CHILD_CURRENT)->pid
                                                         : 0);
        }
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        parent_say("process %d did not drain well (%s)", (int)child.pid, ending(status));
    }
}

static void reap(struct parent *parent)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < CHILDREN_MAX; i++) {
            if (parent->children[i].pid == pid) {
                on_exit_of(parent, &parent->children[i], status);
            }
        }
    }
}

static void check_times(struct parent *parent)
{
    uint64_t now_ms = parent_now_ms();
    if (parent->restart_ms != 0 && now_ms >= parent->restart_ms) {
        start_current(parent);
    }
    struct child *next = child_find(parent, CHILD_NEXT);
    if (next != NULL && !next->asked && now_ms >= parent->ready_due_ms) {
        parent_say("upgrade: %s was not ready within %u ms", parent->path,
                   parent->limits->ready_ms);
        next->asked = true;
        kill(next->pid, SIGKILL);
    }
}

static int time_to_wait(struct parent *parent)
{
    uint64_t due_ms = parent->restart_ms != 0 ? parent->restart_ms : UINT64_MAX;
    struct child *next = child_find(parent, CHILD_NEXT);
    if (next != NULL && !next->asked && parent->ready_due_ms < due_ms) {
        due_ms = parent->ready_due_ms;
    }
    if (due_ms == UINT64_MAX) {
        return -1;
    }
    uint64_t now_ms = parent_now_ms();
    return due_ms <= now_ms ? 0 : (int)(due_ms - now_ms);
}

struct image {
    uintptr_t page;
    uintptr_t vdso; /* the kernel's own: not to be touched */
};

/* Code and constants are on disk: pages of them that this process touched once need not stay. Calls
 * as little as it can, since each call brings pages back. */
static int give_back(struct dl_phdr_info *info, size_t size, void *owner)
{
    const struct image *image = owner;
    if (info->dlpi_addr == image->vdso) {
        return 0;
    }
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0) {
            uintptr_t start = (info->dlpi_addr + part->p_vaddr) & ~(image->page - 1);
            uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(image->page - 1);
            madvise((void *)start, end - start, MADV_DONTNEED);
        }
    }
    return 0;
}

static int wait_for_events(struct pollfd *events, nfds_t count, int wait_ms)
{
    struct image image = { .page = getauxval(AT_PAGESZ), .vdso = getauxval(AT_SYSINFO_EHDR) };
    dl_iterate_phdr(give_back, &image);
    return poll(events, count, wait_ms);
}

static bool has_children(const struct parent *parent)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (parent->children[i].pid > 0) {
            return true;
        }
    }
    return false;
}

static void turn(struct parent *parent)
{
    struct pollfd events[CHILDREN_MAX + 1];
    struct child *owners[CHILDREN_MAX + 1];
    nfds_t count = 0;
    events[count++] = (struct pollfd){ .fd = parent->signals, .events = POLLIN };
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &parent->children[i];
        if (child->pid > 0 && child->fd >= 0) {
            short wanted = child_wants_write(child) ? POLLIN | POLLOUT : POLLIN;
            owners[count] = child;
            events[count++] = (struct pollfd){ .fd = child->fd, .events = wanted };
        }
    }
    if (wait_for_events(events, count, time_to_wait(parent)) > 0) {
        for (nfds_t i = 1; i < count; i++) {
            if (events[i].revents != 0) {
                child_push(parent, owners[i]);
                child_read(parent, owners[i]);
            }
        }
        read_signals(parent);
    }
    reap(parent);
    check_times(parent);
}

static void resolve_path(struct parent *parent)
{
    ssize_t size = readlink("/proc/self/exe", parent->path, sizeof(parent->path) - 1);
    if (size <= 0) {
        snprintf(parent->path, sizeof(parent->path), "%s", parent->argv[0]);
    }
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int parent_run(char **argv, const struct parent_limits *limits)
{
    struct parent *parent = &the_parent;
    parent->limits = limits ? limits : &parent_default_limits;
    parent->argv = argv;
    if (!open_signals(parent)) {
        return 1;
    }
    raise_descriptors();
    if (parent_restore(parent)) {
        parent->was_ready = true;
        notify_ready();
    } else {
        resolve_path(parent);
    }
    if (child_find(parent, CHILD_CURRENT) == NULL) {
        start_current(parent);
    }
    while (has_children(parent) || parent->restart_ms != 0) {
        turn(parent);
        if (parent->reexec && !parent->stopping) {
            parent_reexec(parent);
        }
        parent->reexec = false;
    }
    return parent->exit_code;
}
