/*
 * The config loader: YAML and plugins in, a flat file of kind TC_FLAT_CONFIG out. Whatever is wrong
 * with what a person wrote becomes a `problem` in the flat file, complete with place and caret, and
 * leaves out the task that it concerns; the other tasks stay.
 *
 * Runs in a child process of the service and in tests: allocates, reads files, never prints. One
 * thread.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_H
#define TC_SERVICE_RESOLVE_CONFIG_H

#include <stddef.h>
#include <sys/types.h>

#include "cache/flat_build.h"

struct tc_config_options {
    const char *const *plugin_dirs; /* where `plugins: [ NAME ]` is looked for, in this order */
    size_t plugin_dir_count;
    const char *home; /* for `~/`; NULL: there is none */
    uid_t uid;        /* who has to own the files, if not root */
};

/* Compiles the config at `path`. `out` is initialised here, and holds a finished flat file when the
 * result is 0, also when the config has errors or can't be read. Only -ENOMEM fails. The caller
 * frees `out` either way. */
int tc_config_compile(const char *path, const struct tc_config_options *o,
                      struct tc_flat_builder *out);

#endif
