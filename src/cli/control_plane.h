/* The control half of a process: sources -> store -> graph -> xDS -> ADS server, and back: what
 * proxies acknowledge becomes status. Main thread. */
#pragma once

#include "cli/options.h"
#include "control/gateway/graph.h"
#include "control/store.h"
#include "control/translate/translate.h"
#include "net/loop.h"
#include "xds/ads_server.h"

struct control_plane {
    struct loop *loop;
    const struct run_options *options;
    struct store *store;
    struct graph *graph; /* of the last commit; NULL before the first */
    struct translator *translator;
    struct ads_server *server;
    struct finding_list findings; /* about what is in force now, sorted */
    struct graph_port_map port_map[OPTION_PORTS_MAX];
    uint64_t builds;
    uint64_t build_ns; /* of the last one */
};

void control_plane_init(struct control_plane *plane, struct loop *loop,
                        const struct run_options *options);
void control_plane_fini(struct control_plane *plane);
/* The store was changed: commits, judges, translates and offers. Findings that are new are logged.
 * True where resources changed. */
bool control_plane_commit(struct control_plane *plane);
/* The options of the graph, from those of the command. */
struct graph_options control_plane_graph_options(struct control_plane *plane);
