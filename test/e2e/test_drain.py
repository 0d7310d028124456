"""SIGTERM, log rotation and SIGHUP: what an operator's tools send."""
import os
import re
import signal
import time

from load import Wrk
from manifest import route, rule
from origin import Answer
from wire import Closed, Wire, ask, eventually


def readiness(port):
    try:
        return ask(port, 'GET', '/readyz', host='127.0.0.1').status
    except (OSError, Closed):
        return 'closed'


def test_sigterm_step_by_step(shop, ports):
    health = ports()
    running = shop(args=['--drain-delay', '800', '--health', '127.0.0.1:%d' % health])
    running.origin.answer = Answer(body=b'slow', delay=2)
    assert readiness(health) == 200
    with running.connect() as slow, running.connect() as kept, running.connect() as idle:
        slow.request('GET', '/')
        assert eventually(lambda: running.origin.requests)
        running.origin.answer = None
        assert kept.ask('GET', '/').status == 200 and idle.ask('GET', '/').status == 200
        began = time.monotonic()
        running.signal(signal.SIGTERM)
        # Readiness fails first, while everybody is still served and told to leave.
        assert eventually(lambda: readiness(health) == 503, 0.5)
        assert ask(health, 'GET', '/healthz', host='127.0.0.1').status == 200
        found = kept.ask('GET', '/')
        assert found.status == 200 and found.get('Connection') == 'close'
        found = running.get('/')
        assert found.status == 200 and found.get('Connection') == 'close'
        assert time.monotonic() - began < 0.7, 'too slow a machine to tell'
        # Then nothing is accepted, and what is open comes to its end.
        assert eventually(lambda: refuses(running.port), 3)
        assert 0.7 < time.monotonic() - began
        found = idle.ask('GET', '/')  # within the second idle connections are given
        assert found.status == 200 and found.get('Connection') == 'close'
        found = slow.response()
        assert found.body == b'slow' and found.get('Connection') == 'close'
    assert running.wait() == 0


def refuses(port):
    try:
        Wire(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_drain_timeout_cuts_what_does_not_end(shop):
    running = shop(args=['--drain-timeout', '500'])
    running.origin.answer = Answer(hang=True)
    with running.connect() as wire:
        wire.request('GET', '/')
        assert eventually(lambda: running.origin.requests)
        began = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.wait(5) == 0
        assert time.monotonic() - began < 3
    assert running.said('connections_cut=1')


def test_wrk_sees_no_failure_before_the_ports_close(shop):
    running = shop(args=['--drain-delay', '700'])
    running.origin.answer = Answer(body=b'x' * 100)
    with Wrk(running.port) as wrk:
        time.sleep(0.5)
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    # Refused connects, which wrk calls write errors, are as it should be by then.
    assert wrk.failed == 0 and wrk.errors.get('read', 0) == 0 and wrk.requests > 100, wrk.said


def counted(running, what):
    """Lines of the access log that this machine was too slow for: they are counted, never hidden."""
    page = ask(running.admin_port, 'GET', '/metrics', host='127.0.0.1').body.decode()
    return int(re.search(r'^weft_access_log_%s_lines_total (\d+)' % what, page, re.M).group(1))


def test_rotation_loses_no_line(shop):
    running = shop()
    running.origin.answer = Answer(body=b'x' * 100)
    rotated = []
    with Wrk(running.port) as wrk:
        for number in range(1, 6):
            time.sleep(0.2)
            rotated.append('%s.%d' % (running.access_path, number))
            os.rename(running.access_path, rotated[-1])
            running.signal(signal.SIGUSR1)
            assert eventually(lambda: os.path.exists(running.access_path), 5)
    lost = counted(running, 'lost') + counted(running, 'dropped')
    assert running.stop() == 0
    counts = []
    for path in rotated + [running.access_path]:
        with open(path, encoding='utf-8') as file:
            lines = file.readlines()
        assert all(line.startswith('{') and line.endswith('}\n') for line in lines)
        counts.append(len(lines))
    print('%d requests, lines %s, %d dropped' % (wrk.requests, counts, lost))
    # wrk ends in the midst of requests: those it did not wait for are logged all the same.
    assert wrk.requests <= sum(counts) + lost <= wrk.requests + 32
    assert all(counts[1:]) and len(running.origin.requests) == sum(counts) + lost


def test_sighup_under_load_closes_nothing(shop):
    running = shop()
    child = running.children()
    with running.connect() as kept, Wrk(running.port, connections=8) as wrk:
        for number in range(10):
            running.signal(signal.SIGHUP)
            assert kept.ask('GET', '/').status == 200
            time.sleep(0.03)
    wrk.assert_clean()
    assert running.children() == child


def test_signals_right_at_the_start_do_no_harm(shop):
    """Before the child is ready it may not yet listen to them."""
    running = shop()
    for _ in range(3):
        os.kill(running.children()[0], signal.SIGKILL)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
            running.signal(number)
        assert running.get('/').status == 200
    assert eventually(lambda: len(running.children()) == 1)


def test_sigusr2_without_a_parent_is_ignored_and_says_so(shop):
    running = shop(args=['--no-parent'])
    running.signal(signal.SIGUSR2)
    running.logged('SIGUSR2')
    assert running.get('/').status == 200


def test_sigterm_during_the_start_ends_with_0(wefts, ports):
    running = wefts()
    running.write(route(rule('nobody')))
    running.start(wait=False)
    time.sleep(0.01)
    assert running.stop() in (0, -signal.SIGTERM)
    running.expect_code = running.process.returncode
