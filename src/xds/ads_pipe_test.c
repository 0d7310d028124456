/* Server, pipe and client together over a real loop, the way `weft run` joins them: a small
 * consumer that wants what its resources refer to, and puts all in force when idle. */
#include "xds/ads_pipe.h"

#include "base/buffer.h"
#include "xds/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    struct loop *loop;
    struct ads_server *server;
    struct ads_pipe *pipe;
    struct ads_client *client;
    unsigned builds;
    unsigned resources;
    unsigned removed;
    unsigned acks;
    unsigned nacks;
    const char *refused; /* a name, or "*" */
    char reason[256];
};

static void send(void *owner, struct text request)
{
    struct world *world = owner;
    ads_pipe_send(world->pipe, request);
}

/* Clusters carry the name of their endpoints as bytes, listeners that of their routes. */
static void take(void *owner, struct text type_url, struct ads_resource *resources, size_t count,
                 const struct text *removed, size_t removed_count)
{
    struct world *world = owner;
    struct text wanted[64];
    size_t wanted_count = 0;
    world->resources += (unsigned)count;
    world->removed += (unsigned)removed_count;
    for (size_t i = 0; i < count; i++) {
        struct text refused = text_from_string(world->refused);
        if (text_equal(refused, TEXT("*")) || text_equal(resources[i].name, refused)) {
            struct error error;
            error_set(&error, "listeners[0]: no");
            ads_resource_refuse(&resources[i], &error);
        }
        if (wanted_count < 64)
            wanted[wanted_count++] = resources[i].bytes;
    }
    if (count > 0 && text_equal(type_url, TYPE_CLUSTER))
        ads_client_want(world->client, TYPE_ENDPOINTS, wanted, wanted_count);
    if (count > 0 && text_equal(type_url, TYPE_LISTENER))
        ads_client_want(world->client, TYPE_ROUTES, wanted, wanted_count);
}

static void note_awaited(void *owner, struct text type_url, struct text name)
{
    (*(unsigned *)owner)++;
}

static void build(void *owner)
{
    struct world *world = owner;
    unsigned awaited = 0;
    ads_client_each_awaited(world->client, &awaited, note_awaited);
    assert_int_equal(awaited, 0); /* never idle half way */
    world->builds++;
    ads_client_settle(world->client);
}

static void note_ack(void *owner, struct ads_stream *stream, struct text type_url, struct text name,
                     struct text version)
{
    ((struct world *)owner)->acks++;
}

static void note_nack(void *owner, struct ads_stream *stream, struct text type_url,
                      struct text name, struct text version, struct text reason)
{
    struct world *world = owner;
    world->nacks++;
    snprintf(world->reason, sizeof(world->reason), "%.*s: %.*s", TEXT_ARG(name), TEXT_ARG(reason));
}

static void turn_until_quiet(struct world *world)
{
    for (int i = 0; i < 100; i++)
        loop_turn(world->loop, 0);
}

static void open_world(struct world *world)
{
    struct error error;
    *world = (struct world) { 0 };
    world->loop = loop_new(&error);
    assert_non_null(world->loop);
    struct ads_server_events server_events = { .owner = world,
                                               .on_ack = note_ack,
                                               .on_nack = note_nack };
    struct ads_client_events client_events = { world, send, take, build };
    struct ads_client_node node = { TEXT("self"), TEXT("edge") };
    world->server = ads_server_new(&server_events);
    world->pipe = ads_pipe_new(world->loop, world->server);
    world->client = ads_client_new(&node, &client_events);
}

static void close_world(struct world *world)
{
    ads_pipe_free(world->pipe);
    loop_turn(world->loop, 0);
    ads_client_free(world->client);
    ads_server_free(world->server);
    loop_free(world->loop);
}

static void set_all(struct world *world, const char *suffix)
{
    ads_server_set(world->server, TYPE_LISTENER, TEXT("l"), TEXT("r"));
    ads_server_set(world->server, TYPE_ROUTES, TEXT("r"), text_from_string(suffix));
    ads_server_set(world->server, TYPE_CLUSTER, TEXT("c"), TEXT("e"));
    ads_server_set(world->server, TYPE_ENDPOINTS, TEXT("e"), text_from_string(suffix));
    ads_server_commit(world->server);
}

static void one_commit_is_one_build(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    set_all(&world, "1");
    ads_pipe_join(world.pipe, world.client);
    turn_until_quiet(&world);
    assert_int_equal(world.builds, 1);
    assert_int_equal(world.resources, 4);
    assert_int_equal(world.acks, 4);
    assert_int_equal(ads_server_state(world.server, TYPE_ROUTES, TEXT("r")), ADS_ACKED);
    set_all(&world, "2");
    assert_int_equal(ads_server_state(world.server, TYPE_ROUTES, TEXT("r")), ADS_PENDING);
    turn_until_quiet(&world);
    assert_int_equal(world.builds, 2);
    assert_int_equal(world.resources, 6); /* only what changed */
    assert_int_equal(world.acks, 6);
    set_all(&world, "2");
    turn_until_quiet(&world);
    assert_int_equal(world.builds, 2);
    close_world(&world);
}

static void a_refusal_reaches_the_server(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    world.refused = "l";
    set_all(&world, "1");
    ads_pipe_join(world.pipe, world.client);
    turn_until_quiet(&world);
    assert_int_equal(world.nacks, 1);
    assert_string_equal(world.reason, "l: listeners[0]: no");
    assert_int_equal(ads_server_state(world.server, TYPE_LISTENER, TEXT("l")), ADS_NACKED);
    assert_int_equal(ads_server_state(world.server, TYPE_CLUSTER, TEXT("c")), ADS_ACKED);
    close_world(&world);
}

/* However many are refused, none passes for taken. */
static void every_refusal_is_told(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    world.refused = "*";
    for (int i = 0; i < 1000; i++) {
        char name[16];
        int size = snprintf(name, sizeof(name), "c%d", i);
        ads_server_set(world.server, TYPE_CLUSTER, text_of(name, (size_t)size), TEXT("e"));
    }
    ads_server_set(world.server, TYPE_ENDPOINTS, TEXT("e"), TEXT("1"));
    ads_server_commit(world.server);
    ads_pipe_join(world.pipe, world.client);
    turn_until_quiet(&world);
    assert_int_equal(world.nacks, 1001);
    assert_int_equal(world.acks, 0);
    close_world(&world);
}

static void removals_come_last(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    set_all(&world, "1");
    ads_pipe_join(world.pipe, world.client);
    turn_until_quiet(&world);
    ads_server_set(world.server, TYPE_ROUTES, TEXT("r"), TEXT("without c"));
    ads_server_remove(world.server, TYPE_CLUSTER, TEXT("c"));
    ads_server_remove(world.server, TYPE_ENDPOINTS, TEXT("e"));
    ads_server_commit(world.server);
    loop_turn(world.loop, 0);
    assert_int_equal(world.removed, 0);
    turn_until_quiet(&world);
    assert_int_equal(world.removed, 2);
    assert_int_equal(world.builds, 3);
    close_world(&world);
}

/* Freed with messages on their way, at every moment. */
static void ends_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 20; turns++) {
        struct world world;
        open_world(&world);
        set_all(&world, "1");
        ads_pipe_join(world.pipe, world.client);
        for (int i = 0; i < turns; i++)
            loop_turn(world.loop, 0);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_commit_is_one_build), cmocka_unit_test(a_refusal_reaches_the_server),
        cmocka_unit_test(every_refusal_is_told),   cmocka_unit_test(removals_come_last),
        cmocka_unit_test(ends_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
