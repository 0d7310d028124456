/* The parent's state on its way through execve: text lines in a memfd, the descriptors inherited.
 * The reader may be a newer or an older version: unknown lines are skipped.
 *   path PATH | kept FD OWNER KEY | child PID FD ROLE READY ASKED                              */
#include "cli/parent_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_MAX_SIZE (PATH_MAX + 16)

static void set_inherited(const struct parent *parent, bool inherited)
{
    int flags = inherited ? 0 : FD_CLOEXEC;
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        if (parent->kept[i].key[0] != '\0') {
            fcntl(parent->kept[i].fd, F_SETFD, flags);
        }
    }
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (parent->children[i].pid > 0 && parent->children[i].fd >= 0) {
            fcntl(parent->children[i].fd, F_SETFD, flags);
        }
    }
}

static void write_line(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void write_line(int fd, const char *format, ...)
{
    char line[LINE_MAX_SIZE];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    if (size > 0 && write(fd, line, (size_t)size) != size) {
        parent_say("upgrade: cannot write the state: %s", strerrordesc_np(errno));
    }
}

static void save(const struct parent *parent, int fd)
{
    write_line(fd, "path %s\n", parent->path);
    for (uint32_t i = 0; i < parent->kept_count; i++) {
        const struct kept_socket *kept = &parent->kept[i];
        if (kept->key[0] != '\0') {
            write_line(fd, "kept %d %d %s\n", kept->fd, (int)kept->owner, kept->key);
        }
    }
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &parent->children[i];
        if (child->pid > 0) {
            write_line(fd, "child %d %d %d %d %d\n", (int)child->pid, child->fd, (int)child->role,
                       child->ready, child->asked);
        }
    }
}

void parent_reexec(struct parent *parent)
{
    int fd = memfd_create("weft-parent", 0);
    if (fd < 0) {
        parent_say("upgrade: the parent stays the old binary: %s", strerrordesc_np(errno));
        return;
    }
    save(parent, fd);
    lseek(fd, 0, SEEK_SET);
    char number[16];
    snprintf(number, sizeof(number), "%d", fd);
    setenv(PARENT_UPGRADE_VARIABLE, number, 1);
    set_inherited(parent, true);
    execv(parent->path, parent->argv);
    parent_say("upgrade: the parent stays the old binary: cannot execute %s: %s", parent->path,
               strerrordesc_np(errno));
    set_inherited(parent, false);
    unsetenv(PARENT_UPGRADE_VARIABLE);
    close(fd);
}

/* Takes a number and the blank behind it off the line. */
static int next_number(const char **line)
{
    char *end;
    long value = strtol(*line, &end, 10);
    *line = *end == ' ' ? end + 1 : end;
    return (int)value;
}

static void restore_kept(struct parent *parent, const char *line)
{
    int fd = next_number(&line);
    pid_t owner = next_number(&line);
    size_t size = strlen(line);
    if (size == 0 || size > PARENT_KEY_MAX || parent->kept_count >= PARENT_SOCKETS_MAX) {
        return;
    }
    struct kept_socket *kept = &parent->kept[parent->kept_count++];
    kept->fd = fd;
    kept->owner = owner;
    memcpy(kept->key, line, size + 1);
}

/* "drain" is sent once more where it was asked for: the child hears it once. */
static void restore_child(struct parent *parent, const char *line)
{
    struct child child = { .handed = true, .started_ms = parent_now_ms() };
    child.pid = next_number(&line);
    child.fd = next_number(&line);
    child.role = (enum child_role)next_number(&line);
    child.ready = next_number(&line) != 0;
    child.asked = next_number(&line) != 0;
    for (size_t i = 0; i < CHILDREN_MAX && child.pid > 0; i++) {
        if (parent->children[i].pid == 0) {
            parent->children[i] = child;
            return;
        }
    }
}

static void restore_line(struct parent *parent, const char *line)
{
    if (strncmp(line, "path ", 5) == 0) {
        size_t size = strnlen(line + 5, sizeof(parent->path) - 1);
        memcpy(parent->path, line + 5, size);
        parent->path[size] = '\0';
    } else if (strncmp(line, "kept ", 5) == 0) {
        restore_kept(parent, line + 5);
    } else if (strncmp(line, "child ", 6) == 0) {
        restore_child(parent, line + 6);
    }
}

bool parent_restore(struct parent *parent)
{
    const char *number = getenv(PARENT_UPGRADE_VARIABLE);
    if (number == NULL) {
        return false;
    }
    int fd = (int)strtol(number, NULL, 10);
    unsetenv(PARENT_UPGRADE_VARIABLE);
    char line[LINE_MAX_SIZE];
    size_t size = 0;
    char byte;
    while (read(fd, &byte, 1) == 1) {
        if (byte == '\n') {
            line[size] = '\0';
            restore_line(parent, line);
            size = 0;
        } else if (size < sizeof(line) - 1) {
            line[size++] = byte;
        }
    }
    close(fd);
    set_inherited(parent, false);
    return true;
}
