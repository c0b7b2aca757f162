/* cachectl doctor: what would be hooked, and what not and why, before anything runs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/policy.h"
#include "tools/caching.h"
#include "tools/chosen_config.h"
#include "tools/doctor_purity.h"
#include "tools/environment.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/plans.h"
#include "tools/render.h"
#include "tools/storages.h"
#include "tools/tasks.h"
#include "tools/units.h"
#include "tools/wrong.h"

struct doctor {
    struct tc_parsed parsed;
    struct tc_words tasks, plugins;
    struct tc_session session;
    struct tc_program program;
    struct tc_libraries libraries;
    struct tc_plan_file plans;
    struct tc_findings findings;
    struct tc_switches switches;
    struct tc_storage_states storages;
    struct tc_far far;
    struct tc_known_misses wrong; /* records that verifications found wrong */
};

static bool is_on(const char *name)
{
    return tc_boolean(getenv(name)) == TC_TRUE;
}

static void read_switches(struct tc_switches *s)
{
    s->disable_caching = is_on("TASKCACHE_DISABLE_CACHING");
    s->default_no_cache = is_on("TASKCACHE_DEFAULT_NO_CACHE");
    s->default_persist_result = (uint8_t)tc_boolean(getenv("TASKCACHE_DEFAULT_PERSIST_RESULT"));
    s->refresh_cache = (uint8_t)tc_boolean(getenv("TASKCACHE_REFRESH_CACHE"));
    s->verify_given =
        getenv("TASKCACHE_VERIFY") && tc_share(getenv("TASKCACHE_VERIFY"), &s->verify) == 0;
}

static const char *const state_names[] = {"", "hookable", "refused", "pending"};

/* The plans' own tasks don't say it: an edit of the config elsewhere would make them stale. */
static const char *origin(const struct doctor *d, const struct tc_finding *f)
{
    uint32_t count;
    const struct tc_task *tasks = tc_session_tasks(&d->session, &count);
    return tc_flat_str(&d->session.config_flat, tasks[f->task_index].origin);
}

static void text_window(const struct tc_plan *plan)
{
    struct tc_text t = {0};
    for (uint32_t i = 0; i < plan->window_bytes && i < TC_MAX_WINDOW; i++) {
        tc_text_add(&t, "%s", i ? " " : "");
        tc_render_hex(&t, plan->window + i, 1);
    }
    if (t.bytes)
        printf("    window     %s (%u bytes at +%" PRIu64 ")\n", t.data, plan->window_bytes,
               plan->patch_vaddr - plan->entry_vaddr);
    tc_text_free(&t);
}

static void text_place(const struct doctor *d, const struct tc_finding *f)
{
    char size[TC_UNITS_BYTES];
    if (f->path)
        printf("    where      %s\n", f->path);
    if (!f->plan || !f->plan->entry_bytes)
        return;
    printf("    function   %s at 0x%" PRIx64 ", %s, %s\n",
           tc_flat_str(&d->plans.flat, f->plan->symbol), f->plan->entry_vaddr,
           tc_units_bytes(f->plan->entry_bytes, size), f->plan->exported ? "exported" : "static");
    text_window(f->plan);
}

static const char *const lock_keepers[TC_LOCK_MANAGERS] = {
    [TC_LOCKS_OF_SERVICE] = "the service",
    [TC_LOCKS_OF_PROCESS] = "the process alone",
    [TC_LOCKS_OF_PLUGIN] = "a plugin",
};

/* Of a plugin's, its name in the config. */
static const char *plugins_locks(const struct doctor *d, const struct tc_task *task)
{
    const struct tc_flat *f = &d->session.config_flat;
    const struct tc_span span =
        d->session.config ? d->session.config->lock_managers : (struct tc_span){0, 0};
    const struct tc_storage *list = tc_flat_at(f, span.off, span.count, sizeof *list);
    return list && task->far_locks && task->far_locks <= span.count
               ? tc_flat_str(f, list[task->far_locks - 1].name)
               : NULL;
}

static const char *const commit_modes[] = {
    [TC_COMMIT_NONE] = NULL,
    [TC_COMMIT_LAZY] = "lazy",
    [TC_COMMIT_EAGER] = "eager",
    [TC_COMMIT_OFF] = "off",
};

