/* DNS against a small server of the test's own on the same loop, over UDP and TCP: good answers,
 * bad ones and none. What it says depends on the name that is asked. */
#include "net/dns.h"

#include "base/clock.h"
#include "net/listener.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };
enum { FLAG_TC = 0x0200, NXDOMAIN = 3, SERVFAIL = 2, REFUSED = 5 };

static struct error error;

struct server {
    struct watch udp;
    struct watch tcp; /* listening; fd -1: TCP is refused */
    struct watch client;
    struct loop *loop;
    struct address address;
    uint8_t which; /* in the address of "who.test" */
    bool mute;
    int asked;
};

/* A message being written. */
struct message {
    uint8_t bytes[65536];
    size_t size;
    size_t question_end;
    uint16_t answers;
};

static void put_16(struct message *m, uint16_t value)
{
    m->bytes[m->size++] = (uint8_t)(value >> 8);
    m->bytes[m->size++] = (uint8_t)value;
}

static void put_record(struct message *m, uint16_t type, uint32_t ttl_s, const void *data,
                       uint16_t size)
{
    put_16(m, 0xc00c); /* the name of the question */
    put_16(m, type);
    put_16(m, 1);
    put_16(m, (uint16_t)(ttl_s >> 16));
    put_16(m, (uint16_t)ttl_s);
    put_16(m, size);
    memcpy(m->bytes + m->size, data, size);
    m->size += size;
    m->answers++;
}

static void put_a(struct message *m, uint32_t ttl_s, uint32_t ip)
{
    uint32_t data = htonl(ip);
    put_record(m, TYPE_A, ttl_s, &data, 4);
}

static void put_aaaa(struct message *m, uint32_t ttl_s, uint8_t last)
{
    uint8_t data[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = last };
    put_record(m, TYPE_AAAA, ttl_s, data, 16);
}

static void set_flags(struct message *m, uint16_t flags)
{
    m->bytes[2] = 0x80 | (uint8_t)(flags >> 8);
    m->bytes[3] = 0x80 | (uint8_t)flags;
}

typedef void (*answer_function)(struct server *server, struct message *m, uint16_t type, bool tcp);

static void say_v4(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (type == TYPE_A) {
        put_a(m, 300, 0x0a000002);
        put_a(m, 60, 0x0a000001);
        put_a(m, 90, 0x0a000002); /* a second time */
    }
}

static void say_v6(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (type == TYPE_AAAA) {
        put_aaaa(m, 30, 1);
    }
}

static void say_both(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    type == TYPE_A ? put_a(m, 20, 0x0a000001) : put_aaaa(m, 10, 2);
}

static void say_alias(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (type == TYPE_A) {
        static const uint8_t target[] = "\6target\4test";
        put_record(m, TYPE_CNAME, 5, target, sizeof(target));
        size_t target_at = m->size - sizeof(target);
        size_t record_at = m->size;
        put_a(m, 300, 0x0a000007);
        m->bytes[record_at] = 0xc0 | (uint8_t)(target_at >> 8);
        m->bytes[record_at + 1] = (uint8_t)target_at;
    }
}

static void say_no_ttl(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (type == TYPE_A) {
        put_a(m, 0, 0x0a000001);
    }
}

static void say_missing(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    set_flags(m, NXDOMAIN);
}

static void say_nothing_of_it(struct server *server, struct message *m, uint16_t type, bool tcp)
{
}

static void say_servfail(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    set_flags(m, SERVFAIL);
}

static void say_refused(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    set_flags(m, REFUSED);
}

static void stay_silent(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    m->size = 0;
}

static void say_garbage(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    for (size_t i = 12; i < 200; i++) {
        m->bytes[i] = (uint8_t)(i * 97 + type);
    }
    m->size = 200;
    m->answers = 9999;
}

static void say_half_a_header(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    m->size = 7;
}

static void say_other_id(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    put_a(m, 60, 0x0a000001);
    m->bytes[0] ^= 0xff;
}

static void say_too_long_record(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    put_a(m, 60, 0x0a000001);
    m->bytes[m->size - 5] = 200; /* 200 bytes of address, it says */
}

static void say_name_loop(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    size_t at = m->size;
    put_a(m, 60, 0x0a000001);
    m->bytes[at] = 0xc0 | (uint8_t)(at >> 8); /* the name is itself */
    m->bytes[at + 1] = (uint8_t)at;
}

static void say_wrong_size(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    uint8_t data[7] = { 10, 0, 0, 1 };
    put_record(m, type, 60, data, sizeof(data));
}

