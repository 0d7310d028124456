/* struct wire: the bytes of one HTTP/1 connection, either side. Reading goes into the worker's
 * scratch memory, so an idle or well-flowing connection holds no buffer; only what cannot be used
 * yet is kept in `input`, and only what the socket did not take in `output`. Both are bounded:
 * whoever produces into a wire stops while wire_is_blocked, and goes on when the transport is
 * writable again. */
#pragma once

#include "net/transport.h"

struct worker;

/* Bytes of the small and the large chunk. A head of the largest allowed size fits into a large one,
 * and so does a full scratch read with its framing. */
#define CHUNK_SIZE       ((uint32_t)16 * 1024)
#define LARGE_CHUNK_SIZE ((uint32_t)96 * 1024)

/* After so many reads in one turn, each of at most SCRATCH_SIZE, whoever pumps a wire yields. */
#define WIRE_ROUNDS 16

struct wire {
    struct transport *transport;
    struct worker *worker;
    char *input; /* a chunk; NULL while nothing is held */
    char *output;
    uint64_t sent; /* bytes the socket took since the beginning */
    uint32_t input_start;
    uint32_t input_end;
    uint32_t output_start;
    uint32_t output_end;
    bool input_is_large;
    bool output_is_large;
    bool input_is_borrowed; /* the chunk is the exchange's; never freed or grown here */
    bool failed;            /* a write failed: nothing more can be sent */
};

void wire_init(struct wire *wire, struct worker *worker, struct transport *transport);
/* Gives the chunks back. */
void wire_fini(struct wire *wire);

static inline size_t wire_held(const struct wire *wire)
{
    return wire->input ? wire->input_end - wire->input_start : 0;
}
static inline struct text wire_input(const struct wire *wire)
{
    return text_of(wire->input + wire->input_start, wire->input_end - wire->input_start);
}
/* Drops `size` bytes off the front of the held input; the chunk goes with its last byte. */
void wire_consume(struct wire *wire, size_t size);
/* Reads behind what is held, in a chunk of its own (growing to a large one). IO_FAILED with
 * transport->failure ENOBUFS when even that is full or there is no memory. */
enum io wire_fill(struct wire *wire);
/* For an owner that has moved much and lets others have their turn: on_ready fires in the next one,
 * also where only held bytes are left to look at. False: this transport cannot, go on. */
bool wire_yield(struct wire *wire);
/* Keeps bytes read elsewhere (scratch) as input. Nothing may be held before. False: no memory. */
bool wire_hold(struct wire *wire, struct text rest);

static inline bool wire_is_blocked(const struct wire *wire)
{
    return wire->output != NULL;
}
/* Writes; keeps what the socket does not take. False when the connection failed, or when what is
 * left does not fit (never for at most one scratch read and one head on an unblocked wire). */
bool wire_send(struct wire *wire, const struct iovec *parts, int count);
/* Tries to write what is kept. False when the connection failed. */
bool wire_flush(struct wire *wire);
