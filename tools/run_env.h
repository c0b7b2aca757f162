/*
 * The environment of a program that runs under the cache.
 */
#ifndef TC_TOOLS_RUN_ENV_H
#define TC_TOOLS_RUN_ENV_H

#include "tools/base.h"

/* LD_PRELOAD: sanitizers' runtimes first, then ours, then what was there (less ours). `sanitizers`
 * ends with NULL. Free it. */
char *tc_preload_value(const char *existing, const char *library, const char *const *sanitizers);

/* ASAN_OPTIONS with verify_asan_link_order=0 appended. Free it. */
char *tc_asan_options(const char *existing);

/* 32 random hex digits. */
int tc_random_run_id(char ret[33]);

/* The loader splits LD_PRELOAD at spaces and colons: gives a path of `library` without any, in the
 * runtime directory if need be. Free it; NULL: there is none. */
char *tc_preloadable(const char *library, const char *runtime);

#endif
