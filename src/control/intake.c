/* One file: documents to objects. Says what each document is, expands lists, takes over what did
 * not change, and has the rest decoded. */
#include "control/intake.h"

#include "base/hash.h"
#include "base/map.h"
#include "control/node.h"
#include "control/pattern.h"
#include "control/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A unit of reading. The handler is first, so that callbacks find the rest. */
struct intake_reader {
    struct document_handler handler;
    struct intake *intake;
    const struct intake *before;
    struct map before_keys;   /* key -> struct intake_entry of before */
    struct map unknown_kinds; /* "apiVersion kind" -> warned already */
    struct buffer scratch;
};

/* What the head of a document says. */
struct header {
    struct text api_version;
    struct text group;
    struct text version;
    struct text kind;
    struct text name;
    struct text name_space;
};

static void __attribute__((format(printf, 6, 7)))
tell(struct intake_reader *reader, enum finding_severity severity, uint32_t line,
     const struct text *object, const char *path, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct finding finding = {
        .severity = severity,
        .class = FINDING_REFUSED,
        .place = { reader->intake->file, line },
        .object = object ? *object : text_of(NULL, 0),
        .path = text_from_string(path),
    };
    finding_add(&reader->intake->findings, &finding, "%s", text);
}

static struct header read_header(const struct node *root)
{
    struct header header = {
        .api_version = node_find_text(root, TEXT("apiVersion")),
        .kind = node_find_text(root, TEXT("kind")),
        .name = node_find_text(node_find(root, TEXT("metadata")), TEXT("name")),
        .name_space = node_find_text(node_find(root, TEXT("metadata")), TEXT("namespace")),
    };
    size_t slash = text_find_byte(header.api_version, '/');
    if (slash < header.api_version.size) {
        header.group = text_first(header.api_version, slash);
        header.version = text_from(header.api_version, slash + 1);
    } else {
        header.group = text_of("", 0);
        header.version = header.api_version;
    }
    return header;
}

static bool find_by_name(struct text kind, enum object_kind *out_kind)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (text_equal(object_kind_name((enum object_kind)i), kind)) {
            *out_kind = (enum object_kind)i;
            return true;
        }
    }
    return false;
}

static bool has_version(enum object_kind kind, struct text version)
{
    for (const char *const *at = kind_schema(kind)->versions; *at; at++) {
        if (text_equal(text_from_string(*at), version)) {
            return true;
        }
    }
    return false;
}

/* ---- what is not read ------------------------------------------------------------------------ */

static size_t count_targets(const struct node *spec)
{
    const struct node *many = node_find(spec, TEXT("targetRefs"));
    const struct node *one = node_find(spec, TEXT("targetRef"));
    size_t count = many != NULL && many->kind == NODE_LIST ? many->list.count : 0;
    return count + (one != NULL && one->kind == NODE_MAP);
}

static struct text copy_text(struct arena *arena, struct text t)
{
    return t.at == NULL ? t : arena_copy(arena, t);
}

static void add_target(struct arena *arena, struct invalid_policy *policy, const struct node *node)
{
    struct policy_target target = {
        .group = copy_text(arena, node_find_text(node, TEXT("group"))),
        .kind = copy_text(arena, node_find_text(node, TEXT("kind"))),
        .name = copy_text(arena, node_find_text(node, TEXT("name"))),
        .section_name = copy_text(arena, node_find_text(node, TEXT("sectionName"))),
    };
    if (target.kind.size > 0 && target.name.size > 0) {
        policy->targets[policy->target_count++] = target;
    }
}

