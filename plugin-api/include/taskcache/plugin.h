/*
 * A taskcache plugin: a shared object that says which functions of some library are worth caching,
 * and how to call them: one exported const descriptor, `taskcache_plugin`, with a table of tasks,
 * which taskcache reads from the ELF file.
 *
 *     #include <taskcache/plugin.h>
 *
 *     static const struct taskcache_task tasks[] = {
 *         TASKCACHE_TASK(.symbol = "slow_sum",
 *                        .prototype = "double slow_sum(const double x[n], int n)"),
 *     };
 *     TASKCACHE_PLUGIN("mylib", "1.0", "MIT", "Functions of libmylib", tasks);
 *
 * Build: cc -shared -fPIC -I.../plugin-api/include -o mylib.so mylib.c; it links nothing of ours.
 *
 * A plugin may also have code: its `init` registers key functions and codecs, which run inside the
 * program whose calls are cached, and observers, storages and lock managers, which don't. Nothing
 * of a plugin without `init` is ever loaded or run.
 *
 * Ownership: everything in the descriptor is const data of static storage in the plugin's own file.
 * Pointers may point at data of the same object only; a text that another object defines makes the
 * plugin unreadable. Readers copy what they need. What `init` registers is copied, too; the texts
 * and functions in it must stay (a plugin is never unloaded).
 *
 * Where code runs: `init` once in a child process of the service, whenever a config that names the
 * plugin is compiled, and once in each program that comes to a call of a task that needs its code;
 * key functions and codecs in such programs, on the thread that calls the task, in the middle of
 * that call; observers, storages and lock managers in other child processes of the service, after
 * an `init` of their own. So the code of key functions and codecs
 *   - starts no threads, doesn't fork, doesn't change signals, locale, directory or descriptors
 *     that it hasn't opened itself, doesn't end the process;
 *   - is built without initial-exec thread-local storage (not -ftls-model=initial-exec): refused;
 *   - returns in good time: nobody can break off a loop in somebody else's program;
 *   - isn't called in signal handlers, in vfork children, in seccomp, or while another call of it
 * is under way (one at a time in a process, unless the plugin claims TASKCACHE_THREAD_SAFE), nor in
 * a forked child of the process that loaded it (unless TASKCACHE_FORK_SAFE). The call of the task
 * then runs uncached;
 *   - may use all registers; starts with the floating-point modes of a fresh thread. (With
 *     TASKCACHE_VECTOR_SAFE it promises to use general registers and SSE2 only, which saves time.)
 *
 * Errors: functions return 0, or a negative errno after telling why by host->cause(). An error, a
 * C++ exception, a write beyond a cursor make the call of the task run uncached, counted under a
 * reason; they are never the program's. The last two switch the plugin off in this process.
 *
 * Versions: a host takes every plugin of its own ABI major number. Structs only grow at their end;
 * `struct_size` (and `task_size`) say how much of them the plugin's compiler knew, or the host's.
 * What a shorter struct lacks is NULL or 0; what is NULL isn't supported. Before a plugin uses a
 * member of struct taskcache_host that its oldest host may lack, it asks TASKCACHE_HAS(). A longer
 * task whose unknown members are all NULL is a task like any other; one that sets a member unknown
 * to the host stays uncached, as nobody can say what it asked for. A bit in `flags` that the host
 * doesn't know refuses the plugin.
 *
 * C99 and C++11. C++ knows designated initialisers from C++20 on (compilers take them earlier, with
 * a warning); before that, TASKCACHE_TASK() takes the members in their order.
 */
#ifndef TASKCACHE_PLUGIN_H
#define TASKCACHE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TASKCACHE_PLUGIN_MAGIC UINT64_C(0x6e6967756c706374) /* bytes "tcplugin" */
#define TASKCACHE_ABI_MAJOR    1
#define TASKCACHE_ABI_MINOR    1

/*
 * One task. Every member is the text that a config file would hold under the key of that name, and
 * means exactly the same (docs/config.md); NULL is "not given". `symbol` and `prototype` must be
 * there. A config that uses the plugin overrides members one by one.
 */
