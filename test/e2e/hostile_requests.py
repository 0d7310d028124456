"""Requests that are malformed, ambiguous, or odd but right, by class: what test_hostile_requests.py
sends. A case is (class, what, bytes, expected). Expected is None where it must be refused and nothing
may reach an origin, or a dict of what the origin must see: target, method, body, headers (those that
must be there, value for value) and absent (names that must not).
"""
SMUGGLED = b'GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n'
HOST = b'Host: shop.example'
CHUNKED = b'Transfer-Encoding: chunked'
CONTROLS = [1, 7, 8, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f]


def request(*fields, line=b'POST /x HTTP/1.1', host=HOST, body=b''):
    lines = [line] + ([host] if host is not None else []) + list(fields)
    return b'\r\n'.join(lines) + b'\r\n\r\n' + body


def lengths_and_codings():
    codings = [b'chunked', b'Chunked', b' chunked', b'\tchunked', b'xchunked', b'identity',
               b'gzip, chunked', b'chunked, identity', b'"chunked"', b'chunked;q=1', b'', b',']
    for coding in codings:
        field = b'Transfer-Encoding:' + coding
        yield 'CL.TE', 'length, then %r' % coding, request(
            b'Content-Length: 6', field, body=b'0\r\n\r\nG' + SMUGGLED), None
        yield 'TE.CL', '%r, then length' % coding, request(
            field, b'Content-Length: 4', body=b'5c\r\n' + SMUGGLED + b'\r\n0\r\n\r\n'), None
    yield 'CL.TE', 'length 0 with chunked', request(
        b'Content-Length: 0', CHUNKED, body=b'0\r\n\r\n' + SMUGGLED), None
    yield 'CL.TE', 'coding in small letters', request(
        b'content-length: 6', b'transfer-encoding: chunked', body=b'0\r\n\r\nG' + SMUGGLED), None
    yield 'TE.CL', 'far apart', request(CHUNKED, *[b'X-%d: a' % n for n in range(50)],
                                        b'Content-Length: 3', body=b'0\r\n\r\n'), None


def codings_alone():
    for value in [b'xchunked', b'identity', b'gzip', b'gzip, chunked', b'chunked, chunked',
                  b'chunked, identity', b'chunked,', b',chunked', b'"chunked"', b"'chunked'",
                  b'chunked;a=b', b'', b'chu nked', b'chunked\x0b', b'\x0bchunked', b'chunked\xa0',
                  b'trailers', b'chunked chunked', b'cow', b'deflate;chunked']:
        yield 'TE.0', 'coding %r' % value, request(
            b'Transfer-Encoding: ' + value, body=b'0\r\n\r\n' + SMUGGLED), None
    yield 'TE.0', 'twice', request(CHUNKED, CHUNKED, body=b'0\r\n\r\n'), None
    yield 'TE.0', 'twice, one of them unknown', request(
        CHUNKED, b'Transfer-Encoding: cow', body=b'0\r\n\r\n'), None
    yield 'TE.0', 'in HTTP/1.0', request(
        CHUNKED, line=b'POST /x HTTP/1.0', body=b'0\r\n\r\n'), None
    yield 'TE.0', 'in HTTP/1.0 with keep-alive', request(
        CHUNKED, b'Connection: keep-alive', line=b'POST /x HTTP/1.0', body=b'0\r\n\r\n'), None
    yield 'TE.0', 'folded', request(b'Transfer-Encoding:\r\n chunked', body=b'0\r\n\r\n'), None
    yield 'TE.0', 'space before the colon', request(
        b'Transfer-Encoding : chunked', body=b'0\r\n\r\n'), None
    yield 'TE.0', 'capitals', request(b'TRANSFER-ENCODING: CHUNKED', body=b'1\r\na\r\n0\r\n\r\n'), {
        'body': b'a', 'headers': {'Transfer-Encoding': 'chunked'}}
    yield 'TE.0', 'GET with chunks', request(
        CHUNKED, line=b'GET /x HTTP/1.1', body=b'1\r\na\r\n0\r\n\r\n'), {
            'method': 'GET', 'body': b'a'}
    yield 'TE.0', 'HEAD with chunks', request(
        CHUNKED, line=b'HEAD /x HTTP/1.1', body=b'%x\r\n%s\r\n0\r\n\r\n' % (
            len(SMUGGLED), SMUGGLED)), {'method': 'HEAD', 'body': SMUGGLED}


