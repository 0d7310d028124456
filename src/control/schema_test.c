/* The decoder: findings of fields, names, types, headers of objects; what decoded structs hold;
 * what a file's intake makes of lists, unknown kinds and versions. */
#include "control/intake_testing.h"
#include "control/node.h"
#include "control/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUTE "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"

static const struct {
    const char *yaml;
    const char *findings;
} field_cases[] = {
    { ROUTE "metadata: {name: a}\nspec:\n  hostname: [a.b]\n  rulez: []\n  banana: 1\n",
      "f.yaml:5: HTTPRoute/default/a: spec.hostname: unknown field; did you mean "
      "\"hostnames\"?\n"
      "f.yaml:6: HTTPRoute/default/a: spec.rulez: unknown field; did you mean \"rules\"?\n"
      "f.yaml:7: HTTPRoute/default/a: spec.banana: unknown field; remove it (known here: "
      "parentRefs, hostnames, useDefaultGateways, rules)\n" },
    { ROUTE "metadata: {name: a, label: {}}\nspecs: {}\nrules: []\n",
      "f.yaml:1: HTTPRoute/default/a: spec: is missing; add it\n"
      "f.yaml:3: HTTPRoute/default/a: metadata.label: unknown field; did you mean \"labels\"?\n"
      "f.yaml:4: HTTPRoute/default/a: specs: unknown field; did you mean \"spec\"?\n"
      "f.yaml:5: HTTPRoute/default/a: rules: unknown field; does it belong into spec?\n" },
    { ROUTE "metadata: {name: a}\nspec: {hostnames: a.b, rules: {name: x}}\n",
      "f.yaml:4: HTTPRoute/default/a: spec.hostnames: is text, must be a list; put \"- \" "
      "before each item\n"
      "f.yaml:4: HTTPRoute/default/a: spec.rules: is a map, must be a list; put \"- \" before "
      "each item\n" },
    { ROUTE "metadata: {name: a}\nspec: {rules: [1, {matches: [x]}, {timeouts: []}]}\n",
      "f.yaml:4: HTTPRoute/default/a: spec.rules[0]: is a number, must be a map\n"
      "f.yaml:4: HTTPRoute/default/a: spec.rules[1].matches[0]: is text, must be a map\n"
      "f.yaml:4: HTTPRoute/default/a: spec.rules[2].timeouts: is a list, must be a map\n" },
    { ROUTE "metadata: {name: a}\nspec:\n  hostnames: [yes, 1.5, ~, {}, 0x10, 'on']\n",
      "f.yaml:5: HTTPRoute/default/a: spec.hostnames[0]: is a boolean to Kubernetes, must be "
      "text; quote it: \"yes\"\n"
      "f.yaml:5: HTTPRoute/default/a: spec.hostnames[1]: is a number to Kubernetes, must be "
      "text; quote it: \"1.5\"\n"
      "f.yaml:5: HTTPRoute/default/a: spec.hostnames[2]: is empty (null) to Kubernetes, must "
      "be text; quote it: \"~\"\n"
      "f.yaml:5: HTTPRoute/default/a: spec.hostnames[3]: is a map, must be text\n"
      "f.yaml:5: HTTPRoute/default/a: spec.hostnames[4]: is a number to Kubernetes, must be "
      "text; quote it: \"0x10\"\n" },
    { ROUTE "metadata: {name: a}\nspec:\n  rules:\n  - name:\n    matches:\n"
            "    filters: null\n",
      "f.yaml:6: HTTPRoute/default/a: spec.rules[0].name: is empty, must be text; give a value "
      "or remove the field\n" },
    { ROUTE "metadata: {name: a}\nspec: {parentRefs: [{name: g, port: '80'}, {name: h, port: "
            "080}, {name: i, port: 8e1}, {name: j, port: 0x50}, {name: k, port: 70000}, {name: l, "
            "port: http}]}\n",
      "f.yaml:4: HTTPRoute/default/a: spec.parentRefs[0].port: is text, must be a whole "
      "number; remove the quotes\n"
      "f.yaml:4: HTTPRoute/default/a: spec.parentRefs[1].port: is a number with a fraction or "
      "exponent, must be a whole number; write it without point and exponent\n"
      "f.yaml:4: HTTPRoute/default/a: spec.parentRefs[2].port: is a number with a fraction or "
      "exponent, must be a whole number; write it without point and exponent\n"
      "f.yaml:4: HTTPRoute/default/a: spec.parentRefs[3].port: 0x50 is not plain decimal; "
      "write digits without leading zero\n"
      "f.yaml:4: HTTPRoute/default/a: spec.parentRefs[4].port: is 70000, must be from 1 to "
      "65535\n"
      "f.yaml:4: HTTPRoute/default/a: spec.parentRefs[5].port: is text, must be a whole "
      "number; write digits\n" },
    { ROUTE "metadata: {name: a}\nspec: {rules: [{timeouts: {request: 10, backendRequest: "
            "1d}}]}\n",
      "f.yaml:4: HTTPRoute/default/a: spec.rules[0].timeouts.request: is a number to "
      "Kubernetes, must be text; quote it: \"10\"\n"
      "f.yaml:4: HTTPRoute/default/a: spec.rules[0].timeouts.backendRequest: \"1d\" is not a "
      "duration; write it like 10s, 500ms or 1h30m\n" },
    { ROUTE "metadata: {name: a}\nspec: {rules: [{filters: [{type: CORS, cors: "
            "{allowCredentials: 'true'}}, {type: CORS, cors: {allowCredentials: 1}}]}]}\n",
      "f.yaml:4: HTTPRoute/default/a: spec.rules[0].filters[0].cors.allowCredentials: is text, "
      "must be true or false; remove the quotes\n"
      "f.yaml:4: HTTPRoute/default/a: spec.rules[0].filters[1].cors.allowCredentials: is a "
      "number, must be true or false\n"
      "f.yaml:4: HTTPRoute/default/a: spec.rules[0].filters[1]: a second CORS filter (first in "
      "[0]); join them\n" },
    { ROUTE "metadata: {name: a}\nspec: {on: 1, 'name': 2}\n",
      "f.yaml:4: HTTPRoute/default/a: spec.on: unknown field; remove it (known here: "
      "parentRefs, hostnames, useDefaultGateways, rules)\n"
      "f.yaml:4: HTTPRoute/default/a: spec.name: unknown field; remove it (known here: "
      "parentRefs, hostnames, useDefaultGateways, rules)\n" },
    { ROUTE "metadata:\n  name: a\n  labels: {1: b, c: 2, 'd ': e}\n"
            "  creationTimestamp: never\n"
            "spec: {}\n",
      "f.yaml:5: HTTPRoute/default/a: metadata.labels.1: is a number to Kubernetes, must be "
      "text; quote it: \"1\"\n"
      "f.yaml:5: HTTPRoute/default/a: metadata.labels.c: is a number to Kubernetes, must be "
      "text; quote it: \"2\"\n"
      "f.yaml:5: HTTPRoute/default/a: metadata.labels[\"d \"]: the key is not valid; must be a "
      "name like \"app\" or \"example.com/app\", at most 63 behind the '/'\n"
      "f.yaml:6: HTTPRoute/default/a: metadata.creationTimestamp: is not a time; write it like "
      "2026-01-02T03:04:05Z\n" },
    { ROUTE "metadata: {name: A_b, creationTimestamp: null}\nspec: {}\n"
            "status: {anything: [1]}\n",
      "f.yaml:3: HTTPRoute/default/A_b: metadata.name: \"A_b\" is not valid; must be "
      "lower-case letters, digits, '-' and '.', like \"shop.v2\"\n" },
};

