/* Files as a source: what is read, what is passed over, what a change on disk comes to, and how
 * soon. */
#include "control/source/files.h"

#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static struct store *store;
static struct file_source *source;
static struct loop *loop;
static size_t calls;
static size_t changed; /* objects in the last call's list */

static const char *path(const char *name)
{
    static char paths[4][256];
    static int next;
    char *out = paths[next++ % 4];
    snprintf(out, sizeof(paths[0]), "%s/%s", root, name);
    return out;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_map(const char *name, const char *object, const char *value)
{
    char text[512];
    snprintf(text, sizeof(text),
             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
             "data: {k: '%s'}\n", object, value);
    write_text(name, text);
}

static void replace_map(const char *name, const char *object, const char *value)
{
    write_map("tmp~", object, value);
    assert_int_equal(rename(path("tmp~"), path(name)), 0);
}

static const char *value_of(const char *name)
{
    static char out[64];
    const struct object *object =
        store_find(store, KIND_CONFIG_MAP, TEXT("default"), text_from_string(name));
    if (object == NULL) {
        return "";
    }
    struct text value = key_value_find(&object->config_map->data, TEXT("k"));
    snprintf(out, sizeof(out), "%.*s", TEXT_ARG(value));
    return out;
}

static void on_change(void *owner, struct change_list changes)
{
    (void)owner;
    calls++;
    changed = changes.count;
}

static int open_all(void **state)
{
    (void)state;
    struct error error;
    memcpy(root, TEXT("/tmp/weft-files-XXXXXX").at, sizeof("/tmp/weft-files-XXXXXX"));
    assert_non_null(mkdtemp(root));
    store = store_new();
    loop = loop_new(&error);
    assert_non_null(loop);
    calls = 0;
    const char *paths[] = { root };
    source = file_source_new(store, paths, 1);
    return 0;
}

static void remove_tree(const char *name)
{
    DIR *dir = opendir(name);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char below[1024];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            snprintf(below, sizeof(below), "%s/%s", name, entry->d_name);
            if (entry->d_type == DT_DIR) {
                remove_tree(below);
            } else {
                unlink(below);
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(name);
}

static int close_all(void **state)
{
    (void)state;
    file_source_free(source);
    store_free(store);
    loop_free(loop);
    remove_tree(root);
    return 0;
}

static void follow(void)
{
    struct error error;
    file_source_load(source);
    assert_true(file_source_watch(source, loop, on_change, NULL, &error));
    uint64_t until_ns = clock_now_ns() + 80000000; /* first look, and the one for new watches */
    while (clock_now_ns() < until_ns) {
        loop_turn(loop, 5);
    }
    calls = 0;
}

/* Turns until on_change was called `wanted` times, or for at most `limit_ms`. */
static uint64_t wait_calls(size_t wanted, uint64_t limit_ms)
{
    uint64_t start_ns = clock_now_ns();
    while (calls < wanted && clock_now_ns() - start_ns < limit_ms * 1000000) {
        loop_turn(loop, 5);
    }
    return (clock_now_ns() - start_ns) / 1000000;
}

static size_t count_findings(void)
{
    struct finding_list list;
    finding_list_init(&list);
    store_findings(store, &list);
    size_t count = list.array.count;
    finding_list_fini(&list);
    return count;
}

static void reads_folders_recursively(void **state)
{
    (void)state;
    mkdir(path("sub"), 0755);
    mkdir(path("sub/deep"), 0755);
    mkdir(path(".hidden"), 0755);
    write_map("a.yaml", "a", "1");
    write_map("sub/b.yml", "b", "2");
    write_text("sub/deep/c.json",
               "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
               "\"c\"},\"data\":{\"k\":\"3\"}}");
    write_map(".d.yaml", "d", "4");
    write_map(".hidden/e.yaml", "e", "5");
    write_map("f.txt", "f", "6");
    assert_int_equal(symlink(root, path("sub/loop")), 0);
    assert_int_equal(mkfifo(path("g.yaml"), 0644), 0);
    write_text("empty.yaml", "");
    write_text("empty.json", "");
    file_source_load(source);
    assert_string_equal(value_of("a"), "1");
    assert_string_equal(value_of("b"), "2");
    assert_string_equal(value_of("c"), "3");
    assert_int_equal(store_objects(store, KIND_CONFIG_MAP).count, 3);
    assert_int_equal(file_source_reads(source), 5);
    assert_int_equal(count_findings(), 2); /* the link upwards, and empty.json */
}

static void reads_again_only_what_changed(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    write_map("b.yaml", "b", "1");
    usleep(30000);
    file_source_load(source);
    uint64_t reads = file_source_reads(source);
    struct change_list none = file_source_load(source);
    assert_int_equal(none.count, 0);
    assert_int_equal(file_source_reads(source), reads);
    write_map("b.yaml", "b", "2");
    struct change_list one = file_source_load(source);
    assert_int_equal(one.count, 1);
    assert_int_equal(file_source_reads(source), reads + 1);
    unlink(path("a.yaml"));
    file_source_load(source);
    assert_string_equal(value_of("a"), "");
    assert_string_equal(value_of("b"), "2");
}

static void sees_two_writes_within_one_clock_tick(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char value[8];
        snprintf(value, sizeof(value), "%d", i);
        write_map("a.yaml", "a", value);
        file_source_load(source);
        assert_string_equal(value_of("a"), value);
    }
}

static void keeps_what_cannot_be_read(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    file_source_load(source);
    char other[80];
    snprintf(other, sizeof(other), "%s-moved", root);
    assert_int_equal(rename(root, other), 0);
    file_source_load(source);
    assert_string_equal(value_of("a"), "1");
    assert_int_equal(count_findings(), 1);
    file_source_load(source);
    assert_int_equal(count_findings(), 1);
    assert_int_equal(rename(other, root), 0);
    file_source_load(source);
    assert_string_equal(value_of("a"), "1");
    assert_int_equal(count_findings(), 0);
}

static void takes_files_by_precedence(void **state)
{
    (void)state;
    write_map("a.yaml", "x", "a");
    write_map("b.yaml", "x", "b");
    const char *paths[] = { path("b.yaml"), root, path("gone.yaml") };
    struct file_source *other = file_source_new(store, paths, 3);
    file_source_load(other);
    assert_string_equal(value_of("x"), "b");
    assert_int_equal(count_findings(), 2); /* the duplicate, and gone.yaml */
    file_source_free(other);
}

static void follows_changes(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    write_map("a.yaml", "a", "2");
    uint64_t took_ms = wait_calls(1, 1000);
    assert_string_equal(value_of("a"), "2");
    assert_in_range(took_ms, 15, 500);
    replace_map("a.yaml", "a", "3");
    wait_calls(2, 1000);
    assert_string_equal(value_of("a"), "3");
    mkdir(path("new"), 0755);
    write_map("new/b.yaml", "b", "1");
    wait_calls(3, 1000);
    assert_string_equal(value_of("b"), "1");
    write_map("new/b.yaml", "b", "2");
    wait_calls(4, 1000);
    assert_string_equal(value_of("b"), "2");
    unlink(path("a.yaml"));
    wait_calls(5, 1000);
    assert_string_equal(value_of("a"), "");
    assert_int_equal(changed, 1);
}

static void waits_for_quiet_but_not_for_ever(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    uint64_t start_ns = clock_now_ns();
    uint64_t first_ms = 0;
    for (int i = 0; i < 120 && first_ms == 0; i++) {
        char value[8];
        snprintf(value, sizeof(value), "%d", i);
        write_map("a.yaml", "a", value);
        loop_turn(loop, 5);
        usleep(4000);
        first_ms = calls > 0 ? (clock_now_ns() - start_ns) / 1000000 : 0;
    }
    assert_in_range(first_ms, 150, 600);
}

/* Truncated, an in-place write holds nothing; the quiet of a slow writer is no end. */
static void waits_for_a_writer_to_close(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    FILE *file = fopen(path("a.yaml"), "w");
    assert_non_null(file);
    wait_calls(1, 3 * FILES_SETTLE_MS);
    assert_string_equal(value_of("a"), "1");
    fputs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", file);
    fflush(file);
    wait_calls(1, 3 * FILES_SETTLE_MS / 2);
    assert_string_equal(value_of("a"), "1");
    fputs("data: {k: '2'}\n", file);
    fclose(file);
    wait_calls(1, 2000);
    assert_string_equal(value_of("a"), "2");
    assert_int_equal(calls, 1);
    /* One that never closes is read in the end. */
    file = fopen(path("a.yaml"), "w");
    assert_non_null(file);
    wait_calls(2, 2000);
    fclose(file);
    assert_int_equal(calls, 2);
    assert_string_equal(value_of("a"), "");
}

/* The look comes between truncating and writing, before the loop has heard of either. */
static void puts_nothing_a_writer_overtook(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    FILE *file = fopen(path("a.yaml"), "w");
    assert_non_null(file);
    file_source_rescan(source);
    wait_calls(1, 3 * FILES_SETTLE_MS / 2);
    assert_string_equal(value_of("a"), "1");
    fputs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: '2'}\n", file);
    fclose(file);
    wait_calls(1, 2000);
    assert_int_equal(calls, 1);
    assert_string_equal(value_of("a"), "2");
}

