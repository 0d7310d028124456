/* `weft status`: conditions of all objects, of a running process or (with paths) of a folder. */
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/folder.h"

#include <stdio.h>
#include <string.h>

static bool of_process(const struct run_options *options, const char *form, struct buffer *out,
                       struct error *error)
{
    char target[64];
    int size = snprintf(target, sizeof(target), "/status?output=%s", form);
    return admin_client_get(options->admin_socket, &options->admin, text_of(target, (size_t)size),
                            out, error);
}

static bool of_folder(const struct run_options *options, const char *form, struct buffer *out,
                      struct error *error)
{
    static struct folder folder;
    if (!folder_open(&folder, options, error)) {
        return false;
    }
    control_plane_write_status(&folder.control, text_from_string(form), out);
    folder_close(&folder);
    return true;
}

static int run(int argc, char **argv, char **program)
{
    struct run_options options;
    struct error error;
    const char *form = take_output_option(&argc, argv);
    form = form[0] ? form : "table";
    bool known =
        strcmp(form, "table") == 0 || strcmp(form, "yaml") == 0 || strcmp(form, "json") == 0;
    run_options_defaults(&options);
    if (!known) {
        error_set(&error, "-o is json, yaml or table");
    }
    if (!known || !run_options_parse(&options, argc, argv, &error)) {
        fprintf(stderr, "weft status: %s\n", error.text);
        return EXIT_USAGE;
    }
    struct buffer out;
    buffer_init(&out);
    bool good = options.path_count > 0 ? of_folder(&options, form, &out, &error)
                                       : of_process(&options, form, &out, &error);
    if (good) {
        fwrite(out.bytes, 1, out.size, stdout);
    } else {
        fprintf(stderr, "weft status: %s\n", error.text);
    }
    buffer_fini(&out);
    return good ? EXIT_GOOD : EXIT_FINDINGS;
}

const struct command command_status = {
    .name = "status",
    .arguments = "[DIR...] [-o json|yaml]",
    .about = "conditions of Gateways, listeners and routes",
    .run = run,
};
