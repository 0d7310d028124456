/* For tests of translate/: what a translator tells, kept by type and name, and a compact text
 * form of a RouteConfiguration, one line a virtual host and route: [shop.test] -> *
 * default/r/0/0 =/login GET h:x-a=1 q:b~.* : service/default/web/80*1 Paths: =exact, ~regex,
 * ^prefix (by elements), "/" for all. */
#pragma once

#include "control/gateway/graph_testing.h"
#include "control/translate/translate.h"

#include "xds/json.h"
#include "xds/message.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "weft/v1/weft.pb-c.h"

struct told_resource {
    char *name;
    char *bytes;
    size_t size;
    struct place origin;
};

struct listening {
    struct translator *translator;
    struct translate_sink sink;
    struct map resources; /* "Type name" -> struct told_resource */
    struct buffer log;    /* a line a call: "+Cluster NAME", "-Cluster NAME" */
    struct arena arena;
};

static inline struct text short_type(struct text type_url)
{
    for (size_t i = type_url.size; i > 0; i--) {
        if (type_url.at[i - 1] == '.') {
            return text_from(type_url, i);
        }
    }
    return type_url;
}

static inline void told_free(struct told_resource *told)
{
    if (told) {
        free(told->name);
        free(told->bytes);
        free(told);
    }
}

static inline void keep_resource(void *owner, const struct translate_resource *resource)
{
    struct listening *listening = owner;
    struct text type = short_type(resource->type_url);
    buffer_format(&listening->log, "+%.*s %.*s\n", TEXT_ARG(type), TEXT_ARG(resource->name));
    struct told_resource *told = calloc(1, sizeof(*told));
    assert_non_null(told);
    assert_true(asprintf(&told->name, "%.*s %.*s", TEXT_ARG(type), TEXT_ARG(resource->name)) > 0);
    told->bytes = malloc(resource->bytes.size + 1);
    assert_non_null(told->bytes);
    memcpy(told->bytes, resource->bytes.at, resource->bytes.size);
    told->size = resource->bytes.size;
    told->origin = resource->origin;
    told_free(map_remove(&listening->resources, text_from_string(told->name)));
    map_put(&listening->resources, text_from_string(told->name), told);
}

static inline void drop_resource(void *owner, struct text type_url, struct text name)
{
    struct listening *listening = owner;
    struct text type = short_type(type_url);
    buffer_format(&listening->log, "-%.*s %.*s\n", TEXT_ARG(type), TEXT_ARG(name));
    struct text key = arena_format(&listening->arena, "%.*s %.*s", TEXT_ARG(type), TEXT_ARG(name));
    struct told_resource *told = map_remove(&listening->resources, key);
    assert_non_null(told);
    told_free(told);
}

static inline void listening_init(struct listening *listening,
                                  const struct translate_options *options)
{
    *listening = (struct listening){ 0 };
    struct translate_options defaults = translate_options_defaults();
    listening->translator = translator_new(options ? options : &defaults);
    listening->sink = (struct translate_sink){ listening, keep_resource, drop_resource };
    arena_init(&listening->arena);
}

static inline void listening_fini(struct listening *listening)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&listening->resources, &cursor)) != NULL) {
        told_free(entry->value);
    }
    map_fini(&listening->resources);
    buffer_fini(&listening->log);
    arena_fini(&listening->arena);
    translator_free(listening->translator);
}

static inline struct translate_counts listening_run(struct listening *listening,
                                                    const struct world *world)
{
    buffer_clear(&listening->log);
    return translate(listening->translator, world->graph, &listening->sink);
}

/* The decoded resource of this key ("Cluster service/default/web/80"), or NULL. */
static inline void *told_message(struct listening *listening, const char *key)
{
    struct told_resource *told = map_find(&listening->resources, text_from_string(key));
    if (!told) {
        return NULL;
    }
    static const char *const packages[] = { "listener", "route", "cluster", "endpoint" };
    struct text type = text_from_string(key);
    type = text_first(type, text_find_byte(type, ' '));
    for (size_t i = 0; i < 4; i++) {
        struct text url = arena_format(&listening->arena, TYPE_URL_PREFIX "envoy.config.%s.v3.%.*s",
                                       packages[i], TEXT_ARG(type));
        if (registry_find(url)) {
            ProtobufCMessage *message = NULL;
            struct error error = { 0 };
            if (!xds_decode(url, text_of(told->bytes, told->size), &listening->arena, &message,
                            &error)) {
                fail_msg("%s: %s", key, error.text);
            }
            return message;
        }
    }
    fail_msg("%s: no such type", key);
    return NULL;
}

/* Its JSON, on the listening's arena. */
static inline struct text told_json(struct listening *listening, const char *key)
{
    ProtobufCMessage *message = told_message(listening, key);
    if (!message) {
        return TEXT("none");
    }
    struct buffer out;
    buffer_init(&out);
    json_write_message(message, &listening->arena, &out);
    struct text json = arena_copy(&listening->arena, buffer_text(&out));
    buffer_fini(&out);
    return json;
}

