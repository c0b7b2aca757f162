/* cachectl run: the program, with its slow functions replayed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/policy.h"
#include "tools/chosen_config.h"
#include "tools/environment.h"
#include "tools/options.h"
#include "tools/plans.h"
#include "tools/run_env.h"
#include "tools/run_stats.h"
#include "tools/service_stop.h"
#include "tools/storages.h"
#include "tools/supervise.h"

#define RUN_ID_MAX 255

extern char **environ;

struct run {
    struct tc_parsed parsed;
    struct tc_words tasks, plugins;
    struct tc_optional stats;
    const char *verify;
    bool foreground_service, cached;
    struct tc_program program;
    struct tc_session session;
    struct tc_libraries libraries;
    struct tc_run_stats counters;
    const char *run_id;
    FILE *stats_to;
};

static bool parse(struct run *run, const struct tc_command *self, int argc, char **argv,
                  int *ret_status)
{
    const struct tc_option options[] = {
        {0, "task", TC_OPTION_LIST, &run->tasks},
        {0, "plugin", TC_OPTION_LIST, &run->plugins},
        {0, "stats", TC_OPTION_OPTIONAL, &run->stats},
        {0, "verify", TC_OPTION_VALUE, &run->verify},
        {0, "foreground-service", TC_OPTION_FLAG, &run->foreground_service},
        {0, NULL, TC_OPTION_FLAG, NULL},
    };
    if (!tc_options_parse(self, options, TC_OPTIONS_FIRST, argc, argv, &run->parsed, ret_status))
        return false;
    *ret_status = tc_own_failure;
    if (run->parsed.words.count == 0) {
        tc_usage(self, "which program?");
        return false;
    }
    if (run->parsed.common.config && run->tasks.count + run->plugins.count) {
        tc_usage(self, "-c goes with neither --task nor --plugin: write them into the config");
        return false;
    }
    tc_words_add(&run->parsed.words, NULL);
    run->parsed.words.count--;
    return true;
}

/* The file for the numbers is opened before anything runs: a mistake shows at once. */
static bool open_stats(struct run *run)
{
    run->stats_to = stderr;
    if (run->stats.value)
        run->stats_to = fopen(run->stats.value, "we");
    if (!run->stats_to)
        fprintf(stderr, "cachectl: %s: %s\n", run->stats.value, strerror(errno));
    return run->stats_to;
}

/* What stands against caching is told in one line, and the program runs all the same; only what
 * somebody wrote wrong stops it. */
static bool go_on_uncached(struct run *run, const struct tc_cause *cause)
{
    bool fatal = tc_reason_info(cause->reason)->kind == TC_KIND_INPUT;
    run->cached = false;
    if (fatal)
        tc_problem(cause);
    else
        tc_warning(cause);
    return !fatal;
}

static bool open_config(struct run *run)
{
    struct tc_cause cause;
    struct tc_session *s = &run->session;
    unsigned want = TC_WANT_CONFIG | TC_WANT_LOCAL;
    int r =
        tc_chosen_config(s, run->parsed.common.config, &run->tasks, &run->plugins, want, &cause);
    if (tc_session_print_problems(s) > 0)
        return false;
    return r == 0 || go_on_uncached(run, &cause);
}

static bool examine_program(struct run *run, int *ret_status)
{
    struct tc_cause cause;
    int r = tc_program_find(run->parsed.words.word[0], &run->program, &cause);
    if (r < 0) {
        tc_problem(&cause);
        *ret_status = r == -EACCES ? TC_EXIT_NOT_EXECUTABLE : TC_EXIT_NOT_FOUND;
        return false;
    }
    run->cached = run->program.finding.reason == 0;
    return true;
}

static void warn_of_refusals(struct run *run)
{
    struct tc_plan_file plans = {0};
    struct tc_findings findings = {0};
    (void)tc_plan_file_open(&run->session, &plans);
    tc_findings_collect(&run->session, &plans, &run->libraries, &findings);
    for (size_t i = 0; i < findings.count; i++) {
        struct tc_cause cause;
        if (!findings.finding[i].grave)
            continue;
        tc_finding_cause(&run->session, &plans, &findings.finding[i], &cause);
        tc_warning(&cause);
    }
    tc_findings_free(&findings);
    tc_plan_file_close(&plans);
}

/* The service shall live until the program has greeted it, or has ended. */
static void attach(struct tc_session *session)
{
    struct tc_attach m = {.pid = (uint32_t)getpid(), .max_size_bytes = session->max_size_bytes};
    struct tc_reply reply;
    (void)tc_client_request(&session->client, &m.head, TC_MSG_ATTACH, sizeof m, 1000, &reply);
}

