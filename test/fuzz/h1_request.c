/* Request heads: any cut gives the same result, and a head that was taken is taken again, as the
 * same, when it is written anew. */
#include "target.h"

#include "http/h1.h"

#include <stdlib.h>

static enum h1_result read_cut(const char *span, size_t size, size_t step,
                               struct request_head *head, size_t *out_size,
                               enum h1_reason *out_reason)
{
    struct h1_head_reader reader;
    h1_head_reader_init(&reader);
    enum h1_result result = H1_MORE;
    for (size_t given = step; result == H1_MORE; given += step) {
        size_t now = given < size ? given : size;
        result = h1_read_request(&reader, &h1_default_limits, span, now, head, out_size);
        if (now == size) {
            break;
        }
    }
    *out_reason = result == H1_REFUSED ? reader.reason : H1_OK;
    return result;
}

static void check_taken(const struct request_head *head, const char *span, size_t size)
{
    ensure(head->fields.count <= FIELDS_MAX);
    ensure(head->target.at >= span && head->target.at + head->target.size <= span + size);
    ensure(head->body != BODY_UNTIL_CLOSE);
    ensure(field_name_is_valid(head->method));
    for (unsigned i = 0; i < head->fields.count; i++) {
        ensure(field_name_is_valid(head->fields.items[i].name));
        ensure(field_value_is_valid(head->fields.items[i].value));
    }
}

static void check_again(const struct request_head *head, size_t size)
{
    size_t room = 2 * size + 256;
    char *bytes = malloc(room);
    ensure(bytes != NULL);
    struct h1_writer writer = { .at = bytes, .end = bytes + room };
    h1_write_request_line(&writer, head->method, head->target);
    h1_write_fields(&writer, &head->fields);
    h1_write_framing(&writer, head->body, head->content_length);
    h1_write_end(&writer);
    ensure(!writer.overflow);
    static struct request_head again;
    size_t used;
    enum h1_reason reason;
    size_t written = (size_t)(writer.at - bytes);
    enum h1_result result = read_cut(bytes, written, written, &again, &used, &reason);
    ensure(result == H1_DONE || head->version == HTTP_1_0 || reason == H1_REQUEST_LINE_TOO_LONG ||
           reason == H1_HEAD_TOO_LARGE || reason == H1_TOO_MANY_FIELDS);
    if (result == H1_DONE) {
        ensure(used == written && text_equal(again.method, head->method));
        ensure(text_equal(again.path, head->path) && text_equal(again.host, head->host));
        ensure(again.body == head->body && again.content_length == head->content_length);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request_head whole;
    static struct request_head parts;
    const char *span = (const char *)data;
    size_t whole_size = 0;
    size_t parts_size = 0;
    enum h1_reason whole_reason;
    enum h1_reason parts_reason;
    if (size == 0) {
        return 0;
    }
    enum h1_result result = read_cut(span, size, size, &whole, &whole_size, &whole_reason);
    size_t step = size < 4096 ? 1 : 1 + data[size - 1] % 97;
    ensure(read_cut(span, size, step, &parts, &parts_size, &parts_reason) == result);
    ensure(parts_reason == whole_reason);
    if (result == H1_REFUSED) {
        ensure(h1_reason_status(whole_reason) >= 400 && h1_reason_name(whole_reason)[0] != '\0');
    }
    if (result == H1_DONE) {
        ensure(whole_size == parts_size && whole_size <= size);
        ensure(parts.fields.count == whole.fields.count && parts.body == whole.body);
        check_taken(&whole, span, size);
        check_again(&whole, whole_size);
    }
    return 0;
}
