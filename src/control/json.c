/* JSON (RFC 8259) to node trees and back. A strict reader of our own: it keeps places, which the
 * usual libraries do not. Strings are decoded; a lone surrogate (\ud800 without its pair) is
 * refused, since no valid UTF-8 could stand for it. */
#include "control/node.h"

struct json_reader {
    struct node_builder builder;
    const char *start_of_line;
    const char *at;
    const char *end;
    uint32_t line;
};

static bool fail(struct json_reader *reader, const char *what)
{
    return node_builder_fail(&reader->builder, reader->line, "not valid JSON at column %zu: %s",
                             (size_t)(reader->at - reader->start_of_line) + 1, what);
}

static void skip_space(struct json_reader *reader)
{
    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        if (c == '\n') {
            reader->line++;
            reader->start_of_line = reader->at + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static int peek(const struct json_reader *reader)
{
    return reader->at < reader->end ? (unsigned char)*reader->at : -1;
}

static struct node head(const struct json_reader *reader, enum node_kind kind)
{
    size_t column = (size_t)(reader->at - reader->start_of_line) + 1;
    return (struct node){
        .kind = (uint8_t)kind,
        .column = (uint16_t)(column < UINT16_MAX ? column : UINT16_MAX),
        .line = reader->line,
    };
}

static bool read_hex4(struct json_reader *reader, uint32_t *out_unit)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        int c = peek(reader);
        int low = (unsigned char)text_lower_byte((char)c);
        if (c >= '0' && c <= '9') {
            unit = unit * 16 + (uint32_t)(c - '0');
        } else if (c > 0 && low >= 'a' && low <= 'f') {
            unit = unit * 16 + (uint32_t)(low - 'a' + 10);
        } else {
            return fail(reader, "\\u needs four hexadecimal digits");
        }
    }
    *out_unit = unit;
    return true;
}

static char *put_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xC0 | (point >> 6));
        *out++ = (char)(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        *out++ = (char)(0xE0 | (point >> 12));
        *out++ = (char)(0x80 | ((point >> 6) & 0x3F));
        *out++ = (char)(0x80 | (point & 0x3F));
    } else {
        *out++ = (char)(0xF0 | (point >> 18));
        *out++ = (char)(0x80 | ((point >> 12) & 0x3F));
        *out++ = (char)(0x80 | ((point >> 6) & 0x3F));
        *out++ = (char)(0x80 | (point & 0x3F));
    }
    return out;
}

/* After "\u"; a high surrogate must be followed by its low half. */
static bool read_unicode(struct json_reader *reader, char **out)
{
    uint32_t unit;
    if (!read_hex4(reader, &unit)) {
        return false;
    }
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        uint32_t low = 0;
        if (unit > 0xDBFF || reader->end - reader->at < 2 || reader->at[0] != '\\' ||
            reader->at[1] != 'u') {
            return fail(reader, "a lone surrogate stands for no character");
        }
        reader->at += 2;
        if (!read_hex4(reader, &low)) {
            return false;
        }
        if (low < 0xDC00 || low > 0xDFFF) {
            return fail(reader, "a lone surrogate stands for no character");
        }
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    *out = put_utf8(*out, unit);
    return true;
}

static bool read_escape(struct json_reader *reader, char **out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    int c = peek(reader);
    if (c == 'u') {
        reader->at++;
        return read_unicode(reader, out);
    }
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (found == NULL) {
        return fail(reader, "unknown escape after \\");
    }
    reader->at++;
    *(*out)++ = to[found - from];
    return true;
}

