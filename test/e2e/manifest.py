"""Kubernetes objects from short Python, and their YAML. A test says what matters; the rest is filled
in. Everything is plain dicts, so a test may change any field afterwards.
"""
import json
import re

GROUP = 'gateway.networking.k8s.io'


def spell(key):
    return key if re.fullmatch(r'[A-Za-z][\w./-]*', key) else json.dumps(key)


def dump(value, indent=0):
    """Block YAML of dicts, lists and scalars; strings as JSON strings, which are YAML strings too."""
    pad = ' ' * indent
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append('%s%s:\n%s' % (pad, spell(key), dump(item, indent + 2)))
            else:
                lines.append('%s%s: %s' % (pad, spell(key), dump(item)))
        return '\n'.join(lines)
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            lines.append('%s- %s' % (pad, dump(item, indent + 2).lstrip()))
        return '\n'.join(lines)
    return json.dumps(value)


def documents(*objects):
    """Objects, nested lists of them and ready YAML text as one file."""
    parts = []
    for item in flatten(objects):
        parts.append(item if isinstance(item, str) else dump(item))
    return '\n---\n'.join(parts) + '\n'


def flatten(objects):
    for item in objects:
        if isinstance(item, (list, tuple)):
            yield from flatten(item)
        else:
            yield item


def thing(api, kind, name, spec=None, namespace=None, **more):
    metadata = {'name': name}
    if namespace:
        metadata['namespace'] = namespace
    out = {'apiVersion': api, 'kind': kind, 'metadata': metadata}
    if spec is not None:
        out['spec'] = spec
    out.update(more)
    return out


def listener(port, name=None, hostname=None, **more):
    out = {'name': name or 'http-%d' % port, 'port': port, 'protocol': 'HTTP'}
    if hostname:
        out['hostname'] = hostname
    out.update(more)
    return out


def gateway(*listeners, name='edge', namespace=None, **spec):
    """listeners: ports or listener()s."""
    made = [listener(item) if isinstance(item, int) else item for item in listeners]
    return thing(GROUP + '/v1', 'Gateway', name,
                 dict({'gatewayClassName': 'weft', 'listeners': made}, **spec), namespace)


def service(name, *origins, port=80, namespace=None, ready=True, **port_fields):
    """A Service whose endpoints are the origins: one EndpointSlice an origin, for ports differ.
    origins: objects with .port, or port numbers."""
    out = [thing('v1', 'Service', name,
                 {'ports': [dict({'name': 'http', 'port': port, 'protocol': 'TCP'}, **port_fields)]},
                 namespace)]
    for number, origin in enumerate(origins):
        at = origin if isinstance(origin, int) else origin.port
        out.append(endpoints(name, at, number, namespace, ready))
    return out


def endpoints(service_name, port, number=0, namespace=None, ready=True):
    made = thing('discovery.k8s.io/v1', 'EndpointSlice', '%s-%d' % (service_name, number),
                 None, namespace, addressType='IPv4',
                 ports=[{'name': 'http', 'port': port, 'protocol': 'TCP'}],
                 endpoints=[{'addresses': ['127.0.0.1'], 'conditions': {'ready': ready}}])
    made['metadata']['labels'] = {'kubernetes.io/service-name': service_name}
    return made


def backend(name, weight=None, port=80, filters=None, namespace=None):
    out = {'name': name, 'port': port}
    if weight is not None:
        out['weight'] = weight
    if filters:
        out['filters'] = filters
    if namespace:
        out['namespace'] = namespace
    return out


def match(prefix=None, exact=None, regex=None, headers=None, query=None, method=None):
    """headers and query: {name: value}, or {name: ('RegularExpression', pattern)}."""
    out = {}
    for kind, value in (('PathPrefix', prefix), ('Exact', exact), ('RegularExpression', regex)):
        if value is not None:
            out['path'] = {'type': kind, 'value': value}
    for field, wanted in (('headers', headers), ('queryParams', query)):
        if wanted:
            out[field] = [
                {'name': name, 'type': value[0], 'value': value[1]} if isinstance(value, tuple)
                else {'name': name, 'value': value} for name, value in wanted.items()]
    if method:
        out['method'] = method
    return out


def rule(*backends, matches=None, filters=None, **more):
    """backends: names or backend()s. Further fields (timeouts, retry, name) as they are called; the
    words of match() make the single match."""
    words = {word: more.pop(word) for word in
             ('prefix', 'exact', 'regex', 'headers', 'query', 'method') if word in more}
    out = dict(more)
    if words:
        matches = [match(**words)]
    if matches:
        out['matches'] = matches
    if filters:
        out['filters'] = filters
    if backends:
        out['backendRefs'] = [backend(item) if isinstance(item, str) else item for item in backends]
    return out


def route(*rules, name='route', hosts=None, parents=('edge',), namespace=None, created=None):
    """parents: Gateway names, or whole parentRefs."""
    spec = {'parentRefs': [{'name': item} if isinstance(item, str) else item for item in parents]}
    if hosts:
        spec['hostnames'] = list(hosts)
    spec['rules'] = list(rules)
    made = thing(GROUP + '/v1', 'HTTPRoute', name, spec, namespace)
    if created:
        made['metadata']['creationTimestamp'] = created
    return made


def grant(to_namespace, from_namespace, kind='Service', from_kind='HTTPRoute', name=None):
    to = {'group': '' if kind in ('Service', 'Secret') else GROUP, 'kind': kind}
    if name:
        to['name'] = name
    return thing(GROUP + '/v1beta1', 'ReferenceGrant', 'grant', {
        'from': [{'group': GROUP, 'kind': from_kind, 'namespace': from_namespace}], 'to': [to],
    }, to_namespace)


# Filters.

def set_request(set=None, add=None, remove=None):
    return {'type': 'RequestHeaderModifier',
            'requestHeaderModifier': modifier(set, add, remove)}


def set_response(set=None, add=None, remove=None):
    return {'type': 'ResponseHeaderModifier',
            'responseHeaderModifier': modifier(set, add, remove)}


def modifier(set_these, add, remove):
    out = {}
    for field, items in (('set', set_these), ('add', add)):
        if items:
            out[field] = [{'name': name, 'value': value} for name, value in items.items()]
    if remove:
        out['remove'] = list(remove)
    return out


def path_change(full=None, prefix=None):
    if full is not None:
        return {'type': 'ReplaceFullPath', 'replaceFullPath': full}
    return {'type': 'ReplacePrefixMatch', 'replacePrefixMatch': prefix}


def redirect(full=None, prefix=None, status=None, **fields):
    out = dict(fields)
    if full is not None or prefix is not None:
        out['path'] = path_change(full, prefix)
    if status:
        out['statusCode'] = status
    return {'type': 'RequestRedirect', 'requestRedirect': out}


def rewrite(full=None, prefix=None, hostname=None):
    out = {}
    if hostname:
        out['hostname'] = hostname
    if full is not None or prefix is not None:
        out['path'] = path_change(full, prefix)
    return {'type': 'URLRewrite', 'urlRewrite': out}


def mirror(name, port=80, **fields):
    return {'type': 'RequestMirror',
            'requestMirror': dict({'backendRef': {'name': name, 'port': port}}, **fields)}


def cors(**fields):
    return {'type': 'CORS', 'cors': fields}
