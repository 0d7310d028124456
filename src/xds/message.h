/* Messages: guarded decoding into an arena, deterministic packing, and what the C types of
 * protobuf-c leave out (Any, maps, wrappers). A decoded message lives as long as its arena and is
 * never freed by itself; do not call protobuf_c_message_free_unpacked on it.
 *
 * Map fields are arrays of entries {key, value}. All functions that take `entries` accept any map
 * with string keys: xds_map_find((ProtobufCMessage *const *)route->typed_per_filter_config, ...).
 */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "xds/registry.h"

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"

/* Guards and decodes. out_message points into the arena; cast it to the type of type_url. */
bool xds_decode(struct text type_url, struct text bytes, struct arena *arena,
                ProtobufCMessage **out_message, struct error *error);
bool xds_decode_as(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                   struct arena *arena, ProtobufCMessage **out_message, struct error *error);
/* Like xds_decode_as, for an envelope: the Any values in it stay unchecked bytes. */
bool xds_decode_envelope(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                         struct arena *arena, ProtobufCMessage **out_message, struct error *error);
/* Appends the wire form. Equal messages give equal bytes: maps are put in order of key first, in
 * place, and of two entries with one key only the last stays. */
void xds_pack(ProtobufCMessage *message, struct buffer *out);

static inline struct text xds_bytes(ProtobufCBinaryData data)
{
    return text_of((const char *)data.data, data.len);
}

/* The content of an Any, which must be of type `descriptor`. A NULL or empty Any is an error. */
bool xds_any_decode(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *descriptor,
                    struct arena *arena, ProtobufCMessage **out_message, struct error *error);
/* True where the Any holds this type. NULL is of no type. */
bool xds_any_is(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *descriptor);

/* The value (a sub-message) of a map's key, the last one where a key stands twice; or NULL. */
ProtobufCMessage *xds_map_find(ProtobufCMessage *const *entries, size_t count, struct text key);
/* The key of a map's entry. */
const char *xds_map_key(const ProtobufCMessage *entry);
/* True where the field is a map. */
bool xds_field_is_map(const ProtobufCMessageDescriptor *owner,
                      const ProtobufCFieldDescriptor *field);

/* One entry of a typed_per_filter_config. */
struct xds_override {
    const Google__Protobuf__Any
        *config; /* NULL: an entry that only switches the filter on or off */
    bool disabled;
    bool is_optional;
};
/* Finds the entry of this filter and takes it out of its FilterConfig wrapper where it has one.
 * *out_found says whether there is one; false only where a wrapper cannot be read. */
bool xds_override_find(ProtobufCMessage *const *entries, size_t count, struct text filter,
                       struct arena *arena, bool *out_found, struct xds_override *out,
                       struct error *error);

/* Milliseconds, rounded up so that a positive duration is never 0; `unset` for NULL, 0 for
 * negative. */
uint64_t xds_duration_ms(const Google__Protobuf__Duration *duration, uint64_t unset);
static inline uint32_t xds_uint32(const Google__Protobuf__UInt32Value *value, uint32_t unset)
{
    return value ? value->value : unset;
}
static inline bool xds_bool(const Google__Protobuf__BoolValue *value, bool unset)
{
    return value ? value->value : unset;
}
