/* What an ADS stream is sent: chooses what is due, in the order of ads_server.h, packs responses,
 * keeps them until they are answered. Replies hold references on the entries they name. */
#include "base/ensure.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "xds/ads_stream.h"
#include "xds/compose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RESPONSE (&envoy__service__discovery__v3__delta_discovery_response__descriptor)
#define RESOURCE (&envoy__service__discovery__v3__resource__descriptor)
#define CONTROL  (&envoy__config__core__v3__control_plane__descriptor)

enum due { DUE_NOTHING, DUE_DROP, DUE_ADD, DUE_REMOVE };

/* A response being put together. */
struct draft {
    struct ads_subscription *subscription;
    struct arena arena;
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response; /* NULL while empty */
    struct ads_reply *reply;
    size_t bytes;
};

static struct ads_record *record_of(const struct ads_entry *entry)
{
    const struct ads_subscription *subscription = entry->subscription;
    return ads_snapshot_find(&subscription->stream->server->snapshot, subscription->url,
                             entry->name);
}

static enum due due_of(const struct ads_entry *entry, const struct ads_record *record)
{
    if (!entry->named && !entry->subscription->wildcard)
        return DUE_DROP;
    if (!record) {
        if (entry->known || entry->forced)
            return DUE_REMOVE;
        return entry->named ? DUE_NOTHING : DUE_DROP;
    }
    if (entry->forced)
        return DUE_ADD;
    if (strcmp(entry->refused, record->version) == 0)
        return DUE_NOTHING;
    return entry->known && strcmp(entry->version, record->version) == 0 ? DUE_NOTHING : DUE_ADD;
}

static void draft_begin(struct draft *draft)
{
    arena_init(&draft->arena);
    draft->response = compose_new(&draft->arena, RESPONSE);
    draft->reply = calloc(1, sizeof(*draft->reply));
    ensure(draft->reply != NULL);
    list_init(&draft->reply->link);
    draft->bytes = 0;
}

static void draft_send(struct draft *draft)
{
    struct ads_subscription *subscription = draft->subscription;
    struct ads_stream *stream = subscription->stream;
    if (!draft->response)
        return;
    draft->reply->nonce = ++stream->nonce;
    struct arena *arena = &draft->arena;
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response = draft->response;
    struct text nonce = arena_format(arena, "%" PRIu64, draft->reply->nonce);
    struct text version = arena_format(arena, "%" PRIu64, stream->server->commits);
    response->nonce = compose_string(arena, nonce);
    response->system_version_info = compose_string(arena, version);
    response->type_url = compose_string(arena, subscription->url);
    response->control_plane = compose_new(arena, CONTROL);
    response->control_plane->identifier = compose_string(arena, TEXT("weft"));
    struct buffer packed;
    buffer_init(&packed);
    xds_pack(&response->base, &packed);
    list_add_last(&subscription->in_flight, &draft->reply->link);
    subscription->in_flight_count++;
    draft->response = NULL;
    arena_fini(arena);
    stream->send(stream->owner, buffer_text(&packed));
    buffer_fini(&packed);
}

static void draft_note(struct draft *draft, struct ads_entry *entry, const char *version)
{
    struct ads_reply_item *item = array_add(&draft->reply->items);
    item->entry = entry;
    entry->references++;
    memcpy(item->version, version, sizeof(item->version));
    memcpy(entry->version, version, sizeof(entry->version));
    entry->forced = false;
}

static void draft_add(struct draft *draft, struct ads_entry *entry, const struct ads_record *record)
{
    if (!draft->response)
        draft_begin(draft);
    Envoy__Service__Discovery__V3__Resource *resource = compose_new(&draft->arena, RESOURCE);
    resource->name = compose_string(&draft->arena, entry->name);
    resource->version = compose_string(&draft->arena, text_from_string(record->version));
    resource->resource = compose_new(&draft->arena, &google__protobuf__any__descriptor);
    resource->resource->type_url = compose_string(&draft->arena, draft->subscription->url);
    resource->resource->value.data = (uint8_t *)(uintptr_t)record->bytes.at; /* only read */
    resource->resource->value.len = record->bytes.size;
    COMPOSE_ADD(&draft->arena, draft->response, resources, resource);
    draft_note(draft, entry, record->version);
    entry->known = true;
    draft->bytes += record->bytes.size + entry->name.size + 128;
}

static void draft_remove(struct draft *draft, struct ads_entry *entry)
{
    static const char none[ADS_VERSION_SIZE] = "";
    if (!draft->response)
        draft_begin(draft);
    COMPOSE_ADD(&draft->arena, draft->response, removed_resources,
                compose_string(&draft->arena, entry->name));
    draft_note(draft, entry, none);
    entry->known = false;
    draft->bytes += entry->name.size + 8;
}

/* A cluster that is new or changed waits for its endpoints even where they are unchanged. */
static void rewarm(struct ads_stream *stream, const struct ads_record *record)
{
    struct ads_subscription *endpoints = ads_subscription_find(stream, TYPE_ENDPOINTS);
    if (!endpoints)
        return;
    struct arena arena;
    struct error error;
    ProtobufCMessage *message;
    struct text name = record->name;
    arena_init(&arena);
    if (xds_decode_envelope(&envoy__config__cluster__v3__cluster__descriptor, record->bytes, &arena,
                            &message, &error)) {
        const Envoy__Config__Cluster__V3__Cluster *cluster = (const void *)message;
        const Envoy__Config__Cluster__V3__Cluster__EdsClusterConfig *eds =
            cluster->eds_cluster_config;
        if (eds && eds->service_name[0])
            name = text_from_string(eds->service_name);
    }
    struct ads_entry *entry = map_find(&endpoints->entries, name);
    if (entry && record_of(entry)) {
        entry->forced = true;
        ads_entry_mark(entry);
    }
    arena_fini(&arena);
}

