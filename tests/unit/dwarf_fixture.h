/*
 * Plans of programs with debug information, compiled on the spot: what became of one task. Over
 * elf_fixture.h.
 */
#ifndef TC_TESTS_DWARF_FIXTURE_H
#define TC_TESTS_DWARF_FIXTURE_H

#include "cache/plan.h"
#include "cache/reason.h"
#include "tests/unit/elf_fixture.h"

/* A task as a config has it; NULL: not given. `params` is "x", "in [n]", ... NULL. */
struct dwarf_task {
    const char *symbol, *object, *prototype, *skip, *success, *excluded, *types;
    const char *params[16];
};

struct dwarf_outcome {
    uint32_t reason;
    char prototype[1024], detail[512], remedy[512], note[512], declaration[1024];
    uint32_t excluded, inlined;
    uint32_t dirs[TC_MAX_PARAMS]; /* of the plan's own task */
};

/* Resolves the task in the object FILE of the directory, twice: the second time the plan is copied.
 */
void dwarf_plan(const struct elf_dir *d, const char *file, const struct dwarf_task *t,
                struct dwarf_outcome *ret);

/* The same, and the reason is the expected one; `where` for the message. */
void dwarf_expect(const struct elf_dir *d, const char *file, const struct dwarf_task *t,
                  enum tc_reason reason, const char *where, struct dwarf_outcome *ret);

#endif
