/* proto3 JSON writer along descriptors. Called by `weft xds dump` and the admin API; decoded trees
 * are the guard's, so depth is bounded. */
#include "xds/json.h"

#include "google/protobuf/struct.pb-c.h"
#include "xds/message.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct writer {
    struct buffer *out;
    struct arena *arena;
    unsigned depth; /* of indentation */
};

static void write_message(struct writer *writer, const ProtobufCMessage *message,
                          const char *type_url);

static void write_text(struct writer *writer, const char *text)
{
    buffer_append(writer->out, text_from_string(text));
}

static void new_line(struct writer *writer)
{
    buffer_append_byte(writer->out, '\n');
    for (unsigned i = 0; i < writer->depth; i++)
        buffer_append(writer->out, TEXT("  "));
}

/* Brackets and commas of an object or array: open, then next before each member, then close. */
struct list_state {
    bool any;
};

static void list_open(struct writer *writer, char bracket)
{
    buffer_append_byte(writer->out, bracket);
    writer->depth++;
}

static void list_next(struct writer *writer, struct list_state *state)
{
    if (state->any)
        buffer_append_byte(writer->out, ',');
    state->any = true;
    new_line(writer);
}

static void list_close(struct writer *writer, const struct list_state *state, char bracket)
{
    writer->depth--;
    if (state->any)
        new_line(writer);
    buffer_append_byte(writer->out, bracket);
}

static void write_string(struct writer *writer, const char *string)
{
    struct buffer *out = writer->out;
    buffer_append_byte(out, '"');
    for (const char *at = string ? string : ""; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            buffer_format(out, "\\%c", c);
        else if (c == '\n')
            buffer_append(out, TEXT("\\n"));
        else if (c == '\r')
            buffer_append(out, TEXT("\\r"));
        else if (c == '\t')
            buffer_append(out, TEXT("\\t"));
        else if (c < 0x20 || c == 0x7f)
            buffer_format(out, "\\u%04x", c);
        else
            buffer_append_byte(out, (char)c);
    }
    buffer_append_byte(out, '"');
}

static void write_name(struct writer *writer, const char *name)
{
    write_string(writer, name);
    buffer_append(writer->out, TEXT(": "));
}

static void write_base64(struct writer *writer, ProtobufCBinaryData data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buffer_append_byte(writer->out, '"');
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t bits = (uint32_t)data.data[i] << 16;
        bits |= left > 1 ? (uint32_t)data.data[i + 1] << 8 : 0;
        bits |= left > 2 ? data.data[i + 2] : 0;
        char group[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
                          left > 1 ? digits[bits >> 6 & 63] : '=',
                          left > 2 ? digits[bits & 63] : '=' };
        buffer_append(writer->out, text_of(group, 4));
    }
    buffer_append_byte(writer->out, '"');
}

/* The shortest decimal form that reads back as the same number. */
static void write_number(struct writer *writer, double number, bool single)
{
    if (isnan(number)) {
        write_text(writer, "\"NaN\"");
        return;
    }
    if (isinf(number)) {
        write_text(writer, number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    char text[40];
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        double back = strtod(text, NULL);
        if (single ? (float)back == (float)number : back == number)
            break;
    }
    write_text(writer, text);
}

static void write_enum(struct writer *writer, const ProtobufCEnumDescriptor *type, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
    if (type == &google__protobuf__null_value__descriptor)
        write_text(writer, "null");
    else if (value)
        write_string(writer, value->name);
    else
        buffer_format(writer->out, "%d", number);
}

/* One value of a field (an element, where repeated) that stands at `at`. */
static void write_value(struct writer *writer, const ProtobufCFieldDescriptor *field,
                        const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buffer_format(writer->out, "%" PRId32, *(const int32_t *)at);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buffer_format(writer->out, "%" PRIu32, *(const uint32_t *)at);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buffer_format(writer->out, "\"%" PRId64 "\"", *(const int64_t *)at);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buffer_format(writer->out, "\"%" PRIu64 "\"", *(const uint64_t *)at);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        write_number(writer, (double)*(const float *)at, true);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_number(writer, *(const double *)at, false);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        write_text(writer, *(const protobuf_c_boolean *)at ? "true" : "false");
        return;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(writer, field->descriptor, *(const int *)at);
        return;
    case PROTOBUF_C_TYPE_STRING:
        write_string(writer, *(const char *const *)at);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        write_base64(writer, *(const ProtobufCBinaryData *)at);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(writer, *(const ProtobufCMessage *const *)at, NULL);
        return;
    }
}

