/* Field lines, one pass over the bytes. When the section is not complete, the reader keeps the
 * place of the incomplete line and how much of it is known to be well-formed; the next call goes on
 * there, and only when the end has come the fields are collected in one further pass. So bytes that
 * come one by one cost no more than twice what they cost at once. */
#include "http/h1_section.h"

#include "http/bytes.h"

struct section_scan {
    const char *span;
    const char *at;
    const char *end;
    bool clamped; /* end is where the limit is, not where the input is */
    struct h1_section *section;
    enum h1_reason reason;
};

enum h1_result h1_refuse_byte(const char *at, const char *end, enum h1_reason otherwise,
                              enum h1_reason *out_reason)
{
    switch (*at) {
    case '\0':
        *out_reason = H1_NUL_BYTE;
        return H1_REFUSED;
    case '\n':
        *out_reason = H1_BAD_LINE_END;
        return H1_REFUSED;
    case '\r':
        if (at + 1 == end) {
            return H1_MORE;
        }
        *out_reason = at[1] == '\n' ? otherwise : H1_BAD_LINE_END;
        return H1_REFUSED;
    default:
        *out_reason = otherwise;
        return H1_REFUSED;
    }
}

static enum h1_result refuse(struct section_scan *scan, enum h1_reason reason)
{
    scan->reason = reason;
    return H1_REFUSED;
}

/* Out of bytes at `stop`: all before it in the line is well-formed. */
static enum h1_result out_of_bytes(struct section_scan *scan, const char *stop, const char *colon)
{
    if (scan->clamped) {
        return refuse(scan, H1_HEAD_TOO_LARGE);
    }
    scan->section->line = (uint32_t)(scan->at - scan->span);
    scan->section->scanned = (uint32_t)(stop - scan->span);
    scan->section->colon = colon ? (uint32_t)(colon - scan->span) : 0;
    return H1_MORE;
}

static enum h1_result refuse_byte(struct section_scan *scan, const char *at,
                                  enum h1_reason otherwise, const char *colon)
{
    enum h1_result result = h1_refuse_byte(at, scan->end, otherwise, &scan->reason);
    return result == H1_MORE ? out_of_bytes(scan, at, colon) : result;
}

/* Finds the colon behind the name of the line at scan->at. */
static enum h1_result read_name(struct section_scan *scan, const char *from, const char **out_colon)
{
    const char *at = byte_skip_token(from, scan->end);
    if (at == scan->end) {
        return out_of_bytes(scan, at, NULL);
    }
    if (*at == ':' && at != scan->at) {
        *out_colon = at;
        return H1_DONE;
    }
    if (*at == ' ' || *at == '\t') {
        return refuse(scan, at == scan->at ? H1_OBS_FOLD : H1_SPACE_BEFORE_COLON);
    }
    return refuse_byte(scan, at, H1_BAD_FIELD_NAME, NULL);
}

/* Finds the line's CRLF, `from` on. */
static enum h1_result read_value(struct section_scan *scan, const char *colon, const char *from,
                                 const char **out_line_end)
{
    const char *at = byte_skip_value(from, scan->end);
    if (at == scan->end) {
        return out_of_bytes(scan, at, colon);
    }
    if (*at == '\r' && at + 1 != scan->end && at[1] == '\n') {
        *out_line_end = at;
        return H1_DONE;
    }
    return refuse_byte(scan, at, H1_BAD_FIELD_VALUE, colon);
}

static inline void set_field(struct field *field, const char *name, const char *colon,
                             const char *line_end)
{
    const char *value = colon + 1;
    while (value < line_end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (line_end > value && (line_end[-1] == ' ' || line_end[-1] == '\t')) {
        line_end--;
    }
    field->name = text_of(name, (size_t)(colon - name));
    field->value = text_of(value, (size_t)(line_end - value));
    field->id = (uint8_t)field_id_of(field->name);
    field->hop_by_hop = field_is_hop_by_hop((enum field_id)field->id);
}

/* Lines from scan->at to the empty one. `checked` and `colon` tell of the first line how far it is
 * known already, where they are not NULL. */
static enum h1_result read_lines(struct section_scan *scan, const char *checked, const char *colon,
                                 uint16_t fields_max, struct fields *fields, struct h1_seen *seen)
{
    for (;;) {
        scan->section->count = fields->count;
        if (scan->at == scan->end) {
            return out_of_bytes(scan, scan->at, NULL);
        }
        const char *line_end = scan->at;
        if (*scan->at == '\r' && scan->at + 1 != scan->end && scan->at[1] == '\n') {
            scan->at += 2;
            return H1_DONE;
        }
        if (fields->count == fields_max && *scan->at != '\r') {
            return refuse(scan, H1_TOO_MANY_FIELDS);
        }
        enum h1_result result = H1_DONE;
        if (colon == NULL) {
            result = read_name(scan, checked ? checked : scan->at, &colon);
        }
        if (result == H1_DONE) {
            bool in_value = checked != NULL && checked > colon;
            result = read_value(scan, colon, in_value ? checked : colon + 1, &line_end);
        }
        if (result != H1_DONE) {
            return result;
        }
        struct field *field = &fields->items[fields->count++];
        set_field(field, scan->at, colon, line_end);
        uint64_t bit = 1ull << field->id;
        seen->again |= seen->once & bit;
        seen->once |= bit;
        scan->at = line_end + 2;
        checked = colon = NULL;
    }
}

/* The section goes to `size`, or to its limit where that comes first. */
static void scan_init(struct section_scan *scan, struct h1_section *section,
                      const struct h1_limits *limits, const char *span, size_t begin, size_t size)
{
    size_t room = (size_t)limits->head + 2;
    scan->span = span;
    scan->at = span + begin;
    scan->clamped = size - begin > room;
    scan->end = scan->clamped ? span + begin + room : span + size;
    scan->section = section;
    scan->reason = H1_OK;
}

enum h1_result h1_section_read(struct h1_section *section, const struct h1_limits *limits,
                               const char *span, size_t begin, size_t size,
                               struct fields *out_fields, struct h1_seen *out_seen, size_t *out_end,
                               enum h1_reason *out_reason)
{
    struct section_scan scan;
    scan_init(&scan, section, limits, span, begin, size);
    uint16_t fields_max = limits->fields < FIELDS_MAX ? limits->fields : FIELDS_MAX;
    enum h1_result result = H1_DONE;
    out_fields->count = 0;
    *out_seen = (struct h1_seen) { 0, 0 };
    if (section->scanned != 0) {
        /* The lines before were looked at: the fields written here are of no use, their number is.
         */
        out_fields->count = section->count;
        scan.at = span + section->line;
        const char *colon = section->colon != 0 ? span + section->colon : NULL;
        result =
            read_lines(&scan, span + section->scanned, colon, fields_max, out_fields, out_seen);
        scan.at = span + begin;
        out_fields->count = 0;
        *out_seen = (struct h1_seen) { 0, 0 };
    }
    if (result == H1_DONE) {
        result = read_lines(&scan, NULL, NULL, fields_max, out_fields, out_seen);
    }
    *out_end = (size_t)(scan.at - span);
    *out_reason = scan.reason;
    return result;
}
