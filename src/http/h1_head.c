/* Start lines of requests and responses (RFC 9112 sections 3 and 4), then the field section
 * (h1_section.c), then the rules over both (h1_framing.c). The hot path: one pass, no allocation.
 * As in the section, an earlier byte decides first, and no check looks further than it must. */
#include "http/h1.h"

#include "http/bytes.h"
#include "http/h1_framing.h"
#include "http/h1_section.h"
#include "http/uri.h"

#include "base/ensure.h"

/* A start line under way. `end` is the input's end, or where the line would be too long. */
struct line_scan {
    const char *at;
    const char *end;
    bool clamped;
    enum h1_reason too_long;
    enum h1_reason reason;
};

void h1_head_reader_init(struct h1_head_reader *reader)
{
    *reader = (struct h1_head_reader) { 0 };
}

static enum h1_result refuse(struct line_scan *scan, enum h1_reason reason)
{
    scan->reason = reason;
    return H1_REFUSED;
}

static enum h1_result out_of_bytes(struct line_scan *scan)
{
    return scan->clamped ? refuse(scan, scan->too_long) : H1_MORE;
}

static enum h1_result refuse_byte(struct line_scan *scan, const char *at, enum h1_reason otherwise)
{
    enum h1_result result = h1_refuse_byte(at, scan->end, otherwise, &scan->reason);
    return result == H1_MORE ? out_of_bytes(scan) : result;
}

static void scan_init(struct line_scan *scan, const struct h1_limits *limits, const char *at,
                      const char *end, enum h1_reason too_long)
{
    size_t room = (size_t)limits->request_line + 2;
    scan->at = at;
    scan->clamped = (size_t)(end - at) > room;
    scan->end = scan->clamped ? at + room : end;
    scan->too_long = too_long;
    scan->reason = H1_OK;
}

static enum http_method method_of(struct text method)
{
    static const struct {
        struct text name;
        enum http_method id;
    } methods[] = {
        { TEXT_STATIC("GET"), METHOD_GET },       { TEXT_STATIC("POST"), METHOD_POST },
        { TEXT_STATIC("HEAD"), METHOD_HEAD },     { TEXT_STATIC("PUT"), METHOD_PUT },
        { TEXT_STATIC("DELETE"), METHOD_DELETE }, { TEXT_STATIC("OPTIONS"), METHOD_OPTIONS },
        { TEXT_STATIC("PATCH"), METHOD_PATCH },   { TEXT_STATIC("CONNECT"), METHOD_CONNECT },
        { TEXT_STATIC("TRACE"), METHOD_TRACE },
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i].name.size == method.size && methods[i].name.at[0] == method.at[0] &&
            memcmp(methods[i].name.at, method.at, method.size) == 0) {
            return methods[i].id;
        }
    }
    return METHOD_OTHER;
}

static enum h1_result read_method(struct line_scan *scan, struct request_head *head)
{
    const char *end = byte_skip(scan->at, scan->end, BYTE_TOKEN);
    size_t size = (size_t)(end - scan->at);
    if (size > H1_METHOD_MAX) {
        return refuse(scan, H1_BAD_METHOD);
    }
    if (end == scan->end) {
        return out_of_bytes(scan);
    }
    if (*end != ' ' || size == 0) {
        return refuse_byte(scan, end, size == 0 ? H1_BAD_REQUEST_LINE : H1_BAD_METHOD);
    }
    head->method = text_of(scan->at, size);
    head->method_id = method_of(head->method);
    scan->at = end + 1;
    return H1_DONE;
}

/* The bytes of the target; *out_query is where its first '?' stands, or NULL. */
static enum h1_result read_target(struct line_scan *scan, struct text *out_target,
                                  const char **out_query)
{
    const char *at = byte_skip_target(scan->at, scan->end);
    *out_query = NULL;
    while (at != scan->end && *at == '?') {
        if (*out_query == NULL) {
            *out_query = at;
        }
        at = byte_skip_target(at + 1, scan->end);
    }
    if (at == scan->end) {
        return out_of_bytes(scan);
    }
    if (*at != ' ') {
        /* "GET /" and its line end is a request line of two words, HTTP/0.9's. */
        return refuse_byte(scan, at, *at == '\r' ? H1_BAD_REQUEST_LINE : H1_BAD_TARGET);
    }
    if (at == scan->at) {
        return refuse(scan, H1_BAD_REQUEST_LINE);
    }
    *out_target = text_of(scan->at, (size_t)(at - scan->at));
    scan->at = at + 1;
    return H1_DONE;
}

#define VERSION_SIZE 8

