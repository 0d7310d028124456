/* The plan compiler: keeps what each resource was compiled to, and puts the current parts together.
 * A part is made when its bytes change and shared by all plans until then; clusters are put
 * together again only where their settings, assignment or addresses changed. */
#include "proxy/compile.h"

#include "base/ensure.h"
#include "proxy/compile_parts.h"
#include "upstream/cluster_compile.h"
#include "xds/message.h"

#include <stdlib.h>

struct routes_part {
    struct text name; /* of `routes` */
    struct plan_routes *routes;
};

struct assignment_part {
    struct arena arena;
    struct text name;
    struct cluster_assignment *assignment;
    uint64_t stamp;
};

struct cluster_part {
    struct cluster_settings *settings;
    struct cluster_config *config; /* last one built */
    uint64_t stamp;                /* of the assignment or the addresses it was built from */
    bool is_stale;
};

struct dns_part {
    struct arena arena;
    struct text hostname;
    struct address *addresses;
    size_t count;
    bool failed; /* never resolved */
};

struct compiler {
    struct map listeners;   /* name -> struct listener_part */
    struct map routes;      /* name -> struct routes_part */
    struct map clusters;    /* name -> struct cluster_part */
    struct map assignments; /* name -> struct assignment_part */
    struct map dns;         /* host name -> struct dns_part */
    struct compile_notes notes;
    uint64_t stamp; /* counts changes of assignments and addresses */
    uint64_t dns_stamp;
    uint64_t generation;
};

struct compiler *compiler_new(void)
{
    struct compiler *compiler = calloc(1, sizeof(*compiler));
    ensure(compiler != NULL);
    compile_notes_init(&compiler->notes);
    return compiler;
}

static void routes_part_free(void *at)
{
    struct routes_part *part = at;
    if (part != NULL) {
        plan_routes_unref(part->routes);
        free(part);
    }
}

static void assignment_part_free(void *at)
{
    struct assignment_part *part = at;
    if (part != NULL) {
        cluster_assignment_free(part->assignment);
        struct arena arena = part->arena;
        arena_fini(&arena);
    }
}

static void cluster_part_free(void *at)
{
    struct cluster_part *part = at;
    if (part != NULL) {
        cluster_settings_free(part->settings);
        cluster_config_unref(part->config);
        free(part);
    }
}

static void dns_part_free(void *at)
{
    struct dns_part *part = at;
    if (part != NULL) {
        struct arena arena = part->arena;
        arena_fini(&arena);
    }
}

static void listener_part_drop(void *at)
{
    listener_part_free(at);
}

static void free_map(struct map *map, void (*free_part)(void *part))
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(map, &cursor)) != NULL) {
        free_part(entry->value);
    }
    map_fini(map);
}

void compiler_free(struct compiler *compiler)
{
    free_map(&compiler->listeners, listener_part_drop);
    free_map(&compiler->routes, routes_part_free);
    free_map(&compiler->clusters, cluster_part_free);
    free_map(&compiler->assignments, assignment_part_free);
    free_map(&compiler->dns, dns_part_free);
    compile_notes_fini(&compiler->notes);
    free(compiler);
}

static bool set_listener(struct compiler *compiler, struct text name, struct text bytes,
                         struct error *error)
{
    struct listener_part *part = compile_listener(name, bytes, &compiler->notes, error);
    if (part == NULL) {
        return false;
    }
    listener_part_free(map_put(&compiler->listeners, part->listener.name, part));
    return true;
}

static bool set_routes(struct compiler *compiler, struct text name, struct text bytes,
                       struct error *error)
{
    struct routes_part *older = map_find(&compiler->routes, name);
    struct plan_routes *routes =
        compile_routes(name, bytes, older ? older->routes : NULL, &compiler->notes, error);
    if (routes == NULL) {
        return false;
    }
    struct routes_part *part = calloc(1, sizeof(*part));
    ensure(part != NULL);
    part->routes = routes;
    part->name = routes->name;
    routes_part_free(map_put(&compiler->routes, part->name, part));
    return true;
}

static bool set_cluster(struct compiler *compiler, struct text name, struct text bytes,
                        struct error *error)
{
    struct arena scratch;
    arena_init(&scratch);
    ProtobufCMessage *message;
    struct cluster_settings *settings = NULL;
    if (xds_decode(TYPE_CLUSTER, bytes, &scratch, &message, error) &&
        compile_inspect(&compiler->notes, message, &scratch, error)) {
        compile_note_message(&compiler->notes, message);
        settings = cluster_settings_compile((const Envoy__Config__Cluster__V3__Cluster *)message,
                                            name, error);
    }
    arena_fini(&scratch);
    if (settings == NULL) {
        return false;
    }
    if (cluster_id_of(name) == UINT32_MAX) {
        cluster_settings_free(settings);
        return error_set(error, "more than %u different clusters", CLUSTER_NAMES_MAX);
    }
    struct cluster_part *older = map_find(&compiler->clusters, name);
    struct cluster_part *part = calloc(1, sizeof(*part));
    ensure(part != NULL);
    part->settings = settings;
    part->is_stale = true;
    if (older != NULL) { /* kept, in case it turns out the same */
        part->config = older->config;
        older->config = NULL;
    }
    cluster_part_free(map_put(&compiler->clusters, settings->name, part));
    return true;
}

