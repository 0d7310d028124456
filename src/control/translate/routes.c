/* RouteConfigurations: virtual hosts by domain, listener isolation, inheritance, and the order
 * of precedence inside a virtual host (design note 0001, "Virtual hosts"). Routes are packed one
 * by one, so that memory stays small however many there are. */
#include "control/translate/route_cache.h"

#include "base/ensure.h"
#include "base/hash.h"

#include <stdlib.h>

/* One route of a virtual host, with its rank as two numbers: smaller comes first. */
struct ranked {
    uint64_t specificity;
    uint64_t order;
    struct route_source source;
};

struct virtual_host {
    struct text domain;
    const struct graph_listener *owner;
    ARRAY_OF(struct ranked) routes;
    struct virtual_host *next; /* the next wider one of the same listener, or NULL */
    bool sorted;
};

struct host_table {
    const struct graph_socket *socket;
    struct map owners; /* hostname -> struct graph_listener */
    struct map hosts;  /* domain -> struct virtual_host */
    ARRAY_OF(struct virtual_host *) list;
    size_t budget; /* Envoy: routes that may still be appended */
};

/* ---- domains --------------------------------------------------------------------------------- */

/* The next wider domain: "a.b.c" and "*.b.c" -> "*.c" needs a label less each time; "*" comes last,
 * then nothing (false). The text is put together in `into`. */
static bool widen(struct text *domain, char into[256])
{
    struct text rest = *domain;
    if (rest.size == 1 && rest.at[0] == '*') {
        return false;
    }
    if (rest.at[0] == '*') {
        rest = text_from(rest, 2);
    }
    size_t dot = text_find_byte(rest, '.');
    struct text parent = text_from(rest, dot + 1);
    if (parent.size == 0 || parent.size > 250) {
        *domain = TEXT("*");
        return true;
    }
    memmove(into + 2, parent.at, parent.size);
    memcpy(into, "*.", 2);
    *domain = text_of(into, parent.size + 2);
    return true;
}

/* The most specific listener of the port whose hostname takes this domain in. */
static const struct graph_listener *find_owner(const struct host_table *table, struct text domain)
{
    char bytes[256];
    do {
        const struct graph_listener *owner = map_find(&table->owners, domain);
        if (owner) {
            return owner;
        }
    } while (widen(&domain, bytes));
    return NULL;
}

static struct virtual_host *add_host(struct host_table *table, struct text domain,
                                     const struct graph_listener *owner)
{
    struct virtual_host *host = map_find(&table->hosts, domain);
    if (host) {
        return host;
    }
    host = calloc(1, sizeof(*host));
    ensure(host != NULL);
    host->domain = domain;
    host->owner = owner;
    map_put(&table->hosts, domain, host);
    *array_add(&table->list) = host;
    return host;
}

static void link_hosts(struct host_table *table)
{
    for (size_t i = 0; i < table->list.count; i++) {
        struct virtual_host *host = table->list.items[i];
        struct text domain = host->domain;
        char bytes[256];
        while (!host->next && widen(&domain, bytes)) {
            struct virtual_host *wider = map_find(&table->hosts, domain);
            if (wider && wider->owner == host->owner) {
                host->next = wider;
            }
        }
    }
}

/* ---- precedence ------------------------------------------------------------------------------ */

static uint64_t at_most(uint64_t value, unsigned bits)
{
    uint64_t limit = (1ull << bits) - 1;
    return value < limit ? value : limit;
}

/* Larger is more specific: own hostname (exact, length), path (type, length), method, headers,
 * query parameters. */