static void tells_what_is_wrong_with_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(field_cases) / sizeof(field_cases[0]); i++) {
        assert_string_equal(findings_of(field_cases[i].yaml), field_cases[i].findings);
    }
}

static void tells_what_documents_are(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *findings;
    } cases[] = {
        { "hello\n", "f.yaml:1: the document is text, must be a map with apiVersion, kind and "
                     "metadata\n" },
        { "kind: X\n",
          "f.yaml:1: apiVersion: is missing or no text; every object says its apiVersion and "
          "kind\n" },
        { "apiVersion: v1\nkind: 1\n",
          "f.yaml:1: kind: is missing or no text; every object says its apiVersion and kind\n" },
        { "apiVersion: v1\nkind: ConfigMap\nmetadata: {nam: x}\n",
          "f.yaml:3: ConfigMap/default/: metadata.name: is missing or no text; add it\n" },
        { "apiVersion: v1\nkind: ConfigMap\n",
          "f.yaml:1: ConfigMap/default/: metadata.name: is missing or no text; add it\n" },
        { "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: HTTPRoute\nmetadata: {name: a}\n",
          "f.yaml:1: HTTPRoute/default/a: apiVersion: HTTPRoute has no version \"v1alpha2\"; use "
          "gateway.networking.k8s.io/v1\n" },
        { "apiVersion: v1\nkind: HTTPRoute\nmetadata: {name: a}\n",
          "f.yaml:1: HTTPRoute/default/a: apiVersion: \"v1\" has no kind HTTPRoute; use "
          "gateway.networking.k8s.io/v1\n" },
        { "apiVersion: gateway.networking.k8s.oi/v1\nkind: HTTPRoute\nmetadata: {name: a}\n",
          "f.yaml:1: HTTPRoute/default/a: apiVersion: \"gateway.networking.k8s.oi/v1\" has no kind "
          "HTTPRoute; use gateway.networking.k8s.io/v1\n" },
        { "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n",
          "f.yaml:2: Gateway/default/a: kind: warning: Weft reads no kind Gateway of "
          "networking.istio.io/v1; those of this file are passed over\n" },
        { "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\n"
          "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n",
          "f.yaml:2: Deployment/default/a: kind: warning: Weft reads no kind Deployment of "
          "apps/v1; those of this file are passed over\n" },
        { "apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoutes\nmetadata: {name: a}\n",
          "f.yaml:2: HttpRoutes/default/a: kind: warning: Weft reads no such kind and passes over "
          "it; did you mean \"HTTPRoute\"?\n" },
        { "apiVersion: weft.dev/v1alpha1\nkind: Authentication\nmetadata: {name: a}\n",
          "f.yaml:1: Authentication/default/a: kind: this Weft reads no kind Authentication of "
          "weft.dev/v1alpha1; what it targets answers 500 until it is removed\n" },
        { "apiVersion: v1\nkind: List\nitems: {}\n", "f.yaml:3: items: is a map, must be a "
                                                     "list\n" },
        { "apiVersion: v1\nkind: List\nitems:\n- kind: X\n- apiVersion: v1\n  kind: ConfigMap\n"
          "  metadata: {name: a}\n  dat: {}\n",
          "f.yaml:4: apiVersion: is missing or no text; every object says its apiVersion and kind\n"
          "f.yaml:8: ConfigMap/default/a: dat: unknown field; did you mean \"data\"?\n" },
        { "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n",
          "f.yaml:3: Namespace//a: metadata.namespace: warning: a Namespace belongs to no "
          "namespace; remove it\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(findings_of(cases[i].yaml), cases[i].findings);
    }
}

