/* YAML to trees: what the loader makes of the text, what it refuses and with which words, and
 * the YAML test suite (cases that must fail are refused, none crashes). */
#include "control/node.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct collector {
    struct document_handler handler;
    struct buffer out; /* each document as JSON and each problem, a line each */
    size_t documents;
};

static void on_document(struct document_handler *handler, struct arena *arena, struct node root)
{
    struct collector *collector = (struct collector *)(void *)handler;
    struct json_writer writer;
    json_writer_init_buffer(&writer, &collector->out);
    node_write_json(&root, &writer);
    json_writer_finish(&writer);
    buffer_append_byte(&collector->out, '\n');
    collector->documents++;
    arena_fini(arena);
}

static void on_problem(struct document_handler *handler, uint32_t line, const char *text)
{
    struct collector *collector = (struct collector *)(void *)handler;
    buffer_format(&collector->out, "%u: %s\n", line, text);
}

static bool read_text(struct text yaml, struct collector *collector)
{
    *collector = (struct collector){ .handler = { on_document, on_problem } };
    buffer_init(&collector->out);
    return yaml_read(yaml, &collector->handler);
}

static void expect(const char *yaml, const char *out)
{
    struct collector collector;
    read_text(text_from_string(yaml), &collector);
    buffer_append_byte(&collector.out, '\0');
    assert_string_equal(collector.out.bytes, out);
    buffer_fini(&collector.out);
}

static void reads_documents(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *out;
    } cases[] = {
        { "", "" },
        { "---\n---\n# nothing\n", "" },
        { "a: 1\nb: [x, 'y', \"z\"]\n", "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"]}\n" },
        { "a: 1\n---\nb: 2\n...\n---\nc: 3\n", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n" },
        { "a:\n  - b: c\n    d: ~\n", "{\"a\":[{\"b\":\"c\",\"d\":null}]}\n" },
        { "a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}\n" },
        { "a: !!str 1\nb: ! x\nc: !!int 7\nd: !!map {}\n",
          "{\"a\":\"1\",\"b\":\"x\",\"c\":7,\"d\":{}}\n" },
        { "a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n",
          "{\"a\":[1,2],\"b\":[1,2],\"c\":3,\"d\":3}\n" },
        { "\"<<\": 1\n", "{\"<<\":1}\n" },
        { "a: \"\\u00e9\\t\"\n", "{\"a\":\"\xc3\xa9\\t\"}\n" },
        { "a: 0777\nb: .inf\nc: 1_000\nd: 1e3\n",
          "{\"a\":\"0777\",\"b\":\".inf\",\"c\":\"1_000\",\"d\":1e3}\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].yaml, cases[i].out);
    }
}

static void refuses_with_words(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *out;
    } cases[] = {
        { "a: 1\nb: 2\na: 3\nb: 4\n",
          "3: the key \"a\" stands twice in one map (first on line 1); keep one\n"
          "4: the key \"b\" stands twice in one map (first on line 2); keep one\n"
          "{\"a\":1,\"b\":2,\"a\":3,\"b\":4}\n" },
        { "a: &x {b: 1}\nc:\n  <<: *x\n",
          "3: merge keys (<<) are not supported; write the fields out\n" },
        { "[a]: 1\n", "1: a key must be text, not a map or a list\n" },
        { "a: &x [1]\n*x : 2\n", "2: a key must be text, not a map or a list\n" },
        { "a: *x\n", "1: the alias *x names nothing that ends before it; write the value out\n" },
        { "a: &x [*x]\n", "1: the alias *x names nothing that ends before it; write the value "
                          "out\n" },
        { "a: !!binary aGk=\n",
          "1: the tag \"tag:yaml.org,2002:binary\" has no meaning here; remove it\n" },
        { "a: !mine x\n", "1: the tag \"!mine\" has no meaning here; remove it\n" },
        { "a: !!int x\n", "1: the tag \"tag:yaml.org,2002:int\" has no meaning here; remove it\n" },
        { "a: !!set {}\n", "1: the tag \"tag:yaml.org,2002:set\" has no meaning here; remove "
                           "it\n" },
        { "a: [1\n", "2: not valid YAML at column 1: did not find expected ',' or ']', while "
                     "parsing a "
                     "flow sequence that began on line 1; mend quotes and indentation there\n" },
        { "a: b: c\n", "1: not valid YAML at column 5: mapping values are not allowed in this "
                       "context; mend quotes and indentation there\n" },
        { "a: \"\xff\"\n", "1: not valid YAML: invalid leading UTF-8 octet (byte 4); save the file "
                           "as plain UTF-8 text\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].yaml, cases[i].out);
    }
}

