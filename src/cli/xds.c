/* `weft xds dump`: the xDS resources of a running process, or of a folder. */
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/folder.h"
#include "cli/xds_dump.h"

#include <stdio.h>
#include <string.h>

static int run(int argc, char **argv, char **program)
{
    struct run_options options;
    struct error error;
    struct buffer out;
    static struct folder folder;
    run_options_defaults(&options);
    if (argc < 1 || strcmp(argv[0], "dump") != 0) {
        fputs("weft xds dump [DIR...]\n", stderr);
        return EXIT_USAGE;
    }
    if (!run_options_parse(&options, argc - 1, argv + 1, &error)) {
        fprintf(stderr, "weft xds: %s\n", error.text);
        return EXIT_USAGE;
    }
    buffer_init(&out);
    bool good;
    if (options.path_count > 0) {
        good = folder_open(&folder, &options, &error);
        if (good) {
            xds_dump_write(folder.control.server, &out);
            folder_close(&folder);
        }
    } else {
        good = admin_client_get(options.admin_socket, &options.admin, TEXT("/xds"), &out, &error);
    }
    if (good) {
        fwrite(out.bytes, 1, out.size, stdout);
    } else {
        fprintf(stderr, "weft xds: %s\n", error.text);
    }
    buffer_fini(&out);
    return good ? EXIT_GOOD : EXIT_FINDINGS;
}

const struct command command_xds = {
    .name = "xds",
    .arguments = "dump [DIR...]",
    .about = "the xDS resources between control plane and proxy",
    .run = run,
};
