/* Replies of Weft itself: failures by the table, and what filters and routes answer. */
#include "proxy/reply.h"

#include "base/clock.h"
#include "http/field_edit.h"
#include "proxy/downstream.h"

#include <stdio.h>

/* Filters that dress our own replies too (CORS). */
static void run_filters(struct exchange *exchange, struct response_head *head)
{
    exchange->response = head;
    for (unsigned i = exchange->route->filter_count; i-- > 0;) {
        const struct filter *filter = &exchange->route->filters[i];
        if (filter->type->on_response && filter->type->on_own_replies) {
            filter->type->on_response(exchange, filter->config);
        }
    }
    exchange->response = NULL;
}

static void write_reply(struct exchange *exchange, struct stage *stage,
                        const struct response_head *head, struct text body)
{
    struct h1_writer *writer = &stage->writer;
    char *start = writer->at;
    char date[CLOCK_IMF_SIZE];
    clock_format_imf(clock_wall_us(), date);
    h1_write_status_line(writer, head->status, TEXT(""));
    h1_write_field(writer, TEXT("date"), text_of(date, sizeof(date)));
    h1_write_fields(writer, &head->fields);
    if (head->status >= 200 && head->status != 204) {
        h1_write_framing(writer, BODY_LENGTH, body.size);
    }
    if (!exchange_will_keep_alive(exchange)) {
        h1_write_field(writer, TEXT("connection"), TEXT("close"));
    } else if (exchange->request.version == HTTP_1_0) {
        h1_write_field(writer, TEXT("connection"), TEXT("keep-alive"));
    }
    h1_write_end(writer);
    exchange->response_head_bytes = (uint64_t)(writer->at - start);
}

void reply_send(struct exchange *exchange, uint16_t status, const struct header_value *fields,
                unsigned count, struct text body)
{
    attempt_release(exchange, false);
    struct response_head *head = &exchange->worker->response;
    head->version = HTTP_1_1;
    head->status = status;
    head->upgrade = false;
    head->fields.count = 0;
    for (unsigned i = 0; i < count; i++) {
        fields_add(&head->fields, fields[i].name, fields[i].value);
    }
    if (exchange->route) {
        run_filters(exchange, head);
    }
    exchange->status = status;
    if (!exchange->request_body.done) {
        exchange->client_keep_alive = false;
    }
    struct stage stage;
    stage_begin(&stage, &exchange->downstream->wire);
    write_reply(exchange, &stage, head, body);
    bool has_body = exchange->request.method_id != METHOD_HEAD && status != 204 && status != 304;
    if (has_body) {
        stage_bytes(&stage, body);
        exchange->response_body_bytes = body.size;
    }
    exchange->response_started = true;
    exchange->response_body = BODY_LENGTH;
    if (!stage_send(&stage)) {
        exchange_abort(exchange, FAILURE_CLIENT_CLOSED);
        return;
    }
    exchange_complete(exchange);
}

static uint16_t status_of(const struct exchange *exchange, const struct failure_row *row,
                          enum failure failure)
{
    bool by_codec = (failure == FAILURE_BAD_REQUEST || failure == FAILURE_BAD_BODY) &&
                    exchange->h1_reason != H1_OK;
    return by_codec ? h1_reason_status((enum h1_reason)exchange->h1_reason) : row->status;
}

void reply_failure(struct exchange *exchange, enum failure failure, struct text word)
{
    const struct failure_row *row = failure_row(failure);
    exchange->failure = (uint8_t)failure;
    uint16_t status = status_of(exchange, row, failure);
    if (word.size == 0 && exchange->h1_reason != H1_OK) {
        word = text_from_string(h1_reason_name((enum h1_reason)exchange->h1_reason));
    }
    if (word.size == 0) {
        word = text_from_string(row->reason);
    }
    exchange->reason = word;
    char details[256];
    char body[512];
    int size = snprintf(details, sizeof(details), "weft; error=%s; details=\"%.*s\"",
                        row->proxy_status, TEXT_ARG(text_first(word, 128)));
    int body_size = snprintf(body, sizeof(body), "%u %.*s: %s\n", status,
                             TEXT_ARG(text_first(word, 128)), row->phrase);
    struct header_value fields[] = {
        { TEXT("proxy-status"), text_of(details, (size_t)size) },
        { TEXT("content-type"), TEXT("text/plain; charset=utf-8") },
        { TEXT("retry-after"), TEXT("1") },
        { TEXT("allow"), TEXT("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") },
    };
    unsigned count = status == 503 ? 3 : 2;
    if (status == 405) {
        fields[2] = fields[3];
        count = 3;
    }
    reply_send(exchange, status, fields, count, text_of(body, (size_t)body_size));
}