/* A guard that cannot be read never opens the door: what it guards is remembered. */
static void add_invalid_policy(struct intake_reader *reader, const struct node *root,
                               const struct header *header, struct text key)
{
    struct intake *intake = reader->intake;
    struct arena *arena = &intake->arena;
    const struct node *spec = node_find(root, TEXT("spec"));
    const struct node *many = node_find(spec, TEXT("targetRefs"));
    const struct node *one = node_find(spec, TEXT("targetRef"));
    struct invalid_policy *policy = array_add(&intake->invalid_policies);
    policy->place = (struct place){ intake->file, root->line };
    policy->key = arena_copy(arena, key);
    policy->name_space = arena_copy(arena, header->name_space.size > 0 ? header->name_space
                                                                       : TEXT("default"));
    policy->targets = arena_new_array(arena, struct policy_target, count_targets(spec));
    if (many != NULL && many->kind == NODE_LIST) {
        for (size_t i = 0; i < many->list.count; i++) {
            add_target(arena, policy, &many->list.items[i]);
        }
    }
    if (one != NULL && one->kind == NODE_MAP) {
        add_target(arena, policy, one);
    }
}

/* "kind/namespace/name", as far as it is known. */
static struct text make_key(struct arena *arena, struct text kind, struct text name_space,
                            struct text name)
{
    return arena_format(arena, "%.*s/%.*s/%.*s", TEXT_ARG(text_first(kind, 100)),
                        TEXT_ARG(text_first(name_space, 300)), TEXT_ARG(text_first(name, 300)));
}

static struct text header_key(struct intake_reader *reader, const struct header *header,
                              bool namespaced)
{
    struct text name_space = header->name_space.size > 0 ? header->name_space : TEXT("default");
    return make_key(&reader->intake->arena, header->kind,
                    namespaced ? name_space : text_of("", 0), header->name);
}

/* The name of a kind Weft reads that this one is a slip of; at == NULL where there is none. */
static struct text nearest_kind(const struct header *header)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        struct text name = object_kind_name((enum object_kind)i);
        if (text_equal(object_kind_group((enum object_kind)i), header->group) &&
            text_distance(name, header->kind, 2) <= 2) {
            return name;
        }
    }
    return text_of(NULL, 0);
}

static void take_unknown_kind(struct intake_reader *reader, const struct node *root,
                              const struct header *header)
{
    char name[512];
    int size =
        snprintf(name, sizeof(name), "%.*s %.*s", TEXT_ARG(text_first(header->api_version, 250)),
                 TEXT_ARG(text_first(header->kind, 250)));
    struct text seen = text_of(name, (size_t)size);
    if (map_find(&reader->unknown_kinds, seen) != NULL) {
        return;
    }
    seen = arena_copy(&reader->intake->arena, seen);
    map_put(&reader->unknown_kinds, seen, reader);
    struct text key = header_key(reader, header, true);
    struct text near = nearest_kind(header);
    const struct node *kind = node_find(root, TEXT("kind"));
    if (near.at != NULL) {
        tell(reader, FINDING_WARNING, kind->line, &key, "kind",
             "Weft reads no such kind and passes over it; did you mean \"%.*s\"?", TEXT_ARG(near));
    } else {
        tell(reader, FINDING_WARNING, kind->line, &key, "kind",
             "Weft reads no kind %.*s of %.*s; those of this file are passed over",
             TEXT_ARG(text_first(header->kind, 100)),
             TEXT_ARG(text_first(header->api_version, 100)));
    }
}

/* ---- objects --------------------------------------------------------------------------------- */

static uint64_t hash_tree(struct intake_reader *reader, const struct node *root, bool spec_only)
{
    buffer_clear(&reader->scratch);
    if (!spec_only) {
        node_flatten(root, root->line, &reader->scratch);
    } else {
        for (size_t i = 0; i < root->map.count; i++) {
            const struct node_entry *entry = &root->map.entries[i];
            if (!text_equal(entry->key.text, TEXT("metadata")) &&
                !text_equal(entry->key.text, TEXT("status"))) {
                node_flatten(&entry->key, 0, &reader->scratch);
                node_flatten(&entry->value, 0, &reader->scratch);
            }
        }
    }
    return hash_stable(buffer_text(&reader->scratch));
}

