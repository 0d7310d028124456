/* The small client: blocking in turn on connect, write and read, each for what is left of the time.
 */
#include "http/client.h"

#include "http/h1.h"

#include "base/clock.h"
#include "base/ensure.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE          65536
#define HEAD_SIZE          16384
#define TIMEOUT_DEFAULT_MS 10000
#define INTERIM_MAX        16 /* 1xx answers before the answer */

struct client {
    int fd;
    uint64_t deadline_ns;
    char name[ADDRESS_TEXT_MAX + 110]; /* for messages */
    struct buffer in;                  /* what was read and not used */
    struct error *error;
};

/* Waits for the descriptor; false with the error set when time is up. */
static bool wait_for(struct client *client, short events)
{
    for (;;) {
        uint64_t now = clock_now_ns();
        uint64_t left_ms =
            now < client->deadline_ns ? (client->deadline_ns - now) / 1000000 + 1 : 0;
        struct pollfd one = { .fd = client->fd, .events = events };
        int ready = left_ms == 0 ? 0 : poll(&one, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return error_errno(client->error, errno, "%s: cannot wait", client->name);
        }
        if (left_ms == 0) {
            return error_set(client->error, "%s: no answer in time", client->name);
        }
    }
}

static bool fill_where(const struct http_client_request *request, struct client *client,
                       struct sockaddr_storage *out, socklen_t *out_size)
{
    if (request->unix_path == NULL) {
        ensure(request->address != NULL);
        address_format(request->address, client->name);
        *out_size = address_to_sockaddr(request->address, out);
        return true;
    }
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    size_t size = strlen(request->unix_path);
    if (size == 0 || size >= sizeof(where.sun_path)) {
        return error_set(client->error, "the socket path %s is empty or longer than %zu bytes",
                         request->unix_path, sizeof(where.sun_path) - 1);
    }
    memcpy(where.sun_path, request->unix_path, size + 1);
    memcpy(client->name, request->unix_path, size + 1);
    memcpy(out, &where, sizeof(where));
    *out_size = sizeof(where);
    return true;
}

static bool open_connection(struct client *client, const struct http_client_request *request)
{
    struct sockaddr_storage where = { 0 };
    socklen_t size = 0;
    if (!fill_where(request, client, &where, &size)) {
        return false;
    }
    client->fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        return error_errno(client->error, errno, "%s: cannot make a socket", client->name);
    }
    int reason = 0;
    if (connect(client->fd, (const struct sockaddr *)&where, size) != 0) {
        reason = errno;
    }
    if (reason == EINPROGRESS) {
        socklen_t reason_size = sizeof(reason);
        if (!wait_for(client, POLLOUT)) {
            return false;
        }
        getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &reason, &reason_size);
    }
    return reason == 0 || error_errno(client->error, reason, "cannot connect to %s", client->name);
}

static bool send_all(struct client *client, struct text t)
{
    while (t.size > 0) {
        ssize_t sent = send(client->fd, t.at, t.size, MSG_NOSIGNAL);
        if (sent > 0) {
            t = text_from(t, (size_t)sent);
        } else if (errno == EAGAIN) {
            if (!wait_for(client, POLLOUT)) {
                return false;
            }
        } else if (errno == EPIPE || errno == ECONNRESET) {
            /* It may have answered before it stopped listening. */
            return true;
        } else if (errno != EINTR) {
            return error_errno(client->error, errno, "%s: cannot send", client->name);
        }
    }
    return true;
}

static bool send_request(struct client *client, const struct http_client_request *request)
{
    size_t size = 256 + request->method.size + request->target.size + request->host.size +
                  request->content_type.size;
    char *head = malloc(size);
    ensure(head != NULL);
    struct h1_writer writer = { .at = head, .end = head + size };
    h1_write_request_line(&writer, request->method.size ? request->method : TEXT("GET"),
                          request->target.size ? request->target : TEXT("/"));
    h1_write_field(&writer, TEXT("Host"), request->host.size ? request->host : TEXT("localhost"));
    h1_write_field(&writer, TEXT("Connection"), TEXT("close"));
    if (request->content_type.size > 0) {
        h1_write_field(&writer, TEXT("Content-Type"), request->content_type);
    }
    if (request->body.size > 0) {
        h1_write_framing(&writer, BODY_LENGTH, request->body.size);
    }
    h1_write_end(&writer);
    ensure(!writer.overflow);
    bool sent = send_all(client, text_of(head, (size_t)(writer.at - head))) &&
                send_all(client, request->body);
    free(head);
    return sent;
}

/* Reads some; *out_end at the end of the stream. */
static bool read_some(struct client *client, bool *out_end)
{
    char *into = buffer_reserve(&client->in, READ_SIZE);
    for (;;) {
        ssize_t got = recv(client->fd, into, READ_SIZE, 0);
        if (got >= 0) {
            client->in.size += (size_t)got;
            *out_end = got == 0;
            return true;
        }
        if (errno == EAGAIN) {
            if (!wait_for(client, POLLIN)) {
                return false;
            }
        } else if (errno != EINTR) {
            return error_errno(client->error, errno, "%s: cannot read", client->name);
        }
    }
}

