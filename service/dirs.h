/*
 * The two directories of a service: made if need be, and refused where they can't be trusted or
 * can't hold a store. One thread, at start.
 *
 * Both functions return 0 or a negative errno with the reason filled in: no-runtime-dir,
 * no-cache-dir, untrusted, network-file-system.
 */
#ifndef TC_SERVICE_DIRS_H
#define TC_SERVICE_DIRS_H

#include <stdint.h>
#include <sys/stat.h>

#include "cache/places.h"
#include "service/failure.h"

struct tc_dirs {
    char runtime[TC_PATH_BYTES];
    char cache[TC_PATH_BYTES]; /* real path */
    char id[64];               /* CACHEID */
    int runtime_fd, cache_fd;  /* -1: not open */
    uint64_t cache_dev, cache_ino;
};

#define TC_DIRS_NONE                     \
    {                                    \
        .runtime_fd = -1, .cache_fd = -1 \
    }

int tc_dirs_open_runtime(struct tc_dirs *d, struct tc_failure *f);
/* `path`: where it shall be (--cache), or NULL: the rules of cache/places.h with the config's
 * `cache.path`, "" if it names none. */
int tc_dirs_open_cache(struct tc_dirs *d, const char *path, const char *config_path,
                       struct tc_failure *f);
void tc_dirs_close(struct tc_dirs *d);

/* Is the cache directory still where it was? */
int tc_dirs_cache_is_there(const struct tc_dirs *d);

#endif
