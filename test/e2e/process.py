"""The weft binary as a process: its configuration folder, its ports, its end."""
import ctypes
import json
import os
import re
import signal
import subprocess
import threading
import time

from manifest import documents
from wire import Wire, ask, eventually

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get('WEFT') or os.path.join(ROOT, 'build-test', 'src', 'cli', 'weft')
FAULTS = re.compile(r'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|'
                    r'MemorySanitizer|this must hold and does not')
ENVIRONMENT = {
    'ASAN_OPTIONS': 'abort_on_error=1:detect_leaks=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1',
}


def die_with_the_test():
    """In the child: a test run that is killed leaves no gateway behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def command(*arguments, **more):
    """Runs `weft ARGUMENTS` to its end."""
    done = subprocess.run([BINARY] + [str(item) for item in arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                          env=dict(os.environ, **ENVIRONMENT), **more)
    assert not FAULTS.search(done.stderr), done.stderr
    return done


class Weft:
    """`weft run` on a folder of its own. port is the first port given; files change with write()."""

    def __init__(self, folder, ports, binary=BINARY):
        self.folder = os.path.join(folder, 'config')
        os.makedirs(self.folder, exist_ok=True)
        self.binary = binary
        self.ports = ports
        self.port = None
        self.admin_port = ports()
        self.admin_socket = os.path.join(folder, 'admin.sock')
        self.access_path = os.path.join(folder, 'access.log')
        self.lines = []
        self.process = None
        self.expect_code = 0
        self.expect_faults = False

    def write(self, *objects, file='main.yaml'):
        """Replaces a file of the configuration in one step, as editors and deployments do."""
        path = os.path.join(self.folder, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + '.part', 'w', encoding='utf-8') as out:
            out.write(documents(*objects))
        os.rename(path + '.part', path)
        return path

    def remove(self, file='main.yaml'):
        os.unlink(os.path.join(self.folder, file))

    def start(self, *arguments, workers=2, wait=True):
        given = ['run', self.folder, '--workers', str(workers), '--health', 'off',
                 '--metrics', 'off', '--admin', '127.0.0.1:%d' % self.admin_port,
                 '--admin-socket', self.admin_socket, '--access-log', self.access_path]
        if '--drain-delay' not in arguments:
            given += ['--drain-delay', '0']
        self.process = subprocess.Popen(
            [self.binary] + given + [str(item) for item in arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace',
            env=dict(os.environ, **ENVIRONMENT), preexec_fn=die_with_the_test)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if wait:
            assert eventually(lambda: self.said('weft: ready') or self.process.poll() is not None,
                              30), 'not ready:\n' + self.log()
            assert self.said('weft: ready'), 'ended before it was ready:\n' + self.log()
        return self

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def log(self):
        return ''.join(list(self.lines))

    def said(self, words, times=1):
        return self.log().count(words) >= times

    def logged(self, words, seconds=10):
        """Waits for words on stderr."""
        assert eventually(lambda: self.said(words), seconds), \
            '"%s" was not said:\n%s' % (words, self.log())
        return True

    def children(self):
        path = '/proc/%d/task/%d/children' % (self.process.pid, self.process.pid)
        with open(path, encoding='ascii') as file:
            return [int(word) for word in file.read().split()]

    def access(self, count=1, seconds=5):
        """The first lines of the access log, at least `count`."""
        def lines():
            try:
                with open(self.access_path, encoding='utf-8') as file:
                    found = [json.loads(line) for line in file if line.endswith('\n')]
            except FileNotFoundError:
                return None
            return found if len(found) >= count else None
        found = eventually(lines, seconds)
        assert found, 'fewer than %d lines in the access log' % count
        return found

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=15):
        """SIGTERM, and the exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=15):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for pid in self.children():
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            raise AssertionError('did not end within %d s:\n%s' % (seconds, self.log())) from None
        self.reader.join(5)
        return code

    def finish(self):
        """What every test asserts in the end: a clean exit and no word of a sanitizer."""
        if self.process is None:
            return
        code = self.stop()
        faults = [line for line in self.lines if FAULTS.search(line)]
        assert self.expect_faults or not faults, self.log()
        assert code == self.expect_code, 'exit code %r:\n%s' % (code, self.log())

    # Asking.

    def connect(self, **more):
        return Wire(self.port, **more)

    def ask(self, method, target, headers=(), body=b'', host='shop.example', **more):
        return ask(more.pop('port', self.port), method, target, headers, body, host, **more)

    def get(self, target, headers=(), host='shop.example', **more):
        return self.ask('GET', target, headers, b'', host, **more)

    def becomes(self, check, seconds=10):
        """A change takes effect: check(), which asks, becomes true and stays so. Each worker takes a
        plan up in its own turn, so that one of them answers by the new one says little."""
        assert eventually(lambda: all(check() for _ in range(8)), seconds), \
            'the change has no effect:\n' + self.log()
        return True


def wait_for_port_free(port, seconds=5):
    def is_free():
        try:
            Wire(port).close()
        except OSError:
            return True
        return False
    return eventually(is_free, seconds)


def nap(seconds):
    time.sleep(seconds)
