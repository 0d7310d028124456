/* The operator log of workers. A site's suppressed lines are told when its second is over: the
 * timer runs after lines came from a worker, and after a turn in which main suppressed some. */
#include "observe/log_pump.h"

#include "base/log.h"

#define REPORT_MS 1000

static void start_report(struct log_pump *pump)
{
    if (!timer_is_running(&pump->report)) {
        timer_start(pump->reader.loop, &pump->report, REPORT_MS);
    }
}

static void on_report(struct timer *timer)
{
    struct log_pump *pump = list_owner(timer, struct log_pump, report);
    if (log_report_suppressed()) {
        start_report(pump);
    }
}

static void on_turn_end(void *owner)
{
    if (log_has_suppressed()) {
        start_report(owner);
    }
}

static enum drained on_drain(struct ring_reader *reader, unsigned index)
{
    struct log_pump *pump = list_owner(reader, struct log_pump, reader);
    if (ring_fill(reader->rings[index]) > 0) {
        start_report(pump);
    }
    return log_drain(reader->rings[index]) ? DRAINED_ALL : DRAINED_BLOCKED;
}

void log_pump_start(struct log_pump *pump, struct loop *loop, struct ring *const *rings,
                    unsigned count)
{
    timer_init(&pump->report, on_report);
    ring_reader_start(&pump->reader, loop, rings, count, 0, on_drain);
    loop_on_turn_end(loop, on_turn_end, pump);
}

void log_pump_stop(struct log_pump *pump)
{
    ring_reader_stop(&pump->reader);
    timer_stop(&pump->report);
    for (unsigned i = 0; i < pump->reader.count; i++) {
        log_drain(pump->reader.rings[i]);
    }
    log_report_suppressed();
}
