/* Building messages in an arena. Called by the control plane's translator and by tests. */
#include "xds/compose.h"

#include "base/ensure.h"

#include <string.h>

void *compose_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(arena, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

char *compose_string(struct arena *arena, struct text t)
{
    ensure(t.size == 0 || memchr(t.at, 0, t.size) == NULL);
    return (char *)(uintptr_t)arena_copy(arena, t).at;
}

/* Capacity is the next power of two, so the array moves when the count is one. */
void *compose_append(struct arena *arena, void *items, size_t count, size_t item_size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return items;
    void *grown = arena_alloc(arena, (count ? count * 2 : 1) * item_size);
    if (count > 0)
        memcpy(grown, items, count * item_size);
    return grown;
}

Google__Protobuf__Duration *compose_duration_ms(struct arena *arena, uint64_t ms)
{
    Google__Protobuf__Duration *duration =
        compose_new(arena, &google__protobuf__duration__descriptor);
    duration->seconds = (int64_t)(ms / 1000);
    duration->nanos = (int32_t)(ms % 1000) * 1000000;
    return duration;
}

Google__Protobuf__BoolValue *compose_bool(struct arena *arena, bool value)
{
    Google__Protobuf__BoolValue *wrapper =
        compose_new(arena, &google__protobuf__bool_value__descriptor);
    wrapper->value = value;
    return wrapper;
}

Google__Protobuf__UInt32Value *compose_uint32(struct arena *arena, uint32_t value)
{
    Google__Protobuf__UInt32Value *wrapper =
        compose_new(arena, &google__protobuf__uint32_value__descriptor);
    wrapper->value = value;
    return wrapper;
}

Google__Protobuf__UInt64Value *compose_uint64(struct arena *arena, uint64_t value)
{
    Google__Protobuf__UInt64Value *wrapper =
        compose_new(arena, &google__protobuf__uint64_value__descriptor);
    wrapper->value = value;
    return wrapper;
}

Google__Protobuf__Any *compose_any(struct arena *arena, ProtobufCMessage *message)
{
    Google__Protobuf__Any *any = compose_new(arena, &google__protobuf__any__descriptor);
    struct text url = arena_format(arena, TYPE_URL_PREFIX "%s", message->descriptor->name);
    any->type_url = (char *)(uintptr_t)url.at;
    struct buffer packed;
    buffer_init(&packed);
    xds_pack(message, &packed);
    struct text value = arena_copy(arena, buffer_text(&packed));
    any->value.data = (uint8_t *)(uintptr_t)value.at;
    any->value.len = value.size;
    buffer_fini(&packed);
    return any;
}

void *compose_entry(struct arena *arena, const ProtobufCMessageDescriptor *descriptor,
                    struct text key, void *value)
{
    ensure(descriptor->n_fields == 2);
    char *entry = compose_new(arena, descriptor);
    *(char **)(void *)(entry + descriptor->fields[0].offset) = compose_string(arena, key);
    *(void **)(void *)(entry + descriptor->fields[1].offset) = value;
    return entry;
}