static size_t size_of_element(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static void write_map(struct writer *writer, const ProtobufCMessage *const *entries, size_t count)
{
    struct list_state list = { false };
    list_open(writer, '{');
    for (size_t i = 0; i < count; i++) {
        const char *key = xds_map_key(entries[i]);
        bool again = false; /* the last entry of a key counts */
        for (size_t later = i + 1; later < count && !again; later++)
            again = strcmp(key, xds_map_key(entries[later])) == 0;
        if (again)
            continue;
        list_next(writer, &list);
        write_name(writer, key);
        const ProtobufCFieldDescriptor *value = &entries[i]->descriptor->fields[1];
        const void *at = (const char *)entries[i] + value->offset;
        if (value->type == PROTOBUF_C_TYPE_MESSAGE && !*(const void *const *)at)
            write_text(writer, "{}");
        else
            write_value(writer, value, at);
    }
    list_close(writer, &list, '}');
}

static void write_repeated(struct writer *writer, const ProtobufCMessage *message,
                           const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    const char *items = *(const char *const *)(const void *)(base + field->offset);
    if (xds_field_is_map(message->descriptor, field)) {
        write_map(writer, (const ProtobufCMessage *const *)(const void *)items, count);
        return;
    }
    struct list_state list = { false };
    list_open(writer, '[');
    for (size_t i = 0; i < count; i++) {
        list_next(writer, &list);
        write_value(writer, field, items + i * size_of_element(field->type));
    }
    list_close(writer, &list, ']');
}

static bool is_written(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    const void *at = base + field->offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)(const void *)(base + field->quantifier_offset) > 0;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(const void *const *)at != NULL;
    case PROTOBUF_C_TYPE_STRING: {
        const char *string = *(const char *const *)at;
        return string && *string;
    }
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len > 0;
    default:
        return size_of_element(field->type) == 8 ? *(const uint64_t *)at != 0
                                                 : *(const uint32_t *)at != 0;
    }
}

static void write_fields(struct writer *writer, const ProtobufCMessage *message,
                         struct list_state *list)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (!is_written(message, field))
            continue;
        list_next(writer, list);
        write_name(writer, field->name);
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            write_repeated(writer, message, field);
        else
            write_value(writer, field, (const char *)message + field->offset);
    }
}

/* "1.5s": seconds, and nanos without trailing zeros. */
static void write_duration(struct writer *writer, const ProtobufCMessage *message)
{
    const Google__Protobuf__Duration *duration = (const void *)message;
    bool negative = duration->seconds < 0 || duration->nanos < 0;
    uint64_t seconds =
        duration->seconds < 0 ? -(uint64_t)duration->seconds : (uint64_t)duration->seconds;
    uint32_t nanos = duration->nanos < 0 ? -(uint32_t)duration->nanos : (uint32_t)duration->nanos;
    char fraction[16] = "";
    if (nanos > 0) {
        int size = snprintf(fraction, sizeof(fraction), ".%09" PRIu32, nanos);
        while (size > 1 && fraction[size - 1] == '0')
            fraction[--size] = '\0';
    }
    buffer_format(writer->out, "\"%s%" PRIu64 "%ss\"", negative ? "-" : "", seconds, fraction);
}

/* google.protobuf.Value: whichever member is set, bare; none set is null. */
static void write_struct_value(struct writer *writer, const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (is_written(message, field)) {
            write_value(writer, field, (const char *)message + field->offset);
            return;
        }
    }
    write_text(writer, "null");
}

/* Types whose JSON is not an object of their fields. */
static bool write_special(struct writer *writer, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == &google__protobuf__duration__descriptor)
        write_duration(writer, message);
    else if (type == &google__protobuf__value__descriptor)
        write_struct_value(writer, message);
    else if (type == &google__protobuf__struct__descriptor ||
             type == &google__protobuf__list_value__descriptor)
        write_repeated(writer, message, &type->fields[0]);
    else if (strcmp(type->package_name, "google.protobuf") == 0 && type->n_fields == 1)
        write_value(writer, &type->fields[0], (const char *)message + type->fields[0].offset);
    else
        return false;
    return true;
}

static bool is_special(const ProtobufCMessageDescriptor *type)
{
    return strcmp(type->package_name, "google.protobuf") == 0;
}

/* An Any as what it holds; one that cannot be read as its type and bytes. */
static void write_any(struct writer *writer, const ProtobufCMessage *message)
{
    const Google__Protobuf__Any *any = (const void *)message;
    struct text url = text_from_string(any->type_url);
    const ProtobufCMessageDescriptor *type = registry_find(url);
    struct error error;
    ProtobufCMessage *inner = NULL;
    if (type && xds_decode_as(type, xds_bytes(any->value), writer->arena, &inner, &error) &&
        !is_special(type)) {
        write_message(writer, inner, any->type_url);
        return;
    }
    struct list_state list = { false };
    list_open(writer, '{');
    if (url.size > 0) {
        list_next(writer, &list);
        write_name(writer, "@type");
        write_string(writer, any->type_url);
    }
    if (inner || any->value.len > 0) {
        list_next(writer, &list);
        write_name(writer, "value");
        if (inner)
            write_message(writer, inner, NULL);
        else
            write_base64(writer, any->value);
    }
    list_close(writer, &list, '}');
}

static void write_message(struct writer *writer, const ProtobufCMessage *message,
                          const char *type_url)
{
    if (message->descriptor == &google__protobuf__any__descriptor) {
        write_any(writer, message);
        return;
    }
    if (!type_url && write_special(writer, message))
        return;
    struct list_state list = { false };
    list_open(writer, '{');
    if (type_url) {
        list_next(writer, &list);
        write_name(writer, "@type");
        write_string(writer, type_url);
    }
    write_fields(writer, message, &list);
    list_close(writer, &list, '}');
}

void json_write_message(const ProtobufCMessage *message, struct arena *arena, struct buffer *out)
{
    struct writer writer = { .out = out, .arena = arena };
    write_message(&writer, message, NULL);
}
