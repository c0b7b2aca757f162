#include "service/plugin_dirs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/places.h"

#ifndef TC_PLUGINDIR
#define TC_PLUGINDIR "/usr/local/lib/taskcache/plugins"
#endif

static char beside[TC_PATH_BYTES], own[TC_PATH_BYTES];
static const char *dirs[3];

/* The service's file is BUILD/service/taskcached, the plugins are in BUILD/plugins. */
static int find_beside(void)
{
    char self[TC_PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0)
        return -1;
    self[n] = 0;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(self, '/');
        if (slash == NULL)
            return -1;
        *slash = 0;
    }
    return tc_join(beside, sizeof beside, self, "/plugins", NULL, NULL);
}

const char *const *tc_plugin_dirs(size_t *ret_count)
{
    const char *home = getenv("HOME");
    size_t n = 0;

    if (home != NULL && home[0] == '/' &&
        tc_join(own, sizeof own, home, "/.local/lib/taskcache/plugins", NULL, NULL) == 0)
        dirs[n++] = own;
    if (find_beside() == 0 && access(beside, X_OK) == 0)
        dirs[n++] = beside;
    dirs[n++] = TC_PLUGINDIR;
    *ret_count = n;
    return dirs;
}
