/* Rules of filters, references to backends, and session persistence. */
#include "control/rules.h"

#include <stdio.h>
#include <string.h>

static bool is_service(const struct object_ref *ref)
{
    return ref->group.size == 0 && text_equal(ref->kind, TEXT("Service"));
}

static bool is_x_backend(const struct object_ref *ref)
{
    return text_equal(ref->group, TEXT(GATEWAY_X_GROUP)) && text_equal(ref->kind, TEXT("XBackend"));
}

void rule_backend_object_ref(struct decode *decode, const struct node *node, const void *self)
{
    const struct object_ref *ref = self;
    if (is_service(ref) && !ref->has_port) {
        decode_error(decode, node, "port", "is missing; a reference to a Service needs its port");
    }
    if (is_x_backend(ref) && ref->has_port) {
        decode_error(decode, node, "port", "does not belong here; an XBackend has its own port");
    }
}

void rule_backend_ref(struct decode *decode, const struct node *node, const void *self)
{
    const struct backend_ref *backend = self;
    rule_backend_object_ref(decode, node, &backend->ref);
}

/* The field that goes with each type, and where it lies. */
static const struct {
    const char *type;
    const char *field;
    size_t offset;
    bool once; /* at most one of them in a list */
} parts[] = {
    [FILTER_REQUEST_HEADER_MODIFIER] = { "RequestHeaderModifier", "requestHeaderModifier",
                                         AT(route_filter, request_header_modifier), true },
    [FILTER_RESPONSE_HEADER_MODIFIER] = { "ResponseHeaderModifier", "responseHeaderModifier",
                                          AT(route_filter, response_header_modifier), true },
    [FILTER_REQUEST_MIRROR] = { "RequestMirror", "requestMirror", AT(route_filter, request_mirror),
                                false },
    [FILTER_REQUEST_REDIRECT] = { "RequestRedirect", "requestRedirect",
                                  AT(route_filter, request_redirect), true },
    [FILTER_URL_REWRITE] = { "URLRewrite", "urlRewrite", AT(route_filter, url_rewrite), true },
    [FILTER_EXTENSION_REF] = { "ExtensionRef", "extensionRef", AT(route_filter, extension_ref),
                               false },
    [FILTER_CORS] = { "CORS", "cors", AT(route_filter, cors), true },
    [FILTER_EXTERNAL_AUTH] = { "ExternalAuth", "externalAuth", AT(route_filter, external_auth),
                               false },
};
#define PART_COUNT (int)(sizeof(parts) / sizeof(parts[0]))

void rule_filter(struct decode *decode, const struct node *node, const void *self)
{
    const struct route_filter *filter = self;
    for (int i = 0; i < PART_COUNT; i++) {
        const void *part = NULL;
        memcpy(&part, (const char *)self + parts[i].offset, sizeof(part));
        bool meant = i == (int)filter->type;
        if (part != NULL && !meant) {
            decode_error(decode, node, parts[i].field,
                         "does not go with type %s; remove it or set type to %s",
                         parts[filter->type].type, parts[i].type);
        } else if (part == NULL && meant) {
            decode_error(decode, node, parts[i].field, "is missing; a filter of type %s needs it",
                         parts[i].type);
        }
    }
}

void rule_filters(struct decode *decode, const struct node *node, const void *self)
{
    const struct route_filter_list *list = self;
    int first[sizeof(parts) / sizeof(parts[0])];
    memset(first, -1, sizeof(first));
    for (size_t i = 0; i < list->count; i++) {
        int type = (int)list->items[i].type;
        char sub[32];
        snprintf(sub, sizeof(sub), "[%zu]", i);
        if (type < 0) {
            continue;
        }
        if (first[type] >= 0 && parts[type].once) {
            decode_error(decode, node, sub, "a second %s filter (first in [%d]); join them",
                         parts[type].type, first[type]);
        }
        first[type] = first[type] < 0 ? (int)i : first[type];
        int other = type == FILTER_URL_REWRITE ? FILTER_REQUEST_REDIRECT : FILTER_URL_REWRITE;
        if ((type == FILTER_URL_REWRITE || type == FILTER_REQUEST_REDIRECT) && first[other] >= 0) {
            decode_error(decode, node, sub,
                         "RequestRedirect and URLRewrite exclude each other (see [%d]); keep one",
                         first[other]);
        }
    }
}

void rule_path_modifier(struct decode *decode, const struct node *node, const void *self)
{
    const struct path_modifier *path = self;
    bool full = path->type == PATH_REPLACE_FULL;
    const char *meant = full ? "replaceFullPath" : "replacePrefixMatch";
    const char *other = full ? "replacePrefixMatch" : "replaceFullPath";
    const char *type = full ? "ReplaceFullPath" : "ReplacePrefixMatch";
    if ((full ? path->replace_full_path : path->replace_prefix_match).at == NULL) {
        decode_error(decode, node, meant, "is missing; type %s needs it", type);
    }
    if ((full ? path->replace_prefix_match : path->replace_full_path).at != NULL) {
        decode_error(decode, node, other, "does not go with type %s; remove it", type);
    }
}

