/* Actions and filters of routes, in the words of design note 0001: YAML in, pieces of the
 * RouteConfiguration's JSON out. */
#include "control/translate/translate_testing.h"

#define RULE(text) YAML_EDGE YAML_WEB YAML_ROUTE("name: r", "name: edge", "  rules:\n" text)
#define TO_WEB     "    backendRefs: [{name: web, port: 80}]\n"
#define MATCH(path) "  - matches: [{path: {value: " path "}}]\n"

struct action_case {
    const char *name;
    const char *yaml;
    const char *json;
};

static const struct action_case cases[] = {
    { "forwarding always writes weights and a timeout",
      RULE("  - name: first\n" TO_WEB),
      "\"name\": \"httproute/default/r/first/0\"\n"
      "\"weighted_clusters\": {\n"
      "\"name\": \"service/default/web/80\"\n"
      "\"weight\": 1\n"
      "\"timeout\": \"0s\"\n"
      "\"name\": \"vhost/gateway/default/edge/http/*\"\n"
      "\"ignore_port_in_host_matching\": true\n"
      "!retry_policy\n!typed_per_filter_config\n!mirror" },

    { "header modifiers of a rule",
      RULE("  - filters:\n"
           "    - type: RequestHeaderModifier\n"
           "      requestHeaderModifier: {set: [{name: X-Set, value: a}], add: [{name: X-Add, "
           "value: "
           "b%20}], remove: [X-Gone]}\n"
           "    - type: ResponseHeaderModifier\n"
           "      responseHeaderModifier: {set: [{name: Y-Set, value: c}], remove: "
           "[Y-Gone]}\n" TO_WEB),
      "\"key\": \"X-Set\"\n\"append_action\": \"OVERWRITE_IF_EXISTS_OR_ADD\"\n"
      "\"key\": \"X-Add\"\n\"value\": \"b%20\"\n"
      "\"request_headers_to_remove\": [\n\"X-Gone\"\n"
      "\"response_headers_to_add\": [\n\"Y-Set\"\n\"response_headers_to_remove\": "
      "[\n\"Y-Gone\"\n" },

    { "header modifiers of a backendRef",
      RULE("  - backendRefs:\n"
           "    - name: web\n"
           "      port: 80\n"
           "      filters:\n"
           "      - type: RequestHeaderModifier\n"
           "        requestHeaderModifier: {add: [{name: X-B, value: b}]}\n"),
      "\"key\": \"X-B\"\n" },

    { "redirect with everything",
      RULE(MATCH("/a") "    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, "
           "hostname: o.test, port: 8443, statusCode: 308, path: {type: ReplacePrefixMatch, "
           "replacePrefixMatch: /b}}}]\n"),
      "\"scheme_redirect\": \"https\"\n\"host_redirect\": \"o.test\"\n\"port_redirect\": 8443\n"
      "\"response_code\": \"PERMANENT_REDIRECT\"\n\"prefix_rewrite\": \"/b\"\n!timeout" },

    { "redirect to a full path, by default 302, on the scheme's own port",
      RULE("  - filters: [{type: RequestRedirect, requestRedirect: {scheme: https, path: "
           "{type: ReplaceFullPath, replaceFullPath: /x}}}]\n"),
      "\"path_redirect\": \"/x\"\n\"response_code\": \"FOUND\"\n!port_redirect\n!host_redirect" },

    { "redirect to the root",
      RULE(MATCH("/a") "    filters: [{type: RequestRedirect, requestRedirect: {path: "
           "{type: ReplacePrefixMatch, replacePrefixMatch: /}}}]\n"),
      "\"prefix_rewrite\": \"/\"\n" },

    { "rewrite of host and prefix",
      RULE(MATCH("/a/") "    filters: [{type: URLRewrite, urlRewrite: {hostname: o.test, path: "
           "{type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]\n" TO_WEB),
      "\"host_rewrite_literal\": \"o.test\"\n\"weft.url_rewrite\": {\n\"prefix\": \"/b\"\n"
      "\"matched_prefix\": \"/a\"\n\"has_prefix\": true\n!full_path" },

    { "rewrite of a full path",
      RULE("  - filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, "
           "replaceFullPath: /b}}}]\n" TO_WEB),
      "\"full_path\": \"/b\"\n\"has_full_path\": true\n!has_prefix\n!host_rewrite" },

    { "rewrite on a backendRef",
      RULE(MATCH("/a") "    backendRefs: [{name: web, port: 80, filters: [{type: URLRewrite, "
           "urlRewrite: {hostname: o.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: "
           "\"/\"}}}]}]\n"),
      "\"weft.url_rewrite\": {\n\"host\": \"o.test\"\n\"prefix\": \"/\"\n"
      "\"matched_prefix\": \"/a\"\n!host_rewrite_literal" },

    { "mirrors: all, a percent, a fraction, one that is missing",
      RULE("  - filters:\n"
           "    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}\n"
           "    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, "
           "percent: 20}}\n"
           "    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, "
           "fraction: "
           "{numerator: 1, denominator: 3}}}\n"
           "    - {type: RequestMirror, requestMirror: {backendRef: {name: gone, port: "
           "80}}}\n" TO_WEB),
      "\"request_mirror_policies\": [\n\"disable_shadow_host_suffix_append\": true\n"
      "\"numerator\": 100\n\"numerator\": 20\n\"numerator\": 333333\n\"denominator\": \"MILLION\"\n"
      "!gone" },

    { "CORS",
      RULE("  - filters:\n"
           "    - type: CORS\n"
           "      cors: {allowOrigins: [\"https://*.Example.com:8443\", \"https://b.test:443\", "
           "\"http://*\"], allowMethods: [GET, PUT], allowHeaders: [a, b], exposeHeaders: [c], "
           "allowCredentials: true, maxAge: 10}\n" TO_WEB),
      "\"envoy.filters.http.cors\": {\n"
      "\"regex\": \"https://[^/:]+\\\\.example\\\\.com:8443\"\n\"exact\": \"https://b.test\"\n"
      "\"regex\": \"http://[^/:]+\"\n"
      "\"allow_methods\": \"GET, PUT\"\n\"allow_headers\": \"a, b\"\n\"expose_headers\": \"c\"\n"
      "\"max_age\": \"10\"\n\"allow_credentials\": true\n" },

    { "CORS for all origins",
      RULE("  - filters: [{type: CORS, cors: {allowOrigins: [\"*\"]}}]\n" TO_WEB),
      "\"exact\": \"*\"\n\"max_age\": \"5\"\n!allow_credentials" },

    { "timeouts without retry",
      RULE("  - timeouts: {request: 500ms, backendRequest: 200ms}\n" TO_WEB),
      "\"timeout\": \"0.5s\"\n\"per_try_timeout\": \"0.2s\"\n!retry_on" },

    { "timeouts of zero are none",
      RULE("  - timeouts: {request: 0s, backendRequest: 0s}\n" TO_WEB),
      "\"timeout\": \"0s\"\n!retry_policy" },

    { "retry on codes",
      RULE("  - retry: {codes: [500, 503], attempts: 3, backoff: 100ms}\n" TO_WEB),
      "\"retry_on\": \"connect-failure,refused-stream,retriable-status-codes\"\n"
      "\"num_retries\": 3\n\"retriable_status_codes\": [\n503\n\"base_interval\": \"0.1s\"\n" },

    { "retry of connections alone, once by default", RULE("  - retry: {}\n" TO_WEB),
      "\"retry_on\": \"connect-failure,refused-stream\"\n\"num_retries\": "
      "1\n!retriable_status_codes\n"
      "!retry_back_off" },

    { "no retry at all", RULE("  - retry: {codes: [500], attempts: 0}\n" TO_WEB), "!retry_policy" },

    { "a shorter request timeout caps the tries",
      RULE("  - timeouts: {request: 1s}\n    retry: {attempts: 2}\n" TO_WEB),
      "\"timeout\": \"1s\"\n\"num_retries\": 2\n!per_try_timeout" },

    { "a session by cookie, named by the rule",
      RULE("  - name: first\n    sessionPersistence: {type: Cookie, cookie: {}}\n" TO_WEB),
      "\"envoy.filters.http.stateful_session\": {\n"
      "\"name\": \"envoy.http.stateful_session.cookie\"\n\"name\": \"weft-session-\n"
      "\"path\": \"/\"\n\"HttpOnly\"\n!ttl\n!absolute" },

    { "a session that ends, by cookie",
      RULE("  - sessionPersistence: {type: Cookie, cookie: {name: c, lifetimeType: Permanent}, "
           "absoluteTimeout: 1h}\n" TO_WEB),
      "\"name\": \"weft.session_state\"\n\"name\": \"c\"\n\"cookie_path\": \"/\"\n"
      "\"cookie_lifetime_ms\": \"3600000\"\n\"absolute_timeout_ms\": \"3600000\"\n" },

    { "a session by header",
      RULE("  - sessionPersistence: {type: Header, header: {name: X-S}}\n" TO_WEB),
      "\"name\": \"envoy.http.stateful_session.header\"\n\"name\": \"X-S\"\n" },

    { "a backend that cannot be used answers its share",
      RULE("  - backendRefs: [{name: web, port: 80}, {name: gone, port: 80, weight: 3}]\n"),
      "\"name\": \"invalid/BackendNotFound\"\n\"weight\": 3\n\"weft.direct_response\": {\n"
      "\"status\": 500\n\"reason\": \"BackendNotFound\"\n!cluster_not_found_response_code" },

    { "filters on a backendRef that Weft lacks",
      RULE("  - backendRefs: [{name: web, port: 80, filters: [{type: RequestMirror, requestMirror: "
           "{backendRef: {name: web, port: 80}}}]}]\n"),
      "\"name\": \"invalid/UnsupportedValue\"\n!request_mirror_policies" },
};

