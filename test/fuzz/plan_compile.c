/* Resources as a control plane sends them, several in one input: [type][size, 2 bytes big endian]
 * [bytes]... Whatever the compiler takes can be built into a plan, in which lookup by trie finds
 * the same route as a walk through the list. */
#include "target.h"

#include "proxy/compile.h"
#include "proxy/plan_routes.h"
#include "proxy/route.h"
#include "xds/message.h"

/* The name the resource gives itself: field 1 of all four types. */
static struct text own_name(struct text type_url, struct text bytes, struct arena *arena)
{
    ProtobufCMessage *message;
    struct error error;
    if (!xds_decode(type_url, bytes, arena, &message, &error)) {
        return TEXT("none");
    }
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(message->descriptor, 1);
    return text_from_string(*(char *const *)(const void *)((char *)message + field->offset));
}

static const struct route *plain_match(const struct virtual_host *host,
                                       const struct route_request *request)
{
    for (uint32_t i = 0; i < host->route_count; i++) {
        const struct route_entry *entry = &host->routes[i];
        struct text detail;
        if (route_path_check(entry, request->path) &&
            route_conditions_check(&entry->conditions, request->path, request->query, request->host,
                                   request->head, &detail) == NULL) {
            return &entry->route;
        }
    }
    return NULL;
}

static void look_up(const struct plan_routes *routes)
{
    static struct request_head head = { .method = { "GET", 3 }, .method_id = METHOD_GET };
    for (uint32_t h = 0; h < routes->entry_count; h++) {
        const struct virtual_host *host = routes->entries[h].host;
        for (uint32_t i = 0; i < host->route_count && i < 32; i++) {
            struct route_request request = { .path = host->routes[i].path, .head = &head };
            const struct host_domain *domain = map_find(&routes->exact, host->domains[0]);
            if (request.path.size == 0 || domain == NULL || domain->entry->next != NULL) {
                continue;
            }
            request.host = host->domains[0];
            ensure(route_match(routes, &request, NULL) ==
                   plain_match(domain->entry->host, &request));
        }
    }
}

static void check_plan(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->listener_count; i++) {
        if (plan->listeners[i]->routes != NULL) {
            look_up(plan->listeners[i]->routes);
        }
    }
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&plan->clusters, &cursor)) != NULL) {
        const struct cluster_config *config = entry->value;
        ensure(plan->clusters_by_id[config->id] == config);
        ensure(config->healthy_count <= config->endpoint_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text types[] = { TYPE_LISTENER, TYPE_ROUTES, TYPE_CLUSTER, TYPE_ENDPOINTS };
    struct compiler *compiler = compiler_new();
    while (size >= 3) {
        struct text type = types[data[0] % 4];
        size_t length = (size_t)data[1] << 8 | data[2];
        length = length < size - 3 ? length : size - 3;
        struct text bytes = input_text(data + 3, length);
        struct arena arena;
        struct error error = { .text = "" };
        arena_init(&arena);
        if (!compiler_set(compiler, type, own_name(type, bytes, &arena), bytes, &error)) {
            ensure(error.text[0] != '\0');
        }
        struct plan *plan = compiler_build(compiler);
        check_plan(plan);
        plan_unref(plan);
        arena_fini(&arena);
        data += 3 + length;
        size -= 3 + length;
    }
    compiler_free(compiler);
    return 0;
}
