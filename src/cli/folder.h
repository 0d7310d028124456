/* A folder looked at without running: objects, findings, graph, resources and the proxy's own plan
 * of them. For `weft check`, `explain` and `xds dump`. */
#pragma once

#include "cli/control_plane.h"
#include "cli/options.h"

struct compiler;
struct plan;

struct folder {
    struct loop *loop;
    struct run_options options;
    struct control_plane control;
    struct compiler *compiler;
    struct plan *plan;
    size_t refused; /* resources the proxy would refuse */
};

/* options.paths say what to read. False: nothing could be read at all. */
bool folder_open(struct folder *folder, const struct run_options *options, struct error *error);
void folder_close(struct folder *folder);
