/* What a client asks of an ADS server: subscriptions, acknowledgements, the node. The answers are
 * put together in ads_reply.c. */
#include "xds/ads_stream.h"

#include "base/ensure.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "xds/message.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST        (&envoy__service__discovery__v3__delta_discovery_request__descriptor)
#define RESOURCE_ERROR (&envoy__service__discovery__v3__resource_error__descriptor)

static struct text keep(const char *string)
{
    struct text t = text_from_string(string);
    char *copy = malloc(t.size + 1);
    ensure(copy != NULL);
    memcpy(copy, string, t.size + 1);
    return text_of(copy, t.size);
}

struct ads_subscription *ads_subscription_find(const struct ads_stream *stream,
                                               struct text type_url)
{
    const struct list *all = &stream->subscriptions;
    for (struct list *at = all->next; at != all; at = at->next) {
        struct ads_subscription *subscription = list_owner(at, struct ads_subscription, link);
        if (text_equal(subscription->url, type_url))
            return subscription;
    }
    return NULL;
}

static struct ads_subscription *add_subscription(struct ads_stream *stream, const char *type_url)
{
    struct ads_subscription *subscription = calloc(1, sizeof(*subscription));
    ensure(subscription != NULL);
    subscription->stream = stream;
    subscription->url = keep(type_url);
    subscription->rank = ads_rank_of(subscription->url);
    map_init(&subscription->entries);
    list_init(&subscription->in_flight);
    struct list *before = stream->subscriptions.next;
    while (before != &stream->subscriptions &&
           list_owner(before, struct ads_subscription, link)->rank <= subscription->rank)
        before = before->next;
    list_add_last(before, &subscription->link);
    stream->subscription_count++;
    return subscription;
}

void ads_entry_mark(struct ads_entry *entry)
{
    if (!entry->dirty)
        *array_add(&entry->subscription->dirty) = entry;
    entry->dirty = true;
}

void ads_entry_unref(struct ads_entry *entry)
{
    ensure(entry->references > 0);
    if (--entry->references > 0)
        return;
    free((char *)(uintptr_t)entry->name.at);
    free(entry);
}

void ads_entry_drop(struct ads_entry *entry)
{
    ensure(!entry->dirty);
    map_remove(&entry->subscription->entries, entry->name);
    ads_entry_unref(entry);
}

static struct ads_entry *entry_of(struct ads_subscription *subscription, const char *name)
{
    struct ads_entry *entry = map_find(&subscription->entries, text_from_string(name));
    if (entry)
        return entry;
    entry = calloc(1, sizeof(*entry));
    ensure(entry != NULL);
    entry->name = keep(name);
    entry->subscription = subscription;
    entry->references = 1;
    map_put(&subscription->entries, entry->name, entry);
    return entry;
}

struct ads_stream *ads_stream_open(struct ads_server *server, void *owner,
                                   void (*send)(void *owner, struct text response))
{
    struct ads_stream *stream = calloc(1, sizeof(*stream));
    ensure(stream != NULL);
    stream->server = server;
    stream->owner = owner;
    stream->send = send;
    list_init(&stream->subscriptions);
    list_add_last(&server->streams, &stream->link);
    return stream;
}

static void free_subscription(struct ads_subscription *subscription)
{
    while (!list_is_empty(&subscription->in_flight))
        ads_reply_free(list_owner(subscription->in_flight.next, struct ads_reply, link));
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&subscription->entries, &cursor)))
        ads_entry_unref(at->value);
    map_fini(&subscription->entries);
    array_free(&subscription->dirty);
    list_remove(&subscription->link);
    free((char *)(uintptr_t)subscription->url.at);
    free(subscription);
}

void ads_stream_close(struct ads_stream *stream)
{
    if (!stream)
        return;
    while (!list_is_empty(&stream->subscriptions))
        free_subscription(list_owner(stream->subscriptions.next, struct ads_subscription, link));
    list_remove(&stream->link);
    free((char *)(uintptr_t)stream->node_id.at);
    free((char *)(uintptr_t)stream->node_cluster.at);
    free(stream);
}

void ads_stream_notice(struct ads_stream *stream, const struct ads_record *record)
{
    struct ads_subscription *subscription = ads_subscription_find(stream, record->type->url);
    if (!subscription)
        return;
    struct ads_entry *entry = map_find(&subscription->entries, record->name);
    if (!entry && subscription->wildcard && record->bytes.at)
        entry = entry_of(subscription, record->name.at);
    if (entry)
        ads_entry_mark(entry);
}

static void meet_node(struct ads_stream *stream, const Envoy__Config__Core__V3__Node *node)
{
    if (stream->met)
        return;
    stream->met = true;
    stream->node_id = keep(node ? node->id : "");
    stream->node_cluster = keep(node ? node->cluster : "");
    stream->rewarm = !node || strcmp(node->user_agent_name, "weft") != 0;
    const struct ads_server_events *events = &stream->server->events;
    if (events->on_node)
        events->on_node(events->owner, stream, stream->node_id, stream->node_cluster);
}

/* What a NACK says: by resource where the client does, in one text otherwise. */
struct refusal {
    struct arena *arena;
    const Google__Rpc__Status *status;
    struct map by_name; /* name -> text */
};

static const char *reason_of(void *context, struct text name)
{
    const struct refusal *refusal = context;
    if (refusal->by_name.count > 0)
        return map_find(&refusal->by_name, name);
    const char *message = refusal->status->message;
    return *message ? message : "refused without a reason";
}

