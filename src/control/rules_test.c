/* Every rule of the CRDs that Weft enforces, with the exact words of its finding. Each case is the
 * spec of a kind; what is not under test is valid. */
#include "control/intake_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct rule_case {
    const char *spec;     /* lines below "spec:", from line 5 on */
    const char *findings; /* without "f.yaml:" and the object; "" where it is accepted */
};

/* Reads a case; gives its findings with file and object cut off. */
static void check(const char *api_version, const char *kind, const char *object,
                  const struct rule_case *one)
{
    char yaml[8192];
    char expected[8192];
    size_t used = 0;
    snprintf(yaml, sizeof(yaml), "apiVersion: %s\nkind: %s\nmetadata: {name: x}\nspec:\n%s",
             api_version, kind, one->spec);
    expected[0] = '\0';
    struct text rest = text_from_string(one->findings);
    struct text line;
    while (rest.size > 0 && text_split(&rest, '\n', &line)) {
        struct text number = text_first(line, text_find_byte(line, ' '));
        used += (size_t)snprintf(expected + used, sizeof(expected) - used, "f.yaml:%.*s: %s: "
                                                                           "%.*s\n",
                                 TEXT_ARG(number), object,
                                 TEXT_ARG(text_from(line, number.size + 1)));
    }
    assert_string_equal(findings_of(yaml), expected);
}

#define CHECK_ALL(version, kind, object, cases)                                                    \
    for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++) {                              \
        check(version, kind, object, &(cases)[i]);                                                 \
    }

#define BACKEND "    backendRefs: [{name: s, port: 80}]\n"

static void judges_http_routes(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        { "  {}\n", "" },
        { "  rules: []\n", "5 spec.rules: has 0 items; at least 1 is needed" },
        { "  rules:\n  - matches: []\n", "" },
        { "  parentRefs: [{name: g}, {name: g}]\n",
          "5 spec.parentRefs[1]: the same parent as [0]; give each its own sectionName, or each "
          "its own port, or keep one" },
        { "  parentRefs: [{name: g, sectionName: a}, {name: g}]\n",
          "5 spec.parentRefs[1]: the same parent as [0]; give each its own sectionName, or each "
          "its own port, or keep one" },
        { "  parentRefs: [{name: g, sectionName: a}, {name: g, port: 80}]\n",
          "5 spec.parentRefs[1]: the same parent as [0]; give each its own sectionName, or each "
          "its own port, or keep one" },
        { "  parentRefs: [{name: g, port: 80}, {name: g, port: 81}]\n", "" },
        { "  parentRefs: [{name: g, sectionName: a}, {name: g, sectionName: b}]\n", "" },
        { "  parentRefs: [{name: g}, {name: g, namespace: m}, {name: g, kind: Service, group: "
          "\"\"}]\n",
          "" },
        { "  rules:\n  - name: a\n  - name: b\n  - name: a\n",
          "8 spec.rules[2].name: \"a\" is here twice (first in [0]); keep one" },
        { "  rules:\n  - backendRefs: [{name: s}]\n",
          "6 spec.rules[0].backendRefs[0].port: is missing; a reference to a Service needs its "
          "port" },
        { "  rules:\n  - backendRefs: [{name: s, kind: XBackend, group: "
          "gateway.networking.x-k8s.io, "
          "port: 1}]\n",
          "6 spec.rules[0].backendRefs[0].port: does not belong here; an XBackend has its own "
          "port" },
        { "  rules:\n  - backendRefs: [{name: s, kind: Other, group: example.com}]\n", "" },
        { "  rules:\n  -\n" BACKEND "    filters:\n    - type: RequestRedirect\n"
          "      requestRedirect: {scheme: https}\n",
          "7 spec.rules[0].backendRefs: does not go with a RequestRedirect filter; remove one of "
          "them" },
        { "  rules:\n  - timeouts: {request: 1s, backendRequest: 2s}\n",
          "6 spec.rules[0].timeouts.backendRequest: is longer than request (2000 ms > 1000 ms); "
          "shorten it or lengthen request" },
        { "  rules:\n  - timeouts: {request: 0s, backendRequest: 2s}\n", "" },
        { "  rules:\n  - retry: {codes: [500, 399], attempts: -1, backoff: 1}\n",
          "6 spec.rules[0].retry.codes[1]: is 399, must be from 400 to 599\n"
          "6 spec.rules[0].retry.attempts: is -1, must be from 0 to 2147483647\n"
          "6 spec.rules[0].retry.backoff: is a number to Kubernetes, must be text; quote it: "
          "\"1\"" },
        { "  rules:\n  - retry: {codes: [500, 500]}\n",
          "6 spec.rules[0].retry.codes[1]: \"500\" is here twice (first in [0]); keep one" },
        { "  rules:\n  - retry: {}\n", "" },
    };
    CHECK_ALL("gateway.networking.k8s.io/v1", "HTTPRoute", "HTTPRoute/default/x", cases);
}

