/*
 * What the runtime knows in this process. Written by the constructor, before threads; afterwards by
 * the loader's notifier (which runs under the loader's lock) and, where a field says so,
 * atomically. Nothing is ever freed: calls may be under way.
 */
#ifndef TC_PRELOAD_STATE_H
#define TC_PRELOAD_STATE_H

#include <stdint.h>

#include "cache/hash.h"
#include "cache/places.h"
#include "cache/plan.h"
#include "cache/policy.h"
#include "cache/shared_page.h"
#include "cache/wire.h"
#include "preload/arch/arch.h"
#include "preload/flow.h"
#include "preload/sys.h"

#define TC_MAX_HOOKS    4096u
/* All inside: 38 of "=codec", 37 of "=flow", 28 of "=fpenv", 309 of "=deep", 40 of "=depends", 278
 * of "=run_id", 39, 37. */
#define TC_PREFIX_BYTES 816u
#define TC_PROBATION    16u /* calls of a task whose inputs are probed before they are read */

/* Where results may be kept, by index. 0 is the cache itself; the others are the storages that the
 * config names, in their order. */
#define TC_MAX_STORAGES (1u + TC_MAX_NAMED_STORAGES)
struct tc_named_storage {
    char cache_dir[TC_PATH_BYTES], cache_id[48];
    struct tc_shared_page *page; /* NULL: it can't be used */
    uint32_t greeted;            /* atomic */
    uint32_t place; /* 1 + the first storage of the same directory, 0: it is the cache's */
    const struct tc_storage *far; /* behind the cache, whose page and directory it has; NULL */
};

/* Of a task whose look-ups depend on nothing but a few words, see table.h. */
#define TC_SIMPLE_WORDS   8u
#define TC_SIMPLE_OUTPUTS 3u
struct tc_simple_word {
    uint64_t mask;     /* the bits that count */
    uint32_t on_stack; /* 1: `offset` is from the first stack argument on, 0: from the frame */
    uint32_t offset;
};
struct tc_simple {
    uint32_t stamp; /* never the same twice; 0: the task isn't simple */
    uint8_t words, outputs;
    uint8_t has_result, in_vector; /* in rax, or in xmm0 */
    struct tc_simple_word word[TC_SIMPLE_WORDS], output[TC_SIMPLE_OUTPUTS];
};

/* One patched function. Constant once it is live, but for the atomic fields. */
struct tc_hook {
    const struct tc_task *task;
    const struct tc_plan *plan;
    struct tc_flat flat; /* that the task is in: the config's, or the plans' */
    const struct tc_param *params;
    const uint8_t *sorted;
    const struct tc_insn *code;
    const uint32_t *olds;
    const struct tc_key_part *key_parts;
    const struct tc_task_function *functions;
    const struct tc_layout *layouts;
    const struct tc_member *members;
    const struct tc_plan_global *globals;
    uint32_t param_count, code_count, old_count;
    uint32_t index;
    const char *identity;
    uint32_t identity_bytes;
    uint64_t task_hash;
    uint64_t stub;     /* the near stub, to which the entry jumps */
    uint64_t original; /* atomic: the displaced instructions and the way back, or the function as it
                          is; 0: an IFUNC whose implementation isn't known yet */
    uint64_t chooser;  /* of an IFUNC: stands for its resolver */
    uint64_t base;     /* load bias of the object */
    uint8_t source[16]; /* the plan's, with the chosen implementation */
    struct tc_active active;
    struct tc_counters *counters;     /* in the shared page, or NULL */
    struct tc_counters *run_counters; /* in the run's page, or NULL */
    uint8_t task_digest[16];          /* content of the component "=task" */
    struct tc_deep_content deep;      /* of "=deep" */
    uint32_t deep_bytes;              /* of it, those that count */
    uint32_t has_deep;                /* 0: it can't be told what the task's calls bind to */
    struct tc_hash128 codecs;         /* of "=codec" */
    uint32_t has_codecs;
    /* Of key material, see prepare.h. */
    uint32_t prefix_bytes; /* 0: the policy gives no key */
    uint32_t fpenv_at;     /* offset of the content of "=fpenv", 0: there is none */
    uint32_t reserved;     /* for the parameters, as struct tc_material counts it */
    uint32_t key_param_count;
    uint8_t key_params[TC_MAX_PARAMS]; /* by name */
    uint8_t prefix[TC_PREFIX_BYTES];
    uint32_t probation;     /* atomic: calls left */
    int64_t misses_told_ns; /* atomic: see miss.c */
    uint64_t told;          /* atomic: bit per reason that was reported once */
    uint32_t gives_blocks;  /* an output of its calls is owned, see owned.h */
    uint32_t in_flow;       /* cached only inside a flow that says `persist_result: true` */
    uint32_t patched;       /* 0: refused late, or its object was unloaded */
    struct tc_simple simple;
};

