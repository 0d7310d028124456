/* c-ares on our loop: it tells which of its sockets to watch and how long it will wait. Its
 * callbacks only queue what they bring; answers are handed out by a timer of our own, so that no
 * caller's code ever runs inside c-ares, and a name answered at once (from /etc/hosts) still
 * answers later. */
#include "net/dns.h"

#include "base/ensure.h"

#include <ares.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#define OUTSTANDING_MAX 10000
#define ADDRESSES_MAX   1000
#define NAME_MAX_BYTES  253
#define LITERAL_TTL_S   86400
#define RESOLV_CONF     "/etc/resolv.conf"

struct dns_socket {
    struct list link;
    struct watch watch;
    struct dns *dns;
};

struct query {
    struct list link; /* in asked or answered */
    struct dns *dns;
    void *owner;
    void (*on_answer)(void *owner, const struct dns_answer *answer); /* NULL: cancelled */
    struct address *addresses;
    size_t count;
    uint32_t ttl_s;
    const char *failure;
    char name[NAME_MAX_BYTES + 1];
};

struct dns {
    struct loop *loop;
    ares_channel channel; /* NULL while being freed */
    struct list sockets;
    struct list asked;
    struct list answered;
    size_t outstanding; /* asked and answered */
    struct timer wait;  /* until c-ares wants to look at its own timeouts */
    struct timer hand_out;
    const char *resolv_conf;
    struct stat resolv_conf_seen;
    uint16_t port; /* of the servers, 0: the usual */
    uint32_t timeout_ms;
    uint32_t rounds;
    bool replacing; /* queries that end with their channel are asked again */
    bool has_server;
    struct address server;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void init_library(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

static void watch_timeouts(struct dns *dns)
{
    struct timeval left;
    if (dns->channel == NULL || ares_timeout(dns->channel, NULL, &left) == NULL) {
        timer_stop(&dns->wait);
        return;
    }
    uint64_t left_us = (uint64_t)left.tv_sec * 1000000 + (uint64_t)left.tv_usec;
    timer_start(dns->loop, &dns->wait, (left_us + 999) / 1000);
}

static void process(struct dns *dns, int readable_fd, int writable_fd)
{
    ares_process_fd(dns->channel, readable_fd, writable_fd);
    watch_timeouts(dns);
}

static void on_wait_over(struct timer *timer)
{
    process(list_owner(timer, struct dns, wait), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_socket_ready(struct watch *watch, unsigned ready)
{
    struct dns_socket *socket = list_owner(watch, struct dns_socket, watch);
    bool readable = ready & (READY_READ | READY_CLOSED);
    bool writable = ready & READY_WRITE;
    process(socket->dns, readable ? watch->fd : ARES_SOCKET_BAD,
            writable ? watch->fd : ARES_SOCKET_BAD);
}

static struct dns_socket *find_socket(struct dns *dns, int fd)
{
    for (struct list *link = dns->sockets.next; link != &dns->sockets; link = link->next) {
        struct dns_socket *socket = list_owner(link, struct dns_socket, link);
        if (socket->watch.fd == fd) {
            return socket;
        }
    }
    return NULL;
}

static void close_socket(struct dns_socket *socket)
{
    loop_unwatch(socket->dns->loop, &socket->watch);
    list_remove(&socket->link);
    free(socket);
}

/* c-ares tells what it wants to know of a socket; nothing of a socket it is about to close. One
 * that cannot be watched is left to the query's timeout. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns *dns = data;
    struct dns_socket *socket = find_socket(dns, fd);
    if (!readable && !writable) {
        if (socket) {
            close_socket(socket);
        }
        return;
    }
    if (socket == NULL) {
        struct error error;
        socket = calloc(1, sizeof(*socket));
        ensure(socket != NULL);
        socket->dns = dns;
        socket->watch.on_ready = on_socket_ready;
        if (!loop_watch_level(dns->loop, &socket->watch, fd, &error)) {
            free(socket);
            return;
        }
        list_add_last(&dns->sockets, &socket->link);
    }
    loop_set_level(dns->loop, &socket->watch, readable, writable);
}

static int use_server(const struct dns *dns, ares_channel channel)
{
    struct ares_addr_port_node node = { .udp_port = dns->server.port,
                                        .tcp_port = dns->server.port };
    struct sockaddr_storage where;
    address_to_sockaddr(&dns->server, &where);
    node.family = where.ss_family;
    if (node.family == AF_INET) {
        memcpy(&node.addr.addr4, &((struct sockaddr_in *)&where)->sin_addr, 4);
    } else {
        memcpy(&node.addr.addr6, &((struct sockaddr_in6 *)&where)->sin6_addr, 16);
    }
    return ares_set_servers_ports(channel, &node);
}

static bool make_channel(struct dns *dns, ares_channel *out_channel, struct error *error)
{
    char lookups[] = "fb"; /* the hosts file, then DNS */
    struct ares_options options = {
        .timeout = (int)dns->timeout_ms,
        .tries = (int)dns->rounds,
        .ndomains = 0,
        .lookups = lookups,
        .udp_port = dns->port,
        .tcp_port = dns->port,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = dns,
        .resolvconf_path = (char *)dns->resolv_conf,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
    if (dns->port != 0) {
        mask |= ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
    }
    int status = ares_init_options(out_channel, &options, mask);
    if (status != ARES_SUCCESS) {
        return error_set(error, "cannot set up DNS from %s: %s", dns->resolv_conf,
                         ares_strerror(status));
    }
    status = dns->has_server ? use_server(dns, *out_channel) : ARES_SUCCESS;
    if (status != ARES_SUCCESS) {
        ares_destroy(*out_channel);
        return error_set(error, "cannot set up the DNS server: %s", ares_strerror(status));
    }
    return true;
}

static bool replace_channel(struct dns *dns, struct error *error)
{
    ares_channel fresh;
    if (!make_channel(dns, &fresh, error)) {
        return false;
    }
    ares_channel old = dns->channel;
    dns->channel = fresh;
    if (old) {
        dns->replacing = true;
        ares_destroy(old);
        dns->replacing = false;
    }
    watch_timeouts(dns);
    return true;
}

static bool resolv_conf_changed(struct dns *dns)
{
    struct stat now = { 0 };
    const struct stat *seen = &dns->resolv_conf_seen;
    if (stat(dns->resolv_conf, &now) != 0) {
        return false; /* being replaced, or not there: what was read is still the best known */
    }
    bool changed = now.st_ino != seen->st_ino || now.st_size != seen->st_size ||
                   now.st_mtim.tv_sec != seen->st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != seen->st_mtim.tv_nsec;
    dns->resolv_conf_seen = now;
    return changed;
}

static int compare_addresses(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

static void keep_each_once(struct query *query)
{
    size_t kept = 0;
    qsort(query->addresses, query->count, sizeof(*query->addresses), compare_addresses);
    for (size_t i = 0; i < query->count && kept < ADDRESSES_MAX; i++) {
        if (kept == 0 || !address_equal(&query->addresses[kept - 1], &query->addresses[i])) {
            query->addresses[kept++] = query->addresses[i];
        }
    }
    query->count = kept;
}

static void lower_ttl(struct query *query, int ttl_s)
{
    uint32_t seconds = ttl_s < 1 ? 1 : (uint32_t)ttl_s;
    if (seconds < query->ttl_s) {
        query->ttl_s = seconds;
    }
}

static void keep_answer(struct query *query, const struct ares_addrinfo *info)
{
    size_t nodes = 0;
    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
        nodes++;
    }
    query->ttl_s = UINT32_MAX;
    query->addresses = calloc(nodes + 1, sizeof(*query->addresses));
    ensure(query->addresses != NULL);
    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
        struct sockaddr_storage where = { 0 };
        memcpy(&where, node->ai_addr, node->ai_addrlen);
        struct address *address = &query->addresses[query->count];
        if (address_from_sockaddr(&where, address)) {
            address->port = 0;
            query->count++;
            lower_ttl(query, node->ai_ttl);
        }
    }
    for (const struct ares_addrinfo_cname *name = info->cnames; name; name = name->next) {
        lower_ttl(query, name->ttl);
    }
    keep_each_once(query);
    if (query->count == 0) {
        query->failure = "the answer has no addresses";
        query->ttl_s = 0;
    }
}

static void ask(struct query *query);

static void answered(struct query *query)
{
    struct dns *dns = query->dns;
    list_add_last(&dns->answered, &query->link);
    if (!timer_is_running(&dns->hand_out)) {
        timer_start(dns->loop, &dns->hand_out, 0);
    }
}

/* From c-ares; arg is the query. */
static void on_ares_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct query *query = arg;
    struct dns *dns = query->dns;
    list_remove(&query->link);
    if (status == ARES_EDESTRUCTION && dns->replacing && query->on_answer) {
        ask(query);
        return;
    }
    if (status == ARES_SUCCESS) {
        keep_answer(query, info);
    } else {
        query->failure = status == ARES_EDESTRUCTION ? "cancelled" : ares_strerror(status);
    }
    if (info) {
        ares_freeaddrinfo(info);
    }
    answered(query);
}

/* "10.0.0.1" is not a question for anybody. */
static bool answer_literal(struct query *query)
{
    struct address address;
    if (!address_parse_ip(text_from_string(query->name), &address)) {
        return false;
    }
    query->addresses = malloc(sizeof(*query->addresses));
    ensure(query->addresses != NULL);
    query->addresses[0] = address;
    query->count = 1;
    query->ttl_s = LITERAL_TTL_S;
    answered(query);
    return true;
}

static void ask(struct query *query)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };
    struct dns *dns = query->dns;
    list_add_last(&dns->asked, &query->link);
    ares_getaddrinfo(dns->channel, query->name, NULL, &hints, on_ares_answer, query);
}

