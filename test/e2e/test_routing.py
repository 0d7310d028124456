"""Which request goes where: HTTPRoute matching, precedence, hostnames, weights, and the statuses of
what goes nowhere (Gateway API v1.7)."""
import collections

import pytest

from manifest import backend, gateway, grant, listener, match, route, rule, service


@pytest.fixture
def pair(origins):
    """Two origins with the Services "one" and "two"."""
    one, two = origins('one'), origins('two')
    return one, two, [service('one', one), service('two', two)]


def table(running, rows, host='shop.example'):
    """rows: (target, headers, expected origin or status); all misses in one message."""
    wrong = []
    for target, headers, expected in rows:
        found = running.get(target, headers, host=host)
        got = found.origin if isinstance(expected, str) else found.status
        if got != expected:
            wrong.append('%s %r: %r instead of %r' % (target, headers, got, expected))
    assert not wrong, '\n'.join(wrong)


def test_exact_paths_match_whole_paths_only(weft, pair):
    running = weft(route(rule('one', exact='/cart'), rule('two', exact='/cart/items')), pair[2])
    table(running, [('/cart', {}, 'one'), ('/cart?x=1', {}, 'one'), ('/cart/', {}, 404),
                    ('/cart/items', {}, 'two'), ('/cart/items/1', {}, 404), ('/Cart', {}, 404),
                    ('/', {}, 404)])


def test_prefixes_match_by_path_element(weft, pair):
    running = weft(route(rule('one', prefix='/shop'), rule('two', prefix='/shop/cart/')), pair[2])
    table(running, [('/shop', {}, 'one'), ('/shop/', {}, 'one'), ('/shop/x/y', {}, 'one'),
                    ('/shopping', {}, 404), ('/shop/cart', {}, 'two'), ('/shop/cart/', {}, 'two'),
                    ('/shop/cart/1', {}, 'two'), ('/shop/carts', {}, 'one'), ('/', {}, 404)])


def test_regular_expressions_match_the_whole_path(weft, pair):
    running = weft(route(rule('one', regex='/items/[0-9]+'), rule('two', regex='/v.*')), pair[2])
    table(running, [('/items/12', {}, 'one'), ('/items/12?q=a', {}, 'one'), ('/items/', {}, 404),
                    ('/items/12/x', {}, 404), ('/x/items/12', {}, 404), ('/version', {}, 'two')])


def test_headers_match_by_name_in_any_case_and_exact_value(weft, pair):
    running = weft(route(
        rule('one', headers={'version': 'one'}),
        rule('two', headers={'Color': 'blue', 'x-size': ('RegularExpression', '[0-9]+')})), pair[2])
    table(running, [('/', {'version': 'one'}, 'one'), ('/', {'VERSION': 'one'}, 'one'),
                    ('/', {'version': 'One'}, 404), ('/', {'version': 'one '}, 'one'),
                    ('/', {'color': 'blue'}, 404), ('/', {'color': 'blue', 'X-Size': '12'}, 'two'),
                    ('/', {'color': 'blue', 'X-Size': '12a'}, 404), ('/', {}, 404)])


def test_query_parameters_match_exactly_and_decoded(weft, pair):
    running = weft(route(
        rule('one', query={'animal': 'whale'}),
        rule('two', query={'animal': 'dolphin', 'color': ('RegularExpression', 'b.*')})), pair[2])
    table(running, [('/?animal=whale', {}, 'one'), ('/?x=1&animal=whale&y', {}, 'one'),
                    ('/?animal=wh%61le', {}, 'one'), ('/?animal=whales', {}, 404),
                    ('/?Animal=whale', {}, 404), ('/?animal=dolphin', {}, 404),
                    ('/?animal=dolphin&color=blue', {}, 'two'), ('/?', {}, 404), ('/', {}, 404)])


def test_methods_match(weft, pair):
    running = weft(route(rule('one', method='POST'), rule('two', method='GET', prefix='/read')),
                   pair[2])
    assert running.ask('POST', '/').origin == 'one'
    assert running.ask('GET', '/read').origin == 'two'
    assert running.ask('GET', '/').status == 404
    assert running.ask('PUT', '/read').status == 404


def test_matches_of_a_rule_are_alternatives_and_their_parts_all_needed(weft, pair):
    running = weft(route(rule('one', matches=[
        match(prefix='/a', headers={'x': '1'}), match(prefix='/b', method='GET')])), pair[2])
    table(running, [('/a', {'x': '1'}, 'one'), ('/a', {}, 404), ('/b', {}, 'one')])
    assert running.ask('POST', '/b').status == 404


def test_a_rule_without_matches_takes_everything(weft, pair):
    running = weft(route(rule('one')), pair[2])
    table(running, [('/', {}, 'one'), ('/x/y?z', {}, 'one')])
    assert running.ask('PURGE', '/x').origin == 'one'


