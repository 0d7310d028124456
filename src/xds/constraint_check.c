/* One constraint against one field: the arithmetic behind xds/inspect.c. Pure functions. */
#include "xds/constraint_check.h"

#include "base/ensure.h"
#include "base/text.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"

#include <stdio.h>
#include <string.h>

#define DURATION_SECONDS_MAX 315576000000ll /* 10,000 years, the type's own limit */

struct field_value {
    const ProtobufCMessage *message;
    const ProtobufCFieldDescriptor *field;
    const void *at;
};

static const void *at_offset(const void *base, unsigned offset)
{
    return (const char *)base + offset;
}

static bool number_of(ProtobufCType type, const void *at, double *out)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        *out = *(const int32_t *)at;
        return true;
    case PROTOBUF_C_TYPE_UINT32:
        *out = *(const uint32_t *)at;
        return true;
    case PROTOBUF_C_TYPE_INT64:
        *out = (double)*(const int64_t *)at;
        return true;
    case PROTOBUF_C_TYPE_UINT64:
        *out = (double)*(const uint64_t *)at;
        return true;
    case PROTOBUF_C_TYPE_DOUBLE:
        *out = *(const double *)at;
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *out = *(const protobuf_c_boolean *)at ? 1 : 0;
        return true;
    default:
        return false;
    }
}

/* The number in a field: itself, inside a wrapper, or a Duration in seconds. False: absent. */
static bool read_number(const struct field_value *value, double *out)
{
    if (value->field->type != PROTOBUF_C_TYPE_MESSAGE) {
        ensure(number_of(value->field->type, value->at, out));
        return true;
    }
    const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)value->at;
    if (!inner)
        return false;
    if (inner->descriptor == &google__protobuf__duration__descriptor) {
        const Google__Protobuf__Duration *duration = (const void *)inner;
        *out = (double)duration->seconds + duration->nanos / 1e9;
        return true;
    }
    const ProtobufCFieldDescriptor *wrapped = &inner->descriptor->fields[0];
    ensure(number_of(wrapped->type, at_offset(inner, wrapped->offset), out));
    return true;
}

static bool check_number(const struct field_value *value, const struct constraint *rule, char *what)
{
    double number;
    if (!read_number(value, &number))
        return true;
    static const struct {
        const char *words;
    } texts[] = { [RULE_EQ] = { "must be" },       [RULE_GE] = { "must be at least" },
                  [RULE_GT] = { "must be above" }, [RULE_LE] = { "must be at most" },
                  [RULE_LT] = { "must be below" }, [RULE_NOT_IN] = { "must not be" } };
    double limit = rule->number;
    bool good = rule->rule == RULE_EQ   ? number == limit
                : rule->rule == RULE_GE ? number >= limit
                : rule->rule == RULE_GT ? number > limit
                : rule->rule == RULE_LE ? number <= limit
                : rule->rule == RULE_LT ? number < limit
                                        : number != limit;
    if (!good)
        snprintf(what, CONSTRAINT_TEXT_MAX, "%.15g: %s %.15g", number, texts[rule->rule].words,
                 limit);
    return good;
}

static struct text string_of(const struct field_value *value)
{
    if (value->field->type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = value->at;
        return text_of((const char *)data->data, data->len);
    }
    ensure(value->field->type == PROTOBUF_C_TYPE_STRING);
    return text_from_string(*(const char *const *)value->at);
}

static size_t characters_of(const struct field_value *value, struct text t)
{
    if (value->field->type == PROTOBUF_C_TYPE_BYTES)
        return t.size;
    size_t count = 0;
    for (size_t i = 0; i < t.size; i++)
        count += (t.at[i] & 0xc0) != 0x80;
    return count;
}

static bool check_length(const struct field_value *value, const struct constraint *rule, char *what)
{
    struct text t = string_of(value);
    size_t size = rule->rule == RULE_MAX_BYTES ? t.size : characters_of(value, t);
    const char *unit = rule->rule == RULE_MAX_BYTES ? "bytes" : "characters";
    bool minimum = rule->rule == RULE_MIN_LEN;
    if (minimum ? (double)size >= rule->number : (double)size <= rule->number)
        return true;
    if (minimum && rule->number == 1)
        snprintf(what, CONSTRAINT_TEXT_MAX, "must not be empty");
    else
        snprintf(what, CONSTRAINT_TEXT_MAX, "%zu %s, must be at %s %.0f", size, unit,
                 minimum ? "least" : "most", rule->number);
    return false;
}

