#include "cache/object_glob.h"

#include <fnmatch.h>
#include <string.h>

int tc_object_glob_next(const char **globs, char ret_glob[TC_OBJECT_GLOB_BYTES])
{
    while (**globs != 0) {
        const char *glob = *globs;
        size_t bytes = strcspn(glob, "|");

        *globs += bytes + (glob[bytes] == '|');
        if (bytes == 0 || bytes >= TC_OBJECT_GLOB_BYTES)
            continue;
        memcpy(ret_glob, glob, bytes);
        ret_glob[bytes] = 0;
        return 1;
    }
    return 0;
}

int tc_object_glob(const char *globs, const char *name)
{
    char glob[TC_OBJECT_GLOB_BYTES];

    while (tc_object_glob_next(&globs, glob))
        if (fnmatch(glob, name, 0) == 0)
            return 1;
    return 0;
}
