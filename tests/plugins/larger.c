/* A plugin of a later minor version: both structs have grown. */
#include <taskcache/plugin.h>

struct later_task {
    struct taskcache_task known;
    const char *dance;
    const char *sing;
};

struct later_plugin {
    struct taskcache_plugin known;
    const char *homepage;
};

static const struct later_task tasks[] = {
    {{.symbol = "plain", .prototype = "int plain(int x)", .name = "p"}, 0, 0},
    {{.symbol = "dancer", .prototype = "int dancer(int x)"}, 0, "la"},
    {{.symbol = "last", .prototype = "int last(int x)", .persist_result = "true"}, 0, 0},
};

extern __attribute__((visibility("default")))
const struct later_plugin later __asm__("taskcache_plugin");
const struct later_plugin later = {{TASKCACHE_PLUGIN_MAGIC, TASKCACHE_ABI_MAJOR,
                                    TASKCACHE_ABI_MINOR + 7, sizeof(struct later_plugin), "larger",
                                    "9.0", 0, 0, (const struct taskcache_task *)tasks, 3,
                                    sizeof(struct later_task), 0, 0},
                                   "https://example.org"};