static void text_flow(const struct doctor *d, const struct tc_finding *f)
{
    const struct tc_storage_state *storage = tc_storages_at(&d->storages, f->task->storage);
    printf("    flow       each call is a run scope of its own");
    if (f->task->commit_mode != TC_COMMIT_NONE)
        printf(", and a transaction: %s", commit_modes[f->task->commit_mode]);
    printf(storage ? "; its tasks' results are kept in %s\n" : "\n", storage ? storage->name : "");
}

static void text_kept(const struct doctor *d, const struct tc_finding *f)
{
    const struct tc_storage_state *results = tc_storages_at(&d->storages, f->task->storage);
    const struct tc_storage_state *headers = tc_storages_at(&d->storages, f->task->key_storage);
    const struct tc_storage_state *bad = results && results->cause.reason   ? results
                                         : headers && headers->cause.reason ? headers
                                                                            : NULL;
    if (!results && !headers)
        return;
    printf("    kept       in %s", results ? results->name : "the cache");
    if (headers)
        printf(", headers in %s", headers->name);
    if (bad)
        printf(": %s can't be used: %scalls run uncached%s, no-storage", bad->name,
               tc_style(stdout, TC_WARN), tc_style(stdout, TC_PLAIN));
    putchar('\n');
}

static void text_caching(const struct doctor *d, const struct tc_finding *f)
{
    struct tc_active active = tc_activation(f->task, &d->switches);
    struct tc_text policy = {0};
    char text[TC_UNITS_BYTES];
    const char *parameter;
    enum tc_reason off = tc_caching_off(f, &active, &parameter);
    if (off) {
        const struct tc_reason_info *why = tc_reason_info(off);
        printf("    caching    %soff%s: %s: %s", tc_style(stdout, TC_WARN),
               tc_style(stdout, TC_PLAIN), why->id, why->sentence);
        printf(parameter ? " (parameter '%s')\n" : "\n", parameter ? parameter : "");
        if (*why->remedy)
            printf("      try: %s\n", why->remedy);
        return;
    }
    if (f->task->flags & TC_TASK_FLOW) {
        text_flow(d, f);
        return;
    }
    tc_policy_text(f, active.policy, &policy);
    printf("    caching    on: %s", policy.data ? policy.data : "");
    if (f->task->flags & TC_TASK_EXPIRES)
        printf(", for %s", tc_units_duration(f->task->expiration_ns, text));
    if (active.verify)
        printf(", %.4g %% of the hits verified", 100.0 * active.verify / TC_ALL_HITS);
    puts(active.refresh ? ", refreshed at every call" : "");
    const char *locks = plugins_locks(d, f->task);
    if (f->task->isolation == TC_SERIALIZABLE)
        printf("    isolation  SERIALIZABLE, by locks of %s, which are waited for %s\n",
               locks ? locks : lock_keepers[f->task->lock_manager],
               tc_units_duration(f->task->lock_timeout_ns, text));
    tc_text_free(&policy);
}

static void text_wrong(const struct doctor *d, const char *identity)
{
    const struct tc_known_miss *m = tc_wrong_of(&d->wrong, identity);
    struct tc_text t = {0};
    if (!m)
        return;
    tc_wrong_text(&t, m);
    printf("    verified   %sverify-differs%s: %s\n      try: %s\n", tc_style(stdout, TC_BAD),
           tc_style(stdout, TC_PLAIN), t.data, tc_reason_info(TC_R_VERIFY_DIFFERS)->remedy);
    tc_text_free(&t);
}

static void text_finding(struct doctor *d, const struct tc_finding *f)
{
    static const enum tc_style styles[] = {TC_PLAIN, TC_GOOD, TC_BAD, TC_WARN};
    TC_CLEANUP(tc_free_text) char *subject = tc_finding_subject(&d->session, &d->plans, f);
    const char *prototype = tc_flat_str(f->in, f->task->prototype);
    struct tc_cause cause;
    printf("  %s%s%s: %s%s%s", tc_style(stdout, TC_BOLD), subject, tc_style(stdout, TC_PLAIN),
           tc_style(stdout, styles[f->state]), state_names[f->state], tc_style(stdout, TC_PLAIN));
    if (f->state != TC_FINDING_HOOKABLE) {
        tc_finding_cause(&d->session, &d->plans, f, &cause);
        if (f->state == TC_FINDING_REFUSED)
            printf(": %s", tc_reason_info(f->reason)->id);
        printf(": %s", cause.sentence);
        if (f->state == TC_FINDING_REFUSED && *cause.remedy)
            printf("\n      try: %s", cause.remedy);
    }
    putchar('\n');
    text_place(d, f);
    if (*prototype)
        printf("    prototype  %s\n", prototype);
    if (f->plan && f->plan->note.off)
        printf("    note       %s\n", tc_flat_str(&d->plans.flat, f->plan->note));
    text_caching(d, f);
    if (!(f->task->flags & TC_TASK_FLOW))
        text_kept(d, f);
    if (f->plan && f->state == TC_FINDING_HOOKABLE)
        tc_purity_text(&d->plans.flat, f, &d->far);
    text_wrong(d, subject);
    printf("    from       %s\n", origin(d, f));
}

