/* Configuration on the wire, the first byte choosing the type: what the guard lets through decodes,
 * and what was decoded packs to bytes that decode to the same again. */
#include "target.h"

#include "xds/guard.h"
#include "xds/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count;
    const ProtobufCMessageDescriptor *const *types = registry_all(&count);
    if (size < 1) {
        return 0;
    }
    const ProtobufCMessageDescriptor *type = types[data[0] % count];
    struct text bytes = input_text(data + 1, size - 1);
    struct error error = { .text = "" };
    struct arena arena;
    arena_init(&arena);
    ProtobufCMessage *message = NULL;
    if (xds_decode_as(type, bytes, &arena, &message, &error)) {
        struct buffer once;
        struct buffer twice;
        buffer_init(&once);
        buffer_init(&twice);
        xds_pack(message, &once);
        ensure(xds_decode_as(type, buffer_text(&once), &arena, &message, &error));
        xds_pack(message, &twice);
        ensure(text_equal(buffer_text(&once), buffer_text(&twice)));
        buffer_fini(&once);
        buffer_fini(&twice);
    } else {
        ensure(error.text[0] != '\0');
    }
    arena_fini(&arena);
    return 0;
}
