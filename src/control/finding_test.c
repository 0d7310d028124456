/* Lists of findings: text, JSON, order, limits. */
#include "control/finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct finding at(const char *file, uint32_t line)
{
    return (struct finding){ .class = FINDING_REFUSED, .place = { text_from_string(file), line } };
}

static void formats_text_and_json(void **state)
{
    (void)state;
    struct finding_list list;
    finding_list_init(&list);
    struct finding finding = at("b.yaml", 7);
    finding.object = TEXT("HTTPRoute/default/a");
    finding.path = TEXT("spec.x");
    finding_add(&list, &finding, "is %d; mend", 1);
    finding.severity = FINDING_WARNING;
    finding.class = FINDING_JUDGED;
    finding_add(&list, &finding, "odd\n\"text\"");
    finding = at("a.yaml", 0);
    finding.class = FINDING_PARSE;
    finding_add(&list, &finding, "no");
    finding = at("", 0);
    finding_add(&list, &finding, "nowhere");
    finding = at("b.yaml", 3);
    finding_add(&list, &finding, "early");
    finding_list_sort(&list);
    struct buffer out;
    buffer_init(&out);
    finding_list_format(&list, &out);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, "nowhere\n"
                                   "a.yaml: no\n"
                                   "b.yaml:3: early\n"
                                   "b.yaml:7: HTTPRoute/default/a: spec.x: is 1; mend\n"
                                   "b.yaml:7: HTTPRoute/default/a: spec.x: warning: "
                                   "odd\\x0a\"text\"\n");
    assert_int_equal(list.errors, 4);
    buffer_clear(&out);
    struct json_writer writer;
    json_writer_init_buffer(&writer, &out);
    finding_list_write_json(&list, &writer);
    json_writer_finish(&writer);
    buffer_append_byte(&out, '\0');
    assert_string_equal(
        out.bytes,
        "[{\"severity\":\"error\",\"class\":\"refused\",\"text\":\"nowhere\"},"
        "{\"severity\":\"error\",\"class\":\"parse\",\"file\":\"a.yaml\",\"text\":\"no\"},"
        "{\"severity\":\"error\",\"class\":\"refused\",\"file\":\"b.yaml\",\"line\":3,\"text\":"
        "\"early\"},"
        "{\"severity\":\"error\",\"class\":\"refused\",\"file\":\"b.yaml\",\"line\":7,\"object\":"
        "\"HTTPRoute/default/a\",\"path\":\"spec.x\",\"text\":\"is 1; mend\"},"
        "{\"severity\":\"warning\",\"class\":\"judged\",\"file\":\"b.yaml\",\"line\":7,\"object\":"
        "\"HTTPRoute/default/a\",\"path\":\"spec.x\",\"text\":\"odd\\n\\\"text\\\"\"}]");
    buffer_fini(&out);
    finding_list_fini(&list);
}

static void keeps_a_limit(void **state)
{
    (void)state;
    struct finding_list list;
    struct finding_list copy;
    finding_list_init(&list);
    finding_list_init(&copy);
    struct finding finding = at("a", 1);
    for (size_t i = 0; i < FINDINGS_MAX + 3; i++) {
        finding_add(&list, &finding, "x");
    }
    assert_int_equal(list.array.count, FINDINGS_MAX);
    assert_int_equal(list.dropped, 3);
    assert_int_equal(list.errors, FINDINGS_MAX + 3);
    finding_list_append(&copy, &list);
    assert_int_equal(copy.dropped, 3);
    assert_int_equal(copy.errors, FINDINGS_MAX + 3);
    finding_list_clear(&list);
    assert_int_equal(list.array.count, 0);
    finding_list_fini(&list);
    finding_list_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_text_and_json),
        cmocka_unit_test(keeps_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
