/* From ADS responses to plans in the workers. */
#include "cli/data_plane.h"

#include "base/ensure.h"
#include "base/log.h"
#include "cli/resolver.h"
#include "net/listener.h"
#include "proxy/compile.h"
#include "proxy/series.h"
#include "proxy/worker.h"
#include "xds/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A port may be in the way of its own successor for a moment (0.0.0.0:80, then 127.0.0.1:80): the
 * first tries come soon. */
#define REBIND_FIRST_MS 50
#define REBIND_MAX_MS   1000

/* A listener whose sockets are open, one a worker. */
struct bound_listener {
    struct text name; /* own copy behind the struct */
    struct address address;
    bool in_plan;
};

/* ---- sockets --------------------------------------------------------------------------------- */

static void socket_key(const struct address *address, unsigned worker, char out[PARENT_KEY_MAX])
{
    char text[ADDRESS_TEXT_MAX];
    address_format(address, text);
    snprintf(out, PARENT_KEY_MAX, "tcp %s worker %u", text, worker);
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        close(fds[i]);
    }
}

static void forget_sockets(struct data_plane *plane, const struct address *address)
{
    for (unsigned i = 0; i < plane->worker_count; i++) {
        char key[PARENT_KEY_MAX];
        socket_key(address, i, key);
        parent_link_drop(plane->link, text_from_string(key));
    }
}

/* A socket a worker: kept ones from the parent first. On false *out_errno says why. */
static bool open_sockets(struct data_plane *plane, const struct address *address, int *fds,
                         int *out_errno, struct error *error)
{
    bool several = plane->worker_count > 1;
    bool kept = false;
    for (unsigned i = 0; i < plane->worker_count; i++) {
        char key[PARENT_KEY_MAX];
        socket_key(address, i, key);
        fds[i] = parent_link_take(plane->link, text_from_string(key));
        if (fds[i] >= 0) {
            kept = true;
            continue;
        }
        /* The probe tells a port in use elsewhere; once one of our own is open it cannot. */
        fds[i] = listen_tcp(address, several || plane->link->fd >= 0, i == 0 && !kept, out_errno,
                            error);
        if (fds[i] < 0) {
            close_all(fds, i);
            forget_sockets(plane, address);
            return false;
        }
        parent_link_keep(plane->link, text_from_string(key), fds[i]);
    }
    return true;
}

static void explain_bind_errno(int bind_errno, const struct address *address, struct error *error)
{
    if (bind_errno == EACCES) {
        char text[ADDRESS_TEXT_MAX];
        address_format(address, text);
        error_set(error,
                  "%s: port %u needs a privilege: use --port-map %u:%u, or setcap "
                  "cap_net_bind_service=+ep on the binary, or sysctl "
                  "net.ipv4.ip_unprivileged_port_start=%u",
                  text, address->port, address->port, address->port + 8000, address->port);
    }
}

static bool bind_listener(struct data_plane *plane, const struct plan_listener *listener,
                          struct error *error)
{
    int fds[WORKERS_MAX];
    int bind_errno = 0;
    if (!open_sockets(plane, &listener->address, fds, &bind_errno, error)) {
        explain_bind_errno(bind_errno, &listener->address, error);
        return false;
    }
    struct bound_listener *bound = calloc(1, sizeof(*bound) + listener->name.size + 1);
    ensure(bound != NULL);
    memcpy(bound + 1, listener->name.at, listener->name.size);
    bound->name = text_of((char *)(bound + 1), listener->name.size);
    bound->address = listener->address;
    bound->in_plan = true;
    map_put(&plane->sockets, bound->name, bound);
    for (unsigned i = 0; i < plane->worker_count; i++) {
        worker_post_listen(plane->workers[i], bound->name, fds[i], false);
    }
    return true;
}

static void unbind_listener(struct data_plane *plane, struct bound_listener *bound)
{
    forget_sockets(plane, &bound->address);
    for (unsigned i = 0; i < plane->worker_count; i++) {
        worker_post_unlisten(plane->workers[i], bound->name);
    }
    map_remove(&plane->sockets, bound->name);
    free(bound);
}

