/* Heads of both kinds at many cuts, each piece in memory of exactly its size, under the default
 * limits and under small ones; the first byte chooses. Cheaper targets look at what a head means.
 */
#include "target.h"

#include "http/h1_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h1_limits small = { .request_line = 40, .head = 60, .fields = 3 };
    if (size < 2) {
        return 0;
    }
    enum split_kind kind = data[0] & 1 ? SPLIT_RESPONSE : SPLIT_REQUEST;
    const struct h1_limits *limits = data[0] & 2 ? &small : &h1_default_limits;
    split_check(kind, limits, (const char *)data + 1, size - 1, size / 16 + 1);
    return 0;
}
