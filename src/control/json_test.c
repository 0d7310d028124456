/* The JSON reader: trees, places, refusals; JSONTestSuite (y_ accepted, n_ refused, i_ no
 * crash). */
#include "control/node.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct collector {
    struct document_handler handler;
    struct buffer out;
    uint32_t line; /* of root.a */
};

static void on_document(struct document_handler *handler, struct arena *arena, struct node root)
{
    struct collector *collector = (struct collector *)(void *)handler;
    struct json_writer writer;
    const struct node *a = node_find(&root, TEXT("a"));
    collector->line = a ? a->line : 0;
    json_writer_init_buffer(&writer, &collector->out);
    node_write_json(&root, &writer);
    json_writer_finish(&writer);
    arena_fini(arena);
}

static void on_problem(struct document_handler *handler, uint32_t line, const char *text)
{
    struct collector *collector = (struct collector *)(void *)handler;
    buffer_format(&collector->out, "%u: %s\n", line, text);
}

static bool read_text(struct text json, struct collector *collector)
{
    *collector = (struct collector){ .handler = { on_document, on_problem } };
    buffer_init(&collector->out);
    return json_read(json, &collector->handler);
}

static void reads_and_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *out;
        bool good;
    } cases[] = {
        { "{\"a\": [1, -2.5e3, true, null, \"x\"], \"b\": {}}",
          "{\"a\":[1,-2.5e3,true,null,\"x\"],\"b\":{}}", true },
        { " [ ] ", "[]", true },
        { "\xEF\xBB\xBF{}", "{}", true },
        { "\"\\ud83d\\ude00\\u0041\\/\"", "\"\xF0\x9F\x98\x80" "A/\"", true },
        { "123456789012345678901234567890", "123456789012345678901234567890", true },
        { "{\"a\":1,\n\"a\":2}",
          "2: the key \"a\" stands twice in one map (first on line 1); keep one\n"
          "{\"a\":1,\"a\":2}", false },
        { "{\"a\":\n \"\\ud800\"}",
          "2: not valid JSON at column 9: a lone surrogate stands for no character\n", false },
        { "\"\\ud800\\u0041\"",
          "1: not valid JSON at column 14: a lone surrogate stands for no character\n", false },
        { "\"\\udc00\"",
          "1: not valid JSON at column 8: a lone surrogate stands for no character\n", false },
        { "\"\xff\"", "1: not valid JSON at column 4: the text is not valid UTF-8\n", false },
        { "\"a\nb\"", "1: not valid JSON at column 3: a control character in text; write it as an "
                      "escape\n", false },
        { "{\"a\" 1}", "1: not valid JSON at column 6: a colon must follow the key\n", false },
        { "{a:1}", "1: not valid JSON at column 2: a key in double quotes is due\n", false },
        { "[1,]", "1: not valid JSON at column 4: no value can begin like this\n", false },
        { "[1 2]", "1: not valid JSON at column 4: a comma or ] is due\n", false },
        { "{} {}", "1: not valid JSON at column 4: something follows the value\n", false },
        { "", "1: not valid JSON at column 1: the value is missing\n", false },
        { "01", "1: not valid JSON at column 3: a number needs digits and no leading "
                "zero\n", false },
        { "\"x", "1: not valid JSON at column 3: the text has no closing quote\n", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct collector collector;
        bool good = read_text(text_from_string(cases[i].json), &collector);
        buffer_append_byte(&collector.out, '\0');
        assert_string_equal(collector.out.bytes, cases[i].out);
        assert_int_equal(good, cases[i].good);
        buffer_fini(&collector.out);
    }
}

static void knows_lines(void **state)
{
    (void)state;
    struct collector collector;
    assert_true(read_text(TEXT("{\n\"b\": 1,\r\n \"a\":\n2}"), &collector));
    assert_int_equal(collector.line, 4);
    buffer_fini(&collector.out);
}

static void limits_depth(void **state)
{
    (void)state;
    char json[200];
    struct collector collector;
    for (size_t depth = DOCUMENT_DEPTH_MAX; depth <= DOCUMENT_DEPTH_MAX + 1; depth++) {
        memset(json, '[', depth);
        memset(json + depth, ']', depth);
        assert_int_equal(read_text(text_of(json, depth * 2), &collector),
                         depth == DOCUMENT_DEPTH_MAX);
        buffer_fini(&collector.out);
    }
}

/* Valid JSON that Weft refuses: duplicate keys, which no two readers agree on. */
static bool is_refused_on_purpose(const char *name)
{
    return strcmp(name, "y_object_duplicated_key.json") == 0 ||
           strcmp(name, "y_object_duplicated_key_and_value.json") == 0;
}

static void passes_json_test_suite(void **state)
{
    (void)state;
    const char *root = getenv("WEFT_SOURCE_ROOT");
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s/../shared/vectors/json/test_parsing", root ? root : ".");
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        print_message("skipped: no %s\n", folder);
        skip();
    }
    size_t count = 0;
    size_t wrong = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char name[2048];
        static char bytes[1 << 18];
        snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(name, "r");
        if (file == NULL) {
            continue;
        }
        size_t size = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
        struct collector collector;
        bool good = read_text(text_of(bytes, size), &collector);
        bool due = entry->d_name[0] == 'y' && !is_refused_on_purpose(entry->d_name);
        if (entry->d_name[0] != 'i' && good != due) {
            print_message("%s\n", entry->d_name);
            wrong++;
        }
        count++;
        buffer_fini(&collector.out);
    }
    closedir(dir);
    assert_true(count > 300);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_refuses),
        cmocka_unit_test(knows_lines),
        cmocka_unit_test(limits_depth),
        cmocka_unit_test(passes_json_test_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