static void judges_matches(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        { "  rules: [{matches: [{path: {value: a}}]}]\n",
          "5 spec.rules[0].matches[0].path.value: \"a\" must begin with \"/\"" },
        { "  rules: [{matches: [{path: {value: a.*, type: RegularExpression}}]}]\n", "" },
        { "  rules: [{matches: [{path: {value: /a//b}}]}]\n",
          "5 spec.rules[0].matches[0].path.value: must not contain \"//\"; write the path as it "
          "arrives, normalized" },
        { "  rules: [{matches: [{path: {value: /a/../b}}]}]\n",
          "5 spec.rules[0].matches[0].path.value: must not contain \"/../\"; write the path as it "
          "arrives, normalized" },
        { "  rules: [{matches: [{path: {value: /a%2Fb, type: Exact}}]}]\n",
          "5 spec.rules[0].matches[0].path.value: must not contain \"%2F\"; write the path as it "
          "arrives, normalized" },
        { "  rules: [{matches: [{path: {value: /a/.}}]}]\n",
          "5 spec.rules[0].matches[0].path.value: must not end with \"/.\"; write the path as it "
          "arrives, normalized" },
        { "  rules: [{matches: [{path: {value: \"/a b\"}}]}]\n",
          "5 spec.rules[0].matches[0].path.value: \"/a b\" is not valid; must be characters a URI "
          "path may have; percent-encode others" },
        { "  rules: [{matches: [{path: {value: /a, type: prefix}}]}]\n",
          "5 spec.rules[0].matches[0].path.type: \"prefix\" is not one of Exact, PathPrefix, "
          "RegularExpression; choose one" },
        { "  rules: [{matches: [{path: {value: /a, type: Pathprefix}}]}]\n",
          "5 spec.rules[0].matches[0].path.type: \"Pathprefix\" is not one of Exact, PathPrefix, "
          "RegularExpression; did you mean \"PathPrefix\"?" },
        { "  rules: [{matches: [{method: get}]}]\n",
          "5 spec.rules[0].matches[0].method: \"get\" is not one of GET, HEAD, POST, PUT, DELETE, "
          "CONNECT, OPTIONS, TRACE, PATCH; did you mean \"GET\"?" },
        { "  rules: [{matches: [{headers: [{name: A, value: x}, {name: a, value: z}]}]}]\n",
          "5 spec.rules[0].matches[0].headers[1].name: \"a\" is here twice (first in [0]), letter "
          "case does not count; keep one" },
        { "  rules: [{matches: [{queryParams: [{name: A, value: x}, {name: a, value: "
          "z}]}]}]\n", "" },
        { "  rules: [{matches: [{headers: [{name: a b, value: x}]}]}]\n",
          "5 spec.rules[0].matches[0].headers[0].name: \"a b\" is not valid; must be a name of "
          "letters, digits and !#$%&'*+-.^_`|~" },
        { "  hostnames: [\"*\", 'a.*.b', A.b, 1.2.3.4, a.b]\n",
          "5 spec.hostnames[0]: \"*\" is not valid; must be a lower-case host name like "
          "\"shop.example\" or \"*.shop.example\"; no port, no IP address\n"
          "5 spec.hostnames[1]: \"a.*.b\" is not valid; must be a lower-case host name like "
          "\"shop.example\" or \"*.shop.example\"; no port, no IP address\n"
          "5 spec.hostnames[2]: \"A.b\" is not valid; must be a lower-case host name like "
          "\"shop.example\" or \"*.shop.example\"; no port, no IP address\n"
          "5 spec.hostnames[3]: \"1.2.3.4\" is not valid; must be a lower-case host name like "
          "\"shop.example\" or \"*.shop.example\"; no port, no IP address" },
    };
    CHECK_ALL("gateway.networking.k8s.io/v1", "HTTPRoute", "HTTPRoute/default/x", cases);
}