/* Closes what left the plan, or moved. */
static void close_listeners(struct data_plane *plane)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&plane->sockets, &cursor)) != NULL) {
        ((struct bound_listener *)entry->value)->in_plan = false;
    }
    for (uint32_t i = 0; i < plane->plan->listener_count; i++) {
        const struct plan_listener *listener = plane->plan->listeners[i];
        struct bound_listener *bound = map_find(&plane->sockets, listener->name);
        if (bound && address_equal(&bound->address, &listener->address)) {
            bound->in_plan = true;
        }
    }
    cursor = 0;
    while ((entry = map_next(&plane->sockets, &cursor)) != NULL) {
        struct bound_listener *bound = entry->value;
        if (!bound->in_plan) {
            unbind_listener(plane, bound);
            cursor = 0;
        }
    }
}

/* Opens what is new. `again`: what failed before is tried once more; where that succeeds the
 * control plane is asked for it anew, so that it can be acknowledged. */
static void open_listeners(struct data_plane *plane, bool again)
{
    plane->failing = false;
    for (uint32_t i = 0; i < plane->plan->listener_count; i++) {
        const struct plan_listener *listener = plane->plan->listeners[i];
        struct error error;
        if (map_find(&plane->sockets, listener->name) != NULL || plane->draining) {
            continue;
        }
        if (bind_listener(plane, listener, &error)) {
            if (again) {
                ads_client_retry(plane->client, TYPE_LISTENER, listener->name);
            }
            continue;
        }
        plane->failing = true;
        if (!again) {
            log_error("listener", "%.*s: %s", TEXT_ARG(listener->name), error.text);
            ads_client_refuse(plane->client, TYPE_LISTENER, listener->name, &error);
        }
    }
    uint64_t next_ms = plane->rebind_ms * 2 < REBIND_MAX_MS ? plane->rebind_ms * 2 : REBIND_MAX_MS;
    plane->rebind_ms = again ? next_ms : REBIND_FIRST_MS;
    if (plane->failing) {
        timer_start(plane->loop, &plane->rebind, plane->rebind_ms);
    }
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void put_in_force(struct data_plane *plane)
{
    struct plan *old = plane->plan;
    plane->plan = compiler_build(plane->compiler);
    /* In this order a socket is accepted from only while its listener is in force. */
    close_listeners(plane);
    for (unsigned i = 0; i < plane->worker_count; i++) {
        worker_post_plan(plane->workers[i], plane->plan);
    }
    open_listeners(plane, false);
    if (old) {
        plan_unref(old);
    }
}

static void on_addresses(void *owner)
{
    put_in_force(owner);
}

static void on_rebind(struct timer *timer)
{
    open_listeners(list_owner(timer, struct data_plane, rebind), true);
}

/* A name of a RouteConfiguration or ClusterLoadAssignment the compiled parts refer to. */
struct wanted_name {
    bool is_routes;
    uint64_t round; /* of follow_names in which it was last asked for */
    struct text name; /* behind the struct */
};

struct wanted {
    struct data_plane *plane;
    ARRAY_OF(struct text) routes;
    ARRAY_OF(struct text) endpoints;
};

static void note_wanted(struct data_plane *plane, bool is_routes, struct text name)
{
    /* The key's first byte is the type, so that names of both types may be equal. */
    struct wanted_name *wanted = calloc(1, sizeof(*wanted) + name.size + 1);
    ensure(wanted != NULL);
    char *key = (char *)(wanted + 1);
    key[0] = is_routes ? 'r' : 'e';
    memcpy(key + 1, name.at, name.size);
    struct wanted_name *known = map_find(&plane->wanted, text_of(key, name.size + 1));
    if (known) {
        free(wanted);
        known->round = plane->round;
        return;
    }
    *wanted = (struct wanted_name){ is_routes, plane->round, text_of(key + 1, name.size) };
    map_put(&plane->wanted, text_of(key, name.size + 1), wanted);
}

/* What nothing refers to any more is forgotten by the client, so the compiler must as well. */
static void forget_unwanted(struct data_plane *plane)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&plane->wanted, &cursor)) != NULL) {
        struct wanted_name *wanted = entry->value;
        if (wanted->round != plane->round) {
            compiler_remove(plane->compiler, wanted->is_routes ? TYPE_ROUTES : TYPE_ENDPOINTS,
                            wanted->name);
            map_remove(&plane->wanted, entry->key);
            free(wanted);
            cursor = 0;
        }
    }
}