static void refuses_what_only_libyaml_reads(void **state)
{
    (void)state;
    static const char comment[] = "a # without a blank before it; write \" #\", or quote the text";
    static const char indent[] = "a line inside brackets or quotes is not indented deeper than "
                                 "what it belongs to; indent it";
    static const struct {
        const char *yaml;
        uint32_t line; /* 0: it is read */
        const char *words;
    } cases[] = {
        { "a: [b,#c\n]\n", 2, comment },
        { "a: 'b'#c\n", 2, comment },
        { "a: ># c\n  d\n", 1, comment },
        { "a: b#c # d\ne: '#'\nf: [ '#', \"#\" ] # g\n", 0, NULL },
        { "a: {b: [c,\nd]}\n", 2, indent },
        { "a: \"b\nc\"\n", 1, indent },
        { "a: \"b\n\n c\"\nd: [\n  e,\n\n  f\n]\ng: {\n h: i,\n}\n", 0, NULL },
        { "a:\n- \"b\n c\"\n- &x\n  d: \"e\n   f\"\n", 0, NULL },
        { "a: >\n   \n b\n", 1,
          "a blank line is indented deeper than the text's first line; remove its spaces" },
        { "a: [-]\n", 1, "a lone - inside brackets; quote it" },
        { "a: b\n%YAML 1.2\n---\n", 2, "a directive inside a document; end the one before with "
                                       "..." },
        { "%YAML 1.2 # c\n---\na: b\n...\n%YAML 1.1\n---\n", 0, NULL },
        { "%TAG !e! tag:x\n---\na: b\n", 1,
          "no directive but one %YAML 1.1 or 1.2 is understood; remove it" },
        { "%YAML 1.1#c\n---\n", 1,
          "no directive but one %YAML 1.1 or 1.2 is understood; remove it" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[300] = "";
        struct collector collector;
        bool good = read_text(text_from_string(cases[i].yaml), &collector);
        assert_int_equal(good, cases[i].line == 0);
        if (!good) {
            snprintf(out, sizeof(out), "%u: not valid YAML: %s\n", cases[i].line, cases[i].words);
            assert_true(text_ends_with(buffer_text(&collector.out), text_from_string(out)));
        }
        buffer_fini(&collector.out);
    }
}

static void knows_what_plain_scalars_are_to_kubernetes(void **state)
{
    (void)state;
    static const struct {
        const char *scalar;
        enum node_kind kind;
    } cases[] = {
        { "", NODE_NULL },       { "~", NODE_NULL },        { "null", NODE_NULL },
        { "Null", NODE_NULL },   { "nULL", NODE_STRING },   { "yes", NODE_BOOL },
        { "y", NODE_BOOL },      { "N", NODE_BOOL },        { "on", NODE_BOOL },
        { "Off", NODE_BOOL },    { "TRUE", NODE_BOOL },     { "tRUE", NODE_STRING },
        { "yess", NODE_STRING }, { "0", NODE_INT },         { "-17", NODE_INT },
        { "+1", NODE_INT },      { "0777", NODE_INT },      { "0888", NODE_FLOAT },
        { "0x1F", NODE_INT },    { "0b101", NODE_INT },     { "0o17", NODE_INT },
        { "1_000", NODE_INT },   { "1e3", NODE_FLOAT },     { "1.5", NODE_FLOAT },
        { ".5", NODE_FLOAT },    { "5.", NODE_FLOAT },      { ".", NODE_STRING },
        { "-", NODE_STRING },    { "1e", NODE_STRING },     { "1e+", NODE_STRING },
        { ".inf", NODE_FLOAT },  { "-.Inf", NODE_FLOAT },   { ".NaN", NODE_FLOAT },
        { "inf", NODE_STRING },  { "1.2.3", NODE_STRING },  { "10s", NODE_STRING },
        { "0x", NODE_STRING },   { "0xZ", NODE_STRING },    { "1.2e3", NODE_FLOAT },
        { "2001-01-01", NODE_STRING }, { "12:30", NODE_STRING }, { "nginx", NODE_STRING },
        { "off-peak", NODE_STRING },   { "_1", NODE_STRING },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text scalar = text_from_string(cases[i].scalar);
        if (yaml_plain_kind(scalar) != cases[i].kind) {
            fail_msg("%s: %d", cases[i].scalar, yaml_plain_kind(scalar));
        }
    }
}

static void limits_depth(void **state)
{
    (void)state;
    char yaml[400];
    struct collector collector;
    for (size_t depth = DOCUMENT_DEPTH_MAX; depth <= DOCUMENT_DEPTH_MAX + 1; depth++) {
        memset(yaml, '[', depth);
        memset(yaml + depth, ']', depth);
        bool good = read_text(text_of(yaml, depth * 2), &collector);
        assert_int_equal(good, depth == DOCUMENT_DEPTH_MAX);
        assert_int_equal(collector.documents, good);
        buffer_fini(&collector.out);
    }
}

static void limits_what_aliases_repeat(void **state)
{
    (void)state;
    struct collector collector;
    struct text laughs = TEXT("a: &a [x,x,x,x,x,x,x,x,x]\n"
                              "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                              "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                              "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                              "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n");
    assert_false(read_text(laughs, &collector));
    buffer_append_byte(&collector.out, '\0');
    assert_string_equal(collector.out.bytes, "5: aliases repeat more than 10000 values or 1048576 "
                                             "bytes; write them out\n");
    buffer_fini(&collector.out);

    struct buffer big;
    buffer_init(&big);
    buffer_append(&big, TEXT("a: &a "));
    for (int i = 0; i < 300000; i++) {
        buffer_append_byte(&big, 'x');
    }
    buffer_append(&big, TEXT("\nb: [*a, *a, *a]\n---\na: 1\n"));
    assert_true(read_text(buffer_text(&big), &collector));
    buffer_fini(&collector.out);
    buffer_consume(&big, 0);
    buffer_clear(&big);
    buffer_append(&big, TEXT("a: &a "));
    for (int i = 0; i < 300000; i++) {
        buffer_append_byte(&big, 'x');
    }
    buffer_append(&big, TEXT("\nb: [*a, *a, *a, *a]\n"));
    assert_false(read_text(buffer_text(&big), &collector));
    buffer_fini(&collector.out);
    buffer_fini(&big);
}

static void finds_duplicates_in_large_maps(void **state)
{
    (void)state;
    struct buffer yaml;
    struct collector collector;
    buffer_init(&yaml);
    for (int i = 0; i < 500; i++) {
        buffer_format(&yaml, "key%d: x\n", i);
    }
    assert_true(read_text(buffer_text(&yaml), &collector));
    buffer_fini(&collector.out);
    buffer_append(&yaml, TEXT("key77: y\n"));
    assert_false(read_text(buffer_text(&yaml), &collector));
    assert_true(text_starts_with(buffer_text(&collector.out),
                                 TEXT("501: the key \"key77\" stands twice")));
    buffer_fini(&collector.out);
    buffer_fini(&yaml);
}

static void on_places(struct document_handler *handler, struct arena *arena, struct node root)
{
    (void)handler;
    bool whole;
    static const struct {
        const char *path;
        uint32_t line;
        bool whole;
    } cases[] = {
        { "", 1, true },
        { "spec.rules", 4, true },
        { "spec.rules[1]", 6, true },
        { "spec.rules[1].matches[0].path", 8, true },
        { "spec.rules[1].matches[0].method", 7, false },
        { "spec.rules[9].matches", 4, false },
        { "metadata.labels[\"a.b/c\"]", 10, true },
        { "metadata.labels[\"a.b", 10, false },
        { "metadata[x]", 10, false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct node *node = node_at(&root, cases[i].path, &whole);
        assert_int_equal(node->line, cases[i].line);
        assert_int_equal(whole, cases[i].whole);
    }
    assert_int_equal(node_at(&root, "spec.rules[1].matches[0].path", &whole)->column, 13);
    arena_fini(arena);
}

static void finds_places(void **state)
{
    (void)state;
    struct document_handler handler = { on_places, on_problem };
    assert_true(yaml_read(TEXT("spec:\n"
                               "\n"
                               "  rules:\n"
                               "  - matches:\n"
                               "    - path: 1\n"
                               "  - matches:\n"
                               "    - \"path\":\n"
                               "            2\n"
                               "metadata:\n"
                               "  labels: {a.b/c: d}\n"),
                          &handler));
}

static void reads_integers(void **state)
{
    (void)state;
    int64_t value = 0;
    struct node node = { .kind = NODE_INT, .text = TEXT("-12") };
    assert_true(node_int(&node, &value));
    assert_int_equal(value, -12);
    static const char *const bad[] = {
        "0777", "0x1", "1_0", "+1", "9223372036854775808", "-", "-01"
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        node.text = text_from_string(bad[i]);
        assert_false(node_int(&node, &value));
    }
}

/* ---- the YAML test suite --------------------------------------------------------------------- */

struct suite {
    struct document_handler handler;
    const char *file;
    size_t cases;
    size_t wrong;
};

/* The suite writes invisible characters as visible ones. */
static void unfold(struct text t, struct buffer *out)
{
    static const struct {
        const char *from;
        const char *to;
    } signs[] = {
        { "\xe2\x90\xa3", " " },  { "\xc2\xbb", "\t" },     { "\xe2\x80\x94", "" },
        { "\xe2\x86\xb5", "" },   { "\xe2\x86\x90", "\r" }, { "\xe2\x87\x94", "\xef\xbb\xbf" },
    };
    while (t.size > 0) {
        if (text_starts_with(t, TEXT("\xe2\x88\x8e"))) { /* no line end at the end */
            return;
        }
        size_t taken = 0;
        for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]) && taken == 0; i++) {
            if (text_starts_with(t, text_from_string(signs[i].from))) {
                buffer_append(out, text_from_string(signs[i].to));
                taken = strlen(signs[i].from);
            }
        }
        if (taken == 0) {
            buffer_append_byte(out, t.at[0]);
            taken = 1;
        }
        t = text_from(t, taken);
    }
}

