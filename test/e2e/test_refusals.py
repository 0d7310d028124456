"""What Weft refuses: ambiguous or malformed requests, each with its status and a named reason, never
repaired; limits."""
import pytest

from wire import Closed

HOST = b'Host: shop.example\r\n'


def head(line=b'GET / HTTP/1.1', fields=HOST, more=b''):
    return line + b'\r\n' + fields + more + b'\r\n'


CHUNKED = b'Transfer-Encoding: chunked\r\n'

# (what, bytes, status, reason). Reasons are words of the reply's Proxy-Status or body.
BAD_HEADS = [
    ('length with encoding', head(b'POST / HTTP/1.1', HOST, b'Content-Length: 5\r\n' + CHUNKED)
     + b'0\r\n\r\n', 400, 'length_and_encoding'),
    ('encoding with length', head(b'POST / HTTP/1.1', HOST, CHUNKED + b'Content-Length: 5\r\n')
     + b'0\r\n\r\n', 400, 'length_and_encoding'),
    ('two lengths', head(b'POST / HTTP/1.1', HOST, b'Content-Length: 1\r\nContent-Length: 2\r\n')
     + b'ab', 400, 'several_lengths'),
    ('two equal lengths', head(b'POST / HTTP/1.1', HOST, b'Content-Length: 1\r\n' * 2) + b'a', 400,
     'several_lengths'),
    ('length list', head(b'POST / HTTP/1.1', HOST, b'Content-Length: 1, 1\r\n') + b'a', 400,
     'length'),
    ('length with plus', head(b'POST / HTTP/1.1', HOST, b'Content-Length: +1\r\n') + b'a', 400,
     'bad_length'),
    ('negative length', head(b'POST / HTTP/1.1', HOST, b'Content-Length: -1\r\n'), 400,
     'bad_length'),
    ('hexadecimal length', head(b'POST / HTTP/1.1', HOST, b'Content-Length: 0x1\r\n') + b'a', 400,
     'bad_length'),
    ('empty length', head(b'POST / HTTP/1.1', HOST, b'Content-Length:\r\n'), 400, 'bad_length'),
    ('huge length', head(b'POST / HTTP/1.1', HOST, b'Content-Length: 99999999999999999999\r\n'),
     400, 'bad_length'),
    ('unknown encoding', head(b'POST / HTTP/1.1', HOST, b'Transfer-Encoding: xchunked\r\n'),
     400, 'bad_encoding'),
    ('two encodings', head(b'POST / HTTP/1.1', HOST, b'Transfer-Encoding: gzip, chunked\r\n'),
     400, 'bad_encoding'),
    ('encoding twice', head(b'POST / HTTP/1.1', HOST, CHUNKED * 2), 400, 'bad_encoding'),
    ('identity', head(b'POST / HTTP/1.1', HOST, b'Transfer-Encoding: identity\r\n'), 400,
     'bad_encoding'),
    ('encoding in 1.0', head(b'POST / HTTP/1.0', HOST, CHUNKED), 400, 'encoding_in_1_0'),
    ('folded line', head(more=b'X: a\r\n b\r\n'), 400, 'obs_fold'),
    ('fold at once', head(fields=b' X: a\r\n' + HOST), 400, ''),
    ('bare LF behind the request line', b'GET / HTTP/1.1\n' + HOST + b'\r\n', 400, 'bad_line_end'),
    ('bare LF behind a field', head(more=b'X: a\nY: b\r\n'), 400, 'bad_line_end'),
    ('bare CR in a value', head(more=b'X: a\rb\r\n'), 400, 'bad_line_end'),
    ('NUL in a value', head(more=b'X: a\x00b\r\n'), 400, 'nul_byte'),
    ('control byte in a value', head(more=b'X: a\x01b\r\n'), 400, 'bad_field_value'),
    ('space before the colon', head(more=b'X : a\r\n'), 400, 'space_before_colon'),
    ('tab before the colon', head(more=b'X\t: a\r\n'), 400, 'space_before_colon'),
    ('empty name', head(more=b': a\r\n'), 400, 'bad_field_name'),
    ('name with a space', head(more=b'X Y: a\r\n'), 400, 'space_before_colon'),
    ('name with a bracket', head(more=b'X(Y): a\r\n'), 400, 'bad_field_name'),
    ('field without colon', head(more=b'nonsense\r\n'), 400, 'bad_field_name'),
    ('no host', head(fields=b''), 400, 'missing_host'),
    ('two hosts', head(fields=HOST * 2), 400, 'several_hosts'),
    ('host with userinfo', head(fields=b'Host: a@b\r\n'), 400, 'bad_host'),
    ('host with a path', head(fields=b'Host: a/b\r\n'), 400, 'bad_host'),
    ('host with a bad port', head(fields=b'Host: a:99999\r\n'), 400, 'bad_host'),
    ('host with a list', head(fields=b'Host: a, b\r\n'), 400, 'bad_host'),
    ('absolute form with another host', head(b'GET http://other.example/ HTTP/1.1'), 400,
     'host_mismatch'),
    ('fragment in the target', head(b'GET /a#b HTTP/1.1'), 400, ''),
    ('space in the target', head(b'GET /a b HTTP/1.1'), 400, ''),
    ('no slash', head(b'GET a HTTP/1.1'), 400, 'bad_target'),
    ('control byte in the target', head(b'GET /a\x7fb HTTP/1.1'), 400, ''),
    ('bad escape', head(b'GET /a%zz HTTP/1.1'), 400, ''),
    ('half an escape', head(b'GET /a%2 HTTP/1.1'), 400, ''),
    ('NUL by escape', head(b'GET /a%00b HTTP/1.1'), 400, ''),
    ('path above the root', head(b'GET /../etc HTTP/1.1'), 400, ''),
    ('asterisk but not OPTIONS', head(b'GET * HTTP/1.1'), 400, 'bad_target'),
    ('two spaces in the request line', head(b'GET  / HTTP/1.1'), 400, ''),
    ('leading space', head(b' GET / HTTP/1.1'), 400, ''),
    ('method that is no token', head(b'G@T / HTTP/1.1'), 400, 'bad_method'),
    ('no version', b'GET /\r\n\r\n', 400, ''),
    ('version in small letters', head(b'GET / http/1.1'), 400, 'bad_version'),
    ('version 1.2 with extra digits', head(b'GET / HTTP/1.11'), 400, 'bad_version'),
    ('version 2.0', head(b'GET / HTTP/2.0'), 505, 'unsupported_version'),
    ('the preface of HTTP/2', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'unsupported_version'),
    ('unknown expectation', head(b'POST / HTTP/1.1', HOST, b'Expect: magic\r\n'), 417,
     'bad_expect'),
    ('long request line', head(b'GET /' + b'a' * 9000 + b' HTTP/1.1'), 414,
     'request_line_too_long'),
    ('large head', head(more=b'X: ' + b'a' * 66000 + b'\r\n'), 431, 'head_too_large'),
    ('too many fields', head(more=b''.join(b'X-%d: a\r\n' % n for n in range(101))), 431,
     'too_many_fields'),
]


