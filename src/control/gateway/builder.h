/* What the files that build a graph share (graph_build, in graph.c): the state of one evaluation,
 * and the steps in their order. Private to control/gateway. */
#pragma once

#include "control/gateway/graph.h"

struct slice_list {
    ARRAY_OF(const struct object *) array;
};

struct builder {
    struct graph *graph;
    struct arena *arena; /* the graph's */
    const struct store *store;
    const struct graph_options *options;
    const struct graph *previous;  /* or NULL */
    struct finding_list *findings; /* or NULL */
    struct arena scratch;          /* ends with the evaluation */
    size_t pool_next;
    size_t listener_total;
    struct map slices_by_service; /* "NAMESPACE/NAME" -> struct slice_list */
    struct map invalid_policies;  /* "Kind/NAMESPACE/NAME[/SECTION]" -> itself */
    struct map tls_services;      /* "NAMESPACE/NAME[/PORT NAME]": a BackendTLSPolicy's target */
    struct map taken;             /* "tcp/ADDRESS:PORT" -> struct graph_socket */
    struct map hosts;             /* "listener/ADDRESS:PORT/HOSTNAME" -> struct graph_listener */
    ARRAY_OF(struct graph_socket *) sockets;
    ARRAY_OF(struct graph_cluster *) clusters;
};

/* A judged finding (decisions 9, class c) about this object; nothing without a list. */
#define BUILDER_FINDING(builder, object, path, severity, ...)                                      \
    do {                                                                                           \
        if ((builder)->findings) {                                                                 \
            finding_add_object((builder)->findings, (object), (path), (severity), FINDING_JUDGED,  \
                               __VA_ARGS__);                                                       \
        }                                                                                          \
    } while (0)

/* Keeps the object alive as long as the graph. */
void builder_hold(struct builder *builder, const struct object *object);
/* "A/B" in the caller's bytes: a key for a lookup. */
#define BUILDER_KEY_MAX 640
struct text builder_key(char into[BUILDER_KEY_MAX], struct text a, struct text b, struct text c);
/* <0 where a is older: creationTimestamp, then namespace, then name, then kind. */
int object_compare_age(const struct object *a, const struct object *b);
/* Whether a weft.dev policy that cannot be read guards this object (or this section of it). */
bool builder_policy_invalid(const struct builder *builder, const struct object *object,
                            struct text section);

/* protocol.c */
const struct graph_protocol *protocol_find(struct text name);
/* Whether an object of this namespace may attach to one in `own`. */
bool namespaces_allow(const struct store *store, const struct namespaces_allowed *allowed,
                      struct text own, struct text name_space);

/* hostname.c: what both hostnames allow, "*" being all; false where that is nothing. The result is
 * one of the two. */
bool hostname_intersect(struct text listener, struct text route, struct text *out_both);
/* More specific hostnames first: exact before wildcard, longer before shorter. */
int hostname_compare(struct text a, struct text b);
struct text hostname_fold(struct arena *arena, struct text hostname);

/* The steps. */
void build_classes(struct builder *builder);
void build_gateways(struct builder *builder);      /* gateway.c: with ListenerSets */
void build_addresses(struct builder *builder);     /* address.c */
void build_listeners(struct builder *builder);     /* listener.c: with sockets and conflicts */
void build_routes(struct builder *builder);        /* route.c */
void build_rules(struct builder *builder, struct graph_route *route, bool served); /* rule.c */
void build_statuses(struct builder *builder);      /* condition.c: what depends on all else */

/* backend.c */
void build_slices(struct builder *builder);
void build_tls_services(struct builder *builder);
struct graph_backend backend_resolve(struct builder *builder, const struct object *route,
                                     const struct object_ref *ref);
/* The finding that goes with a backend that was not resolved. */
void backend_tell(struct builder *builder, const struct object *route, const char *path,
                  const struct object_ref *ref, enum backend_state state);

/* condition.c */
struct condition condition_make(const char *type, enum condition_status status,
                                const char *reason, struct text message);
/* Gives the condition its transition time: before is the one of the previous graph (or NULL), list
 * the conditions that were read with the object (or NULL). */
void condition_settle(struct condition *condition, const struct condition *before,
                      const struct node *list, int64_t now_us);
/* The Programmed conditions of a Gateway, its ListenerSets and all listeners, from the sockets. */
void programmed_update(struct graph_gateway *gateway);
/* "2026-01-02T03:04:05Z" <-> microseconds; false where it is no such time. */
#define TIMESTAMP_SIZE 20
bool timestamp_parse(struct text t, int64_t *out_us);
void timestamp_format(int64_t us, char out[TIMESTAMP_SIZE + 1]);
