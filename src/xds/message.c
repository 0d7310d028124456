/* Messages: decode, pack, Any, maps, wrappers. Called by the plan compiler, the translator and the
 * ADS state machines; everything decoded is owned by the caller's arena. */
#include "xds/message.h"

#include "base/ensure.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "xds/guard.h"

#include <stdlib.h>
#include <string.h>

static void *arena_take(void *owner, size_t size)
{
    return arena_alloc(owner, size);
}

static void arena_keep(void *owner, void *memory)
{
    (void)owner;
    (void)memory; /* dies with the arena */
}

static bool decode(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                   enum guard_any any, struct arena *arena, ProtobufCMessage **out_message,
                   struct error *error)
{
    if (!guard_check(descriptor, bytes, any, error))
        return false;
    ProtobufCAllocator allocator = { arena_take, arena_keep, arena };
    const uint8_t *at = (const uint8_t *)(bytes.at ? bytes.at : "");
    *out_message = protobuf_c_message_unpack(descriptor, &allocator, bytes.size, at);
    if (!*out_message)
        return error_set(error, "%s: cannot be decoded", descriptor->name);
    return true;
}

bool xds_decode_as(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                   struct arena *arena, ProtobufCMessage **out_message, struct error *error)
{
    return decode(descriptor, bytes, GUARD_INTO_ANY, arena, out_message, error);
}

bool xds_decode_envelope(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                         struct arena *arena, ProtobufCMessage **out_message, struct error *error)
{
    return decode(descriptor, bytes, GUARD_OPAQUE, arena, out_message, error);
}

bool xds_decode(struct text type_url, struct text bytes, struct arena *arena,
                ProtobufCMessage **out_message, struct error *error)
{
    const ProtobufCMessageDescriptor *descriptor = registry_find(type_url);
    if (!descriptor)
        return error_set(error, "unknown type \"%.*s\"", TEXT_ARG(text_first(type_url, 200)));
    return xds_decode_as(descriptor, bytes, arena, out_message, error);
}

/* The sub-messages of a repeated message field. */
static ProtobufCMessage **repeated_of(const ProtobufCMessage *message,
                                      const ProtobufCFieldDescriptor *field, size_t **out_count)
{
    char *base = (char *)(uintptr_t)message;
    *out_count = (size_t *)(void *)(base + field->quantifier_offset);
    return *(ProtobufCMessage ***)(void *)(base + field->offset);
}

bool xds_field_is_map(const ProtobufCMessageDescriptor *owner,
                      const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label != PROTOBUF_C_LABEL_REPEATED)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    if (entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0 ||
        entry->fields[0].type != PROTOBUF_C_TYPE_STRING)
        return false;
    /* protoc names the entry after the field and puts it inside the message. */
    size_t nested = strlen(owner->name);
    if (strncmp(entry->name, owner->name, nested) != 0 || entry->name[nested] != '.')
        return false;
    return text_ends_with(text_from_string(entry->short_name), TEXT("Entry"));
}

const char *xds_map_key(const ProtobufCMessage *entry)
{
    const char *base = (const char *)entry;
    const char *key =
        *(const char *const *)(const void *)(base + entry->descriptor->fields[0].offset);
    return key ? key : "";
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(xds_map_key(*(ProtobufCMessage *const *)a),
                  xds_map_key(*(ProtobufCMessage *const *)b));
}

/* Of equal keys the last one stays. Quadratic where a map is not in order yet: maps are small. */
static void sort_map(ProtobufCMessage **entries, size_t *count)
{
    bool sorted = true;
    for (size_t i = 1; i < *count && sorted; i++)
        sorted = strcmp(xds_map_key(entries[i - 1]), xds_map_key(entries[i])) < 0;
    if (sorted)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        size_t later = i + 1;
        while (later < *count && strcmp(xds_map_key(entries[later]), xds_map_key(entries[i])) != 0)
            later++;
        if (later == *count)
            entries[kept++] = entries[i];
    }
    *count = kept;
    qsort(entries, kept, sizeof(*entries), compare_keys);
}

