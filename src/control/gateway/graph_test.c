/* Attachment and conditions: what Gateway API demands, in small inputs. Each case is YAML, statuses
 * by path (graph_testing.h) with all sockets bound, and the findings beside them. */
#include "control/gateway/builder.h"
#include "control/gateway/graph_testing.h"

struct graph_case {
    const char *name;
    const char *yaml;
    const char *status;
    const char *findings;
};

#define LISTENER(name, more) "  - {name: " name ", port: 80, protocol: HTTP" more "}\n"
#define FROM_ALL ", allowedRoutes: {namespaces: {from: All}}"

static const struct graph_case cases[] = {
    { "a route is attached to a whole gateway",
      YAML_EDGE YAML_ROUTE("name: shop", "name: edge", YAML_BACKEND("80")) YAML_WEB,
      "GatewayClass//weft conditions.Accepted = True/Accepted\n"
      "GatewayClass//weft conditions.SupportedVersion = -\n"
      "Gateway/default/edge conditions.Accepted = True/Accepted\n"
      "Gateway/default/edge conditions.Programmed = True/Programmed\n"
      "Gateway/default/edge conditions.Accepted.observedGeneration = 1\n"
      "Gateway/default/edge addresses = 127.0.0.1,::1\n"
      "Gateway/default/edge addresses.0.type = IPAddress\n"
      "Gateway/default/edge attachedListenerSets = 0\n"
      "Gateway/default/edge listeners.http.attachedRoutes = 1\n"
      "Gateway/default/edge listeners.http.supportedKinds = HTTPRoute\n"
      "Gateway/default/edge listeners.http.supportedKinds.0.group = gateway.networking.k8s.io\n"
      "Gateway/default/edge listeners.http.conditions.Accepted = True/Accepted\n"
      "Gateway/default/edge listeners.http.conditions.Programmed = True/Programmed\n"
      "Gateway/default/edge listeners.http.conditions.ResolvedRefs = True/ResolvedRefs\n"
      "Gateway/default/edge listeners.http.conditions.Conflicted = False/NoConflicts\n"
      "HTTPRoute/default/shop parents.0.controllerName = weft.dev/gateway-controller\n"
      "HTTPRoute/default/shop parents.0.parentRef.name = edge\n"
      "HTTPRoute/default/shop parents.0.parentRef.kind = Gateway\n"
      "HTTPRoute/default/shop parents.0.parentRef.namespace = -\n"
      "HTTPRoute/default/shop parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/shop parents.0.conditions.Accepted.observedGeneration = 1\n"
      "HTTPRoute/default/shop parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n"
      "HTTPRoute/default/shop parents.0.conditions.PartiallyInvalid = -\n"
      "HTTPRoute/default/shop parents.1 = -\n",
      "" },

    { "unsupported protocols",
      YAML_GATEWAY("none", "  - {name: odd, port: 1111, protocol: example.com/ODD}\n")
          YAML_GATEWAY("some", LISTENER("http", "") "  - {name: tcp, port: 1111, protocol: TCP}\n"),
      "Gateway/default/none conditions.Accepted = False/ListenersNotValid\n"
      "Gateway/default/none conditions.Programmed = False/Invalid\n"
      "Gateway/default/none listeners.odd.conditions.Accepted = False/UnsupportedProtocol\n"
      "Gateway/default/none listeners.odd.conditions.Programmed = False/Invalid\n"
      "Gateway/default/none listeners.odd.supportedKinds = \n"
      "Gateway/default/some conditions.Accepted = True/ListenersNotValid\n"
      "Gateway/default/some conditions.Programmed = True/Programmed\n"
      "Gateway/default/some listeners.http.conditions.Accepted = True/Accepted\n"
      "Gateway/default/some listeners.tcp.conditions.Accepted = False/UnsupportedProtocol\n"
      "Gateway/default/some listeners.tcp.supportedKinds = \n",
      "f.yaml:9: Gateway/default/none: spec.listeners[0].protocol: UnsupportedProtocol\n"
      "Gateway/default/some: spec.listeners[1].protocol: UnsupportedProtocol: protocol TCP\n" },

    { "route kinds that cannot attach",
      YAML_GATEWAY("only", LISTENER("http", ", allowedRoutes: {kinds: [{kind: OddRoute}]}"))
          YAML_GATEWAY("both", "  - {name: http, port: 81, protocol: HTTP, allowedRoutes: "
                               "{kinds: [{kind: OddRoute}, {kind: HTTPRoute}]}}\n"),
      "Gateway/default/only listeners.http.conditions.ResolvedRefs = False/InvalidRouteKinds\n"
      "Gateway/default/only listeners.http.conditions.Programmed = False/Invalid\n"
      "Gateway/default/only listeners.http.supportedKinds = \n"
      "Gateway/default/only listeners.http.attachedRoutes = 0\n"
      "Gateway/default/both listeners.http.conditions.ResolvedRefs = False/InvalidRouteKinds\n"
      "Gateway/default/both listeners.http.conditions.Programmed = True/Programmed\n"
      "Gateway/default/both listeners.http.supportedKinds = HTTPRoute\n",
      "Gateway/default/only: spec.listeners[0].allowedRoutes.kinds: InvalidRouteKinds\n"
      "Gateway/default/both: spec.listeners[0].allowedRoutes.kinds: InvalidRouteKinds\n" },

    { "namespaces: same, selector, a selector of nothing",
      YAML_GATEWAY("same", LISTENER("http", ""))
      YAML_GATEWAY("picky", "  - {name: http, port: 81, protocol: HTTP, allowedRoutes: "
                            "{namespaces: "
                            "{from: Selector, selector: {matchLabels: {team: shop}}}}}\n")
      YAML_GATEWAY("closed", "  - {name: http, port: 82, protocol: HTTP, allowedRoutes: "
                             "{namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}\n")
      YAML_WEB YAML_SERVICE("web", "shop", "") YAML_SERVICE("web", "other", "")
      "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: shop}}\n"
      YAML_ROUTE("name: a", "name: same", YAML_BACKEND("80"))
      YAML_ROUTE("name: b, namespace: other", "name: same, namespace: default", YAML_BACKEND("80"))
      YAML_ROUTE("name: c, namespace: shop", "name: picky, namespace: default", YAML_BACKEND("80"))
      YAML_ROUTE("name: d, namespace: other", "name: picky, namespace: default", YAML_BACKEND("80"))
      YAML_ROUTE("name: e", "name: closed", YAML_BACKEND("80")),
      "HTTPRoute/default/a parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/other/b parents.0.conditions.Accepted = False/NotAllowedByListeners\n"
      "HTTPRoute/other/b parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n"
      "HTTPRoute/other/b parents.0.parentRef.namespace = default\n"
      "HTTPRoute/shop/c parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/other/d parents.0.conditions.Accepted = False/NotAllowedByListeners\n"
      "HTTPRoute/default/e parents.0.conditions.Accepted = False/NotAllowedByListeners\n"
      "Gateway/default/same listeners.http.attachedRoutes = 1\n"
      "Gateway/default/picky listeners.http.attachedRoutes = 1\n"
      "Gateway/default/closed listeners.http.attachedRoutes = 0\n",
      "HTTPRoute/other/b: spec.parentRefs[0]: NotAllowedByListeners\n"
      "HTTPRoute/other/d: spec.parentRefs[0]: NotAllowedByListeners\n"
      "HTTPRoute/default/e: spec.parentRefs[0]: NotAllowedByListeners\n" },

    { "selector by the namespace's own name",
      YAML_GATEWAY("edge", "  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: "
                           "{from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: "
                           "default}}}}}\n")
          YAML_ROUTE("name: a", "name: edge", YAML_BACKEND("80")) YAML_WEB,
      "Gateway/default/edge listeners.http.attachedRoutes = 1\n", "" },

    { "section name and port of a parentRef",
      YAML_GATEWAY("edge", LISTENER("a", "") "  - {name: b, port: 8080, protocol: HTTP}\n")
      YAML_ROUTE("name: section", "name: edge, sectionName: a", YAML_BACKEND("80"))
      YAML_ROUTE("name: port", "name: edge, port: 8080", YAML_BACKEND("80"))
      YAML_ROUTE("name: both", "name: edge, sectionName: b, port: 8080", YAML_BACKEND("80"))
      YAML_ROUTE("name: x-section", "name: edge, sectionName: c", YAML_BACKEND("80"))
      YAML_ROUTE("name: x-port", "name: edge, port: 81", YAML_BACKEND("80"))
      YAML_ROUTE("name: x-both", "name: edge, sectionName: a, port: 8080", YAML_BACKEND("80"))
      YAML_WEB,
      "Gateway/default/edge listeners.a.attachedRoutes = 1\n"
      "Gateway/default/edge listeners.b.attachedRoutes = 2\n"
      "HTTPRoute/default/section parents.0.parentRef.sectionName = a\n"
      "HTTPRoute/default/port parents.0.parentRef.port = 8080\n"
      "HTTPRoute/default/both parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/x-section parents.0.conditions.Accepted = False/NoMatchingParent\n"
      "HTTPRoute/default/x-port parents.0.conditions.Accepted = False/NoMatchingParent\n"
      "HTTPRoute/default/x-port parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n"
      "HTTPRoute/default/x-both parents.0.conditions.Accepted = False/NoMatchingParent\n",
      "x-section: spec.parentRefs[0]: NoMatchingParent\n"
      "x-port: spec.parentRefs[0]: NoMatchingParent\n"
      "x-both: spec.parentRefs[0]: NoMatchingParent\n" },

    { "hostnames that do and do not intersect",
      YAML_GATEWAY("edge", LISTENER("exact", ", hostname: foo.example.com")
                   LISTENER("wild", ", hostname: \"*.example.net\""))
      YAML_ROUTE("name: all", "name: edge", YAML_BACKEND("80"))
      YAML_ROUTE("name: deep", "name: edge",
                 "  hostnames: [a.b.example.net, nowhere.test]\n" YAML_BACKEND("80"))
      YAML_ROUTE("name: wider", "name: edge",
                 "  hostnames: [\"*.example.com\"]\n" YAML_BACKEND("80"))
      YAML_ROUTE("name: apex", "name: edge", "  hostnames: [example.net]\n" YAML_BACKEND("80"))
      YAML_WEB,
      "Gateway/default/edge listeners.exact.attachedRoutes = 2\n"
      "Gateway/default/edge listeners.wild.attachedRoutes = 2\n"
      "HTTPRoute/default/apex parents.0.conditions.Accepted = False/NoMatchingListenerHostname\n",
      "HTTPRoute/default/apex: spec.parentRefs[0]: NoMatchingListenerHostname\n" },

    { "attachedRoutes counts a route once, however many parentRefs lead to the listener",
      YAML_EDGE
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: twice}\n"
      "spec:\n"
      "  parentRefs: [{name: edge, sectionName: http}, {name: edge, sectionName: other}]\n"
      YAML_BACKEND("80") YAML_WEB,
      "Gateway/default/edge listeners.http.attachedRoutes = 1\n"
      "HTTPRoute/default/twice parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/twice parents.1.conditions.Accepted = False/NoMatchingParent\n",
      "HTTPRoute/default/twice: spec.parentRefs[1]: NoMatchingParent\n" },

    { "a route of two gateways, and of nobody's",
      YAML_GATEWAY("a", LISTENER("http", "")) YAML_GATEWAY("b", "  - {name: http, port: 81, "
                                                           "protocol: HTTP, hostname: b.test}\n")
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
      "metadata: {name: theirs}\nspec: {controllerName: example.com/other}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: theirs}\n"
      "spec: {gatewayClassName: theirs, listeners: [{name: x, port: 80, protocol: HTTP}]}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
      "spec:\n"
      "  hostnames: [a.test]\n"
      "  parentRefs: [{name: a}, {name: theirs}, {name: b}, {name: missing}]\n"
      YAML_BACKEND("80") YAML_WEB,
      "HTTPRoute/default/r parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/r parents.1.parentRef.name = b\n"
      "HTTPRoute/default/r parents.1.conditions.Accepted = False/NoMatchingListenerHostname\n"
      "HTTPRoute/default/r parents.2 = -\n"
      "Gateway/default/theirs conditions = none\n"
      "GatewayClass//theirs conditions = none\n",
      "spec.parentRefs[2]: NoMatchingListenerHostname\n"
      "spec.parentRefs[3]: there is no Gateway default/missing\n" },

    { "backends: kind, existence, port, protocol",
      YAML_EDGE
      YAML_ROUTE("name: kind", "name: edge",
                 "  rules: [{backendRefs: [{kind: Odd, name: web, port: 80}]}]\n")
      YAML_ROUTE("name: absent", "name: edge",
                 "  rules: [{backendRefs: [{name: gone, port: 80}]}]\n")
      YAML_ROUTE("name: port", "name: edge", YAML_BACKEND("81"))
      YAML_ROUTE("name: wss", "name: edge",
                 "  rules: [{backendRefs: [{name: wss, port: 80}]}]\n")
      YAML_ROUTE("name: h2c", "name: edge",
                 "  rules: [{backendRefs: [{name: h2c, port: 80}]}]\n")
      YAML_WEB YAML_SERVICE("wss", "default", ", appProtocol: kubernetes.io/wss")
      YAML_SERVICE("h2c", "default", ", appProtocol: kubernetes.io/h2c"),
      "HTTPRoute/default/kind parents.0.conditions.ResolvedRefs = False/InvalidKind\n"
      "HTTPRoute/default/kind parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/absent parents.0.conditions.ResolvedRefs = False/BackendNotFound\n"
      "HTTPRoute/default/absent parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/port parents.0.conditions.ResolvedRefs = False/BackendNotFound\n"
      "HTTPRoute/default/wss parents.0.conditions.ResolvedRefs = False/UnsupportedProtocol\n"
      "HTTPRoute/default/h2c parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n"
      "Gateway/default/edge listeners.http.attachedRoutes = 5\n",
      "HTTPRoute/default/kind: spec.rules[0].backendRefs[0]: InvalidKind\n"
      "HTTPRoute/default/absent: spec.rules[0].backendRefs[0]: BackendNotFound: there is no "
      "Service\n"
      "HTTPRoute/default/port: spec.rules[0].backendRefs[0]: BackendNotFound\n"
      "HTTPRoute/default/wss: spec.rules[0].backendRefs[0]: UnsupportedProtocol\n" },

    { "references across namespaces need a grant of the target's namespace",
      YAML_EDGE YAML_SERVICE("web", "back", "") YAML_SERVICE("api", "back", "")
      YAML_SERVICE("web", "shut", "")
#define CROSS(name, service, space)                                                                \
    YAML_ROUTE("name: " name, "name: edge",                                                        \
               "  rules: [{backendRefs: [{name: " service ", namespace: " space ", port: 80}]}]\n")
      CROSS("named", "web", "back") CROSS("other-name", "api", "back") CROSS("shut", "web", "shut")
      CROSS("gone", "gone", "back")
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n"
      "metadata: {name: a, namespace: back}\n"
      "spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], "
      "to: [{group: \"\", kind: Service, name: web}]}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n"
      "metadata: {name: wrong-place, namespace: default}\n"
      "spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], "
      "to: [{group: \"\", kind: Service}]}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n"
      "metadata: {name: wrong-from, namespace: shut}\n"
      "spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: elsewhere}, "
      "{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: default}], "
      "to: [{group: \"\", kind: Service}]}\n",
      "HTTPRoute/default/named parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n"
      "HTTPRoute/default/other-name parents.0.conditions.ResolvedRefs = False/RefNotPermitted\n"
      "HTTPRoute/default/gone parents.0.conditions.ResolvedRefs = False/RefNotPermitted\n"
      "HTTPRoute/default/shut parents.0.conditions.ResolvedRefs = False/RefNotPermitted\n",
      "HTTPRoute/default/other-name: spec.rules[0].backendRefs[0]: RefNotPermitted\n"
      "HTTPRoute/default/gone: spec.rules[0].backendRefs[0]: RefNotPermitted\n"
      "HTTPRoute/default/shut: spec.rules[0].backendRefs[0]: RefNotPermitted\n" },

    { "one bad backend of several makes the route's refs unresolved",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge",
                           "  rules:\n"
                           "  - backendRefs: [{name: web, port: 80}]\n"
                           "  - matches: [{path: {value: /b}}]\n"
                           "    backendRefs: [{name: web, port: 80}, {name: gone, port: 80}]\n")
          YAML_WEB,
      "HTTPRoute/default/r parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/r parents.0.conditions.ResolvedRefs = False/BackendNotFound\n",
      "spec.rules[1].backendRefs[1]: BackendNotFound\n" },

    { "no backendRefs and no filters is a valid route",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge", "  rules: [{matches: [{path: {value: /}}]}]\n"),
      "HTTPRoute/default/r parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/r parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n",
      "" },

    { "filters that Weft lacks",
#define AUTH "filters: [{type: ExtensionRef, extensionRef: {group: a.b, kind: C, name: d}}]"
      YAML_EDGE YAML_ROUTE("name: all", "name: edge",
                           "  rules: [{" AUTH ", backendRefs: [{name: web, port: 80}]}]\n")
      YAML_ROUTE("name: part", "name: edge",
                 "  rules: [{backendRefs: [{name: web, port: 80}]}, {matches: [{path: {value: "
                 "/a}}], "
                 AUTH ", backendRefs: [{name: web, port: 80}]}]\n") YAML_WEB,
      "HTTPRoute/default/all parents.0.conditions.Accepted = False/UnsupportedValue\n"
      "HTTPRoute/default/part parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/part parents.0.conditions.PartiallyInvalid = True/UnsupportedValue\n"
      "Gateway/default/edge listeners.http.attachedRoutes = 1\n",
      "HTTPRoute/default/all: spec.rules[0].filters[0]: UnsupportedValue\n"
      "HTTPRoute/default/part: spec.rules[1].filters[0]: UnsupportedValue\n" },

    { "kinds of routes that come later are refused by the listeners",
      YAML_EDGE "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\n"
      "metadata: {name: g}\nspec: {parentRefs: [{name: edge}], rules: [{backendRefs: "
      "[{name: web, port: 80}]}]}\n" YAML_WEB,
      "GRPCRoute/default/g parents.0.conditions.Accepted = False/NotAllowedByListeners\n"
      "Gateway/default/edge listeners.http.attachedRoutes = 0\n",
      "GRPCRoute/default/g: spec.parentRefs[0]: NotAllowedByListeners\n" },

    { "parameters that nobody takes",
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
      "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP}], "
      "infrastructure: {parametersRef: {group: invalid.io, kind: Odd, name: x}}}\n",
      "Gateway/default/g conditions.Accepted = False/InvalidParameters\n"
      "Gateway/default/g conditions.Programmed = False/Invalid\n"
      "Gateway/default/g listeners.http.conditions.Programmed = False/Invalid\n"
      "Gateway/default/g addresses = \n",
      "Gateway/default/g: spec.infrastructure.parametersRef: InvalidParameters\n" },

    { "static addresses",
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: odd}\n"
      "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP}], "
      "addresses: [{type: test/fake, value: fake}, {value: 127.0.0.7}]}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: name}\n"
      "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP}], "
      "addresses: [{type: Hostname, value: a.test}]}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: good}\n"
      "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP}], "
      "addresses: [{value: 127.0.0.9}]}\n",
      "Gateway/default/odd conditions.Accepted = False/UnsupportedAddress\n"
      "Gateway/default/odd conditions.Programmed = False/Invalid\n"
      "Gateway/default/name conditions.Accepted = False/UnsupportedAddress\n"
      "Gateway/default/good conditions.Accepted = True/Accepted\n"
      "Gateway/default/good conditions.Programmed = True/Programmed\n"
      "Gateway/default/good addresses = 127.0.0.9\n",
      "Gateway/default/odd: spec.addresses[0]: UnsupportedAddress\n"
      "Gateway/default/name: spec.addresses[0]: UnsupportedAddress\n" },

    { "hostname conflicts between gateways and listener sets",
      YAML_EDGE
      YAML_SET("name: one", "name: edge", LISTENER("taken", "") LISTENER("mine", ", hostname: "
          "m.test"))
      YAML_SET("name: two", "name: edge", LISTENER("taken", ", hostname: m.test")),
      "Gateway/default/edge conditions.Accepted = True/Accepted\n"
      "Gateway/default/edge attachedListenerSets = 1\n"
      "ListenerSet/default/one conditions.Accepted = True/ListenersNotValid\n"
      "ListenerSet/default/one conditions.Programmed = True/Programmed\n"
      "ListenerSet/default/one listeners.taken.conditions.Accepted = False/HostnameConflict\n"
      "ListenerSet/default/one listeners.taken.conditions.Programmed = False/HostnameConflict\n"
      "ListenerSet/default/one listeners.taken.conditions.Conflicted = True/HostnameConflict\n"
      "ListenerSet/default/one listeners.mine.conditions.Accepted = True/Accepted\n"
      "ListenerSet/default/two conditions.Accepted = False/ListenersNotValid\n"
      "ListenerSet/default/two conditions.Programmed = False/ListenersNotValid\n"
      "ListenerSet/default/two listeners.taken.conditions.Conflicted = True/HostnameConflict\n",
      "ListenerSet/default/one: spec.listeners[0]: HostnameConflict\n"
      "ListenerSet/default/two: spec.listeners[0]: HostnameConflict\n" },

    { "protocol conflicts",
      YAML_EDGE YAML_SET("name: s", "name: edge",
                         "  - {name: tcp, port: 80, protocol: TCP}\n" LISTENER("ok", ", hostname: "
                         "o.x"))
          YAML_SET("name: t", "name: edge", "  - {name: tcp, port: 80, protocol: TCP}\n"),
      "ListenerSet/default/s conditions.Accepted = True/ListenersNotValid\n"
      "ListenerSet/default/s listeners.tcp.conditions.Accepted = False/ProtocolConflict\n"
      "ListenerSet/default/s listeners.tcp.conditions.Programmed = False/ProtocolConflict\n"
      "ListenerSet/default/s listeners.tcp.conditions.Conflicted = True/ProtocolConflict\n"
      "ListenerSet/default/t conditions.Accepted = False/ListenersNotValid\n"
      "Gateway/default/edge attachedListenerSets = 1\n",
      "ListenerSet/default/s: spec.listeners[0]: ProtocolConflict\n"
      "ListenerSet/default/t: spec.listeners[0]: ProtocolConflict\n" },

    { "a udp port is no tcp port",
      YAML_EDGE YAML_SET("name: s", "name: edge", "  - {name: udp, port: 80, protocol: UDP}\n"),
      "ListenerSet/default/s listeners.udp.conditions.Accepted = False/UnsupportedProtocol\n"
      "ListenerSet/default/s listeners.udp.conditions.Conflicted = False/NoConflicts\n",
      "spec.listeners[0].protocol: UnsupportedProtocol\n" },

    { "listener sets that the gateway does not admit",
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
      "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: same}\n"
      "spec: {gatewayClassName: weft, listeners: [{name: http, port: 81, protocol: HTTP}], "
      "allowedListeners: {namespaces: {from: Same}}}\n"
      YAML_SET("name: by-default", "name: g", LISTENER("x", ", hostname: x.test"))
      YAML_SET("name: near", "name: same", "  - {name: x, port: 81, protocol: HTTP, hostname: "
                                           "n.x}\n")
      YAML_SET("name: far, namespace: far", "name: same, namespace: default",
               "  - {name: x, port: 81, protocol: HTTP, hostname: f.x}\n")
      YAML_SET("name: lost", "name: missing", LISTENER("x", ""))
      YAML_ROUTE("name: r", "kind: ListenerSet, name: by-default", YAML_BACKEND("80")) YAML_WEB,
      "Gateway/default/g attachedListenerSets = 0\n"
      "Gateway/default/same attachedListenerSets = 1\n"
      "ListenerSet/default/by-default conditions.Accepted = False/NotAllowed\n"
      "ListenerSet/default/by-default conditions.Programmed = False/NotAllowed\n"
      "ListenerSet/default/near conditions.Accepted = True/Accepted\n"
      "ListenerSet/far/far conditions.Accepted = False/NotAllowed\n"
      "ListenerSet/default/lost conditions = none\n"
      "HTTPRoute/default/r parents.0.conditions.Accepted = False/NoMatchingParent\n",
      "ListenerSet/default/by-default: spec.parentRef: NotAllowed\n"
      "ListenerSet/far/far: spec.parentRef: NotAllowed\n"
      "ListenerSet/default/lost: spec.parentRef: there is no Gateway\n"
      "HTTPRoute/default/r: spec.parentRefs[0]: NoMatchingParent\n" },

    { "a parentRef to the gateway does not reach listener sets, nor the other way round",
      YAML_EDGE YAML_SET("name: set", "name: edge", LISTENER("own", ", hostname: set.test"))
      YAML_ROUTE("name: gw", "name: edge", YAML_BACKEND("80"))
      YAML_ROUTE("name: ls", "kind: ListenerSet, name: set", YAML_BACKEND("80"))
      YAML_ROUTE("name: wrong", "name: edge, sectionName: own", YAML_BACKEND("80")) YAML_WEB,
      "Gateway/default/edge listeners.http.attachedRoutes = 1\n"
      "ListenerSet/default/set listeners.own.attachedRoutes = 1\n"
      "ListenerSet/default/set listeners.own.supportedKinds = HTTPRoute\n"
      "HTTPRoute/default/ls parents.0.parentRef.kind = ListenerSet\n"
      "HTTPRoute/default/ls parents.0.conditions.Accepted = True/Accepted\n"
      "HTTPRoute/default/ls parents.1 = -\n"
      "HTTPRoute/default/wrong parents.0.conditions.Accepted = False/NoMatchingParent\n",
      "HTTPRoute/default/wrong: spec.parentRefs[0]: NoMatchingParent\n" },

    { "listener sets of a gateway that is not accepted",
      YAML_GATEWAY("g", "  - {name: t, port: 1, protocol: TCP}\n")
          YAML_SET("name: s", "name: g", LISTENER("x", "")),
      "ListenerSet/default/s conditions.Accepted = False/ParentNotAccepted\n"
      "ListenerSet/default/s conditions.Programmed = False/ParentNotAccepted\n"
      "Gateway/default/g attachedListenerSets = 0\n",
      "Gateway/default/g: spec.listeners[0].protocol: UnsupportedProtocol\n" },

    { "a backend that wants TLS never gets plain text",
      YAML_EDGE YAML_WEB YAML_SERVICE("named", "default", ", name: plain}, {port: 443, name: tls")
      YAML_ROUTE("name: all", "name: edge", YAML_BACKEND("80"))
      YAML_ROUTE("name: one", "name: edge",
                 "  rules: [{backendRefs: [{name: named, port: 443}]}]\n")
      YAML_ROUTE("name: other", "name: edge",
                 "  rules: [{backendRefs: [{name: named, port: 80}]}]\n")
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\n"
      "metadata: {name: p}\nspec:\n"
      "  targetRefs: [{group: \"\", kind: Service, name: web}, {group: \"\", kind: Service, "
      "name: named, sectionName: tls}]\n"
      "  validation: {hostname: a.test, wellKnownCACertificates: System}\n",
      "HTTPRoute/default/all parents.0.conditions.ResolvedRefs = False/UnsupportedProtocol\n"
      "HTTPRoute/default/one parents.0.conditions.ResolvedRefs = False/UnsupportedProtocol\n"
      "HTTPRoute/default/other parents.0.conditions.ResolvedRefs = True/ResolvedRefs\n",
      "HTTPRoute/default/all: spec.rules[0].backendRefs[0]: UnsupportedProtocol\n"
      "HTTPRoute/default/one: spec.rules[0].backendRefs[0]: UnsupportedProtocol\n"
      "Service/default/named: spec.ports: warning: none of its EndpointSlices\n" },

    { "a gateway of no class",
      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
      "spec: {gatewayClassName: none, listeners: [{name: http, port: 80, protocol: HTTP}]}\n",
      "Gateway/default/g conditions = none\n",
      "f.yaml:5: Gateway/default/g: spec.gatewayClassName: there is no GatewayClass none\n" },

    { "backends without endpoints, by name, and outside",
      YAML_EDGE YAML_ROUTE("name: r", "name: edge",
                           "  rules: [{backendRefs: [{name: bare, port: 80}, {name: headless, "
                           "port: 80}, {name: outside, port: 80}]}]\n")
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: bare}\nspec: {ports: [{port: 80}]}\n"
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: headless}\n"
      "spec: {clusterIP: None, ports: [{port: 80, targetPort: 8080}]}\n"
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: outside}\n"
      "spec: {type: ExternalName, externalName: a.test, ports: [{port: 80}]}\n",
      "HTTPRoute/default/r parents.0.conditions.ResolvedRefs = False/UnsupportedValue\n",
      "Service/default/bare: spec: warning: it has no EndpointSlice\n"
      "Service/default/outside: spec.type: UnsupportedValue: ExternalName Services are off\n"
      "HTTPRoute/default/r: spec.rules[0].backendRefs[2]: UnsupportedValue\n" },
};