static void on_wanted(void *owner, struct text type_url, struct text name)
{
    struct wanted *wanted = owner;
    note_wanted(wanted->plane, text_equal(type_url, TYPE_ROUTES), name);
    if (text_equal(type_url, TYPE_ROUTES)) {
        *array_add(&wanted->routes) = name;
    } else {
        *array_add(&wanted->endpoints) = name;
    }
}

static void follow_names(struct data_plane *plane)
{
    struct wanted wanted = { .plane = plane };
    plane->round++;
    compiler_each_wanted(plane->compiler, &wanted, on_wanted);
    ads_client_want(plane->client, TYPE_ROUTES, wanted.routes.items, wanted.routes.count);
    ads_client_want(plane->client, TYPE_ENDPOINTS, wanted.endpoints.items, wanted.endpoints.count);
    array_free(&wanted.routes);
    array_free(&wanted.endpoints);
    forget_unwanted(plane);
}

static void on_resources(void *owner, struct text type_url, struct ads_resource *resources,
                         size_t count, const struct text *removed, size_t removed_count)
{
    struct data_plane *plane = owner;
    for (size_t i = 0; i < count; i++) {
        struct error error;
        if (!compiler_set(plane->compiler, type_url, resources[i].name, resources[i].bytes,
                          &error)) {
            ads_resource_refuse(&resources[i], &error);
        }
    }
    for (size_t i = 0; i < removed_count; i++) {
        compiler_remove(plane->compiler, type_url, removed[i]);
    }
    if (text_equal(type_url, TYPE_LISTENER) || text_equal(type_url, TYPE_CLUSTER)) {
        follow_names(plane);
    }
}

struct awaited {
    bool routes;
};

static void on_awaited(void *owner, struct text type_url, struct text name)
{
    if (text_equal(type_url, TYPE_ROUTES) || text_equal(type_url, TYPE_ENDPOINTS)) {
        ((struct awaited *)owner)->routes = true;
    }
}

