/* cachectl source PROGRAM [TASK]: what entered the keys of the config's tasks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/catalog.h"
#include "tools/chosen_config.h"
#include "tools/plans.h"
#include "tools/source_forms.h"
#include "tools/source_tree.h"

struct shown {
    const struct tc_source_wish *wish;
    const char *task; /* a glob, NULL: all */
    struct tc_session session;
    struct tc_program program;
    struct tc_libraries libraries;
    struct tc_plan_file plans;
    struct tc_findings findings;
    struct tc_json json;
    size_t count, refused;
    bool failed;
};

bool tc_source_has_config(const struct tc_source_wish *w)
{
    return w->config || w->tasks.count + w->plugins.count;
}

/* As records have it, or as a person wrote it. */
static bool is_wanted(const char *glob, const char *identity, const struct tc_flat *in,
                      const struct tc_task *task)
{
    TC_CLEANUP(tc_free_text) char *label = tc_task_label(in, task);
    return !glob || tc_task_matches(glob, identity) || tc_task_matches(glob, label) ||
           tc_task_matches(glob, tc_flat_str(in, task->symbol));
}

static const char *const modes[] = {"TASK_SOURCE", "TASK_SOURCE_DEEP"};

static bool asks_for(const struct tc_task *task, bool deep)
{
    return task->policy & (deep ? TC_POLICY_SOURCE_DEEP : TC_POLICY_SOURCE);
}

static void show_tree(struct shown *s, struct tc_tree *t, bool deep, const char *stop)
{
    if (s->wish->json) {
        tc_json_object(&s->json, NULL);
        tc_json_text(&s->json, "member", modes[deep]);
        if (deep)
            tc_json_text(&s->json, "deep_stop", *stop ? stop : NULL);
        tc_tree_json(t, &s->json);
        tc_json_close_object(&s->json);
    } else {
        printf("  %s: %s\n", modes[deep], t->digest);
        if (deep && *stop)
            printf("    it ends at: %s\n", stop);
        tc_tree_print(t, 2);
    }
}

static void show_source(struct shown *s, const struct tc_finding *f, const char *subject)
{
    const char *stop = tc_flat_str(f->in, f->task->deep_stop);
    struct tc_source_child child;
    struct tc_tree t;
    tc_source_child_open(&child, f->path);
    if (asks_for(f->task, true)) {
        tc_source_child_libraries(&child, &s->libraries, s->program.elf.interpreter, f->path);
        tc_source_child_stop(&child, stop);
    }
    for (int deep = 0; deep < 2; deep++) {
        if (!asks_for(f->task, deep))
            continue;
        if (tc_tree_of_range(&child, subject, f->plan->entry_vaddr, f->plan->entry_bytes, deep, &t))
            show_tree(s, &t, deep, stop);
        else
            s->failed = true;
        tc_tree_free(&t);
    }
    tc_source_child_close(&child);
}

static void show_text(struct shown *s, const struct tc_finding *f, const char *subject)
{
    struct tc_cause cause;
    printf("%s%s%s", tc_style(stdout, TC_BOLD), subject, tc_style(stdout, TC_PLAIN));
    if (f->state == TC_FINDING_HOOKABLE) {
        printf(" in %s\n", f->path);
        if (f->plan->hook == TC_HOOK_IFUNC)
            puts("  its code is chosen when the program starts: all of the file enters, too");
        if (!asks_for(f->task, false) && !asks_for(f->task, true))
            puts("  its policy has no TASK_SOURCE: nothing of its code is in its keys");
        show_source(s, f, subject);
        tc_source_depends_text(&s->session, f);
        return;
    }
    tc_finding_cause(&s->session, &s->plans, f, &cause);
    printf(": %s: %s\n", tc_reason_info(cause.reason)->id, cause.sentence);
}

static void show_json(struct shown *s, const struct tc_finding *f, const char *subject)
{
    bool hookable = f->state == TC_FINDING_HOOKABLE;
    tc_json_object(&s->json, NULL);
    tc_json_text(&s->json, "task", subject);
    tc_json_text(&s->json, "object", f->path);
    tc_json_text(&s->json, "reason", hookable ? NULL : tc_reason_info(f->reason)->id);
    tc_json_bool(&s->json, "also_whole_file", hookable && f->plan->hook == TC_HOOK_IFUNC);
    tc_json_array(&s->json, "sources");
    if (hookable)
        show_source(s, f, subject);
    tc_json_close_array(&s->json);
    tc_source_depends_json(&s->session, f, &s->json);
    tc_json_close_object(&s->json);
}

