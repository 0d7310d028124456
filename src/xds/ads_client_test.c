/* The ADS client as scripts: each line is a command or, after ">", what the client must do next.
 *   connect | disconnect | idle | settle | awaits
 *   give T NAME=BYTES -NAME NAME! NAME?BYTES   a response: resource, removal, heartbeat, other type
 *   retry T NAME | want T NAME... | bad NAME (the owner refuses it from now on) | good NAME | late
 * T NAME Said back: "> ask T ...", "> got T ...", "> idle", "> awaits T NAME", "> broken". */
#include "xds/ads_client.h"

#include "base/map.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "xds/ads_script_test.h"
#include "xds/compose.h"

#define REQUEST        (&envoy__service__discovery__v3__delta_discovery_request__descriptor)
#define RESPONSE       (&envoy__service__discovery__v3__delta_discovery_response__descriptor)
#define RESOURCE       (&envoy__service__discovery__v3__resource__descriptor)
#define RESOURCE_ERROR (&envoy__service__discovery__v3__resource_error__descriptor)
#define ANY            (&google__protobuf__any__descriptor)

struct world {
    struct ads_client *client;
    struct buffer said;
    struct arena arena;
    struct map bad;
    struct text want_on_clusters; /* a name of EDS to want whenever clusters come */
    unsigned nonce;
};

static void note_error(struct world *world, const Google__Rpc__Status *status)
{
    assert_int_equal(status->code, 3);
    buffer_format(&world->said, " error=%s", status->message);
    for (size_t i = 0; i < status->n_details; i++) {
        struct error error;
        ProtobufCMessage *message;
        assert_true(
            xds_any_decode(status->details[i], RESOURCE_ERROR, &world->arena, &message, &error));
        const Envoy__Service__Discovery__V3__ResourceError *detail = (const void *)message;
        buffer_format(&world->said, " [%s: %s]", detail->resource_name->name,
                      detail->error_detail->message);
    }
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(char **names, size_t count)
{
    if (count > 0)
        qsort(names, count, sizeof(*names), compare_strings);
}

static void note_request(void *owner, struct text bytes)
{
    struct world *world = owner;
    struct error error;
    ProtobufCMessage *message;
    assert_true(xds_decode_as(REQUEST, bytes, &world->arena, &message, &error));
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request = (void *)message;
    buffer_format(&world->said, "> ask %s", script_short(text_from_string(request->type_url)));
    if (request->node) {
        assert_string_equal(request->node->user_agent_name, "weft");
        buffer_format(&world->said, " node=%s/%s", request->node->id, request->node->cluster);
    }
    sort_names(request->resource_names_subscribe, request->n_resource_names_subscribe);
    sort_names(request->resource_names_unsubscribe, request->n_resource_names_unsubscribe);
    for (size_t i = 0; i < request->n_resource_names_subscribe; i++)
        buffer_format(&world->said, " +%s", request->resource_names_subscribe[i]);
    for (size_t i = 0; i < request->n_resource_names_unsubscribe; i++)
        buffer_format(&world->said, " -%s", request->resource_names_unsubscribe[i]);
    for (size_t i = 0; i < request->n_initial_resource_versions; i++)
        buffer_format(&world->said, " =%s:%s", request->initial_resource_versions[i]->key,
                      request->initial_resource_versions[i]->value);
    if (*request->response_nonce)
        buffer_format(&world->said, " nonce=%s", request->response_nonce);
    if (request->error_detail)
        note_error(world, request->error_detail);
    buffer_append_byte(&world->said, '\n');
}

static void note_resources(void *owner, struct text type_url, struct ads_resource *resources,
                           size_t count, const struct text *removed, size_t removed_count)
{
    struct world *world = owner;
    buffer_format(&world->said, "> got %s", script_short(type_url));
    for (size_t i = 0; i < count; i++) {
        buffer_format(&world->said, " %.*s=%.*s", TEXT_ARG(resources[i].name),
                      TEXT_ARG(resources[i].bytes));
        if (map_find(&world->bad, resources[i].name)) {
            struct error error;
            error_set(&error, "no %.*s", TEXT_ARG(resources[i].bytes));
            ads_resource_refuse(&resources[i], &error);
        }
    }
    for (size_t i = 0; i < removed_count; i++)
        buffer_format(&world->said, " -%.*s", TEXT_ARG(removed[i]));
    buffer_append_byte(&world->said, '\n');
    if (world->want_on_clusters.size > 0 && text_equal(type_url, TYPE_CLUSTER))
        ads_client_want(world->client, TYPE_ENDPOINTS, &world->want_on_clusters, 1);
}

static void note_idle(void *owner)
{
    struct world *world = owner;
    buffer_append(&world->said, TEXT("> idle\n"));
}

static void note_awaited(void *owner, struct text type_url, struct text name)
{
    struct world *world = owner;
    buffer_format(&world->said, "> awaits %s %.*s\n", script_short(type_url), TEXT_ARG(name));
}

static void add_resource(struct world *world,
                         Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response,
                         struct text word)
{
    size_t name_size = 0;
    while (!strchr("=!?", word.at[name_size]))
        name_size++;
    char kind = word.at[name_size];
    struct text bytes = text_from(word, name_size + 1);
    Envoy__Service__Discovery__V3__Resource *resource = compose_new(&world->arena, RESOURCE);
    resource->name = compose_string(&world->arena, text_first(word, name_size));
    struct text shown = text_is_utf8(bytes) ? bytes : TEXT("?");
    struct text version = arena_format(&world->arena, "v%.*s", TEXT_ARG(shown));
    resource->version = compose_string(&world->arena, version);
    if (kind != '!') {
        resource->resource = compose_new(&world->arena, ANY);
        resource->resource->type_url =
            kind == '?' ? compose_string(&world->arena, TEXT("t/other")) : response->type_url;
        resource->resource->value.data = (uint8_t *)(uintptr_t)bytes.at;
        resource->resource->value.len = bytes.size;
    }
    COMPOSE_ADD(&world->arena, response, resources, resource);
}

static void give(struct world *world, struct text type, struct text words)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response =
        compose_new(&world->arena, RESPONSE);
    response->type_url = text_equal(type, TEXT("XDS"))
                             ? compose_string(&world->arena, TEXT("t/unknown"))
                             : compose_string(&world->arena, script_url(type));
    response->nonce =
        compose_string(&world->arena, arena_format(&world->arena, "%u", ++world->nonce));
    struct text word;
    while (script_word(&words, &word)) {
        if (word.at[0] == '-')
            COMPOSE_ADD(&world->arena, response, removed_resources,
                        compose_string(&world->arena, text_from(word, 1)));
        else
            add_resource(world, response, word);
    }
    struct buffer bytes;
    struct error error;
    buffer_init(&bytes);
    xds_pack(&response->base, &bytes);
    if (!ads_client_receive(world->client, buffer_text(&bytes), &error))
        buffer_append(&world->said, TEXT("> broken\n"));
    buffer_fini(&bytes);
}

