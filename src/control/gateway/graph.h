/* The graph: one evaluation of the store. It says which listeners are served at which address,
 * which routes are attached to which listener, and what every backendRef leads to, by the rules of
 * Gateway API v1.7; and it carries the status conditions of all of it. Built on the main thread by
 * whoever owns the store, after every change; status.h writes it out, translate/translate.h turns
 * it into xDS. Immutable but for the state of its sockets (graph_set_listener_state).
 *
 * Everything lives in the graph's arena. The graph keeps a reference on every object it names, so
 * it outlives changes of the store. */
#pragma once

#include "base/array.h"
#include "base/map.h"
#include "control/finding.h"
#include "control/model.h"
#include "control/store.h"
#include "net/address.h"

/* ---- options --------------------------------------------------------------------------------- */

struct graph_port_map {
    uint16_t from; /* as listeners write it */
    uint16_t to;   /* what is bound */
};

struct graph_options {
    struct text controller_name;        /* default WEFT_CONTROLLER */
    struct text_list default_addresses; /* of Gateways without spec.addresses; IPs */
    struct text_list address_pool;      /* for addresses without value, in order; IPs */
    bool address_per_gateway;  /* Gateways without spec.addresses take one of the pool each */
    bool external_names;       /* ExternalName Services and FQDN slices work */
    struct text cluster_domain;  /* of headless Services' names; default "cluster.local" */
    struct text bundle_version;  /* of the CRDs; absent: no SupportedVersion condition */
    const struct graph_port_map *port_map;
    size_t port_map_count;
    uint32_t max_listeners; /* of Gateways and ListenerSets, in all; default 4,096 */
    uint32_t max_sockets;   /* addresses times ports; default 1,024 */
    int64_t now_us;         /* wall clock of this evaluation; 0: clock_wall_us() */
};

/* The defaults above, 127.0.0.1 and ::1. */
struct graph_options graph_options_defaults(void);

/* ---- conditions ------------------------------------------------------------------------------ */

enum condition_status { CONDITION_FALSE, CONDITION_TRUE, CONDITION_UNKNOWN };

struct condition {
    const char *type;   /* "Accepted"; NULL: the condition is not written */
    const char *reason; /* "NotAllowedByListeners" */
    enum condition_status status;
    struct text message;   /* for people; may be empty */
    int64_t transition_us; /* when status last changed */
};

/* ---- listeners ------------------------------------------------------------------------------- */

struct graph_gateway;
struct graph_listener;
struct graph_route;

/* What Weft knows of a listener protocol. Supporting one more is a line in protocol.c's table. */
struct graph_protocol {
    const char *name;  /* "HTTP" */
    bool supported;    /* false: known, not served yet */
    bool has_hostname; /* listeners of one port are told apart by hostname */
    bool is_tls;
    bool is_udp;       /* another port space than all others */
    uint8_t family;    /* protocols of different families cannot share a port */
    uint32_t kinds;    /* bits (1u << enum object_kind): routes that may attach */
};

enum listener_state {
    LISTENER_PENDING,          /* no answer yet, or no proxy connected */
    LISTENER_BOUND,            /* in force and bound everywhere */
    LISTENER_FAILED,           /* refused, or the port cannot be bound: the message says why */
    LISTENER_ADDRESS_UNUSABLE, /* the address is none of this machine's */
};

/* One address and port to bind: one xDS Listener and one RouteConfiguration. */
struct graph_socket {
    struct text name;        /* "listener/127.0.0.1:8080", "listener/[::1]:8080" */
    struct text routes_name; /* "routes/127.0.0.1:8080" */
    struct address address;  /* with the bound port */
    struct graph_listener **listeners; /* served here, in order of precedence; never empty */
    size_t listener_count;
    enum listener_state state;
    struct text message;
};

/* One hostname of a route within one listener. */
struct graph_domain {
    struct text name;           /* the intersection; lower case; "*" for every host */
    struct text route_hostname; /* what the route says, the most specific one; "*" for none */
};

struct graph_attachment {
    struct graph_route *route;
    struct graph_listener *listener;
    struct graph_domain *domains; /* never empty; names are unique */
    size_t domain_count;
    bool again; /* the route is attached to this listener by an earlier parentRef already */
};