static struct intake *read_good(const char *yaml, size_t count)
{
    struct intake *intake = intake_read(TEXT("f.yaml"), text_from_string(yaml), FORMAT_YAML, NULL);
    if (intake->findings.errors > 0) {
        fail_msg("%.*s", TEXT_ARG(intake->findings.array.items[0].text));
    }
    assert_int_equal(intake->entries.count, count);
    return intake;
}

static void assert_text(struct text t, const char *expected)
{
    if (!text_equal(t, text_from_string(expected))) {
        fail_msg("\"%.*s\" is not \"%s\"", TEXT_ARG(t), expected);
    }
}

static void fills_defaults(void **state)
{
    (void)state;
    struct intake *intake = read_good(ROUTE "metadata: {name: a}\nspec:\n"
                                            "  parentRefs: [{name: g}]\n", 1);
    const struct object *object = intake->entries.items[0].object;
    assert_text(object->name_space, "default");
    assert_text(object->key, "HTTPRoute/default/a");
    const struct parent_ref *parent = &object->route->parent_refs.items[0];
    assert_text(parent->group, GATEWAY_GROUP);
    assert_text(parent->kind, "Gateway");
    assert_null(parent->name_space.at);
    assert_false(parent->has_port);
    const struct http_route *route = object->http_route;
    assert_int_equal(route->rules.count, 1);
    assert_int_equal(route->rules.items[0].matches.count, 1);
    const struct http_match *match = &route->rules.items[0].matches.items[0];
    assert_int_equal(match->path->type, PATH_MATCH_PREFIX);
    assert_text(match->path->value, "/");
    assert_null(match->method.at);
    intake_free(intake);

    intake = read_good("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
                       "metadata: {name: g, "
                       "namespace: infra}\nspec:\n  gatewayClassName: weft\n  listeners:\n"
                       "  - {name: a, port: 80, protocol: HTTP}\n  allowedListeners: {}\n", 1);
    const struct gateway *gateway = intake->entries.items[0].object->gateway;
    assert_int_equal(gateway->listeners.items[0].allowed_routes->namespaces->from, FROM_SAME);
    assert_int_equal(gateway->allowed_listeners->namespaces->from, FROM_NONE);
    assert_int_equal(gateway->listeners.items[0].port, 80);
    assert_null(gateway->listeners.items[0].tls);
    intake_free(intake);

    intake = read_good("apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
                       "spec: {ports: [{port: 80, "
                       "name: a}, {port: 81, name: b, targetPort: http}]}\n", 1);
    const struct service *service = intake->entries.items[0].object->service;
    assert_int_equal(service->ports.items[0].target_port.number, 80);
    assert_true(service->ports.items[1].target_port.is_string);
    assert_text(service->ports.items[1].target_port.string, "http");
    assert_int_equal(service->ports.items[0].protocol, IP_PROTOCOL_TCP);
    intake_free(intake);
}

