/* The registry of metrics. Who may do what with a series is decided by `holds`:
 *   >= 0     live: shown by the reader; the number of handles given out
 *   RETIRED  set by the reader alone, from 0: no longer shown; only the owner takes it further
 *   BUSY     the owner is giving it new label values or bringing it back to life
 * So the reader never meets changing label values, and the owner never waits for the reader. */
#include "base/metric.h"

#include "base/array.h"
#include "base/ensure.h"
#include "base/hash.h"

#include <stdalign.h>
#include <stdlib.h>

#define RETIRED     (-1)
#define BUSY        (-2)
#define HOOKS_MAX   16
#define KEY_MAX     (METRIC_LABELS_MAX * (METRIC_LABEL_VALUE_MAX + 1))
#define FIRST_TABLE 8

const uint64_t metric_bounds_ns[METRIC_BOUNDS] = { 5000000,    10000000,   25000000,   50000000,
                                                   75000000,   100000000,  250000000,  500000000,
                                                   750000000,  1000000000, 2500000000, 5000000000,
                                                   7500000000, 10000000000 };

/* What one thread has of a family, on cache lines of its own. */
struct shard {
    alignas(64) struct metric_series *_Atomic first; /* all series ever made, newest first */
    _Atomic size_t retired;                          /* slots ready for use again */
    _Atomic size_t count;                            /* series in the list, but the overflow one */
    struct metric_series **table;                    /* the owner's, chained by hash */
    size_t table_size;                               /* 0 or a power of two */
    struct metric_series *sweep;                     /* where the search for a slot goes on */
    struct metric_series *overflow;
    struct metric_series *overflow_count;
};

struct metric_family {
    const struct metric_definition *definition;
    struct metrics *metrics;
    unsigned labels;
    unsigned cells;
    unsigned cap;
    struct shard *shards; /* one a worker, then main's */
};

struct hook {
    void (*on_read)(void *owner);
    void *owner;
};

struct metrics {
    unsigned workers;
    ARRAY_OF(struct metric_family *) families; /* sorted by name */
    struct metric_family *overflow;
    struct hook hooks[HOOKS_MAX];
    unsigned hook_count;
};

static const struct metric_definition overflow_definition = {
    .kind = METRIC_COUNTER,
    .name = "weft_metric_overflow_total",
    .help = "Uses of label values beyond a metric's cap; its series \"overflow\" has them.",
    .labels = { "metric" },
};

struct metrics *metrics_new(unsigned workers)
{
    ensure(workers <= METRIC_WORKERS_MAX);
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    ensure(metrics != NULL);
    metrics->workers = workers;
    metrics->overflow = metric_register(metrics, &overflow_definition);
    return metrics;
}

static void free_family(struct metric_family *family)
{
    for (unsigned i = 0; i <= family->metrics->workers; i++) {
        struct metric_series *series = family->shards[i].first;
        while (series) {
            struct metric_series *next = series->next;
            free(series->values);
            free(series);
            series = next;
        }
        free(family->shards[i].table);
    }
    free(family->shards);
    free(family);
}

void metrics_free(struct metrics *metrics)
{
    for (size_t i = 0; i < metrics->families.count; i++) {
        free_family(metrics->families.items[i]);
    }
    array_free(&metrics->families);
    free(metrics);
}

static struct metric_family *family_new(struct metrics *metrics,
                                        const struct metric_definition *definition)
{
    struct metric_family *family = calloc(1, sizeof(*family));
    ensure(family != NULL);
    family->definition = definition;
    family->metrics = metrics;
    family->cap = definition->cap ? definition->cap : METRIC_CAP_DEFAULT;
    family->cells = definition->kind == METRIC_HISTOGRAM ? METRIC_BOUNDS + 2 : 1;
    while (definition->labels[family->labels]) {
        family->labels++;
    }
    ensure(family->labels <= METRIC_LABELS_MAX);
    size_t size = sizeof(struct shard) * (metrics->workers + 1);
    family->shards = aligned_alloc(alignof(struct shard), size);
    ensure(family->shards != NULL);
    memset(family->shards, 0, size);
    return family;
}

struct metric_family *metric_register(struct metrics *metrics,
                                      const struct metric_definition *definition)
{
    size_t at = 0;
    for (; at < metrics->families.count; at++) {
        struct metric_family *other = metrics->families.items[at];
        int order = strcmp(other->definition->name, definition->name);
        if (order == 0) {
            ensure(other->definition->kind == definition->kind);
            return other;
        }
        if (order > 0) {
            break;
        }
    }
    struct metric_family *family = family_new(metrics, definition);
    (void)array_add(&metrics->families);
    struct metric_family **place = metrics->families.items + at;
    memmove(place + 1, place, sizeof(struct metric_family *) * (metrics->families.count - 1 - at));
    *place = family;
    return family;
}

