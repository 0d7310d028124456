/* URL rewriting (Gateway API HTTPURLRewriteFilter, xDS host_rewrite_literal and prefix_rewrite),
 * and the prefix replacement it shares with redirects. The query is kept; routing is not repeated.
 */
#include "proxy/exchange_edit.h"

static struct text without_last_slash(struct text t)
{
    return t.size > 0 && t.at[t.size - 1] == '/' ? text_first(t, t.size - 1) : t;
}

static bool join(struct text first, struct text second, char *into, size_t room,
                 struct text *out_path)
{
    if (first.size + second.size > room) {
        return false;
    }
    if (first.size > 0) {
        memcpy(into, first.at, first.size);
    }
    if (second.size > 0) {
        memcpy(into + first.size, second.at, second.size);
    }
    *out_path = text_of(into, first.size + second.size);
    return true;
}

bool path_replace_prefix(struct text path, struct text matched, struct text prefix, char *into,
                         size_t room, struct text *out_path)
{
    struct text elements = without_last_slash(matched);
    if (text_starts_with(path, elements) &&
        (path.size == elements.size || path.at[elements.size] == '/')) {
        struct text rest = text_from(path, elements.size);
        prefix = without_last_slash(prefix);
        return join(prefix, prefix.size + rest.size == 0 ? TEXT("/") : rest, into, room, out_path);
    }
    /* A prefix of bytes may end inside an element. */
    return text_starts_with(path, matched) &&
           join(prefix, text_from(path, matched.size), into, room, out_path);
}

static enum filter_result rewrite_path(struct exchange *exchange, const struct url_rewrite *rewrite)
{
    struct text path = exchange_path(exchange);
    if (path.size == 0 || path.at[0] != '/') {
        return FILTER_NEXT; /* "OPTIONS *" has no path */
    }
    if (rewrite->has_full_path) {
        exchange_set_path(exchange, rewrite->full_path.size > 0 ? rewrite->full_path : TEXT("/"));
        return FILTER_NEXT;
    }
    size_t room = path.size + rewrite->prefix.size + 1;
    char *into = exchange_alloc(exchange, room);
    if (into == NULL) {
        exchange_reply(exchange, 500, NULL, 0, TEXT("no room to rewrite the path\n"));
        return FILTER_REPLIED;
    }
    struct text changed;
    if (path_replace_prefix(path, rewrite->matched_prefix, rewrite->prefix, into, room, &changed)) {
        exchange_set_path(exchange, changed);
    }
    return FILTER_NEXT;
}

static enum filter_result rewrite_request(struct exchange *exchange, const void *config)
{
    const struct url_rewrite *rewrite = config;
    if (rewrite->host.size > 0) {
        exchange_set_authority(exchange, rewrite->host);
    }
    if (rewrite->has_full_path || rewrite->has_prefix) {
        return rewrite_path(exchange, rewrite);
    }
    return FILTER_NEXT;
}

const struct filter_type url_rewrite_filter = {
    .name = "url_rewrite",
    .on_request = rewrite_request,
};
