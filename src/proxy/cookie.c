/* Reading cookies of a request. */
#include "proxy/cookie.h"

static struct text unquote(struct text t)
{
    bool quoted = t.size >= 2 && t.at[0] == '"' && t.at[t.size - 1] == '"';
    return quoted ? text_of(t.at + 1, t.size - 2) : t;
}

bool cookie_find(const struct fields *fields, struct text name, struct text *out_value)
{
    for (unsigned i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_COOKIE) {
            continue;
        }
        struct text rest = fields->items[i].value;
        struct text pair;
        while (text_split(&rest, ';', &pair)) {
            pair = text_trim(pair);
            size_t equals = text_find_byte(pair, '=');
            if (equals < pair.size && text_equal(text_first(pair, equals), name)) {
                *out_value = unquote(text_from(pair, equals + 1));
                return true;
            }
        }
    }
    return false;
}
