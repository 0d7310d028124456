/* The ADS server as scripts: each line is a command or, after ">", what the server must do next.
 *   set T NAME BYTES | remove T NAME | commit | open | foreign | close
 *   ask T [+NAME] [-NAME] [=NAME:BYTES]...   first or later request; = names a version in hand
 *   stale T [+NAME] [-NAME]...               the same with a nonce of another stream
 *   ack T | nack T [NAME]...                 answers the oldest open response of T
 *   state T NAME
 * Said back: "> T NAME=BYTES -NAME", "> ok T NAME", "> no T NAME: reason", "> broken: ...". */
#include "xds/ads_server.h"

#include "base/array.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "xds/ads_script_test.h"
#include "xds/compose.h"

struct world {
    struct ads_server *server;
    struct ads_stream *stream;
    struct buffer said;
    struct text agent;
    bool greeted;
    ARRAY_OF(struct script_nonce) nonces;
};

static void note_response(void *owner, struct text bytes)
{
    struct world *world = owner;
    struct arena arena;
    struct error error;
    ProtobufCMessage *message;
    arena_init(&arena);
    assert_true(
        xds_decode_envelope(&envoy__service__discovery__v3__delta_discovery_response__descriptor,
                            bytes, &arena, &message, &error));
    const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response = (const void *)message;
    const char *type = script_short(text_from_string(response->type_url));
    buffer_format(&world->said, "> %s", type);
    for (size_t i = 0; i < response->n_resources; i++) {
        assert_string_equal(response->resources[i]->resource->type_url, response->type_url);
        assert_int_equal(strlen(response->resources[i]->version), 16);
        buffer_format(&world->said, " %s=%.*s", response->resources[i]->name,
                      (int)response->resources[i]->resource->value.len,
                      (const char *)response->resources[i]->resource->value.data);
    }
    for (size_t i = 0; i < response->n_removed_resources; i++)
        buffer_format(&world->said, " -%s", response->removed_resources[i]);
    buffer_append_byte(&world->said, '\n');
    struct script_nonce *nonce = array_add(&world->nonces);
    snprintf(nonce->type, sizeof(nonce->type), "%s", type);
    snprintf(nonce->nonce, sizeof(nonce->nonce), "%s", response->nonce);
    arena_fini(&arena);
}

static void note_ack(void *owner, struct ads_stream *stream, struct text type_url, struct text name,
                     struct text version)
{
    struct world *world = owner;
    assert_ptr_equal(stream, world->stream);
    assert_true(version.size == 16 || version.size == 0);
    buffer_format(&world->said, "> ok %s %s%.*s\n", script_short(type_url), version.size ? "" : "-",
                  TEXT_ARG(name));
}

static void note_nack(void *owner, struct ads_stream *stream, struct text type_url,
                      struct text name, struct text version, struct text reason)
{
    struct world *world = owner;
    buffer_format(&world->said, "> no %s %.*s: %.*s\n", script_short(type_url), TEXT_ARG(name),
                  TEXT_ARG(reason));
}

static void note_node(void *owner, struct ads_stream *stream, struct text id, struct text cluster)
{
    struct world *world = owner;
    buffer_format(&world->said, "> node %.*s %.*s\n", TEXT_ARG(id), TEXT_ARG(cluster));
}

static void send_request(struct world *world,
                         Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request)
{
    struct buffer bytes;
    struct error error;
    buffer_init(&bytes);
    xds_pack(&request->base, &bytes);
    if (!ads_stream_receive(world->stream, buffer_text(&bytes), &error))
        buffer_format(&world->said, "> broken: %s\n", error.text);
    buffer_fini(&bytes);
}

static Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *
new_request(struct world *world, struct arena *arena, struct text type)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        compose_new(arena, &envoy__service__discovery__v3__delta_discovery_request__descriptor);
    request->type_url = compose_string(arena, script_url(type));
    if (!world->greeted) {
        request->node = compose_new(arena, &envoy__config__core__v3__node__descriptor);
        request->node->id = compose_string(arena, TEXT("n1"));
        request->node->cluster = compose_string(arena, TEXT("edge"));
        request->node->user_agent_name = compose_string(arena, world->agent);
        world->greeted = true;
    }
    return request;
}

static const ProtobufCMessageDescriptor *version_entry(void)
{
    return protobuf_c_message_descriptor_get_field_by_name(
               &envoy__service__discovery__v3__delta_discovery_request__descriptor,
               "initial_resource_versions")
        ->descriptor;
}

