/* From objects to xDS resources, and from acknowledgements to status. */
#include "cli/control_plane.h"

#include "base/clock.h"
#include "base/ensure.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "control/gateway/graph.h"
#include "control/gateway/status.h"
#include "control/source/files.h"
#include "control/store.h"
#include "control/translate/translate.h"
#include "net/listener.h"
#include "xds/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_ack(void *owner, struct ads_stream *stream, struct text type_url, struct text name,
                   struct text version)
{
    struct control_plane *plane = owner;
    if (plane->graph && version.size > 0 && text_equal(type_url, TYPE_LISTENER)) {
        graph_set_listener_state(plane->graph, name, LISTENER_BOUND, TEXT(""));
    }
}

static void on_nack(void *owner, struct ads_stream *stream, struct text type_url, struct text name,
                    struct text version, struct text reason)
{
    struct control_plane *plane = owner;
    struct place place = { 0 };
    if (plane->graph == NULL) {
        return;
    }
    graph_find_origin(plane->graph, name, &place);
    log_error("xds", "refused by the proxy: %.*s (%.*s:%u): %.*s", TEXT_ARG(name),
              TEXT_ARG(place.file), place.line, TEXT_ARG(reason));
    if (text_equal(type_url, TYPE_LISTENER)) {
        bool unusable = text_find(reason, TEXT(LISTEN_NO_SUCH_ADDRESS)) < reason.size;
        graph_set_listener_state(plane->graph, name,
                                 unusable ? LISTENER_ADDRESS_UNUSABLE : LISTENER_FAILED, reason);
    }
}

static struct text_list list_of(struct text *items, unsigned count)
{
    return (struct text_list){ items, count };
}

static struct graph_options graph_options_of(const struct run_options *run,
                                             struct graph_port_map *port_map)
{
    struct graph_options options = graph_options_defaults();
    if (run->address_count > 0) {
        options.default_addresses = list_of((struct text *)run->addresses, run->address_count);
    }
    if (run->address_pool_count > 0) {
        options.address_pool =
            list_of((struct text *)run->address_pool, run->address_pool_count);
    }
    options.address_per_gateway = run->address_per_gateway;
    options.external_names = run->external_names;
    for (unsigned i = 0; i < run->port_map_count; i++) {
        port_map[i].from = run->port_map[i].from;
        port_map[i].to = run->port_map[i].to;
    }
    options.port_map = port_map;
    options.port_map_count = run->port_map_count;
    return options;
}

static enum translate_slashes slashes_of(const char *word)
{
    if (word == NULL) {
        return SLASHES_DEFAULT;
    }
    return text_equal(text_from_string(word), TEXT("keep")) ? SLASHES_KEEP : SLASHES_REFUSE;
}

static struct translate_options translate_options_of(const struct run_options *run)
{
    struct translate_options options = translate_options_defaults();
    options.connect_timeout_ms = run->connect_timeout_ms ? run->connect_timeout_ms : 5000;
    options.header_timeout_ms = run->header_timeout_ms;
    options.idle_timeout_ms = run->idle_timeout_ms;
    options.stream_idle_timeout_ms = run->stream_idle_timeout_ms;
    options.request_timeout_ms = run->request_timeout_ms;
    options.max_requests_per_connection = run->max_requests_per_connection;
    options.max_header_bytes = run->header_bytes;
    options.max_header_fields = run->header_fields;
    options.trusted_hops = run->trusted_hops;
    options.merge_slashes = run->merge_slashes;
    options.access_log = strcmp(run->access_log, "off") != 0;
    options.encoded_slashes = slashes_of(run->encoded_slashes);
    options.backslash = slashes_of(run->encoded_slashes);
    options.max_connections = run->max_connections_per_listener;
    options.request_line_bytes = run->request_line_bytes;
    options.body_bytes = run->body_bytes;
    options.body_stall_timeout_ms = run->body_timeout_ms;
    return options;
}

void control_plane_init(struct control_plane *plane, struct loop *loop,
                        const struct run_options *options)
{
    *plane = (struct control_plane){ .loop = loop, .options = options };
    struct translate_options translate = translate_options_of(options);
    struct ads_server_events events = { .owner = plane, .on_ack = on_ack, .on_nack = on_nack };
    plane->store = store_new();
    plane->files = file_source_new(plane->store, options->paths, options->path_count);
    plane->translator = translator_new(&translate);
    plane->server = ads_server_new(&events);
    plane->findings = calloc(1, sizeof(*plane->findings));
    ensure(plane->findings != NULL);
    finding_list_init(plane->findings);
}

void control_plane_fini(struct control_plane *plane)
{
    finding_list_fini(plane->findings);
    free(plane->findings);
    translator_free(plane->translator);
    ads_server_free(plane->server);
    if (plane->graph) {
        graph_free(plane->graph);
    }
    file_source_free(plane->files);
    store_free(plane->store);
}

