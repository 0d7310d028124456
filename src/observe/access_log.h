/* struct access_log: takes the lines off the workers' rings and writes them to a file or to
 * standard output. Main thread only. Nothing here waits: an output that takes no more (a pipe
 * nobody reads) leaves the lines on the rings, and what then does not fit there is dropped and
 * counted; requests are served as before. Lines are never mixed, not even when a write ends in the
 * middle of one. */
#pragma once

#include "base/error.h"
#include "base/metric.h"
#include "base/ring.h"
#include "net/loop.h"

struct access_log;

/* How long lines may wait on a ring that is not half full. */
#define ACCESS_LOG_DELAY_MS 50

/* path "-": standard output. A file is appended to and created with mode 0640. The rings (one a
 * worker) stay the caller's and outlive the log. Call it before the workers start. Registers
 * weft_access_log_{lines,dropped_lines,lost_lines}_total. NULL with error where it cannot be
 * opened. */
struct access_log *access_log_open(struct loop *loop, struct ring *const *rings, unsigned count,
                                   const char *path, struct metrics *metrics, struct error *error);
/* For SIGUSR1, after the file was renamed. Where it fails, writing goes on to the old file. */
bool access_log_reopen(struct access_log *log, struct error *error);
/* Looks at the rings now. */
void access_log_drain(struct access_log *log);
/* After the workers have ended and outside the loop's turns: writes what is left, for 200 ms at
 * most, and closes. */
void access_log_close(struct access_log *log);
