/* ADS client: subscriptions, versions, answers. Owned by who compiles the plan (`weft run`, `weft
 * proxy`); carriers (the in-process pipe, a gRPC stream) feed it and take its requests. */
#include "xds/ads_client.h"

#include "base/array.h"
#include "base/ensure.h"
#include "base/list.h"
#include "base/map.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "xds/ads_answer.h"
#include "xds/compose.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST  (&envoy__service__discovery__v3__delta_discovery_request__descriptor)
#define RESPONSE (&envoy__service__discovery__v3__delta_discovery_response__descriptor)
#define NODE     (&envoy__config__core__v3__node__descriptor)

/* One resource name the client has or wants. */
struct client_entry {
    struct text name;
    struct text version;  /* in force; empty: none */
    struct text received; /* newer, not settled yet; at is NULL where there is none */
    uint64_t batch;       /* on_idle that covers `received` */
    bool wanted;          /* by name */
    bool still_wanted;    /* while a new set of names is taken in */
    bool answered;        /* the server sent it, or said that it does not exist */
};

struct client_type {
    struct text url;
    bool wildcard;
    struct map entries; /* name -> struct client_entry */
};

/* The version named on reconnect for what is taken but not yet settled: none a server gives, so
 * that it comes again and is answered on the new stream, or is known to be removed. */
#define UNSETTLED TEXT("unsettled")

#define TYPES_MAX 8

struct ads_client {
    struct ads_client_events events;
    struct text id;
    struct text cluster;
    struct client_type types[TYPES_MAX];
    size_t type_count;
    struct list answers; /* oldest first */
    uint64_t batch;      /* counts on_idle; responses that come now belong to batch + 1 */
    bool connected;
    bool node_sent;
    bool news; /* since the last on_idle */
};

static struct text keep(struct text t)
{
    char *copy = malloc(t.size + 1);
    ensure(copy != NULL);
    if (t.size > 0)
        memcpy(copy, t.at, t.size);
    copy[t.size] = '\0';
    return text_of(copy, t.size);
}

static void drop(struct text *t)
{
    free((char *)(uintptr_t)t->at);
    *t = text_of(NULL, 0);
}

static struct client_type *type_find(struct ads_client *client, struct text url)
{
    for (size_t i = 0; i < client->type_count; i++) {
        if (text_equal(client->types[i].url, url))
            return &client->types[i];
    }
    return NULL;
}

static struct client_type *type_add(struct ads_client *client, struct text url, bool wildcard)
{
    ensure(client->type_count < TYPES_MAX);
    struct client_type *type = &client->types[client->type_count++];
    type->url = keep(url);
    type->wildcard = wildcard;
    map_init(&type->entries);
    return type;
}

static struct client_entry *entry_add(struct client_type *type, struct text name)
{
    struct client_entry *entry = calloc(1, sizeof(*entry));
    ensure(entry != NULL);
    entry->name = keep(name);
    map_put(&type->entries, entry->name, entry);
    return entry;
}

static void entry_free(struct client_entry *entry)
{
    drop(&entry->name);
    drop(&entry->version);
    drop(&entry->received);
    free(entry);
}

static void entry_forget(struct client_type *type, struct client_entry *entry)
{
    map_remove(&type->entries, entry->name);
    entry_free(entry);
}

struct ads_client *ads_client_new(const struct ads_client_node *node,
                                  const struct ads_client_events *events)
{
    struct ads_client *client = calloc(1, sizeof(*client));
    ensure(client != NULL);
    client->events = *events;
    client->id = keep(node->id);
    client->cluster = keep(node->cluster);
    list_init(&client->answers);
    type_add(client, TYPE_CLUSTER, true);
    type_add(client, TYPE_ENDPOINTS, false);
    type_add(client, TYPE_LISTENER, true);
    type_add(client, TYPE_ROUTES, false);
    return client;
}

static void forget_answers(struct ads_client *client)
{
    while (!list_is_empty(&client->answers))
        ads_answer_free(list_owner(client->answers.next, struct ads_answer, link));
}

void ads_client_free(struct ads_client *client)
{
    if (!client)
        return;
    forget_answers(client);
    for (size_t i = 0; i < client->type_count; i++) {
        const struct map_entry *at;
        size_t cursor = 0;
        while ((at = map_next(&client->types[i].entries, &cursor)))
            entry_free(at->value);
        map_fini(&client->types[i].entries);
        drop(&client->types[i].url);
    }
    drop(&client->id);
    drop(&client->cluster);
    free(client);
}