enum { LISTENER_ACCEPTED, LISTENER_PROGRAMMED, LISTENER_RESOLVED_REFS, LISTENER_CONFLICTED,
       LISTENER_CONDITIONS };

struct graph_listener {
    struct graph_gateway *gateway; /* that serves it, also where a ListenerSet wrote it */
    const struct object *object;   /* Gateway or ListenerSet */
    const struct gateway_listener *spec;
    size_t index;         /* in spec.listeners */
    struct text key;      /* "gateway/NAMESPACE/NAME/SECTION", "listenerset/..." */
    struct text hostname; /* lower case; "*" for none */
    const struct graph_protocol *protocol; /* NULL: unknown */
    uint32_t kinds;          /* bits of supported kinds that its allowedRoutes ask for */
    bool served;             /* accepted and on at least one socket */
    bool valid;              /* counts for its owner's Accepted */
    bool policy_invalid;     /* a weft.dev policy on it cannot be read: it answers 500 only */
    const struct graph_route *last_route; /* while building */
    uint32_t attached_routes; /* of all kinds, with Accepted=True */
    struct graph_attachment **attachments; /* HTTPRoutes, in order of precedence (age, name) */
    size_t attachment_count;
    struct graph_socket **sockets;
    size_t socket_count;
    struct condition conditions[LISTENER_CONDITIONS];
};

struct graph_listener_list {
    struct graph_listener *items;
    size_t count;
};

/* ---- Gateways and ListenerSets --------------------------------------------------------------- */

struct graph_class {
    const struct object *object;
    bool usable; /* accepted */
    struct condition accepted;
    struct condition supported_version;
};

struct graph_address {
    struct text type; /* "IPAddress" */
    struct text value;
    struct address address;
    bool implied; /* by the options, not by spec.addresses */
};

struct graph_listener_set {
    const struct object *object;
    struct graph_gateway *gateway;
    bool allowed; /* by the Gateway's allowedListeners */
    struct graph_listener_list listeners;
    struct condition accepted;
    struct condition programmed;
};

struct graph_gateway {
    const struct object *object;
    struct graph_class *class;
    bool serves; /* nothing about the Gateway itself keeps its listeners from being served */
    struct graph_listener_list listeners;
    struct graph_address *addresses;
    size_t address_count;
    bool address_missing; /* one of spec.addresses got none of the pool */
    struct graph_listener_set **listener_sets; /* that name it as their parent, oldest first */
    size_t listener_set_count;
    uint32_t attached_listener_sets; /* accepted ones */
    struct condition accepted;
    struct condition programmed;
};

/* ---- backends -------------------------------------------------------------------------------- */

enum cluster_discovery { CLUSTER_EDS, CLUSTER_DNS };

enum backend_state {
    BACKEND_RESOLVED,
    BACKEND_NOT_FOUND,            /* no such object or port: BackendNotFound */
    BACKEND_INVALID_KIND,         /* InvalidKind */
    BACKEND_NOT_PERMITTED,        /* no ReferenceGrant: RefNotPermitted */
    BACKEND_UNSUPPORTED_PROTOCOL, /* UnsupportedProtocol */
    BACKEND_UNSUPPORTED_VALUE,    /* a filter on the backendRef that Weft does not have */
    BACKEND_POLICY_INVALID,       /* a weft.dev policy on the Service cannot be read */
};

/* A destination: one port of a Service, or an XBackend. Made once, however many routes name it. */
struct graph_cluster {
    struct text name; /* "service/NAMESPACE/NAME/PORT", "xbackend/NAMESPACE/NAME/PORT" */
    const struct object *object; /* Service or XBackend */
    const struct service_port *service_port; /* NULL: an XBackend, or ExternalName without ports */
    enum cluster_discovery discovery;
    struct text hostname; /* CLUSTER_DNS: what to resolve; empty with FQDN slices */
    uint16_t port;        /* CLUSTER_DNS and endpoint selectors: what to connect to; else 0 */
    bool external; /* by names somebody else answers for: loopback and link-local are refused */
    bool http2;
    const struct object **slices; /* EndpointSlices, in order of name */
    size_t slice_count;
    const struct session_persistence *session; /* of an XBackend, or NULL */
    bool served; /* named by a route that a served listener has: part of graph.clusters */
    enum backend_state state; /* BACKEND_RESOLVED, or why nobody can use it */
};

