/* Building messages, for the control plane. Everything lives in the arena of the caller, packed
 * with xds_pack before the arena ends.
 *
 *   Envoy__Config__Route__V3__Route *route =
 *       compose_new(arena, &envoy__config__route__v3__route__descriptor);
 *   route->name = compose_string(arena, name);
 *   COMPOSE_ADD(arena, virtual_host, routes, route);                                            */
#pragma once

#include "xds/message.h"

/* An initialised message of this type. */
void *compose_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor);
char *compose_string(struct arena *arena, struct text t);
/* Appends to a repeated field of pointers (messages or strings). */
#define COMPOSE_ADD(arena, message, field, item)                                                   \
    ((message)->field = compose_append((arena), (message)->field, (message)->n_##field,            \
                                       sizeof(*(message)->field)),                                 \
     (message)->field[(message)->n_##field++] = (item))
/* The array with room for one more item: use COMPOSE_ADD (also for repeated numbers). */
void *compose_append(struct arena *arena, void *items, size_t count, size_t item_size);

Google__Protobuf__Duration *compose_duration_ms(struct arena *arena, uint64_t ms);
Google__Protobuf__BoolValue *compose_bool(struct arena *arena, bool value);
Google__Protobuf__UInt32Value *compose_uint32(struct arena *arena, uint32_t value);
Google__Protobuf__UInt64Value *compose_uint64(struct arena *arena, uint64_t value);
/* The message packed into an Any. */
Google__Protobuf__Any *compose_any(struct arena *arena, ProtobufCMessage *message);
/* A map entry of type `descriptor` with this key and sub-message. */
void *compose_entry(struct arena *arena, const ProtobufCMessageDescriptor *descriptor,
                    struct text key, void *value);