static void ask(struct world *world, struct text type, struct text words, const char *nonce)
{
    struct arena arena;
    arena_init(&arena);
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        new_request(world, &arena, type);
    request->response_nonce = compose_string(&arena, text_from_string(nonce));
    struct text word;
    while (script_word(&words, &word)) {
        struct text name = text_from(word, 1);
        if (word.at[0] == '+') {
            COMPOSE_ADD(&arena, request, resource_names_subscribe, compose_string(&arena, name));
        } else if (word.at[0] == '-') {
            COMPOSE_ADD(&arena, request, resource_names_unsubscribe, compose_string(&arena, name));
        } else {
            struct text key;
            char version[20];
            assert_true(text_split(&name, ':', &key));
            script_version(name, version);
            COMPOSE_ADD(&arena, request, initial_resource_versions,
                        compose_entry(&arena, version_entry(), key,
                                      compose_string(&arena, text_from_string(version))));
        }
    }
    send_request(world, request);
    arena_fini(&arena);
}

static void take_nonce(struct world *world, struct text type, char out[16])
{
    for (size_t i = 0; i < world->nonces.count; i++) {
        struct script_nonce *nonce = &world->nonces.items[i];
        if (nonce->nonce[0] && text_equal(text_from_string(nonce->type), type)) {
            memcpy(out, nonce->nonce, 16);
            nonce->nonce[0] = '\0';
            return;
        }
    }
    fail_msg("no open response of %.*s", TEXT_ARG(type));
}

static void answer(struct world *world, struct text type, struct text names, bool good)
{
    struct arena arena;
    char nonce[16];
    arena_init(&arena);
    take_nonce(world, type, nonce);
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request =
        new_request(world, &arena, type);
    request->response_nonce = compose_string(&arena, text_from_string(nonce));
    if (!good) {
        request->error_detail = compose_new(&arena, &google__rpc__status__descriptor);
        request->error_detail->code = 3;
        request->error_detail->message = compose_string(&arena, TEXT("bad"));
    }
    struct text name;
    while (script_word(&names, &name)) {
        Envoy__Service__Discovery__V3__ResourceError *detail =
            compose_new(&arena, &envoy__service__discovery__v3__resource_error__descriptor);
        detail->resource_name =
            compose_new(&arena, &envoy__service__discovery__v3__resource_name__descriptor);
        detail->resource_name->name = compose_string(&arena, name);
        detail->error_detail = compose_new(&arena, &google__rpc__status__descriptor);
        struct text reason = arena_format(&arena, "bad %.*s", TEXT_ARG(name));
        detail->error_detail->message = compose_string(&arena, reason);
        COMPOSE_ADD(&arena, request->error_detail, details, compose_any(&arena, &detail->base));
    }
    send_request(world, request);
    arena_fini(&arena);
}

static void reopen(struct world *world)
{
    if (world->stream)
        ads_stream_close(world->stream);
    world->stream = ads_stream_open(world->server, world, note_response);
    world->greeted = false;
    world->nonces.count = 0;
}

static void run(void *owner, struct text verb, struct text rest)
{
    struct world *world = owner;
    static const char *const states[] = { "unknown", "pending", "acked", "nacked" };
    struct text type = { 0 }, name = { 0 };
    if (text_equal(verb, TEXT("open"))) {
        reopen(world);
        return;
    }
    if (text_equal(verb, TEXT("foreign"))) {
        world->agent = TEXT("envoy");
        return;
    }
    if (text_equal(verb, TEXT("commit"))) {
        ads_server_commit(world->server);
        return;
    }
    assert_true(script_word(&rest, &type));
    if (text_equal(verb, TEXT("ask")))
        ask(world, type, rest, "");
    else if (text_equal(verb, TEXT("stale")))
        ask(world, type, rest, "999");
    else if (text_equal(verb, TEXT("ack")))
        answer(world, type, rest, true);
    else if (text_equal(verb, TEXT("nack")))
        answer(world, type, rest, false);
    else if (!script_word(&rest, &name))
        fail_msg("no such command: %.*s", TEXT_ARG(verb));
    else if (text_equal(verb, TEXT("set")))
        ads_server_set(world->server, script_url(type), name, rest);
    else if (text_equal(verb, TEXT("remove")))
        ads_server_remove(world->server, script_url(type), name);
    else if (text_equal(verb, TEXT("state")))
        buffer_format(&world->said, "> %s\n",
                      states[ads_server_state(world->server, script_url(type), name)]);
    else
        fail_msg("no such command: %.*s", TEXT_ARG(verb));
}

