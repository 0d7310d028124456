/* The store: classes (a) and (b) of bad objects, generations, duplicates, implied objects, changes,
 * taking over what did not change. */
#include "control/node.h"
#include "control/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct store *store;
static struct change_list changes;

static int open_store(void **state)
{
    (void)state;
    store = store_new();
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static void put_ranked(const char *file, uint32_t rank, const char *yaml)
{
    struct text name = text_from_string(file);
    store_put(store, rank, intake_read(name, text_from_string(yaml), FORMAT_YAML,
                                       store_intake(store, name)));
}

static void put(const char *file, const char *yaml)
{
    put_ranked(file, 0, yaml);
    changes = store_commit(store);
}

static void assert_findings(const char *expected)
{
    struct finding_list list;
    struct buffer out;
    finding_list_init(&list);
    buffer_init(&out);
    store_findings(store, &list);
    finding_list_format(&list, &out);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, expected);
    buffer_fini(&out);
    finding_list_fini(&list);
}

static const struct object *route(const char *name)
{
    return store_find(store, KIND_HTTP_ROUTE, TEXT("default"), text_from_string(name));
}

/* "+Kind/ns/name ~... -..." sorted by key. */
static void assert_changes(const char *expected)
{
    char lines[32][200];
    char out[4096] = "";
    size_t used = 0;
    size_t count = 0;
    for (size_t i = 0; i < changes.count; i++) {
        const struct change *change = &changes.items[i];
        const struct object *object = change->after ? change->after : change->before;
        assert_int_equal(change->before == NULL, change->type == CHANGE_ADDED);
        assert_int_equal(change->after == NULL, change->type == CHANGE_REMOVED);
        snprintf(lines[count++], sizeof(lines[0]), "%.*s%c", TEXT_ARG(object->key),
                 "+~-"[change->type]);
    }
    qsort(lines, count, sizeof(lines[0]), (int (*)(const void *, const void *))strcmp);
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%s", i ? " " : "", lines[i]);
    }
    assert_string_equal(out, expected);
}

#define ROUTE(name, spec)                                                                          \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: " name       \
    "}\nspec: {" spec "}\n"

static void implies_class_and_namespaces(void **state)
{
    (void)state;
    changes = store_commit(store);
    assert_changes("GatewayClass//weft+");
    const struct object *class = store_find(store, KIND_GATEWAY_CLASS, TEXT(""), TEXT("weft"));
    assert_true(class->implied);
    assert_true(text_equal(class->gateway_class->controller_name, TEXT(WEFT_CONTROLLER)));
    assert_int_equal(store_version(store), 1);
    changes = store_commit(store);
    assert_int_equal(changes.count, 0);
    assert_int_equal(store_version(store), 1);

    put("a.yaml", ROUTE("a", ""));
    assert_changes("HTTPRoute/default/a+ Namespace//default+");
    const struct object *namespace = store_find(store, KIND_NAMESPACE, TEXT(""), TEXT("default"));
    assert_true(namespace->implied);
    assert_true(text_equal(key_value_find(&namespace->labels, TEXT(LABEL_NAMESPACE_NAME)),
                           TEXT("default")));
    assert_int_equal(object_line(namespace, "spec"), 0);

    put("n.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {a: b}}\n");
    assert_changes("Namespace//default~");
    namespace = store_find(store, KIND_NAMESPACE, TEXT(""), TEXT("default"));
    assert_false(namespace->implied);
    assert_int_equal(namespace->labels.count, 2);
    assert_int_equal(namespace->generation, 1);

    store_remove(store, TEXT("n.yaml"));
    changes = store_commit(store);
    assert_changes("Namespace//default~");
    store_remove(store, TEXT("a.yaml"));
    changes = store_commit(store);
    assert_changes("HTTPRoute/default/a- Namespace//default-");
    assert_int_equal(store_objects(store, KIND_NAMESPACE).count, 0);
}

static void counts_generations_of_spec(void **state)
{
    (void)state;
    put("a.yaml", ROUTE("a", "hostnames: [a.b]") ROUTE("b", ""));
    const struct object *b = route("b");
    assert_int_equal(route("a")->generation, 1);
    put("a.yaml", "# a comment above moves lines only\n" ROUTE("a", "hostnames: "
                                                                    "[a.b]") ROUTE("b", ""));
    assert_changes("");
    assert_int_equal(object_line(route("b"), "spec"), 11);
    assert_int_equal(route("b")->place.line, 8);
    put("a.yaml", ROUTE("a", "hostnames: [a.c]") ROUTE("b", ""));
    assert_changes("HTTPRoute/default/a~");
    assert_int_equal(route("a")->generation, 2);
    assert_ptr_equal(route("b"), b);
    assert_int_equal(object_line(route("b"), "spec"), 10);
    put("a.yaml", ROUTE("a\n  , labels: {x: z}", "hostnames: [a.c]") ROUTE("b", ""));
    assert_changes("HTTPRoute/default/a~");
    assert_int_equal(route("a")->generation, 2);
    put("a.yaml", ROUTE("b", ""));
    assert_changes("HTTPRoute/default/a-");
    put("a.yaml", ROUTE("a", "hostnames: [a.c]") ROUTE("b", ""));
    assert_int_equal(route("a")->generation, 1);
}

