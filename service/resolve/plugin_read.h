/*
 * A plugin as data: its descriptor and task table (plugin-api/include/taskcache/plugin.h), read out
 * of the ELF file. Nothing of it is loaded or run.
 *
 * Reading fails, and then says why in `e` (offsets in it are always 0):
 *   -ENOENT, -EACCES, ...  the file can't be opened or read: no-such-plugin
 *   -EINVAL                it is no plugin, or a malformed one: bad-plugin; one for another ABI:
 *                          plugin-abi
 *   -ENOMEM
 * A malformed file has no other effect. Host code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_PLUGIN_READ_H
#define TC_SERVICE_RESOLVE_PLUGIN_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/diag.h"
#include "cache/task.h"
#include "plugin-api/include/taskcache/plugin.h"

struct tc_plugin_task {
    struct taskcache_task text; /* owned copies; NULL: not given */
    bool unknown_members;       /* it sets members that came after this version: what they ask for
                                   isn't known, so the task must stay uncached (TC_TASK_NOT_YET) */
};

struct tc_plugin {
    char *name, *version;
    char *licence, *description; /* NULL: not given */
    uint16_t abi_major, abi_minor;
    bool has_code;       /* `init` is set */
    bool has_static_tls; /* its code can't be loaded by a program that runs already */
    uint64_t claims;     /* TASKCACHE_THREAD_SAFE ... */
    struct tc_plugin_task *tasks;
    size_t task_count;
    struct tc_file_id id; /* of the file that was read */
};

int tc_plugin_read(const char *path, struct tc_plugin *ret, struct tc_text_error *e);

/* The same from a file's bytes, which must be 8-byte aligned; `id` stays zero. */
int tc_plugin_read_memory(const void *data, size_t bytes, struct tc_plugin *ret,
                          struct tc_text_error *e);

void tc_plugin_free(struct tc_plugin *p);

#endif