/* A plugin's table is for many libraries: what isn't here is no news. Flows have no keys. */
static bool is_shown(const struct shown *s, const struct tc_finding *f, const char *subject)
{
    if (f->task->flags & TC_TASK_FLOW ||
        (f->state != TC_FINDING_HOOKABLE && tc_task_is_offered(f->task)))
        return false;
    return is_wanted(s->task, subject, f->in, f->task);
}

static void show_all(struct shown *s)
{
    if (s->wish->json) {
        tc_json_begin(&s->json, stdout);
        tc_json_object(&s->json, NULL);
        tc_json_text(&s->json, "program", s->program.path);
        tc_json_array(&s->json, "tasks");
    }
    for (size_t i = 0; i < s->findings.count; i++) {
        const struct tc_finding *f = &s->findings.finding[i];
        TC_CLEANUP(tc_free_text) char *subject = tc_finding_subject(&s->session, &s->plans, f);
        if (!is_shown(s, f, subject))
            continue;
        s->count++;
        s->refused += f->grave;
        if (s->wish->json)
            show_json(s, f, subject);
        else
            show_text(s, f, subject);
    }
    if (s->wish->json) {
        tc_json_close_array(&s->json);
        tc_json_close_object(&s->json);
        tc_json_end(&s->json);
    }
}

static int show(struct shown *s)
{
    struct tc_cause cause;
    tc_gather_libraries(&s->session, &s->program, &s->libraries);
    if (tc_plan_ahead(&s->session, &s->libraries, &cause) < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    (void)tc_plan_file_open(&s->session, &s->plans);
    tc_findings_collect(&s->session, &s->plans, &s->libraries, &s->findings);
    show_all(s);
    if (s->count == 0 && s->task) {
        (void)tc_cause_set(&cause, ENOENT, TC_R_NOT_FOUND, s->task,
                           "no task of the config is called so");
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    return s->failed ? TC_EXIT_USAGE : s->refused ? TC_EXIT_FOUND : TC_EXIT_DONE;
}

static int open_and_show(struct shown *s)
{
    const struct tc_source_wish *w = s->wish;
    struct tc_cause cause = {.reason = 0};
    if (tc_program_find(w->words->word[0], &s->program, &cause) < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    if (s->program.finding.reason) {
        tc_problem(&s->program.finding);
        return TC_EXIT_FOUND;
    }
    int e = tc_chosen_config(&s->session, w->config, &w->tasks, &w->plugins,
                             TC_WANT_CONFIG | TC_WANT_SERVICE | TC_WANT_LOCAL, &cause);
    if (tc_session_print_problems(&s->session) > 0)
        return TC_EXIT_USAGE;
    if (e < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    return show(s);
}

int tc_source_tasks(const struct tc_source_wish *w)
{
    struct shown s = {.wish = w, .session.client.fd = -1};
    if (w->words->count > 1)
        s.task = w->words->word[1];
    int status = open_and_show(&s);
    tc_findings_free(&s.findings);
    tc_plan_file_close(&s.plans);
    tc_libraries_free(&s.libraries);
    tc_program_free(&s.program);
    tc_session_close(&s.session);
    return status;
}

static bool has_task(const struct tc_source_wish *w)
{
    struct tc_session s = {.client.fd = -1};
    struct tc_cause cause;
    bool found = false;
    uint32_t count = 0;
    /* What is broken is none of a function's in some file. */
    if (tc_session_open(&s, NULL, TC_WANT_LOCAL, &cause) == 0 && s.config_path) {
        tc_session_close(&s);
        s = (struct tc_session){.client.fd = -1};
        if (tc_session_open(&s, NULL, TC_WANT_CONFIG | TC_WANT_SERVICE | TC_WANT_LOCAL, &cause) ==
            0) {
            const struct tc_task *tasks = tc_session_tasks(&s, &count);
            for (uint32_t i = 0; tasks && i < count && !found; i++)
                found = is_wanted(w->words->word[1], "", &s.config_flat, &tasks[i]);
        }
    }
    tc_session_close(&s);
    return found;
}

bool tc_source_means_tasks(const struct tc_source_wish *w)
{
    struct tc_program program = {0};
    struct tc_cause cause;
    if (tc_source_has_config(w))
        return true;
    bool is_program = tc_program_find(w->words->word[0], &program, &cause) == 0 &&
                      !program.finding.reason && *program.elf.interpreter;
    tc_program_free(&program);
    return is_program && has_task(w);
}
