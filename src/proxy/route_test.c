/* Route lookup: hosts, paths, conditions, order, falling through; and against a plain walk of the
 * list over random routes. */
#include "proxy/route.h"

#include "base/random.h"
#include "http/uri.h"
#include "proxy/route_script_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct request_case {
    const char *method; /* NULL: GET */
    const char *host;
    const char *target;  /* path[?query] */
    const char *headers; /* "name: value" separated by '\n', or NULL */
    const char *route;   /* key, or NULL for none */
};

static void fill_head(struct request_head *head, const char *method, const char *headers)
{
    memset(head, 0, sizeof(*head));
    head->method = text_from_string(method ? method : "GET");
    for (unsigned id = METHOD_OTHER + 1; id <= METHOD_TRACE; id++) {
        if (text_equal(head->method, method_name((enum http_method)id))) {
            head->method_id = (enum http_method)id;
        }
    }
    struct text rest = text_from_string(headers);
    struct text line;
    while (text_split(&rest, '\n', &line)) {
        size_t colon = text_find_byte(line, ':');
        struct field *field = &head->fields.items[head->fields.count++];
        field->name = text_first(line, colon);
        field->value = text_trim(text_from(line, colon + 1));
        field->id = (uint8_t)field_id_of(field->name);
    }
}

static struct route_request split_target(const char *host, const char *target,
                                         const struct request_head *head)
{
    struct text t = text_from_string(target);
    size_t mark = text_find_byte(t, '?');
    struct route_request request = { .host = text_from_string(host), .head = head };
    request.path = text_first(t, mark);
    if (mark < t.size) {
        request.query = text_from(t, mark + 1);
    }
    return request;
}

struct told {
    char text[1024];
    size_t size;
};

static void tell_host(void *owner, struct text name, struct text domain)
{
    struct told *told = owner;
    told->size += (size_t)snprintf(told->text + told->size, sizeof(told->text) - told->size,
                                   "[%.*s %.*s]", TEXT_ARG(name), TEXT_ARG(domain));
}

static void tell_candidate(void *owner, const struct route *route, const char *why,
                           struct text detail)
{
    struct told *told = owner;
    told->size += (size_t)snprintf(told->text + told->size, sizeof(told->text) - told->size,
                                   " %.*s(%s%s%.*s)", TEXT_ARG(route->key), why ? why : "matched",
                                   detail.size > 0 ? ": " : "", TEXT_ARG(detail));
}

static const char *match_key(const struct plan_routes *routes, const struct request_case *c,
                             struct told *told)
{
    static struct request_head head;
    struct route_trace trace = { told, tell_host, tell_candidate };
    fill_head(&head, c->method, c->headers);
    head.authority = text_from_string(c->host);
    struct route_request request = split_target(c->host, c->target, &head);
    const struct route *route = route_match(routes, &request, &trace);
    assert_ptr_equal(route, route_match(routes, &request, NULL));
    return route ? route->key.at : NULL;
}

static void check_cases(const char *const *lines, const struct request_case *cases, size_t count)
{
    struct error error;
    struct plan_routes *routes = script_compile(lines, &error);
    if (routes == NULL) {
        fail_msg("%s", error.text);
    }
    for (size_t i = 0; i < count; i++) {
        struct told told = { 0 };
        const char *key = match_key(routes, &cases[i], &told);
        const char *expected = cases[i].route;
        if ((key == NULL) != (expected == NULL) || (key && strcmp(key, expected) != 0)) {
            fail_msg("case %zu, %s%s: got %s, not %s: %s", i, cases[i].host, cases[i].target,
                     key ? key : "none", expected ? expected : "none", told.text);
        }
    }
    plan_routes_unref(routes);
}

