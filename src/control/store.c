/* The objects in force. Every object's key has a slot with the places it is written at
 * (candidates, in file order); the first decides. A commit looks at the slots its files touched,
 * then at what is implied by them. */
#include "control/store.h"

#include "base/ensure.h"
#include "base/map.h"
#include "control/node.h"

#include <stdio.h>
#include <stdlib.h>

struct store_file {
    struct text name; /* in the store's memory */
    uint32_t rank;
    struct intake *intake;          /* the last good one, or NULL */
    struct finding_list parse;      /* of the newest content, where it does not parse */
    bool parse_failed;
};

struct candidate {
    struct store_file *file;
    uint32_t index; /* of the entry in its intake */
};

struct slot {
    struct text key;
    struct object *in_force;
    ARRAY_OF(struct candidate) candidates;
    struct object *before; /* during a commit: what was in force when it began */
    bool touched;
    uint32_t users; /* of a Namespace: objects in force in it */
};

struct kind_list {
    struct object **items;
    size_t count;
    size_t capacity;
};

struct store {
    struct map files; /* name -> struct store_file */
    struct map slots; /* key -> struct slot */
    struct kind_list kinds[KIND_COUNT];
    ARRAY_OF(struct slot *) touched;
    ARRAY_OF(struct change) changes; /* hold references */
    ARRAY_OF(struct invalid_policy) invalid_policies;
    bool any_file; /* something was put or removed since the last commit */
    uint64_t version;
};

struct store *store_new(void)
{
    struct store *store = calloc(1, sizeof(*store));
    ensure(store != NULL);
    map_init(&store->files);
    map_init(&store->slots);
    return store;
}

static void free_file(struct store_file *file)
{
    intake_free(file->intake);
    finding_list_fini(&file->parse);
    free((char *)(uintptr_t)file->name.at);
    free(file);
}

static void clear_changes(struct store *store)
{
    for (size_t i = 0; i < store->changes.count; i++) {
        object_unref((struct object *)(uintptr_t)store->changes.items[i].before);
        object_unref((struct object *)(uintptr_t)store->changes.items[i].after);
    }
    store->changes.count = 0;
}

static void free_slot(struct slot *slot)
{
    object_unref(slot->in_force);
    array_free(&slot->candidates);
    free((char *)(uintptr_t)slot->key.at);
    free(slot);
}

void store_free(struct store *store)
{
    if (store == NULL) {
        return;
    }
    clear_changes(store);
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&store->slots, &cursor)) != NULL;) {
        free_slot(entry->value);
    }
    for (size_t cursor = 0; (entry = map_next(&store->files, &cursor)) != NULL;) {
        free_file(entry->value);
    }
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        free(store->kinds[kind].items);
    }
    map_fini(&store->slots);
    map_fini(&store->files);
    array_free(&store->touched);
    array_free(&store->changes);
    array_free(&store->invalid_policies);
    free(store);
}

