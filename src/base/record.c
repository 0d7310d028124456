/* The access-log line. Keys and their order are documented in docs/access-log.md and stable. */
#include "base/record.h"

#include "base/clock.h"
#include "base/json_writer.h"

/* What a usual line takes; a longer one is formatted a second time with all the room. */
#define USUAL_LINE 4096
/* What stays of each text when the largest line is too small for RECORD_TEXT_MAX of each. */
#define SHORT_TEXT 128

struct line {
    struct json_writer json;
    size_t text_max;
    bool truncated;
};

static inline void put_text(struct line *line, struct text quoted_key, struct text value)
{
    if (value.size == 0) {
        return;
    }
    if (value.size > line->text_max) {
        value.size = line->text_max;
        line->truncated = true;
    }
    json_key_raw(&line->json, quoted_key);
    json_text(&line->json, value);
}
#define PUT_TEXT(line, key, value) put_text((line), TEXT("\"" key "\":"), (value))

/* The broken-down time is worked out once a second and thread. */
static void put_time(struct line *line, int64_t wall_us)
{
    static _Thread_local int64_t cached_s = -1;
    static _Thread_local char cached[CLOCK_RFC3339_SIZE];
    int64_t second = wall_us / 1000000;
    if (second != cached_s) {
        clock_format_rfc3339(wall_us, cached);
        cached_s = second;
    }
    unsigned ms = (unsigned)(wall_us / 1000 % 1000);
    cached[20] = (char)('0' + ms / 100);
    cached[21] = (char)('0' + ms / 10 % 10);
    cached[22] = (char)('0' + ms % 10);
    JSON_TEXT(&line->json, "time", text_of(cached, sizeof(cached)));
}

static void put_request(struct line *line, const struct access_record *record)
{
    PUT_TEXT(line, "request_id", record->request_id);
    PUT_TEXT(line, "client", record->client);
    PUT_TEXT(line, "peer", record->peer);
    PUT_TEXT(line, "listener", record->listener);
    PUT_TEXT(line, "method", record->method);
    PUT_TEXT(line, "scheme", record->scheme);
    PUT_TEXT(line, "host", record->host);
    PUT_TEXT(line, "path", record->path);
    PUT_TEXT(line, "query", record->query);
    PUT_TEXT(line, "protocol", record->protocol);
    PUT_TEXT(line, "user_agent", record->user_agent);
    PUT_TEXT(line, "referer", record->referer);
}

static void put_outcome(struct line *line, const struct access_record *record)
{
    struct json_writer *json = &line->json;
    JSON_U64(json, "status", record->status);
    if (record->upstream_status) {
        JSON_U64(json, "upstream_status", record->upstream_status);
    }
    PUT_TEXT(line, "reason", record->reason);
    PUT_TEXT(line, "flag", record->flag);
    PUT_TEXT(line, "route", record->route);
    PUT_TEXT(line, "rule", record->rule);
    PUT_TEXT(line, "backend", record->backend);
    PUT_TEXT(line, "endpoint", record->endpoint);
    JSON_U64(json, "attempts", record->attempts);
    JSON_KEY(json, "total_ms");
    json_ms(json, record->total_us);
    JSON_KEY(json, "weft_ms");
    json_ms(json, record->weft_us);
    JSON_KEY(json, "upstream_ms");
    json_ms(json, record->upstream_us);
    JSON_U64(json, "request_head_bytes", record->request_head_bytes);
    JSON_U64(json, "request_body_bytes", record->request_body_bytes);
    JSON_U64(json, "response_head_bytes", record->response_head_bytes);
    JSON_U64(json, "response_body_bytes", record->response_body_bytes);
}

static void put_origin(struct line *line, const struct access_record *record)
{
    PUT_TEXT(line, "trace_id", record->trace_id);
    PUT_TEXT(line, "span_id", record->span_id);
    PUT_TEXT(line, "tls_version", record->tls_version);
    PUT_TEXT(line, "tls_cipher", record->tls_cipher);
    PUT_TEXT(line, "tls_peer", record->tls_peer);
    JSON_U64(&line->json, "worker", record->worker);
    JSON_U64(&line->json, "generation", record->generation);
}

static size_t format_line(const struct access_record *record, char *out, size_t size,
                          size_t text_max)
{
    struct line line = { .text_max = text_max };
    json_writer_init(&line.json, out, size);
    json_object_open(&line.json);
    put_time(&line, record->start_wall_us);
    put_request(&line, record);
    put_outcome(&line, record);
    put_origin(&line, record);
    if (line.truncated) {
        JSON_KEY(&line.json, "truncated");
        json_bool(&line.json, true);
    }
    json_object_close(&line.json);
    json_byte(&line.json, '\n');
    return json_writer_finish(&line.json);
}

size_t record_format_json(const struct access_record *record, char *out, size_t size)
{
    size_t written = format_line(record, out, size, RECORD_TEXT_MAX);
    if (written == 0 && size >= RECORD_LINE_MAX) {
        written = format_line(record, out, size, SHORT_TEXT);
    }
    return written;
}

void record_put_json(const struct access_record *record, struct ring *ring)
{
    char *at = ring_try_reserve(ring, USUAL_LINE);
    size_t size = at ? record_format_json(record, at, USUAL_LINE) : 0;
    if (at && size == 0) {
        at = ring_try_reserve(ring, RECORD_LINE_MAX);
        size = at ? record_format_json(record, at, RECORD_LINE_MAX) : 0;
    }
    if (size > 0) {
        ring_commit(ring, size);
    } else {
        ring_drop(ring);
    }
}