static void want(struct world *world, struct text type, struct text words)
{
    struct text names[8];
    size_t count = 0;
    while (script_word(&words, &names[count]))
        count++;
    ads_client_want(world->client, script_url(type), names, count);
}

static bool run_simple(struct world *world, struct text verb)
{
    if (text_equal(verb, TEXT("connect")))
        ads_client_connect(world->client);
    else if (text_equal(verb, TEXT("disconnect")))
        ads_client_disconnect(world->client);
    else if (text_equal(verb, TEXT("idle")))
        ads_client_idle(world->client);
    else if (text_equal(verb, TEXT("settle")))
        ads_client_settle(world->client);
    else if (text_equal(verb, TEXT("awaits")))
        ads_client_each_awaited(world->client, world, note_awaited);
    else
        return false;
    return true;
}

static void run(void *owner, struct text verb, struct text rest)
{
    struct world *world = owner;
    struct text first;
    if (run_simple(world, verb))
        return;
    assert_true(script_word(&rest, &first));
    if (text_equal(verb, TEXT("give"))) {
        give(world, first, rest);
    } else if (text_equal(verb, TEXT("want"))) {
        want(world, first, rest);
    } else if (text_equal(verb, TEXT("bad"))) {
        map_put(&world->bad, first, world);
    } else if (text_equal(verb, TEXT("good"))) {
        map_remove(&world->bad, first);
    } else if (text_equal(verb, TEXT("chain"))) {
        world->want_on_clusters = first;
    } else if (text_equal(verb, TEXT("retry"))) {
        ads_client_retry(world->client, script_url(first), rest);
    } else if (text_equal(verb, TEXT("late"))) {
        struct error error;
        error_set(&error, "cannot bind");
        ads_client_refuse(world->client, script_url(first), rest, &error);
    } else {
        fail_msg("no such command: %.*s", TEXT_ARG(verb));
    }
}

