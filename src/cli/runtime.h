/* One running process of `weft run`: main loop, control plane, data plane, admin, signals. */
#pragma once

#include "base/metric.h"
#include "cli/control_plane.h"
#include "cli/data_plane.h"
#include "cli/options.h"
#include "cli/parent_link.h"
#include "observe/access_log.h"
#include "observe/admin_server.h"
#include "observe/process.h"
#include "xds/ads_pipe.h"

enum runtime_state { RUNTIME_STARTING, RUNTIME_SERVING, RUNTIME_DRAINING };

struct runtime {
    struct run_options options;
    struct loop *loop;
    struct parent_link link;
    struct metrics *metrics;
    struct process_metrics process;
    struct ring *access_rings[WORKERS_MAX];
    unsigned worker_count;
    struct access_log *access_log;
    struct control_plane control;
    struct data_plane data;
    struct ads_pipe *pipe;
    struct admin *admin;
    struct admin_server *admin_server;
    struct watch signals;
    struct timer drain_timer; /* delay, then looks every 20 ms whether all is done */
    struct timer upkeep;      /* metrics expiry, memory trim */
    uint64_t drain_deadline_ms;

enum runtime_state state;
    bool accepting_stopped;
    bool yielded; /* to a successor that serves the same sockets */
    bool announced;
    uint64_t started_ns;
};

/* Adds the pages of control and data plane. */
void admin_pages_register(struct runtime *runtime);
