/* The table of filters: one line each. */
#include "proxy/filter/filter.h"

static const struct filter_type *const types[] = {
    &cors_filter,
    &request_header_modifier_filter,
    &response_header_modifier_filter,
    &url_rewrite_filter,
};

const struct filter_type *filter_find(struct text name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (text_equal(name, text_from_string(types[i]->name))) {
            return types[i];
        }
    }
    return NULL;
}
