/* What is wrong with, or not understood in, a decoded message: one walk over the whole tree, into
 * every Any of a known type. Used before a resource is compiled. violations   constraints of the
 * public API (constraints.tsv), required oneofs, numbers no enum names, durations out of range;
 *   unsupported  fields and Any types that Weft does not know. Where ignoring one could open a
 *                door (matchers, filter chains, filters, transport sockets, authentication) the
 *                resource must be refused; elsewhere it is counted and ignored. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <protobuf-c/protobuf-c.h>

struct inspect_unsupported {
    struct text message;  /* full name of the message the field stands in */
    uint32_t field;       /* number of the unknown field; of the Any field for an unknown type */
    struct text type_url; /* of the unknown Any; empty for an unknown field */
    struct text path;     /* from the root: "filter_chains[0].filters[0].typed_config" */
    bool refuse;          /* ignoring it would weaken security */
};

struct inspect_events {
    void *owner;
    /* Both may be NULL; the texts live as long as the call. */
    void (*on_violation)(void *owner, struct text path, struct text what);
    void (*on_unsupported)(void *owner, const struct inspect_unsupported *found);
};

/* How many violations and refusals there were; 0: fit to be compiled. At most 100 of each are
 * reported, all are counted. The arena takes the content of Anys. */
size_t inspect_message(const ProtobufCMessage *message, struct arena *arena,
                       const struct inspect_events *events);
/* The same with the violations and refusals as one error, "path: what; path: what". */
bool inspect_or_refuse(const ProtobufCMessage *message, struct arena *arena,
                       const struct inspect_events *events, struct error *error);
