/* cachectl init: a config for functions of a program, written from its debug information. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/places.h"
#include "tools/options.h"
#include "tools/plans.h"
#include "tools/task_text.h"

extern char **environ;

struct init {
    struct tc_parsed parsed;
    const char *output; /* NULL: stdout */
    struct tc_session session;
    struct tc_program program;
    struct tc_libraries libraries;
    struct tc_plan_file plans;
    struct tc_findings findings;
    struct tc_text text;
    unsigned written, refused;
};

/* Of the config that was given: the cache. It is empty where there is none. */
static int find_cache(struct init *x, char *ret, size_t bytes, struct tc_cause *ret_cause)
{
    const char *config = x->parsed.common.config;
    if (!config && tc_cache_dir(environ, NULL, ret, bytes) < 0)
        return tc_cause_set(ret_cause, ENOENT, TC_R_NO_CACHE_DIR, "cache", NULL);
    if (!config)
        return 0;
    int r = tc_session_open(&x->session, config, TC_WANT_CONFIG, ret_cause);
    if (r == 0 && x->session.config->errors)
        return -EINVAL; /* told with the session's problems */
    if (r == 0)
        (void)snprintf(ret, bytes, "%s", x->session.cache);
    if (r == 0)
        tc_session_close(&x->session);
    return r;
}

/* The plans are asked for by a config, as always: one that names the functions and no more. */
static int open_session(struct init *x, struct tc_cause *ret_cause)
{
    char cache[TC_PATH_BYTES];
    struct tc_text config = {0};
    TC_CLEANUP(tc_free_text) char *path = NULL;
    int r = find_cache(x, cache, sizeof cache, ret_cause);
    if (r == 0 && x->parsed.common.config) {
        tc_text_add(&config, "cache:\n  path: ");
        tc_yaml_quote(&config, cache);
        tc_text_add(&config, "\n");
    }
    tc_text_add(&config, "tasks:\n");
    for (size_t i = 1; i < x->parsed.words.count; i++) {
        tc_text_add(&config, "  - symbol: ");
        tc_yaml_quote(&config, x->parsed.words.word[i]);
        tc_text_add(&config, "\n");
    }
    if (r == 0)
        r = tc_task_text_store(cache, &config, &path, ret_cause);
    if (r == 0)
        r = tc_session_open(&x->session, path, TC_WANT_CONFIG | TC_WANT_SERVICE, ret_cause);
    tc_text_free(&config);
    return r;
}

static const char *plan_text(const struct init *x, struct tc_str s)
{
    return tc_flat_str(&x->plans.flat, s);
}

/* SYMBOL@OBJECT, as it was asked for, or narrowed to where it was found. */
static char *symbol_of(const struct init *x, const struct tc_finding *f)
{
    const char *asked = x->parsed.words.word[f->task_index + 1];
    const char *identity = plan_text(x, f->plan->identity), *at = strrchr(identity, '@');
    return strchr(asked, '@') || !at ? tc_copy(asked) : tc_format("%s%s", asked, at);
}

static void add_params(struct init *x, const struct tc_plan *p)
{
    const struct tc_param_text *draft =
        tc_flat_at(&x->plans.flat, p->drafts.off, p->drafts.count, sizeof *draft);
    if (draft && p->drafts.count)
        tc_text_add(&x->text, "    params:\n");
    for (uint32_t i = 0; draft && i < p->drafts.count; i++) {
        const char *text = plan_text(x, draft[i].text);
        tc_text_add(&x->text, "      ");
        tc_text_add(&x->text, "%s: ", plan_text(x, draft[i].name));
        tc_yaml_quote(&x->text, text);
        tc_text_add(&x->text, "    # CHECK: %s\n",
                    strcmp(plan_text(x, draft[i].name), "return") == 0
                        ? "malloc: the caller frees it; static: it is the function's own"
                    : strstr(text, "malloc") ? "does it receive a block, and of how many elements?"
                    : strcmp(text, "ignore") == 0 ? "does the result depend on what is there?"
                    : strchr(text, '[')           ? "in, out or inout, and how many elements?"
                                                  : "in, out or inout?");
    }
}

