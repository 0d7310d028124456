/* The state machine of a server connection. `run` goes on until there is nothing to read or no room
 * to write; everything that can end the connection returns false up to there, so that nothing
 * touches it after it is freed. */
#include "http/server_connection.h"

#include "http/uri.h"

#include "base/clock.h"
#include "base/ensure.h"

#include <stdlib.h>

#define READ_SIZE        16384
#define HEAD_MAX         16384      /* bytes of field lines */
#define WRITE_SHARE      (1u << 20) /* bytes a connection writes in one turn */
#define REQUESTS_MAX     1000
#define LINGER_MS        1000
#define LINGER_BYTES_MAX (256u << 10)

static const struct h1_limits limits = {
    .request_line = 8192,
    .head = HEAD_MAX,
    .fields = FIELDS_MAX,
};

static void arm(struct server_connection *c, unsigned timeout_ms)
{
    timer_start(c->server->loop, &c->deadline, timeout_ms);
}

static bool moves_to_write(struct server_connection *c)
{
    c->state = CONNECTION_WRITE;
    c->out_at = 0;
    arm(c, c->server->options.write_timeout_ms);
    return true;
}

/* Writes the head of `reply`; its body moves to `out`. */
static bool answer(struct server_connection *c, struct http_reply *reply)
{
    struct h1_writer writer = { .at = c->out_head, .end = c->out_head + sizeof(c->out_head) };
    char date[CLOCK_IMF_SIZE];
    clock_format_imf(clock_wall_us(), date);
    h1_write_status_line(&writer, reply->status, text_of(NULL, 0));
    h1_write_field(&writer, TEXT("Date"), text_of(date, sizeof(date)));
    h1_write_field(&writer, TEXT("Content-Type"), text_from_string(reply->content_type));
    /* Nothing here is for a cache, a frame or a guess at its type. */
    h1_write_field(&writer, TEXT("Cache-Control"), TEXT("no-store"));
    h1_write_field(&writer, TEXT("X-Content-Type-Options"), TEXT("nosniff"));
    if (reply->allow != NULL) {
        h1_write_field(&writer, TEXT("Allow"), text_from_string(reply->allow));
    }
    h1_write_field(&writer, TEXT("Connection"), c->keep_alive ? TEXT("keep-alive") : TEXT("close"));
    h1_write_framing(&writer, BODY_LENGTH, reply->body.size);
    h1_write_end(&writer);
    ensure(!writer.overflow);
    c->out_head_size = (size_t)(writer.at - c->out_head);
    buffer_fini(&c->out);
    c->out = reply->body;
    if (c->head_only) {
        buffer_clear(&c->out);
    }
    return moves_to_write(c);
}

static bool answer_text(struct server_connection *c, uint16_t status, const char *text)
{
    struct http_reply reply = { .status = status, .content_type = "text/plain; charset=utf-8" };
    buffer_format(&reply.body, "%s\n", text);
    return answer(c, &reply);
}

/* Answers something that leaves the connection in no state to go on. */
static bool refuse(struct server_connection *c, uint16_t status, const char *text)
{
    c->keep_alive = false;
    return answer_text(c, status, text);
}

static bool is_loopback(struct text host)
{
    struct address address;
    if (text_equal_nocase(host, TEXT("localhost"))) {
        return true;
    }
    if (host.size > 2 && host.at[0] == '[') {
        host = text_of(host.at + 1, host.size - 2);
    }
    return address_parse_ip(host, &address) && address_is_loopback(&address);
}

/* "null" and every other origin that is no loopback URL is somebody else's page. */
static bool is_loopback_origin(struct text origin)
{
    size_t scheme = text_find(origin, TEXT("://"));
    struct text host;
    uint32_t port;
    return scheme < origin.size && authority_parse(text_from(origin, scheme + 3), &host, &port) &&
           is_loopback(host);
}

static bool is_welcome(const struct server_connection *c, const struct request_head *head)
{
    if (!c->socket.loopback_only) {
        return true;
    }
    const struct field *origin = fields_find(&head->fields, FIELD_ORIGIN);
    return is_loopback(head->host) && (origin == NULL || is_loopback_origin(origin->value));
}

static bool handle(struct server_connection *c, const struct request_head *head)
{
    static const struct path_rules rules = { .encoded_slash = PATH_REFUSE,
                                             .backslash = PATH_REFUSE,
                                             .double_slash = PATH_REFUSE,
                                             .parameters = PATH_REFUSE };
    struct http_request request = { .tag = c->socket.tag,
                                    .method_id = head->method_id,
                                    .method = head->method,
                                    .query = text_of(head->query.at, head->query.size),
                                    .body = buffer_text(&c->body),
                                    .host = head->host,
                                    .head = head };
    c->head_only = head->method_id == METHOD_HEAD;
    c->keep_alive = head->keep_alive && ++c->served < REQUESTS_MAX && !c->server->stopped;
    if (head->method_id == METHOD_CONNECT || head->method_id == METHOD_TRACE) {
        return refuse(c, 405, "method not allowed");
    }
    if (!is_welcome(c, head)) {
        return refuse(c, 403, "this port answers requests for localhost only");
    }
    enum path_result result = path_normalize(head->path, &rules, c->server->path, &request.path);
    if (result != PATH_SAME && result != PATH_CHANGED) {
        return answer_text(c, 400, path_result_name(result));
    }
    struct http_reply reply = { .status = 200, .content_type = "text/plain; charset=utf-8" };
    c->server->options.on_request(c->server->options.owner, &request, &reply);
    return answer(c, &reply);
}

