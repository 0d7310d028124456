/* ADS server and client against each other: the input is a sequence of changes, commits,
 * deliveries, lost streams, wishes and settlements. In the end, when everything has been delivered,
 * the client holds exactly what the server serves, but for what it refused. */
#include "target.h"

#include "base/array.h"
#include "base/list.h"
#include "xds/ads_client.h"
#include "xds/ads_server.h"
#include "xds/registry.h"

#include <stdlib.h>

enum { CLUSTERS, ENDPOINTS, LISTENERS, ROUTES, TYPES, NAMES = 4 };

struct message {
    struct list link;
    size_t size;
    char bytes[];
};

struct world {
    struct ads_server *server;
    struct ads_stream *stream;
    struct ads_client *client;
    struct list to_server;
    struct list to_client;
    uint8_t set[TYPES][NAMES];  /* what the server will serve; 0: nothing */
    uint8_t held[TYPES][NAMES]; /* what the client's owner has; 0: nothing */
    bool wanted[TYPES][NAMES];
};

static struct text type_of(unsigned type)
{
    const struct text urls[] = { TYPE_CLUSTER, TYPE_ENDPOINTS, TYPE_LISTENER, TYPE_ROUTES };
    return urls[type];
}

static unsigned type_index(struct text url)
{
    unsigned type = 0;
    while (!text_equal(type_of(type), url)) {
        type++;
    }
    ensure(type < TYPES);
    return type;
}

static struct text name_of(unsigned name)
{
    return text_of(&"abcd"[name], 1);
}

static unsigned name_index(struct text name)
{
    ensure(name.size == 1 && name.at[0] >= 'a' && name.at[0] < 'a' + NAMES);
    return (unsigned)(name.at[0] - 'a');
}

static bool is_bad(uint8_t value)
{
    return value % 5 == 0;
}

static void push(struct list *queue, struct text bytes)
{
    struct message *message = malloc(sizeof(*message) + bytes.size);
    ensure(message != NULL);
    message->size = bytes.size;
    memcpy(message->bytes, bytes.at, bytes.size);
    list_add_last(queue, &message->link);
}

static struct message *pop(struct list *queue)
{
    if (list_is_empty(queue)) {
        return NULL;
    }
    struct message *message = list_owner(queue->next, struct message, link);
    list_remove(&message->link);
    return message;
}

static void send_to_client(void *owner, struct text response)
{
    push(&((struct world *)owner)->to_client, response);
}

static void send_to_server(void *owner, struct text request)
{
    push(&((struct world *)owner)->to_server, request);
}

static void on_resources(void *owner, struct text type_url, struct ads_resource *resources,
                         size_t count, const struct text *removed, size_t removed_count)
{
    struct world *world = owner;
    unsigned type = type_index(type_url);
    for (size_t i = 0; i < count; i++) {
        ensure(resources[i].bytes.size == 1);
        uint8_t value = (uint8_t)resources[i].bytes.at[0];
        if (is_bad(value)) {
            struct error error;
            error_set(&error, "bad");
            ads_resource_refuse(&resources[i], &error);
            continue;
        }
        world->held[type][name_index(resources[i].name)] = value;
    }
    for (size_t i = 0; i < removed_count; i++) {
        world->held[type][name_index(removed[i])] = 0;
    }
}

static void on_idle(void *owner)
{
}

static void change(struct world *world, uint8_t what, uint8_t value)
{
    unsigned type = what % TYPES;
    unsigned name = what / TYPES % NAMES;
    world->set[type][name] = value;
    if (value == 0) {
        ads_server_remove(world->server, type_of(type), name_of(name));
    } else {
        ads_server_set(world->server, type_of(type), name_of(name),
                       text_of((const char *)&value, 1));
    }
}

static void want(struct world *world, unsigned type, uint8_t bits)
{
    struct text names[NAMES];
    size_t count = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        bool wanted = bits >> i & 1;
        world->wanted[type][i] = wanted;
        if (wanted) {
            names[count++] = name_of(i);
        } else {
            world->held[type][i] = 0;
        }
    }
    ads_client_want(world->client, type_of(type), names, count);
}

