/* Files as a source: what to read again, and when. */
#include "control/source/files.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/hash.h"
#include "base/map.h"
#include "control/node.h"
#include "control/source/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_EVENTS                                                                               \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
/* Two writes this close may leave the same stamp: the kernel's clock for files is coarse. */
#define RACY_NS 20000000
/* Files followed while they are written; of more at once only their stamps speak. */
#define WRITTEN_MAX 64

struct known_file {
    struct text name;
    uint32_t rank;
    struct file_stamp stamp;
    uint64_t content_hash;
    bool has_content; /* the hash means something */
    bool racy;        /* changed so shortly before it was read that it may have changed again */
    bool failed;      /* the store holds only that it could not be read */
    bool seen;        /* by the scan at hand */
};

struct watched_folder {
    int wd;
    struct text only_file; /* malloc'd; at == NULL: all */
};

struct file_source {
    struct store *store;
    char **paths;
    size_t path_count;
    struct map files; /* name -> struct known_file */
    ARRAY_OF(struct known_file *) dirty; /* to be read; done up to `next` */
    size_t next;
    ARRAY_OF(struct intake *) intakes; /* read, not yet put */
    ARRAY_OF(uint32_t) ranks;          /* of intakes */
    ARRAY_OF(struct known_file *) gone;
    uint64_t reads;
    /* following */
    struct loop *loop;
    void (*on_change)(void *owner, struct change_list changes);
    void *owner;
    int inotify;
    struct watch watch;
    ARRAY_OF(struct watched_folder) folders;
    ARRAY_OF(uint64_t) written; /* hashes of files written to and not closed yet */
    struct timer settle;
    struct timer poll;
    struct timer slice;
    uint64_t unsettled_since_ms; /* 0: settled */
    bool overtaken;              /* what was read waits for a writer; once */
    bool again;                  /* something happened while slices are read */
    bool tell;                   /* on_change is due even for nothing */
};

static struct text own_text(struct text t)
{
    char *copy = malloc(t.size + 1);
    ensure(copy != NULL);
    memcpy(copy, t.at, t.size);
    copy[t.size] = '\0';
    return text_of(copy, t.size);
}

static void free_text(struct text t)
{
    free((char *)(uintptr_t)t.at);
}

/* ---- what to read ---------------------------------------------------------------------------- */

static bool same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

static struct known_file *know(struct file_source *source, struct text name)
{
    struct known_file *file = map_find(&source->files, name);
    if (file == NULL) {
        file = calloc(1, sizeof(*file));
        ensure(file != NULL);
        file->name = own_text(name);
        map_put(&source->files, file->name, file);
    }
    return file;
}

static void note_file(struct file_source *source, const struct scanned_file *found)
{
    struct known_file *file = know(source, found->name);
    if (file->seen) {
        return; /* named by two arguments: the first counts */
    }
    file->seen = true;
    bool moved = file->rank != found->rank;
    file->rank = found->rank;
    if (file->has_content && !file->racy && !moved && same_stamp(&file->stamp, &found->stamp)) {
        return;
    }
    file->has_content = file->has_content && !moved;
    file->stamp = found->stamp;
    *array_add(&source->dirty) = file;
}

static void add_intake(struct file_source *source, struct intake *intake, uint32_t rank)
{
    *array_add(&source->intakes) = intake;
    *array_add(&source->ranks) = rank;
}

static void add_unreadable(struct file_source *source, struct text name, const char *why,
                           uint32_t rank)
{
    char text[256];
    snprintf(text, sizeof(text), "cannot be read: %s; what it held before stays in force", why);
    add_intake(source, intake_unreadable(name, text), rank);
}

/* What lies under a place that cannot be looked at stays. */
static void note_failure(struct file_source *source, const struct scan_failure *failure)
{
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&source->files, &cursor)) != NULL;) {
        struct known_file *file = entry->value;
        bool below = text_starts_with(file->name, failure->name) &&
                     (file->name.size == failure->name.size ||
                      file->name.at[failure->name.size] == '/');
        file->seen = file->seen || below;
    }
    struct known_file *place = know(source, failure->name);
    place->seen = true;
    if (!place->failed) {
        place->failed = true;
        place->has_content = false;
        add_unreadable(source, failure->name, failure->why.at, place->rank);
    }
}

