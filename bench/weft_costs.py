"""What only Weft is measured for: memory and start of the example, the cost of many routes, and how
soon a changed file is in force. Used by bench/run.
"""
import os
import socket
import statistics
import time

import loads
import peers
from peers import Trouble

PORT = peers.PORTS + 6
EXAMPLE = os.path.join(peers.ROOT, 'examples', 'shop', 'config')
EXAMPLE_BACKEND_PORT = 9101  # the catalog's, see examples/shop/config/services.yaml

GATEWAY = """apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: weft
  addresses:
  - {type: IPAddress, value: 127.0.0.1}
  listeners:
  - {name: http, port: %d, protocol: HTTP}
---
apiVersion: v1
kind: Service
metadata: {name: backend}
spec:
  ports:
  - {name: http, port: 80}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: backend, labels: {kubernetes.io/service-name: backend}}
addressType: IPv4
ports:
- {name: http, port: %d}
endpoints:
- addresses: [127.0.0.1]
""" % (PORT, peers.BACKEND_PORT)

ROUTE = """---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route-%(name)s}
spec:
  parentRefs:
  - name: edge
  %(hosts)srules:
  - matches:
    - path: {type: PathPrefix, value: /%(name)s}
    backendRefs:
    - {name: backend, port: 80}
"""


def replace(path, text):
    """Writes a file in one step, as editors and deployments do."""
    with open(path + '.part', 'w', encoding='ascii') as file:
        file.write(text)
    os.rename(path + '.part', path)


def routes_of(number, per_file, extra=()):
    """The routes of one file. The first file's have no hostname and are the ones asked for; every
    other file has a host of its own."""
    hosts = '' if number == 0 else 'hostnames: [host-%d.example]\n  ' % number
    names = ['%d-%d' % (number, index) for index in range(per_file)]
    return ''.join(ROUTE % {'name': name, 'hosts': hosts} for name in names + list(extra))


def write_folder(folder, count):
    """count routes in up to 100 files; returns the routes of each file."""
    os.makedirs(folder)
    files = min(100, max(1, count // 100))
    replace(os.path.join(folder, 'gateway.yaml'), GATEWAY)
    for number in range(files):
        replace(os.path.join(folder, 'routes-%02d.yaml' % number),
                routes_of(number, count // files))
    return count // files


class Folder:
    """Weft on a folder with so many routes. A context: it is stopped in the end."""

    def __init__(self, run, purpose, count):
        self.run, self.count = run, count
        self.path = os.path.join(run, '%s-%d' % (purpose, count))
        self.per_file = write_folder(self.path, count)
        self.peer = peers.Peer('weft', PORT, lambda run, logging: peers.weft_command(
            run, logging, self.path), lambda: '')
        self.ready_ms = 0

    def __enter__(self):
        started = time.monotonic()
        self.peer.start(self.run, False)
        try:
            peers.wait_ready(self.peer.process, PORT, self.targets()[0], name='weft')
        except Trouble:
            self.peer.stop()
            raise
        self.ready_ms = (time.monotonic() - started) * 1000
        return self

    def __exit__(self, *_):
        self.peer.stop()

    def targets(self):
        return ['/0-%d/128' % index for index in
                sorted({0, self.per_file // 3, self.per_file // 2, self.per_file - 1})]

    def change_ms(self, name):
        """From the rename of a changed file to the first right answer of its new route."""
        text = routes_of(0, self.per_file, [name])
        changed = os.path.join(self.run, 'changed.yaml')
        replace(changed, text)
        started = time.monotonic()
        os.rename(changed, os.path.join(self.path, 'routes-00.yaml'))
        wait_in_force('/%s/128' % name)
        return (time.monotonic() - started) * 1000


def wait_in_force(target, seconds=30):
    """Asks on one kept connection every half millisecond until the route answers 200."""
    request = ('GET %s HTTP/1.1\r\nHost: bench.example\r\n\r\n' % target).encode()
    end = time.monotonic() + seconds
    with socket.create_connection(('127.0.0.1', PORT), 5) as client:
        while time.monotonic() < end:
            client.sendall(request)
            answer = client.recv(65536)
            if answer.startswith(b'HTTP/1.1 200'):
                return
            if not answer:
                raise Trouble('weft closed a connection while a file changed')
            time.sleep(0.0005)
    raise Trouble('a changed file was not in force within %d s' % seconds)


def route_costs(run, counts, rounds, seconds):
    """{count: [a result of each round]} at 64 connections, interleaved over the counts."""
    found = {count: [] for count in counts}
    folders = {count: Folder(run, 'cost', count) for count in counts}
    load = loads.Load(64, '128')
    for _ in range(rounds):
        for count, folder in folders.items():
            with folder:
                loads.send(run, PORT, load, 0.5, folder.targets())
                found[count].append(loads.measure(run, folder.peer, load, seconds,
                                                  folder.targets()))
    return found


def change_times(run, count, rounds):
    """Milliseconds of each change; a first one, to warm up, is not counted."""
    with Folder(run, 'change', count) as folder:
        time.sleep(0.5)
        folder.change_ms('warm')
        times = []
        for number in range(rounds):
            time.sleep(0.5)
            times.append(folder.change_ms('new-%d' % number))
    return times


def example_once(run):
    """(exec to the first answer in ms, Rss, Anonymous) of examples/shop, everything switched on."""
    port = peers.free_port()
    command = [peers.weft_program(), 'run', EXAMPLE, '--workers', '1', '--access-log', 'off',
               '--port-map', '8080:%d' % port]
    for option in ('--admin', '--metrics', '--health'):
        command += [option, '127.0.0.1:%d' % peers.free_port()]
    with open(os.path.join(run, 'example.out'), 'ab') as out:
        started = time.monotonic()
        process = peers.start(command, peers.PROXY_CPU, stdout=out, stderr=out, cwd=run)
    try:
        peers.wait_ready(process, port, '/catalog/1', name='weft')
        ready = (time.monotonic() - started) * 1000
        time.sleep(1)
        return (ready,) + peers.memory_of(process.pid)
    finally:
        peers.stop(process)


def example(run, rounds):
    """Medians of example_once, or None where the catalog's port is taken."""
    if not peers.port_is_free(EXAMPLE_BACKEND_PORT):
        return None
    backend = loads.start_backend(run, EXAMPLE_BACKEND_PORT)
    try:
        return [statistics.median(values)
                for values in zip(*[example_once(run) for _ in range(rounds)])]
    finally:
        peers.stop(backend)
