/* Resources as they come from a control plane, the first byte choosing the type: whatever decodes
 * can be inspected and written as JSON, and both ways of asking for violations agree. */
#include "target.h"

#include "xds/inspect.h"
#include "xds/json.h"
#include "xds/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text types[] = { TYPE_LISTENER, TYPE_ROUTES, TYPE_CLUSTER, TYPE_ENDPOINTS };
    if (size == 0) {
        return 0;
    }
    struct arena arena;
    struct error error;
    ProtobufCMessage *message;
    arena_init(&arena);
    if (xds_decode(types[data[0] % 4], input_text(data + 1, size - 1), &arena, &message, &error)) {
        struct inspect_events none = { 0 };
        struct buffer json;
        buffer_init(&json);
        size_t wrong = inspect_message(message, &arena, &none);
        ensure(inspect_or_refuse(message, &arena, NULL, &error) == (wrong == 0));
        json_write_message(message, &arena, &json);
        ensure(json.size >= 2);
        buffer_fini(&json);
    }
    arena_fini(&arena);
    return 0;
}
