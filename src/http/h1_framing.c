/* The rules over a whole head. Whatever two readers could take for different things is refused. */
#include "http/h1_framing.h"

#include "http/bytes.h"
#include "http/uri.h"

#define CONNECTION_OPTIONS_MAX 32
#define LENGTH_MAX             INT64_MAX

struct connection_options {
    bool close;
    bool keep_alive;
    bool upgrade;
    unsigned count;
};

/* A field that Connection names goes no further, unless taking it away would change what a message
 * means or who is said to have sent it. */
static bool mark_named(struct fields *fields, struct text name)
{
    enum field_id id = field_id_of(name);
    if (id == FIELD_HOST || id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING) {
        return false;
    }
    if (id != FIELD_OTHER || field_is_set_by_proxy(name)) {
        return true;
    }
    for (size_t i = 0; i < fields->count; i++) {
        struct field *field = &fields->items[i];
        if (field->id == FIELD_OTHER && text_equal_nocase(field->name, name)) {
            field->hop_by_hop = true;
        }
    }
    return true;
}

/* One list of options; empty elements count towards the limit (RFC 9110 5.6.1.2). */
static bool read_options(struct text list, struct fields *fields, struct connection_options *out)
{
    struct text option;
    while (text_split(&list, ',', &option)) {
        option = text_trim(option);
        if (++out->count > CONNECTION_OPTIONS_MAX) {
            return false;
        }
        if (option.size == 0) {
            continue;
        }
        if (!field_name_is_valid(option)) {
            return false;
        }
        if (text_equal_nocase(option, TEXT("close"))) {
            out->close = true;
        } else if (text_equal_nocase(option, TEXT("keep-alive"))) {
            out->keep_alive = true;
        } else if (text_equal_nocase(option, TEXT("upgrade"))) {
            out->upgrade = true;
        } else if (!mark_named(fields, option)) {
            return false;
        }
    }
    return true;
}

static bool read_connection(struct fields *fields, struct h1_seen seen,
                            struct connection_options *out)
{
    *out = (struct connection_options) { 0 };
    if (!h1_seen_has(seen.once, FIELD_CONNECTION)) {
        return true;
    }
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id == FIELD_CONNECTION &&
            !read_options(fields->items[i].value, fields, out)) {
            return false;
        }
    }
    return true;
}

static bool keeps_alive(enum http_version version, const struct connection_options *options)
{
    return !options->close && (version != HTTP_1_0 || options->keep_alive);
}

/* A protocol to change to is named, in a Connection that means it. */
static bool has_upgrade(const struct fields *fields, struct h1_seen seen, enum http_version version,
                        const struct connection_options *options)
{
    if (!options->upgrade || version == HTTP_1_0 || !h1_seen_has(seen.once, FIELD_UPGRADE)) {
        return false;
    }
    return fields_find(fields, FIELD_UPGRADE)->value.size > 0;
}

/* The body's length as the fields give it, by whatever message: BODY_UNTIL_CLOSE where they are
 * silent. */
static enum h1_reason read_length(const struct fields *fields, struct h1_seen seen,
                                  enum http_version version, enum body_kind *out_body,
                                  uint64_t *out_length)
{
    bool length = h1_seen_has(seen.once, FIELD_CONTENT_LENGTH);
    bool encoding = h1_seen_has(seen.once, FIELD_TRANSFER_ENCODING);
    *out_body = BODY_UNTIL_CLOSE;
    *out_length = 0;
    if (length && encoding) {
        return H1_LENGTH_AND_ENCODING;
    }
    if (encoding) {
        if (version == HTTP_1_0) {
            return H1_ENCODING_IN_1_0;
        }
        const struct field *field = fields_find(fields, FIELD_TRANSFER_ENCODING);
        if (h1_seen_has(seen.again, FIELD_TRANSFER_ENCODING) ||
            !text_equal_nocase(field->value, TEXT("chunked"))) {
            return H1_BAD_ENCODING;
        }
        *out_body = BODY_CHUNKED;
    }
    if (length) {
        if (h1_seen_has(seen.again, FIELD_CONTENT_LENGTH)) {
            return H1_SEVERAL_LENGTHS;
        }
        const struct field *field = fields_find(fields, FIELD_CONTENT_LENGTH);
        if (!text_parse_u64(field->value, LENGTH_MAX, out_length)) {
            return H1_BAD_LENGTH;
        }
        *out_body = BODY_LENGTH;
    }
    return H1_OK;
}