/* Each has a service of its own. Tasks of one that can't be used run uncached. */
static void prepare_storages(struct run *run)
{
    struct tc_storage_states states;
    tc_storages_look(&run->session, attach, &states);
    for (size_t i = 0; i < states.count; i++)
        if (states.at[i].cause.reason && states.at[i].cause.reason != TC_R_NOT_YET_KEY)
            tc_warning(&states.at[i].cause); /* the config's own warning has told the rest */
    tc_storages_free(&states);
}

/* False: it must not run. */
static bool prepare_cache(struct run *run)
{
    struct tc_cause cause;
    if (tc_session_ensure_service(&run->session, &cause) < 0)
        return go_on_uncached(run, &cause);
    tc_gather_libraries(&run->session, &run->program, &run->libraries);
    if (tc_plan_ahead(&run->session, &run->libraries, &cause) < 0)
        tc_warning(&cause);
    else
        warn_of_refusals(run);
    attach(&run->session);
    prepare_storages(run);
    return true;
}

/* The run's id goes to all that the program starts; the one that is set stays. */
static bool set_run_id(struct run *run)
{
    static char fresh[33];
    run->run_id = getenv("TASKCACHE_RUN_ID");
    if (run->run_id && *run->run_id && strlen(run->run_id) <= RUN_ID_MAX)
        return true;
    if (tc_random_run_id(fresh) < 0)
        return false;
    run->run_id = fresh;
    return setenv("TASKCACHE_RUN_ID", fresh, 1) == 0;
}

/* The share goes to all that the program starts. */
static bool set_verify(const struct run *run)
{
    uint32_t share;
    if (!run->verify)
        return true;
    if (tc_share(run->verify, &share) == 0)
        return setenv("TASKCACHE_VERIFY", run->verify, 1) == 0;
    fprintf(stderr, "cachectl: --verify: %s: '%s' is %s; %s\n", tc_reason_info(TC_R_BAD_SHARE)->id,
            run->verify, tc_reason_info(TC_R_BAD_SHARE)->sentence,
            tc_reason_info(TC_R_BAD_SHARE)->remedy);
    return false;
}

static bool set_preload(struct run *run)
{
    char library[TC_PATH_BYTES];
    TC_CLEANUP(tc_free_text) char *path = NULL;
    if (tc_find_library(library, sizeof library) == 0)
        path = tc_preloadable(library, run->session.runtime);
    if (!path)
        return false;
    const struct tc_library *asan = tc_libraries_named(&run->libraries, "libasan.so");
    const struct tc_library *tsan = tc_libraries_named(&run->libraries, "libtsan.so");
    const struct tc_library *first = asan ? asan : tsan;
    const char *const sanitizers[] = {first ? first->path : NULL, NULL};
    TC_CLEANUP(tc_free_text)
    char *value = tc_preload_value(getenv("LD_PRELOAD"), path, sanitizers);
    TC_CLEANUP(tc_free_text) char *options = tc_asan_options(getenv("ASAN_OPTIONS"));
    return setenv("LD_PRELOAD", value, 1) == 0 &&
           (!asan || setenv("ASAN_OPTIONS", options, 1) == 0);
}

static void set_environment(struct run *run)
{
    struct tc_cause cause;
    if (set_preload(run) && setenv("TASKCACHE_CONFIG", run->session.config_path, 1) == 0 &&
        setenv("TASKCACHE_DIR", run->session.cache, 1) == 0)
        return;
    (void)tc_cause_set(&cause, ENOENT, TC_R_SERVICE_FAILED, "libtaskcache.so",
                       "the library isn't where it belongs, or its path can't be preloaded");
    cause.remedy[0] = 0;
    (void)go_on_uncached(run, &cause);
}

/* Never returns. */
static void become_program(void *ctx)
{
    struct run *run = ctx;
    char **argv = (char **)(uintptr_t)run->parsed.words.word, pid[16];
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (run->cached)
        (void)setenv("TASKCACHE_ROOT_PID", pid, 1);
    (void)execv(run->program.path, argv);
    if (errno == ENOEXEC) { /* as execvp(): a script without "#!" */
        char **shell = tc_alloc((run->parsed.words.count + 2) * sizeof *shell);
        shell[0] = (char *)(uintptr_t) "sh";
        shell[1] = run->program.path;
        memcpy(shell + 2, argv + 1, run->parsed.words.count * sizeof *shell);
        (void)execv("/bin/sh", shell);
    }
    int error = errno;
    fprintf(stderr, "cachectl: %s: %s\n", run->program.path, strerror(error));
    _exit(error == ENOENT ? TC_EXIT_NOT_FOUND : TC_EXIT_NOT_EXECUTABLE);
}

