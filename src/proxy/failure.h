/* Every way Weft can refuse or fail an exchange by itself: one row each, from which reply, access
 * log, metric and span take their words. */
#pragma once

#include "base/text.h"

enum failure {
    FAILURE_NONE,
    /* The client's request. The word of a malformed one is the codec's (h1_reason_name). */
    FAILURE_BAD_REQUEST,
    FAILURE_BAD_PATH,
    FAILURE_METHOD_REFUSED,
    FAILURE_HEADER_TIMEOUT,
    FAILURE_BODY_TIMEOUT,
    FAILURE_BODY_TOO_LARGE,
    FAILURE_BAD_BODY,
    FAILURE_CLIENT_CLOSED,
    FAILURE_SLOW_READER,
    /* Configuration. */
    FAILURE_ROUTE_NOT_FOUND,
    FAILURE_ROUTE_DIRECT, /* the route itself says so: not a failure of Weft */
    FAILURE_BACKEND_INVALID,
    FAILURE_CLUSTER_NOT_FOUND,
    FAILURE_FIELDS_FULL,
    /* Upstream. */
    FAILURE_NO_HEALTHY_ENDPOINT,
    FAILURE_CONNECT_REFUSED,
    FAILURE_CONNECT_TIMEOUT,
    FAILURE_UPSTREAM_RESET,
    FAILURE_UPSTREAM_ENDED,
    FAILURE_UPSTREAM_BAD_RESPONSE,
    FAILURE_UPSTREAM_UNASKED_UPGRADE,
    FAILURE_PER_TRY_TIMEOUT,
    FAILURE_REQUEST_TIMEOUT,
    FAILURE_STREAM_IDLE,
    FAILURE_RETRY_BODY_GONE,
    /* Weft. */
    FAILURE_OVERLOADED,
    FAILURE_DRAINING,
    FAILURE_TUNNEL_IDLE,
    FAILURE_COUNT
};

struct failure_row {
    const char *reason;       /* one stable word: log, metric label, body, Proxy-Status details */
    uint16_t status;          /* 0: no reply is possible */
    uint8_t grpc_status;      /* for gRPC clients */
    const char *flag;         /* Envoy's response flag */
    const char *proxy_status; /* error type of RFC 9209 */
    const char *phrase;       /* what happened, for people */
};

const struct failure_row *failure_row(enum failure failure);