#define FILTER(text) "  rules:\n  - filters:\n    - " text

static const struct rule_case filter_cases[] = {
    { FILTER("type: URLRewrite\n"),
      "7 spec.rules[0].filters[0].urlRewrite: is missing; a filter of type URLRewrite needs "
      "it" },
    { FILTER("{type: CORS, cors: {}, urlRewrite: {}}\n"),
      "7 spec.rules[0].filters[0].urlRewrite: does not go with type CORS; remove it or set "
      "type to URLRewrite" },
    { FILTER("{type: CORS, cors: {}}\n    - {type: CORS, cors: {}}\n"),
      "8 spec.rules[0].filters[1]: a second CORS filter (first in [0]); join them" },
    { FILTER("{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}}}\n"
             "    - {type: RequestMirror, requestMirror: {backendRef: {name: b, port: "
             "1}}}\n"), "" },
    { FILTER("{type: RequestRedirect, requestRedirect: {}}\n"
             "    - {type: URLRewrite, urlRewrite: {}}\n"),
      "8 spec.rules[0].filters[1]: RequestRedirect and URLRewrite exclude each other (see "
      "[0]); keep one" },
    { FILTER("{type: RequestRedirect, requestRedirect: {statusCode: 304, scheme: ftp}}\n"),
      "7 spec.rules[0].filters[0].requestRedirect.scheme: \"ftp\" is not one of http, https; "
      "choose one" },
    { FILTER("{type: RequestRedirect, requestRedirect: {statusCode: 304}}\n"),
      "7 spec.rules[0].filters[0].requestRedirect.statusCode: 304 is not one of 301, 302, 303, "
      "307, 308; choose one" },
    { FILTER("{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}}\n"),
      "7 spec.rules[0].filters[0].urlRewrite.path.replaceFullPath: is missing; type "
      "ReplaceFullPath needs it" },
    { FILTER("{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: "
             "\"\", replacePrefixMatch: /}}}\n"),
      "7 spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch: does not go with type "
      "ReplaceFullPath; remove it" },
    { FILTER("{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, "
             "replacePrefixMatch: /}}}\n"), "" },
    { FILTER("{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, "
             "replacePrefixMatch: /}}}\n    matches: [{path: {type: Exact, value: /}}]\n"),
      "7 spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch: needs exactly one match "
      "in this rule, of type PathPrefix; split the rule or use replaceFullPath" },
    { "  rules:\n  - matches: [{}, {method: GET}]\n    backendRefs:\n"
      "    - {name: s, port: 1, filters: "
      "[{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: "
      "/}}}]}\n",
      "8 spec.rules[0].backendRefs[0].filters[0].urlRewrite.path.replacePrefixMatch: needs "
      "exactly one match in this rule, of type PathPrefix; split the rule or use replaceFullPath" },
    { FILTER("{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, percent: "
             "5, fraction: {numerator: 5}}}\n"),
      "7 spec.rules[0].filters[0].requestMirror.fraction: does not go with percent; keep one "
      "of them" },
    { FILTER("{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, fraction: "
             "{numerator: 101}}}\n"),
      "7 spec.rules[0].filters[0].requestMirror.fraction.numerator: 101 is more than the "
      "denominator 100; at most all requests can be meant" },
    { FILTER("{type: RequestMirror, requestMirror: {backendRef: {name: a}, percent: 101}}\n"),
      "7 spec.rules[0].filters[0].requestMirror.backendRef.port: is missing; a reference to a "
      "Service needs its port\n"
      "7 spec.rules[0].filters[0].requestMirror.percent: is 101, must be from 0 to 100" },
    { FILTER("type: RequestHeaderModifier\n      requestHeaderModifier:\n"
             "        set: [{name: A, "
             "value: 1}]\n        add: [{name: b, value: ' x'}, {name: B, value: z}]\n        "
             "remove: ['a b', C]\n"),
      "9 spec.rules[0].filters[0].requestHeaderModifier.set[0].value: is a number to "
      "Kubernetes, must be text; quote it: \"1\"\n"
      "10 spec.rules[0].filters[0].requestHeaderModifier.add[0].value: \" x\" is not valid; "
      "must be printable ASCII with no blank at either end\n"
      "10 spec.rules[0].filters[0].requestHeaderModifier.add[1].name: \"B\" is here twice "
      "(first in [0]), letter case does not count; keep one\n"
      "11 spec.rules[0].filters[0].requestHeaderModifier.remove[0]: warning: no header can "
      "have this name; must be a name of letters, digits and !#$%&'*+-.^_`|~" },
    { FILTER("{type: CORS, cors: {allowOrigins: ['*', 'http://a.b'], maxAge: 0}}\n"),
      "7 spec.rules[0].filters[0].cors.allowOrigins[0]: \"*\" means all; remove it or the "
      "other items\n"
      "7 spec.rules[0].filters[0].cors.maxAge: is 0, must be from 1 to 2147483647" },
    { FILTER("{type: CORS, cors: {allowMethods: [GET, GET, FETCH]}}\n"),
      "7 spec.rules[0].filters[0].cors.allowMethods[2]: \"FETCH\" is not one of GET, HEAD, "
      "POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH, *; did you mean \"PATCH\"?\n"
      "7 spec.rules[0].filters[0].cors.allowMethods[1]: \"GET\" is here twice (first in [0]); "
      "keep one" },
    { FILTER("{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: a, port: "
             "1}, grpc: {}}}\n"),
      "7 spec.rules[0].filters[0].externalAuth.http: is missing; protocol HTTP needs it\n"
      "7 spec.rules[0].filters[0].externalAuth.grpc: does not go with protocol HTTP; remove "
      "it" },
    { FILTER("{type: Redirect}\n"),
      "7 spec.rules[0].filters[0].type: \"Redirect\" is not one of RequestHeaderModifier, "
      "ResponseHeaderModifier, RequestMirror, RequestRedirect, URLRewrite, ExtensionRef, CORS, "
      "ExternalAuth; choose one" },
};

