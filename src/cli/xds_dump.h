/* The xDS resources in force, as JSON. */
#pragma once

#include "base/buffer.h"
#include "xds/ads_server.h"

/* [{"type_url", "name", "version", "resource": {...}}, ...], types in the order of sending. */
void xds_dump_write(const struct ads_server *server, struct buffer *out);
