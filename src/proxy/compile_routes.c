/* RouteConfiguration -> plan_routes. The bytes are cut into virtual hosts first, and only those
 * whose bytes changed are decoded and compiled; the others are shared with the older version. So a
 * route added to one host costs as much as that host. */
#include "base/ensure.h"
#include "base/hash.h"
#include "proxy/compile_parts.h"
#include "xds/guard.h"
#include "xds/message.h"

#include "weft/v1/weft.pb-c.h"

#include <stdlib.h>

#define ROUTES      Envoy__Config__Route__V3__RouteConfiguration
#define HOST        Envoy__Config__Route__V3__VirtualHost
#define HOSTS_FIELD 2
/* Up to so many changed virtual hosts are decoded one by one. */
#define FEW_HOSTS 16

/* The wire bytes of a RouteConfiguration, cut. */
struct cut {
    struct buffer rest; /* all but the virtual hosts */
    struct text *hosts;
    size_t count;
    size_t capacity;
};

static bool read_varint(struct text *rest, uint64_t *out_value)
{
    *out_value = 0;
    for (unsigned shift = 0; shift < 64 && rest->size > 0; shift += 7) {
        uint64_t byte = (unsigned char)rest->at[0];
        *rest = text_from(*rest, 1);
        *out_value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* Takes one field off; *out_content only of a length-delimited one. */
static bool read_field(struct text *rest, uint64_t *out_key, struct text *out_content)
{
    uint64_t size;
    if (!read_varint(rest, out_key)) {
        return false;
    }
    switch (*out_key & 7) {
    case 0:
        return read_varint(rest, &size);
    case 1:
        size = 8;
        break;
    case 2:
        if (!read_varint(rest, &size)) {
            return false;
        }
        break;
    case 5:
        size = 4;
        break;
    default:
        return false;
    }
    if (size > rest->size) {
        return false;
    }
    *out_content = text_first(*rest, (size_t)size);
    *rest = text_from(*rest, (size_t)size);
    return true;
}

static bool cut_hosts(struct cut *cut, struct text bytes)
{
    struct text rest = bytes;
    while (rest.size > 0) {
        const char *start = rest.at;
        uint64_t key;
        struct text content = text_of(NULL, 0);
        if (!read_field(&rest, &key, &content)) {
            return false;
        }
        if (key == (HOSTS_FIELD << 3 | 2)) {
            cut->hosts = array_grow(cut->hosts, cut->count, &cut->capacity, sizeof(*cut->hosts));
            cut->hosts[cut->count++] = content;
        } else {
            buffer_append(&cut->rest, text_of(start, (size_t)(rest.at - start)));
        }
    }
    return true;
}

/* One RouteConfiguration under way. */
struct routes_compile {
    struct plan_routes *routes;
    const ROUTES *message; /* without virtual hosts */
    const struct cut *cut;
    struct compile_notes *notes;
};

/* What decides whether a virtual host can be shared: its bytes and what stands around it. */
static void hash_host(struct text rest, struct text host, uint64_t out_hash[2])
{
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t around = hash_keyed((uint64_t[2]) { i, 0x726573 }, rest);
        out_hash[i] = hash_keyed((uint64_t[2]) { around, i }, host);
    }
}

static bool host_fields(struct host_compile *compile, struct error *error)
{
    const ROUTES *routes = compile->routes;
    const HOST *host = compile->message;
    struct field_options outer = {
        .request_adds = routes->request_headers_to_add,
        .request_add_count = routes->n_request_headers_to_add,
        .request_removes = routes->request_headers_to_remove,
        .request_remove_count = routes->n_request_headers_to_remove,
        .response_adds = routes->response_headers_to_add,
        .response_add_count = routes->n_response_headers_to_add,
        .response_removes = routes->response_headers_to_remove,
        .response_remove_count = routes->n_response_headers_to_remove,
    };
    struct field_options inner = {
        .request_adds = host->request_headers_to_add,
        .request_add_count = host->n_request_headers_to_add,
        .request_removes = host->request_headers_to_remove,
        .request_remove_count = host->n_request_headers_to_remove,
        .response_adds = host->response_headers_to_add,
        .response_add_count = host->n_response_headers_to_add,
        .response_removes = host->response_headers_to_remove,
        .response_remove_count = host->n_response_headers_to_remove,
    };
    compile_set_overrides(compile, LEVEL_ROUTES,
                          (ProtobufCMessage *const *)routes->typed_per_filter_config,
                          routes->n_typed_per_filter_config);
    compile_set_overrides(compile, LEVEL_HOST,
                          (ProtobufCMessage *const *)host->typed_per_filter_config,
                          host->n_typed_per_filter_config);
    return compile_fields(compile, LEVEL_ROUTES, &outer, error) &&
           compile_fields(compile, LEVEL_HOST, &inner, error);
}

static bool host_inherit(struct host_compile *compile, struct error *error)
{
    ProtobufCMessage *message;
    if (!compile_override_at(compile, LEVEL_HOST, "weft.inherit", &weft__v1__inherit__descriptor,
                             &message, error)) {
        return false;
    }
    if (message != NULL) {
        struct text next = compile_copy(compile, ((const Weft__V1__Inherit *)message)->next_domain);
        char *at = arena_bytes(compile->arena, next.size + 1);
        for (size_t i = 0; i < next.size; i++) {
            at[i] = text_lower_byte(next.at[i]);
        }
        compile->host->inherits = true;
        compile->host->next_domain = text_of(at, next.size);
    }
    return true;
}

static bool fill_host(struct host_compile *compile, struct error *error)
{
    struct virtual_host *host = compile->host;
    const HOST *message = compile->message;
    host->name = compile_copy(compile, message->name);
    if (message->n_domains == 0) {
        return error_set(error, "domains: missing");
    }
    if (message->require_tls !=
        ENVOY__CONFIG__ROUTE__V3__VIRTUAL_HOST__TLS_REQUIREMENT_TYPE__NONE) {
        return error_set(error, "require_tls: not supported; use a redirect");
    }
    host->domains = arena_new_array(compile->arena, struct text, message->n_domains);
    for (size_t i = 0; i < message->n_domains; i++) {
        host->domains[host->domain_count++] = compile_copy(compile, message->domains[i]);
    }
    if (!host_fields(compile, error) || !host_inherit(compile, error)) {
        return false;
    }
    host->routes = arena_new_array(compile->arena, struct route_entry, message->n_routes);
    for (size_t i = 0; i < message->n_routes; i++) {
        host->route_count++;
        if (!compile_route(compile, (uint32_t)i, error)) {
            return error_prefix(error, "routes[%zu]", i);
        }
    }
    plan_route_index(host);
    return true;
}

static struct virtual_host *host_new(const uint64_t hash[2])
{
    struct arena arena;
    arena_init(&arena);
    struct virtual_host *host = arena_new(&arena, struct virtual_host);
    atomic_init(&host->references, 1);
    memcpy(host->hash, hash, sizeof(host->hash));
    host->arena = arena;
    return host;
}

/* NULL on error. */
static struct virtual_host *compile_host(const struct routes_compile *compile, const HOST *message,
                                         struct arena *scratch, const uint64_t hash[2],
                                         struct error *error)
{
    struct virtual_host *host = host_new(hash);
    struct host_compile inner = {
        .host = host,
        .arena = &host->arena,
        .scratch = scratch,
        .notes = compile->notes,
        .most_specific_wins = compile->message->most_specific_header_mutations_wins,
        .routes = compile->message,
        .message = message,
    };
    compile_note_message(compile->notes, &message->base);
    if (!fill_host(&inner, error)) {
        virtual_host_unref(host);
        return NULL;
    }
    return host;
}

static struct virtual_host *decode_host(const struct routes_compile *compile, struct text bytes,
                                        const uint64_t hash[2], struct error *error)
{
    struct arena scratch;
    arena_init(&scratch);
    ProtobufCMessage *message;
    struct virtual_host *host = NULL;
    if (xds_decode_as(&envoy__config__route__v3__virtual_host__descriptor, bytes, &scratch,
                      &message, error) &&
        compile_inspect(compile->notes, message, &scratch, error)) {
        host = compile_host(compile, (const HOST *)message, &scratch, hash, error);
    }
    arena_fini(&scratch);
    return host;
}

static void append_varint(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        buffer_append_byte(out, (char)(value | 0x80));
    }
    buffer_append_byte(out, (char)value);
}

