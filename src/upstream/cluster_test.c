/* Balancing, following configurations, pooling. */
#include "upstream/cluster.h"

#include "base/clock.h"
#include "base/ensure.h"
#include "net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* A configuration with endpoints 127.0.0.1:port, ... in order; the first `healthy` may be
 * picked. */
static struct cluster_config *config_of(enum balance_kind balance, const uint16_t *ports,
                                        const uint32_t *weights, uint32_t count, uint32_t healthy)
{
    struct arena arena;
    arena_init(&arena);
    struct cluster_config *config = arena_new(&arena, struct cluster_config);
    config->references = 1;
    config->id = 3;
    config->name = TEXT("service/default/web/80");
    config->balance = balance;
    config->choices = 2;
    config->connect_timeout_ms = 1000;
    config->idle_timeout_ms = 50;
    config->endpoints = arena_new_array(&arena, struct endpoint_config, count + 1);
    config->endpoint_count = count;
    config->healthy_count = healthy;
    for (uint32_t i = 0; i < count; i++) {
        struct endpoint_config *endpoint = &config->endpoints[i];
        address_parse_ip(TEXT("127.0.0.1"), &endpoint->address);
        endpoint->address.port = ports[i];
        endpoint->text = arena_format(&arena, "127.0.0.1:%u", ports[i]);
        endpoint->weight = weights ? weights[i] : 1;
        endpoint->affinity = ports[i];
        config->total_weight += i < healthy ? endpoint->weight : 0;
    }
    config->arena = arena;
    return config;
}

struct bed {
    struct loop *loop;
    struct upstreams upstreams;
};

static int setup(void **state)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    struct error error;
    bed->loop = loop_new(&error);
    assert_non_null(bed->loop);
    upstreams_init(&bed->upstreams, bed->loop);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    upstreams_fini(&bed->upstreams);
    loop_free(bed->loop);
    free(bed);
    return 0;
}

static const uint16_t three_ports[] = { 1, 2, 3 };

static void round_robin_takes_turns(void **state)
{
    struct bed *bed = *state;
    struct cluster_config *config = config_of(BALANCE_ROUND_ROBIN, three_ports, NULL, 3, 3);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    unsigned picked[4] = { 0 };
    for (int i = 0; i < 300; i++) {
        picked[cluster_pick(cluster, NULL)->address.port]++;
    }
    assert_int_equal(picked[1], 100);
    assert_int_equal(picked[2], 100);
    assert_int_equal(picked[3], 100);
    cluster_config_unref(config);
}

static void weighted_round_robin_keeps_the_weights_and_spreads_them(void **state)
{
    struct bed *bed = *state;
    static const uint32_t weights[] = { 5, 1, 1 };
    struct cluster_config *config = config_of(BALANCE_ROUND_ROBIN, three_ports, weights, 3, 3);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    unsigned picked[4] = { 0 };
    unsigned run = 0, longest = 0;
    for (int i = 0; i < 700; i++) {
        uint16_t port = cluster_pick(cluster, NULL)->address.port;
        picked[port]++;
        run = port == 1 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    assert_int_equal(picked[1], 500);
    assert_int_equal(picked[2], 100);
    assert_true(longest <= 5);
    cluster_config_unref(config);
}

static void least_request_avoids_the_loaded_endpoint(void **state)
{
    struct bed *bed = *state;
    struct cluster_config *config = config_of(BALANCE_LEAST_REQUEST, three_ports, NULL, 3, 3);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    cluster->endpoints[0]->active = 100;
    for (int i = 0; i < 200; i++) {
        assert_ptr_not_equal(cluster_pick(cluster, NULL), cluster->endpoints[0]);
    }
    cluster->endpoints[0]->active = 0;
    cluster_config_unref(config);
}

static void random_follows_weights(void **state)
{
    struct bed *bed = *state;
    static const uint32_t weights[] = { 8, 1, 1 };
    struct cluster_config *config = config_of(BALANCE_RANDOM, three_ports, weights, 3, 3);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    unsigned first = 0;
    for (int i = 0; i < 10000; i++) {
        first += cluster_pick(cluster, NULL)->address.port == 1;
    }
    assert_true(first > 7600 && first < 8400);
    cluster_config_unref(config);
}

static void a_retry_goes_elsewhere(void **state)
{
    struct bed *bed = *state;
    static const uint16_t ports[] = { 1, 2 };
    for (int kind = BALANCE_LEAST_REQUEST; kind <= BALANCE_RANDOM; kind++) {
        struct cluster_config *config = config_of((enum balance_kind)kind, ports, NULL, 2, 2);
        config->id = 10 + (uint32_t)kind;
        struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
        struct endpoint *tried = cluster->endpoints[0];
        for (int i = 0; i < 100; i++) {
            assert_ptr_equal(cluster_pick(cluster, tried), cluster->endpoints[1]);
        }
        cluster_config_unref(config);
    }
}

static void draining_endpoints_are_found_by_affinity_only(void **state)
{
    struct bed *bed = *state;
    struct cluster_config *config = config_of(BALANCE_ROUND_ROBIN, three_ports, NULL, 3, 1);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cluster_pick(cluster, NULL)->address.port, 1);
    }
    assert_int_equal(cluster_find_affinity(cluster, 3)->address.port, 3);
    assert_null(cluster_find_affinity(cluster, 9));
    cluster_config_unref(config);
}