static void conditions_are_as_gateway_api_says(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        world_init(&world);
        world_put(&world, "f.yaml", cases[i].yaml);
        world_bind(&world);
        expect_status(world.graph, cases[i].name, cases[i].status);
        expect_findings(&world, cases[i].name, cases[i].findings);
        world_fini(&world);
    }
}

static void the_older_gateway_keeps_a_hostname(void **state)
{
    struct world world;
    world_init(&world);
    world_put(&world, "f.yaml",
              "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
              "metadata: {name: b, creationTimestamp: \"2026-01-01T00:00:00Z\"}\n"
              "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP, "
              "hostname: a.test}, {name: own, port: 80, protocol: HTTP, hostname: b.test}]}\n"
              "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
              "metadata: {name: a, creationTimestamp: \"2026-01-02T00:00:00Z\"}\n"
              "spec: {gatewayClassName: weft, listeners: [{name: http, port: 80, protocol: HTTP, "
              "hostname: a.test}, {name: tls, port: 80, protocol: TCP}]}\n");
    world_bind(&world);
    expect_status(world.graph, __func__,
                  "Gateway/default/b listeners.http.conditions.Accepted = True/Accepted\n"
                  "Gateway/default/a listeners.http.conditions.Accepted = False/HostnameConflict\n"
                  "Gateway/default/a listeners.tls.conditions.Accepted = False/ProtocolConflict\n"
                  "Gateway/default/a conditions.Accepted = False/ListenersNotValid\n");
    assert_int_equal(world.graph->socket_count, 2);
    assert_int_equal(world.graph->sockets[0]->listener_count, 2);
    world_fini(&world);
}