/* A RouteConfiguration of the virtual hosts that changed. The others are stood in for, so that
 * places in errors stay right. */
static void join_changed(const struct routes_compile *compile, struct buffer *out)
{
    const struct text stand_in = TEXT("\x0a\x01-\x12\x01-"); /* name and domain "-" */
    buffer_init(out);
    buffer_append(out, buffer_text(&compile->cut->rest));
    for (size_t i = 0; i < compile->cut->count; i++) {
        struct text bytes = compile->routes->entries[i].host ? stand_in : compile->cut->hosts[i];
        append_varint(out, HOSTS_FIELD << 3 | 2);
        append_varint(out, bytes.size);
        buffer_append(out, bytes);
    }
}

/* Many at once: decoding and inspecting have a price for each call. */
static bool decode_together(const struct routes_compile *compile, uint64_t (*hashes)[2],
                            struct error *error)
{
    struct arena scratch;
    struct buffer bytes;
    ProtobufCMessage *message;
    arena_init(&scratch);
    join_changed(compile, &bytes);
    bool done = xds_decode_as(&envoy__config__route__v3__route_configuration__descriptor,
                              buffer_text(&bytes), &scratch, &message, error) &&
                compile_inspect(compile->notes, message, &scratch, error);
    for (size_t i = 0; i < compile->cut->count && done; i++) {
        struct host_entry *entry = &compile->routes->entries[i];
        if (entry->host == NULL) {
            const HOST *host = ((const ROUTES *)message)->virtual_hosts[i];
            entry->host = compile_host(compile, host, &scratch, hashes[i], error);
            done = entry->host != NULL || error_prefix(error, "virtual_hosts[%zu]", i);
        }
    }
    buffer_fini(&bytes);
    arena_fini(&scratch);
    return done;
}

