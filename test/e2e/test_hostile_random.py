"""The whole process against mutated exchanges: bytes of clients and of origins are cut, doubled, swapped
and spoilt, from a seed that is printed. No crash, no hang, and a canary is served all the while.
WEFT_SEED and WEFT_ROUNDS choose other runs."""
import os
import random
import time

import pytest

from hostile import Recorder, converse
from hostile_requests import all_cases
from manifest import backend, mirror, rewrite, route, rule, service, set_request
from test_hostile_answers import MALFORMED, SMUGGLED, answer, extras

SEED = int(os.environ.get('WEFT_SEED', '20261'))
ROUNDS = int(os.environ.get('WEFT_ROUNDS', '0'))

PIECES = [b'\r\n', b'\n', b'\r', b'\0', b' ', b'\t', b':', b';', b',', b'0', b'5', b'ffffffff', b'%', b'%2f',
          b'/', b'..', b'Content-Length: 5\r\n', b'Transfer-Encoding: chunked\r\n', b'Host: a\r\n',
          b'Connection: close\r\n', b'Connection: upgrade\r\nUpgrade: websocket\r\n', b'\xff',
          b'Expect: 100-continue\r\n', b'HTTP/1.0', b'HTTP/1.1 100 Go\r\n\r\n', b'0\r\n\r\n',
          b'x' * 300, b'X: ' + b'a' * 5000 + b'\r\n', b'\r\n\r\n']


def mutate(dice, data, others):
    data = bytearray(data)
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3, 6])):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice([1, 1, 2, 5, 20, 100]))
        kind = dice.randrange(7)
        if kind == 0:
            data[at:end] = b''
        elif kind == 1:
            data[at:at] = dice.choice(PIECES)
        elif kind == 2:
            data[at:end] = dice.choice(PIECES)
        elif kind == 3 and at < len(data):
            data[at] = dice.randrange(256)
        elif kind == 4:
            data[at:at] = data[at:end] * dice.choice([1, 2, 20])
        elif kind == 5:
            other = dice.choice(others)
            data[at:] = other[dice.randrange(len(other) + 1):]
        else:
            data = data[:at]
    return bytes(data)


def pieces(dice, data):
    """Cut into a few writes, some with a pause between."""
    out, at = [], 0
    while at < len(data):
        size = dice.choice([1, 3, 17, 200, 5000, len(data)])
        out.append(data[at:at + size])
        at += size
        if len(out) < 8 and dice.random() < 0.3:
            out.append(0.003)
        if len(out) > 12:
            out.append(data[at:])
            break
    return [part for part in out if part]


def origin_script(dice, answers):
    """What the origin does with one request."""
    choice = dice.random()
    if choice < 0.35:
        return None
    data = mutate(dice, dice.choice(answers), answers)
    script = pieces(dice, data)
    if choice < 0.6:
        script.append(None)
    return script or [None]


@pytest.mark.parametrize('part, rounds', [
    (0, 250), (1, 250), pytest.param(2, 4000, marks=pytest.mark.long)])
def test_mutated_exchanges_crash_nothing_and_hang_nothing(weft, part, rounds):
    seed, rounds = SEED + part, ROUNDS or rounds
    print('seed', seed)
    dice = random.Random(seed)
    wild, calm = Recorder(), Recorder()
    running = weft(
        route(rule('calm', prefix='/canary'),
              rule(backend('wild', filters=[set_request(set={'x-a': 'b'})]), prefix='/r',
                   retry={'codes': [503], 'attempts': 2, 'backoff': '5ms'},
                   timeouts={'request': '2s'}, filters=[rewrite(prefix='/s')]),
              rule('wild', prefix='/m', filters=[mirror('calm'), mirror('wild')],
                   timeouts={'request': '2s'}),
              rule('wild', timeouts={'request': '2s'})),
        service('wild', wild), service('calm', calm),
        args=['--header-timeout', '500', '--body-timeout', '500', '--idle-timeout', '500',
              '--stream-idle-timeout', '1000'])
    requests = [case[2] for case in all_cases() if len(case[2]) < 3000]
    requests += [raw.replace(b' /x ', path) for raw in requests[::3] for path in (b' /r/x ', b' /m ')]
    answers = [b''.join(part for part in (raw if isinstance(raw, list) else [raw])
                        if isinstance(part, bytes)) or b'x' for _, raw in MALFORMED]
    answers += [b''.join(part for part in parts if isinstance(part, bytes))[:9000]
                for *_, parts in extras()]
    answers += [answer(b'Content-Length: 2', body=b'ok'), answer(line=b'HTTP/1.1 503 No') + SMUGGLED,
                answer(b'Connection: upgrade', b'Upgrade: websocket', line=b'HTTP/1.1 101 S') + b'bytes']
    children = running.children()
    for number in range(rounds):
        with wild.lock:
            wild.answers = [origin_script(dice, answers) for _ in range(4)]
        raw = mutate(dice, dice.choice(requests), requests)
        if dice.random() < 0.3:
            raw += dice.choice(requests)
        started = time.monotonic()
        converse(running.port, *pieces(dice, raw), silence=dice.choice([0.01, 0.03, 0.03, 4]))
        took = time.monotonic() - started
        assert took < 10, 'round %d took %.1f s: %r' % (number, took, raw[:300])
        if number % 5 == 0:
            said = converse(running.port, b'GET /canary/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
                            % number)
            assert said.status == 200 and b'/canary/%d' % number in said.data, (number, said)
    # What went to an origin was well-formed, however it came; only cut short it may have been.
    assert not wild.dirty and not calm.dirty, (seed, wild.dirty[:3], calm.dirty[:3])
    assert running.children() == children, 'a child was restarted:\n' + running.log()
    wild.stop()
    calm.stop()
