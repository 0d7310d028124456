/* Header fields of a message (RFC 9110 section 5). Names and values are views into the bytes they
 * were read from, or into memory of the exchange. Names keep their case; comparing folds it. A
 * field whose name Weft acts on carries its id, found once while parsing, so nothing later compares
 * text. */
#pragma once

#include "base/text.h"

#include <assert.h>

enum field_id {
    FIELD_OTHER = 0,
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_KEEP_ALIVE,
    FIELD_PROXY_CONNECTION,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_UPGRADE,
    FIELD_EXPECT,
    FIELD_COOKIE,
    FIELD_SET_COOKIE,
    FIELD_ORIGIN,
    FIELD_ACCESS_CONTROL_REQUEST_METHOD,
    FIELD_ACCESS_CONTROL_REQUEST_HEADERS,
    FIELD_X_FORWARDED_FOR,
    FIELD_X_FORWARDED_PROTO,
    FIELD_X_FORWARDED_HOST,
    FIELD_X_FORWARDED_PORT,
    FIELD_FORWARDED,
    FIELD_X_REQUEST_ID,
    FIELD_TRACEPARENT,
    FIELD_TRACESTATE,
    FIELD_DATE,
    FIELD_SERVER,
    FIELD_VIA,
    FIELD_USER_AGENT,
    FIELD_REFERER,
    FIELD_CONTENT_TYPE,
    FIELD_LOCATION,
    FIELD_RETRY_AFTER,
    FIELD_PROXY_STATUS,
    FIELD_X_REAL_IP,
    FIELD_GRPC_STATUS,
    FIELD_GRPC_MESSAGE,
    FIELD_AUTHORIZATION,
    FIELD_VARY,
    FIELD_COUNT
};
static_assert(FIELD_COUNT <= 64, "sets of ids are 64 bits");

struct field {
    struct text name;
    struct text value; /* without surrounding blanks */
    uint8_t id;        /* enum field_id */
    bool hop_by_hop;   /* named by Connection, or hop-by-hop by nature: never forwarded */
};

/* At most this many fields in a head and in trailers (limit of decisions 17 and the issue). */
#define FIELDS_MAX 100
/* Room in the array: what filters may add beyond what a peer may send. */
#define FIELDS_ROOM 160

struct fields {
    struct field items[FIELDS_ROOM];
    uint16_t count;
};

/* The id of a name in any case; O(1). */
enum field_id field_id_of(struct text name);
/* The lower-case canonical name of an id. */
struct text field_name(enum field_id id);
/* RFC 9110 5.6.2 token; 5.5 field-value (no CR, LF, NUL or other control but HTAB). */
bool field_name_is_valid(struct text name);
bool field_value_is_valid(struct text value);
/* Hop-by-hop by nature (RFC 9110 7.6.1, and the proxy credentials of the next hop): Connection,
 * Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE, Transfer-Encoding,
 * Upgrade. Trailer is end-to-end: Weft passes trailers on. */
static inline bool field_is_hop_by_hop(enum field_id id)
{
    const uint64_t set = 1ull << FIELD_CONNECTION | 1ull << FIELD_KEEP_ALIVE |
                         1ull << FIELD_PROXY_CONNECTION | 1ull << FIELD_PROXY_AUTHENTICATE |
                         1ull << FIELD_PROXY_AUTHORIZATION | 1ull << FIELD_TE |
                         1ull << FIELD_TRANSFER_ENCODING | 1ull << FIELD_UPGRADE;
    return set >> id & 1;
}
/* x-forwarded-*, x-weft-*, x-real-ip, x-request-id, and whatever reads like them to servers that
 * make no difference between '-', '_', '.' and other such bytes: only Weft says these. */
bool field_is_set_by_proxy(struct text name);
/* Whether a field may stand in trailers (RFC 9110 6.5.1): framing, routing, request modifiers,
 * authentication, response control, content format and everything a proxy sets are not. */
bool field_is_trailer(enum field_id id, struct text name);
/* First field with this id (FIELD_OTHER: never) or name, or NULL. */
const struct field *fields_find(const struct fields *fields, enum field_id id);
const struct field *fields_find_name(const struct fields *fields, struct text name);
