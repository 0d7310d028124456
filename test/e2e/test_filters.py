"""Filters of an HTTPRoute: redirects, rewrites, header changes, mirrors, CORS, on rules and backends."""
import collections

import pytest

from manifest import (backend, cors, gateway, listener, mirror, redirect, rewrite, route, rule,
                      service, set_request, set_response)
from origin import Answer
from wire import eventually


def test_request_headers_are_set_added_and_removed(shop):
    running = shop(rule('shop', filters=[set_request(
        set={'X-Set': 'new'}, add={'X-Add': 'more', 'X-New': '1'}, remove=['X-Gone', 'X-Never'])]))
    found = running.get('/', [('x-set', 'old'), ('X-Add', 'first'), ('x-gone', 'x')])
    assert found.seen('x-set') == ['new']
    assert [part.strip() for part in ','.join(found.seen('x-add')).split(',')] == ['first', 'more']
    assert found.seen('x-new') == ['1'] and found.seen('x-gone') == []


def test_response_headers_are_set_added_and_removed(shop):
    running = shop(rule('shop', filters=[set_response(
        set={'X-Set': 'new'}, add={'X-Add': 'more'}, remove=['X-Gone'])]))
    running.origin.answer = Answer(headers=[('x-set', 'old'), ('X-Add', 'first'), ('X-Gone', 'x')])
    found = running.get('/')
    assert found.all('X-Set') == ['new'] and found.all('X-Gone') == []
    assert [part.strip() for part in ','.join(found.all('X-Add')).split(',')] == ['first', 'more']


def test_filters_of_a_backend_apply_to_its_share_only(weft, origins):
    running = weft(service('a', origins('a')), service('b', origins('b')), route(rule(
        backend('a', filters=[set_request(set={'X-Who': 'a'}), set_response(set={'X-Back': 'a'})]),
        backend('b', filters=[set_request(set={'X-Who': 'b'})]),
        filters=[set_request(set={'X-Rule': '1'})])))
    seen = set()
    for _ in range(40):
        found = running.get('/')
        assert found.seen('x-who') == [found.origin] and found.seen('x-rule') == ['1']
        assert found.all('X-Back') == (['a'] if found.origin == 'a' else [])
        seen.add(found.origin)
    assert seen == {'a', 'b'}


@pytest.mark.parametrize('change, target, location, status', [
    (dict(hostname='example.org'), '/a?b=c', 'http://example.org:PORT/a?b=c', 302),
    (dict(hostname='example.org', status=301), '/a', 'http://example.org:PORT/a', 301),
    (dict(hostname='example.org', status=303), '/a', 'http://example.org:PORT/a', 303),
    (dict(hostname='example.org', status=307), '/a', 'http://example.org:PORT/a', 307),
    (dict(hostname='example.org', status=308), '/a', 'http://example.org:PORT/a', 308),
    (dict(scheme='https'), '/a', 'https://shop.example/a', 302),
    (dict(scheme='https', port=8443), '/a', 'https://shop.example:8443/a', 302),
    (dict(scheme='http', port=80), '/a', 'http://shop.example/a', 302),
    (dict(scheme='https', port=443), '/a', 'https://shop.example/a', 302),
    (dict(port=8083), '/a', 'http://shop.example:8083/a', 302),
    (dict(full='/new'), '/a/b?q=1', 'http://shop.example:PORT/new?q=1', 302),
    (dict(prefix='/new'), '/a/b/c?q=1', 'http://shop.example:PORT/new/b/c?q=1', 302),
    (dict(prefix='/new'), '/a', 'http://shop.example:PORT/new', 302),
    (dict(prefix='/new/'), '/a/b', 'http://shop.example:PORT/new/b', 302),
    (dict(prefix='/'), '/a/b', 'http://shop.example:PORT/b', 302),
    (dict(prefix='/'), '/a', 'http://shop.example:PORT/', 302),
])
def test_redirects_point_where_they_say(shop, change, target, location, status):
    running = shop(rule(prefix='/a', filters=[redirect(**change)]))
    found = running.get(target)
    assert found.status == status
    assert found.get('Location') == location.replace('PORT', str(running.port))
    assert running.origin.requests == []