/* at stands on the opening quote. Escapes never make a string longer. */
static bool read_string(struct json_reader *reader, struct text *out_text)
{
    const char *close = ++reader->at;
    while (close < reader->end && *close != '"') {
        close += *close == '\\' && close + 1 < reader->end ? 2 : 1;
    }
    char *text = arena_bytes(&reader->builder.arena, (size_t)(close - reader->at) + 1);
    char *out = text;
    while (true) {
        int c = peek(reader);
        if (c < 0) {
            return fail(reader, "the text has no closing quote");
        }
        if (c < 0x20) {
            return fail(reader, "a control character in text; write it as an escape");
        }
        reader->at++;
        if (c == '"') {
            break;
        }
        if (c != '\\') {
            *out++ = (char)c;
        } else if (!read_escape(reader, &out)) {
            return false;
        }
    }
    *out = '\0';
    *out_text = text_of(text, (size_t)(out - text));
    return text_is_utf8(*out_text) || fail(reader, "the text is not valid UTF-8");
}

static size_t digits(struct json_reader *reader)
{
    size_t count = 0;
    for (; peek(reader) >= '0' && peek(reader) <= '9'; count++) {
        reader->at++;
    }
    return count;
}

/* NULL where a number was passed over, else what is wrong with it. */
static const char *skip_number(struct json_reader *reader, enum node_kind *out_kind)
{
    *out_kind = NODE_INT;
    reader->at += peek(reader) == '-';
    bool zero = peek(reader) == '0';
    size_t whole = digits(reader);
    if (whole == 0 || (zero && whole > 1)) {
        return "a number needs digits and no leading zero";
    }
    if (peek(reader) == '.') {
        *out_kind = NODE_FLOAT;
        reader->at++;
        if (digits(reader) == 0) {
            return "digits must follow the point";
        }
    }
    if (peek(reader) == 'e' || peek(reader) == 'E') {
        *out_kind = NODE_FLOAT;
        reader->at++;
        reader->at += peek(reader) == '+' || peek(reader) == '-';
        if (digits(reader) == 0) {
            return "digits must follow the exponent";
        }
    }
    return NULL;
}

static bool read_number(struct json_reader *reader)
{
    struct node node = head(reader, NODE_INT);
    const char *start = reader->at;
    enum node_kind kind;
    const char *wrong = skip_number(reader, &kind);
    if (wrong != NULL) {
        return fail(reader, wrong);
    }
    node.kind = (uint8_t)kind;
    node.text = arena_copy(&reader->builder.arena, text_of(start, (size_t)(reader->at - start)));
    return node_builder_value(&reader->builder, node);
}

static bool read_word(struct json_reader *reader)
{
    static const struct {
        struct text word;
        enum node_kind kind;
    } words[] = {
        { { "true", 4 }, NODE_BOOL },
        { { "false", 5 }, NODE_BOOL },
        { { "null", 4 }, NODE_NULL },
    };
    struct text rest = text_of(reader->at, (size_t)(reader->end - reader->at));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (text_starts_with(rest, words[i].word)) {
            struct node node = head(reader, words[i].kind);
            node.text = words[i].word;
            reader->at += words[i].word.size;
            return node_builder_value(&reader->builder, node);
        }
    }
    return fail(reader, reader->at == reader->end ? "the value is missing"
                                                  : "no value can begin like this");
}

/* A scalar, or the opening of a map or list. */
static bool read_value(struct json_reader *reader)
{
    int c = peek(reader);
    if (c == '{' || c == '[') {
        struct node node = head(reader, c == '{' ? NODE_MAP : NODE_LIST);
        reader->at++;
        return node_builder_open(&reader->builder, node, text_of(NULL, 0));
    }
    if (c == '"') {
        struct node node = head(reader, NODE_STRING);
        return read_string(reader, &node.text) && node_builder_value(&reader->builder, node);
    }
    return c == '-' || (c >= '0' && c <= '9') ? read_number(reader) : read_word(reader);
}

static bool read_key(struct json_reader *reader)
{
    struct node node = head(reader, NODE_STRING);
    if (peek(reader) != '"') {
        return fail(reader, "a key in double quotes is due");
    }
    if (!read_string(reader, &node.text) || !node_builder_key(&reader->builder, node)) {
        return false;
    }
    skip_space(reader);
    if (peek(reader) != ':') {
        return fail(reader, "a colon must follow the key");
    }
    reader->at++;
    return true;
}

