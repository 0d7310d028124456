/* Cross-origin resource sharing (WHATWG Fetch section 3.3, Gateway API HTTPCORSFilter). Preflights
 * are answered here: 200 with what the policy allows, 403 without a word for another origin. Actual
 * responses get the policy's headers in place of the backend's own. The origin is always echoed,
 * never "*", so that credentials work; Vary says so to caches. */
#include "http/field_edit.h"
#include "proxy/exchange_edit.h"
#include "proxy/regex.h"

struct origin {
    struct text scheme;
    struct text host;
    uint32_t port;
};

static uint32_t own_port(struct text scheme)
{
    if (text_equal_nocase(scheme, TEXT("https"))) {
        return 443;
    }
    return text_equal_nocase(scheme, TEXT("http")) ? 80 : 0;
}

/* scheme "://" host [":" port] (RFC 6454 section 6.1). */
static bool origin_parse(struct text t, struct origin *out_origin)
{
    size_t colon = text_find(t, TEXT("://"));
    if (colon == 0 || colon == t.size) {
        return false;
    }
    out_origin->scheme = text_first(t, colon);
    out_origin->port = own_port(out_origin->scheme);
    struct text host = text_from(t, colon + 3);
    size_t end = 0;
    if (host.size > 0 && host.at[0] == '[') {
        end = text_find_byte(host, ']');
    }
    end += text_find_byte(text_from(host, end), ':');
    out_origin->host = text_first(host, end);
    if (end < host.size) {
        uint64_t port;
        if (!text_parse_u64(text_from(host, end + 1), 65535, &port)) {
            return false;
        }
        out_origin->port = (uint32_t)port;
    }
    return out_origin->host.size > 0;
}

static bool origin_is(const struct cors_origin *allowed, const struct origin *origin)
{
    uint32_t port = allowed->port ? allowed->port : own_port(allowed->scheme);
    if (port != origin->port || !text_equal_nocase(allowed->scheme, origin->scheme)) {
        return false;
    }
    if (!allowed->wildcard) {
        return text_equal_nocase(allowed->host, origin->host);
    }
    if (allowed->host.size == 0) {
        return true;
    }
    size_t left = origin->host.size - allowed->host.size;
    return origin->host.size > allowed->host.size + 1 && origin->host.at[left - 1] == '.' &&
           text_equal_nocase(text_from(origin->host, left), allowed->host);
}

static bool is_allowed(const struct cors_policy *policy, struct text value)
{
    struct origin origin;
    bool parsed = origin_parse(value, &origin);
    for (unsigned i = 0; i < policy->origin_count; i++) {
        const struct cors_origin *allowed = &policy->origins[i];
        if (allowed->any) {
            return true;
        }
        if (allowed->regex ? regex_match(allowed->regex, value) == REGEX_YES
                           : parsed && origin_is(allowed, &origin)) {
            return true;
        }
    }
    return false;
}

static bool is_star(struct text t)
{
    return text_equal(t, TEXT("*"));
}

static void add(struct header_value *fields, unsigned *count, struct text name, struct text value)
{
    if (value.size > 0) {
        fields[(*count)++] = (struct header_value){ name, value };
    }
}

static enum filter_result answer_preflight(struct exchange *exchange,
                                           const struct cors_policy *policy, struct text origin,
                                           struct text method)
{
    struct header_value fields[8];
    unsigned count = 0;
    add(fields, &count, TEXT("vary"), TEXT("Origin"));
    if (!is_allowed(policy, origin)) {
        exchange_reply(exchange, 403, fields, count, TEXT("origin not allowed\n"));
        return FILTER_REPLIED;
    }
    const struct field *wanted =
        fields_find(&exchange_request(exchange)->fields, FIELD_ACCESS_CONTROL_REQUEST_HEADERS);
    struct text headers = policy->allow_headers;
    if (is_star(headers)) {
        headers = wanted ? wanted->value : text_of(NULL, 0);
    }
    add(fields, &count, TEXT("access-control-allow-origin"), origin);
    add(fields, &count, TEXT("access-control-allow-methods"),
        is_star(policy->allow_methods) ? method : policy->allow_methods);
    add(fields, &count, TEXT("access-control-allow-headers"), headers);
    if (!(policy->allow_credentials && is_star(policy->expose_headers))) {
        add(fields, &count, TEXT("access-control-expose-headers"), policy->expose_headers);
    }
    add(fields, &count, TEXT("access-control-max-age"), policy->max_age);
    add(fields, &count, TEXT("access-control-allow-credentials"),
        policy->allow_credentials ? TEXT("true") : text_of(NULL, 0));
    exchange_reply(exchange, 200, fields, count, text_of(NULL, 0));
    return FILTER_REPLIED;
}

static enum filter_result cors_request(struct exchange *exchange, const void *config)
{
    struct request_head *head = exchange_request(exchange);
    const struct field *origin = fields_find(&head->fields, FIELD_ORIGIN);
    const struct field *method = fields_find(&head->fields, FIELD_ACCESS_CONTROL_REQUEST_METHOD);
    if (head->method_id != METHOD_OPTIONS || origin == NULL || method == NULL) {
        return FILTER_NEXT;
    }
    return answer_preflight(exchange, config, origin->value, method->value);
}

static bool varies_by_origin(const struct fields *fields)
{
    for (unsigned i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (field->id != FIELD_VARY) {
            continue;
        }
        struct text rest = field->value;
        struct text part;
        while (text_split(&rest, ',', &part)) {
            part = text_trim(part);
            if (is_star(part) || text_equal_nocase(part, TEXT("origin"))) {
                return true;
            }
        }
    }
    return false;
}

/* Idempotent: it also runs on the preflight's own answer. */
static enum filter_result cors_response(struct exchange *exchange, const void *config)
{
    const struct cors_policy *policy = config;
    const struct request_head *request = exchange_request(exchange);
    struct fields *fields = &exchange_response(exchange)->fields;
    bool fits = varies_by_origin(fields) || fields_add(fields, TEXT("vary"), TEXT("Origin"));
    const struct field *origin = fields_find(&request->fields, FIELD_ORIGIN);
    if (origin == NULL) {
        return FILTER_NEXT;
    }
    fields_remove(fields, TEXT("access-control-allow-origin"));
    fields_remove(fields, TEXT("access-control-allow-credentials"));
    fields_remove(fields, TEXT("access-control-expose-headers"));
    if (!is_allowed(policy, origin->value)) {
        return FILTER_NEXT;
    }
    fits &= fields_add(fields, TEXT("access-control-allow-origin"), origin->value);
    if (policy->allow_credentials) {
        fits &= fields_add(fields, TEXT("access-control-allow-credentials"), TEXT("true"));
    }
    if (policy->expose_headers.size > 0 &&
        !(policy->allow_credentials && is_star(policy->expose_headers))) {
        fits &= fields_add(fields, TEXT("access-control-expose-headers"), policy->expose_headers);
    }
    if (!fits) { /* without the permission the browser refuses: closed, not open */
        fields_remove(fields, TEXT("access-control-allow-origin"));
    }
    return FILTER_NEXT;
}

const struct filter_type cors_filter = {
    .name = "cors",
    .on_request = cors_request,
    .on_response = cors_response,
    .on_own_replies = true,
};
