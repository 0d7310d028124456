/* The table-driven decoder: maps, lists and structs. */
#include "control/schema_parts.h"

#include "base/ensure.h"

static bool decode_value(struct decode *decode, const struct value *value, const struct node *node,
                         void *out);

/* ---- maps and lists -------------------------------------------------------------------------- */

static bool expect_kind(struct decode *decode, const struct node *node, enum node_kind kind)
{
    if (node->kind == kind) {
        return true;
    }
    return decode_wrong(decode, node, "is %s, must be %s", node_kind_words(node),
                 kind == NODE_MAP ? "a map" : "a list; put \"- \" before each item");
}

static bool check_count(struct decode *decode, const struct value *value, const struct node *node,
                        size_t count)
{
    if ((int64_t)count < value->min) {
        return decode_wrong(decode, node, "has %zu items; at least %lld is needed", count,
                     (long long)value->min);
    }
    if (value->max > 0 && (int64_t)count > value->max) {
        return decode_wrong(decode, node, "has %zu items; at most %lld are allowed", count,
                     (long long)value->max);
    }
    return true;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* RFC 4648 section 4, line ends passed over as Go does. False where malformed. */
static bool decode_base64(struct arena *arena, struct text from, struct text *out)
{
    char *to = arena_bytes(arena, from.size / 4 * 3 + 4);
    size_t size = 0;
    size_t padding = 0;
    size_t digits = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < from.size; i++) {
        char c = from.at[i];
        if (c == '\n' || c == '\r') {
            continue;
        }
        int digit = c == '=' ? 0 : base64_digit(c);
        padding += c == '=';
        if (digit < 0 || padding > 2 || (padding > 0 && c != '=')) {
            return false;
        }
        bits = (bits << 6) | (uint32_t)digit;
        if (++digits % 4 == 0) {
            to[size++] = (char)(bits >> 16);
            to[size++] = (char)(bits >> 8);
            to[size++] = (char)bits;
        }
    }
    *out = text_of(to, size - padding);
    return digits % 4 == 0;
}

static bool decode_map_value(struct decode *decode, const struct value *value,
                             const struct node_entry *entry, struct text *out)
{
    const struct node *node = &entry->value;
    if (!decode_expect_text(decode, &entry->key)) {
        return false;
    }
    if (!pattern_matches(value->key_pattern, entry->key.text)) {
        return decode_wrong(decode, &entry->key, "the key is not valid; must be %s",
                     pattern_words(value->key_pattern));
    }
    if (!decode_expect_text(decode, node)) {
        return false;
    }
    if (value->type == VALUE_DATA_MAP) {
        return decode_base64(decode->arena, node->text, out) ||
               decode_wrong(decode, node, "is not base64; encode the bytes, or use stringData for "
                                          "text");
    }
    if (!pattern_matches(value->pattern, node->text)) {
        return decode_wrong(decode, node, "\"%.*s\" is not valid; must be %s",
                     TEXT_ARG(decode_quoted(node->text)), pattern_words(value->pattern));
    }
    *out = node->text;
    return true;
}

static bool decode_text_map(struct decode *decode, const struct value *value,
                            const struct node *node, struct key_value_list *out)
{
    if (!expect_kind(decode, node, NODE_MAP)) {
        return false;
    }
    size_t before_errors = decode->errors;
    check_count(decode, value, node, node->map.count);
    out->items = arena_new_array(decode->arena, struct key_value, node->map.count);
    for (size_t i = 0; i < node->map.count; i++) {
        const struct node_entry *entry = &node->map.entries[i];
        size_t before = decode_push_key(decode, entry->key.text);
        struct key_value *item = &out->items[out->count];
        if (decode_map_value(decode, value, entry, &item->value)) {
            item->key = entry->key.text;
            out->count++;
        }
        decode->path.size = before;
    }
    return decode->errors == before_errors;
}

struct any_list {
    char *items;
    size_t count;
};

static size_t item_size(const struct value *item)
{
    switch (item->type) {
    case VALUE_STRUCT:
        return item->shape->size;
    case VALUE_TEXT:
        return sizeof(struct text);
    case VALUE_INT:
    case VALUE_WORD:
        return sizeof(int32_t);
    case VALUE_PORT:
        return sizeof(uint16_t);
    default:
        ensure(!"a list of such items is not known");
        return 0;
    }
}

