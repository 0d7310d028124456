/* Life of a worker: memory, thread, plan swaps, listeners, drain. */
#include "proxy/worker.h"

#include "base/ensure.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"
#include "proxy/mirror.h"
#include "proxy/series.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIM_MS 1000

/* ---- memory ---------------------------------------------------------------------------------- */

char *worker_take_chunk(struct worker *worker, bool large)
{
    return slab_take(large ? &worker->large_chunks : &worker->chunks);
}

void worker_give_chunk(struct worker *worker, char *chunk, bool large)
{
    slab_give(large ? &worker->large_chunks : &worker->chunks, chunk);
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void on_hold_returned(struct letter *letter)
{
    struct plan_hold *hold = list_owner(letter, struct plan_hold, letter);
    plan_unref(hold->plan);
    free(hold);
}

struct plan_hold *plan_hold_ref(struct plan_hold *hold)
{
    hold->users++;
    return hold;
}

/* Freeing a large plan takes time, so the last reference goes back to the main thread. */
void plan_hold_unref(struct plan_hold *hold)
{
    ensure(hold->users > 0);
    if (--hold->users > 0) {
        return;
    }
    if (hold->worker->options.main_loop) {
        hold->letter.on_receive = on_hold_returned;
        loop_post(hold->worker->options.main_loop, &hold->letter);
    } else {
        on_hold_returned(&hold->letter);
    }
}

static const struct plan_listener *find_listener(const struct plan *plan, struct text name)
{
    for (uint32_t i = 0; i < plan->listener_count; i++) {
        if (text_equal(plan->listeners[i]->name, name)) {
            return plan->listeners[i];
        }
    }
    return NULL;
}

static void on_plan(struct letter *letter)
{
    struct plan_hold *hold = list_owner(letter, struct plan_hold, letter);
    struct worker *worker = hold->worker;
    struct plan_hold *old = worker->plan;
    hold->users = 1;
    worker->plan = hold;
    struct list *link;
    for (link = worker->listeners.next; link != &worker->listeners; link = link->next) {
        struct worker_listener *listener = list_owner(link, struct worker_listener, link);
        listener->config = find_listener(hold->plan, listener->name);
    }
    upstreams_apply(&worker->upstreams, hold->plan->clusters_by_id, hold->plan->cluster_id_limit);
    if (old) {
        plan_hold_unref(old);
    }
}

void worker_post_plan(struct worker *worker, struct plan *plan)
{
    struct plan_hold *hold = calloc(1, sizeof(*hold));
    ensure(hold != NULL);
    hold->worker = worker;
    hold->plan = plan_ref(plan);
    hold->letter.on_receive = on_plan;
    loop_post(worker->loop, &hold->letter);
}

/* ---- listeners ------------------------------------------------------------------------------- */

struct order {
    struct letter letter;
    struct worker *worker;
    int fd;
    bool flag;
    enum worker_drain drain;
    size_t name_size;
    char name[];
};

static struct order *order_new(struct worker *worker, struct text name,
                               void (*on_receive)(struct letter *letter))
{
    struct order *order = calloc(1, sizeof(*order) + name.size + 1);
    ensure(order != NULL);
    order->worker = worker;
    order->letter.on_receive = on_receive;
    order->fd = -1;
    order->name_size = name.size;
    if (name.size > 0) {
        memcpy(order->name, name.at, name.size);
    }
    return order;
}

/* Closed listeners whose last connection has ended. */
static void forget_listeners(struct worker *worker)
{
    struct list *link = worker->listeners.next;
    while (link != &worker->listeners) {
        struct worker_listener *listener = list_owner(link, struct worker_listener, link);
        link = link->next;
        if (listener->fd < 0 && listener->connections == 0) {
            list_remove(&listener->link);
            free(listener);
        }
    }
}

static void on_listen(struct letter *letter)
{
    struct order *order = list_owner(letter, struct order, letter);
    struct worker *worker = order->worker;
    forget_listeners(worker);
    struct worker_listener *listener = calloc(1, sizeof(*listener) + order->name_size);
    ensure(listener != NULL);
    memcpy((char *)(listener + 1), order->name, order->name_size);
    listener->name = text_of((char *)(listener + 1), order->name_size);
    listener->worker = worker;
    listener->fd = order->fd;
    listener->health = order->flag;
    listener->listener.on_accept = downstream_accept;
    listener->config = worker->plan ? find_listener(worker->plan->plan, listener->name) : NULL;
    list_add_last(&worker->listeners, &listener->link);
    struct error error;
    if (!listener_start(&listener->listener, worker->loop, order->fd, &error)) {
        list_remove(&listener->link);
        close(order->fd);
        free(listener);
    }
    free(order);
}

void worker_post_listen(struct worker *worker, struct text name, int fd, bool health)
{
    struct order *order = order_new(worker, name, on_listen);
    order->fd = fd;
    order->flag = health;
    loop_post(worker->loop, &order->letter);
}

/* Stops accepting; the struct stays while connections point to it. for_good: other processes have
 * copies of the descriptor, and accept from it no more than this one: what the kernel queued there
 * behind the last accept would wait for nobody. */
static void close_listener(struct worker_listener *listener, bool for_good)
{
    if (listener->fd >= 0) {
        listener_stop(&listener->listener);
        if (for_good) {
            shutdown(listener->fd, SHUT_RD);
        }
        close(listener->fd);
        listener->fd = -1;
    }
}

static void on_unlisten(struct letter *letter)
{
    struct order *order = list_owner(letter, struct order, letter);
    struct worker *worker = order->worker;
    struct text name = text_of(order->name, order->name_size);
    struct list *link = worker->listeners.next;
    while (link != &worker->listeners) {
        struct worker_listener *listener = list_owner(link, struct worker_listener, link);
        link = link->next;
        if (text_equal(listener->name, name) && listener->fd >= 0) {
            close_listener(listener, true);
            downstream_retire_idle(worker, listener);
        }
    }
    free(order);
}

void worker_post_unlisten(struct worker *worker, struct text name)
{
    loop_post(worker->loop, &order_new(worker, name, on_unlisten)->letter);
}

static void on_drain(struct letter *letter)
{
    struct order *order = list_owner(letter, struct order, letter);
    struct worker *worker = order->worker;
    worker->draining = true;
    worker->ready = worker->ready && order->drain == DRAIN_REPLACED;
    if (order->drain != DRAIN_BEGIN) {
        struct list *link;
        for (link = worker->listeners.next; link != &worker->listeners; link = link->next) {
            close_listener(list_owner(link, struct worker_listener, link),
                           order->drain == DRAIN_STOP);
        }
        downstream_retire_idle(worker, NULL);
        upstreams_close_idle(&worker->upstreams);
        __atomic_store_n(&worker->ended_accepting, true, __ATOMIC_RELEASE);
    }
    free(order);
}

void worker_post_drain(struct worker *worker, enum worker_drain how)
{
    struct order *order = order_new(worker, TEXT(""), on_drain);
    order->drain = how;
    loop_post(worker->loop, &order->letter);
}

static void on_set_ready(struct letter *letter)
{
    struct order *order = list_owner(letter, struct order, letter);
    order->worker->ready = order->flag && !order->worker->draining;
    free(order);
}

void worker_post_ready(struct worker *worker, bool ready)
{
    struct order *order = order_new(worker, TEXT(""), on_set_ready);
    order->flag = ready;
    loop_post(worker->loop, &order->letter);
}

uint32_t worker_connections(const struct worker *worker)
{
    return __atomic_load_n(&worker->connections, __ATOMIC_RELAXED);
}

bool worker_is_closed(const struct worker *worker)
{
    return __atomic_load_n(&worker->ended_accepting, __ATOMIC_ACQUIRE);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Memory of a burst goes back to the system when a second has passed without any use of it. */
static void on_trim(struct timer *timer)
{
    struct worker *worker = list_owner(timer, struct worker, trim);
    struct slab *slabs[] = { &worker->chunks, &worker->large_chunks, &worker->downstreams,
                             &worker->exchanges, &worker->mirrors,
                             &worker->upstreams.connections };
    bool again = false;
    for (size_t i = 0; i < sizeof(slabs) / sizeof(slabs[0]); i++) {
        again = slab_trim(slabs[i]) || again;
    }
    if (again) {
        timer_start(worker->loop, &worker->trim, TRIM_MS);
    }
}

static bool has_empty_blocks(const struct worker *worker)
{
    return worker->chunks.empty_blocks > 1 || worker->large_chunks.empty_blocks > 1 ||
           worker->exchanges.empty_blocks > 1 || worker->downstreams.empty_blocks > 1 ||
           worker->upstreams.connections.empty_blocks > 1;
}

static void on_turn_end(void *owner)
{
    struct worker *worker = owner;
    exchange_reap(worker);
    mirror_reap(worker);
    downstream_reap(worker);
    upstreams_reap(&worker->upstreams);
    series_set_open(worker->series, worker->connections, (uint32_t)worker->exchanges.live);
    if (worker->options.access_log) {
        ring_flush(worker->options.access_log);
    }
    if (!timer_is_running(&worker->trim) && has_empty_blocks(worker)) {
        timer_start(worker->loop, &worker->trim, TRIM_MS);
    }
}

static char *map_scratch(size_t size)
{
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ensure(at != MAP_FAILED);
    return at;
}

struct worker *worker_new(const struct worker_options *options, struct error *error)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    ensure(worker != NULL);
    worker->options = *options;
    worker->loop = loop_new(error);
    if (worker->loop == NULL) {
        free(worker);
        return NULL;
    }
    upstreams_init(&worker->upstreams, worker->loop);
    worker->upstreams.owner = worker;
    random_init_system(&worker->random);
    slab_init(&worker->chunks, CHUNK_SIZE, 0);
    slab_init(&worker->large_chunks, LARGE_CHUNK_SIZE, 0);
    slab_init(&worker->downstreams, sizeof(struct downstream), 0);
    slab_init(&worker->exchanges, sizeof(struct exchange), 0);
    slab_init(&worker->mirrors, sizeof(struct mirror_attempt), 0);
    list_init(&worker->listeners);
    list_init(&worker->idle);
    list_init(&worker->busy);
    list_init(&worker->closed);
    list_init(&worker->ended);
    list_init(&worker->mirrors_active);
    list_init(&worker->mirrors_ended);
    worker->scratch = map_scratch(SCRATCH_SIZE);
    worker->encode = map_scratch(ENCODE_SIZE);
    worker->series = series_cache_new(options->metrics, options->index);
    timer_init(&worker->trim, on_trim);
    loop_on_turn_end(worker->loop, on_turn_end, worker);
    return worker;
}

static void on_stop(struct letter *letter)
{
    struct order *order = list_owner(letter, struct order, letter);
    loop_stop(order->worker->loop);
    free(order);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    loop_run(worker->loop);
    return NULL;
}

bool worker_start(struct worker *worker, struct error *error)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)512 * 1024);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, &attributes, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed) {
        return error_errno(error, failed, "cannot start worker %u", worker->options.index);
    }
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", worker->options.index);
    pthread_setname_np(worker->thread, name);
    return true;
}

void worker_free(struct worker *worker)
{
    if (worker->thread) {
        loop_post(worker->loop, &order_new(worker, TEXT(""), on_stop)->letter);
        pthread_join(worker->thread, NULL);
    }
    downstream_close_all(worker);
    mirror_close_all(worker);
    on_turn_end(worker);
    while (!list_is_empty(&worker->listeners)) {
        struct worker_listener *listener =
            list_owner(worker->listeners.next, struct worker_listener, link);
        listener_pause(&listener->listener, true); /* nobody would serve what is queued */
        close_listener(listener, false);
        list_remove(&listener->link);
        free(listener);
    }
    upstreams_fini(&worker->upstreams);
    worker->options.main_loop = NULL; /* holds are freed here and now */
    if (worker->plan) {
        plan_hold_unref(worker->plan);
    }
    timer_stop(&worker->trim);
    loop_free(worker->loop);
    slab_fini(&worker->chunks);
    slab_fini(&worker->large_chunks);
    slab_fini(&worker->downstreams);
    slab_fini(&worker->exchanges);
    slab_fini(&worker->mirrors);
    series_cache_free(worker->series);
    munmap(worker->scratch, SCRATCH_SIZE);
    munmap(worker->encode, ENCODE_SIZE);
    free(worker);
}
