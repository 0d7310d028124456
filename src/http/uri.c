/* Hosts, paths and queries, normalized once and strictly. A path that two servers could read as two
 * different paths is refused here, before any rule looks at it (RFC 3986 sections 5.2.4, 6.2.2). */
#include "http/uri.h"

#include "http/bytes.h"

#include <arpa/inet.h>

struct path_writer {
    const struct path_rules *rules;
    const char *at; /* input */
    const char *end;
    char *into;
    size_t size;       /* written so far */
    size_t part;       /* in `into`: begin of what lies between '/' and what some take for it */
    bool split;        /* the segment has such a look-alike of '/' */
    bool in_parameter; /* behind ';' within the part */
};

static bool is_dots(const char *at, size_t size)
{
    return (size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.');
}

static bool part_is_dots(const struct path_writer *path)
{
    return !path->in_parameter && is_dots(path->into + path->part, path->size - path->part);
}

static void put(struct path_writer *path, char byte)
{
    path->into[path->size++] = byte;
}

static void put_escape(struct path_writer *path, unsigned value)
{
    static const char digits[] = "0123456789ABCDEF";
    put(path, '%');
    put(path, digits[value >> 4]);
    put(path, digits[value & 15]);
}

/* A look-alike of '/': fine where the rules keep it, unless it would make a dot segment. */
static enum path_result put_slash(struct path_writer *path, char slash, bool escaped)
{
    enum path_slashes rule = slash == '/' ? path->rules->encoded_slash : path->rules->backslash;
    if (rule == PATH_REFUSE || part_is_dots(path)) {
        return slash == '/' ? PATH_REFUSED_SLASH : PATH_REFUSED_BACKSLASH;
    }
    if (escaped) {
        put_escape(path, (unsigned char)slash);
    } else {
        put(path, slash);
    }
    path->part = path->size;
    path->split = true;
    path->in_parameter = false;
    return PATH_SAME;
}

static enum path_result put_parameter(struct path_writer *path, bool escaped)
{
    if (path->rules->parameters == PATH_REFUSE || part_is_dots(path)) {
        return PATH_REFUSED_PARAMETER;
    }
    if (escaped) {
        put_escape(path, ';');
    } else {
        put(path, ';');
    }
    path->in_parameter = true;
    return PATH_SAME;
}

/* The value of the escape at `at`, or -1. */
static int escape_value(const char *at, const char *end)
{
    if (end - at < 3 || at[0] != '%') {
        return -1;
    }
    int high = byte_hex(at[1]), low = byte_hex(at[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* An ASCII or shorter character in more bytes than it needs (C0 AF for '/'): valid UTF-8 never has
 * it, and a lax decoder turns it into what the rules look for. */
static bool is_overlong(const struct path_writer *path, unsigned lead)
{
    int next = escape_value(path->at + 3, path->end);
    if (next < 0x80 || next > 0xbf) {
        return false;
    }
    /* The lead byte, and below which second byte it is overlong; the last two left UTF-8 in 2003.
     */
    static const unsigned char longest[][2] = { { 0xc0, 0xc0 }, { 0xc1, 0xc0 }, { 0xe0, 0xa0 },
                                                { 0xf0, 0x90 }, { 0xf8, 0x88 }, { 0xfc, 0x84 } };
    for (size_t i = 0; i < sizeof(longest) / sizeof(longest[0]); i++) {
        if (lead == longest[i][0]) {
            return next < longest[i][1];
        }
    }
    return false;
}

static enum path_result put_escaped(struct path_writer *path)
{
    int value = escape_value(path->at, path->end);
    if (value < 0x20 || value == 0x7f || is_overlong(path, (unsigned)value)) {
        return PATH_BAD_ESCAPE;
    }
    path->at += 3;
    if (value == '/' || value == '\\') {
        return put_slash(path, (char)value, true);
    }
    if (value == ';') {
        return put_parameter(path, true);
    }
    if (byte_is((char)value, BYTE_UNRESERVED)) {
        put(path, (char)value);
    } else {
        put_escape(path, (unsigned)value);
    }
    return PATH_SAME;
}

/* Copies one segment, from behind its '/' to the next. */
static enum path_result put_segment(struct path_writer *path)
{
    path->part = path->size;
    path->split = path->in_parameter = false;
    while (path->at < path->end && *path->at != '/') {
        enum path_result result = PATH_SAME;
        char byte = *path->at;
        if (byte_is(byte, BYTE_PLAIN_PATH)) {
            put(path, byte);
            path->at++;
        } else if (byte == '%') {
            result = put_escaped(path);
        } else if (byte == '\\') {
            path->at++;
            result = put_slash(path, '\\', false);
        } else if (byte == ';') {
            path->at++;
            result = put_parameter(path, false);
        } else {
            return PATH_BAD_BYTE;
        }
        if (result != PATH_SAME) {
            return result;
        }
    }
    return path->split && part_is_dots(path) ? PATH_REFUSED_SLASH : PATH_SAME;
}

/* Takes the last "/segment" away for "..". */
static enum path_result pop_segment(struct path_writer *path)
{
    if (path->size == 0) {
        return PATH_ABOVE_ROOT;
    }
    size_t slash = path->size - 1;
    while (path->into[slash] != '/') {
        slash--;
    }
    if (slash + 1 == path->size) {
        return PATH_REFUSED_DOUBLE_SLASH;
    }
    path->size = slash;
    return PATH_SAME;
}

/* Decides on the segment just written at `begin` (its '/'): stays, or goes. */
static enum path_result settle_segment(struct path_writer *path, size_t begin)
{
    const char *segment = path->into + begin + 1;
    size_t size = path->size - begin - 1;
    bool last = path->at == path->end;
    if (size == 0 && !last) {
        if (path->rules->merge_slashes) {
            path->size = begin;
            return PATH_SAME;
        }
        return path->rules->double_slash == PATH_REFUSE ? PATH_REFUSED_DOUBLE_SLASH : PATH_SAME;
    }
    if (!is_dots(segment, size)) {
        return PATH_SAME;
    }
    path->size = begin;
    enum path_result result = size == 2 ? pop_segment(path) : PATH_SAME;
    if (result == PATH_SAME && last) {
        put(path, '/');
    }
    return result;
}

/* Nothing in it that normalizing would look at: most paths. */
static bool is_normal(struct text path)
{
    const char *at = path.at + 1, *end = path.at + path.size;
    char before = '/';
    for (; at < end; at++) {
        if (before == '/' && (*at == '/' || *at == '.')) {
            return false;
        }
        if (!byte_is(*at, BYTE_PLAIN_PATH) && *at != '/') {
            return false;
        }
        before = *at;
    }
    return true;
}

enum path_result path_normalize(struct text path, const struct path_rules *rules, char *into,
                                struct text *out_path)
{
    *out_path = path;
    if (text_equal(path, TEXT("*"))) {
        return PATH_SAME;
    }
    if (path.size == 0 || path.at[0] != '/') {
        return PATH_BAD_BYTE;
    }
    if (is_normal(path)) {
        return PATH_SAME;
    }
    struct path_writer writer = {
        .rules = rules, .at = path.at, .end = path.at + path.size, .into = into
    };
    while (writer.at < writer.end) {
        size_t begin = writer.size;
        put(&writer, *writer.at++);
        enum path_result result = put_segment(&writer);
        if (result == PATH_SAME) {
            result = settle_segment(&writer, begin);
        }
        if (result != PATH_SAME) {
            return result;
        }
    }
    if (writer.size == path.size && memcmp(into, path.at, path.size) == 0) {
        return PATH_SAME;
    }
    *out_path = text_of(into, writer.size);
    return PATH_CHANGED;
}

/* The size of what begins a parameter at `at`, or 0. */
static size_t parameter_mark(const char *at, const char *end)
{
    return *at == ';' ? 1 : escape_value(at, end) == ';' ? 3 : 0;
}

struct text path_without_parameters(struct text path, bool to_end, char *into)
{
    const char *at = path.at, *end = path.at + path.size;
    size_t size = 0;
    while (at < end) {
        if (*at == '/' && size > 0 && into[size - 1] == '/') {
            at++;
        } else if (parameter_mark(at, end) == 0) {
            into[size++] = *at++;
        } else {
            const char *slash = to_end ? NULL : memchr(at, '/', (size_t)(end - at));
            at = slash ? slash : end;
        }
    }
    if (size == 0) {
        into[size++] = '/';
    }
    return text_of(into, size);
}

const char *path_result_name(enum path_result result)
{
    switch (result) {
    case PATH_SAME:
        return "same";
    case PATH_CHANGED:
        return "changed";
    case PATH_BAD_ESCAPE:
        return "bad_escape";
    case PATH_REFUSED_SLASH:
        return "encoded_slash";
    case PATH_REFUSED_BACKSLASH:
        return "backslash";
    case PATH_REFUSED_DOUBLE_SLASH:
        return "double_slash";
    case PATH_REFUSED_PARAMETER:
        return "path_parameter";
    case PATH_BAD_BYTE:
        return "bad_path_byte";
    case PATH_ABOVE_ROOT:
        return "above_root";
    }
    return "unknown";
}

#define HOST_MAX 253

static bool is_name(struct text host)
{
    if (host.size > 0 && host.at[host.size - 1] == '.') {
        host.size--;
    }
    if (host.size == 0 || host.size > HOST_MAX) {
        return false;
    }
    char before = '.';
    for (size_t i = 0; i < host.size; i++) {
        if (!byte_is(host.at[i], BYTE_HOST) || (host.at[i] == '.' && before == '.')) {
            return false;
        }
        before = host.at[i];
    }
    return before != '.';
}

/* "[::1]", without a zone. */
static bool is_ip_literal(struct text host)
{
    char inside[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    if (host.size < 4 || host.size - 2 >= sizeof(inside)) {
        return false;
    }
    memcpy(inside, host.at + 1, host.size - 2);
    inside[host.size - 2] = '\0';
    return memchr(inside, '\0', host.size - 2) == NULL &&
           inet_pton(AF_INET6, inside, &ignored) == 1;
}

bool authority_parse(struct text authority, struct text *out_host, uint32_t *out_port)
{
    bool literal = authority.size > 0 && authority.at[0] == '[';
    size_t host_size = text_find_byte(authority, literal ? ']' : ':');
    if (literal) {
        if (host_size == authority.size) {
            return false;
        }
        host_size++;
    }
    struct text host = text_first(authority, host_size);
    struct text rest = text_from(authority, host_size);
    uint64_t port = 0;
    if (rest.size > 0) {
        struct text digits = text_from(rest, 1);
        if (rest.at[0] != ':' || digits.size == 0 || digits.at[0] == '0' ||
            !text_parse_u64(digits, UINT16_MAX, &port)) {
            return false;
        }
    }
    if (literal ? !is_ip_literal(host) : !is_name(host)) {
        return false;
    }
    *out_host = host;
    *out_port = (uint32_t)port;
    return true;
}

struct text host_fold(struct text host, char *into)
{
    if (host.size > 1 && host.at[host.size - 1] == '.') {
        host.size--;
    }
    for (size_t i = 0; i < host.size; i++) {
        into[i] = text_lower_byte(host.at[i]);
    }
    return text_of(into, host.size);
}

bool query_next(struct text *rest, struct text *out_name, struct text *out_value)
{
    struct text pair;
    while (text_split(rest, '&', &pair)) {
        if (pair.size == 0) {
            continue;
        }
        size_t equals = text_find_byte(pair, '=');
        *out_name = text_first(pair, equals);
        *out_value = text_from(pair, equals + 1);
        return true;
    }
    return false;
}

bool query_decode(struct text t, char *into, struct text *out)
{
    const char *at = t.at, *end = t.at + t.size;
    size_t size = 0;
    while (at < end) {
        if (*at != '%') {
            into[size++] = *at == '+' ? ' ' : *at;
            at++;
            continue;
        }
        int value = escape_value(at, end);
        if (value < 0) {
            return false;
        }
        into[size++] = (char)value;
        at += 3;
    }
    *out = text_of(into, size);
    return true;
}