/* Behind a value inside a map or list: a comma, or what closes it. False: stop. */
static bool read_next(struct json_reader *reader, bool is_map, bool *out_closed)
{
    int c = peek(reader);
    *out_closed = c == (is_map ? '}' : ']');
    if (!*out_closed && c != ',') {
        return fail(reader, is_map ? "a comma or } is due" : "a comma or ] is due");
    }
    reader->at++;
    return true;
}

/* One whole value: iterative, so that depth costs no stack. */
static bool read_document(struct json_reader *reader)
{
    struct node_builder *builder = &reader->builder;
    bool fresh = true; /* just behind { or [ */
    skip_space(reader);
    if (!read_value(reader)) {
        return false;
    }
    while (builder->frames.count > 0) {
        struct node_frame *frame = &builder->frames.items[builder->frames.count - 1];
        bool is_map = frame->node.kind == NODE_MAP;
        bool closed = false;
        skip_space(reader);
        if (fresh && peek(reader) == (is_map ? '}' : ']')) {
            reader->at++;
            closed = true;
        } else if (!fresh && !read_next(reader, is_map, &closed)) {
            return false;
        }
        if (closed) {
            struct node_frame done;
            node_builder_close(builder, &done);
            fresh = false;
            continue;
        }
        skip_space(reader);
        if (is_map && !read_key(reader)) {
            return false;
        }
        skip_space(reader);
        size_t depth = builder->frames.count;
        if (!read_value(reader)) {
            return false;
        }
        fresh = builder->frames.count > depth;
    }
    skip_space(reader);
    return reader->at == reader->end || fail(reader, "something follows the value");
}

bool json_read(struct text bytes, struct document_handler *handler)
{
    if (text_starts_with(bytes, TEXT("\xEF\xBB\xBF"))) {
        bytes = text_from(bytes, 3);
    }
    bytes.at = bytes.at ? bytes.at : "";
    struct json_reader reader = {
        .start_of_line = bytes.at,
        .at = bytes.at,
        .end = bytes.at + bytes.size,
        .line = 1,
    };
    node_builder_init(&reader.builder, handler);
    if (bytes.size > DOCUMENT_FILE_MAX) {
        node_builder_fail(&reader.builder, 0, "larger than %u MiB; split it",
                          DOCUMENT_FILE_MAX >> 20);
    } else if (read_document(&reader)) {
        node_builder_finish(&reader.builder);
    }
    bool good = !reader.builder.failed;
    node_builder_fini(&reader.builder);
    return good;
}

static bool is_json_number(struct text t)
{
    struct json_reader reader = { .start_of_line = t.at, .at = t.at, .end = t.at + t.size };
    enum node_kind kind;
    return skip_number(&reader, &kind) == NULL && reader.at == reader.end;
}

void node_write_json(const struct node *node, struct json_writer *writer)
{
    switch ((enum node_kind)node->kind) {
    case NODE_MAP:
        json_object_open(writer);
        for (size_t i = 0; i < node->map.count; i++) {
            json_key(writer, node->map.entries[i].key.text);
            node_write_json(&node->map.entries[i].value, writer);
        }
        json_object_close(writer);
        return;
    case NODE_LIST:
        json_array_open(writer);
        for (size_t i = 0; i < node->list.count; i++) {
            node_write_json(&node->list.items[i], writer);
        }
        json_array_close(writer);
        return;
    case NODE_NULL:
        json_null(writer);
        return;
    case NODE_BOOL:
        json_bool(writer, node_bool(node));
        return;
    case NODE_INT:
    case NODE_FLOAT:
        if (is_json_number(node->text)) {
            json_raw(writer, node->text);
            return;
        }
        json_text(writer, node->text);
        return;
    case NODE_STRING:
        json_text(writer, node->text);
        return;
    }
}
