/* The commands' side of the admin port. */
#include "cli/admin_client.h"

#include "http/client.h"

bool admin_client_get(const char *socket_path, const struct address *address, struct text target,
                      struct buffer *out, struct error *error)
{
    struct http_client_request request = { .unix_path = socket_path,
                                           .address = socket_path ? NULL : address,
                                           .target = target };
    struct http_client_answer answer;
    if (!http_client_send(&request, &answer, error)) {
        return error_prefix(error, "no running weft answers (see --admin and --admin-socket)");
    }
    bool good = answer.status == 200;
    if (good) {
        buffer_append(out, buffer_text(&answer.body));
    } else {
        error_set(error, "the admin port answers %u: %.*s", answer.status,
                  TEXT_ARG(text_first(buffer_text(&answer.body), 300)));
    }
    http_client_answer_fini(&answer);
    return good;
}

void admin_client_encode(struct text t, struct buffer *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < t.size; i++) {
        if (memchr(plain, t.at[i], sizeof(plain) - 1)) {
            buffer_append_byte(out, t.at[i]);
        } else {
            buffer_format(out, "%%%02X", (unsigned char)t.at[i]);
        }
    }
}
