/*
 * What a plugin's file says of itself, read by `taskcached --read-plugin` (nothing of the plugin is
 * run). One thread.
 */
#ifndef TC_TOOLS_PLUGIN_INFO_H
#define TC_TOOLS_PLUGIN_INFO_H

#include "tools/options.h"

struct tc_plugin_info {
    char *name, *version, *abi, *licence, *description; /* NULL if it is refused */
    bool has_code;
    uint64_t claims; /* TASKCACHE_THREAD_SAFE ... */
    struct tc_words tasks;
    struct tc_cause refused; /* reason 0: it isn't, or not as a whole */
};

/* Is it a file, as configs have it: anything with a `/`, or ending in `.so`? */
bool tc_is_plugin_path(const char *word);

/* 0, or a negative errno with the cause in ret->refused, if the service's program can't be run. */
int tc_plugin_info_read(const char *path, struct tc_plugin_info *ret);
void tc_plugin_info_free(struct tc_plugin_info *p);

#endif
