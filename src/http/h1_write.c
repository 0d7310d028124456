/* Writing HTTP/1.1 messages into room the caller owns, and the registered status phrases. */
#include "http/h1.h"

/* Room for `size` bytes, or NULL and overflow. */
static char *take(struct h1_writer *writer, size_t size)
{
    if (writer->overflow || size > (size_t)(writer->end - writer->at)) {
        writer->overflow = true;
        return NULL;
    }
    char *at = writer->at;
    writer->at += size;
    return at;
}

static inline char *put(char *at, struct text t)
{
    if (t.size > 0) {
        memcpy(at, t.at, t.size);
    }
    return at + t.size;
}

void h1_write_text(struct h1_writer *writer, struct text t)
{
    char *at = take(writer, t.size);
    if (at != NULL) {
        put(at, t);
    }
}

void h1_write_field(struct h1_writer *writer, struct text name, struct text value)
{
    char *at = take(writer, name.size + value.size + 4);
    if (at == NULL) {
        return;
    }
    at = put(at, name);
    *at++ = ':';
    *at++ = ' ';
    at = put(at, value);
    *at++ = '\r';
    *at = '\n';
}

static bool is_framing(const struct field *field)
{
    const uint64_t set = 1ull << FIELD_CONTENT_LENGTH | 1ull << FIELD_TRANSFER_ENCODING |
                         1ull << FIELD_CONNECTION | 1ull << FIELD_KEEP_ALIVE |
                         1ull << FIELD_PROXY_CONNECTION | 1ull << FIELD_UPGRADE;
    return set >> field->id & 1;
}

void h1_write_fields(struct h1_writer *writer, const struct fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (!field->hop_by_hop && !is_framing(field)) {
            h1_write_field(writer, field->name, field->value);
        }
    }
}

#define DECIMAL_MAX 20

void h1_write_u64(struct h1_writer *writer, uint64_t value)
{
    char digits[DECIMAL_MAX];
    size_t begin = DECIMAL_MAX;
    do {
        digits[--begin] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    h1_write_text(writer, text_of(digits + begin, DECIMAL_MAX - begin));
}

void h1_write_request_line(struct h1_writer *writer, struct text method, struct text target)
{
    const struct text version = TEXT(" HTTP/1.1\r\n");
    char *at = take(writer, method.size + 1 + target.size + version.size);
    if (at == NULL) {
        return;
    }
    at = put(at, method);
    *at++ = ' ';
    put(put(at, target), version);
}

void h1_write_status_line(struct h1_writer *writer, uint16_t status, struct text reason)
{
    const struct text version = TEXT("HTTP/1.1 ");
    if (reason.size == 0) {
        reason = h1_status_phrase(status);
    }
    char *at = take(writer, version.size + 4 + reason.size + 2);
    if (at == NULL) {
        return;
    }
    at = put(at, version);
    *at++ = (char)('0' + status / 100 % 10);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    put(put(at, reason), TEXT("\r\n"));
}

void h1_write_framing(struct h1_writer *writer, enum body_kind body, uint64_t content_length)
{
    if (body == BODY_CHUNKED) {
        h1_write_text(writer, TEXT("Transfer-Encoding: chunked\r\n"));
    } else if (body == BODY_LENGTH) {
        char line[48];
        struct h1_writer part = { .at = line, .end = line + sizeof(line) };
        h1_write_text(&part, TEXT("Content-Length: "));
        h1_write_u64(&part, content_length);
        h1_write_text(&part, TEXT("\r\n"));
        h1_write_text(writer, text_of(line, (size_t)(part.at - line)));
    }
}

void h1_write_end(struct h1_writer *writer)
{
    h1_write_text(writer, TEXT("\r\n"));
}

size_t h1_format_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = size == 0 ? 1 : (size_t)(67 - __builtin_clzll(size)) / 4;
    for (size_t i = 0; i < count; i++) {
        out[count - 1 - i] = digits[size >> (4 * i) & 15];
    }
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}

struct status_phrase {
    uint16_t status;
    struct text phrase;
};

