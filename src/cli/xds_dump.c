/* Writing the committed resources of an ADS server as JSON. */
#include "cli/xds_dump.h"

#include "xds/json.h"
#include "xds/message.h"

struct dump {
    struct buffer *out;
    bool first;
};

static void on_resource(void *owner, const struct ads_snapshot_resource *resource)
{
    struct dump *dump = owner;
    struct arena arena;
    ProtobufCMessage *message;
    struct error error;
    arena_init(&arena);
    buffer_format(dump->out, "%s{\n\"type_url\": \"%.*s\",\n\"name\": \"%.*s\",\n",
                  dump->first ? "[" : ",\n", TEXT_ARG(resource->type_url),
                  TEXT_ARG(resource->name));
    buffer_format(dump->out, "\"version\": \"%.*s\",\n\"resource\": ",
                  TEXT_ARG(resource->version));
    if (xds_decode(resource->type_url, resource->bytes, &arena, &message, &error)) {
        json_write_message(message, &arena, dump->out);
    } else {
        buffer_append(dump->out, TEXT("null"));
    }
    buffer_append(dump->out, TEXT("\n}"));
    dump->first = false;
    arena_fini(&arena);
}

void xds_dump_write(const struct ads_server *server, struct buffer *out)
{
    struct dump dump = { out, true };
    ads_server_each(server, &dump, on_resource);
    buffer_append(out, dump.first ? TEXT("[]\n") : TEXT("]\n"));
}
