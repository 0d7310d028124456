/* Asking the plan what it would do. */
#include "cli/explain.h"

#include "base/json_writer.h"
#include "http/h1.h"
#include "http/uri.h"
#include "proxy/route.h"

#include <stdio.h>

#define REQUEST_MAX    16384
#define CANDIDATES_MAX 64

struct candidate {
    const struct route *route;
    const char *why; /* NULL: matched */
    char detail[128];
};

/* Everything found out about one request. */
struct explanation {
    const struct explain_subject *subject;
    const struct plan_listener *listener;
    struct text listener_note;
    char raw[REQUEST_MAX];
    char path_memory[REQUEST_MAX];
    char host_memory[512];
    struct request_head head;
    struct text host;
    struct text path;
    const char *refusal; /* the request would not even be routed */
    uint16_t refusal_status;
    struct text virtual_hosts[16];
    unsigned virtual_host_count;
    struct candidate candidates[CANDIDATES_MAX];
    unsigned candidate_count;
    unsigned candidates_more;
    const struct route *route;
};

/* ---- finding out ----------------------------------------------------------------------------- */

static void on_virtual_host(void *owner, struct text name, struct text domain)
{
    struct explanation *x = owner;
    if (x->virtual_host_count < 16) {
        x->virtual_hosts[x->virtual_host_count++] = name;
    }
}

static void on_candidate(void *owner, const struct route *route, const char *why,
                         struct text detail)
{
    struct explanation *x = owner;
    if (x->candidate_count == CANDIDATES_MAX) {
        x->candidates_more++;
        return;
    }
    struct candidate *candidate = &x->candidates[x->candidate_count++];
    candidate->route = route;
    candidate->why = why;
    snprintf(candidate->detail, sizeof(candidate->detail), "%.*s", TEXT_ARG(detail));
}

/* The listener a client of this URL would reach: by port; with none of that port, the only one. */
static void choose_listener(struct explanation *x, uint32_t port)
{
    const struct plan *plan = x->subject->plan;
    for (uint32_t i = 0; plan && i < plan->listener_count; i++) {
        if (plan->listeners[i]->address.port == port) {
            x->listener = plan->listeners[i];
            return;
        }
    }
    for (uint32_t i = 0; plan && i < plan->listener_count; i++) {
        if (plan->listeners[i]->address.port != plan->listeners[0]->address.port) {
            return;
        }
        x->listener = plan->listeners[0];
        x->listener_note =
            TEXT("no listener has the port of the URL; this is the only port there is");
    }
}

static bool split_url(struct text url, struct text *out_authority, struct text *out_target,
                      uint32_t *out_port, struct error *error)
{
    *out_port = 80;
    size_t scheme = text_find(url, TEXT("://"));
    if (scheme < url.size) {
        *out_port = text_equal(text_first(url, scheme), TEXT("https")) ? 443 : 80;
        url = text_from(url, scheme + 3);
    }
    size_t slash = text_find_byte(url, '/');
    *out_authority = text_first(url, slash);
    *out_target = slash < url.size ? text_from(url, slash) : TEXT("/");
    struct text host;
    uint32_t port;
    if (!authority_parse(*out_authority, &host, &port)) {
        return error_set(error, "%.*s: not a host", TEXT_ARG(*out_authority));
    }
    *out_port = port ? port : *out_port;
    return true;
}

/* Writes the request as a client would and reads it as the proxy does. */
static bool read_request(struct explanation *x, const struct explain_request *request,
                         struct error *error)
{
    struct text authority, target;
    uint32_t port;
    if (!split_url(request->url, &authority, &target, &port, error)) {
        return false;
    }
    choose_listener(x, port);
    struct text method = request->method.size ? request->method : TEXT("GET");
    bool has_host = text_equal_nocase(text_first(request->headers, 5), TEXT("host:")) ||
                    text_find(request->headers, TEXT("\nHost:")) < request->headers.size ||
                    text_find(request->headers, TEXT("\nhost:")) < request->headers.size;
    int size = snprintf(x->raw, sizeof(x->raw), "%.*s %.*s HTTP/1.1\r\n%s%.*s%s%.*s\r\n",
                        TEXT_ARG(method), TEXT_ARG(target), has_host ? "" : "Host: ",
                        has_host ? 0 : (int)authority.size, authority.at, has_host ? "" : "\r\n",
                        TEXT_ARG(request->headers));
    if (size < 0 || (size_t)size >= sizeof(x->raw)) {
        return error_set(error, "the request is longer than %d bytes", REQUEST_MAX);
    }
    struct h1_head_reader reader;
    size_t used;
    h1_head_reader_init(&reader);
    if (h1_read_request(&reader, &h1_default_limits, x->raw, (size_t)size, &x->head, &used) !=
        H1_DONE) {
        x->refusal = h1_reason_name(reader.reason);
        x->refusal_status = h1_reason_status(reader.reason);
    }
    return true;
}