/* Removal of what others may still refer to waits; an answer to a question does not. */
static bool is_held(const struct ads_entry *entry, bool routes_settled)
{
    enum ads_rank rank = entry->subscription->rank;
    return !routes_settled && entry->known && !entry->forced && rank != ADS_RANK_LISTENER &&
           rank != ADS_RANK_ROUTES;
}

/* One dirty entry; true where it stays dirty. */
static bool send_entry(struct draft *draft, struct ads_entry *entry, bool routes_settled)
{
    struct ads_record *record = record_of(entry);
    enum due due = due_of(entry, record);
    if (due == DUE_REMOVE && is_held(entry, routes_settled))
        return true;
    entry->dirty = false;
    if (due == DUE_ADD) {
        draft_add(draft, entry, record);
        if (entry->subscription->rank == ADS_RANK_CLUSTER && draft->subscription->stream->rewarm)
            rewarm(draft->subscription->stream, record);
    } else if (due == DUE_REMOVE) {
        draft_remove(draft, entry);
    }
    if (due == DUE_DROP || (due == DUE_REMOVE && !entry->named))
        ads_entry_drop(entry);
    if (draft->response && draft->bytes > ADS_RESPONSE_BYTES)
        draft_send(draft);
    return false;
}

static int compare_entries(const void *a, const void *b)
{
    return text_compare((*(struct ads_entry *const *)a)->name,
                        (*(struct ads_entry *const *)b)->name);
}

/* False where the client has too much unanswered to be sent more of this type. */
static bool send_due(struct ads_subscription *subscription, bool routes_settled)
{
    if (subscription->dirty.count == 0)
        return true;
    if (subscription->in_flight_count >= ADS_IN_FLIGHT_MAX)
        return false;
    struct draft draft = { .subscription = subscription };
    size_t kept = 0;
    qsort(subscription->dirty.items, subscription->dirty.count, sizeof(struct ads_entry *),
          compare_entries);
    for (size_t i = 0; i < subscription->dirty.count; i++) {
        struct ads_entry *entry = subscription->dirty.items[i];
        if (send_entry(&draft, entry, routes_settled))
            subscription->dirty.items[kept++] = entry;
    }
    subscription->dirty.count = kept;
    draft_send(&draft);
    return true;
}

/* Whether the client has the committed listeners and routes of its subscription in force. */
static bool is_settled(const struct ads_subscription *subscription)
{
    if (subscription->in_flight_count > 0 || subscription->dirty.count > 0)
        return false;
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&subscription->entries, &cursor))) {
        const struct ads_entry *entry = at->value;
        const struct ads_record *record = entry->refused[0] ? record_of(entry) : NULL;
        if (record && strcmp(entry->refused, record->version) == 0)
            return false;
    }
    return true;
}

void ads_stream_flush(struct ads_stream *stream)
{
    struct list *subscriptions = &stream->subscriptions;
    bool settled = true, waiting = false;
    for (struct list *at = subscriptions->next; at != subscriptions; at = at->next) {
        struct ads_subscription *subscription = list_owner(at, struct ads_subscription, link);
        if (!send_due(subscription, false))
            return;
        waiting = waiting || subscription->dirty.count > 0;
    }
    if (!waiting)
        return;
    for (struct list *at = subscriptions->next; at != subscriptions; at = at->next) {
        struct ads_subscription *subscription = list_owner(at, struct ads_subscription, link);
        if (subscription->rank == ADS_RANK_LISTENER || subscription->rank == ADS_RANK_ROUTES)
            settled = settled && is_settled(subscription);
    }
    for (struct list *at = subscriptions->next; settled && at != subscriptions; at = at->next)
        send_due(list_owner(at, struct ads_subscription, link), true);
}

void ads_reply_free(struct ads_reply *reply)
{
    list_remove(&reply->link);
    for (size_t i = 0; i < reply->items.count; i++)
        ads_entry_unref(reply->items.items[i].entry);
    array_free(&reply->items);
    free(reply);
}

static void settle_item(struct ads_stream *stream, const struct ads_reply_item *item,
                        const char *reason)
{
    const struct ads_server_events *events = &stream->server->events;
    struct ads_entry *entry = item->entry;
    struct text version = text_from_string(item->version);
    struct text url = entry->subscription->url;
    if (!reason) {
        memcpy(entry->acked, item->version, sizeof(entry->acked));
        if (strcmp(entry->refused, item->version) == 0)
            entry->refused[0] = '\0';
        if (events->on_ack)
            events->on_ack(events->owner, stream, url, entry->name, version);
        return;
    }
    memcpy(entry->refused, item->version, sizeof(entry->refused));
    if (events->on_nack)
        events->on_nack(events->owner, stream, url, entry->name, version, text_from_string(reason));
}

void ads_reply_settle(struct ads_subscription *subscription, struct ads_reply *reply, void *context,
                      const char *(*reason_of)(void *context, struct text name))
{
    for (size_t i = 0; i < reply->items.count; i++) {
        const struct ads_reply_item *item = &reply->items.items[i];
        settle_item(subscription->stream, item,
                    reason_of ? reason_of(context, item->entry->name) : NULL);
    }
    subscription->in_flight_count--;
    ads_reply_free(reply);
}
