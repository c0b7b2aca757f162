/*
 * Plans: what the resolver found out about each task in each ELF object. The root of a flat file of
 * kind TC_FLAT_PLANS, `plans-<32 hex digits of the config's resolve_digest>.flat` in the cache
 * directory, replaced by rename. The target, in its constructor and in the loader's notifier, reads
 * it in place.
 *
 * "No task in this object" is a plan too: an object with no entries.
 */
#ifndef TC_CACHE_PLAN_H
#define TC_CACHE_PLAN_H

#include "cache/deep.h"
#include "cache/source_tree.h"
#include "cache/task.h"

#define TC_MAX_WINDOW   40u  /* longest displaced prologue, bytes */
#define TC_MAX_MOVED    160u /* longest relocated code, bytes, jump back included */
#define TC_MAX_BUILD_ID 32u
#define TC_PAD_BYTES    5u /* in front of the entry, of TC_HOOK_PAD */

/* A place in the moved code that depends on where it lies. `at` is the offset of a 32-bit field. */
enum tc_fixup_kind {
    TC_FIX_REL32 =
        1, /* field = (load base + target_vaddr) - (address of the moved code + at + 4 + tail) */
};
struct tc_fixup {
    uint16_t at;
    uint8_t kind; /* enum tc_fixup_kind */
    uint8_t tail; /* bytes of the instruction behind the field (an immediate) */
    uint32_t pad;
    uint64_t target_vaddr; /* in the object's own addresses */
};

/* A global of the task's, `loc_index` of its parameter. */
enum tc_global_kind {
    TC_GLOBAL_HERE = 0, /* at `vaddr` */
    TC_GLOBAL_IN_SLOT,  /* where the word at `vaddr` says, which the loader has bound */
};
struct tc_plan_global {
    uint64_t vaddr; /* in the object's own addresses */
    uint64_t bytes; /* how large it is; 0: not known */
    uint32_t kind;  /* enum tc_global_kind */
    uint32_t pad;
};

struct tc_plan {
    uint32_t task;          /* index into the config's tasks */
    uint32_t reason;        /* enum tc_reason: 0 hookable, else the refusal */
    struct tc_str identity; /* the task's identity in this object (semantics: `name:`, else
                               [file.c:]symbol@SONAME) */
    struct tc_str symbol;   /* the symbol's names here, the first is the one asked for; "a, b" if
                               several share the address */
    struct tc_str detail;   /* more about a refusal ("at +3", "2 candidates: a.c, b.c") */
    uint64_t entry_vaddr, entry_bytes; /* the function */
    uint64_t patch_vaddr;              /* where the 5-byte jump goes: behind an endbr64 */
    uint32_t window_bytes;             /* displaced whole instructions, >= 5 */
    uint32_t moved_bytes;
    uint8_t window[TC_MAX_WINDOW]; /* what memory must hold there */
    uint8_t moved[TC_MAX_MOVED];   /* the displaced instructions, relocated, and the jump back */
    struct tc_span fixups;         /* struct tc_fixup */
    uint8_t source[16];            /* TASK_SOURCE */
    uint32_t source_algorithm;     /* enum tc_source_algorithm */
    uint8_t exported; /* callable from outside: follows the psABI, may get hidden arguments */
    uint8_t pad[3];
    uint32_t inlined_copies; /* of the function, as far as debug information counts them: calls that
                                nobody sees */
    struct tc_str remedy;    /* of this refusal, instead of the reason's; {0,0}: that one */
    struct tc_str note;      /* what else to know about a hookable function; {0,0} */
    struct tc_str declaration; /* the function as debug information declares it; {0,0} */
    struct tc_span drafts;     /* struct tc_param_text: proposals for parameters about which debug
                                  information doesn't say enough */
    struct tc_span own;     /* struct tc_task, one: the task as it is in this object, instead of the
                               config's; its spans and strings are relative to the plans file */
    uint8_t deep[16];       /* TASK_SOURCE_DEEP, as far as it is inside of the object */
    uint32_t has_deep;      /* a task's policy asks for it */
    uint32_t deep_indirect; /* calls that it can't follow */
    uint32_t deep_whole; /* the closure is too large: the object as a whole, with all it imports */
    uint32_t deep_pad;
    struct tc_span imports;  /* struct tc_deep_import: what its closure binds to outside, the C
                                library and the like left out */
    struct tc_span purity;   /* struct tc_purity: what the source refers to that may matter */
    uint32_t indirect_calls; /* that weren't followed for it */
    uint32_t pad3;
    struct tc_span globals; /* struct tc_plan_global */
    uint8_t depends[16];    /* digest of the functions under `depends:` */
    uint32_t has_depends;   /* there are some */
    uint32_t pad4;
    uint32_t hook;          /* enum tc_hook_kind */
    struct tc_span dynamic; /* uint32_t: the function's names, as indexes into the object's dynamic
                               symbol table; with TC_HOOK_GOT and _IFUNC */
};

