/* struct intake: what one file (or other unit of a source) holds: its objects, and every finding
 * about them, in one pass. Made by intake_read, given to store_put. */
#pragma once

#include "control/finding.h"
#include "control/model.h"

struct intake_entry {
    struct text key;        /* kind/namespace/name */
    uint32_t line;
    struct object *object;  /* one reference; NULL: refused */
    int32_t line_shift;     /* for an object taken over from the intake before */
    uint64_t content_hash;
};

/* A weft.dev object that cannot be read. A target's section_name may be absent; name_space is the
 * policy's own. No targets: none could be read. */
struct invalid_policy {
    struct place place;
    struct text key; /* kind/namespace/name */
    struct text name_space;
    struct policy_target *targets;
    size_t target_count;
};

struct invalid_policy_list {
    const struct invalid_policy *items;
    size_t count;
};

struct intake {
    struct text file;
    ARRAY_OF(struct intake_entry) entries; /* in file order */
    ARRAY_OF(struct invalid_policy) invalid_policies;
    struct finding_list findings;
    bool failed;       /* the file does not parse: entries mean nothing */
    bool unidentified; /* holds an object whose kind or name cannot be told */
    struct arena arena;
};

enum document_format { FORMAT_YAML, FORMAT_JSON };

/* Reads all documents. `before` (may be NULL) is the same file's last good intake: objects whose
 * content did not change are taken over from it. Never NULL. */
struct intake *intake_read(struct text file, struct text bytes, enum document_format format,
                           const struct intake *before);
/* An intake that says why the file could not be read at all. */
struct intake *intake_unreadable(struct text file, const char *why);
void intake_free(struct intake *intake);