def lengths_alone():
    for value in [b'+5', b'-5', b'5,5', b'5, 5', b'5;', b'0x5', b'5 5', b'5a', b'a', b'', b'  ', b'5.0',
                  b'1e1', b'\xd9\xa5', b'"5"', b'5\x0b', b'\x0b5', b'5\xa0', b'18446744073709551616',
                  b'18446744073709551621', b'9223372036854775808', b'99999999999999999999999',
                  b'0, 5', b'5,', b',5', b'4294967301,4294967301', b'(5)']:
        yield 'CL.0', 'length %r' % value, request(
            b'Content-Length: ' + value, body=b'hello' + SMUGGLED), None
    yield 'CL.0', 'space before the colon', request(b'Content-Length : 5', body=b'hello'), None
    yield 'CL.0', 'folded', request(b'Content-Length:\r\n 5', body=b'hello'), None
    yield 'CL.0', 'length 0 and a request behind it', request(b'Content-Length: 0'), {'body': b''}
    for method in (b'GET', b'HEAD', b'DELETE', b'OPTIONS', b'PATCH', b'FROB'):
        yield 'CL.0', '%s with a body' % method.decode(), request(
            b'Content-Length: %d' % len(SMUGGLED), line=method + b' /x HTTP/1.1', body=SMUGGLED), {
                'method': method.decode(), 'body': SMUGGLED}
    yield 'CL.0', 'blanks around', request(b'Content-Length:\t 5 \t', body=b'hello'), {
        'body': b'hello'}
    yield 'CL.0', 'no framing at all', request(), {'body': b'', 'absent': ['transfer-encoding']}
    for what, fields in [
            ('equal', (b'Content-Length: 5', b'Content-Length: 5')),
            ('different', (b'Content-Length: 5', b'Content-Length: 0')),
            ('different, swapped', (b'Content-Length: 0', b'Content-Length: 5')),
            ('three', (b'Content-Length: 5',) * 3),
            ('other case', (b'Content-Length: 5', b'CONTENT-LENGTH: 6')),
            ('apart', (b'Content-Length: 5', b'X: a', b'Content-Length: 6')),
            ('one empty', (b'Content-Length: 5', b'Content-Length:')),
            ('one bad', (b'Content-Length: 5', b'Content-Length: x')),
            ('zeros', (b'Content-Length: 0', b'Content-Length: 00'))]:
        yield 'CL-dup', what, request(*fields, body=b'hello' + SMUGGLED), None


