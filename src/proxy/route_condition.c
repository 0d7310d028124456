/* What a route asks for besides its path: header fields, query parameters, cookies, method. No
 * allocation: joined and decoded values go through one buffer on the stack; a value that does not
 * fit matches nothing. */
#include "http/uri.h"
#include "proxy/cookie.h"
#include "proxy/plan_routes.h"

#define SCRATCH_SIZE 8192

struct value {
    struct text text;
    bool found;
    bool too_long;
};

static bool equal(struct text a, struct text b, bool ignore_case)
{
    return ignore_case ? text_equal_nocase(a, b) : text_equal(a, b);
}

static bool contains(struct text value, struct text part, bool ignore_case)
{
    if (!ignore_case) {
        return part.size <= value.size && (part.size == 0 || text_find(value, part) < value.size);
    }
    for (size_t i = 0; i + part.size <= value.size; i++) {
        if (text_equal_nocase(text_of(value.at + i, part.size), part)) {
            return true;
        }
    }
    return false;
}

static bool in_range(struct text value, int64_t low, int64_t high)
{
    bool negative = value.size > 0 && value.at[0] == '-';
    uint64_t size;
    if (!text_parse_u64(text_from(value, negative), INT64_MAX, &size)) {
        return false;
    }
    int64_t number = negative ? -(int64_t)size : (int64_t)size;
    return number >= low && number < high;
}

bool text_match_check(const struct text_match *match, struct text value)
{
    struct text wanted = match->text;
    switch ((enum text_match_kind)match->kind) {
    case TEXT_EXACT:
        return equal(value, wanted, match->ignore_case);
    case TEXT_PREFIX:
        return equal(text_first(value, wanted.size), wanted, match->ignore_case);
    case TEXT_SUFFIX:
        return value.size >= wanted.size &&
               equal(text_from(value, value.size - wanted.size), wanted, match->ignore_case);
    case TEXT_CONTAINS:
        return contains(value, wanted, match->ignore_case);
    case TEXT_REGEX:
        return regex_match(match->regex, value) == REGEX_YES;
    case TEXT_PRESENT:
        return true;
    case TEXT_RANGE:
        return in_range(value, match->low, match->high);
    }
    return false;
}

/* An inverted condition must not open where a regular expression gave up. */
static bool holds(const struct text_match *match, bool invert, struct text value)
{
    if (match->kind == TEXT_REGEX) {
        enum regex_result result = regex_match(match->regex, value);
        return result == (invert ? REGEX_NO : REGEX_YES);
    }
    return text_match_check(match, value) != invert;
}

static bool append(char *scratch, size_t *size, struct text t)
{
    if (t.size > SCRATCH_SIZE - *size) {
        return false;
    }
    if (t.size > 0) {
        memcpy(scratch + *size, t.at, t.size);
    }
    *size += t.size;
    return true;
}

static bool field_is(const struct field *field, const struct header_condition *condition)
{
    return condition->field_id != FIELD_OTHER
               ? field->id == condition->field_id
               : field->id == FIELD_OTHER && text_equal_nocase(field->name, condition->name);
}

static struct value field_value(const struct fields *fields,
                                const struct header_condition *condition, char *scratch)
{
    struct value value = { 0 };
    size_t size = 0;
    for (unsigned i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (!field_is(field, condition)) {
            continue;
        }
        if (!value.found) {
            value.found = true;
            value.text = field->value;
            continue;
        }
        if (size == 0 && !append(scratch, &size, value.text)) {
            value.too_long = true;
            return value;
        }
        if (!append(scratch, &size, TEXT(",")) || !append(scratch, &size, field->value)) {
            value.too_long = true;
            return value;
        }
        value.text = text_of(scratch, size);
    }
    return value;
}

static struct value path_and_query(struct text path, struct text query, char *scratch)
{
    struct value value = { .text = path, .found = true };
    size_t size = 0;
    if (query.at != NULL) {
        value.too_long = !append(scratch, &size, path) || !append(scratch, &size, TEXT("?")) ||
                         !append(scratch, &size, query);
        value.text = text_of(scratch, size);
    }
    return value;
}

static struct value header_value(const struct header_condition *condition, struct text path,
                                 struct text query, const struct request_head *head, char *scratch)
{
    switch ((enum pseudo_field)condition->pseudo) {
    case PSEUDO_METHOD:
        return (struct value){ .text = head->method, .found = true };
    case PSEUDO_AUTHORITY:
        return (struct value){ .text = head->authority, .found = head->authority.size > 0 };
    case PSEUDO_PATH:
        return path_and_query(path, query, scratch);
    case PSEUDO_NONE:
        break;
    }
    return field_value(&head->fields, condition, scratch);
}

