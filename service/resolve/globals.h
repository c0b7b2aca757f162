/*
 * What a task names beside its function's parameters, `globals:` and `depends:`: functions of the
 * object, and where its globals are: symbols of its object, or what the loader binds there. The
 * address that counts is the one that the function's own code uses: of a variable that another
 * object may define in its place, or that was copied into the program, what is in the slot.
 *
 * Refusals are answers; fails with -ENOMEM only. Host code (the service's child processes).
 */
#ifndef TC_SERVICE_RESOLVE_GLOBALS_H
#define TC_SERVICE_RESOLVE_GLOBALS_H

#include "service/resolve/dwarf_find.h"
#include "service/resolve/elf_function.h"

struct tc_found_global {
    const char *name, *text, *path; /* as in struct tc_proto_global */
    int is_depend;                  /* under `depends:`, where no type is written */
    struct tc_plan_global place;
    uint64_t vaddr; /* of the object's own definition; 0: it has none */
    int writable;
};

struct tc_found_globals {
    struct tc_found_global at[TC_MAX_PARAMS];
    uint32_t count; /* globals, those under `depends:` behind the others */
    uint32_t files; /* behind them */
    struct {
        const char *text;
        struct tc_function function;
    } depends[TC_MAX_DEPENDS];
    uint32_t depend_count;
    enum tc_reason reason; /* 0: all of them can be used */
    char detail[TC_DETAIL_BYTES];
};

/* `object` is the file's name. */
int tc_globals_find(const struct tc_image *im, const char *object, const struct tc_flat *config,
                    const struct tc_task *task, struct tc_found_globals *ret);

/* Do they go with what the task says of them? Fills in reason and detail. */
void tc_globals_check(struct tc_found_globals *g, const struct tc_param *params, uint32_t count,
                      const struct tc_layout *layouts, const struct tc_insn *code);

/* What a config says of a global without its type, completed by debug information: "in [n]" ->
 * "in double [n]". `*ret` NULL: nothing is known of it. free() it. */
int tc_dwarf_global_text(const struct tc_dwarf *d, const char *name, uint64_t vaddr,
                         const char *config, char **ret);
/* Does the text say a type? */
int tc_global_has_type(const char *config);

#endif
