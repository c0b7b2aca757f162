/*
 * start ROUNDS NAME=LIBRARY:CONFIG:PROGRAM...: how long PROGRAM takes from its start to its end,
 * with LIBRARY preloaded and CONFIG named; the ways take turns. LIBRARY and CONFIG may be empty.
 */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "bench/bench.h"

extern char **environ;

enum {
    MAX_WAYS = 8,
    MAX_ENV = 256,
};

struct way {
    struct bench_series series;
    char *program;
    char preload[4096], config[4096];
    char *env[MAX_ENV + 3];
};

static void parse(struct way *w, char *text)
{
    char *name = strsep(&text, "="), *library = strsep(&text, ":"), *config = strsep(&text, ":");
    int n = 0;

    if (text == NULL)
        exit(2);
    w->series.name = name;
    w->program = text;
    for (; n < MAX_ENV && environ[n] != NULL; n++)
        w->env[n] = environ[n];
    if (*library != 0) {
        (void)snprintf(w->preload, sizeof w->preload, "LD_PRELOAD=%s", library);
        w->env[n++] = w->preload;
    }
    if (*config != 0) {
        (void)snprintf(w->config, sizeof w->config, "TASKCACHE_CONFIG=%s", config);
        w->env[n++] = w->config;
    }
}

static void run(struct way *w, int counts)
{
    char *argv[] = {w->program, NULL};
    double start = bench_now();
    int status;
    pid_t pid;

    if (posix_spawn(&pid, w->program, NULL, NULL, argv, w->env) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        (void)fprintf(stderr, "%s: %s failed\n", w->series.name, w->program);
        exit(1);
    }
    if (counts)
        bench_add(&w->series, start, 1);
}

int main(int argc, char **argv)
{
    static struct way ways[MAX_WAYS];
    unsigned rounds = argc > 2 ? bench_number(argv[1]) : 0;
    int count = argc - 2;

    if (count < 1 || count > MAX_WAYS)
        return 2;
    for (int i = 0; i < count; i++)
        parse(&ways[i], argv[i + 2]);
    for (unsigned round = 0; round < rounds + 10; round++)
        for (int i = 0; i < count; i++)
            run(&ways[i], round >= 10);
    for (int i = 0; i < count; i++)
        bench_print(&ways[i].series);
    return 0;
}