/* The version where it is not plainly one of ours: finds the first byte that is wrong. */
static enum h1_result read_odd_version(struct line_scan *scan, enum h1_reason bad,
                                       enum http_version *out_version)
{
    static const char shape[VERSION_SIZE] = "HTTP/0.0";
    for (size_t i = 0; i < VERSION_SIZE; i++) {
        const char *at = scan->at + i;
        if (at == scan->end) {
            return out_of_bytes(scan);
        }
        bool good = shape[i] == '0' ? *at >= '0' && *at <= '9' : *at == shape[i];
        if (!good) {
            return refuse_byte(scan, at, *at == ' ' || *at == '\t' ? H1_BAD_REQUEST_LINE : bad);
        }
    }
    if (scan->at[5] != '1') {
        return refuse(scan, H1_UNSUPPORTED_VERSION);
    }
    *out_version = scan->at[7] == '0' ? HTTP_1_0 : HTTP_1_1;
    scan->at += VERSION_SIZE;
    return H1_DONE;
}

static enum h1_result read_version(struct line_scan *scan, enum h1_reason bad,
                                   enum http_version *out_version)
{
    if (scan->end - scan->at >= VERSION_SIZE && memcmp(scan->at, "HTTP/1.1", VERSION_SIZE) == 0) {
        *out_version = HTTP_1_1;
        scan->at += VERSION_SIZE;
        return H1_DONE;
    }
    return read_odd_version(scan, bad, out_version);
}

static enum h1_result read_line_end(struct line_scan *scan, enum h1_reason otherwise)
{
    if (scan->at == scan->end) {
        return out_of_bytes(scan);
    }
    if (*scan->at == '\r' && scan->at + 1 != scan->end && scan->at[1] == '\n') {
        scan->at += 2;
        return H1_DONE;
    }
    return refuse_byte(scan, scan->at, *scan->at == ' ' ? H1_BAD_REQUEST_LINE : otherwise);
}

/* "http://authority/path?query", also without path or without query. */
static bool split_absolute(struct request_head *head, struct text before_query)
{
    size_t scheme = text_find(before_query, TEXT("://"));
    head->scheme = text_first(before_query, scheme);
    if (!text_equal_nocase(head->scheme, TEXT("http")) &&
        !text_equal_nocase(head->scheme, TEXT("https"))) {
        return false;
    }
    struct text rest = text_from(before_query, scheme + 3);
    head->authority = text_first(rest, text_find_byte(rest, '/'));
    head->path = text_from(rest, head->authority.size);
    if (head->path.size == 0) {
        bool whole_server = head->method_id == METHOD_OPTIONS && head->query.at == NULL;
        head->path = whole_server ? TEXT("*") : TEXT("/");
    }
    return authority_parse(head->authority, &head->host, &head->port);
}

/* The form of the target (RFC 9112 3.2) and its parts. */
static bool split_target(struct request_head *head, const char *query)
{
    const char *end = head->target.at + head->target.size;
    struct text before_query = head->target;
    head->query = head->scheme = head->authority = head->host = text_of(NULL, 0);
    head->port = 0;
    if (query != NULL) {
        before_query.size = (size_t)(query - head->target.at);
        head->query = text_of(query + 1, (size_t)(end - query - 1));
    }
    head->path = before_query;
    if (head->method_id == METHOD_CONNECT) {
        head->form = TARGET_AUTHORITY;
        head->authority = head->target;
        head->path = text_of(NULL, 0);
        return authority_parse(head->target, &head->host, &head->port) && head->port != 0;
    }
    if (head->target.at[0] == '/') {
        head->form = TARGET_ORIGIN;
        return true;
    }
    if (text_equal(head->target, TEXT("*"))) {
        head->form = TARGET_ASTERISK;
        return head->method_id == METHOD_OPTIONS;
    }
    head->form = TARGET_ABSOLUTE;
    return split_absolute(head, before_query);
}

/* One CRLF before the request, as some clients send behind a body. */
static enum h1_result skip_empty_line(struct line_scan *scan)
{
    if (scan->at == scan->end) {
        return H1_MORE;
    }
    if (*scan->at != '\r') {
        return H1_DONE;
    }
    if (scan->at + 1 == scan->end) {
        return H1_MORE;
    }
    if (scan->at[1] != '\n') {
        return refuse(scan, H1_BAD_LINE_END);
    }
    scan->at += 2;
    return H1_DONE;
}

static enum h1_result read_request_line(struct line_scan *scan, const struct h1_limits *limits,
                                        struct request_head *head)
{
    const char *input_end = scan->end, *query = NULL;
    enum h1_result result = skip_empty_line(scan);
    if (result != H1_DONE) {
        return result;
    }
    scan_init(scan, limits, scan->at, input_end, H1_REQUEST_LINE_TOO_LONG);
    if ((result = read_method(scan, head)) != H1_DONE ||
        (result = read_target(scan, &head->target, &query)) != H1_DONE ||
        (result = read_version(scan, H1_BAD_VERSION, &head->version)) != H1_DONE ||
        (result = read_line_end(scan, H1_BAD_VERSION)) != H1_DONE) {
        return result;
    }
    return split_target(head, query) ? H1_DONE : refuse(scan, H1_BAD_TARGET);
}

