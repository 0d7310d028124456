/* The property all readers of HTTP/1 share, as a check for tests and fuzz targets: any cut of the
 * input gives the same result. Every piece is fed from memory of exactly its size, so that a
 * sanitizer sees a read past the end and a view that outlived its bytes. Failures end in ensure().
 */
#pragma once

#include "http/h1.h"

#include "base/ensure.h"

#include <stdlib.h>

enum split_kind { SPLIT_REQUEST, SPLIT_RESPONSE, SPLIT_CHUNKED };

/* What a reader made of an input; two runs agree when all of it is equal. */
struct split_outcome {
    enum h1_result result;
    enum h1_reason reason;
    size_t size;     /* bytes used */
    uint64_t digest; /* of everything in the head, or of payload and trailers */
};

static inline uint64_t split_mix(uint64_t digest, const void *at, size_t size)
{
    const unsigned char *bytes = at;
    for (size_t i = 0; i < size; i++) {
        digest = (digest ^ bytes[i]) * 0x100000001b3;
    }
    return digest;
}

static inline uint64_t split_mix_text(uint64_t digest, struct text t)
{
    digest = split_mix(digest, &t.size, sizeof(t.size));
    return split_mix(digest, t.at, t.size);
}

static inline uint64_t split_mix_u64(uint64_t digest, uint64_t value)
{
    return split_mix(digest, &value, sizeof(value));
}

static inline uint64_t split_mix_fields(uint64_t digest, const struct fields *fields)
{
    digest = split_mix_u64(digest, fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        ensure(field_name_is_valid(field->name) && field_value_is_valid(field->value));
        ensure(field->id == field_id_of(field->name));
        digest = split_mix_text(split_mix_text(digest, field->name), field->value);
        digest = split_mix_u64(digest, field->hop_by_hop);
    }
    return digest;
}

static inline uint64_t split_digest_request(const struct request_head *head)
{
    uint64_t digest = split_mix_fields(1, &head->fields);
    const struct text texts[] = { head->method, head->target, head->scheme, head->authority,
                                  head->host,   head->path,   head->query };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        digest = split_mix_text(digest, texts[i]);
    }
    const uint64_t numbers[] = { head->version,    head->method_id,
                                 head->form,       head->port,
                                 head->body,       head->content_length,
                                 head->keep_alive, head->expect_continue,
                                 head->upgrade };
    return split_mix(digest, numbers, sizeof(numbers));
}

static inline uint64_t split_digest_response(const struct response_head *head)
{
    uint64_t digest = split_mix_text(split_mix_fields(2, &head->fields), head->reason);
    const uint64_t numbers[] = { head->version,        head->status,     head->body,
                                 head->content_length, head->has_length, head->keep_alive,
                                 head->upgrade };
    return split_mix(digest, numbers, sizeof(numbers));
}

/* One call of a head reader with the first `size` bytes in memory of their own. */
static inline struct split_outcome split_read(enum split_kind kind, struct h1_head_reader *reader,
                                              const struct h1_limits *limits, const char *input,
                                              size_t size)
{
    static struct request_head request;
    static struct response_head response;
    struct split_outcome outcome = { .result = H1_MORE };
    char *span = malloc(size > 0 ? size : 1);
    ensure(span != NULL);
    memcpy(span, input, size);
    if (kind == SPLIT_REQUEST) {
        outcome.result = h1_read_request(reader, limits, span, size, &request, &outcome.size);
    } else {
        outcome.result =
            h1_read_response(reader, limits, METHOD_GET, span, size, &response, &outcome.size);
    }
    if (outcome.result == H1_REFUSED) {
        outcome.reason = reader->reason;
        ensure(outcome.reason != H1_OK);
    }
    if (outcome.result == H1_DONE) {
        ensure(outcome.size <= size);
        outcome.digest = kind == SPLIT_REQUEST ? split_digest_request(&request)
                                               : split_digest_response(&response);
    }
    if (outcome.result != H1_DONE) {
        outcome.size = 0;
    }
    free(span);
    return outcome;
}

/* Feeds a head `step` bytes at a time, after a first piece of `first`. */
static inline struct split_outcome split_head(enum split_kind kind, const struct h1_limits *limits,
                                              const char *input, size_t size, size_t first,
                                              size_t step)
{
    struct h1_head_reader reader;
    h1_head_reader_init(&reader);
    for (size_t fed = first < size ? first : size;;) {
        struct split_outcome outcome = split_read(kind, &reader, limits, input, fed);
        if (outcome.result != H1_MORE || fed == size) {
            return outcome;
        }
        fed = size - fed > step ? fed + step : size;
    }
}

