/* struct finding: one thing that is wrong with the configuration, or odd about it, with its place.
 * Readers, schema, rules, store and attachment add them; check, reload and the admin port show
 * them. Text form, one line each (parts not known are left out together with their colon):
 *   file:line: kind/namespace/name: path: what is wrong; how to mend it */
#pragma once

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/json_writer.h"
#include "control/model.h"

enum finding_severity { FINDING_ERROR, FINDING_WARNING };

/* The classes of decisions 9: (a) the file does not parse, (b) the object is refused, (c)
 * Gateway API judges it (in force, with its condition). */
enum finding_class { FINDING_PARSE, FINDING_REFUSED, FINDING_JUDGED };

struct finding {
    enum finding_severity severity;
    enum finding_class class;
    struct place place;
    struct text object; /* "HTTPRoute/default/shop"; may be absent */
    struct text path;   /* "spec.rules[0].matches[1].path.value"; may be absent */
    struct text text;
    uint32_t order; /* of being added, the last sort key */
};

/* Owns copies of all texts. At most FINDINGS_MAX are kept; `dropped` counts the rest. */
#define FINDINGS_MAX 100000
struct finding_list {
    ARRAY_OF(struct finding) array;
    struct arena arena;
    size_t errors; /* of all added, dropped ones included */
    size_t dropped;
};

void finding_list_init(struct finding_list *list);
void finding_list_fini(struct finding_list *list);
void finding_list_clear(struct finding_list *list);
/* `finding` gives all but the text; its views are copied. */
void finding_add(struct finding_list *list, const struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Copies all of `from` behind what is there. */
void finding_list_append(struct finding_list *list, const struct finding_list *from);
/* About this object at this path (may be ""): fills in place and object key. */
void finding_add_object(struct finding_list *list, const struct object *object, const char *path,
                        enum finding_severity severity, enum finding_class class,
                        const char *format, ...) __attribute__((format(printf, 6, 7)));
/* By file, line, order of being added. */
void finding_list_sort(struct finding_list *list);
/* One line without its end; a warning says "warning: " before its text. */
void finding_format(const struct finding *finding, struct buffer *out);
/* All, a line each. */
void finding_list_format(const struct finding_list *list, struct buffer *out);
/* {"severity":...,"class":...,"file":...,"line":...,"object":...,"path":...,"text":...}; what is
 * not known is left out. */
void finding_write_json(const struct finding *finding, struct json_writer *writer);
/* An array of them. */
void finding_list_write_json(const struct finding_list *list, struct json_writer *writer);
