"""Who may reach what: spellings of a guarded path, fields that only Weft may set, and what hostile
bytes do to the access log.
"""
import json
import posixpath
import re

import pytest

from hostile import Recorder, converse
from manifest import route, rule, service
from wire import eventually

# Each is a way to write /admin/x, or something a server may take for it.
SPELLINGS = [
    '/admin', '/admin/', '/admin/x', '/%61dmin', '/%61%64%6d%69%6e', '/adm%69n/x', '/./admin',
    '/.//admin', '/x/../admin', '/x/y/../../admin', '/%2e/admin', '/x/%2e%2e/admin', '/x/.%2E/admin',
    '/x/%2e./admin/', '//admin', '///admin', '/x//../admin', '/x/..//admin', '//x/../admin',
    '/admin//', '/admin/.', '/admin/..', '/admin/../admin', '/admin/x/..', '/%2fadmin', '/%2Fadmin/x',
    '/x%2f..%2fadmin', '/x/..%2fadmin', '/x%2f../admin', '/%2e%2fadmin', '/admin%2f', '/admin%2Fx',
    '/admin%2f..%2fadmin', '/x/%2e%2e%2fadmin', '/admin;', '/admin;x', '/admin;x=y/z', '/;x/admin',
    '/;/admin', '/x/..;/admin', '/x/..;a=b/admin', '/.;/admin', '/x;/../admin', '/admin%3b',
    '/admin%3Bx', '/%3b/admin', '/admin;/x', '/x/%2e%2e;/admin', '/;x/;y/admin', '/admin;%2fx',
    '/\\admin', '/x\\..\\admin', '/admin\\x', '/%5cadmin', '/x/..%5cadmin', '/admin%5cx',
    '/admin%00', '/admin%00.html', '/admin%0a', '/admin?x', '/admin/?', '/admin#x', '/admin%23',
    '/admin%3f', '/%c0%afadmin', '/x/..%c0%afadmin', '/x/%c0%ae%c0%ae/admin', '/%e0%80%afadmin',
    '/%252e%252e/admin', '/x/%252e%252e/admin', '/%2561dmin', '/admin%20', '/admin.', '/ADMIN',
    '/x/../../admin', '/../admin', '/%2e%2e/admin', '/x/./../admin', '/admin/./x', '/admin%2e',
    'http://shop.example/admin', 'http://shop.example//admin', 'http://shop.example/x/../admin',
    'http://shop.example/%61dmin;x',
]


def decode(text):
    return re.sub('%([0-9a-fA-F]{2})', lambda found: chr(int(found.group(1), 16)), text)


def plain_reading(target):
    """RFC 3986: unreserved characters decoded, dot segments removed, nothing else."""
    path = target.split('?')[0]
    path = re.sub('%([0-9a-fA-F]{2})', lambda found: chr(int(found.group(1), 16))
                  if re.match('[A-Za-z0-9._~-]', chr(int(found.group(1), 16))) else found.group(0), path)
    out = []
    for part in path.split('/')[1:]:
        if part == '..':
            out = out[:-1]
        elif part != '.':
            out.append(part)
    return '/' + '/'.join(out)


def lenient_readings(target):
    """Servers that decode everything, take \\ for /, merge slashes and cut parameters, in the orders
    that exist."""
    path = target.split('?')[0]
    for cut_first in (True, False):
        for cut in (';[^/]*', ';.*'):
            read = re.sub(cut, '', path) if cut_first else path
            read = decode(read).replace('\\', '/')
            read = re.sub(cut, '', read, flags=re.S)
            read = read.split('\0')[0]
            yield re.sub('/+', '/', posixpath.normpath(re.sub('/+', '/', read) or '/'))


def is_admin(path):
    return path == '/admin' or path.startswith('/admin/')


@pytest.fixture
def sides():
    made = Recorder(), Recorder()
    yield made
    for item in made:
        item.stop()


@pytest.fixture
def guarded(weft, sides):
    """/admin goes to one side, all else to the other."""
    def start(*args, guard=None):
        admin, shop = sides
        running = weft(route(guard or rule('admin', prefix='/admin'), rule('shop')),
                       service('admin', admin), service('shop', shop), args=args)
        running.admin, running.shop = admin, shop
        return running
    return start