/* The same document stood in this file before, maybe on other lines. */
static bool take_over(struct intake_reader *reader, struct intake_entry *entry,
                      const struct node *root)
{
    const struct intake_entry *old = map_find(&reader->before_keys, entry->key);
    if (old == NULL || old->object == NULL || old->content_hash != entry->content_hash ||
        old->object->root == NULL) {
        return false;
    }
    entry->object = object_ref(old->object);
    entry->line_shift = (int32_t)root->line - (int32_t)old->object->root->line;
    return true;
}

/* Findings of an object taken over would be lost: they are warnings only, and moved with it. */
static void move_findings(struct intake_reader *reader, const struct intake_entry *entry)
{
    const struct finding_list *old = &reader->before->findings;
    const struct intake_entry *was = map_find(&reader->before_keys, entry->key);
    for (size_t i = 0; i < old->array.count; i++) {
        struct finding finding = old->array.items[i];
        if (text_equal(finding.object, entry->key)) {
            finding.place.line += entry->line - was->line;
            finding_add(&reader->intake->findings, &finding, "%.*s", TEXT_ARG(finding.text));
        }
    }
}

static struct object *make_object(struct intake_reader *reader, enum object_kind kind,
                                  const struct header *header, const struct intake_entry *entry,
                                  struct arena *arena, const struct node *root)
{
    struct object *object = calloc(1, sizeof(*object));
    if (object == NULL) {
        abort();
    }
    object->references = 1;
    object->arena = *arena;
    arena_init(arena);
    struct node *copy = arena_new(&object->arena, struct node);
    *copy = *root;
    object->root = copy;
    object->kind = kind;
    object->kind_text = object_kind_name(kind);
    object->api_version = header->api_version;
    object->name = header->name;
    object->name_space = object_kind_is_namespaced(kind)
                             ? header->name_space.size > 0 ? header->name_space : TEXT("default")
                             : text_of(NULL, 0);
    object->key = arena_copy(&object->arena, entry->key);
    object->place.file = arena_copy(&object->arena, reader->intake->file);
    object->place.line = root->line;
    object->content_hash = entry->content_hash;
    object->spec_hash = hash_tree(reader, root, true);
    return object;
}

static void take_known(struct intake_reader *reader, enum object_kind kind,
                       const struct header *header, struct arena *arena, const struct node *root)
{
    struct intake *intake = reader->intake;
    struct text key = header_key(reader, header, object_kind_is_namespaced(kind));
    if (header->name.size == 0) {
        const struct node *metadata = node_find(root, TEXT("metadata"));
        tell(reader, FINDING_ERROR, metadata ? metadata->line : root->line, &key, "metadata.name",
             "is missing or no text; add it");
        intake->unidentified = true;
        return;
    }
    struct intake_entry *entry = array_add(&intake->entries);
    entry->key = key;
    entry->line = root->line;
    if (!has_version(kind, header->version)) {
        const struct node *version = node_find(root, TEXT("apiVersion"));
        tell(reader, FINDING_ERROR, version->line, &key, "apiVersion",
             "%.*s has no version \"%.*s\"; use %.*s%s%s", TEXT_ARG(header->kind),
             TEXT_ARG(text_first(header->version, 50)), TEXT_ARG(header->group),
             header->group.size ? "/" : "", kind_schema(kind)->versions[0]);
        return;
    }
    entry->content_hash = hash_tree(reader, root, false);
    if (take_over(reader, entry, root)) {
        move_findings(reader, entry);
        return;
    }
    struct object *object = make_object(reader, kind, header, entry, arena, root);
    if (object_decode(object, &intake->findings)) {
        entry->object = object;
    } else {
        object_unref(object);
    }
}

static bool is_weft_group(struct text group)
{
    return text_equal(group, TEXT(WEFT_GROUP)) || text_ends_with(group, TEXT("." WEFT_GROUP));
}

