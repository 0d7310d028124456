"""Odd but right requests through Weft to servers others wrote: each takes them for one request and
the canary behind it for the next, as Weft did. Skipped where a server is not installed."""
import shutil
import subprocess

import pytest

from hostile import converse
from hostile_requests import all_cases
from manifest import route, rule, service
from wire import Wire, eventually

CANARY = b'GET /canary HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n'

NGINX = '''daemon off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events {} http { access_log off; client_body_temp_path %(folder)s/a; proxy_temp_path %(folder)s/b;
fastcgi_temp_path %(folder)s/c; uwsgi_temp_path %(folder)s/d; scgi_temp_path %(folder)s/e;
server { listen 127.0.0.1:%(port)d; location / { return 200 "<$request_method $request_uri>"; } } }
'''
HAPROXY = '''defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
  timeout http-request 5s
frontend all
  bind 127.0.0.1:%(port)d
  option http-buffer-request
  http-request return status 200 content-type text/plain lf-string "<%%[method] %%[pathq]>"
'''
SERVERS = {'nginx': (NGINX, ['-c']), 'haproxy': (HAPROXY, ['-db', '-f'])}


def find(name):
    return shutil.which(name) or shutil.which('/usr/sbin/' + name)


@pytest.fixture
def server(request, tmp_path, ports):
    program = find(request.param)
    if not program:
        pytest.skip('no ' + request.param)
    text, arguments = SERVERS[request.param]
    port = ports()
    path = tmp_path / 'server.conf'
    path.write_text(text % {'folder': tmp_path, 'port': port})
    running = subprocess.Popen([program, *arguments, str(path)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)

    def answers():
        try:
            Wire(port).close()
        except OSError:
            return False
        return True
    assert eventually(answers), request.param + ' does not start'
    yield port
    running.terminate()
    running.wait(10)


@pytest.mark.parametrize('server', sorted(SERVERS), indirect=True)
def test_the_server_behind_counts_requests_as_weft_does(weft, server):
    running = weft(route(rule('shop')), service('shop', server))
    problems, count = [], 0
    for kind, what, raw, expected in all_cases():
        if expected is None or b'HTTP/1.0\r\n' in raw:
            continue
        count += 1
        said = converse(running.port, raw + CANARY)
        refused = said.status is not None and 400 <= said.status < 500  # its own taste is its right
        wanted = b'<%s ' % raw.strip().split(b' ')[0]
        right = refused or raw.startswith(b'HEAD') or wanted in said.data
        if b'smuggled' in said.data or said.count > 2 or not right or \
                (said.count == 2 and b'<GET /canary>' not in said.data):
            problems.append('%s %s: %r' % (kind, what, said))
    assert count >= 70 and not problems, '\n'.join(problems)
