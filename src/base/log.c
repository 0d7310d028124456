/* Operator log lines: budget of the call site, format, then this thread's ring or descriptor. */
#include "base/log.h"

#include "base/clock.h"
#include "base/json_writer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* A pipe that polls writable takes this many bytes at once without blocking (PIPE_BUF). */
#define WRITE_MAX 4096

_Atomic int log_level_now = LOG_INFO;

static enum log_format format_now = LOG_TEXT;
static int fd_now = 2;
static _Atomic uint64_t dropped;
static _Atomic bool has_suppressed;
static struct log_site *_Atomic listed_sites;
static _Thread_local struct ring *own_ring;

static const char *const level_names[LOG_LEVELS] = { "debug", "info", "warn", "error" };

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

void log_set_format(enum log_format format)
{
    format_now = format;
}

void log_set_fd(int fd)
{
    fd_now = fd;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(struct text t, enum log_level *out_level)
{
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (text_equal(t, text_from_string(level_names[i]))) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_attach_ring(struct ring *ring)
{
    own_ring = ring;
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* --- writing --- */

static bool is_writable(void)
{
    struct pollfd poll_fd = { .fd = fd_now, .events = POLLOUT };
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT);
}

/* Bytes written, 0 where it would block or fails. */
static size_t write_some(struct text t)
{
    for (;;) {
        if (!is_writable()) {
            return 0;
        }
        ssize_t written = write(fd_now, t.at, t.size);
        if (written >= 0) {
            return (size_t)written;
        }
        if (errno != EINTR) {
            return 0;
        }
    }
}

static void write_line(struct text line)
{
    if (own_ring) {
        ring_put(own_ring, line);
        ring_flush(own_ring);
        return;
    }
    if (write_some(line) < line.size) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
}

/* The first whole lines of the span, at most WRITE_MAX bytes. */
static struct text whole_lines(struct text span)
{
    struct text piece = text_first(span, WRITE_MAX);
    while (piece.size < span.size && piece.size > 1 && piece.at[piece.size - 1] != '\n') {
        piece.size--;
    }
    return piece;
}

bool log_drain(struct ring *ring)
{
    for (;;) {
        struct text span = ring_peek(ring);
        if (span.size == 0) {
            return true;
        }
        size_t written = write_some(whole_lines(span));
        if (written == 0) {
            return false;
        }
        ring_consume(ring, written);
    }
}

/* --- formatting --- */

struct line {
    enum log_level level;
    const char *component;
    struct text message;
    const struct log_pair *pairs; /* NULL: none */
    uint64_t also_suppressed;     /* > 0: lines of this site that were not written */
};

static void put(struct json_writer *writer, struct text t)
{
    writer->comma = false;
    json_raw(writer, t);
}

/* Text as it is, but what could move a terminal's cursor as \xNN. */
static void put_visible(struct json_writer *writer, struct text t)
{
    static const char digits[] = "0123456789abcdef";
    bool is_utf8 = text_is_utf8(t);
    for (size_t i = 0; i < t.size; i++) {
        unsigned char byte = (unsigned char)t.at[i];
        bool is_c1 = byte < 0xa0 && i > 0 && (unsigned char)t.at[i - 1] == 0xc2;
        bool is_plain = byte < 0x80 ? byte >= 0x20 && byte != 0x7f : is_utf8 && !is_c1;
        if (is_plain) {
            json_byte(writer, (char)byte);
        } else {
            char escape[4] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };
            put(writer, text_of(escape, sizeof(escape)));
        }
    }
}

/* Whether a value can stand behind '=' without quotes. */
static bool is_bare(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        unsigned char byte = (unsigned char)t.at[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '=' || byte == '\\') {
            return false;
        }
    }
    return t.size > 0;
}

static void put_pair_text(struct json_writer *writer, const struct log_pair *pair, size_t max)
{
    struct text value = text_first(pair->text, max);
    json_byte(writer, ' ');
    put(writer, text_from_string(pair->key));
    json_byte(writer, '=');
    writer->comma = false;
    if (pair->is_number) {
        json_i64(writer, pair->number);
    } else if (is_bare(value)) {
        put(writer, value);
    } else {
        json_text(writer, value);
    }
}

static void put_text_line(struct json_writer *writer, const struct line *line, size_t max)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_us(), time);
    put(writer, text_of(time, sizeof(time)));
    json_byte(writer, ' ');
    put(writer, text_from_string(level_names[line->level]));
    json_byte(writer, ' ');
    put(writer, text_from_string(line->component));
    put(writer, TEXT(": "));
    put_visible(writer, text_first(line->message, max));
    for (const struct log_pair *pair = line->pairs; pair && pair->key; pair++) {
        put_pair_text(writer, pair, max);
    }
    if (line->also_suppressed) {
        struct log_pair pair = LOG_PAIR_NUMBER("suppressed", line->also_suppressed);
        put_pair_text(writer, &pair, max);
    }
}