static void collect_gone(struct file_source *source)
{
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&source->files, &cursor)) != NULL;) {
        struct known_file *file = entry->value;
        if (!file->seen) {
            *array_add(&source->gone) = file;
        }
        file->seen = false;
    }
    for (size_t i = 0; i < source->gone.count; i++) {
        map_remove(&source->files, source->gone.items[i]->name);
    }
}

static void watch_folders(struct file_source *source, const struct scan *scan);

/* Looks at all stamps. */
static void look(struct file_source *source)
{
    struct scan scan;
    scan_init(&scan);
    for (size_t i = 0; i < source->path_count; i++) {
        scan_path(&scan, source->paths[i], (uint32_t)i);
    }
    source->dirty.count = 0;
    source->next = 0;
    for (size_t i = 0; i < scan.files.count; i++) {
        note_file(source, &scan.files.items[i]);
    }
    for (size_t i = 0; i < scan.failures.count; i++) {
        note_failure(source, &scan.failures.items[i]);
    }
    collect_gone(source);
    if (source->loop != NULL) {
        watch_folders(source, &scan);
    }
    scan_fini(&scan);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The whole file, at most one byte more than is allowed. False: errno says why. */
static bool read_whole(const char *name, struct buffer *out)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return false;
    }
    ssize_t got = 0;
    do {
        char *to = buffer_reserve(out, 65536);
        got = read(fd, to, 65536);
        out->size += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && out->size <= DOCUMENT_FILE_MAX) || (got < 0 && errno == EINTR));
    int failure = errno;
    close(fd);
    errno = failure;
    return got >= 0;
}

/* A stamp from the future says nothing and must not be waited for. */
static bool is_recent(int64_t stamp_ns, int64_t now_ns)
{
    return now_ns - stamp_ns < RACY_NS && stamp_ns - now_ns < RACY_NS;
}

static bool is_racy(const struct file_stamp *stamp)
{
    int64_t now_ns = clock_wall_us() * 1000;
    return is_recent(stamp->modified_ns, now_ns) || is_recent(stamp->changed_ns, now_ns);
}

static void read_file(struct file_source *source, struct known_file *file)
{
    struct buffer bytes;
    buffer_init(&bytes);
    file->racy = is_racy(&file->stamp);
    if (!read_whole(file->name.at, &bytes)) {
        if (errno != ENOENT) {
            file->has_content = false;
            if (!file->failed) {
                add_unreadable(source, file->name, strerror(errno), file->rank);
            }
            file->failed = true;
        }
        buffer_fini(&bytes);
        return;
    }
    source->reads++;
    uint64_t hash = hash_stable(buffer_text(&bytes));
    if (!file->has_content || file->failed || hash != file->content_hash) {
        enum document_format format = text_ends_with(file->name, TEXT(".json")) ? FORMAT_JSON
                                                                                : FORMAT_YAML;
        add_intake(source, intake_read(file->name, buffer_text(&bytes), format,
                                       store_intake(source->store, file->name)), file->rank);
    }
    file->content_hash = hash;
    file->has_content = true;
    file->failed = false;
    if (bytes.size > 0) {
        explicit_bzero(bytes.bytes, bytes.size); /* it may hold a Secret */
    }
    buffer_fini(&bytes);
}

/* True when all is read. limit_ms 0: no limit. */
static bool read_some(struct file_source *source, uint64_t limit_ms)
{
    uint64_t start_ns = clock_now_ns();
    while (source->next < source->dirty.count) {
        read_file(source, source->dirty.items[source->next++]);
        if (limit_ms > 0 && clock_now_ns() - start_ns >= limit_ms * 1000000) {
            break;
        }
    }
    return source->next == source->dirty.count;
}

