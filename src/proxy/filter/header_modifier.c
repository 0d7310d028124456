/* Request and response header modifiers of a route or a backend (Gateway API HTTPHeaderFilter, xDS
 * HeaderValueOption): removes first, then sets, then adds. Names fold case; framing fields never
 * get here, the compiler leaves them out. */
#include "http/field_edit.h"
#include "proxy/exchange_edit.h"

static bool modify(struct fields *fields, const struct header_modifier *modifier)
{
    bool fits = true;
    for (unsigned i = 0; i < modifier->remove_count; i++) {
        fields_remove(fields, modifier->remove[i]);
    }
    for (unsigned i = 0; i < modifier->set_count; i++) {
        fits &= fields_set(fields, modifier->set[i].name, modifier->set[i].value);
    }
    for (unsigned i = 0; i < modifier->replace_count; i++) {
        if (fields_find_name(fields, modifier->replace[i].name)) {
            fits &= fields_set(fields, modifier->replace[i].name, modifier->replace[i].value);
        }
    }
    for (unsigned i = 0; i < modifier->add_absent_count; i++) {
        if (!fields_find_name(fields, modifier->add_absent[i].name)) {
            fits &= fields_add(fields, modifier->add_absent[i].name, modifier->add_absent[i].value);
        }
    }
    for (unsigned i = 0; i < modifier->add_count; i++) {
        fits &= fields_add(fields, modifier->add[i].name, modifier->add[i].value);
    }
    return fits;
}

static enum filter_result answer_full(struct exchange *exchange)
{
    exchange_reply(exchange, 500, NULL, 0, TEXT("too many header fields\n"));
    return FILTER_REPLIED;
}

static enum filter_result modify_request(struct exchange *exchange, const void *config)
{
    return modify(&exchange_request(exchange)->fields, config) ? FILTER_NEXT
                                                               : answer_full(exchange);
}

static enum filter_result modify_response(struct exchange *exchange, const void *config)
{
    return modify(&exchange_response(exchange)->fields, config) ? FILTER_NEXT
                                                                : answer_full(exchange);
}

const struct filter_type request_header_modifier_filter = {
    .name = "request_header_modifier",
    .on_request = modify_request,
};

const struct filter_type response_header_modifier_filter = {
    .name = "response_header_modifier",
    .on_response = modify_response,
};