def chunk_sizes():
    rest = b'0\r\n\r\n' + SMUGGLED
    for what, bad in [
            ('no number', b'zz\r\nab\r\n'), ('empty', b'\r\nab\r\n'), ('negative', b'-2\r\nab\r\n'),
            ('plus', b'+2\r\nab\r\n'), ('0x', b'0x2\r\nab\r\n'), ('leading blank', b' 2\r\nab\r\n'),
            ('trailing blank', b'2 \r\nab\r\n'), ('trailing tab', b'2\t\r\nab\r\n'),
            ('inner blank', b'0 2\r\nab\r\n'), ('point', b'2.0\r\nab\r\n'),
            ('comma', b'2,\r\nab\r\n'), ('underscore', b'0_2\r\nab\r\n'),
            ('17 digits', b'00000000000000002\r\nab\r\n'), ('2^64', b'10000000000000000\r\nab\r\n'),
            ('2^64 + 2', b'10000000000000002\r\nab\r\n'), ('2^63', b'8000000000000000\r\nab\r\n'),
            ('all f', b'ffffffffffffffff\r\nab\r\n'), ('quote', b'"2"\r\nab\r\n'),
            ('NUL', b'2\0\r\nab\r\n'), ('vertical tab', b'2\x0b\r\nab\r\n'),
            ('bare LF', b'2\nab\r\n'), ('bare CR', b'2\rab\r\n'), ('CR CR LF', b'2\r\r\nab\r\n'),
            ('LF behind data', b'2\r\nab\n'), ('CR behind data', b'2\r\nab\r'),
            ('nothing behind data', b'2\r\nab'), ('too much data', b'2\r\nabc\r\n'),
            ('blank behind data', b'2\r\nab \r\n'), ('two empty lines', b'2\r\nab\r\n\r\n')]:
        yield 'chunk-size', what, request(CHUNKED, body=bad + rest), None
    yield 'chunk-size', 'no digit in the last', request(CHUNKED, body=b'2\r\nab\r\n-0\r\n\r\n'), None
    yield 'chunk-size', 'last chunk with LF', request(CHUNKED, body=b'2\r\nab\r\n0\n\n'), None
    yield 'chunk-size', 'end with LF', request(CHUNKED, body=b'2\r\nab\r\n0\r\n\n'), None
    for what, good in [('capital digits', b'A\r\n0123456789\r\n'),
                       ('small digits', b'a\r\n0123456789\r\n'),
                       ('leading zeros', b'000a\r\n0123456789\r\n')]:
        yield 'chunk-size', what, request(CHUNKED, body=good + b'0\r\n\r\n'), {'body': b'0123456789'}
    yield 'chunk-size', 'several zeros at the end', request(
        CHUNKED, body=b'1\r\na\r\n000\r\n\r\n'), {'body': b'a'}
    rest = b'\r\nab\r\n0\r\n\r\n' + SMUGGLED
    for what, bad in [
            ('LF in it', b'2;a\nb'), ('CR in it', b'2;a\rb'), ('NUL in it', b'2;a\0b'),
            ('control in it', b'2;a\x01b'), ('empty', b'2;'), ('two marks', b'2;;a'),
            ('blank before', b'2 ;a'), ('blank behind', b'2; a'), ('blank inside', b'2;a b'),
            ('open quote', b'2;a="b'), ('LF in quotes', b'2;a="\n"'), ('CR in quotes', b'2;a="\r"'),
            ('CRLF in quotes', b'2;a="\r\n0\r\n\r\n' + SMUGGLED + b'"'),
            ('no name', b'2;=a'), ('no value', b'2;a='), ('no mark', b'2a=b;'),
            ('text behind quotes', b'2;a="b"c'), ('300 bytes', b'2;' + b'x' * 300)]:
        yield 'chunk-ext', what, request(CHUNKED, body=bad + rest), None
    many = b''.join(b'1;' + b'x' * 200 + b'\r\na\r\n' for _ in range(100))
    yield 'chunk-ext', 'many', request(CHUNKED, body=many + b'0\r\n\r\n'), None
    for good in (b'2;a', b'2;a=b', b'2;a="b;\\"c"', b'2;a;b=c'):
        yield 'chunk-ext', '%r is dropped' % good, request(CHUNKED, body=good + b'\r\nab\r\n0\r\n\r\n'), {
            'body': b'ab'}


def line_ends():
    whole = b'GET /x HTTP/1.1\r\nHost: shop.example\r\nX: a\r\n\r\n'
    ends = [at for at in range(len(whole)) if whole[at:at + 2] == b'\r\n']
    for number, at in enumerate(ends):
        place = 'line end %d' % (number + 1)
        yield 'line-end', place + ' LF', whole[:at] + b'\n' + whole[at + 2:], None
        yield 'line-end', place + ' CR', whole[:at] + b'\r' + whole[at + 2:] + b'\r\n\r\n', None
        yield 'line-end', place + ' LF CR', whole[:at] + b'\n\r' + whole[at + 2:], None
        yield 'line-end', place + ' CR CR LF', whole[:at] + b'\r\r\n' + whole[at + 2:], None
    yield 'line-end', 'LF only', whole.replace(b'\r\n', b'\n'), None
    yield 'line-end', 'CR only', whole.replace(b'\r\n', b'\r') + b'\r\n\r\n', None
    yield 'line-end', 'CR in a value', request(b'X: a\rY: b'), None
    yield 'line-end', 'LF in a value', request(b'X: a\nTransfer-Encoding: chunked'), None
    yield 'line-end', 'CR at the end of a value', request(b'X: a\r'), None
    yield 'line-end', 'U+2028 is no line end', request(b'X: a\xe2\x80\xa8b'), {
        'headers': {'X': 'a\xe2\x80\xa8b'}}
    yield 'line-end', 'U+010A is no line end', request(b'X: a\xc4\x8ab'), {
        'headers': {'X': 'a\xc4\x8ab'}}
    yield 'line-end', 'LF before the request', b'\n' + whole, None
    yield 'line-end', 'CR before the request', b'\r' + whole, None
    yield 'line-end', 'two empty lines before', b'\r\n\r\n' + whole, None
    yield 'line-end', 'one empty line before', b'\r\n' + whole, {'target': '/x'}


