/* The receiving half of delta ADS as a state machine without sockets. It subscribes to all
 * listeners and clusters, and to the routes and endpoints its owner wants; hands every response's
 * resources to the owner, and answers with ACK, or with NACK naming each refused resource
 * (google.rpc.Status with one envoy.service.discovery.v3.ResourceError a resource in details).
 * Versions survive a lost stream, so that a reconnect only brings what changed. One thread.
 *
 * Several responses become one change of configuration: the owner takes resources in on_resources
 * and puts them in force in on_idle, which comes when no further message is at hand. Answers wait
 * for ads_client_settle, so that an ACK means "in force" (bound, not only understood):
 *
 *   on_resources* -> on_idle -> [ads_client_refuse*] -> ads_client_settle
 *
 * settle may be called from within on_idle, or later; it answers what came before that on_idle. */
#pragma once

#include "base/error.h"
#include "base/text.h"

struct ads_client;

struct ads_resource {
    struct text name;
    struct text version;
    struct text bytes; /* the resource itself, of the response's type; not guarded yet */
    char *refusal;     /* set by ads_resource_refuse; owned by the client */
};

/* The owner cannot use this resource and keeps the older version of this name, if it has one.
 * Within on_resources only. */
void ads_resource_refuse(struct ads_resource *resource, const struct error *error);

struct ads_client_events {
    void *owner;
    /* One serialized DeltaDiscoveryRequest; the text lasts as long as the call. */
    void (*send)(void *owner, struct text request);
    /* New and changed resources, and names that are gone or do not exist. A name is never in both.
     */
    void (*on_resources)(void *owner, struct text type_url, struct ads_resource *resources,
                         size_t count, const struct text *removed, size_t removed_count);
    /* No further message is at hand, and at least one came since the last on_idle. */
    void (*on_idle)(void *owner);
};

struct ads_client_node {
    struct text id;
    struct text cluster;
};

struct ads_client *ads_client_new(const struct ads_client_node *node,
                                  const struct ads_client_events *events);
void ads_client_free(struct ads_client *client);

/* A stream is up: subscribes anew, naming the versions in force. */
void ads_client_connect(struct ads_client *client);
/* The stream is gone; nothing is sent until the next connect. What is in force stays. */
void ads_client_disconnect(struct ads_client *client);
/* Takes one DeltaDiscoveryResponse. False: it cannot be read; close the stream and connect again.
 */
bool ads_client_receive(struct ads_client *client, struct text response, struct error *error);
/* The carrier has no further message at hand. */
void ads_client_idle(struct ads_client *client);

/* The whole set of names of this type (routes, endpoints) the owner needs from now on. The client
 * forgets names that are no longer wanted; so must the owner. Also from within on_resources. */
void ads_client_want(struct ads_client *client, struct text type_url, const struct text *names,
                     size_t count);
/* Between on_idle and settle: what could be read could not be put in force after all. */
void ads_client_refuse(struct ads_client *client, struct text type_url, struct text name,
                       const struct error *error);
void ads_client_settle(struct ads_client *client);

/* Asks for a resource anew, as when what made the owner refuse it has passed: it comes through
 * on_resources even where nothing changed, and is answered again. Nothing while there is no stream:
 * a new stream brings what was refused by itself. */
void ads_client_retry(struct ads_client *client, struct text type_url, struct text name);

/* Names asked for that the server has neither sent nor called absent. */
void ads_client_each_awaited(const struct ads_client *client, void *owner,
                             void (*on_name)(void *owner, struct text type_url, struct text name));