static void say_v4_and_garbage(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    type == TYPE_A ? put_a(m, 20, 0x0a000001) : say_garbage(server, m, type, tcp);
}

static void say_v4_and_servfail(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    type == TYPE_A ? put_a(m, 20, 0x0a000001) : set_flags(m, SERVFAIL);
}

static void say_v4_and_missing(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    type == TYPE_A ? put_a(m, 20, 0x0a000001) : set_flags(m, NXDOMAIN);
}

static void say_v4_and_nothing(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (type == TYPE_A) {
        put_a(m, 20, 0x0a000001);
    } else {
        m->size = 0;
    }
}

static void say_many_over_tcp(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (!tcp) {
        set_flags(m, FLAG_TC);
        return;
    }
    for (uint32_t i = 0; type == TYPE_A && i < 1500; i++) {
        put_a(m, 60, 0x0a010000 + i);
    }
}

static void say_who(struct server *server, struct message *m, uint16_t type, bool tcp)
{
    if (server->mute) {
        m->size = 0;
    } else if (type == TYPE_A) {
        put_a(m, 60, 0x0a000000u | server->which);
    }
}

static const struct {
    const char *label;
    answer_function answer;
} zone[] = {
    { "v4", say_v4 },
    { "v6", say_v6 },
    { "both", say_both },
    { "alias", say_alias },
    { "zero", say_no_ttl },
    { "missing", say_missing },
    { "empty", say_nothing_of_it },
    { "servfail", say_servfail },
    { "refused", say_refused },
    { "silent", stay_silent },
    { "garbage", say_garbage },
    { "half", say_half_a_header },
    { "id", say_other_id },
    { "long", say_too_long_record },
    { "circle", say_name_loop },
    { "size", say_wrong_size },
    { "mixed", say_v4_and_garbage },
    { "oldbox", say_v4_and_servfail },
    { "nxbox", say_v4_and_missing },
    { "mutebox", say_v4_and_nothing },
    { "many", say_many_over_tcp },
    { "who", say_who },
};

/* Turns the question in m into the answer. */
static void answer(struct server *server, struct message *m, bool tcp)
{
    struct text label = text_of((const char *)m->bytes + 13, m->bytes[12]);
    size_t at = 12;
    while (at < m->size && m->bytes[at] != 0) {
        at += m->bytes[at] + 1u;
    }
    assert_true(at + 5 <= m->size);
    uint16_t type = (uint16_t)(m->bytes[at + 1] << 8 | m->bytes[at + 2]);
    assert_true(type == TYPE_A || type == TYPE_AAAA);
    m->size = m->question_end = at + 5;
    m->answers = 0;
    memset(m->bytes + 6, 0, 6);
    set_flags(m, 0);
    server->asked++;
    for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++) {
        if (text_equal(label, text_from_string(zone[i].label))) {
            zone[i].answer(server, m, type, tcp);
            m->bytes[6] = (uint8_t)(m->answers >> 8);
            m->bytes[7] = (uint8_t)m->answers;
            return;
        }
    }
    fail_msg("asked for %.*s", TEXT_ARG(label));
}

static void on_datagram(struct watch *watch, unsigned ready)
{
    struct server *server = list_owner(watch, struct server, udp);
    static struct message m;
    struct sockaddr_storage from;
    socklen_t from_size = sizeof(from);
    ssize_t got = recvfrom(watch->fd, m.bytes, sizeof(m.bytes), 0, (struct sockaddr *)&from,
                           &from_size);
    if (got < 17) {
        return;
    }
    m.size = (size_t)got;
    answer(server, &m, false);
    if (m.size > 0) {
        sendto(watch->fd, m.bytes, m.size, 0, (struct sockaddr *)&from, from_size);
    }
}

static void close_watch(struct loop *loop, struct watch *watch)
{
    int fd = watch->fd;
    loop_unwatch(loop, watch);
    if (fd >= 0) {
        close(fd);
    }
}

/* A question comes whole, and loopback takes the answer whole. */
static void on_tcp_question(struct watch *watch, unsigned ready)
{
    struct server *server = list_owner(watch, struct server, client);
    static struct message m;
    uint8_t size[2];
    if (recv(watch->fd, size, 2, MSG_WAITALL) != 2) {
        close_watch(server->loop, watch);
        return;
    }
    m.size = (size_t)(size[0] << 8 | size[1]);
    assert_int_equal(recv(watch->fd, m.bytes, m.size, MSG_WAITALL), m.size);
    answer(server, &m, true);
    size[0] = (uint8_t)(m.size >> 8);
    size[1] = (uint8_t)m.size;
    assert_int_equal(send(watch->fd, size, 2, MSG_NOSIGNAL), 2);
    assert_int_equal(send(watch->fd, m.bytes, m.size, MSG_NOSIGNAL), m.size);
}

