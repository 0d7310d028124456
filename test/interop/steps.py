"""The steps of a test in the tables of cases/: what README.md says each key means. Used by
test/interop/run; every step raises Failure where Weft does not do what the table says.
"""
import base64
import concurrent.futures
import copy
import os
import socket
import urllib.parse
import uuid

import yaml

import check
from cluster import INFRA, Failure, eventually, full_key

FOREIGN = 'example.com/another-controller'


class Steps:
    def __init__(self, cluster):
        self.cluster = cluster
        self.planted = None

    def run(self, steps):
        for step in steps:
            self.step(step)

    def step(self, step):
        for name in ('newer_route', 'change', 'delete', 'fill_slices', 'plant', 'kept'):
            if name in step:
                getattr(self, name)(step[name])
        lines = list(step.get('status', []))
        for route in step.get('routes', []):
            resolved = ' ResolvedRefs=True' if step.get('resolved', True) else ''
            lines.append('HTTPRoute/%s@Gateway/%s Accepted=True%s' % (route, step['gateway'],
                                                                      resolved))
        if lines:
            eventually(lambda: self.check_lines(lines))
        if 'gateway' in step:
            self.traffic(step, self.address(step['gateway']), step.get('port', 80))

    def check_lines(self, lines):
        items = self.cluster.status()
        for line in lines:
            check.check_status(items, line)

    def address(self, gateway):
        def once():
            _, status = check.select(self.cluster.status(), 'Gateway/' + gateway)
            if not status.get('addresses'):
                raise Failure('Gateway/%s: no address in its status' % gateway)
            return status['addresses'][0]['value']
        return eventually(once)

    # Requests.

    def traffic(self, step, address, port):
        for ask in step.get('ask', []):
            mirrored = ask.get('mirrored')
            check.check_ask(address, port, check.with_id(ask) if mirrored else ask,
                            step.get('successes', check.SUCCESSES))
            if mirrored:
                self.mirrored(address, port, ask, mirrored)
        for entry in step.get('retry', []):
            self.retry(address, port, entry)
        for name in ('shares', 'backend_header', 'websocket'):
            if name in step:
                getattr(self, name)(address, port, step[name])

    def mirrored(self, address, port, ask, shares):
        """Whole mirrors: one request is seen by each. Shares: of 500 requests as many as a
        binomial distribution gives within three standard deviations, in one of five rounds."""
        whole = all(share == 100 for share in shares.values())

        def once():
            marked, times = check.with_id(ask), 1 if whole else 500
            self.many(times, lambda: check.check_once(address, port, marked))
            target = marked['upstream']['path'] if whole else marked['path']
            eventually(lambda: self.seen(shares, target, times, marked))
        for left in range(0 if whole else 4, -1, -1):
            try:
                return once()
            except Failure:
                if not left:
                    raise

    def seen(self, shares, target, times, ask):
        for deployment, percent in shares.items():
            share = percent / 100
            count = self.cluster.pods.seen(deployment, INFRA, target)
            margin = 3 * (times * share * (1 - share)) ** 0.5
            check.expect(abs(count - times * share) <= margin, ask, 'a mirror at %s %g times'
                         % (deployment, times * share), count)

    @staticmethod
    def many(times, once):
        """Ten at a time, as the official suite does."""
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            return [one.result() for one in [pool.submit(once) for _ in range(times)]]

    def retry(self, address, port, entry):
        """A pod that fails some times before it answers, told so in the query."""
        def once():
            query = {key: value for key, value in entry.items() if key not in ('path', 'status')}
            query['uuid'] = uuid.uuid4().hex
            check.check_once(address, port, {
                'path': '%s?%s' % (entry['path'], urllib.parse.urlencode(query)),
                'status': entry['status'], 'backend': 'infra-backend-v3'})

        def in_a_row():
            for _ in range(check.SUCCESSES):
                once()
        eventually(in_a_row)

    def shares(self, address, port, entry):
        """How many of so many requests each backend gets, within a margin; ten rounds at most."""
        for left in range(9, -1, -1):
            answers = self.many(entry['times'], lambda: check.check_once(
                address, port, {'path': entry['path'], 'headers': {'X-Jitter': uuid.uuid4().hex}}))
            pods = [answer.echo['pod'] for answer in answers]
            try:
                for backend, share in entry['of'].items():
                    got = sum(pod.startswith(backend + '-') for pod in pods) / len(pods)
                    good = got == 0 if share == 0 else abs(got - share) <= entry['within']
                    check.expect(good, entry, 'a share of %g for %s' % (share, backend), got)
                return
            except Failure:
                if not left:
                    raise

    def backend_header(self, address, port, entry):
        """Each backend's own header filter names the backend which the request reaches."""
        for _ in range(entry['times']):
            echo = check.check_once(address, port, {'path': entry['path']}).echo
            values = echo['headers'].get(entry['header'], [])
            check.expect(len(values) == 1 and echo['pod'].startswith(values[0]), entry,
                         'one %s header, naming the pod %s' % (entry['header'], echo['pod']),
                         values)

    def websocket(self, address, port, path):
        def once():
            try:
                with socket.create_connection((address, port), 5) as client:
                    talk(client, address, path)
            except OSError as error:
                raise Failure('WebSocket %s: %s' % (path, error)) from None
        eventually(once)

    # Changes.

    def newer_route(self, entry):
        """A second route, made after the one in the manifests."""
        match = {}
        if 'prefix' in entry:
            match['path'] = {'type': 'PathPrefix', 'value': entry['prefix']}
        if 'header' in entry:
            match['headers'] = [{'name': name, 'value': value}
                                for name, value in entry['header'].items()]
        rule = {'backendRefs': [{'name': 'infra-backend-v2', 'port': 8080}]}
        if match:
            rule['matches'] = [match]
        route = {'apiVersion': 'gateway.networking.k8s.io/v1', 'kind': 'HTTPRoute',
                 'metadata': {'name': entry['name'], 'namespace': INFRA,
                              'creationTimestamp': '2099-01-01T00:00:00Z'},
                 'spec': {'parentRefs': [{'name': entry['gateway']}], 'hostnames': [entry['host']],
                          'rules': [rule]}}
        self.cluster.apply('newer-' + entry['name'], yaml.safe_dump(route))

    def change(self, entry):
        """Sets, drops or appends a value of an object; its generation has to move."""
        name, item = self.cluster.find(entry['object'])
        key = full_key(entry['object'])
        before = eventually(self.cluster.status)[key]['metadata']['generation']
        node, words = item, entry['at'].split('.')
        for word in words[:-1]:
            node = node[int(word) if word.isdigit() else word]
        last = int(words[-1]) if words[-1].isdigit() else words[-1]
        if 'to' in entry:
            node[last] = copy.deepcopy(entry['to'])
        elif 'append' in entry:
            node[last].append(copy.deepcopy(entry['append']))
        else:
            del node[last][entry['drop']]
        self.cluster.rewrite(name)

        def moved():
            now = self.cluster.status()[key]['metadata']['generation']
            if now == before:
                raise Failure('%s: generation is %r before and after a change' % (key, now))
        eventually(moved)

    def delete(self, short):
        name, item = self.cluster.find(short)
        self.cluster.layers[name].remove(item)
        self.cluster.rewrite(name)

    def fill_slices(self, entry):
        """What the official test does with a client: puts pods into slices of no selector."""
        pods = [pod for pod in self.cluster.pods.running
                if pod.namespace == INFRA and pod.name.startswith(entry['of'] + '-')]
        for service in entry['services']:
            name, item = self.cluster.find('EndpointSlice/%s-ip4' % service)
            item['endpoints'] = [{'addresses': [pod.address], 'conditions': {
                'ready': True, 'serving': True, 'terminating': False}} for pod in pods]
            for family in ('ip4', 'ip6'):
                other = self.cluster.find('EndpointSlice/%s-%s' % (service, family))[1]
                other.setdefault('endpoints', [])
            self.cluster.rewrite(name)

    def plant(self, short):
        """Status of another controller, written into the manifest: it has to stay as it is."""
        name, item = self.cluster.find(short)
        condition = {'status': 'True', 'observedGeneration': 1,
                     'lastTransitionTime': '2026-01-01T00:00:00Z', 'message': ''}
        if item['kind'] == 'Gateway':
            foreign = dict(condition, type=FOREIGN, reason='Seeded')
            listener = item['spec']['listeners'][0]['name']
            item['status'] = {'conditions': [foreign], 'listeners': [
                {'name': listener, 'attachedRoutes': 0, 'supportedKinds': [],
                 'conditions': [foreign]}]}
            self.planted = foreign
        else:
            self.planted = {
                'parentRef': {'group': 'gateway.networking.k8s.io', 'kind': 'Gateway',
                              'name': 'unmanaged-gateway', 'namespace': INFRA},
                'controllerName': FOREIGN,
                'conditions': [dict(condition, type='Accepted', reason='Accepted')]}
            item['status'] = {'parents': [self.planted]}
        self.cluster.rewrite(name)
        self.kept(short)

    def kept(self, short):
        def once():
            item, status = check.select(self.cluster.status(), short)
            lists = [status.get('parents', [])] if item['kind'] != 'Gateway' else \
                [status.get('conditions', [])] + [one['conditions'] for one in
                                                  status.get('listeners', [])]
            for one in lists:
                if self.planted not in one:
                    raise Failure('%s: the status of another controller was lost or changed: %r'
                                  % (short, one))
        eventually(once)


def frame(kind, data):
    """A masked WebSocket frame of less than 126 bytes."""
    mask = os.urandom(4)
    return bytes([0x80 | kind, 0x80 | len(data)]) + mask + \
        bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def receive(client, size):
    data = b''
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise Failure('WebSocket: closed after %d of %d bytes' % (len(data), size))
        data += part
    return data


def talk(client, address, path):
    """Handshake, then a text and a binary frame that have to come back."""
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(('GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                    'Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n'
                    % (path, address, key)).encode())
    head = b''
    while b'\r\n\r\n' not in head:
        head += receive(client, 1)
    if not head.startswith(b'HTTP/1.1 101'):
        raise Failure('WebSocket %s: %s' % (path, head.split(b'\r\n')[0].decode('latin-1')))
    for kind, data in ((1, b'Websocket Support!'), (2, bytes(range(1, 8)))):
        client.sendall(frame(kind, data))
        got = receive(client, 2 + len(data))
        if got != bytes([0x80 | kind, len(data)]) + data:
            raise Failure('WebSocket %s: sent %r, got %r back' % (path, data, got))