def ask_raw(running, target):
    return converse(running.port, ('GET %s HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n'
                                   % target).encode('latin-1'))


def test_no_spelling_of_a_guarded_path_slips_by(guarded):
    running = guarded()
    slips, odd, refused, decided = [], [], 0, []
    for target in SPELLINGS:
        marks = running.admin.mark(), running.shop.mark()
        said = ask_raw(running, target)
        _, at_admin, _ = running.admin.since(marks[0])
        _, at_shop, _ = running.shop.since(marks[1])
        if said.status == 400 and not at_admin and not at_shop:
            refused += 1
            continue
        if said.status != 200 or len(at_admin) + len(at_shop) != 1:
            odd.append('%s: %r' % (target, said))
            continue
        seen = (at_admin + at_shop)[0].target
        decided.append(seen.split('?')[0])
        if at_admin and not is_admin(plain_reading(seen)):
            odd.append('%s went to the guarded side as %s' % (target, seen))
        if at_shop and is_admin(plain_reading(seen)):
            slips.append('plain: %s as %s' % (target, seen))
        if at_shop and any(is_admin(path) for path in lenient_readings(seen)):
            slips.append('lenient: %s as %s' % (target, seen))
        if plain_reading(seen) != seen.split('?')[0]:
            odd.append('%s was not normal: %s' % (target, seen))
    print('spellings', {'of': len(SPELLINGS), 'refused': refused, 'slips': len(slips)})
    assert not slips and not odd, '\n'.join(slips + odd)
    assert len(SPELLINGS) >= 50
    # The log says the string that was decided on, which is the one that was forwarded.
    logged = [line['path'] for line in running.access(len(SPELLINGS)) if line['status'] == 200]
    assert sorted(logged) == sorted(decided)


@pytest.mark.parametrize('guard', [
    {'exact': '/admin'}, {'regex': '/admin(/.*)?'}, {'prefix': '/admin', 'method': 'GET'}],
    ids=['exact', 'regex', 'method'])
def test_other_kinds_of_guards_hold_too(guarded, guard):
    running = guarded(guard=rule('admin', **guard))
    slips = []
    for target in SPELLINGS:
        mark = running.shop.mark()
        ask_raw(running, target)
        for seen in running.shop.since(mark)[1]:
            readings = {plain_reading(seen.target), *lenient_readings(seen.target)}
            if '/admin' in readings and seen.target.split('?')[0].rstrip('/') != '/admin':
                slips.append('%s as %s' % (target, seen.target))
    assert not slips, '\n'.join(slips)


def test_parameters_that_change_nothing_are_kept(guarded):
    running = guarded()
    for target in ('/shop;color=red/items;page=2', '/a;b', '/x/y;jsessionid=1?z', '/a%3Bb'):
        assert ask_raw(running, target).status == 200
        assert running.shop.seen[-1].target == target
    assert ask_raw(running, '/admin/a;b/c').status == 200
    assert running.admin.seen[-1].target == '/admin/a;b/c'


def test_where_nothing_is_guarded_odd_slashes_are_kept(weft, sides):
    running = weft(route(rule('shop')), service('shop', sides[0]))
    for target in ('/@scope%2Fname', '/a//b', '/a%5Cb', '/a;b', '/admin;x'):
        assert ask_raw(running, target).status == 200
        assert sides[0].seen[-1].target == target


OURS = ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port',
        'X-Forwarded-Prefix', 'X-Forwarded-User', 'X-Forwarded-Client-Cert', 'X-Forwarded-Ssl',
        'Forwarded', 'X-Real-IP', 'X-Request-Id', 'X-Weft-Identity', 'X-Weft-', 'X-Weft-Route',
        'Traceparent', 'Tracestate']
TWINS = [name.replace('-', twin) for name in OURS if '-' in name for twin in '_.'] + [
    'X-Forwarded_For', 'X_Forwarded-For', 'x-weft_identity', 'X_Real-IP', 'x_Request-id']


