/* Between the files of the plan compiler: compile.c keeps the parts, compile_listener.c and
 * compile_routes.c make them, compile_route.c, compile_match.c, compile_fields.c and
 * compile_filter.c fill in a virtual host. Main thread. A part's memory is its own arena; decoded
 * messages live in a scratch arena that dies after the part is made. */
#pragma once

#include "proxy/compile.h"
#include "proxy/plan_routes.h"

#include "envoy/config/route/v3/route.pb-c.h"

/* What was ignored, counted by "message.field". At most NOTES_MAX different ones. */
#define NOTES_MAX 1000
struct compile_notes {
    struct map counts; /* -> struct compile_count */
    struct arena arena;
};
struct compile_count {
    struct text where;
    uint64_t count;
};

void compile_notes_init(struct compile_notes *notes);
void compile_notes_fini(struct compile_notes *notes);
void compile_note(struct compile_notes *notes, struct text where);
/* compile_support.c: notes every set field that is known to the wire but not acted upon. */
void compile_note_message(struct compile_notes *notes, const ProtobufCMessage *message);
/* Inspection (xds/inspect.h) of a decoded resource with notes of what is unknown. */
bool compile_inspect(struct compile_notes *notes, const ProtobufCMessage *message,
                     struct arena *scratch, struct error *error);

/* One of the levels at which headers and filters are configured; the last one is the target's. */
enum level { LEVEL_ROUTES, LEVEL_HOST, LEVEL_ROUTE, LEVEL_TARGET, LEVEL_COUNT };

/* Header modifiers of one level, ready to be put into lists. */
struct level_fields {
    struct filter *requests; /* in order of execution */
    struct filter *responses;
    uint16_t request_count;
    uint16_t response_count;
};

/* typed_per_filter_config of one level. */
struct level_overrides {
    ProtobufCMessage *const *entries;
    size_t count;
};

/* While one virtual host is compiled. */
struct host_compile {
    struct virtual_host *host;
    struct arena *arena;   /* the host's */
    struct arena *scratch; /* decoded messages and what Anys hold */
    struct compile_notes *notes;
    struct level_fields fields[LEVEL_COUNT];
    struct level_overrides overrides[LEVEL_COUNT];
    bool most_specific_wins; /* RouteConfiguration.most_specific_header_mutations_wins */
    const Envoy__Config__Route__V3__RouteConfiguration *routes; /* without virtual hosts */
    const Envoy__Config__Route__V3__VirtualHost *message;
};

/* compile_routes.c. `bytes` is a RouteConfiguration; virtual hosts that `older` has with the same
 * bytes are shared. NULL on error. */
struct plan_routes *compile_routes(struct text name, struct text bytes,
                                   const struct plan_routes *older, struct compile_notes *notes,
                                   struct error *error);

/* compile_route.c: fills host->routes[index]. */
bool compile_route(struct host_compile *compile, uint32_t index, struct error *error);
/* compile_action.c: RouteAction into the entry; its filters are put together by compile_filter.c.
 */
bool compile_forward(struct host_compile *compile, struct route_entry *entry,
                     const Envoy__Config__Route__V3__Route *message, struct error *error);
bool compile_redirect(struct host_compile *compile, struct route_entry *entry,
                      const Envoy__Config__Route__V3__RedirectAction *message, struct error *error);
bool compile_direct(struct host_compile *compile, struct route_entry *entry,
                    const Envoy__Config__Route__V3__DirectResponseAction *message,
                    struct error *error);
/* compile_retry.c. */
void compile_retry(struct host_compile *compile, struct route *route,
                   const Envoy__Config__Route__V3__RetryPolicy *message);

/* compile_match.c: RouteMatch into the entry's path and conditions. */
bool compile_match(struct host_compile *compile, struct route_entry *entry,
                   const Envoy__Config__Route__V3__RouteMatch *message, struct error *error);
bool compile_text_match(struct host_compile *compile, struct text_match *match,
                        const Envoy__Type__Matcher__V3__StringMatcher *message,
                        struct error *error);
/* A regular expression owned by the virtual host, or NULL. */
const struct regex *compile_regex(struct host_compile *compile, struct text pattern,
                                  bool ignore_case, struct error *error);
/* A path of configuration in the form that requests' paths have. False where it can never match. */
bool compile_path(struct host_compile *compile, struct text path, struct text *out_path,
                  struct error *error);

/* compile_fields.c: header modifiers of one level. */
struct field_options {
    Envoy__Config__Core__V3__HeaderValueOption *const *request_adds;
    size_t request_add_count;
    char *const *request_removes;
    size_t request_remove_count;
    Envoy__Config__Core__V3__HeaderValueOption *const *response_adds;
    size_t response_add_count;
    char *const *response_removes;
    size_t response_remove_count;
};
bool compile_fields(struct host_compile *compile, enum level level,
                    const struct field_options *options, struct error *error);

/* compile_filter.c. The override of this filter at the most specific level up to `level`, decoded
 * as `descriptor`; *out_message NULL where there is none or it is switched off. */
bool compile_override(struct host_compile *compile, enum level level, const char *filter,
                      const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **out_message,
                      struct error *error);
/* The same at this level alone. */
bool compile_override_at(struct host_compile *compile, enum level level, const char *filter,
                         const ProtobufCMessageDescriptor *descriptor,
                         ProtobufCMessage **out_message, struct error *error);
/* Replaces what a level says, noting entries of filters that Weft does not have. */
void compile_set_overrides(struct host_compile *compile, enum level level,
                           ProtobufCMessage *const *entries, size_t count);
/* CORS of the route, NULL without; session policy in force at this level. */
bool compile_cors(struct host_compile *compile, const struct cors_policy **out_policy,
                  struct error *error);
bool compile_session(struct host_compile *compile, enum level level,
                     const struct session_policy **out_policy, struct error *error);
/* weft.url_rewrite of this level together with what the message itself says. NULL without. */
bool compile_rewrite(struct host_compile *compile, enum level level,
                     const struct route_entry *entry, struct text host, struct text prefix,
                     const struct url_rewrite **out_rewrite, struct error *error);

/* compile_listener.c */
struct listener_part {
    struct arena arena;
    struct plan_listener listener;                  /* template: routes NULL, no references */
    uint8_t encoded_slash, backslash, double_slash; /* weft.v1.PathRule */
    struct plan_routes *inline_routes;              /* of HttpConnectionManager.route_config */
    struct plan_listener *linked;                   /* last one built */
};
struct listener_part *compile_listener(struct text name, struct text bytes,
                                       struct compile_notes *notes, struct error *error);
void listener_part_free(struct listener_part *part);
/* The listener with these routes (may be NULL), one reference. */
struct plan_listener *listener_part_link(struct listener_part *part, struct plan_routes *routes);

static inline struct text compile_copy(struct host_compile *compile, const char *string)
{
    return arena_copy(compile->arena, text_from_string(string));
}
