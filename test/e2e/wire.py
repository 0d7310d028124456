"""An HTTP/1.1 client that sends exactly what a test says and shows exactly what came back."""
import json
import socket
import time

PATIENCE = 10  # seconds a test waits for bytes that must come


class Response:
    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason, self.headers = version, status, reason, headers
        self.body = b''
        self.trailers = []
        self.interim = []      # 1xx responses before this one
        self.chunks = None     # sizes, where chunked

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name):
        """The only value of a field, or None; several are a finding of their own."""
        values = self.all(name)
        assert len(values) <= 1, 'several %s: %r' % (name, values)
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def origin(self):
        """Which origin answered, where it echoed."""
        return self.json['origin'] if self.status == 200 else 'status %d' % self.status

    def seen(self, name):
        """Values of a field as the origin saw it."""
        return [value for key, value in self.json['headers'] if key.lower() == name.lower()]

    def __repr__(self):
        return '<%s %d %s %r %r>' % (self.version, self.status, self.reason, self.headers,
                                     self.body[:300])


class Closed(Exception):
    """The peer closed or reset the connection where an answer was due."""


class Wire:
    def __init__(self, port, host='127.0.0.1', receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode('latin-1') if isinstance(data, str) else data)
        return self

    def request(self, method, target, headers=(), body=b'', host='shop.example', version='1.1'):
        """Content-Length is added where there is a body and no framing of the test's own."""
        fields = list(headers.items() if isinstance(headers, dict) else headers)
        names = {name.lower() for name, _ in fields}
        if host is not None and 'host' not in names:
            fields.insert(0, ('Host', host))
        if body and not names & {'content-length', 'transfer-encoding'}:
            fields.append(('Content-Length', str(len(body))))
        head = '%s %s HTTP/%s\r\n' % (method, target, version)
        head += ''.join('%s: %s\r\n' % field for field in fields) + '\r\n'
        return self.send(head.encode('latin-1') + body)

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            raise Closed('reset, with %r left' % self.buffer[:200]) from None
        if not data:
            raise Closed('closed, with %r left' % self.buffer[:200])
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.fill()
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def exactly(self, size):
        part, self.buffer = bytearray(self.buffer[:size]), self.buffer[size:]
        while len(part) < size:
            self.fill()  # the buffer was empty: it holds this piece alone
            missing = size - len(part)
            part += self.buffer[:missing]
            self.buffer = self.buffer[missing:]
        return bytes(part)

    def head(self):
        lines = self.until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        version, status, reason = (lines[0] + ' ').split(' ', 2)
        assert version in ('HTTP/1.1', 'HTTP/1.0'), lines[0]
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(':')
            assert colon and name and name == name.strip(), 'bad field line %r' % line
            headers.append((name, value.strip()))
        return Response(version, int(status), reason.strip(), headers)

    def response(self, method='GET'):
        """The next final response with its body; checks its framing on the way."""
        interim = []
        while True:
            found = self.head()
            if found.status >= 200 or found.status == 101:
                break
            interim.append(found)
        found.interim = interim
        coding, length = found.get('Transfer-Encoding'), found.get('Content-Length')
        assert not (coding and length is not None), 'both framings: %r' % found
        if method == 'HEAD' or found.status in (101, 204, 304):
            if found.status in (101, 204):
                assert coding is None and length is None, 'framing of %d: %r' % (found.status, found)
        elif coding is not None:
            assert coding == 'chunked', coding
            self.chunked(found)
        elif length is not None:
            found.body = self.exactly(int(length))
        else:
            found.body = self.rest()
        return found

    def chunked(self, found):
        found.chunks = []
        while True:
            size = int(self.until(b'\r\n').split(b';')[0], 16)
            if size == 0:
                break
            found.chunks.append(size)
            found.body += self.exactly(size)
            assert self.exactly(2) == b'\r\n'
        while True:
            line = self.until(b'\r\n').decode('latin-1')
            if not line:
                return
            name, _, value = line.partition(':')
            found.trailers.append((name, value.strip()))

    def rest(self):
        """Everything until the peer closes."""
        try:
            while True:
                self.fill()
        except Closed:
            part, self.buffer = self.buffer, b''
            return part

    def ends(self, seconds=PATIENCE):
        """The peer closes, or resets, and nothing comes before; True, else the bytes that came."""
        self.socket.settimeout(seconds)
        try:
            self.fill()
        except Closed:
            return not self.buffer or self.buffer
        except (socket.timeout, TimeoutError):
            return 'still open'
        return self.buffer

    def is_open(self, seconds=0.2):
        """No byte and no end within this time."""
        self.socket.settimeout(seconds)
        try:
            self.fill()
        except Closed:
            return False
        except (socket.timeout, TimeoutError):
            self.socket.settimeout(PATIENCE)
            return True
        return False

    def ask(self, method, target, headers=(), body=b'', host='shop.example', **more):
        self.request(method, target, headers, body, host, **more)
        return self.response(method)


def ask(port, method, target, headers=(), body=b'', host='shop.example', **more):
    """One request on a connection of its own."""
    with Wire(port) as wire:
        return wire.ask(method, target, headers, body, host, **more)


def eventually(check, seconds=PATIENCE):
    """Calls check until it is true and returns its value; the last one if time is over."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)
