/* The entry point: finds the command and runs it. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_run, &command_check, &command_status, &command_explain, &command_xds,
    &command_defaults,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *out, int code)
{
    fputs("weft: API gateway, sidecar and control plane in one binary\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  weft %-8s %-28s %s\n", commands[i]->name, commands[i]->arguments,
                commands[i]->about);
    }
    fputs("  weft version\n", out);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage(stderr, EXIT_USAGE);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            return commands[i]->run(argc - 2, argv + 2, argv);
        }
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        puts("weft " WEFT_VERSION);
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        return usage(stdout, EXIT_GOOD);
    }
    fprintf(stderr, "weft: no command `%s`\n\n", argv[1]);
    return usage(stderr, EXIT_USAGE);
}