static bool same_text(const struct value *list, const struct node *a, const struct node *b)
{
    if (a == NULL || b == NULL || a->kind >= NODE_LIST || b->kind >= NODE_LIST) {
        return false;
    }
    return list->unique_nocase ? text_equal_nocase(a->text, b->text)
                               : text_equal(a->text, b->text);
}

/* Items beyond the list's maximum were told already and are not compared. */
static void check_unique(struct decode *decode, const struct value *value, const struct node *node)
{
    struct text name = text_from_string(value->unique);
    size_t count = node->list.count;
    size_t limit = value->max > 0 ? (size_t)value->max : 1000;
    for (size_t i = 1; i < count && i < limit; i++) {
        const struct node *at = &node->list.items[i];
        const struct node *key = name.size ? node_find(at, name) : at;
        for (size_t j = 0; j < i && key != NULL; j++) {
            const struct node *other = &node->list.items[j];
            if (!same_text(value, key, name.size ? node_find(other, name) : other)) {
                continue;
            }
            size_t before = decode_push_index(decode, i);
            decode_push(decode, value->unique);
            decode_wrong(decode, key, "\"%.*s\" is here twice (first in [%zu])%s; keep one",
                  TEXT_ARG(decode_quoted(key->text)), j,
                  value->unique_nocase ? ", letter case does not count" : "");
            decode->path.size = before;
            break;
        }
    }
}

static bool decode_list(struct decode *decode, const struct value *value, const struct node *node,
                        struct any_list *out)
{
    if (!expect_kind(decode, node, NODE_LIST)) {
        return false;
    }
    size_t size = item_size(value->item);
    check_count(decode, value, node, node->list.count);
    out->items = arena_alloc(decode->arena, size * node->list.count);
    out->count = node->list.count;
    for (size_t i = 0; i < node->list.count; i++) {
        size_t before = decode_push_index(decode, i);
        decode_value(decode, value->item, &node->list.items[i], out->items + i * size);
        decode->path.size = before;
    }
    if (value->unique != NULL) {
        check_unique(decode, value, node);
    }
    if (value->check != NULL) {
        value->check(decode, node, out);
    }
    return true;
}

static bool decode_word(struct decode *decode, const struct value *value, const struct node *node,
                        int *out)
{
    *out = -1;
    if (!decode_expect_text(decode, node)) {
        return false;
    }
    *out = decode_word_index(decode, node, value->words);
    return *out >= 0;
}

static bool decode_value(struct decode *decode, const struct value *value, const struct node *node,
                         void *out)
{
    int64_t number = 0;
    switch (value->type) {
    case VALUE_TEXT:
        return decode_text(decode, value, node, out);
    case VALUE_BOOL:
        return decode_bool(decode, node, out);
    case VALUE_INT:
        if (decode_number(decode, node, value->min, value->max, &number)) {
            *(int32_t *)out = (int32_t)number;
            return true;
        }
        return false;
    case VALUE_PORT:
        if (decode_number(decode, node, 1, 65535, &number)) {
            *(uint16_t *)out = (uint16_t)number;
            return true;
        }
        return false;
    case VALUE_WORD:
        return decode_word(decode, value, node, out);
    case VALUE_DURATION:
        return decode_duration(decode, node, out);
    case VALUE_INT_OR_STRING:
        return decode_int_or_string(decode, node, out);
    case VALUE_STRUCT:
        return decode_fields(decode, value->shape, node, out);
    case VALUE_OBJECT:
        *(void **)out = arena_alloc(decode->arena, value->shape->size);
        return decode_fields(decode, value->shape, node, *(void **)out);
    case VALUE_LIST:
        return decode_list(decode, value, node, out);
    case VALUE_TEXT_MAP:
    case VALUE_DATA_MAP:
        return decode_text_map(decode, value, node, out);
    case VALUE_IGNORED:
        return true;
    }
    return false;
}

/* ---- structs --------------------------------------------------------------------------------- */