static void finds_hosts(void **state)
{
    static const char *const lines[] = {
        "host exact a.example",
        "exact /",
        "host wide *.example",
        "wide /",
        "host wider *.b.example",
        "wider /",
        "host part *-x.example",
        "part /",
        "host front front.*",
        "front /",
        "host front2 front.very.*",
        "front2 /",
        "host v6 [::1]",
        "v6 /",
        "host upper UPPER.Example",
        "upper /",
        "host dotted dotted.example.",
        "dotted /",
        "host rest *",
        "rest /",
        NULL,
    };
    static const struct request_case cases[] = {
        { NULL, "a.example", "/", NULL, "exact" },
        { NULL, "b.example", "/", NULL, "wide" },
        { NULL, "c.b.example", "/", NULL, "wider" },
        { NULL, "d.c.b.example", "/", NULL, "wider" },
        { NULL, "a.a.example", "/", NULL, "wide" },
        { NULL, ".example", "/", NULL, "rest" },
        { NULL, "example", "/", NULL, "rest" },
        { NULL, "aexample", "/", NULL, "rest" },
        { NULL, "q-x.example", "/", NULL, "part" },
        { NULL, "-x.example", "/", NULL, "wide" },
        { NULL, "front.org", "/", NULL, "front" },
        { NULL, "front.", "/", NULL, "rest" },
        { NULL, "front.very.org", "/", NULL, "front2" },
        { NULL, "front.example", "/", NULL, "wide" },
        { NULL, "[::1]", "/", NULL, "v6" },
        { NULL, "upper.example", "/", NULL, "upper" },
        { NULL, "dotted.example", "/", NULL, "dotted" },
        { NULL, "", "/", NULL, "rest" },
        { NULL, "other", "/", NULL, "rest" },
    };
    check_cases(lines, cases, COUNT(cases));
}

static void nothing_answers_for_unknown_hosts(void **state)
{
    static const char *const lines[] = { "host a a.example", "a /", NULL };
    static const struct request_case cases[] = {
        { NULL, "b.example", "/", NULL, NULL },
        { NULL, "", "/", NULL, NULL },
        { NULL, "a.example.", "/", NULL, NULL },
        { NULL, "a.example", "*", NULL, NULL },
    };
    check_cases(lines, cases, COUNT(cases));
    struct request_head head;
    fill_head(&head, NULL, NULL);
    struct route_request request = split_target("a", "/", &head);
    assert_null(route_match(NULL, &request, NULL));
}

static void matches_paths(void **state)
{
    static const char *const lines[] = {
        "host h *",
        "exact =/one",
        "two /two",
        "bytes ^/thr",
        "slash ^/four/",
        "regex ~/five/[a-z]+",
        "anchored ~^/six$",
        "any ~.*[.]png",
        "case i=/Seven",
        "caseprefix i/Eight",
        "escaped /caf%c3%a9",
        "either ~/a|/bb",
        NULL,
    };
    static const struct request_case cases[] = {
        { NULL, "h", "/one", NULL, "exact" },
        { NULL, "h", "/one/", NULL, NULL },
        { NULL, "h", "/one?two", NULL, "exact" },
        { NULL, "h", "/two", NULL, "two" },
        { NULL, "h", "/two/", NULL, "two" },
        { NULL, "h", "/two/x", NULL, "two" },
        { NULL, "h", "/twox", NULL, NULL },
        { NULL, "h", "/tw", NULL, NULL },
        { NULL, "h", "/three", NULL, "bytes" },
        { NULL, "h", "/thr", NULL, "bytes" },
        { NULL, "h", "/four", NULL, NULL },
        { NULL, "h", "/four/", NULL, "slash" },
        { NULL, "h", "/five/abc", NULL, "regex" },
        { NULL, "h", "/five/abc1", NULL, NULL },
        { NULL, "h", "/five/", NULL, NULL },
        { NULL, "h", "/six", NULL, "anchored" },
        { NULL, "h", "/six\n", NULL, NULL },
        { NULL, "h", "/x/y.png", NULL, "any" },
        { NULL, "h", "/sEVEN", NULL, "case" },
        { NULL, "h", "/seven/", NULL, NULL },
        { NULL, "h", "/EIGHT/x", NULL, "caseprefix" },
        { NULL, "h", "/eightx", NULL, NULL },
        { NULL, "h", "/caf%C3%A9/x", NULL, "escaped" },
        { NULL, "h", "/a", NULL, "either" },
        { NULL, "h", "/bb", NULL, "either" },
        { NULL, "h", "/ab", NULL, NULL },
    };
    check_cases(lines, cases, COUNT(cases));
}