@pytest.mark.parametrize('change, target, expected', [
    (dict(full='/new'), '/a/b?q=1', '/new?q=1'),
    (dict(prefix='/new'), '/a/b?q=1', '/new/b?q=1'),
    (dict(prefix='/new'), '/a', '/new'),
    (dict(prefix='/new/'), '/a/b', '/new/b'),
    (dict(prefix='/'), '/a/b', '/b'),
    (dict(prefix='/'), '/a', '/'),
    (dict(prefix='/'), '/a?q', '/?q'),
])
def test_rewrites_change_the_path_and_keep_the_query(shop, change, target, expected):
    running = shop(rule('shop', prefix='/a', filters=[rewrite(**change)]))
    found = running.get(target)
    assert found.json['target'] == expected
    assert found.seen('host') == ['shop.example']


def test_rewrites_change_the_host_and_keep_what_was_asked_for_in_forwarded(shop):
    running = shop(rule('shop', filters=[rewrite(hostname='inner.example')]))
    found = running.get('/a')
    assert found.seen('host') == ['inner.example'] and found.json['target'] == '/a'
    assert found.seen('x-forwarded-host') == ['shop.example']


def test_rewrites_of_a_backend_apply_to_its_share_only(weft, origins):
    running = weft(service('a', origins('a')), service('b', origins('b')), route(rule(
        backend('a', filters=[rewrite(prefix='/x', hostname='a.example')]), backend('b'),
        prefix='/p')))
    seen = {}
    for _ in range(40):
        found = running.get('/p/1')
        seen[found.origin] = (found.json['target'], found.seen('host'))
    assert seen == {'a': ('/x/1', ['a.example']), 'b': ('/p/1', ['shop.example'])}


def test_mirrors_get_every_request_and_their_answers_are_ignored(weft, origins):
    main, copy, second = origins('main'), origins('copy'), origins('second')
    copy.answer = Answer(500, delay=0.3)
    running = weft(service('main', main), service('copy', copy), service('second', second),
                   route(rule('main', filters=[mirror('copy'), mirror('second')])))
    for number in range(5):
        found = running.ask('POST', '/%d' % number, {'X-A': 'b'}, b'body')
        assert found.origin == 'main'
    for shadow in (copy, second):
        assert eventually(lambda: len(shadow.requests) == 5), shadow.name
        assert sorted(item.target for item in shadow.requests) == ['/%d' % n for n in range(5)]
        assert {item.body for item in shadow.requests} == {b'body'}
        assert all(item.get('X-A') == 'b' for item in shadow.requests)


def test_a_dead_mirror_harms_nobody(weft, origins, ports):
    running = weft(service('main', origins('main')), service('dead', ports()),
                   route(rule('main', filters=[mirror('dead'), mirror('missing')])))
    for _ in range(5):
        assert running.get('/').origin == 'main'


@pytest.mark.parametrize('fields, share', [
    ({'percent': 0}, 0), ({'percent': 100}, 1), ({'percent': 20}, 0.2),
    ({'fraction': {'numerator': 1, 'denominator': 2}}, 0.5),
])
def test_a_share_of_requests_is_mirrored(weft, origins, fields, share):
    copy = origins('copy')
    running = weft(service('main', origins('main')), service('copy', copy),
                   route(rule('main', filters=[mirror('copy', **fields)])))
    with running.connect() as wire:
        for _ in range(300):
            assert wire.ask('GET', '/').status == 200
    eventually(lambda: len(copy.requests) >= 300 * share, 3)
    assert abs(len(copy.requests) - 300 * share) <= (35 if 0 < share < 1 else 0)


STRICT = dict(allowOrigins=['https://www.foo.com', 'https://*.bar.com'],
              allowMethods=['GET', 'OPTIONS'], allowHeaders=['x-header-1', 'x-header-2'],
              exposeHeaders=['x-header-3', 'x-header-4'], allowCredentials=True, maxAge=3600)


def preflight(running, origin, method='GET', headers=None):
    fields = {'Origin': origin, 'Access-Control-Request-Method': method}
    if headers:
        fields['Access-Control-Request-Headers'] = headers
    return running.ask('OPTIONS', '/', fields)


