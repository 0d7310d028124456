"""Start, reload, drain, crash, upgrade: what an operator does while others are served."""
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import process
from manifest import backend, documents, gateway, listener, route, rule, service
from origin import Answer
from wire import Closed, Wire, ask, eventually


class Load:
    """Requests without pause until stopped; counts what failed. keep: one connection for all."""

    def __init__(self, port, keep=False):
        self.port, self.keep = port, keep
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
        wire = None
        while not self.stopping.is_set():
            try:
                wire = wire or Wire(self.port)
                found = wire.ask('GET', '/')
                if found.status == 200:
                    self.good += 1
                else:
                    self.bad.append(found)
                if not self.keep or (found.get('Connection') or '').lower() == 'close':
                    wire.close()
                    wire = None
            except (OSError, Closed, AssertionError) as problem:
                self.bad.append(repr(problem))
                wire = None


def versions(weft, origins):
    one, two = origins('one'), origins('two')
    made = [service('one', one), service('two', two)]
    running = weft(made, route(rule('one')))
    return running, made


def test_a_changed_file_takes_effect(weft, origins):
    running, made = versions(weft, origins)
    assert running.get('/').origin == 'one'
    running.write(made, route(rule('two')))
    assert running.becomes(lambda: running.get('/').origin == 'two', 3)


def test_a_new_file_and_a_removed_file_take_effect(weft, origins):
    running, made = versions(weft, origins)
    running.write(route(rule('two', prefix='/more'), name='more'), file='more/more.yaml')
    assert running.becomes(lambda: running.get('/more').origin == 'two', 3)
    running.remove('more/more.yaml')
    assert running.becomes(lambda: running.get('/more').origin == 'one', 3)


def test_a_file_written_in_place_takes_effect(weft, origins):
    running, made = versions(weft, origins)
    with open(os.path.join(running.folder, 'main.yaml'), 'w', encoding='utf-8') as out:
        out.write(documents(made, route(rule('two'))))
    assert running.becomes(lambda: running.get('/').origin == 'two', 3)


def test_a_mounted_config_map_is_followed(weft, origins, ports):
    running, made = versions(weft, origins)
    running.remove()
    mount = os.path.join(running.folder, 'mount')
    for number, name in ((1, 'one'), (2, 'two')):
        data = os.path.join(mount, '..data_%d' % number)
        os.makedirs(data)
        with open(os.path.join(data, 'x.yaml'), 'w', encoding='utf-8') as out:
            out.write(documents(made, route(rule(name))))
        os.symlink('..data_%d' % number, os.path.join(mount, '..next'))
        os.rename(os.path.join(mount, '..next'), os.path.join(mount, '..data'))
        if number == 1:
            os.symlink('..data/x.yaml', os.path.join(mount, 'x.yaml'))
        assert running.becomes(
            lambda: running.get('/').status == 200 and running.get('/').origin == name, 5)


def test_sighup_reads_everything_anew(weft, origins):
    running, made = versions(weft, origins)
    running.write(made, route(rule('two')))
    running.signal(signal.SIGHUP)
    assert running.becomes(lambda: running.get('/').origin == 'two', 3)


def test_a_file_that_does_not_parse_leaves_everything_as_it_was(weft, origins):
    running, made = versions(weft, origins)
    running.write('kind: [\n')
    running.logged('main.yaml:')
    assert running.get('/').origin == 'one'
    running.write(made, route(rule('two')))
    assert running.becomes(lambda: running.get('/').origin == 'two', 3)


def test_a_bad_object_is_reported_and_the_others_apply(weft, origins):
    running, made = versions(weft, origins)
    broken = route(rule('one', prefix='no-slash'), name='broken')
    running.write(made, broken, route(rule('two')))
    running.logged('broken')
    assert running.becomes(lambda: running.get('/').origin == 'two', 3)


def test_a_reload_closes_no_connection_and_fails_no_request(weft, origins):
    running, made = versions(weft, origins)
    with Load(running.port, keep=True) as kept, Load(running.port) as fresh, \
            running.connect() as idle:
        assert idle.ask('GET', '/').status == 200
        for number in range(30):
            running.write(made, route(rule('two' if number % 2 else 'one')))
            time.sleep(0.05)
        assert idle.ask('GET', '/').status == 200
    assert kept.bad == [] and fresh.bad == [] and kept.good > 20 and fresh.good > 20


