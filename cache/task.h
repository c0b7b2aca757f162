/*
 * A compiled config: what the service makes of a YAML file and its plugins, and what the target
 * reads. The root of a flat file of kind TC_FLAT_CONFIG. All structs are fixed little-endian
 * layouts of naturally aligned fields; any change of them raises TC_FLAT_VERSION.
 *
 * The file is `config-<32 hex digits>.flat` in the runtime directory, named by tc_config_name() of
 * the config's path and stat identity; `deps` lists what else it was made from (plugins): one that
 * changed makes it stale.
 */
#ifndef TC_CACHE_TASK_H
#define TC_CACHE_TASK_H

#include "cache/expr.h"
#include "cache/flat.h"

#define TC_MAX_PARAMS      32u
#define TC_MAX_TASKS       1000u
#define TC_MAX_STACK_SLOTS 512u /* declared arguments on the stack, in eightbytes */

/* Which file, exactly: a file that was replaced or written to is another one. Times in ns. */
struct tc_file_id {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
};

/* What a call does with a parameter. */
enum tc_dir {
    TC_IN = 1,
    TC_OUT,
    TC_INOUT,
    TC_IGNORE, /* neither key nor output */
    TC_HIDDEN, /* Fortran's lengths: likewise, and C callers may leave it out */
};

/* What the parameter is. */
enum tc_shape_kind {
    TC_SHAPE_SCALAR = 1, /* a value in a register or stack slot */
    TC_SHAPE_ARRAY,      /* points at `pieces` runs of `length` elements, `stride` elements apart */
    TC_SHAPE_STRING,     /* points at a NUL-terminated string */
    TC_SHAPE_STRINGS,    /* points at `length` pointers to NUL-terminated strings (in only) */
    TC_SHAPE_OPAQUE,     /* a pointer about which nothing is said, or a struct with one inside:
                            voids a key with INPUTS unless excluded */
    TC_SHAPE_MEMBERS,    /* a value of several eightbytes, or of members: see its layout */
    TC_SHAPE_FILE,       /* points at a path, whose file's content is the input */
    TC_SHAPE_BLOCK,      /* out: points at a pointer that receives a malloc'ed block of `length`
                            elements; a result: the pointer to it */
    TC_SHAPE_TEXT,       /* the same, to a NUL-terminated string */
    TC_SHAPE_FUNCTION,   /* points at code, which is the input */
    TC_SHAPE_CODEC,      /* points at what a plugin's codec reads (in) or makes (out) */
};

/*
 * Types that no scalar describes: structs, complex numbers, long double, __int128. Members are
 * leaves (structs inside are taken apart). The packed form of a value is its members one after the
 * other in the table's order, each whole array at once: what lies between them isn't in it. A long
 * double has 10 bytes there, a bit-field as many as its declared type, little-endian and extended
 * by its sign. In a key a followed pointer is there as what it points at (cache/key.h).
 */
struct tc_member {
    struct tc_str name;     /* "pos.x" */
    uint32_t offset;        /* bytes from the beginning to the first element; of a bit-field: to the
                               byte with its first bit */
    uint32_t count, stride; /* elements, and bytes from one to the next */
    uint8_t type;           /* enum tc_scalar, at most TC_F80 */
    uint8_t bit, bits;      /* of a bit-field: its first bit (0..7), its width; 0: none */
    uint8_t is_char;
    uint8_t follow;  /* enum tc_follow */
    uint8_t elem;    /* enum tc_scalar of what TC_FOLLOW_ARRAY points at */
    uint16_t layout; /* 1 + index, of elements that are TC_MEMBERS */
    uint32_t length; /* program, whose one argument is the address of the struct: elements;
                        TC_NO_EXPR: one */
    uint32_t owner;  /* offset of that struct, or: */
};

/* A pointer that another one leads to is a layout of its own, with one member without a name. The
 * argument of its program is the struct that the first pointer is in, or the program is one over
 * the call's arguments, as a parameter's is. */