static void look_up(struct explanation *x)
{
    char memory[REQUEST_MAX];
    if (x->refusal || x->listener == NULL) {
        return;
    }
    enum path_result result =
        path_normalize(x->head.path, &x->listener->path_rules, x->path_memory, &x->path);
    if (result == PATH_SAME) {
        x->path = x->head.path;
    } else if (result != PATH_CHANGED) {
        x->refusal = path_result_name(result);
        x->refusal_status = 400;
        return;
    }
    if (x->head.host.size >= sizeof(x->host_memory)) {
        x->refusal = h1_reason_name(H1_BAD_HOST);
        x->refusal_status = 400;
        return;
    }
    x->host = host_fold(x->head.host, x->host_memory);
    struct route_request request = {
        .host = x->host, .path = x->path, .query = x->head.query, .head = &x->head };
    struct route_trace trace = {
        .owner = x, .on_virtual_host = on_virtual_host, .on_candidate = on_candidate };
    if (x->listener->routes) {
        x->route = route_match(x->listener->routes, &request, &trace);
    }
    if (x->route && route_is_ambiguous(x->listener->routes, &request, x->route, memory)) {
        x->refusal = path_result_name(PATH_REFUSED_PARAMETER);
        x->refusal_status = 400;
    }
}

/* "file:line" of a key, or empty. */
static struct text origin_of(const struct explanation *x, struct text key, char *into, size_t size)
{
    const struct explain_subject *subject = x->subject;
    return text_of(
        into, subject->find_origin ? subject->find_origin(subject->owner, key, into, size) : 0);
}

static struct cluster_config *cluster_of(const struct explanation *x,
                                         const struct route_target *target)
{
    return map_find(&x->subject->plan->clusters, target->cluster_name);
}

static const char *verdict(const struct explanation *x, uint16_t *out_status)
{
    *out_status = 0;
    if (x->listener == NULL) {
        return "no listener has this port: the connection would be refused";
    }
    if (x->refusal) {
        *out_status = x->refusal_status;
        return x->refusal;
    }
    if (x->route == NULL) {
        *out_status = 404;
        return "route_not_found";
    }
    switch (x->route->action) {
    case ROUTE_REDIRECT:
        *out_status = x->route->redirect->status;
        return "redirect";
    case ROUTE_DIRECT:
        *out_status = x->route->direct_status;
        return x->route->direct_status == 500 ? "backend_invalid" : "route_direct";
    case ROUTE_FORWARD:
        break;
    }
    return "forward";
}

/* ---- text ------------------------------------------------------------------------------------ */

static void write_line(const struct explanation *x, struct buffer *out, const char *label,
                       struct text key)
{
    char origin[512];
    struct text place = origin_of(x, key, origin, sizeof(origin));
    buffer_format(out, "%-10s %.*s%s%.*s\n", label, TEXT_ARG(key), place.size ? "   " : "",
                  TEXT_ARG(place));
}

static void write_target(const struct explanation *x, struct buffer *out,
                         const struct route_target *target)
{
    char origin[512];
    struct text place = origin_of(x, target->cluster_name, origin, sizeof(origin));
    uint64_t total = x->route->total_weight ? x->route->total_weight : 1;
    if (target->cluster_id == UINT32_MAX) {
        buffer_format(out, "backend    none: answers %u %.*s (%llu%% of requests)\n",
                      target->direct_status, TEXT_ARG(target->direct_reason),
                      (unsigned long long)(target->weight * 100ull / total));
        return;
    }
    buffer_format(out, "backend    %.*s (%llu%% of requests)%s%.*s\n",
                  TEXT_ARG(target->cluster_name),
                  (unsigned long long)(target->weight * 100ull / total), place.size ? "   " : "",
                  TEXT_ARG(place));
    for (unsigned i = 0; i < target->filter_count; i++) {
        buffer_format(out, "  filter   %s\n", target->filters[i].type->name);
    }
    struct cluster_config *cluster = cluster_of(x, target);
    if (cluster == NULL || cluster->healthy_count == 0) {
        buffer_format(out, "  endpoint none is ready: 503 no_healthy_endpoint\n");
    }
    for (uint32_t i = 0; cluster && i < cluster->endpoint_count; i++) {
        buffer_format(out, "  endpoint %.*s%s\n", TEXT_ARG(cluster->endpoints[i].text),
                      i < cluster->healthy_count ? "" : " (draining: not picked)");
    }
}

