/* The pages and what each surface may see and do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "observe/admin.h"

struct fixture {
    struct metrics *metrics;
    struct admin *admin;
    struct buffer body;
    bool is_ready;
    int rendered;
};

static bool on_ready(void *owner, struct buffer *reason)
{
    struct fixture *fixture = owner;
    buffer_append(reason, fixture->is_ready ? TEXT("") : TEXT("listener edge/http is not bound"));
    return fixture->is_ready;
}

static const char *const libraries[] = { "OpenSSL 3", "a \"b\"", NULL };

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){ .metrics = metrics_new(1) };
    static const struct metric_definition requests = {
        METRIC_COUNTER, "x_total", "X.", { NULL }, 0
    };
    metric_add(metric_take(metric_register(fixture.metrics, &requests), 0, NULL), 7);
    struct admin_options options = { .metrics = fixture.metrics,
                                     .version = "1.2 <beta>",
                                     .libraries = libraries,
                                     .socket_path = "/run/weft & co.sock",
                                     .on_ready = on_ready,
                                     .owner = &fixture };
    fixture.admin = admin_new(&options);
    buffer_init(&fixture.body);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    admin_free(fixture->admin);
    metrics_free(fixture->metrics);
    buffer_fini(&fixture->body);
    log_set_level(LOG_INFO);
    return 0;
}

static struct admin_answer ask(struct fixture *fixture, enum admin_surface surface,
                               const char *method, const char *target)
{
    struct text rest = text_from_string(target), path;
    text_split(&rest, '?', &path);
    struct admin_request request = {
        .surface = surface, .method = text_from_string(method), .path = path, .query = rest
    };
    buffer_clear(&fixture->body);
    struct admin_answer answer = admin_handle(fixture->admin, &request, &fixture->body);
    buffer_append_byte(&fixture->body, '\0');
    return answer;
}

static void each_surface_sees_its_pages(void **state)
{
    static const struct {
        const char *method, *target;
        int socket, tcp, metrics;
    } cases[] = {
        { "GET", "/", 200, 200, 404 },
        { "HEAD", "/", 200, 200, 404 },
        { "GET", "/metrics", 200, 200, 200 },
        { "GET", "/metrics?x=y", 200, 200, 200 },
        { "HEAD", "/metrics", 200, 200, 200 },
        { "GET", "/healthz", 200, 200, 200 },
        { "GET", "/readyz", 503, 503, 503 },
        { "GET", "/log", 200, 200, 404 },
        { "POST", "/log?level=warn", 200, 403, 404 },
        { "DELETE", "/log", 405, 405, 404 },
        { "POST", "/metrics", 405, 405, 405 },
        { "get", "/metrics", 405, 405, 405 },
        { "GET", "/buildinfo", 200, 200, 404 },
        { "GET", "/memory", 200, 200, 404 },
        { "GET", "/nothing", 404, 404, 404 },
        { "GET", "/metrics/", 404, 404, 404 },
        { "GET", "", 404, 404, 404 },
        { "GET", "*", 404, 404, 404 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int expected[] = { cases[i].socket, cases[i].tcp, cases[i].metrics };
        for (int surface = ADMIN_SOCKET; surface <= ADMIN_METRICS; surface++) {
            struct admin_answer answer =
                ask(*state, (enum admin_surface)surface, cases[i].method, cases[i].target);
            assert_int_equal(answer.status, expected[surface]);
            assert_non_null(answer.content_type);
            assert_true((answer.allow != NULL) == (answer.status == 405));
        }
    }
    assert_string_equal(ask(*state, ADMIN_TCP, "PUT", "/log").allow, "GET, HEAD, POST");
    assert_string_equal(ask(*state, ADMIN_TCP, "PUT", "/metrics").allow, "GET, HEAD");
}

static void only_the_socket_changes_the_level(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, ADMIN_TCP, "POST", "/log?level=debug");
    assert_non_null(strstr(fixture->body.bytes, "/run/weft & co.sock"));
    assert_int_equal(log_level_now, LOG_INFO);
    assert_int_equal(ask(fixture, ADMIN_SOCKET, "POST", "/log?a=b&level=d%65bug").status, 200);
    assert_int_equal(log_level_now, LOG_DEBUG);
    assert_string_equal(fixture->body.bytes, "{\"level\":\"debug\",\"dropped_lines\":0}\n");
    static const char *const bad[] = { "/log",
                                       "/log?level=",
                                       "/log?level=loud",
                                       "/log?level=%zz",
                                       "/log?level=debugdebugdebugdebug",
                                       "/log?levels=info" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ask(fixture, ADMIN_SOCKET, "POST", bad[i]).status, 400);
        assert_int_equal(log_level_now, LOG_DEBUG);
    }
}

static void says_why_it_is_not_ready(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, ADMIN_METRICS, "GET", "/readyz");
    assert_string_equal(fixture->body.bytes, "listener edge/http is not bound\n");
    fixture->is_ready = true;
    assert_int_equal(ask(fixture, ADMIN_METRICS, "GET", "/readyz").status, 200);
    assert_string_equal(fixture->body.bytes, "ready\n");
}

static void built_in_pages_say_what_they_should(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, ADMIN_TCP, "GET", "/metrics");
    assert_string_equal(fixture->body.bytes,
                        "# HELP x_total X.\n# TYPE x_total counter\nx_total 7\n");
    ask(fixture, ADMIN_TCP, "GET", "/buildinfo");
    assert_non_null(strstr(fixture->body.bytes, "{\"version\":\"1.2 <beta>\",\"compiler\":"));
    assert_non_null(
        strstr(fixture->body.bytes, "\"libraries\":[\"OpenSSL 3\",\"a \\\"b\\\"\"]}\n"));
    ask(fixture, ADMIN_TCP, "GET", "/memory");
    assert_non_null(strstr(fixture->body.bytes, "\"metric_series\":1,"));
    ask(fixture, ADMIN_TCP, "GET", "/");
    assert_non_null(strstr(fixture->body.bytes, "1.2 &lt;beta&gt;"));
    assert_non_null(strstr(fixture->body.bytes, "/run/weft &amp; co.sock"));
    assert_non_null(strstr(fixture->body.bytes, "<a href=\"/memory\">"));
    assert_non_null(strstr(fixture->body.bytes, "<code>POST /log</code>"));
}

static uint16_t render(void *owner, const struct admin_request *request, struct buffer *out)
{
    ((struct fixture *)owner)->rendered++;
    buffer_append(out, request->query);
    return 418;
}

static void pages_are_added_and_replaced(void **state)
{
    static const struct page status = { "/status", "GET", "a/b", "about", false, render };
    static const struct page metrics = { "/metrics", "GET", "c/d", "about", true, render };
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture, ADMIN_TCP, "GET", "/status").status, 404);
    admin_add_page(fixture->admin, &status, fixture);
    admin_add_page(fixture->admin, &metrics, fixture);
    struct admin_answer answer = ask(fixture, ADMIN_TCP, "GET", "/status?a=1&b");
    assert_int_equal(answer.status, 418);
    assert_string_equal(answer.content_type, "a/b");
    assert_string_equal(fixture->body.bytes, "a=1&b");
    assert_string_equal(ask(fixture, ADMIN_METRICS, "GET", "/metrics").content_type, "c/d");
    assert_int_equal(ask(fixture, ADMIN_METRICS, "GET", "/status").status, 404);
    assert_int_equal(fixture->rendered, 2);
    ask(fixture, ADMIN_TCP, "GET", "/");
    assert_non_null(strstr(fixture->body.bytes, "href=\"/status\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_surface_sees_its_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_socket_changes_the_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_why_it_is_not_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(built_in_pages_say_what_they_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_are_added_and_replaced, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