#define TC_OWNER_OUTER (UINT32_MAX - 1)
#define TC_OWNER_CALL  UINT32_MAX

/* What counts of a member. */
enum tc_follow {
    TC_FOLLOW_VALUE = 0,
    TC_FOLLOW_IGNORED,  /* nothing: neither in keys nor in outputs */
    TC_FOLLOW_STRING,   /* of a pointer what it points at: a NUL-terminated string */
    TC_FOLLOW_ARRAY,    /* elements */
    TC_FOLLOW_STRINGS,  /* pointers to strings */
    TC_FOLLOW_FUNCTION, /* code: its source */
};
#define TC_MAX_DEPTH 8u /* pointers behind one another */

struct tc_layout {
    struct tc_str name; /* "struct stats" */
    uint32_t bytes, packed_bytes;
    uint32_t first, count; /* among the task's members */
    uint32_t is_plain;     /* without gaps: the packed form is the memory as it is */
    uint32_t follows; /* pointers inside are followed: for inputs alone, and without a packed form
                         of one length */
};

#define TC_MAX_LAYOUTS      64u
#define TC_MAX_MEMBERS      4096u /* of all layouts of one task */
#define TC_MAX_LAYOUT_BYTES (1u << 24)

enum tc_loc {
    TC_LOC_INT = 1,        /* rdi rsi rdx rcx r8 r9 (psABI 3.2.3, INTEGER): index 0..5 */
    TC_LOC_SSE,            /* xmm0..7 */
    TC_LOC_STACK,          /* eightbyte `loc_index` above the return address */
    TC_LOC_GLOBAL,         /* the address of global `loc_index` (struct tc_plan_global) */
    TC_LOC_GLOBAL_POINTER, /* the pointer that is there when the function is called */
    TC_LOC_PATH,           /* the address of `path`, of a file under `depends:` */
};

/* Where the eightbytes of a result with a layout are. */
enum tc_result_place {
    TC_PLACE_NONE = 0,
    TC_PLACE_RAX,
    TC_PLACE_RDX,
    TC_PLACE_XMM0,
    TC_PLACE_XMM1,
    TC_PLACE_ST0, /* a long double */
    TC_PLACE_ST1,
    TC_PLACE_MEMORY, /* the caller passes an address in rdi, which comes back in rax */
};

struct tc_param {
    struct tc_str name;
    struct tc_str type_text; /* as a person writes it: "const double *" */
    uint8_t dir;             /* enum tc_dir */
    uint8_t shape;           /* enum tc_shape_kind */
    uint8_t type;            /* enum tc_scalar of the parameter itself */
    uint8_t elem;            /* enum tc_scalar of what it points at; TC_U8 for void extents */
    uint8_t loc;             /* enum tc_loc */
    uint8_t is_char;         /* elements are char: rendered as text */
    uint16_t loc_index;
    /* Programs (index of the first instruction, TC_NO_EXPR if absent), TC_SHAPE_ARRAY, _STRINGS and
     * _BLOCK only. Absent pieces: 1; absent length: 1 element; absent stride: the length. */
    uint32_t pieces, length, stride;
    uint32_t
        capacity; /* for an extent that is known only afterwards: elements this call has room for */
    uint32_t extent_uses_after; /* 1: pieces/length/stride need the state after the call (`out`), 0:
                                   evaluate before */
    uint32_t
        layout; /* 1 + index into the task's layouts, of the value or of the elements; 0: none */
    uint8_t second_loc; /* of the second eightbyte in a register; 0: none */
    uint8_t is_depend;  /* a file or global under `depends:` */
    uint16_t second_index;
    uint32_t codec;     /* 1 + index into the task's functions, TC_SHAPE_CODEC */
    struct tc_str path; /* TC_LOC_PATH: absolute; the name is as it was written */
};

/* A global of the function's object, captured and replayed like a parameter? They stand behind the
 * function's own. */
static inline int tc_is_global(const struct tc_param *p)
{
    return p->loc == TC_LOC_GLOBAL || p->loc == TC_LOC_GLOBAL_POINTER;
}