static void hand_over(struct query *query)
{
    struct dns *dns = query->dns;
    struct dns_answer answer = {
        .addresses = query->addresses,
        .count = query->count,
        .ttl_s = query->ttl_s,
        .failure = query->failure,
    };
    dns->outstanding--;
    if (query->on_answer) {
        query->on_answer(query->owner, &answer);
    }
    free(query->addresses);
    free(query);
}

/* The query answered first, no longer in the list; NULL: none. */
static struct query *take_answered(struct dns *dns)
{
    struct list *link = dns->answered.next;
    if (link == &dns->answered) {
        return NULL;
    }
    /* The analyzer loses track of the links: what was freed had been taken out here before.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    list_remove(link);
    return list_owner(link, struct query, link);
}

static void on_hand_out(struct timer *timer)
{
    struct dns *dns = list_owner(timer, struct dns, hand_out);
    /* What is answered meanwhile waits, lest a name that fails at once and is asked again at once
     * keeps the loop here. */
    size_t most = dns->outstanding;
    struct query *query;
    while (most-- > 0 && (query = take_answered(dns)) != NULL) {
        hand_over(query);
    }
    if (!list_is_empty(&dns->answered)) {
        timer_start(dns->loop, &dns->hand_out, 0);
    }
}

struct dns *dns_new(struct loop *loop, struct error *error)
{
    pthread_once(&library_once, init_library);
    if (library_status != ARES_SUCCESS) {
        error_set(error, "cannot set up DNS: %s", ares_strerror(library_status));
        return NULL;
    }
    struct dns *dns = calloc(1, sizeof(*dns));
    ensure(dns != NULL);
    dns->loop = loop;
    dns->resolv_conf = RESOLV_CONF;
    dns->timeout_ms = 2000;
    dns->rounds = 2;
    list_init(&dns->sockets);
    list_init(&dns->asked);
    list_init(&dns->answered);
    timer_init(&dns->wait, on_wait_over);
    timer_init(&dns->hand_out, on_hand_out);
    resolv_conf_changed(dns);
    if (!replace_channel(dns, error)) {
        free(dns);
        return NULL;
    }
    return dns;
}