static void count_states(const struct doctor *d, unsigned ret[4])
{
    memset(ret, 0, 4 * sizeof *ret);
    for (size_t i = 0; i < d->findings.count; i++)
        ret[d->findings.finding[i].state]++;
}

/* A plugin's table is for many libraries: what isn't here is only counted. */
static bool is_offered_elsewhere(const struct tc_finding *f)
{
    return f->state == TC_FINDING_PENDING && tc_task_is_offered(f->task);
}

static void text_storages(const struct doctor *d)
{
    for (size_t i = 0; i < d->storages.count; i++) {
        const struct tc_storage_state *s = &d->storages.at[i];
        char size[TC_UNITS_BYTES];
        printf("  storage    %s%s%s", s->name, *s->path ? ": " : "", s->path);
        if (s->cause.reason)
            printf(": %scan't be used%s: %s: %s", tc_style(stdout, TC_BAD),
                   tc_style(stdout, TC_PLAIN), tc_reason_info(s->cause.reason)->id,
                   s->cause.sentence);
        if (s->max_size_bytes)
            printf(", at most %s", tc_units_bytes(s->max_size_bytes, size));
        puts(s->used ? "" : ", not used");
    }
}

static void print_text(struct doctor *d)
{
    unsigned count[4];
    const struct tc_cause *stop = &d->program.finding;
    printf("%s%s%s", tc_style(stdout, TC_BOLD), d->program.path, tc_style(stdout, TC_PLAIN));
    if (strcmp(d->program.path, d->program.binary) != 0)
        printf(", which %s runs", d->program.binary);
    printf("\n  config     %s\n  cache      %s\n", d->session.config_path, d->session.cache);
    text_storages(d);
    if (stop->reason) {
        printf("  %srefused%s: %s: %s\n", tc_style(stdout, TC_BAD), tc_style(stdout, TC_PLAIN),
               tc_reason_info(stop->reason)->id, stop->sentence);
        if (*stop->remedy)
            printf("      try: %s\n", stop->remedy);
        return;
    }
    for (size_t i = 0; i < d->findings.count; i++)
        if (!is_offered_elsewhere(&d->findings.finding[i]))
            text_finding(d, &d->findings.finding[i]);
    count_states(d, count);
    printf("%u hookable, %u refused, %u pending\n", count[TC_FINDING_HOOKABLE],
           count[TC_FINDING_REFUSED], count[TC_FINDING_PENDING]);
}

static void json_plan(const struct doctor *d, struct tc_json *j, const struct tc_plan *plan)
{
    struct tc_text window = {0};
    uint32_t bytes = plan->window_bytes < TC_MAX_WINDOW ? plan->window_bytes : TC_MAX_WINDOW;
    tc_json_text(j, "symbol", tc_flat_str(&d->plans.flat, plan->symbol));
    tc_json_u64(j, "address", plan->entry_vaddr);
    tc_json_u64(j, "bytes", plan->entry_bytes);
    tc_json_bool(j, "exported", plan->exported);
    tc_render_hex(&window, plan->window, bytes);
    tc_json_text(j, "window", window.data ? window.data : "");
    tc_text_free(&window);
}

static void json_cause(struct tc_json *j, const struct tc_cause *c)
{
    tc_json_text(j, "reason", tc_reason_info(c->reason)->id);
    tc_json_text(j, "sentence", c->sentence);
    tc_json_text(j, "remedy", *c->remedy ? c->remedy : NULL);
}

static void json_wrong(struct tc_json *j, const struct doctor *d, const char *identity)
{
    const struct tc_known_miss *m = tc_wrong_of(&d->wrong, identity);
    if (!m) {
        tc_json_null(j, "verify_differs");
        return;
    }
    tc_json_object(j, "verify_differs");
    tc_json_i64(j, "when_ns", m->when_ns);
    tc_json_text(j, "detail", m->text);
    tc_json_close_object(j);
}

