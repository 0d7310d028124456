/* HTTP/1.1 codec (RFC 9112), both roles, without sockets: strict readers that never repair, and
 * writers. Every reader is split-invariant: feeding any cut of the same bytes gives the same result.
 *
 * Heads are read from one contiguous span: call again with the same start and more bytes while
 * H1_MORE is returned; `progress` avoids scanning twice. Views in the result point into the span. */
#pragma once

#include "http/head.h"

enum h1_result { H1_DONE, H1_MORE, H1_REFUSED };

/* Why a message was refused: one stable word each (h1_reason_name), shown in reply, log and metric. */
enum h1_reason {
    H1_OK = 0,
    H1_BAD_REQUEST_LINE, H1_BAD_METHOD, H1_BAD_TARGET, H1_BAD_VERSION, H1_UNSUPPORTED_VERSION,
    H1_BAD_LINE_END,        /* bare CR or bare LF */
    H1_NUL_BYTE, H1_BAD_FIELD_NAME, H1_SPACE_BEFORE_COLON, H1_OBS_FOLD, H1_BAD_FIELD_VALUE,
    H1_LENGTH_AND_ENCODING, /* Content-Length with Transfer-Encoding */
    H1_BAD_LENGTH, H1_SEVERAL_LENGTHS, H1_BAD_ENCODING, H1_ENCODING_IN_1_0,
    H1_MISSING_HOST, H1_SEVERAL_HOSTS, H1_BAD_HOST, H1_HOST_MISMATCH, H1_BAD_CONNECTION,
    H1_BAD_STATUS_LINE, H1_BAD_CHUNK_SIZE, H1_BAD_CHUNK_EXTENSION, H1_BAD_CHUNK_END,
    H1_BAD_TRAILER, H1_BAD_EXPECT,
    H1_REQUEST_LINE_TOO_LONG, /* 414 */
    H1_HEAD_TOO_LARGE, H1_TOO_MANY_FIELDS, /* 431 */
    H1_REASON_COUNT
};

const char *h1_reason_name(enum h1_reason reason);
/* 400, 414, 417, 431, 501 or 505 for a refused request. */
uint16_t h1_reason_status(enum h1_reason reason);

struct h1_limits {
    uint32_t request_line; /* bytes, default 8192 */
    uint32_t head;         /* bytes of all field lines, default 65536 */
    uint16_t fields;       /* default FIELDS_MAX, never more */
};
extern const struct h1_limits h1_default_limits;

struct h1_head_reader {
    uint32_t scanned; /* bytes of the span known not to end the head */
    enum h1_reason reason;
};

void h1_head_reader_init(struct h1_head_reader *reader);
/* Empty lines before a request line are skipped (one CRLF at most, RFC 9112 2.2). On H1_DONE
 * *out_size is the head's length in the span, head is filled and has passed every rule of framing and
 * Host. CONNECT and TRACE are parsed (authority-form) and left to the caller to refuse. */
enum h1_result h1_read_request(struct h1_head_reader *reader, const struct h1_limits *limits,
                               const char *span, size_t size, struct request_head *out_head,
                               size_t *out_size);
/* `request_method` decides whether a body follows (HEAD); 1xx (but 101) heads are returned with
 * BODY_NONE like any other and the caller reads on. */
enum h1_result h1_read_response(struct h1_head_reader *reader, const struct h1_limits *limits,
                                enum http_method request_method, const char *span, size_t size,
                                struct response_head *out_head, size_t *out_size);

/* Body framing. One decoder per message. */
struct h1_body {
    uint8_t kind;  /* enum body_kind */
    uint8_t state; /* the decoder's own */
    uint8_t reason;
    bool done;
    uint16_t line;      /* bytes of the current chunk-size or trailer line, for its limit */
    uint16_t trailer_count;
    uint32_t trailer_bytes;
    uint64_t left;      /* bytes to come of the length or the current chunk */
};

void h1_body_init(struct h1_body *body, enum body_kind kind, uint64_t content_length);
/* Takes the next piece off the span: on H1_DONE the body is complete (body->done; *out_used bytes
 * were framing), on H1_MORE *out_used bytes were used and *out_data (possibly empty) is a view of
 * payload bytes within the span. Call until the span is used up or done. Never copies.
 * Chunk-size lines: at most 16 hex digits and 256 bytes with extensions.
 * Trailer lines are returned through h1_body_trailers; the caller passes a buffer of its own. */
enum h1_result h1_body_read(struct h1_body *body, const char *span, size_t size,
                            struct text *out_data, size_t *out_used);

/* Trailers of a chunked message: after h1_body_read has come to the trailer section (body->state says
 * so through h1_body_in_trailers), the section is read like a head, from one contiguous span. */
bool h1_body_in_trailers(const struct h1_body *body);
enum h1_result h1_read_trailers(struct h1_body *body, const struct h1_limits *limits,
                                const char *span, size_t size, struct fields *out_fields,
                                size_t *out_size);

/* Writers. Each writes at most `room` bytes and returns the size, or 0 where it does not fit. Fields
 * marked hop_by_hop and the framing fields (Content-Length, Transfer-Encoding, Connection,
 * Keep-Alive, Upgrade) are never copied: framing follows `body` and `content_length`. */
struct h1_writer {
    char *at;
    char *end;
    bool overflow;
};
void h1_write_text(struct h1_writer *writer, struct text t);
void h1_write_field(struct h1_writer *writer, struct text name, struct text value);
void h1_write_u64(struct h1_writer *writer, uint64_t value);
/* "METHOD target HTTP/1.1\r\n". */
void h1_write_request_line(struct h1_writer *writer, struct text method, struct text target);
/* "HTTP/1.1 200 OK\r\n" with Weft's own phrase when reason is empty. */
void h1_write_status_line(struct h1_writer *writer, uint16_t status, struct text reason);
void h1_write_framing(struct h1_writer *writer, enum body_kind body, uint64_t content_length);
/* "hex-size\r\n" before a chunk; the caller sends the data and then "\r\n". */
#define H1_CHUNK_HEAD_MAX 18
size_t h1_format_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t size);

/* The registered phrase of a status (RFC 9110 15), or "" for an unknown one. */
struct text h1_status_phrase(uint16_t status);
