/* ACK and NACK of an ADS client. See the header. */
#include "xds/ads_answer.h"

#include "base/ensure.h"
#include "google/rpc/status.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define STATUS         (&google__rpc__status__descriptor)
#define RESOURCE_ERROR (&envoy__service__discovery__v3__resource_error__descriptor)
#define RESOURCE_NAME  (&envoy__service__discovery__v3__resource_name__descriptor)

#define INVALID_ARGUMENT  3   /* google.rpc.Code */
#define REASONS_TOLD_MAX  100 /* of one response; every name is told */
#define SUMMARY_BYTES_MAX 4096

static char *keep(const char *at, size_t size)
{
    char *copy = strndup(at ? at : "", size);
    ensure(copy != NULL);
    return copy;
}

struct ads_answer *ads_answer_new(struct client_type *type, struct text nonce, uint64_t batch)
{
    struct ads_answer *answer = calloc(1, sizeof(*answer));
    ensure(answer != NULL);
    list_init(&answer->link);
    answer->type = type;
    answer->nonce = text_from_string(keep(nonce.at, nonce.size));
    answer->batch = batch;
    return answer;
}

void ads_answer_free(struct ads_answer *answer)
{
    list_remove(&answer->link);
    for (size_t i = 0; i < answer->refusals.count; i++) {
        free((char *)(uintptr_t)answer->refusals.items[i].name.at);
        free(answer->refusals.items[i].reason);
    }
    array_free(&answer->refusals);
    ads_answer_orphan(answer);
    free(answer);
}

void ads_answer_orphan(struct ads_answer *answer)
{
    free((char *)(uintptr_t)answer->nonce.at);
    answer->nonce = text_of(NULL, 0);
}

void ads_answer_refuse(struct ads_answer *answer, struct text name, const char *reason)
{
    struct ads_refusal *refusal = array_add(&answer->refusals);
    refusal->name = text_from_string(keep(name.at, name.size));
    refusal->reason = keep(reason, strlen(reason));
}

/* "name: reason; name: reason", cut at a limit. */
static struct text summarize(const struct ads_answer *answer, struct arena *arena)
{
    struct buffer summary;
    buffer_init(&summary);
    for (size_t i = 0; i < answer->refusals.count; i++) {
        if (summary.size > SUMMARY_BYTES_MAX) {
            buffer_format(&summary, "; and %zu more", answer->refusals.count - i);
            break;
        }
        const struct ads_refusal *refusal = &answer->refusals.items[i];
        buffer_format(&summary, "%s%.*s: %s", i ? "; " : "", TEXT_ARG(refusal->name),
                      refusal->reason);
    }
    struct text text = arena_copy(arena, buffer_text(&summary));
    buffer_fini(&summary);
    return text;
}

/* Reasons quote what was received; what is not UTF-8 must not go into a string. */
static Google__Rpc__Status *status_of(struct arena *arena, struct text reason)
{
    Google__Rpc__Status *status = compose_new(arena, STATUS);
    status->code = INVALID_ARGUMENT;
    status->message = compose_string(arena, reason);
    for (size_t i = 0; i < reason.size && !text_is_utf8(text_from_string(status->message)); i++) {
        if (status->message[i] & 0x80)
            status->message[i] = '?';
    }
    return status;
}

void ads_answer_write(const struct ads_answer *answer, struct arena *arena,
                      Envoy__Service__Discovery__V3__DeltaDiscoveryRequest *request)
{
    request->response_nonce = compose_string(arena, answer->nonce);
    if (answer->refusals.count > 0)
        request->error_detail = status_of(arena, summarize(answer, arena));
    for (size_t i = 0; i < answer->refusals.count; i++) {
        const struct ads_refusal *refusal = &answer->refusals.items[i];
        Envoy__Service__Discovery__V3__ResourceError *detail = compose_new(arena, RESOURCE_ERROR);
        detail->resource_name = compose_new(arena, RESOURCE_NAME);
        detail->resource_name->name = compose_string(arena, refusal->name);
        if (i < REASONS_TOLD_MAX)
            detail->error_detail = status_of(arena, text_from_string(refusal->reason));
        COMPOSE_ADD(arena, request->error_detail, details, compose_any(arena, &detail->base));
    }
}
