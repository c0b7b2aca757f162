/*
 * Prototypes out of debug information, with a config's `params:` on top: the text that a person
 * would have written, compiled into a task of the plan's own. And what debug information knows
 * against a prototype that a person did write.
 *
 * Refusals are answers, not errors: fails with -ENOMEM only. Host code (the service's child
 * processes); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_PROTO_H
#define TC_SERVICE_RESOLVE_DWARF_PROTO_H

#include "cache/flat_build.h"
#include "service/resolve/dwarf_places.h"
#include "service/resolve/globals.h"

/* What is asked: the task as the config has it, and the function that was found. */
struct tc_dwarf_question {
    const struct tc_image *im;
    const struct tc_dwarf *dwarf;
    const struct tc_function *function;
    const struct tc_flat *config;
    const struct tc_task *task;
    const char *symbol;
    const struct tc_found_globals *globals; /* NULL: it has none */
    const char *shown; /* what the prototype calls the function; NULL: by its symbol */
};

/* NULL and 0 where there is nothing to say. */
struct tc_dwarf_answer {
    enum tc_reason reason;
    int known; /* the function is described */
    char detail[TC_DETAIL_BYTES];
    char *remedy, *note, *declaration;
    struct {
        char *name, *text;
    } drafts[TC_MAX_PARAMS + 1];
    uint32_t draft_count;
    uint32_t inlined;
    struct tc_task own; /* complete if `reason` is 0; its tables are in the builder */
};

/* For a task without a prototype, or with one that names types which the config doesn't declare. */
int tc_dwarf_prototype(const struct tc_dwarf_question *q, struct tc_flat_builder *out,
                       struct tc_dwarf_answer *ret);

/* The same where there is no debug information: mostly a refusal. */
int tc_dwarf_without(const struct tc_dwarf_question *q, struct tc_flat_builder *out,
                     struct tc_dwarf_answer *ret);

/* For a local function with a written prototype: only a reason and detail, or none. */
void tc_dwarf_check_written(const struct tc_dwarf_question *q, struct tc_dwarf_answer *ret);

void tc_dwarf_answer_free(struct tc_dwarf_answer *a);

/* dwarf_accept.c: can it have a prototype at all? 0, or a reason with details. */
enum tc_reason tc_dwarf_accept(struct tc_dwarf_function *f, char detail[TC_DETAIL_BYTES]);
/* The same, only of what a written prototype can't mend. */
enum tc_reason tc_dwarf_convention(const struct tc_dwarf_function *f, char detail[TC_DETAIL_BYTES]);

/* dwarf_params.c: one parameter, as the debug information and the config say it together. */
struct tc_dwarf_text {
    char *name;         /* as in the prototype */
    char *declared;     /* without what the config says */
    char *written;      /* with it; NULL: something is missing, see `draft` */
    char *draft;        /* what the config could say; NULL: nothing is missing */
    const char *config; /* what it says; NULL */
    int unused;         /* by the compiled code */
};
int tc_dwarf_param_text(struct tc_dwarf_function *f, uint32_t index, const char *config, int unused,
                        struct tc_dwarf_text *ret);
void tc_dwarf_param_text_free(struct tc_dwarf_text *t);

#endif
