/* `weft check`: all that is wrong with a folder, without opening a port. */
#include "cli/command.h"
#include "cli/folder.h"

#include <stdio.h>
#include <string.h>

/* Takes "-o FORM" or "--output FORM" out of the words; the rest stays. */
const char *take_output_option(int *argc, char **argv)
{
    const char *form = "";
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool is_output = strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0;
        if (is_output && i + 1 < *argc) {
            form = argv[++i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return form;
}

static void print_summary(const struct folder *folder, size_t errors)
{
    if (errors + folder->refused == 0) {
        fputs("weft check: nothing wrong\n", stderr);
    } else {
        fprintf(stderr, "weft check: %zu error%s\n", errors + folder->refused,
                errors + folder->refused == 1 ? "" : "s");
    }
}

static int run(int argc, char **argv, char **program)
{
    struct run_options options;
    struct error error;
    static struct folder folder;
    const char *form = take_output_option(&argc, argv);
    run_options_defaults(&options);
    if (!run_options_parse(&options, argc, argv, &error)) {
        fprintf(stderr, "weft check: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (options.path_count == 0) {
        fputs("weft check: name a folder or file with Gateway API resources\n", stderr);
        return EXIT_USAGE;
    }
    if (!run_options_paths_exist(&options, &error) || !folder_open(&folder, &options, &error)) {
        fprintf(stderr, "weft check: %s\n", error.text);
        return EXIT_USAGE;
    }
    struct buffer out;
    buffer_init(&out);
    control_plane_write_findings(&folder.control, strcmp(form, "json") == 0, &out);
    if (out.size > 0) {
        fwrite(out.bytes, 1, out.size, stdout);
    }
    fflush(stdout);
    buffer_fini(&out);
    size_t errors = control_plane_error_count(&folder.control);
    print_summary(&folder, errors);
    int code = errors + folder.refused > 0 ? EXIT_FINDINGS : EXIT_GOOD;
    folder_close(&folder);
    return code;
}

const struct command command_check = {
    .name = "check",
    .arguments = "DIR|FILE... [-o json]",
    .about = "finds everything wrong with a configuration",
    .run = run,
};
