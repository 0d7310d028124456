/* An ADS stream inside one process: joins a server and a client through two queues of messages and
 * the event loop, one message a turn, so that `weft run` goes the same way as two processes do and
 * no turn grows long. The pipe owns the messages on their way and nothing else. */
#pragma once

#include "net/loop.h"
#include "xds/ads_client.h"
#include "xds/ads_server.h"

struct ads_pipe;

struct ads_pipe *ads_pipe_new(struct loop *loop, struct ads_server *server);
/* Closes the stream; the server and the loop must still be there, the client may be gone. A letter
 * may be on its way to the loop, which frees it in its next turn. */
void ads_pipe_free(struct ads_pipe *pipe);
/* ads_client_events.send for a client whose events.owner is not the pipe: call this from there. */
void ads_pipe_send(struct ads_pipe *pipe, struct text request);
/* Opens the stream and starts the client, whose send must lead to ads_pipe_send. */
void ads_pipe_join(struct ads_pipe *pipe, struct ads_client *client);
