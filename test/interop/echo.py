"""Pods of the conformance manifests: echo servers, each on a loopback address of its own, all in
one thread of this process. They answer as the module's expectations read it: a JSON account of the
request and of who got it; ?delay=; /status/CODE; retry simulation; WebSocket echo on /ws.
"""
import asyncio
import base64
import hashlib
import json
import re
import threading
import urllib.parse

PORT = 3000
WEBSOCKET_KEY = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'


def seconds(text):
    match = re.fullmatch(r'([\d.]+)(ms|s|m)', text or '')
    return float(match.group(1)) * {'ms': 0.001, 's': 1, 'm': 60}[match.group(2)] if match else 0


class Request:
    def __init__(self, method, target, version, fields, body):
        self.method, self.target, self.version = method, target, version
        self.fields, self.body = fields, body
        self.path, _, query = target.partition('?')
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    def first(self, name):
        return next((value for field, value in self.fields if field.lower() == name), None)

    def headers(self):
        """Fields as Go's net/http shows them: canonical names, lists of values, no Host."""
        found = {}
        for name, value in self.fields:
            if name.lower() != 'host':
                found.setdefault(name.title(), []).append(value)
        return found


async def read_body(reader, fields):
    values = {name.lower(): value for name, value in fields}
    if values.get('transfer-encoding', '').lower() == 'chunked':
        body = b''
        while True:
            size = int((await reader.readline()).split(b';')[0], 16)
            body += (await reader.readexactly(size + 2))[:size] if size else b''
            if not size:
                while (await reader.readline()).strip():
                    pass
                return body
    return await reader.readexactly(int(values.get('content-length', 0)))


async def read_request(reader):
    """The next request, or None where the connection ends."""
    line = await reader.readline()
    if not line.strip():
        return None
    method, target, version = line.decode('latin-1').split()
    fields = []
    while True:
        line = (await reader.readline()).decode('latin-1').rstrip('\r\n')
        if not line:
            break
        name, _, value = line.partition(':')
        fields.append((name, value.strip()))
    return Request(method, target, version, fields, await read_body(reader, fields))


class Pod:
    """One replica: its name, its labels, where it listens, and the requests it has seen."""

    def __init__(self, name, namespace, labels, address, serves):
        self.name, self.namespace, self.labels = name, namespace, labels
        self.address, self.serves = address, serves
        self.seen = {}   # request target -> count
        self.tries = {}  # uuid of a retry simulation -> requests so far
        self.server = None

    async def start(self):
        if self.serves:
            self.server = await asyncio.start_server(self.serve, self.address, PORT, backlog=512)

    async def stop(self):
        if self.server:
            self.server.close()

    async def serve(self, reader, writer):
        try:
            while True:
                request = await read_request(reader)
                if request is None:
                    break
                self.seen[request.target] = self.seen.get(request.target, 0) + 1
                if request.path == '/ws' and request.first('upgrade'):
                    await self.websocket(request, reader, writer)
                    break
                await self.answer(request, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def status_of(self, request):
        """Waits as the request asks and says the status it wants."""
        query = request.query
        tries = self.tries.get(query.get('uuid'), 0)
        if 'succeedAfter' not in query:
            await asyncio.sleep(seconds(query.get('delay')))
            match = re.fullmatch(r'/status/(\d{3})', request.path)
            return int(match.group(1)) if match else 200
        self.tries[query.get('uuid')] = tries + 1
        await asyncio.sleep(seconds(query.get('delayRetry' if tries else 'delay')))
        return int(query['responseCode']) if tries < int(query['succeedAfter']) else 200

    async def answer(self, request, writer):
        status = await self.status_of(request)
        account = {'path': request.target, 'host': request.first('host') or '',
                   'method': request.method, 'proto': request.version,
                   'headers': request.headers(), 'httpPort': str(PORT),
                   'namespace': self.namespace, 'ingress': '', 'service': '', 'pod': self.name}
        body = json.dumps(account, indent=1).encode()
        lines = ['HTTP/1.1 %d Echo' % status, 'Content-Type: application/json',
                 'X-Content-Type-Options: nosniff', 'Content-Length: %d' % len(body)]
        for item in (request.first('x-echo-set-header') or '').split(','):
            name, colon, value = item.partition(':')
            if colon:
                lines.append('%s: %s' % (name.strip(), value.strip()))
        head = '\r\n'.join(lines) + '\r\n\r\n'
        writer.write(head.encode('latin-1') + (b'' if request.method == 'HEAD' else body))
        await writer.drain()

    async def websocket(self, request, reader, writer):
        """Answers the handshake and sends every frame back, unmasked."""
        key = (request.first('sec-websocket-key') or '').encode()
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_KEY).digest())
        writer.write(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
                     b'Connection: Upgrade\r\nSec-WebSocket-Accept: ' + accept + b'\r\n\r\n')
        while True:
            first, second = await reader.readexactly(2)
            size, mask = second & 0x7f, b'\0\0\0\0'
            if size > 125 or first & 0x0f == 8:
                return  # the tests send short frames
            if second & 0x80:
                mask = await reader.readexactly(4)
            data = await reader.readexactly(size)
            plain = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
            writer.write(bytes([first, size]) + plain)
            await writer.drain()


class Pods:
    """All pods; their servers run in a thread with a loop of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.running = []
        self.free = ['127.0.2.%d' % number for number in range(254, 0, -1)]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def start(self, name, namespace, labels, serves=True):
        pod = Pod(name, namespace, labels, self.free.pop(), serves)
        self.call(pod.start())
        self.running.append(pod)
        return pod

    def stop(self, pod):
        self.call(pod.stop())
        self.running.remove(pod)
        self.free.append(pod.address)

    def seen(self, deployment, namespace, target):
        """How often a request target reached pods of a Deployment."""
        return sum(pod.seen.get(target, 0) for pod in self.running
                   if pod.namespace == namespace and pod.name.startswith(deployment + '-'))

    def close(self):
        for pod in list(self.running):
            self.stop(pod)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