static void on_tcp_client(struct watch *watch, unsigned ready)
{
    struct server *server = list_owner(watch, struct server, tcp);
    int fd = accept(watch->fd, NULL, NULL);
    assert_true(fd >= 0 && server->client.fd < 0);
    assert_true(loop_watch_level(server->loop, &server->client, fd, &error));
}

/* On addresses of 127.53.0.0/16: a port that is free for UDP there is free for TCP as well, whoever
 * else listens on 127.0.0.1. */
static void server_open(struct server *server, struct loop *loop, const char *ip, uint16_t port)
{
    *server = (struct server){ .loop = loop, .udp = { -1, 0, on_datagram },
                               .tcp = { -1, 0, on_tcp_client },
                               .client = { -1, 0, on_tcp_question } };
    struct sockaddr_storage where;
    assert_true(address_parse_ip(text_from_string(ip), &server->address));
    server->which = server->address.ip[15];
    server->address.port = port;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t size = address_to_sockaddr(&server->address, &where);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, size), 0);
    getsockname(fd, (struct sockaddr *)&where, &size);
    assert_true(address_from_sockaddr(&where, &server->address));
    assert_true(loop_watch_level(loop, &server->udp, fd, &error));
}

static void server_listen(struct server *server)
{
    int reason;
    int fd = listen_tcp(&server->address, false, false, &reason, &error);
    assert_true(fd >= 0);
    assert_true(loop_watch_level(server->loop, &server->tcp, fd, &error));
}

static void server_close(struct server *server)
{
    close_watch(server->loop, &server->udp);
    close_watch(server->loop, &server->tcp);
    close_watch(server->loop, &server->client);
}

struct asker {
    struct loop *loop;
    struct dns *dns;
    struct server server;
    int answers;
    size_t count;
    char first[ADDRESS_TEXT_MAX], last[ADDRESS_TEXT_MAX];
    uint32_t ttl_s;
    char failure[128];
};

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct asker *asker = owner;
    asker->answers++;
    asker->count = answer->count;
    asker->ttl_s = answer->ttl_s;
    snprintf(asker->failure, sizeof(asker->failure), "%s", answer->failure ? answer->failure : "");
    asker->first[0] = asker->last[0] = '\0';
    assert_int_equal(answer->failure == NULL, answer->count > 0);
    for (size_t i = 0; i < answer->count; i++) {
        assert_int_equal(answer->addresses[i].port, 0);
    }
    if (answer->count > 0) {
        address_format_ip(&answer->addresses[0], asker->first);
        address_format_ip(&answer->addresses[answer->count - 1], asker->last);
    }
}

static void asker_open(struct asker *asker)
{
    *asker = (struct asker){ .loop = loop_new(&error) };
    asker->dns = dns_new(asker->loop, &error);
    assert_non_null(asker->dns);
    server_open(&asker->server, asker->loop, "127.53.0.1", 0);
    assert_true(dns_use_server(asker->dns, &asker->server.address, &error));
    assert_true(dns_set_patience(asker->dns, 60, 1, &error));
}

static void asker_close(struct asker *asker)
{
    dns_free(asker->dns);
    server_close(&asker->server);
    loop_free(asker->loop);
}

static void wait_for(struct asker *asker, int answers)
{
    uint64_t give_up_ns = clock_now_ns() + 3000000000u;
    while (asker->answers < answers) {
        assert_true(clock_now_ns() < give_up_ns);
        loop_turn(asker->loop, 10);
    }
}

static void ask(struct asker *asker, const char *name)
{
    int before = asker->answers;
    assert_true(dns_resolve(asker->dns, text_from_string(name), asker, on_answer));
    assert_int_equal(asker->answers, before); /* never from within the call */
    wait_for(asker, before + 1);
    assert_int_equal(asker->answers, before + 1);
}

