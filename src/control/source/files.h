/* struct file_source: folders and files as the source of objects. Reads what changed (told by
 * stamp, then by content), puts it into the store and commits; with a loop it follows changes
 * through inotify: after 20 ms of quiet and with no file half written, 200 ms at most, and by
 * looking every 2 s where inotify is silent. Big changes are read in slices of 15 ms a turn. All
 * calls are for the loop's thread.
 *
 * What cannot be read stays as it was and is told as a finding of the store: a file or folder
 * without permission, an argument that is not there. A file gone from a folder that can be read
 * is gone. */
#pragma once

#include "control/store.h"
#include "net/loop.h"

#define FILES_SETTLE_MS     20
#define FILES_SETTLE_MAX_MS 200
#define FILES_POLL_MS       2000
#define FILES_SLICE_MS      15

struct file_source;

/* paths: folders and files, in order of precedence; copied. The store must outlive the source. */
struct file_source *file_source_new(struct store *store, const char *const *paths, size_t count);
void file_source_free(struct file_source *source);
/* Reads all that changed at once, before file_source_watch. The list is the store's. */
struct change_list file_source_load(struct file_source *source);
/* From now on changes come through on_change, after each commit that put something (the list may be
 * empty: findings may still have changed). Without inotify (out of watches) the looking remains. */
bool file_source_watch(struct file_source *source, struct loop *loop,
                       void (*on_change)(void *owner, struct change_list changes), void *owner,
                       struct error *error);
/* Follows no further; what was read so far stays. */
void file_source_unwatch(struct file_source *source);
/* Looks again now (SIGHUP): the result comes through on_change, also when nothing changed. */
void file_source_rescan(struct file_source *source);
/* Files read so far, for tests and metrics. */
uint64_t file_source_reads(const struct file_source *source);