static bool deliver_to_server(struct world *world)
{
    struct message *message = pop(&world->to_server);
    if (message) {
        struct error error;
        ensure(ads_stream_receive(world->stream, text_of(message->bytes, message->size), &error));
        free(message);
    }
    return message != NULL;
}

static bool deliver_to_client(struct world *world)
{
    struct message *message = pop(&world->to_client);
    if (message) {
        struct error error;
        ensure(ads_client_receive(world->client, text_of(message->bytes, message->size), &error));
        free(message);
    }
    return message != NULL;
}

static void forget_messages(struct world *world)
{
    struct message *message;
    while ((message = pop(&world->to_server)) != NULL) {
        free(message);
    }
    while ((message = pop(&world->to_client)) != NULL) {
        free(message);
    }
}

static void reconnect(struct world *world)
{
    ads_client_disconnect(world->client);
    ads_stream_close(world->stream);
    forget_messages(world);
    world->stream = ads_stream_open(world->server, world, send_to_client);
    ads_client_connect(world->client);
}

static void step(struct world *world, uint8_t operation, uint8_t argument, uint8_t value)
{
    switch (operation % 9) {
    case 0:
    case 1:
        change(world, argument, value);
        break;
    case 2:
        ads_server_commit(world->server);
        break;
    case 3:
        deliver_to_server(world);
        break;
    case 4:
        deliver_to_client(world);
        break;
    case 5:
        ads_client_idle(world->client);
        break;
    case 6:
        ads_client_settle(world->client);
        break;
    case 7:
        reconnect(world);
        break;
    case 8:
        want(world, argument % 2 ? ENDPOINTS : ROUTES, value);
        break;
    }
}

static void come_to_rest(struct world *world)
{
    do {
        while (deliver_to_server(world) || deliver_to_client(world)) {
        }
        ads_client_idle(world->client);
        ads_client_settle(world->client);
    } while (!list_is_empty(&world->to_server));
}

/* Removed clusters and endpoints stay as long as a refused route may need them. */
static bool routes_are_refused(const struct world *world)
{
    for (unsigned i = 0; i < NAMES; i++) {
        bool listener = world->set[LISTENERS][i] && is_bad(world->set[LISTENERS][i]);
        bool route =
            world->wanted[ROUTES][i] && world->set[ROUTES][i] && is_bad(world->set[ROUTES][i]);
        if (listener || route) {
            return true;
        }
    }
    return false;
}

static void check(const struct world *world)
{
    bool keeps = routes_are_refused(world);
    for (unsigned type = 0; type < TYPES; type++) {
        for (unsigned i = 0; i < NAMES; i++) {
            uint8_t serves = world->set[type][i], held = world->held[type][i];
            bool asked = type == CLUSTERS || type == LISTENERS || world->wanted[type][i];
            if (!asked || (serves && is_bad(serves))) {
                continue;
            }
            bool may_stay = keeps && !serves && (type == CLUSTERS || type == ENDPOINTS);
            ensure(held == serves || may_stay);
            if (serves) {
                ensure(ads_server_state(world->server, type_of(type), name_of(i)) == ADS_ACKED);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = { 0 };
    struct ads_client_events events = { &world, send_to_server, on_resources, on_idle };
    struct ads_client_node node = { TEXT("n"), TEXT("c") };
    list_init(&world.to_server);
    list_init(&world.to_client);
    world.server = ads_server_new(NULL);
    world.client = ads_client_new(&node, &events);
    world.stream = ads_stream_open(world.server, &world, send_to_client);
    ads_client_connect(world.client);
    for (size_t i = 0; i + 2 < size && i < 3000; i += 3) {
        step(&world, data[i], data[i + 1], data[i + 2]);
    }
    ads_server_commit(world.server);
    come_to_rest(&world);
    check(&world);
    forget_messages(&world);
    ads_client_free(world.client);
    ads_stream_close(world.stream);
    ads_server_free(world.server);
    return 0;
}