static void judges_filters(void **state)
{
    (void)state;
    CHECK_ALL("gateway.networking.k8s.io/v1", "HTTPRoute", "HTTPRoute/default/x", filter_cases);
}

static void judges_session_persistence(void **state)
{
    (void)state;
#define SESSION(text) "  rules: [{sessionPersistence: " text "}]\n"
    static const struct rule_case cases[] = {
        { SESSION("{cookie: {name: a}}"), "" },
        { SESSION("{}"),
          "5 spec.rules[0].sessionPersistence.cookie: is missing; type Cookie needs it" },
        { SESSION("{type: Header}"),
          "5 spec.rules[0].sessionPersistence.header: is missing; type Header needs it" },
        { SESSION("{cookie: {}, header: {name: a}}"),
          "5 spec.rules[0].sessionPersistence.header: does not go with type Cookie; remove it" },
        { SESSION("{type: Header, cookie: {}, header: {name: a}}"),
          "5 spec.rules[0].sessionPersistence.cookie: does not go with type Header; remove it" },
        { SESSION("{cookie: {lifetimeType: Permanent}}"),
          "5 spec.rules[0].sessionPersistence.absoluteTimeout: is missing; a Permanent cookie "
          "needs it" },
        { SESSION("{sessionName: a, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}"),
          "5 spec.rules[0].sessionPersistence.sessionName: warning: is the form before v1.7; write "
          "cookie.name and cookie.lifetimeType instead" },
        { SESSION("{sessionName: a, type: Header}"),
          "5 spec.rules[0].sessionPersistence.sessionName: warning: is the form before v1.7; write "
          "header.name instead" },
        { SESSION("{sessionName: a, cookie: {}}"),
          "5 spec.rules[0].sessionPersistence.sessionName: is the form before v1.7 and does not go "
          "with cookie or header; remove it" },
    };
    CHECK_ALL("gateway.networking.k8s.io/v1", "HTTPRoute", "HTTPRoute/default/x", cases);
}

