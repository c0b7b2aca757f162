/* The least plugin that ABI 1 allows: a descriptor without `init`, tasks of two texts. */
#include <taskcache/plugin.h>

struct least_task {
    const char *symbol, *prototype;
};

struct least_plugin {
    uint64_t magic;
    uint16_t abi_major, abi_minor;
    uint32_t struct_size;
    const char *name, *version, *licence, *description;
    const struct least_task *tasks;
    uint32_t task_count, task_size;
    uint64_t flags;
};

static const struct least_task tasks[] = {
    {"one", "int one(int x)"},
    {"two", "int two(int x)"},
};

/* What lies behind must not be taken for members. */
struct least_and_more {
    struct least_plugin plugin;
    uint64_t other[8];
};

extern __attribute__((visibility("default")))
const struct least_and_more least __asm__("taskcache_plugin");
const struct least_and_more least = {{TASKCACHE_PLUGIN_MAGIC, TASKCACHE_ABI_MAJOR, 0,
                                      sizeof(struct least_plugin), "smaller", "0.1", "MIT", 0,
                                      tasks, 2, sizeof(struct least_task), 0},
                                     {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull}};
