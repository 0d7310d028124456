/* The serving half of delta ADS as a state machine without sockets: the control plane sets
 * resources and commits, streams (one a connected proxy) take in DeltaDiscoveryRequest bytes and
 * send DeltaDiscoveryResponse bytes. One thread. Protocol: envoyproxy.io "xDS REST and gRPC
 * protocol", incremental variant, aggregated.
 *
 * Order on each stream: clusters, endpoints, listeners, routes (new and changed ones), then what
 * was removed of listeners and routes, and only when these are acknowledged what was removed of
 * clusters and endpoints: make before break. A resource that a stream refused is not sent to it
 * again until its bytes change or the stream asks for it anew. */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdint.h>

#define ADS_REQUEST_BYTES_MAX  (32u * 1024 * 1024) /* one request; carriers may allow less */
#define ADS_RESOURCE_BYTES_MAX (128u * 1024 * 1024)
#define ADS_NAMES_MAX          200000u /* names one stream may ask for, by type */
#define ADS_TYPES_MAX          32u     /* types one stream may ask for */

struct ads_server;
struct ads_stream;

/* What the control plane is told. Every field may be NULL. Calls come from within
 * ads_stream_receive and ads_server_commit; none may open or close streams, or commit. */
struct ads_server_events {
    void *owner;
    /* A stream's first request named its node. The texts last as long as the stream. */
    void (*on_node)(void *owner, struct ads_stream *stream, struct text id, struct text cluster);
    /* The stream has this version in force. A removed resource comes with an empty version. */
    void (*on_ack)(void *owner, struct ads_stream *stream, struct text type_url, struct text name,
                   struct text version);
    /* The stream refused this version and keeps what it had. Where the client does not say which of
     * a response's resources is bad, each of them is reported with the whole text. */
    void (*on_nack)(void *owner, struct ads_stream *stream, struct text type_url, struct text name,
                    struct text version, struct text reason);
};

struct ads_server *ads_server_new(const struct ads_server_events *events);
/* All streams must have been closed. */
void ads_server_free(struct ads_server *server);

/* The next state, in force with ads_server_commit. Names are UTF-8. Bytes are copied, at most
 * ADS_RESOURCE_BYTES_MAX; the version is hash_stable of them, so setting equal bytes changes
 * nothing. */
void ads_server_set(struct ads_server *server, struct text type_url, struct text name,
                    struct text bytes);
void ads_server_remove(struct ads_server *server, struct text type_url, struct text name);
/* Makes all changes since the last commit visible at once and sends them. True where there were
 * any. */
bool ads_server_commit(struct ads_server *server);

struct ads_snapshot_resource {
    struct text type_url;
    struct text name;
    struct text version; /* 16 hexadecimal digits */
    struct text bytes;
};
/* What is committed, types in the order of sending, names in order. */
void ads_server_each(const struct ads_server *server, void *owner,
                     void (*on_resource)(void *owner,
                                         const struct ads_snapshot_resource *resource));

enum ads_state {
    ADS_UNKNOWN, /* no stream asked for it */
    ADS_PENDING, /* at least one stream that asked has not answered yet */
    ADS_ACKED,   /* every stream that asked has it in force, and there is one */
    ADS_NACKED   /* at least one stream refused it */
};
/* Over all open streams, for the committed version. */
enum ads_state ads_server_state(const struct ads_server *server, struct text type_url,
                                struct text name);

/* `send` gets one serialized DeltaDiscoveryResponse; the text lasts as long as the call. It must
 * not call back into the server. */
struct ads_stream *ads_stream_open(struct ads_server *server, void *owner,
                                   void (*send)(void *owner, struct text response));
/* Takes one DeltaDiscoveryRequest. False: the stream broke the protocol and should be closed. */
bool ads_stream_receive(struct ads_stream *stream, struct text request, struct error *error);
void ads_stream_close(struct ads_stream *stream);
