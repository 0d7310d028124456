/* The words and statuses of refused messages: one table, so that reply, log and metric agree. */
#include "http/h1.h"

#include "base/ensure.h"

struct reason_row {
    const char *name;
    uint16_t status;
};

static const struct reason_row rows[H1_REASON_COUNT] = {
    [H1_OK] = { "ok", 200 },
    [H1_BAD_REQUEST_LINE] = { "bad_request_line", 400 },
    [H1_BAD_METHOD] = { "bad_method", 400 },
    [H1_BAD_TARGET] = { "bad_target", 400 },
    [H1_BAD_VERSION] = { "bad_version", 400 },
    [H1_UNSUPPORTED_VERSION] = { "unsupported_version", 505 },
    [H1_BAD_LINE_END] = { "bad_line_end", 400 },
    [H1_NUL_BYTE] = { "nul_byte", 400 },
    [H1_BAD_FIELD_NAME] = { "bad_field_name", 400 },
    [H1_SPACE_BEFORE_COLON] = { "space_before_colon", 400 },
    [H1_OBS_FOLD] = { "obs_fold", 400 },
    [H1_BAD_FIELD_VALUE] = { "bad_field_value", 400 },
    [H1_LENGTH_AND_ENCODING] = { "length_and_encoding", 400 },
    [H1_BAD_LENGTH] = { "bad_length", 400 },
    [H1_SEVERAL_LENGTHS] = { "several_lengths", 400 },
    [H1_BAD_ENCODING] = { "bad_encoding", 400 },
    [H1_ENCODING_IN_1_0] = { "encoding_in_1_0", 400 },
    [H1_MISSING_HOST] = { "missing_host", 400 },
    [H1_SEVERAL_HOSTS] = { "several_hosts", 400 },
    [H1_BAD_HOST] = { "bad_host", 400 },
    [H1_HOST_MISMATCH] = { "host_mismatch", 400 },
    [H1_BAD_CONNECTION] = { "bad_connection", 400 },
    [H1_BAD_STATUS_LINE] = { "bad_status_line", 400 },
    [H1_BAD_CHUNK_SIZE] = { "bad_chunk_size", 400 },
    [H1_BAD_CHUNK_EXTENSION] = { "bad_chunk_extension", 400 },
    [H1_BAD_CHUNK_END] = { "bad_chunk_end", 400 },
    [H1_BAD_TRAILER] = { "bad_trailer", 400 },
    [H1_BAD_EXPECT] = { "bad_expect", 417 },
    [H1_REQUEST_LINE_TOO_LONG] = { "request_line_too_long", 414 },
    [H1_HEAD_TOO_LARGE] = { "head_too_large", 431 },
    [H1_TOO_MANY_FIELDS] = { "too_many_fields", 431 },
};

const struct h1_limits h1_default_limits = {
    .request_line = 8192,
    .head = 65536,
    .fields = FIELDS_MAX,
};

const char *h1_reason_name(enum h1_reason reason)
{
    ensure(reason < H1_REASON_COUNT);
    return rows[reason].name;
}

uint16_t h1_reason_status(enum h1_reason reason)
{
    ensure(reason < H1_REASON_COUNT);
    return rows[reason].status;
}