struct graph_backend {
    const struct backend_ref *ref; /* NULL for the target of a mirror */
    enum backend_state state;
    struct graph_cluster *cluster; /* set where state is BACKEND_RESOLVED */
};

/* The word of Gateway API for a state other than BACKEND_RESOLVED. */
const char *backend_state_reason(enum backend_state state);

/* ---- routes ---------------------------------------------------------------------------------- */

struct graph_rule {
    const struct http_rule *spec;
    size_t index;
    struct graph_backend *backends; /* one a backendRef, in order */
    struct graph_backend *mirrors;  /* one a filter of spec->filters; cluster NULL for the others */
    const char *refusal; /* not NULL: every request is answered 500 with this reason */
};

enum { ROUTE_ACCEPTED, ROUTE_RESOLVED_REFS, ROUTE_PARTIALLY_INVALID, ROUTE_CONDITIONS };

/* One parentRef that leads to a Gateway of ours. */
struct graph_parent {
    const struct parent_ref *ref;
    size_t index; /* in spec.parentRefs */
    struct graph_gateway *gateway;
    struct graph_listener_set *listener_set; /* NULL: the Gateway's own listeners */
    struct graph_attachment *attachments;    /* HTTPRoute only */
    size_t attachment_count;
    struct condition conditions[ROUTE_CONDITIONS];
};

struct graph_route {
    const struct object *object; /* any of the five kinds */
    struct graph_rule *rules;    /* HTTPRoute only */
    size_t rule_count;
    struct graph_parent *parents;
    size_t parent_count;
    uint64_t input_hash; /* of all that its part of a RouteConfiguration is made from */
};

/* ---- the graph ------------------------------------------------------------------------------- */

struct graph {
    struct arena arena;
    struct graph_options options; /* texts copied */
    struct graph_class *classes;  /* of our controller, in order of name */
    size_t class_count;
    struct graph_gateway *gateways; /* of our classes, oldest first */
    size_t gateway_count;
    struct graph_listener_set *listener_sets; /* of our Gateways, oldest first */
    size_t listener_set_count;
    struct graph_route *routes; /* with a parent of ours, oldest first, kinds mixed */
    size_t route_count;
    struct graph_socket **sockets; /* in order of name */
    size_t socket_count;
    struct graph_cluster **clusters; /* that a served route names, in order of name */
    size_t cluster_count;
    struct map routes_by_key;    /* "HTTPRoute/default/shop" -> struct graph_route */
    struct map gateways_by_key;
    struct map listener_sets_by_key;
    struct map classes_by_key;
    struct map sockets_by_name;
    struct map clusters_by_name;
    struct map listeners_by_key; /* "gateway/default/edge/http" -> struct graph_listener */
    int64_t now_us; /* of the evaluation: the transition time of what changed */
    ARRAY_OF(struct object *) held;
};

/* Evaluates the store. previous (may be NULL) is the last graph of the same store: transition times
 * of conditions and states of sockets are carried over. What Gateway API judges to be wrong is
 * added to findings (may be NULL) beside its condition. */
struct graph *graph_build(const struct store *store, const struct graph_options *options,
                          const struct graph *previous, struct finding_list *findings);
void graph_free(struct graph *graph);

/* What the proxies say about a socket ("listener/127.0.0.1:8080"); Programmed conditions follow.
 * message is copied; ignored with LISTENER_BOUND. False where there is no such socket. */
bool graph_set_listener_state(struct graph *graph, struct text name, enum listener_state state,
                              struct text message);

/* Where a key of an xDS resource, virtual host, route or ClusterWeight comes from: keys of design
 * note 0001 ("httproute/default/shop/0/1", "service/default/web/80", "gateway/default/edge/http",
 * "listener/...", "routes/...", "vhost/OWNER/DOMAIN"). False for a key that is not in here. */
bool graph_find_origin(const struct graph *graph, struct text key, struct place *out_place);
