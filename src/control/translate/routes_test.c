/* Virtual hosts and the order of precedence: YAML in, the RouteConfiguration of 127.0.0.1:80 as
 * text (translate_testing.h) out. */
#include "control/translate/translate_testing.h"

#define LISTENER(name, more) "  - {name: " name ", port: 80, protocol: HTTP" more "}\n"
#define HOST(hostname) ", hostname: \"" hostname "\""
#define ROUTE(name, hostnames, path)                                                               \
    YAML_ROUTE("name: " name, "name: edge", "  hostnames: [" hostnames "]\n"                       \
               "  rules: [{name: r, matches: [{path: {value: " path "}}]}]\n")
#define AT(name, second, hostnames, path)                                                          \
    YAML_ROUTE("name: " name ", creationTimestamp: \"2026-01-01T00:00:0" second "Z\"",             \
               "name: edge", "  hostnames: [" hostnames "]\n"                                      \
               "  rules: [{name: r, matches: [{path: {value: " path "}}]}]\n")

struct routes_case {
    const char *name;
    const char *yaml;
    const char *routes;
};

static const struct routes_case cases[] = {
    { "a listener without routes still owns its hostname",
      YAML_GATEWAY("edge", LISTENER("a", HOST("*.a.test")) LISTENER("b", "")),
      "[*]\n[*.a.test]\n" },

    { "listener isolation: a domain belongs to the most specific listener",
      YAML_GATEWAY("edge", LISTENER("empty", "") LISTENER("wild", HOST("*.example.com"))
                   LISTENER("foo", HOST("*.foo.example.com"))
                   LISTENER("abc", HOST("abc.foo.example.com")))
      YAML_ROUTE("name: e", "name: edge, sectionName: empty",
                 "  rules: [{matches: [{path: {value: /empty}}]}]\n")
      YAML_ROUTE("name: w", "name: edge, sectionName: wild",
                 "  rules: [{matches: [{path: {value: /wild}}]}]\n")
      YAML_ROUTE("name: f", "name: edge, sectionName: foo",
                 "  rules: [{matches: [{path: {value: /foo}}]}]\n")
      YAML_ROUTE("name: a", "name: edge, sectionName: abc",
                 "  rules: [{matches: [{path: {value: /abc}}]}]\n"),
      "[*]\n  e/0/0 ^/empty : 500 no_backend\n"
      "[*.example.com]\n  w/0/0 ^/wild : 500 no_backend\n"
      "[*.foo.example.com]\n  f/0/0 ^/foo : 500 no_backend\n"
      "[abc.foo.example.com]\n  a/0/0 ^/abc : 500 no_backend\n" },

    { "isolation with hostname intersection: narrower listeners take a route's hostname away",
      YAML_GATEWAY("edge", LISTENER("empty", "") LISTENER("wild", HOST("*.example.com")))
      ROUTE("r", "bar.com, \"*.example.com\", x.example.com", "/"),
      "[*]\n"
      "[*.example.com]\n  r/r/0 / : 500 no_backend\n"
      "[bar.com] -> *\n  r/r/0 / : 500 no_backend\n"
      "[x.example.com] -> *.example.com\n  r/r/0 / : 500 no_backend\n" },

    { "hostnames of a route are cut to the listener's",
      YAML_GATEWAY("edge", LISTENER("a", HOST("*.example.com")))
      ROUTE("r", "\"*.com\", foo.example.com, other.org", "/"),
      "[*.example.com]\n  r/r/0 / : 500 no_backend\n"
      "[foo.example.com] -> *.example.com\n  r/r/0 / : 500 no_backend\n" },

    { "falling through goes by the listener's own hosts, the widest last",
      YAML_GATEWAY("edge", LISTENER("a", ""))
      ROUTE("r1", "a.b.example.com", "/1") ROUTE("r2", "\"*.b.example.com\"", "/2")
      ROUTE("r3", "\"*.com\"", "/3")
      YAML_ROUTE("name: r4", "name: edge", "  rules: [{matches: [{path: {value: /4}}]}]\n"),
      "[*]\n  r4/0/0 ^/4 : 500 no_backend\n"
      "[*.b.example.com] -> *.com\n  r2/r/0 ^/2 : 500 no_backend\n"
      "[*.com] -> *\n  r3/r/0 ^/3 : 500 no_backend\n"
      "[a.b.example.com] -> *.b.example.com\n  r1/r/0 ^/1 : 500 no_backend\n" },

    { "equal intersections rank by the routes' own hostnames, not by age or path",
      YAML_GATEWAY("edge", LISTENER("a", HOST("abc.example.com")))
      AT("old-wider", "1", "\"*.com\"", "/long/path/here") AT("old-wild", "2", "\"*.example.com\"",
      "/long/path") AT("new-exact", "3", "abc.example.com", "/")
      YAML_ROUTE("name: none, creationTimestamp: \"2025-01-01T00:00:00Z\"", "name: edge",
                 "  rules: [{matches: [{path: {type: Exact, value: /e}}]}]\n"),
      "[abc.example.com]\n"
      "  new-exact/r/0 / : 500 no_backend\n"
      "  old-wild/r/0 ^/long/path : 500 no_backend\n"
      "  old-wider/r/0 ^/long/path/here : 500 no_backend\n"
      "  none/0/0 =/e : 500 no_backend\n" },

    { "of several hostnames of a route with one intersection the best one ranks it",
      YAML_GATEWAY("edge", LISTENER("a", HOST("abc.example.com")))
      AT("a", "1", "\"*.example.com\"", "/a")
      AT("b", "2", "\"*.com\", abc.example.com", "/b"),
      "[abc.example.com]\n"
      "  b/r/0 ^/b : 500 no_backend\n"
      "  a/r/0 ^/a : 500 no_backend\n" },

    { "matches: path type and length, method, headers, query, age, name, order",
      YAML_GATEWAY("edge", LISTENER("a", ""))
      YAML_ROUTE("name: z", "name: edge",
                 "  rules:\n"
                 "  - matches:\n"
                 "    - {path: {value: /}}\n"
                 "    - {path: {value: /pre}}\n"
                 "    - {path: {value: /prefix/longer/}}\n"
                 "    - {path: {type: RegularExpression, value: \"/r.*\"}}\n"
                 "    - {path: {type: Exact, value: /e}}\n"
                 "    - {path: {value: /pre}, method: GET}\n"
                 "    - {path: {value: /pre}, headers: [{name: A, value: \"1\"}, {name: b, value: "
                 "\"2\"}]}\n"
                 "    - {path: {value: /pre}, headers: [{name: a, value: \"1\"}]}\n"
                 "    - {path: {value: /pre}, queryParams: [{name: q, value: \"1\"}]}\n"
                 "    - {path: {value: /pre}, queryParams: [{name: q, type: RegularExpression, "
                 "value: \"1\"}, {name: p, value: x}]}\n")
      YAML_ROUTE("name: a", "name: edge",
                 "  rules: [{matches: [{path: {value: /pre}}]}, {matches: [{path: {value: "
                 "/pre}}]}]\n"),
      "[*]\n"
      "  z/0/4 =/e : 500 no_backend\n"
      "  z/0/3 ~/r.* : 500 no_backend\n"
      "  z/0/2 ^/prefix/longer : 500 no_backend\n"
      "  z/0/5 ^/pre h::method=GET : 500 no_backend\n"
      "  z/0/6 ^/pre h:a=1 h:b=2 : 500 no_backend\n"
      "  z/0/7 ^/pre h:a=1 : 500 no_backend\n"
      "  z/0/9 ^/pre q:q~1 q:p=x : 500 no_backend\n"
      "  z/0/8 ^/pre q:q=1 : 500 no_backend\n"
      "  a/0/0 ^/pre : 500 no_backend\n"
      "  a/1/0 ^/pre : 500 no_backend\n"
      "  z/0/1 ^/pre : 500 no_backend\n"
      "  z/0/0 / : 500 no_backend\n" },

    { "an older route comes before a newer one with the same match",
      YAML_GATEWAY("edge", LISTENER("a", "")) AT("a", "2", "x.test", "/p")
      AT("b", "1", "x.test", "/p"),
      "[*]\n[x.test] -> *\n"
      "  b/r/0 ^/p : 500 no_backend\n"
      "  a/r/0 ^/p : 500 no_backend\n" },

    { "rule order: the first of equal rules wins even where its backend is missing",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge",
                           "  rules:\n"
                           "  - matches: [{headers: [{name: a, value: x}, {name: b, value: v}]}]\n"
                           "    backendRefs: [{name: gone, port: 80}]\n"
                           "  - matches: [{headers: [{name: b, value: v}, {name: a, value: x}]}]\n"
                           "    backendRefs: [{name: web, port: 80}]\n") YAML_WEB,
      "[*]\n"
      "  r/0/0 / h:a=x h:b=v : invalid/BackendNotFound*1\n"
      "  r/1/0 / h:b=v h:a=x : service/default/web/80*1\n" },

    { "weights, missing and forbidden backends, none at all",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge",
                           "  rules:\n"
                           "  - name: mixed\n"
                           "    backendRefs: [{name: web, port: 80, weight: 7}, {name: web, port: "
                           "81,"
                           " weight: 2}, {name: web, namespace: x, port: 80}, {name: web, port: "
                           "80, "
                           "weight: 0}]\n"
                           "  - name: zero\n"
                           "    matches: [{path: {value: /z}}]\n"
                           "    backendRefs: [{name: web, port: 80, weight: 0}]\n") YAML_WEB,
      "[*]\n"
      "  r/zero/0 ^/z : 500 no_backend\n"
      "  r/mixed/0 / : service/default/web/80*7, invalid/BackendNotFound*2, "
      "invalid/RefNotPermitted*1, service/default/web/80*0\n" },

    { "a route of two listeners of one gateway stands with both",
      YAML_GATEWAY("edge", LISTENER("a", HOST("a.test")) LISTENER("b", HOST("b.test")))
      YAML_ROUTE("name: r", "name: edge", "  rules: [{name: x}]\n"),
      "[a.test]\n  r/x/0 / : 500 no_backend\n"
      "[b.test]\n  r/x/0 / : 500 no_backend\n" },

    { "gateways and listener sets share a port",
      YAML_GATEWAY("edge", LISTENER("a", HOST("a.test")))
      YAML_GATEWAY("more", LISTENER("b", HOST("b.test")))
      YAML_SET("name: set", "name: "
                            "edge", LISTENER("c", HOST("c.test")) LISTENER("d", HOST("a.test")))
      YAML_ROUTE("name: ra", "name: edge", "  rules: [{name: x}]\n")
      YAML_ROUTE("name: rb", "name: more", "  rules: [{name: x}]\n")
      YAML_ROUTE("name: rc", "kind: ListenerSet, name: set", "  rules: [{name: x}]\n"),
      "[a.test]\n  ra/x/0 / : 500 no_backend\n"
      "[b.test]\n  rb/x/0 / : 500 no_backend\n"
      "[c.test]\n  rc/x/0 / : 500 no_backend\n" },

    { "what Weft cannot run is answered 500, never passed over",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge",
                           "  rules: [{filters: [{type: ExtensionRef, extensionRef: {group: a.b, "
                           "kind:"
                           " C, name: d}}], backendRefs: [{name: web, port: 80}]}]\n") YAML_WEB,
      "[*]\n  r/0/0 / : 500 filter_unsupported\n" },

    { "a prefix loses its trailing slash; a path by default is all",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge",
                           "  rules: [{matches: [{path: {value: /a/}}, {method: PUT}]}]\n"),
      "[*]\n  r/0/0 ^/a : 500 no_backend\n  r/0/1 / h::method=PUT : 500 no_backend\n" },

    { "listeners do not mix ports",
      YAML_GATEWAY("edge", LISTENER("a", "") "  - {name: b, port: 81, protocol: HTTP}\n")
      YAML_ROUTE("name: a", "name: edge, sectionName: a", "  rules: [{name: x}]\n")
      YAML_ROUTE("name: b", "name: edge, port: 81", "  rules: [{name: x}]\n"),
      "[*]\n  a/x/0 / : 500 no_backend\n" },
};

