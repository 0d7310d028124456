/* The parent's children: starting them, handing them the kept sockets, hearing what they say.
 * Sends never block: what does not fit is sent when poll says so. */
#include "cli/parent_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE_MAX (PARENT_KEY_MAX + 16)

/* Room for one descriptor beside a packet, aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

struct child *child_find(struct parent *parent, enum child_role role)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (parent->children[i].pid > 0 && parent->children[i].role == role) {
            return &parent->children[i];
        }
    }
    return NULL;
}

/* In the new process: nothing of the parent but the link is left over. */
static void become_child(char **argv, int fd, const char *path) __attribute__((noreturn));
static void become_child(char **argv, int fd, const char *path)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN); /* a terminal sends it to both; the parent decides */
    fcntl(fd, F_SETFD, 0);
    char number[16];
    snprintf(number, sizeof(number), "%d", fd);
    setenv(PARENT_FD_VARIABLE, number, 1);
    unsetenv(PARENT_UPGRADE_VARIABLE);
    unsetenv("NOTIFY_SOCKET");
    execv(path, argv);
    parent_say("cannot execute %s: errno %d (%s)", path, errno, strerrordesc_np(errno));
    _exit(127);
}

static struct child *free_slot(struct parent *parent)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (parent->children[i].pid == 0) {
            return &parent->children[i];
        }
    }
    return NULL;
}

struct child *child_spawn(struct parent *parent, enum child_role role, const char *path)
{
    struct child *child = free_slot(parent);
    if (child == NULL) {
        parent_say("%d processes still drain: no room for another", CHILDREN_MAX);
        return NULL;
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        parent_say("socketpair: %s", strerrordesc_np(errno));
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_child(parent->argv, pair[1], path);
    }
    close(pair[1]);
    if (pid < 0) {
        parent_say("fork: %s", strerrordesc_np(errno));
        close(pair[0]);
        return NULL;
    }
    *child = (struct child){ .pid = pid, .fd = pair[0], .role = role,
                             .started_ms = parent_now_ms() };
    child_push(parent, child);
    return child;
}

/* False: later. Any failure but a full queue means that the child is going away. */
static bool send_packet(struct child *child, const char *text, int fd)
{
    struct iovec part = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
    union control control;
    memset(&control, 0, sizeof(control));
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(child->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    /* ETOOMANYREFS: the child has not yet fetched the descriptors that are on their way. */
    return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ETOOMANYREFS);
}

static bool hand_sockets(struct parent *parent, struct child *child)
{
    for (; child->cursor < parent->kept_count; child->cursor++) {
        const struct kept_socket *kept = &parent->kept[child->cursor];
        char text[MESSAGE_MAX];
        if (kept->key[0] == '\0') {
            continue;
        }
        snprintf(text, sizeof(text), "socket %s", kept->key);
        if (!send_packet(child, text, kept->fd)) {
            return false;
        }
    }
    return send_packet(child, "end", -1);
}

void child_push(struct parent *parent, struct child *child)
{
    if (child->fd < 0) {
        return;
    }
    if (!child->handed) {
        child->handed = hand_sockets(parent, child);
    }
    if (child->handed && child->asked && !child->drain_sent) {
        const char *words = child->role == CHILD_OLD ? "replaced" : "drain";
        child->drain_sent = send_packet(child, words, -1);
    }
}

bool child_wants_write(const struct child *child)
{
    return !child->handed || (child->asked && !child->drain_sent);
}

void child_drain(struct parent *parent, struct child *child)
{
    if (child->asked) {
        return;
    }
    child->asked = true;
    child_push(parent, child);
    if (!child->ready) {
        kill(child->pid, SIGTERM);
    }
}

static struct kept_socket *find_kept(struct parent *parent, const char *key)
{
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        if (strcmp(parent->kept[i].key, key) == 0) {
            return &parent->kept[i];
        }
    }
    return NULL;
}

static void release_kept(struct kept_socket *kept)
{
    close(kept->fd);
    *kept = (struct kept_socket){ .fd = -1 };
}

void child_forget_sockets(struct parent *parent, pid_t owner)
{
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        if (parent->kept[i].key[0] != '\0' && parent->kept[i].owner == owner) {
            release_kept(&parent->kept[i]);
        }
    }
}

void child_forget_late_sockets(struct parent *parent)
{
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        if (parent->kept[i].key[0] != '\0' && parent->kept[i].late) {
            release_kept(&parent->kept[i]);
        }
    }
}

void child_forget_all_sockets(struct parent *parent)
{
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        if (parent->kept[i].key[0] != '\0') {
            release_kept(&parent->kept[i]);
        }
    }
}

static bool key_is_valid(const char *key)
{
    size_t size = strlen(key);
    for (size_t i = 0; i < size; i++) {
        if (key[i] < ' ' || key[i] > '~') {
            return false;
        }
    }
    return size > 0 && size <= PARENT_KEY_MAX;
}

static void keep_socket(struct parent *parent, const struct child *child, const char *key, int fd)
{
    struct kept_socket *kept = find_kept(parent, key);
    if (kept != NULL && child->role == CHILD_NEXT) {
        close(fd); /* the current child still needs the one that is there */
        return;
    }
    if (kept != NULL) {
        release_kept(kept);
    } else {
        kept = find_kept(parent, "");
    }
    if (kept == NULL && parent->kept_count < PARENT_SOCKETS_MAX) {
        kept = &parent->kept[parent->kept_count++];
    }
    if (kept == NULL) {
        parent_say("more than %d listening sockets: %s would not outlive a crash",
                   PARENT_SOCKETS_MAX, key);
        close(fd);
        return;
    }
    const struct child *next = child_find(parent, CHILD_NEXT);
    kept->fd = fd;
    kept->owner = child->pid;
    kept->late = next != NULL && next != child &&
                 (next->handed || (uint32_t)(kept - parent->kept) < next->cursor);
    memcpy(kept->key, key, strlen(key) + 1);
}

/* What a draining child closes, its successor still needs: only the living have a say. */
static void on_message(struct parent *parent, struct child *child, const char *text, int fd)
{
    bool may_change = child->role != CHILD_OLD && !parent->stopping;
    if (strncmp(text, "keep ", 5) == 0 && fd >= 0 && may_change && key_is_valid(text + 5)) {
        keep_socket(parent, child, text + 5, fd);
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (strncmp(text, "drop ", 5) == 0 && child->role == CHILD_CURRENT && text[5] != '\0') {
        struct kept_socket *kept = find_kept(parent, text + 5);
        if (kept != NULL) {
            release_kept(kept);
        }
    } else if (strcmp(text, "ready") == 0) {
        child->ready = true;
        parent_on_ready(parent, child);
    } else if (strcmp(text, "draining") == 0) {
        child->draining = true;
    }
}

static int take_descriptor(struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int fd = -1;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(header), sizeof(int));
    }
    return fd;
}

void child_read(struct parent *parent, struct child *child)
{
    /* After a re-execution is due, what follows is for the new parent to read. */
    while (child->fd >= 0 && !parent->reexec) {
        char text[MESSAGE_MAX + 1];
        union control control;
        struct iovec part = { .iov_base = text, .iov_len = MESSAGE_MAX };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                                  .msg_controllen = sizeof(control.bytes) };
        ssize_t size = recvmsg(child->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && errno == EAGAIN) {
            return;
        }
        if (size <= 0) { /* gone; SIGCHLD tells the rest */
            close(child->fd);
            child->fd = -1;
            return;
        }
        text[size] = '\0';
        on_message(parent, child, text, take_descriptor(&message));
    }
}
