/* What the small parent knows, shared by its three files: parent.c (events and decisions),
 * parent_child.c (starting, talking and listening to children), parent_upgrade.c (the state on its
 * way through execve). One static instance, owned by parent_run. */
#pragma once

#include "cli/parent.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILDREN_MAX 16

enum child_role {
    CHILD_CURRENT, /* does the work */
    CHILD_NEXT,    /* of a new binary, not yet ready */
    CHILD_OLD,     /* drains */
};

struct child {
    pid_t pid; /* 0: free slot */
    int fd;    /* -1 once the child has closed its end */
    enum child_role role;
    bool ready;
    bool asked;      /* to drain, or killed: its exit is no crash */
    bool draining;   /* says so itself */
    bool handed;     /* all sockets and "end" are sent */
    bool drain_sent;
    uint32_t cursor; /* next kept socket to hand */
    uint64_t started_ms;
};

struct kept_socket {
    int fd;
    pid_t owner;                  /* who gave it */
    bool late;                    /* by the current child while a next one was under way */
    char key[PARENT_KEY_MAX + 1]; /* empty: free */
};

struct parent {
    const struct parent_limits *limits;
    char **argv;
    char path[PATH_MAX]; /* of the binary on disk, resolved when this process was first started */
    int signals;
    bool stopping;
    bool killed;      /* by a second signal */
    bool was_ready;   /* some child has been */
    bool reexec;      /* execute the new binary at the end of this turn */
    int exit_code;
    uint32_t crashes; /* in a row */
    uint64_t restart_ms; /* when the current child is to be started; 0: not */
    uint64_t ready_due_ms; /* when the next child must be ready */
    struct child children[CHILDREN_MAX];
    uint32_t kept_count; /* slots in use or freed */
    struct kept_socket kept[PARENT_SOCKETS_MAX];
};

/* A line on stderr; dropped where that would block. */
void parent_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* To systemd, where NOTIFY_SOCKET says so. */
void parent_notify(const char *state);
uint64_t parent_now_ms(void);

/* parent_child.c */
struct child *child_find(struct parent *parent, enum child_role role);
/* Starts `path` with the parent's arguments; NULL (logged) where that fails. */
struct child *child_spawn(struct parent *parent, enum child_role role, const char *path);
/* Sends what is still to be sent; child_wants_write tells whether something is left. */
void child_push(struct parent *parent, struct child *child);
bool child_wants_write(const struct child *child);
/* Reads all messages; on_ready of the caller through parent_on_ready. */
void child_read(struct parent *parent, struct child *child);
/* Asks to drain; one that is not ready yet gets SIGTERM as well. */
void child_drain(struct parent *parent, struct child *child);
/* Closes the sockets which this process gave. */
void child_forget_sockets(struct parent *parent, pid_t owner);
/* Closes all: at the end, when nobody is to be restarted. */
void child_forget_all_sockets(struct parent *parent);
/* Closes the sockets the old child gave after the next one had been handed its own: nobody else
 * would accept from them. The child that serves now binds them itself. */
void child_forget_late_sockets(struct parent *parent);
/* parent.c: a child said "ready". */
void parent_on_ready(struct parent *parent, struct child *child);

/* parent_upgrade.c. Executes parent->path in place of this process; returns only on failure. */
void parent_reexec(struct parent *parent);
/* Takes over the state named by PARENT_UPGRADE_VARIABLE; false where there is none. */
bool parent_restore(struct parent *parent);