static void add_task(struct init *x, const struct tc_finding *f)
{
    TC_CLEANUP(tc_free_text) char *symbol = symbol_of(x, f);
    const char *note = plan_text(x, f->plan->note);
    tc_text_add(&x->text, "  # %s\n", plan_text(x, f->plan->declaration));
    if (*note)
        tc_text_add(&x->text, "  # note: %s\n", note);
    tc_text_add(&x->text, "  - symbol: ");
    tc_yaml_quote(&x->text, symbol);
    tc_text_add(&x->text, "\n");
    add_params(x, f->plan);
    tc_text_add(&x->text, "    cache_policy: INPUTS + TASK_SOURCE\n");
    x->written++;
}

/* What is refused for want of what a person will add is what `init` is for. */
static void take_finding(struct init *x, const struct tc_finding *f)
{
    struct tc_cause cause;
    bool described = f->plan && f->plan->declaration.off;
    if (described && (f->state == TC_FINDING_HOOKABLE || f->reason == TC_R_EXTENT_MISSING ||
                      f->reason == TC_R_OWNERSHIP_MISSING)) {
        add_task(x, f);
        if (f->reason != TC_R_OWNERSHIP_MISSING || f->plan->drafts.count > 0)
            return;
    }
    if (f->state == TC_FINDING_REFUSED && !f->grave)
        return;
    tc_finding_cause(&x->session, &x->plans, f, &cause);
    if (f->state == TC_FINDING_PENDING)
        (void)tc_cause_set(&cause, 0, TC_R_NOT_FOUND, x->parsed.words.word[f->task_index + 1],
                           NULL);
    tc_problem(&cause);
    x->refused++;
}

static int write_output(const struct init *x)
{
    if (!x->output) {
        fputs(x->text.data, stdout);
        return 0;
    }
    TC_CLEANUP(tc_close_fd)
    int fd = open(x->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
    ssize_t n = fd < 0 ? -1 : write(fd, x->text.data, x->text.bytes);
    if (n == (ssize_t)x->text.bytes)
        return 0;
    struct tc_cause cause;
    int error = n < 0 ? errno : EIO;
    int r = tc_cause_set(&cause, error, TC_R_NOT_WRITTEN, x->output,
                         error == EEXIST ? "it is there already, and `init` changes nothing" : "%s",
                         strerror(error));
    tc_problem(&cause);
    return r;
}

static int describe(struct init *x)
{
    struct tc_cause cause;
    tc_gather_libraries(&x->session, &x->program, &x->libraries);
    if (tc_plan_ahead(&x->session, &x->libraries, &cause) < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    (void)tc_plan_file_open(&x->session, &x->plans);
    tc_findings_collect(&x->session, &x->plans, &x->libraries, &x->findings);
    tc_text_add(&x->text,
                "# From the debug information of %s, which gives names and types.\n"
                "# Directions and extents are proposals: look at every line that says CHECK.\n"
                "tasks:\n",
                tc_basename(x->program.binary));
    for (size_t i = 0; i < x->findings.count; i++)
        take_finding(x, &x->findings.finding[i]);
    if (x->written && write_output(x) < 0)
        return TC_EXIT_USAGE;
    return x->refused || !x->written ? TC_EXIT_FOUND : TC_EXIT_DONE;
}

static int examine(const struct tc_command *self, struct init *x)
{
    struct tc_cause cause;
    if (x->parsed.words.count < 2)
        return tc_usage(self, "which program, and which functions of it?");
    if (tc_program_find(x->parsed.words.word[0], &x->program, &cause) < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    if (x->program.finding.reason) {
        tc_problem(&x->program.finding);
        return TC_EXIT_FOUND;
    }
    int e = open_session(x, &cause);
    if (tc_session_print_problems(&x->session) > 0)
        return TC_EXIT_USAGE;
    if (e < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    return describe(x);
}

static int run_init(const struct tc_command *self, int argc, char **argv)
{
    struct init x = {.session.client.fd = -1};
    const struct tc_option options[] = {{'o', "output", TC_OPTION_VALUE, &x.output},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    int status;
    if (tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &x.parsed, &status))
        status = examine(self, &x);
    tc_text_free(&x.text);
    tc_findings_free(&x.findings);
    tc_plan_file_close(&x.plans);
    tc_libraries_free(&x.libraries);
    tc_program_free(&x.program);
    tc_session_close(&x.session);
    tc_parsed_free(&x.parsed);
    return status;
}

const struct tc_command tc_command_init = {
    .name = "init",
    .summary = "Write a config for functions of a program, from its debug information",
    .usage = "init [-c FILE] [-o FILE] PROGRAM SYMBOL...",
    .help =
        "  -o, --output FILE          write there, if there is no such file yet, not to stdout\n",
    .no_json = true,
    .run = run_init,
};
