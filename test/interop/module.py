"""The Gateway API conformance module: fetched through the Go module proxy when the tests run,
checked against its sum, read from its zip; nothing of it is kept in the tree. Used by run.
"""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile

PATH, VERSION = 'sigs.k8s.io/gateway-api/conformance', 'v1.7.0'
SUM = 'h1:8Llf3aLHmeuiKA1AolOpeTIp0tmEuo6BSPOmw/w8tnk='  # as in the checksum database


class Unavailable(Exception):
    """Why the module cannot be had here, in one line."""


def fetch():
    """The path of the module's zip: $CONFORMANCE_ZIP, or what `go mod download` brings. Go refuses
    to build the module where it is older than the module wants, but downloads it all the same."""
    given = os.environ.get('CONFORMANCE_ZIP')
    if given:
        return given
    go = shutil.which('go') or shutil.which('go', path='/usr/local/go/bin:/usr/lib/go/bin')
    if not go:
        raise Unavailable('no `go` here to fetch %s with (apt-get install golang-go)' % PATH)
    with tempfile.TemporaryDirectory(prefix='weft-interop-') as folder:
        try:
            done = subprocess.run([go, 'mod', 'download', '-json', '%s@%s' % (PATH, VERSION)],
                                  cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=180, check=False,
                                  env=dict(os.environ, GOFLAGS='-mod=mod', GOTOOLCHAIN='local'))
            answer = json.loads(done.stdout or '{}')
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise Unavailable('%s: %s' % (PATH, error)) from None
    if not answer.get('Zip') or not os.path.exists(answer['Zip']):
        why = (answer.get('Error') or done.stderr or 'no answer').strip().splitlines()[0]
        raise Unavailable('%s@%s cannot be fetched: %s' % (PATH, VERSION, why))
    return answer['Zip']


def sum_of(archive):
    """Go's "h1" sum of a module zip: the hash of the sorted list of its files' hashes."""
    lines = ['%s  %s\n' % (hashlib.sha256(archive.read(name)).hexdigest(), name)
             for name in sorted(archive.namelist())]
    whole = hashlib.sha256(''.join(lines).encode()).digest()
    return 'h1:' + base64.b64encode(whole).decode()


class Module:
    def __init__(self):
        self.archive = zipfile.ZipFile(fetch())
        if sum_of(self.archive) != SUM:
            raise Unavailable('%s@%s is not what its sum says' % (PATH, VERSION))

    def manifest(self, name):
        """The text of a manifest: "base/manifests" or "tests/NAME"."""
        path = '%s@%s/%s.yaml' % (PATH, VERSION, name)
        return self.archive.read(path).decode()
