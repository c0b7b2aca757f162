#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/nearest.h"
#include "tools/base.h"
#include "tools/command.h"
#include "tools/output.h"

static const struct tc_command *const commands[] = {
    &tc_command_run,     &tc_command_doctor,  &tc_command_init,   &tc_command_ls,
    &tc_command_show,    &tc_command_why,     &tc_command_source, &tc_command_stats,
    &tc_command_rm,      &tc_command_gc,      &tc_command_verify, &tc_command_log,
    &tc_command_plugins, &tc_command_service,
};
#define COMMANDS (sizeof commands / sizeof *commands)

/* NULL if there is none. */
static const struct tc_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void overview(FILE *to)
{
    fputs("usage: cachectl COMMAND [OPTION...] [ARG...]\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %s%-8s%s %s\n", tc_style(to, TC_BOLD), commands[i]->name,
                tc_style(to, TC_PLAIN), commands[i]->summary);
    fputs("\n`cachectl help COMMAND` says more. Exit status: 0 done, 1 found something, 2 wrong\n"
          "usage, or it couldn't be done.\n",
          to);
}

static int no_command(const char *name)
{
    const char *names[COMMANDS + 1] = {NULL};
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *near = tc_nearest(name, strlen(name), names);
    fprintf(stderr, "cachectl: there is no command '%s'; ", name);
    fprintf(stderr, near ? "try: `cachectl %s`\n" : "see `cachectl help`\n", near ? near : "");
    return TC_EXIT_USAGE;
}

static int help(const char *name)
{
    if (!name) {
        overview(stdout);
        return TC_EXIT_DONE;
    }
    const struct tc_command *command = find_command(name);
    if (!command) {
        return no_command(name);
    }
    tc_command_help(command);
    return TC_EXIT_DONE;
}

/* All that we start looks for the cache below the directory in which *it* stands. */
static void make_cache_dir_absolute(void)
{
    const char *dir = getenv("TASKCACHE_DIR");
    if (!dir || !*dir || *dir == '/')
        return;
    TC_CLEANUP(tc_free_text) char *here = getcwd(NULL, 0);
    if (!here)
        return;
    TC_CLEANUP(tc_free_text) char *path = tc_format("%s/%s", here, dir);
    (void)setenv("TASKCACHE_DIR", path, 1);
}

/* A closed standard stream would be taken by the next file that we open, and our text go into it.
 * What holds the place is closed by exec: the program finds its streams as we did. */
static void hold_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

/* Output that could not be written is a failure, whatever the command thinks. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("cachectl: standard output");
    return tc_own_failure;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    hold_standard_streams();
    if (!name) {
        overview(stderr);
        return TC_EXIT_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("cachectl %s\n", TC_VERSION);
        return finish(TC_EXIT_DONE);
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return finish(help(argc > 2 ? argv[2] : NULL));
    const struct tc_command *command = find_command(name);
    if (!command) {
        return no_command(name);
    }
    make_cache_dir_absolute();
    return finish(command->run(command, argc - 1, argv + 1));
}
