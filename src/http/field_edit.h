/* Editing the fields of a message in place. Views must outlive the message. All names fold case. */
#pragma once

#include "http/field.h"

/* Appends; false when FIELDS_ROOM is full (the caller answers 500). */
bool fields_add(struct fields *fields, struct text name, struct text value);
/* The same for a name with an id, which is written in lower case: nothing is looked up. */
bool fields_add_id(struct fields *fields, enum field_id id, struct text value);
/* Replaces all fields of this name by one, or appends it. */
bool fields_set(struct fields *fields, struct text name, struct text value);
bool fields_set_id(struct fields *fields, enum field_id id, struct text value);
/* Removes all of this name; returns how many there were. */
unsigned fields_remove(struct fields *fields, struct text name);
void fields_remove_id(struct fields *fields, enum field_id id);
