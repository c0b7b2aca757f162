/* One plugin in many variants, most of them wrong: compiled once for each name in meson.build. */
#include <taskcache/plugin.h>

#ifndef MAGIC
#define MAGIC TASKCACHE_PLUGIN_MAGIC
#endif
#ifndef MAJOR
#define MAJOR TASKCACHE_ABI_MAJOR
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef NAME
#define NAME "variant"
#endif
/* A title for the terminal of whoever lists plugins. */
#define CONTROL "1\033[2J"
#ifndef VERSION
#define VERSION "1.0"
#endif
#ifndef SIZE
#define SIZE sizeof(struct taskcache_plugin)
#endif
#ifndef TASK_SIZE
#define TASK_SIZE sizeof(struct taskcache_task)
#endif
#ifndef COUNT
#define COUNT 2
#endif
#ifndef TASKS
#define TASKS tasks
#endif
#ifndef PROTOTYPE
#define PROTOTYPE "int f(int x)"
#endif
#ifndef LICENCE
#define LICENCE "MIT"
#endif
#ifndef SYMBOL
#define SYMBOL "f"
#endif
#ifndef INIT
#define INIT 0
#endif

extern const char elsewhere[];
extern const struct taskcache_task tasks[];
int start(const struct taskcache_host *host, struct taskcache_error *error);

/* Would be seen if anything here were run: a constructor ends the process. */
__attribute__((constructor)) static void ran(void)
{
    __builtin_trap();
}

__attribute__((visibility("hidden"))) int start(const struct taskcache_host *host,
                                                struct taskcache_error *error)
{
    (void)host, (void)error;
    return 0;
}

#ifdef EXPORT_TABLE
__attribute__((visibility("default")))
#else
__attribute__((visibility("hidden")))
#endif
const struct taskcache_task tasks[] = {
    TASKCACHE_TASK(.symbol = SYMBOL, .prototype = PROTOTYPE),
    TASKCACHE_TASK(.symbol = "g", .prototype = "int g(int x)", .cache_policy = "INPUTS",
                   .skip = "x == 1", .success = "return == 2", .cache_expiration = "3s",
                   .types = "typedef int four;", .name = "five", .space = "six",
                   .refresh_cache = "false", .persist_result = "true"),
};

#ifndef NO_DESCRIPTOR
const struct taskcache_plugin taskcache_plugin = {MAGIC,     MAJOR,   0,           SIZE,  NAME,
                                                  VERSION,   LICENCE, "A variant", TASKS, COUNT,
                                                  TASK_SIZE, FLAGS,   INIT};
#endif