/* " 200 OK\r\n" behind the version; the space before an empty phrase may be missing. */
static enum h1_result read_status(struct line_scan *scan, struct response_head *head)
{
    const char *at = scan->at;
    unsigned status = 0;
    for (size_t i = 0; i < 4; i++, at++) {
        if (at == scan->end) {
            return out_of_bytes(scan);
        }
        bool good =
            i == 0 ? *at == ' ' : *at >= (i == 1 ? '1' : '0') && *at <= (i == 1 ? '5' : '9');
        if (!good) {
            return refuse_byte(scan, at, H1_BAD_STATUS_LINE);
        }
        status = i == 0 ? 0 : status * 10 + (unsigned)(*at - '0');
    }
    if (at == scan->end) {
        return out_of_bytes(scan);
    }
    if (*at != ' ' && *at != '\r') {
        return refuse_byte(scan, at, H1_BAD_STATUS_LINE);
    }
    const char *reason = *at == ' ' ? at + 1 : at;
    scan->at = byte_skip_value(reason, scan->end);
    head->status = (uint16_t)status;
    head->reason = text_of(reason, (size_t)(scan->at - reason));
    return H1_DONE;
}

static enum h1_result read_status_line(struct line_scan *scan, struct response_head *head)
{
    enum h1_result result;
    if ((result = read_version(scan, H1_BAD_STATUS_LINE, &head->version)) != H1_DONE ||
        (result = read_status(scan, head)) != H1_DONE ||
        (result = read_line_end(scan, H1_BAD_STATUS_LINE)) != H1_DONE) {
        return result;
    }
    return H1_DONE;
}

/* A start line that was complete in an earlier call need not be read again to go on with the
 * fields; it is when the head is. So the views in head are always of this call. */
static bool start_line_is_known(const struct h1_head_reader *reader)
{
    return reader->fields_at != 0 && reader->section.scanned != 0;
}

static enum h1_result read_fields(struct h1_head_reader *reader, const struct h1_limits *limits,
                                  const char *span, size_t size, struct fields *fields,
                                  struct h1_seen *seen, size_t *out_size)
{
    return h1_section_read(&reader->section, limits, span, reader->fields_at, size, fields, seen,
                           out_size, &reader->reason);
}

enum h1_result h1_read_request(struct h1_head_reader *reader, const struct h1_limits *limits,
                               const char *span, size_t size, struct request_head *out_head,
                               size_t *out_size)
{
    struct h1_seen seen;
    enum h1_result result;
    bool resumed = start_line_is_known(reader);
    if (resumed) {
        result = read_fields(reader, limits, span, size, &out_head->fields, &seen, out_size);
        if (result != H1_DONE) {
            return result;
        }
    }
    struct line_scan scan = { .at = span, .end = span + size };
    result = read_request_line(&scan, limits, out_head);
    if (result != H1_DONE) {
        ensure(!resumed);
        reader->reason = scan.reason;
        return result;
    }
    if (!resumed) {
        reader->fields_at = (uint32_t)(scan.at - span);
        result = read_fields(reader, limits, span, size, &out_head->fields, &seen, out_size);
        if (result != H1_DONE) {
            return result;
        }
    }
    reader->reason = h1_frame_request(out_head, seen);
    return reader->reason == H1_OK ? H1_DONE : H1_REFUSED;
}

enum h1_result h1_read_response(struct h1_head_reader *reader, const struct h1_limits *limits,
                                enum http_method request_method, const char *span, size_t size,
                                struct response_head *out_head, size_t *out_size)
{
    struct h1_seen seen;
    enum h1_result result;
    bool resumed = start_line_is_known(reader);
    if (resumed) {
        result = read_fields(reader, limits, span, size, &out_head->fields, &seen, out_size);
        if (result != H1_DONE) {
            return result;
        }
    }
    struct line_scan scan;
    scan_init(&scan, limits, span, span + size, H1_HEAD_TOO_LARGE);
    result = read_status_line(&scan, out_head);
    if (result != H1_DONE) {
        ensure(!resumed);
        reader->reason = scan.reason;
        return result;
    }
    if (!resumed) {
        reader->fields_at = (uint32_t)(scan.at - span);
        result = read_fields(reader, limits, span, size, &out_head->fields, &seen, out_size);
        if (result != H1_DONE) {
            return result;
        }
    }
    reader->reason = h1_frame_response(out_head, request_method, seen);
    return reader->reason == H1_OK ? H1_DONE : H1_REFUSED;
}