/* A request for this type, with the node where it is the stream's first. */
static Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *
request_new(struct ads_client *client, const struct client_type *type, struct arena *arena)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request = compose_new(arena, REQUEST);
    request->type_url = compose_string(arena, type->url);
    if (!client->node_sent) {
        request->node = compose_new(arena, NODE);
        request->node->id = compose_string(arena, client->id);
        request->node->cluster = compose_string(arena, client->cluster);
        request->node->user_agent_name = compose_string(arena, TEXT("weft"));
        client->node_sent = true;
    }
    return request;
}

static void request_send(struct ads_client *client,
                         Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request)
{
    struct buffer packed;
    buffer_init(&packed);
    xds_pack(&request->base, &packed);
    client->events.send(client->events.owner, buffer_text(&packed));
    buffer_fini(&packed);
}

/* The type of a name's version in a request (its name is longer than a line). */
static const ProtobufCMessageDescriptor *version_entry(void)
{
    return protobuf_c_message_descriptor_get_field_by_name(REQUEST, "initial_resource_versions")
        ->descriptor;
}

/* The first request of a type on a stream: all wanted names, and the versions in force. */
static void subscribe_anew(struct ads_client *client, struct client_type *type)
{
    struct arena arena;
    arena_init(&arena);
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        request_new(client, type, &arena);
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&type->entries, &cursor))) {
        struct client_entry *entry = at->value;
        if (entry->wanted) {
            entry->answered = false;
            COMPOSE_ADD(&arena, request, resource_names_subscribe,
                        compose_string(&arena, entry->name));
        }
        struct text version = entry->received.at ? UNSETTLED : entry->version;
        if (version.size > 0)
            COMPOSE_ADD(&arena, request, initial_resource_versions,
                        compose_entry(&arena, version_entry(), entry->name,
                                      compose_string(&arena, version)));
    }
    if (type->wildcard || request->n_resource_names_subscribe > 0)
        request_send(client, request);
    arena_fini(&arena);
}

void ads_client_connect(struct ads_client *client)
{
    ensure(!client->connected);
    client->connected = true;
    client->node_sent = false;
    for (size_t i = 0; i < client->type_count; i++)
        subscribe_anew(client, &client->types[i]);
}

/* Nonces die with their stream; what came on it stays and is settled without an answer. */
void ads_client_disconnect(struct ads_client *client)
{
    client->connected = false;
    for (struct list *at = client->answers.next; at != &client->answers; at = at->next)
        ads_answer_orphan(list_owner(at, struct ads_answer, link));
}

void ads_resource_refuse(struct ads_resource *resource, const struct error *error)
{
    free(resource->refusal);
    resource->refusal = strdup(error->text);
    ensure(resource->refusal != NULL);
}

/* Why a resource of a response cannot even be handed on; NULL where it can. */
static const char *flaw_of(const Envoy__Service__Discovery__V3__Resource *resource,
                           const char *type_url, const struct map *names)
{
    if (!*resource->name)
        return "a resource without a name";
    if (map_find(names, text_from_string(resource->name)) != resource)
        return "the name stands twice in one response";
    if (strcmp(resource->resource->type_url, type_url) != 0)
        return "of another type than the response";
    return NULL;
}

/* Names that stand twice map to a marker, so that both of them are refused. */
static void collect_names(const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response,
                          struct map *names)
{
    static char twice;
    for (size_t i = 0; i < response->n_resources; i++) {
        struct text name = text_from_string(response->resources[i]->name);
        if (map_put(names, name, response->resources[i]))
            map_put(names, name, &twice);
    }
    for (size_t i = 0; i < response->n_removed_resources; i++) {
        struct text name = text_from_string(response->removed_resources[i]);
        if (map_find(names, name))
            map_put(names, name, &twice);
    }
}

struct delivery {
    ARRAY_OF(struct ads_resource) resources;
    ARRAY_OF(struct text) removed;
};