def fields():
    for byte in b' "(),/;<=>?@[\\]{}':
        yield 'header-name', 'byte %r' % chr(byte), request(b'X' + bytes([byte]) + b'Y: a'), None
    for byte in CONTROLS + [0x80, 0xa0, 0xc3, 0xff]:
        yield 'header-name', 'byte %#x' % byte, request(b'X' + bytes([byte]) + b'Y: a'), None
    for what, line in [('empty', b': a'), ('blank', b' : a'), ('no colon', b'X'),
                       ('blank before the colon', b'X : a'), ('tab before the colon', b'X\t: a'),
                       ('several blanks before', b'X   : a'), ('leading tab', b'\tX: a'),
                       ('request line again', b'GET /x HTTP/1.1'), ('form feed', b'X\x0c: a')]:
        yield 'header-name', what, request(line), None
    yield 'header-name', 'every byte of a token', request(b"a!#$%&'*+-.^_`|~09Z: a"), {
        'headers': {"a!#$%&'*+-.^_`|~09Z": 'a'}}
    yield 'header-name', 'long', request(b'x' * 300 + b': a'), {'headers': {'x' * 300: 'a'}}
    for byte in CONTROLS:
        yield 'header-value', 'byte %#x' % byte, request(b'X: a' + bytes([byte]) + b'b'), None
    yield 'header-value', 'control at the end', request(b'X: a\x01'), None
    yield 'header-value', 'control at the start', request(b'X: \x01a'), None
    yield 'header-value', 'empty', request(b'X:'), {'headers': {'X': ''}}
    yield 'header-value', 'blanks around', request(b'X: \t a b\t '), {'headers': {'X': 'a b'}}
    yield 'header-value', 'inner tab', request(b'X: a\tb'), {'headers': {'X': 'a\tb'}}
    yield 'header-value', 'high bytes', request(b'X: \x80\xc3\xff'), {'headers': {'X': '\x80\xc3\xff'}}
    yield 'header-value', 'colons', request(b'X: a: b: c'), {'headers': {'X': 'a: b: c'}}
    yield 'header-value', 'twice', request(b'X: a', b'X: b'), {'headers': {'X': ['a', 'b']}}
    yield 'header-value', 'unclosed quotes', request(b'X: "a'), {'headers': {'X': '"a'}}
    for what, lines in [('blank', b'X: a\r\n b'), ('tab', b'X: a\r\n\tb'), ('of an empty value', b'X:\r\n b'),
                        ('of nothing', b'X: a\r\n \r\nY: b'), ('hiding a length', b'X: a\r\n Content-Length: 5'),
                        ('of Host', b'X: a\r\n Host: other.example'), ('twice', b'X: a\r\n b\r\n c'),
                        ('LF only', b'X: a\n b')]:
        yield 'obs-fold', what, request(lines), None
    yield 'obs-fold', 'first line', request(host=b' X: a\r\n' + HOST), None
    yield 'obs-fold', 'last line', b'GET /x HTTP/1.1\r\nHost: shop.example\r\n \r\n\r\n', None