/* --- the owner's side --- */

/* Label values back to back, each with its NUL. */
static size_t join_values(const struct text *values, unsigned labels, char key[KEY_MAX])
{
    size_t size = 0;
    for (unsigned i = 0; i < labels; i++) {
        struct text value = text_first(values[i], METRIC_LABEL_VALUE_MAX);
        if (value.size > 0) {
            memcpy(key + size, value.at, value.size);
        }
        for (size_t nul = 0; (nul += text_find_byte(text_from(value, nul), '\0')) < value.size;) {
            key[size + nul] = '?'; /* the byte that separates values */
            nul++;
        }
        size += value.size;
        key[size++] = '\0';
    }
    return size;
}

static void table_grow(struct shard *shard)
{
    size_t size = shard->table_size ? shard->table_size * 2 : FIRST_TABLE;
    struct metric_series **table = calloc(size, sizeof(struct metric_series *));
    ensure(table != NULL);
    for (size_t i = 0; i < shard->table_size; i++) {
        struct metric_series *series = shard->table[i];
        while (series) {
            struct metric_series *next = series->chain;
            series->chain = table[series->hash & (size - 1)];
            table[series->hash & (size - 1)] = series;
            series = next;
        }
    }
    free(shard->table);
    shard->table = table;
    shard->table_size = size;
}

static void chain_add(struct shard *shard, struct metric_series *series)
{
    struct metric_series **bucket = &shard->table[series->hash & (shard->table_size - 1)];
    series->chain = *bucket;
    *bucket = series;
}

static void chain_remove(struct shard *shard, struct metric_series *series)
{
    struct metric_series **at = &shard->table[series->hash & (shard->table_size - 1)];
    while (*at != series) {
        at = &(*at)->chain;
    }
    *at = series->chain;
}

static struct metric_series *find(const struct shard *shard, uint64_t hash, struct text key)
{
    if (shard->table_size == 0) {
        return NULL;
    }
    struct metric_series *series = shard->table[hash & (shard->table_size - 1)];
    while (series && !(series->hash == hash &&
                       text_equal(text_of(series->values, series->values_size), key))) {
        series = series->chain;
    }
    return series;
}

static void set_values(struct metric_series *series, uint64_t hash, struct text key)
{
    if (key.size > series->values_capacity) {
        free(series->values);
        series->values = malloc(key.size);
        ensure(series->values != NULL);
        series->values_capacity = (uint32_t)key.size;
    }
    if (key.size > 0) {
        memcpy(series->values, key.at, key.size);
    }
    series->values_size = (uint32_t)key.size;
    series->hash = hash;
}

static struct metric_series *series_new(struct metric_family *family, struct shard *shard,
                                        uint64_t hash, struct text key)
{
    size_t size = sizeof(struct metric_series) + sizeof(_Atomic uint64_t) * family->cells;
    size = (size + 63) & ~(size_t)63; /* so that no other thread's data is on its cache lines */
    struct metric_series *series = aligned_alloc(64, size);
    ensure(series != NULL);
    memset(series, 0, size);
    series->family = family;
    set_values(series, hash, key);
    atomic_store_explicit(&series->holds, 1, memory_order_relaxed);
    series->next = atomic_load_explicit(&shard->first, memory_order_relaxed);
    atomic_store_explicit(&shard->first, series, memory_order_release);
    return series;
}

/* From BUSY back to life with nothing counted: what was shown before has ended for the reader. */
static void revive(struct shard *shard, struct metric_series *series)
{
    for (unsigned i = 0; i < series->family->cells; i++) {
        atomic_store_explicit(&series->cells[i], 0, memory_order_relaxed);
    }
    series->seen = 0;
    series->changed_ms = 0;
    atomic_fetch_sub_explicit(&shard->retired, 1, memory_order_relaxed);
    atomic_store_explicit(&series->holds, 1, memory_order_release);
}

static bool seize(struct metric_series *series)
{
    int32_t expected = RETIRED;
    return atomic_compare_exchange_strong(&series->holds, &expected, BUSY);
}

static void hold(struct shard *shard, struct metric_series *series)
{
    int32_t holds = atomic_load(&series->holds);
    for (;;) {
        if (holds == RETIRED && seize(series)) {
            revive(shard, series);
            return;
        }
        if (holds >= 0 && atomic_compare_exchange_weak(&series->holds, &holds, holds + 1)) {
            return;
        }
        holds = atomic_load(&series->holds);
    }
}