static uint64_t specificity(struct text hostname, const struct http_match *match)
{
    static const uint64_t path_rank[] = { [PATH_MATCH_EXACT] = 2,
                                          [PATH_MATCH_REGULAR_EXPRESSION] = 1,
                                          [PATH_MATCH_PREFIX] = 0 };
    uint64_t length = match->path->type == PATH_MATCH_PREFIX ? match->path->value.size : 0;
    uint64_t rank = hostname.at[0] != '*';
    rank = rank << 9 | at_most(hostname.size, 9);
    rank = rank << 2 | path_rank[match->path->type];
    rank = rank << 14 | at_most(length, 14);
    rank = rank << 1 | (match->method.size != 0);
    rank = rank << 8 | at_most(match->headers.count, 8);
    return rank << 8 | at_most(match->query_params.count, 8);
}

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    if (a->specificity != b->specificity) {
        return a->specificity > b->specificity ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

/* age is the attachment's place among those of its listener: oldest first. */
static void add_routes(struct virtual_host *host, const struct graph_attachment *attachment,
                       const struct graph_domain *domain, size_t age)
{
    const struct graph_route *route = attachment->route;
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct graph_rule *rule = &route->rules[i];
        for (size_t k = 0; k < rule->spec->matches.count; k++) {
            *array_add(&host->routes) = (struct ranked){
                .specificity = specificity(domain->route_hostname, &rule->spec->matches.items[k]),
                .order = (uint64_t)age << 32 | at_most(i, 16) << 16 | at_most(k, 16),
                .source = { route, rule, k, attachment->listener },
            };
        }
    }
}

static void add_listener(struct host_table *table, const struct graph_listener *listener)
{
    add_host(table, listener->hostname, listener);
    for (size_t i = 0; i < listener->attachment_count && !listener->policy_invalid; i++) {
        const struct graph_attachment *attachment = listener->attachments[i];
        for (size_t k = 0; k < attachment->domain_count; k++) {
            const struct graph_domain *domain = &attachment->domains[k];
            if (find_owner(table, domain->name) == listener) {
                add_routes(add_host(table, domain->name, listener), attachment, domain, i);
            }
        }
    }
}

static int compare_hosts(const void *left, const void *right)
{
    const struct virtual_host *a = *(struct virtual_host *const *)left;
    const struct virtual_host *b = *(struct virtual_host *const *)right;
    return text_compare(a->domain, b->domain);
}

static void table_init(struct host_table *table, const struct graph_socket *socket)
{
    *table = (struct host_table){ .socket = socket };
    for (size_t i = 0; i < socket->listener_count; i++) {
        map_put(&table->owners, socket->listeners[i]->hostname, socket->listeners[i]);
    }
    for (size_t i = 0; i < socket->listener_count; i++) {
        add_listener(table, socket->listeners[i]);
    }
    if (table->list.count > 1) {
        qsort(table->list.items, table->list.count, sizeof(*table->list.items), compare_hosts);
    }
    for (size_t i = 0; i < table->list.count; i++) {
        struct virtual_host *host = table->list.items[i];
        if (host->routes.count > 1) {
            qsort(host->routes.items, host->routes.count, sizeof(*host->routes.items),
                  compare_ranked);
        }
    }
    link_hosts(table);
}

static void table_fini(struct host_table *table)
{
    for (size_t i = 0; i < table->list.count; i++) {
        array_free(&table->list.items[i]->routes);
        free(table->list.items[i]);
    }
    array_free(&table->list);
    map_fini(&table->owners);
    map_fini(&table->hosts);
}

/* ---- wire form ------------------------------------------------------------------------------- */

/* Field numbers of repeated message fields that are put together from packed messages. */
enum { FIELD_VIRTUAL_HOSTS = 2, FIELD_ROUTES = 3 };

static void append_field(struct buffer *out, unsigned field, struct text bytes)
{
    buffer_append_byte(out, (char)(field << 3 | 2));
    size_t size = bytes.size;
    while (size >= 0x80) {
        buffer_append_byte(out, (char)(size | 0x80));
        size >>= 7;
    }
    buffer_append_byte(out, (char)size);
    buffer_append(out, bytes);
}

struct scratch {
    struct buffer host;
    struct buffer route;
};

static void append_routes(struct translation *translation, struct scratch *scratch,
                          const struct virtual_host *host)
{
    for (size_t i = 0; i < host->routes.count; i++) {
        append_field(&scratch->host, FIELD_ROUTES,
                     route_cache_get(translation->cache, translation,
                                     &host->routes.items[i].source));
    }
}

/* For Envoy, which knows no inheritance. */
static void append_wider(struct translation *translation, struct scratch *scratch,
                         struct host_table *table, const struct virtual_host *host)
{
    for (host = host->next; host && host->routes.count <= table->budget; host = host->next) {
        table->budget -= host->routes.count;
        append_routes(translation, scratch, host);
    }
}

