/*
 * What compressors go by beyond their arguments. Key functions (taskcache/plugin.h); an error where
 * it can't be told makes the call run uncached.
 */
#ifndef PLUGINS_COMPRESS_KEYS_H
#define PLUGINS_COMPRESS_KEYS_H

#include <taskcache/plugin.h>

/* Set by the plugin's init. */
extern const struct taskcache_host *keys_host;

/* KEY(compress.lzma_filters): the chain of filters that `filters` points at, and their options. */
int lzma_filters(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                 struct taskcache_error *error);

/* KEY(compress.zstd_parameters): all parameters of `cctx`. A context with a dictionary, a prefix or
 * a sequence producer is an error. */
int zstd_parameters(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                    struct taskcache_error *error);

#endif