static struct text own_text(struct text t)
{
    char *copy = malloc(t.size + 1);
    ensure(copy != NULL);
    memcpy(copy, t.at, t.size);
    copy[t.size] = '\0';
    return text_of(copy, t.size);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static struct slot *touch(struct store *store, struct text key)
{
    struct slot *slot = map_find(&store->slots, key);
    if (slot == NULL) {
        slot = calloc(1, sizeof(*slot));
        ensure(slot != NULL);
        slot->key = own_text(key);
        map_put(&store->slots, slot->key, slot);
    }
    if (!slot->touched) {
        slot->touched = true;
        slot->before = slot->in_force ? object_ref(slot->in_force) : NULL;
        *array_add(&store->touched) = slot;
    }
    return slot;
}

static bool comes_before(const struct candidate *a, const struct candidate *b)
{
    if (a->file != b->file) {
        if (a->file->rank != b->file->rank) {
            return a->file->rank < b->file->rank;
        }
        return text_compare(a->file->name, b->file->name) < 0;
    }
    return a->index < b->index;
}

static void add_candidate(struct slot *slot, struct candidate candidate)
{
    *array_add(&slot->candidates) = candidate;
    for (size_t i = slot->candidates.count - 1; i > 0; i--) {
        struct candidate *at = &slot->candidates.items[i];
        if (!comes_before(at, at - 1)) {
            break;
        }
        struct candidate swap = *at;
        *at = at[-1];
        at[-1] = swap;
    }
}

static void remove_candidates(struct slot *slot, const struct store_file *file)
{
    size_t kept = 0;
    for (size_t i = 0; i < slot->candidates.count; i++) {
        if (slot->candidates.items[i].file != file) {
            slot->candidates.items[kept++] = slot->candidates.items[i];
        }
    }
    slot->candidates.count = kept;
}

static struct intake_entry *entry_of(const struct candidate *candidate)
{
    return &candidate->file->intake->entries.items[candidate->index];
}

static void withdraw(struct store *store, struct store_file *file)
{
    if (file->intake == NULL) {
        return;
    }
    for (size_t i = 0; i < file->intake->entries.count; i++) {
        remove_candidates(touch(store, file->intake->entries.items[i].key), file);
    }
    intake_free(file->intake);
    file->intake = NULL;
}

void store_put(struct store *store, uint32_t rank, struct intake *intake)
{
    struct store_file *file = map_find(&store->files, intake->file);
    if (file == NULL) {
        file = calloc(1, sizeof(*file));
        ensure(file != NULL);
        file->name = own_text(intake->file);
        finding_list_init(&file->parse);
        map_put(&store->files, file->name, file);
    }
    store->any_file = true;
    finding_list_clear(&file->parse);
    file->parse_failed = intake->failed;
    if (intake->failed) {
        finding_list_append(&file->parse, &intake->findings);
        intake_free(intake);
        return;
    }
    withdraw(store, file);
    file->rank = rank;
    file->intake = intake;
    for (size_t i = 0; i < intake->entries.count; i++) {
        struct slot *slot = touch(store, intake->entries.items[i].key);
        add_candidate(slot, (struct candidate){ file, (uint32_t)i });
    }
}

void store_remove(struct store *store, struct text name)
{
    struct store_file *file = map_find(&store->files, name);
    if (file != NULL) {
        store->any_file = true;
        withdraw(store, file);
        map_remove(&store->files, file->name);
        free_file(file);
    }
}

const struct intake *store_intake(const struct store *store, struct text name)
{
    const struct store_file *file = map_find(&store->files, name);
    return file == NULL ? NULL : file->intake;
}

/* ---- implied objects ------------------------------------------------------------------------- */

static struct object *implied_object(enum object_kind kind, struct text name)
{
    struct object *object = calloc(1, sizeof(*object));
    ensure(object != NULL);
    arena_init(&object->arena);
    object->references = 1;
    object->kind = kind;
    object->kind_text = object_kind_name(kind);
    object->api_version = kind == KIND_NAMESPACE ? TEXT("v1") : TEXT(GATEWAY_GROUP "/v1");
    object->name = arena_copy(&object->arena, name);
    object->key = arena_format(&object->arena, "%.*s//%.*s", TEXT_ARG(object->kind_text),
                               TEXT_ARG(name));
    object->generation = 1;
    object->implied = true;
    if (kind == KIND_GATEWAY_CLASS) {
        object->gateway_class = arena_new(&object->arena, struct gateway_class);
        object->gateway_class->controller_name = TEXT(WEFT_CONTROLLER);
    }
    return object;
}

/* The API server gives every Namespace a label with its name. */
static void label_namespace(struct object *object)
{
    if (key_value_find(&object->labels, TEXT(LABEL_NAMESPACE_NAME)).at != NULL) {
        return;
    }
    struct key_value *labels = arena_new_array(&object->arena, struct key_value,
                                               object->labels.count + 1);
    for (size_t i = 0; i < object->labels.count; i++) {
        labels[i] = object->labels.items[i];
    }
    labels[object->labels.count] = (struct key_value){ TEXT(LABEL_NAMESPACE_NAME), object->name };
    object->labels = (struct key_value_list){ labels, object->labels.count + 1 };
}

static bool is_key_of(enum object_kind kind, struct text key)
{
    struct text name = object_kind_name(kind);
    return text_starts_with(key, name) && key.size > name.size + 1 &&
           key.at[name.size] == '/' && key.at[name.size + 1] == '/';
}

static struct text name_in_key(struct text key)
{
    return text_from(key, text_find(key, TEXT("//")) + 2);
}

/* What stands in for an object nobody wrote; NULL for all but a few. A new reference. */
static struct object *stand_in(const struct slot *slot)
{
    bool is_class = text_equal(slot->key, TEXT("GatewayClass//" WEFT_CLASS));
    bool is_used = is_key_of(KIND_NAMESPACE, slot->key) && slot->users > 0;
    if (!is_class && !is_used) {
        return NULL;
    }
    if (slot->in_force != NULL && slot->in_force->implied) {
        return object_ref(slot->in_force);
    }
    struct object *object = implied_object(is_class ? KIND_GATEWAY_CLASS : KIND_NAMESPACE,
                                           name_in_key(slot->key));
    if (is_used) {
        label_namespace(object);
    }
    return object;
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* controllerName is immutable: an API server would refuse the change. */
static bool changes_controller(const struct object *old, const struct object *new)
{
    return old != NULL && new != NULL && !old->implied && old->kind == KIND_GATEWAY_CLASS &&
           !text_equal(old->gateway_class->controller_name, new->gateway_class->controller_name);
}

/* A document refused leaves its older version in force. A new reference, or NULL. */
static struct object *decide(struct slot *slot)
{
    if (slot->candidates.count == 0) {
        return stand_in(slot);
    }
    struct intake_entry *entry = entry_of(&slot->candidates.items[0]);
    struct object *old = slot->in_force;
    if (entry->object == NULL || changes_controller(old, entry->object)) {
        if (old != NULL) {
            return object_ref(old);
        }
        return is_key_of(KIND_NAMESPACE, slot->key) ? stand_in(slot) : NULL;
    }
    bool same = old != NULL && old != entry->object && !old->implied &&
                old->content_hash == entry->object->content_hash &&
                text_equal(old->place.file, entry->object->place.file);
    if (same) {
        entry->line_shift = (int32_t)((int64_t)entry->line - old->root->line);
        object_unref(entry->object);
        entry->object = object_ref(old);
    }
    entry->object->line_shift = entry->line_shift;
    entry->object->place.line = entry->line;
    return object_ref(entry->object);
}

static void count_user(struct store *store, const struct object *object, int change)
{
    if (object == NULL || object->name_space.size == 0) {
        return;
    }
    char key[400];
    int size = snprintf(key, sizeof(key), "Namespace//%.*s", TEXT_ARG(object->name_space));
    struct slot *slot = touch(store, text_of(key, (size_t)size));
    slot->users += (uint32_t)change;
}

static void settle(struct store *store, struct slot *slot)
{
    struct object *next = decide(slot);
    if (next == slot->in_force) {
        object_unref(next);
        return;
    }
    if (next != NULL && !next->implied) {
        const struct object *old = slot->in_force;
        uint64_t before = old != NULL && !old->implied ? old->generation : 0;
        next->generation = before > 0 && old->spec_hash == next->spec_hash ? before : before + 1;
        if (next->kind == KIND_NAMESPACE) {
            label_namespace(next);
        }
    }
    count_user(store, slot->in_force, -1);
    count_user(store, next, 1);
    object_unref(slot->in_force);
    slot->in_force = next;
}

static void record_change(struct store *store, struct slot *slot)
{
    if (slot->before == slot->in_force) {
        object_unref(slot->before);
    } else {
        *array_add(&store->changes) = (struct change){
            .type = slot->before == NULL     ? CHANGE_ADDED
                    : slot->in_force == NULL ? CHANGE_REMOVED
                                             : CHANGE_CHANGED,
            .before = slot->before,
            .after = slot->in_force ? object_ref(slot->in_force) : NULL,
        };
    }
    slot->before = NULL;
    slot->touched = false;
    if (slot->in_force == NULL && slot->candidates.count == 0 && slot->users == 0) {
        map_remove(&store->slots, slot->key);
        free_slot(slot);
    }
}

/* ---- lists by kind --------------------------------------------------------------------------- */

static int compare_names(const struct object *a, const struct object *b)
{
    int order = text_compare(a->name_space, b->name_space);
    return order != 0 ? order : text_compare(a->name, b->name);
}

static int compare_objects(const void *a, const void *b)
{
    return compare_names(*(struct object *const *)a, *(struct object *const *)b);
}

/* Where an object of this name is, or would go. */
static size_t position(const struct kind_list *list, const struct object *object)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(list->items[middle], object) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert_at(struct kind_list *list, size_t at, struct object *object)
{
    list->items = array_grow(list->items, list->count, &list->capacity, sizeof(struct object *));
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(struct object *));
    list->items[at] = object;
    list->count++;
}

static void remove_at(struct kind_list *list, size_t at)
{
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof(struct object *));
}

