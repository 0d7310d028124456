"""Load from wrk, and what it counted."""
import re
import signal
import subprocess


class Wrk:
    """wrk from the start of the block to its end: 2 threads and 32 kept connections by default."""

    def __init__(self, port, connections=32, threads=2, headers=(), path='/'):
        self.requests = self.failed = 0   # answered, and those of them not 2xx or 3xx
        self.errors = {}                  # connect, read, write, timeout
        self.said = ''
        self.command = ['wrk', '-t%d' % threads, '-c%d' % connections, '-d300s', '--timeout', '10s']
        for header in headers:
            self.command += ['-H', header]
        self.command.append('http://127.0.0.1:%d%s' % (port, path))

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.said = self.process.communicate(timeout=30)[0]
        found = re.search(r'(\d+) requests in', self.said)
        self.requests = int(found.group(1)) if found else 0
        found = re.search(r'Non-2xx or 3xx responses: (\d+)', self.said)
        self.failed = int(found.group(1)) if found else 0
        found = re.search(r'Socket errors: (.*)', self.said)
        for part in found.group(1).split(',') if found else ():
            kind, count = part.split()
            self.errors[kind] = int(count)

    def assert_clean(self, least=100):
        assert self.failed == 0 and not self.errors and self.requests >= least, self.said
