/*
 * Plans as cachectl sees them: asking the service for those that are missing, and what they say of
 * each task of the config. One thread.
 */
#ifndef TC_TOOLS_PLANS_H
#define TC_TOOLS_PLANS_H

#include "cache/plan.h"
#include "tools/libraries.h"
#include "tools/options.h"
#include "tools/program.h"
#include "tools/session.h"

struct tc_plan_file {
    struct tc_mapping map;
    struct tc_flat flat;
    bool open;
};
/* -ENOENT if nothing was resolved yet. */
int tc_plan_file_open(const struct tc_session *s, struct tc_plan_file *ret);
void tc_plan_file_close(struct tc_plan_file *p);

/* The program's libraries, and the files that the tasks' object globs name. */
void tc_gather_libraries(const struct tc_session *s, const struct tc_program *program,
                         struct tc_libraries *ret);

/* Has the service resolve those that the plans file lacks. After 1 s it says on stderr what it
 * waits for. */
int tc_plan_ahead(struct tc_session *s, const struct tc_libraries *l, struct tc_cause *ret_cause);

enum tc_finding_state {
    TC_FINDING_HOOKABLE = 1,
    TC_FINDING_REFUSED,
    TC_FINDING_PENDING,
};
struct tc_finding {
    enum tc_finding_state state;
    uint32_t task_index;
    const struct tc_task *task; /* as it is in this object */
    const struct tc_flat *in;   /* the file of the task's strings and spans */
    const struct tc_plan *plan; /* NULL: none */
    const char *path;           /* of the object, NULL */
    enum tc_reason reason;      /* of a refusal */
    const char *detail;
    bool listed; /* the program loads the object at start */
    bool grave;  /* a refusal to be told: in a listed object, or hookable nowhere */
};
struct tc_findings {
    struct tc_finding *finding;
    size_t count, allocated;
};
/* In the order of the config's tasks. The pointers are the plan file's and the session's. */
void tc_findings_collect(const struct tc_session *s, const struct tc_plan_file *plans,
                         const struct tc_libraries *l, struct tc_findings *ret);
void tc_findings_free(struct tc_findings *f);
/* Its identity in this object, else its label. Free it. */
char *tc_finding_subject(const struct tc_session *s, const struct tc_plan_file *plans,
                         const struct tc_finding *f);
void tc_finding_cause(const struct tc_session *s, const struct tc_plan_file *plans,
                      const struct tc_finding *f, struct tc_cause *ret);

#endif
