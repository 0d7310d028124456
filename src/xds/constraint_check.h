/* One constraint against one field of a decoded message; used by xds/inspect.c. */
#pragma once

#include "xds/constraints.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>

#define CONSTRAINT_TEXT_MAX 160

/* True where the field is as the rule demands, or the rule does not apply (another member of a
 * oneof is set, an optional sub-message is absent). False with what is wrong in `what`. */
bool constraint_check(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                      const struct constraint *rule, char what[CONSTRAINT_TEXT_MAX]);
/* What is wrong with a google.protobuf.Duration in itself; NULL for a good one and other messages.
 */
const char *constraint_check_duration(const ProtobufCMessage *message);
