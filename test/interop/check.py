"""Whether a request or a status is as the tables say. A request is asked until it is right, at most
for some seconds, and then has to be right several times in a row, as the official suite does it.
"""
import http.client
import json
import socket
import urllib.parse
import uuid

from cluster import CONTROLLER, INFRA, USABLE, Failure, eventually, full_key

SUCCESSES = 3
REDIRECTS = (301, 302, 303, 307, 308)


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.fields = {}
        for name, value in response.getheaders():
            self.fields.setdefault(name.lower(), []).append(value)
        # What the pod saw; nothing where no pod answered.
        echoed = self.fields.get('content-type') == ['application/json'] and body
        self.echo = json.loads(body) if echoed else {}

    def field(self, name):
        values = self.fields.get(name.lower())
        return None if values is None else ','.join(values)


def send(address, port, ask):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    host = ask.get('host') or (address if port == 80 else '%s:%d' % (address, port))
    try:
        connection.putrequest(ask.get('method', 'GET'), ask['path'], skip_host=True,
                              skip_accept_encoding=True)
        fields = dict({'Host': host, 'Connection': 'close'}, **ask.get('headers', {}))
        fields['X-Echo-Set-Header'] = ','.join(
            '%s:%s' % item for item in ask.get('set', {}).items())
        if ask.get('method') in ('POST', 'PUT', 'PATCH'):
            fields['Content-Length'] = '0'
        for name, value in fields.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response, response.read())
    except (OSError, http.client.HTTPException, socket.timeout) as error:
        raise Failure('%s: %s' % (describe(ask), error or type(error).__name__)) from None
    finally:
        connection.close()


def describe(ask):
    return '%s %s%s%s' % (ask.get('method', 'GET'), ask.get('host', ''), ask['path'],
                          ' ' + json.dumps(ask['headers']) if ask.get('headers') else '')


def expect(good, ask, what, got):
    if not good:
        raise Failure('%s: expected %s, got %r' % (describe(ask), what, got))


def check_upstream(ask, echo):
    """What reached the pod; by default what was sent."""
    wanted = ask.get('upstream', {})
    path = wanted.get('path', ask['path'])
    expect(echo.get('path') == path, ask, 'path %s upstream' % path, echo.get('path'))
    method = ask.get('method', 'GET')
    expect(echo.get('method') == method, ask, 'method %s upstream' % method, echo.get('method'))
    host = wanted.get('host', ask.get('host'))
    expect(not host or echo.get('host') == host, ask, 'host %s upstream' % host, echo.get('host'))
    namespace = ask.get('namespace', INFRA)
    expect(echo.get('namespace') == namespace, ask, 'a pod in ' + namespace, echo.get('namespace'))
    pod = echo.get('pod', '')
    expect(pod.startswith(ask.get('backend', '')), ask, 'a pod of ' + ask.get('backend', ''), pod)
    fields = {name.lower(): ','.join(values) for name, values in echo.get('headers', {}).items()}
    for name, value in wanted.get('headers', {} if 'upstream' in ask
                                  else ask.get('headers', {})).items():
        expect(fields.get(name.lower()) == value, ask, '%s: %s upstream' % (name, value),
               fields.get(name.lower()))
    for name in wanted.get('absent', []):
        expect(name.lower() not in fields, ask, 'no %s upstream' % name, fields.get(name.lower()))


def check_fields(ask, answer):
    def plain(value):
        return value.replace(' ', '') if value and ask.get('ignore_spaces') else value
    for name, value in ask.get('response', {}).items():
        expect(plain(answer.field(name)) == plain(value), ask, '%s: %s' % (name, value),
               answer.field(name))
    for name, values in ask.get('response_any', {}).items():
        expect(plain(answer.field(name)) in [plain(value) for value in values], ask,
               '%s: one of %r' % (name, values), answer.field(name))
    for name in ask.get('response_absent', []):
        expect(answer.field(name) is None, ask, 'no %s' % name, answer.field(name))


def check_redirect(ask, answer):
    wanted = ask['redirect']
    place = urllib.parse.urlsplit(answer.field('location') or '')
    scheme = wanted.get('scheme', 'http')
    expect(place.scheme == scheme, ask, 'scheme %s in Location' % scheme, answer.field('location'))
    for part, got in (('host', place.hostname), ('path', place.path)):
        value = wanted.get(part, ask['path'] if part == 'path' else None)
        expect(value is None or got == value, ask, '%s %s in Location' % (part, value),
               answer.field('location'))
    port = {'http': 80, 'https': 443}.get(scheme)
    good = place.port == int(wanted['port']) if 'port' in wanted else place.port in (None, port)
    expect(good, ask, 'port %s in Location' % wanted.get('port', 'none or default'),
           answer.field('location'))


