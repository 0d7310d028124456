/* YAML to node trees, by libyaml's event interface (its document interface costs ten times the
 * memory). What a plain scalar means follows the reader of Kubernetes, which is YAML 1.1 in parts.
 * Refused: duplicate keys, merge keys, keys that are no scalars, tags beyond the core ones. */
#include "control/node.h"

#include "base/map.h"
#include "control/yaml_strict.h"

#include <stdlib.h>
#include <yaml.h>

#define TAG_PREFIX "tag:yaml.org,2002:"

struct anchor {
    struct node node;
    size_t nodes;
    size_t bytes;
};

struct yaml_reader {
    struct node_builder builder;
    struct map anchors; /* name -> struct anchor, in the document's arena */
    size_t alias_nodes;
    size_t alias_bytes;
};

static bool in_words(struct text scalar, const char *const *words)
{
    for (; *words; words++) {
        if (text_equal(scalar, text_from_string(*words))) {
            return true;
        }
    }
    return false;
}

static bool all_in(struct text t, const char *set)
{
    for (size_t i = 0; i < t.size; i++) {
        if (t.at[i] == '\0' || strchr(set, t.at[i]) == NULL) {
            return false;
        }
    }
    return t.size > 0;
}

/* Integers as Go's ParseInt reads them with base 0: decimal, 0x, 0b, 0o and leading-zero octal. */
static bool is_integer(struct text t)
{
    t = text_from(t, t.size > 0 && (t.at[0] == '-' || t.at[0] == '+'));
    if (t.size == 0 || t.at[0] == '_') {
        return false;
    }
    if (t.size > 2 && t.at[0] == '0') {
        char base = text_lower_byte(t.at[1]);
        if (base == 'x') {
            return all_in(text_from(t, 2), "0123456789abcdefABCDEF_");
        }
        if (base == 'b') {
            return all_in(text_from(t, 2), "01_");
        }
        if (base == 'o') {
            return all_in(text_from(t, 2), "01234567_");
        }
    }
    return all_in(t, t.at[0] == '0' ? "01234567_" : "0123456789_");
}

static size_t skip_digits(struct text t, size_t at)
{
    while (at < t.size && ((t.at[at] >= '0' && t.at[at] <= '9') || t.at[at] == '_')) {
        at++;
    }
    return at;
}

/* [-+]? (\.[0-9]+ | [0-9]+(\.[0-9]*)?) ([eE][-+]?[0-9]+)? */
static bool is_float(struct text t)
{
    static const char *const words[] = { ".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                         "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                         ".NaN",  ".NAN",  NULL };
    if (in_words(t, words)) {
        return true;
    }
    size_t at = t.size > 0 && (t.at[0] == '-' || t.at[0] == '+');
    size_t whole = skip_digits(t, at);
    bool has_whole = whole > at;
    at = whole;
    if (at < t.size && t.at[at] == '.') {
        size_t part = skip_digits(t, at + 1);
        if (!has_whole && part == at + 1) {
            return false;
        }
        at = part;
    } else if (!has_whole) {
        return false;
    }
    if (at < t.size && (t.at[at] == 'e' || t.at[at] == 'E')) {
        at++;
        at += at < t.size && (t.at[at] == '-' || t.at[at] == '+');
        size_t power = skip_digits(t, at);
        return power > at && power == t.size;
    }
    return at == t.size;
}

enum node_kind yaml_plain_kind(struct text scalar)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
    static const char *const bools[] = { "y",   "Y",    "yes",  "Yes",   "YES",   "n",  "N",   "no",
                                         "No",  "NO",   "true", "True",  "TRUE",  "on", "On",  "ON",
                                         "off", "Off",  "OFF",  "false", "False", "FALSE", NULL };
    char first = scalar.size ? scalar.at[0] : '~';
    if (strchr("~nNyYtToOfF", first) != NULL) {
        if (in_words(scalar, nulls)) {
            return NODE_NULL;
        }
        return in_words(scalar, bools) ? NODE_BOOL : NODE_STRING;
    }
    if (strchr("+-.0123456789", first) == NULL) {
        return NODE_STRING;
    }
    if (is_integer(scalar)) {
        return NODE_INT;
    }
    return is_float(scalar) ? NODE_FLOAT : NODE_STRING;
}

static struct node node_head(const yaml_event_t *event, enum node_kind kind)
{
    size_t column = event->start_mark.column + 1;
    return (struct node){
        .kind = (uint8_t)kind,
        .column = (uint16_t)(column < UINT16_MAX ? column : UINT16_MAX),
        .line = (uint32_t)event->start_mark.line + 1,
    };
}