def listed(found, name):
    return sorted(part.strip() for part in (found.get(name) or '').split(',') if part.strip())


@pytest.mark.parametrize('site', ['https://www.foo.com', 'https://www.bar.com',
                                  'https://xpto.www.bar.com'])
def test_a_preflight_from_an_allowed_origin_is_answered_by_weft(shop, site):
    running = shop(rule('shop', filters=[cors(**STRICT)]))
    found = preflight(running, site, headers='x-header-1, x-header-2')
    assert found.status in (200, 204)
    assert found.get('Access-Control-Allow-Origin') == site
    assert listed(found, 'Access-Control-Allow-Methods') == ['GET', 'OPTIONS']
    assert listed(found, 'Access-Control-Allow-Headers') == ['x-header-1', 'x-header-2']
    assert found.get('Access-Control-Allow-Credentials') == 'true'
    assert found.get('Access-Control-Max-Age') == '3600'
    assert running.origin.requests == []


@pytest.mark.parametrize('site', ['https://foobar.com', 'http://www.foo.com', 'https://bar.com',
                                  'https://www.foo.com:8443', 'https://www.foo.com.evil', 'null'])
def test_a_preflight_from_another_origin_gets_nothing(shop, site):
    running = shop(rule('shop', filters=[cors(**STRICT)]))
    found = preflight(running, site)
    assert found.status in (200, 204, 403)
    assert found.all('Access-Control-Allow-Origin') == []
    assert found.all('Access-Control-Allow-Credentials') == []


def test_simple_requests_get_the_fields_of_cors(shop):
    running = shop(rule('shop', filters=[cors(**STRICT)]))
    found = running.get('/', {'Origin': 'https://www.bar.com'})
    assert found.origin == 'origin'
    assert found.get('Access-Control-Allow-Origin') == 'https://www.bar.com'
    assert listed(found, 'Access-Control-Expose-Headers') == ['x-header-3', 'x-header-4']
    assert 'origin' in (found.get('Vary') or '').lower()
    assert running.get('/', {'Origin': 'https://foobar.com'}).all(
        'Access-Control-Allow-Origin') == []
    assert running.get('/').all('Access-Control-Allow-Origin') == []


def test_wildcards_of_cors_never_meet_credentials(shop):
    running = shop(rule('shop', filters=[cors(allowOrigins=['*'], allowMethods=['*'],
                                              allowHeaders=['*'], allowCredentials=True)]))
    found = preflight(running, 'https://a.example', 'PUT', 'x-a')
    assert found.get('Access-Control-Allow-Origin') == 'https://a.example'
    assert listed(found, 'Access-Control-Allow-Methods') == ['PUT']
    assert listed(found, 'Access-Control-Allow-Headers') == ['x-a']
    assert found.get('Access-Control-Allow-Credentials') == 'true'


def test_options_that_are_no_preflight_reach_the_origin(shop):
    running = shop(rule('shop', filters=[cors(**STRICT)]))
    assert running.ask('OPTIONS', '/').origin == 'origin'
    assert running.ask('OPTIONS', '/', {'Origin': 'https://www.foo.com'}).origin == 'origin'


def test_a_redirect_keeps_the_port_of_the_listener_it_came_by(weft, ports, origin):
    first, second = ports(), ports()
    running = weft(gateway(listener(first, 'a'), listener(second, 'b')),
                   route(rule(filters=[redirect(hostname='x.example')])))
    for port in (first, second):
        assert running.get('/', port=port).get('Location') == 'http://x.example:%d/' % port


def test_filters_share_traffic_like_their_backends(weft, origins):
    running = weft(service('a', origins('a')), service('b', origins('b')), route(rule(
        backend('a', 9, filters=[set_response(set={'X-Version': '1'})]),
        backend('b', 1, filters=[set_response(set={'X-Version': '2'})]))))
    seen = collections.Counter((running.get('/').get('X-Version')) for _ in range(200))
    assert set(seen) == {'1', '2'} and 4 <= seen['2'] <= 45, seen