/* Many new ones at once are sorted, not inserted. */
static void list_many(struct store *store)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        store->kinds[kind].count = 0;
    }
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&store->slots, &cursor)) != NULL;) {
        struct slot *slot = entry->value;
        if (slot->in_force != NULL) {
            struct kind_list *list = &store->kinds[slot->in_force->kind];
            insert_at(list, list->count, slot->in_force);
        }
    }
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct kind_list *list = &store->kinds[kind];
        if (list->count > 1) {
            qsort(list->items, list->count, sizeof(*list->items), compare_objects);
        }
    }
}

static void list_changes(struct store *store)
{
    if (store->changes.count > 200) {
        list_many(store);
        return;
    }
    for (size_t i = 0; i < store->changes.count; i++) {
        const struct change *change = &store->changes.items[i];
        struct object *object = (struct object *)(uintptr_t)(change->after ? change->after
                                                                           : change->before);
        struct kind_list *list = &store->kinds[object->kind];
        size_t at = position(list, object);
        switch (change->type) {
        case CHANGE_ADDED:
            insert_at(list, at, object);
            break;
        case CHANGE_CHANGED:
            list->items[at] = object;
            break;
        case CHANGE_REMOVED:
            remove_at(list, at);
            break;
        }
    }
}

static int compare_policies(const void *a, const void *b)
{
    const struct invalid_policy *x = a;
    const struct invalid_policy *y = b;
    int order = text_compare(x->place.file, y->place.file);
    return order != 0 ? order
                      : (x->place.line > y->place.line) - (x->place.line < y->place.line);
}

