/* In-place edits of a message's fields. */
#include "http/field_edit.h"

static bool add(struct fields *fields, enum field_id id, struct text name, struct text value)
{
    if (fields->count >= FIELDS_ROOM) {
        return false;
    }
    fields->items[fields->count++] =
        (struct field){ .name = name, .value = value, .id = (uint8_t)id };
    return true;
}

bool fields_add(struct fields *fields, struct text name, struct text value)
{
    return add(fields, field_id_of(name), name, value);
}

bool fields_add_id(struct fields *fields, enum field_id id, struct text value)
{
    return add(fields, id, field_name(id), value);
}

static bool is_named(const struct field *field, enum field_id id, struct text name)
{
    return field->id == id && (id != FIELD_OTHER || text_equal_nocase(field->name, name));
}

/* Removes matching fields from `from` on. */
static unsigned remove_from(struct fields *fields, unsigned from, enum field_id id,
                            struct text name)
{
    unsigned kept = from;
    for (unsigned i = from; i < fields->count; i++) {
        if (!is_named(&fields->items[i], id, name)) {
            if (kept != i) {
                fields->items[kept] = fields->items[i];
            }
            kept++;
        }
    }
    unsigned removed = fields->count - kept;
    fields->count = (uint16_t)kept;
    return removed;
}

static bool set(struct fields *fields, enum field_id id, struct text name, struct text value)
{
    for (unsigned i = 0; i < fields->count; i++) {
        if (is_named(&fields->items[i], id, name)) {
            fields->items[i].name = name;
            fields->items[i].value = value;
            remove_from(fields, i + 1, id, name);
            return true;
        }
    }
    return add(fields, id, name, value);
}

bool fields_set(struct fields *fields, struct text name, struct text value)
{
    return set(fields, field_id_of(name), name, value);
}

bool fields_set_id(struct fields *fields, enum field_id id, struct text value)
{
    return set(fields, id, field_name(id), value);
}

unsigned fields_remove(struct fields *fields, struct text name)
{
    return remove_from(fields, 0, field_id_of(name), name);
}

void fields_remove_id(struct fields *fields, enum field_id id)
{
    remove_from(fields, 0, id, field_name(id));
}
