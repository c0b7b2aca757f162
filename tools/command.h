/*
 * The sub-commands. Each lies in the file of its name; main.c has the table.
 */
#ifndef TC_TOOLS_COMMAND_H
#define TC_TOOLS_COMMAND_H

#include <stdbool.h>

struct tc_command {
    const char *name;
    const char *summary; /* one line, for `cachectl help` */
    const char *usage;   /* "run [OPTIONS] [--] PROGRAM [ARG...]" */
    const char *help;    /* the rest of `--help`: the options */
    int (*run)(const struct tc_command *self, int argc, char **argv);
    bool storage;       /* takes --storage */
    bool no_json;       /* takes no --json */
    const char *config; /* what the help says of -c; NULL: that its cache is meant */
};

extern const struct tc_command tc_command_run, tc_command_doctor, tc_command_init, tc_command_ls,
    tc_command_show, tc_command_stats, tc_command_rm, tc_command_gc, tc_command_log,
    tc_command_verify, tc_command_plugins, tc_command_service, tc_command_why, tc_command_source;

void tc_command_help(const struct tc_command *command);

#endif
