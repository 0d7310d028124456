/* `weft explain 'GET http://host/path' [-H 'Name: value'] [DIR...]`. */
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/folder.h"

#include <stdio.h>
#include <string.h>

struct words {
    struct text request;
    struct buffer headers; /* lines */
    const char *rest[64];
    int rest_count;
};

static bool take_words(struct words *words, int argc, char **argv, struct error *error)
{
    for (int i = 0; i < argc; i++) {
        bool is_header = strcmp(argv[i], "-H") == 0 || strcmp(argv[i], "--header") == 0;
        if (is_header && i + 1 == argc) {
            return error_set(error, "%s needs a value: 'Name: value'", argv[i]);
        }
        if (is_header) {
            buffer_append(&words->headers, text_from_string(argv[++i]));
            buffer_append(&words->headers, TEXT("\r\n"));
        } else if (words->request.size == 0 && argv[i][0] != '-') {
            words->request = text_from_string(argv[i]);
        } else if (words->rest_count < 64) {
            words->rest[words->rest_count++] = argv[i];
        }
    }
    return words->request.size > 0 || error_set(error, "say which request: 'GET http://host/path'");
}

static bool of_folder(const struct run_options *options, const struct words *words, bool json,
                      struct buffer *out, struct error *error)
{
    static struct folder folder;
    if (!folder_open(&folder, options, error)) {
        return false;
    }
    struct explain_subject subject = { .plan = folder.plan,
                                       .find_origin = control_plane_find_origin,
                                       .owner = &folder.control };
    struct explain_request request = { .url = words->request,
                                       .headers = buffer_text(&words->headers) };
    size_t space = text_find_byte(words->request, ' ');
    if (space < words->request.size) {
        request.method = text_first(words->request, space);
        request.url = text_trim(text_from(words->request, space + 1));
    }
    bool good =
        explain_write(&subject, &request, json ? EXPLAIN_JSON : EXPLAIN_TEXT, out, error);
    folder_close(&folder);
    return good;
}

static bool of_process(const struct run_options *options, const struct words *words, bool json,
                       struct buffer *out, struct error *error)
{
    struct buffer target;
    buffer_init(&target);
    buffer_format(&target, "/explain?output=%s&request=", json ? "json" : "text");
    admin_client_encode(words->request, &target);
    struct text rest = buffer_text(&words->headers);
    struct text line;
    while (rest.size > 0 && text_split(&rest, '\n', &line)) {
        buffer_append(&target, TEXT("&header="));
        admin_client_encode(text_first(line, line.size - 1), &target);
    }
    bool good = admin_client_get(options->admin_socket, &options->admin, buffer_text(&target), out,
                                 error);
    buffer_fini(&target);
    return good;
}

static int run(int argc, char **argv, char **program)
{
    struct run_options options;
    struct words words = { 0 };
    struct error error;
    struct buffer out;
    const char *form = take_output_option(&argc, argv);
    buffer_init(&out);
    run_options_defaults(&options);
    if (!take_words(&words, argc, argv, &error) ||
        !run_options_parse(&options, words.rest_count, (char **)words.rest, &error)) {
        fprintf(stderr, "weft explain: %s\n", error.text);
        return EXIT_USAGE;
    }
    bool json = strcmp(form, "json") == 0;
    bool good = options.path_count > 0 ? of_folder(&options, &words, json, &out, &error)
                                       : of_process(&options, &words, json, &out, &error);
    if (good) {
        fwrite(out.bytes, 1, out.size, stdout);
    } else {
        fprintf(stderr, "weft explain: %s\n", error.text);
    }
    buffer_fini(&out);
    buffer_fini(&words.headers);
    return good ? EXIT_GOOD : EXIT_FINDINGS;
}

const struct command command_explain = {
    .name = "explain",
    .arguments = "'GET http://host/path' [DIR...]",
    .about = "which route, backend and endpoint a request meets, and why",
    .run = run,
};
