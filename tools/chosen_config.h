/*
 * The config of `run` and `doctor`: -c FILE, or written from --task and --plugin, or found.
 */
#ifndef TC_TOOLS_CHOSEN_CONFIG_H
#define TC_TOOLS_CHOSEN_CONFIG_H

#include "tools/options.h"
#include "tools/session.h"

/* tc_session_open() with that config. */
int tc_chosen_config(struct tc_session *s, const char *config, const struct tc_words *tasks,
                     const struct tc_words *plugins, unsigned want, struct tc_cause *ret_cause);

#endif