static void keeps_all_of_a_file_that_does_not_parse(void **state)
{
    (void)state;
    put("a.yaml", ROUTE("a", "") ROUTE("b", "hostname: x"));
    const struct object *a = route("a");
    assert_findings("a.yaml:10: HTTPRoute/default/b: spec.hostname: unknown field; did you mean "
                    "\"hostnames\"?\n");
    put("a.yaml", ROUTE("c", "") "a: b: c\n");
    assert_changes("");
    assert_ptr_equal(route("a"), a);
    assert_null(route("c"));
    assert_findings("a.yaml:6: not valid YAML at column 5: mapping values are not allowed in this "
                    "context; mend quotes and indentation there\n");
    put("a.yaml", ROUTE("a", "") ROUTE("c", ""));
    assert_changes("HTTPRoute/default/c+");
    assert_ptr_equal(route("a"), a);
    assert_findings("");
    put("new.yaml", "a: [\n");
    assert_changes("");
}

static void keeps_the_older_version_of_a_refused_object(void **state)
{
    (void)state;
    put("a.yaml", ROUTE("a", "hostnames: [a.b]") ROUTE("new", "rules: 1"));
    const struct object *a = route("a");
    assert_null(route("new"));
    put("a.yaml", ROUTE("a", "hostnames: [A]") ROUTE("other", ""));
    assert_changes("HTTPRoute/default/other+");
    assert_ptr_equal(route("a"), a);
    put("a.yaml", ROUTE("other", "") ROUTE("a", "hostnames: [a.b]"));
    assert_changes("");
    assert_ptr_equal(route("a"), a);
    assert_int_equal(object_line(a, "spec.hostnames[0]"), 10);
    assert_int_equal(a->generation, 1);
    put("a.yaml", "apiVersion: gateway.networking.k8s.io/v9\nkind: HTTPRoute\n"
                  "metadata: {name: a}\n");
    assert_changes("HTTPRoute/default/other-");
    assert_ptr_equal(route("a"), a);
    put("a.yaml", "# empty\n");
    assert_changes("HTTPRoute/default/a- Namespace//default-");
}

