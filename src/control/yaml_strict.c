/* A second look at the bytes around each event of libyaml. */
#include "control/yaml_strict.h"

static const char comment_words[] = "a # without a blank before it; write \" #\", or quote the "
                                    "text";
static const char indent_words[] = "a line inside brackets or quotes is not indented deeper than "
                                   "what it belongs to; indent it";

void yaml_strict_init(struct yaml_strict *strict, struct text bytes)
{
    *strict = (struct yaml_strict){ .bytes = bytes, .at = bytes.at };
    if (text_starts_with(bytes, TEXT("\xEF\xBB\xBF"))) {
        strict->at += 3;
    }
}

static const char *end_of(const struct yaml_strict *strict)
{
    return strict->bytes.at + strict->bytes.size;
}

/* The bytes of the line break at `at`, as libyaml counts lines; 0: none. */
static size_t line_break(const char *at, const char *end)
{
    struct text rest = text_of(at, (size_t)(end - at));
    if (rest.size == 0) {
        return 0;
    }
    if (at[0] == '\n') {
        return 1;
    }
    if (at[0] == '\r') {
        return rest.size > 1 && at[1] == '\n' ? 2 : 1;
    }
    if (text_starts_with(rest, TEXT("\xC2\x85"))) {
        return 2;
    }
    return text_starts_with(rest, TEXT("\xE2\x80\xA8")) ||
                   text_starts_with(rest, TEXT("\xE2\x80\xA9"))
               ? 3
               : 0;
}

static bool is_printable(char c)
{
    return (unsigned char)c - 0x20u < 0x5Fu;
}

/* One character or line break on from the place last looked for. */
static void step(struct yaml_strict *strict, const char *end)
{
    size_t size = line_break(strict->at, end);
    if (size > 0) {
        strict->at += size;
        strict->line++;
        strict->column = 0;
        return;
    }
    do {
        strict->at++;
    } while (strict->at < end && ((unsigned char)*strict->at & 0xC0) == 0x80);
    strict->column++;
}

/* The byte at a mark, or NULL for one before the place last looked for. */
static const char *place(struct yaml_strict *strict, const yaml_mark_t *mark)
{
    const char *end = end_of(strict);
    if (mark->line < strict->line ||
        (mark->line == strict->line && mark->column < strict->column)) {
        return NULL;
    }
    while (strict->at < end && strict->line < mark->line) {
        const char *from = strict->at;
        while (strict->at < end && is_printable(*strict->at)) { /* no break, no other character */
            strict->at++;
        }
        strict->column += (size_t)(strict->at - from);
        if (strict->at < end) {
            step(strict, end);
        }
    }
    while (strict->at < end && strict->column < mark->column) {
        if (is_printable(*strict->at)) {
            strict->at++;
            strict->column++;
            continue;
        }
        step(strict, end);
        if (strict->line > mark->line) {
            return NULL; /* the line is shorter than the mark says */
        }
    }
    return strict->at;
}

static const char *start_of_line(const struct yaml_strict *strict, const char *at)
{
    while (at > strict->bytes.at && at[-1] != '\n' && at[-1] != '\r') {
        at--;
    }
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Between events there are blanks, indicators and comments only. */
static bool has_bad_comment(const struct yaml_strict *strict, const char *from, const char *to)
{
    const char *at = from;
    while ((at = memchr(at, '#', (size_t)(to - at))) != NULL) {
        if (at > strict->bytes.at && !is_blank(at[-1])) {
            return true;
        }
        at = memchr(at, '\n', (size_t)(to - at));
        if (at == NULL) {
            return false;
        }
    }
    return false;
}

static long spaces_at(const char *at, const char *end)
{
    long count = 0;
    while (at < end && *at == ' ') {
        at++;
        count++;
    }
    return count;
}

static long parent_indent(const struct yaml_strict *strict)
{
    return strict->depth == 0 ? -1 : strict->open[strict->depth - 1].indent;
}

static bool in_flow(const struct yaml_strict *strict)
{
    return strict->depth > 0 && strict->open[strict->depth - 1].flow;
}

/* All lines behind the first of a text in quotes, or of a plain one inside brackets. */
static bool is_indented(const char *from, const char *to, long indent)
{
    for (const char *at = from; at < to; at++) {
        if (*at != '\n') {
            continue;
        }
        const char *line = at + 1;
        long spaces = spaces_at(line, to);
        const char *first = line + spaces;
        while (first < to && (*first == '\t' || *first == '\r')) {
            first++;
        }
        if (first < to && *first != '\n' && spaces <= indent) {
            return false;
        }
    }
    return true;
}

/* A block text's head, and the blank lines before its first line. */
static const char *check_block_text(const struct yaml_strict *strict, const char *from, long indent)
{
    const char *end = end_of(strict);
    const char *at = from;
    if (at == end || (*at != '|' && *at != '>')) {
        return NULL; /* an anchor or tag stands before it */
    }
    bool detect = true;
    for (at++; at < end && (*at == '+' || *at == '-' || (*at >= '0' && *at <= '9')); at++) {
        detect = detect && (*at == '+' || *at == '-');
    }
    if (at < end && *at == '#') {
        return comment_words;
    }
    long deepest = 0;
    while (at < end && detect) {
        while (at < end && *at != '\n') {
            at++;
        }
        at += at < end;
        long spaces = spaces_at(at, end);
        const char *first = at + spaces;
        if (first == end) {
            return NULL;
        }
        if (*first != '\n' && *first != '\r') {
            if (spaces <= indent || (indent < 0 && spaces == 0)) {
                return NULL;
            }
            return deepest > spaces ? "a blank line is indented deeper than the text's first line; "
                                      "remove its spaces"
                                    : NULL;
        }
        deepest = spaces > deepest ? spaces : deepest;
    }
    return NULL;
}

static const char *check_text(const struct yaml_strict *strict, const yaml_event_t *event,
                              const char *from, const char *to)
{
    yaml_scalar_style_t style = event->data.scalar.style;
    bool quoted =
        style == YAML_SINGLE_QUOTED_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE) {
        return check_block_text(strict, from, parent_indent(strict));
    }
    if (in_flow(strict) && style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.length == 1 &&
        event->data.scalar.value[0] == '-') {
        return "a lone - inside brackets; quote it";
    }
    if ((quoted || in_flow(strict)) && event->start_mark.line != event->end_mark.line &&
        !is_indented(from, to, parent_indent(strict))) {
        return indent_words;
    }
    return NULL;
}