static void routes_stand_in_order_of_precedence(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        struct listening listening;
        world_init(&world);
        listening_init(&listening, NULL);
        world_put(&world, "f.yaml", cases[i].yaml);
        listening_run(&listening, &world);
        expect_routes(&listening, cases[i].name, "RouteConfiguration routes/127.0.0.1:80",
                      cases[i].routes);
        expect_routes(&listening, cases[i].name, "RouteConfiguration routes/[::1]:80",
                      cases[i].routes);
        listening_fini(&listening);
        world_fini(&world);
    }
}

/* The same input for Envoy: no inheritance, the wider hosts' routes are appended. */
static void envoy_gets_the_wider_routes_appended(void **state)
{
    struct translate_options options = translate_options_defaults();
    struct world world;
    struct listening listening;
    options.for_envoy = true;
    world_init(&world);
    listening_init(&listening, &options);
    world_put(&world, "f.yaml",
              YAML_GATEWAY("edge", LISTENER("a", "")) ROUTE("r1", "a.example.com", "/1")
              ROUTE("r2", "\"*.example.com\"", "/2")
              YAML_ROUTE("name: r3", "name: edge", "  rules: [{name: r}]\n"));
    listening_run(&listening, &world);
    expect_routes(&listening, __func__, "RouteConfiguration routes/127.0.0.1:80",
                  "[*]\n  r3/r/0 / : 500 no_backend\n"
                  "[*.example.com]\n  r2/r/0 ^/2 : 500 no_backend\n"
                  "  r3/r/0 / : 500 no_backend\n"
                  "[a.example.com]\n  r1/r/0 ^/1 : 500 no_backend\n"
                  "  r2/r/0 ^/2 : 500 no_backend\n"
                  "  r3/r/0 / : 500 no_backend\n");
    listening_fini(&listening);
    world_fini(&world);
}

