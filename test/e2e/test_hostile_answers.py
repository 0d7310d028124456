"""Malformed answers of an origin: the client gets 502, or an answer that visibly breaks off; never the
answer as if it were whole. Their connection is never used again, so nothing an origin adds reaches the
next client.
"""
import json
import socket
import threading
import time

import pytest

from hostile import Recorder, converse
from manifest import route, rule, service

SMUGGLED = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSMUGGLED'


def ask_for(target, method='GET', *fields):
    lines = ['%s %s HTTP/1.1' % (method, target), 'Host: shop.example', *fields]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


def answer(*fields, line=b'HTTP/1.1 200 OK', body=b''):
    return b'\r\n'.join([line, *fields]) + b'\r\n\r\n' + body


FIVE = b'Content-Length: 5'
CHUNKED = b'Transfer-Encoding: chunked'


def status_lines():
    for line in [b'HTTP/1.1 20 OK', b'HTTP/1.1 2000 OK', b'HTTP/1.1 abc OK', b'HTTP/1.1 +20 OK',
                 b'HTTP/1.1 600 OK', b'HTTP/1.1 099 OK', b'HTTP/1.1 000 OK', b'HTTP/1.1 2 0 OK',
                 b'HTTP/1.1  200 OK', b'HTTP/1.1\t200 OK', b'HTTP/1.1', b'HTTP/1.1 ', b'HTTP/2 200 OK',
                 b'HTTP/2.0 200 OK', b'HTTP/1.11 200 OK', b'http/1.1 200 OK', b' HTTP/1.1 200 OK',
                 b'ICY 200 OK', b'200 OK', b'junk', b'\x16\x03\x03', b'HTTP/1.1 200\tOK',
                 b'HTTP/1.1 200 O\rK', b'HTTP/1.1 200 O\0K', b'HTTP/1.1 200 O\x01K', b'HTTP/1.1 200 OK\r',
                 b'HTTP/1.1 200 OK\nX: a', b'GET / HTTP/1.1', b'HTTP/1.1 200,200 OK',
                 b'HTTP/1.1 200 ' + b'a' * 9000]:
        yield 'status line %r' % line[:30], answer(FIVE, line=line, body=b'hello')
    yield 'LF behind the status line', b'HTTP/1.1 200 OK\n' + FIVE + b'\r\n\r\nhello'
    yield 'LF only', b'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'
    yield 'empty line before', b'\r\n' + answer(FIVE, body=b'hello')


def field_lines():
    for line in [b'X: a\n', b'X: a\nY: b', b'X: a\rY: b', b'X: a\r', b'X: a\r\n b', b'X:\r\n\tb', b'X : a',
                 b'X\t: a', b' X: a', b': a', b'X', b'X: \0', b'X: \x01', b'X: \x7f', b'X\xc3: a', b'X Y: a',
                 b'X(: a', b'X: a\x0bb', b'HTTP/1.1 200 OK',
                 b'\r\n'.join(b'X-%d: a' % n for n in range(101)), b'X: ' + b'a' * 70000]:
        yield 'field line %r' % line[:30], answer(line, FIVE, body=b'hello')


def framings():
    for fields in [(FIVE, CHUNKED), (CHUNKED, FIVE), (FIVE, FIVE), (FIVE, b'Content-Length: 6'),
                   (b'Content-Length: 5, 5',), (b'Content-Length: 5,6',), (b'Content-Length: +5',),
                   (b'Content-Length: -5',), (b'Content-Length: 0x5',), (b'Content-Length:',),
                   (b'Content-Length: 5 5',), (b'Content-Length: 5a',), (b'Content-Length : 5',),
                   (b'Content-Length: 18446744073709551621',), (b'Content-Length: 9223372036854775808',),
                   (b'Transfer-Encoding: gzip, chunked',), (b'Transfer-Encoding: identity',),
                   (b'Transfer-Encoding: xchunked',), (b'Transfer-Encoding: chunked, identity',),
                   (b'Transfer-Encoding:',), (CHUNKED, CHUNKED), (b'Transfer-Encoding: chunked\x0b',),
                   (b'Transfer-Encoding:\x0bchunked',), (b'Transfer-Encoding : chunked',),
                   (FIVE, b'Connection: Content-Length'), (FIVE, b'Connection: a b')]:
        yield 'framing %s' % b', '.join(fields).decode('latin-1'), answer(
            *fields, body=b'5\r\nhello\r\n0\r\n\r\n')
    yield 'chunks in HTTP/1.0', answer(CHUNKED, line=b'HTTP/1.0 200 OK', body=b'1\r\na\r\n0\r\n\r\n')
    for status in (b'204 No', b'103 Hint', b'100 Go'):
        yield status.decode() + ' with chunks', answer(
            CHUNKED, line=b'HTTP/1.1 ' + status, body=b'5\r\nhello\r\n0\r\n\r\n')
        yield status.decode() + ' with a length', answer(FIVE, line=b'HTTP/1.1 ' + status, body=b'hello')
    yield 'unasked 101', answer(b'Upgrade: websocket', b'Connection: upgrade', line=b'HTTP/1.1 101 S')
    yield 'unasked 101 of nothing', answer(line=b'HTTP/1.1 101 S')
    yield 'bad head behind 100', answer(line=b'HTTP/1.1 100 Go') + b'junk\r\n\r\n'
    yield 'nothing but empty lines', b'\r\n' * 20