static bool check_items(const struct field_value *value, const struct constraint *rule, char *what)
{
    size_t count = *(const size_t *)at_offset(value->message, value->field->quantifier_offset);
    bool minimum = rule->rule == RULE_MIN_ITEMS;
    if (minimum ? (double)count >= rule->number : (double)count <= rule->number)
        return true;
    if (minimum && rule->number == 1)
        snprintf(what, CONSTRAINT_TEXT_MAX, "must not be empty");
    else
        snprintf(what, CONSTRAINT_TEXT_MAX, "%zu entries, must be at %s %.0f", count,
                 minimum ? "least" : "most", rule->number);
    return false;
}

static bool is_token_byte(char c)
{
    return (c >= '0' && c <= '9') || (text_lower_byte(c) >= 'a' && text_lower_byte(c) <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_|~`", c));
}

/* Whether the byte may stand in a header name or value by this rule. */
static bool header_byte(enum rule rule, size_t index, char c)
{
    unsigned char byte = (unsigned char)c;
    switch (rule) {
    case RULE_HEADER_NAME_STRICT:
        return is_token_byte(c) || (index == 0 && c == ':');
    case RULE_HEADER_VALUE_STRICT:
        return byte == '\t' || (byte >= ' ' && byte != 0x7f);
    default:
        return byte != '\0' && byte != '\r' && byte != '\n';
    }
}

static bool check_header(const struct field_value *value, const struct constraint *rule, char *what)
{
    struct text t = string_of(value);
    bool name = rule->rule == RULE_HEADER_NAME || rule->rule == RULE_HEADER_NAME_STRICT;
    for (size_t i = 0; i < t.size; i++) {
        if (header_byte(rule->rule, i, t.at[i]))
            continue;
        snprintf(what, CONSTRAINT_TEXT_MAX, "byte 0x%02x cannot stand in a header %s",
                 (unsigned)(unsigned char)t.at[i], name ? "name" : "value");
        return false;
    }
    return true;
}

static bool check_present(const struct field_value *value, char *what)
{
    if (value->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return true; /* its oneof decides */
    ensure(value->field->type == PROTOBUF_C_TYPE_MESSAGE);
    if (*(const ProtobufCMessage *const *)value->at)
        return true;
    snprintf(what, CONSTRAINT_TEXT_MAX, "must be set");
    return false;
}

bool constraint_check(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                      const struct constraint *rule, char what[CONSTRAINT_TEXT_MAX])
{
    ensure(field != NULL);
    struct field_value value = { message, field, at_offset(message, field->offset) };
    bool oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    uint32_t which = oneof ? *(const uint32_t *)at_offset(message, field->quantifier_offset) : 0;
    if (rule->rule == RULE_REQUIRED_ONEOF) {
        if (which != 0)
            return true;
        snprintf(what, CONSTRAINT_TEXT_MAX, "one of %s must be set", rule->text);
        return false;
    }
    if (oneof && which != field->id)
        return true;
    switch (rule->rule) {
    case RULE_MIN_LEN:
    case RULE_MAX_LEN:
    case RULE_MAX_BYTES:
        return check_length(&value, rule, what);
    case RULE_MIN_ITEMS:
    case RULE_MAX_ITEMS:
        return check_items(&value, rule, what);
    case RULE_HEADER_NAME:
    case RULE_HEADER_NAME_STRICT:
    case RULE_HEADER_VALUE:
    case RULE_HEADER_VALUE_STRICT:
        return check_header(&value, rule, what);
    case RULE_REQUIRED:
        return check_present(&value, what);
    default:
        return check_number(&value, rule, what);
    }
}

const char *constraint_check_duration(const ProtobufCMessage *message)
{
    if (message->descriptor != &google__protobuf__duration__descriptor)
        return NULL;
    const Google__Protobuf__Duration *duration = (const void *)message;
    if (duration->seconds > DURATION_SECONDS_MAX || duration->seconds < -DURATION_SECONDS_MAX)
        return "a duration above 10,000 years";
    if (duration->nanos > 999999999 || duration->nanos < -999999999)
        return "nanos must be below one second";
    if ((duration->seconds > 0 && duration->nanos < 0) ||
        (duration->seconds < 0 && duration->nanos > 0))
        return "seconds and nanos of different sign";
    return NULL;
}