static void fill_absent(struct decode *decode, const struct field *field, const struct node *node,
                        char *self)
{
    const struct value *value = &field->value;
    void *out = self + field->offset;
    struct node empty = { .kind = NODE_MAP, .line = node->line, .column = node->column };
    size_t before = decode_push(decode, field->name);
    if (value->type == VALUE_TEXT && field->fallback != NULL) {
        *(struct text *)out = text_from_string(field->fallback);
    } else if (value->type == VALUE_INT || value->type == VALUE_WORD) {
        *(int32_t *)out = field->fallback_number;
    } else if ((field->flags & FIELD_FILLED) && value->type == VALUE_LIST) {
        struct any_list *list = out;
        list->items = arena_alloc(decode->arena, item_size(value->item));
        list->count = 1;
        decode_value(decode, value->item, &empty, list->items);
    } else if (field->flags & FIELD_FILLED) {
        decode_value(decode, value, &empty, out);
    }
    decode->path.size = before;
}

static void tell_unknown(struct decode *decode, const struct shape *shape,
                         const struct node_entry *entry)
{
    const char *words[65];
    size_t count = 0;
    for (size_t i = 0; i < shape->count && count < 64; i++) {
        words[count++] = shape->fields[i].name;
    }
    words[count] = NULL;
    char all[512];
    const char *near = word_nearest(entry->key.text, words);
    if (near != NULL) {
        decode_wrong(decode, &entry->key, "unknown field; did you mean \"%s\"?", near);
    } else if (count <= 12) {
        decode_wrong(decode, &entry->key, "unknown field; remove it (known here: %s)",
              words_join(words, all, sizeof(all)));
    } else {
        decode_wrong(decode, &entry->key, "unknown field; remove it");
    }
}

static const struct field *find_field(const struct shape *shape, struct text name)
{
    for (size_t i = 0; i < shape->count; i++) {
        const char *known = shape->fields[i].name;
        if (strncmp(known, name.at, name.size) == 0 && strlen(known) == name.size) {
            return &shape->fields[i];
        }
    }
    return NULL;
}

/* A null takes a field out, as it does for Kubernetes; but a text left empty is most likely a
 * slip. */
static bool is_left_out(const struct field *field, const struct node *node)
{
    return node->kind == NODE_NULL &&
           !(field->value.type == VALUE_TEXT || field->value.type == VALUE_WORD ||
             field->value.type == VALUE_DURATION);
}

static bool decode_entry(struct decode *decode, const struct shape *shape,
                         const struct node_entry *entry, char *self, uint64_t *seen)
{
    const struct field *field = find_field(shape, entry->key.text);
    if (field == NULL || !decode_expect_text(decode, &entry->key)) {
        if (field == NULL) {
            tell_unknown(decode, shape, entry);
        }
        return true;
    }
    if (is_left_out(field, &entry->value)) {
        return true;
    }
    bool is_list_default = field->value.type == VALUE_LIST && (field->flags & FIELD_FILLED) &&
                           entry->value.kind == NODE_LIST && entry->value.list.count == 0 &&
                           field->value.min == 0;
    if (is_list_default) {
        return true;
    }
    *seen |= UINT64_C(1) << (field - shape->fields);
    if (field->has != 0) {
        *(bool *)(self + field->has - 1) = true;
    }
    return decode_value(decode, &field->value, &entry->value, self + field->offset);
}

bool decode_fields(struct decode *decode, const struct shape *shape, const struct node *node,
                          void *out)
{
    if (!expect_kind(decode, node, NODE_MAP)) {
        return false;
    }
    bool good = true;
    uint64_t seen = 0;
    for (size_t i = 0; i < node->map.count; i++) {
        const struct node_entry *entry = &node->map.entries[i];
        size_t before = decode_push_key(decode, entry->key.text);
        good = decode_entry(decode, shape, entry, out, &seen) && good;
        decode->path.size = before;
    }
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if (seen & (UINT64_C(1) << i)) {
            continue;
        }
        if (field->flags & FIELD_REQUIRED) {
            decode_error(decode, node, field->name, "is missing; add it");
            good = false;
        } else {
            fill_absent(decode, field, node, out);
        }
    }
    if (good && shape->check != NULL) {
        shape->check(decode, node, out);
    }
    return good;
}
