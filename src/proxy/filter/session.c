/* Tokens of session persistence. 24 bytes, big endian, as 32 characters of base64url:
 *   began_s(4) used_s(4) hidden(8) mac(8)
 * hidden = affinity xor PRF(key, "hide", times), mac = PRF(key, "sign", times, hidden), PRF =
 * SipHash-2-4. */
#include "proxy/filter/session.h"

#include "base/clock.h"
#include "base/hash.h"
#include "http/field_edit.h"
#include "proxy/cookie.h"

#include <stdio.h>

#define TOKEN_BYTES 24
#define TOKEN_SIZE  32
/* Room for a Set-Cookie besides name, path, attributes and token. */
#define COOKIE_ROOM 64
/* How far ahead another replica's clock may be. */
#define CLOCK_SKEW_S 60

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/* Where a policy brings no key the token is only made opaque, the same in every replica. */
static const uint64_t fixed_key[2] = { 0x7765667420736573u, 0x73696f6e206b6579u };

static void store(unsigned char *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
    }
}

static uint64_t load(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static uint64_t derive(const uint64_t key[2], const char word[4], const unsigned char *bytes,
                       size_t size)
{
    char input[4 + 16];
    memcpy(input, word, 4);
    memcpy(input + 4, bytes, size);
    return hash_keyed(key, text_of(input, 4 + size));
}

static void token_seal(const uint64_t key[2], const struct session *session, char out[TOKEN_SIZE])
{
    unsigned char raw[TOKEN_BYTES];
    store(raw, session->began_s, 4);
    store(raw + 4, session->used_s, 4);
    store(raw + 8, session->affinity ^ derive(key, "hide", raw, 8), 8);
    store(raw + 16, derive(key, "sign", raw, 16), 8);
    for (unsigned i = 0, o = 0; i < TOKEN_BYTES; i += 3) {
        uint32_t three = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) {
            out[o++] = alphabet[three >> shift & 63];
        }
    }
}

static bool decode(struct text token, unsigned char raw[TOKEN_BYTES])
{
    if (token.size != TOKEN_SIZE) {
        return false;
    }
    for (unsigned i = 0, o = 0; i < TOKEN_SIZE; i += 4) {
        uint32_t three = 0;
        for (unsigned k = 0; k < 4; k++) {
            const char *found = token.at[i + k] ? strchr(alphabet, token.at[i + k]) : NULL;
            if (found == NULL) {
                return false;
            }
            three = three << 6 | (uint32_t)(found - alphabet);
        }
        raw[o++] = (unsigned char)(three >> 16);
        raw[o++] = (unsigned char)(three >> 8);
        raw[o++] = (unsigned char)three;
    }
    return true;
}

static bool token_open(const uint64_t key[2], const unsigned char raw[TOKEN_BYTES],
                       struct session *out_session)
{
    if (load(raw + 16, 8) != derive(key, "sign", raw, 16)) {
        return false;
    }
    out_session->began_s = (uint32_t)load(raw, 4);
    out_session->used_s = (uint32_t)load(raw + 4, 4);
    out_session->affinity = load(raw + 8, 8) ^ derive(key, "hide", raw, 8);
    return true;
}

static uint32_t now_s(void)
{
    return (uint32_t)(clock_wall_us() / 1000000);
}

static bool is_over(const struct session_policy *policy, const struct session *session)
{
    uint32_t now = now_s();
    if (session->began_s > now + CLOCK_SKEW_S || session->used_s > now + CLOCK_SKEW_S) {
        return true;
    }
    uint64_t later = now;
    return (policy->absolute_s && later >= (uint64_t)session->began_s + policy->absolute_s) ||
           (policy->idle_s && later >= (uint64_t)session->used_s + policy->idle_s);
}

struct session session_read(const struct session_policy *policy, const struct request_head *head)
{
    struct session session = { 0 };
    struct text token = text_of(NULL, 0);
    unsigned char raw[TOKEN_BYTES];
    if (policy->by_header) {
        const struct field *field = fields_find_name(&head->fields, policy->name);
        token = field ? field->value : token;
    } else if (!cookie_find(&head->fields, policy->name, &token)) {
        return session;
    }
    if (!decode(token, raw)) {
        return session;
    }
    bool valid = policy->key_count == 0 && token_open(fixed_key, raw, &session);
    for (unsigned i = 0; i < policy->key_count && !valid; i++) {
        valid = token_open(policy->keys[i], raw, &session);
    }
    return valid && !is_over(policy, &session) ? session : (struct session){ 0 };
}

static bool is_fresh(const struct session_policy *policy, const struct session *session,
                     uint64_t affinity)
{
    if (session->affinity != affinity) {
        return false;
    }
    /* Not each response notes the use again: a tenth of the time may be lost. */
    return policy->idle_s == 0 || now_s() < session->used_s + policy->idle_s / 10 + 1;
}

static struct text format_cookie(const struct session_policy *policy, struct exchange *exchange,
                                 const char token[TOKEN_SIZE])
{
    size_t room =
        policy->name.size + policy->path.size + policy->attributes.size + TOKEN_SIZE + COOKIE_ROOM;
    char *into = exchange_alloc(exchange, room);
    if (into == NULL) {
        return text_of(NULL, 0);
    }
    int size = snprintf(into, room, "%.*s=%.*s", TEXT_ARG(policy->name), TOKEN_SIZE, token);
    if (policy->path.size > 0) {
        size += snprintf(into + size, room - (size_t)size, "; Path=%.*s", TEXT_ARG(policy->path));
    }
    if (policy->ttl_s > 0) {
        size += snprintf(into + size, room - (size_t)size, "; Max-Age=%u", (unsigned)policy->ttl_s);
    }
    bool secure = policy->secure_on_https && text_equal(exchange_scheme(exchange), TEXT("https"));
    size += snprintf(into + size, room - (size_t)size, "%.*s%s", TEXT_ARG(policy->attributes),
                     secure ? "; Secure" : "");
    return text_of(into, (size_t)size);
}

bool session_write(const struct session_policy *policy, const struct session *session,
                   uint64_t affinity, struct exchange *exchange)
{
    if (affinity == 0 || is_fresh(policy, session, affinity)) {
        return true;
    }
    struct session next = { .affinity = affinity, .used_s = now_s() };
    next.began_s = session->affinity ? session->began_s : next.used_s;
    char token[TOKEN_SIZE];
    token_seal(policy->key_count ? policy->keys[0] : fixed_key, &next, token);
    struct fields *fields = &exchange_response(exchange)->fields;
    if (!policy->by_header) {
        struct text cookie = format_cookie(policy, exchange, token);
        return cookie.size > 0 && fields_add(fields, TEXT("set-cookie"), cookie);
    }
    char *value = exchange_alloc(exchange, TOKEN_SIZE);
    if (value == NULL) {
        return false;
    }
    memcpy(value, token, TOKEN_SIZE);
    return fields_set(fields, policy->name, text_of(value, TOKEN_SIZE));
}
