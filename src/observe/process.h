/* What this process costs: memory, descriptors, processor time. For /memory and as the process_*
 * metrics every Prometheus client library has. */
#pragma once

#include "base/metric.h"

struct process_stats {
    uint64_t rss_bytes;
    uint64_t anonymous_bytes; /* of them neither file nor shared memory */
    uint64_t cpu_ns;          /* user and system */
    uint64_t open_fds;
    uint64_t max_fds;
};

struct process_metrics {
    struct metric_series *rss;
    struct metric_series *cpu;
    struct metric_series *open_fds;
    struct metric_series *max_fds;
};

/* What cannot be read is 0. */
void process_read(struct process_stats *out_stats);
/* Registers the metrics, looked up at each scrape; process_start_time_seconds is now. */
void process_metrics_start(struct process_metrics *process, struct metrics *metrics);