#define NODE "> node n1 edge\n"
#define TWO  "set CDS a 1\nset CDS b 1\ncommit\nopen\n"

static const struct script scripts[] = {
    { "wildcard by an empty first request", TWO
      "ask CDS\n" NODE "> CDS a=1 b=1\nack CDS\n> ok CDS a\n> ok CDS b\nstate CDS a\n> acked\n" },
    { "wildcard by name", TWO "ask CDS +*\n" NODE "> CDS a=1 b=1\n" },
    { "wildcard of nothing is silent", "open\nask CDS\n" NODE "set CDS a 1\ncommit\n> CDS a=1\n" },
    { "an empty later request is no wildcard",
      TWO "ask CDS +a\n" NODE "> CDS a=1\nack CDS\n> ok CDS a\nask CDS\nset CDS b 2\ncommit\n" },
    { "named",
      TWO "ask CDS +b\n" NODE "> CDS b=1\nset CDS a 2\ncommit\nset CDS b 2\ncommit\n> CDS b=2\n" },
    { "names one by one", TWO "ask CDS +a\n" NODE "> CDS a=1\nask CDS +b\n> CDS b=1\n" },
    { "only what changed", TWO "ask CDS\n" NODE "> CDS a=1 b=1\nset CDS a 1\nset CDS b 2\ncommit\n"
                               "> CDS b=2\n" },
    { "set back before the commit is no change",
      TWO "ask CDS\n" NODE "> CDS a=1 b=1\nset CDS a 2\nset CDS a 1\ncommit\n" },
    { "removed and set again before the commit is no change",
      TWO "ask CDS\n" NODE "> CDS a=1 b=1\nremove CDS a\nset CDS a 1\ncommit\n" },
    { "set and removed before the commit is no change",
      TWO "ask CDS\n" NODE
          "> CDS a=1 b=1\nset CDS c 1\nremove CDS c\ncommit\nstate CDS c\n> unknown\n" },
    { "unknown name is answered, then created",
      "open\nask EDS +x\n" NODE "> EDS -x\nset EDS x 1\ncommit\n> EDS x=1\n" },
    { "removal keeps the subscription",
      "set EDS x 1\ncommit\nopen\nask EDS +x\n" NODE "> EDS x=1\nremove EDS x\ncommit\n> EDS -x\n"
      "set EDS x 1\ncommit\n> EDS x=1\n" },
    { "wildcard removal", TWO "ask CDS\n" NODE "> CDS a=1 b=1\nremove CDS a\ncommit\n> CDS -a\n"
                              "ack CDS\n> ok CDS a\n> ok CDS b\nack CDS\n> ok CDS -a\n" },
    { "unsubscribe one", TWO "ask CDS +a +b\n" NODE "> CDS a=1 b=1\nask CDS -a\nset CDS a 2\n"
                             "set CDS b 2\ncommit\n> CDS b=2\n" },
    { "unsubscribe all", TWO "ask CDS +a +b\n" NODE "> CDS a=1 b=1\nask CDS -a -b\nset CDS a 2\n"
                             "commit\n" },
    { "unsubscribe the wildcard, keep a name",
      TWO "ask CDS +* +a\n" NODE "> CDS a=1 b=1\nask CDS -*\nset CDS a 2\nset CDS b 2\ncommit\n"
          "> CDS a=2\n" },
    { "unsubscribe a name the wildcard covers is answered", TWO
      "ask CDS +* +a +x\n" NODE "> CDS a=1 b=1 -x\nask CDS -a\n> CDS a=1\nask CDS -x\n> CDS -x\n" },
    { "subscribe again is answered again",
      TWO "ask CDS +a\n" NODE "> CDS a=1\nask CDS +a\n> CDS a=1\n" },
    { "a stale nonce still changes subscriptions",
      TWO "ask CDS +a\n" NODE "> CDS a=1\nstale CDS +b\n> CDS b=1\nack CDS\n> ok CDS a\n" },
    { "types are apart", "set CDS a 1\nset LDS l 1\ncommit\nopen\nask LDS\n" NODE
                         "> LDS l=1\nask CDS\n> CDS a=1\nset LDS l 2\ncommit\n> LDS l=2\n" },
    { "order of a commit",
      "open\nask LDS\n" NODE "ask RDS +r\n> RDS -r\nask EDS +a\n> EDS -a\nask CDS\n"
      "set RDS r 1\nset LDS l 1\nset EDS a 1\nset CDS a 1\ncommit\n"
      "> CDS a=1\n> EDS a=1\n> LDS l=1\n> RDS r=1\n" },
    { "clusters are removed only when the routes are in force",
      "set CDS a 1\nset EDS a 1\nset RDS r 1\ncommit\nopen\nask CDS\n" NODE
      "> CDS a=1\nask EDS +a\n> EDS a=1\nask RDS +r\n> RDS r=1\n"
      "ack CDS\n> ok CDS a\nack EDS\n> ok EDS a\nack RDS\n> ok RDS r\n"
      "set CDS b 1\nset RDS r 2\nremove CDS a\nremove EDS a\ncommit\n> CDS b=1\n> RDS r=2\n"
      "ack CDS\n> ok CDS b\nack RDS\n> ok RDS r\n> CDS -a\n> EDS -a\n" },
    { "a refused route keeps its clusters",
      "set CDS a 1\nset RDS r 1\ncommit\nopen\nask CDS\n" NODE "> CDS a=1\nask RDS +r\n> RDS r=1\n"
      "ack CDS\n> ok CDS a\nack RDS\n> ok RDS r\n"
      "set RDS r 2\nremove CDS a\ncommit\n> RDS r=2\nnack RDS\n> no RDS r: bad\n"
      "set RDS r 3\ncommit\n> RDS r=3\nack RDS\n> ok RDS r\n> CDS -a\n" },
    { "nack names the bad ones",
      TWO "ask CDS\n" NODE "> CDS a=1 b=1\nnack CDS b\n> ok CDS a\n"
          "> no CDS b: bad b\nstate CDS a\n> acked\nstate CDS b\n> nacked\n" },
    { "nack without names", TWO "ask CDS\n" NODE "> CDS a=1 b=1\nnack CDS\n> no CDS a: bad\n"
                                "> no CDS b: bad\n" },
    { "refused bytes are not sent again",
      "set CDS a 1\ncommit\nopen\nask CDS\n" NODE "> CDS a=1\nack CDS\n> ok CDS a\n"
      "set CDS a 2\ncommit\n> CDS a=2\nstate CDS a\n> pending\nnack CDS\n> no CDS a: bad\n"
      "set CDS a 1\ncommit\n> CDS a=1\nack CDS\n> ok CDS a\n"
      "set CDS a 2\ncommit\nstate CDS a\n> nacked\n"
      "set CDS a 3\ncommit\n> CDS a=3\n" },
    { "refused bytes are sent when asked for",
      "set EDS a 1\ncommit\nopen\nask EDS +a\n" NODE "> EDS a=1\nnack EDS a\n> no EDS a: bad a\n"
      "ask EDS +a\n> EDS a=1\n" },
    { "refused bytes are sent when asked for under a wildcard",
      "set LDS l 1\ncommit\nopen\nask LDS\n" NODE
      "> LDS l=1\nnack LDS l\n> no LDS l: bad l\nask LDS +l\n> LDS l=1\nack LDS\n> ok LDS l\n"
      "state LDS l\n> acked\nremove LDS l\ncommit\n> LDS -l\n" },
    { "reconnect sends what changed",
      TWO "ask CDS =a:1 =b:0 =c:1\n" NODE "> CDS b=1\n> CDS -c\nstate CDS a\n> acked\n" },
    { "reconnect with nothing new is silent", TWO "ask CDS =a:1 =b:1\n" NODE },
    { "reconnect: what is named is always sent", TWO "ask CDS +a =a:1\n" NODE "> CDS a=1\n" },
    { "reconnect: removed while away", "open\nask EDS +a =a:1\n" NODE "> EDS -a\n" },
    { "a new stream begins anew",
      TWO "ask CDS\n" NODE "> CDS a=1 b=1\nopen\nask CDS\n" NODE "> CDS a=1 b=1\nack CDS\n"
          "> ok CDS a\n> ok CDS b\n" },
    { "a foreign client gets endpoints again after its cluster",
      "foreign\nset CDS a \nset EDS a 1\ncommit\nopen\nask CDS\n" NODE
      "> CDS a=\nask EDS +a\n> EDS a=1\n"
      "set CDS a \xe2\x01\x01n\ncommit\n> CDS a=\xe2\x01\x01n\n> EDS a=1\n"
      "set CDS a \x1a\x03\x12\x01x\nset EDS x 1\ncommit\n> CDS a=\x1a\x03\x12\x01x\n"
      "ask EDS +x\n> EDS x=1\nset CDS a \x1a\x03\x12\x01x\xe2\x01\x01n\ncommit\n"
      "> CDS a=\x1a\x03\x12\x01x\xe2\x01\x01n\n> EDS x=1\n" },
    { "no more than eight open responses of a type",
      "set CDS a 0\ncommit\nopen\nask CDS\n" NODE "> CDS a=0\nset CDS a 1\ncommit\n> CDS a=1\n"
      "set CDS a 2\ncommit\n> CDS a=2\nset CDS a 3\ncommit\n> CDS a=3\nset CDS a 4\ncommit\n> CDS "
      "a=4\n"
      "set CDS a 5\ncommit\n> CDS a=5\nset CDS a 6\ncommit\n> CDS a=6\nset CDS a 7\ncommit\n> CDS "
      "a=7\n"
      "set CDS a 8\ncommit\nset CDS a 9\ncommit\nstate CDS a\n> pending\nack CDS\n> ok CDS a\n> "
      "CDS a=9\n" },
};