static bool set_assignment(struct compiler *compiler, struct text name, struct text bytes,
                           struct error *error)
{
    struct arena scratch;
    arena_init(&scratch);
    ProtobufCMessage *message;
    struct cluster_assignment *assignment = NULL;
    if (xds_decode(TYPE_ENDPOINTS, bytes, &scratch, &message, error) &&
        compile_inspect(&compiler->notes, message, &scratch, error)) {
        const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *decoded =
            (const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *)message;
        compile_note_message(&compiler->notes, message);
        if (text_equal(text_from_string(decoded->cluster_name), name)) {
            assignment = cluster_assignment_compile(decoded, false, error);
        } else {
            error_set(error, "cluster_name: \"%s\" in a resource named \"%.*s\"",
                      decoded->cluster_name, TEXT_ARG(name));
        }
    }
    arena_fini(&scratch);
    if (assignment == NULL) {
        return false;
    }
    struct arena arena;
    arena_init(&arena);
    struct assignment_part *part = arena_new(&arena, struct assignment_part);
    part->name = arena_copy(&arena, name);
    part->assignment = assignment;
    part->stamp = ++compiler->stamp;
    part->arena = arena;
    assignment_part_free(map_put(&compiler->assignments, part->name, part));
    return true;
}

bool compiler_set(struct compiler *compiler, struct text type_url, struct text name,
                  struct text bytes, struct error *error)
{
    if (text_equal(type_url, TYPE_LISTENER)) {
        return set_listener(compiler, name, bytes, error);
    }
    if (text_equal(type_url, TYPE_ROUTES)) {
        return set_routes(compiler, name, bytes, error);
    }
    if (text_equal(type_url, TYPE_CLUSTER)) {
        return set_cluster(compiler, name, bytes, error);
    }
    if (text_equal(type_url, TYPE_ENDPOINTS)) {
        return set_assignment(compiler, name, bytes, error);
    }
    return error_set(error, "resources of type \"%.*s\" are not supported",
                     TEXT_ARG(text_first(type_url, 200)));
}

void compiler_remove(struct compiler *compiler, struct text type_url, struct text name)
{
    if (text_equal(type_url, TYPE_LISTENER)) {
        listener_part_free(map_remove(&compiler->listeners, name));
    } else if (text_equal(type_url, TYPE_ROUTES)) {
        routes_part_free(map_remove(&compiler->routes, name));
    } else if (text_equal(type_url, TYPE_CLUSTER)) {
        cluster_part_free(map_remove(&compiler->clusters, name));
    } else if (text_equal(type_url, TYPE_ENDPOINTS)) {
        assignment_part_free(map_remove(&compiler->assignments, name));
    }
}

/* Names, each of them once. */
struct names {
    struct map seen;
    void *owner;
    void (*on_name)(void *owner, struct text type_url, struct text name);
};

static void tell_name(struct names *names, struct text type_url, struct text name)
{
    if (map_put(&names->seen, name, names) == NULL) {
        names->on_name(names->owner, type_url, name);
    }
}

void compiler_each_wanted(struct compiler *compiler, void *owner,
                          void (*on_name)(void *owner, struct text type_url, struct text name))
{
    struct names routes = { .owner = owner, .on_name = on_name };
    struct names endpoints = { .owner = owner, .on_name = on_name };
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&compiler->listeners, &cursor)) != NULL) {
        const struct listener_part *part = entry->value;
        if (part->listener.routes_name.size > 0) {
            tell_name(&routes, TYPE_ROUTES, part->listener.routes_name);
        }
    }
    cursor = 0;
    while ((entry = map_next(&compiler->clusters, &cursor)) != NULL) {
        const struct cluster_part *part = entry->value;
        if (part->settings->discovery == DISCOVERY_EDS) {
            tell_name(&endpoints, TYPE_ENDPOINTS, part->settings->service_name);
        }
    }
    map_fini(&routes.seen);
    map_fini(&endpoints.seen);
}

/* Addresses of names that no cluster has any more. */
static void forget_addresses(struct compiler *compiler, const struct map *wanted)
{
    struct map kept;
    map_init(&kept);
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&compiler->dns, &cursor)) != NULL) {
        if (map_find(wanted, entry->key) != NULL) {
            map_put(&kept, entry->key, entry->value);
        } else {
            dns_part_free(entry->value);
        }
    }
    map_fini(&compiler->dns);
    compiler->dns = kept;
}