def bodies():
    for body in [b'zz\r\nhello\r\n', b'-5\r\nhello\r\n', b'0x5\r\nhello\r\n', b'5 \r\nhello\r\n',
                 b' 5\r\nhello\r\n', b'\r\nhello\r\n', b'5\nhello\r\n', b'5\r\nhello\n', b'5\r\nhelloo\r\n',
                 b'5\r\nhello', b'10000000000000005\r\nhello\r\n', b'8000000000000000\r\nhello\r\n',
                 b'5;a\nb\r\nhello\r\n', b'5;\r\nhello\r\n', b'5;a="\r\n"\r\nhello\r\n']:
        yield 'chunk %r' % body[:24], answer(CHUNKED, body=body + b'0\r\n\r\n')
    for trailer in [b'X : a\r\n', b'X: a\r\n b\r\n', b'X: a\n', b': a\r\n', b'X\r\n', b'X: \0\r\n',
                    b'Content-Length: 5\r\n', b'Transfer-Encoding: chunked\r\n', b'Set-Cookie: a=b\r\n']:
        yield 'trailer %r' % trailer, answer(CHUNKED, body=b'5\r\nhello\r\n0\r\n' + trailer + b'\r\n')


def cut_short():
    yield 'length not delivered', [answer(b'Content-Length: 50', body=b'hello'), None]
    yield 'no last chunk', [answer(CHUNKED, body=b'5\r\nhello\r\n'), None]
    yield 'chunk not delivered', [answer(CHUNKED, body=b'50\r\nhello'), None]
    yield 'trailers not ended', [answer(CHUNKED, body=b'5\r\nhello\r\n0\r\nX: a\r\n'), None]
    yield 'head not ended', [b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', None]
    yield 'nothing', [None]
    yield 'interim only', [answer(line=b'HTTP/1.1 100 Go'), None]


MALFORMED = [*status_lines(), *field_lines(), *framings(), *bodies(), *cut_short()]


def extras():
    """Answers that are right, with something behind them: (what, method, fields, answer)."""
    five = answer(FIVE, body=b'hello')
    yield 'behind a length, at once', 'GET', (), [five + SMUGGLED]
    yield 'behind a length, later', 'GET', (), [five, 0.05, SMUGGLED]
    yield 'behind a length, with the rest of it', 'GET', (), [five[:-2], 0.05, b'lo' + SMUGGLED]
    yield 'behind a length, after the rest of it', 'GET', (), [five[:-2], 0.05, b'lo', 0.05, SMUGGLED]
    yield 'behind a long one', 'GET', (), [
        answer(b'Content-Length: 300000', body=b'x' * 300000) + SMUGGLED]
    yield 'behind a long one, later', 'GET', (), [
        answer(b'Content-Length: 300000', body=b'x' * 300000), 0.1, SMUGGLED]
    yield 'behind chunks', 'GET', (), [answer(CHUNKED, body=b'5\r\nhello\r\n0\r\n\r\n' + SMUGGLED)]
    yield 'behind chunks, later', 'GET', (), [
        answer(CHUNKED, body=b'5\r\nhello\r\n'), 0.05, b'0\r\n\r\n', 0.05, SMUGGLED]
    yield 'behind chunks, with the last', 'GET', (), [
        answer(CHUNKED, body=b'5\r\nhello\r\n'), 0.05, b'0\r\n\r\n' + SMUGGLED]
    yield 'behind 204', 'GET', (), [answer(line=b'HTTP/1.1 204 No') + SMUGGLED]
    yield 'behind 304', 'GET', (), [answer(FIVE, line=b'HTTP/1.1 304 Same') + SMUGGLED]
    yield 'behind 304, later', 'GET', (), [answer(FIVE, line=b'HTTP/1.1 304 Same'), 0.05, SMUGGLED]
    yield 'behind HEAD', 'HEAD', (), [answer(FIVE) + SMUGGLED]
    yield 'a body for HEAD', 'HEAD', (), [answer(FIVE, body=b'hello') + SMUGGLED]
    yield 'a body for HEAD, later', 'HEAD', (), [answer(FIVE), 0.05, b'hello' + SMUGGLED]
    yield 'behind length 0', 'GET', (), [answer(b'Content-Length: 0') + SMUGGLED]
    yield 'one byte', 'GET', (), [five + b'x']
    yield 'an empty line', 'GET', (), [five + b'\r\n']
    yield 'behind a refused upgrade', 'GET', ('Connection: upgrade', 'Upgrade: websocket'), [
        five + SMUGGLED]
    yield 'behind an interim head', 'GET', (), [answer(line=b'HTTP/1.1 103 Hint') + five + SMUGGLED]
    yield 'a second interim head late', 'GET', (), [five, 0.05, answer(line=b'HTTP/1.1 103 Hint') + SMUGGLED]
    yield 'without keep-alive, of HTTP/1.0', 'GET', (), [
        answer(FIVE, line=b'HTTP/1.0 200 OK', body=b'hello') + SMUGGLED]


@pytest.fixture
def edge(weft):
    recorder = Recorder()

    def start(*args):
        running = weft(route(rule('shop')), service('shop', recorder), args=args, workers=1)
        running.recorder = recorder
        return running
    yield start
    recorder.stop()


def is_whole(data, method='GET'):
    """Whether a reader of one response would take it for complete."""
    head, mark, body = data.partition(b'\r\n\r\n')
    if not mark:
        return False
    lower = head.lower()
    if method == 'HEAD' or b' 204 ' in head[:13] or b' 304 ' in head[:13]:
        return True
    if b'transfer-encoding: chunked' in lower:
        return body.endswith(b'0\r\n\r\n') or b'\r\n0\r\n' in body
    for line in lower.split(b'\r\n'):
        if line.startswith(b'content-length:'):
            return len(body) >= int(line.split(b':')[1])
    return True


def next_ones_are_their_own(running, what):
    """Three requests afterwards, each answered with what it asked for."""
    for number in range(3):
        target = '/after-%d' % number
        said = converse(running.port, ask_for(target, 'GET', 'Connection: close'))
        if b'SMUGGLED' in said.data or said.status != 200:
            return '%s: the next one got %r' % (what, said)
        if json.loads(said.data.split(b'\r\n\r\n', 1)[1])['target'] != target:
            return '%s: the next one got the answer of another: %r' % (what, said)
    return None


def test_no_malformed_answer_is_passed_on(edge):
    running = edge('--idle-timeout', '1000')
    recorder, problems, refused, broken = running.recorder, [], 0, 0
    for what, raw in MALFORMED:
        parts = raw if isinstance(raw, list) else [raw, 0.01, SMUGGLED]
        recorder.answers = [parts]
        before = recorder.connections
        said = converse(running.port, ask_for('/x', 'POST', 'Connection: close'), silence=2)
        if said.status == 502 and said.count == 1 and is_whole(said.final):
            refused += 1
        elif said.ended and not is_whole(said.final):
            broken += 1
        else:
            problems.append('%s: %r' % (what, said))
        problem = next_ones_are_their_own(running, what)
        if problem:
            problems.append(problem)
        elif recorder.connections == before:
            problems.append('%s: its connection served again' % what)
    print('malformed answers', {'502': refused, 'broken off': broken, 'of': len(MALFORMED)})
    assert not problems, '\n'.join(problems)
    assert refused + broken == len(MALFORMED) >= 49 and broken < 30


def test_what_an_origin_adds_to_an_answer_reaches_nobody(edge):
    running = edge()
    recorder, problems = running.recorder, []
    for what, method, fields, parts in extras():
        recorder.answers = [parts]
        said = converse(running.port, ask_for('/x', method, 'Connection: close', *fields), silence=3)
        if said.status not in (200, 204, 304) or not said.ended or b'SMUGGLED' in said.data:
            problems.append('%s: %r' % (what, said))
        late = any(isinstance(part, float) for part in parts)
        if late:
            converse(running.port, ask_for('/wait', 'GET', 'Connection: close'), silence=3)
            time.sleep(0.15)
        problem = next_ones_are_their_own(running, what)
        if problem:
            problems.append(problem)
    assert not problems, '\n'.join(problems)


def test_an_answer_before_the_whole_request_frees_no_connection(edge):
    """The origin answers early and keeps reading: what is left of the body must not be read as the
    next request, so the connection goes."""
    running = edge()
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(8)
    served = []

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse_early, args=(peer,), daemon=True).start()

    def converse_early(peer):
        data = b'-'
        while data:
            try:
                data = peer.recv(65536)
                served.append(data)
                if b' HTTP/1.1\r\n' in data:
                    peer.sendall(answer(FIVE, body=b'early'))
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    running.write(route(rule('shop')), service('shop', listener.getsockname()[1]))
    running.becomes(lambda: running.get('/').body == b'early')
    served.clear()
    smuggled = ask_for('/smuggled')
    said = converse(running.port, b'POST /up HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100\r\n\r\n',
                    b'part', 0.2, smuggled, 0.1, ask_for('/next'), silence=2)
    assert said.count == 1 and said.ended and said.data.endswith(b'early')
    assert running.get('/other').body == b'early'
    assert not any(data.startswith(b'GET /smuggled') or b'\r\n\r\nGET /next' in data for data in served)
    assert sum(data.startswith(b'POST /up') for data in served) == 1
    assert any(data.startswith(b'GET /other') for data in served)
    listener.close()
