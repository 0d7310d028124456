"""HTTP/1.1 on both sides (RFC 9110, RFC 9112): framing, connections, hop-by-hop fields, interim
responses, upgrades."""
import time

import pytest

from manifest import route, rule, service
from origin import Answer
from wire import Closed, eventually


def test_a_connection_serves_many_requests(shop):
    running = shop()
    with running.connect() as wire:
        for number in range(20):
            assert wire.ask('GET', '/%d' % number).json['target'] == '/%d' % number
        assert wire.is_open()


def test_upstream_connections_are_kept_and_reused(shop):
    running = shop(workers=1)
    for _ in range(10):
        assert running.get('/').status == 200
    assert running.origin.connections == 1


def test_pipelined_requests_are_answered_in_order(shop):
    running = shop()
    running.origin.script = [Answer(200, body=b'first', delay=0.2), Answer(200, body=b'second'),
                             Answer(200, body=b'third')]
    with running.connect() as wire:
        wire.send(b''.join(b'GET /%d HTTP/1.1\r\nHost: shop.example\r\n\r\n' % n
                           for n in range(3)))
        assert [wire.response().body for _ in range(3)] == [b'first', b'second', b'third']


def test_a_pipelined_body_does_not_leak_into_the_next_request(shop):
    running = shop()
    with running.connect() as wire:
        wire.send(b'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET '
                  b'POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
                  b'3\r\nabc\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n')
        found = [wire.response().json for _ in range(3)]
    assert [(item['method'], item['target'], item['body']) for item in found] == [
        ('POST', '/a', 'GET '), ('POST', '/b', 'abc'), ('GET', '/c', '')]


def test_requests_arriving_byte_by_byte_are_understood(shop):
    running = shop()
    with running.connect() as wire:
        for byte in b'POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' \
                    b'2\r\nab\r\n0\r\n\r\n':
            wire.send(bytes([byte]))
        assert wire.response().json['body'] == 'ab'


def test_chunked_requests_arrive_whole_with_trailers(shop):
    running = shop()
    found = running.ask('POST', '/', {'Transfer-Encoding': 'chunked', 'Trailer': 'X-Sum'},
                        b'5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n')
    assert found.json['body'] == 'hello world'
    assert found.json['trailers'] == [['X-Sum', '11']]
    assert found.seen('content-length') == []


def test_chunked_responses_arrive_whole_with_trailers(shop):
    running = shop()
    running.origin.answer = Answer(pieces=[b'a' * 3000, b'b', b'c' * 70000],
                                   trailers=[('X-Sum', '1')], headers=[('Trailer', 'X-Sum')])
    with running.connect() as wire:
        for _ in range(2):
            found = wire.ask('GET', '/')
            assert found.body == b'a' * 3000 + b'b' + b'c' * 70000
            assert found.trailers == [('X-Sum', '1')]


def test_a_body_until_close_reaches_a_1_1_client_framed(shop):
    running = shop()
    running.origin.answer = Answer(until_close=True, body=b'x' * 5000)
    with running.connect() as wire:
        for _ in range(2):
            assert wire.ask('GET', '/').body == b'x' * 5000
    assert running.origin.connections == 2  # such a connection is not reused