static void put_json_line(struct json_writer *writer, const struct line *line, size_t max)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_us(), time);
    json_object_open(writer);
    JSON_TEXT(writer, "time", text_of(time, sizeof(time)));
    JSON_TEXT(writer, "level", text_from_string(level_names[line->level]));
    JSON_TEXT(writer, "component", text_from_string(line->component));
    JSON_TEXT(writer, "message", text_first(line->message, max));
    for (const struct log_pair *pair = line->pairs; pair && pair->key; pair++) {
        json_key(writer, text_from_string(pair->key));
        if (pair->is_number) {
            json_i64(writer, pair->number);
        } else {
            json_text(writer, text_first(pair->text, max));
        }
    }
    if (line->also_suppressed) {
        JSON_U64(writer, "suppressed", line->also_suppressed);
    }
    json_object_close(writer);
}

/* Tries with less and less of each text until the line fits, last without the pairs. */
static void emit(struct line *line)
{
    static const size_t maxima[] = { LOG_LINE_MAX, 512, 128, 32 };
    char bytes[LOG_LINE_MAX];
    size_t count = sizeof(maxima) / sizeof(maxima[0]);
    for (size_t i = 0; i <= count; i++) {
        struct json_writer writer;
        json_writer_init(&writer, bytes, sizeof(bytes));
        line->pairs = i < count ? line->pairs : NULL;
        size_t max = i < count ? maxima[i] : 32;
        (format_now == LOG_JSON ? put_json_line : put_text_line)(&writer, line, max);
        json_byte(&writer, '\n');
        size_t size = json_writer_finish(&writer);
        if (size > 0) {
            write_line(text_of(bytes, size));
            return;
        }
    }
}

/* --- the budget --- */

static uint64_t now_s(void)
{
    return clock_now_ns() / 1000000000u;
}

static void list_site(struct log_site *site, const char *format)
{
    if (atomic_exchange(&site->listed, true)) {
        return;
    }
    site->format = format;
    site->next = atomic_load(&listed_sites);
    while (!atomic_compare_exchange_weak(&listed_sites, &site->next, site)) {
    }
}

/* Takes one line off the site's budget of this second. */
static bool take_budget(struct log_site *site)
{
    uint64_t second = (now_s() + 1) & 0xffffffff;
    uint64_t window = atomic_load_explicit(&site->window, memory_order_relaxed);
    for (;;) {
        uint64_t count = window >> 32 == second ? window & 0xffffffff : 0;
        if (count >= LOG_PER_SECOND) {
            return false;
        }
        if (atomic_compare_exchange_weak(&site->window, &window, second << 32 | (count + 1))) {
            return true;
        }
    }
}

void log_emit(struct log_site *site, const struct log_pair *pairs, const char *format, ...)
{
    if (!take_budget(site)) {
        atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
        list_site(site, format);
        atomic_store_explicit(&has_suppressed, true, memory_order_relaxed);
        return;
    }
    char message[LOG_LINE_MAX];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    size_t kept = size > 0 ? (size_t)size : 0;
    kept = kept < sizeof(message) ? kept : sizeof(message) - 1;
    struct line line = { .level = site->level,
                         .component = site->component,
                         .pairs = pairs,
                         .message = text_of(message, kept),
                         .also_suppressed = atomic_exchange(&site->suppressed, 0) };
    emit(&line);
}

static void report_site(struct log_site *site)
{
    uint64_t count = atomic_exchange(&site->suppressed, 0);
    if (count > 0) {
        char message[256];
        snprintf(message, sizeof(message), "lines were suppressed, all like \"%s\"", site->format);
        struct line line = { .level = site->level,
                             .component = site->component,
                             .message = text_from_string(message),
                             .also_suppressed = count };
        emit(&line);
    }
}

bool log_report_suppressed(void)
{
    atomic_store_explicit(&has_suppressed, false, memory_order_relaxed);
    uint64_t second = (now_s() + 1) & 0xffffffff;
    bool waiting = false;
    for (struct log_site *site = atomic_load(&listed_sites); site; site = site->next) {
        if (atomic_load(&site->window) >> 32 == second) {
            waiting = waiting || atomic_load(&site->suppressed) > 0;
        } else {
            report_site(site);
        }
    }
    return waiting;
}

bool log_has_suppressed(void)
{
    return atomic_load_explicit(&has_suppressed, memory_order_relaxed);
}