static void free_known(struct known_file *file)
{
    free_text(file->name);
    free(file);
}

/* Into the store. */
static struct change_list put_all(struct file_source *source)
{
    for (size_t i = 0; i < source->gone.count; i++) {
        store_remove(source->store, source->gone.items[i]->name);
        free_known(source->gone.items[i]);
    }
    for (size_t i = 0; i < source->intakes.count; i++) {
        store_put(source->store, source->ranks.items[i], source->intakes.items[i]);
    }
    source->gone.count = 0;
    source->intakes.count = 0;
    source->ranks.count = 0;
    return store_commit(source->store);
}

struct change_list file_source_load(struct file_source *source)
{
    ensure(source->loop == NULL);
    look(source);
    read_some(source, 0);
    return put_all(source);
}

/* ---- following ------------------------------------------------------------------------------- */

static bool has_news(const struct file_source *source)
{
    return source->gone.count > 0 || source->intakes.count > 0;
}

static void finish(struct file_source *source)
{
    bool tell = source->tell || has_news(source);
    source->tell = false;
    if (tell) {
        struct change_list changes = put_all(source);
        source->on_change(source->owner, changes);
    }
}

/* A file that changed just before it was read is looked at once more. */
static bool is_any_racy(const struct file_source *source)
{
    for (size_t i = 0; i < source->dirty.count; i++) {
        if (source->dirty.items[i]->racy) {
            return true;
        }
    }
    return false;
}

static void start_settling(struct file_source *source);
static bool take_events(struct file_source *source);

/* A writer began in the midst of the reading: what was read may be the empty file it truncated. It
 * is not put yet; the next look, when the writer is done or its time over, reads it once more. */
static bool is_overtaken(struct file_source *source)
{
    source->overtaken = source->written.count > 0 && !source->overtaken;
    return source->overtaken;
}

static void read_slice(struct file_source *source)
{
    if (!read_some(source, FILES_SLICE_MS)) {
        timer_start(source->loop, &source->slice, 0);
        return;
    }
    bool again = source->again || is_any_racy(source);
    source->again = false;
    again = take_events(source) || again;
    if (is_overtaken(source)) {
        start_settling(source);
        return;
    }
    finish(source);
    if (again) {
        start_settling(source);
    }
}

static bool is_reading(const struct file_source *source)
{
    return source->next < source->dirty.count;
}

static void on_slice(struct timer *timer)
{
    read_slice(list_owner(timer, struct file_source, slice));
}

static void start_reading(struct file_source *source)
{
    if (is_reading(source)) {
        source->again = true;
        return;
    }
    source->unsettled_since_ms = 0;
    source->written.count = 0;
    timer_stop(&source->settle);
    look(source);
    read_slice(source);
}

static void on_settled(struct timer *timer)
{
    struct file_source *source = list_owner(timer, struct file_source, settle);
    uint64_t end_ms = source->unsettled_since_ms + FILES_SETTLE_MAX_MS;
    take_events(source); /* a timer may be ahead of what happened in the same turn */
    if (source->written.count > 0 && loop_now_ms(source->loop) < end_ms) {
        start_settling(source);
    } else {
        start_reading(source);
    }
}

static void start_settling(struct file_source *source)
{
    uint64_t now_ms = loop_now_ms(source->loop);
    if (source->unsettled_since_ms == 0) {
        source->unsettled_since_ms = now_ms ? now_ms : 1;
    }
    uint64_t end_ms = source->unsettled_since_ms + FILES_SETTLE_MAX_MS;
    uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
    bool wait = left_ms < FILES_SETTLE_MS || source->written.count > 0;
    uint64_t delay_ms = wait ? left_ms : FILES_SETTLE_MS;
    if (left_ms == 0 && timer_is_running(&source->settle)) {
        return; /* it is due: more events must not put it off */
    }
    timer_stop(&source->settle);
    timer_start(source->loop, &source->settle, delay_ms);
}

