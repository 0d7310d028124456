/* RetryPolicy -> retry_policy. Defaults of the API: one retry, 25 ms base, cap of ten times the
 * base. Only the words that can be honoured count; others are noted. */
#include "proxy/compile_parts.h"
#include "xds/message.h"

#define MESSAGE Envoy__Config__Route__V3__RetryPolicy

#define BACKOFF_BASE_MS 25
#define ATTEMPTS_MAX    100

static void set_status(struct retry_policy *retry, unsigned status)
{
    retry->status_bits[(status - 400) / 64] |= UINT64_C(1) << (status - 400) % 64;
}

static void read_codes(struct host_compile *compile, struct retry_policy *retry,
                       const MESSAGE *message)
{
    for (size_t i = 0; i < message->n_retriable_status_codes; i++) {
        unsigned status = message->retriable_status_codes[i];
        if (status >= 400 && status < 600) {
            set_status(retry, status);
        } else {
            compile_note(compile->notes,
                         TEXT("RetryPolicy.retriable_status_codes outside 400 to 599"));
        }
    }
}

static void read_word(struct host_compile *compile, struct retry_policy *retry,
                      const MESSAGE *message, struct text word)
{
    if (text_equal(word, TEXT("5xx"))) {
        retry->server_error = true;
        retry->connect_failure = true;
        retry->reset = true;
    } else if (text_equal(word, TEXT("gateway-error"))) {
        retry->gateway_error = true;
    } else if (text_equal(word, TEXT("reset"))) {
        retry->reset = true;
        retry->connect_failure = true;
    } else if (text_equal(word, TEXT("connect-failure")) ||
               text_equal(word, TEXT("refused-stream")) ||
               text_equal(word, TEXT("reset-before-request"))) {
        retry->connect_failure = true;
    } else if (text_equal(word, TEXT("retriable-4xx"))) {
        set_status(retry, 409);
    } else if (text_equal(word, TEXT("retriable-status-codes"))) {
        read_codes(compile, retry, message);
    } else if (word.size > 0) {
        char where[128] = "RetryPolicy.retry_on ";
        size_t size = strlen(where);
        word = text_first(word, sizeof(where) - size);
        memcpy(where + size, word.at, word.size);
        compile_note(compile->notes, text_of(where, size + word.size));
    }
}

static uint32_t to_ms(const Google__Protobuf__Duration *duration, uint64_t unset)
{
    uint64_t ms = xds_duration_ms(duration, unset);
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void compile_retry(struct host_compile *compile, struct route *route, const MESSAGE *message)
{
    struct retry_policy *retry = &route->retry;
    route->per_try_timeout_ms = to_ms(message->per_try_timeout, 0);
    retry->attempts = xds_uint32(message->num_retries, 1);
    retry->attempts = retry->attempts < ATTEMPTS_MAX ? retry->attempts : ATTEMPTS_MAX;
    struct text rest = text_from_string(message->retry_on);
    struct text word;
    while (text_split(&rest, ',', &word)) {
        read_word(compile, retry, message, text_trim(word));
    }
    const Envoy__Config__Route__V3__RetryPolicy__RetryBackOff *backoff = message->retry_back_off;
    retry->backoff_base_ms = to_ms(backoff ? backoff->base_interval : NULL, BACKOFF_BASE_MS);
    uint64_t ten_times = (uint64_t)retry->backoff_base_ms * 10;
    retry->backoff_max_ms = to_ms(backoff ? backoff->max_interval : NULL, ten_times);
    if (retry->backoff_max_ms < retry->backoff_base_ms) {
        retry->backoff_max_ms = retry->backoff_base_ms;
    }
}
