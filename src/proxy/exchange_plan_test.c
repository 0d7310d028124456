/* Configuration that changes while exchanges are open: the old plan lives until its last exchange
 * ends; listeners and backends that go, and draining. */
#include "sim/proxy_bed.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_END "\r\n\r\n"

static struct bed bed;
static struct peer client, backend;

static void open_exchange(const struct bed_setup *setup)
{
    bed_open(&bed, setup);
    client_open(&bed, &client);
    peer_say(&client, GET);
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, HEAD_END);
}

static void answer(const char *field)
{
    peer_say(&backend, OK);
    const char *head = peer_hear(&client, HEAD_END);
    assert_memory_equal(head, "HTTP/1.1 200 OK\r\n", 17);
    assert_true(field == NULL || strstr(head, field) != NULL);
    peer_hear_exactly(&client, "ok");
}

static void an_exchange_keeps_its_plan(void **state)
{
    open_exchange(&(struct bed_setup) { 0 });
    struct plan *old = plan_ref(bed.plan);
    for (int i = 0; i < 3; i++) {
        bed_configure(&bed, &(struct bed_setup) { .timeout_ms = 1000 + (uint32_t)i });
    }
    assert_int_equal(old->references, 2); /* ours and that of the exchange */
    assert_int_equal(bed.worker->plan->users, 1);
    answer(NULL);
    bed_must_be_idle(&bed);
    assert_int_equal(old->references, 1);
    plan_unref(old);
    peer_say(&client, GET);
    peer_hear(&backend, HEAD_END);
    answer(NULL);
    bed_end(&bed, &client, &backend);
}

/* Its connection is not pooled, and a retry finds the new endpoint. */
static void a_backend_goes_during_its_exchange(void **state)
{
    struct bed_setup setup = { .backends = 2, .retry_on = "reset", .retries = 1 };
    bed_open(&bed, &setup);
    client_open(&bed, &client);
    peer_say(&client, GET);
    bed_settle(&bed);
    unsigned first = backend_is_asked(&bed, 1);
    backend_accept(&bed, first, &backend);
    peer_hear(&backend, HEAD_END);
    bed.removed = 1u << first;
    bed_configure(&bed, &setup);
    answer(NULL);
    peer_hear_end(&backend);
    peer_close(&backend);
    peer_say(&client, GET);
    backend_accept(&bed, !first, &backend);
    peer_hear(&backend, HEAD_END);
    bed.removed = 1u << !first;
    bed_configure(&bed, &setup);
    peer_reset(&backend);
    backend_accept(&bed, first, &backend);
    peer_hear(&backend, HEAD_END);
    answer(NULL);
    bed_end(&bed, &client, &backend);
}

static void idle_connections_go_with_their_backend(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    bed_pair(&bed, &client, &backend);
    bed.removed = 1;
    bed_configure(&bed, &bed.setup);
    peer_hear_end(&backend);
    peer_say(&client, GET);
    assert_memory_equal(peer_hear(&client, HEAD_END), "HTTP/1.1 503 ", 13);
    peer_hear(&client, "\n");
    bed_end(&bed, &client, &backend);
}

static void a_removed_listener_finishes(void **state)
{
    struct peer idle, late;
    open_exchange(&(struct bed_setup) { 0 });
    client_open(&bed, &idle);
    bed_configure(&bed, &(struct bed_setup) { .no_listener = true });
    client_open(&bed, &late);
    peer_say(&late, GET); /* the plan has changed, the socket is not closed yet */
    assert_memory_equal(peer_hear(&late, HEAD_END), "HTTP/1.1 503 ", 13);
    peer_hear(&late, "\n");
    worker_post_unlisten(bed.worker, TEXT("listener/bed"));
    bed_settle(&bed);
    answer("connection: close\r\n");
    peer_hear_end(&client);
    peer_hear_end(&idle);
    peer_close(&late);
    peer_close(&idle);
    bed_end(&bed, &client, &backend);
}

static unsigned count_listeners(void)
{
    unsigned count = 0;
    struct list *listeners = &bed.worker->listeners;
    for (struct list *link = listeners->next; link != listeners; link = link->next) {
        count++;
    }
    return count;
}

static void closed_listeners_are_forgotten(void **state)
{
    bed_open(&bed, &(struct bed_setup) { 0 });
    for (int i = 0; i < 10; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0 && listen(fd, 1) == 0);
        worker_post_listen(bed.worker, TEXT("other"), fd, false);
        bed_settle(&bed);
        assert_in_range(count_listeners(), 2, 3);
        worker_post_unlisten(bed.worker, TEXT("other"));
        bed_settle(&bed);
    }
    bed_close(&bed);
}

static void draining_finishes_what_is_open(void **state)
{
    struct peer idle, half;
    open_exchange(&(struct bed_setup) { 0 });
    client_open(&bed, &idle);
    client_open(&bed, &half);
    peer_say(&half, "GET / HTTP/1.1\r\n");
    worker_post_drain(bed.worker, DRAIN_BEGIN);
    bed_settle(&bed);
    answer("connection: close\r\n");
    peer_hear_end(&client);
    worker_post_drain(bed.worker, DRAIN_STOP);
    bed_settle(&bed);
    peer_hear_end(&idle);
    peer_say(&half, "Host: h\r\n\r\n");
    peer_close(&backend);
    backend_accept(&bed, 0, &backend);
    peer_hear(&backend, HEAD_END);
    peer_say(&backend, OK);
    assert_non_null(strstr(peer_hear(&half, HEAD_END), "connection: close\r\n"));
    peer_hear_exactly(&half, "ok");
    peer_hear_end(&half);
    peer_close(&half);
    peer_close(&idle);
    bed_end(&bed, &client, &backend);
}

static void a_worker_may_end_in_the_middle(void **state)
{
    open_exchange(&(struct bed_setup) { .mirror_percent = 100 });
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nab");
    peer_hear(&client, HEAD_END);
    struct peer second;
    client_open(&bed, &second);
    peer_say(&second, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    worker_free(bed.worker); /* slabs insist on being empty */
    bed.worker = NULL;
    assert_int_equal(bed.plan->references, 1);
    struct error error;
    bed.worker = worker_new(&(struct worker_options) { .count = 1 }, &error);
    assert_non_null(bed.worker);
    worker_post_plan(bed.worker, bed.plan);
    bed_settle(&bed);
    peer_close(&second);
    bed_end(&bed, &client, &backend);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_exchange_keeps_its_plan),
    cmocka_unit_test(a_backend_goes_during_its_exchange),
    cmocka_unit_test(idle_connections_go_with_their_backend),
    cmocka_unit_test(a_removed_listener_finishes),
    cmocka_unit_test(closed_listeners_are_forgotten),
    cmocka_unit_test(draining_finishes_what_is_open),
    cmocka_unit_test(a_worker_may_end_in_the_middle),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
