"""The harness itself, without Weft: a test bed that lies proves nothing."""
import pytest

import manifest
from origin import Answer
from wire import Closed, Wire, ask


def test_origin_echoes_what_it_saw(origin):
    found = ask(origin.port, 'POST', '/a?b=c', {'X-One': '1'}, b'body')
    assert found.status == 200
    assert found.json['method'] == 'POST' and found.json['target'] == '/a?b=c'
    assert found.seen('x-one') == ['1'] and found.json['body'] == 'body'
    assert origin.requests[0].body == b'body'


def test_origin_answers_by_script_then_echoes(origin):
    origin.script = [Answer(503, body=b'no'), Answer(reset=True), Answer(raw=b'junk', close=True)]
    with Wire(origin.port) as wire:
        assert wire.ask('GET', '/').status == 503
        wire.request('GET', '/')
        with pytest.raises(Closed):
            wire.response()
    with Wire(origin.port) as wire:
        wire.request('GET', '/')
        assert wire.rest() == b'junk'
    assert ask(origin.port, 'GET', '/').status == 200
    assert origin.connections == 3


def test_origin_sends_chunks_trailers_and_interim_heads(origin):
    origin.script = [Answer(pieces=[b'ab', b'c'], trailers=[('X-Sum', '3')],
                            interim=b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')]
    found = ask(origin.port, 'GET', '/')
    assert found.body == b'abc' and found.chunks == [2, 1]
    assert found.trailers == [('X-Sum', '3')]
    assert [head.status for head in found.interim] == [103]


def test_origin_reads_chunked_requests(origin):
    found = ask(origin.port, 'POST', '/', {'Transfer-Encoding': 'chunked'},
                b'3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n')
    assert found.json['body'] == 'abcde' and found.json['trailers'] == [['X-T', '1']]


def test_origin_tunnels_after_an_upgrade(origin):
    origin.answer = Answer(101, [('Upgrade', 'echo'), ('Connection', 'Upgrade')])
    with Wire(origin.port) as wire:
        found = wire.ask('GET', '/', {'Upgrade': 'echo', 'Connection': 'Upgrade'})
        assert found.status == 101
        assert wire.send(b'hello').exactly(5) == b'hello'


def test_wire_sees_the_end(origin):
    with Wire(origin.port) as wire:
        wire.ask('GET', '/')
        assert wire.is_open()
        origin.stop()
        assert wire.ends() is True


def test_yaml_reads_back_as_what_was_meant():
    yaml = pytest.importorskip('yaml')
    objects = [
        manifest.gateway(80, manifest.listener(81, 'two', '*.example')),
        manifest.route(manifest.rule(
            'a', manifest.backend('b', 0), headers={'x': ('RegularExpression', 'a|b')},
            filters=[manifest.redirect(full='/y', status=301)], retry={'codes': [503]})),
        manifest.service('a', 1, 2, namespace='there'),
        manifest.grant('there', 'here'),
        {'odd': {'a b': ['x', [1, 2], {}, []], 'plain': 'on', 'nil': None, 'bool': True}},
    ]
    assert list(yaml.safe_load_all(manifest.documents(*objects))) == list(manifest.flatten(objects))


def test_ports_are_not_given_twice(ports):
    given = [ports() for _ in range(20)]
    assert len(set(given)) == 20
