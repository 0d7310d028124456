/* Routes and requests as lines: "KEY PATH [conditions]" as in proxy/route_script_test.h, and
 * "> path[?query]". However odd the routes are, the trie finds what a walk through the list finds.
 */
#include "target.h"

#include "http/uri.h"
#include "proxy/route.h"
#include "proxy/route_script_test.h"

#include <stdlib.h>

#define LINES_MAX    48
#define REQUESTS_MAX 16

struct input {
    const char *lines[LINES_MAX + 2];
    struct text requests[REQUESTS_MAX];
    size_t line_count;
    size_t request_count;
};

static void read_input(struct input *input, struct arena *arena, struct text rest)
{
    struct text line;
    input->lines[input->line_count++] = "host h *";
    while (text_split(&rest, '\n', &line)) {
        if (text_starts_with(line, TEXT("> ")) && input->request_count < REQUESTS_MAX) {
            input->requests[input->request_count++] = text_from(line, 2);
        } else if (input->line_count < LINES_MAX && line.size < 512 &&
                   text_find_byte(line, '\0') == line.size &&
                   !text_starts_with(line, TEXT("host "))) {
            input->lines[input->line_count++] = arena_copy(arena, line).at;
        }
    }
}

static const struct route *plain_match(const struct virtual_host *host,
                                       const struct route_request *request)
{
    for (uint32_t i = 0; i < host->route_count; i++) {
        struct text detail;
        if (route_path_check(&host->routes[i], request->path) &&
            route_conditions_check(&host->routes[i].conditions, request->path, request->query,
                                   request->host, request->head, &detail) == NULL) {
            return &host->routes[i].route;
        }
    }
    return NULL;
}

static void ask(const struct plan_routes *routes, struct text target)
{
    static const struct path_rules rules = { .merge_slashes = false };
    static struct request_head head = { .method = { "GET", 3 }, .method_id = METHOD_GET };
    size_t mark = text_find_byte(target, '?');
    struct route_request request = { .host = TEXT("h"), .head = &head };
    char *into = malloc(mark + 1);
    ensure(into != NULL);
    enum path_result result = path_normalize(text_first(target, mark), &rules, into, &request.path);
    if (result == PATH_SAME || result == PATH_CHANGED) {
        request.query = mark < target.size ? text_from(target, mark + 1) : text_of(NULL, 0);
        struct route_trace trace = { 0 };
        const struct route *route = route_match(routes, &request, NULL);
        ensure(route == route_match(routes, &request, &trace));
        ensure(route == plain_match(routes->entries[0].host, &request));
    }
    free(into);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { 0 };
    struct arena arena;
    struct error error;
    arena_init(&arena);
    read_input(&input, &arena, input_text(data, size));
    struct plan_routes *routes = script_compile(input.lines, &error);
    for (size_t i = 0; routes != NULL && i < input.request_count; i++) {
        ask(routes, input.requests[i]);
    }
    plan_routes_unref(routes);
    arena_fini(&arena);
    return 0;
}
