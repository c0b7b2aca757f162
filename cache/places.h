/*
 * Where things lie: the cache directory, the runtime directory, and the names in them. One set of
 * rules for target, service and cachectl. Freestanding: the environment comes in as an array,
 * results go into the caller's buffers; nothing is looked at on disk.
 *
 * Runtime directory: $XDG_RUNTIME_DIR/taskcache if that variable is absolute, else
 * /dev/shm/taskcache-UID. Mode 0700, owner checked by whoever uses it. Cache directory:
 * $TASKCACHE_DIR, the config's cache.path, $XDG_CACHE_HOME/taskcache, $HOME/.cache/taskcache,
 * $CACHE_DIRECTORY; the first that is absolute. CACHEID: "%llx-%llx" of the cache directory's
 * device and inode.
 */
#ifndef TC_CACHE_PLACES_H
#define TC_CACHE_PLACES_H

#include <stddef.h>
#include <stdint.h>

#define TC_PATH_BYTES 1024u

/* The variable's value in `env`, NULL if it isn't there. */
const char *tc_env(char *const *env, const char *name);

/* Joins up to four parts without separators; 0 or -ENAMETOOLONG (buffer then ""). NULL parts count
 * as "". */
int tc_join(char *ret, size_t bytes, const char *a, const char *b, const char *c, const char *d);

int tc_runtime_dir(char *const *env, uint32_t uid, char *ret, size_t bytes);
/* -ENOENT: no rule applies (no-cache-dir). */
int tc_cache_dir(char *const *env, const char *config_path, char *ret, size_t bytes);
/* Is it $HOME, or a directory above? If it isn't there, it isn't ours to make: who has no home
 * shall not get one. */
int tc_leads_home(char *const *env, const char *path);
/* The user's config, without -c and working directory: $TASKCACHE_CONFIG,
 * $XDG_CONFIG_HOME/taskcache/config.yaml, $HOME/.config/taskcache/config.yaml; the first whose
 * variable is set and absolute. -ENOENT. */
int tc_config_path(char *const *env, char *ret, size_t bytes);

/* "CACHEID" for a directory's device and inode. */
int tc_cache_id(uint64_t dev, uint64_t ino, char *ret, size_t bytes);
/* RUNTIME/CACHEID.page, RUNTIME/CACHEID.vWIRE-FLAT.sock, RUNTIME/config-HEX.flat,
 * RUNTIME/run-HEX.counters. Only who speaks the same messages and reads the same files meets at the
 * socket. */
int tc_page_path(const char *runtime, const char *id, char *ret, size_t bytes);
int tc_socket_path(const char *runtime, const char *id, char *ret, size_t bytes);
int tc_config_flat_path(const char *runtime, const char *hex, char *ret, size_t bytes);
int tc_run_page_path(const char *runtime, const char *run_id, char *ret, size_t bytes);
/* CACHE/plans-HEX.flat */
int tc_plans_path(const char *cache, const uint8_t digest[16], char *ret, size_t bytes);

#endif