static void collect_resources(struct ads_answer *pending,
                              const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response,
                              const struct map *names, struct delivery *delivery)
{
    struct client_type *type = pending->type;
    for (size_t i = 0; i < response->n_resources; i++) {
        const Envoy__Service__Discovery__V3__Resource *resource = response->resources[i];
        struct text name = text_from_string(resource->name);
        struct client_entry *entry = map_find(&type->entries, name);
        if (!resource->resource) { /* a heartbeat: what is there lives on */
            if (entry)
                entry->answered = true;
            continue;
        }
        const char *flaw = flaw_of(resource, response->type_url, names);
        if (flaw)
            ads_answer_refuse(pending, name, flaw);
        if (flaw && entry)
            entry->answered = true;
        if (flaw || (!type->wildcard && !entry))
            continue; /* a name nobody wants any more is no fault */
        struct ads_resource *item = array_add(&delivery->resources);
        item->name = name;
        item->version = text_from_string(resource->version);
        item->bytes = xds_bytes(resource->resource->value);
    }
}

static void collect_removed(struct client_type *type,
                            const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response,
                            const struct map *names, struct delivery *delivery)
{
    for (size_t i = 0; i < response->n_removed_resources; i++) {
        struct text name = text_from_string(response->removed_resources[i]);
        if (map_find(&type->entries, name) && !map_find(names, name))
            *array_add(&delivery->removed) = name;
    }
}

static void take_resource(struct ads_client *client, struct ads_answer *pending,
                          const struct ads_resource *resource)
{
    struct client_entry *entry = map_find(&pending->type->entries, resource->name);
    if (resource->refusal)
        ads_answer_refuse(pending, resource->name, resource->refusal);
    if (!entry && !pending->type->wildcard)
        return; /* no longer wanted since it was handed over */
    if (!entry)
        entry = entry_add(pending->type, resource->name);
    entry->answered = true;
    if (resource->refusal)
        return;
    drop(&entry->received);
    entry->received = keep(resource->version);
    entry->batch = client->batch + 1;
}

static void take_removed(struct client_type *type, struct text name)
{
    struct client_entry *entry = map_find(&type->entries, name);
    if (!entry)
        return;
    if (!entry->wanted) {
        entry_forget(type, entry);
        return;
    }
    drop(&entry->version);
    drop(&entry->received);
    entry->answered = true;
}

static void deliver(struct ads_client *client, struct ads_answer *pending,
                    struct delivery *delivery)
{
    if (delivery->resources.count + delivery->removed.count > 0)
        client->events.on_resources(client->events.owner, pending->type->url,
                                    delivery->resources.items, delivery->resources.count,
                                    delivery->removed.items, delivery->removed.count);
    for (size_t i = 0; i < delivery->resources.count; i++) {
        take_resource(client, pending, &delivery->resources.items[i]);
        free(delivery->resources.items[i].refusal);
    }
    for (size_t i = 0; i < delivery->removed.count; i++)
        take_removed(pending->type, delivery->removed.items[i]);
}

static bool take_response(struct ads_client *client,
                          const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response,
                          struct error *error)
{
    struct client_type *type = type_find(client, text_from_string(response->type_url));
    if (!type)
        return error_set(error, "a response of type \"%.200s\", which was not asked for",
                         response->type_url);
    struct ads_answer *pending =
        ads_answer_new(type, text_from_string(response->nonce), client->batch + 1);
    list_add_last(&client->answers, &pending->link);
    client->news = true;
    struct map names;
    struct delivery delivery = { 0 };
    map_init(&names);
    collect_names(response, &names);
    collect_resources(pending, response, &names, &delivery);
    collect_removed(type, response, &names, &delivery);
    deliver(client, pending, &delivery);
    array_free(&delivery.resources);
    array_free(&delivery.removed);
    map_fini(&names);
    return true;
}

bool ads_client_receive(struct ads_client *client, struct text response, struct error *error)
{
    ensure(client->connected);
    struct arena arena;
    arena_init(&arena);
    ProtobufCMessage *message;
    bool good = xds_decode_envelope(RESPONSE, response, &arena, &message, error) &&
                take_response(client, (const void *)message, error);
    arena_fini(&arena);
    return good;
}

void ads_client_idle(struct ads_client *client)
{
    if (!client->news)
        return;
    client->news = false;
    client->batch++;
    client->events.on_idle(client->events.owner);
}

/* Asks for what is newly wanted and gives up what no longer is, in a request of its own: a nonce on
 * it would make servers drop it when the nonce is stale. */
