/* Commands of the binary: one file each, one line in main.c's table. */
#pragma once

/* Exit codes. */
enum { EXIT_GOOD = 0, EXIT_FINDINGS = 1, EXIT_USAGE = 2 };

struct command {
    const char *name;
    const char *arguments;
    const char *about; /* one line */
    /* argc and argv: what follows the command's name; program: argv of the whole process. */
    int (*run)(int argc, char **argv, char **program);
};

/* Takes "-o FORM" or "--output FORM" out of argv; "" where there is none. check.c */
const char *take_output_option(int *argc, char **argv);

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_status;
extern const struct command command_explain;
extern const struct command command_xds;
extern const struct command command_defaults;
