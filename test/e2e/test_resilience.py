"""Timeouts, retries, pools and endpoints that fail."""
import threading
import time

import pytest

from manifest import endpoints, route, rule, service
from origin import Answer, Origin
from wire import Closed, eventually


def timed(call):
    started = time.monotonic()
    found = call()
    return found, time.monotonic() - started


def test_a_request_timeout_answers_504(shop):
    running = shop(rule('shop', timeouts={'request': '300ms'}))
    running.origin.script = [Answer(delay=2)]
    found, took = timed(lambda: running.get('/slow'))
    assert found.status == 504 and 0.25 < took < 1.5, took
    assert running.get('/fast').status == 200


def test_a_backend_timeout_answers_504(shop):
    running = shop(rule('shop', timeouts={'backendRequest': '300ms'}))
    running.origin.script = [Answer(delay=2)]
    found, took = timed(lambda: running.get('/slow'))
    assert found.status == 504 and 0.25 < took < 1.5, took


def test_a_timeout_of_zero_is_none(shop):
    running = shop(rule('shop', timeouts={'request': '0s', 'backendRequest': '0s'}))
    running.origin.script = [Answer(delay=1)]
    assert running.get('/').status == 200


def test_no_timeout_set_means_none_of_15_seconds(shop):
    running = shop()
    running.origin.script = [Answer(delay=1.5)]
    assert running.get('/').status == 200


def test_a_request_timeout_cuts_a_response_that_has_begun(shop):
    running = shop(rule('shop', timeouts={'request': '300ms'}))
    running.origin.script = [Answer(body=b'x' * 1000, pause=3)]
    with running.connect() as wire:
        wire.request('GET', '/')
        with pytest.raises(Closed):
            wire.response()


def test_listed_codes_are_retried_until_one_succeeds(shop):
    running = shop(rule('shop', retry={'codes': [500], 'attempts': 3}))
    running.origin.script = [Answer(500), Answer(500)]
    found = running.get('/')
    assert found.status == 200 and len(running.origin.requests) == 3


def test_used_up_retries_give_the_last_answer(shop):
    running = shop(rule('shop', retry={'codes': [500], 'attempts': 3}))
    running.origin.answer = Answer(500, body=b'mine')
    found = running.get('/')
    assert (found.status, found.body) == (500, b'mine')
    assert len(running.origin.requests) == 4


@pytest.mark.parametrize('retry, status', [
    ({'codes': [500], 'attempts': 3}, 503), ({'codes': [500, 502, 503, 504], 'attempts': 0}, 500),
    ({}, 503), (None, 500)])
def test_what_is_not_listed_is_not_retried(shop, retry, status):
    running = shop(rule('shop', **({} if retry is None else {'retry': retry})))
    running.origin.answer = Answer(status)
    assert running.get('/').status == status
    assert len(running.origin.requests) == 1


def test_one_retry_is_the_default(shop):
    running = shop(rule('shop', retry={'codes': [503]}))
    running.origin.answer = Answer(503)
    assert running.get('/').status == 503
    assert len(running.origin.requests) == 2


def test_a_retry_sends_the_body_again(shop):
    running = shop(rule('shop', retry={'codes': [503], 'attempts': 2}))
    running.origin.script = [Answer(503)]
    found = running.ask('POST', '/', {}, b'x' * 20000)
    assert found.status == 200 and len(found.json['body']) == 20000
    assert [len(item.body) for item in running.origin.requests] == [20000, 20000]


def test_a_body_that_is_no_longer_held_stops_the_retry(shop):
    running = shop(rule('shop', retry={'codes': [503], 'attempts': 2}))
    running.origin.script = [Answer(503)]
    found = running.ask('POST', '/', {}, b'x' * 1000000)
    assert found.status in (502, 503) and len(running.origin.requests) == 1


def test_the_request_timeout_covers_all_retries(shop):
    running = shop(rule('shop', retry={'codes': [500], 'attempts': 5},
                        timeouts={'request': '500ms'}))
    running.origin.script = [Answer(500)]
    assert running.get('/').status == 200
    running.origin.answer = Answer(500, delay=0.3)
    found, took = timed(lambda: running.get('/'))
    assert found.status == 504 and took < 1.5


def test_backoff_waits_between_tries(shop):
    running = shop(rule('shop', retry={'codes': [500], 'attempts': 1, 'backoff': '400ms'}))
    running.origin.script = [Answer(500)]
    found, took = timed(lambda: running.get('/'))
    assert found.status == 200 and 0.1 < took < 3


def test_a_refused_connection_is_retried_on_another_endpoint(weft, origins, ports):
    alive, dead = origins('alive'), ports()
    running = weft(service('all', alive, dead), route(rule('all', retry={'attempts': 10})))
    for _ in range(20):
        assert running.get('/').origin == 'alive'


def test_a_refused_connection_is_503_without_retry(weft, ports):
    running = weft(service('dead', ports()), route(rule('dead', retry={'attempts': 0})))
    found = running.get('/')
    assert found.status == 503 and found.get('Proxy-Status')


def test_a_reset_after_the_request_was_sent_is_not_retried(shop):
    running = shop(rule('shop', retry={'codes': [500], 'attempts': 3}))
    running.origin.script = [Answer(reset=True)]
    assert running.ask('POST', '/', {}, b'x').status == 502
    assert len(running.origin.requests) == 1


def test_a_pooled_connection_that_closed_meanwhile_costs_nobody_a_request(shop):
    running = shop(workers=1)
    for number in range(10):
        running.origin.script = [Answer(body=b'ok'), None]
        assert running.get('/%d' % number).status == 200
        with running.origin.lock:
            for peer in list(running.origin.sockets):
                peer.shutdown(2)
        assert running.get('/again').status == 200


def test_an_endpoint_that_leaves_drains_and_gets_nothing_new(weft, origins):
    a, b = origins('a'), origins('b')
    running = weft(service('all', a, b), route(rule('all')))
    a.answer = Answer(body=b'slow', delay=1)
    b.answer = Answer(body=b'slow', delay=1)
    found = []
    threads = [threading.Thread(target=lambda: found.append(running.get('/').body))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(a.requests) + len(b.requests) == 8)
    running.write(service('all', b), route(rule('all')))
    for thread in threads:
        thread.join()
    assert found == [b'slow'] * 8  # open requests of the one that left end well
    a.answer = b.answer = None
    assert running.becomes(lambda: {running.get('/').origin for _ in range(10)} == {'b'})


def test_an_endpoint_that_arrives_is_used(weft, origins):
    a, b = origins('a'), origins('b')
    running = weft(service('all', a), route(rule('all')))
    assert running.get('/').origin == 'a'
    running.write(endpoints('all', b.port, 7), file='more.yaml')
    assert running.becomes(lambda: 'b' in {running.get('/').origin for _ in range(10)})


def test_an_origin_that_comes_back_is_served_again(weft, ports):
    port = ports()
    running = weft(service('late', port), route(rule('late')))
    assert running.get('/').status == 503
    late = Origin('late', port=port)
    try:
        assert running.becomes(lambda: running.get('/').status == 200)
    finally:
        late.stop()


@pytest.mark.parametrize('connections', [50])
@pytest.mark.threads
def test_many_connections_at_once_are_all_served(shop, connections):
    running = shop(workers=4)
    wires = [running.connect() for _ in range(connections)]
    for _ in range(5):
        for wire in wires:
            wire.request('GET', '/')
        for wire in wires:
            assert wire.response().status == 200
    for wire in wires:
        wire.close()