static void keeps_what_an_unnamed_document_may_mean(void **state)
{
    (void)state;
    put("a.yaml", ROUTE("a", "") ROUTE("b", ""));
    put("a.yaml", ROUTE("b", "") "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                                 "metadata: {nam: a}\nspec: {}\n");
    assert_changes("");
    assert_non_null(route("a"));
    put("a.yaml", ROUTE("b", "") "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                                 "metadata: {nam: aa}\nspec: {}\n");
    assert_non_null(route("a"));
    put("a.yaml", ROUTE("b", ""));
    assert_changes("HTTPRoute/default/a-");
}

static void lets_the_first_of_duplicates_win(void **state)
{
    (void)state;
    put("b.yaml", ROUTE("x", "hostnames: [b.b]"));
    put("a.yaml", ROUTE("x", "hostnames: [a.a]") ROUTE("x", "hostnames: [c.c]"));
    assert_changes("HTTPRoute/default/x~");
    assert_true(text_equal(route("x")->route->hostnames.items[0], TEXT("a.a")));
    assert_int_equal(route("x")->generation, 2);
    assert_findings(
        "a.yaml:7: HTTPRoute/default/x: is written a second time; a.yaml:2 is in force, remove "
        "one\n"
        "b.yaml:2: HTTPRoute/default/x: is written a second time; a.yaml:2 is in force, remove "
        "one\n");
    put_ranked("z.yaml", 0, ROUTE("x", "hostnames: [z.z]"));
    put_ranked("a.yaml", 1, ROUTE("x", "hostnames: [a.a]"));
    put_ranked("b.yaml", 1, ROUTE("x", "hostnames: [b.b]"));
    changes = store_commit(store);
    assert_true(text_equal(route("x")->route->hostnames.items[0], TEXT("z.z")));
    store_remove(store, TEXT("z.yaml"));
    store_remove(store, TEXT("none.yaml"));
    changes = store_commit(store);
    assert_changes("HTTPRoute/default/x~");
    assert_true(text_equal(route("x")->route->hostnames.items[0], TEXT("a.a")));
}

static void keeps_the_controller_of_a_class(void **state)
{
    (void)state;
#define CLASS(controller)                                                                          \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {"   \
    "controllerName: " controller "}\n"
    put("a.yaml", CLASS("a.b/c"));
    put("a.yaml", CLASS("a.b/d"));
    assert_changes("");
    assert_findings("a.yaml:1: GatewayClass//c: spec.controllerName: cannot change; give the new "
                    "GatewayClass another name\n");
    put("a.yaml", CLASS("a.b/c"));
    assert_findings("");
    put("w.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
                  "metadata: {name: weft}\n"
                  "spec: {controllerName: a.b/c}\n");
    assert_changes("GatewayClass//weft~");
    assert_false(store_find(store, KIND_GATEWAY_CLASS, TEXT(""), TEXT("weft"))->implied);
}

static void keeps_warnings_of_what_did_not_change(void **state)
{
    (void)state;
#define OLD_SESSION ROUTE("a", "rules: [{sessionPersistence: {sessionName: s}}]")
    put("a.yaml", OLD_SESSION);
    put("a.yaml", "#\n#\n" OLD_SESSION);
    assert_changes("");
    assert_findings("a.yaml:7: HTTPRoute/default/a: spec.rules[0].sessionPersistence.sessionName: "
                    "warning: is the form before v1.7; write cookie.name and cookie.lifetimeType "
                    "instead\n");
}

static void lists_by_kind_and_namespace(void **state)
{
    (void)state;
    struct buffer yaml;
    buffer_init(&yaml);
    for (int i = 0; i < 300; i++) {
        buffer_format(&yaml, "---\napiVersion: v1\nkind: ConfigMap\n"
                             "metadata: {name: c%d, namespace: n%d}\n",
                      (i * 7) % 300, i % 3);
    }
    buffer_append_byte(&yaml, '\0');
    put("a.yaml", yaml.bytes);
    assert_int_equal(changes.count, 300 + 3 + 1);
    buffer_fini(&yaml);
    put("b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: n1}\n---\n"
                  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z, namespace: n9}\n");
    struct object_list all = store_objects(store, KIND_CONFIG_MAP);
    assert_int_equal(all.count, 302);
    for (size_t i = 1; i < all.count; i++) {
        int order = text_compare(all.items[i - 1]->name_space, all.items[i]->name_space);
        assert_true(order < 0 || (order == 0 && text_compare(all.items[i - 1]->name,
                                                             all.items[i]->name) < 0));
    }
    struct object_list some = store_objects_in(store, KIND_CONFIG_MAP, TEXT("n1"));
    assert_int_equal(some.count, 101);
    assert_true(text_equal(some.items[0]->name, TEXT("a")));
    assert_int_equal(store_objects_in(store, KIND_CONFIG_MAP, TEXT("n5")).count, 0);
    store_remove(store, TEXT("b.yaml"));
    changes = store_commit(store);
    assert_int_equal(store_objects(store, KIND_CONFIG_MAP).count, 300);
    assert_null(store_find(store, KIND_CONFIG_MAP, TEXT("n9"), TEXT("z")));
}

static void gathers_invalid_policies(void **state)
{
    (void)state;
    uint64_t version = store_version(store);
    put("a.yaml", "apiVersion: weft.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: r}\nspec:\n"
                  "  targetRefs: [{kind: Gateway, name: g}]\n");
    struct invalid_policy_list list = store_invalid_policies(store);
    assert_int_equal(list.count, 1);
    assert_true(text_equal(list.items[0].targets[0].name, TEXT("g")));
    assert_true(store_version(store) > version);
    version = store_version(store);
    store_remove(store, TEXT("a.yaml"));
    store_commit(store);
    assert_int_equal(store_invalid_policies(store).count, 0);
    assert_true(store_version(store) > version);
}

static void leaves_objects_to_whoever_holds_them(void **state)
{
    (void)state;
    put("a.yaml", ROUTE("a", "hostnames: [a.b]"));
    struct object *held = object_ref((struct object *)(uintptr_t)route("a"));
    store_remove(store, TEXT("a.yaml"));
    store_commit(store);
    store_commit(store);
    assert_true(text_equal(held->route->hostnames.items[0], TEXT("a.b")));
    object_unref(held);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(implies_class_and_namespaces),
        TEST(counts_generations_of_spec),
        TEST(keeps_all_of_a_file_that_does_not_parse),
        TEST(keeps_the_older_version_of_a_refused_object),
        TEST(keeps_what_an_unnamed_document_may_mean),
        TEST(lets_the_first_of_duplicates_win),
        TEST(keeps_the_controller_of_a_class),
        TEST(keeps_warnings_of_what_did_not_change),
        TEST(lists_by_kind_and_namespace),
        TEST(gathers_invalid_policies),
        TEST(leaves_objects_to_whoever_holds_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