def test_the_more_specific_match_wins_whatever_the_order(weft, origins):
    names = ['root', 'prefix', 'long', 'exact', 'method', 'header', 'headers', 'query']
    made = [service(name, origins(name)) for name in names]
    running = weft(made, route(
        rule('root', prefix='/'),
        rule('prefix', prefix='/a'),
        rule('query', prefix='/a', query={'q': '1'}),
        rule('header', prefix='/a', headers={'x': '1'}),
        rule('headers', prefix='/a', headers={'x': '1', 'y': '1'}),
        rule('method', prefix='/a', method='GET', headers={'z': '1'}),
        rule('long', prefix='/a/b'),
        rule('exact', exact='/a/b')))
    table(running, [
        ('/', {}, 'root'), ('/a', {}, 'prefix'), ('/a/b', {}, 'exact'), ('/a/b/c', {}, 'long'),
        ('/a?q=1', {}, 'query'), ('/a?q=1', {'x': '1'}, 'header'),
        ('/a', {'x': '1', 'y': '1'}, 'headers'),
        ('/a', {'x': '1', 'y': '1', 'z': '1'}, 'method'),
        ('/a/b/c', {'x': '1', 'y': '1'}, 'long')])


def test_equal_matches_go_to_the_older_route_then_by_name(weft, pair):
    running = weft(
        route(rule('two'), name='a-young', created='2026-02-01T00:00:00Z'),
        route(rule('one'), name='b-old', created='2026-01-01T00:00:00Z'), pair[2])
    table(running, [('/', {}, 'one')])
    running.write(route(rule('two'), name='a'), route(rule('one'), name='b'), pair[2])
    assert running.becomes(lambda: running.get('/').origin == 'two')


def test_the_first_of_equal_rules_wins_even_if_its_backend_is_missing(weft, pair):
    running = weft(route(rule('missing', prefix='/a'), rule('one', prefix='/a')), pair[2])
    table(running, [('/a', {}, 500)])


def test_hostnames_match_exactly_by_wildcard_and_in_any_case(weft, pair):
    running = weft(route(rule('one'), name='exact', hosts=['shop.example']),
                   route(rule('two'), name='wild', hosts=['*.example']), pair[2])
    for host, expected in [('shop.example', 'one'), ('SHOP.Example', 'one'),
                           ('shop.example:8080', 'one'), ('a.example', 'two'),
                           ('a.b.example', 'two'), ('example', 404), ('x.other', 404),
                           ('shop.example.', 'one')]:
        found = running.get('/', host=host)
        got = found.origin if isinstance(expected, str) else found.status
        assert got == expected, host


def test_a_request_no_rule_of_the_better_host_matches_falls_through(weft, pair):
    running = weft(route(rule('one', prefix='/', headers={'x': '1'}), name='exact',
                         hosts=['shop.example']),
                   route(rule('two', prefix='/long/path'), name='wild', hosts=['*.example']),
                   pair[2])
    table(running, [('/', {'x': '1'}, 'one'), ('/long/path', {'x': '1'}, 'one'),
                    ('/long/path', {}, 'two'), ('/', {}, 404)])


def test_the_routes_own_hostname_ranks_where_the_intersection_is_equal(weft, ports, pair):
    port = ports()
    running = weft(
        gateway(listener(port, hostname='shop.example')),
        route(rule('two', prefix='/a/long'), name='old', hosts=['*.example'],
              created='2026-01-01T00:00:00Z'),
        route(rule('one', prefix='/a'), name='new', hosts=['shop.example'],
              created='2026-02-01T00:00:00Z'), pair[2])
    table(running, [('/a/long', {}, 'one')])


def test_a_listener_serves_its_own_hostname_only(weft, ports, pair):
    port = ports()
    running = weft(
        gateway(listener(port, 'wide', '*.example'), listener(port, 'narrow', 'shop.example')),
        route(rule('one'), name='on-wide', parents=[{'name': 'edge', 'sectionName': 'wide'}]),
        route(rule('two', prefix='/two'), name='on-narrow',
              parents=[{'name': 'edge', 'sectionName': 'narrow'}]), pair[2])
    table(running, [('/', {}, 404), ('/two', {}, 'two')])  # isolation: never the wider listener
    table(running, [('/', {}, 'one')], host='a.example')
    table(running, [('/', {}, 404)], host='a.other')


def test_parent_port_and_section_choose_listeners(weft, ports, pair):
    first, second = ports(), ports()
    running = weft(
        gateway(listener(first, 'first'), listener(second, 'second')),
        route(rule('one'), name='a', parents=[{'name': 'edge', 'port': first}]),
        route(rule('two'), name='b', parents=[{'name': 'edge', 'sectionName': 'second'}]), pair[2])
    assert running.get('/', port=first).origin == 'one'
    assert running.get('/', port=second).origin == 'two'


def test_a_route_whose_hostname_misses_the_listener_is_not_served(weft, ports, pair):
    port = ports()
    running = weft(gateway(listener(port, hostname='shop.example')),
                   route(rule('one'), hosts=['other.example']), pair[2])
    table(running, [('/', {}, 404)])
    table(running, [('/', {}, 404)], host='other.example')


