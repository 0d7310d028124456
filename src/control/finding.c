/* Lists of findings and their two printed forms. */
#include "control/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void finding_list_init(struct finding_list *list)
{
    *list = (struct finding_list){ 0 };
    arena_init(&list->arena);
}

void finding_list_fini(struct finding_list *list)
{
    array_free(&list->array);
    arena_fini(&list->arena);
}

void finding_list_clear(struct finding_list *list)
{
    finding_list_fini(list);
    finding_list_init(list);
}

static struct text copy(struct finding_list *list, struct text t)
{
    return t.at == NULL ? t : arena_copy(&list->arena, t);
}

static void add_text(struct finding_list *list, const struct finding *finding, struct text text)
{
    if (finding->severity == FINDING_ERROR) {
        list->errors++;
    }
    if (list->array.count >= FINDINGS_MAX) {
        list->dropped++;
        return;
    }
    struct finding *added = array_add(&list->array);
    *added = *finding;
    /* Most findings of a list are about one file. */
    struct finding *last = added == list->array.items ? added : added - 1;
    added->place.file = last != added && text_equal(last->place.file, finding->place.file)
                            ? last->place.file
                            : copy(list, finding->place.file);
    added->object = copy(list, finding->object);
    added->path = copy(list, finding->path);
    added->text = copy(list, text);
    added->order = (uint32_t)list->array.count;
}

static void add_list(struct finding_list *list, const struct finding *finding, const char *format,
                     va_list arguments)
{
    char text[1024];
    int size = vsnprintf(text, sizeof(text), format, arguments);
    size_t used = size < 0 ? 0 : (size_t)size;
    add_text(list, finding, text_of(text, used < sizeof(text) ? used : sizeof(text) - 1));
}

void finding_add(struct finding_list *list, const struct finding *finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_list(list, finding, format, arguments);
    va_end(arguments);
}

void finding_add_object(struct finding_list *list, const struct object *object, const char *path,
                        enum finding_severity severity, enum finding_class class,
                        const char *format, ...)
{
    struct finding finding = {
        .severity = severity,
        .class = class,
        .place = { object->place.file, object_line(object, path) },
        .object = object->key,
        .path = *path ? text_from_string(path) : text_of(NULL, 0),
    };
    va_list arguments;
    va_start(arguments, format);
    add_list(list, &finding, format, arguments);
    va_end(arguments);
}

void finding_list_append(struct finding_list *list, const struct finding_list *from)
{
    size_t errors = list->errors + from->errors;
    for (size_t i = 0; i < from->array.count; i++) {
        add_text(list, &from->array.items[i], from->array.items[i].text);
    }
    list->errors = errors;
    list->dropped += from->dropped;
}

static int compare(const void *a, const void *b)
{
    const struct finding *x = a;
    const struct finding *y = b;
    int order = text_compare(x->place.file, y->place.file);
    if (order == 0) {
        order = (x->place.line > y->place.line) - (x->place.line < y->place.line);
    }
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

void finding_list_sort(struct finding_list *list)
{
    if (list->array.count > 1) {
        qsort(list->array.items, list->array.count, sizeof(*list->array.items), compare);
    }
}

/* File names and messages may hold what was read; a line must stay one line. */
static void append_line(struct buffer *out, struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (c < 0x20 || c == 0x7F) {
            buffer_format(out, "\\x%02x", c);
        } else {
            buffer_append_byte(out, (char)c);
        }
    }
}

void finding_format(const struct finding *finding, struct buffer *out)
{
    append_line(out, finding->place.file);
    if (finding->place.line > 0) {
        buffer_format(out, ":%u", finding->place.line);
    }
    if (finding->place.file.size > 0) {
        buffer_append(out, TEXT(": "));
    }
    if (finding->object.size > 0) {
        append_line(out, finding->object);
        buffer_append(out, TEXT(": "));
    }
    if (finding->path.size > 0) {
        append_line(out, finding->path);
        buffer_append(out, TEXT(": "));
    }
    if (finding->severity == FINDING_WARNING) {
        buffer_append(out, TEXT("warning: "));
    }
    append_line(out, finding->text);
}

void finding_list_format(const struct finding_list *list, struct buffer *out)
{
    for (size_t i = 0; i < list->array.count; i++) {
        finding_format(&list->array.items[i], out);
        buffer_append_byte(out, '\n');
    }
    if (list->dropped > 0) {
        buffer_format(out, "%zu more findings\n", list->dropped);
    }
}

static void write_known(struct json_writer *writer, struct text key, struct text value)
{
    if (value.size > 0) {
        json_key(writer, key);
        json_text(writer, value);
    }
}

void finding_write_json(const struct finding *finding, struct json_writer *writer)
{
    static const char *const classes[] = {
        [FINDING_PARSE] = "parse",
        [FINDING_REFUSED] = "refused",
        [FINDING_JUDGED] = "judged",
    };
    json_object_open(writer);
    JSON_TEXT(writer, "severity",
              finding->severity == FINDING_ERROR ? TEXT("error") : TEXT("warning"));
    JSON_TEXT(writer, "class", text_from_string(classes[finding->class]));
    write_known(writer, TEXT("file"), finding->place.file);
    if (finding->place.line > 0) {
        JSON_U64(writer, "line", finding->place.line);
    }
    write_known(writer, TEXT("object"), finding->object);
    write_known(writer, TEXT("path"), finding->path);
    JSON_TEXT(writer, "text", finding->text);
    json_object_close(writer);
}

void finding_list_write_json(const struct finding_list *list, struct json_writer *writer)
{
    json_array_open(writer);
    for (size_t i = 0; i < list->array.count; i++) {
        finding_write_json(&list->array.items[i], writer);
    }
    json_array_close(writer);
}