struct taskcache_task {
    const char *symbol;           /* NAME, NAME@OBJECT or FILE.c:NAME */
    const char *prototype;        /* docs/prototypes.md */
    const char *cache_policy;     /* NULL: INPUTS + TASK_SOURCE */
    const char *skip;             /* expression: true for calls that are never looked up */
    const char *success;          /* expression: false for calls whose result isn't kept */
    const char *cache_expiration; /* a duration: "1h30m" */
    const char *types;            /* declarations that `prototype` uses */
    const char *name;             /* identity, instead of symbol and object */
    const char *space;            /* the config's `namespace` (a keyword in C++) */
    const char *refresh_cache;    /* a boolean: "true" */
    const char *persist_result;   /* a boolean */
};

/* What a plugin claims about its code (struct taskcache_plugin, flags). */
#define TASKCACHE_THREAD_SAFE UINT64_C(1) /* may be called by several threads at once */
#define TASKCACHE_FORK_SAFE   UINT64_C(2) /* goes on working in forked children */
#define TASKCACHE_VECTOR_SAFE \
    UINT64_C(4) /* general registers and SSE2 only, down to the last callee */

struct taskcache_error;  /* the host's: what went wrong, as a chain of causes */
struct taskcache_digest; /* the host's: takes the bytes that an input means */

/*
 * A key function: what KEY(plugin.name) in a policy, or as cache_key_fn, is. compute() puts the
 * key's bytes into `key`; none are no key: the function runs, as if there were no cache. `call`
 * holds the arguments before the body. Equal bytes must mean equal results.
 */
struct taskcache_key_function {
    uint32_t struct_size; /* sizeof(struct taskcache_key_function) */
    uint32_t reserved;    /* 0 */
    const char *name;     /* 1 to 63 of A-Z a-z 0-9 _ */
    void *data;           /* given back to compute() */
    int (*compute)(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                   struct taskcache_error *error);
};

/*
 * A codec: how to read and make values of somebody else's type, for `codec(name) T *p`. A method
 * that is NULL isn't supported: an input needs digest(), an output both others.
 *
 * `object` is the parameter's (or the result's) value, never NULL. encode() puts into `to` whatever
 * decode() needs to make an equal one. decode() gets these bytes, in this process or another, and
 * `*object`: of a parameter, the pointer that the caller gave, to be filled in; of a result, NULL,
 * to be set. What the caller will free is allocated by the target's own allocator (host->allocate).
 * On an error it must have changed and kept nothing.
 *
 * `data_version` is stored with what encode() made: a record of another version is no hit. Raise it
 * when the bytes, or the meaning of a digest, change.
 */
struct taskcache_codec {
    uint32_t struct_size; /* sizeof(struct taskcache_codec) */
    uint32_t data_version;
    const char *name; /* 1 to 63 of A-Z a-z 0-9 _ */
    void *data;
    int (*digest)(void *data, const struct taskcache_call *call, const void *object,
                  struct taskcache_digest *digest, struct taskcache_error *error);
    int (*encode)(void *data, const struct taskcache_call *call, const void *object,
                  struct taskcache_cursor *to, struct taskcache_error *error);
    int (*decode)(void *data, const struct taskcache_call *call, const void *bytes, uint64_t count,
                  void **object, struct taskcache_error *error);
};

/*
 * An observer: is told what became of calls, at most a second later, in a child process of the
 * service, never in the programs. Of all tasks of the cache, by counts: notify() may take its time
 * (5 s), a crash is begun again. `event` and the texts in it are the host's until it returns.
 */
enum taskcache_event_kind {
    TASKCACHE_HITS = 1, /* `duration_ns`: what the bodies took when they ran */
    TASKCACHE_MISSES,   /* `duration_ns`: what the bodies took */
    TASKCACHE_STORED,
    TASKCACHE_BYPASSED /* `reason` says why */
};

struct taskcache_event {
    uint32_t struct_size; /* sizeof(struct taskcache_event), the host's */
    uint32_t kind;        /* enum taskcache_event_kind; leave alone those that you don't know */
    const char *task;     /* its identity */
    uint64_t count;       /* of calls */
    uint64_t duration_ns; /* of all of them together */
    const char *reason;   /* an id (docs/reasons.md), NULL */
    int64_t at_ns;        /* since the epoch: when they were counted */
};