static void read_refusal(struct refusal *refusal)
{
    map_init(&refusal->by_name);
    for (size_t i = 0; i < refusal->status->n_details; i++) {
        const Google__Protobuf__Any *any = refusal->status->details[i];
        struct error error;
        ProtobufCMessage *message;
        if (!xds_any_is(any, RESOURCE_ERROR) ||
            !xds_any_decode(any, RESOURCE_ERROR, refusal->arena, &message, &error))
            continue;
        const Envoy__Service__Discovery__V3__ResourceError *detail = (const void *)message;
        if (!detail->resource_name)
            continue;
        char *text = detail->error_detail ? detail->error_detail->message : NULL;
        map_put(&refusal->by_name, text_from_string(detail->resource_name->name),
                text && *text ? text : refusal->status->message);
    }
}

/* An ACK or NACK; a nonce that is not in flight (an older stream's) says nothing. */
static void take_answer(struct ads_subscription *subscription, const char *nonce,
                        const Google__Rpc__Status *error_detail, struct arena *arena)
{
    uint64_t number = 0;
    if (!text_parse_u64(text_from_string(nonce), UINT64_MAX, &number))
        return;
    struct list *at = subscription->in_flight.next;
    while (at != &subscription->in_flight &&
           list_owner(at, struct ads_reply, link)->nonce != number)
        at = at->next;
    if (at == &subscription->in_flight)
        return;
    struct ads_reply *reply = list_owner(at, struct ads_reply, link);
    if (!error_detail) {
        ads_reply_settle(subscription, reply, NULL, NULL);
        return;
    }
    struct refusal refusal = { .arena = arena, .status = error_detail };
    read_refusal(&refusal);
    ads_reply_settle(subscription, reply, &refusal, reason_of);
    map_fini(&refusal.by_name);
}

static void set_wildcard(struct ads_subscription *subscription)
{
    subscription->wildcard = true;
    const struct ads_type *type =
        ads_snapshot_type(&subscription->stream->server->snapshot, subscription->url);
    const struct map_entry *at;
    size_t cursor = 0;
    while (type && (at = map_next(&type->records, &cursor))) {
        const struct ads_record *record = at->value;
        if (record->bytes.at)
            ads_entry_mark(entry_of(subscription, record->name.at));
    }
}

static void clear_wildcard(struct ads_subscription *subscription)
{
    subscription->wildcard = false;
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&subscription->entries, &cursor)))
        ads_entry_mark(at->value); /* what is not named is dropped by the flush */
}

static void subscribe(struct ads_subscription *subscription, const char *name)
{
    if (strcmp(name, "*") == 0) {
        set_wildcard(subscription);
        return;
    }
    struct ads_entry *entry = entry_of(subscription, name);
    entry->named = true;
    entry->forced = true;
    ads_entry_mark(entry);
}

/* A name that the wildcard still covers must be answered with the resource or its absence. */
static void unsubscribe(struct ads_subscription *subscription, const char *name)
{
    if (strcmp(name, "*") == 0) {
        clear_wildcard(subscription);
        return;
    }
    struct ads_entry *entry = map_find(&subscription->entries, text_from_string(name));
    if (!entry)
        return;
    entry->named = false;
    entry->forced = subscription->wildcard;
    ads_entry_mark(entry);
}

static void take_versions(struct ads_subscription *subscription,
                          const Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request)
{
    for (size_t i = 0; i < request->n_initial_resource_versions; i++) {
        const ProtobufCMessage *pair = &request->initial_resource_versions[i]->base;
        struct text version = text_from_string(request->initial_resource_versions[i]->value);
        struct ads_entry *entry = entry_of(subscription, xds_map_key(pair));
        entry->known = true;
        memset(entry->version, 0, sizeof(entry->version));
        if (version.size == ADS_VERSION_SIZE - 1)
            memcpy(entry->version, version.at, version.size);
        memcpy(entry->acked, entry->version, sizeof(entry->acked));
        ads_entry_mark(entry);
    }
}

static bool take_request(struct ads_stream *stream,
                         const Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request,
                         struct arena *arena, struct error *error)
{
    if (!*request->type_url)
        return error_set(error, "a discovery request without a type_url");
    struct text url = text_from_string(request->type_url);
    struct ads_subscription *subscription = ads_subscription_find(stream, url);
    bool first = !subscription;
    if (first && stream->subscription_count >= ADS_TYPES_MAX)
        return error_set(error, "more than %u types on one stream", ADS_TYPES_MAX);
    if (first)
        subscription = add_subscription(stream, request->type_url);
    size_t names = subscription->entries.count + request->n_resource_names_subscribe +
                   request->n_initial_resource_versions;
    if (names > ADS_NAMES_MAX)
        return error_set(error, "more than %u names of one type", ADS_NAMES_MAX);
    meet_node(stream, request->node);
    if (*request->response_nonce)
        take_answer(subscription, request->response_nonce, request->error_detail, arena);
    if (first)
        take_versions(subscription, request);
    if (first && request->n_resource_names_subscribe == 0)
        set_wildcard(subscription);
    for (size_t i = 0; i < request->n_resource_names_unsubscribe; i++)
        unsubscribe(subscription, request->resource_names_unsubscribe[i]);
    for (size_t i = 0; i < request->n_resource_names_subscribe; i++)
        subscribe(subscription, request->resource_names_subscribe[i]);
    return true;
}

bool ads_stream_receive(struct ads_stream *stream, struct text request, struct error *error)
{
    if (request.size > ADS_REQUEST_BYTES_MAX)
        return error_set(error, "a discovery request of %zu bytes, at most %u are taken",
                         request.size, ADS_REQUEST_BYTES_MAX);
    struct arena arena;
    arena_init(&arena);
    ProtobufCMessage *message;
    bool good = xds_decode_as(REQUEST, request, &arena, &message, error) &&
                take_request(stream, (const void *)message, &arena, error);
    arena_fini(&arena);
    if (good)
        ads_stream_flush(stream);
    return good;
}