static void judges_other_routes(void **state)
{
    (void)state;
    static const struct rule_case grpc[] = {
        { "  rules: [{matches: [{method: {}}]}]\n",
          "5 spec.rules[0].matches[0].method: names neither service nor method; give one or both" },
        { "  rules: [{matches: [{method: {service: a.b, method: C}}]}]\n", "" },
        { "  rules: [{matches: [{method: {service: a/b, method: 1C}}]}]\n",
          "5 spec.rules[0].matches[0].method.service: \"a/b\" is not valid; must be like "
          "\"shop.v1.Cart\"\n"
          "5 spec.rules[0].matches[0].method.method: \"1C\" is not valid; must be like "
          "\"AddItem\"" },
        { "  rules: [{matches: [{method: {service: '.*', type: RegularExpression}}]}]\n", "" },
        { "  rules: [{filters: [{type: CORS}]}]\n",
          "5 spec.rules[0].filters[0].type: \"CORS\" is not one of RequestHeaderModifier, "
          "ResponseHeaderModifier, RequestMirror, ExtensionRef; choose one" },
        { "  rules: [{name: a}, {name: a}]\n",
          "5 spec.rules[1].name: \"a\" is here twice (first in [0]); keep one" },
    };
    static const struct rule_case tls[] = {
        { "  rules: [{backendRefs: [{name: a, port: 1}]}]\n",
          "5 spec.hostnames: is missing; add it" },
        { "  hostnames: [a.b]\n  rules: []\n", "6 spec.rules: has 0 items; at least 1 is needed" },
        { "  hostnames: [a.b]\n  rules: [{backendRefs: []}]\n",
          "6 spec.rules[0].backendRefs: has 0 items; at least 1 is needed" },
        { "  hostnames: [a.b]\n  rules: [{backendRefs: [{name: a, port: 1, weight: 1000001}]}]\n",
          "6 spec.rules[0].backendRefs[0].weight: is 1000001, must be from 0 to 1000000" },
    };
    static const struct rule_case tcp[] = {
        { "  rules: [{backendRefs: [{name: a, port: 1}]}]\n", "" },
        { "  hostnames: [a.b]\n  rules: [{backendRefs: [{name: a, port: 1}]}]\n",
          "5 spec.hostnames: unknown field; remove it (known here: parentRefs, useDefaultGateways, "
          "rules)" },
        { "  rules: [{backendRefs: [{name: a, port: 1}]}, {backendRefs: [{name: a, port: 1}]}]\n",
          "5 spec.rules: has 2 items; at most 1 are allowed" },
    };
    static const struct rule_case alpha[] = {
        { "  rules: [{backendRefs: [{name: a, port: 1}]}, {backendRefs: [{name: a, port: "
          "1}]}]\n", "" },
    };
    CHECK_ALL("gateway.networking.k8s.io/v1", "GRPCRoute", "GRPCRoute/default/x", grpc);
    CHECK_ALL("gateway.networking.k8s.io/v1", "TLSRoute", "TLSRoute/default/x", tls);
    CHECK_ALL("gateway.networking.k8s.io/v1alpha2", "TLSRoute", "TLSRoute/default/x", alpha);
    CHECK_ALL("gateway.networking.k8s.io/v1", "TCPRoute", "TCPRoute/default/x", tcp);
    CHECK_ALL("gateway.networking.k8s.io/v1alpha2", "UDPRoute", "UDPRoute/default/x", alpha);
}

#define LISTENER(text) "  gatewayClassName: weft\n  listeners:\n  - {name: a, " text "}\n"

