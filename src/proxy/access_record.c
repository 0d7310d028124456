/* Closing an exchange: metrics always, a line of the access log where the listener asks for one. */
#include "base/clock.h"
#include "base/record.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"
#include "proxy/series.h"

static struct text address_text(const struct address *address, char buffer[ADDRESS_TEXT_MAX])
{
    return text_of(buffer, address_format(address, buffer));
}

static struct text field_value(const struct exchange *exchange, enum field_id id)
{
    const struct field *field = fields_find(&exchange->request.fields, id);
    return field ? field->value : text_of(NULL, 0);
}

/* The rule's part of kind/namespace/name/rule/match; empty where it is only an index. */
static struct text rule_of(struct text key)
{
    struct text part = { 0 };
    for (int i = 0; i < 4; i++) {
        if (!text_split(&key, '/', &part)) {
            return text_of(NULL, 0);
        }
    }
    uint64_t index;
    return text_parse_u64(part, UINT32_MAX, &index) ? text_of(NULL, 0) : part;
}

static void describe_destination(const struct exchange *exchange, struct access_record *record,
                                 char *buffer)
{
    if (exchange->listener) {
        record->listener = exchange->listener->name;
    }
    if (exchange->route) {
        record->route = exchange->route->key;
        record->rule = rule_of(exchange->route->key);
    }
    if (exchange->target) {
        record->backend = exchange->target->cluster_name;
    }
    if (exchange->attempts > 0) {
        record->endpoint = address_text(&exchange->endpoint_address, buffer);
    }
    record->generation = exchange->plan ? exchange->plan->plan->generation : 0;
}

static void describe_failure(const struct exchange *exchange, struct access_record *record)
{
    if (exchange->failure == FAILURE_NONE || exchange->failure == FAILURE_ROUTE_DIRECT) {
        return;
    }
    const struct failure_row *row = failure_row((enum failure)exchange->failure);
    record->reason = exchange->reason.size > 0 ? exchange->reason : text_from_string(row->reason);
    record->flag = text_from_string(row->flag);
}

static void log_line(struct exchange *exchange, uint64_t total_ns)
{
    char endpoint[ADDRESS_TEXT_MAX];
    char peer[ADDRESS_TEXT_MAX];
    uint64_t upstream_ns = exchange->upstream_ns < total_ns ? exchange->upstream_ns : total_ns;
    struct access_record record = {
        .start_wall_us = clock_wall_us() - (int64_t)(total_ns / 1000),
        .total_us = total_ns / 1000,
        .upstream_us = upstream_ns / 1000,
        .weft_us = (total_ns - upstream_ns) / 1000,
        .method = exchange->request.method,
        .scheme = TEXT("http"),
        .host = exchange->original_host,
        .path = exchange->original_path,
        .query = exchange->request.query,
        .user_agent = field_value(exchange, FIELD_USER_AGENT),
        .referer = field_value(exchange, FIELD_REFERER),
        .protocol = exchange->request.version == HTTP_1_0 ? TEXT("HTTP/1.0") : TEXT("HTTP/1.1"),
        .request_id = exchange->request_id,
        .trace_id = exchange->trace_id,
        .span_id = exchange->span_id,
        .status = exchange->status,
        .upstream_status = exchange->upstream_status,
        .attempts = (uint16_t)exchange->attempts,
        .worker = (uint16_t)exchange->worker->options.index,
        .client = exchange->client_ip,
        .peer = address_text(&exchange->downstream->peer, peer),
        .request_head_bytes = exchange->request_head_bytes,
        .request_body_bytes = exchange->request_body_bytes,
        .response_head_bytes = exchange->response_head_bytes,
        .response_body_bytes = exchange->response_body_bytes,
    };
    describe_destination(exchange, &record, endpoint);
    describe_failure(exchange, &record);
    record_put_json(&record, exchange->worker->options.access_log);
}

void access_record_close(struct exchange *exchange)
{
    if (exchange->downstream->listener->health) {
        return;
    }
    struct worker *worker = exchange->worker;
    uint64_t now = loop_now_ns(worker->loop);
    uint64_t total_ns = now > exchange->started_ns ? now - exchange->started_ns : 0;
    series_count_exchange(worker->series, exchange, total_ns);
    if (worker->options.access_log && exchange->listener && exchange->listener->access_log) {
        log_line(exchange, total_ns);
    }
}
