/* `weft defaults`: every limit and time with its value. */
#include "cli/command.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

static int run(int argc, char **argv, char **program)
{
    struct run_options options;
    bool json = false;
    run_options_defaults(&options);
    for (int i = 0; i < argc; i++) {
        if ((strcmp(argv[i], "--output") == 0 || strcmp(argv[i], "-o") == 0) && i + 1 < argc) {
            json = strcmp(argv[++i], "json") == 0;
        } else {
            fprintf(stderr, "weft defaults: unknown word %s\n", argv[i]);
            return EXIT_USAGE;
        }
    }
    run_options_print(&options, json);
    return EXIT_GOOD;
}

const struct command command_defaults = {
    .name = "defaults",
    .arguments = "[-o json]",
    .about = "lists every limit and time with its default",
    .run = run,
};
