/* struct store: the objects in force. Sources put what they read (struct intake, one a file or
 * other unit), the store decides by the classes of decisions 9 what is in force, counts
 * generations, implies what needs no writing (GatewayClass weft, Namespaces) and tells what a
 * commit changed. One thread.
 *
 * An object pointer is good as long as somebody holds a reference: the store for those in force,
 * the change list for those it names (until the next commit). Objects never change once in
 * force, but for their lines. */
#pragma once

#include "base/array.h"
#include "control/finding.h"
#include "control/intake.h"
#include "control/model.h"

struct store;

enum change_type { CHANGE_ADDED, CHANGE_CHANGED, CHANGE_REMOVED };

struct change {
    enum change_type type;
    const struct object *before; /* NULL for ADDED */
    const struct object *after;  /* NULL for REMOVED */
};

struct change_list {
    struct change *items;
    size_t count;
};

struct object_list {
    struct object *const *items;
    size_t count;
};

struct store *store_new(void);
void store_free(struct store *store);

/* A file's new content takes the place of its old. The store takes over the intake. Putting
 * frees what the file's findings and invalid policies were views of, so put and commit in one
 * go. `rank` orders files: where two hold the same object, the lower rank, then the lower file
 * name, wins. A failed intake leaves the file's objects as they were and replaces its findings
 * only. */
void store_put(struct store *store, uint32_t rank, struct intake *intake);
/* The file is gone. */
void store_remove(struct store *store, struct text file);
/* What was last put for this file and did not fail, or NULL: for intake_read's reuse. */
const struct intake *store_intake(const struct store *store, struct text file);
/* Puts what was put and removed since the last commit in force. The list (no order; an object
 * changed at most once in it) is valid until the next commit. */
struct change_list store_commit(struct store *store);
/* Counts the commits that changed something. */
uint64_t store_version(const struct store *store);

/* The object in force, or NULL. name_space is "" for cluster kinds. */
const struct object *store_find(const struct store *store, enum object_kind kind,
                                struct text name_space, struct text name);
/* All of a kind in force, by namespace, then name. Valid until the next commit. */
struct object_list store_objects(const struct store *store, enum object_kind kind);
/* Of a kind and namespace: a part of the list above. */
struct object_list store_objects_in(const struct store *store, enum object_kind kind,
                                    struct text name_space);
/* weft.dev objects that could not be read and have no older version: their targets must answer 500
 * policy_invalid (decisions 9). By file and line; valid until the next put or removal. */
struct invalid_policy_list store_invalid_policies(const struct store *store);
/* Appends all findings about what was put, sorted: of readers, schema, rules, and duplicates. */
void store_findings(const struct store *store, struct finding_list *out);
