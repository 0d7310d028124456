/* The guard: a scan of wire bytes before protobuf-c sees them. protobuf-c has no limit of nesting
 * (a 34 KB message overflows the stack), cuts strings at NUL, and does not check UTF-8; after the
 * guard none of this can happen. Allocates nothing, and needs stack for GUARD_DEPTH_MAX small
 * frames. Wire format: protobuf encoding, proto3. */
#pragma once

#include "base/error.h"

#include <protobuf-c/protobuf-c.h>

#define GUARD_DEPTH_MAX    64                   /* messages inside messages, Any values included */
#define GUARD_BYTES_MAX    (32u * 1024 * 1024)  /* of one message on the wire */
#define GUARD_ENVELOPE_MAX (256u * 1024 * 1024) /* of an envelope, whose parts are guarded again   \
                                                 */
#define GUARD_DECODED_MAX (512u * 1024 * 1024)  /* estimate of the decoded tree */

enum guard_any {
    GUARD_INTO_ANY, /* an Any of a known type is scanned as that type */
    GUARD_OPAQUE    /* Any values are bytes: for envelopes whose content is guarded one by one */
};

/* True where `bytes` are a well-formed message of this type: no groups, no field of the wrong wire
 * type, no truncated or overlong varint, no singular field twice, strings of valid UTF-8 without
 * NUL, within the limits above. Unknown fields are well formed, no more. The error names the field:
 * "envoy...RouteConfiguration: virtual_hosts[0].name: not valid UTF-8". */
bool guard_check(const ProtobufCMessageDescriptor *descriptor, struct text bytes,
                 enum guard_any any, struct error *error);
