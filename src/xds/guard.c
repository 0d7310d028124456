/* The guard: walks wire bytes along a descriptor before protobuf-c decodes them. Called by
 * xds/message.c for everything that comes from outside; owns nothing. A frame per open message
 * lives on the stack and links to its parent, so that an error can be told with its path. */
#include "xds/guard.h"

#include "google/protobuf/any.pb-c.h"
#include "xds/registry.h"

#include <stdio.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

#define FIELD_NUMBER_MAX 0x1fffffffu
#define PATH_MAX_BYTES   320
/* What one field occurrence may cost in the decoded tree besides its content. */
#define FIELD_COST 32

struct guard {
    struct error *error;
    size_t decoded; /* estimate so far */
    enum guard_any any;
};

struct frame {
    const struct frame *parent;
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *start;
    const uint8_t *at; /* next byte */
    const uint8_t *end;
    const uint8_t *tag;                    /* where the current field's tag stands */
    const ProtobufCFieldDescriptor *field; /* current, NULL while unknown */
    unsigned depth;
    uint64_t seen[2]; /* singular fields that came, by index of field */
};

static bool check_message(struct guard *guard, struct frame *frame);

/* Reads one varint of at most `bytes_max` bytes; false where it is cut off or too long. */
static bool read_varint(const uint8_t **at, const uint8_t *end, unsigned bytes_max,
                        uint64_t *out_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes_max && *at < end; i++) {
        uint8_t byte = *(*at)++;
        if (i == 9 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

/* Steps over one value; false where it does not fit. Bytes have been checked by then, or are about
 * to be. */
static bool skip_value(const uint8_t **at, const uint8_t *end, unsigned wire)
{
    uint64_t size = 0;
    if (wire == WIRE_VARINT)
        return read_varint(at, end, 10, &size);
    if (wire == WIRE_BYTES && !read_varint(at, end, 5, &size))
        return false;
    size = wire == WIRE_64 ? 8 : wire == WIRE_32 ? 4 : size;
    if (size > (size_t)(end - *at))
        return false;
    *at += size;
    return true;
}

/* How often the current field stood in its message before now: the index for the path. */
static size_t occurrences_before(const struct frame *frame)
{
    size_t count = 0;
    const uint8_t *at = frame->start;
    while (at < frame->tag) {
        uint64_t tag = 0;
        if (!read_varint(&at, frame->end, 5, &tag) ||
            !skip_value(&at, frame->end, (unsigned)(tag & 7)))
            break;
        count += (tag >> 3) == frame->field->id;
    }
    return count;
}

/* Puts the fields from the root down to this frame into text, cut where it grows too long. */
static size_t write_path(const struct frame *frame, char *text, size_t size)
{
    size_t used = frame->parent ? write_path(frame->parent, text, size) : 0;
    const ProtobufCFieldDescriptor *field = frame->field;
    if (!field || used >= size - 1)
        return used;
    const char *dot = used ? "." : "";
    int wrote;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        wrote = snprintf(text + used, size - used, "%s%s[%zu]", dot, field->name,
                         occurrences_before(frame));
    else
        wrote = snprintf(text + used, size - used, "%s%s", dot, field->name);
    used += (size_t)wrote;
    return used < size ? used : size - 1;
}

static bool fail(struct guard *guard, const struct frame *frame, const char *what)
{
    char path[PATH_MAX_BYTES] = "";
    size_t used = write_path(frame, path, sizeof(path));
    const struct frame *root = frame;
    while (root->parent)
        root = root->parent;
    return error_set(guard->error, "%s: %s%s%s", root->descriptor->name, path, used ? ": " : "",
                     what);
}

static unsigned wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    default:
        return WIRE_VARINT;
    }
}

static bool check_packed(struct guard *guard, const struct frame *frame, struct text bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.at;
    const uint8_t *end = at + bytes.size;
    unsigned wire = wire_of(frame->field->type);
    size_t count = 0;
    while (at < end) {
        if (!skip_value(&at, end, wire))
            return fail(guard, frame, "packed numbers are cut off or malformed");
        count++;
    }
    guard->decoded += count * 8;
    return true;
}

static bool check_string(struct guard *guard, const struct frame *frame, struct text bytes)
{
    if (bytes.size > 0 && memchr(bytes.at, 0, bytes.size))
        return fail(guard, frame, "a NUL byte in a string");
    if (!text_is_utf8(bytes))
        return fail(guard, frame, "not valid UTF-8");
    return true;
}

static struct frame frame_of(const struct frame *parent,
                             const ProtobufCMessageDescriptor *descriptor, struct text bytes)
{
    const uint8_t *start = (const uint8_t *)(bytes.at ? bytes.at : "");
    return (struct frame) { .parent = parent,
                            .descriptor = descriptor,
                            .start = start,
                            .at = start,
                            .end = start + bytes.size,
                            .depth = parent ? parent->depth + 1 : 1 };
}