#define HELLO "connect\n> ask CDS node=n1/edge\n> ask LDS\n"

static const struct script scripts[] = {
    { "subscribes to clusters and listeners", HELLO },
    { "acknowledges when settled", HELLO "give CDS a=1 b=2\n> got CDS a=1 b=2\nidle\n> idle\n"
                                         "settle\n> ask CDS nonce=1\nsettle\nidle\n" },
    { "several responses, one idle",
      HELLO "give CDS a=1\n> got CDS a=1\ngive LDS l=1\n> got LDS l=1\nidle\n> idle\nidle\n"
            "settle\n> ask CDS nonce=1\n> ask LDS nonce=2\n" },
    { "settle answers only what came before idle",
      HELLO "give CDS a=1\n> got CDS a=1\nidle\n> idle\ngive CDS a=2\n> got CDS a=2\n"
            "settle\n> ask CDS nonce=1\nidle\n> idle\nsettle\n> ask CDS nonce=2\n" },
    { "an empty response is acknowledged",
      HELLO "give CDS\nidle\n> idle\nsettle\n> ask CDS nonce=1\n" },
    { "refuses one, takes the other",
      HELLO "bad b\ngive CDS a=1 b=2\n> got CDS a=1 b=2\nidle\n> idle\n"
            "settle\n> ask CDS nonce=1 error=b: no 2 [b: no 2]\n" },
    { "refuses two by name",
      HELLO "bad a\nbad b\ngive CDS a=1 b=2\n> got CDS a=1 b=2\nidle\n> idle\n"
            "settle\n> ask CDS nonce=1 error=a: no 1; b: no 2 [a: no 1] [b: no 2]\n" },
    { "a listener that cannot be bound",
      HELLO "give LDS l=1 m=1\n> got LDS l=1 m=1\nidle\n> idle\nlate LDS l\n"
            "settle\n> ask LDS nonce=1 error=l: cannot bind [l: cannot bind]\n"
            "disconnect\nconnect\n> ask CDS node=n1/edge\n> ask LDS =m:v1\n" },
    { "a late refusal goes to the response that brought it", HELLO
      "give LDS l=1\n> got LDS l=1\ngive LDS m=1\n> got LDS m=1\nidle\n> idle\nlate LDS m\n"
      "settle\n> ask LDS nonce=1\n> ask LDS nonce=2 error=m: cannot bind [m: cannot bind]\n" },
    { "late refusal of what is not there is nothing",
      HELLO "late LDS x\ngive LDS l=1\n> got LDS l=1\nidle\n> idle\nsettle\n> ask LDS "
            "nonce=1\nlate LDS l\n" },
    { "a listener that can be bound after all",
      "retry LDS l\n" HELLO "give LDS l=1\n> got LDS l=1\nidle\n> idle\nlate LDS l\n"
      "settle\n> ask LDS nonce=1 error=l: cannot bind [l: cannot bind]\n"
      "retry LDS l\n> ask LDS +l\ngive LDS l=1\n> got LDS l=1\nidle\n> idle\n"
      "settle\n> ask LDS nonce=2\nretry RDS unwanted\n" },
    { "wants names", HELLO "want EDS a b\n> ask EDS +a +b\nwant EDS a b\nwant EDS b c\n"
                           "> ask EDS +c -a\nwant EDS\n> ask EDS -b -c\nwant EDS\n" },
    { "wants the same name twice", HELLO "want EDS a a\n> ask EDS +a\nwant EDS a a\n" },
    { "wants before there is a stream", "want RDS r\nwant RDS r s\n" HELLO "> ask RDS +r +s\n" },
    { "wants from within a response, before the answer",
      HELLO "chain e\ngive CDS a=1\n> got CDS a=1\n> ask EDS +e\nidle\n> idle\nsettle\n> ask CDS "
            "nonce=1\n" },
    { "what is not wanted is not handed on",
      HELLO "want EDS a\n> ask EDS +a\ngive EDS a=1 b=1\n> got EDS a=1\nwant EDS\n> ask EDS -a\n"
            "give EDS a=2 -b\nidle\n> idle\nsettle\n> ask EDS nonce=1\n> ask EDS nonce=2\n" },
    { "awaits names until sent or absent", HELLO
      "want RDS r\n> ask RDS +r\nwant EDS e\n> ask EDS +e\nawaits\n> awaits EDS e\n> awaits RDS r\n"
      "give RDS r=1\n> got RDS r=1\nawaits\n> awaits EDS e\ngive EDS -e\n> got EDS -e\nawaits\n" },
    { "removals", HELLO "give CDS a=1\n> got CDS a=1\nidle\n> idle\nsettle\n> ask CDS nonce=1\n"
                        "give CDS -a -x\n> got CDS -a\nidle\n> idle\nsettle\n> ask CDS nonce=2\n"
                        "disconnect\nconnect\n> ask CDS node=n1/edge\n> ask LDS\n" },
    { "heartbeats", HELLO "want EDS a\n> ask EDS +a\ngive EDS a!\nawaits\nidle\n> idle\n"
                          "settle\n> ask EDS nonce=1\n" },
    { "one name twice", HELLO
      "give CDS a=1 a=2 b=1\n> got CDS b=1\nidle\n> idle\nsettle\n"
      "> ask CDS nonce=1 error=a: the name stands twice in one response; a: the name stands twice "
      "in one response [a: the name stands twice in one response] [a: the name stands twice in one "
      "response]\n" },
    { "added and removed in one response",
      HELLO "give CDS a=1 -a b=1\n> got CDS b=1\nidle\n> idle\nsettle\n"
            "> ask CDS nonce=1 error=a: the name stands twice in one response "
            "[a: the name stands twice in one response]\n" },
    { "another type inside", HELLO
      "give CDS a?1\nidle\n> idle\nsettle\n> ask CDS nonce=1 error=a: of another type than the "
      "response [a: of another type than the response]\n" },
    { "a type that was not asked for", HELLO "give XDS a=1\n> broken\n" },
    { "reconnect names versions in force",
      HELLO "want RDS r\n> ask RDS +r\ngive CDS a=1\n> got CDS a=1\ngive RDS r=1\n> got RDS r=1\n"
            "idle\n> idle\nsettle\n> ask CDS nonce=1\n> ask RDS nonce=2\n"
            "bad a\ngive CDS a=2\n> got CDS a=2\nidle\n> idle\n"
            "settle\n> ask CDS nonce=3 error=a: no 2 [a: no 2]\n"
            "disconnect\nconnect\n> ask CDS node=n1/edge =a:v1\n> ask LDS\n> ask RDS +r =r:v1\n"
            "awaits\n> awaits RDS r\n" },
    { "a lost stream gets no answers",
      HELLO "give CDS a=1\n> got CDS a=1\ndisconnect\nidle\n> idle\nsettle\n"
            "connect\n> ask CDS node=n1/edge =a:v1\n> ask LDS\n" },
    { "answers of an old stream are not sent on a new one",
      HELLO "give CDS a=1\n> got CDS a=1\ndisconnect\nconnect\n> ask CDS node=n1/edge "
            "=a:unsettled\n> ask LDS\n"
            "give CDS a=1\n> got CDS a=1\nidle\n> idle\nsettle\n> ask CDS nonce=2\n" },
    { "reasons that are not UTF-8 are mended",
      HELLO "bad a\ngive CDS a=\xff\n> got CDS a=\xff\nidle\n> idle\n"
            "settle\n> ask CDS nonce=1 error=a: no ? [a: no ?]\n" },
};