static const struct rule_case gateway_cases[] = {
    { LISTENER("port: 80, protocol: HTTP"), "" },
    { LISTENER("port: 80, protocol: HTTP, tls: {certificateRefs: [{name: c}]}"),
      "7 spec.listeners[0].tls: does not go with protocol HTTP; remove it or use HTTPS" },
    { LISTENER("port: 80, protocol: HTTPS, tls: {mode: Passthrough}"),
      "7 spec.listeners[0].tls.mode: must be Terminate for protocol HTTPS; to pass TLS through "
      "use protocol TLS" },
    { LISTENER("port: 80, protocol: HTTPS, tls: {}"),
      "7 spec.listeners[0].tls.certificateRefs: is missing; to terminate TLS name a Secret "
      "with the certificate" },
    { LISTENER("port: 80, protocol: HTTPS, tls: {options: {a.b/c: d}}"), "" },
    { LISTENER("port: 80, protocol: TLS"),
      "7 spec.listeners[0].tls: is missing; protocol TLS needs it with a mode" },
    { LISTENER("port: 80, protocol: TCP, hostname: a.b"),
      "7 spec.listeners[0].hostname: does not go with protocol TCP; remove it" },
    { LISTENER("port: 80, protocol: TCP, filters: {requests: []}"),
      "7 spec.listeners[0].filters: go with protocol HTTP and HTTPS only; remove them" },
    { LISTENER("port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: None}}"),
      "7 spec.listeners[0].allowedRoutes.namespaces.from: \"None\" is not one of All, "
      "Selector, Same; choose one" },
    { LISTENER("port: 80, protocol: HTTP}\n  - {name: a, port: 80, protocol: HTTP"),
      "8 spec.listeners[1].name: \"a\" is here twice (first in [0]); keep one\n"
      "8 spec.listeners[1]: has the port, protocol and hostname of [0]; change one of them" },
    { LISTENER("port: 80, protocol: HTTP}\n  - {name: b, port: 80, protocol: HTTP, hostname: "
               "a.b"),
      "" },
    { LISTENER("port: 0, protocol: HT TP"),
      "7 spec.listeners[0].port: is 0, must be from 1 to 65535\n"
      "7 spec.listeners[0].protocol: \"HT TP\" is not valid; must be HTTP, HTTPS, TLS, TCP, "
      "UDP or one like \"example.com/quic\"" },
    { LISTENER("port: 80, protocol: HTTP")
      "  addresses: [{value: 1.2.3}, {type: Hostname, value: A}, {value: 127.0.0.2}, {value: "
      "127.0.0.2}, {type: a.b/c, value: x, routability: Public}, {}]\n",
      "8 spec.addresses[0].value: \"1.2.3\" is not valid; must be an IP address like "
      "\"127.0.0.2\" or \"fd00::2\"\n"
      "8 spec.addresses[1].value: \"A\" is not valid; must be a lower-case host name like "
      "\"shop.example\" or \"*.shop.example\"; no port, no IP address\n"
      "8 spec.addresses[4].routability: \"Public\" is not valid; must be \"\", \"Cluster\" or "
      "a name like \"example.com/public\"\n"
      "8 spec.addresses[3].value: \"127.0.0.2\" is here twice (first in [2]); keep one" },
    { LISTENER("port: 80, protocol: HTTP")
      "  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "
      "certificates.k8s.io, "
      "kind: ClusterTrustBundle, name: a, namespace: b}]}}, perPort: [{port: 1, tls: {}}, "
      "{port: 1, tls: {}}]}}\n",
      "8 spec.tls.frontend.default.validation.caCertificateRefs[0].namespace: a "
      "ClusterTrustBundle belongs to no namespace; remove it\n"
      "8 spec.tls.frontend.perPort[1].port: \"1\" is here twice (first in [0]); keep one" },
    { LISTENER("port: 80, protocol: HTTP")
      "  infrastructure: {labels: {a b: c}, annotations: {c: ' d '}}\n",
      "8 spec.infrastructure.labels[\"a b\"]: the key is not valid; must be a name like "
      "\"app\" or \"example.com/app\", at most 63 behind the '/'" },
    { LISTENER("port: 80, protocol: HTTP")
      "  allowedListeners: {namespaces: {from: Selector, selector: {matchExpressions: [{key: "
      "a, operator: In}, {key: b, operator: Exists, values: [c]}]}}}\n",
      "8 spec.allowedListeners.namespaces.selector.matchExpressions[0].values: is missing; "
      "operator In and NotIn need it\n"
      "8 spec.allowedListeners.namespaces.selector.matchExpressions[1].values: does not go "
      "with operator Exists and DoesNotExist; remove it" },
};

