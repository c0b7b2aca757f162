/*
 * Where `plugins: [ NAME ]` is looked for: the user's own directory, the one beside the service in
 * a build tree, the installed one. Computed once; never fails. One thread.
 */
#ifndef TC_SERVICE_PLUGIN_DIRS_H
#define TC_SERVICE_PLUGIN_DIRS_H

#include <stddef.h>

const char *const *tc_plugin_dirs(size_t *ret_count);

#endif
