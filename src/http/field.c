/* Field names: ids, validity, which are hop-by-hop, which may be trailers. Called for each field of
 * each message, so lookups are O(1): the names of one length are at most five, told apart by their
 * first and last letter before they are compared. */
#include "http/field.h"

#include "http/bytes.h"

static const struct text names[FIELD_COUNT] = {
    [FIELD_HOST] = TEXT_STATIC("host"),
    [FIELD_CONTENT_LENGTH] = TEXT_STATIC("content-length"),
    [FIELD_TRANSFER_ENCODING] = TEXT_STATIC("transfer-encoding"),
    [FIELD_CONNECTION] = TEXT_STATIC("connection"),
    [FIELD_KEEP_ALIVE] = TEXT_STATIC("keep-alive"),
    [FIELD_PROXY_CONNECTION] = TEXT_STATIC("proxy-connection"),
    [FIELD_PROXY_AUTHENTICATE] = TEXT_STATIC("proxy-authenticate"),
    [FIELD_PROXY_AUTHORIZATION] = TEXT_STATIC("proxy-authorization"),
    [FIELD_TE] = TEXT_STATIC("te"),
    [FIELD_TRAILER] = TEXT_STATIC("trailer"),
    [FIELD_UPGRADE] = TEXT_STATIC("upgrade"),
    [FIELD_EXPECT] = TEXT_STATIC("expect"),
    [FIELD_COOKIE] = TEXT_STATIC("cookie"),
    [FIELD_SET_COOKIE] = TEXT_STATIC("set-cookie"),
    [FIELD_ORIGIN] = TEXT_STATIC("origin"),
    [FIELD_ACCESS_CONTROL_REQUEST_METHOD] = TEXT_STATIC("access-control-request-method"),
    [FIELD_ACCESS_CONTROL_REQUEST_HEADERS] = TEXT_STATIC("access-control-request-headers"),
    [FIELD_X_FORWARDED_FOR] = TEXT_STATIC("x-forwarded-for"),
    [FIELD_X_FORWARDED_PROTO] = TEXT_STATIC("x-forwarded-proto"),
    [FIELD_X_FORWARDED_HOST] = TEXT_STATIC("x-forwarded-host"),
    [FIELD_X_FORWARDED_PORT] = TEXT_STATIC("x-forwarded-port"),
    [FIELD_FORWARDED] = TEXT_STATIC("forwarded"),
    [FIELD_X_REQUEST_ID] = TEXT_STATIC("x-request-id"),
    [FIELD_TRACEPARENT] = TEXT_STATIC("traceparent"),
    [FIELD_TRACESTATE] = TEXT_STATIC("tracestate"),
    [FIELD_DATE] = TEXT_STATIC("date"),
    [FIELD_SERVER] = TEXT_STATIC("server"),
    [FIELD_VIA] = TEXT_STATIC("via"),
    [FIELD_USER_AGENT] = TEXT_STATIC("user-agent"),
    [FIELD_REFERER] = TEXT_STATIC("referer"),
    [FIELD_CONTENT_TYPE] = TEXT_STATIC("content-type"),
    [FIELD_LOCATION] = TEXT_STATIC("location"),
    [FIELD_RETRY_AFTER] = TEXT_STATIC("retry-after"),
    [FIELD_PROXY_STATUS] = TEXT_STATIC("proxy-status"),
    [FIELD_X_REAL_IP] = TEXT_STATIC("x-real-ip"),
    [FIELD_GRPC_STATUS] = TEXT_STATIC("grpc-status"),
    [FIELD_GRPC_MESSAGE] = TEXT_STATIC("grpc-message"),
    [FIELD_AUTHORIZATION] = TEXT_STATIC("authorization"),
    [FIELD_VARY] = TEXT_STATIC("vary"),
};

#define LENGTH_MAX 30
#define PER_LENGTH 6
static const uint8_t ids_by_length[LENGTH_MAX + 1][PER_LENGTH] = {
    [2] = { FIELD_TE },
    [3] = { FIELD_VIA },
    [4] = { FIELD_HOST, FIELD_DATE, FIELD_VARY },
    [6] = { FIELD_COOKIE, FIELD_ORIGIN, FIELD_EXPECT, FIELD_SERVER },
    [7] = { FIELD_REFERER, FIELD_UPGRADE, FIELD_TRAILER },
    [8] = { FIELD_LOCATION },
    [9] = { FIELD_FORWARDED, FIELD_X_REAL_IP },
    [10] = { FIELD_CONNECTION, FIELD_USER_AGENT, FIELD_KEEP_ALIVE, FIELD_SET_COOKIE,
             FIELD_TRACESTATE },
    [11] = { FIELD_TRACEPARENT, FIELD_GRPC_STATUS, FIELD_RETRY_AFTER },
    [12] = { FIELD_CONTENT_TYPE, FIELD_X_REQUEST_ID, FIELD_GRPC_MESSAGE, FIELD_PROXY_STATUS },
    [13] = { FIELD_AUTHORIZATION },
    [14] = { FIELD_CONTENT_LENGTH },
    [15] = { FIELD_X_FORWARDED_FOR },
    [16] = { FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PORT, FIELD_PROXY_CONNECTION },
    [17] = { FIELD_TRANSFER_ENCODING, FIELD_X_FORWARDED_PROTO },
    [18] = { FIELD_PROXY_AUTHENTICATE },
    [19] = { FIELD_PROXY_AUTHORIZATION },
    [29] = { FIELD_ACCESS_CONTROL_REQUEST_METHOD },
    [30] = { FIELD_ACCESS_CONTROL_REQUEST_HEADERS },
};