@pytest.mark.parametrize('size', [0, 1, 16383, 16384, 65536, 1048576, 5000000])
def test_bodies_of_any_size_pass_both_ways(shop, size):
    running = shop()
    body = bytes(range(256)) * (size // 256) + b'x' * (size % 256)
    running.origin.answer = lambda request: Answer(body=request.body)
    found = running.ask('PUT', '/', {'Content-Length': str(size)}, body)
    assert found.status == 200 and found.body == body


def test_head_responses_have_the_fields_and_no_body(shop):
    running = shop()
    running.origin.answer = Answer(headers=[('Content-Length', '1234'), ('X-A', 'b')], body=b'')
    with running.connect() as wire:
        found = wire.ask('HEAD', '/')
        assert found.get('Content-Length') == '1234' and found.get('X-A') == 'b'
        running.origin.answer = None
        assert wire.ask('GET', '/next').json['target'] == '/next'


@pytest.mark.parametrize('status, headers', [(204, []), (304, [('ETag', '"a"')])])
def test_responses_without_body_leave_the_connection_usable(shop, status, headers):
    running = shop()
    running.origin.script = [Answer(status, headers)]
    with running.connect() as wire:
        found = wire.ask('GET', '/')
        assert (found.status, found.body) == (status, b'')
        assert wire.ask('GET', '/').status == 200


def test_expect_continue_is_answered_before_the_body_comes(shop):
    running = shop()
    with running.connect() as wire:
        wire.request('POST', '/', {'Expect': '100-continue', 'Content-Length': '4'})
        assert wire.head().status == 100
        wire.send(b'body')
        assert wire.response().json['body'] == 'body'


def test_a_final_answer_instead_of_continue_leaves_no_doubt_about_the_body(shop):
    running = shop()
    running.origin.script = [Answer(403, body=b'no', early=True, close=True)]
    with running.connect() as wire:
        wire.request('POST', '/', {'Expect': '100-continue', 'Content-Length': '4'})
        found = wire.response()
        assert [head.status for head in found.interim] in ([], [100])
        assert found.status == 403
        if found.get('Connection') == 'close':
            assert wire.ends() is True
        else:  # then the body is still to come, and is never taken for a request
            wire.send(b'body')
            assert wire.ask('GET', '/next').json['target'] == '/next'


def test_interim_responses_are_passed_on(shop):
    running = shop()
    hint = b'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'
    running.origin.answer = Answer(interim=hint + hint)
    found = running.get('/')
    assert [(head.status, head.get('Link')) for head in found.interim] == \
        [(103, '</a.css>; rel=preload')] * 2
    assert found.status == 200


def test_interim_responses_are_kept_from_1_0_clients(shop):
    running = shop()
    running.origin.answer = Answer(interim=b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
    found = running.get('/', version='1.0')
    assert found.interim == [] and found.status == 200


def test_upgrades_become_tunnels(shop):
    running = shop()
    running.origin.answer = Answer(101, [('Upgrade', 'websocket'), ('Connection', 'Upgrade'),
                                         ('Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')])
    with running.connect() as wire:
        found = wire.ask('GET', '/chat', {
            'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ=='})
        assert found.status == 101
        assert found.get('Upgrade') == 'websocket'
        assert found.get('Connection').lower() == 'upgrade'
        assert found.get('Sec-WebSocket-Accept') == 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
        for piece in (b'\x81\x05hello', b'\x00' * 100000):
            assert wire.send(piece).exactly(len(piece)) == piece
    assert eventually(lambda: running.origin.open == 0)  # the tunnel ends on both sides


def test_a_refused_upgrade_is_an_ordinary_answer(shop):
    running = shop()
    with running.connect() as wire:
        found = wire.ask('GET', '/', {'Upgrade': 'websocket', 'Connection': 'Upgrade'})
        assert found.status == 200
        assert found.seen('upgrade') == ['websocket']
        assert wire.ask('GET', '/').status == 200


def test_an_unasked_101_is_502(shop):
    running = shop()
    running.origin.script = [Answer(raw=b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n'
                                        b'Connection: Upgrade\r\n\r\n', close=True)]
    assert running.get('/').status == 502


def test_1_0_clients_get_an_answer_they_understand_and_a_close(weft, origin):
    running = weft(route(rule('shop')), service('shop', origin))
    origin.answer = Answer(pieces=[b'abc', b'de'])
    with running.connect() as wire:
        found = wire.ask('GET', '/', version='1.0')
        assert found.status == 200 and found.body == b'abcde'
        assert found.get('Transfer-Encoding') is None
        assert wire.ends() is True


def test_1_0_without_host_reaches_routes_without_hostname_only(weft, origin):
    running = weft(route(rule('shop', prefix='/open'), name='open'),
                   route(rule('shop', prefix='/named'), name='named', hosts=['shop.example']),
                   service('shop', origin))
    assert running.get('/open', host=None, version='1.0').status == 200
    assert running.get('/named', host=None, version='1.0').status == 404


def test_1_0_keep_alive_is_honoured_when_asked_for(shop):
    running = shop()
    with running.connect() as wire:
        found = wire.ask('GET', '/', {'Connection': 'keep-alive'}, version='1.0')
        assert found.status == 200
        if (found.get('Connection') or '').lower() == 'keep-alive':
            assert wire.ask('GET', '/', version='1.0').status == 200
        else:
            assert wire.ends() is True


def test_connection_close_is_obeyed(shop):
    running = shop()
    with running.connect() as wire:
        found = wire.ask('GET', '/', {'Connection': 'close'})
        assert found.status == 200 and found.get('Connection') == 'close'
        assert wire.ends() is True


def test_absolute_form_is_served_and_goes_on_in_origin_form(shop):
    running = shop(hosts=['shop.example'])
    found = running.get('http://shop.example/a?b')
    assert found.json['target'] == '/a?b' and found.seen('host') == ['shop.example']


def test_asterisk_form_of_options_reaches_the_origin(shop):
    running = shop()
    assert running.ask('OPTIONS', '*').json['target'] == '*'


@pytest.mark.parametrize('method, target', [('TRACE', '/'), ('CONNECT', 'shop.example:80')])
def test_connect_and_trace_are_refused(shop, method, target):
    running = shop()
    found = running.ask(method, target, host='shop.example:80' if method == 'CONNECT'
                        else 'shop.example')
    assert found.status == 405
    assert running.origin.requests == []


@pytest.mark.parametrize('method', ['PATCH', 'PROPFIND', 'M-SEARCH', 'get', 'X' * 30, "!#$%&'*+"])
def test_any_method_token_is_forwarded(shop, method):
    assert shop().ask(method, '/').json['method'] == method


def test_hop_by_hop_fields_stay_on_their_hop(shop):
    running = shop()
    running.origin.answer = lambda request: Answer(headers=[
        ('Connection', 'X-Private, keep-alive'), ('X-Private', '1'), ('Keep-Alive', 'timeout=5'),
        ('Proxy-Authenticate', 'Basic'), ('X-Public', '2')])
    found = running.get('/', {'Connection': 'X-Mine, close', 'X-Mine': '1', 'Keep-Alive': '1',
                              'Proxy-Connection': 'keep-alive', 'TE': 'trailers, gzip',
                              'Proxy-Authorization': 'x', 'X-Yours': '2'})
    for name in ('x-mine', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'upgrade'):
        assert found.seen(name) == [], name
    assert found.seen('te') in ([], ['trailers'])
    assert found.seen('x-yours') == ['2']
    assert found.all('X-Private') == [] and found.all('Keep-Alive') == []
    assert found.all('X-Public') == ['2']


def test_connection_may_not_strip_what_a_hop_needs(shop):
    found = shop().get('/', {'Connection': 'Host, X-Forwarded-For, close'})
    assert found.status in (200, 400)
    if found.status == 200:
        assert found.seen('host') == ['shop.example']
        assert found.seen('x-forwarded-for') == ['127.0.0.1']


def test_several_values_of_a_field_keep_their_order(shop):
    running = shop()
    running.origin.answer = lambda request: Answer(headers=[('Set-Cookie', 'a=1'),
                                                            ('Set-Cookie', 'b=2')])
    found = running.get('/', [('X-A', '1'), ('X-B', 'x'), ('X-A', '2')])
    assert found.seen('x-a') == ['1', '2']
    assert found.all('Set-Cookie') == ['a=1', 'b=2']


def test_forwarding_fields_are_made_and_an_untrusted_peers_are_dropped(shop):
    running = shop()
    found = running.get('/', {'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Proto': 'https',
                              'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Port': '1',
                              'Forwarded': 'for=6.6.6.6', 'X-Real-IP': '6.6.6.6'})
    assert found.seen('x-forwarded-for') == ['127.0.0.1']
    assert found.seen('x-forwarded-proto') == ['http']
    assert found.seen('x-forwarded-host') == ['shop.example']
    assert found.seen('x-forwarded-port') == [str(running.port)]
    assert '6.6.6.6' not in str(found.json['headers'])
    assert len(found.seen('x-request-id')) == 1 and len(found.seen('x-request-id')[0]) >= 16
    assert len(found.seen('traceparent')) == 1


def test_request_ids_differ(shop):
    running = shop()
    seen = {running.get('/').seen('x-request-id')[0] for _ in range(5)}
    assert len(seen) == 5


@pytest.mark.parametrize('raw', [
    b'junk\r\n\r\n',
    b'HTTP/1.1 20 OK\r\n\r\n',
    b'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX-Large: ' + b'x' * 70000 + b'\r\n\r\n',
    b'',
], ids=lambda raw: repr(raw[:48]))
def test_malformed_upstream_answers_are_502(shop, raw):
    running = shop()
    running.origin.script = [Answer(raw=raw, close=True), Answer(raw=raw, close=True)]
    found = running.get('/')
    assert found.status == 502 and found.get('Proxy-Status'), found
    running.origin.script = []
    assert running.get('/after').status == 200


@pytest.mark.parametrize('raw', [
    b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n',
], ids=['length', 'chunk', 'chunk size'])
def test_a_response_cut_short_is_seen_as_cut_by_the_client(shop, raw):
    running = shop()
    running.origin.script = [Answer(raw=raw, close=True)]
    with running.connect() as wire:
        wire.request('GET', '/')
        with pytest.raises(Closed):
            found = wire.response()
            raise AssertionError('taken for whole: %r' % found)


def test_bytes_behind_an_answer_are_never_the_next_answer(shop):
    running = shop(workers=1)
    running.origin.script = [Answer(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
                                        b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')]
    with running.connect() as wire:
        assert wire.ask('GET', '/').body == b'ok'
        time.sleep(0.05)
        assert wire.ask('GET', '/next').json['target'] == '/next'
    assert running.origin.connections == 2


def test_an_early_answer_does_not_poison_the_next_request(shop):
    running = shop(workers=1)
    running.origin.script = [Answer(200, body=b'early', early=True)]
    with running.connect() as wire:
        wire.request('POST', '/', {'Content-Length': '100000'}, b'x' * 100)
        assert wire.response().body == b'early'
    assert running.get('/next').json['target'] == '/next'


def test_a_client_that_leaves_ends_the_upstream_exchange(shop):
    running = shop()
    running.origin.answer = Answer(hang=True)
    with running.connect() as wire:
        wire.request('GET', '/')
        assert eventually(lambda: running.origin.open == 1)
    running.origin.answer = None
    assert running.get('/').status == 200


def anonymous_kb(pid):
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        return int(next(line for line in file if 'RssAnon' in line).split()[1])


def test_a_slow_reader_does_not_make_weft_hold_the_body(shop):
    running = shop(workers=1)
    assert running.get('/').status == 200
    child = running.children()[0]
    before = anonymous_kb(child)
    running.origin.answer = Answer(body=b'x' * 64000000)
    with running.connect(receive_buffer=4096) as wire:
        wire.request('GET', '/')
        time.sleep(0.5)
        held = anonymous_kb(child) - before
        assert wire.response().body == b'x' * 64000000
    assert held < 8000, 'kB held'  # of the body's 62,500
