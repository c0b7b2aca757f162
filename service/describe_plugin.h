/*
 * `taskcached --read-plugin FILE`: what a plugin's file says of itself, for `cachectl plugins`.
 * Nothing of it is loaded or run. Lines of fields, tabs between them:
 *
 *     plugin NAME VERSION MAJOR.MINOR CODE CLAIMS LICENCE DESCRIPTION
 *     task SYMBOL
 *     refused REASON-ID SENTENCE
 *
 * CODE is 0 or 1, CLAIMS the descriptor's flags in decimal; texts that aren't given are empty.
 */
#ifndef TC_SERVICE_DESCRIBE_PLUGIN_H
#define TC_SERVICE_DESCRIBE_PLUGIN_H

#include <stdio.h>

/* 0, or 1 if the plugin is refused. */
int tc_describe_plugin(const char *path, FILE *to);

#endif
