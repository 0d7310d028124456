/* Walking folders for configuration files: recursively, names beginning with '.' passed over,
 * symbolic links followed. Names are as the operator gave them, with what lies below appended. */
#pragma once

#include "base/arena.h"
#include "base/array.h"
#include "base/text.h"

#define SCAN_FILES_MAX 100000
#define SCAN_DEPTH_MAX 32

/* What tells whether a file changed. */
struct file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t modified_ns;
    int64_t changed_ns;
};

struct scanned_file {
    struct text name; /* NUL-terminated */
    uint32_t rank;    /* index of the argument it was found under */
    struct file_stamp stamp;
};

struct scanned_folder {
    struct text name;      /* NUL-terminated; to be watched */
    struct text only_file; /* watched for this file in it only; at == NULL: all */
};

/* A file or folder that could not be looked at: what lies under it stays as it was. */
struct scan_failure {
    struct text name;
    struct text why;
};

struct scan {
    ARRAY_OF(struct scanned_file) files;     /* in order of argument, then of name */
    ARRAY_OF(struct scanned_folder) folders;
    ARRAY_OF(struct scan_failure) failures;
    struct arena arena; /* owns the names */
};

void scan_init(struct scan *scan);
void scan_fini(struct scan *scan);
/* Adds what is at `path`, a folder or a file. */
void scan_path(struct scan *scan, const char *path, uint32_t rank);
/* .yaml, .yml, .json */
bool scan_is_configuration(struct text name);