/* What a body decoder has taken in so far. */
struct split_body {
    struct h1_body body;
    struct split_outcome outcome;
    const struct h1_limits *limits;
    const char *input;
};

/* Feeds input[outcome.size, end); true when the body has ended, either way. */
static inline bool split_body_feed(struct split_body *split, size_t end)
{
    static struct fields fields;
    struct split_outcome *outcome = &split->outcome;
    size_t size = end - outcome->size, used = 0;
    char *span = malloc(size > 0 ? size : 1);
    ensure(span != NULL);
    memcpy(span, split->input + outcome->size, size);
    outcome->result = H1_MORE;
    while (outcome->result == H1_MORE && used < size && !h1_body_in_trailers(&split->body)) {
        struct text data;
        size_t piece;
        outcome->result = h1_body_read(&split->body, span + used, size - used, &data, &piece);
        ensure(piece <= size - used && data.size <= piece);
        ensure(data.size == 0 || data.at + data.size == span + used + piece);
        outcome->digest = split_mix(outcome->digest, data.at, data.size);
        used += piece;
    }
    if (outcome->result == H1_MORE && h1_body_in_trailers(&split->body)) {
        size_t trailers = 0;
        outcome->result = h1_read_trailers(&split->body, split->limits, span + used, size - used,
                                           &fields, &trailers);
        if (outcome->result == H1_DONE) {
            outcome->digest = split_mix_fields(outcome->digest, &fields);
            used += trailers;
        }
    }
    outcome->size += used;
    outcome->reason = outcome->result == H1_REFUSED ? (enum h1_reason)split->body.reason : H1_OK;
    ensure((outcome->result == H1_REFUSED) == (outcome->reason != H1_OK));
    free(span);
    return outcome->result != H1_MORE;
}

static inline struct split_outcome split_chunked(const struct h1_limits *limits, const char *input,
                                                 size_t size, size_t first, size_t step)
{
    struct split_body split = { .limits = limits, .input = input, .outcome = { .digest = 3 } };
    h1_body_init(&split.body, BODY_CHUNKED, 0);
    size_t fed = first < size ? first : size;
    while (!split_body_feed(&split, fed) && fed < size) {
        fed = size - fed > step ? fed + step : size;
    }
    if (split.outcome.result == H1_REFUSED) {
        split.outcome.size = 0;
    }
    return split.outcome;
}

static inline struct split_outcome split_run(enum split_kind kind, const struct h1_limits *limits,
                                             const char *input, size_t size, size_t first,
                                             size_t step)
{
    if (kind == SPLIT_CHUNKED) {
        return split_chunked(limits, input, size, first, step);
    }
    return split_head(kind, limits, input, size, first, step);
}

/* Feeds at once, byte by byte (long inputs in as many steps), and in two pieces at each `stride`th
 * place; returns the outcome. */
static inline struct split_outcome split_check(enum split_kind kind, const struct h1_limits *limits,
                                               const char *input, size_t size, size_t stride)
{
    struct split_outcome whole = split_run(kind, limits, input, size, size, 1);
    for (size_t first = 0; first <= size; first += stride) {
        size_t step = first == 0 ? 1 + size / 4096 : size;
        struct split_outcome cut = split_run(kind, limits, input, size, first, step);
        ensure(cut.result == whole.result && cut.reason == whole.reason);
        ensure(cut.size == whole.size);
        ensure(cut.result == H1_REFUSED || cut.digest == whole.digest);
    }
    return whole;
}

/* A row of a table of refused messages. */
struct split_refused {
    struct text input;
    enum h1_reason reason;
};

/* The index of the first row that is not refused for its reason at every cut, or count. */
static inline size_t split_check_refused(enum split_kind kind, const struct split_refused *rows,
                                         size_t count, enum h1_reason *out_reason)
{
    for (size_t i = 0; i < count; i++) {
        struct split_outcome outcome =
            split_check(kind, &h1_default_limits, rows[i].input.at, rows[i].input.size, 1);
        *out_reason = outcome.reason;
        if (outcome.result != H1_REFUSED || outcome.reason != rows[i].reason) {
            return i;
        }
    }
    return count;
}