@pytest.mark.parametrize('what, raw, status, reason', BAD_HEADS, ids=[row[0] for row in BAD_HEADS])
def test_a_bad_head_is_refused_with_its_reason(shop, what, raw, status, reason):
    running = shop()
    with running.connect() as wire:
        wire.send(raw)
        found = wire.response()
        assert found.status == status, found
        words = (found.get('Proxy-Status') or '') + found.body.decode('latin-1')
        assert reason in words, words
        assert running.origin.requests == [] and running.origin.connections == 0
        if 'path' in what or 'escape' in what:  # well framed: the connection may stay
            assert found.get('Connection') == 'close' or wire.ask('GET', '/').status == 200
        else:
            assert found.get('Connection') == 'close', found
            assert wire.ends() is True


BAD_BODIES = [
    ('size that is no number', b'zz\r\nab\r\n0\r\n\r\n'),
    ('negative size', b'-1\r\na\r\n0\r\n\r\n'),
    ('size with 0x', b'0x2\r\nab\r\n0\r\n\r\n'),
    ('size with blanks before', b' 2\r\nab\r\n0\r\n\r\n'),
    ('size of 17 digits', b'00000000000000002\r\nab\r\n0\r\n\r\n'),
    ('bare LF behind the size', b'2\nab\r\n0\r\n\r\n'),
    ('bare LF behind the data', b'2\r\nab\n0\r\n\r\n'),
    ('more data than the size says', b'2\r\nabc\r\n0\r\n\r\n'),
    ('endless extension', b'2;' + b'x' * 5000 + b'\r\nab\r\n0\r\n\r\n'),
    ('LF in an extension', b'2;x\ny\r\nab\r\n0\r\n\r\n'),
    ('bad trailer', b'0\r\nX : y\r\n\r\n'),
    ('folded trailer', b'0\r\nX: y\r\n z\r\n\r\n'),
]


