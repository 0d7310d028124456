/* Listening sockets and accepting. */
#pragma once

#include "net/address.h"
#include "net/loop.h"

struct listener {
    struct watch watch;
    struct timer retry; /* runs while descriptors are short */
    struct loop *loop;
    int fd;                 /* -1 once stopped */
    struct address address; /* as bound: a port 0 is resolved */
    bool paused;
    bool stopping; /* the listener's own */
    /* fd is non-blocking, TCP_NODELAY; peer is its remote address. The callee owns fd. */
    void (*on_accept)(struct listener *listener, int fd, const struct address *peer);
};

/* In the error text of listen_tcp for EADDRNOTAVAIL. A refusal crosses the seam as text only, and
 * the control plane tells this case from the others by these words. */
#define LISTEN_NO_SUCH_ADDRESS "no interface of this machine has the address"

/* Creates, binds and listens: non-blocking, SO_REUSEADDR, IPV6_V6ONLY, SO_REUSEPORT when asked.
 * With `probe`, first binds without SO_REUSEPORT so that a port in use elsewhere is an error
 * (decision 2). Returns the descriptor or -1; the errno is in *out_errno for the NACK's text. */
int listen_tcp(const struct address *address, bool reuse_port, bool probe, int *out_errno,
               struct error *error);
/* Accepts from an existing listening descriptor, at most 64 a turn; EMFILE pauses for 100 ms. The
 * descriptor stays the caller's. on_accept may pause or stop the listener, but not free it. */
bool listener_start(struct listener *listener, struct loop *loop, int fd, struct error *error);
void listener_pause(struct listener *listener, bool paused);
/* Accepts what is queued (nothing while paused), then stops watching; does not close the
 * descriptor. */
void listener_stop(struct listener *listener);
