"""SIGUSR2 puts a new binary in the place of the running one, and nobody notices."""
import http.client
import os
import shutil
import signal
import socket
import threading
import time

import pytest

import process
from load import Wrk
from manifest import gateway, route, rule, service
from origin import Answer
from wire import Closed, Wire, ask, eventually

WEBSOCKET = {'Upgrade': 'websocket', 'Connection': 'Upgrade'}


class Prober:
    """Asks again and again, each time on a connection of its own, and keeps what was not as wanted."""

    def __init__(self, check, pause=0.005):
        self.check, self.pause = check, pause
        self.good, self.bad = 0, []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        while not self.stopping.is_set():
            try:
                found = self.check()
                if found == 200:
                    self.good += 1
                else:
                    self.bad.append(found)
            except (OSError, Closed, http.client.HTTPException) as problem:
                self.bad.append(repr(problem))
            time.sleep(self.pause)


def unix_get(path, target):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5)
        peer.connect(path)
        peer.sendall(b'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
                     % target.encode())
        answer = http.client.HTTPResponse(peer)
        answer.begin()
        answer.read()
        return answer.status


@pytest.fixture
def upgradable(wefts, ports, origin, tmp_path):
    """Weft from a binary of its own, which replace() changes on disk."""
    def start(*args):
        running = wefts()
        running.port = ports()
        running.binary = str(tmp_path / 'weft')
        shutil.copy(process.BINARY, running.binary)
        running.write(gateway(running.port), service('shop', origin), route(rule('shop')))
        return running.start(*args)
    return start


def replace(running, text=None):
    if text is None:
        shutil.copy(process.BINARY, running.binary + '.new')
    else:
        with open(running.binary + '.new', 'w', encoding='ascii') as out:
            out.write(text)
        os.chmod(running.binary + '.new', 0o755)
    os.rename(running.binary + '.new', running.binary)


def upgrade(running, number):
    before = running.children()
    replace(running)
    running.signal(signal.SIGUSR2)
    assert eventually(lambda: running.said('serves, process', number), 20), running.log()
    assert eventually(lambda: not set(before) & set(running.children()), 20), running.log()


@pytest.mark.threads
def test_ten_upgrades_under_load(upgradable, origin, ports):
    origin.answer = Answer(body=b'x' * 100)
    health, metrics = ports(), ports()
    running = upgradable('--health', '127.0.0.1:%d' % health, '--metrics', '127.0.0.1:%d' % metrics,
                         '--drain-delay', '300')
    local = {'host': '127.0.0.1'}
    ready = Prober(lambda: ask(health, 'GET', '/readyz', **local).status)
    scrape = Prober(lambda: ask(metrics, 'GET', '/metrics', **local).status, 0.02)
    admin = Prober(lambda: ask(running.admin_port, 'GET', '/status', **local).status, 0.02)
    local_socket = Prober(lambda: unix_get(running.admin_socket, '/status'), 0.02)
    fresh = Prober(lambda: running.get('/').status)
    probers = [ready, scrape, admin, local_socket, fresh]
    times = []
    with Wrk(running.port) as kept, \
            Wrk(running.port, connections=4, headers=['Connection: close']) as single, \
            ready, scrape, admin, local_socket, fresh:
        for number in range(1, 11):
            began = time.monotonic()
            upgrade(running, number)
            times.append(time.monotonic() - began)
    print('%d requests on kept connections, %d on single ones; an upgrade with the old process gone '
          'takes %.1f s' % (kept.requests, single.requests, sum(times) / len(times)))
    for prober in probers:
        assert prober.bad == [] and prober.good > 10, (probers.index(prober), prober.bad[:5])
    kept.assert_clean()
    single.assert_clean(least=50)
    assert len(running.children()) == 1 and running.process.poll() is None
    assert os.path.exists(running.admin_socket)
    assert running.stop() == 0 and not os.path.exists(running.admin_socket)


