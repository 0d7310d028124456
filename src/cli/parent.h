/* The small parent process of `weft run` (decisions 1 and 2): it starts one child that does the
 * work, keeps a copy of every listening socket so that a crash refuses no connect, restarts a
 * crashed child, and hands the sockets to a new binary on SIGUSR2. Called by main before anything
 * is initialised; one thread, no heap, no library. The child's end is cli/parent_link.
 *
 * Signals: SIGTERM and SIGINT drain (the second kills at once), SIGHUP and SIGUSR1 go on to the
 * child, SIGUSR2 upgrades. systemd hears READY, RELOADING and STOPPING through NOTIFY_SOCKET.
 *
 * Upgrade: the new binary is first started as a second child, from the path this process was
 * started from. When that says "ready", the old child is told that it is replaced (it drains, and
 * leaves the sockets alone at once) and the parent executes the new binary in its own place (same
 * pid). When it does not become ready in time, or cannot be executed, it is killed, an error is
 * logged and everything stays as it was.
 *
 * The conversation is text over SOCK_SEQPACKET, one message a packet, a descriptor beside it where
 * one is named:
 *   parent -> child   "socket KEY" +fd ...   "end"   "drain" or "replaced"
 *   child -> parent   "keep KEY" +fd   "drop KEY"   "ready"   "draining"                       */
#pragma once

#include <stdint.h>

#define PARENT_KEY_MAX     96   /* bytes of a KEY; printable ASCII and spaces */
#define PARENT_SOCKETS_MAX 4096 /* kept at once; further ones are not kept, and logged */

/* Environment of a child: the descriptor of its end of the socket pair. */
#define PARENT_FD_VARIABLE "WEFT_PARENT_FD"
/* Environment of a re-executed parent: the descriptor its state is read from. */
#define PARENT_UPGRADE_VARIABLE "WEFT_UPGRADE"

struct parent_limits {
    uint32_t ready_ms;       /* a new binary must be ready within; default 10,000 */
    uint32_t backoff_ms;     /* wait before the second restart, then doubled; default 50 */
    uint32_t backoff_max_ms; /* default 5,000 */
    uint32_t steady_ms;      /* a child that lived this long starts the count anew; default 500 */
};

extern const struct parent_limits parent_default_limits;

/* Runs until the work is over; returns the exit code for main. The child is started with the same
 * arguments; argv must stay as it is. A child that exits by itself with a code before any was ready
 * ends the parent with that code (usage errors, bad configuration); later, any exit that nobody
 * asked for is a crash. limits NULL: the defaults. */
int parent_run(char **argv, const struct parent_limits *limits);
