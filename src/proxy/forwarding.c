/* What Weft tells the endpoint about the client: X-Forwarded-*, Forwarded (RFC 7239), Via, request
 * id and W3C trace context. What an untrusted peer sends in them is dropped, not passed on. */
#include "http/field_edit.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"

#include <stdio.h>

#define MASK(id) ((uint64_t)1 << (id))

_Static_assert(FIELD_COUNT <= 64, "field ids are used as bits");

static const uint64_t client_fields =
    MASK(FIELD_X_FORWARDED_FOR) | MASK(FIELD_X_FORWARDED_PROTO) | MASK(FIELD_X_FORWARDED_HOST) |
    MASK(FIELD_X_FORWARDED_PORT) | MASK(FIELD_FORWARDED) | MASK(FIELD_X_REAL_IP);
static const uint64_t trace_fields =
    MASK(FIELD_X_REQUEST_ID) | MASK(FIELD_TRACEPARENT) | MASK(FIELD_TRACESTATE);

/* Names of ours, and names that read like ours to some servers, without an id of their own. */
static bool is_spoof(const struct field *field)
{
    return field->id == FIELD_OTHER && field_is_set_by_proxy(field->name);
}

/* One pass: removes the fields of the mask, and imitations of them. */
static void remove_fields(struct fields *fields, uint64_t mask)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if ((mask & MASK(field->id) & ~MASK(FIELD_OTHER)) != 0 || is_spoof(field)) {
            continue;
        }
        if (kept != i) {
            fields->items[kept] = *field;
        }
        kept++;
    }
    fields->count = (uint16_t)kept;
}

static bool is_trusted_peer(const struct exchange *exchange)
{
    const struct plan_listener *listener = exchange->listener;
    const struct address *peer = &exchange->downstream->peer;
    for (uint32_t i = 0; i < listener->trusted_peer_count; i++) {
        if (address_block_contains(&listener->trusted_peers[i], peer)) {
            return true;
        }
    }
    return listener->trusted_peer_count == 0 && listener->trusted_hops > 0;
}

/* The client by X-Forwarded-For: skips trusted hops from the right (the peer itself is the
 * first). */
static struct text client_of(const struct exchange *exchange, struct text chain)
{
    uint32_t hops = exchange->listener->trusted_hops ? exchange->listener->trusted_hops : 1;
    struct text client = { 0 };
    while (hops-- > 0 && chain.size > 0) {
        size_t comma = chain.size;
        while (comma > 0 && chain.at[comma - 1] != ',') {
            comma--;
        }
        client = text_trim(text_from(chain, comma));
        chain = text_first(chain, comma > 0 ? comma - 1 : 0);
    }
    return client;
}

/* An untrusted peer's fields of these ids are gone already, so there is nothing to replace. */
static bool put(struct exchange *exchange, bool trusted, enum field_id id, struct text value)
{
    struct fields *fields = &exchange->request.fields;
    return trusted ? fields_set_id(fields, id, value) : fields_add_id(fields, id, value);
}

/* Eight hex digits of a number, least significant first, in one word. */
static uint64_t hex_digits(uint32_t number)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t digits = number;
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t letters = ((digits + ones * 6) >> 4) & ones;
    return digits + ones * '0' + letters * ('a' - '0' - 10);
}

/* Random digits, a multiple of 16 of them. */
static struct text hex_of(struct exchange *exchange, size_t digits)
{
    char *at = exchange_alloc(exchange, digits);
    if (at == NULL) {
        return text_of("", 0);
    }
    for (size_t i = 0; i < digits; i += 16) {
        uint64_t bits = random_next(&exchange->worker->random) | 1; /* never all zero */
        uint64_t halves[] = { hex_digits((uint32_t)bits), hex_digits((uint32_t)(bits >> 32)) };
        memcpy(at + i, halves, sizeof(halves));
    }
    return text_of(at, digits);
}

