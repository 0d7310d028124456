/* Paths, hosts and queries, the first byte choosing the rules: normalizing is idempotent, what it
 * lets through holds nothing a path policy could be fooled with. */
#include "target.h"

#include "http/uri.h"

#include <stdlib.h>

static void check_normal(struct text path, const struct path_rules *rules)
{
    ensure(path.size > 0 && path.at[0] == '/');
    ensure(path.size == text_find(path, TEXT("/../")) && path.size == text_find(path, TEXT("/./")));
    ensure(!text_ends_with(path, TEXT("/..")) && !text_ends_with(path, TEXT("/.")));
    ensure(!rules->merge_slashes || path.size == text_find(path, TEXT("//")));
    if (rules->encoded_slash == PATH_REFUSE) {
        ensure(path.size == text_find(path, TEXT("%2F")) &&
               path.size == text_find(path, TEXT("%2f")));
    }
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.at[i];
        ensure(c > ' ' && c < 0x7f && c != '#' && c != '?');
    }
    ensure(path.size == text_find(path, TEXT("%2E")) && path.size == text_find(path, TEXT("%00")));
}

static void check_path(struct text path, const struct path_rules *rules)
{
    char *once = malloc(path.size + 1);
    char *twice = malloc(path.size + 1);
    ensure(once != NULL && twice != NULL);
    struct text normal;
    struct text again;
    enum path_result result = path_normalize(path, rules, once, &normal);
    ensure(path_result_name(result) != NULL);
    if (result == PATH_SAME || result == PATH_CHANGED) {
        ensure(normal.size <= path.size);
        if (!text_equal(normal, TEXT("*"))) {
            check_normal(normal, rules);
        }
        ensure(path_normalize(normal, rules, twice, &again) == PATH_SAME);
        ensure(text_equal(again, normal));
    }
    free(once);
    free(twice);
}

static void check_authority(struct text authority)
{
    struct text host;
    uint32_t port;
    if (!authority_parse(authority, &host, &port)) {
        return;
    }
    ensure(host.size > 0 && host.size <= authority.size && port <= 65535);
    char *folded = malloc(host.size);
    ensure(folded != NULL);
    struct text form = host_fold(host, folded);
    for (size_t i = 0; i < form.size; i++) {
        ensure(form.at[i] == text_lower_byte(form.at[i]) && form.at[i] > ' ');
    }
    free(folded);
}

static void check_query(struct text query)
{
    struct text rest = query;
    struct text name;
    struct text value;
    char *decoded = malloc(query.size + 1);
    ensure(decoded != NULL);
    size_t count = 0;
    while (query_next(&rest, &name, &value)) {
        struct text out;
        ensure(++count <= query.size + 1);
        if (query_decode(value, decoded, &out)) {
            ensure(out.size <= value.size);
        }
    }
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct path_rules rules = {
        .merge_slashes = data[0] & 1,
        .encoded_slash = data[0] & 2 ? PATH_REFUSE : PATH_KEEP,
        .backslash = data[0] & 4 ? PATH_REFUSE : PATH_KEEP,
        .double_slash = data[0] & 8 ? PATH_REFUSE : PATH_KEEP,
        .parameters = data[0] & 16 ? PATH_REFUSE : PATH_KEEP,
    };
    struct text input = input_text(data + 1, size - 1);
    check_path(input, &rules);
    check_authority(input);
    check_query(input);
    return 0;
}