static void judges_gateways(void **state)
{
    (void)state;
    CHECK_ALL("gateway.networking.k8s.io/v1", "Gateway", "Gateway/default/x", gateway_cases);
}

static void judges_policies(void **state)
{
    (void)state;
#define TARGET "  targetRefs: [{group: \"\", kind: Service, name: a}]\n"
    static const struct rule_case policies[] = {
        { TARGET "  validation: {hostname: a.b, wellKnownCACertificates: System}\n", "" },
        { TARGET "  validation: {hostname: a.b}\n",
          "6 spec.validation.caCertificateRefs: is missing; name the CA certificates, or set "
          "wellKnownCACertificates to System" },
        { TARGET "  validation: {hostname: a.b, wellKnownCACertificates: System, "
          "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: a}]}\n",
          "6 spec.validation.wellKnownCACertificates: does not go with caCertificateRefs; keep one "
          "of them" },
        { TARGET "  validation: {hostname: a.b, wellKnownCACertificates: System, subjectAltNames: "
          "[{type: URI, hostname: a.b}, {type: Hostname, hostname: a.b}]}\n",
          "6 spec.validation.subjectAltNames[0].uri: is missing; type URI needs it\n"
          "6 spec.validation.subjectAltNames[0].hostname: does not go with type URI; remove it" },
        { "  targetRefs: [{group: \"\", kind: Service, name: a}, {group: \"\", kind: Service, "
          "name: a, "
          "sectionName: b}]\n  validation: {hostname: a.b, wellKnownCACertificates: System}\n",
          "5 spec.targetRefs[1]: the same target as [0]; give each its own sectionName or keep "
          "one" },
    };
    static const struct rule_case backends[] = {
        { "  {type: ExternalHostname, externalHostname: {hostname: a.b}, port: {number: "
          "1}}\n", "" },
        { "  {type: ExternalHostname, port: {}, endpointSelector: {matchLabels: {}}}\n",
          "5 spec.port.number: is missing; add it\n"
          "5 spec.endpointSelector.matchLabels: has 0 items; at least 1 is needed" },
        { "  {type: ExternalHostname, port: {number: 1}, endpointSelector: {matchLabels: {a: b}}, "
          "sessionPersistence: {cookie: {}}}\n",
          "5 spec.externalHostname: is missing; type ExternalHostname needs it\n"
          "5 spec.endpointSelector: does not go with type ExternalHostname; remove it\n"
          "5 spec.sessionPersistence: goes with type EndpointSelector only; remove it" },
        { "  {type: ExternalHostname, externalHostname: {hostname: a.cluster.local}, port: "
          "{number: 1}, protocol: HTTP2}\n",
          "5 spec.protocol: HTTP2 needs TLS; use H2C for HTTP/2 without TLS\n"
          "5 spec.externalHostname.hostname: must not be a name of the cluster; refer to the "
          "Service instead" },
        { "  {type: EndpointSelector, endpointSelector: {matchLabels: {a: b}}, port: {number: 1}, "
          "protocol: H2C, tls: {mode: ServerOnly}}\n",
          "5 spec.tls.validation: is missing; mode ServerOnly needs it\n"
          "5 spec.protocol: H2C has no TLS; use HTTP2 for HTTP/2 with TLS" },
        { "  {type: EndpointSelector, endpointSelector: {matchLabels: {a: b}}, port: {number: 1}, "
          "tls: {mode: ClientAndServer, validation: {hostname: a.b, wellKnownCACertificates: "
          "System}}}\n",
          "5 spec.tls.clientCertificateRef: is missing; mode ClientAndServer needs it" },
    };
    CHECK_ALL("gateway.networking.k8s.io/v1", "BackendTLSPolicy", "BackendTLSPolicy/default/x",
              policies);
    CHECK_ALL("gateway.networking.x-k8s.io/v1alpha1", "XBackend", "XBackend/default/x", backends);
}