static void on_case(struct document_handler *handler, struct arena *arena, struct node root)
{
    struct suite *suite = (struct suite *)(void *)handler;
    for (size_t i = 0; root.kind == NODE_LIST && i < root.list.count; i++) {
        struct text yaml = node_find_text(&root.list.items[i], TEXT("yaml"));
        const struct node *fail = node_find(&root.list.items[i], TEXT("fail"));
        if (yaml.at == NULL) {
            continue;
        }
        struct buffer bytes;
        struct collector collector;
        buffer_init(&bytes);
        unfold(yaml, &bytes);
        bool good = read_text(buffer_text(&bytes), &collector);
        suite->cases++;
        if (good && fail != NULL && node_bool(fail)) {
            print_message("%s: read though invalid\n", suite->file);
            suite->wrong++;
        }
        buffer_fini(&collector.out);
        buffer_fini(&bytes);
    }
    arena_fini(arena);
}

static void passes_the_yaml_test_suite(void **state)
{
    (void)state;
    const char *root = getenv("WEFT_SOURCE_ROOT");
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s/../shared/vectors/yaml/src", root ? root : ".");
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        print_message("skipped: no %s\n", folder);
        skip();
    }
    struct suite suite = { .handler = { on_case, on_problem } };
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char name[2048];
        static char bytes[1 << 16];
        snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(name, "r");
        if (file != NULL) {
            size_t size = fread(bytes, 1, sizeof(bytes), file);
            fclose(file);
            suite.file = entry->d_name;
            assert_true(yaml_read(text_of(bytes, size), &suite.handler));
        }
    }
    closedir(dir);
    assert_true(suite.cases > 300);
    assert_int_equal(suite.wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_documents),
        cmocka_unit_test(refuses_with_words),
        cmocka_unit_test(refuses_what_only_libyaml_reads),
        cmocka_unit_test(knows_what_plain_scalars_are_to_kubernetes),
        cmocka_unit_test(limits_depth),
        cmocka_unit_test(limits_what_aliases_repeat),
        cmocka_unit_test(finds_duplicates_in_large_maps),
        cmocka_unit_test(finds_places),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(passes_the_yaml_test_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