/* The request is whole. Its head is read again, as its bytes have moved meanwhile. */
static bool dispatch(struct server_connection *c)
{
    struct h1_head_reader reader;
    size_t size;
    h1_head_reader_init(&reader);
    enum h1_result result =
        h1_read_request(&reader, &limits, c->in.bytes, c->in.size, &c->server->head, &size);
    ensure(result == H1_DONE && size == c->head_size);
    bool goes_on = handle(c, &c->server->head);
    buffer_consume(&c->in, c->head_size + c->body_used);
    buffer_fini(&c->body);
    c->head_size = c->body_used = 0;
    return goes_on;
}

/* A client that gets no 100 sends its body all the same, so a full socket is no matter; half of it
 * would be one. */
static bool write_continue(struct server_connection *c)
{
    static char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec part = { go_on, sizeof(go_on) - 1 };
    size_t sent = 0;
    transport_write(&c->transport, &part, 1, &sent);
    return sent == 0 || sent == part.iov_len;
}

/* *out_wants: more bytes are needed to go on. */
static bool read_head(struct server_connection *c, bool *out_wants)
{
    struct request_head *head = &c->server->head;
    if (c->in.size == 0) {
        *out_wants = true;
        return true;
    }
    if (!c->timing_head) {
        c->timing_head = true;
        arm(c, c->server->options.head_timeout_ms);
    }
    enum h1_result result =
        h1_read_request(&c->reader, &limits, c->in.bytes, c->in.size, head, &c->head_size);
    if (result == H1_MORE) {
        *out_wants = true;
        return true;
    }
    if (result == H1_REFUSED) {
        return refuse(c, h1_reason_status(c->reader.reason), h1_reason_name(c->reader.reason));
    }
    h1_body_init(&c->decoder, head->body, head->content_length);
    if (head->content_length > c->server->options.body_max) {
        return refuse(c, 413, "body too large");
    }
    if (head->expect_continue && c->in.size == c->head_size && !write_continue(c)) {
        return false;
    }
    c->state = CONNECTION_BODY;
    arm(c, c->server->options.body_timeout_ms);
    return true;
}

/* False: refused. */
static bool read_trailers(struct server_connection *c, struct text rest, bool *out_wants)
{
    size_t used;
    enum h1_result result =
        h1_read_trailers(&c->decoder, &limits, rest.at, rest.size, &c->server->trailers, &used);
    *out_wants = result == H1_MORE;
    c->body_used += result == H1_DONE ? used : 0;
    return result != H1_REFUSED;
}

static bool read_body(struct server_connection *c, bool *out_wants)
{
    size_t body_max = c->server->options.body_max;
    while (!c->decoder.done && !*out_wants) {
        struct text rest = text_from(buffer_text(&c->in), c->head_size + c->body_used), data;
        size_t used;
        if (h1_body_in_trailers(&c->decoder)) {
            if (!read_trailers(c, rest, out_wants)) {
                return refuse(c, 400, h1_reason_name((enum h1_reason)c->decoder.reason));
            }
            continue;
        }
        if (h1_body_read(&c->decoder, rest.at, rest.size, &data, &used) == H1_REFUSED) {
            return refuse(c, 400, h1_reason_name((enum h1_reason)c->decoder.reason));
        }
        *out_wants = rest.size == 0;
        c->body_used += used;
        /* Framing counts too: chunks of one byte must not take many times the memory. */
        if (c->body.size + data.size > body_max || c->body_used > 2 * body_max + READ_SIZE) {
            return refuse(c, 413, "body too large");
        }
        buffer_append(&c->body, data);
    }
    return c->decoder.done ? dispatch(c) : true;
}

static bool next_request(struct server_connection *c)
{
    buffer_fini(&c->out);
    if (!c->keep_alive) {
        transport_shutdown(&c->transport);
        c->state = CONNECTION_LINGER;
        buffer_fini(&c->in);
        arm(c, LINGER_MS);
        return true;
    }
    if (c->in.size == 0) {
        buffer_fini(&c->in);
    }
    h1_head_reader_init(&c->reader);
    c->state = CONNECTION_HEAD;
    c->head_only = c->timing_head = false;
    arm(c, c->server->options.idle_timeout_ms);
    list_remove(&c->link);
    list_add_last(&c->server->connections, &c->link);
    return true;
}