static void follows_a_mounted_config_map(void **state)
{
    (void)state;
    mkdir(path("..v1"), 0755);
    mkdir(path("..v2"), 0755);
    write_map("..v1/a.yaml", "a", "1");
    write_map("..v2/a.yaml", "a", "2");
    assert_int_equal(symlink("..v1", path("..data")), 0);
    assert_int_equal(symlink("..data/a.yaml", path("a.yaml")), 0);
    follow();
    assert_string_equal(value_of("a"), "1");
    assert_int_equal(symlink("..v2", path("..tmp")), 0);
    assert_int_equal(rename(path("..tmp"), path("..data")), 0);
    wait_calls(1, 1000);
    assert_string_equal(value_of("a"), "2");
}

static void looks_where_inotify_is_silent(void **state)
{
    (void)state;
    mkdir(path(".elsewhere"), 0755);
    write_map(".elsewhere/a.yaml", "a", "1");
    assert_int_equal(symlink(".elsewhere/a.yaml", path("a.yaml")), 0);
    follow();
    assert_string_equal(value_of("a"), "1");
    write_map(".elsewhere/a.yaml", "a", "2"); /* no event where the link stands */
    uint64_t took_ms = wait_calls(1, 4000);
    assert_string_equal(value_of("a"), "2");
    assert_in_range(took_ms, 0, 2200);
}