/* Whether a look would find anything: stamps only, nothing is kept. */
static bool would_change(struct file_source *source)
{
    struct scan scan;
    scan_init(&scan);
    for (size_t i = 0; i < source->path_count; i++) {
        scan_path(&scan, source->paths[i], (uint32_t)i);
    }
    size_t failed = 0;
    bool changed = false;
    for (size_t i = 0; i < scan.files.count && !changed; i++) {
        const struct known_file *file = map_find(&source->files, scan.files.items[i].name);
        changed = file == NULL || !file->has_content ||
                  !same_stamp(&file->stamp, &scan.files.items[i].stamp);
    }
    for (size_t i = 0; i < scan.failures.count && !changed; i++) {
        const struct known_file *place = map_find(&source->files, scan.failures.items[i].name);
        changed = place == NULL || !place->failed;
        failed++;
    }
    changed = changed || scan.files.count + failed != source->files.count;
    scan_fini(&scan);
    return changed;
}

static void on_poll(struct timer *timer)
{
    struct file_source *source = list_owner(timer, struct file_source, poll);
    timer_start(source->loop, &source->poll, FILES_POLL_MS);
    if (source->unsettled_since_ms == 0 && !is_reading(source) && would_change(source)) {
        start_settling(source);
    }
}

static void forget_folders(struct watched_folder *folders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free_text(folders[i].only_file);
    }
    free(folders);
}

static bool is_watched(const struct watched_folder *folders, size_t count, int wd)
{
    for (size_t i = 0; i < count; i++) {
        if (folders[i].wd == wd) {
            return true;
        }
    }
    return false;
}

/* Adding a watch twice is harmless and gives the same number; one for a folder that is gone went
 * with it. Without a watch the poll remains. What changed in a new folder between the look and
 * the watch is found by looking again. */
static void watch_folders(struct file_source *source, const struct scan *scan)
{
    struct watched_folder *before = source->folders.items;
    size_t count = source->folders.count;
    memset(&source->folders, 0, sizeof(source->folders));
    for (size_t i = 0; i < scan->folders.count && source->inotify >= 0; i++) {
        const struct scanned_folder *folder = &scan->folders.items[i];
        int wd = inotify_add_watch(source->inotify, folder->name.at, WATCH_EVENTS);
        if (wd >= 0) {
            source->again = source->again || !is_watched(before, count, wd);
            *array_add(&source->folders) = (struct watched_folder){
                .wd = wd,
                .only_file = folder->only_file.at ? own_text(folder->only_file)
                                                  : text_of(NULL, 0),
            };
        }
    }
    forget_folders(before, count);
}

/* Hidden files do not matter, but for the links mounted ConfigMaps are swapped by ("..data"). */
static bool matters(const struct file_source *source, const struct inotify_event *event)
{
    if ((event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF)) || event->len == 0) {
        return !(event->mask & IN_IGNORED);
    }
    struct text name = text_from_string(event->name);
    if (text_starts_with(name, TEXT(".."))) {
        return true;
    }
    for (size_t i = 0; i < source->folders.count; i++) {
        const struct watched_folder *folder = &source->folders.items[i];
        if (folder->wd != event->wd) {
            continue;
        }
        bool all = folder->only_file.at == NULL && name.at[0] != '.' &&
                   ((event->mask & IN_ISDIR) || scan_is_configuration(name) ||
                    (event->mask & (IN_CREATE | IN_MOVED_TO))); /* maybe a link to a folder */
        if (all || (folder->only_file.at != NULL && text_equal(folder->only_file, name))) {
            return true;
        }
    }
    return false;
}

/* A file truncated or half written says nothing yet: its writer is given time to close it. */
static void note_writing(struct file_source *source, const struct inotify_event *event)
{
    if (event->len == 0 || (event->mask & IN_ISDIR)) {
        return;
    }
    uint64_t hash = hash_text(text_from_string(event->name)) + (uint64_t)event->wd;
    size_t at = 0;
    while (at < source->written.count && source->written.items[at] != hash) {
        at++;
    }
    bool known = at < source->written.count;
    if ((event->mask & IN_MODIFY) && !known && source->written.count < WRITTEN_MAX) {
        *array_add(&source->written) = hash;
    } else if ((event->mask & (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM)) && known) {
        source->written.items[at] = source->written.items[--source->written.count];
    }
}