/* The first thing on a line inside brackets; a closing bracket may stand out. */
static bool stands_out(const struct yaml_strict *strict, const char *from)
{
    const char *line = start_of_line(strict, from);
    return strict->gap_line < strict->line && spaces_at(line, from) <= parent_indent(strict);
}

static void open_collection(struct yaml_strict *strict, const yaml_event_t *event, bool flow,
                            const char *to)
{
    bool sequence = event->type == YAML_SEQUENCE_START_EVENT;
    long indent = parent_indent(strict);
    if (!flow) {
        /* An unindented sequence's event ends behind its first "-", others before their first
         * token. */
        bool behind = sequence && to > strict->bytes.at && to[-1] == '-' &&
                      (to == end_of(strict) || *to != '-');
        indent = (long)event->end_mark.column - behind;
    }
    if (strict->depth <= DOCUMENT_DEPTH_MAX) {
        strict->open[strict->depth].flow = flow;
        strict->open[strict->depth].indent = indent;
        strict->depth++;
    }
}

/* %YAML 1.1 or 1.2 once, at the start or behind "..."; no %TAG. */
static const char *check_directives(const struct yaml_strict *strict, const yaml_event_t *event,
                                    const char *from, const char *to)
{
    if (event->data.document_start.version_directive == NULL &&
        event->data.document_start.tag_directives.start ==
            event->data.document_start.tag_directives.end) {
        return NULL;
    }
    struct text head = text_of(from, (size_t)(to - from));
    size_t digit = text_find(head, TEXT("1.")) + 2;
    struct text rest = text_from(head, digit + 1);
    if (strict->no_directives) {
        return "a directive inside a document; end the one before with ...";
    }
    bool once = text_starts_with(head, TEXT("%YAML")) && rest.size > 0 && is_blank(rest.at[0]) &&
                text_find(text_from(head, 1), TEXT("%")) == head.size - 1;
    if (!once) {
        return "no directive but one %YAML 1.1 or 1.2 is understood; remove it";
    }
    return NULL;
}

static const char *check(struct yaml_strict *strict, const yaml_event_t *event, const char *from,
                         const char *to)
{
    if (strict->gap != NULL && from > strict->gap && has_bad_comment(strict, strict->gap, from)) {
        return comment_words;
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return check_directives(strict, event, from, to);
    case YAML_DOCUMENT_END_EVENT:
        strict->no_directives = event->data.document_end.implicit;
        return NULL;
    case YAML_SCALAR_EVENT:
        return check_text(strict, event, from, to);
    case YAML_SEQUENCE_START_EVENT:
        open_collection(strict, event,
                        event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE, to);
        return NULL;
    case YAML_MAPPING_START_EVENT:
        open_collection(strict, event, event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE,
                        to);
        return NULL;
    default:
        return NULL;
    }
}

const char *yaml_strict_check(struct yaml_strict *strict, const yaml_event_t *event,
                              uint32_t *out_line)
{
    bool closes = event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;
    *out_line = (uint32_t)event->start_mark.line + 1;
    const char *from = place(strict, &event->start_mark);
    const char *wrong = NULL;
    if (from != NULL && in_flow(strict) && !closes && stands_out(strict, from)) {
        wrong = indent_words;
    }
    const char *to = from == NULL ? NULL : place(strict, &event->end_mark);
    if (from != NULL && to != NULL && wrong == NULL) {
        wrong = check(strict, event, from, to);
    }
    if (from == NULL || to == NULL) {
        /* Nothing is known of this place; brackets are still counted. */
        if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT) {
            strict->depth += strict->depth <= DOCUMENT_DEPTH_MAX;
            strict->open[strict->depth - 1].flow = false;
            strict->open[strict->depth - 1].indent = -1;
        }
    }
    strict->depth -= closes && strict->depth > 0;
    if (to != NULL) {
        strict->gap = to;
        strict->gap_line = strict->line;
    }
    return wrong;
}