static void passes_over_other_files(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    uint64_t reads = file_source_reads(source);
    write_text("notes.txt", "x");
    write_text(".a.yaml.swp", "x");
    wait_calls(1, 100);
    assert_int_equal(calls, 0);
    assert_int_equal(file_source_reads(source), reads);
}

static void rescans_on_demand(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    file_source_rescan(source);
    assert_int_equal(calls, 1);
    write_map("a.yaml", "a", "2");
    file_source_rescan(source);
    assert_string_equal(value_of("a"), "2");
    assert_int_equal(calls, 2);
}

static void follows_no_further_when_told(void **state)
{
    (void)state;
    write_map("a.yaml", "a", "1");
    follow();
    write_map("a.yaml", "a", "2");
    file_source_unwatch(source);
    wait_calls(1, FILES_POLL_MS / 4);
    assert_int_equal(calls, 0);
    assert_string_equal(value_of("a"), "1");
    file_source_rescan(source);
    wait_calls(1, 1000);
    assert_string_equal(value_of("a"), "2");
}

static void write_routes(int file, int salt)
{
    char name[32];
    snprintf(name, sizeof(name), "r%03d.yaml", file);
    FILE *out = fopen(path(name), "w");
    for (int i = 0; i < 100; i++) {
        fprintf(out,
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n"
                "  name: r-%d-%d\n  namespace: shop\nspec:\n  parentRefs:\n  - name: edge\n"
                "  hostnames: [\"h%d.example\"]\n  rules:\n  - matches:\n"
                "    - path: {type: PathPrefix, "
                "value: /p%d}\n      headers: [{name: x-version, value: v%d}]\n"
                "    - path: {type: Exact, value: /e}\n    backendRefs:\n    - name: backend-%d\n"
                "      port: 8080\n      weight: 90\n    - name: backend-b\n      port: 8080\n"
                "      weight: 10\n    timeouts:\n      request: 10s\n---\n",
                file, i, i, i, i == 50 ? salt : 0, i % 10);
    }
    fclose(out);
}

static void changes_one_of_many_quickly(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        write_routes(i, 0);
    }
    usleep(30000);
    uint64_t start_ns = clock_now_ns();
    struct change_list all = file_source_load(source);
    uint64_t all_us = (clock_now_ns() - start_ns) / 1000;
    assert_int_equal(all.count, 4002);
    assert_int_equal(count_findings(), 0);
    uint64_t best_us = UINT64_MAX;
    for (int i = 1; i <= 5; i++) {
        write_routes(37, i);
        start_ns = clock_now_ns();
        struct change_list one = file_source_load(source);
        uint64_t one_us = (clock_now_ns() - start_ns) / 1000;
        assert_int_equal(one.count, 1);
        best_us = one_us < best_us ? one_us : best_us;
    }
    print_message("4,000 routes: %lu us; one route of them: %lu us\n", (unsigned long)all_us,
                  (unsigned long)best_us);
    assert_true(best_us < all_us / 8);
}

static void reads_much_in_slices(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        write_routes(i, 0);
    }
    usleep(30000);
    follow();
    for (int i = 0; i < 30; i++) {
        write_routes(i, 1);
    }
    uint64_t longest_ns = 0;
    uint64_t start_ns = clock_now_ns();
    while (calls == 0 && clock_now_ns() - start_ns < UINT64_C(5000000000)) {
        uint64_t turn_ns = clock_now_ns();
        loop_turn(loop, 0);
        turn_ns = clock_now_ns() - turn_ns;
        longest_ns = turn_ns > longest_ns ? turn_ns : longest_ns;
    }
    print_message("longest turn: %lu us\n", (unsigned long)(longest_ns / 1000));
    assert_int_equal(changed, 30);
    assert_in_range(longest_ns, 1, UINT64_C(500000000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_folders_recursively),
        TEST(reads_again_only_what_changed),
        TEST(sees_two_writes_within_one_clock_tick),
        TEST(keeps_what_cannot_be_read),
        TEST(takes_files_by_precedence),
        TEST(follows_changes),
        TEST(waits_for_quiet_but_not_for_ever),
        TEST(waits_for_a_writer_to_close),
        TEST(puts_nothing_a_writer_overtook),
        TEST(follows_a_mounted_config_map),
        TEST(looks_where_inotify_is_silent),
        TEST(passes_over_other_files),
        TEST(rescans_on_demand),
        TEST(follows_no_further_when_told),
        TEST(changes_one_of_many_quickly),
        TEST(reads_much_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
