/* Chunked bodies with their trailers at many cuts: the same payload, fields, place and reason. */
#include "target.h"

#include "http/h1_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h1_limits small = { .request_line = 40, .head = 30, .fields = 2 };
    if (size == 0) {
        return 0;
    }
    split_check(SPLIT_CHUNKED, &h1_default_limits, (const char *)data, size, size / 16 + 1);
    split_check(SPLIT_CHUNKED, &small, (const char *)data, size, size / 4 + 1);
    return 0;
}