static void take_object(struct intake_reader *reader, struct arena *arena, const struct node *root)
{
    struct header header = read_header(root);
    enum object_kind kind;
    if (header.api_version.size == 0 || header.kind.size == 0) {
        const char *missing = header.kind.size == 0 ? "kind" : "apiVersion";
        tell(reader, FINDING_ERROR, root->line, NULL, missing,
             "is missing or no text; every object says its apiVersion and kind");
        reader->intake->unidentified = true;
    } else if (is_weft_group(header.group)) {
        struct text key = header_key(reader, &header, true);
        tell(reader, FINDING_ERROR, root->line, &key, "kind",
             "this Weft reads no kind %.*s of %.*s; what it targets answers 500 until it is "
             "removed",
             TEXT_ARG(text_first(header.kind, 100)), TEXT_ARG(text_first(header.api_version, 100)));
        add_invalid_policy(reader, root, &header, key);
    } else if (object_kind_find(header.group, header.kind, &kind)) {
        take_known(reader, kind, &header, arena, root);
    } else if (find_by_name(header.kind, &kind) &&
               (header.group.size == 0 ||
                text_distance(header.group, object_kind_group(kind), 3) <= 3)) {
        struct text key = header_key(reader, &header, object_kind_is_namespaced(kind));
        struct text group = object_kind_group(kind);
        tell(reader, FINDING_ERROR, root->line, &key, "apiVersion",
             "\"%.*s\" has no kind %.*s; use %.*s%s%s",
             TEXT_ARG(text_first(header.api_version, 100)), TEXT_ARG(header.kind), TEXT_ARG(group),
             group.size ? "/" : "", kind_schema(kind)->versions[0]);
        array_add(&reader->intake->entries)->key = key;
    } else {
        take_unknown_kind(reader, root, &header);
    }
}

/* ---- documents ------------------------------------------------------------------------------- */

static void take_root(struct intake_reader *reader, struct arena *arena, const struct node *root);

static void add_text_entry(struct node *map, const char *key, struct text value)
{
    map->map.entries[map->map.count++] = (struct node_entry){
        .key = { .kind = NODE_STRING, .line = map->line, .text = text_from_string(key) },
        .value = { .kind = NODE_STRING, .line = map->line, .text = value },
    };
}

/* A copy of a list's item; one of a typed list may leave out apiVersion and kind. */
static struct node copy_item(struct arena *arena, const struct node *item,
                             const struct header *list, struct text kind)
{
    struct node copy = node_copy(arena, item);
    if (item->kind != NODE_MAP || kind.size == 0) {
        return copy;
    }
    struct node_entry *own = copy.map.entries;
    copy.map.entries = arena_new_array(arena, struct node_entry, item->map.count + 2);
    copy.map.count = 0;
    if (node_find(item, TEXT("apiVersion")) == NULL) {
        add_text_entry(&copy, "apiVersion", arena_copy(arena, list->api_version));
    }
    if (node_find(item, TEXT("kind")) == NULL) {
        add_text_entry(&copy, "kind", arena_copy(arena, kind));
    }
    for (size_t i = 0; i < item->map.count; i++) {
        copy.map.entries[copy.map.count++] = own[i];
    }
    return copy;
}

/* v1 List, HTTPRouteList, ... */
static void take_list(struct intake_reader *reader, const struct header *header,
                      const struct node *items)
{
    struct text kind = text_first(header->kind, header->kind.size - 4);
    for (size_t i = 0; i < items->list.count; i++) {
        struct arena arena;
        arena_init(&arena);
        struct node item = copy_item(&arena, &items->list.items[i], header, kind);
        take_root(reader, &arena, &item);
        arena_fini(&arena);
    }
}

static void take_root(struct intake_reader *reader, struct arena *arena, const struct node *root)
{
    if (root->kind != NODE_MAP) {
        tell(reader, FINDING_ERROR, root->line, NULL, "",
             "the document is %s, must be a map with apiVersion, kind and metadata",
             node_kind_words(root));
        reader->intake->unidentified = true;
        return;
    }
    struct header header = read_header(root);
    const struct node *items = node_find(root, TEXT("items"));
    if (text_ends_with(header.kind, TEXT("List")) && items != NULL) {
        if (items->kind == NODE_LIST) {
            take_list(reader, &header, items);
        } else if (items->kind != NODE_NULL) {
            tell(reader, FINDING_ERROR, items->line, NULL, "items", "is %s, must be a list",
                 node_kind_words(items));
            reader->intake->unidentified = true;
        }
        return;
    }
    take_object(reader, arena, root);
}

