"""The runnable examples do what they say."""
import os
import subprocess

import process


def test_the_shop_checks_clean():
    done = process.command('check', os.path.join(process.ROOT, 'examples', 'shop', 'config'))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shop_runs_once_and_all_is_as_it_should_be():
    """On the ports of the example, which are fixed: 8080, 9101 to 9106, and Weft's own."""
    done = subprocess.run([os.path.join(process.ROOT, 'examples', 'shop', 'run')],
                          env=dict(os.environ, ONCE='1', WEFT=process.BINARY,
                                   **process.ENVIRONMENT),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert 'all as it should be' in done.stdout
    assert not process.FAULTS.search(done.stdout), done.stdout