def request_lines():
    for what, line in [
            ('two blanks first', b'GET  /x HTTP/1.1'), ('two blanks second', b'GET /x  HTTP/1.1'),
            ('tab first', b'GET\t/x HTTP/1.1'), ('tab second', b'GET /x\tHTTP/1.1'),
            ('leading blank', b' GET /x HTTP/1.1'), ('trailing blank', b'GET /x HTTP/1.1 '),
            ('trailing tab', b'GET /x HTTP/1.1\t'), ('no target', b'GET HTTP/1.1'),
            ('no version', b'GET /x'), ('method alone', b'GET'), ('four words', b'GET /x HTTP/1.1 x'),
            ('two targets', b'GET /x /y HTTP/1.1'), ('form feed', b'GET\x0c/x HTTP/1.1'),
            ('vertical tab', b'GET /x\x0bHTTP/1.1'), ('no-break space', b'GET\xa0/x HTTP/1.1'),
            ('empty target', b'GET  HTTP/1.1'), ('nothing', b' '), ('a field', b'Host: shop.example'),
            ('a response', b'HTTP/1.1 200 OK'), ('long', b'GET /' + b'a' * 9000 + b' HTTP/1.1')]:
        yield 'request-line', what, request(line=line), None
    for what, method in [('brackets', b'G(T'), ('at', b'G@T'), ('colon', b'GET:'), ('quote', b'"GET"'),
                         ('slash', b'GET/'), ('high byte', b'G\xc3T'), ('control', b'G\x01T'),
                         ('DEL', b'GET\x7f'), ('65 bytes', b'M' * 65), ('BOM', b'\xef\xbb\xbfGET'),
                         ('CONNECT', b'CONNECT'), ('TRACE', b'TRACE')]:
        yield 'method', what, request(line=method + b' /x HTTP/1.1'), None
    yield 'method', 'CONNECT with authority', request(
        line=b'CONNECT shop.example:80 HTTP/1.1'), None
    for method in (b'get', b'FROB', b'M-SEARCH', b'!', b'M' * 64, b'PROPFIND', b'TRACEX', b'Connect'):
        yield 'method', '%r passes' % method, request(line=method + b' /x HTTP/1.1'), {
            'method': method.decode()}
    for version in [b'HTTP/1.11', b'HTTP/11.1', b'HTTP/01.1', b'HTTP/1.01', b'HTTP/1', b'HTTP/1.',
                    b'HTTP/.1', b'HTTP/1,1', b'http/1.1', b'Http/1.1', b'HTTP 1.1', b'HTTP/1.1a',
                    b'HTTP/-1.1', b'HTTP/+1.1', b'HTTP/1.x', b'HTTPS/1.1', b'HTTP//1.1', b'/1.1',
                    b'HTTP/0.9', b'HTTP/2.0', b'HTTP/3.0', b'HTTP/1. 1', b'H\x00TP/1.1',
                    b'HTTP/\xc2\xb9.1', b'ICY/1.1']:
        yield 'version', '%r' % version, request(line=b'GET /x ' + version), None
    yield 'version', '1.0 is written as 1.1', request(line=b'GET /x HTTP/1.0'), {'target': '/x'}


def targets():
    for target in [b'x', b'x/y', b'*', b'?a', b'', b'/a#b', b'/#', b'#', b'/a"b', b'/a<b', b'/a>b',
                   b'/a\x01b', b'/a\x7fb', b'/a\x80b', b'/\xc3\xa9', b'/a\tb', b'/%', b'/%2', b'/%zz',
                   b'/%g0', b'/%0', b'/%%41', b'/%00', b'/%0a', b'/%0d%0aX:%20a', b'/%1f', b'/%7f',
                   b'/%c0%af', b'/%c1%9c', b'/%e0%80%af', b'/..', b'/../x', b'/a/../../x', b'/%2e%2e/x',
                   b'/.%2e/x', b'http:', b'http:/x', b'http://', b'http:///x', b'http://a b/x',
                   b'http://shop.example:/x', b'http://shop.example:0/x', b'http://shop.example:99999/',
                   b'http://other.example/x', b'http://u@shop.example/x', b'http://u:p@shop.example/',
                   b'http://shop.example#x', b'ftp://shop.example/x', b'file:///etc/passwd',
                   b'gopher://shop.example/', b'shop.example/x', b'shop.example:80', b'//',
                   b'javascript:alert(1)', b'http://shop.example\\x', b'/a?b#c', b'/?a\x01', b'/?a"b',
                   b'/?\xff', b'\\x', b'/..;/x', b'/a/..;a=b/x', b'/.;/x', b'/a/..%2fx', b'/a/..\\x']:
        expected = {'target': '//'} if target == b'//' else None
        yield 'target', '%r' % target, request(line=b'GET ' + target + b' HTTP/1.1'), expected
    for target, seen in [(b'/a?b=c&d', '/a?b=c&d'), (b'/?', '/?'), (b'/a?b?c', '/a?b?c'), (b'/%61', '/a'),
                         (b'/a/./b/../c', '/a/c'), (b'/a%3fb', '/a%3Fb'), (b'/%25', '/%25'),
                         (b'/%c3%a9', '/%C3%A9'), (b"/a:@!$&'()*+,=", "/a:@!$&'()*+,="),
                         (b'/%252e%252e/x', '/%252e%252e/x'), (b'/a?../..', '/a?../..'),
                         (b'/?%00', '/?%00'), (b'http://shop.example/x?y', '/x?y'),
                         (b'HTTP://SHOP.example/x', '/x'), (b'http://shop.example', '/'),
                         (b'http://shop.example?x', '/?x'), (b'http://shop.example:80/x', '/x'),
                         (b'/...', '/...'), (b'/a|b', '/a|b'), (b'/a%20b', '/a%20b')]:
        yield 'target', '%r passes' % target, request(line=b'GET ' + target + b' HTTP/1.1'), {
            'target': seen}
    yield 'target', 'OPTIONS *', request(line=b'OPTIONS * HTTP/1.1'), {'target': '*'}