struct taskcache_observer {
    uint32_t struct_size; /* sizeof(struct taskcache_observer) */
    uint32_t reserved;    /* 0 */
    const char *name;     /* 1 to 63 of A-Z a-z 0-9 _ */
    void *data;
    void (*notify)(void *data, const struct taskcache_event *event);
};

/*
 * A storage: a place for results that several caches share, behind each one's own. It runs in child
 * processes of the service, one for each storage that a config makes of it (`type: plugin.name`),
 * never in the programs; one call at a time. It may block, allocate, use threads and the network.
 * A call has 5 s; a crash or a hang ends the child, which is begun again.
 *
 * `key` is a text of 32 hexadecimal digits. What is stored under it is bytes, at most 64 MiB, that
 * the storage gives back as they are; it is checked then. A method that is NULL isn't supported;
 * get() must be there.
 */
struct taskcache_storage {
    uint32_t struct_size; /* sizeof(struct taskcache_storage) */
    uint32_t reserved;    /* 0 */
    const char *name;     /* 1 to 63 of A-Z a-z 0-9 _ */
    void *data;
    /* Once, before all others. host->option() gives the storage's options, then the plugin's. */
    int (*open)(void *data, struct taskcache_error *error);
    /* 0 and the bytes; -ENOENT: there is nothing. Called again if there was too little room. */
    int (*get)(void *data, const char *key, struct taskcache_cursor *to,
               struct taskcache_error *error);
    /* In the place of what is there, as one step: nobody must get half of it. */
    int (*put)(void *data, const char *key, const void *bytes, uint64_t count,
               struct taskcache_error *error);
    /* 0; -ENOENT: there was nothing. */
    int (*remove)(void *data, const char *key, struct taskcache_error *error);
    /* 0; -ENOENT. */
    int (*exists)(void *data, const char *key, struct taskcache_error *error);
    /* Calls each(to, key) for all keys. */
    int (*list)(void *data, void (*each)(void *to, const char *key), void *to,
                struct taskcache_error *error);
};

/*
 * A lock manager: locks that several machines share, for isolation SERIALIZABLE. It runs in a child
 * process of the service, as storages do, one for each that a config's policies name
 * (`lock_manager: plugin.name`). One call at a time. A call that takes longer than 5 s, or crashes,
 * ends the child; a new one is begun, with `open`. `owner` is 32 hex digits that nobody else has.
 * None waits: who can't have a lock is told so, and asks again.
 */
struct taskcache_lock_manager {
    uint32_t struct_size; /* sizeof(struct taskcache_lock_manager) */
    uint32_t reserved;    /* 0 */
    const char *name;     /* 1 to 63 of A-Z a-z 0-9 _ */
    void *data;
    /* Once, before all others; may be NULL. host->option() gives the plugin's options. */
    int (*open)(void *data, struct taskcache_error *error);
    /* 0: it is the owner's, for ttl_ns at most; -EBUSY: it is another's. */
    int (*acquire)(void *data, const char *key, const char *owner, uint64_t ttl_ns,
                   struct taskcache_error *error);
    /* 0: for ttl_ns from now on; -ENOENT: it isn't the owner's any more. */
    int (*renew)(void *data, const char *key, const char *owner, uint64_t ttl_ns,
                 struct taskcache_error *error);
    /* 0; -ENOENT: it isn't the owner's. */
    int (*release)(void *data, const char *key, const char *owner, struct taskcache_error *error);
    /* When the service ends; may be NULL. A child that was ended isn't asked. */
    void (*close)(void *data);
};

/*
 * The host, as `init` gets it: remember the pointer, it stays. All functions may be called by the
 * plugin's code on the thread on which it was called, at no other time.
 */