static void json_isolation(struct tc_json *j, const struct doctor *d, const struct tc_task *task)
{
    static const char *const managers[TC_LOCK_MANAGERS] = {
        [TC_LOCKS_OF_SERVICE] = "service",
        [TC_LOCKS_OF_PROCESS] = "memory",
        [TC_LOCKS_OF_PLUGIN] = "plugin",
    };
    bool locks = task->isolation == TC_SERIALIZABLE;
    const char *named = plugins_locks(d, task);
    tc_json_text(j, "isolation", locks ? "SERIALIZABLE" : "READ_COMMITTED");
    tc_json_text(j, "lock_manager", locks ? named ? named : managers[task->lock_manager] : NULL);
    if (locks)
        tc_json_i64(j, "lock_timeout_ns", task->lock_timeout_ns);
    else
        tc_json_null(j, "lock_timeout_ns");
}

static void json_kept(struct tc_json *j, const struct doctor *d, const struct tc_task *task)
{
    const struct tc_storage_state *results = tc_storages_at(&d->storages, task->storage);
    const struct tc_storage_state *headers = tc_storages_at(&d->storages, task->key_storage);
    tc_json_text(j, "storage", results ? results->name : NULL);
    tc_json_text(j, "key_storage", headers ? headers->name : NULL);
    tc_json_text(j, "transaction", commit_modes[task->commit_mode]);
}