def check_once(address, port, ask):
    answer = send(address, port, ask)
    statuses = ask.get('status', 200)
    statuses = statuses if isinstance(statuses, list) else [statuses]
    expect(answer.status in statuses, ask, 'status %s' % '/'.join(map(str, statuses)),
           answer.status)
    if answer.status in (200, 204):
        if ask.get('local'):
            expect(not answer.echo, ask, 'no pod to be asked', answer.echo.get('pod'))
        elif ask.get('method') != 'HEAD':
            check_upstream(ask, answer.echo)
        check_fields(ask, answer)
    elif answer.status in REDIRECTS and 'redirect' in ask:
        check_redirect(ask, answer)
    return answer


def check_ask(address, port, ask, successes=SUCCESSES, limit=5.0):
    """Right at last, and then several times in a row."""
    def in_a_row():
        for _ in range(successes):
            answer = check_once(address, port, ask)
        return answer
    return eventually(in_a_row, limit)


def with_id(ask):
    """The same request with a query of its own, to be found in what pods have seen."""
    def add(path):
        return '%s%sid=%s' % (path, '&' if '?' in path else '?', mark)
    mark = uuid.uuid4().hex
    upstream = dict(ask.get('upstream', {'headers': ask.get('headers', {})}))
    upstream['path'] = add(upstream.get('path', ask['path']))
    return dict(ask, path=add(ask['path']), upstream=upstream)


# Status. A line: OBJECT[#LISTENER|@PARENT] WORD=VALUE ...; see README.md.

def select(items, line):
    """(object, the part of its status which the line is about)."""
    subject = line.split()[0]
    key, _, parent = subject.partition('@')
    key, _, listener = key.partition('#')
    if key.endswith('-{253}'):
        key = next((one.partition('/')[0] + '/' + one.rpartition('/')[2] for one in items
                    if one.rpartition('/')[2].startswith(key[key.index('/') + 1:-5])), key)
    item = items.get(full_key(key))
    if item is None:
        raise Failure('%s: no status of it' % key)
    status = item.get('status', {})
    if listener:
        found = [one for one in status.get('listeners', []) if one['name'] == listener]
        what = 'listener'
    elif parent:
        kind, namespace, name = full_key(parent).split('/')
        found = [one for one in status.get('parents', [])
                 if one['controllerName'] == CONTROLLER and one['parentRef']['name'] == name
                 and one['parentRef'].get('kind', 'Gateway') == kind
                 and one['parentRef'].get('namespace', key_namespace(item)) == namespace]
        what = 'parent'
    else:
        return item, status
    if not found:
        raise Failure('%s: no such %s in its status' % (subject, what))
    return item, found[0]


def key_namespace(item):
    return item['metadata'].get('namespace', 'default')


def check_condition(part, line, name, wanted):
    status, _, reason = wanted.partition(':')
    found = [one for one in part.get('conditions', []) if one['type'] == name]
    got = '%s:%s' % (found[0]['status'], found[0]['reason']) if found else 'nothing'
    if not found or found[0]['status'] != status or (reason and found[0]['reason'] != reason):
        raise Failure('%s: expected %s=%s, got %s%s' % (line.split()[0], name, wanted, got, ': ' +
                      found[0].get('message', '') if found else ''))


def check_latest(item, line):
    """Every condition of the object carries its present generation."""
    status, generation = item.get('status', {}), item['metadata'].get('generation')
    lists = [status.get('conditions', [])]
    lists += [one.get('conditions', []) for one in status.get('listeners', [])]
    lists += [one.get('conditions', []) for one in status.get('parents', [])
              if one['controllerName'] == CONTROLLER]
    if not any(lists):
        raise Failure('%s: no conditions' % line)
    for condition in [one for part in lists for one in part]:
        if condition.get('observedGeneration') != generation and 'example.com' not in \
                condition['type']:
            raise Failure('%s: %s has observedGeneration %r, the object is at %r' %
                          (line, condition['type'], condition.get('observedGeneration'),
                           generation))


def counted(item, part, name):
    """The figure behind a word of a status line, as text."""
    if name == 'attachedRoutes':
        listeners = [part] if 'attachedRoutes' in part else part.get('listeners', [])
        return str(sum(one['attachedRoutes'] for one in listeners))
    if name == 'kinds':
        return ','.join(sorted(one['kind'] for one in part.get('supportedKinds', [])))
    if name == 'accepted':
        parents = [one for one in part.get('parents', []) for condition in one['conditions']
                   if condition['type'] == 'Accepted' and condition['status'] == 'True']
        return str(len(parents)) if parents else 'none'
    if name == 'address':
        return ','.join(one['value'] for one in part.get('addresses', []))
    if name in ('parents', 'addresses'):
        return str(len(part.get(name, [])))
    if name == 'attachedListenerSets':
        return str(part.get(name, 0))
    return None


def check_status(items, line):
    item, part = select(items, line)
    for word in line.split()[1:]:
        name, _, wanted = word.replace('{usable}', USABLE).partition('=')
        if name == 'latest':
            check_latest(item, line)
            continue
        got = counted(item, part, name)
        if got is None:
            check_condition(part, line, name, wanted)
        elif got != wanted:
            raise Failure('%s: expected %s=%s, got %s' % (line.split()[0], name, wanted, got))