static void on_idle(void *owner)
{
    struct data_plane *plane = owner;
    struct awaited awaited = { false };
    ads_client_each_awaited(plane->client, &awaited, on_awaited);
    put_in_force(plane);
    resolver_follow(plane->resolver);
    ads_client_settle(plane->client);
    if (!awaited.routes || plane->settled) {
        plane->settled = true;
        plane->on_settled(plane->owner);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Decision 17: half of the descriptors, the soft limit raised to the hard one. */
static uint32_t connection_cap(const struct run_options *options)
{
    struct rlimit limit = { 0 };
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    uint64_t half = limit.rlim_cur > 512 ? (limit.rlim_cur - 256) / 2 : 128;
    uint32_t cap = half < 10000 ? (uint32_t)half : 10000;
    return options->max_connections > 0 ? options->max_connections : cap;
}

static bool start_workers(struct data_plane *plane, const struct data_plane_parts *parts,
                          struct error *error)
{
    uint32_t cap = connection_cap(parts->options);
    for (unsigned i = 0; i < parts->workers; i++) {
        struct worker_options options = {
            .index = i,
            .count = parts->workers,
            .max_connections = (cap + parts->workers - 1) / parts->workers,
            .metrics = plane->proxy_metrics,
            .access_log = parts->access_rings ? parts->access_rings[i] : NULL,
            .main_loop = parts->loop,
        };
        struct worker *worker = worker_new(&options, error);
        if (worker == NULL) {
            return false;
        }
        plane->workers[plane->worker_count++] = worker;
        if (!worker_start(worker, error)) {
            return false;
        }
    }
    return true;
}

bool data_plane_start(struct data_plane *plane, const struct data_plane_parts *parts,
                      const struct ads_client_events *carrier, struct error *error)
{
    void *owner = plane->owner;
    void (*on_settled)(void *) = plane->on_settled;
    *plane = (struct data_plane){ .loop = parts->loop,
                                  .options = parts->options,
                                  .link = parts->link,
                                  .owner = owner,
                                  .on_settled = on_settled,
                                  .health_fd = -1 };
    map_init(&plane->sockets);
    map_init(&plane->wanted);
    timer_init(&plane->rebind, on_rebind);
    plane->proxy_metrics = proxy_metrics_new(parts->metrics);
    plane->compiler = compiler_new();
    plane->resolver = resolver_new(parts->loop, plane->compiler, plane, on_addresses, error);
    struct ads_client_node node = { .id = TEXT("weft"), .cluster = TEXT("weft") };
    struct ads_client_events events = { .owner = plane,
                                        .send = carrier->send,
                                        .on_resources = on_resources,
                                        .on_idle = on_idle };
    plane->client = ads_client_new(&node, &events);
    return plane->resolver != NULL && start_workers(plane, parts, error);
}

bool data_plane_listen_health(struct data_plane *plane, struct error *error)
{
    const struct address *address = &plane->options->health;
    if (address->port == 0) {
        return true;
    }
    char key[PARENT_KEY_MAX];
    char text[ADDRESS_TEXT_MAX];
    address_format(address, text);
    snprintf(key, sizeof(key), "health %s", text);
    plane->health_fd = parent_link_take(plane->link, text_from_string(key));
    if (plane->health_fd >= 0) {
        return true;
    }
    int bind_errno;
    int fd = listen_tcp(address, plane->link->fd >= 0, true, &bind_errno, error);
    if (fd < 0) {
        return error_prefix(error, "--health %s", text);
    }
    parent_link_keep(plane->link, text_from_string(key), fd);
    worker_post_listen(plane->workers[0], TEXT("health"), fd, true);
    return true;
}

void data_plane_set_ready(struct data_plane *plane, bool ready)
{
    for (unsigned i = 0; i < plane->worker_count; i++) {
        worker_post_ready(plane->workers[i], ready);
    }
    if (plane->health_fd >= 0) {
        worker_post_listen(plane->workers[0], TEXT("health"), plane->health_fd, true);
        plane->health_fd = -1;
    }
}

void data_plane_drain(struct data_plane *plane, enum worker_drain how)
{
    plane->draining = true;
    for (unsigned i = 0; i < plane->worker_count; i++) {
        worker_post_drain(plane->workers[i], how);
    }
}

static void on_field(void *owner, struct text where, uint64_t count)
{
    buffer_format(owner, "%10llu %.*s\n", (unsigned long long)count, TEXT_ARG(where));
}

void data_plane_write_unsupported(const struct data_plane *plane, struct buffer *out)
{
    compiler_each_unsupported(plane->compiler, out, on_field);
}

uint32_t data_plane_connections(const struct data_plane *plane)
{
    uint32_t connections = 0;
    for (unsigned i = 0; i < plane->worker_count; i++) {
        connections += worker_connections(plane->workers[i]);
    }
    return connections;
}

bool data_plane_is_closed(const struct data_plane *plane)
{
    for (unsigned i = 0; i < plane->worker_count; i++) {
        if (!worker_is_closed(plane->workers[i])) {
            return false;
        }
    }
    return true;
}

void data_plane_stop(struct data_plane *plane)
{
    timer_stop(&plane->rebind);
    for (unsigned i = 0; i < plane->worker_count; i++) {
        worker_free(plane->workers[i]);
    }
    plane->worker_count = 0;
    if (plane->client) {
        ads_client_free(plane->client);
    }
    if (plane->resolver) {
        resolver_free(plane->resolver);
    }
    if (plane->plan) {
        plan_unref(plane->plan);
    }
    compiler_free(plane->compiler);
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&plane->sockets, &cursor)) != NULL) {
        free(entry->value);
    }
    map_fini(&plane->sockets);
    cursor = 0;
    while ((entry = map_next(&plane->wanted, &cursor)) != NULL) {
        free(entry->value);
    }
    map_fini(&plane->wanted);
    proxy_metrics_free(plane->proxy_metrics);
}