/* Each line of `lines` (trimmed) must stand in the JSON; "!line" must not. */
static inline void expect_json(struct listening *listening, const char *name, const char *key,
                               const char *lines)
{
    struct text json = told_json(listening, key);
    struct text rest = text_from_string(lines);
    struct text line;
    while (text_split(&rest, '\n', &line)) {
        line = text_trim(line);
        bool absent = line.size && line.at[0] == '!';
        line = absent ? text_from(line, 1) : line;
        if (line.size && (text_find(json, line) == json.size) != absent) {
            print_error("%s: %s%.*s in:\n%.*s\n", name, absent ? "there is " : "no ",
                        TEXT_ARG(line), TEXT_ARG(json));
            fail();
        }
    }
}

/* ---- routes as text -------------------------------------------------------------------------- */

static inline void print_value(const Envoy__Type__Matcher__V3__StringMatcher *matcher,
                               struct buffer *out)
{
    bool regex = matcher->match_pattern_case ==
                 ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX;
    buffer_format(out, "%s%s", regex ? "~" : "=",
                  regex ? matcher->safe_regex->regex : matcher->exact);
}

static inline void print_match(const Envoy__Config__Route__V3__RouteMatch *match,
                               struct buffer *out)
{
    switch (match->path_specifier_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH:
        buffer_format(out, "=%s", match->path);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_SAFE_REGEX:
        buffer_format(out, "~%s", match->safe_regex->regex);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH_SEPARATED_PREFIX:
        buffer_format(out, "^%s", match->path_separated_prefix);
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX:
        buffer_format(out, "%s", match->prefix);
        break;
    default:
        buffer_append(out, TEXT("?"));
    }
    for (size_t i = 0; i < match->n_headers; i++) {
        buffer_format(out, " h:%s", match->headers[i]->name);
        print_value(match->headers[i]->string_match, out);
    }
    for (size_t i = 0; i < match->n_query_parameters; i++) {
        buffer_format(out, " q:%s", match->query_parameters[i]->name);
        print_value(match->query_parameters[i]->string_match, out);
    }
}

static inline void print_action(const Envoy__Config__Route__V3__Route *route, struct buffer *out)
{
    if (route->action_case == ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_DIRECT_RESPONSE) {
        buffer_format(out, "%u %s", route->direct_response->status,
                      route->direct_response->body->inline_string);
    } else if (route->action_case == ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_REDIRECT) {
        buffer_append(out, TEXT("redirect"));
    } else {
        const Envoy__Config__Route__V3__WeightedCluster *weighted = route->route->weighted_clusters;
        for (size_t i = 0; i < weighted->n_clusters; i++) {
            buffer_format(out, "%s%s*%u", i ? ", " : "", weighted->clusters[i]->name,
                          weighted->clusters[i]->weight->value);
        }
    }
}

static inline void print_routes(struct listening *listening, const char *key, struct buffer *out)
{
    const Envoy__Config__Route__V3__RouteConfiguration *routes = told_message(listening, key);
    assert_non_null(routes);
    assert_true(routes->ignore_port_in_host_matching);
    for (size_t i = 0; i < routes->n_virtual_hosts; i++) {
        const Envoy__Config__Route__V3__VirtualHost *host = routes->virtual_hosts[i];
        assert_int_equal(host->n_domains, 1);
        buffer_format(out, "[%s]", host->domains[0]);
        for (size_t k = 0; k < host->n_typed_per_filter_config; k++) {
            ProtobufCMessage *inherit = NULL;
            struct error error;
            assert_string_equal(host->typed_per_filter_config[k]->key, "weft.inherit");
            assert_true(xds_any_decode(host->typed_per_filter_config[k]->value,
                                       &weft__v1__inherit__descriptor, &listening->arena, &inherit,
                                       &error));
            buffer_format(out, " -> %s", ((Weft__V1__Inherit *)inherit)->next_domain);
        }
        buffer_append_byte(out, '\n');
        for (size_t k = 0; k < host->n_routes; k++) {
            const Envoy__Config__Route__V3__Route *route = host->routes[k];
            struct text name = text_from_string(route->name);
            if (text_starts_with(name, TEXT("httproute/default/"))) {
                name = text_from(name, sizeof("httproute/default/") - 1);
            }
            buffer_format(out, "  %.*s ", TEXT_ARG(name));
            print_match(route->match, out);
            buffer_append(out, TEXT(" : "));
            print_action(route, out);
            buffer_append_byte(out, '\n');
        }
    }
}

static inline void expect_routes(struct listening *listening, const char *name, const char *key,
                                 const char *wanted)
{
    struct buffer out;
    buffer_init(&out);
    print_routes(listening, key, &out);
    if (!text_equal(buffer_text(&out), text_from_string(wanted))) {
        print_error("%s: wanted:\n%sgot:\n%.*s", name, wanted, TEXT_ARG(buffer_text(&out)));
        fail();
    }
    buffer_fini(&out);
}
