/* Writes a graph's status as Gateway API means it: GatewayClass, Gateway, ListenerSet and routes,
 * each with the conditions Weft answers for. Conditions of types that are not ours, and entries of
 * other controllers, are passed on as they were read. Used by `weft status`, `weft check`, GET
 * /status, and by sources that write status back. */
#pragma once

#include "base/buffer.h"
#include "control/gateway/graph.h"

/* {"items": [{"apiVersion", "kind", "metadata": {namespace, name, generation}, "status"}, ...]} on
 * one line, kinds in order GatewayClass, Gateway, ListenerSet, routes. */
void status_write_json(const struct graph *graph, struct buffer *out);
/* The same items as YAML documents. */
void status_write_yaml(const struct graph *graph, struct buffer *out);
/* For people: a line an object and listener or parent, in columns; what is not well says why. */
void status_write_table(const struct graph *graph, struct buffer *out);
/* The status subtree of one object ("HTTPRoute/default/shop") as JSON, for writing it back. False
 * where Weft has nothing to say about it. */
bool status_write_object(const struct graph *graph, struct text key, struct buffer *out);

/* What Weft supports of Gateway API, in order, NULL-terminated: GatewayClass supportedFeatures. */
extern const char *const status_features[];
