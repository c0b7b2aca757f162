/*
 * `cachectl plugins new NAME`: a directory NAME with a plugin that builds, and a test that passes.
 * Its files are those of tools/skeleton, and the header.
 */
#ifndef TC_TOOLS_PLUGIN_NEW_H
#define TC_TOOLS_PLUGIN_NEW_H

#include "tools/command.h"

/* The exit status; prints what is wrong. An existing directory stays as it is. */
int tc_plugin_new(const struct tc_command *self, const char *name);

#endif
