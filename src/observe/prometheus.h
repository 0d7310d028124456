/* Prometheus text exposition, version 0.0.4, of everything in a registry. Families come in the
 * order of their names and series in the order of their label values, so two scrapes differ only in
 * numbers. Durations are seconds. Main thread only. */
#pragma once

#include "base/buffer.h"
#include "base/metric.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends to `out`. Runs the registry's on_read hooks. */
void prometheus_format(struct metrics *metrics, struct buffer *out);