static void run_case(const struct action_case *row, const struct translate_options *options,
                     const struct graph_port_map *port)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, options);
    world.options.port_map = port;
    world.options.port_map_count = port ? 1 : 0;
    world_put(&world, "f.yaml", row->yaml);
    listening_run(&listening, &world);
    expect_json(&listening, row->name,
                port ? "RouteConfiguration routes/127.0.0.1:8080"
                     : "RouteConfiguration routes/127.0.0.1:80",
                row->json);
    listening_fini(&listening);
    world_fini(&world);
}

static void actions_are_written_as_the_note_says(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_case(&cases[i], NULL, NULL);
    }
}

/* Without scheme and port the listener's port is written, where it is not the scheme's own. */
static void redirects_keep_the_listeners_port(void **state)
{
    static const struct graph_port_map map = { 80, 8080 };
    static const struct action_case rows[] = {
        { "port 80", RULE("  - filters: [{type: RequestRedirect, requestRedirect: {hostname: "
                          "a.b}}]\n"),
          "!port_redirect" },
        { "scheme http, port 80",
          RULE("  - filters: [{type: RequestRedirect, requestRedirect: {scheme: http, port: "
               "80}}]\n"),
          "!port_redirect" },
        { "port 443 with http",
          RULE("  - filters: [{type: RequestRedirect, requestRedirect: {port: 443}}]\n"),
          "\"port_redirect\": 443\n" },
        { "scheme https, port 443",
          RULE("  - filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: "
               "443}}]\n"),
          "!port_redirect" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        run_case(&rows[i], NULL, NULL);
    }
    run_case(&rows[0], NULL, &map);
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    world_put(&world, "f.yaml",
              YAML_GATEWAY("edge", "  - {name: http, port: 8080, protocol: HTTP}\n")
              YAML_ROUTE("name: r", "name: edge",
                         "  rules: [{filters: [{type: RequestRedirect, requestRedirect: {}}]}]\n"));
    listening_run(&listening, &world);
    expect_json(&listening, "8080", "RouteConfiguration routes/127.0.0.1:8080",
                "\"port_redirect\": 8080\n");
    listening_fini(&listening);
    world_fini(&world);
}

static void envoy_gets_its_own_words(void **state)
{
    static const struct action_case rows[] = {
        { "prefix to root",
          RULE(MATCH("/a") "    filters: [{type: URLRewrite, urlRewrite: {path: "
               "{type: ReplacePrefixMatch, replacePrefixMatch: /}}}]\n" TO_WEB),
          "\"regex\": \"^\\\\Q/a\\\\E/*\"\n\"substitution\": \"/\"\n!weft." },
        { "prefix",
          RULE(MATCH("/a") "    filters: [{type: URLRewrite, urlRewrite: {path: "
               "{type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]\n" TO_WEB),
          "\"prefix_rewrite\": \"/b\"\n!weft." },
        { "full path",
          RULE("  - filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, "
               "replaceFullPath: /b}}}]\n" TO_WEB),
          "\"regex\": \"^/.*$\"\n\"substitution\": \"/b\"\n!weft." },
        { "percent signs",
          RULE("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: "
               "a, "
               "value: b%20}]}}]\n" TO_WEB),
          "\"value\": \"b%%20\"\n" },
        { "missing backends", RULE("  - backendRefs: [{name: gone, port: 80}]\n"),
          "\"cluster_not_found_response_code\": \"INTERNAL_SERVER_ERROR\"\n!weft." },
    };
    struct translate_options options = translate_options_defaults();
    options.for_envoy = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        run_case(&rows[i], &options, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_are_written_as_the_note_says),
        cmocka_unit_test(redirects_keep_the_listeners_port),
        cmocka_unit_test(envoy_gets_its_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
