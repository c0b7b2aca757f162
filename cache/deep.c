#include "cache/deep.h"

#include <string.h>

int tc_deep_stops(const char *library)
{
    static const char *const names[] = {
        "libc.so.", "libm.so.",    "libgcc_s.so.",   "libstdc++.so.", "libgfortran.so.", "ld-linux",
        "ld64.so.", "libmvec.so.", "libpthread.so.", "libdl.so.",     "librt.so.",
    };

    size_t bytes = strlen(library);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (bytes >= strlen(names[i]) && memcmp(library, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}
