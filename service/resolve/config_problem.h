/*
 * Telling a person what is wrong with a config. Every problem becomes one complete message in the
 * flat file; one that was told already isn't told again.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_PROBLEM_H
#define TC_SERVICE_RESOLVE_CONFIG_PROBLEM_H

#include "service/resolve/config_load.h"

/* About byte `at` of the file. `remedy` NULL: the reason's own, "": none. */
void tc_problem_at(struct tc_load *l, enum tc_severity severity, enum tc_reason reason, size_t at,
                   const char *remedy, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* About byte `at` of a value's text, wherever that text comes from. */
void tc_problem_in(struct tc_load *l, enum tc_severity severity, enum tc_reason reason,
                   const struct tc_yaml_node *n, size_t at, const char *remedy, const char *format,
                   ...) __attribute__((format(printf, 7, 8)));

/* The same with what a parser found. */
void tc_problem_found(struct tc_load *l, enum tc_severity severity, const struct tc_yaml_node *n,
                      const struct tc_text_error *e);

/* About a file as a whole. */
void tc_problem_file(struct tc_load *l, enum tc_severity severity, enum tc_reason reason,
                     const char *subject, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif
