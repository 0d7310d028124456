/* ADS server: snapshot, commit, state over all streams. What streams do is in ads_stream.c. */
#include "xds/ads_server.h"

#include "base/ensure.h"
#include "xds/ads_stream.h"

#include <stdlib.h>
#include <string.h>

struct ads_server *ads_server_new(const struct ads_server_events *events)
{
    struct ads_server *server = calloc(1, sizeof(*server));
    ensure(server != NULL);
    if (events)
        server->events = *events;
    ads_snapshot_init(&server->snapshot);
    list_init(&server->streams);
    return server;
}

void ads_server_free(struct ads_server *server)
{
    if (!server)
        return;
    ensure(list_is_empty(&server->streams));
    ads_snapshot_fini(&server->snapshot);
    free(server);
}

void ads_server_set(struct ads_server *server, struct text type_url, struct text name,
                    struct text bytes)
{
    ads_snapshot_set(&server->snapshot, type_url, name, bytes);
}

void ads_server_remove(struct ads_server *server, struct text type_url, struct text name)
{
    ads_snapshot_remove(&server->snapshot, type_url, name);
}

bool ads_server_commit(struct ads_server *server)
{
    if (!ads_snapshot_commit(&server->snapshot))
        return false;
    server->commits++;
    for (struct list *at = server->streams.next; at != &server->streams; at = at->next) {
        struct ads_stream *stream = list_owner(at, struct ads_stream, link);
        for (size_t i = 0; i < server->snapshot.changes.count; i++)
            ads_stream_notice(stream, server->snapshot.changes.items[i]);
        ads_stream_flush(stream);
    }
    ads_snapshot_settle(&server->snapshot);
    return true;
}

static int compare_records(const void *a, const void *b)
{
    return text_compare((*(struct ads_record *const *)a)->name,
                        (*(struct ads_record *const *)b)->name);
}

static void each_of_type(struct ads_type *type, void *owner,
                         void (*on_resource)(void *owner,
                                             const struct ads_snapshot_resource *resource))
{
    ARRAY_OF(struct ads_record *) records = { 0 };
    const struct map_entry *entry;
    size_t cursor = 0;
    while ((entry = map_next(&type->records, &cursor))) {
        struct ads_record *record = entry->value;
        if (record->bytes.at)
            *array_add(&records) = record;
    }
    if (records.count > 0)
        qsort(records.items, records.count, sizeof(*records.items), compare_records);
    for (size_t i = 0; i < records.count; i++) {
        struct ads_snapshot_resource resource = {
            .type_url = type->url,
            .name = records.items[i]->name,
            .version = text_from_string(records.items[i]->version),
            .bytes = records.items[i]->bytes,
        };
        on_resource(owner, &resource);
    }
    array_free(&records);
}

void ads_server_each(const struct ads_server *server, void *owner,
                     void (*on_resource)(void *owner, const struct ads_snapshot_resource *resource))
{
    const struct list *types = &server->snapshot.types;
    for (struct list *at = types->next; at != types; at = at->next)
        each_of_type(list_owner(at, struct ads_type, link), owner, on_resource);
}

enum ads_state ads_server_state(const struct ads_server *server, struct text type_url,
                                struct text name)
{
    const struct ads_record *record = ads_snapshot_find(&server->snapshot, type_url, name);
    enum ads_state state = ADS_UNKNOWN;
    if (!record)
        return state;
    for (struct list *at = server->streams.next; at != &server->streams; at = at->next) {
        const struct ads_subscription *subscription =
            ads_subscription_find(list_owner(at, struct ads_stream, link), type_url);
        const struct ads_entry *entry =
            subscription ? map_find(&subscription->entries, name) : NULL;
        if (!entry)
            continue;
        if (strcmp(entry->refused, record->version) == 0)
            return ADS_NACKED;
        if (strcmp(entry->acked, record->version) != 0)
            state = ADS_PENDING;
        else if (state == ADS_UNKNOWN)
            state = ADS_ACKED;
    }
    return state;
}
