/* The walk through folders. */
#include "control/source/scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The folders above the one at hand, against links that lead back up. */
struct ancestors {
    struct {
        uint64_t device;
        uint64_t inode;
    } items[SCAN_DEPTH_MAX];
    size_t count;
};

void scan_init(struct scan *scan)
{
    *scan = (struct scan){ 0 };
    arena_init(&scan->arena);
}

void scan_fini(struct scan *scan)
{
    array_free(&scan->files);
    array_free(&scan->folders);
    array_free(&scan->failures);
    arena_fini(&scan->arena);
}

bool scan_is_configuration(struct text name)
{
    return text_ends_with(name, TEXT(".yaml")) || text_ends_with(name, TEXT(".yml")) ||
           text_ends_with(name, TEXT(".json"));
}

static void fail(struct scan *scan, struct text name, const char *why)
{
    *array_add(&scan->failures) = (struct scan_failure){
        .name = name,
        .why = arena_copy(&scan->arena, text_from_string(why)),
    };
}

static int64_t in_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void add_file(struct scan *scan, struct text name, uint32_t rank, const struct stat *status)
{
    if (scan->files.count >= SCAN_FILES_MAX) {
        if (scan->files.count == SCAN_FILES_MAX) {
            fail(scan, name, "more files than Weft reads; join or remove some");
        }
        return;
    }
    *array_add(&scan->files) = (struct scanned_file){
        .name = name,
        .rank = rank,
        .stamp = {
            .device = status->st_dev,
            .inode = status->st_ino,
            .size = (uint64_t)status->st_size,
            .modified_ns = in_ns(status->st_mtim),
            .changed_ns = in_ns(status->st_ctim),
        },
    };
}

static int compare_names(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static void scan_folder(struct scan *scan, struct text folder, uint32_t rank,
                        struct ancestors *above, const struct stat *status);

static void scan_entry(struct scan *scan, struct text name, uint32_t rank, struct ancestors *above)
{
    struct stat status;
    if (stat(name.at, &status) != 0) {
        /* Gone since the folder was read, or a link to nowhere: not there. */
        if (errno != ENOENT) {
            fail(scan, name, strerror(errno));
        }
    } else if (S_ISDIR(status.st_mode)) {
        scan_folder(scan, name, rank, above, &status);
    } else if (S_ISREG(status.st_mode) && scan_is_configuration(name)) {
        add_file(scan, name, rank, &status);
    }
}

/* The names in a folder, sorted. */
static bool list_folder(struct scan *scan, struct text folder, struct text **out_names,
                        size_t *out_count)
{
    ARRAY_OF(struct text) names = { 0 };
    DIR *dir = opendir(folder.at);
    if (dir == NULL) {
        return false;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            *array_add(&names) = arena_format(&scan->arena, "%.*s/%s", TEXT_ARG(folder),
                                              entry->d_name);
        }
    }
    closedir(dir);
    if (names.count > 1) {
        qsort(names.items, names.count, sizeof(*names.items), compare_names);
    }
    *out_names = names.items;
    *out_count = names.count;
    return true;
}

static void scan_folder(struct scan *scan, struct text folder, uint32_t rank,
                        struct ancestors *above, const struct stat *status)
{
    for (size_t i = 0; i < above->count; i++) {
        if (above->items[i].device == status->st_dev && above->items[i].inode == status->st_ino) {
            fail(scan, folder, "is a link to a folder above it and is passed over; remove the "
                               "link");
            return;
        }
    }
    if (above->count == SCAN_DEPTH_MAX) {
        fail(scan, folder, "lies too deep; move it up");
        return;
    }
    struct text *names = NULL;
    size_t count = 0;
    if (!list_folder(scan, folder, &names, &count)) {
        fail(scan, folder, strerror(errno));
        return;
    }
    *array_add(&scan->folders) = (struct scanned_folder){ .name = folder };
    above->items[above->count].device = status->st_dev;
    above->items[above->count].inode = status->st_ino;
    above->count++;
    for (size_t i = 0; i < count; i++) {
        scan_entry(scan, names[i], rank, above);
    }
    above->count--;
    free(names);
}

static void watch_parent(struct scan *scan, struct text name)
{
    size_t slash = name.size;
    while (slash > 0 && name.at[slash - 1] != '/') {
        slash--;
    }
    struct text folder = slash == 0 ? TEXT(".") : text_first(name, slash > 1 ? slash - 1 : 1);
    *array_add(&scan->folders) = (struct scanned_folder){
        .name = arena_copy(&scan->arena, folder),
        .only_file = text_from(name, slash),
    };
}

void scan_path(struct scan *scan, const char *path, uint32_t rank)
{
    struct stat status;
    struct text name = text_from_string(path);
    while (name.size > 1 && name.at[name.size - 1] == '/') {
        name.size--;
    }
    name = arena_copy(&scan->arena, name);
    if (stat(name.at, &status) != 0) {
        fail(scan, name, strerror(errno));
        watch_parent(scan, name);
    } else if (S_ISDIR(status.st_mode)) {
        struct ancestors above = { 0 };
        scan_folder(scan, name, rank, &above, &status);
    } else if (S_ISREG(status.st_mode)) {
        add_file(scan, name, rank, &status);
        watch_parent(scan, name);
    } else {
        fail(scan, name, "is neither a file nor a folder");
    }
}