/* The first of the list wins, whatever its kind. */
static void keeps_the_order_of_the_list(void **state)
{
    static const char *const lines[] = {
        "host h *", "never =/a h:x=1", "regex ~/a/[0-9]+", "prefix /a/1", "exact =/a/1",
        "short /a", "longer /a/b/c",   "exact2 =/a/b",     "root /",      "late =/late",
        NULL,
    };
    static const struct request_case cases[] = {
        { NULL, "h", "/a/1", NULL, "regex" },   { NULL, "h", "/a/1/2", NULL, "prefix" },
        { NULL, "h", "/a/b/c", NULL, "short" }, { NULL, "h", "/a/b", NULL, "short" },
        { NULL, "h", "/a", NULL, "short" },     { NULL, "h", "/a", "x: 1", "never" },
        { NULL, "h", "/late", NULL, "root" },
    };
    check_cases(lines, cases, COUNT(cases));
}

static void checks_headers(void **state)
{
    static const char *const lines[] = {
        "host h *",
        "get / m:GET h:verb=get",
        "post / m:POST",
        "custom / m:brew",
        "value / h:X-Env=canary",
        "joined / h:x-list=a,b",
        "regex / h:x-id~[0-9]{3}",
        "two / h:a=1 h:b=2",
        "there / h:x-there",
        "agent / h:user-agent=curl",
        "hosted / h:host=h2",
        "absent / h:!x-gone",
        NULL,
    };
    static const struct request_case cases[] = {
        { NULL, "h", "/", "verb: get", "get" },
        { "POST", "h", "/", NULL, "post" },
        { "brew", "h", "/", NULL, "custom" },
        { "BREW", "h", "/", "x-gone: 1", NULL },
        { NULL, "h", "/", "x-env: canary", "value" },
        { NULL, "h", "/", "x-env: Canary\nx-gone:", NULL },
        { NULL, "h", "/", "x-list: a\nother: 1\nX-List: b", "joined" },
        { NULL, "h", "/", "x-list: a, b\nx-gone:", NULL },
        { NULL, "h", "/", "x-id: 123", "regex" },
        { NULL, "h", "/", "x-id: 1234\nx-gone:", NULL },
        { NULL, "h", "/", "a: 1\nb: 2", "two" },
        { NULL, "h", "/", "a: 1\nx-gone:", NULL },
        { NULL, "h", "/", "x-there:", "there" },
        { NULL, "h", "/", "User-Agent: curl", "agent" },
        { NULL, "h2", "/", NULL, "hosted" },
        { NULL, "h", "/", NULL, "absent" },
    };
    check_cases(lines, cases, COUNT(cases));
}

static void checks_query_parameters(void **state)
{
    static const char *const lines[] = {
        "host h *",       "one / q:a=1",        "space / q:b=x%20y",
        "spaced / q:c=~", "regex / q:d~[a-z]+", "both / q:e=1 q:f=2",
        "empty / q:g=",   "decoded / q:na=v&w", NULL,
    };
    static const struct request_case cases[] = {
        { NULL, "h", "/?a=1", NULL, "one" },
        { NULL, "h", "/?x=2&a=1", NULL, "one" },
        { NULL, "h", "/?a=2&a=1", NULL, NULL },
        { NULL, "h", "/?a=1&a=2", NULL, "one" },
        { NULL, "h", "/?A=1", NULL, NULL },
        { NULL, "h", "/?%61=%31", NULL, "one" },
        { NULL, "h", "/?b=x%2520y", NULL, "space" },
        { NULL, "h", "/?c=~", NULL, "spaced" },
        { NULL, "h", "/?d=abc", NULL, "regex" },
        { NULL, "h", "/?d=abc1", NULL, NULL },
        { NULL, "h", "/?e=1&f=2", NULL, "both" },
        { NULL, "h", "/?f=2&e=1", NULL, "both" },
        { NULL, "h", "/?e=1", NULL, NULL },
        { NULL, "h", "/?g=", NULL, "empty" },
        { NULL, "h", "/?g", NULL, "empty" },
        { NULL, "h", "/?na=v%26w", NULL, "decoded" },
        { NULL, "h", "/?a=%zz", NULL, NULL },
        { NULL, "h", "/", NULL, NULL },
        { NULL, "h", "/?", NULL, NULL },
    };
    check_cases(lines, cases, COUNT(cases));
}