/* How many there are in front of globals and files. */
static inline uint32_t tc_own_params(const struct tc_param *p, uint32_t count)
{
    while (count > 0 && p[count - 1].loc >= TC_LOC_GLOBAL)
        count--;
    return count;
}

/* How the function returns (`result_type` says the scalar). */
enum tc_result_kind {
    TC_RESULT_VOID = 0,
    TC_RESULT_VALUE, /* rax or xmm0, or by `result_place` (type TC_MEMBERS); kept in the record */
    TC_RESULT_INTO_ARG, /* a pointer into an output argument, kept as (argument, offset), or NULL */
    TC_RESULT_MALLOC,   /* a pointer to a block that the caller frees, or NULL: see `owned` */
    TC_RESULT_STATIC,   /* a pointer to memory of the function's own, or NULL: see `owned` */
    TC_RESULT_CODEC,    /* a pointer to what a codec makes, or NULL: see `owned` */
};

/* Memory that a call gives away, whose size the call alone knows? */
static inline int tc_is_owned(const struct tc_param *p)
{
    return p->shape == TC_SHAPE_BLOCK || p->shape == TC_SHAPE_TEXT ||
           (p->shape == TC_SHAPE_CODEC && p->dir == TC_OUT);
}

/* Members of a policy. */
enum tc_policy_bit {
    TC_POLICY_INPUTS = 1u << 0,
    TC_POLICY_SOURCE = 1u << 1,
    TC_POLICY_RUN_ID = 1u << 2,
    TC_POLICY_FLOW_PARAMETERS = 1u << 3,
    TC_POLICY_KEY = 1u << 4,      /* not a member: the task's own template gives the key, alone */
    TC_POLICY_FUNCTION = 1u << 5, /* key functions of plugins, see `functions` */
    TC_POLICY_SOURCE_DEEP = 1u << 6,
    TC_POLICY_VOID = 1u << 15, /* names a member that isn't built yet: no key, ever */
};

#define TC_ALL_HITS UINT32_MAX
/* How concurrent calls of one key behave. */
enum tc_isolation {
    TC_READ_COMMITTED = 0, /* all run, the last one stays */
    TC_SERIALIZABLE,       /* one runs, the others wait for its record */
};
/* Who keeps the locks that SERIALIZABLE takes. */
enum tc_lock_manager_id {
    TC_LOCKS_OF_SERVICE = 0, /* for all processes that use the cache */
    TC_LOCKS_OF_PROCESS,     /* `memory` */
    TC_LOCKS_OF_PLUGIN,      /* the service's, and behind them those of a plugin */
    TC_LOCK_MANAGERS,
};
#define TC_LOCK_TIMEOUT_NS 60000000000ll /* where `lock_timeout` isn't given */

enum tc_tristate {
    TC_UNSET = 0,
    TC_FALSE = 1,
    TC_TRUE = 2,
};

/* Of a flow: what becomes of its tasks' results. */
enum tc_commit_mode {
    TC_COMMIT_NONE = 0, /* no transaction */
    TC_COMMIT_LAZY,     /* staged, and kept with the outermost transaction */
    TC_COMMIT_EAGER,    /* kept at once, whatever transaction is around */
    TC_COMMIT_OFF,      /* staged, and dropped in the end */
};

