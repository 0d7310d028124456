/* The child's end of the conversation with the small parent. The socket stays blocking: the parent
 * always reads, and a second of patience covers a busy machine. */
#include "cli/parent_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE_MAX (PARENT_KEY_MAX + 16)

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool parent_link_present(void)
{
    return getenv(PARENT_FD_VARIABLE) != NULL;
}

/* One message: its size, 0 when the parent is gone, -1 with errno. *out_fd: -1 or the caller's. */
static ssize_t receive(int link, char text[MESSAGE_MAX + 1], int flags, int *out_fd)
{
    union control control;
    struct iovec part = { .iov_base = text, .iov_len = MESSAGE_MAX };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    ssize_t size;
    do {
        size = recvmsg(link, &message, flags | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    *out_fd = -1;
    if (size <= 0) {
        return size;
    }
    text[size] = '\0';
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(out_fd, CMSG_DATA(header), sizeof(int));
    }
    return size;
}

static bool send_message(struct parent_link *link, const char *verb, struct text key, int fd)
{
    if (link->fd < 0) {
        return true;
    }
    if (key.size > PARENT_KEY_MAX) {
        return false;
    }
    char text[MESSAGE_MAX];
    int size = snprintf(text, sizeof(text), "%s%s%.*s", verb, key.size > 0 ? " " : "",
                        TEXT_ARG(key));
    struct iovec part = { .iov_base = text, .iov_len = (size_t)size };
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
        sent = sendmsg(link->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static void set_patience(int fd, int seconds)
{
    struct timeval patience = { .tv_sec = seconds };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    patience.tv_sec = 1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static bool receive_sockets(struct parent_link *link, struct error *error)
{
    for (;;) {
        char text[MESSAGE_MAX + 1];
        int fd;
        ssize_t size = receive(link->fd, text, 0, &fd);
        if (size == 0) {
            return error_set(error, "the parent process is gone");
        }
        if (size < 0) {
            return error_errno(error, errno, "no word from the parent process");
        }
        if (strcmp(text, "end") == 0) {
            return true;
        }
        if (strncmp(text, "socket ", 7) == 0 && fd >= 0 && strlen(text + 7) <= PARENT_KEY_MAX) {
            struct parent_socket *kept = array_add(&link->sockets);
            kept->fd = fd;
            memcpy(kept->key, text + 7, strlen(text + 7) + 1);
        } else if (fd >= 0) {
            close(fd);
        }
    }
}

bool parent_link_open(struct parent_link *link, struct error *error)
{
    *link = (struct parent_link){ .fd = -1, .watch.fd = -1 };
    const char *number = getenv(PARENT_FD_VARIABLE);
    if (number == NULL) {
        return true;
    }
    uint64_t fd;
    if (!text_parse_u64(text_from_string(number), INT32_MAX, &fd)) {
        return error_set(error, "%s=%s is no descriptor: leave that variable to weft",
                         PARENT_FD_VARIABLE, number);
    }
    unsetenv(PARENT_FD_VARIABLE); /* not for processes this one starts */
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
        return error_set(error, "%s=%d is not the socket of a parent process: leave that variable "
                         "to weft", PARENT_FD_VARIABLE, (int)fd);
    }
    link->fd = (int)fd;
    fcntl(link->fd, F_SETFD, FD_CLOEXEC);
    set_patience(link->fd, 5);
    return receive_sockets(link, error);
}

void parent_link_close(struct parent_link *link)
{
    for (size_t i = 0; i < link->sockets.count; i++) {
        if (link->sockets.items[i].fd >= 0) {
            close(link->sockets.items[i].fd);
        }
    }
    array_free(&link->sockets);
    if (link->loop != NULL) {
        loop_unwatch(link->loop, &link->watch);
        link->loop = NULL;
    }
    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
}

static void wish_to_drain(struct parent_link *link)
{
    void (*on_drain)(struct parent_link *) = link->on_drain;
    link->on_drain = NULL;
    if (on_drain != NULL) {
        on_drain(link);
    }
}

static void on_ready(struct watch *watch, unsigned ready)
{
    struct parent_link *link = list_owner(watch, struct parent_link, watch);
    char text[MESSAGE_MAX + 1];
    int fd;
    ssize_t size = receive(link->fd, text, MSG_DONTWAIT, &fd);
    if (fd >= 0) {
        close(fd);
    }
    if (size > 0) {
        link->replaced = strcmp(text, "replaced") == 0;
        if (link->replaced || strcmp(text, "drain") == 0) {
            wish_to_drain(link);
        }
        return;
    }
    if (size == 0 || errno != EAGAIN) { /* without a parent nobody would end this process */
        loop_unwatch(link->loop, &link->watch);
        link->loop = NULL;
        close(link->fd);
        link->fd = -1;
        wish_to_drain(link);
    }
}

bool parent_link_watch(struct parent_link *link, struct loop *loop, struct error *error)
{
    if (link->fd < 0) {
        return true;
    }
    link->watch.on_ready = on_ready;
    if (!loop_watch_level(loop, &link->watch, link->fd, error)) {
        return false;
    }
    link->loop = loop;
    return true;
}

int parent_link_take(struct parent_link *link, struct text key)
{
    for (size_t i = 0; i < link->sockets.count; i++) {
        struct parent_socket *kept = &link->sockets.items[i];
        if (kept->fd >= 0 && text_equal(text_from_string(kept->key), key)) {
            int fd = kept->fd;
            kept->fd = -1;
            return fd;
        }
    }
    return -1;
}

int parent_link_take_any(struct parent_link *link, char out_key[PARENT_KEY_MAX + 1])
{
    for (size_t i = 0; i < link->sockets.count; i++) {
        struct parent_socket *kept = &link->sockets.items[i];
        if (kept->fd >= 0) {
            int fd = kept->fd;
            kept->fd = -1;
            memcpy(out_key, kept->key, sizeof(kept->key));
            return fd;
        }
    }
    return -1;
}

bool parent_link_keep(struct parent_link *link, struct text key, int fd)
{
    return send_message(link, "keep", key, fd);
}

void parent_link_drop(struct parent_link *link, struct text key)
{
    send_message(link, "drop", key, -1);
}

/* First the word, then the drops: a parent in the midst of an upgrade honours drops only from a
 * child that is ready. */
void parent_link_ready(struct parent_link *link)
{
    send_message(link, "ready", TEXT(""), -1);
    char key[PARENT_KEY_MAX + 1];
    int fd;
    while ((fd = parent_link_take_any(link, key)) >= 0) {
        close(fd);
        parent_link_drop(link, text_from_string(key));
    }
    array_free(&link->sockets);
}

void parent_link_draining(struct parent_link *link)
{
    send_message(link, "draining", TEXT(""), -1);
}