static bool refuse_tag(struct yaml_reader *reader, uint32_t line, struct text tag)
{
    return node_builder_fail(&reader->builder, line,
                             "the tag \"%.*s\" has no meaning here; remove it",
                             (int)(tag.size < 100 ? tag.size : 100), tag.at);
}

/* The kind a tag gives a scalar; false (told) for tags that are not of the core schema or do not
 * fit. */
static bool tagged_kind(struct yaml_reader *reader, struct text tag, struct node *node)
{
    static const struct {
        const char *tag;
        enum node_kind kind;
    } tags[] = {
        { "!", NODE_STRING },
        { TAG_PREFIX "str", NODE_STRING },
        { TAG_PREFIX "null", NODE_NULL },
        { TAG_PREFIX "bool", NODE_BOOL },
        { TAG_PREFIX "int", NODE_INT },
        { TAG_PREFIX "float", NODE_FLOAT },
    };
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (!text_equal(tag, text_from_string(tags[i].tag))) {
            continue;
        }
        enum node_kind looks = yaml_plain_kind(node->text);
        node->kind = (uint8_t)tags[i].kind;
        if (tags[i].kind == NODE_STRING || looks == tags[i].kind ||
            (looks == NODE_INT && tags[i].kind == NODE_FLOAT)) {
            return true;
        }
    }
    return refuse_tag(reader, node->line, tag);
}

static struct text text_of_event(const yaml_char_t *text)
{
    return text_from_string((const char *)text);
}

static bool add_anchor(struct yaml_reader *reader, struct text name, struct node node, size_t nodes,
                       size_t bytes)
{
    struct anchor *anchor = arena_new(&reader->builder.arena, struct anchor);
    *anchor = (struct anchor){ node, nodes, bytes };
    map_put(&reader->anchors, name, anchor);
    return true;
}

static bool add_key(struct yaml_reader *reader, struct node node)
{
    if (node.plain && text_equal(node.text, TEXT("<<"))) {
        return node_builder_fail(&reader->builder, node.line,
                                 "merge keys (<<) are not supported; write the fields out");
    }
    return node_builder_key(&reader->builder, node);
}

static bool read_scalar(struct yaml_reader *reader, const yaml_event_t *event)
{
    struct node node = node_head(event, NODE_STRING);
    node.text = arena_copy(&reader->builder.arena, text_of((const char *)event->data.scalar.value,
                                                           event->data.scalar.length));
    if (event->data.scalar.tag != NULL) {
        if (!tagged_kind(reader, text_of_event(event->data.scalar.tag), &node)) {
            return false;
        }
    } else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        node.plain = true;
        node.kind = (uint8_t)yaml_plain_kind(node.text);
    }
    if (event->data.scalar.anchor != NULL) {
        struct text name = arena_copy(&reader->builder.arena,
                                      text_of_event(event->data.scalar.anchor));
        add_anchor(reader, name, node, 1, node.text.size);
    }
    if (node_builder_wants_key(&reader->builder)) {
        return add_key(reader, node);
    }
    return node_builder_value(&reader->builder, node);
}

static bool read_alias(struct yaml_reader *reader, const yaml_event_t *event)
{
    struct node_builder *builder = &reader->builder;
    uint32_t line = (uint32_t)event->start_mark.line + 1;
    struct text name = text_of_event(event->data.alias.anchor);
    struct anchor *anchor = map_find(&reader->anchors, name);
    if (anchor == NULL) {
        return node_builder_fail(builder, line,
                                 "the alias *%.*s names nothing that ends before it; write the "
                                 "value out", (int)(name.size < 100 ? name.size : 100), name.at);
    }
    reader->alias_nodes += anchor->nodes;
    reader->alias_bytes += anchor->bytes;
    if (reader->alias_nodes > DOCUMENT_ALIAS_NODES_MAX ||
        reader->alias_bytes > DOCUMENT_ALIAS_BYTES_MAX) {
        return node_builder_fail(builder, line,
                                 "aliases repeat more than %d values or %u bytes; write them out",
                                 DOCUMENT_ALIAS_NODES_MAX, DOCUMENT_ALIAS_BYTES_MAX);
    }
    if (node_builder_wants_key(builder)) {
        if (anchor->node.kind >= NODE_LIST) {
            return node_builder_fail(builder, line, "a key must be text, not a map or a list");
        }
        return add_key(reader, anchor->node);
    }
    /* The builder's sums stand for what enclosing anchors would repeat. */
    builder->nodes += anchor->nodes - 1;
    builder->bytes += anchor->node.kind < NODE_LIST ? 0 : anchor->bytes;
    return node_builder_value(builder, anchor->node);
}

