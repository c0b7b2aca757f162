/*
 * The forms of `cachectl source` that look at more than one function. They print; the exit status.
 */
#ifndef TC_TOOLS_SOURCE_FORMS_H
#define TC_TOOLS_SOURCE_FORMS_H

#include "tools/json.h"
#include "tools/options.h"
#include "tools/plans.h"
#include "tools/session.h"

/* What the command line says. */
struct tc_source_wish {
    const struct tc_command *self;
    const struct tc_words *words;
    struct tc_words tasks, plugins; /* --task, --plugin */
    const char *config;             /* -c */
    bool deep, diff, json;
};

/* OLD NEW FUNCTION...; without functions those of the config that is given, else all. */
int tc_source_diff(const struct tc_source_wish *w);

/* PROGRAM [TASK]: the tasks of the config. */
int tc_source_tasks(const struct tc_source_wish *w);

/* Is PROGRAM TASK meant, rather than FILE FUNCTION? Where no config was given, the one that would
 * be found must have such a task, and the file be a program. */
bool tc_source_means_tasks(const struct tc_source_wish *w);

/* source_depends.c: what a hookable task's `depends:` adds; a field of an object that is open. */
void tc_source_depends_text(const struct tc_session *s, const struct tc_finding *f);
void tc_source_depends_json(const struct tc_session *s, const struct tc_finding *f,
                            struct tc_json *j);

/* A config is asked for in so many words. */
bool tc_source_has_config(const struct tc_source_wish *w);

#endif
