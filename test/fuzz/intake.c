/* Files of the operator, the first byte choosing YAML or JSON: reading never fails without a
 * finding, and reading the same again takes over what did not change. */
#include "target.h"

#include "control/intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    enum document_format format = data[0] % 2 == 0 ? FORMAT_YAML : FORMAT_JSON;
    struct text bytes = input_text(data + 1, size - 1);
    struct intake *first = intake_read(TEXT("a.yaml"), bytes, format, NULL);
    ensure(!first->failed || first->findings.array.count > 0);
    for (size_t i = 0; i < first->entries.count; i++) {
        ensure(first->entries.items[i].key.size > 0);
        ensure(first->entries.items[i].object != NULL || first->findings.array.count > 0);
    }
    struct intake *second = intake_read(TEXT("a.yaml"), bytes, format, first);
    ensure(second->failed == first->failed && second->entries.count == first->entries.count);
    intake_free(first);
    intake_free(second);
    return 0;
}