/* Field 22 of /proc/PID/stat (proc(5)), 0: unknown. The name in field 2 may hold anything. */
static unsigned long long start_of(unsigned long long pid)
{
    TC_CLEANUP(tc_free_text) char *path = tc_format("/proc/%llu/stat", pid);
    char text[1024] = "";
    unsigned long long start = 0;
    FILE *f = fopen(path, "re");
    if (f && fgets(text, sizeof text, f)) {
        char *p = strrchr(text, ')');
        for (int field = 2; p && field < 22; field++)
            p = strchr(p + 1, ' ');
        start = p ? strtoull(p, NULL, 10) : 0;
    }
    if (f)
        (void)fclose(f);
    return start;
}

/* A service that is older than we are is somebody else's. */
static void end_own_service(struct tc_session *session)
{
    struct tc_message m;
    struct tc_reply reply = {0};
    struct tc_cause cause;
    if (tc_client_request(&session->client, &m, TC_MSG_PING, sizeof m, 2000, &reply) == 0 &&
        start_of(reply.value) >= start_of((unsigned long long)getpid()) &&
        tc_service_stop(session, &cause) < 0)
        tc_warning(&cause);
}

/* For batch systems: nothing of ours is left behind. */
static void end_services(struct run *run)
{
    tc_storages_running(&run->session, end_own_service);
    tc_client_close(&run->session.client); /* it may be another one's by now */
    if (tc_session_connect(&run->session) == 0)
        end_own_service(&run->session);
}

static int run_beside(struct run *run)
{
    struct tc_cause cause;
    int status = 0;
    if (run->cached && run->stats.given &&
        tc_run_stats_begin(&run->counters, run->session.runtime, run->run_id, &cause) < 0)
        tc_warning(&cause);
    int r = tc_supervise(become_program, run, &status);
    if (r < 0) {
        fprintf(stderr, "cachectl: fork: %s\n", strerror(-r));
        tc_run_stats_end(&run->counters);
        return tc_own_failure;
    }
    if (run->stats.given)
        tc_run_stats_report(&run->counters, &run->session,
                            run->stats.value || run->parsed.common.json, run->run_id,
                            run->stats_to);
    if (run->stats_to && run->stats_to != stderr && fclose(run->stats_to) != 0)
        perror("cachectl: --stats");
    tc_run_stats_end(&run->counters);
    if (run->foreground_service)
        end_services(run);
    return tc_end_as(status);
}

/* Comes back only if nothing was run, or when it has ended. */
static int start(struct run *run)
{
    int status;
    if (!examine_program(run, &status))
        return status;
    if (!open_stats(run) || !open_config(run) || !set_run_id(run) || !set_verify(run))
        return tc_own_failure;
    tc_environment_check();
    if (run->program.finding.reason)
        tc_warning(&run->program.finding);
    if (run->cached && !prepare_cache(run))
        return tc_own_failure;
    if (run->cached)
        set_environment(run);
    if (run->stats.given || run->foreground_service)
        return run_beside(run);
    become_program(run);
    return tc_own_failure;
}

static int run_program(const struct tc_command *self, int argc, char **argv)
{
    struct run run = {.session.client.fd = -1};
    int status;
    tc_own_failure = TC_EXIT_RUN_FAILED;
    if (parse(&run, self, argc, argv, &status))
        status = start(&run);
    tc_libraries_free(&run.libraries);
    tc_program_free(&run.program);
    tc_session_close(&run.session);
    tc_words_free(&run.tasks);
    tc_words_free(&run.plugins);
    tc_parsed_free(&run.parsed);
    return status;
}

const struct tc_command tc_command_run = {
    .name = "run",
    .summary = "Run a program and replay its slow functions",
    .usage = "run [-c FILE | --task 'PROTOTYPE@OBJECT'... --plugin NAME...] [OPTION...] [--] "
             "PROGRAM [ARG...]",
    .help = "      --task 'PROTO@OBJECT'  cache this function: INPUTS + TASK_SOURCE\n"
            "      --plugin NAME          cache the functions that a plugin names\n"
            "      --stats[=FILE]         afterwards say what was replayed; as JSON into FILE\n"
            "      --verify=SHARE         run so many of the hits too, 1% or 100%, and compare\n"
            "      --foreground-service   the service ends with the program (batch systems)\n",
    .run = run_program,
};