/* RFC 9110 section 15 and the registry of status codes, in order. */
static const struct status_phrase phrases[] = {
    { 100, TEXT_STATIC("Continue") },
    { 101, TEXT_STATIC("Switching Protocols") },
    { 102, TEXT_STATIC("Processing") },
    { 103, TEXT_STATIC("Early Hints") },
    { 200, TEXT_STATIC("OK") },
    { 201, TEXT_STATIC("Created") },
    { 202, TEXT_STATIC("Accepted") },
    { 203, TEXT_STATIC("Non-Authoritative Information") },
    { 204, TEXT_STATIC("No Content") },
    { 205, TEXT_STATIC("Reset Content") },
    { 206, TEXT_STATIC("Partial Content") },
    { 207, TEXT_STATIC("Multi-Status") },
    { 208, TEXT_STATIC("Already Reported") },
    { 226, TEXT_STATIC("IM Used") },
    { 300, TEXT_STATIC("Multiple Choices") },
    { 301, TEXT_STATIC("Moved Permanently") },
    { 302, TEXT_STATIC("Found") },
    { 303, TEXT_STATIC("See Other") },
    { 304, TEXT_STATIC("Not Modified") },
    { 305, TEXT_STATIC("Use Proxy") },
    { 307, TEXT_STATIC("Temporary Redirect") },
    { 308, TEXT_STATIC("Permanent Redirect") },
    { 400, TEXT_STATIC("Bad Request") },
    { 401, TEXT_STATIC("Unauthorized") },
    { 402, TEXT_STATIC("Payment Required") },
    { 403, TEXT_STATIC("Forbidden") },
    { 404, TEXT_STATIC("Not Found") },
    { 405, TEXT_STATIC("Method Not Allowed") },
    { 406, TEXT_STATIC("Not Acceptable") },
    { 407, TEXT_STATIC("Proxy Authentication Required") },
    { 408, TEXT_STATIC("Request Timeout") },
    { 409, TEXT_STATIC("Conflict") },
    { 410, TEXT_STATIC("Gone") },
    { 411, TEXT_STATIC("Length Required") },
    { 412, TEXT_STATIC("Precondition Failed") },
    { 413, TEXT_STATIC("Content Too Large") },
    { 414, TEXT_STATIC("URI Too Long") },
    { 415, TEXT_STATIC("Unsupported Media Type") },
    { 416, TEXT_STATIC("Range Not Satisfiable") },
    { 417, TEXT_STATIC("Expectation Failed") },
    { 421, TEXT_STATIC("Misdirected Request") },
    { 422, TEXT_STATIC("Unprocessable Content") },
    { 423, TEXT_STATIC("Locked") },
    { 424, TEXT_STATIC("Failed Dependency") },
    { 425, TEXT_STATIC("Too Early") },
    { 426, TEXT_STATIC("Upgrade Required") },
    { 428, TEXT_STATIC("Precondition Required") },
    { 429, TEXT_STATIC("Too Many Requests") },
    { 431, TEXT_STATIC("Request Header Fields Too Large") },
    { 451, TEXT_STATIC("Unavailable For Legal Reasons") },
    { 500, TEXT_STATIC("Internal Server Error") },
    { 501, TEXT_STATIC("Not Implemented") },
    { 502, TEXT_STATIC("Bad Gateway") },
    { 503, TEXT_STATIC("Service Unavailable") },
    { 504, TEXT_STATIC("Gateway Timeout") },
    { 505, TEXT_STATIC("HTTP Version Not Supported") },
    { 506, TEXT_STATIC("Variant Also Negotiates") },
    { 507, TEXT_STATIC("Insufficient Storage") },
    { 508, TEXT_STATIC("Loop Detected") },
    { 511, TEXT_STATIC("Network Authentication Required") },
};

struct text h1_status_phrase(uint16_t status)
{
    size_t low = 0, high = sizeof(phrases) / sizeof(phrases[0]);
    if (status == 200) {
        return TEXT("OK");
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (phrases[middle].status == status) {
            return phrases[middle].phrase;
        }
        if (phrases[middle].status < status) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return text_of("", 0);
}