static bool read_open(struct yaml_reader *reader, const yaml_event_t *event, enum node_kind kind)
{
    struct node_builder *builder = &reader->builder;
    bool is_map = kind == NODE_MAP;
    const yaml_char_t *tag =
        is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *anchor = is_map ? event->data.mapping_start.anchor
                                       : event->data.sequence_start.anchor;
    struct node head = node_head(event, kind);
    if (tag != NULL &&
        strcmp((const char *)tag, is_map ? TAG_PREFIX "map" : TAG_PREFIX "seq") != 0 &&
        strcmp((const char *)tag, "!") != 0) {
        return refuse_tag(reader, head.line, text_of_event(tag));
    }
    if (node_builder_wants_key(builder)) {
        return node_builder_fail(builder, head.line, "a key must be text, not a map or a list");
    }
    struct text name = text_of(NULL, 0);
    if (anchor != NULL) {
        name = arena_copy(&builder->arena, text_of_event(anchor));
    }
    return node_builder_open(builder, head, name);
}

static bool read_close(struct yaml_reader *reader)
{
    struct node_frame frame;
    struct node node = node_builder_close(&reader->builder, &frame);
    if (frame.anchor.at != NULL) {
        add_anchor(reader, frame.anchor, node, reader->builder.nodes - frame.nodes,
                   reader->builder.bytes - frame.bytes);
    }
    return true;
}

static void end_document(struct yaml_reader *reader)
{
    map_fini(&reader->anchors);
    map_init(&reader->anchors);
    reader->alias_nodes = 0;
    reader->alias_bytes = 0;
    if (reader->builder.stack.count == 1 &&
        reader->builder.stack.items[0].value.kind == NODE_NULL) {
        reader->builder.stack.count = 0;
    }
    node_builder_finish(&reader->builder);
}

/* False: stop. */
static bool read_event(struct yaml_reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, event);
    case YAML_ALIAS_EVENT:
        return read_alias(reader, event);
    case YAML_MAPPING_START_EVENT:
        return read_open(reader, event, NODE_MAP);
    case YAML_SEQUENCE_START_EVENT:
        return read_open(reader, event, NODE_LIST);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return read_close(reader);
    case YAML_DOCUMENT_END_EVENT:
        end_document(reader);
        return true;
    default:
        return true;
    }
}

static void tell_syntax(struct yaml_reader *reader, const yaml_parser_t *parser)
{
    uint32_t line = (uint32_t)parser->problem_mark.line + 1;
    unsigned column = (unsigned)parser->problem_mark.column + 1;
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    if (parser->error == YAML_READER_ERROR) {
        node_builder_fail(&reader->builder, line,
                          "not valid YAML: %s (byte %zu); save the file as plain UTF-8 text",
                          problem, parser->problem_offset);
    } else if (parser->context != NULL) {
        node_builder_fail(&reader->builder, line,
                          "not valid YAML at column %u: %s, %s that began on line %u; mend quotes "
                          "and indentation there", column, problem, parser->context,
                          (unsigned)parser->context_mark.line + 1);
    } else {
        node_builder_fail(&reader->builder, line,
                          "not valid YAML at column %u: %s; mend quotes and indentation there",
                          column, problem);
    }
}

static bool check_event(struct yaml_reader *reader, struct yaml_strict *strict,
                        const yaml_event_t *event)
{
    uint32_t line;
    const char *wrong = yaml_strict_check(strict, event, &line);
    return wrong == NULL || node_builder_fail(&reader->builder, line, "not valid YAML: %s", wrong);
}

bool yaml_read(struct text bytes, struct document_handler *handler)
{
    struct yaml_strict strict;
    bytes.at = bytes.at ? bytes.at : "";
    yaml_strict_init(&strict, bytes);
    struct yaml_reader reader = { 0 };
    node_builder_init(&reader.builder, handler);
    map_init(&reader.anchors);
    yaml_parser_t parser;
    if (bytes.size > DOCUMENT_FILE_MAX) {
        node_builder_fail(&reader.builder, 0, "larger than %u MiB; split it",
                          DOCUMENT_FILE_MAX >> 20);
    } else if (!yaml_parser_initialize(&parser)) {
        node_builder_fail(&reader.builder, 0, "no memory for the YAML reader");
    } else {
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)bytes.at, bytes.size);
        bool more = true;
        while (more) {
            yaml_event_t event;
            if (!yaml_parser_parse(&parser, &event)) {
                tell_syntax(&reader, &parser);
                break;
            }
            more = event.type != YAML_STREAM_END_EVENT && check_event(&reader, &strict, &event) &&
                   read_event(&reader, &event);
            yaml_event_delete(&event);
        }
        yaml_parser_delete(&parser);
    }
    bool good = !reader.builder.failed;
    map_fini(&reader.anchors);
    node_builder_fini(&reader.builder);
    return good;
}
