/* Hostnames of listeners and routes: intersection and order (Gateway API, Listener.hostname and
 * HTTPRoute.hostnames). "*.example.com" stands for one or more labels before the rest. Pure
 * functions. */
#include "control/gateway/builder.h"

static bool is_all(struct text hostname)
{
    return hostname.size == 1 && hostname.at[0] == '*';
}

static bool is_wildcard(struct text hostname)
{
    return hostname.size > 2 && hostname.at[0] == '*';
}

/* Whether the wildcard stands for all that `narrow` (a name or a narrower wildcard) stands for. */
static bool covers(struct text wildcard, struct text narrow)
{
    struct text suffix = text_from(wildcard, 1);
    return narrow.size > suffix.size && text_ends_with(narrow, suffix);
}

bool hostname_intersect(struct text listener, struct text route, struct text *out_both)
{
    if (is_all(listener) || text_equal(listener, route)) {
        *out_both = route;
        return true;
    }
    if (is_all(route)) {
        *out_both = listener;
        return true;
    }
    if (is_wildcard(listener) && covers(listener, route)) {
        *out_both = route;
        return true;
    }
    if (is_wildcard(route) && covers(route, listener)) {
        *out_both = listener;
        return true;
    }
    return false;
}

int hostname_compare(struct text a, struct text b)
{
    bool a_exact = a.at[0] != '*';
    bool b_exact = b.at[0] != '*';
    if (a_exact != b_exact) {
        return a_exact ? -1 : 1;
    }
    return a.size > b.size ? -1 : a.size < b.size;
}

struct text hostname_fold(struct arena *arena, struct text hostname)
{
    if (hostname.size == 0) {
        return TEXT("*");
    }
    size_t i = 0;
    while (i < hostname.size && text_lower_byte(hostname.at[i]) == hostname.at[i]) {
        i++;
    }
    if (i == hostname.size) {
        return hostname;
    }
    char *folded = arena_bytes(arena, hostname.size);
    for (i = 0; i < hostname.size; i++) {
        folded[i] = text_lower_byte(hostname.at[i]);
    }
    return text_of(folded, hostname.size);
}