static void judges_services(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        { "  ports: [{port: 80}]\n", "" },
        { "  {}\n", "5 spec.ports: is missing; give at least one port" },
        { "  clusterIP: None\n", "" },
        { "  type: ExternalName\n",
          "5 spec.externalName: is missing; type ExternalName needs it" },
        { "  ports: [{port: 80}, {port: 81, name: b}]\n",
          "5 spec.ports[0].name: is missing; each of several ports needs a name" },
        { "  ports: [{port: 80, name: a}, {port: 81, name: a}, {port: 80, name: c}, {port: 80, "
          "name: d, protocol: UDP}]\n",
          "5 spec.ports[1]: has the name of [0]; rename one\n"
          "5 spec.ports[2]: has the port and protocol of [0]; keep one" },
        { "  ports: [{port: 80, targetPort: HTTP}]\n",
          "5 spec.ports[0].targetPort: \"HTTP\" is not valid; must be a port number or a name of "
          "lower-case letters, digits and single '-', at most 15, like \"http\"" },
        { "  clusterIP: x\n  ports: [{port: 80, targetPort: 0}]\n",
          "5 spec.clusterIP: \"x\" is not valid; must be an IP address or \"None\"\n"
          "6 spec.ports[0].targetPort: is 0, must be from 1 to 65535" },
    };
    CHECK_ALL("v1", "Service", "Service/default/x", cases);
}

static void judges_flat_kinds(void **state)
{
    (void)state;
    assert_string_equal(
        findings_of("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: x}\n"
                    "addressType: IPv4\nendpoints:\n- addresses: [127.0.0.1, \"::1\"]\n"
                    "- addresses: []\n"
                    "ports: [{name: A, port: 80}, {port: 1}, {port: 2}]\n"),
        "f.yaml:6: EndpointSlice/default/x: endpoints[0].addresses[1]: \"::1\" is not an IPv4 "
        "address, as addressType says\n"
        "f.yaml:7: EndpointSlice/default/x: endpoints[1].addresses: has 0 items; at least 1 is "
        "needed\n"
        "f.yaml:8: EndpointSlice/default/x: ports[0].name: \"A\" is not valid; must be lower-case "
        "letters, digits and '-' inside, at most 63\n"
        "f.yaml:8: EndpointSlice/default/x: ports[2].name: is that of [1]; each port needs its "
        "own\n");
    assert_string_equal(
        findings_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
                    "data: {a: b, c: 1, d/e: f}\n"
                    "binaryData: {a: eA==, z: \"***\"}\n"),
        "f.yaml:4: ConfigMap/default/x: data.c: is a number to Kubernetes, must be text; quote it: "
        "\"1\"\n"
        "f.yaml:4: ConfigMap/default/x: data[\"d/e\"]: the key is not valid; must be letters, "
        "digits, '-', '_' and '.'\n"
        "f.yaml:5: ConfigMap/default/x: binaryData.z: is not base64; encode the bytes, or use "
        "stringData for text\n");
    assert_string_equal(
        findings_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n"
                    "binaryData: {a: eA==}\n"),
        "f.yaml:5: ConfigMap/default/x: binaryData: has the key \"a\" that data has; keep one\n");
    assert_string_equal(
        findings_of("apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: x}\n"
                    "stringData: {tls.crt: b}\n"),
        "f.yaml:1: Secret/default/x: data: has no \"tls.key\"; a Secret of type kubernetes.io/tls "
        "needs it\n");
    assert_string_equal(
        findings_of("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"
                    "stringData: {pin: 1234}\n"),
        "f.yaml:4: Secret/default/x: stringData.pin: is a number, must be text; put it in "
        "quotes\n");
    assert_string_equal(findings_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: A}\n"
                                    "spec: {}\n"),
                        "f.yaml:3: Namespace//A: metadata.name: \"A\" is not valid; must be "
                        "lower-case letters, digits and '-' inside, at most 63\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_http_routes),
        cmocka_unit_test(judges_matches),
        cmocka_unit_test(judges_filters),
        cmocka_unit_test(judges_session_persistence),
        cmocka_unit_test(judges_other_routes),
        cmocka_unit_test(judges_gateways),
        cmocka_unit_test(judges_policies),
        cmocka_unit_test(judges_services),
        cmocka_unit_test(judges_flat_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
