/* The Location of a redirect (Gateway API HTTPRequestRedirectFilter, xDS RedirectAction). Called by
 * the exchange for routes whose action it is; no filter of a list. */
#include "proxy/filter/filter.h"

#include <stdio.h>

struct writer {
    char *into;
    size_t room;
    size_t size;
    bool full;
};

static void put(struct writer *writer, struct text t)
{
    if (writer->full || t.size > writer->room - writer->size) {
        writer->full = true;
        return;
    }
    if (t.size > 0) {
        memcpy(writer->into + writer->size, t.at, t.size);
    }
    writer->size += t.size;
}

static uint32_t well_known_port(struct text scheme)
{
    if (text_equal_nocase(scheme, TEXT("http"))) {
        return 80;
    }
    return text_equal_nocase(scheme, TEXT("https")) ? 443 : 0;
}

static void put_port(struct writer *writer, const struct redirect *redirect, struct text scheme,
                     uint32_t port)
{
    uint32_t own = well_known_port(scheme);
    uint32_t wanted = redirect->port;
    if (wanted == 0 && own == 0) {
        wanted = port; /* a scheme without a port of its own keeps the listener's */
    }
    if (wanted != 0 && wanted != own) {
        char digits[12];
        int size = snprintf(digits, sizeof(digits), ":%u", (unsigned)wanted);
        put(writer, text_of(digits, (size_t)size));
    }
}

static void put_path(struct writer *writer, const struct redirect *redirect, struct text path)
{
    struct text changed;
    if (redirect->has_full_path) {
        put(writer, redirect->full_path.size > 0 ? redirect->full_path : TEXT("/"));
    } else if (redirect->has_prefix && !writer->full && path.size > 0 && path.at[0] == '/' &&
               path.size + redirect->prefix.size + 1 > writer->room - writer->size) {
        writer->full = true;
    } else if (redirect->has_prefix && !writer->full &&
               path_replace_prefix(path, redirect->matched_prefix, redirect->prefix,
                                   writer->into + writer->size, writer->room - writer->size,
                                   &changed)) {
        writer->size += changed.size;
    } else {
        put(writer, path);
    }
}

bool redirect_format(const struct redirect *redirect, struct text scheme, struct text host,
                     uint32_t port, struct text path, struct text query, char *into, size_t room,
                     struct text *out_location)
{
    struct writer writer = { .into = into, .room = room };
    struct text to_scheme = redirect->scheme.size > 0 ? redirect->scheme : scheme;
    struct text to_host = redirect->host.size > 0 ? redirect->host : host;
    if (to_host.size > 0) { /* else a relative reference: HTTP/1.0 without Host */
        put(&writer, to_scheme);
        put(&writer, TEXT("://"));
        put(&writer, to_host);
        put_port(&writer, redirect, to_scheme, port);
    }
    put_path(&writer, redirect, path);
    bool has_query = redirect->has_full_path &&
                     text_find_byte(redirect->full_path, '?') < redirect->full_path.size;
    if (query.at != NULL && !redirect->strip_query && !has_query) {
        put(&writer, TEXT("?"));
        put(&writer, query);
    }
    *out_location = text_of(into, writer.size);
    return !writer.full;
}