static void good_answers_are_understood(void **state)
{
    static const struct {
        const char *name;
        size_t count;
        const char *first, *last;
        uint32_t ttl_s;
    } cases[] = {
        { "v4.test", 2, "10.0.0.1", "10.0.0.2", 60 },
        { "v4.test.", 2, "10.0.0.1", "10.0.0.2", 60 },
        { "v6.test", 1, "2001:db8::1", "2001:db8::1", 30 },
        { "both.test", 2, "10.0.0.1", "2001:db8::2", 10 },
        { "alias.test", 1, "10.0.0.7", "10.0.0.7", 5 },
        { "zero.test", 1, "10.0.0.1", "10.0.0.1", 1 },
        { "v4", 2, "10.0.0.1", "10.0.0.2", 60 },
        /* servers that stumble over AAAA must not cost the A records */
        { "oldbox.test", 1, "10.0.0.1", "10.0.0.1", 20 },
        { "nxbox.test", 1, "10.0.0.1", "10.0.0.1", 20 },
        { "mutebox.test", 1, "10.0.0.1", "10.0.0.1", 20 },
        { "mixed.test", 1, "10.0.0.1", "10.0.0.1", 20 },
        { "10.1.2.3", 1, "10.1.2.3", "10.1.2.3", 86400 },
        { "2001:db8::9", 1, "2001:db8::9", "2001:db8::9", 86400 },
    };
    struct asker asker;
    asker_open(&asker);
    assert_true(dns_set_patience(asker.dns, 150, 2, &error));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&asker, cases[i].name);
        if (asker.failure[0]) {
            fail_msg("%s: %s", cases[i].name, asker.failure);
        }
        assert_int_equal(asker.count, cases[i].count);
        assert_string_equal(asker.first, cases[i].first);
        assert_string_equal(asker.last, cases[i].last);
        assert_int_equal(asker.ttl_s, cases[i].ttl_s);
    }
    asker_close(&asker);
}

static void bad_answers_are_failures(void **state)
{
    static const struct {
        const char *name;
        const char *failure; /* a part of it; "": any */
    } cases[] = {
        { "missing.test", "not found" }, { "empty.test", "" },
        { "servfail.test", "" },         { "refused.test", "" },
        { "silent.test", "imeout" },     { "half.test", "imeout" },
        { "id.test", "imeout" },         { "garbage.test", "" },
        { "long.test", "" },             { "circle.test", "" },
        { "size.test", "" },
        { "many.test", "" }, /* truncated, and nobody listens for TCP */
        { "a..b", "" },
    };
    struct asker asker;
    asker_open(&asker);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&asker, cases[i].name);
        if (!asker.failure[0] || asker.count > 0 ||
            !strstr(asker.failure, cases[i].failure)) {
            fail_msg("%s: '%s', %zu addresses", cases[i].name, asker.failure, asker.count);
        }
    }
    asker_close(&asker);
}

static void a_truncated_answer_is_fetched_over_tcp_and_cut_at_1000(void **state)
{
    struct asker asker;
    asker_open(&asker);
    server_listen(&asker.server);
    assert_true(dns_set_patience(asker.dns, 1000, 1, &error));
    ask(&asker, "many.test");
    assert_string_equal(asker.failure, "");
    assert_int_equal(asker.count, 1000);
    assert_string_equal(asker.first, "10.1.0.0");
    assert_string_equal(asker.last, "10.1.3.231");
    asker_close(&asker);
}

static void the_hosts_file_comes_first(void **state)
{
    struct asker asker;
    asker_open(&asker);
    ask(&asker, "localhost");
    assert_string_equal(asker.failure, "");
    struct address address;
    assert_true(address_parse_ip(text_from_string(asker.first), &address));
    assert_true(address_is_loopback(&address));
    assert_int_equal(asker.server.asked, 0);
    asker_close(&asker);
}

static void names_that_are_none_are_refused(void **state)
{
    struct asker asker;
    char name[255];
    memset(name, 'a', sizeof(name));
    asker_open(&asker);
    assert_false(dns_resolve(asker.dns, text_of(NULL, 0), &asker, on_answer));
    assert_false(dns_resolve(asker.dns, TEXT(""), &asker, on_answer));
    assert_false(dns_resolve(asker.dns, text_of("a\0b", 3), &asker, on_answer));
    assert_false(dns_resolve(asker.dns, text_of(name, 254), &asker, on_answer));
    assert_true(dns_resolve(asker.dns, text_of(name, 253), &asker, on_answer)); /* label too long */
    wait_for(&asker, 1);
    assert_string_not_equal(asker.failure, "");
    asker_close(&asker);
}

static void a_cancelled_owner_hears_nothing(void **state)
{
    struct asker asker;
    struct asker other = { 0 };
    asker_open(&asker);
    assert_true(dns_resolve(asker.dns, TEXT("v4.test"), &other, on_answer));
    assert_true(dns_resolve(asker.dns, TEXT("10.0.0.1"), &other, on_answer)); /* answered already */
    assert_true(dns_resolve(asker.dns, TEXT("v4.test"), &asker, on_answer));
    dns_cancel(asker.dns, &other);
    wait_for(&asker, 1);
    ask(&asker, "both.test");
    assert_int_equal(other.answers, 0);
    asker_close(&asker);
}

