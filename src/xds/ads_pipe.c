/* The in-process ADS stream. A letter is on its way to the loop whenever a message waits, or the
 * client has not yet been told that none does. Within on_idle the owner may send (settle, want):
 * that posts again. */
#include "xds/ads_pipe.h"

#include "base/ensure.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

struct message {
    struct list link;
    size_t size;
    char bytes[];
};

struct pipe_letter {
    struct letter letter;
    struct ads_pipe *pipe; /* NULL where the pipe went first */
};

struct ads_pipe {
    struct loop *loop;
    struct ads_server *server;
    struct ads_stream *stream;
    struct ads_client *client;
    struct list to_server;
    struct list to_client;
    struct pipe_letter *letter; /* posted and not yet received */
};

static void receive_letter(struct letter *letter);

static void post(struct ads_pipe *pipe)
{
    if (pipe->letter)
        return;
    struct pipe_letter *letter = calloc(1, sizeof(*letter));
    ensure(letter != NULL);
    letter->letter.on_receive = receive_letter;
    letter->pipe = pipe;
    pipe->letter = letter;
    loop_post(pipe->loop, &letter->letter);
}

static void push(struct list *queue, struct text bytes)
{
    struct message *message = malloc(sizeof(*message) + bytes.size);
    ensure(message != NULL);
    message->size = bytes.size;
    if (bytes.size > 0)
        memcpy(message->bytes, bytes.at, bytes.size);
    list_add_last(queue, &message->link);
}

static struct message *pop(struct list *queue)
{
    if (list_is_empty(queue))
        return NULL;
    struct message *message = list_owner(queue->next, struct message, link);
    list_remove(&message->link);
    return message;
}

/* Both ends are ours: what one of them cannot read is a bug of the other. */
static void deliver_one(struct ads_pipe *pipe)
{
    struct error error;
    bool good;
    struct message *request = pop(&pipe->to_server);
    struct message *response = request ? NULL : pop(&pipe->to_client);
    if (request)
        good = ads_stream_receive(pipe->stream, text_of(request->bytes, request->size), &error);
    else if (response)
        good = ads_client_receive(pipe->client, text_of(response->bytes, response->size), &error);
    else {
        ads_client_idle(pipe->client);
        return;
    }
    ensure(good);
    free(request);
    free(response);
    post(pipe); /* for the next one, or to say that there is none */
}

static void receive_letter(struct letter *letter)
{
    struct pipe_letter *mine = (struct pipe_letter *)(void *)letter;
    struct ads_pipe *pipe = mine->pipe;
    free(mine);
    if (!pipe)
        return;
    pipe->letter = NULL;
    if (!pipe->client)
        return;
    deliver_one(pipe);
}

static void send_to_client(void *owner, struct text response)
{
    struct ads_pipe *pipe = owner;
    push(&pipe->to_client, response);
    post(pipe);
}

struct ads_pipe *ads_pipe_new(struct loop *loop, struct ads_server *server)
{
    struct ads_pipe *pipe = calloc(1, sizeof(*pipe));
    ensure(pipe != NULL);
    pipe->loop = loop;
    pipe->server = server;
    list_init(&pipe->to_server);
    list_init(&pipe->to_client);
    return pipe;
}

void ads_pipe_free(struct ads_pipe *pipe)
{
    if (!pipe)
        return;
    struct message *message;
    if (pipe->stream)
        ads_stream_close(pipe->stream);
    while ((message = pop(&pipe->to_server)))
        free(message);
    while ((message = pop(&pipe->to_client)))
        free(message);
    if (pipe->letter)
        pipe->letter->pipe = NULL;
    free(pipe);
}

void ads_pipe_send(struct ads_pipe *pipe, struct text request)
{
    push(&pipe->to_server, request);
    post(pipe);
}

void ads_pipe_join(struct ads_pipe *pipe, struct ads_client *client)
{
    ensure(!pipe->stream);
    pipe->client = client;
    pipe->stream = ads_stream_open(pipe->server, pipe, send_to_client);
    ads_client_connect(client);
}
