/* Reading, holding and sending bytes of one connection. */
#include "proxy/wire.h"

#include "base/ensure.h"
#include "proxy/worker.h"

#include <errno.h>

void wire_init(struct wire *wire, struct worker *worker, struct transport *transport)
{
    *wire = (struct wire){ .transport = transport, .worker = worker };
}

static void give_input(struct wire *wire)
{
    if (wire->input && !wire->input_is_borrowed) {
        worker_give_chunk(wire->worker, wire->input, wire->input_is_large);
    }
    wire->input = NULL;
    wire->input_start = 0;
    wire->input_end = 0;
    wire->input_is_large = false;
    wire->input_is_borrowed = false;
}

static void give_output(struct wire *wire)
{
    worker_give_chunk(wire->worker, wire->output, wire->output_is_large);
    wire->output = NULL;
    wire->output_start = 0;
    wire->output_end = 0;
    wire->output_is_large = false;
}

void wire_fini(struct wire *wire)
{
    give_input(wire);
    if (wire->output) {
        give_output(wire);
    }
}

void wire_consume(struct wire *wire, size_t size)
{
    ensure(size <= wire_held(wire));
    wire->input_start += (uint32_t)size;
    if (wire->input && wire->input_start == wire->input_end) {
        give_input(wire);
    }
}

static uint32_t input_capacity(const struct wire *wire)
{
    return wire->input_is_large ? LARGE_CHUNK_SIZE : CHUNK_SIZE;
}

/* Makes room behind what is held: moves it to the front of the chunk, or into a larger one. */
static bool make_room(struct wire *wire)
{
    if (wire->input == NULL) {
        wire->input = worker_take_chunk(wire->worker, false);
        return wire->input != NULL;
    }
    if (wire->input_end < input_capacity(wire) && !wire->input_is_borrowed) {
        return true;
    }
    uint32_t held = wire->input_end - wire->input_start;
    if (!wire->input_is_borrowed && wire->input_start > 0) {
        memmove(wire->input, wire->input + wire->input_start, held);
        wire->input_start = 0;
        wire->input_end = held;
        return true;
    }
    bool large = held >= CHUNK_SIZE;
    if (large && held >= LARGE_CHUNK_SIZE) {
        return false;
    }
    char *larger = worker_take_chunk(wire->worker, large);
    if (larger == NULL) {
        return false;
    }
    memcpy(larger, wire->input + wire->input_start, held);
    give_input(wire);
    wire->input = larger;
    wire->input_end = held;
    wire->input_is_large = large;
    return true;
}

enum io wire_fill(struct wire *wire)
{
    if (!make_room(wire)) {
        wire->transport->failure = ENOBUFS;
        return IO_FAILED;
    }
    size_t size;
    enum io io = transport_read(wire->transport, wire->input + wire->input_end,
                                input_capacity(wire) - wire->input_end, &size);
    if (io == IO_OK) {
        wire->input_end += (uint32_t)size;
    } else if (wire->input_start == wire->input_end) {
        give_input(wire);
    }
    return io;
}

bool wire_yield(struct wire *wire)
{
    struct transport *transport = wire->transport;
    if (transport->type->descriptor(transport) < 0) {
        return false;
    }
    /* Being writable again is news as well, so the next turn does not hang on bytes to read. */
    transport->readable = false;
    transport->writable = false;
    loop_rearm(transport->loop, &transport->watch);
    return true;
}

bool wire_hold(struct wire *wire, struct text rest)
{
    ensure(wire->input == NULL && rest.size <= LARGE_CHUNK_SIZE);
    bool large = rest.size > CHUNK_SIZE;
    char *chunk = worker_take_chunk(wire->worker, large);
    if (chunk == NULL) {
        return false;
    }
    memcpy(chunk, rest.at, rest.size);
    wire->input = chunk;
    wire->input_end = (uint32_t)rest.size;
    wire->input_is_large = large;
    return true;
}

/* Keeps what is left of the parts after `sent` bytes. */
static bool keep(struct wire *wire, const struct iovec *parts, int count, size_t sent)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    size_t left = total - sent;
    uint32_t held = wire->output_end - wire->output_start;
    bool large = held + left > CHUNK_SIZE;
    if (held + left > LARGE_CHUNK_SIZE) {
        return false;
    }
    if (wire->output == NULL || (large && !wire->output_is_large)) {
        char *chunk = worker_take_chunk(wire->worker, large);
        if (chunk == NULL) {
            return false;
        }
        if (wire->output) {
            memcpy(chunk, wire->output + wire->output_start, held);
            give_output(wire);
        }
        wire->output = chunk;
        wire->output_is_large = large;
        wire->output_end = held;
    } else if (wire->output_start > 0) {
        memmove(wire->output, wire->output + wire->output_start, held);
        wire->output_start = 0;
        wire->output_end = held;
    }
    for (int i = 0; i < count; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        size_t size = parts[i].iov_len - skip;
        sent -= skip;
        memcpy(wire->output + wire->output_end, (char *)parts[i].iov_base + skip, size);
        wire->output_end += (uint32_t)size;
    }
    return true;
}

bool wire_send(struct wire *wire, const struct iovec *parts, int count)
{
    if (wire->failed) {
        return false;
    }
    size_t sent = 0;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    if (total == 0) {
        return true;
    }
    if (wire->output == NULL && !wire->transport->connecting) {
        enum io io = transport_write(wire->transport, parts, count, &sent);
        if (io == IO_FAILED || io == IO_END) {
            wire->failed = true;
            return false;
        }
        sent = io == IO_OK ? sent : 0;
        wire->sent += sent;
    }
    if (sent < total && !keep(wire, parts, count, sent)) {
        wire->failed = true;
        return false;
    }
    return true;
}

bool wire_flush(struct wire *wire)
{
    while (wire->output) {
        struct iovec part = { wire->output + wire->output_start,
                              wire->output_end - wire->output_start };
        size_t sent;
        enum io io = transport_write(wire->transport, &part, 1, &sent);
        if (io == IO_AGAIN) {
            return true;
        }
        if (io != IO_OK) {
            wire->failed = true;
            return false;
        }
        wire->output_start += (uint32_t)sent;
        wire->sent += sent;
        if (wire->output_start == wire->output_end) {
            give_output(wire);
        }
    }
    return true;
}
