/* The built-in pages. */
#include "observe/admin_pages.h"

#include "base/json_writer.h"
#include "base/log.h"
#include "observe/process.h"
#include "observe/prometheus.h"

#include <malloc.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_HTML  "text/html; charset=utf-8"
#define JSON       "application/json"

static const char *html_escape(char byte)
{
    static const char *const escapes[128] = {
        ['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;"
    };
    return (unsigned char)byte < 128 ? escapes[(unsigned char)byte] : NULL;
}

static void put_html(struct buffer *out, const char *string)
{
    for (; *string; string++) {
        const char *escape = html_escape(*string);
        buffer_append(out, escape ? text_from_string(escape) : text_of(string, 1));
    }
}

static const char index_head[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Weft</title>"
    "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;"
    "margin:2rem auto;padding:0 1rem}td{padding:.1rem 1rem .1rem 0;vertical-align:top}"
    "</style><h1>Weft ";

static void put_index_row(struct buffer *out, const struct page *page)
{
    bool is_get = strcmp(page->method, "GET") == 0;
    buffer_append(out, is_get ? TEXT("<tr><td><a href=\"") : TEXT("<tr><td><code>POST "));
    put_html(out, page->path);
    if (is_get) {
        buffer_append(out, TEXT("\">"));
        put_html(out, page->path);
        buffer_append(out, TEXT("</a><td>"));
    } else {
        buffer_append(out, TEXT("</code><td>"));
    }
    put_html(out, page->about);
    buffer_append(out, TEXT("\n"));
}

static uint16_t render_index(void *owner, const struct admin_request *request, struct buffer *out)
{
    const struct admin_view *view = owner;
    buffer_append(out, text_from_string(index_head));
    put_html(out, view->options.version);
    buffer_append(out, TEXT("</h1><table>\n"));
    for (size_t i = 0; i < view->page_count; i++) {
        put_index_row(out, view->pages[i].page);
    }
    buffer_append(out, TEXT("</table>"));
    if (view->options.socket_path) {
        buffer_append(out, TEXT("<p>What changes something goes over the unix socket: "
                                "<code>curl --unix-socket "));
        put_html(out, view->options.socket_path);
        buffer_append(out, TEXT(" -X POST 'http://localhost/log?level=debug'</code></p>"));
    }
    buffer_append_byte(out, '\n');
    return 200;
}

static uint16_t render_metrics(void *owner, const struct admin_request *request, struct buffer *out)
{
    const struct admin_view *view = owner;
    prometheus_format(view->options.metrics, out);
    return 200;
}

static uint16_t render_health(void *owner, const struct admin_request *request, struct buffer *out)
{
    buffer_append(out, TEXT("ok\n"));
    return 200;
}

static uint16_t render_ready(void *owner, const struct admin_request *request, struct buffer *out)
{
    const struct admin_view *view = owner;
    size_t before = out->size;
    if (!view->options.on_ready || view->options.on_ready(view->options.owner, out)) {
        out->size = before;
        buffer_append(out, TEXT("ready\n"));
        return 200;
    }
    if (out->size == before) {
        buffer_append(out, TEXT("not ready"));
    }
    buffer_append_byte(out, '\n');
    return 503;
}

static void put_level(struct buffer *out)
{
    struct json_writer json;
    json_writer_init_buffer(&json, out);
    json_object_open(&json);
    JSON_TEXT(&json, "level", text_from_string(log_level_name((enum log_level)log_level_now)));
    JSON_U64(&json, "dropped_lines", log_dropped());
    json_object_close(&json);
    json_byte(&json, '\n');
    json_writer_finish(&json);
}

static uint16_t render_log(void *owner, const struct admin_request *request, struct buffer *out)
{
    put_level(out);
    return 200;
}

static uint16_t change_log(void *owner, const struct admin_request *request, struct buffer *out)
{
    char bytes[16];
    struct text value;
    enum log_level level;
    if (!admin_query_find(request->query, TEXT("level"), bytes, sizeof(bytes), &value) ||
        !log_level_parse(value, &level)) {
        buffer_append(out, TEXT("{\"error\":\"level must be one of debug, info, warn, error: "
                                "POST /log?level=debug\"}\n"));
        return 400;
    }
    log_set_level(level);
    put_level(out);
    return 200;
}

static uint16_t render_build(void *owner, const struct admin_request *request, struct buffer *out)
{
    const struct admin_view *view = owner;
    struct json_writer json;
    json_writer_init_buffer(&json, out);
    json_object_open(&json);
    JSON_TEXT(&json, "version", text_from_string(view->options.version));
    JSON_TEXT(&json, "compiler", text_from_string(__VERSION__));
    JSON_KEY(&json, "libraries");
    json_array_open(&json);
    for (const char *const *library = view->options.libraries; library && *library; library++) {
        json_text(&json, text_from_string(*library));
    }
    json_array_close(&json);
    json_object_close(&json);
    json_byte(&json, '\n');
    json_writer_finish(&json);
    return 200;
}

static uint16_t render_memory(void *owner, const struct admin_request *request, struct buffer *out)
{
    const struct admin_view *view = owner;
    struct process_stats stats;
    process_read(&stats);
    struct mallinfo2 heap = mallinfo2();
    size_t series_bytes;
    size_t series = metrics_count(view->options.metrics, &series_bytes);
    struct json_writer json;
    json_writer_init_buffer(&json, out);
    json_object_open(&json);
    JSON_U64(&json, "rss_bytes", stats.rss_bytes);
    JSON_U64(&json, "anonymous_bytes", stats.anonymous_bytes);
    JSON_U64(&json, "heap_used_bytes", heap.uordblks + heap.hblkhd);
    JSON_U64(&json, "heap_free_bytes", heap.fordblks);
    JSON_U64(&json, "metric_series", series);
    JSON_U64(&json, "metric_series_bytes", series_bytes);
    json_object_close(&json);
    json_byte(&json, '\n');
    json_writer_finish(&json);
    return 200;
}

const struct page admin_built_in_pages[ADMIN_BUILT_IN_PAGES] = {
    { "/", "GET", TEXT_HTML, "this list", false, render_index },
    { "/metrics", "GET", PROMETHEUS_CONTENT_TYPE, "metrics as Prometheus text", true,
      render_metrics },
    { "/healthz", "GET", TEXT_PLAIN, "200 while the process answers", true, render_health },
    { "/readyz", "GET", TEXT_PLAIN, "200 when traffic is welcome, else 503 and why", true,
      render_ready },
    { "/log", "GET", JSON, "level of the operator log", false, render_log },
    { "/log", "POST", JSON, "?level=debug|info|warn|error sets it", false, change_log },
    { "/buildinfo", "GET", JSON, "version, compiler, libraries", false, render_build },
    { "/memory", "GET", JSON, "what the process holds", false, render_memory },
};