enum tc_task_flag {
    TC_TASK_DISABLED = 1u << 0, /* `enabled: false` */
    TC_TASK_POLICY_GIVEN =
        1u << 1,                  /* `cache_policy` was written (in the task, defaults or plugin) */
    TC_TASK_NO_CACHE = 1u << 2,   /* ... and is NO_CACHE */
    TC_TASK_PERSIST_ON = 1u << 3, /* some option turned persistence on by being given (semantics.md,
                                     "When caching is on") */
    TC_TASK_EXPIRES = 1u << 4,    /* `expiration_ns` is valid */
    TC_TASK_FLOAT = 1u << 5,      /* a floating type occurs: the rounding mode is part of the key */
    TC_TASK_NOT_YET = 1u << 6,    /* uses a feature that could change a key or a result and isn't
                                     built: stays uncached */
    TC_TASK_STORE_ASYNC = 1u << 7, /* `store: async`: nobody waits for the acknowledgement */
    TC_TASK_FLOW = 1u << 8, /* listed under `flows:`: its calls open run scopes. TC_TASK_NOT_YET:
                               tasks inside stay uncached */
    TC_TASK_HOOK_ENTRY = 1u << 9, /* `hook: entry` */
    TC_TASK_HOOK_GOT = 1u << 10,  /* `hook: got`; neither: `auto` */
    TC_TASK_THREADS = 1u << 24,   /* with TC_TASK_FLOW: pthread_create(), which nobody listed; see
                                     preload/threads.h */
    TC_TASK_PRIVATE = 1u << 15,   /* `private: true`: nothing readable of the inputs is kept */
};

/* A template's text is its parts' in a row. */
enum tc_key_part_kind {
    TC_PART_TEXT = 0,
    TC_PART_SIGNED,   /* decimal */
    TC_PART_UNSIGNED, /* decimal */
    TC_PART_STRING,   /* the bytes up to the NUL at the program's address */
    TC_PART_FLOAT,    /* a double's bits, as %a has them */
};
#define TC_MAX_KEY_PARTS 64u
#define TC_KEY_TEXT      512u /* longer texts are hashed */
struct tc_key_part {
    struct tc_str text; /* TC_PART_TEXT */
    uint32_t program;   /* all others, evaluated before the call */
    uint32_t kind;      /* enum tc_key_part_kind */
};

/* A plugin's function that a task needs: what its calls run inside the target. */
enum tc_function_kind {
    TC_FUNCTION_KEY = 1, /* KEY(plugin.name), a member of the policy */
    TC_FUNCTION_CODEC,   /* codec(plugin.name) */
    TC_FUNCTION_LOCKS,   /* `lock_manager: plugin.name`, likewise */
    TC_FUNCTION_STORAGE, /* `type: plugin.name` of a storage: in the service alone, of no task */
};
enum tc_codec_can {
    TC_CODEC_READ = 1, /* inputs */
    TC_CODEC_MAKE = 2, /* outputs */
};
#define TC_MAX_KEY_FUNCTIONS 4u
#define TC_MAX_FUNCTIONS     16u /* of one task, of both kinds */
struct tc_task_function {
    struct tc_str plugin, name;
    struct tc_str component; /* "=key.PLUGIN.NAME" of a key function, by which they are sorted */
    uint32_t kind;           /* enum tc_function_kind; key functions come first */
    uint32_t data_version;   /* of a codec */
    uint32_t can;            /* of a codec: enum tc_codec_can */
    uint32_t pad;
};

/* What the config says of one parameter under `params:`: "in [n]". */
struct tc_param_text {
    struct tc_str name, text;
};

/* What the config says of one global under `globals:`; `file` "": any. Behind them stand the files
 * under `depends:`, which have a `path`. */
struct tc_global_text {
    struct tc_str name, file, text, path;
};

/* A function or variable under `depends:`, for the resolver: "helper", "mesh.c:helper@libmesh.so*".
 */
struct tc_depend {
    struct tc_str text, name, file, object; /* the last two "": any, the task's own */
};
#define TC_MAX_DEPENDS 64u

/* Of a task without a written prototype, or whose prototype names types that the config doesn't
 * declare: what the resolver needs to make it with the help of debug information. */
struct tc_task_texts {
    /* As written; {0,0}: not given. `key`: the template that gives the key. */
    struct tc_str prototype, types, skip, success, key;
    struct tc_span params;   /* struct tc_param_text */
    struct tc_span excluded; /* struct tc_str: names behind '-' in the policy */
};