static void append_host(struct translation *translation, struct scratch *scratch,
                        struct host_table *table, const struct virtual_host *host)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Route__V3__VirtualHost *head =
        compose_new(arena, &ROUTE_TYPE(virtual_host));
    head->name = (char *)(uintptr_t)arena_format(arena, "vhost/%.*s/%.*s",
                                                 TEXT_ARG(host->owner->key),
                                                 TEXT_ARG(host->domain)).at;
    COMPOSE_ADD(arena, head, domains, compose_string(arena, host->domain));
    buffer_clear(&scratch->host);
    xds_pack(&head->base, &scratch->host);
    translation_recycle(translation);
    if (host->owner->policy_invalid) {
        struct text name = arena_format(arena, "%.*s/policy_invalid", TEXT_ARG(host->owner->key));
        buffer_clear(&scratch->route);
        xds_pack(&compose_refusal(translation, name, TEXT("policy_invalid"))->base,
                 &scratch->route);
        append_field(&scratch->host, FIELD_ROUTES, buffer_text(&scratch->route));
        return;
    }
    append_routes(translation, scratch, host);
    if (translation->options->for_envoy) {
        append_wider(translation, scratch, table, host);
    } else if (host->next) {
        Envoy__Config__Route__V3__VirtualHost *tail =
            compose_new(arena, &ROUTE_TYPE(virtual_host));
        Weft__V1__Inherit *inherit = compose_new(arena, &weft__v1__inherit__descriptor);
        inherit->next_domain = compose_string(arena, host->next->domain);
        ADD_OVERRIDE(arena, tail,
                     ROUTE_TYPE(virtual_host__typed_per_filter_config_entry),
                     "weft.inherit", &inherit->base);
        xds_pack(&tail->base, &scratch->host);
        translation_recycle(translation);
    }
}

void encode_virtual_hosts(struct translation *translation, const struct graph_socket *socket,
                          struct buffer *out)
{
    struct host_table table;
    struct scratch scratch;
    table_init(&table, socket);
    uint32_t limit = translation->options->appended_routes_max;
    table.budget = limit ? limit : 100000;
    buffer_init(&scratch.host);
    buffer_init(&scratch.route);
    for (size_t i = 0; i < table.list.count; i++) {
        append_host(translation, &scratch, &table, table.list.items[i]);
        append_field(out, FIELD_VIRTUAL_HOSTS, buffer_text(&scratch.host));
    }
    buffer_fini(&scratch.host);
    buffer_fini(&scratch.route);
    table_fini(&table);
}

void encode_routes(struct translation *translation, const struct graph_socket *socket,
                   struct text virtual_hosts, struct buffer *out)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Route__V3__RouteConfiguration *head =
        compose_new(arena, &ROUTE_TYPE(route_configuration));
    Envoy__Config__Route__V3__RouteConfiguration *tail =
        compose_new(arena, &ROUTE_TYPE(route_configuration));
    head->name = compose_string(arena, socket->routes_name);
    tail->ignore_port_in_host_matching = true;
    tail->most_specific_header_mutations_wins = true; /* a backend's filters run last */
    xds_pack(&head->base, out);
    buffer_append(out, virtual_hosts);
    xds_pack(&tail->base, out);
    translation_recycle(translation);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static uint64_t hash_listener(const struct graph_listener *listener)
{
    uint64_t hash = hash_mix(hash_stable(listener->key), hash_stable(listener->hostname));
    hash = hash_mix(hash, listener->spec->port);
    hash = hash_mix(hash, listener->policy_invalid);
    for (size_t i = 0; i < listener->attachment_count; i++) {
        hash = hash_mix(hash, listener->attachments[i]->route->input_hash);
    }
    return hash;
}

uint64_t hash_routes(const struct graph_socket *socket)
{
    uint64_t hash = socket->listener_count;
    for (size_t i = 0; i < socket->listener_count; i++) {
        hash = hash_mix(hash, hash_listener(socket->listeners[i]));
    }
    return hash;
}