/* A slot the reader has retired, seized, or NULL. */
static struct metric_series *seize_any(struct shard *shard)
{
    size_t count = atomic_load_explicit(&shard->count, memory_order_relaxed);
    if (atomic_load_explicit(&shard->retired, memory_order_relaxed) == 0) {
        return NULL;
    }
    for (size_t i = 0; i <= count; i++) {
        struct metric_series *series = shard->sweep;
        if (!series) {
            series = atomic_load_explicit(&shard->first, memory_order_relaxed);
        }
        shard->sweep = series->next;
        if (seize(series)) {
            return series;
        }
    }
    return NULL;
}

/* Stands for all label values beyond the cap; not in the table. */
static struct metric_series *take_overflow(struct metric_family *family, unsigned worker,
                                           struct shard *shard)
{
    if (!shard->overflow) {
        char key[KEY_MAX];
        struct text values[METRIC_LABELS_MAX];
        for (unsigned i = 0; i < family->labels; i++) {
            values[i] = TEXT("overflow");
        }
        size_t size = join_values(values, family->labels, key);
        /* The hold it is born with is never given back, so it never expires. */
        shard->overflow = series_new(family, shard, 0, text_of(key, size));
        struct text name = text_from_string(family->definition->name);
        shard->overflow_count = metric_take(family->metrics->overflow, worker, &name);
    }
    metric_add(shard->overflow_count, 1);
    hold(shard, shard->overflow);
    return shard->overflow;
}

struct metric_series *metric_take(struct metric_family *family, unsigned worker,
                                  const struct text *values)
{
    unsigned index = worker == METRIC_MAIN ? family->metrics->workers : worker;
    ensure(index <= family->metrics->workers);
    struct shard *shard = &family->shards[index];
    char bytes[KEY_MAX];
    struct text key = text_of(bytes, join_values(values, family->labels, bytes));
    uint64_t hash = hash_text(key);
    struct metric_series *series = find(shard, hash, key);
    if (series) {
        hold(shard, series);
        return series;
    }
    series = seize_any(shard);
    if (series) {
        chain_remove(shard, series);
        set_values(series, hash, key);
        chain_add(shard, series);
        revive(shard, series);
        return series;
    }
    size_t count = atomic_load_explicit(&shard->count, memory_order_relaxed);
    if (count >= family->cap) {
        return take_overflow(family, worker, shard);
    }
    if (count >= shard->table_size) {
        table_grow(shard);
    }
    series = series_new(family, shard, hash, key);
    chain_add(shard, series);
    atomic_store_explicit(&shard->count, count + 1, memory_order_relaxed);
    return series;
}

void metric_give(struct metric_series *series)
{
    if (series) {
        int32_t before = atomic_fetch_sub_explicit(&series->holds, 1, memory_order_acq_rel);
        ensure(before > 0);
    }
}

/* --- the reader's side --- */

/* A live series and the shard it is in. */
struct found {
    struct metric_series *series;
    struct shard *shard;
};

struct found_list {
    ARRAY_OF(struct found) found;
};

static struct text key_of(const struct metric_series *series)
{
    return text_of(series->values, series->values_size);
}

/* By label values in their order, since the NUL that ends each sorts before every byte. */
static int compare_found(const void *a, const void *b)
{
    return text_compare(key_of(((const struct found *)a)->series),
                        key_of(((const struct found *)b)->series));
}

/* Live series of all shards, sorted, those of the same label values side by side. */
static void collect(struct metric_family *family, struct found_list *list)
{
    list->found.count = 0;
    for (unsigned i = 0; i <= family->metrics->workers; i++) {
        struct shard *shard = &family->shards[i];
        struct metric_series *series = atomic_load_explicit(&shard->first, memory_order_acquire);
        for (; series; series = series->next) {
            if (atomic_load_explicit(&series->holds, memory_order_acquire) >= 0) {
                *array_add(&list->found) = (struct found){ series, shard };
            }
        }
    }
    if (list->found.count > 1) {
        qsort(list->found.items, list->found.count, sizeof(struct found), compare_found);
    }
}

static size_t group_end(const struct found_list *list, size_t from)
{
    size_t end = from + 1;
    while (end < list->found.count &&
           compare_found(&list->found.items[from], &list->found.items[end]) == 0) {
        end++;
    }
    return end;
}

static uint64_t cell(const struct metric_series *series, unsigned index)
{
    return atomic_load_explicit(&series->cells[index], memory_order_relaxed);
}

