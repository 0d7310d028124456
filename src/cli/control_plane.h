/* The control half of a process: sources -> store -> graph -> xDS -> ADS server, and back: what
 * proxies acknowledge becomes status. Main thread. */
#pragma once

#include "cli/options.h"
#include "base/buffer.h"
#include "net/loop.h"
#include "xds/ads_server.h"

struct file_source;
struct finding_list;
struct graph;
struct graph_options;
struct store;
struct translator;

struct control_plane {
    struct loop *loop;
    const struct run_options *options;
    struct store *store;
    struct file_source *files;
    void *owner;
    void (*on_change)(void *owner);
    struct graph *graph; /* of the last commit; NULL before the first */
    struct translator *translator;
    struct ads_server *server;
    struct finding_list *findings; /* about what is in force now, sorted */
    uint64_t builds;
    uint64_t build_ns; /* of the last one */
};

void control_plane_init(struct control_plane *plane, struct loop *loop,
                        const struct run_options *options);
void control_plane_fini(struct control_plane *plane);
/* Reads the files the options name, judges, translates and offers. True where resources changed. */
bool control_plane_load(struct control_plane *plane);
/* Follows the files from now on; on_change comes after each evaluation. */
bool control_plane_watch(struct control_plane *plane, void *owner, void (*on_change)(void *owner),
                         struct error *error);
/* What is in force stays as it is from now on: for a process that drains while its successor
 * follows the same files, and would tell every finding a second time. */
void control_plane_leave(struct control_plane *plane);
/* Looks at the files now. */
void control_plane_rescan(struct control_plane *plane);
/* "file:line" of a key of an xDS resource, route or backend; for explain's find_origin. */
size_t control_plane_find_origin(void *control_plane, struct text key, char *into, size_t size);
/* form: "json", "yaml" or "table". False before the first commit. */
bool control_plane_write_status(const struct control_plane *plane, struct text form,
                                struct buffer *out);
/* As lines, or as a JSON array. */
void control_plane_write_findings(const struct control_plane *plane, bool json,
                                  struct buffer *out);
size_t control_plane_error_count(const struct control_plane *plane);
