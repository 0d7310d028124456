/* Paths as the most lenient server would read them: whatever path_normalize lets through holds no
 * dot segment, not even for a server that unescapes slashes, cuts parameters off and merges. The
 * first byte chooses the rules. */
#include "target.h"

#include "http/uri.h"

#include <stdlib.h>

/* The path as the most lenient server reads it: slashes and backslashes also escaped, parameters
 * cut, empty segments merged. Returns whether a dot segment shows up. */
static bool lenient_sees_dots(struct text path)
{
    size_t part = 0;
    bool parameter = false, dots = true;
    for (size_t i = 0; i <= path.size; i++) {
        size_t width = 1;
        char byte = i < path.size ? path.at[i] : '/';
        if (byte == '%' && (text_starts_with(text_from(path, i), TEXT("%2F")) ||
                            text_starts_with(text_from(path, i), TEXT("%5C")))) {
            byte = '/';
            width = 3;
        } else if (byte == '%' && text_starts_with(text_from(path, i), TEXT("%3B"))) {
            byte = ';';
            width = 3;
        }
        if (byte == '/' || byte == '\\') {
            if (dots && (part == 1 || part == 2)) {
                return true;
            }
            part = 0;
            dots = true;
            parameter = false;
        } else if (byte == ';') {
            parameter = true;
        } else if (!parameter) {
            dots = dots && byte == '.';
            part++;
        }
        i += width - 1;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct path_rules rules = { .merge_slashes = data[0] & 1,
                                .encoded_slash = data[0] & 2 ? PATH_REFUSE : PATH_KEEP,
                                .backslash = data[0] & 4 ? PATH_REFUSE : PATH_KEEP,
                                .double_slash = data[0] & 8 ? PATH_REFUSE : PATH_KEEP,
                                .parameters = data[0] & 16 ? PATH_REFUSE : PATH_KEEP };
    struct text path = input_text(data + 1, size - 1), normal;
    char *into = malloc(size);
    ensure(into != NULL);
    enum path_result result = path_normalize(path, &rules, into, &normal);
    if (result == PATH_SAME || result == PATH_CHANGED) {
        ensure((result == PATH_SAME) == (normal.at == path.at));
        ensure(!lenient_sees_dots(normal));
        bool slashes = text_find(normal, TEXT("//")) < normal.size;
        ensure(!slashes || (!rules.merge_slashes && rules.double_slash == PATH_KEEP));
        ensure(rules.parameters == PATH_KEEP || text_find_byte(normal, ';') == normal.size);
        ensure(rules.backslash == PATH_KEEP || text_find_byte(normal, '\\') == normal.size);
    }
    free(into);
    return 0;
}
