/* HTTP/1.1 codec (RFC 9112), both roles, without sockets: strict readers that never repair, and
 * writers. Every reader is split-invariant: feeding any cut of the same bytes gives the same
 * result.
 *
 * Heads are read from one contiguous span: call again with the same start and more bytes while
 * H1_MORE is returned; the reader remembers what it has checked. Views in the result point into the
 * span. */
#pragma once

#include "http/head.h"

enum h1_result { H1_DONE, H1_MORE, H1_REFUSED };

/* Why a message was refused: one stable word each (h1_reason_name), shown in reply, log and metric.
 */
enum h1_reason {
    H1_OK = 0,
    H1_BAD_REQUEST_LINE,
    H1_BAD_METHOD,
    H1_BAD_TARGET,
    H1_BAD_VERSION,
    H1_UNSUPPORTED_VERSION,
    H1_BAD_LINE_END, /* bare CR or bare LF */
    H1_NUL_BYTE,
    H1_BAD_FIELD_NAME,
    H1_SPACE_BEFORE_COLON,
    H1_OBS_FOLD,
    H1_BAD_FIELD_VALUE,
    H1_LENGTH_AND_ENCODING, /* Content-Length with Transfer-Encoding */
    H1_BAD_LENGTH,
    H1_SEVERAL_LENGTHS,
    H1_BAD_ENCODING,
    H1_ENCODING_IN_1_0,
    H1_MISSING_HOST,
    H1_SEVERAL_HOSTS,
    H1_BAD_HOST,
    H1_HOST_MISMATCH,
    H1_BAD_CONNECTION,
    H1_BAD_STATUS_LINE,
    H1_BAD_CHUNK_SIZE,
    H1_BAD_CHUNK_EXTENSION,
    H1_BAD_CHUNK_END,
    H1_BAD_TRAILER,
    H1_BAD_EXPECT,
    H1_REQUEST_LINE_TOO_LONG, /* 414 */
    H1_HEAD_TOO_LARGE,
    H1_TOO_MANY_FIELDS, /* 431 */
    H1_REASON_COUNT
};

const char *h1_reason_name(enum h1_reason reason);
/* 400, 414, 417, 431 or 505 for a refused request. */
uint16_t h1_reason_status(enum h1_reason reason);

struct h1_limits {
    uint32_t request_line; /* bytes, default 8192 */
    uint32_t head;         /* bytes of all field lines, default 65536 */
    uint16_t fields;       /* default FIELDS_MAX, never more */
};
extern const struct h1_limits h1_default_limits;

/* How far a field section has been checked, so that bytes that drip in are looked at once. */
struct h1_section {
    uint32_t line;    /* offset of the line that is not complete; 0: nothing checked yet */
    uint32_t scanned; /* bytes before it belong to `line` and are well-formed */
    uint32_t colon;   /* offset of the line's colon, 0 while in its name */
    uint16_t count;   /* fields before `line` */
};

struct h1_head_reader {
    uint32_t fields_at; /* offset behind the start line, 0 while that is not complete */
    struct h1_section section;
    enum h1_reason reason; /* of H1_REFUSED */
};

/* Longest method token. */
#define H1_METHOD_MAX 64

void h1_head_reader_init(struct h1_head_reader *reader);
/* One empty line before a request line is skipped (RFC 9112 2.2). On H1_DONE
 * *out_size is the head's length in the span, head is filled and has passed every rule of framing
 * and Host. CONNECT and TRACE are parsed (authority-form) and left to the caller to refuse. On
 * H1_MORE and H1_REFUSED head holds nothing of use; it is scratch between calls.
 *
 * Connection: fields it names are marked hop_by_hop. Naming Host, Content-Length or
 * Transfer-Encoding, a malformed option or more than 32 of them is H1_BAD_CONNECTION. Other fields
 * with an id of their own (Authorization, Cookie, Forwarded, Via, traceparent ...) and all
 * x-forwarded-* and x-weft-* are end-to-end: naming them changes nothing (RFC 9110 7.6.1 warns of
 * it).
 *
 * Versions 1.2 to 1.9 count as 1.1 (RFC 9110 2.5). The target may hold the bytes browsers leave
 * unescaped besides those of RFC 3986 (\ ^ ` { | }), never '"', '#', '<', '>'. */
enum h1_result h1_read_request(struct h1_head_reader *reader, const struct h1_limits *limits,
                               const char *span, size_t size, struct request_head *out_head,
                               size_t *out_size);
/* `request_method` decides whether a body follows (HEAD); 1xx (but 101) heads are returned with
 * BODY_NONE like any other and the caller reads on. "HTTP/1.1 200" without the space before an
 * empty phrase is taken, as many servers send it. 1xx and 204 with Transfer-Encoding or a
 * Content-Length other than 0 are refused. */