static const char full_route[] =
    ROUTE "metadata:\n  name: a\n  namespace: shop\n  labels: {app: x}\n"
    "  creationTimestamp: 2026-01-02T03:04:05Z\n"
    "spec:\n"
    "  hostnames: [a.example, \"*.b.example\"]\n"
    "  useDefaultGateways: All\n"
    "  rules:\n"
    "  - name: first\n"
    "    matches:\n"
    "    - path: {type: Exact, value: /a}\n"
    "      headers: [{name: X, value: v}, {name: Z, type: RegularExpression, value: '.*'}]\n"
    "      queryParams: [{name: q, value: w}]\n"
    "      method: POST\n"
    "    filters:\n"
    "    - type: RequestHeaderModifier\n"
    "      requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], "
    "remove: [e]}\n"
    "    - type: RequestMirror\n"
    "      requestMirror: {backendRef: {name: m, namespace: other, port: 90}, fraction: "
    "{numerator: 3}}\n"
    "    - type: CORS\n"
    "      cors: {allowOrigins: [\"*\"], allowCredentials: true, maxAge: 60}\n"
    "    backendRefs:\n"
    "    - {name: s, port: 80, weight: 0}\n"
    "    - name: t\n"
    "      port: 81\n"
    "      filters: [{type: URLRewrite, urlRewrite: {hostname: c.d, path: {type: "
    "ReplaceFullPath, replaceFullPath: \"\"}}}]\n"
    "    timeouts: {request: 1m, backendRequest: 500ms}\n"
    "    retry: {codes: [500, 503], attempts: 0, backoff: 25ms}\n"
    "    sessionPersistence: {type: Header, header: {name: s}, absoluteTimeout: 1h}\n"
    "  - filters:\n"
    "    - {type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, statusCode: "
    "308}}\n";