static bool decode_each(const struct routes_compile *compile, uint64_t (*hashes)[2],
                        struct error *error)
{
    for (size_t i = 0; i < compile->cut->count; i++) {
        struct host_entry *entry = &compile->routes->entries[i];
        if (entry->host == NULL) {
            entry->host = decode_host(compile, compile->cut->hosts[i], hashes[i], error);
            if (entry->host == NULL) {
                return error_prefix(error, "virtual_hosts[%zu]", i);
            }
        }
    }
    return true;
}

/* Fills in those that `older` has; returns how many it has not. */
static size_t share_hosts(struct plan_routes *routes, const struct cut *cut,
                          const struct plan_routes *older, uint64_t (*hashes)[2])
{
    struct map known;
    size_t changed = 0;
    map_init(&known);
    for (uint32_t i = 0; older != NULL && i < older->entry_count; i++) {
        struct virtual_host *host = older->entries[i].host;
        map_put(&known, text_of((const char *)host->hash, sizeof(host->hash)), host);
    }
    for (size_t i = 0; i < cut->count; i++) {
        hash_host(buffer_text(&cut->rest), cut->hosts[i], hashes[i]);
        struct virtual_host *host =
            map_find(&known, text_of((const char *)hashes[i], sizeof(hashes[i])));
        routes->entries[i].host = host ? virtual_host_ref(host) : NULL;
        changed += host == NULL;
    }
    map_fini(&known);
    return changed;
}

