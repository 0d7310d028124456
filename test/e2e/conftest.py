"""Fixtures of the end-to-end tests: real processes on loopback, each with ports of its own."""
import fcntl
import itertools
import os
import random
import socket
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

pytest.register_assert_rewrite('wire', 'process')

import manifest  # noqa: E402
import origin as origin_module  # noqa: E402
import process  # noqa: E402

# Ports are locked by file, so that test runs side by side (xdist, two checkouts) never share one.
PORT_LOCKS = os.path.join(tempfile.gettempdir(), 'weft-test-ports')
held_locks = []


def claim_port():
    os.makedirs(PORT_LOCKS, exist_ok=True)
    for port in random.sample(range(10000, 32000), 400):
        lock = open(os.path.join(PORT_LOCKS, str(port)), 'w', encoding='ascii')
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(('127.0.0.1', port))
        except OSError:
            lock.close()
            continue
        held_locks.append(lock)
        return port
    raise RuntimeError('no free port')


@pytest.fixture
def ports():
    """Call it for a port that is free and nobody else's."""
    before = len(held_locks)
    yield claim_port
    for lock in held_locks[before:]:
        lock.close()
    del held_locks[before:]


@pytest.fixture
def origins():
    """origins('v1', answer=...) starts a backend; all end with the test."""
    made = []
    numbers = itertools.count(1)

    def start(name=None, **more):
        made.append(origin_module.Origin(name or 'origin-%d' % next(numbers), **more))
        return made[-1]
    yield start
    for item in made:
        item.stop()


@pytest.fixture
def origin(origins):
    """One backend named "origin"."""
    return origins('origin')


@pytest.fixture
def wefts(tmp_path, ports):
    """wefts() makes a Weft that is not started yet; each must end cleanly."""
    if not os.path.exists(process.BINARY):
        pytest.fail('no binary %s: build it first (tools/test does)' % process.BINARY)
    made = []

    def make():
        folder = tmp_path / ('weft-%d' % len(made))
        folder.mkdir()
        made.append(process.Weft(str(folder), ports))
        return made[-1]
    yield make
    problems = []
    for item in made:
        try:
            item.finish()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, '\n'.join(problems)


@pytest.fixture
def weft(wefts, ports):
    """weft(OBJECT..., args=[...]) starts Weft with one Gateway "edge" and these objects. Where the
    objects hold a Gateway of their own, none is added."""
    def start(*objects, args=(), workers=2, wait=True):
        running = wefts()
        running.port = ports()
        given = list(manifest.flatten(objects))
        kinds = [item.get('kind') for item in given if isinstance(item, dict)]
        if 'Gateway' not in kinds:
            running.write(manifest.gateway(running.port), file='gateway.yaml')
        else:
            listeners = next(item for item in given if isinstance(item, dict)
                             and item.get('kind') == 'Gateway')['spec']['listeners']
            running.port = listeners[0]['port']
        running.write(given)
        return running.start(*args, workers=workers, wait=wait)
    return start


@pytest.fixture
def shop(weft, origin):
    """The least there is: everything goes to one origin, Service "shop"."""
    def start(*rules, args=(), workers=2, **more):
        rules = rules or (manifest.rule('shop'),)
        running = weft(manifest.route(*rules, **more), manifest.service('shop', origin),
                       args=args, workers=workers)
        running.origin = origin
        return running
    return start