/* True where they differ from what was known. */
static bool list_policies(struct store *store)
{
    size_t before = store->invalid_policies.count;
    store->invalid_policies.count = 0;
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&store->files, &cursor)) != NULL;) {
        const struct store_file *file = entry->value;
        for (size_t i = 0; file->intake && i < file->intake->invalid_policies.count; i++) {
            *array_add(&store->invalid_policies) = file->intake->invalid_policies.items[i];
        }
    }
    if (store->invalid_policies.count > 1) {
        qsort(store->invalid_policies.items, store->invalid_policies.count,
              sizeof(*store->invalid_policies.items), compare_policies);
    }
    return before != 0 || store->invalid_policies.count != 0;
}

struct change_list store_commit(struct store *store)
{
    clear_changes(store);
    touch(store, TEXT("GatewayClass//" WEFT_CLASS));
    /* Settling an object touches its namespace, which is settled later in the same loop. One
     * that was settled before it is looked at again below. */
    for (size_t i = 0; i < store->touched.count; i++) {
        settle(store, store->touched.items[i]);
    }
    for (size_t i = 0; i < store->touched.count; i++) {
        if (is_key_of(KIND_NAMESPACE, store->touched.items[i]->key)) {
            settle(store, store->touched.items[i]);
        }
    }
    for (size_t i = 0; i < store->touched.count; i++) {
        record_change(store, store->touched.items[i]);
    }
    store->touched.count = 0;
    list_changes(store);
    bool policies = store->any_file && list_policies(store);
    store->any_file = false;
    if (store->changes.count > 0 || policies) {
        store->version++;
    }
    return (struct change_list){ store->changes.items, store->changes.count };
}

