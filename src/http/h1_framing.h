/* What the fields of a whole head say together: length of the body (RFC 9112 section 6), Host, the
 * options of Connection, Expect. For h1_head.c alone. */
#pragma once

#include "http/h1_section.h"

/* Fill body, content_length, keep_alive, upgrade (and host, authority, expect_continue of a
 * request) and mark fields that Connection names. The start line has been filled in before. H1_OK,
 * or the reason to refuse. */
enum h1_reason h1_frame_request(struct request_head *head, struct h1_seen seen);
enum h1_reason h1_frame_response(struct response_head *head, enum http_method request_method,
                                 struct h1_seen seen);
