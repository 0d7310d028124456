/* The child's end of the conversation with the small parent (cli/parent.h). Without a parent every
 * call is a no-op that succeeds, so the callers need not tell. For the main thread.
 *
 * A child under a parent leaves SIGINT alone (it is ignored on start: a terminal sends it to both)
 * and treats SIGTERM and on_drain as the same wish, however often it is told: only the parent
 * kills. */
#pragma once

#include "base/array.h"
#include "base/text.h"
#include "cli/parent.h"
#include "net/loop.h"

struct parent_socket {
    int fd; /* owned until taken */
    char key[PARENT_KEY_MAX + 1];
};

struct parent_link {
    struct watch watch;
    struct loop *loop;
    int fd; /* -1: no parent */
    ARRAY_OF(struct parent_socket) sockets;
    void *owner;                                /* the caller's */
    void (*on_drain)(struct parent_link *link); /* asked to drain, or the parent is gone; once */
    bool replaced; /* on_drain's reason: another process already accepts from the same sockets */
};

/* Whether this process is the child of a parent; asked by main before parent_link_open. */
bool parent_link_present(void);
/* Receives the kept sockets; waits at most 5 s for them. Set owner and on_drain afterwards. */
bool parent_link_open(struct parent_link *link, struct error *error);
/* Closes sockets nobody took and the link itself. */
void parent_link_close(struct parent_link *link);
/* From now on on_drain is called from this loop. */
bool parent_link_watch(struct parent_link *link, struct loop *loop, struct error *error);

/* The kept socket of this key, now the caller's, or -1. Keys are the caller's words, for example
 * "tcp 127.0.0.1:8080 worker 0". */
int parent_link_take(struct parent_link *link, struct text key);
/* Any kept socket nobody has taken yet, or -1; its key goes to out_key. For sockets of listeners or
 * workers there are no longer: accept what is queued in it, close it, then parent_link_drop. */
int parent_link_take_any(struct parent_link *link, char out_key[PARENT_KEY_MAX + 1]);
/* Gives the parent a copy; a socket that was taken need not be given again. The same key
 * replaces. */
bool parent_link_keep(struct parent_link *link, struct text key, int fd);
/* The parent closes its copy. */
void parent_link_drop(struct parent_link *link, struct text key);
/* All listeners serve. Sockets nobody took are closed and dropped. Say it again after each SIGHUP
 * reload: systemd waits for it. */
void parent_link_ready(struct parent_link *link);
/* The child has begun to drain: its exit will be no crash. */
void parent_link_draining(struct parent_link *link);
