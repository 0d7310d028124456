"""What the hostile tests share: an origin that keeps every byte it was sent and says what one strict
reader makes of it, and a client that sends bytes as they are and tells how the connection ended.
"""
import json
import re
import socket
import threading
import time

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Dirty(Exception):
    """Bytes that a strict reader of RFC 9112 does not take for a request."""


class Seen:
    """A whole request as the origin read it."""

    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers
        self.body, self.trailers = b'', []

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Recorder:
    """An origin that keeps all bytes. `dirty` lists what a strict reader refused; `answers` are raw
    bytes to send instead of the echo, one a request; `slow` bytes come a moment after them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.bytes = b''
        self.connections = 0
        self.seen, self.dirty, self.answers = [], [], []
        self.respond = None  # callable(Seen) -> bytes
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            reader = Reader(self, peer)
            while True:
                found = reader.request()
                if found is None:
                    break
                with self.lock:
                    self.seen.append(found)
                    answer = self.answers.pop(0) if self.answers else None
                if not self.answer(peer, found, answer):
                    break
        except Dirty as problem:
            with self.lock:
                self.dirty.append(str(problem))
        except OSError:
            pass
        finally:
            peer.close()

    def answer(self, peer, found, answer):
        """An answer is bytes, or a list of bytes, numbers (seconds to wait) and None (close)."""
        if answer is None:
            answer = self.respond(found) if self.respond else echo(found)
        for part in answer if isinstance(answer, list) else [answer]:
            if part is None:
                return False
            if isinstance(part, (int, float)):
                time.sleep(part)
            else:
                peer.sendall(part)
        return True

    def mark(self):
        with self.lock:
            return len(self.bytes), len(self.seen), len(self.dirty)

    def since(self, mark):
        """(bytes, requests, refusals) since then."""
        with self.lock:
            return self.bytes[mark[0]:], self.seen[mark[1]:], self.dirty[mark[2]:]


def echo(found):
    body = json.dumps({'method': found.method, 'target': found.target, 'headers': found.headers,
                       'body': found.body.decode('latin-1')}).encode()
    return b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body)


class Reader:
    """A reader of requests to the letter: what Weft sends must never be Dirty."""

    def __init__(self, origin, peer):
        self.origin, self.peer, self.buffer = origin, peer, b''

    def fill(self):
        data = self.peer.recv(65536)
        if not data:
            return False
        self.buffer += data
        with self.origin.lock:
            self.origin.bytes += data
        return True

    def line(self):
        while b'\r\n' not in self.buffer:
            if not self.fill():
                return None
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        if b'\r' in line or b'\n' in line or b'\0' in line:
            raise Dirty('odd byte in line %r' % line)
        return line

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                return None
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part

    def fields(self):
        found = []
        while True:
            line = self.line()
            if line is None:
                return None
            if not line:
                return found
            name, colon, value = line.partition(b':')
            if not colon or not TOKEN.match(name) or re.search(rb'[\x00-\x08\x0a-\x1f\x7f]', value):
                raise Dirty('field line %r' % line)
            found.append((name.decode(), value.strip(b' \t').decode('latin-1')))

    def request(self):
        """None: the connection ended before a whole request was there."""
        line = self.line()
        if line is None:
            return None
        if not re.match(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.1\Z", line):
            raise Dirty('request line %r' % line)
        headers = self.fields()
        if headers is None:
            return None
        method, target, _ = line.decode('latin-1').split(' ')
        found = Seen(method, target, headers)
        if len(found.all('Host')) != 1:
            raise Dirty('Host %r' % found.all('Host'))
        lengths, codings = found.all('Content-Length'), found.all('Transfer-Encoding')
        if len(lengths) + len(codings) > 1:
            raise Dirty('framing %r %r' % (lengths, codings))
        if codings:
            return self.chunked(found) if codings == ['chunked'] else self.odd(found)
        if lengths:
            if not re.match(r'[0-9]+\Z', lengths[0]):
                raise Dirty('length %r' % lengths)
            body = self.exactly(int(lengths[0]))
            if body is None:
                return None
            found.body = body
        return found

    def odd(self, found):
        raise Dirty('coding %r' % found.headers)

    def chunked(self, found):
        while True:
            line = self.line()
            if line is None:
                return None
            if not re.match(rb'[0-9a-fA-F]+\Z', line):
                raise Dirty('chunk line %r' % line)
            size = int(line, 16)
            if size == 0:
                break
            data = self.exactly(size)
            end = self.exactly(2) if data is not None else None
            if end is None:
                return None
            if end != b'\r\n':
                raise Dirty('chunk end %r' % end)
            found.body += data
        trailers = self.fields()
        if trailers is None:
            return None
        found.trailers = trailers
        return found


class Said:
    """What came back on one connection until it ended, or fell silent."""

    def __init__(self, data, ended):
        self.data, self.ended = data, ended
        final = re.search(rb'HTTP/1\.[01] ([2-5][0-9]{2}) ', data)
        self.status = int(final.group(1)) if final and data.startswith(b'HTTP/1.') else None
        self.final = data[final.start():] if final else data
        self.count = len(re.findall(rb'HTTP/1\.[01] [2-5][0-9]{2} ', data))

    def __repr__(self):
        return '%s%s' % (self.data[:300], ', closed' if self.ended else ', open')


def converse(port, *pieces, silence=3.0, source=None):
    """Sends pieces (numbers are seconds to wait), then reads until the end or a long silence."""
    with socket.socket() as peer:
        if source:
            peer.bind((source, 0))
        peer.settimeout(silence)
        peer.connect(('127.0.0.1', port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data, ended = b'', False
        try:
            for piece in pieces:
                if isinstance(piece, (int, float)):
                    time.sleep(piece)
                else:
                    peer.sendall(piece)
            while True:
                got = peer.recv(65536)
                if not got:
                    ended = True
                    break
                data += got
        except (ConnectionResetError, BrokenPipeError):
            ended = True
        except (socket.timeout, TimeoutError):
            pass
        return Said(data, ended)
