/* The decoder's telling of findings, and its scalars. */
#include "control/schema_parts.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- telling --------------------------------------------------------------------------------- */

/* Extends the path by a step; gives the size to cut it back to. */
size_t decode_push(struct decode *decode, const char *step)
{
    size_t before = decode->path.size;
    if (before > 0 && step[0] != '[' && step[0] != '\0') {
        buffer_append_byte(&decode->path, '.');
    }
    buffer_append(&decode->path, text_from_string(step));
    return before;
}

size_t decode_push_index(struct decode *decode, size_t index)
{
    size_t before = decode->path.size;
    buffer_format(&decode->path, "[%zu]", index);
    return before;
}

static bool is_plain_step(struct text key)
{
    for (size_t i = 0; i < key.size; i++) {
        char c = text_lower_byte(key.at[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-') {
            return false;
        }
    }
    return key.size > 0;
}

size_t decode_push_key(struct decode *decode, struct text key)
{
    size_t before = decode->path.size;
    key = text_first(key, 100);
    if (!is_plain_step(key)) {
        buffer_format(&decode->path, "[\"%.*s\"]", TEXT_ARG(key));
        return before;
    }
    if (before > 0) {
        buffer_append_byte(&decode->path, '.');
    }
    buffer_append(&decode->path, key);
    return before;
}

static void tell(struct decode *decode, enum finding_severity severity, uint32_t line,
                 const char *format, va_list arguments)
{
    char text[768];
    vsnprintf(text, sizeof(text), format, arguments);
    decode->errors += severity == FINDING_ERROR;
    struct finding finding = {
        .severity = severity,
        .class = FINDING_REFUSED,
        .place = { decode->file, line },
        .object = decode->object,
        .path = buffer_text(&decode->path),
    };
    finding_add(decode->findings, &finding, "%s", text);
}

/* About the value at hand. */
bool decode_wrong(struct decode *decode, const struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(decode, FINDING_ERROR, node->line, format, arguments);
    va_end(arguments);
    return false;
}

void decode_error(struct decode *decode, const struct node *node, const char *sub,
                  const char *format, ...)
{
    bool whole;
    va_list arguments;
    va_start(arguments, format);
    size_t before = decode_push(decode, sub);
    tell(decode, FINDING_ERROR, node_at(node, sub, &whole)->line, format, arguments);
    decode->path.size = before;
    va_end(arguments);
}

void decode_warning(struct decode *decode, const struct node *node, const char *sub,
                    const char *format, ...)
{
    bool whole;
    va_list arguments;
    va_start(arguments, format);
    size_t before = decode_push(decode, sub);
    tell(decode, FINDING_WARNING, node_at(node, sub, &whole)->line, format, arguments);
    decode->path.size = before;
    va_end(arguments);
}

/* ---- scalars --------------------------------------------------------------------------------- */

/* The part of a text that a message quotes. */
struct text decode_quoted(struct text t)
{
    return text_first(t, 100);
}

bool decode_expect_text(struct decode *decode, const struct node *node)
{
    if (node->kind == NODE_STRING) {
        return true;
    }
    const char *words = node_kind_words(node);
    if (node->kind >= NODE_LIST) {
        return decode_wrong(decode, node, "is %s, must be text", words);
    }
    struct text t = decode_quoted(node->text);
    if (t.size == 0) {
        return decode_wrong(decode, node,
                            "is empty, must be text; give a value or remove the field");
    }
    if (!node->plain || decode->is_secret) {
        return decode_wrong(decode, node, "is %s, must be text; put it in quotes", words);
    }
    return decode_wrong(decode, node, "is %s to Kubernetes, must be text; quote it: \"%.*s\"",
                        words, TEXT_ARG(t));
}

static int64_t count_characters(struct text t)
{
    int64_t count = 0;
    for (size_t i = 0; i < t.size; i++) {
        count += ((unsigned char)t.at[i] & 0xC0) != 0x80;
    }
    return count;
}

/* "A, B, C" of the words, into `out`. */
const char *words_join(const char *const *words, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (; *words && used < size; words++) {
        if (**words != '\0') {
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", *words);
        }
    }
    return out;
}

/* The word nearest to a mistyped one, or NULL. */
const char *word_nearest(struct text t, const char *const *words)
{
    const char *best = NULL;
    unsigned limit = t.size > 8 ? 3 : t.size > 3 ? 2 : 1;
    for (; *words; words++) {
        unsigned distance = text_distance(t, text_from_string(*words), limit);
        if (**words != '\0' && distance <= limit) {
            best = *words;
            limit = distance > 0 ? distance - 1 : 0;
            if (distance == 0) {
                break;
            }
        }
    }
    return best;
}

/* The index of a word, or -1 (told). */
int decode_word_index(struct decode *decode, const struct node *node, const char *const *words)
{
    for (int i = 0; words[i]; i++) {
        if (words[i][0] != '\0' && text_equal(node->text, text_from_string(words[i]))) {
            return i;
        }
    }
    char all[256];
    const char *near = word_nearest(node->text, words);
    if (near != NULL) {
        decode_wrong(decode, node, "\"%.*s\" is not one of %s; did you mean \"%s\"?",
              TEXT_ARG(decode_quoted(node->text)), words_join(words, all, sizeof(all)), near);
    } else {
        decode_wrong(decode, node, "\"%.*s\" is not one of %s; choose "
                                   "one", TEXT_ARG(decode_quoted(node->text)),
              words_join(words, all, sizeof(all)));
    }
    return -1;
}

bool decode_text(struct decode *decode, const struct value *value, const struct node *node,
                        struct text *out)
{
    /* Even where it is wrong: rules that compare items should not take it for absent. */
    *out = node->kind < NODE_LIST ? node->text : text_of(NULL, 0);
    if (!decode_expect_text(decode, node)) {
        return false;
    }
    int64_t size = count_characters(node->text);
    if (value->words != NULL && decode_word_index(decode, node, value->words) < 0) {
        return false;
    }
    if (size < value->min) {
        return decode_wrong(decode, node, "must not be empty; give a value");
    }
    if (value->max > 0 && size > value->max) {
        return decode_wrong(decode, node, "has %lld characters; at most %lld are allowed",
                     (long long)size, (long long)value->max);
    }
    if (!pattern_matches(value->pattern, node->text)) {
        return decode_wrong(decode, node, "\"%.*s\" is not valid; must be %s",
                     TEXT_ARG(decode_quoted(node->text)), pattern_words(value->pattern));
    }
    return true;
}

bool decode_bool(struct decode *decode, const struct node *node, bool *out)
{
    if (node->kind != NODE_BOOL) {
        return decode_wrong(decode, node, "is %s, must be true or false%s", node_kind_words(node),
                     node->kind == NODE_STRING && !node->plain ? "; remove the quotes" : "");
    }
    *out = node_bool(node);
    return true;
}

bool decode_number(struct decode *decode, const struct node *node, int64_t min, int64_t max,
                          int64_t *out)
{
    if (node->kind != NODE_INT) {
        bool digits = node->kind == NODE_STRING && yaml_plain_kind(node->text) == NODE_INT;
        const char *mend = digits ? "remove the quotes"
                           : node->kind == NODE_FLOAT ? "write it without point and exponent"
                                                      : "write digits";
        return decode_wrong(decode, node, "is %s, must be a whole number; %s",
                     node->kind == NODE_FLOAT ? "a number with a fraction or exponent"
                                              : node_kind_words(node), mend);
    }
    if (!node_int(node, out)) {
        return decode_wrong(decode, node, "%.*s is not plain decimal; write digits without leading "
                                          "zero",
                     TEXT_ARG(decode_quoted(node->text)));
    }
    if (*out < min || *out > max) {
        return decode_wrong(decode, node, "is %lld, must be from %lld to %lld", (long long)*out,
                     (long long)min, (long long)max);
    }
    return true;
}

bool decode_duration(struct decode *decode, const struct node *node, int64_t *out)
{
    if (!decode_expect_text(decode, node)) {
        return false;
    }
    if (!duration_parse(node->text, out)) {
        return decode_wrong(decode, node, "\"%.*s\" is not a duration; write it like 10s, 500ms or "
                                          "1h30m",
                     TEXT_ARG(decode_quoted(node->text)));
    }
    return true;
}

bool decode_int_or_string(struct decode *decode, const struct node *node,
                                 struct int_or_string *out)
{
    int64_t number;
    if (node->kind == NODE_STRING) {
        out->is_string = true;
        out->string = node->text;
        if (!pattern_matches(PATTERN_PORT_NAME, node->text)) {
            return decode_wrong(decode, node, "\"%.*s\" is not valid; must be a port number or a "
                                              "name of %s",
                         TEXT_ARG(decode_quoted(node->text)), pattern_words(PATTERN_PORT_NAME));
        }
        return true;
    }
    if (!decode_number(decode, node, 1, 65535, &number)) {
        return false;
    }
    out->number = (int32_t)number;
    return true;
}