uint64_t store_version(const struct store *store)
{
    return store->version;
}

/* ---- looking --------------------------------------------------------------------------------- */

const struct object *store_find(const struct store *store, enum object_kind kind,
                                struct text name_space, struct text name)
{
    struct object wanted = { .name_space = name_space, .name = name };
    const struct kind_list *list = &store->kinds[kind];
    size_t at = position(list, &wanted);
    return at < list->count && compare_names(list->items[at], &wanted) == 0 ? list->items[at]
                                                                            : NULL;
}

struct object_list store_objects(const struct store *store, enum object_kind kind)
{
    return (struct object_list){ store->kinds[kind].items, store->kinds[kind].count };
}

struct object_list store_objects_in(const struct store *store, enum object_kind kind,
                                    struct text name_space)
{
    struct object first = { .name_space = name_space };
    const struct kind_list *list = &store->kinds[kind];
    size_t from = position(list, &first);
    size_t to = from;
    while (to < list->count && text_equal(list->items[to]->name_space, name_space)) {
        to++;
    }
    return (struct object_list){ list->items + from, to - from };
}

struct invalid_policy_list store_invalid_policies(const struct store *store)
{
    return (struct invalid_policy_list){ store->invalid_policies.items,
                                         store->invalid_policies.count };
}

static void tell_duplicates(const struct slot *slot, struct finding_list *out)
{
    const struct candidate *first = &slot->candidates.items[0];
    for (size_t i = 1; i < slot->candidates.count; i++) {
        const struct candidate *other = &slot->candidates.items[i];
        struct finding finding = {
            .class = FINDING_REFUSED,
            .place = { other->file->name, entry_of(other)->line },
            .object = slot->key,
        };
        finding_add(out, &finding, "is written a second time; %.*s:%u is in force, remove one",
                    TEXT_ARG(first->file->name), entry_of(first)->line);
    }
}

void store_findings(const struct store *store, struct finding_list *out)
{
    const struct map_entry *entry;
    for (size_t cursor = 0; (entry = map_next(&store->files, &cursor)) != NULL;) {
        const struct store_file *file = entry->value;
        finding_list_append(out, &file->parse);
        if (file->intake != NULL && !file->parse_failed) {
            finding_list_append(out, &file->intake->findings);
        }
    }
    for (size_t cursor = 0; (entry = map_next(&store->slots, &cursor)) != NULL;) {
        const struct slot *slot = entry->value;
        if (slot->candidates.count == 0) {
            continue;
        }
        tell_duplicates(slot, out);
        const struct candidate *first = &slot->candidates.items[0];
        if (changes_controller(slot->in_force, entry_of(first)->object)) {
            struct finding finding = {
                .class = FINDING_REFUSED,
                .place = { first->file->name, entry_of(first)->line },
                .object = slot->key,
                .path = TEXT("spec.controllerName"),
            };
            finding_add(out, &finding, "cannot change; give the new GatewayClass another name");
        }
    }
    finding_list_sort(out);
}