struct tc_task {
    /* Where to look: the function, an object glob ("" any), a source file ("" any), all from
     * `symbol:`. */
    struct tc_str symbol, object, file;
    struct tc_str name;           /* `name:`, or {0,0} */
    struct tc_str space;          /* `namespace:`, or {0,0} */
    struct tc_str prototype;      /* canonical text; {0,0}: see `texts` */
    struct tc_str origin;         /* "taskcache.yaml:12" or "plugin lapack" */
    uint8_t prototype_digest[16]; /* XXH3-128, seed 0, of the canonical text: the same function type
                                     has one digest */
    uint8_t result_kind;          /* enum tc_result_kind */
    uint8_t result_type;          /* enum tc_scalar; TC_PTR for all pointers */
    uint8_t persist;              /* enum tc_tristate: `persist_result` */
    uint8_t refresh;              /* enum tc_tristate: `refresh_cache` */
    uint32_t flags;               /* enum tc_task_flag */
    uint32_t policy;              /* enum tc_policy_bit; meaningful with TC_TASK_POLICY_GIVEN */
    uint32_t excluded;            /* bit i: parameter i is excluded from INPUTS */
    int64_t expiration_ns;
    int64_t lock_timeout_ns; /* 0: don't wait */
    uint32_t skip, success;  /* programs, TC_NO_EXPR if absent */
    struct tc_span params;   /* struct tc_param, in the prototype's order */
    struct tc_span sorted;   /* uint8_t: indexes of params, by name (bytewise) */
    struct tc_span code;     /* struct tc_insn */
    struct tc_span olds;     /* uint32_t: programs evaluated before the call, for TC_OP_OLD */
    uint32_t stack_slots;    /* declared stack arguments, in eightbytes */
    uint32_t line;           /* in the config; 0: from a plugin */
    struct tc_span texts;    /* struct tc_task_texts, one if no prototype was given, else none */
    struct tc_span layouts;  /* struct tc_layout */
    struct tc_span members;  /* struct tc_member */
    uint32_t result_layout;  /* 1 + index; 0: none */
    uint8_t result_place[2]; /* enum tc_result_place, by eightbyte */
    uint8_t commit_mode;     /* enum tc_commit_mode, of a flow */
    uint8_t isolation;       /* enum tc_isolation */
    uint8_t lock_manager;    /* enum tc_lock_manager_id */
    uint8_t far_locks;       /* TC_LOCKS_OF_PLUGIN: its place in the config's list, from 1 */
    uint8_t pad[2];
    uint32_t storage;         /* where results are kept, of a flow: of its tasks; 0: in the cache */
    uint32_t key_storage;     /* where the headers of results are kept; 0: with the results */
    struct tc_span key_parts; /* struct tc_key_part, with TC_POLICY_KEY */
    struct tc_span functions; /* struct tc_task_function */
    struct tc_span globals;   /* struct tc_global_text, for the resolver: of the config's task */
    struct tc_span depends;   /* struct tc_depend, likewise */
    struct tc_str deep_stop;  /* globs of libraries with '|' between them; {0,0}: the usual ones */
    struct tc_param
        owned;       /* TC_RESULT_MALLOC, _STATIC, _CODEC: the result as an output, "return" */
    uint32_t verify; /* this share of the hits, of TC_ALL_HITS, is verified */
    uint32_t pad2;
};

/* Under `storages:`. Tasks name one by its place in the list, from 1. */
#define TC_MAX_NAMED_STORAGES 15u
enum tc_storage_kind {
    TC_STORAGE_LMDB = 1, /* another cache directory, with a service of its own */
    TC_STORAGE_NOT_YET,
    TC_STORAGE_LOCKS, /* none: a plugin's lock manager, as struct tc_config has them */
    TC_STORAGE_FAR,   /* a plugin's, behind the cache: results are kept in both, see service/remote/
                       */
};
struct tc_storage {
    struct tc_str name, path; /* path: absolute, of a directory or the plugin */
    uint32_t kind;            /* enum tc_storage_kind */
    uint32_t used;            /* by a task or a flow */
    uint64_t max_size_bytes;  /* TC_STORAGE_LMDB: its limit; 0: it isn't written */
    /* TC_STORAGE_FAR: */
    struct tc_str function;        /* its name in the plugin */
    struct tc_file_id plugin;      /* the file */
    struct tc_span options;        /* struct tc_plugin_option */
    struct tc_span plugin_options; /* likewise, of the plugin as a whole */
    uint64_t remote;               /* what messages name it by; not 0 */
    uint64_t seed;                 /* of keys, made of `secret`: the same wherever that is */
    int64_t timeout_ns;            /* a look-up waits for it no longer */
    uint32_t has_secret, reserved; /* without one the seed is known to everybody */
};
#define TC_FAR_TIMEOUT_NS     40000000ll /* in which the service answers */
#define TC_FAR_MAX_TIMEOUT_NS 1000000000ll

