/* The inside of an ADS stream, shared by ads_stream.c (what a client asks) and ads_reply.c (what it
 * is sent). Not for others: the contract is ads_server.h. */
#pragma once

#include "xds/ads_server.h"
#include "xds/ads_snapshot.h"

#define ADS_IN_FLIGHT_MAX  8u             /* unanswered responses of a type before more are sent */
#define ADS_RESPONSE_BYTES (1024u * 1024) /* a response is closed above this; one resource fits */

struct ads_server {
    struct ads_server_events events;
    struct ads_snapshot snapshot;
    struct list streams;
    uint64_t commits;
};

/* One resource name on one stream. */
struct ads_entry {
    struct text name;
    struct ads_subscription *subscription;
    unsigned references;            /* the map, and replies in flight */
    bool named;                     /* asked for by name */
    bool known;                     /* the client was sent it, or said it has it */
    bool dirty;                     /* in subscription.dirty */
    bool forced;                    /* must be answered even where nothing changed */
    char version[ADS_VERSION_SIZE]; /* sent last */
    char acked[ADS_VERSION_SIZE];
    char refused[ADS_VERSION_SIZE];
};

struct ads_subscription {
    struct list link; /* in stream.subscriptions, in order of rank */
    struct ads_stream *stream;
    struct text url;
    enum ads_rank rank;
    bool wildcard;
    struct map entries; /* name -> struct ads_entry */
    ARRAY_OF(struct ads_entry *) dirty;
    struct list in_flight; /* struct ads_reply, oldest first */
    unsigned in_flight_count;
};

struct ads_reply_item {
    struct ads_entry *entry;
    char version[ADS_VERSION_SIZE]; /* empty: removed */
};

struct ads_reply {
    struct list link;
    uint64_t nonce;
    ARRAY_OF(struct ads_reply_item) items;
};

struct ads_stream {
    struct list link; /* in server.streams */
    struct ads_server *server;
    void *owner;
    void (*send)(void *owner, struct text response);
    struct list subscriptions;
    unsigned subscription_count;
    uint64_t nonce;
    bool met;    /* the first request came */
    bool rewarm; /* wants endpoints again after its cluster (every client but Weft) */
    struct text node_id;
    struct text node_cluster;
};

void ads_entry_mark(struct ads_entry *entry);
void ads_entry_unref(struct ads_entry *entry);
struct ads_subscription *ads_subscription_find(const struct ads_stream *stream,
                                               struct text type_url);
/* Takes the entry out of its map; it lives on while replies in flight name it. */
void ads_entry_drop(struct ads_entry *entry);

/* Sends what is due in the order of ads_server.h. */
void ads_stream_flush(struct ads_stream *stream);
/* The client answered this reply: takes the outcome into the entries, tells the owner, frees it.
 * reason_of gives the text for a name that was refused, NULL for one that was taken. */
void ads_reply_settle(struct ads_subscription *subscription, struct ads_reply *reply, void *context,
                      const char *(*reason_of)(void *context, struct text name));
void ads_reply_free(struct ads_reply *reply);
/* The committed record of this name changed or is gone. */
void ads_stream_notice(struct ads_stream *stream, const struct ads_record *record);