# The one that hangs takes the 10 s a new binary is given.
@pytest.mark.parametrize('words', ['exit 1', 'kill -SEGV $$',
                                   pytest.param('exec sleep 60', marks=pytest.mark.long)])
def test_an_upgrade_to_a_broken_binary_keeps_the_old(upgradable, words):
    running = upgradable()
    child = running.children()[0]
    with running.connect() as kept:
        assert kept.ask('GET', '/').status == 200
        replace(running, '#!/bin/sh\n%s\n' % words)
        with Prober(lambda: running.get('/').status) as fresh:
            running.signal(signal.SIGUSR2)
            running.logged('upgrade failed', 20)
        assert fresh.bad == []
        assert kept.ask('GET', '/').status == 200
    line = next(line for line in running.lines if 'upgrade failed' in line)
    assert running.binary in line and 'process %d goes on' % child in line, line
    assert running.children() == [child]
    assert unix_get(running.admin_socket, '/status') == 200
    # The next good one is taken.
    upgrade(running, 1)
    assert running.get('/').status == 200


def test_an_upgrade_to_a_file_that_cannot_be_executed(upgradable):
    running = upgradable()
    child = running.children()[0]
    os.unlink(running.binary)
    running.signal(signal.SIGUSR2)
    running.logged('cannot execute')
    assert eventually(lambda: running.children() == [child])
    assert running.get('/').status == 200 and unix_get(running.admin_socket, '/status') == 200


def test_what_is_long_ends_in_the_old_process(upgradable, origin):
    running = upgradable()
    old = running.children()[0]
    origin.answer = Answer(101, [('Upgrade', 'websocket'), ('Connection', 'Upgrade')])
    with running.connect() as tunnel, running.connect() as up:
        assert tunnel.ask('GET', '/', WEBSOCKET).status == 101
        origin.answer = None
        up.request('POST', '/', {'Content-Length': '4'}, b'ab')
        replace(running)
        running.signal(signal.SIGUSR2)
        running.logged('serves, process', 20)
        assert running.get('/').status == 200
        time.sleep(1.2)
        assert tunnel.send(b'still here').exactly(10) == b'still here'
        up.send(b'cd')
        found = up.response()
        assert found.status == 200 and found.json['body'] == 'abcd'
        assert old in running.children()
    assert eventually(lambda: old not in running.children()), running.log()


def test_the_configuration_changes_while_the_old_process_drains(upgradable, origin, ports):
    """What the old process still does with listeners is not in the new one's way."""
    running = upgradable()
    old = running.children()[0]
    more = ports()
    origin.answer = Answer(101, [('Upgrade', 'websocket'), ('Connection', 'Upgrade')])
    with running.connect() as tunnel:
        assert tunnel.ask('GET', '/', WEBSOCKET).status == 101
        origin.answer = None
        replace(running)
        running.signal(signal.SIGUSR2)
        running.logged('serves, process', 20)
        running.write(gateway(running.port, more), service('shop', origin), route(rule('shop')))
        assert running.becomes(lambda: answers(more), 5)
        assert 'cannot listen' not in running.log() and old in running.children()
        running.write(route(rule('nobody', prefix='/bad')), file='bad.yaml')
        running.logged('nobody')
        time.sleep(0.3)
        assert running.log().count('nobody') == 1  # told by one process
        running.remove('bad.yaml')
        running.write(gateway(running.port), service('shop', origin), route(rule('shop')))
        assert process.wait_for_port_free(more)
        assert running.get('/').status == 200
        assert tunnel.send(b'still here').exactly(10) == b'still here'


def answers(port):
    try:
        return ask(port, 'GET', '/').status == 200
    except (OSError, Closed):
        return False


def test_the_upgraded_process_is_restarted_after_a_crash(upgradable):
    running = upgradable()
    upgrade(running, 1)
    child = running.children()[0]
    os.kill(child, signal.SIGKILL)
    with Wire(running.port) as wire:
        assert wire.ask('GET', '/').status == 200
    assert running.children()[0] != child
    assert unix_get(running.admin_socket, '/status') == 200