static bool check_nested(struct guard *guard, const struct frame *parent,
                         const ProtobufCMessageDescriptor *descriptor, struct text bytes)
{
    if (parent->depth >= GUARD_DEPTH_MAX)
        return fail(guard, parent, "nested deeper than 64 messages");
    struct frame frame = frame_of(parent, descriptor, bytes);
    return check_message(guard, &frame);
}

static bool check_bytes(struct guard *guard, const struct frame *frame, struct text bytes)
{
    const ProtobufCFieldDescriptor *field = frame->field;
    guard->decoded += bytes.size;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return check_string(guard, frame, bytes);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_nested(guard, frame, field->descriptor, bytes);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return true;
    return check_packed(guard, frame, bytes);
}

/* The field of the tag that was read; sets frame->field. Wire types must be what the field says;
 * numbers may be packed into bytes when repeated. */
static bool take_field(struct guard *guard, struct frame *frame, uint64_t tag)
{
    frame->field = NULL;
    unsigned wire = (unsigned)(tag & 7);
    uint64_t number = tag >> 3;
    if (number == 0 || number > FIELD_NUMBER_MAX)
        return fail(guard, frame, "a field number that cannot be");
    if (wire == 3 || wire == 4)
        return fail(guard, frame, "a group, which proto3 does not have");
    if (wire > WIRE_32)
        return fail(guard, frame, "a wire type that does not exist");
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(frame->descriptor, (unsigned)number);
    frame->field = field;
    if (!field)
        return true;
    unsigned expected = wire_of(field->type);
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    if (wire != expected && !(repeated && wire == WIRE_BYTES))
        return fail(guard, frame, "encoded as another type than the field has");
    size_t index = (size_t)(field - frame->descriptor->fields);
    if (!repeated && index < 128) {
        uint64_t bit = 1ull << (index % 64);
        if (frame->seen[index / 64] & bit)
            return fail(guard, frame, "set twice");
        frame->seen[index / 64] |= bit;
    }
    return true;
}

/* One field: its tag, then its value. A byte value is left in *out_bytes for an Any to be looked
 * at. */
static bool check_field(struct guard *guard, struct frame *frame, struct text *out_bytes)
{
    frame->tag = frame->at;
    frame->field = NULL;
    uint64_t tag = 0;
    if (!read_varint(&frame->at, frame->end, 5, &tag))
        return fail(guard, frame, "a field's tag is cut off or too long");
    if (!take_field(guard, frame, tag))
        return false;
    const uint8_t *value = frame->at;
    unsigned wire = (unsigned)(tag & 7);
    if (!skip_value(&frame->at, frame->end, wire))
        return fail(guard, frame, "cut off, or a malformed number or length");
    guard->decoded += FIELD_COST;
    *out_bytes = text_of(NULL, 0);
    if (wire != WIRE_BYTES)
        return true;
    uint64_t size = 0;
    read_varint(&value, frame->end, 5, &size);
    *out_bytes = text_of((const char *)value, (size_t)size);
    if (frame->field)
        return check_bytes(guard, frame, *out_bytes);
    guard->decoded += (size_t)size;
    return true;
}

static bool check_any(struct guard *guard, const struct frame *frame, struct text type_url,
                      struct text value)
{
    const ProtobufCMessageDescriptor *inner = registry_find(type_url);
    if (!inner || guard->any == GUARD_OPAQUE)
        return true;
    return check_nested(guard, frame, inner, value);
}

static bool check_message(struct guard *guard, struct frame *frame)
{
    struct text type_url = { 0 }, value = { 0 };
    bool any = frame->descriptor == &google__protobuf__any__descriptor;
    guard->decoded += frame->descriptor->sizeof_message;
    while (frame->at < frame->end) {
        struct text bytes;
        if (!check_field(guard, frame, &bytes))
            return false;
        if (guard->decoded > GUARD_DECODED_MAX)
            return fail(guard, frame, "would take more than 512 MiB decoded");
        if (any && frame->field)
            *(frame->field->id == 1 ? &type_url : &value) = bytes;
    }
    frame->field = NULL;
    return !any || check_any(guard, frame, type_url, value);
}

bool guard_check(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                 enum guard_any any, struct error *error)
{
    struct guard guard = { .error = error, .any = any };
    struct frame root = frame_of(NULL, descriptor, bytes);
    if (any == GUARD_INTO_ANY && bytes.size > GUARD_BYTES_MAX)
        return fail(&guard, &root, "larger than 32 MiB");
    if (bytes.size > GUARD_ENVELOPE_MAX)
        return fail(&guard, &root, "larger than 256 MiB");
    return check_message(&guard, &root);
}