static bool take_events(struct file_source *source)
{
    _Alignas(struct inotify_event) char events[16384];
    bool any = false;
    ssize_t size;
    while ((size = read(source->inotify, events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)(events + at);
            if (matters(source, event)) {
                any = true;
                note_writing(source, event);
            }
            at += (ssize_t)sizeof(*event) + (ssize_t)event->len;
        }
    }
    return any;
}

static void on_events(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct file_source *source = list_owner(watch, struct file_source, watch);
    if (take_events(source)) {
        start_settling(source);
    }
}

/* Before the first look, so that a writer at work is known to it. */
static void watch_all(struct file_source *source)
{
    struct scan scan;
    scan_init(&scan);
    for (size_t i = 0; i < source->path_count; i++) {
        scan_path(&scan, source->paths[i], (uint32_t)i);
    }
    watch_folders(source, &scan);
    scan_fini(&scan);
    source->again = false;
}

bool file_source_watch(struct file_source *source, struct loop *loop,
                       void (*on_change)(void *owner, struct change_list changes), void *owner,
                       struct error *error)
{
    ensure(source->loop == NULL);
    source->loop = loop;
    source->on_change = on_change;
    source->owner = owner;
    timer_init(&source->settle, on_settled);
    timer_init(&source->poll, on_poll);
    timer_init(&source->slice, on_slice);
    source->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    source->watch = (struct watch){ .fd = -1, .on_ready = on_events };
    if (source->inotify >= 0 &&
        !loop_watch_level(loop, &source->watch, source->inotify, error)) {
        close(source->inotify);
        source->inotify = -1;
        return false;
    }
    timer_start(loop, &source->poll, FILES_POLL_MS);
    watch_all(source);
    /* What changed between the load and the first watch is found by this look. */
    start_settling(source);
    return true;
}

void file_source_unwatch(struct file_source *source)
{
    if (source->loop == NULL) {
        return;
    }
    timer_stop(&source->settle);
    timer_stop(&source->poll);
    timer_stop(&source->slice);
    if (source->inotify >= 0) {
        loop_unwatch(source->loop, &source->watch);
        close(source->inotify);
        source->inotify = -1;
    }
}

void file_source_rescan(struct file_source *source)
{
    ensure(source->loop != NULL);
    source->tell = true;
    start_reading(source);
}

uint64_t file_source_reads(const struct file_source *source)
{
    return source->reads;
}

struct file_source *file_source_new(struct store *store, const char *const *paths, size_t count)
{
    struct file_source *source = calloc(1, sizeof(*source));
    ensure(source != NULL);
    source->store = store;
    source->inotify = -1;
    source->paths = calloc(count ? count : 1, sizeof(*source->paths));
    ensure(source->paths != NULL);
    for (size_t i = 0; i < count; i++) {
        source->paths[i] = (char *)(uintptr_t)own_text(text_from_string(paths[i])).at;
    }
    source->path_count = count;
    map_init(&source->files);
    return source;
}

void file_source_free(struct file_source *source)
{
    if (source == NULL) {
        return;
    }
    file_source_unwatch(source);
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&source->files, &cursor)) != NULL;) {
        free_known(entry->value);
    }
    for (size_t i = 0; i < source->gone.count; i++) {
        free_known(source->gone.items[i]);
    }
    for (size_t i = 0; i < source->intakes.count; i++) {
        intake_free(source->intakes.items[i]);
    }
    for (size_t i = 0; i < source->path_count; i++) {
        free(source->paths[i]);
    }
    forget_folders(source->folders.items, source->folders.count);
    array_free(&source->written);
    array_free(&source->dirty);
    array_free(&source->intakes);
    array_free(&source->ranks);
    array_free(&source->gone);
    map_fini(&source->files);
    free(source->paths);
    free(source);
}