static void write_text(const struct explanation *x, struct buffer *out)
{
    uint16_t status;
    const char *word = verdict(x, &status);
    buffer_format(out, "request    %.*s %.*s%.*s\n", TEXT_ARG(x->head.method), TEXT_ARG(x->host),
                  TEXT_ARG(x->path));
    if (x->listener) {
        write_line(x, out, "listener", x->listener->name);
        if (x->listener_note.size > 0) {
            buffer_format(out, "           (%.*s)\n", TEXT_ARG(x->listener_note));
        }
    }
    for (unsigned i = 0; i < x->virtual_host_count; i++) {
        write_line(x, out, "host", x->virtual_hosts[i]);
    }
    for (unsigned i = 0; i < x->candidate_count; i++) {
        const struct candidate *candidate = &x->candidates[i];
        char origin[512];
        struct text place = origin_of(x, candidate->route->key, origin, sizeof(origin));
        if (candidate->why) {
            buffer_format(out, "  not      %.*s: %s %s%s%.*s\n", TEXT_ARG(candidate->route->key),
                          candidate->why, candidate->detail, place.size ? "   " : "",
                          TEXT_ARG(place));
        }
    }
    if (x->candidates_more > 0) {
        buffer_format(out, "  not      %u more\n", x->candidates_more);
    }
    if (x->route) {
        write_line(x, out, "route", x->route->key);
        for (unsigned i = 0; i < x->route->filter_count; i++) {
            buffer_format(out, "  filter   %s\n", x->route->filters[i].type->name);
        }
        for (uint32_t i = 0; i < x->route->target_count; i++) {
            write_target(x, out, &x->route->targets[i]);
        }
    }
    if (status > 0) {
        buffer_format(out, "answer     %u %s\n", status, word);
    } else {
        buffer_format(out, "answer     %s\n", word);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_origin(const struct explanation *x, struct json_writer *writer, struct text key)
{
    char origin[512];
    struct text place = origin_of(x, key, origin, sizeof(origin));
    if (place.size > 0) {
        JSON_TEXT(writer, "origin", place);
    }
}

static void json_named(const struct explanation *x, struct json_writer *writer, struct text key)
{
    json_object_open(writer);
    JSON_TEXT(writer, "name", key);
    json_origin(x, writer, key);
    json_object_close(writer);
}

static void json_filters(struct json_writer *writer, const struct filter *filters, unsigned count)
{
    JSON_KEY(writer, "filters");
    json_array_open(writer);
    for (unsigned i = 0; i < count; i++) {
        json_text(writer, text_from_string(filters[i].type->name));
    }
    json_array_close(writer);
}

static void json_target(const struct explanation *x, struct json_writer *writer,
                        const struct route_target *target)
{
    json_object_open(writer);
    JSON_TEXT(writer, "backend", target->cluster_name);
    JSON_U64(writer, "weight", target->weight);
    json_origin(x, writer, target->cluster_name);
    json_filters(writer, target->filters, target->filter_count);
    if (target->cluster_id == UINT32_MAX) {
        JSON_U64(writer, "status", target->direct_status);
        JSON_TEXT(writer, "reason", target->direct_reason);
    } else {
        struct cluster_config *cluster = cluster_of(x, target);
        JSON_KEY(writer, "endpoints");
        json_array_open(writer);
        for (uint32_t i = 0; cluster && i < cluster->endpoint_count; i++) {
            json_object_open(writer);
            JSON_TEXT(writer, "address", cluster->endpoints[i].text);
            JSON_KEY(writer, "ready");
            json_bool(writer, i < cluster->healthy_count);
            json_object_close(writer);
        }
        json_array_close(writer);
    }
    json_object_close(writer);
}

static void json_candidates(const struct explanation *x, struct json_writer *writer)
{
    JSON_KEY(writer, "candidates");
    json_array_open(writer);
    for (unsigned i = 0; i < x->candidate_count; i++) {
        const struct candidate *candidate = &x->candidates[i];
        json_object_open(writer);
        JSON_TEXT(writer, "route", candidate->route->key);
        json_origin(x, writer, candidate->route->key);
        JSON_KEY(writer, "matched");
        json_bool(writer, candidate->why == NULL);
        if (candidate->why) {
            JSON_TEXT(writer, "why", text_from_string(candidate->why));
            JSON_TEXT(writer, "detail", text_from_string(candidate->detail));
        }
        json_object_close(writer);
    }
    json_array_close(writer);
}

static void write_json(const struct explanation *x, struct buffer *out)
{
    struct json_writer writer;
    uint16_t status;
    const char *word = verdict(x, &status);
    json_writer_init_buffer(&writer, out);
    json_object_open(&writer);
    JSON_TEXT(&writer, "method", x->head.method);
    JSON_TEXT(&writer, "host", x->host);
    JSON_TEXT(&writer, "path", x->path);
    if (x->listener) {
        JSON_KEY(&writer, "listener");
        json_named(x, &writer, x->listener->name);
    }
    JSON_KEY(&writer, "virtual_hosts");
    json_array_open(&writer);
    for (unsigned i = 0; i < x->virtual_host_count; i++) {
        json_named(x, &writer, x->virtual_hosts[i]);
    }
    json_array_close(&writer);
    json_candidates(x, &writer);
    if (x->route) {
        JSON_KEY(&writer, "route");
        json_named(x, &writer, x->route->key);
        json_filters(&writer, x->route->filters, x->route->filter_count);
        JSON_KEY(&writer, "backends");
        json_array_open(&writer);
        for (uint32_t i = 0; i < x->route->target_count; i++) {
            json_target(x, &writer, &x->route->targets[i]);
        }
        json_array_close(&writer);
    }
    JSON_TEXT(&writer, "answer", text_from_string(word));
    if (status > 0) {
        JSON_U64(&writer, "status", status);
    }
    json_object_close(&writer);
    json_byte(&writer, '\n');
    json_writer_finish(&writer);
}

/* ---- the calls ------------------------------------------------------------------------------- */

bool explain_write(const struct explain_subject *subject, const struct explain_request *request,
                   enum explain_form form, struct buffer *out, struct error *error)
{
    static struct explanation x; /* large; one caller at a time, on the main thread */
    memset(&x, 0, offsetof(struct explanation, head));
    x.head.fields.count = 0;
    x.head.method = TEXT("");
    x.head.query = text_of(NULL, 0);
    x.host = TEXT("");
    x.path = TEXT("");
    x.refusal = NULL;
    x.virtual_host_count = 0;
    x.candidate_count = 0;
    x.candidates_more = 0;
    x.route = NULL;
    x.subject = subject;
    if (!read_request(&x, request, error)) {
        return false;
    }
    look_up(&x);
    if (form == EXPLAIN_JSON) {
        write_json(&x, out);
    } else {
        write_text(&x, out);
    }
    return true;
}

/* Every header=... parameter as a line. */
static void collect_headers(struct text query, struct buffer *out)
{
    struct text rest = query;
    struct text name, value;
    while (query_next(&rest, &name, &value)) {
        char decoded[1024];
        struct text line;
        if (text_equal(name, TEXT("header")) && value.size <= sizeof(decoded) &&
            query_decode(value, decoded, &line)) {
            buffer_append(out, line);
            buffer_append(out, TEXT("\r\n"));
        }
    }
}

uint16_t explain_page(const struct explain_subject *subject, const struct admin_request *request,
                      struct buffer *out)
{
    char memory[4096];
    char form[16];
    struct text words, form_word = TEXT("json");
    if (!admin_query_find(request->query, TEXT("request"), memory, sizeof(memory), &words)) {
        buffer_append(out, TEXT("say ?request=GET+http://host/path\n"));
        return 400;
    }
    admin_query_find(request->query, TEXT("output"), form, sizeof(form), &form_word);
    struct explain_request asked = { .url = words };
    size_t space = text_find_byte(words, ' ');
    if (space < words.size) {
        asked.method = text_first(words, space);
        asked.url = text_trim(text_from(words, space + 1));
    }
    struct buffer headers;
    struct error error;
    buffer_init(&headers);
    collect_headers(request->query, &headers);
    asked.headers = buffer_text(&headers);
    bool good = explain_write(subject, &asked,
                              text_equal(form_word, TEXT("text")) ? EXPLAIN_TEXT : EXPLAIN_JSON,
                              out, &error);
    buffer_fini(&headers);
    if (!good) {
        buffer_append(out, text_from_string(error.text));
        return 400;
    }
    return 200;
}
