/*
 * A taskcache plugin: a shared object that says which functions of some library are worth caching,
 * and how to call them. It is data: one exported const descriptor, `taskcache_plugin`, with a table
 * of tasks. taskcache reads both from the ELF file; nothing of the plugin is loaded or run.
 *
 *     #include <taskcache/plugin.h>
 *
 *     static const struct taskcache_task tasks[] = {
 *         TASKCACHE_TASK(.symbol = "slow_sum",
 *                        .prototype = "double slow_sum(const double x[n], int n)"),
 *     };
 *     TASKCACHE_PLUGIN("mylib", "1.0", "MIT", "Functions of libmylib", tasks);
 *
 * Build: cc -shared -fPIC -I.../plugin-api/include -o mylib.so mylib.c; it links nothing.
 *
 * Ownership: everything is const data of static storage in the plugin's own file. Pointers may
 * point at data of the same object only; a text that another object defines makes the plugin
 * unreadable. Readers copy what they need.
 *
 * Thread and signal context: there is none, as nothing here is ever executed.
 *
 * Versions: a host takes every plugin of its own ABI major number. Structs only grow at their end;
 * `struct_size` and `task_size` say how much of them the plugin's compiler knew. What a shorter
 * struct lacks is NULL or 0. A longer task whose unknown members are all NULL is a task like any
 * other; one that sets a member unknown to the host stays uncached, as nobody can say what it asked
 * for. A bit in `flags` that the host doesn't know refuses the plugin.
 *
 * C99 and C++11. C++ knows designated initialisers from C++20 on (compilers take them earlier, with
 * a warning); before that, TASKCACHE_TASK() takes the members in their order.
 */
#ifndef TASKCACHE_PLUGIN_H
#define TASKCACHE_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TASKCACHE_PLUGIN_MAGIC UINT64_C(0x6e6967756c706374) /* bytes "tcplugin" */
#define TASKCACHE_ABI_MAJOR    1
#define TASKCACHE_ABI_MINOR    0

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

struct taskcache_host;  /* what plugins with code will be given; not defined in this version */
struct taskcache_error; /* likewise */

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
    uint64_t flags;      /* 0 */
    int (*init)(const struct taskcache_host *host, struct taskcache_error *error); /* NULL */
};

/* The one symbol that a plugin exports. */
extern __attribute__((visibility("default"))) const struct taskcache_plugin taskcache_plugin;

/* One entry of the table. */
#define TASKCACHE_TASK(...) \
    {                       \
        __VA_ARGS__         \
    }

/* Defines the descriptor; texts as above, `tasks` an array. Once in a plugin, at file scope. */
#define TASKCACHE_PLUGIN(name, version, licence, description, tasks)                      \
    const struct taskcache_plugin taskcache_plugin = {TASKCACHE_PLUGIN_MAGIC,             \
                                                      TASKCACHE_ABI_MAJOR,                \
                                                      TASKCACHE_ABI_MINOR,                \
                                                      sizeof(struct taskcache_plugin),    \
                                                      name,                               \
                                                      version,                            \
                                                      licence,                            \
                                                      description,                        \
                                                      tasks,                              \
                                                      sizeof(tasks) / sizeof((tasks)[0]), \
                                                      sizeof(struct taskcache_task),      \
                                                      0,                                  \
                                                      0}

#ifdef __cplusplus
}
#endif

#endif