struct tc_state {
    char *const *env;
    uint32_t uid;
    int pid;          /* of the process that this memory belongs to; a forked child sets its own */
    int live;         /* tasks may be hooked and looked up */
    int constructing; /* the constructor runs: waiting for the service is allowed */
    char runtime_dir[TC_PATH_BYTES], cache_dir[TC_PATH_BYTES], config_path[TC_PATH_BYTES];
    char cache_id[48];
    char program[64]; /* basename, for logs */
    char run_id[256];
    uint32_t run_id_bytes;
    /* FLOW_PARAMETERS are digested under the seed of the storage that a key is of: of the cache,
     * and of those where tasks with FLOW_PARAMETERS keep results. */
    uint64_t flow_seed[TC_FLOW_SEEDS];
    uint32_t flow_seed_count;
    uint32_t has_flow_parameters;               /* the process was given arguments */
    uint8_t flow_parameters[TC_FLOW_SEEDS][16]; /* their digests */
    uint32_t flows_not_yet;                     /* a flow uses what isn't built */
    uint32_t flows_transact;                    /* a flow is a transaction */
    uint32_t flows_matter;                      /* ... or says where results are kept */
    uint32_t flows_persist;                     /* a flow says `persist_result: true` */
    uint32_t flows_have_digests;                /* a task may ask for FLOW_PARAMETERS */
    struct tc_file_id config_id;
    struct tc_flat config_flat;
    const struct tc_config *config;
    const struct tc_task *tasks;
    uint32_t task_count;
    struct tc_switches switches;
    struct tc_flat plans_flat;
    const struct tc_plans *plans;
    uint32_t plans_in_use; /* hooks point into the mapping */
    struct tc_shared_page *page;
    struct tc_run_page *run_page;
    struct tc_named_storage storages[TC_MAX_NAMED_STORAGES];
    uint32_t has_far;        /* a far storage, or a plugin's lock manager, is in use */
    uint32_t *wiped_on_fork; /* 1 in the process that made it, 0 in forked children, 1 in vfork
                                children */
    uint32_t greeted;        /* atomic: the service was greeted by this process */
    struct tc_hook *hooks;
    uint32_t hook_count;
};

extern struct tc_state tc_state;

/* Set by our prctl() and syscall() (arch/) when the host enters seccomp: no system call after that.
 */
extern uint32_t tc_sandboxed __attribute__((visibility("hidden")));
static inline int tc_is_sandboxed(void)
{
    return __atomic_load_n(&tc_sandboxed, __ATOMIC_RELAXED) != 0;
}

static inline struct tc_shared_page *tc_page_of(uint32_t storage)
{
    return storage == 0 ? tc_state.page : tc_state.storages[storage - 1].page;
}
static inline const char *tc_cache_dir_of(uint32_t storage)
{
    return storage == 0 ? tc_state.cache_dir : tc_state.storages[storage - 1].cache_dir;
}
static inline const char *tc_cache_id_of(uint32_t storage)
{
    return storage == 0 ? tc_state.cache_id : tc_state.storages[storage - 1].cache_id;
}

/* Under which of tc_state.flow_seed FLOW_PARAMETERS of a key with this seed are digested. Beyond
 * their number it is the cache's: such keys are the cache's alone. */
static inline uint32_t tc_flow_seed_of(uint64_t seed)
{
    for (uint32_t i = 1; i < tc_state.flow_seed_count; i++)
        if (tc_state.flow_seed[i] == seed)
            return i;
    return 0;
}

/* Of keys of a task that says where its results are kept; 0: it can't be known. */
static inline uint64_t tc_seed_of(uint32_t storage)
{
    const struct tc_storage *far = storage != 0 ? tc_state.storages[storage - 1].far : NULL;
    const struct tc_shared_page *page = tc_page_of(storage);

    return far != NULL ? far->seed : page != NULL ? page->seed : 0;
}

static inline uint32_t tc_place_of(uint32_t storage)
{
    return storage == 0 ? 0 : tc_state.storages[storage - 1].place;
}

/* Where headers are kept of a task whose results are in `storage`; 0: with them. In one store a
 * header would take its result's place, as both have one key. */
static inline uint32_t tc_header_storage(const struct tc_hook *h, uint32_t storage)
{
    uint32_t headers = h->task->key_storage;

    return headers != 0 && tc_place_of(headers) != tc_place_of(storage) ? headers : 0;
}

/* Is the function's entry patched, rather than its symbol? */
static inline int tc_is_at_entry(const struct tc_plan *p)
{
    return p->hook == TC_HOOK_ENTRY || p->hook == TC_HOOK_PAD;
}

/* Strings of the config and of the plans. */
static inline const char *tc_config_str(struct tc_str s)
{
    return tc_flat_str(&tc_state.config_flat, s);
}

/* Strings of a hook's task. */
static inline const char *tc_task_str(const struct tc_hook *h, struct tc_str s)
{
    return tc_flat_str(&h->flat, s);
}

/* Counts in the shared page and in the run's. */
void tc_count(const struct tc_hook *h, size_t field_offset, uint64_t by);
#define TC_COUNT(h, field, by) tc_count((h), offsetof(struct tc_counters, field), (by))
void tc_count_bypass(struct tc_hook *h, uint32_t reason);

/* In a forked child, at its first call of a task: own pid, own connection, own contexts. 0: another
 * thread is at it, or this is the child of a vfork in a forked child: go by. */
int tc_settle_after_fork(void);

/* boot.c */
int tc_map_plans(void);

/* objects.c: hooks what has been loaded since the last call. */
void tc_scan_objects(void);
/* notify.c */
void tc_watch_loader(void);
/* hook.c: hooks the tasks of one object; `object` is its entry in the plans. */
void tc_hook_object(const struct tc_object *object, uint64_t base, const struct tc_flat *plans);
/* Forgets the hooks of an object that was unloaded. */
void tc_forget_object(uint64_t base);
/* Writes into text without making it writable and executable at once. */
int tc_write_text(int mem, uint64_t address, const void *bytes, size_t n);
/* Whole pages that were writable for a while are executable again. Where the kernel refuses that of
 * a file's pages (SELinux' execmod), memory of no file takes their place. */
int tc_code_again(void *pages, size_t bytes);
/* What it writes through, for as many writes as there are; negative: it manages without. */
int tc_open_text(void);
void tc_close_text(int mem);
/* A slab near `address`, readable and writable. */
int tc_slab_near(uint64_t low, uint64_t high, size_t bytes, struct tc_slab *ret);
int tc_slab_seal(struct tc_slab *slab);

#endif