static void decodes_everything_of_http_routes(void **state)
{
    (void)state;
    struct intake *intake = read_good(full_route, 1);
    const struct object *object = intake->entries.items[0].object;
    const struct http_route *route = object->http_route;
    const struct http_rule *rule = &route->rules.items[0];
    assert_text(object->name_space, "shop");
    assert_text(key_value_find(&object->labels, TEXT("app")), "x");
    assert_true(object->creation_us == INT64_C(1767323045000000));
    assert_int_equal(route->common.use_default_gateways, DEFAULT_GATEWAYS_ALL);
    assert_text(route->common.hostnames.items[1], "*.b.example");
    assert_text(rule->name, "first");
    assert_int_equal(rule->matches.items[0].path->type, PATH_MATCH_EXACT);
    assert_int_equal(rule->matches.items[0].headers.items[1].type, MATCH_REGULAR_EXPRESSION);
    assert_text(rule->matches.items[0].query_params.items[0].value, "w");
    assert_text(rule->matches.items[0].method, "POST");
    assert_int_equal(rule->filters.count, 3);
    assert_text(rule->filters.items[0].request_header_modifier->remove.items[0], "e");
    assert_int_equal(rule->filters.items[1].type, FILTER_REQUEST_MIRROR);
    assert_text(rule->filters.items[1].request_mirror->backend_ref->name_space, "other");
    assert_int_equal(rule->filters.items[1].request_mirror->fraction->denominator, 100);
    assert_false(rule->filters.items[1].request_mirror->has_percent);
    assert_true(rule->filters.items[2].cors->allow_credentials);
    assert_int_equal(rule->filters.items[2].cors->max_age_s, 60);
    assert_int_equal(rule->backend_refs.items[0].weight, 0);
    assert_int_equal(rule->backend_refs.items[1].weight, 1);
    assert_text(rule->backend_refs.items[1].ref.kind, "Service");
    assert_int_equal(rule->backend_refs.items[1].ref.port, 81);
    const struct url_rewrite *rewrite = rule->backend_refs.items[1].filters.items[0].url_rewrite;
    assert_non_null(rewrite->path->replace_full_path.at);
    assert_int_equal(rewrite->path->replace_full_path.size, 0);
    assert_true(rule->timeouts->has_request && rule->timeouts->request_ms == 60000);
    assert_true(rule->timeouts->backend_request_ms == 500);
    assert_int_equal(rule->retry->codes.items[1], 503);
    assert_int_equal(rule->retry->attempts, 0);
    assert_true(rule->retry->has_backoff && rule->retry->backoff_ms == 25);
    assert_int_equal(rule->session_persistence->type, SESSION_HEADER);
    assert_true(rule->session_persistence->absolute_timeout_ms == 3600000);
    const struct request_redirect *redirect =
        route->rules.items[1].filters.items[0].request_redirect;
    assert_text(redirect->scheme, "https");
    assert_int_equal(redirect->port, 8443);
    assert_int_equal(redirect->status_code, 308);
    assert_int_equal(object_line(object, "spec.rules[1].filters[0].requestRedirect.port"), 34);
    intake_free(intake);
}

static void converts_old_session_persistence(void **state)
{
    (void)state;
    struct intake *intake = read_good(
        ROUTE "metadata: {name: a}\nspec: {rules: [{sessionPersistence: {sessionName: sid, "
              "absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}}]}\n", 1);
    const struct session_persistence *session =
        intake->entries.items[0].object->http_route->rules.items[0].session_persistence;
    assert_int_equal(session->type, SESSION_COOKIE);
    assert_text(session->cookie->name, "sid");
    assert_text(session->cookie->path, "/");
    assert_int_equal(session->cookie->lifetime_type, COOKIE_PERMANENT);
    assert_null(session->header);
    intake_free(intake);
}

static void decodes_secrets_and_config_maps(void **state)
{
    (void)state;
    struct intake *intake = read_good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {x: \"aGVs\\nbG8=\", k: \"\"}\n"
        "stringData: {k: plain}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n"
        "binaryData: {z: AAE=}\n",
        2);
    const struct data_object *secret = intake->entries.items[0].object->secret;
    assert_text(secret->type, "Opaque");
    assert_int_equal(secret->data.count, 2);
    assert_text(key_value_find(&secret->data, TEXT("x")), "hello");
    assert_text(key_value_find(&secret->data, TEXT("k")), "plain");
    const struct data_object *map = intake->entries.items[1].object->config_map;
    struct text z = key_value_find(&map->data, TEXT("z"));
    assert_int_equal(z.size, 2);
    assert_memory_equal(z.at, "\0\1", 2);
    assert_text(key_value_find(&map->data, TEXT("x")), "1");
    intake_free(intake);
}

static void expands_lists(void **state)
{
    (void)state;
    struct intake *intake = read_good(
        "apiVersion: v1\nkind: List\nitems:\n- " "apiVersion: v1\n  kind: Namespace\n"
        "  metadata: {name: a}\n"
        "- apiVersion: v1\n  kind: List\n  items: [{apiVersion: v1, kind: Namespace, metadata: "
        "{name: b}}]\n"
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRouteList\nmetadata: {}\nitems:\n"
        "- metadata: {name: c}\n  spec: {hostnames: [a.b]}\n---\n"
        "apiVersion: v1\nkind: ServiceList\nitems: null\n", 3);
    assert_text(intake->entries.items[0].key, "Namespace//a");
    assert_text(intake->entries.items[1].key, "Namespace//b");
    assert_text(intake->entries.items[2].key, "HTTPRoute/default/c");
    assert_text(intake->entries.items[2].object->api_version, GATEWAY_GROUP "/v1");
    assert_int_equal(object_line(intake->entries.items[2].object, "spec.hostnames[0]"), 16);
    intake_free(intake);
}