static void json_storages(struct tc_json *j, const struct doctor *d)
{
    tc_json_array(j, "storages");
    for (size_t i = 0; i < d->storages.count; i++) {
        const struct tc_storage_state *s = &d->storages.at[i];
        tc_json_object(j, NULL);
        tc_json_text(j, "name", s->name);
        tc_json_text(j, "path", *s->path ? s->path : NULL);
        tc_json_bool(j, "used", s->used);
        if (s->max_size_bytes)
            tc_json_u64(j, "max_size_bytes", s->max_size_bytes);
        else
            tc_json_null(j, "max_size_bytes");
        if (s->cause.reason)
            json_cause(j, &s->cause);
        else
            tc_json_null(j, "reason");
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}

static void json_finding(struct doctor *d, struct tc_json *j, const struct tc_finding *f)
{
    TC_CLEANUP(tc_free_text) char *subject = tc_finding_subject(&d->session, &d->plans, f);
    const char *prototype = tc_flat_str(f->in, f->task->prototype);
    struct tc_active active = tc_activation(f->task, &d->switches);
    struct tc_text policy = {0};
    struct tc_cause cause;
    const char *parameter;
    enum tc_reason off = tc_caching_off(f, &active, &parameter);
    tc_json_object(j, NULL);
    tc_json_text(j, "task", subject);
    tc_json_text(j, "state", state_names[f->state]);
    if (f->state != TC_FINDING_HOOKABLE) {
        tc_finding_cause(&d->session, &d->plans, f, &cause);
        json_cause(j, &cause);
        tc_json_text(j, "detail", f->detail && *f->detail ? f->detail : NULL);
    }
    tc_json_text(j, "object", f->path);
    if (f->plan)
        json_plan(d, j, f->plan);
    tc_json_text(j, "prototype", *prototype ? prototype : NULL);
    tc_json_text(j, "note",
                 f->plan && f->plan->note.off ? tc_flat_str(&d->plans.flat, f->plan->note) : NULL);
    tc_policy_text(f, active.policy, &policy);
    tc_json_bool(j, "caching", !off);
    tc_json_text(j, "caching_reason", off ? tc_reason_info(off)->id : NULL);
    tc_json_text(j, "caching_parameter", parameter);
    tc_json_text(j, "policy", off || !policy.data ? NULL : policy.data);
    tc_json_double(j, "verify", (double)active.verify / TC_ALL_HITS);
    tc_purity_json(j, &d->plans.flat, f, &d->far);
    json_wrong(j, d, subject);
    json_isolation(j, d, f->task);
    json_kept(j, d, f->task);
    tc_json_text(j, "origin", origin(d, f));
    tc_json_close_object(j);
    tc_text_free(&policy);
}

static void print_json(struct doctor *d)
{
    struct tc_json j;
    const struct tc_cause *stop = &d->program.finding;
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_json_text(&j, "program", d->program.path);
    tc_json_text(&j, "binary", d->program.binary);
    tc_json_text(&j, "config", d->session.config_path);
    tc_json_text(&j, "cache", d->session.cache);
    if (stop->reason) {
        tc_json_object(&j, "refused");
        json_cause(&j, stop);
        tc_json_close_object(&j);
    } else {
        tc_json_null(&j, "refused");
    }
    json_storages(&j, d);
    tc_json_array(&j, "tasks");
    for (size_t i = 0; !stop->reason && i < d->findings.count; i++)
        json_finding(d, &j, &d->findings.finding[i]);
    tc_json_close_array(&j);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

/* Nice to know, no more. */
static void read_wrong(struct doctor *d)
{
    struct tc_reader reader = {0};
    struct tc_cause cause = {.reason = 0};
    if (tc_reader_open(&reader, &d->session, &cause) == 0)
        (void)tc_wrong_read(&reader, &d->wrong);
    tc_reader_close(&reader);
}

static int diagnose(struct doctor *d)
{
    struct tc_cause cause;
    bool refused = d->program.finding.reason;
    d->far = (struct tc_far){.libraries = &d->libraries, .interpreter = d->program.elf.interpreter};
    if (!refused) {
        tc_gather_libraries(&d->session, &d->program, &d->libraries);
        if (tc_plan_ahead(&d->session, &d->libraries, &cause) < 0) {
            tc_problem(&cause);
            return TC_EXIT_USAGE;
        }
        (void)tc_plan_file_open(&d->session, &d->plans);
        tc_findings_collect(&d->session, &d->plans, &d->libraries, &d->findings);
    }
    read_wrong(d);
    tc_storages_look(&d->session, NULL, &d->storages);
    for (size_t i = 0; i < d->findings.count; i++)
        refused |= d->findings.finding[i].grave;
    for (size_t i = 0; i < d->storages.count; i++)
        refused |= d->storages.at[i].used && d->storages.at[i].cause.reason;
    if (d->parsed.common.json)
        print_json(d);
    else
        print_text(d);
    return refused ? TC_EXIT_FOUND : TC_EXIT_DONE;
}

static int examine(const struct tc_command *self, struct doctor *d)
{
    struct tc_cause cause;
    if (d->parsed.words.count != 1)
        return tc_usage(self, d->parsed.words.count ? "it takes one program" : "which program?");
    if (d->parsed.common.config && d->tasks.count + d->plugins.count)
        return tc_usage(self, "-c goes with neither --task nor --plugin");
    if (tc_program_find(d->parsed.words.word[0], &d->program, &cause) < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    int e = tc_chosen_config(&d->session, d->parsed.common.config, &d->tasks, &d->plugins,
                             TC_WANT_CONFIG | TC_WANT_SERVICE | TC_WANT_LOCAL, &cause);
    if (tc_session_print_problems(&d->session) > 0)
        return TC_EXIT_USAGE;
    if (e < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    tc_environment_check();
    read_switches(&d->switches);
    return diagnose(d);
}

static int run_doctor(const struct tc_command *self, int argc, char **argv)
{
    struct doctor d = {.session.client.fd = -1};
    const struct tc_option options[] = {{0, "task", TC_OPTION_LIST, &d.tasks},
                                        {0, "plugin", TC_OPTION_LIST, &d.plugins},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    int status;
    if (tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &d.parsed, &status))
        status = examine(self, &d);
    tc_far_free(&d.far);
    tc_misses_free(&d.wrong);
    tc_storages_free(&d.storages);
    tc_findings_free(&d.findings);
    tc_plan_file_close(&d.plans);
    tc_libraries_free(&d.libraries);
    tc_program_free(&d.program);
    tc_session_close(&d.session);
    tc_words_free(&d.tasks);
    tc_words_free(&d.plugins);
    tc_parsed_free(&d.parsed);
    return status;
}

const struct tc_command tc_command_doctor = {
    .name = "doctor",
    .summary = "Say which functions of a program can be cached, and which not and why",
    .usage = "doctor [-c FILE | --task 'PROTOTYPE@OBJECT'... --plugin NAME...] PROGRAM",
    .help = "      --task 'PROTO@OBJECT'  as `cachectl run` has it\n"
            "      --plugin NAME          as `cachectl run` has it\n",
    .run = run_doctor,
};