/* Puts every map of the tree in order. The depth is the producer's: bounded like the guard's. */
static void sort_maps(ProtobufCMessage *message, unsigned depth)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    ensure(depth <= GUARD_DEPTH_MAX);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        char *base = (char *)message;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t *count;
            ProtobufCMessage **items = repeated_of(message, field, &count);
            if (xds_field_is_map(descriptor, field))
                sort_map(items, count);
            for (size_t n = 0; n < *count; n++)
                sort_maps(items[n], depth + 1);
            continue;
        }
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            *(uint32_t *)(void *)(base + field->quantifier_offset) != field->id)
            continue;
        ProtobufCMessage *child = *(ProtobufCMessage **)(void *)(base + field->offset);
        if (child)
            sort_maps(child, depth + 1);
    }
}

void xds_pack(ProtobufCMessage *message, struct buffer *out)
{
    sort_maps(message, 1);
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *at = (uint8_t *)buffer_reserve(out, size);
    ensure(protobuf_c_message_pack(message, at) == size);
    out->size += size;
}

bool xds_any_is(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *descriptor)
{
    return any && any->type_url && registry_find(text_from_string(any->type_url)) == descriptor;
}

bool xds_any_decode(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *descriptor,
                    struct arena *arena, ProtobufCMessage **out_message, struct error *error)
{
    if (!any || !any->type_url || any->type_url[0] == '\0')
        return error_set(error, "empty; %s is wanted here", descriptor->name);
    if (!xds_any_is(any, descriptor))
        return error_set(error, "of type %.200s; %s is wanted here", any->type_url,
                         descriptor->name);
    return xds_decode_as(descriptor, xds_bytes(any->value), arena, out_message, error);
}

ProtobufCMessage *xds_map_find(ProtobufCMessage *const *entries, size_t count, struct text key)
{
    for (size_t i = count; i > 0; i--) {
        const ProtobufCMessage *entry = entries[i - 1];
        if (!text_equal(text_from_string(xds_map_key(entry)), key))
            continue;
        const char *base = (const char *)entry;
        return *(ProtobufCMessage *const *)(const void *)(base +
                                                          entry->descriptor->fields[1].offset);
    }
    return NULL;
}

bool xds_override_find(ProtobufCMessage *const *entries, size_t count, struct text filter,
                       struct arena *arena, bool *out_found, struct xds_override *out,
                       struct error *error)
{
    *out = (struct xds_override) { 0 };
    const ProtobufCMessage *value = xds_map_find(entries, count, filter);
    *out_found = value != NULL;
    if (!value)
        return true;
    const Google__Protobuf__Any *any = (const Google__Protobuf__Any *)value;
    if (any->type_url && any->type_url[0] != '\0')
        out->config = any;
    if (!xds_any_is(any, &envoy__config__route__v3__filter_config__descriptor))
        return true;
    ProtobufCMessage *decoded;
    if (!xds_decode_as(&envoy__config__route__v3__filter_config__descriptor, xds_bytes(any->value),
                       arena, &decoded, error))
        return error_prefix(error, "typed_per_filter_config[\"%.*s\"]", TEXT_ARG(filter));
    const Envoy__Config__Route__V3__FilterConfig *wrapper =
        (const Envoy__Config__Route__V3__FilterConfig *)decoded;
    bool empty =
        !wrapper->config || !wrapper->config->type_url || wrapper->config->type_url[0] == '\0';
    out->config = empty ? NULL : wrapper->config;
    out->disabled = wrapper->disabled;
    out->is_optional = wrapper->is_optional;
    return true;
}

uint64_t xds_duration_ms(const Google__Protobuf__Duration *duration, uint64_t unset)
{
    if (!duration)
        return unset;
    if (duration->seconds < 0 || duration->nanos < 0)
        return 0;
    uint64_t seconds = (uint64_t)duration->seconds;
    if (seconds > UINT64_MAX / 1000 - 1)
        return UINT64_MAX;
    return seconds * 1000 + ((uint64_t)duration->nanos + 999999) / 1000000;
}
