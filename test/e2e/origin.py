"""A backend a test can script: a threaded HTTP/1.1 server on raw sockets. Without a script it echoes
what it saw as JSON: {"origin", "method", "target", "headers", "body", "connection"}.
"""
import json
import socket
import struct
import threading
import time


class Request:
    def __init__(self, raw, connection):
        self.raw = raw             # the head as it came
        self.connection = connection
        lines = raw.decode('latin-1').split('\r\n')
        self.method, self.target, self.version = lines[0].split(' ')
        self.headers = []
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(':')
                self.headers.append((name, value.strip()))
        self.body = b''
        self.trailers = []

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None


class Answer:
    """What to do with one request. raw: these bytes instead of all else. early: before the body is
    read. delay: seconds before. reset: True: a RST instead of an answer. cut: close after so many
    bytes of the answer. hang: never answer. pieces: a chunk a piece; trailers behind. interim: heads
    before (bytes). close: close afterwards, with `Connection: close` said."""

    def __init__(self, status=200, headers=(), body=None, delay=0, raw=None, reset=False, cut=None,
                 hang=False, pieces=None, trailers=(), interim=b'', close=False, early=False,
                 until_close=False, pause=0):
        self.status, self.headers, self.body, self.delay = status, list(headers), body, delay
        self.raw, self.reset, self.cut, self.hang = raw, reset, cut, hang
        self.pieces, self.trailers, self.interim = pieces, trailers, interim
        self.close, self.early, self.until_close, self.pause = close, early, until_close, pause


class Origin:
    def __init__(self, name='origin', port=0, answer=None, listening=True):
        self.name = name
        self.requests = []          # complete ones, in order
        self.connections = 0        # accepted so far
        self.open = 0               # now
        self.answer = answer        # Answer, or callable(whole request) -> Answer, or None: echo
        self.script = []            # Answers for the next requests, before self.answer
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.sockets = set()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', port))
        self.port = self.listener.getsockname()[1]
        if listening:
            self.listener.listen(512)
            threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        """No further connections are accepted, the open ones end."""
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            for peer in list(self.sockets):
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self):
        while not self.stopping.is_set():
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open += 1
                self.sockets.add(peer)
                number = self.connections
            threading.Thread(target=self.serve, args=(peer, number), daemon=True).start()

    def serve(self, peer, number):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            conversation = Conversation(self, peer, number)
            while conversation.one():
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open -= 1
                self.sockets.discard(peer)
            peer.close()

    def next_answer(self, request):
        with self.lock:
            return (self.script.pop(0) if self.script else self.answer) or Answer()


class Conversation:
    def __init__(self, origin, peer, number):
        self.origin, self.peer, self.number = origin, peer, number
        self.buffer = b''

    def fill(self):
        data = self.peer.recv(65536)
        if not data:
            raise OSError('closed')
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.fill()
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def exactly(self, size):
        part, self.buffer = bytearray(self.buffer[:size]), self.buffer[size:]
        while len(part) < size:
            self.fill()
            missing = size - len(part)
            part += self.buffer[:missing]
            self.buffer = self.buffer[missing:]
        return bytes(part)

    def one(self):
        """One request and its answer; False ends the connection."""
        request = Request(self.until(b'\r\n\r\n'), self.number)
        answer = self.origin.next_answer(request)
        if not callable(answer) and answer.early:
            with self.origin.lock:
                self.origin.requests.append(request)
            return self.reply(request, answer)
        if request.get('Expect'):
            self.peer.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        self.read_body(request)
        with self.origin.lock:
            self.origin.requests.append(request)
        return self.reply(request, answer(request) if callable(answer) else answer)

    def read_body(self, request):
        if request.get('Transfer-Encoding'):
            while True:
                size = int(self.until(b'\r\n').split(b';')[0], 16)
                if size == 0:
                    break
                request.body += self.exactly(size)
                assert self.exactly(2) == b'\r\n'
            while True:
                line = self.until(b'\r\n').decode('latin-1')
                if not line:
                    return
                name, _, value = line.partition(':')
                request.trailers.append((name, value.strip()))
        request.body = self.exactly(int(request.get('Content-Length') or 0))

    def reply(self, request, answer):
        if answer.delay:
            time.sleep(answer.delay)
        if answer.hang:
            self.origin.stopping.wait(60)
            return False
        if answer.reset:
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return False
        if answer.raw is not None:
            self.peer.sendall(answer.raw)
            return not answer.close
        if request.get('Upgrade') and answer.status == 101:
            return self.tunnel(answer)
        data = self.message(request, answer)
        if answer.cut is not None:
            self.peer.sendall(data[:answer.cut])
            return False
        self.peer.sendall(answer.interim)
        if answer.pause and b'\r\n\r\n' in data:
            at = data.index(b'\r\n\r\n') + 4
            self.peer.sendall(data[:at])
            time.sleep(answer.pause)
            data = data[at:]
        self.peer.sendall(data)
        said = (request.get('Connection') or '').lower()
        return not (answer.close or answer.until_close or 'close' in said)

    def message(self, request, answer):
        headers = list(answer.headers)
        body = answer.body
        if body is None and answer.pieces is None and answer.status not in (204, 304):
            body = json.dumps({
                'origin': self.origin.name, 'method': request.method, 'target': request.target,
                'headers': request.headers, 'body': request.body.decode('latin-1'),
                'trailers': request.trailers, 'connection': self.number,
            }).encode()
            headers.append(('Content-Type', 'application/json'))
        names = {name.lower() for name, _ in headers}
        if answer.pieces is not None:
            headers.append(('Transfer-Encoding', 'chunked'))
        elif answer.status not in (204, 304) and not answer.until_close \
                and 'content-length' not in names:
            headers.append(('Content-Length', str(len(body or b''))))
        if answer.close:
            headers.append(('Connection', 'close'))
        head = 'HTTP/1.1 %d Said So\r\n' % answer.status
        head += ''.join('%s: %s\r\n' % field for field in headers) + '\r\n'
        data = head.encode('latin-1')
        if request.method == 'HEAD':
            return data
        if answer.pieces is None:
            return data + (body or b'')
        for piece in answer.pieces:
            data += b'%x\r\n%s\r\n' % (len(piece), piece)
        data += b'0\r\n'
        for field in answer.trailers:
            data += ('%s: %s\r\n' % field).encode('latin-1')
        return data + b'\r\n'

    def tunnel(self, answer):
        """101, then echoes bytes until the peer closes its direction."""
        head = 'HTTP/1.1 101 Switching Protocols\r\n'
        head += ''.join('%s: %s\r\n' % field for field in answer.headers) + '\r\n'
        self.peer.sendall(head.encode())
        while True:
            if self.buffer:
                self.peer.sendall(self.buffer)
                self.buffer = b''
            data = self.peer.recv(65536)
            if not data:
                return False
            self.peer.sendall(data)
