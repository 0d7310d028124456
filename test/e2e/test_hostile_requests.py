"""Malformed and ambiguous requests over HTTP/1.1: each is refused with a reason and its connection
closed, and no byte of it reaches an origin; what is right however odd passes exactly.
"""
import json
from collections import Counter, defaultdict

import pytest

from hostile import Recorder, converse
from hostile_requests import CHUNKED, SMUGGLED, all_cases, request
from manifest import route, rule, service
from wire import eventually

CANARY = (b'GET /canary HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n')

BY_CLASS = defaultdict(list)
for case in all_cases():
    BY_CLASS[case[0]].append(case)


@pytest.fixture
def recorder():
    made = Recorder()
    yield made
    made.stop()


@pytest.fixture
def edge(weft, recorder):
    def start(*args):
        running = weft(route(rule('shop')), service('shop', recorder), args=args)
        running.recorder = recorder
        return running
    return start


def refusal_problem(running, raw):
    """None when the request was refused and nothing of it went anywhere."""
    mark = running.recorder.mark()
    said = converse(running.port, raw + SMUGGLED)
    data, seen, dirty = running.recorder.since(mark)
    if said.status is None or not (400 <= said.status < 500 or said.status == 505):
        return 'answered %r' % said
    if said.count != 1 or not said.ended:
        return 'not closed after one answer: %r' % said
    if seen or dirty or (data and len(raw) < 16384):  # a long one is on its way before it turns bad
        return '%d answered, but these reached the origin: %r' % (said.status, data[:200])
    return None


def passing_problem(running, raw, expected):
    """None when the request reached the origin as it is, and the next one behind it too."""
    mark = running.recorder.mark()
    said = converse(running.port, raw + CANARY)
    data, seen, dirty = running.recorder.since(mark)
    if said.status != 200 or dirty:
        return 'answered %r, origin: %r' % (said, dirty)
    is_last = b'HTTP/1.0\r\n' in raw
    if [item.target for item in seen[1:]] != ([] if is_last else ['/canary']):
        return 'behind it came %r' % [item.target for item in seen[1:]]
    found = seen[0]
    wanted = {'method': expected.get('method', found.method),
              'target': expected.get('target', found.target), 'body': expected.get('body', b''),
              'trailers': expected.get('trailers', [])}
    for part, value in wanted.items():
        if getattr(found, part) != value:
            return '%s is %r' % (part, getattr(found, part))
    for name, value in expected.get('headers', {}).items():
        if found.all(name) != (value if isinstance(value, list) else [value]):
            return '%s is %r' % (name, found.all(name))
    for name in expected.get('absent', []):
        if found.all(name):
            return '%s is there' % name
    return None


@pytest.mark.parametrize('kind', sorted(BY_CLASS))
def test_no_request_is_passed_on_ambiguous_or_repaired(edge, kind, record_property):
    running = edge('--idle-timeout', '2000')
    problems, counts = [], Counter()
    for _, what, raw, expected in BY_CLASS[kind]:
        if expected is None:
            problem = refusal_problem(running, raw)
            counts['refused'] += problem is None
        else:
            problem = passing_problem(running, raw, expected)
            counts['passed'] += problem is None
        if problem:
            problems.append('%s: %s' % (what, problem))
    record_property('counts', dict(counts))
    print(kind, dict(counts))
    assert not problems, '\n'.join(problems)
    assert json.loads(running.get('/after').body)['target'] == '/after'


def test_there_are_enough_of_them():
    cases = [case for cases in BY_CLASS.values() for case in cases]
    assert sum(expected is None for *_, expected in cases) >= 250
    assert len({(kind, what) for kind, what, *_ in cases}) == len(cases)


BODY_CASES = [case for kind in ('chunk-size', 'chunk-ext', 'trailer')
              for case in BY_CLASS[kind] if case[3] is None]


def test_a_bad_body_that_comes_late_never_becomes_a_whole_request(edge):
    """The head is with the origin already when the body turns out bad."""
    running = edge()
    problems = []
    for kind, what, raw, _ in BODY_CASES:
        at = raw.index(b'\r\n\r\n') + 4
        mark = running.recorder.mark()
        said = converse(running.port, raw[:at] + b'3\r\nabc\r\n', 0.02, raw[at:] + SMUGGLED)
        eventually(lambda: True, 0)
        _, seen, dirty = running.recorder.since(mark)
        if seen or dirty or said.status != 400 and said.status != 431 or not said.ended:
            problems.append('%s %s: %r, origin %r %r' % (
                kind, what, said, [item.target for item in seen], dirty))
    assert not problems, '\n'.join(problems)


def test_heads_that_drip_in_are_read_the_same_way(edge):
    """Two bytes at a time: what is refused whole is refused in pieces, and the other way round."""
    running = edge()
    problems = []
    cases = [case for number, case in enumerate(all_cases())
             if len(case[2]) < 200 and number % 9 == 0]
    for kind, what, raw, expected in cases:
        mark = running.recorder.mark()
        pieces = [raw[at:at + 2] for at in range(0, len(raw), 2)]
        dripped = [part for piece in pieces for part in (piece, 0.0005)]
        said = converse(running.port, *dripped, CANARY)
        _, seen, dirty = running.recorder.since(mark)
        targets = [item.target for item in seen]
        bad = expected is None and (seen or not said.ended or said.status < 400)
        good = expected is None or (said.status == 200 and targets[-1:] == ['/canary']
                                    or b'HTTP/1.0\r\n' in raw)
        if bad or not good or dirty:
            problems.append('%s %s: %r %r %r' % (kind, what, said, targets, dirty))
    assert not problems, '\n'.join(problems)


def test_a_refused_request_takes_those_before_it_along_unharmed(edge):
    """Pipelined: good ones in front are answered, the bad one is, and nothing behind it."""
    running = edge()
    bad = request(b'Content-Length: 5', CHUNKED, body=b'0\r\n\r\n')
    said = converse(running.port, request(line=b'GET /one HTTP/1.1')
                    + request(b'Content-Length: 3', line=b'POST /two HTTP/1.1', body=b'abc')
                    + bad + SMUGGLED)
    assert said.count == 3 and said.ended and b' 400 ' in said.data
    assert [item.target for item in running.recorder.seen] == ['/one', '/two']
