/* Metrics: families of counters, gauges and histograms with labels. Everybody records here; only
 * observe exports.
 *
 * Every thread that records owns a shard: workers 0..N-1, and METRIC_MAIN for the main thread. A
 * shard holds its own series, found by label values in the owner's hash table and published to the
 * reader by appending; recording is a relaxed 64-bit load and store, no lock, no hashing. The
 * caller keeps the handle (`metric_take`) in a table of its own, e.g. per route, method and status
 * class, and gives it back when that table dies. The reader (main thread only) sums the shards.
 *
 * A shard of a family holds at most `cap` series; past it every new set of label values shares the
 * series whose values are all "overflow", and weft_metric_overflow_total{metric} counts it. Series
 * that nobody holds and that have not changed in METRIC_EXPIRE_MS on any shard are no longer shown
 * and their slots are used again, so reload churn does not fill the cap. */
#pragma once

#include "base/text.h"

#include <stdatomic.h>
#include <stdint.h>

struct metrics;
struct metric_family;

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_COUNTER_NS, /* a counter of nanoseconds, shown in seconds */
};

#define METRIC_LABELS_MAX      12
#define METRIC_CAP_DEFAULT     2000
#define METRIC_WORKERS_MAX     256
#define METRIC_MAIN            METRIC_WORKERS_MAX /* the main thread's shard */
#define METRIC_LABEL_VALUE_MAX 256                /* bytes; longer values are cut */
#define METRIC_EXPIRE_MS       (10u * 60 * 1000)
/* Of histograms: 0.005 ... 10 seconds, OpenTelemetry's advice for HTTP. */
#define METRIC_BOUNDS 14
extern const uint64_t metric_bounds_ns[METRIC_BOUNDS];

/* Literals of process lifetime. name as Prometheus spells it, counters ending in _total, histograms
 * of durations in _seconds. */
struct metric_definition {
    enum metric_kind kind;
    const char *name;
    const char *help;
    const char *labels[METRIC_LABELS_MAX + 1]; /* NULL-terminated */
    unsigned cap;                              /* 0: METRIC_CAP_DEFAULT */
};

/* One time series of one shard. The cells are public for the inline functions only. */
struct metric_series {
    struct metric_series *next;  /* of the shard, immutable once published */
    struct metric_series *chain; /* the owner's hash chain */
    struct metric_family *family;
    char *values; /* label values, each with its NUL; written by the owner while not shown */
    uint64_t hash;
    uint32_t values_size;
    uint32_t values_capacity;
    _Atomic int32_t holds;    /* >= 0: live; below: see metric.c */
    uint64_t seen;            /* the reader's: sum of the cells when last changed */
    uint64_t changed_ms;      /* the reader's */
    _Atomic uint64_t cells[]; /* one; histograms: METRIC_BOUNDS + 1 counts, then the sum in ns */
};

/* Process lifetime. */
struct metrics *metrics_new(unsigned workers);
/* All recording must have ended. */
void metrics_free(struct metrics *metrics);
/* By the main thread at any time. The same name again (it must be the same kind) returns the family
 * that exists. Definitions must outlive the registry. */
struct metric_family *metric_register(struct metrics *metrics,
                                      const struct metric_definition *definition);

/* The series with these label values (as many as the family has labels, in their order) of this
 * shard, made on first use (only then it allocates); never NULL. By the shard's owner only. */
struct metric_series *metric_take(struct metric_family *family, unsigned worker,
                                  const struct text *values);
/* From any thread, once per take; the handle is then dead. NULL is allowed. */
void metric_give(struct metric_series *series);

/* By the shard's owner. */
static inline void metric_cell_add(struct metric_series *series, unsigned cell, uint64_t n)
{
    uint64_t value = atomic_load_explicit(&series->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&series->cells[cell], value + n, memory_order_relaxed);
}

/* Counters and gauges; a gauge takes negative numbers too. */
static inline void metric_add(struct metric_series *series, int64_t n)
{
    metric_cell_add(series, 0, (uint64_t)n);
}

/* The shard's part of the sum: gauges, and counters that are counted elsewhere. */
static inline void metric_set(struct metric_series *series, int64_t value)
{
    atomic_store_explicit(&series->cells[0], (uint64_t)value, memory_order_relaxed);
}

static inline void histogram_observe(struct metric_series *series, uint64_t ns)
{
    unsigned cell = 0;
    while (cell < METRIC_BOUNDS && ns > metric_bounds_ns[cell]) {
        cell++;
    }
    metric_cell_add(series, cell, 1);
    metric_cell_add(series, METRIC_BOUNDS + 1, ns);
}

/* --- the reader: main thread only --- */

struct metric_sample {
    const struct text *values; /* one per label */
    int64_t value;             /* counters and gauges */
    uint64_t counts[METRIC_BOUNDS + 1]; /* histograms: not cumulative; the last is +Inf */
    uint64_t sum_ns;
};

struct metric_visitor {
    /* Families in the order of their names; label count is in *labels. */
    void (*on_family)(void *owner, const struct metric_definition *definition, unsigned labels);
    /* Series summed over shards, in the order of their label values. */
    void (*on_sample)(void *owner, const struct metric_definition *definition, unsigned labels,
                      const struct metric_sample *sample);
    void *owner;
};

/* Families without series are not visited. Runs the on_read hooks first. */
void metrics_read(struct metrics *metrics, const struct metric_visitor *visitor);
/* Called before each read, for values that are looked up rather than counted (metric_set on the
 * shard METRIC_MAIN). At most 16. */
void metrics_on_read(struct metrics *metrics, void (*on_read)(void *owner), void *owner);
/* No more for this owner. */
void metrics_off_read(struct metrics *metrics, void *owner);
/* The maintenance above; call it about once a minute. */
void metrics_expire(struct metrics *metrics, uint64_t now_ms);
/* Series of all shards, and the bytes they take. */
size_t metrics_count(const struct metrics *metrics, size_t *out_bytes);