def test_a_request_under_way_keeps_the_configuration_it_began_with(weft, origins):
    running, made = versions(weft, origins)
    with running.connect() as wire:
        wire.request('POST', '/', {'Content-Length': '4'}, b'ab')
        time.sleep(0.1)
        running.write(made, route(rule('two')))
        assert running.becomes(lambda: running.get('/').origin == 'two', 3)
        wire.send(b'cd')
        assert wire.response().origin == 'one'
        assert wire.ask('GET', '/').origin == 'two'


def test_a_tunnel_outlives_reloads(shop):
    running = shop()
    running.origin.answer = Answer(101, [('Upgrade', 'websocket'), ('Connection', 'Upgrade')])
    with running.connect() as wire:
        assert wire.ask('GET', '/', {'Upgrade': 'websocket', 'Connection': 'Upgrade'}).status == 101
        running.write(route(rule('gone')))
        assert running.becomes(lambda: running.get('/').status == 500, 3)
        assert wire.send(b'still here').exactly(10) == b'still here'


def test_listeners_come_and_go_with_their_gateway(weft, origins, ports):
    running, made = versions(weft, origins)
    more = ports()
    running.write(gateway(running.port, more), file='gateway.yaml')
    assert eventually(lambda: answers(more), 5)
    running.write(gateway(running.port), file='gateway.yaml')
    assert process.wait_for_port_free(more)
    assert running.get('/').status == 200


def answers(port):
    try:
        return ask(port, 'GET', '/').status == 200
    except (OSError, Closed):
        return False


def test_a_port_in_use_is_reported_and_the_others_serve(weft, origins, ports):
    running, made = versions(weft, origins)
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        running.write(gateway(running.port, port), file='gateway.yaml')
        running.logged(':%d' % port)
        assert running.get('/').status == 200


def test_the_port_map_moves_ports(weft, origin, ports):
    real = ports()
    running = weft(gateway(listener(80)), service('shop', origin), route(rule('shop')),
                   args=['--port-map', '80:%d' % real])
    running.port = real
    assert running.get('/').status == 200


def test_ipv6_is_served_where_ipv4_is(shop):
    running = shop()
    try:
        wire = running.connect(host='::1')
    except OSError as problem:
        if not os.path.exists('/proc/net/if_inet6'):
            pytest.skip('no IPv6 on this machine')
        raise AssertionError('not bound on ::1: %s' % problem) from None
    with wire:
        found = wire.ask('GET', '/', host='[::1]:%d' % running.port)
        assert found.status == 200 and found.seen('x-forwarded-for') == ['::1']


# The end.

def test_sigterm_ends_with_0_and_open_requests_are_answered(shop):
    running = shop()
    running.origin.answer = Answer(body=b'slow', delay=1)
    with running.connect() as wire:
        wire.request('GET', '/')
        assert eventually(lambda: running.origin.requests)
        running.signal(signal.SIGTERM)
        found = wire.response()
        assert found.body == b'slow' and found.get('Connection') == 'close'
        assert wire.ends() is True
    assert running.wait() == 0
    assert process.wait_for_port_free(running.port)


def test_sigterm_closes_idle_connections_soon(shop):
    running = shop()
    with running.connect() as wire:
        assert wire.ask('GET', '/').status == 200
        running.signal(signal.SIGTERM)
        assert wire.ends() is True
    assert running.wait(5) == 0


def test_accepting_goes_on_for_the_drain_delay(shop):
    running = shop(args=['--drain-delay', '800'])
    running.signal(signal.SIGTERM)
    time.sleep(0.2)
    assert running.get('/').status == 200
    assert running.wait() == 0


def test_no_request_fails_while_draining(shop):
    running = shop(args=['--drain-delay', '500'])
    found = []

    def load():
        while True:
            try:
                wire = Wire(running.port)
            except ConnectionRefusedError:
                return
            try:
                found.append(wire.ask('GET', '/').status)
            except (OSError, Closed) as problem:
                found.append(repr(problem))
            wire.close()
    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.2)
    running.signal(signal.SIGTERM)
    thread.join()
    assert running.wait() == 0
    assert set(found) == {200} and len(found) > 10


def test_a_second_sigterm_ends_at_once(shop):
    running = shop()
    running.origin.answer = Answer(hang=True)
    running.expect_code = 128 + signal.SIGTERM
    with running.connect() as wire:
        wire.request('GET', '/')
        assert eventually(lambda: running.origin.requests)
        running.signal(signal.SIGTERM)
        time.sleep(0.3)
        assert running.process.poll() is None
        running.signal(signal.SIGTERM)
        assert running.wait(2) == 128 + signal.SIGTERM


def test_sigint_drains_too(shop):
    running = shop()
    assert running.get('/').status == 200
    running.signal(signal.SIGINT)
    assert running.wait() == 0


# Crashes and upgrades.