/* Something to tell a person, found while compiling. `text` is complete: position, reason id,
 * sentence, source line, caret, remedy. */
enum tc_severity {
    TC_SEV_ERROR = 1, /* `cachectl run` stops with 125; a preloaded target runs uncached */
    TC_SEV_WARNING,
    TC_SEV_NOTE,
};
struct tc_problem {
    uint32_t severity; /* enum tc_severity */
    uint32_t reason;   /* enum tc_reason */
    struct tc_str subject, text;
    uint32_t line, column;
};

struct tc_dep {
    struct tc_str path;
    struct tc_file_id id;
};

/* An option of a plugin, `kind` as plugin-api numbers it: text, integer, real, boolean. */
struct tc_plugin_option {
    struct tc_str name, text;
    uint32_t kind, pad;
    int64_t integer;
    uint64_t real_bits; /* a double's */
};

/* A plugin with code that the config lists, and which file it must be. */
#define TC_MAX_PLUGINS 64u
#define TC_MAX_OPTIONS 256u
struct tc_plugin_file {
    struct tc_str name, path;
    struct tc_file_id id;
    uint64_t claims;        /* TASKCACHE_THREAD_SAFE ... */
    uint64_t observers;     /* how many it has */
    struct tc_span options; /* struct tc_plugin_option */
};

enum tc_children {
    TC_CHILDREN_FOLLOW = 0,
    TC_CHILDREN_NO,
    TC_CHILDREN_NAMED,
};

struct tc_config {
    struct tc_str path; /* of the YAML file, absolute */
    struct tc_file_id id;
    struct tc_str cache_path; /* `cache.path`, absolute; {0,0}: the default */
    uint64_t max_size_bytes;
    uint8_t resolve_digest[16]; /* of what plans depend on: each task's symbol, prototype, types;
                                   all of a task that has `texts` (others' policies not) */
    struct tc_span tasks;       /* struct tc_task; flows among them, behind the others */
    struct tc_span deps;        /* struct tc_dep */
    struct tc_span problems;    /* struct tc_problem */
    struct tc_span child_names; /* struct tc_str */
    struct tc_span storages;    /* struct tc_storage */
    uint32_t children;          /* enum tc_children */
    uint32_t log_level;         /* enum tc_log_level + 1; 0: not given */
    struct tc_str log_file;
    struct tc_span plugins;       /* struct tc_plugin_file */
    uint32_t errors, warnings;    /* how many problems of each */
    struct tc_span lock_managers; /* struct tc_storage, TC_STORAGE_LOCKS */
    uint32_t reserved[2];
};

/* The file's name: digest of path and identity; `ret_name` gets 32 hex digits and a NUL.
 * Freestanding. */
void tc_config_name(const char *path, const struct tc_file_id *id, char ret_name[33]);

/* One task whose spans are relative to `f`, as tc_config_verify() does it. 1: it can be relied on.
 */
int tc_task_ok(const struct tc_flat *f, const struct tc_task *task);

/* Verifies all that the target relies on without further checks: spans, programs, parameter places,
 * counts. 0 or -EBADMSG. */
int tc_config_verify(const struct tc_flat *f);

/* The same without the tasks: each is to be verified by tc_task_ok() before its spans and strings
 * are used. A plugin's table has hundreds, of which a program calls a few. */
int tc_config_verify_frame(const struct tc_flat *f);

#endif
