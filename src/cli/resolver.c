/* Names of DNS clusters and when each is due. */
#include "cli/resolver.h"

#include "base/ensure.h"
#include "base/log.h"
#include "base/map.h"
#include "net/dns.h"

#include <stdlib.h>

#define RETRY_MS     5000
#define STALE_MS     (3600u * 1000)
#define TTL_MAX_S    300
#define ADDRESSES_MAX 1000

struct name {
    struct resolver *resolver;
    struct timer timer;
    struct text text; /* own copy, behind the struct */
    struct address *addresses;
    size_t count;
    uint64_t good_ms; /* of the last good answer */
    bool asking;
    bool answered; /* once, well or badly */
    bool failed;
    bool wanted;
};

struct resolver {
    struct loop *loop;
    struct dns *dns; /* made on first use */
    struct compiler *compiler;
    struct map names;
    void *owner;
    void (*on_change)(void *owner);
};

struct resolver *resolver_new(struct loop *loop, struct compiler *compiler, void *owner,
                              void (*on_change)(void *owner), struct error *error)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    *resolver = (struct resolver){
        .loop = loop, .compiler = compiler, .owner = owner, .on_change = on_change };
    map_init(&resolver->names);
    return resolver;
}

static void name_free(struct name *name)
{
    timer_stop(&name->timer);
    if (name->asking) {
        dns_cancel(name->resolver->dns, name);
    }
    free(name->addresses);
    free(name);
}

void resolver_free(struct resolver *resolver)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&resolver->names, &cursor)) != NULL) {
        name_free(entry->value);
    }
    map_fini(&resolver->names);
    if (resolver->dns) {
        dns_free(resolver->dns);
    }
    free(resolver);
}

static bool same_addresses(const struct name *name, const struct dns_answer *answer)
{
    if (name->count != answer->count) {
        return false;
    }
    for (size_t i = 0; i < name->count; i++) {
        if (!address_equal(&name->addresses[i], &answer->addresses[i])) {
            return false;
        }
    }
    return true;
}

static void take_addresses(struct name *name, const struct dns_answer *answer)
{
    free(name->addresses);
    name->addresses = calloc(answer->count + 1, sizeof(*name->addresses));
    ensure(name->addresses != NULL);
    if (answer->count > 0) {
        memcpy(name->addresses, answer->addresses, answer->count * sizeof(*name->addresses));
    }
    name->count = answer->count;
}

static void publish(struct name *name, bool failed)
{
    struct resolver *resolver = name->resolver;
    name->failed = failed;
    compiler_set_addresses(resolver->compiler, name->text, name->addresses, name->count, failed);
    resolver->on_change(resolver->owner);
}

/* A name others control must not lead into this machine or its link (decision 8,
 * CVE-2021-25740). */
static void drop_inner(const struct name *name, struct dns_answer *answer,
                       struct address kept[ADDRESSES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < answer->count && count < ADDRESSES_MAX; i++) {
        const struct address *address = &answer->addresses[i];
        if (!address_is_loopback(address) && !address_is_link_local(address)) {
            kept[count++] = *address;
        }
    }
    if (count < answer->count) {
        log_warn("dns", "%.*s: %zu loopback or link-local addresses are not used",
                 TEXT_ARG(name->text), answer->count - count);
    }
    answer->addresses = kept;
    answer->count = count;
}

static void on_answer(void *owner, const struct dns_answer *given)
{
    static struct address kept[ADDRESSES_MAX]; /* main thread only */
    struct name *name = owner;
    struct dns_answer filtered = *given;
    const struct dns_answer *answer = &filtered;
    drop_inner(name, &filtered, kept);
    struct loop *loop = name->resolver->loop;
    bool first = !name->answered;
    name->asking = false;
    name->answered = true;
    if (answer->failure == NULL && answer->count > 0) {
        uint32_t ttl_s = answer->ttl_s < TTL_MAX_S ? answer->ttl_s : TTL_MAX_S;
        bool changed = first || name->failed || !same_addresses(name, answer);
        name->good_ms = loop_now_ms(loop);
        timer_start(loop, &name->timer, (uint64_t)(ttl_s ? ttl_s : 1) * 1000);
        if (changed) {
            take_addresses(name, answer);
            publish(name, false);
        }
        return;
    }
    log_warn("dns", "%.*s: %s", TEXT_ARG(name->text),
             answer->failure ? answer->failure : "no addresses");
    timer_start(loop, &name->timer, RETRY_MS);
    bool stale = name->count > 0 && loop_now_ms(loop) - name->good_ms > STALE_MS;
    if (stale) {
        name->count = 0;
    }
    if (first || stale) {
        publish(name, true);
    }
}

static void ask(struct name *name)
{
    struct resolver *resolver = name->resolver;
    struct error error;
    if (resolver->dns == NULL) {
        resolver->dns = dns_new(resolver->loop, &error);
    }
    if (resolver->dns == NULL || !dns_resolve(resolver->dns, name->text, name, on_answer)) {
        timer_start(resolver->loop, &name->timer, RETRY_MS);
        return;
    }
    name->asking = true;
}

static void on_due(struct timer *timer)
{
    ask(list_owner(timer, struct name, timer));
}

static void on_name(void *owner, struct text hostname)
{
    struct resolver *resolver = owner;
    struct name *name = map_find(&resolver->names, hostname);
    if (name == NULL) {
        name = calloc(1, sizeof(*name) + hostname.size + 1);
        ensure(name != NULL);
        memcpy(name + 1, hostname.at, hostname.size);
        name->text = text_of((char *)(name + 1), hostname.size);
        name->resolver = resolver;
        timer_init(&name->timer, on_due);
        map_put(&resolver->names, name->text, name);
        ask(name);
    }
    name->wanted = true;
}

void resolver_follow(struct resolver *resolver)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    compiler_each_dns_name(resolver->compiler, resolver, on_name);
    while ((entry = map_next(&resolver->names, &cursor)) != NULL) {
        struct name *name = entry->value;
        if (!name->wanted) {
            map_remove(&resolver->names, name->text);
            name_free(name);
            cursor = 0; /* the map moved entries */
            continue;
        }
    }
    cursor = 0;
    while ((entry = map_next(&resolver->names, &cursor)) != NULL) {
        ((struct name *)entry->value)->wanted = false;
    }
}