/* Bits that are set where two words differ: `x` of any bytes, `lower` of lower-case letters, digits
 * and
 * '-'. Folding by 0x20 alone would take CR for '-', so bit 5 or 6 of x must have been set before.
 */
static inline uint64_t differs(uint64_t x, uint64_t lower)
{
    const uint64_t fold = 0x2020202020202020, visible = 0x4040404040404040;
    return ((x | fold) ^ lower) | (~(x | x << 1) & visible);
}

static inline uint64_t load(const char *at, size_t size)
{
    /* Bytes not loaded are spaces in both words. */
    uint64_t word = 0x2020202020202020;
    memcpy(&word, at, size);
    return word;
}

/* Compares in words that overlap at the end; size is at most LENGTH_MAX. */
static bool equals_lower(const char *at, const char *lower, size_t size)
{
    uint64_t found = 0;
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8) {
            found |= differs(load(at + i, 8), load(lower + i, 8));
        }
        found |= differs(load(at + size - 8, 8), load(lower + size - 8, 8));
    } else if (size >= 4) {
        found = differs(load(at, 4), load(lower, 4)) |
                differs(load(at + size - 4, 4), load(lower + size - 4, 4));
    } else {
        for (size_t i = 0; i < size; i++) {
            found |= differs(load(at + i, 1), load(lower + i, 1));
        }
    }
    return found == 0;
}

enum field_id field_id_of(struct text name)
{
    if (name.size > LENGTH_MAX || name.size == 0) {
        return FIELD_OTHER;
    }
    const uint8_t *ids = ids_by_length[name.size];
    char first = (char)(name.at[0] | 0x20), last = (char)(name.at[name.size - 1] | 0x20);
    for (size_t i = 0; i < PER_LENGTH && ids[i] != FIELD_OTHER; i++) {
        const char *known = names[ids[i]].at;
        if (known[0] == first && known[name.size - 1] == last &&
            equals_lower(name.at, known, name.size)) {
            return (enum field_id)ids[i];
        }
    }
    return FIELD_OTHER;
}

struct text field_name(enum field_id id)
{
    return id < FIELD_COUNT ? names[id] : text_of(NULL, 0);
}

bool field_name_is_valid(struct text name)
{
    const char *end = name.at + name.size;
    return name.size > 0 && byte_skip(name.at, end, BYTE_TOKEN) == end;
}

bool field_value_is_valid(struct text value)
{
    if (value.size == 0) {
        return true;
    }
    const char *end = value.at + value.size;
    return byte_skip_value(value.at, end) == end;
}

/* Names without an id that must not be trailers. */
static const struct text not_trailers[] = {
    TEXT_STATIC("age"),
    TEXT_STATIC("authentication-info"),
    TEXT_STATIC("cache-control"),
    TEXT_STATIC("content-encoding"),
    TEXT_STATIC("content-language"),
    TEXT_STATIC("content-location"),
    TEXT_STATIC("content-range"),
    TEXT_STATIC("early-data"),
    TEXT_STATIC("expires"),
    TEXT_STATIC("if-match"),
    TEXT_STATIC("if-modified-since"),
    TEXT_STATIC("if-none-match"),
    TEXT_STATIC("if-range"),
    TEXT_STATIC("if-unmodified-since"),
    TEXT_STATIC("max-forwards"),
    TEXT_STATIC("pragma"),
    TEXT_STATIC("proxy-authentication-info"),
    TEXT_STATIC("range"),
    TEXT_STATIC("warning"),
    TEXT_STATIC("www-authenticate"),
};

bool field_is_trailer(enum field_id id, struct text name)
{
    if (id != FIELD_OTHER) {
        return id == FIELD_GRPC_STATUS || id == FIELD_GRPC_MESSAGE || id == FIELD_PROXY_STATUS;
    }
    for (size_t i = 0; i < sizeof(not_trailers) / sizeof(not_trailers[0]); i++) {
        if (text_equal_nocase(name, not_trailers[i])) {
            return false;
        }
    }
    return !field_is_set_by_proxy(name);
}

/* Letters and digits as they are, all else '-': servers that turn names into variables (CGI, WSGI)
 * do the like, and two names become one. */
static char fold_name_byte(char byte)
{
    byte = text_lower_byte(byte);
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ? byte : '-';
}

bool field_is_set_by_proxy(struct text name)
{
    static const struct {
        struct text name;
        bool whole;
    } reserved[] = {
        { TEXT_STATIC("x-forwarded-"), false },
        { TEXT_STATIC("x-weft-"), false },
        { TEXT_STATIC("x-real-ip"), true },
        { TEXT_STATIC("x-request-id"), true },
    };
    if (name.size < 7 || text_lower_byte(name.at[0]) != 'x') {
        return false;
    }
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        struct text wanted = reserved[i].name;
        size_t same = 0;
        while (same < wanted.size && same < name.size &&
               fold_name_byte(name.at[same]) == wanted.at[same]) {
            same++;
        }
        if (same == wanted.size && (!reserved[i].whole || same == name.size)) {
            return true;
        }
    }
    return false;
}

const struct field *fields_find(const struct fields *fields, enum field_id id)
{
    if (id == FIELD_OTHER) {
        return NULL;
    }
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id == id) {
            return &fields->items[i];
        }
    }
    return NULL;
}

const struct field *fields_find_name(const struct fields *fields, struct text name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (text_equal_nocase(fields->items[i].name, name)) {
            return &fields->items[i];
        }
    }
    return NULL;
}
