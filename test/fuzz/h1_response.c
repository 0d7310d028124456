/* Response heads, the first byte choosing the method they answer: any cut gives the same result,
 * and the framing of what was taken is one of those RFC 9112 6.3 allows. */
#include "target.h"

#include "http/h1.h"

static enum h1_result read_cut(enum http_method method, const char *span, size_t size, size_t step,
                               struct response_head *head, size_t *out_size,
                               enum h1_reason *out_reason)
{
    struct h1_head_reader reader;
    h1_head_reader_init(&reader);
    enum h1_result result = H1_MORE;
    for (size_t given = step; result == H1_MORE; given += step) {
        size_t now = given < size ? given : size;
        result = h1_read_response(&reader, &h1_default_limits, method, span, now, head, out_size);
        if (now == size) {
            break;
        }
    }
    *out_reason = result == H1_REFUSED ? reader.reason : H1_OK;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = { METHOD_GET, METHOD_HEAD, METHOD_POST,
                                                METHOD_OTHER };
    static struct response_head whole;
    static struct response_head parts;
    if (size < 2) {
        return 0;
    }
    enum http_method method = methods[data[0] % 4];
    const char *span = (const char *)data + 1;
    size--;
    size_t whole_size = 0;
    size_t parts_size = 0;
    enum h1_reason whole_reason;
    enum h1_reason parts_reason;
    enum h1_result result = read_cut(method, span, size, size, &whole, &whole_size, &whole_reason);
    size_t step = size < 4096 ? 1 : 1 + data[size] % 97;
    ensure(read_cut(method, span, size, step, &parts, &parts_size, &parts_reason) == result);
    ensure(parts_reason == whole_reason);
    if (result == H1_DONE) {
        ensure(whole_size == parts_size && whole_size <= size);
        ensure(whole.body == parts.body && whole.content_length == parts.content_length);
        ensure(whole.status >= 100 && whole.status <= 999);
        if (method == METHOD_HEAD || whole.status < 200 || whole.status == 204 ||
            whole.status == 304) {
            ensure(whole.body == BODY_NONE);
        }
    }
    return 0;
}
