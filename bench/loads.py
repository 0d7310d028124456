"""What the benchmark sends: h2load runs with their counts and latencies, idle connections, and the
small C programs of this folder. Used by bench/run; everything here stays on the load's CPU.
"""
import os
import re
import subprocess

import peers
from peers import Trouble


def compile_programs(run):
    """relay, backend and hold, built into the run's folder."""
    for name in ('relay', 'backend', 'hold'):
        done = subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-o',
                               os.path.join(run, name), os.path.join(peers.HERE, name + '.c')],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode:
            raise Trouble('bench/%s.c does not compile:\n%s' % (name, done.stdout))


def start_backend(run, port=peers.BACKEND_PORT):
    if not peers.port_is_free(port):
        raise Trouble('port %d, which the backend needs, is in use' % port)
    process = peers.start([os.path.join(run, 'backend'), str(port)], peers.LOAD_CPU)
    peers.wait_ready(process, port, name='the backend')
    return process


class Load:
    """One row of the table: connections, body, and a rate for all connections together (0: as fast
    as answers come)."""

    def __init__(self, connections, body, rate=0):
        self.connections, self.body, self.rate = connections, body, rate

    def name(self):
        return '%d x %s%s' % (self.connections, {'128': '128 B', '16k': '16 KiB'}[self.body],
                              ' at %d/s' % self.rate if self.rate else '')


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def parse_counts(output):
    """(requests answered 2xx, requests that failed)."""
    done = re.search(r'requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, '
                     r'(\d+) errored, (\d+) timeout', output)
    good = re.search(r'status codes: (\d+) 2xx', output)
    if not done or not good:
        raise Trouble('h2load said what is not understood:\n' + output)
    answered = int(good.group(1))
    return answered, int(done.group(1)) - answered + sum(int(done.group(i)) for i in (2, 3, 4))


def send(run, port, load, seconds, targets=None):
    """Runs h2load once: requests, failures, requests/s, p50 and p99 in milliseconds."""
    log = os.path.join(run, 'h2load.log')
    if os.path.exists(log):
        os.unlink(log)
    urls = ['http://127.0.0.1:%d%s' % (port, target) for target in targets or ['/' + load.body]]
    command = ['h2load', '--h1', '-t', '1', '-c', str(load.connections),
               '-D', '%dms' % (seconds * 1000), '--log-file', log]
    if load.rate:
        command += ['--rps', str(load.rate / load.connections)]
    process = peers.start(command + urls, peers.LOAD_CPU, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    try:
        output = process.communicate(timeout=seconds + 30)[0]
    except subprocess.TimeoutExpired:
        raise Trouble('h2load does not come to an end') from None
    finally:
        peers.stop(process)
    answered, failed = parse_counts(output)
    with open(log, encoding='ascii') as file:
        times = sorted(int(line.rsplit('\t', 1)[1]) for line in file)
    if not answered or not times:
        raise Trouble('port %d answered nothing:\n%s' % (port, output))
    return {'requests': answered, 'failed': failed, 'rate': answered / seconds,
            'p50': quantile(times, 0.5) / 1000, 'p99': quantile(times, 0.99) / 1000}


def measure(run, peer, load, seconds, targets=None):
    """One run against a proxy, with the CPU of all its processes: microseconds per request."""
    before = peers.cpu_of(peer.process.pid)
    result = send(run, peer.port, load, seconds, targets)
    user, system = peers.cpu_between(before, peers.cpu_of(peer.process.pid))
    result['user'] = user / result['requests']
    result['system'] = system / result['requests']
    result['cpu'] = result['user'] + result['system']
    return result


class Held:
    """Idle keep-alive connections that have each served one request."""

    def __init__(self, run, port, count):
        self.process = peers.start([os.path.join(run, 'hold'), str(port), str(count), '/128'],
                                   peers.LOAD_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        self.count = self.said()

    def said(self):
        words = self.process.stdout.readline().split()
        return int(words[1]) if len(words) == 2 else 0

    def open_now(self):
        """How many the proxy has not closed."""
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return self.said()

    def release(self):
        self.process.stdin.close()
        self.process.stdout.close()
        peers.stop(self.process)
