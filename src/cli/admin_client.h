/* Asking a running process: one GET at its admin port or socket. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "net/address.h"

/* Appends the body of the answer; false where nobody answers or the status is not 200. */
bool admin_client_get(const char *socket_path, const struct address *address, struct text target,
                      struct buffer *out, struct error *error);
/* Percent-encodes for a query. */
void admin_client_encode(struct text t, struct buffer *out);