static bool refused(const struct client *client, enum h1_reason reason)
{
    return error_set(client->error, "%s: not a valid HTTP answer (%s)", client->name,
                     h1_reason_name(reason));
}

static bool cut_short(const struct client *client)
{
    return error_set(client->error, "%s: the answer ended too early", client->name);
}

/* The head of the answer proper; 1xx are passed over. */
static bool read_head(struct client *client, enum http_method method, struct response_head *head)
{
    static const struct h1_limits limits = { .request_line = 8192,
                                             .head = HEAD_SIZE,
                                             .fields = FIELDS_MAX };
    for (int interim = 0; interim < INTERIM_MAX; interim++) {
        struct h1_head_reader reader;
        size_t size;
        bool end = false;
        enum h1_result result;
        h1_head_reader_init(&reader);
        for (result = H1_MORE; result == H1_MORE;) {
            if (client->in.size > 0) {
                result = h1_read_response(&reader, &limits, method, client->in.bytes,
                                          client->in.size, head, &size);
            }
            if (result == H1_MORE && end) {
                return cut_short(client);
            }
            if (result == H1_MORE && !read_some(client, &end)) {
                return false;
            }
        }
        if (result == H1_REFUSED) {
            return refused(client, reader.reason);
        }
        buffer_consume(&client->in, size);
        if (head->status >= 200) {
            return true;
        }
    }
    return error_set(client->error, "%s: too many 1xx answers", client->name);
}

/* Decodes what has come; false: refused. */
static bool take_body(struct client *client, struct h1_body *decoder, struct buffer *body)
{
    static _Thread_local struct fields trailers;
    size_t at = 0, used;
    enum h1_result result = H1_MORE;
    while (at < client->in.size && !decoder->done && result != H1_REFUSED) {
        const char *rest = client->in.bytes + at;
        size_t size = client->in.size - at;
        if (h1_body_in_trailers(decoder)) {
            result = h1_read_trailers(decoder, &h1_default_limits, rest, size, &trailers, &used);
            if (result == H1_MORE) {
                break;
            }
            continue;
        }
        struct text data;
        result = h1_body_read(decoder, rest, size, &data, &used);
        if (body->size + data.size > HTTP_CLIENT_ANSWER_MAX) {
            return error_set(client->error, "%s: the answer is longer than %u MiB", client->name,
                             HTTP_CLIENT_ANSWER_MAX >> 20);
        }
        buffer_append(body, data);
        at += used;
    }
    buffer_consume(&client->in, at);
    return result != H1_REFUSED || refused(client, (enum h1_reason)decoder->reason);
}

static bool read_body(struct client *client, const struct response_head *head, struct buffer *body)
{
    struct h1_body decoder;
    h1_body_init(&decoder, head->body, head->content_length);
    for (bool end = false;;) {
        if (!take_body(client, &decoder, body)) {
            return false;
        }
        if (decoder.done) {
            return true;
        }
        if (end) {
            return h1_body_end(&decoder) || cut_short(client);
        }
        if (!read_some(client, &end)) {
            return false;
        }
    }
}

static bool read_answer(struct client *client, const struct http_client_request *request,
                        struct http_client_answer *answer)
{
    struct response_head *head = calloc(1, sizeof(*head));
    ensure(head != NULL);
    enum http_method method =
        text_equal(request->method, TEXT("HEAD")) ? METHOD_HEAD : METHOD_OTHER;
    bool good = read_head(client, method, head);
    if (good) {
        const struct field *type = fields_find(&head->fields, FIELD_CONTENT_TYPE);
        size_t room = sizeof(answer->content_type) - 1;
        struct text value = type ? text_first(type->value, room) : text_of(NULL, 0);
        answer->status = head->status;
        memcpy(answer->content_type, value.at ? value.at : "", value.size);
        answer->content_type[value.size] = '\0';
        good = read_body(client, head, &answer->body);
    }
    free(head);
    return good;
}

bool http_client_send(const struct http_client_request *request,
                      struct http_client_answer *out_answer, struct error *error)
{
    unsigned timeout_ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_DEFAULT_MS;
    struct client client = { .fd = -1,
                             .deadline_ns = clock_now_ns() + timeout_ms * 1000000ull,
                             .error = error };
    *out_answer = (struct http_client_answer) { 0 };
    bool good = open_connection(&client, request) && send_request(&client, request) &&
                read_answer(&client, request, out_answer);
    if (client.fd >= 0) {
        close(client.fd);
    }
    buffer_fini(&client.in);
    if (!good) {
        buffer_fini(&out_answer->body);
    }
    return good;
}

void http_client_answer_fini(struct http_client_answer *answer)
{
    buffer_fini(&answer->body);
}
