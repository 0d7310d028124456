/* struct access_record: one closed exchange as plain data, made by proxy when the exchange ends and
 * read by the access log, and later by tracing and live taps. Views need to be valid during the
 * call only. Empty text and zero mean absent, as the fields say. docs/access-log.md lists keys. */
#pragma once

#include "base/ring.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* No view longer than this many bytes is written whole: it is cut and the line gets "truncated". */
#define RECORD_TEXT_MAX 2048
/* Bytes a line may take at most, LF included. */
#define RECORD_LINE_MAX (32 * 1024)

struct access_record {
    int64_t start_wall_us; /* first byte of the request */
    uint64_t total_us;     /* first byte of the request to last byte of the response */
    uint64_t upstream_us;  /* of it waiting for upstream, all attempts */
    uint64_t weft_us;      /* total - upstream: Weft itself, and waiting for the client */

    struct text method;
    struct text scheme; /* "http" or "https" */
    struct text host;   /* without port */
    struct text path;   /* normalized, the one that routing and policy saw */
    struct text query;  /* without '?' */
    struct text user_agent;
    struct text referer;
    struct text protocol; /* "HTTP/1.1" */
    struct text request_id;
    struct text trace_id; /* 32 hex digits */
    struct text span_id;  /* 16 hex digits */

    uint16_t status;          /* sent to the client; 0: none was sent */
    uint16_t upstream_status; /* of the last attempt; 0: none came */
    uint16_t attempts;        /* 0: upstream was not asked */
    uint16_t worker;
    struct text reason; /* one word why Weft refused or failed it, empty: it did not */
    struct text flag;   /* Envoy's response flag for the same ("UF", "NR"), may be empty */

    struct text listener; /* key of the listener */
    struct text route;    /* key kind/namespace/name/rule/match, empty: none matched */
    struct text rule;     /* the rule's own name, where it has one */
    struct text backend;  /* key of the backend */
    struct text endpoint; /* address:port of the last attempt */
    struct text client;   /* the client's IP, by trusted forwarding headers where configured */
    struct text peer;     /* address:port of the connection */
    uint64_t generation;  /* of the plan */

    uint64_t request_head_bytes; /* as received, bodies without framing */
    uint64_t request_body_bytes;
    uint64_t response_head_bytes; /* as sent */
    uint64_t response_body_bytes;

    struct text tls_version; /* "TLSv1.3", empty on plain connections */
    struct text tls_cipher;
    struct text tls_peer; /* identity of the client's certificate (SPIFFE ID or subject) */
};

/* One line of JSON with its LF into `out`; 0 where it does not fit. RECORD_LINE_MAX always fits. */
size_t record_format_json(const struct access_record *record, char *out, size_t size);
/* Formats in place on a ring; a line that does not fit is dropped and counted there. */
void record_put_json(const struct access_record *record, struct ring *ring);