struct taskcache_host {
    uint32_t struct_size; /* sizeof(struct taskcache_host), the host's */
    uint16_t abi_major, abi_minor;
    /* In `init` only. 0; -EINVAL: a name or a struct that can't be; -EEXIST: the name is taken;
     * -ENOSPC: more than 64 of a kind; -EPERM: `init` is over. */
    int (*add_key_function)(const struct taskcache_host *host,
                            const struct taskcache_key_function *f);
    int (*add_codec)(const struct taskcache_host *host, const struct taskcache_codec *c);
    /* An option of the config, NULL: not given. By place: option_at(host, 0), ... up to NULL. */
    const struct taskcache_option *(*option)(const struct taskcache_host *host, const char *name);
    const struct taskcache_option *(*option_at)(const struct taskcache_host *host, uint32_t i);
    /* Adds a cause to an error, the innermost first; copied, cut at 120 bytes, four are kept. */
    void (*cause)(struct taskcache_error *error, const char *text);
    /* Adds bytes to a digest. */
    void (*add)(struct taskcache_digest *digest, const void *bytes, uint64_t count);
    /* The target's malloc() and free(). NULL: no memory. Not in `init`. */
    void *(*allocate)(uint64_t bytes);
    void (*release)(void *memory);
    /* As add_key_function(). */
    int (*add_observer)(const struct taskcache_host *host, const struct taskcache_observer *o);
    int (*add_storage)(const struct taskcache_host *host, const struct taskcache_storage *s);
    int (*add_lock_manager)(const struct taskcache_host *host,
                            const struct taskcache_lock_manager *m);
};

/* Does the host's table reach so far, and is the method supported? */
#define TASKCACHE_HAS(host, method)                                                     \
    ((host)->struct_size >= offsetof(struct taskcache_host, method) + sizeof(void *) && \
     (host)->method != 0)

struct taskcache_plugin {
    uint64_t magic; /* TASKCACHE_PLUGIN_MAGIC */
    uint16_t abi_major, abi_minor;
    uint32_t struct_size;    /* sizeof(struct taskcache_plugin), in bytes */
    const char *name;        /* 1 to 63 of A-Z a-z 0-9 _ . -; the file is NAME.so */
    const char *version;     /* of the plugin: "1.0" */
    const char *licence;     /* SPDX identifier, or NULL */
    const char *description; /* one line, or NULL */
    const struct taskcache_task *tasks;
    uint32_t task_count; /* at most 1000 */
    uint32_t task_size;  /* sizeof(struct taskcache_task), in bytes */
    uint64_t flags;      /* TASKCACHE_THREAD_SAFE ...; 0 for a plugin without code */
    /* Registers what the plugin has beyond tasks; NULL: nothing. 0, or a negative errno and a
     * cause: the plugin is refused, in this process. */
    int (*init)(const struct taskcache_host *host, struct taskcache_error *error);
};

/* The one symbol that a plugin exports. */
extern __attribute__((visibility("default"))) const struct taskcache_plugin taskcache_plugin;

/* One entry of the table. */
#define TASKCACHE_TASK(...) \
    {                       \
        __VA_ARGS__         \
    }

/* Defines the descriptor; texts as above, `tasks` an array. Once in a plugin, at file scope. */
#define TASKCACHE_PLUGIN(name, version, licence, description, tasks)        \
    TASKCACHE_PLUGIN_DESCRIPTOR(name, version, licence, description, tasks, \
                                sizeof(tasks) / sizeof((tasks)[0]), 0, 0)

/* Likewise with code: `flags` are claims such as TASKCACHE_THREAD_SAFE, or 0. */
#define TASKCACHE_PLUGIN_WITH_CODE(name, version, licence, description, tasks, flags, init) \
    TASKCACHE_PLUGIN_DESCRIPTOR(name, version, licence, description, tasks,                 \
                                sizeof(tasks) / sizeof((tasks)[0]), flags, init)

/* Code alone: key functions and codecs for the tasks of a config. */
#define TASKCACHE_PLUGIN_OF_CODE(name, version, licence, description, flags, init) \
    TASKCACHE_PLUGIN_DESCRIPTOR(name, version, licence, description, 0, 0, flags, init)

#define TASKCACHE_PLUGIN_DESCRIPTOR(name, version, licence, description, tasks, count, flags, \
                                    init)                                                     \
    const struct taskcache_plugin taskcache_plugin = {TASKCACHE_PLUGIN_MAGIC,                 \
                                                      TASKCACHE_ABI_MAJOR,                    \
                                                      TASKCACHE_ABI_MINOR,                    \
                                                      sizeof(struct taskcache_plugin),        \
                                                      name,                                   \
                                                      version,                                \
                                                      licence,                                \
                                                      description,                            \
                                                      tasks,                                  \
                                                      count,                                  \
                                                      sizeof(struct taskcache_task),          \
                                                      flags,                                  \
                                                      init}

#ifdef __cplusplus
}
#endif

#endif