enum h1_result h1_read_response(struct h1_head_reader *reader, const struct h1_limits *limits,
                                enum http_method request_method, const char *span, size_t size,
                                struct response_head *out_head, size_t *out_size);

/* Body framing. One decoder per message. */
struct h1_body {
    uint8_t kind;   /* enum body_kind */
    uint8_t state;  /* the decoder's own */
    uint8_t reason; /* enum h1_reason, of H1_REFUSED */
    bool done;
    uint16_t line;             /* bytes of the current chunk-size line, for its limit */
    uint16_t digits;           /* of the current chunk size */
    uint32_t extensions;       /* bytes of chunk extensions so far in the message */
    uint64_t left;             /* bytes to come of the length or the current chunk */
    struct h1_section section; /* of the trailers */
};

#define H1_CHUNK_LINE_MAX       256   /* bytes of a chunk-size line with its extensions */
#define H1_CHUNK_EXTENSIONS_MAX 16384 /* bytes of extensions in one message */

void h1_body_init(struct h1_body *body, enum body_kind kind, uint64_t content_length);
/* Takes the next piece off the span; *out_used bytes of it were used (data and framing), *out_data
 * is a view of the payload in them, possibly empty. Payload comes with H1_MORE only; body->done is
 * set together with the last piece of a length, and H1_DONE (0 used) is what a further call gives.
 * Call until the span is used up, body->done, or h1_body_in_trailers. Never copies.
 * Chunk-size lines: 1 to 16 hex digits, at most 2^63 - 1; extensions are checked and dropped. */
enum h1_result h1_body_read(struct h1_body *body, const char *span, size_t size,
                            struct text *out_data, size_t *out_used);
/* Payload bytes that follow next for certain, for moving them without looking (splice); 0 in
 * framing. h1_body_advance says that so many of them were moved. UINT64_MAX for BODY_UNTIL_CLOSE.
 */
uint64_t h1_body_run(const struct h1_body *body);
void h1_body_advance(struct h1_body *body, uint64_t size);
/* The peer ended the stream: true (and done) when that completes the body, false when it is cut. */
bool h1_body_end(struct h1_body *body);

/* Trailers of a chunked message: where h1_body_in_trailers, h1_body_read takes nothing more and the
 * section is read like a head, from one contiguous span (same start while H1_MORE), the usual
 * "\r\n" of no trailers included. H1_DONE sets body->done. Fields that must not be trailers (RFC
 * 9110 6.5.1) are refused. */
bool h1_body_in_trailers(const struct h1_body *body);
enum h1_result h1_read_trailers(struct h1_body *body, const struct h1_limits *limits,
                                const char *span, size_t size, struct fields *out_fields,
                                size_t *out_size);

/* Writers append between at and end. What does not fit is left out whole and sets overflow, which
 * stays: look once at the end. Values are the caller's to have checked (field_value_is_valid). */
struct h1_writer {
    char *at;
    char *end;
    bool overflow;
};
void h1_write_text(struct h1_writer *writer, struct text t);
void h1_write_field(struct h1_writer *writer, struct text name, struct text value);
/* All fields but those marked hop_by_hop and the framing ones (Content-Length, Transfer-Encoding,
 * Connection, Keep-Alive, Proxy-Connection, Upgrade): framing follows what is sent, not what came.
 */
void h1_write_fields(struct h1_writer *writer, const struct fields *fields);
void h1_write_u64(struct h1_writer *writer, uint64_t value);
/* "METHOD target HTTP/1.1\r\n". */
void h1_write_request_line(struct h1_writer *writer, struct text method, struct text target);
/* "HTTP/1.1 200 OK\r\n" with Weft's own phrase when reason is empty. */
void h1_write_status_line(struct h1_writer *writer, uint16_t status, struct text reason);
/* Content-Length or Transfer-Encoding; nothing for BODY_NONE and BODY_UNTIL_CLOSE. For the reply to
 * HEAD, or a 304, with a known length say BODY_LENGTH and send no body. */
void h1_write_framing(struct h1_writer *writer, enum body_kind body, uint64_t content_length);
/* The empty line that ends a head or trailers. */
void h1_write_end(struct h1_writer *writer);
/* "hex-size\r\n" before a chunk; the caller sends the data and then "\r\n". */
#define H1_CHUNK_HEAD_MAX 18
size_t h1_format_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t size);

/* The registered phrase of a status (RFC 9110 15), or "" for an unknown one. */
struct text h1_status_phrase(uint16_t status);