@pytest.mark.parametrize('what, status, backends', [
    ('a missing Service', 500, ['missing']),
    ('no backends at all', 500, []),
    ('all weights 0', 500, [backend('one', 0), backend('two', 0)]),
    ('a port the Service has not', 500, [backend('one', port=81)]),
    ('a kind nobody knows', 500, [{'group': 'x.example', 'kind': 'Thing', 'name': 'one',
                                   'port': 80}]),
    ('a Service without endpoints', 503, ['empty']),
    ('a Service whose endpoints are not ready', 503, ['unready']),
])
def test_what_cannot_be_forwarded_has_its_status(weft, pair, what, status, backends):
    running = weft(route(rule(*backends)), pair[2], service('empty'),
                   service('unready', pair[0], ready=False))
    found = running.get('/')
    assert found.status == status, (what, found)
    assert found.get('Proxy-Status'), 'a refusal explains itself'


def test_a_share_of_traffic_to_a_missing_backend_is_500(weft, pair):
    running = weft(route(rule(backend('one', 1), backend('missing', 1))), pair[2])
    seen = collections.Counter(running.get('/').status for _ in range(60))
    assert set(seen) == {200, 500} and min(seen.values()) >= 12, seen


def test_other_namespaces_need_a_grant(weft, pair):
    one = pair[0]
    there = service('one', one, namespace='there')
    running = weft(route(rule(backend('one', namespace='there'))), there)
    assert running.get('/').status == 500
    running.write(grant('there', 'default'), file='grant.yaml')
    assert running.becomes(lambda: running.get('/').status == 200)
    running.remove('grant.yaml')
    assert running.becomes(lambda: running.get('/').status == 500)


def test_weights_share_traffic(weft, origins):
    a, b, c = origins('a'), origins('b'), origins('c')
    running = weft(service('a', a), service('b', b), service('c', c),
                   route(rule(backend('a', 7), backend('b', 3), backend('c', 0))))
    with running.connect() as wire:
        seen = collections.Counter(wire.ask('GET', '/').origin for _ in range(500))
    assert seen['c'] == 0
    assert abs(seen['a'] / 500 - 0.7) < 0.08, seen


def test_endpoints_of_a_service_share_traffic(weft, origins):
    made = [origins('a'), origins('b'), origins('c')]
    running = weft(service('all', *made), route(rule('all')))
    seen = collections.Counter(running.get('/').origin for _ in range(90))
    assert set(seen) == {'a', 'b', 'c'} and min(seen.values()) > 8, seen


def test_a_backend_is_never_asked_for_what_no_route_matches(weft, pair):
    running = weft(route(rule('one', exact='/only')), pair[2])
    running.get('/other')
    assert pair[0].requests == [] and pair[1].requests == []


def test_the_path_is_normal_before_it_is_matched_and_the_same_goes_on(weft, pair):
    running = weft(route(rule('one', prefix='/public'), rule('two', prefix='/admin')), pair[2])
    for target, origin, upstream in [
            ('/public/../admin/x', 'two', '/admin/x'), ('/public/./a', 'one', '/public/a'),
            ('/%61dmin', 'two', '/admin'), ('/public/%2e%2E/admin', 'two', '/admin'),
            ('/public/a%7eb', 'one', '/public/a~b'), ('/public/%c3%a9', 'one', '/public/%C3%A9'),
            ('/public/x?a=/../b%2e', 'one', '/public/x?a=/../b%2e')]:
        found = running.get(target)
        assert (found.origin, found.json['target']) == (origin, upstream), target


def test_a_404_names_its_reason(weft, pair):
    running = weft(route(rule('one', exact='/only')), pair[2])
    found = running.get('/other')
    assert found.status == 404 and 'route_not_found' in found.get('Proxy-Status') + \
        found.body.decode()


def test_named_rules_are_accepted_and_must_be_unique(weft, pair):
    running = weft(route(rule('one', prefix='/a', name='first'), rule('two', prefix='/b',
                                                                     name='second')), pair[2])
    table(running, [('/a', {}, 'one'), ('/b', {}, 'two')])
    running.write(route(rule('two', prefix='/a', name='same'), rule('two', prefix='/b',
                                                                   name='same')), pair[2])
    running.logged('same')
    table(running, [('/a', {}, 'one'), ('/b', {}, 'two')])  # refused: the older version stays


def test_thousands_of_routes_do_not_change_the_answer(weft, pair):
    rules = [rule('one', exact='/item/%d' % number) for number in range(15)]
    routes = [route(*rules, name='r%d' % number, hosts=['h%d.example' % number])
              for number in range(150)]
    running = weft(routes, route(rule('two')), pair[2])
    table(running, [('/item/7', {}, 'one'), ('/item/15', {}, 'two')], host='h149.example')