static const char *check_header(const struct header_condition *condition, struct text path,
                                struct text query, const struct request_head *head, char *scratch)
{
    struct value value = header_value(condition, path, query, head, scratch);
    if (value.too_long) {
        return "the header field is too long to be matched";
    }
    if (condition->absent) {
        return value.found ? "the header field is there" : NULL;
    }
    if (!value.found && !condition->missing_is_empty) {
        return "the header field is missing";
    }
    if (holds(&condition->match, condition->invert, value.text)) {
        return NULL;
    }
    return condition->pseudo == PSEUDO_METHOD ? "the method is another"
                                              : "the header field has another value";
}

struct text method_name(enum http_method method)
{
    static const struct text names[] = {
        [METHOD_OTHER] = { "", 0 },      [METHOD_GET] = { "GET", 3 },
        [METHOD_HEAD] = { "HEAD", 4 },   [METHOD_POST] = { "POST", 4 },
        [METHOD_PUT] = { "PUT", 3 },     [METHOD_DELETE] = { "DELETE", 6 },
        [METHOD_PATCH] = { "PATCH", 5 }, [METHOD_OPTIONS] = { "OPTIONS", 7 },
        [METHOD_TRACE] = { "TRACE", 5 }, [METHOD_CONNECT] = { "CONNECT", 7 },
    };
    return names[method];
}

static bool is_plain(struct text t)
{
    return text_find_byte(t, '%') == t.size && text_find_byte(t, '+') == t.size;
}

/* A bad escape leaves the text as it is. */
static struct text decode(struct text raw, char *scratch)
{
    struct text decoded;
    return !is_plain(raw) && query_decode(raw, scratch, &decoded) ? decoded : raw;
}

static bool name_is(struct text raw, struct text name, char *scratch)
{
    if (raw.size < name.size || raw.size > 3 * name.size) {
        return false;
    }
    return text_equal(decode(raw, scratch), name);
}

static const char *check_query(const struct query_condition *condition, struct text query,
                               char *scratch)
{
    struct text rest = query;
    struct text name;
    struct text raw;
    while (query_next(&rest, &name, &raw)) {
        if (name.size > SCRATCH_SIZE || !name_is(name, condition->name, scratch)) {
            continue;
        }
        if (condition->absent) {
            return "the query parameter is there";
        }
        if (raw.size > SCRATCH_SIZE) {
            return "the query parameter is too long to be matched";
        }
        return text_match_check(&condition->match, decode(raw, scratch))
                   ? NULL
                   : "the query parameter has another value";
    }
    return condition->absent ? NULL : "the query parameter is missing";
}

static const char *check_cookie(const struct cookie_condition *condition,
                                const struct fields *fields)
{
    struct text value;
    if (!cookie_find(fields, condition->name, &value)) {
        return "the cookie is missing";
    }
    return holds(&condition->match, condition->invert, value) ? NULL
                                                              : "the cookie has another value";
}

static bool is_grpc(const struct fields *fields)
{
    const struct field *type = fields_find(fields, FIELD_CONTENT_TYPE);
    struct text wanted = TEXT("application/grpc");
    if (type == NULL || !text_equal_nocase(text_first(type->value, wanted.size), wanted)) {
        return false;
    }
    char next = type->value.size > wanted.size ? type->value.at[wanted.size] : ';';
    return next == '+' || next == ';';
}

const char *route_conditions_check(const struct route_conditions *conditions, struct text path,
                                   struct text query, struct text host,
                                   const struct request_head *head, struct text *out_detail)
{
    char scratch[SCRATCH_SIZE];
    if (conditions->method != METHOD_OTHER && conditions->method != head->method_id) {
        *out_detail = method_name((enum http_method)conditions->method);
        return "the method is another";
    }
    for (unsigned i = 0; i < conditions->header_count; i++) {
        const struct header_condition *condition = &conditions->headers[i];
        const char *why = check_header(condition, path, query, head, scratch);
        if (why != NULL) {
            *out_detail =
                condition->pseudo == PSEUDO_METHOD ? condition->match.text : condition->name;
            return why;
        }
    }
    for (unsigned i = 0; i < conditions->query_count; i++) {
        const char *why = check_query(&conditions->queries[i], query, scratch);
        if (why != NULL) {
            *out_detail = conditions->queries[i].name;
            return why;
        }
    }
    for (unsigned i = 0; i < conditions->cookie_count; i++) {
        const char *why = check_cookie(&conditions->cookies[i], &head->fields);
        if (why != NULL) {
            *out_detail = conditions->cookies[i].name;
            return why;
        }
    }
    if (conditions->grpc && !is_grpc(&head->fields)) {
        *out_detail = TEXT("content-type");
        return "the request is not gRPC";
    }
    return NULL;
}
