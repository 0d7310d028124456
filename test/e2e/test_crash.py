"""The child dies: another one is there at once, with the same sockets."""
import os
import signal
import statistics
import threading
import time

from load import Wrk
from origin import Answer
from wire import Closed, Wire, ask, eventually


class Connects:
    """Connects without pause: what is refused, what is answered, what is lost."""

    def __init__(self, port):
        self.port = port
        self.refused = self.answered = self.lost = 0
        self.longest_ms = 0
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
            began = time.monotonic()
            try:
                wire = Wire(self.port)
            except OSError:
                self.refused += 1
                continue
            try:
                with wire:
                    self.answered += wire.ask('GET', '/').status == 200
                    self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1000)
            except (OSError, Closed):
                self.lost += 1


def test_a_kill_each_second_refuses_no_connect(shop):
    running = shop()
    running.origin.answer = Answer(body=b'x' * 100)
    times = []
    with Wrk(running.port) as wrk, Connects(running.port) as connects:
        for number in range(1, 6):
            time.sleep(1)
            child = running.children()[0]
            began = time.monotonic()
            os.kill(child, signal.SIGKILL)
            assert eventually(lambda: running.said('weft: ready', number + 1), 5), running.log()
            times.append((time.monotonic() - began) * 1000)
        time.sleep(0.2)
    assert running.log().count('crashed') == 5, running.log()
    print('ready again after %.0f ms (median), %.0f ms (worst); lost with open requests: %s of wrk, '
          '%d of %d single ones; longest answer %.0f ms'
          % (statistics.median(times), max(times), wrk.errors, connects.lost,
             connects.answered + connects.lost, connects.longest_ms))
    assert connects.refused == 0
    # What was open at each kill is lost, and nothing else: one request a connection.
    assert wrk.errors.get('connect', 0) == 0 and wrk.errors.get('timeout', 0) == 0, wrk.said
    assert wrk.errors.get('read', 0) + wrk.errors.get('write', 0) <= 5 * 32 and wrk.failed == 0
    assert connects.lost <= 5 and connects.answered > 100
    assert max(times) < 1000


def test_every_port_and_socket_is_there_after_a_crash(shop, ports):
    health, metrics = ports(), ports()
    running = shop(args=['--health', '127.0.0.1:%d' % health,
                         '--metrics', '127.0.0.1:%d' % metrics])
    os.kill(running.children()[0], signal.SIGKILL)
    for port, target in ((health, '/readyz'), (metrics, '/metrics'),
                         (running.admin_port, '/status')):
        assert eventually(lambda: ask(port, 'GET', target, host='127.0.0.1').status == 200), target
    assert running.get('/').status == 200
    assert os.path.exists(running.admin_socket)


def test_a_child_that_crashes_again_and_again_is_started_ever_more_slowly(shop):
    running = shop()
    for number in range(1, 6):
        os.kill(running.children()[0], signal.SIGKILL)
        assert eventually(lambda: running.said('weft: ready', number + 1), 5)
    waits = [int(line.split(' in ')[1].split(' ')[0]) for line in running.lines
             if 'starting anew in' in line]
    assert waits == [0, 50, 100, 200, 400], waits
    assert running.get('/').status == 200