static void want_changes(struct ads_client *client, struct client_type *type)
{
    struct arena arena;
    arena_init(&arena);
    ARRAY_OF(struct client_entry *) gone = { 0 };
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        request_new(client, type, &arena);
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&type->entries, &cursor))) {
        struct client_entry *entry = at->value;
        if (entry->still_wanted && !entry->wanted)
            COMPOSE_ADD(&arena, request, resource_names_subscribe,
                        compose_string(&arena, entry->name));
        if (entry->wanted && !entry->still_wanted)
            COMPOSE_ADD(&arena, request, resource_names_unsubscribe,
                        compose_string(&arena, entry->name));
        entry->wanted = entry->still_wanted;
        entry->still_wanted = false;
        if (!entry->wanted)
            *array_add(&gone) = entry;
    }
    for (size_t i = 0; i < gone.count; i++)
        entry_forget(type, gone.items[i]);
    array_free(&gone);
    if (request->n_resource_names_subscribe + request->n_resource_names_unsubscribe > 0 &&
        client->connected)
        request_send(client, request);
    arena_fini(&arena);
}

void ads_client_want(struct ads_client *client, struct text type_url, const struct text *names,
                     size_t count)
{
    struct client_type *type = type_find(client, type_url);
    ensure(type && !type->wildcard);
    bool changed = false;
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        struct client_entry *entry = map_find(&type->entries, names[i]);
        changed = changed || !entry;
        if (!entry)
            entry = entry_add(type, names[i]);
        wanted += !entry->still_wanted;
        entry->still_wanted = true;
    }
    if (changed || wanted != type->entries.count) {
        want_changes(client, type);
        return;
    }
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&type->entries, &cursor)))
        ((struct client_entry *)at->value)->still_wanted = false;
}

void ads_client_refuse(struct ads_client *client, struct text type_url, struct text name,
                       const struct error *error)
{
    struct client_type *type = type_find(client, type_url);
    struct client_entry *entry = type ? map_find(&type->entries, name) : NULL;
    if (!entry || !entry->received.at)
        return;
    drop(&entry->received);
    for (struct list *at = client->answers.prev; at != &client->answers; at = at->prev) {
        struct ads_answer *response = list_owner(at, struct ads_answer, link);
        if (response->type == type && response->batch == entry->batch) {
            ads_answer_refuse(response, name, error->text);
            return;
        }
    }
}

void ads_client_retry(struct ads_client *client, struct text type_url, struct text name)
{
    struct client_type *type = type_find(client, type_url);
    ensure(type != NULL);
    if (!client->connected || (!type->wildcard && !map_find(&type->entries, name)))
        return;
    struct arena arena;
    arena_init(&arena);
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        request_new(client, type, &arena);
    COMPOSE_ADD(&arena, request, resource_names_subscribe, compose_string(&arena, name));
    request_send(client, request);
    arena_fini(&arena);
}

static void answer(struct ads_client *client, const struct ads_answer *due)
{
    if (!client->connected || due->nonce.size == 0)
        return;
    struct arena arena;
    arena_init(&arena);
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        request_new(client, due->type, &arena);
    ads_answer_write(due, &arena, request);
    request_send(client, request);
    arena_fini(&arena);
}

/* What was received up to the last on_idle and not refused is in force now. */
static void promote(struct ads_client *client, struct client_type *type)
{
    const struct map_entry *at;
    size_t cursor = 0;
    while ((at = map_next(&type->entries, &cursor))) {
        struct client_entry *entry = at->value;
        if (!entry->received.at || entry->batch > client->batch)
            continue;
        drop(&entry->version);
        entry->version = entry->received;
        entry->received = text_of(NULL, 0);
    }
}

void ads_client_settle(struct ads_client *client)
{
    for (size_t i = 0; i < client->type_count; i++)
        promote(client, &client->types[i]);
    while (!list_is_empty(&client->answers)) {
        struct ads_answer *due = list_owner(client->answers.next, struct ads_answer, link);
        if (due->batch > client->batch)
            break;
        answer(client, due);
        ads_answer_free(due);
    }
}

void ads_client_each_awaited(const struct ads_client *client, void *owner,
                             void (*on_name)(void *owner, struct text type_url, struct text name))
{
    for (size_t i = 0; i < client->type_count; i++) {
        const struct client_type *type = &client->types[i];
        const struct map_entry *at;
        size_t cursor = 0;
        while ((at = map_next(&type->entries, &cursor))) {
            const struct client_entry *entry = at->value;
            if (entry->wanted && !entry->answered)
                on_name(owner, type->url, entry->name);
        }
    }
}
