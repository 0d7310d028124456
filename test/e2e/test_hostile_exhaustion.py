"""Clients that hold on to what others need: idle and slow ones by the hundred, bodies and answers that
are never taken. Whoever behaves is served all the while, and memory stays bounded.
"""
import shutil
import socket
import subprocess
import threading
import time

import pytest

from hostile import converse
from manifest import route, rule, service
from origin import Answer
from wire import Wire, eventually

GET = b'GET /good HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n'


class Canary:
    """A well-behaved client beside everything: counts what it asked and what it got."""

    def __init__(self, port, source='127.0.0.1'):
        self.port, self.source = port, source
        self.asked, self.problems, self.slowest = 0, [], 0.0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                said = converse(self.port, GET, silence=5, source=self.source)
                if said.status != 200:
                    self.problems.append(repr(said))
            except OSError as problem:
                self.problems.append(repr(problem))
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.asked += 1
            time.sleep(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(10)

    def check(self, least=10):
        assert not self.problems, '%d of %d failed: %s' % (
            len(self.problems), self.asked, self.problems[:5])
        assert self.asked >= least, self.asked


class Crowd:
    """Connections from one source, each sending a piece at the start and, one a tick, another."""

    def __init__(self, port, count, source, first=b'', drip=None, receive_buffer=None):
        self.drip, self.members = drip, []
        for _ in range(count):
            member = socket.socket()
            if receive_buffer:
                member.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            member.bind((source, 0))
            member.settimeout(5)
            member.connect(('127.0.0.1', port))
            try:
                member.sendall(first)
            except OSError:
                pass
            member.setblocking(False)
            self.members.append(member)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.close()

    def go_on(self, seconds, tick=0.1):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for member in self.members:
                if self.drip:
                    try:
                        member.send(self.drip)
                    except OSError:
                        pass
            time.sleep(tick)

    def answers(self):
        """What each has got by now; None where its connection still stands without a byte."""
        found = []
        for member in self.members:
            try:
                data = member.recv(65536)
            except BlockingIOError:
                data = None
            except OSError:
                data = b''
            found.append(data)
        return found


def resident(running):
    """KiB of the parent and its child."""
    total = 0
    for pid in [running.process.pid, *running.children()]:
        with open('/proc/%d/status' % pid, encoding='ascii') as file:
            for line in file:
                if line.startswith('VmRSS'):
                    total += int(line.split()[1])
    return total


@pytest.fixture
def edge(weft, origin):
    def start(*args, workers=1, **more):
        running = weft(route(rule('shop', **more)), service('shop', origin), args=args,
                       workers=workers)
        running.origin = origin
        return running
    return start


def test_idle_connections_lock_nobody_out_and_the_greediest_source_pays(edge):
    running = edge('--max-connections', '50')
    kept = []
    for _ in range(5):  # a second client with a handful of connections it goes on using
        with_one = Wire(running.port)
        assert with_one.ask('GET', '/first').status == 200
        kept.append(with_one)
    with Canary(running.port, '127.0.0.3') as canary:
        with Crowd(running.port, 200, '127.0.0.2') as crowd:
            eventually(lambda: canary.asked >= 20, 10)
            closed = sum(answer is not None for answer in crowd.answers())
            assert closed >= 150, closed
            for wire in kept:
                assert wire.ask('GET', '/again').status == 200
    canary.check(20)
    for wire in kept:
        wire.close()


def test_half_sent_heads_lock_nobody_out(edge):
    running = edge('--max-connections', '50')
    with Canary(running.port) as canary:
        with Crowd(running.port, 200, '127.0.0.2', b'GET / HTTP/1.1\r\nHost: shop.example\r\n',
                   b'X: a\r\n') as crowd:
            crowd.go_on(1.5)
    canary.check(10)


def test_slow_heads_end_with_408_and_its_reason(edge):
    running = edge('--header-timeout', '700')
    with Canary(running.port) as canary:
        with Crowd(running.port, 100, '127.0.0.2', b'GET / HTTP/1.1\r\nHost: shop.example\r\n',
                   b'X: a\r\n') as crowd:
            crowd.go_on(2)
            answers = crowd.answers()
    canary.check()
    assert all(answer and b' 408 ' in answer and b'header_timeout' in answer for answer in answers), \
        answers[:3]
    assert running.origin.requests and all(item.target == '/good' for item in running.origin.requests)


def test_one_byte_at_a_time_is_timed_from_the_first(edge):
    running = edge('--header-timeout', '600')
    started = time.monotonic()
    with Wire(running.port) as wire:
        for byte in b'GET / HTTP/1.1\r\nHost: shop.example\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa':
            try:
                wire.send(bytes([byte]))
            except OSError:
                break
            time.sleep(0.03)
        assert wire.response().status == 408
    assert time.monotonic() - started < 3


def test_slow_bodies_end_with_408_and_its_reason(edge):
    running = edge('--body-timeout', '500')
    with Canary(running.port) as canary:
        with Crowd(running.port, 100, '127.0.0.2',
                   b'POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000000\r\n\r\n',
                   b'x') as crowd:
            crowd.go_on(2)
            answers = crowd.answers()
    canary.check()
    assert all(answer and b' 408 ' in answer and b'body_timeout' in answer for answer in answers), \
        answers[:3]


def test_readers_that_do_not_read_hold_little_and_are_cut(edge):
    running = edge('--body-timeout', '1500')
    big = b'x' * (64 << 20)

    def answer(request):
        return Answer(body=big if request.target == '/big' else b'small')
    running.origin.answer = answer
    assert running.get('/small').status == 200
    before = resident(running)
    with Canary(running.port) as canary:
        with Crowd(running.port, 30, '127.0.0.2',
                   b'GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n', receive_buffer=4096) as crowd:
            time.sleep(1)
            grown = resident(running) - before
            assert grown < 30 * 512, 'grew by %d KiB' % grown
            assert eventually(lambda: all('slow_reader' in str(line.get('reason')) for line in
                                          [item for item in lines(running) if item['path'] == '/big'])
                              and sum(item['path'] == '/big' for item in lines(running)) == 30, 15)
            assert crowd.members
    canary.check()


def lines(running):
    return running.access(1)


def upload(port, size, outcomes, source='127.0.0.1'):
    try:
        said = converse(port, b'POST /up HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n'
                        b'Content-Length: %d\r\n\r\n' % size, b'x' * size, silence=60, source=source)
        outcomes.append(said.status)
    except OSError as problem:
        outcomes.append(repr(problem))


def post_many(running, count, at_once, size=1 << 20):
    outcomes, slots = [], threading.Semaphore(at_once)
    threads = []
    peak = 0

    def one():
        upload(running.port, size, outcomes)
        slots.release()
    for _ in range(count):
        slots.acquire()
        threads.append(threading.Thread(target=one, daemon=True))
        threads[-1].start()
        peak = max(peak, resident(running)) if len(threads) % 16 == 0 else peak
    for thread in threads:
        thread.join(60)
    return outcomes, peak


@pytest.mark.parametrize('count', [200, pytest.param(1000, marks=pytest.mark.long)])
def test_uploads_with_retry_hold_what_a_retry_needs_and_no_more(edge, count):
    running = edge(retry={'codes': [503], 'attempts': 3})
    running.origin.answer = Answer(body=b'ok')
    assert running.get('/').status == 200
    before = resident(running)
    outcomes, peak = post_many(running, count, 20)
    assert outcomes == [200] * count, [item for item in outcomes if item != 200][:5]
    assert peak - before < 48 << 10, 'grew by %d KiB' % (peak - before)


def test_uploads_to_an_origin_that_takes_none_are_held_back(weft, origin):
    """300 uploads of 1 MB, with retry on, to a socket that never reads: each holds its bounded buffer."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.bind(('127.0.0.1', 0))
    deaf.listen(512)
    running = weft(route(rule('deaf', retry={'codes': [503], 'attempts': 3}, prefix='/up'),
                         rule('shop')),
                   service('deaf', deaf.getsockname()[1]), service('shop', origin),
                   workers=1)
    assert running.get('/').status == 200
    before = resident(running)
    with Canary(running.port) as canary:
        with Crowd(running.port, 300, '127.0.0.2',
                   b'POST /up HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000000\r\n\r\n',
                   b'x' * 65536) as crowd:
            crowd.go_on(1.5)
            grown = resident(running) - before
    canary.check()
    assert grown < 300 * 300, 'grew by %d KiB' % grown
    deaf.close()


@pytest.mark.parametrize('status, reason, raw', [
    (414, b'request_line_too_long', b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: a\r\n\r\n'),
    (431, b'head_too_large', b'GET / HTTP/1.1\r\nHost: a\r\nX: ' + b'a' * 70000 + b'\r\n\r\n'),
    (431, b'too_many_fields', b'GET / HTTP/1.1\r\nHost: a\r\n' + b'X: a\r\n' * 101 + b'\r\n'),
    (413, b'body_too_large', b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n'),
    (413, b'body_too_large', b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
     b'3e9\r\n' + b'x' * 1001 + b'\r\n0\r\n\r\n'),
    (408, b'header_timeout', b'GET / HTTP/1.1\r\nHost: a\r\n'),
    (408, b'body_timeout', b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx')],
    ids=lambda value: str(value)[:20])
def test_limits_say_which_they_are(edge, status, reason, raw):
    running = edge('--max-body', '1000', '--header-timeout', '400', '--body-timeout', '400')
    said = converse(running.port, raw)
    assert said.status == status and reason in said.data and said.ended, said
    assert running.access(1)[-1]['reason'] == reason.decode()
    assert running.get('/after').status == 200


def test_a_body_that_is_too_large_is_never_read_as_requests(edge):
    running = edge('--max-body', '50')
    smuggled = b'GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n' * 2
    for framing, body in [(b'Transfer-Encoding: chunked', b'%x\r\n%s\r\n0\r\n\r\n' % (
            len(smuggled), smuggled)), (b'Content-Length: %d' % len(smuggled), smuggled)]:
        head = b'POST / HTTP/1.1\r\nHost: shop.example\r\n%s\r\n\r\n' % framing
        for pieces in ([head + body], [head, 0.05, body], [head + body[:-20], 0.05, body[-20:]],
                       [head + body[:6], 0.05, body[6:]]):
            said = converse(running.port, *pieces)
            assert said.status == 413 and said.count == 1 and said.ended, said
    assert not any(item.target == '/smuggled' for item in running.origin.requests)


MODES = {'headers': ['-H', '-i', '1'], 'body': ['-B', '-i', '1', '-s', '8192'],
         'range': ['-R', '-a', '1', '-b', '500'], 'read': ['-X', '-w', '16', '-y', '64', '-n', '1', '-z', '8']}


@pytest.mark.long
@pytest.mark.parametrize('mode', sorted(MODES))
def test_in_service_under_slowhttptest_with_defaults(edge, mode):
    tool = shutil.which('slowhttptest')
    if not tool:
        pytest.skip('no slowhttptest')
    running = edge()
    body = b'x' * (1 << 20)
    running.origin.answer = lambda request: Answer(body=body if request.target == '/big' else b'ok')
    with Canary(running.port) as canary:
        subprocess.run([tool, *MODES[mode], '-c', '400', '-r', '200', '-l', '12', '-p', '3', '-u',
                        'http://127.0.0.1:%d/big' % running.port], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=False)
    canary.check(50)
    assert canary.slowest < 2, canary.slowest
