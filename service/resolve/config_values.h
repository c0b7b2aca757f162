/*
 * The values that a config writes in its own notation: durations, sizes, symbols. Pure functions on
 * NUL-terminated text; any thread. 0, or -EINVAL for what isn't one, -ERANGE for what is too large.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_VALUES_H
#define TC_SERVICE_RESOLVE_CONFIG_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "cache/policy.h"

/* `[-]` and any of N(ns|us|ms|s|m|h|d|w); a bare number is seconds. */
int tc_parse_duration(const char *text, int64_t *ret_ns);

/* A number and one of KiB MiB GiB TiB (powers of 1024) or k M G (of 1000); bare: bytes. */
int tc_parse_size(const char *text, uint64_t *ret_bytes);

/* `service` or `memory`; -ENOENT for all others. */
int tc_lock_manager_named(const char *text, enum tc_lock_manager_id *ret);

/* NAME, NAME@OBJECT, FILE.c:NAME, FILE.c:NAME@OBJECT. Parts that aren't there have no bytes. */
struct tc_symbol_parts {
    struct tc_slice name, object, file;
};
/* -EINVAL with what is wrong and where. */
int tc_parse_symbol(const char *text, struct tc_symbol_parts *ret, struct tc_text_error *ret_error);

#endif