static void a_policy_that_cannot_be_read_closes_its_target(void **state)
{
    struct world world;
    struct listening listening;
    world_init(&world);
    listening_init(&listening, NULL);
    store_put(world.store, 0,
              intake_read(TEXT("p.yaml"),
                          TEXT("apiVersion: weft.dev/v1alpha1\nkind: Authorization\n"
                               "metadata: {name: p}\n"
                               "spec: {targetRefs: [{group: gateway.networking.k8s.io, "
                               "kind: HTTPRoute, name: guarded}, "
                               "{group: \"\", kind: Service, name: web}], odd: 1}\n"),
                          FORMAT_YAML, NULL));
    store_put(world.store, 0,
              intake_read(TEXT("f.yaml"),
                          text_from_string(
                              YAML_EDGE YAML_WEB ROUTE("guarded", "g.test", "/")
                              YAML_ROUTE("name: free", "name: edge", YAML_BACKEND("80"))),
                          FORMAT_YAML, NULL));
    store_commit(world.store);
    world.graph = graph_build(world.store, &world.options, NULL, NULL);
    listening_run(&listening, &world);
    expect_routes(&listening, __func__, "RouteConfiguration routes/127.0.0.1:80",
                  "[*]\n  free/0/0 / : invalid/policy_invalid*1\n"
                  "[g.test] -> *\n  guarded/r/0 / : 500 policy_invalid\n");
    listening_fini(&listening);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_stand_in_order_of_precedence),
        cmocka_unit_test(envoy_gets_the_wider_routes_appended),
        cmocka_unit_test(a_policy_that_cannot_be_read_closes_its_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