static bool fill_hosts(const struct routes_compile *compile, const struct plan_routes *older,
                       struct error *error)
{
    struct plan_routes *routes = compile->routes;
    size_t count = compile->cut->count;
    uint64_t(*hashes)[2] = calloc(count + 1, sizeof(*hashes));
    ensure(hashes != NULL);
    routes->entries = arena_new_array(&routes->arena, struct host_entry, count);
    routes->entry_count = (uint32_t)count;
    size_t changed = share_hosts(routes, compile->cut, older, hashes);
    bool filled = changed <= FEW_HOSTS ? decode_each(compile, hashes, error)
                                       : decode_together(compile, hashes, error);
    for (size_t i = 0; i < count && filled; i++) {
        struct host_entry *entry = &routes->entries[i];
        entry->trie = entry->host->trie;
        entry->routes = entry->host->routes;
    }
    free(hashes);
    return filled;
}

static bool names_are_unique(const struct plan_routes *routes, struct error *error)
{
    struct map names;
    bool unique = true;
    map_init(&names);
    for (uint32_t i = 0; i < routes->entry_count && unique; i++) {
        struct virtual_host *host = routes->entries[i].host;
        if (map_put(&names, host->name, host) != NULL) {
            unique = error_set(error, "virtual_hosts[%u].name: \"%.*s\" stands twice", (unsigned)i,
                               TEXT_ARG(host->name));
        }
    }
    map_fini(&names);
    return unique;
}

static void note_domain(void *owner, struct text domain)
{
    (void)domain;
    compile_note(owner, TEXT("VirtualHost.domains with a port"));
}

static bool fill_routes(struct plan_routes *routes, struct text name, const struct cut *cut,
                        const struct plan_routes *older, struct compile_notes *notes,
                        struct error *error)
{
    struct arena scratch;
    arena_init(&scratch);
    ProtobufCMessage *message;
    bool filled = xds_decode_as(&envoy__config__route__v3__route_configuration__descriptor,
                                buffer_text(&cut->rest), &scratch, &message, error) &&
                  compile_inspect(notes, message, &scratch, error);
    if (filled) {
        const ROUTES *decoded = (const ROUTES *)message;
        compile_note_message(notes, message);
        filled = text_equal(text_from_string(decoded->name), name) ||
                 error_set(error, "name: \"%s\" in a resource named \"%.*s\"", decoded->name,
                           TEXT_ARG(name));
        struct routes_compile compile = { routes, decoded, cut, notes };
        filled = filled && fill_hosts(&compile, older, error) && names_are_unique(routes, error) &&
                 plan_host_table(routes, notes, note_domain, error);
    }
    arena_fini(&scratch);
    return filled;
}

static struct plan_routes *routes_new(struct text name)
{
    struct arena arena;
    arena_init(&arena);
    struct plan_routes *routes = arena_new(&arena, struct plan_routes);
    atomic_init(&routes->references, 1);
    routes->name = arena_copy(&arena, name);
    routes->arena = arena;
    return routes;
}

struct plan_routes *compile_routes(struct text name, struct text bytes,
                                   const struct plan_routes *older, struct compile_notes *notes,
                                   struct error *error)
{
    struct cut cut = { 0 };
    struct plan_routes *routes = routes_new(name);
    buffer_init(&cut.rest);
    bool filled = bytes.size <= GUARD_BYTES_MAX && cut_hosts(&cut, bytes);
    if (!filled && guard_check(&envoy__config__route__v3__route_configuration__descriptor, bytes,
                               GUARD_INTO_ANY, error)) {
        error_set(error, "not a well-formed message");
    }
    filled = filled && fill_routes(routes, name, &cut, older, notes, error);
    buffer_fini(&cut.rest);
    free(cut.hosts);
    if (!filled) {
        plan_routes_unref(routes);
        return NULL;
    }
    return routes;
}
