"""What a cluster does for its manifests, done with files: pods of Deployments (echo.py),
EndpointSlices of Services, and a folder of manifests which Weft watches. Used by run
and steps.py.
"""
import json
import os
import subprocess
import tempfile
import time

import yaml

import echo

INFRA = 'gateway-conformance-infra'
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLASS, CONTROLLER = 'weft', 'weft.dev/gateway-controller'
POOL = ['127.0.1.%d' % number for number in range(1, 65)]
USABLE, UNUSABLE = '127.0.1.200', '203.0.113.77'  # of the test of static addresses


class Failure(Exception):
    """What was expected and what came instead."""


def eventually(check, limit=5.0):
    """Runs check until it raises no Failure; the last one counts when time is up."""
    end = time.monotonic() + limit
    while True:
        try:
            return check()
        except Failure:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


def key_of(item):
    """kind/namespace/name; kind/name for what has no namespace."""
    parts = [item['kind'], item['metadata'].get('namespace'), item['metadata']['name']]
    return '/'.join(part for part in parts if part)


def full_key(short):
    """Names of the tables: kind/name means the namespace of the infrastructure."""
    parts = short.split('/')
    return short if len(parts) == 3 or parts[0] == 'GatewayClass' else \
        '%s/%s/%s' % (parts[0], INFRA, parts[1])


def documents(text):
    return [item for item in yaml.safe_load_all(text) if item]


class Cluster:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix='weft-interop-')
        self.config = os.path.join(self.folder.name, 'config')
        os.mkdir(self.config)
        self.socket = os.path.join(self.folder.name, 'admin.sock')
        self.pods = echo.Pods()
        self.layers = {}    # file name -> its objects
        self.of_layer = {}  # file name -> its pods
        self.process = None

    # Files.

    def write(self, name, text):
        path = os.path.join(self.config, name + '.yaml')
        with open(path + '.part', 'w', encoding='utf-8') as file:
            file.write(text)
        os.rename(path + '.part', path)

    def apply(self, name, text):
        """Puts a file of manifests in force, as it is, with the pods and slices it calls for."""
        for word, value in (('{GATEWAY_CLASS_NAME}', CLASS), ('{GATEWAY_CONTROLLER_NAME}',
                            CONTROLLER), ('PLACEHOLDER_USABLE_ADDRS', USABLE),
                            ('PLACEHOLDER_UNUSABLE_ADDRS', UNUSABLE)):
            text = text.replace(word, value)
        self.remove(name)
        self.layers[name] = documents(text)
        self.start_pods(name)
        self.write_slices()
        self.write(name, text)

    def remove(self, name):
        if name in self.layers:
            os.unlink(os.path.join(self.config, name + '.yaml'))
            del self.layers[name]
            for pod in self.of_layer.pop(name):
                self.pods.stop(pod)
            self.write_slices()

    def start_pods(self, name):
        self.of_layer[name] = started = []
        for item in self.layers[name]:
            if item['kind'] != 'Deployment':
                continue
            template = item['spec']['template']
            variables = template['spec']['containers'][0].get('env', [])
            serves = not any(one['name'] == 'TCP_ECHO_SERVER' for one in variables)
            for number in range(item['spec'].get('replicas', 1)):
                started.append(self.pods.start(
                    '%s-%d' % (item['metadata']['name'], number),
                    item['metadata']['namespace'], template['metadata']['labels'], serves))

    def write_slices(self):
        """An EndpointSlice for every Service with a selector, as the control plane of Kubernetes
        would write it."""
        slices = []
        for item in [one for layer in self.layers.values() for one in layer]:
            selector = item['kind'] == 'Service' and item['spec'].get('selector')
            if selector:
                slices.append(self.slice_of(item, selector))
        self.write('slices', yaml.safe_dump_all(slices))

    def slice_of(self, service, selector):
        namespace = service['metadata']['namespace']
        pods = [pod for pod in self.pods.running if pod.namespace == namespace and
                selector.items() <= pod.labels.items()]
        ports = [dict({'port': port['targetPort'], 'protocol': port.get('protocol', 'TCP')},
                      **{key: port[key] for key in ('name', 'appProtocol') if key in port})
                 for port in service['spec']['ports']]
        return {'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice',
                'metadata': {'name': service['metadata']['name'] + '-made', 'namespace': namespace,
                             'labels': {'kubernetes.io/service-name': service['metadata']['name']}},
                'addressType': 'IPv4', 'ports': ports,
                'endpoints': [{'addresses': [pod.address], 'conditions': {'ready': True}}
                              for pod in pods]}

    def find(self, short):
        """(file name, object) of a key."""
        for name, layer in self.layers.items():
            for item in layer:
                if key_of(item) == full_key(short):
                    return name, item
        raise Failure('%s is in no manifest' % short)

    def rewrite(self, name):
        """Writes a file anew after its objects were changed."""
        self.write(name, yaml.safe_dump_all(self.layers[name], sort_keys=False))

    # Weft.

    def start(self):
        command = [self.program, 'run', self.config, '--workers', '1', '--admin', 'off',
                   '--metrics', 'off', '--health', 'off', '--access-log', 'off',
                   '--admin-socket', self.socket, '--address-per-gateway']
        for address in POOL:
            command += ['--address-pool', address]
        self.log = open(os.path.join(self.folder.name, 'weft.log'), 'w+b')
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log,
                                        start_new_session=True)
        eventually(self.started, 10)

    def started(self):
        if not self.alive():
            raise SystemExit('interop: Weft ended with code %d:\n%s'
                             % (self.process.returncode, self.said()))
        self.status()

    def alive(self):
        return self.process.poll() is None

    def said(self):
        """The last lines of Weft's log."""
        self.log.flush()
        with open(self.log.name, encoding='utf-8', errors='replace') as file:
            return ''.join(file.readlines()[-20:])

    def status(self):
        """key -> {metadata, status} as `weft status` tells it."""
        done = subprocess.run([self.program, 'status', '-o', 'json', '--admin-socket', self.socket],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=10, check=False)
        if done.returncode:
            raise Failure('weft status: %s' % done.stderr.strip())
        return {key_of(item): item for item in json.loads(done.stdout)['items']}

    def close(self):
        if self.process and self.alive():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.terminate()  # a second one ends at once
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        self.pods.close()
        self.folder.cleanup()