static void add_to_sample(struct metric_sample *sample, const struct metric_series *series)
{
    if (series->family->definition->kind != METRIC_HISTOGRAM) {
        sample->value = (int64_t)((uint64_t)sample->value + cell(series, 0));
        return;
    }
    for (unsigned i = 0; i <= METRIC_BOUNDS; i++) {
        sample->counts[i] += cell(series, i);
    }
    sample->sum_ns += cell(series, METRIC_BOUNDS + 1);
}

static void visit_family(struct metric_family *family, const struct found_list *list,
                         const struct metric_visitor *visitor)
{
    const struct metric_definition *definition = family->definition;
    visitor->on_family(visitor->owner, definition, family->labels);
    for (size_t from = 0; from < list->found.count;) {
        size_t end = group_end(list, from);
        struct text values[METRIC_LABELS_MAX];
        struct text rest = key_of(list->found.items[from].series);
        for (unsigned i = 0; i < family->labels; i++) {
            text_split(&rest, '\0', &values[i]);
        }
        struct metric_sample sample = { .values = values };
        for (size_t i = from; i < end; i++) {
            add_to_sample(&sample, list->found.items[i].series);
        }
        visitor->on_sample(visitor->owner, definition, family->labels, &sample);
        from = end;
    }
}

void metrics_read(struct metrics *metrics, const struct metric_visitor *visitor)
{
    for (unsigned i = 0; i < metrics->hook_count; i++) {
        metrics->hooks[i].on_read(metrics->hooks[i].owner);
    }
    struct found_list list = { 0 };
    for (size_t i = 0; i < metrics->families.count; i++) {
        collect(metrics->families.items[i], &list);
        if (list.found.count > 0) {
            visit_family(metrics->families.items[i], &list, visitor);
        }
    }
    array_free(&list.found);
}

void metrics_on_read(struct metrics *metrics, void (*on_read)(void *owner), void *owner)
{
    ensure(metrics->hook_count < HOOKS_MAX);
    metrics->hooks[metrics->hook_count++] = (struct hook){ on_read, owner };
}

void metrics_off_read(struct metrics *metrics, void *owner)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < metrics->hook_count; i++) {
        if (metrics->hooks[i].owner != owner) {
            metrics->hooks[kept++] = metrics->hooks[i];
        }
    }
    metrics->hook_count = kept;
}

/* Whether nobody holds the series and it has not changed for long; keeps book of changes. */
static bool is_stale(struct metric_series *series, uint64_t now_ms)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < series->family->cells; i++) {
        sum += cell(series, i);
    }
    if (series->changed_ms == 0 || series->seen != sum || atomic_load(&series->holds) > 0) {
        series->seen = sum;
        series->changed_ms = now_ms;
        return false;
    }
    return now_ms - series->changed_ms >= METRIC_EXPIRE_MS;
}

/* All or none: a part that vanished from the sum would look like a counter's reset. Should an owner
 * take one of them in between, the others come back. */
static void retire(const struct found *found, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t expected = 0;
        if (atomic_compare_exchange_strong(&found[i].series->holds, &expected, RETIRED)) {
            atomic_fetch_add_explicit(&found[i].shard->retired, 1, memory_order_relaxed);
            continue;
        }
        while (i-- > 0) {
            expected = RETIRED;
            if (atomic_compare_exchange_strong(&found[i].series->holds, &expected, 0)) {
                atomic_fetch_sub_explicit(&found[i].shard->retired, 1, memory_order_relaxed);
            }
        }
        return;
    }
}

void metrics_expire(struct metrics *metrics, uint64_t now_ms)
{
    struct found_list list = { 0 };
    for (size_t f = 0; f < metrics->families.count; f++) {
        collect(metrics->families.items[f], &list);
        for (size_t from = 0; from < list.found.count;) {
            size_t end = group_end(&list, from);
            bool stale = true;
            for (size_t i = from; i < end; i++) {
                struct metric_series *series = list.found.items[i].series;
                stale = is_stale(series, now_ms) && stale;
            }
            if (stale) {
                retire(list.found.items + from, end - from);
            }
            from = end;
        }
    }
    array_free(&list.found);
}

size_t metrics_count(const struct metrics *metrics, size_t *out_bytes)
{
    size_t count = 0, bytes = 0;
    for (size_t f = 0; f < metrics->families.count; f++) {
        struct metric_family *family = metrics->families.items[f];
        for (unsigned i = 0; i <= metrics->workers; i++) {
            struct metric_series *series =
                atomic_load_explicit(&family->shards[i].first, memory_order_acquire);
            for (; series; series = series->next) {
                count++;
                bytes += sizeof(*series) + sizeof(_Atomic uint64_t) * family->cells;
            }
        }
    }
    *out_bytes = bytes;
    return count;
}
