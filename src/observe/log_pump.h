/* struct log_pump: writes the workers' operator-log lines (base/log.h) as they come, and once a
 * second tells of suppressed ones while there is something to tell. Main thread only. */
#pragma once

#include "observe/ring_reader.h"

struct log_pump {
    struct ring_reader reader;
    struct timer report;
};

#define LOG_RING_CAPACITY ((size_t)16 * 1024)

/* Before the workers start; each worker then calls log_attach_ring with its ring. The loop keeps a
 * turn-end hook on the pump: it runs no more after log_pump_stop. */
void log_pump_start(struct log_pump *pump, struct loop *loop, struct ring *const *rings,
                    unsigned count);
/* After the workers have ended: writes what is left as far as stderr takes it. */
void log_pump_stop(struct log_pump *pump);
