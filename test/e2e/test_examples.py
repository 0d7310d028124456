"""The runnable examples do what they say."""
import os
import subprocess
import sys

import process

# The example's ports are fixed (8080, 9101 to 9106, Weft's own), so it runs in a network of its own
# where that may be made: lo is brought up, then the example takes the place of this program.
ALONE = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack('16sH14x', b'lo', 0x41))  # SIOCSIFFLAGS: UP, RUNNING
os.execv(sys.argv[1], sys.argv[1:])
"""


def alone():
    probe = ['unshare', '-n', 'true']
    try:
        able = subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        able = False
    return ['unshare', '-n', sys.executable, '-c', ALONE] if able else []


def test_the_shop_checks_clean():
    done = process.command('check', os.path.join(process.ROOT, 'examples', 'shop', 'config'))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shop_runs_once_and_all_is_as_it_should_be():
    done = subprocess.run(alone() + [os.path.join(process.ROOT, 'examples', 'shop', 'run')],
                          env=dict(os.environ, ONCE='1', WEFT=process.BINARY,
                                   **process.ENVIRONMENT),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert 'all as it should be' in done.stdout
    assert not process.FAULTS.search(done.stdout), done.stdout
