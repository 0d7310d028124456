/* Keep-alive connections to endpoints, per worker: last used first, closed when the peer closes,
 * the idle timeout passes, or the endpoint leaves the configuration. */
#include "upstream/cluster.h"

#include "base/ensure.h"

#include <errno.h>
#include <stdlib.h>

static struct connection *from_transport(struct transport *transport)
{
    return list_owner(transport, struct connection, transport);
}

/* An idle connection became readable: the peer closed it, or sent what nobody asked for. Either way
 * it is not fit for another request. */
static void on_idle_ready(struct transport *transport)
{
    struct connection *connection = from_transport(transport);
    if (transport->hung_up || transport->readable) {
        pool_close(connection, false);
    }
}

static void on_idle_timeout(struct timer *timer)
{
    pool_close(list_owner(timer, struct connection, timer), false);
}

static void leave_idle(struct connection *connection)
{
    ensure(!connection->closed);
    if (!list_is_empty(&connection->link)) {
        list_remove(&connection->link);
        connection->endpoint->idle_count--;
        connection->endpoint->cluster->upstreams->idle_count--;
    }
}

struct connection *pool_take(struct endpoint *endpoint)
{
    if (list_is_empty(&endpoint->idle)) {
        return NULL;
    }
    struct connection *connection = list_owner(endpoint->idle.next, struct connection, link);
    leave_idle(connection);
    timer_pause(&connection->timer);
    return connection;
}

struct connection *pool_connect(struct endpoint *endpoint, int *out_errno)
{
    struct upstreams *upstreams = endpoint->cluster->upstreams;
    struct connection *connection = slab_take(&upstreams->connections);
    if (connection == NULL) {
        *out_errno = ENOMEM;
        return NULL;
    }
    *connection = (struct connection){ .endpoint = endpoint };
    list_init(&connection->link);
    timer_init(&connection->timer, on_idle_timeout);
    struct error error;
    if (!tcp_connect(&connection->transport, upstreams->loop, &endpoint->address, &error)) {
        *out_errno = connection->transport.failure ? connection->transport.failure : EMFILE;
        slab_give(&upstreams->connections, connection);
        return NULL;
    }
    endpoint->connections++;
    return connection;
}

static bool may_pool(const struct connection *connection)
{
    const struct endpoint *endpoint = connection->endpoint;
    const struct cluster_config *config = endpoint->cluster->config;
    const struct transport *transport = &connection->transport;
    if (endpoint->removed || config == NULL || transport->hung_up) {
        return false;
    }
    return config->max_requests_per_connection == 0 ||
           connection->requests < config->max_requests_per_connection;
}

/* More bytes than were asked for: the start of an answer to nobody's request. A read of exactly
 * what was left leaves `readable` set, so that no further event would tell; then the socket is
 * asked. */
static bool has_bytes(struct transport *transport)
{
    char byte;
    size_t size;
    return transport->readable && transport_read(transport, &byte, 1, &size) != IO_AGAIN;
}

/* The connection idle for longest makes room; endpoints are tried from the given one. */
static bool make_room(struct endpoint *endpoint)
{
    struct upstreams *upstreams = endpoint->cluster->upstreams;
    if (upstreams->idle_count < upstreams->idle_limit) {
        return true;
    }
    if (list_is_empty(&endpoint->idle)) {
        return false;
    }
    pool_close(list_owner(endpoint->idle.prev, struct connection, link), false);
    return true;
}

void pool_give(struct connection *connection)
{
    struct endpoint *endpoint = connection->endpoint;
    struct upstreams *upstreams = endpoint->cluster->upstreams;
    if (!may_pool(connection) || has_bytes(&connection->transport) || !make_room(endpoint)) {
        pool_close(connection, false);
        return;
    }
    connection->user = NULL;
    connection->transport.on_ready = on_idle_ready;
    list_add_first(&endpoint->idle, &connection->link);
    endpoint->idle_count++;
    upstreams->idle_count++;
    connection->timer.on_expire = on_idle_timeout;
    timer_start(upstreams->loop, &connection->timer, endpoint->cluster->config->idle_timeout_ms);
}

void pool_close(struct connection *connection, bool reset)
{
    struct endpoint *endpoint = connection->endpoint;
    struct upstreams *upstreams = endpoint->cluster->upstreams;
    leave_idle(connection);
    timer_stop(&connection->timer);
    transport_close(&connection->transport, reset);
    connection->closed = true;
    connection->endpoint = NULL;
    list_add_last(&upstreams->closed, &connection->link);
    ensure(endpoint->connections > 0);
    endpoint->active++;
    endpoint->connections--;
    endpoint_release(endpoint);
}

void upstreams_reap(struct upstreams *upstreams)
{
    while (!list_is_empty(&upstreams->closed)) {
        struct connection *connection = list_owner(upstreams->closed.next, struct connection, link);
        list_remove(&connection->link);
        slab_give(&upstreams->connections, connection);
    }
}