/* False: the connection is of no more use. *out_wants: the peer takes nothing more for now. */
static bool write_out(struct server_connection *c, size_t *share, bool *out_wants)
{
    size_t total = c->out_head_size + c->out.size;
    while (c->out_at < total) {
        struct iovec parts[2];
        int count = 0;
        if (c->out_at < c->out_head_size) {
            parts[count++] =
                (struct iovec) { c->out_head + c->out_at, c->out_head_size - c->out_at };
        }
        size_t body_at = c->out_at < c->out_head_size ? 0 : c->out_at - c->out_head_size;
        if (body_at < c->out.size) {
            size_t left = c->out.size - body_at;
            parts[count++] =
                (struct iovec) { c->out.bytes + body_at, left < WRITE_SHARE ? left : WRITE_SHARE };
        }
        if (*share == 0) {
            timer_start(c->server->loop, &c->again, 0);
            *out_wants = true;
            return true;
        }
        size_t sent = 0;
        enum io io = transport_write(&c->transport, parts, count, &sent);
        if (io != IO_OK) {
            *out_wants = io == IO_AGAIN;
            return io == IO_AGAIN;
        }
        c->out_at += sent;
        *share -= sent < *share ? sent : *share;
        arm(c, c->server->options.write_timeout_ms);
    }
    return next_request(c);
}

/* One read. False: the connection has ended. *out_waits: there is nothing now. */
static bool read_in(struct server_connection *c, bool *out_waits)
{
    size_t got = 0;
    char *into = buffer_reserve(&c->in, READ_SIZE);
    enum io io = transport_read(&c->transport, into, READ_SIZE, &got);
    *out_waits = io == IO_AGAIN;
    if (io != IO_OK) {
        if (c->in.size == 0) {
            buffer_fini(&c->in);
        }
        return io == IO_AGAIN;
    }
    if (c->state == CONNECTION_LINGER) {
        c->lingered += got;
        return c->lingered <= LINGER_BYTES_MAX;
    }
    c->in.size += got;
    return true;
}

static bool step(struct server_connection *c, size_t *share, bool *out_waits)
{
    bool wants_bytes = false;
    bool good = true;
    switch (c->state) {
    case CONNECTION_HEAD:
        good = read_head(c, &wants_bytes);
        break;
    case CONNECTION_BODY:
        good = read_body(c, &wants_bytes);
        break;
    case CONNECTION_WRITE:
        return write_out(c, share, out_waits);
    case CONNECTION_LINGER:
        wants_bytes = true;
        break;
    }
    return good && wants_bytes ? read_in(c, out_waits) : good;
}

static void run(struct server_connection *c)
{
    size_t share = WRITE_SHARE;
    bool waits = false;
    while (!waits) {
        if (!step(c, &share, &waits)) {
            server_connection_close(c, false);
            return;
        }
    }
}

static void on_ready(struct transport *transport)
{
    run(list_owner(transport, struct server_connection, transport));
}

static void on_again(struct timer *timer)
{
    run(list_owner(timer, struct server_connection, again));
}

static void on_deadline(struct timer *timer)
{
    struct server_connection *c = list_owner(timer, struct server_connection, deadline);
    bool begun = (c->state == CONNECTION_HEAD && c->in.size > 0) || c->state == CONNECTION_BODY;
    if (begun) {
        refuse(c, 408, "request timeout");
        run(c);
        return;
    }
    /* What a peer does not take must not stay in the socket. */
    server_connection_close(c, c->state == CONNECTION_WRITE);
}

bool server_connection_is_idle(const struct server_connection *connection)
{
    return connection->state == CONNECTION_HEAD && connection->in.size == 0;
}

struct server_connection *server_connection_open(struct http_server *server, int fd,
                                                 const struct http_server_socket *socket)
{
    struct error error;
    struct server_connection *c = calloc(1, sizeof(*c));
    ensure(c != NULL);
    if (!tcp_open(&c->transport, server->loop, fd, &error)) {
        free(c);
        return NULL;
    }
    c->transport.on_ready = on_ready;
    c->server = server;
    c->socket = *socket;
    h1_head_reader_init(&c->reader);
    timer_init(&c->deadline, on_deadline);
    timer_init(&c->again, on_again);
    list_init(&c->link);
    list_add_last(&server->connections, &c->link);
    server->count++;
    arm(c, server->options.head_timeout_ms);
    return c;
}

void server_connection_close(struct server_connection *c, bool reset)
{
    struct http_server *server = c->server;
    timer_stop(&c->deadline);
    timer_stop(&c->again);
    transport_close(&c->transport, reset);
    list_remove(&c->link);
    buffer_fini(&c->in);
    buffer_fini(&c->body);
    buffer_fini(&c->out);
    free(c);
    server->count--;
    server_on_closed(server);
}