static void plays_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct world world = { .agent = TEXT("weft") };
        struct ads_server_events events = { &world, note_node, note_ack, note_nack };
        world.server = ads_server_new(&events);
        buffer_init(&world.said);
        script_play(&scripts[i], &world.said, &world, run);
        ads_stream_close(world.stream);
        ads_server_free(world.server);
        buffer_fini(&world.said);
        array_free(&world.nonces);
    }
}

static void refuses_what_breaks_the_protocol(void **state)
{
    (void)state;
    struct ads_server *server = ads_server_new(NULL);
    struct world world = { 0 };
    struct ads_stream *stream = ads_stream_open(server, &world, note_response);
    struct error error;
    assert_false(ads_stream_receive(stream, TEXT(""), &error));
    assert_non_null(strstr(error.text, "type_url"));
    assert_false(ads_stream_receive(stream, TEXT("\x12\x01\xff"), &error));
    assert_non_null(strstr(error.text, "UTF-8"));
    for (unsigned i = 0; i <= ADS_TYPES_MAX; i++) {
        char request[] = { 0x12, 0x01, (char)('A' + i) };
        bool good = ads_stream_receive(stream, text_of(request, sizeof(request)), &error);
        assert_int_equal(good, i < ADS_TYPES_MAX);
    }
    assert_non_null(strstr(error.text, "types"));
    ads_stream_close(stream);
    ads_server_free(server);
}

