/* proto3 JSON of any message, for people: `weft xds dump`, the admin port. Field names as in the
 * .proto files (snake case, which every proto3 JSON reader takes); defaults and unknown fields are
 * left out; Any of a known type is written out with "@type"; Duration "1.5s"; wrappers as their
 * value; 64-bit numbers as strings; bytes as base64; maps as objects. Indented by two spaces. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

#include <protobuf-c/protobuf-c.h>

/* Appends one JSON value without a final newline. The arena takes the content of Anys. */
void json_write_message(const ProtobufCMessage *message, struct arena *arena, struct buffer *out);
