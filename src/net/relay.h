/* Moves bytes from one transport to another with splice(2) through a pooled pipe (decision 20), for
 * large bodies and tunnels between plain sockets. One relay is one direction. */
#pragma once

#include "net/transport.h"

struct relay {
    int pipe[2];     /* -1 while none */
    size_t held;     /* bytes in the pipe */
    size_t capacity; /* of the pipe */
    uint64_t moved;  /* bytes delivered since relay_open */
};

enum relay_result {
    RELAY_BLOCKED, /* wait for the source to be readable or the sink writable */
    RELAY_END,     /* source ended and everything was delivered */
    RELAY_DONE,    /* the limit was reached and everything was delivered */
    RELAY_SOURCE_FAILED,
    RELAY_SINK_FAILED,
};

/* Pipes are pooled per thread (at most 64 kept). False: no pipe of a useful size to be had; copy
 * instead. The first call makes the process ignore SIGPIPE, which splice(2) cannot be told to
 * omit. */
bool relay_open(struct relay *relay);
void relay_close(struct relay *relay);
/* Moves until it would block; at most `limit` bytes in all (UINT64_MAX: until end). Both transports
 * must have a descriptor. After 1 MiB it answers RELAY_BLOCKED with the source told to fire
 * on_ready in the next turn, so that one fast stream does not starve the others. */
enum relay_result relay_run(struct relay *relay, struct transport *source, struct transport *sink,
                            uint64_t limit);