/* What a function refers to that makes it depend on, or change, more than its arguments. */
struct tc_purity {
    struct tc_str what; /* an import, or a global */
    struct tc_str path; /* "f > helper": who refers to it */
    uint32_t reason;    /* enum tc_reason */
    uint32_t pad;
};
#define TC_MAX_PURITY 32u

/* How calls are taken. */
enum tc_hook_kind {
    TC_HOOK_ENTRY = 0, /* a jump at the entry: all calls */
    TC_HOOK_GOT,       /* the symbol leads to the stub, and so do the slots that were bound to the
                          function: `window_bytes` and `moved_bytes` are 0 */
    TC_HOOK_IFUNC,     /* the same, of a function whose implementation a resolver chooses: the
                          `entry` is the resolver's */
    TC_HOOK_PAD,       /* a short jump at the entry, to a jump in the padding in front of it
                          (-fpatchable-function-entry): the window may be as short as 2 bytes */
};

enum tc_source_algorithm {
    TC_SOURCE_INTERIM = 1,  /* bytes of all pieces and the digest of the whole file: no more made */
    TC_SOURCE_RESOLVED = 4, /* docs/source.md; 2 were rules that missed some changes */
};

struct tc_object {
    struct tc_file_id id;
    struct tc_str path, soname;
    uint64_t
        header_vaddr; /* where the ELF header is mapped: the first PT_LOAD's p_vaddr - p_offset */
    uint32_t build_id_bytes;
    uint32_t reason; /* enum tc_reason: the whole object is refused (text-relocations,
                        foreign-class, ...), 0 otherwise */
    uint8_t build_id[TC_MAX_BUILD_ID];
    struct tc_span plans; /* struct tc_plan */
    /* struct tc_dep: where debug files were looked for, and what was there (all 0: nothing). When
     * that has changed, the plans may be poorer than they could be. */
    struct tc_span debug_files;
    struct tc_span functions; /* struct tc_code_source, by vaddr: those that were asked for */
};
#define TC_MAX_DEBUG_FILES 8u

/* What a function pointer into the object stands for. */
struct tc_code_source {
    uint64_t vaddr;
    uint8_t digest[16]; /* the object's name, the function's, and its TASK_SOURCE */
    uint32_t state;     /* enum tc_code_state */
    uint32_t pad;
};
enum tc_code_state {
    TC_CODE_UNKNOWN = 0, /* it can't be told */
    TC_CODE_KNOWN,
    TC_CODE_WANTED, /* while the file is made */
};
#define TC_MAX_CODE_SOURCES 4096u /* of an object */

struct tc_plans {
    uint8_t resolve_digest[16];
    struct tc_span objects; /* struct tc_object, sorted by (ino, dev) */
    struct tc_span
        trees; /* struct tc_source_tree, the oldest first: of objects that are gone, too */
};

/* The object's entry, NULL if it isn't there yet. Freestanding. */
const struct tc_object *tc_plans_find(const struct tc_flat *f, const struct tc_file_id *id);

/* The source of the function at `vaddr`; NULL: nobody asked for it yet. Freestanding. */
const struct tc_code_source *tc_plans_code(const struct tc_flat *f, const struct tc_object *o,
                                           uint64_t vaddr);

/* The task of a plan: the plan's own, else the config's; `*ret_in` is the file that its strings and
 * spans are in. Both files were verified. Freestanding. */
const struct tc_task *tc_plan_task(const struct tc_plan *plan, const struct tc_flat *plans,
                                   const struct tc_task *tasks, const struct tc_flat *config,
                                   const struct tc_flat **ret_in);

/* Verifies spans and sizes, as tc_config_verify(). */
int tc_plans_verify(const struct tc_flat *f, uint32_t task_count);

#endif
