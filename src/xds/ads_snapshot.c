/* The resources of an ADS server. See the header. */
#include "xds/ads_snapshot.h"

#include "base/ensure.h"
#include "base/hash.h"
#include "xds/ads_server.h"
#include "xds/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text copy_text(struct text t)
{
    char *copy = malloc(t.size + 1);
    ensure(copy != NULL);
    if (t.size > 0)
        memcpy(copy, t.at, t.size);
    copy[t.size] = '\0';
    return text_of(copy, t.size);
}

static void free_text(struct text *t)
{
    free((char *)(uintptr_t)t->at);
    *t = text_of(NULL, 0);
}

enum ads_rank ads_rank_of(struct text type_url)
{
    if (text_equal(type_url, TYPE_CLUSTER))
        return ADS_RANK_CLUSTER;
    if (text_equal(type_url, TYPE_ENDPOINTS))
        return ADS_RANK_ENDPOINTS;
    if (text_equal(type_url, TYPE_LISTENER))
        return ADS_RANK_LISTENER;
    if (text_equal(type_url, TYPE_ROUTES))
        return ADS_RANK_ROUTES;
    return ADS_RANK_OTHER;
}

void ads_snapshot_init(struct ads_snapshot *snapshot)
{
    *snapshot = (struct ads_snapshot) { 0 };
    list_init(&snapshot->types);
}

static void free_record(struct ads_record *record)
{
    free_text(&record->name);
    free_text(&record->bytes);
    free_text(&record->next_bytes);
    free(record);
}

void ads_snapshot_fini(struct ads_snapshot *snapshot)
{
    while (!list_is_empty(&snapshot->types)) {
        struct ads_type *type = list_owner(snapshot->types.next, struct ads_type, link);
        const struct map_entry *entry;
        size_t cursor = 0;
        while ((entry = map_next(&type->records, &cursor)))
            free_record(entry->value);
        map_fini(&type->records);
        list_remove(&type->link);
        free_text(&type->url);
        free(type);
    }
    array_free(&snapshot->changes);
}

struct ads_type *ads_snapshot_type(const struct ads_snapshot *snapshot, struct text type_url)
{
    for (struct list *at = snapshot->types.next; at != &snapshot->types; at = at->next) {
        struct ads_type *type = list_owner(at, struct ads_type, link);
        if (text_equal(type->url, type_url))
            return type;
    }
    return NULL;
}

static struct ads_type *add_type(struct ads_snapshot *snapshot, struct text type_url)
{
    struct ads_type *type = calloc(1, sizeof(*type));
    ensure(type != NULL);
    type->url = copy_text(type_url);
    type->rank = ads_rank_of(type_url);
    map_init(&type->records);
    struct list *before = snapshot->types.next;
    while (before != &snapshot->types &&
           list_owner(before, struct ads_type, link)->rank <= type->rank)
        before = before->next;
    list_add_last(before, &type->link);
    return type;
}

static struct ads_record *add_record(struct ads_type *type, struct text name)
{
    struct ads_record *record = calloc(1, sizeof(*record));
    ensure(record != NULL);
    record->type = type;
    record->name = copy_text(name);
    map_put(&type->records, record->name, record);
    return record;
}

static void note_change(struct ads_snapshot *snapshot, struct ads_record *record)
{
    if (!record->changed)
        *array_add(&snapshot->changes) = record;
    record->changed = true;
}

void ads_snapshot_set(struct ads_snapshot *snapshot, struct text type_url, struct text name,
                      struct text bytes)
{
    ensure(name.size > 0 && text_is_utf8(name) && !memchr(name.at, 0, name.size));
    ensure(bytes.size <= ADS_RESOURCE_BYTES_MAX);
    struct ads_type *type = ads_snapshot_type(snapshot, type_url);
    if (!type)
        type = add_type(snapshot, type_url);
    struct ads_record *record = map_find(&type->records, name);
    if (!record)
        record = add_record(type, name);
    char version[ADS_VERSION_SIZE];
    snprintf(version, sizeof(version), "%016" PRIx64, hash_stable(bytes));
    free_text(&record->next_bytes);
    memcpy(record->next_version, version, sizeof(version));
    if (record->bytes.at && strcmp(record->version, version) == 0) {
        record->next_bytes = text_of(NULL, 0); /* as it is; commit keeps the bytes */
        return;
    }
    record->next_bytes = copy_text(bytes);
    note_change(snapshot, record);
}

void ads_snapshot_remove(struct ads_snapshot *snapshot, struct text type_url, struct text name)
{
    struct ads_type *type = ads_snapshot_type(snapshot, type_url);
    struct ads_record *record = type ? map_find(&type->records, name) : NULL;
    if (!record)
        return;
    free_text(&record->next_bytes);
    record->next_version[0] = '\0';
    note_change(snapshot, record);
}

/* Puts one record's next state in force; false where it is what was there. */
static bool commit_record(struct ads_record *record)
{
    record->changed = false;
    bool was = record->bytes.at != NULL;
    bool will = record->next_version[0] != '\0';
    if (!was && !will)
        return false;
    if (was && will && strcmp(record->version, record->next_version) == 0)
        return false;
    free_text(&record->bytes);
    record->bytes = record->next_bytes;
    record->next_bytes = text_of(NULL, 0);
    memcpy(record->version, record->next_version, sizeof(record->version));
    return true;
}

static void drop_record(struct ads_record *record)
{
    map_remove(&record->type->records, record->name);
    free_record(record);
}

bool ads_snapshot_commit(struct ads_snapshot *snapshot)
{
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->changes.count; i++) {
        struct ads_record *record = snapshot->changes.items[i];
        if (commit_record(record))
            snapshot->changes.items[kept++] = record;
        else if (!record->bytes.at)
            drop_record(record); /* set and removed before anybody saw it */
    }
    snapshot->changes.count = kept;
    return kept > 0;
}

void ads_snapshot_settle(struct ads_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->changes.count; i++) {
        struct ads_record *record = snapshot->changes.items[i];
        if (!record->bytes.at)
            drop_record(record);
    }
    snapshot->changes.count = 0;
}

struct ads_record *ads_snapshot_find(const struct ads_snapshot *snapshot, struct text type_url,
                                     struct text name)
{
    struct ads_type *type = ads_snapshot_type(snapshot, type_url);
    struct ads_record *record = type ? map_find(&type->records, name) : NULL;
    return record && record->bytes.at ? record : NULL;
}
