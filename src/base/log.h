/* Operator log: what the process itself has to say, one line each, on stderr:
 *   2026-01-02T03:04:05.678Z warn listener: port 80 may not be bound port=80 error="..."
 * or with the JSON format
 *   {"time":...,"level":"warn","component":"listener","message":...,"port":80}
 *
 * From any thread. A worker attaches a ring once (log_attach_ring), its lines then go to main,
 * which writes them (log_drain). A thread without a ring writes by itself; a stderr that would
 * block loses the line and counts it, nobody waits. Each call site may write 10 lines a second;
 * what is beyond is counted and told afterwards (suppressed=N on the next line of the site, or a
 * line of its own). Control characters are escaped. No allocation. */
#pragma once

#include "base/ring.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };
enum log_format { LOG_TEXT, LOG_JSON };

#define LOG_LINE_MAX   2048 /* longer messages are cut */
#define LOG_PER_SECOND 10

/* One key=value of a line. */
struct log_pair {
    const char *key; /* NULL ends the list */
    struct text text;
    int64_t number;
    bool is_number;
};
#define LOG_PAIR(key_, text_) ((struct log_pair){ .key = (key_), .text = (text_) })
#define LOG_PAIR_NUMBER(key_, n)                                                                   \
    ((struct log_pair){ .key = (key_), .number = (int64_t)(n), .is_number = true })
/* The `pairs` argument: LOG_PAIRS(LOG_PAIR("file", path), LOG_PAIR_NUMBER("line", 7)). */
#define LOG_PAIRS(...) ((const struct log_pair[]){ __VA_ARGS__, { 0 } })

/* A call site's budget; static, process lifetime. */
struct log_site {
    _Atomic uint64_t window; /* second in the upper 32 bits, lines in it in the lower */
    _Atomic uint64_t suppressed;
    _Atomic bool listed; /* among those log_report_suppressed looks at */
    struct log_site *next;
    enum log_level level;
    const char *component;
    const char *format; /* set when listed */
};

/* log_warn("listener", "port %u may not be bound", port); */
#define log_debug(component, ...) LOG_AT(LOG_DEBUG, component, NULL, __VA_ARGS__)
#define log_info(component, ...)  LOG_AT(LOG_INFO, component, NULL, __VA_ARGS__)
#define log_warn(component, ...)  LOG_AT(LOG_WARN, component, NULL, __VA_ARGS__)
#define log_error(component, ...) LOG_AT(LOG_ERROR, component, NULL, __VA_ARGS__)
/* log_with(LOG_INFO, "config", LOG_PAIRS(LOG_PAIR_NUMBER("generation", 7)), "in force"); */
#define log_with(level, component, pairs, ...) LOG_AT(level, component, pairs, __VA_ARGS__)

#define LOG_AT(level_, component_, pairs_, ...)                                                    \
    do {                                                                                           \
        static struct log_site log_site_ = { .level = (level_), .component = (component_) };       \
        if (log_is_on(level_)) {                                                                   \
            log_emit(&log_site_, (pairs_), __VA_ARGS__);                                           \
        }                                                                                          \
    } while (0)

void log_emit(struct log_site *site, const struct log_pair *pairs, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

extern _Atomic int log_level_now;
static inline bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* Default: LOG_INFO, LOG_TEXT, descriptor 2. Level at any time; the others before threads start. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
void log_set_fd(int fd);
bool log_level_parse(struct text t, enum log_level *out_level);
const char *log_level_name(enum log_level level);

/* This thread's lines go to this ring from now on (NULL: written directly again). */
void log_attach_ring(struct ring *ring);
/* Main: writes what a ring holds; stops where stderr would block (false: something is left). */
bool log_drain(struct ring *ring);
/* Main, about once a second: tells of suppressed lines of sites that fell silent. True where a site
 * is still in its noisy second and wants another look. */
bool log_report_suppressed(void);
/* Whether any line was suppressed since the last report began. */
bool log_has_suppressed(void);
/* Lines lost because stderr would block (rings count their own drops). */
uint64_t log_dropped(void);