void rule_redirect(struct decode *decode, const struct node *node, const void *self)
{
    const struct request_redirect *redirect = self;
    switch (redirect->status_code) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return;
    default:
        decode_error(decode, node, "statusCode", "%d is not one of 301, 302, 303, 307, 308; choose "
                                                 "one",
                     redirect->status_code);
    }
}

void rule_mirror(struct decode *decode, const struct node *node, const void *self)
{
    const struct request_mirror *mirror = self;
    if (mirror->has_percent && mirror->fraction != NULL) {
        decode_error(decode, node, "fraction", "does not go with percent; keep one of them");
    }
}

void rule_fraction(struct decode *decode, const struct node *node, const void *self)
{
    const struct fraction *fraction = self;
    if (fraction->numerator > fraction->denominator) {
        decode_error(decode, node, "numerator", "%d is more than the denominator %d; at most all "
                     "requests can be meant", fraction->numerator, fraction->denominator);
    }
}

void rule_header_modifier(struct decode *decode, const struct node *node, const void *self)
{
    const struct header_modifier *modifier = self;
    for (size_t i = 0; i < modifier->remove.count; i++) {
        char sub[48];
        snprintf(sub, sizeof(sub), "remove[%zu]", i);
        if (modifier->remove.items[i].at != NULL &&
            !pattern_matches(PATTERN_HEADER_NAME, modifier->remove.items[i])) {
            decode_warning(decode, node, sub, "no header can have this name; must be %s",
                           pattern_words(PATTERN_HEADER_NAME));
        }
    }
}

void rule_star_alone(struct decode *decode, const struct node *node, const void *self)
{
    const struct text_list *list = self;
    for (size_t i = 0; i < list->count && list->count > 1; i++) {
        if (text_equal(list->items[i], TEXT("*"))) {
            char sub[32];
            snprintf(sub, sizeof(sub), "[%zu]", i);
            decode_error(decode, node, sub, "\"*\" means all; remove it or the other items");
        }
    }
}

void rule_external_auth(struct decode *decode, const struct node *node, const void *self)
{
    const struct external_auth *auth = self;
    bool http = auth->protocol == EXTERNAL_AUTH_HTTP;
    const char *meant = http ? "http" : "grpc";
    const char *other = http ? "grpc" : "http";
    if (http ? auth->http == NULL : auth->grpc == NULL) {
        decode_error(decode, node, meant, "is missing; protocol %s needs "
                                          "it", http ? "HTTP" : "GRPC");
    }
    if (http ? auth->grpc != NULL : auth->http != NULL) {
        decode_error(decode, node, other, "does not go with protocol %s; remove it",
                     http ? "HTTP" : "GRPC");
    }
}

/* The form before v1.7: sessionName names the cookie or header, cookieConfig has its lifetime. */
static void convert_old_session(struct decode *decode, const struct node *node,
                                struct session_persistence_read *read)
{
    struct session_persistence *session = &read->result;
    const char *old = read->session_name.at ? "sessionName" : "cookieConfig";
    if (session->cookie != NULL || session->header != NULL) {
        decode_error(decode, node, old, "is the form before v1.7 and does not go with cookie or "
                     "header; remove it");
        return;
    }
    decode_warning(decode, node, old, "is the form before v1.7; write %s instead",
                   session->type == SESSION_HEADER ? "header.name" : "cookie.name and "
                                                                     "cookie.lifetimeType");
    if (session->type == SESSION_HEADER) {
        session->header = arena_new(decode->arena, struct session_header);
        session->header->name = read->session_name;
        if (read->session_name.at == NULL) {
            decode_error(decode, node, "sessionName", "is missing; type Header needs it");
        }
        return;
    }
    session->cookie = arena_new(decode->arena, struct session_cookie);
    session->cookie->name = read->session_name;
    session->cookie->path = TEXT("/");
    if (read->cookie_config != NULL) {
        session->cookie->lifetime_type = read->cookie_config->lifetime_type;
    }
}

void rule_session_persistence(struct decode *decode, const struct node *node, const void *self)
{
    /* The decoder's own memory: a rule may finish what it began. */
    struct session_persistence_read *read = (struct session_persistence_read *)(uintptr_t)self;
    struct session_persistence *session = &read->result;
    if (read->session_name.at != NULL || read->cookie_config != NULL) {
        convert_old_session(decode, node, read);
    } else if (session->type == SESSION_COOKIE && session->cookie == NULL) {
        decode_error(decode, node, "cookie", "is missing; type Cookie needs it");
    } else if (session->type == SESSION_HEADER && session->header == NULL) {
        decode_error(decode, node, "header", "is missing; type Header needs it");
    }
    if (session->type == SESSION_COOKIE && session->header != NULL) {
        decode_error(decode, node, "header", "does not go with type Cookie; remove it");
    }
    if (session->type == SESSION_HEADER && session->cookie != NULL) {
        decode_error(decode, node, "cookie", "does not go with type Header; remove it");
    }
    if (session->cookie != NULL && session->cookie->lifetime_type == COOKIE_PERMANENT &&
        !session->has_absolute_timeout) {
        decode_error(decode, node, "absoluteTimeout", "is missing; a Permanent cookie needs it");
    }
}