static bool is_hex(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        char c = t.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* 00-<32 hex>-<16 hex>-<2 hex> (W3C Trace Context 3.2). */
static bool continue_trace(struct exchange *exchange, struct text *out_flags)
{
    const struct field *field = fields_find(&exchange->request.fields, FIELD_TRACEPARENT);
    if (field == NULL || field->value.size < 55) {
        return false;
    }
    struct text v = field->value;
    struct text trace = text_of(v.at + 3, 32);
    struct text span = text_of(v.at + 36, 16);
    *out_flags = text_of(v.at + 53, 2);
    if (!is_hex(text_first(v, 2)) || text_equal(text_first(v, 2), TEXT("ff")) || v.at[2] != '-' ||
        v.at[35] != '-' || v.at[52] != '-' || !is_hex(trace) || !is_hex(span) ||
        !is_hex(*out_flags) || text_equal(span, TEXT("0000000000000000"))) {
        return false;
    }
    exchange->trace_id = trace;
    return true;
}

static bool apply_trace(struct exchange *exchange, bool trusted)
{
    struct fields *fields = &exchange->request.fields;
    struct text flags = TEXT("00");
    const struct field *id = trusted ? fields_find(fields, FIELD_X_REQUEST_ID) : NULL;
    exchange->request_id = id && id->value.size <= 128 ? id->value : hex_of(exchange, 32);
    if (!trusted || !continue_trace(exchange, &flags)) {
        exchange->trace_id = hex_of(exchange, 32);
        if (trusted) {
            fields_remove_id(fields, FIELD_TRACESTATE);
        }
    }
    exchange->span_id = hex_of(exchange, 16);
    char *at = exchange_alloc(exchange, 55);
    if (at == NULL || exchange->trace_id.size == 0 || exchange->span_id.size == 0) {
        return false;
    }
    memcpy(at, "00-", 3);
    memcpy(at + 3, exchange->trace_id.at, 32);
    at[35] = '-';
    memcpy(at + 36, exchange->span_id.at, 16);
    at[52] = '-';
    memcpy(at + 53, flags.at, 2);
    return put(exchange, trusted, FIELD_X_REQUEST_ID, exchange->request_id) &&
           put(exchange, trusted, FIELD_TRACEPARENT, text_of(at, 55));
}

/* "a, b" when a trusted peer sent a chain, else the address alone. */
static struct text join(struct exchange *exchange, struct text chain, struct text last)
{
    if (chain.size == 0) {
        return last;
    }
    char *at = exchange_alloc(exchange, chain.size + 2 + last.size);
    if (at == NULL) {
        return last;
    }
    memcpy(at, chain.at, chain.size);
    memcpy(at + chain.size, ", ", 2);
    memcpy(at + chain.size + 2, last.at, last.size);
    return text_of(at, chain.size + 2 + last.size);
}

static struct text forwarded_of(struct exchange *exchange, struct text ip)
{
    struct text host = exchange->authority;
    char *at = exchange_alloc(exchange, ip.size + host.size + 64);
    if (at == NULL) {
        return text_of("", 0);
    }
    bool v6 = !address_is_v4(&exchange->downstream->peer);
    struct h1_writer writer = { at, at + ip.size + host.size + 64, false };
    h1_write_text(&writer, v6 ? TEXT("for=\"[") : TEXT("for="));
    h1_write_text(&writer, ip);
    h1_write_text(&writer, v6 ? TEXT("]\"") : TEXT(""));
    h1_write_text(&writer, TEXT(";host=\""));
    h1_write_text(&writer, host);
    h1_write_text(&writer, TEXT("\";proto=http"));
    return text_of(at, (size_t)(writer.at - at));
}

static struct text port_of(struct exchange *exchange)
{
    char *at = exchange_alloc(exchange, 8);
    struct h1_writer writer = { at, at ? at + 8 : at, false };
    h1_write_u64(&writer, exchange->listener->address.port);
    return text_of(at, (size_t)(writer.at - at));
}

bool forwarding_apply(struct exchange *exchange)
{
    struct fields *fields = &exchange->request.fields;
    bool trusted = is_trusted_peer(exchange);
    char *memory = exchange_alloc(exchange, ADDRESS_TEXT_MAX);
    if (memory == NULL) {
        return false;
    }
    struct text ip = text_of(memory, address_format_ip(&exchange->downstream->peer, memory));
    exchange->client_ip = ip;
    struct text chain = { 0 };
    struct text forwarded = { 0 };
    if (trusted) {
        const struct field *field = fields_find(fields, FIELD_X_FORWARDED_FOR);
        chain = field ? field->value : chain;
        field = fields_find(fields, FIELD_FORWARDED);
        forwarded = field ? field->value : forwarded;
        struct text client = client_of(exchange, chain);
        exchange->client_ip = client.size > 0 ? client : ip;
    }
    /* Host is written from exchange->authority. */
    remove_fields(fields, MASK(FIELD_HOST) | (trusted ? 0 : client_fields | trace_fields));
    bool room = apply_trace(exchange, trusted) &&
                put(exchange, trusted, FIELD_X_FORWARDED_FOR, join(exchange, chain, ip)) &&
                put(exchange, trusted, FIELD_FORWARDED,
                    join(exchange, forwarded, forwarded_of(exchange, ip))) &&
                fields_add_id(fields, FIELD_VIA, TEXT("1.1 weft"));
    if (room && (!trusted || !fields_find(fields, FIELD_X_FORWARDED_PROTO))) {
        room = put(exchange, trusted, FIELD_X_FORWARDED_PROTO, TEXT("http"));
    }
    if (room && (!trusted || !fields_find(fields, FIELD_X_FORWARDED_HOST))) {
        room = put(exchange, trusted, FIELD_X_FORWARDED_HOST, exchange->authority);
    }
    if (room && (!trusted || !fields_find(fields, FIELD_X_FORWARDED_PORT))) {
        room = put(exchange, trusted, FIELD_X_FORWARDED_PORT, port_of(exchange));
    }
    return room;
}
