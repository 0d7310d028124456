/* A request or response head in neutral form, as h1 (and later h2) codecs produce it and routing,
 * filters and encoders read it. Views into the connection's bytes; the struct is scratch memory of
 * a worker, or copied by the exchange. */
#pragma once

#include "http/field.h"

enum http_version { HTTP_1_0 = 10, HTTP_1_1 = 11, HTTP_2 = 20 };

enum body_kind {
    BODY_NONE,    /* no body, whatever the fields say (GET without length, HEAD reply, 204, 304) */
    BODY_LENGTH,  /* content_length bytes */
    BODY_CHUNKED, /* until the last chunk, trailers possible */
    BODY_UNTIL_CLOSE, /* responses only: until the connection ends */
};

enum http_method { /* of those that Weft treats apart; any other token is METHOD_OTHER */
                   METHOD_OTHER,
                   METHOD_GET,
                   METHOD_HEAD,
                   METHOD_POST,
                   METHOD_PUT,
                   METHOD_DELETE,
                   METHOD_OPTIONS,
                   METHOD_PATCH,
                   METHOD_CONNECT,
                   METHOD_TRACE,
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

struct request_head {
    enum http_version version;
    enum http_method method_id;
    struct text method;
    struct text target; /* as received */
    enum target_form form;
    struct text scheme;    /* of absolute-form, else empty */
    struct text authority; /* Host, or that of absolute-form (they agree); empty only for 1.0 */
    struct text host;      /* authority without port, as received (case not folded), [v6] with [] */
    uint32_t port;         /* of authority, 0 where none */
    struct text path;      /* of target, before '?', as received; "*" for asterisk-form, and for
                            * OPTIONS of an absolute-form without path; "/" for others there */
    struct text query;     /* after '?', without it; at == NULL where there is none */
    enum body_kind body;   /* never BODY_UNTIL_CLOSE; Content-Length: 0 is BODY_LENGTH of 0 */
    uint64_t content_length;
    bool keep_alive;      /* the peer would keep the connection */
    bool expect_continue; /* Expect: 100-continue from a 1.1 peer, body to come */
    bool upgrade;         /* Connection: upgrade with an Upgrade field, on 1.1 */
    struct fields fields;
};

struct response_head {
    enum http_version version;
    uint16_t status;
    struct text reason; /* the phrase as received, may be empty */
    enum body_kind body;
    uint64_t content_length; /* where has_length */
    bool has_length; /* Content-Length was there; also where body is BODY_NONE (HEAD, 304) */
    bool keep_alive;
    bool upgrade; /* 101 with Connection: upgrade */
    struct fields fields;
};