/* Several megabytes go out in several responses, every resource once. */
static void count_resources(void *owner, struct text bytes)
{
    size_t *counts = owner;
    struct arena arena;
    struct error error;
    ProtobufCMessage *message;
    arena_init(&arena);
    assert_true(
        xds_decode_envelope(&envoy__service__discovery__v3__delta_discovery_response__descriptor,
                            bytes, &arena, &message, &error));
    const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response = (const void *)message;
    assert_true(bytes.size < 1500 * 1024);
    counts[0]++;
    counts[1] += response->n_resources;
    arena_fini(&arena);
}

static void splits_large_responses(void **state)
{
    (void)state;
    struct ads_server *server = ads_server_new(NULL);
    char *body = calloc(1, 100000);
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        ads_server_set(server, TYPE_CLUSTER, text_from_string(name), text_of(body, 100000));
    }
    ads_server_commit(server);
    size_t counts[2] = { 0 };
    struct ads_stream *stream = ads_stream_open(server, counts, count_resources);
    struct buffer request;
    struct error error;
    buffer_init(&request);
    buffer_append_byte(&request, 0x12);
    buffer_append_byte(&request, (char)TYPE_CLUSTER.size);
    buffer_append(&request, TYPE_CLUSTER);
    assert_true(ads_stream_receive(stream, buffer_text(&request), &error));
    assert_int_equal(counts[0], 5);
    assert_int_equal(counts[1], 50);
    buffer_fini(&request);
    free(body);
    ads_stream_close(stream);
    ads_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_scripts),
        cmocka_unit_test(refuses_what_breaks_the_protocol),
        cmocka_unit_test(splits_large_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