def hosts():
    for value in [b'', b' ', b'a b', b'a,b', b'a, b', b'a@b', b'user:pw@shop.example', b'a/b', b'a?b',
                  b'a#b', b'a\\b', b'http://shop.example', b'a:b', b'a:', b'a:0', b'a:99999', b'a:-1',
                  b'a:080', b'a:80:80', b'a:80a', b'a%41', b'[', b'[::1', b'::1', b'[::1]a', b'[::1]:',
                  b'[::1%25lo]', b'[g::1]', b'[127.0.0.1', b'a..b', b'.', b'.a', b'a\x00b', b'a\x01',
                  b'\xc3\xa9', b'a"b', b'a<b>', b'a;b', b"a'b", b'x' * 300, b'shop.example\x0b',
                  b'a\tb', b'*', b'(a)', b'$a', b'shop.example;evil']:
        yield 'host', '%r' % value[:40], request(host=b'Host: ' + value), None
    for what, fields_ in [('none', []), ('two', [HOST, HOST]), ('other case', [HOST, b'HOST: shop.example']),
                          ('two that differ', [HOST, b'Host: other.example']),
                          ('two, one empty', [HOST, b'Host:']), ('space before the colon',
                                                                 [b'Host : shop.example']),
                          ('apart', [HOST, b'X: a', b'Host: other.example'])]:
        yield 'host', what, request(*fields_, host=None), None
    for value in (b'shop.example', b'SHOP.example', b'shop.example:8080', b'[::1]', b'[::1]:80',
                  b'127.0.0.1', b'shop.example.', b'a_b.example', b'x'):
        yield 'host', '%r passes' % value, request(host=b'Host: ' + value), {
            'headers': {'Host': value.decode()}}
    yield 'host', 'without, in HTTP/1.0, asked of a route of all hosts', request(
        host=None, line=b'GET /x HTTP/1.0'), {'target': '/x', 'headers': {'Host': ''}}


def trailers():
    start = b'1\r\na\r\n0\r\n'
    for what, bad in [
            ('length', b'Content-Length: 5\r\n'), ('coding', b'Transfer-Encoding: chunked\r\n'),
            ('host', b'Host: other.example\r\n'), ('authorization', b'Authorization: x\r\n'),
            ('connection', b'Connection: close\r\n'), ('forwarded for', b'X-Forwarded-For: 1.2.3.4\r\n'),
            ('its twin', b'X_Forwarded_For: 1.2.3.4\r\n'), ('forwarded', b'Forwarded: for=1.2.3.4\r\n'),
            ('of Weft', b'X-Weft-Identity: a\r\n'), ('cookie', b'Cookie: a=b\r\n'),
            ('content type', b'Content-Type: a\r\n'), ('expect', b'Expect: 100-continue\r\n'),
            ('cache control', b'Cache-Control: no-store\r\n'), ('range', b'Range: bytes=0-\r\n'),
            ('fold', b'X: a\r\n b\r\n'), ('blank before the colon', b'X : a\r\n'), ('no name', b': a\r\n'),
            ('no colon', b'X\r\n'), ('bare LF', b'X: a\n'), ('bare CR', b'X: a\rb\r\n'),
            ('NUL', b'X: \0\r\n'), ('control', b'X: \x01\r\n'),
            ('too many', b''.join(b'X-%d: a\r\n' % n for n in range(101))),
            ('too large', b'X: ' + b'a' * 70000 + b'\r\n')]:
        yield 'trailer', what, request(CHUNKED, body=start + bad + b'\r\n' + SMUGGLED), None
    yield 'trailer', 'passes', request(
        CHUNKED, b'Trailer: X-Sum', body=start + b'X-Sum: 1\r\n\r\n'), {
            'body': b'a', 'trailers': [('X-Sum', '1')]}