static void no_endpoint_no_pick(void **state)
{
    struct bed *bed = *state;
    struct cluster_config *config = config_of(BALANCE_LEAST_REQUEST, NULL, NULL, 0, 0);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    assert_null(cluster_pick(cluster, NULL));
    cluster_config_unref(config);
}

/* Endpoints that stay keep their state; those that leave are freed with their last use. */
static void a_new_configuration_keeps_what_stays(void **state)
{
    struct bed *bed = *state;
    static const uint16_t later_ports[] = { 2, 4 };
    struct cluster_config *first = config_of(BALANCE_ROUND_ROBIN, three_ports, NULL, 3, 3);
    struct cluster_config *second = config_of(BALANCE_ROUND_ROBIN, later_ports, NULL, 2, 2);
    struct cluster_config *table[4] = { NULL, NULL, NULL, second };
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, first);
    struct endpoint *leaving = cluster->endpoints[0];
    struct endpoint *staying = cluster->endpoints[1];
    endpoint_use(leaving);
    upstreams_apply(&bed->upstreams, table, 4);
    assert_int_equal(cluster->endpoint_count, 2);
    assert_ptr_equal(cluster->endpoints[0], staying);
    assert_int_equal(cluster->endpoints[1]->address.port, 4);
    assert_true(leaving->removed);
    endpoint_release(leaving); /* ASan tells if this is not the end of it */
    upstreams_apply(&bed->upstreams, NULL, 0);
    assert_null(cluster_pick(cluster, NULL));
    cluster_config_unref(first);
    cluster_config_unref(second);
}

static void on_connected(struct transport *transport)
{
}

static struct connection *connect_to(struct bed *bed, struct endpoint *endpoint)
{
    int connect_errno = 0;
    struct connection *connection = pool_connect(endpoint, &connect_errno);
    assert_non_null(connection);
    connection->transport.on_ready = on_connected;
    for (int i = 0; i < 50 && connection->transport.connecting; i++) {
        loop_turn(bed->loop, 20);
    }
    assert_false(connection->transport.connecting);
    return connection;
}

static void connections_are_pooled_last_used_first_and_expire(void **state)
{
    struct bed *bed = *state;
    struct address any;
    struct error error;
    int listen_errno;
    address_parse(TEXT("127.0.0.1:0"), &any);
    int fd = listen_tcp(&any, false, false, &listen_errno, &error);
    assert_true(fd >= 0);
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    getsockname(fd, (struct sockaddr *)&bound, &size);
    assert_true(address_from_sockaddr(&bound, &any));

    struct cluster_config *config = config_of(BALANCE_ROUND_ROBIN, &any.port, NULL, 1, 1);
    struct cluster *cluster = upstreams_cluster(&bed->upstreams, config);
    struct endpoint *endpoint = cluster->endpoints[0];
    assert_null(pool_take(endpoint));
    struct connection *a = connect_to(bed, endpoint);
    struct connection *b = connect_to(bed, endpoint);
    pool_give(a);
    pool_give(b);
    assert_int_equal(endpoint->idle_count, 2);
    assert_ptr_equal(pool_take(endpoint), b);
    pool_give(b);
    /* The peer closes one: it leaves the pool by itself. */
    int accepted = accept(fd, NULL, NULL);
    close(accepted);
    for (int i = 0; i < 50 && endpoint->idle_count == 2; i++) {
        loop_turn(bed->loop, 10);
    }
    assert_int_equal(endpoint->idle_count, 1);
    /* The idle timeout takes the other (50 ms). */
    for (int i = 0; i < 50 && endpoint->idle_count == 1; i++) {
        loop_turn(bed->loop, 20);
    }
    assert_int_equal(endpoint->idle_count, 0);
    assert_int_equal(bed->upstreams.idle_count, 0);
    upstreams_reap(&bed->upstreams);
    assert_int_equal(bed->upstreams.connections.live, 0);
    cluster_config_unref(config);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_robin_takes_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(weighted_round_robin_keeps_the_weights_and_spreads_them,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(least_request_avoids_the_loaded_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(random_follows_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retry_goes_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(draining_endpoints_are_found_by_affinity_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_endpoint_no_pick, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_configuration_keeps_what_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_are_pooled_last_used_first_and_expire, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