static void reads_json_with_places(void **state)
{
    (void)state;
    struct intake *intake = intake_read(
        TEXT("f.json"),
        TEXT("{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"HTTPRoute\",\n"
             "\"metadata\":{\"name\":\"a\"},\"spec\":{\n\"hostnames\":[1],\n\"rules\":null}}"),
        FORMAT_JSON, NULL);
    struct buffer out;
    buffer_init(&out);
    finding_list_format(&intake->findings, &out);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, "f.json:3: HTTPRoute/default/a: spec.hostnames[0]: is a number, "
                                   "must be text; put it in quotes\n");
    buffer_fini(&out);
    intake_free(intake);
}

static void remembers_what_unread_policies_guard(void **state)
{
    (void)state;
    struct intake *intake = intake_read(
        TEXT("f.yaml"),
        TEXT("apiVersion: weft.dev/v1alpha1\nkind: Authentication\nmetadata: {name: a, namespace: "
             "shop}\n"
             "spec:\n  targetRefs:\n  - {group: gateway.networking.k8s.io, kind: HTTPRoute, name: "
             "r, "
             "sectionName: x}\n  - {name: broken}\n  - 7\n  targetRef: {kind: Gateway, name: g}\n"),
        FORMAT_YAML, NULL);
    assert_int_equal(intake->invalid_policies.count, 1);
    const struct invalid_policy *policy = &intake->invalid_policies.items[0];
    assert_text(policy->key, "Authentication/shop/a");
    assert_text(policy->name_space, "shop");
    assert_int_equal(policy->target_count, 2);
    assert_text(policy->targets[0].section_name, "x");
    assert_text(policy->targets[1].name, "g");
    intake_free(intake);
}

static void selects_by_labels(void **state)
{
    (void)state;
    struct key_value pairs[] = { { TEXT("app"), TEXT("x") }, { TEXT("empty"), TEXT("") } };
    struct key_value_list labels = { pairs, 2 };
    struct text values[] = { TEXT("x"), TEXT("z") };
    struct label_requirement requirement = { .key = TEXT("app"), .values = { values, 2 } };
    struct label_selector selector = { .match_expressions = { &requirement, 1 } };
    assert_false(label_selector_matches(NULL, &labels));
    assert_true(label_selector_matches(&(struct label_selector){ 0 }, &labels));
    requirement.operator_ = LABEL_IN;
    assert_true(label_selector_matches(&selector, &labels));
    requirement.operator_ = LABEL_NOT_IN;
    assert_false(label_selector_matches(&selector, &labels));
    requirement.key = TEXT("none");
    assert_true(label_selector_matches(&selector, &labels));
    requirement.operator_ = LABEL_EXISTS;
    assert_false(label_selector_matches(&selector, &labels));
    requirement.key = TEXT("empty");
    assert_true(label_selector_matches(&selector, &labels));
    requirement.operator_ = LABEL_DOES_NOT_EXIST;
    assert_false(label_selector_matches(&selector, &labels));
    struct key_value wanted = { TEXT("app"), TEXT("y") };
    selector = (struct label_selector){ .match_labels = { &wanted, 1 } };
    assert_false(label_selector_matches(&selector, &labels));
}

static void knows_kinds(void **state)
{
    (void)state;
    enum object_kind kind;
    for (int i = 0; i < KIND_COUNT; i++) {
        struct text name = object_kind_name((enum object_kind)i);
        struct text group = object_kind_group((enum object_kind)i);
        assert_int_equal(strlen(name.at), name.size);
        assert_int_equal(strlen(group.at), group.size);
        assert_true(object_kind_find(group, name, &kind));
        assert_int_equal(kind, i);
        assert_non_null(kind_schema(kind)->versions[0]);
        assert_true(kind_schema(kind)->shape->count <= 64);
    }
    assert_false(object_kind_find(TEXT("apps"), TEXT("Service"), &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_is_wrong_with_fields),
        cmocka_unit_test(tells_what_documents_are),
        cmocka_unit_test(fills_defaults),
        cmocka_unit_test(decodes_everything_of_http_routes),
        cmocka_unit_test(converts_old_session_persistence),
        cmocka_unit_test(decodes_secrets_and_config_maps),
        cmocka_unit_test(expands_lists),
        cmocka_unit_test(reads_json_with_places),
        cmocka_unit_test(remembers_what_unread_policies_guard),
        cmocka_unit_test(selects_by_labels),
        cmocka_unit_test(knows_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