static void on_resource(void *owner, const struct translate_resource *resource)
{
    struct control_plane *plane = owner;
    ads_server_set(plane->server, resource->type_url, resource->name, resource->bytes);
}

static void on_removed(void *owner, struct text type_url, struct text name)
{
    struct control_plane *plane = owner;
    ads_server_remove(plane->server, type_url, name);
}

/* Findings that were not there before, a line each: a reload repeats nothing. */
static void log_new_findings(const struct finding_list *before, const struct finding_list *now)
{
    struct map known;
    struct arena arena;
    map_init(&known);
    arena_init(&arena);
    struct buffer line;
    buffer_init(&line);
    for (size_t i = 0; i < before->array.count; i++) {
        buffer_clear(&line);
        finding_format(&before->array.items[i], &line);
        map_put(&known, arena_copy(&arena, buffer_text(&line)), &known);
    }
    for (size_t i = 0; i < now->array.count; i++) {
        const struct finding *finding = &now->array.items[i];
        buffer_clear(&line);
        finding_format(finding, &line);
        if (map_find(&known, buffer_text(&line)) == NULL) {
            if (finding->severity == FINDING_ERROR) {
                log_error("config", "%.*s", TEXT_ARG(buffer_text(&line)));
            } else {
                log_warn("config", "%.*s", TEXT_ARG(buffer_text(&line)));
            }
        }
    }
    buffer_fini(&line);
    arena_fini(&arena);
    map_fini(&known);
}

/* The store has changed: judges, translates and offers. Findings that are new are logged. */
static bool evaluate(struct control_plane *plane, size_t changes)
{
    uint64_t started_ns = clock_now_ns();
    struct finding_list findings;
    finding_list_init(&findings);
    store_findings(plane->store, &findings);
    struct graph_port_map port_map[OPTION_PORTS_MAX];
    struct graph_options options = graph_options_of(plane->options, port_map);
    struct graph *before = plane->graph;
    plane->graph = graph_build(plane->store, &options, before, &findings);
    finding_list_sort(&findings);
    log_new_findings(plane->findings, &findings);
    finding_list_fini(plane->findings);
    *plane->findings = findings;
    struct translate_sink sink = { .owner = plane,
                                   .on_resource = on_resource,
                                   .on_removed = on_removed };
    struct translate_counts counts = translate(plane->translator, plane->graph, &sink);
    if (before) {
        graph_free(before);
    }
    bool changed = ads_server_commit(plane->server);
    plane->builds++;
    plane->build_ns = clock_now_ns() - started_ns;
    log_with(LOG_DEBUG, "config",
             LOG_PAIRS(LOG_PAIR_NUMBER("objects_changed", changes),
                       LOG_PAIR_NUMBER("resources_changed", counts.changed + counts.removed),
                       LOG_PAIR_NUMBER("us", plane->build_ns / 1000)),
             "configuration evaluated");
    return changed;
}

bool control_plane_load(struct control_plane *plane)
{
    struct change_list changes = file_source_load(plane->files);
    return evaluate(plane, changes.count);
}

static void on_files(void *owner, struct change_list changes)
{
    struct control_plane *plane = owner;
    evaluate(plane, changes.count);
    plane->on_change(plane->owner);
}

bool control_plane_watch(struct control_plane *plane, void *owner, void (*on_change)(void *owner),
                         struct error *error)
{
    plane->owner = owner;
    plane->on_change = on_change;
    return file_source_watch(plane->files, plane->loop, on_files, plane, error);
}

void control_plane_leave(struct control_plane *plane)
{
    file_source_unwatch(plane->files);
}

void control_plane_rescan(struct control_plane *plane)
{
    file_source_rescan(plane->files);
}

size_t control_plane_find_origin(void *control_plane, struct text key, char *into, size_t size)
{
    const struct control_plane *plane = control_plane;
    struct place place;
    if (plane->graph == NULL || !graph_find_origin(plane->graph, key, &place)) {
        return 0;
    }
    int length = snprintf(into, size, "%.*s:%u", TEXT_ARG(place.file), place.line);
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

bool control_plane_write_status(const struct control_plane *plane, struct text form,
                                struct buffer *out)
{
    if (plane->graph == NULL) {
        return false;
    }
    if (text_equal(form, TEXT("yaml"))) {
        status_write_yaml(plane->graph, out);
    } else if (text_equal(form, TEXT("table"))) {
        status_write_table(plane->graph, out);
    } else {
        status_write_json(plane->graph, out);
    }
    return true;
}

void control_plane_write_findings(const struct control_plane *plane, bool json, struct buffer *out)
{
    if (json) {
        struct json_writer writer;
        json_writer_init_buffer(&writer, out);
        finding_list_write_json(plane->findings, &writer);
        json_byte(&writer, '\n');
        json_writer_finish(&writer);
    } else {
        finding_list_format(plane->findings, out);
    }
}

size_t control_plane_error_count(const struct control_plane *plane)
{
    return plane->findings->errors;
}