def connections():
    for value in (b'Content-Length', b'Transfer-Encoding', b'Host', b'close, Host', b'a b', b'a/b', b'"a"',
                  b'close;a', b'\xff', b'a@b', b', '.join(b'a%d' % n for n in range(40)), b',' * 40):
        yield 'connection', '%r' % value[:40], request(
            b'Content-Length: 2', b'Connection: ' + value, body=b'ab'), None
    yield 'connection', 'named fields go no further', request(
        b'Connection: X-Mine, keep-alive', b'X-Mine: a', b'Y: b'), {
            'headers': {'Y': 'b'}, 'absent': ['X-Mine', 'Connection']}
    yield 'connection', 'what guards is kept', request(
        b'Connection: Authorization, Cookie', b'Authorization: a', b'Cookie: b=c'), {
            'headers': {'Authorization': 'a', 'Cookie': 'b=c'}}
    yield 'connection', 'hop by hop', request(
        b'Keep-Alive: timeout=1', b'Proxy-Connection: close', b'TE: trailers',
        b'Proxy-Authorization: x', b'Upgrade: frob'), {
            'absent': ['Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'Upgrade', 'TE']}
    yield 'connection', 'h2c is never upgraded to', request(
        b'Connection: Upgrade, HTTP2-Settings', b'Upgrade: h2c', b'HTTP2-Settings: AAMAAABkAAQAAP__',
        line=b'GET /x HTTP/1.1'), {'absent': ['Upgrade', 'HTTP2-Settings', 'Connection']}
    yield 'connection', 'expectation', request(b'Expect: 200-ok', b'Content-Length: 1', body=b'a'), None
    yield 'connection', 'two expectations', request(
        b'Expect: 100-continue, x', b'Content-Length: 1', body=b'a'), None


def whitespace_and_nul():
    whole = request(b'X: a', b'Content-Length: 2', body=b'ab')
    places = {'method': 1, 'target': 6, 'version': 12, 'host name': 20, 'host value': 27,
              'field name': whole.index(b'X: a'), 'field value': whole.index(b'X: a') + 3,
              'length name': whole.index(b'Content-Length') + 3, 'length': whole.index(b': 2') + 2,
              'first': 0}
    for place, at in places.items():
        yield 'NUL', place, whole[:at] + b'\0' + whole[at:], None
    yield 'NUL', 'behind the length', whole.replace(b': 2', b': 2\0'), None
    yield 'NUL', 'for a line', b'\0\r\n' + whole, None
    for what, data in [
            ('blank line of a blank', b' \r\n' + whole), ('tab before all', b'\t' + whole),
            ('no empty line but blanks', whole.replace(b'\r\n\r\n', b'\r\n \r\n')),
            ('blank behind the name of Host', whole.replace(b'Host:', b'Host :')),
            ('vertical tab around the length', whole.replace(b': 2', b':\x0b2')),
            ('form feed behind the length', whole.replace(b': 2', b': 2\x0c')),
            ('next line (0x85) behind the length', whole.replace(b': 2', b': 2\x85')),
            ('no-break space before the length', whole.replace(b': 2', b': \xa02')),
            ('TLS hello', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(40)),
            ('HTTP/2 preface', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
            ('PROXY v1', b'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n' + whole),
            ('PROXY v2', b'\r\n\r\n\0\r\nQUIT\n' + bytes(16) + whole),
            ('SMTP', b'EHLO a\r\n'), ('zeros', bytes(64)), ('all high', b'\xff' * 64)]:
        yield 'whitespace', what, data, None


def all_cases():
    for make in (lengths_and_codings, codings_alone, lengths_alone, chunk_sizes, line_ends, fields,
                 request_lines, targets, hosts, trailers, connections, whitespace_and_nul):
        yield from make()