static void falls_through_to_wider_hosts(void **state)
{
    static const char *const lines[] = {
        "host narrow a.b.example inherit=*.b.example",
        "n /only h:x=1",
        "host middle *.b.example inherit=*",
        "m /middle",
        "host wide *",
        "w /",
        "host closed closed.example",
        "c /only",
        "host end end.b.example inherit=",
        "e /only",
        NULL,
    };
    static const struct request_case cases[] = {
        { NULL, "a.b.example", "/only", "x: 1", "n" }, { NULL, "a.b.example", "/only", NULL, "w" },
        { NULL, "a.b.example", "/middle", NULL, "m" }, { NULL, "a.b.example", "/x", NULL, "w" },
        { NULL, "c.b.example", "/x", NULL, "w" },      { NULL, "closed.example", "/x", NULL, NULL },
        { NULL, "end.b.example", "/x", NULL, NULL },
    };
    check_cases(lines, cases, COUNT(cases));
}

static void refuses_bad_scripts(void **state)
{
    static const struct {
        const char *lines[8];
        const char *error;
    } cases[] = {
        { { "host a x", "a /", "host b X", "b /", NULL },
          "domain \"x\" stands in virtual hosts \"a\" and \"b\"; keep it in one" },
        { { "host a x,x", NULL },
          "domain \"x\" stands in virtual hosts \"a\" and \"a\"; keep it "
          "in one" },
        { { "host a a*b", NULL },
          "virtual host \"a\": \"a*b\" is no domain; write a host name, "
          "\"*.\" and a name, or \"*\"" },
        { { "host a a inherit=b", "host b b inherit=a", NULL },
          "virtual host \"a\": weft.inherit goes round in a circle, or through more than 64 "
          "virtual "
          "hosts" },
        { { "host a a inherit=c", NULL },
          "virtual host \"a\": weft.inherit names domain \"c\", which no virtual host has" },
        { { "host a a", "host a b", NULL }, "virtual_hosts[1].name: \"a\" stands twice" },
        { { "host a a", "r =x", NULL },
          "virtual_hosts[0]: routes[0]: match: path: \"x\" does not begin with \"/\"" },
        { { "host a a", "r ~(", NULL },
          "virtual_hosts[0]: routes[0]: match: safe_regex.regex: \"(\" is no regular expression: "
          "missing closing parenthesis, at byte 1" },
        { { "host a a", "r /a h:x~[", NULL },
          "virtual_hosts[0]: routes[0]: match: headers[0]: string_match: safe_regex.regex: \"[\" "
          "is "
          "no regular expression: missing terminating ] for character class, at byte 1" },
        { { "host a a", "r =/%zz", NULL },
          "virtual_hosts[0]: routes[0]: match: path: \"/%zz\" is no path (" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = { 0 };
        struct plan_routes *routes = script_compile(cases[i].lines, &error);
        assert_null(routes);
        if (strncmp(error.text, cases[i].error, strlen(cases[i].error)) != 0) {
            fail_msg("case %zu: %s", i, error.text);
        }
    }
}

/* A hostile subject makes the expression give up: no match, also for an inverted condition. */
static void a_regex_that_gives_up_matches_nothing(void **state)
{
    static const char *const lines[] = {
        "host h *",
        "greedy ~/(a+)+[bc]",
        "rest =/other",
        NULL,
    };
    char path[64] = "/";
    memset(path + 1, 'a', 40);
    const struct request_case cases[] = {
        { NULL, "h", path, NULL, NULL },
        { NULL, "h", "/aab", NULL, "greedy" },
        { NULL, "h", "/other", NULL, "rest" },
    };
    uint64_t before = regex_failures();
    check_cases(lines, cases, COUNT(cases));
    assert_true(regex_failures() > before);
}

static void finds_literal_prefixes(void **state)
{
    static const struct {
        const char *pattern;
        const char *prefix;
    } cases[] = {
        { "/foo/[a-z]+", "/foo/" }, { "^/foo$", "/foo" }, { "/foo?", "/fo" }, { "/foo*", "/fo" },
        { "/foo{2}", "/fo" },       { "/a|/b", "" },      { ".*", "" },       { "(?i)/a", "" },
        { "/a\\.b", "/a" },         { "", "" },           { "/f+", "/" },     { "/v1.0", "/v1" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text prefix = regex_literal_prefix(text_from_string(cases[i].pattern));
        if (!text_equal(prefix, text_from_string(cases[i].prefix))) {
            fail_msg("%s: %.*s", cases[i].pattern, TEXT_ARG(prefix));
        }
    }
}

static void explains(void **state)
{
    static const char *const lines[] = {
        "host narrow a.example inherit=*",
        "one =/x m:POST",
        "two /x h:x-env=canary",
        "three /x q:debug=1",
        "four ~/x[0-9]",
        "host wide *",
        "five /",
        NULL,
    };
    struct error error;
    struct plan_routes *routes = script_compile(lines, &error);
    assert_non_null(routes);
    struct told told = { 0 };
    struct route_trace trace = { &told, tell_host, tell_candidate };
    struct request_head head;
    fill_head(&head, NULL, "x-env: live");
    struct route_request request = split_target("a.example", "/x", &head);
    assert_non_null(route_match(routes, &request, &trace));
    assert_string_equal(told.text, "[narrow a.example] one(the method is another: POST)"
                                   " two(the header field has another value: x-env)"
                                   " three(the query parameter is missing: debug)"
                                   " four(the path does not match: /x[0-9])"
                                   "[wide *] five(matched)");
    plan_routes_unref(routes);
}

static void sees_where_parameters_would_change_the_route(void **state)
{
    (void)state;
    static const char *const lines[] = { "host h *", "admin /admin", "cart =/cart", "all ^/",
                                         NULL };
    static const char *const open[] = { "host h *", "all ^/", NULL };
    static const struct {
        const char *path;
        bool ambiguous;
    } rows[] = {
        { "/admin", false },       { "/admin;x", true },     { "/admin%3Bx", true },
        { "/admin;x/y", true },    { "/;x/admin", true },    { "/;/admin", true },
        { "/admin/;x", false },    { "/admin/a;x/b", false }, { "/shop;color=red", false },
        { "/shop/a;b/c;d", false }, { "/cart;id=1", true },   { "/cart/a;b", false },
        { "/shop;/admin", false },  { "/adm;x", false },      { "/a;", false },
    };
    struct error error;
    struct plan_routes *guarded = script_compile(lines, &error);
    struct plan_routes *plain = script_compile(open, &error);
    assert_true(guarded != NULL && plain != NULL);
    static struct request_head head;
    fill_head(&head, "GET", NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char memory[64];
        struct route_request request = { .host = TEXT("h"),
                                         .path = text_from_string(rows[i].path),
                                         .head = &head };
        const struct route *route = route_match(guarded, &request, NULL);
        assert_non_null(route);
        if (route_is_ambiguous(guarded, &request, route, memory) != rows[i].ambiguous) {
            fail_msg("%s", rows[i].path);
        }
        route = route_match(plain, &request, NULL);
        assert_false(route_is_ambiguous(plain, &request, route, memory));
    }
    plan_routes_unref(guarded);
    plan_routes_unref(plain);
}

static void picks_targets_by_weight(void **state)
{
    struct route_target targets[3] = { { .weight = 1 }, { .weight = 0 }, { .weight = 3 } };
    struct route route = { .targets = targets, .target_count = 3, .total_weight = 4 };
    unsigned counts[3] = { 0 };
    for (uint64_t i = 0; i < 4000; i++) {
        const struct route_target *target = route_pick_target(&route, i * 0x9e3779b97f4a7c15u);
        assert_non_null(target);
        counts[target - targets]++;
    }
    assert_int_equal(counts[1], 0);
    assert_in_range(counts[0], 900, 1100);
    route.total_weight = 0;
    assert_null(route_pick_target(&route, 1));
}

/* ---- against a plain walk ---- */

static struct random dice;

static void random_path(char *out, unsigned parts)
{
    static const char *const words[] = { "/a", "/b", "/ab", "/abc", "/", "b", "/a-" };
    size_t size = 1;
    memcpy(out, "/", 2);
    for (unsigned i = 0; i < parts; i++) {
        const char *word = words[random_below(&dice, COUNT(words))];
        size +=
            (size_t)snprintf(out + size, 8, "%s", size == 1 && word[0] == '/' ? word + 1 : word);
    }
}

static void random_line(char *out, size_t room, unsigned number)
{
    static const char *const conditions[] = { "", "", "", " h:x=1", " m:GET", " q:a=1" };
    char path[64];
    random_path(path, random_below(&dice, 4));
    const char *condition = conditions[random_below(&dice, COUNT(conditions))];
    size_t size = strlen(path);
    switch (random_below(&dice, 5)) {
    case 0:
        snprintf(out, room, "r%u =%s%s", number, path, condition);
        break;
    case 1:
        snprintf(out, room, "r%u ^%s%s", number, path, condition);
        break;
    case 2:
        snprintf(out, room, "r%u ~%s[ab/]*%s", number, path, condition);
        break;
    case 3:
        snprintf(out, room, "r%u i=%s%s", number, path, condition);
        break;
    default:
        while (size > 1 && path[size - 1] == '/') {
            path[--size] = '\0';
        }
        snprintf(out, room, "r%u %s%s", number, path, condition);
        break;
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

static void agrees_with_a_plain_walk(void **state)
{
    static char lines[60][128];
    const char *script[62] = { "host h *" };
    random_init(&dice, 7);
    for (unsigned round = 0; round < 60; round++) {
        unsigned count = 1 + random_below(&dice, 59);
        for (unsigned i = 0; i < count; i++) {
            random_line(lines[i], sizeof(lines[i]), i);
            script[i + 1] = lines[i];
        }
        script[count + 1] = NULL;
        struct error error;
        struct plan_routes *routes = script_compile(script, &error);
        if (routes == NULL) {
            fail_msg("%s", error.text);
        }
        for (unsigned i = 0; i < 200; i++) {
            char target[80];
            struct request_head head;
            random_path(target, random_below(&dice, 6));
            fill_head(&head, random_below(&dice, 2) ? "GET" : "PUT",
                      random_below(&dice, 2) ? "x: 1" : NULL);
            if (random_below(&dice, 2)) {
                memcpy(target + strlen(target), "?a=1", 5);
            }
            struct route_request request = split_target("h", target, &head);
            assert_ptr_equal(route_match(routes, &request, NULL),
                             plain_match(routes->entries[0].host, &request));
        }
        plan_routes_unref(routes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_where_parameters_would_change_the_route),
        cmocka_unit_test(finds_hosts),
        cmocka_unit_test(nothing_answers_for_unknown_hosts),
        cmocka_unit_test(matches_paths),
        cmocka_unit_test(keeps_the_order_of_the_list),
        cmocka_unit_test(checks_headers),
        cmocka_unit_test(checks_query_parameters),
        cmocka_unit_test(falls_through_to_wider_hosts),
        cmocka_unit_test(refuses_bad_scripts),
        cmocka_unit_test(a_regex_that_gives_up_matches_nothing),
        cmocka_unit_test(finds_literal_prefixes),
        cmocka_unit_test(explains),
        cmocka_unit_test(picks_targets_by_weight),
        cmocka_unit_test(agrees_with_a_plain_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
