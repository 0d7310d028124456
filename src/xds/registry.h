/* Which message types Weft knows by type URL: xDS resources, and what may sit in an Any. Process
 * constants; any thread. A type that is not here is opaque bytes to the guard and is reported as
 * unsupported by xds/inspect.h. */
#pragma once

#include "base/text.h"

#include <protobuf-c/protobuf-c.h>

#define TYPE_URL_PREFIX "type.googleapis.com/"

/* The resource types, as struct text. */
#define TYPE_LISTENER  TEXT(TYPE_URL_PREFIX "envoy.config.listener.v3.Listener")
#define TYPE_ROUTES    TEXT(TYPE_URL_PREFIX "envoy.config.route.v3.RouteConfiguration")
#define TYPE_CLUSTER   TEXT(TYPE_URL_PREFIX "envoy.config.cluster.v3.Cluster")
#define TYPE_ENDPOINTS TEXT(TYPE_URL_PREFIX "envoy.config.endpoint.v3.ClusterLoadAssignment")

/* The descriptor behind a type URL (what follows its last slash is the message's full name), or
 * NULL where the type is not known. */
const ProtobufCMessageDescriptor *registry_find(struct text type_url);
/* All known types in order of name. */
const ProtobufCMessageDescriptor *const *registry_all(size_t *out_count);