/* ---- hostnames ------------------------------------------------------------------------------- */

static void hostnames_intersect_by_labels(void **state)
{
    static const struct {
        const char *listener, *route, *both;
    } rows[] = {
        { "*", "*", "*" },
        { "*", "a.test", "a.test" },
        { "a.test", "*", "a.test" },
        { "a.test", "a.test", "a.test" },
        { "a.test", "b.test", NULL },
        { "*.test", "a.test", "a.test" },
        { "*.test", "a.b.test", "a.b.test" },
        { "*.test", "test", NULL },
        { "*.test", "atest", NULL },
        { "*.test", ".test", NULL },
        { "*.a.test", "b.test", NULL },
        { "a.b.test", "*.test", "a.b.test" },
        { "test", "*.test", NULL },
        { "*.a.test", "*.test", "*.a.test" },
        { "*.test", "*.a.test", "*.a.test" },
        { "*.a.test", "*.b.test", NULL },
        { "*.test", "*.test", "*.test" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text both = { 0 };
        bool any = hostname_intersect(text_from_string(rows[i].listener),
                                      text_from_string(rows[i].route), &both);
        if (any != (rows[i].both != NULL) ||
            (any && !text_equal(both, text_from_string(rows[i].both)))) {
            fail_msg("%s and %s: %.*s", rows[i].listener, rows[i].route, TEXT_ARG(both));
        }
    }
    assert_true(hostname_compare(TEXT("a.b"), TEXT("*.long.name")) < 0);
    assert_true(hostname_compare(TEXT("*.a"), TEXT("*")) < 0);
    assert_true(hostname_compare(TEXT("a.long"), TEXT("a.b")) < 0);
    assert_int_equal(hostname_compare(TEXT("a.b"), TEXT("c.d")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_as_gateway_api_says),
        cmocka_unit_test(the_older_gateway_keeps_a_hostname),
        cmocka_unit_test(hostnames_intersect_by_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
