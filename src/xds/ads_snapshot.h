/* What an ADS server serves: types, each with its resources, in force since the last commit, and
 * the changes of the next one. Used by ads_server.c and ads_stream.c only. */
#pragma once

#include "base/array.h"
#include "base/list.h"
#include "base/map.h"
#include "base/text.h"

#include <stdbool.h>

#define ADS_VERSION_SIZE 17 /* 16 hexadecimal digits and a NUL */

/* The order of sending; see ads_server.h. */
enum ads_rank {
    ADS_RANK_OTHER,
    ADS_RANK_CLUSTER,
    ADS_RANK_ENDPOINTS,
    ADS_RANK_LISTENER,
    ADS_RANK_ROUTES
};

struct ads_type;

struct ads_record {
    struct ads_type *type;
    struct text name;
    struct text bytes; /* committed; at is NULL where there is none */
    char version[ADS_VERSION_SIZE];
    bool changed; /* next differs from what is committed */
    struct text next_bytes;
    char next_version[ADS_VERSION_SIZE];
};

struct ads_type {
    struct list link; /* in snapshot.types, in order of rank */
    struct text url;
    enum ads_rank rank;
    struct map records; /* name -> struct ads_record */
};

struct ads_snapshot {
    struct list types;
    ARRAY_OF(struct ads_record *) changes;
};

enum ads_rank ads_rank_of(struct text type_url);

void ads_snapshot_init(struct ads_snapshot *snapshot);
void ads_snapshot_fini(struct ads_snapshot *snapshot);
void ads_snapshot_set(struct ads_snapshot *snapshot, struct text type_url, struct text name,
                      struct text bytes);
void ads_snapshot_remove(struct ads_snapshot *snapshot, struct text type_url, struct text name);
/* Puts the next state in force; the records that really changed are left in `changes`, the removed
 * ones without bytes. False where there are none. */
bool ads_snapshot_commit(struct ads_snapshot *snapshot);
/* Forgets `changes` and frees the removed records. */
void ads_snapshot_settle(struct ads_snapshot *snapshot);

struct ads_type *ads_snapshot_type(const struct ads_snapshot *snapshot, struct text type_url);
/* A committed record, or NULL. */
struct ads_record *ads_snapshot_find(const struct ads_snapshot *snapshot, struct text type_url,
                                     struct text name);
