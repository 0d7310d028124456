#!/usr/bin/python3
"""The shop's services: small, real, and knowing nothing of Weft. Each is a plain HTTP server on a
loopback port, in one process for all:

    services.py          catalog 9101, cart 9102, reviews 9103 and 9104, orders 9105, audit 9106
"""
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CATALOG = {
    '1': {'name': 'loom, four shafts', 'price': 420},
    '2': {'name': 'shuttle, beech', 'price': 18},
    '3': {'name': 'yarn, wool, 100 g', 'price': 7},
}
REVIEWS = {'1': [5, 5, 4], '2': [3, 4], '3': [5]}


class Service(BaseHTTPRequestHandler):
    """One answer a method: page(path, body) returns (status, object)."""
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    name = ''

    def answer(self):
        body = self.read_body()
        status, thing = self.page(self.path.split('?')[0].rstrip('/') or '/', body)
        data = (json.dumps(thing) + '\n').encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.send_header('X-Service', self.name)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def read_body(self):
        if 'chunked' in self.headers.get('Transfer-Encoding', ''):
            body = b''
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body
        return self.rfile.read(int(self.headers.get('Content-Length') or 0))

    def log_message(self, *_):
        pass


class Catalog(Service):
    name = 'catalog'

    def page(self, path, body):
        if path in ('/', '/catalog'):
            return 200, {'shop': 'The Loom', 'items': CATALOG}
        item = CATALOG.get(path.rsplit('/', 1)[-1])
        return (200, item) if item else (404, {'error': 'no such item'})


class Cart(Service):
    name = 'cart'
    items, lock = [], threading.Lock()

    def page(self, path, body):
        with self.lock:
            if self.command == 'POST':
                try:
                    item = str(json.loads(body)['item'])
                except (ValueError, KeyError, TypeError):
                    return 400, {'error': 'say {"item": "1"}'}
                if item not in CATALOG:
                    return 404, {'error': 'no such item'}
                self.items.append(item)
            elif self.command == 'DELETE':
                self.items.clear()
            return 200, {'items': list(self.items),
                         'total': sum(CATALOG[item]['price'] for item in self.items)}


class Reviews(Service):
    name = 'reviews-v1'

    def page(self, path, body):
        return 200, {'version': 1, 'stars': REVIEWS.get(path.rsplit('/', 1)[-1], [])}


class StarredReviews(Service):
    name = 'reviews-v2'

    def page(self, path, body):
        stars = REVIEWS.get(path.rsplit('/', 1)[-1], [])
        return 200, {'version': 2, 'average': round(sum(stars) / len(stars), 1) if stars else None}


class Orders(Service):
    """Every third answer is a 503: real services have such days, and the route retries."""
    name = 'orders'
    asked, lock = 0, threading.Lock()

    def page(self, path, body):
        with self.lock:
            Orders.asked += 1
            tired = Orders.asked % 3 == 0
        if tired:
            return 503, {'error': 'tired, ask again'}
        if not path.startswith('/api/orders'):
            return 404, {'error': 'this service speaks /api/orders'}
        return 200, {'path': path, 'orders': [{'id': 7, 'item': '3', 'state': 'woven'}]}


class Audit(Service):
    """Sees a copy of every request for orders; GET /seen on its own port shows them."""
    name = 'audit'
    seen, lock = [], threading.Lock()

    def page(self, path, body):
        with self.lock:
            if path != '/seen':
                self.seen.append('%s %s' % (self.command, path))
            return 200, {'seen': self.seen[-10:], 'count': len(self.seen)}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a caller that leaves is no error
            super().handle_error(request, client_address)


def main():
    servers = [Server(('127.0.0.1', 9101 + number), service) for number, service in
               enumerate([Catalog, Cart, Reviews, StarredReviews, Orders, Audit])]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print('ready', flush=True)
    signal.pause()


if __name__ == '__main__':
    main()