static void on_document(struct document_handler *handler, struct arena *arena, struct node root)
{
    struct intake_reader *reader = (struct intake_reader *)(void *)handler;
    take_root(reader, arena, &root);
    arena_fini(arena);
}

static void on_problem(struct document_handler *handler, uint32_t line, const char *text)
{
    struct intake_reader *reader = (struct intake_reader *)(void *)handler;
    struct finding finding = {
        .class = FINDING_PARSE,
        .place = { reader->intake->file, line },
    };
    finding_add(&reader->intake->findings, &finding, "%s", text);
    reader->intake->failed = true;
}

static struct intake *intake_new(struct text file)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    if (intake == NULL) {
        abort();
    }
    arena_init(&intake->arena);
    finding_list_init(&intake->findings);
    intake->file = arena_copy(&intake->arena, file);
    return intake;
}

/* A document whose kind or name cannot be told may be the new form of any object that is missing
 * now: those stay as they were. */
static void carry_missing(struct intake_reader *reader)
{
    struct map now;
    map_init(&now);
    struct intake *intake = reader->intake;
    for (size_t i = 0; i < intake->entries.count; i++) {
        map_put(&now, intake->entries.items[i].key, intake);
    }
    for (size_t i = 0; i < reader->before->entries.count; i++) {
        const struct intake_entry *old = &reader->before->entries.items[i];
        if (old->object != NULL && map_find(&now, old->key) == NULL) {
            struct intake_entry *entry = array_add(&intake->entries);
            *entry = *old;
            entry->key = arena_copy(&intake->arena, old->key);
            entry->object = object_ref(old->object);
            entry->line_shift = old->object->line_shift;
        }
    }
    map_fini(&now);
}

struct intake *intake_read(struct text file, struct text bytes, enum document_format format,
                           const struct intake *before)
{
    struct intake_reader reader = {
        .handler = { on_document, on_problem },
        .intake = intake_new(file),
        .before = before,
    };
    map_init(&reader.before_keys);
    map_init(&reader.unknown_kinds);
    buffer_init(&reader.scratch);
    for (size_t i = 0; before != NULL && i < before->entries.count; i++) {
        struct intake_entry *entry = &before->entries.items[i];
        if (map_find(&reader.before_keys, entry->key) == NULL) {
            map_put(&reader.before_keys, entry->key, entry);
        }
    }
    if (format == FORMAT_JSON) {
        json_read(bytes, &reader.handler);
    } else {
        yaml_read(bytes, &reader.handler);
    }
    if (reader.intake->unidentified && before != NULL && !reader.intake->failed) {
        carry_missing(&reader);
    }
    if (reader.scratch.capacity > 0) {
        explicit_bzero(reader.scratch.bytes, reader.scratch.capacity); /* Secrets pass through it */
    }
    buffer_fini(&reader.scratch);
    map_fini(&reader.before_keys);
    map_fini(&reader.unknown_kinds);
    return reader.intake;
}

struct intake *intake_unreadable(struct text file, const char *why)
{
    struct intake *intake = intake_new(file);
    struct finding finding = { .class = FINDING_PARSE, .place = { intake->file, 0 } };
    finding_add(&intake->findings, &finding, "%s", why);
    intake->failed = true;
    return intake;
}

void intake_free(struct intake *intake)
{
    if (intake == NULL) {
        return;
    }
    for (size_t i = 0; i < intake->entries.count; i++) {
        object_unref(intake->entries.items[i].object);
    }
    array_free(&intake->entries);
    array_free(&intake->invalid_policies);
    finding_list_fini(&intake->findings);
    arena_fini(&intake->arena);
    free(intake);
}