void compiler_each_dns_name(struct compiler *compiler, void *owner,
                            void (*on_name)(void *owner, struct text hostname))
{
    struct map seen;
    map_init(&seen);
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&compiler->clusters, &cursor)) != NULL) {
        const struct cluster_settings *settings = ((struct cluster_part *)entry->value)->settings;
        bool by_name = settings->discovery == DISCOVERY_DNS;
        for (uint32_t i = 0; by_name && i < settings->assignment->endpoint_count; i++) {
            struct assigned_endpoint *endpoint = &settings->assignment->endpoints[i];
            if (endpoint->is_name && map_put(&seen, endpoint->host, endpoint) == NULL) {
                on_name(owner, endpoint->host);
            }
        }
    }
    forget_addresses(compiler, &seen);
    map_fini(&seen);
}

void compiler_set_addresses(struct compiler *compiler, struct text hostname,
                            const struct address *addresses, size_t count, bool failed)
{
    struct dns_part *older = map_find(&compiler->dns, hostname);
    if (failed && older != NULL && !older->failed) {
        return; /* what resolved once stays in force: the resolver may be down */
    }
    struct arena arena;
    arena_init(&arena);
    struct dns_part *part = arena_new(&arena, struct dns_part);
    part->hostname = arena_copy(&arena, hostname);
    part->addresses = arena_new_array(&arena, struct address, count);
    for (size_t i = 0; i < count && !failed; i++) {
        part->addresses[part->count++] = addresses[i];
    }
    part->failed = failed;
    part->arena = arena;
    compiler->dns_stamp = ++compiler->stamp;
    dns_part_free(map_put(&compiler->dns, part->hostname, part));
}

static struct cluster_addresses find_addresses(void *owner, struct text hostname)
{
    const struct compiler *compiler = owner;
    const struct dns_part *part = map_find(&compiler->dns, hostname);
    if (part == NULL) {
        return (struct cluster_addresses){ 0 };
    }
    return (struct cluster_addresses){ part->addresses, part->count, part->failed };
}

static void refresh_cluster(struct compiler *compiler, struct cluster_part *part)
{
    const struct cluster_settings *settings = part->settings;
    const struct cluster_assignment *assignment = settings->assignment;
    uint64_t stamp = settings->discovery == DISCOVERY_DNS ? compiler->dns_stamp : 0;
    if (settings->discovery == DISCOVERY_EDS) {
        const struct assignment_part *found =
            map_find(&compiler->assignments, settings->service_name);
        assignment = found ? found->assignment : NULL;
        stamp = found ? found->stamp : 0;
    }
    if (part->config != NULL && !part->is_stale && part->stamp == stamp) {
        return;
    }
    struct cluster_resolver resolver = { compiler, find_addresses };
    struct cluster_config *config = cluster_config_build(settings, assignment, &resolver);
    part->stamp = stamp;
    part->is_stale = false;
    if (part->config != NULL && cluster_config_equal(part->config, config)) {
        cluster_config_unref(config);
        return;
    }
    cluster_config_unref(part->config);
    part->config = config;
}

static void build_clusters(struct compiler *compiler, struct plan *plan)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    plan->cluster_id_limit = cluster_id_limit();
    plan->clusters_by_id =
        calloc((size_t)plan->cluster_id_limit + 1, sizeof(*plan->clusters_by_id));
    ensure(plan->clusters_by_id != NULL);
    while ((entry = map_next(&compiler->clusters, &cursor)) != NULL) {
        struct cluster_part *part = entry->value;
        refresh_cluster(compiler, part);
        struct cluster_config *config = cluster_config_ref(part->config);
        map_put(&plan->clusters, config->name, config);
        plan->clusters_by_id[config->id] = config;
    }
}

static int compare_listeners(const void *left, const void *right)
{
    const struct plan_listener *const *a = left;
    const struct plan_listener *const *b = right;
    return text_compare((*a)->name, (*b)->name);
}

static void build_listeners(struct compiler *compiler, struct plan *plan)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    plan->listeners = calloc(compiler->listeners.count + 1, sizeof(struct plan_listener *));
    ensure(plan->listeners != NULL);
    while ((entry = map_next(&compiler->listeners, &cursor)) != NULL) {
        struct listener_part *part = entry->value;
        const struct routes_part *routes = map_find(&compiler->routes, part->listener.routes_name);
        plan->listeners[plan->listener_count++] =
            listener_part_link(part, routes ? routes->routes : NULL);
    }
    qsort(plan->listeners, plan->listener_count, sizeof(struct plan_listener *), compare_listeners);
}

struct plan *compiler_build(struct compiler *compiler)
{
    struct plan *plan = plan_new();
    plan->generation = ++compiler->generation;
    build_clusters(compiler, plan);
    build_listeners(compiler, plan);
    return plan;
}

void compiler_each_unsupported(struct compiler *compiler, void *owner,
                               void (*on_field)(void *owner, struct text where, uint64_t count))
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&compiler->notes.counts, &cursor)) != NULL) {
        const struct compile_count *count = entry->value;
        on_field(owner, count->where, count->count);
    }
}