static bool same_port(uint32_t a, uint32_t b, struct text scheme)
{
    uint32_t by_scheme = text_equal_nocase(scheme, TEXT("https")) ? 443 : 80;
    return (a ? a : by_scheme) == (b ? b : by_scheme);
}

static enum h1_reason read_host(struct request_head *head, struct h1_seen seen)
{
    if (!h1_seen_has(seen.once, FIELD_HOST)) {
        return head->version == HTTP_1_0 ? H1_OK : H1_MISSING_HOST;
    }
    if (h1_seen_has(seen.again, FIELD_HOST)) {
        return H1_SEVERAL_HOSTS;
    }
    struct text authority = fields_find(&head->fields, FIELD_HOST)->value, host;
    uint32_t port;
    if (!authority_parse(authority, &host, &port)) {
        return H1_BAD_HOST;
    }
    if (head->form == TARGET_ABSOLUTE || head->form == TARGET_AUTHORITY) {
        bool same = text_equal_nocase(host, head->host);
        if (head->form == TARGET_ABSOLUTE) {
            same = same && same_port(port, head->port, head->scheme);
        } else {
            same = same && (port == 0 || port == head->port);
        }
        return same ? H1_OK : H1_HOST_MISMATCH;
    }
    head->authority = authority;
    head->host = host;
    head->port = port;
    return H1_OK;
}

static enum h1_reason read_expect(struct request_head *head, struct h1_seen seen)
{
    head->expect_continue = false;
    if (!h1_seen_has(seen.once, FIELD_EXPECT)) {
        return H1_OK;
    }
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct field *field = &head->fields.items[i];
        if (field->id == FIELD_EXPECT && !text_equal_nocase(field->value, TEXT("100-continue"))) {
            return H1_BAD_EXPECT;
        }
    }
    bool body = head->body == BODY_CHUNKED || head->content_length > 0;
    head->expect_continue = body && head->version != HTTP_1_0;
    return H1_OK;
}

enum h1_reason h1_frame_request(struct request_head *head, struct h1_seen seen)
{
    enum h1_reason reason =
        read_length(&head->fields, seen, head->version, &head->body, &head->content_length);
    if (reason != H1_OK) {
        return reason;
    }
    if (head->body == BODY_UNTIL_CLOSE) {
        head->body = BODY_NONE;
    }
    reason = read_host(head, seen);
    if (reason != H1_OK) {
        return reason;
    }
    struct connection_options options;
    if (!read_connection(&head->fields, seen, &options)) {
        return H1_BAD_CONNECTION;
    }
    head->keep_alive = keeps_alive(head->version, &options);
    head->upgrade = has_upgrade(&head->fields, seen, head->version, &options);
    return read_expect(head, seen);
}

/* 1xx and 204 end with their head; saying anything else is what splits responses (RFC
 * 9112 6.1, 6.2). Content-Length: 0 in them is common and says the same. */
static enum h1_reason frame_bodiless(struct response_head *head)
{
    if (head->body == BODY_CHUNKED) {
        return H1_BAD_ENCODING;
    }
    return head->has_length && head->content_length != 0 ? H1_BAD_LENGTH : H1_OK;
}

enum h1_reason h1_frame_response(struct response_head *head, enum http_method request_method,
                                 struct h1_seen seen)
{
    enum h1_reason reason =
        read_length(&head->fields, seen, head->version, &head->body, &head->content_length);
    if (reason != H1_OK) {
        return reason;
    }
    head->has_length = head->body == BODY_LENGTH;
    bool ends_with_head = head->status < 200 || head->status == 204;
    if (ends_with_head && (reason = frame_bodiless(head)) != H1_OK) {
        return reason;
    }
    bool tunnel = request_method == METHOD_CONNECT && head->status / 100 == 2;
    if (ends_with_head || head->status == 304 || request_method == METHOD_HEAD || tunnel) {
        head->body = BODY_NONE;
    }
    struct connection_options options;
    if (!read_connection(&head->fields, seen, &options)) {
        return H1_BAD_CONNECTION;
    }
    head->keep_alive = keeps_alive(head->version, &options) && head->body != BODY_UNTIL_CLOSE;
    head->upgrade =
        head->status == 101 && has_upgrade(&head->fields, seen, head->version, &options);
    return H1_OK;
}