@pytest.mark.parametrize('what, body', BAD_BODIES, ids=[row[0] for row in BAD_BODIES])
def test_a_bad_chunked_body_is_refused_and_never_completed_upstream(shop, what, body):
    running = shop()
    with running.connect() as wire:
        wire.send(head(b'POST / HTTP/1.1', HOST, CHUNKED) + body
                  + b'GET /smuggled HTTP/1.1\r\n' + HOST + b'\r\n')
        try:
            found = wire.response()
            assert found.status == 400, found
            assert wire.ends() is True
        except Closed:
            pass
    assert running.origin.requests == []  # an incomplete request never counts as one
    assert running.get('/clean').json['target'] == '/clean'


def test_bytes_at_the_limits_are_served(shop):
    running = shop()
    target = '/' + 'a' * (8192 - len('GET / HTTP/1.1\r\n'))
    assert running.get(target).status == 200
    assert running.get('/', {'X': 'a' * 60000}).status == 200
    assert running.get('/', [('X-%d' % n, 'a') for n in range(90)]).status == 200


def test_one_empty_line_before_a_request_is_forgiven(shop):
    with shop().connect() as wire:
        wire.send(b'\r\n' + head())
        assert wire.response().status == 200


def test_a_refusal_does_not_harm_others(shop):
    running = shop()
    with running.connect() as good:
        assert good.ask('GET', '/').status == 200
        with running.connect() as bad:
            bad.send(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')  # TLS on a plain port
            assert bad.response().status == 400
        assert good.ask('GET', '/').status == 200


@pytest.mark.parametrize('status', [400, 404, 405, 500, 502, 503])
def test_replies_of_weft_explain_themselves_shortly(shop, status):
    """Every reply Weft makes by itself carries a Proxy-Status (RFC 9209) and a short plain body."""
    from manifest import rule
    from origin import Answer
    running = shop(rule('shop', prefix='/ok'), rule('missing', prefix='/missing'))
    running.origin.answer = Answer(raw=b'junk\r\n\r\n', close=True)
    method, target, headers = {
        400: ('GET', '/ok', {'Content-Length': 'x'}), 404: ('GET', '/none', {}),
        405: ('TRACE', '/ok', {}), 500: ('GET', '/missing', {}), 502: ('GET', '/ok', {}),
        503: ('GET', '/ok', {}),
    }[status]
    if status == 503:
        running.origin.stop()
    found = running.ask(method, target, headers)
    assert found.status == status, found
    assert found.get('Proxy-Status').lower().startswith('weft'), found
    assert 0 < len(found.body) < 600 and found.get('Content-Type').startswith('text/plain')
