/*
 * Loading a plugin's code into this process. On the thread and in the context of a task's call,
 * which holds the plugin's state at "loading". 0, or an enum tc_reason; `why` says more.
 */
#ifndef TC_PRELOAD_PLUGIN_LOAD_H
#define TC_PRELOAD_PLUGIN_LOAD_H

#include "preload/plugin.h"

uint32_t tc_plugin_load(struct tc_loaded_plugin *p, struct tc_plugin_area *area);

/* Ends a C++ exception that came out of a plugin's code. */
void tc_plugin_end_exception(uint64_t exception);

/* "plugin NAME: WHAT: CAUSES" in area->why. */
void tc_plugin_say(const struct tc_loaded_plugin *p, const char *what, const char *text,
                   struct tc_plugin_area *area);

#endif
