/* One Route of a virtual host: key, match, header modifiers, action. */
#include "proxy/compile_parts.h"

#define ROUTE   Envoy__Config__Route__V3__Route
#define OF(tag) ENVOY__CONFIG__ROUTE__V3__##tag

static bool route_fields(struct host_compile *compile, const ROUTE *message, struct error *error)
{
    struct field_options options = {
        .request_adds = message->request_headers_to_add,
        .request_add_count = message->n_request_headers_to_add,
        .request_removes = message->request_headers_to_remove,
        .request_remove_count = message->n_request_headers_to_remove,
        .response_adds = message->response_headers_to_add,
        .response_add_count = message->n_response_headers_to_add,
        .response_removes = message->response_headers_to_remove,
        .response_remove_count = message->n_response_headers_to_remove,
    };
    return compile_fields(compile, LEVEL_ROUTE, &options, error);
}

static bool compile_action(struct host_compile *compile, struct route_entry *entry,
                           const ROUTE *message, struct error *error)
{
    switch (message->action_case) {
    case OF(ROUTE__ACTION_ROUTE):
        return compile_forward(compile, entry, message, error);
    case OF(ROUTE__ACTION_REDIRECT):
        return compile_redirect(compile, entry, message->redirect, error);
    case OF(ROUTE__ACTION_DIRECT_RESPONSE):
        return compile_direct(compile, entry, message->direct_response, error);
    case OF(ROUTE__ACTION_NON_FORWARDING_ACTION):
        return error_set(error, "non_forwarding_action: not supported");
    default:
        return error_set(error, "action: none is set");
    }
}

bool compile_route(struct host_compile *compile, uint32_t index, struct error *error)
{
    const ROUTE *message = compile->message->routes[index];
    struct route_entry *entry = &compile->host->routes[index];
    entry->route.key = compile_copy(compile, message->name);
    if (entry->route.key.size == 0) { /* other control planes need not name routes */
        entry->route.key = arena_format(compile->arena, "%.*s/route/%u",
                                        TEXT_ARG(compile->host->name), (unsigned)index);
    }
    compile_set_overrides(compile, LEVEL_ROUTE,
                          (ProtobufCMessage *const *)message->typed_per_filter_config,
                          message->n_typed_per_filter_config);
    if (message->match == NULL) {
        return error_set(error, "match: missing");
    }
    if (!compile_match(compile, entry, message->match, error)) {
        return error_prefix(error, "match");
    }
    return route_fields(compile, message, error) && compile_action(compile, entry, message, error);
}