void dns_free(struct dns *dns)
{
    if (dns == NULL) {
        return;
    }
    ares_channel channel = dns->channel;
    dns->channel = NULL;
    ares_destroy(channel);
    for (struct query *query; (query = take_answered(dns)) != NULL;) {
        query->failure = "cancelled";
        query->count = 0;
        hand_over(query);
    }
    ensure(dns->outstanding == 0 && list_is_empty(&dns->sockets));
    timer_stop(&dns->wait);
    timer_stop(&dns->hand_out);
    free(dns);
}

bool dns_resolve(struct dns *dns, struct text name, void *owner,
                 void (*on_answer)(void *owner, const struct dns_answer *answer))
{
    struct error error;
    if (dns->channel == NULL || dns->outstanding >= OUTSTANDING_MAX || name.size == 0 ||
        name.size > NAME_MAX_BYTES || text_find_byte(name, '\0') < name.size) {
        return false;
    }
    if (resolv_conf_changed(dns)) {
        replace_channel(dns, &error); /* on failure the old one goes on */
    }
    struct query *query = calloc(1, sizeof(*query));
    ensure(query != NULL);
    query->dns = dns;
    query->owner = owner;
    query->on_answer = on_answer;
    memcpy(query->name, name.at, name.size);
    dns->outstanding++;
    if (!answer_literal(query)) {
        ask(query);
        watch_timeouts(dns);
    }
    return true;
}

static void cancel_in(struct list *queries, const void *owner)
{
    for (struct list *link = queries->next; link != queries; link = link->next) {
        struct query *query = list_owner(link, struct query, link);
        if (query->owner == owner) {
            query->on_answer = NULL;
        }
    }
}

void dns_cancel(struct dns *dns, void *owner)
{
    cancel_in(&dns->asked, owner);
    cancel_in(&dns->answered, owner);
}

bool dns_use_server(struct dns *dns, const struct address *server, struct error *error)
{
    dns->has_server = true;
    dns->server = *server;
    return replace_channel(dns, error);
}

bool dns_use_resolv_conf(struct dns *dns, const char *path, uint16_t port, struct error *error)
{
    dns->resolv_conf = path;
    dns->port = port;
    resolv_conf_changed(dns);
    return replace_channel(dns, error);
}

bool dns_set_patience(struct dns *dns, uint32_t timeout_ms, uint32_t rounds, struct error *error)
{
    ensure(timeout_ms > 0 && timeout_ms <= 60000 && rounds > 0 && rounds <= 10);
    dns->timeout_ms = timeout_ms;
    dns->rounds = rounds;
    return replace_channel(dns, error);
}