def test_a_killed_child_is_replaced_and_no_connect_is_refused(shop):
    running = shop()
    assert running.get('/').status == 200
    before = running.children()[0]
    os.kill(before, signal.SIGKILL)
    assert running.get('/').status == 200  # waits in the accept queue at most
    assert running.children()[0] != before
    running.logged('crashed')


def test_the_replacement_reads_the_configuration_of_now(weft, origins):
    running, made = versions(weft, origins)
    running.write(made, route(rule('two')))
    assert running.becomes(lambda: running.get('/').origin == 'two')
    os.kill(running.children()[0], signal.SIGKILL)
    assert running.get('/').origin == 'two'


def test_killing_the_parent_ends_the_child(shop):
    running = shop()
    child = running.children()[0]
    running.expect_code = -signal.SIGKILL
    running.signal(signal.SIGKILL)
    assert eventually(lambda: not os.path.exists('/proc/%d' % child))


def test_ten_upgrades_fail_no_request(wefts, ports, origin, tmp_path):
    running = wefts()
    running.port = ports()
    running.binary = str(tmp_path / 'weft')
    shutil.copy(process.BINARY, running.binary)
    running.write(gateway(running.port), service('shop', origin), route(rule('shop')))
    running.start('--drain-delay', '300')  # kept connections hear `Connection: close` in that time
    with Load(running.port, keep=True) as kept, Load(running.port) as fresh:
        for number in range(1, 11):
            before = set(running.children())
            shutil.copy(process.BINARY, running.binary + '.new')
            os.rename(running.binary + '.new', running.binary)
            running.signal(signal.SIGUSR2)
            assert eventually(lambda: running.said('serves, process', number), 20), running.log()
            assert eventually(lambda: set(running.children()) - before)
    assert kept.bad == [] and fresh.bad == [], (kept.bad[:3], fresh.bad[:3])
    assert kept.good > 10 and fresh.good > 10


def test_an_upgrade_to_a_broken_file_changes_nothing(wefts, ports, origin, tmp_path):
    running = wefts()
    running.port = ports()
    running.binary = str(tmp_path / 'weft')
    shutil.copy(process.BINARY, running.binary)
    running.write(gateway(running.port), service('shop', origin), route(rule('shop')))
    running.start()
    with open(running.binary + '.new', 'w', encoding='ascii') as out:
        out.write('#!/bin/sh\nexit 9\n')
    os.chmod(running.binary + '.new', 0o755)
    os.rename(running.binary + '.new', running.binary)
    running.signal(signal.SIGUSR2)
    running.logged('upgrade failed')
    assert running.get('/').status == 200


def test_without_a_parent_it_is_one_process(shop):
    running = shop(args=['--no-parent'])
    assert running.children() == [] and running.get('/').status == 200
    assert running.stop() == 0


# Before the start.

def test_check_names_file_and_line_of_every_problem(tmp_path):
    (tmp_path / 'a.yaml').write_text(documents(
        gateway(8080), route(rule('missing', prefix='no-slash')),
        route(rule('shop', colour='red'), name='second')))
    done = process.command('check', tmp_path)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert said.count('a.yaml:') >= 2 and 'no-slash' in said and 'colour' in said


def test_check_is_content_with_good_files_and_opens_no_port(tmp_path, origin):
    (tmp_path / 'a.yaml').write_text(documents(
        gateway(origin.port), route(rule('shop')), service('shop', origin)))
    done = process.command('check', tmp_path)  # the port is in use, and that is no matter
    assert done.returncode == 0, done.stdout + done.stderr


def test_usage_errors_exit_with_2():
    for arguments in (['run', '--no-such-option'], ['no-such-command'], ['run']):
        assert process.command(*arguments).returncode == 2, arguments


def test_a_folder_that_is_not_there_is_an_error_at_start(tmp_path):
    done = process.command('run', tmp_path / 'nowhere', '--health', 'off', '--metrics', 'off',
                           '--admin', 'off')
    assert done.returncode != 0 and 'nowhere' in done.stderr


@pytest.mark.threads
def test_wrk_sees_no_failure_while_routes_change(weft, origins):
    running, made = versions(weft, origins)
    wrk = subprocess.Popen(['wrk', '-t1', '-c16', '-d4s', 'http://127.0.0.1:%d/' % running.port],
                           stdout=subprocess.PIPE, text=True)
    for number in range(60):
        weights = [backend('one', 1 + number % 3), backend('two', 1)]
        running.write(made, route(rule(*weights)))
        time.sleep(0.05)
    said = wrk.communicate()[0]
    assert 'Socket errors' not in said and 'Non-2xx' not in said, said