static void plays_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct world world = { 0 };
        struct ads_client_events events = { &world, note_request, note_resources, note_idle };
        struct ads_client_node node = { TEXT("n1"), TEXT("edge") };
        world.client = ads_client_new(&node, &events);
        arena_init(&world.arena);
        buffer_init(&world.said);
        map_init(&world.bad);
        script_play(&scripts[i], &world.said, &world, run);
        ads_client_free(world.client);
        map_fini(&world.bad);
        buffer_fini(&world.said);
        arena_fini(&world.arena);
    }
}

static void refuses_what_cannot_be_read(void **state)
{
    (void)state;
    struct world world = { 0 };
    struct ads_client_events events = { &world, note_request, note_resources, note_idle };
    struct ads_client_node node = { TEXT("n"), TEXT("c") };
    arena_init(&world.arena);
    buffer_init(&world.said);
    world.client = ads_client_new(&node, &events);
    ads_client_connect(world.client);
    struct error error;
    assert_false(ads_client_receive(world.client, TEXT("\x22\x01\xff"), &error));
    assert_non_null(strstr(error.text, "UTF-8"));
    assert_false(ads_client_receive(world.client, TEXT(""), &error));
    ads_client_free(world.client);
    buffer_fini(&world.said);
    arena_fini(&world.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_scripts),
        cmocka_unit_test(refuses_what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