static void freeing_ends_what_is_outstanding(void **state)
{
    struct asker asker;
    asker_open(&asker);
    for (int i = 0; i < 50; i++) {
        assert_true(dns_resolve(asker.dns, TEXT("silent.test"), &asker, on_answer));
    }
    assert_true(dns_resolve(asker.dns, TEXT("10.0.0.1"), &asker, on_answer));
    loop_turn(asker.loop, 0);
    dns_free(asker.dns);
    assert_int_equal(asker.answers, 51);
    assert_string_equal(asker.failure, "cancelled");
    asker.dns = NULL;
    asker_close(&asker);
}

static int chained;

static void on_chain(void *owner, const struct dns_answer *answer)
{
    struct asker *asker = owner;
    asker->answers++;
    if (++chained < 100) { /* a name that answers at once, asked again at once */
        assert_true(dns_resolve(asker->dns, TEXT("10.0.0.1"), asker, on_chain));
    }
}

static void an_answer_may_ask_again(void **state)
{
    struct asker asker;
    asker_open(&asker);
    assert_true(dns_resolve(asker.dns, TEXT("10.0.0.1"), &asker, on_chain));
    while (asker.answers == 0) {
        loop_turn(asker.loop, 10);
    }
    assert_true(asker.answers < 10); /* others have their turns between */
    wait_for(&asker, 100);
    asker_close(&asker);
}

static void outstanding_queries_have_a_limit(void **state)
{
    struct asker asker;
    int taken = 0;
    asker_open(&asker);
    while (taken < 20000 && dns_resolve(asker.dns, TEXT("10.0.0.1"), &asker, on_answer)) {
        taken++;
    }
    assert_int_equal(taken, 10000);
    wait_for(&asker, 10000);
    ask(&asker, "v4.test");
    asker_close(&asker);
}

static void write_resolv_conf(const char *path, const char *nameserver)
{
    char fresh[64];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fprintf(file, "search example.com\noptions ndots:5\nnameserver %s\n", nameserver);
    fclose(file);
    assert_int_equal(rename(fresh, path), 0);
}

static void a_changed_resolv_conf_is_followed(void **state)
{
    struct asker asker = { .loop = loop_new(&error) };
    struct server other;
    char path[] = "/tmp/weft-dns-test-XXXXXX";
    close(mkstemp(path));
    server_open(&asker.server, asker.loop, "127.53.0.1", 0);
    server_open(&other, asker.loop, "127.53.0.2", asker.server.address.port);
    write_resolv_conf(path, "127.53.0.1");
    asker.dns = dns_new(asker.loop, &error);
    assert_true(dns_use_resolv_conf(asker.dns, path, asker.server.address.port, &error));
    assert_true(dns_set_patience(asker.dns, 2500, 1, &error));
    ask(&asker, "who.test"); /* with search domains tried this would be who.test.example.com */
    assert_string_equal(asker.first, "10.0.0.1");
    assert_int_equal(asker.server.asked, 2);

    asker.server.mute = true;
    assert_true(dns_resolve(asker.dns, TEXT("who.test"), &asker, on_answer));
    for (int i = 0; i < 5; i++) {
        loop_turn(asker.loop, 1);
    }
    write_resolv_conf(path, "127.53.0.2");
    asker.first[0] = '\0';
    assert_true(dns_resolve(asker.dns, TEXT("who.test"), &asker, on_answer));
    wait_for(&asker, 3); /* the one that was under way as well */
    assert_string_equal(asker.first, "10.0.0.2");
    assert_int_equal(other.asked, 4);

    unlink(path); /* gone: what is known goes on */
    ask(&asker, "who.test");
    assert_string_equal(asker.first, "10.0.0.2");
    server_close(&other);
    asker_close(&asker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_are_understood),
        cmocka_unit_test(bad_answers_are_failures),
        cmocka_unit_test(a_truncated_answer_is_fetched_over_tcp_and_cut_at_1000),
        cmocka_unit_test(the_hosts_file_comes_first),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(a_cancelled_owner_hears_nothing),
        cmocka_unit_test(freeing_ends_what_is_outstanding),
        cmocka_unit_test(an_answer_may_ask_again),
        cmocka_unit_test(outstanding_queries_have_a_limit),
        cmocka_unit_test(a_changed_resolv_conf_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
