/* Reading, judging, translating and compiling without opening a port. */
#include "cli/folder.h"

#include "base/log.h"
#include "proxy/compile.h"

#include <stdio.h>
#include <stdlib.h>

static void on_resource(void *owner, const struct ads_snapshot_resource *resource)
{
    struct folder *folder = owner;
    struct error error;
    if (!compiler_set(folder->compiler, resource->type_url, resource->name, resource->bytes,
                      &error)) {
        char origin[512];
        size_t size = control_plane_find_origin(&folder->control, resource->name, origin,
                                                sizeof(origin));
        fprintf(stderr, "%.*s: the proxy refuses %.*s: %s\n", (int)size, origin,
                TEXT_ARG(resource->name), error.text);
        folder->refused++;
    }
}

bool folder_open(struct folder *folder, const struct run_options *options, struct error *error)
{
    *folder = (struct folder){ .options = *options };
    folder->loop = loop_new(error);
    if (folder->loop == NULL) {
        return false;
    }
    log_set_level(LOG_LEVELS); /* findings are shown by the command, not logged */
    control_plane_init(&folder->control, folder->loop, &folder->options);
    folder->compiler = compiler_new();
    control_plane_load(&folder->control);
    ads_server_each(folder->control.server, folder, on_resource);
    folder->plan = compiler_build(folder->compiler);
    return true;
}

void folder_close(struct folder *folder)
{
    if (folder->plan) {
        plan_unref(folder->plan);
    }
    compiler_free(folder->compiler);
    control_plane_fini(&folder->control);
    loop_free(folder->loop);
}