def test_what_only_weft_may_say_is_never_taken_from_outside(guarded):
    running = guarded()
    problems = []
    names = [name for base in OURS + TWINS for name in (base, base.upper(), base.lower())]
    for number in range(0, len(names), 30):
        some = names[number:number + 30]
        lines = ''.join('%s: 6.6.6.6\r\n' % name for name in some)
        said = converse(running.port, (
            'GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n%s\r\n' % lines).encode())
        assert said.status == 200, said
        for name, value in running.shop.seen[-1].headers:
            if '6.6.6.6' in value:
                problems.append('%s: %s' % (name, value))
    assert not problems, '\n'.join(problems)


def test_connection_cannot_strip_what_weft_says(guarded):
    running = guarded()
    named = ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Forwarded', 'X-Request-Id',
             'Traceparent', 'Via', 'X-Weft-Identity']
    for name in named:
        said = converse(running.port, (
            'GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close, %s\r\n%s: 6.6.6.6\r\n\r\n'
            % (name, name)).encode())
        assert said.status == 200
        seen = running.shop.seen[-1]
        assert seen.all('X-Forwarded-For') == ['127.0.0.1']
        assert seen.all('X-Forwarded-Host') == ['shop.example']
        assert seen.all('X-Forwarded-Proto') == ['http']
        assert len(seen.all('Forwarded')) == len(seen.all('X-Request-Id')) == 1
        assert seen.all('Via')[-1].endswith('weft') and not seen.all('X-Weft-Identity')


def test_with_a_trusted_hop_only_the_chain_is_believed(guarded):
    running = guarded('--trusted-hops', '1')
    said = converse(running.port, (
        'GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nX-Forwarded-For: 1.1.1.1\r\n'
        'X_Forwarded_For: 6.6.6.6\r\nX-Weft-Identity: 6.6.6.6\r\n\r\n').encode())
    assert said.status == 200
    seen = running.shop.seen[-1]
    assert seen.all('X-Forwarded-For') == ['1.1.1.1, 127.0.0.1']
    assert not any('6.6.6.6' in value for _, value in seen.headers)


HOSTILE_BYTES = [b'"', b'\\', b'\\"', b'\xff\xfe', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80',
                 b'\xe2\x80\xa8', b'\xc2\x85', b'</script>', b'%0d%0a', b'\\u0000', b'{"status":200}',
                 b'\t', b"'", b'\xc3', b'\x9b31m', b'\xe2\x80\xae']
REFUSED_BYTES = [b'\r', b'\n', b'\x1b[31m', b'\0', b'\x7f', b'\r\n{"status":200}\r\n']


def test_hostile_bytes_never_break_a_line_of_the_access_log(guarded):
    running = guarded('--trusted-hops', '1')
    count = 0
    for bad in HOSTILE_BYTES + REFUSED_BYTES:
        for raw in [
                b'GET /x%s HTTP/1.1\r\nHost: shop.example\r\n' % bad,
                b'GET /?q=%s HTTP/1.1\r\nHost: shop.example\r\n' % bad,
                b'GE%sT / HTTP/1.1\r\nHost: shop.example\r\n' % bad,
                b'GET / HTTP/1.1\r\nHost: shop%s.example\r\n' % bad,
                b'GET / HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: a%sb\r\n' % bad,
                b'GET / HTTP/1.1\r\nHost: shop.example\r\nReferer: a%sb\r\n' % bad,
                b'GET / HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: a%sb\r\n' % bad,
                b'GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: a%sb\r\n' % bad,
                b'GET / HTTP/1.1\r\nHost: shop.example\r\nTraceparent: 00-%s\r\n' % bad]:
            said = converse(running.port, raw + b'Connection: close\r\n\r\n')
            assert said.status is not None and said.ended, (raw, said)
            count += said.count
    def read():
        with open(running.access_path, 'rb') as file:
            return file.read()
    assert eventually(lambda: read().count(b'\n') >= count)
    data = read()
    lines = data.split(b'\n')
    assert lines[-1] == b'' and len(lines) == count + 1
    assert not re.search(rb'[\x00-\x09\x0b-\x1f\x7f]', data)
    keys = None
    for line in lines[:-1]:
        found = json.loads(line.decode('utf-8'))  # strict: no byte that is not UTF-8
        assert isinstance(found['status'], int) and found['status'] in (200, 400, 404)
        names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
        assert len(names) == len(set(names))
        keys = set(names) if keys is None else keys & set(names)
    assert {'status', 'protocol'} <= keys
