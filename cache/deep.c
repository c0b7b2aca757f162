#include "cache/deep.h"

#include <string.h>

/* `*` and `?`; the pattern ends at `end`. */
static int matches(const char *p, const char *end, const char *s)
{
    const char *star = NULL, *again = NULL;

    while (*s != 0) {
        if (p < end && *p == '*') {
            star = ++p;
            again = s;
        } else if (p < end && (*p == '?' || *p == *s)) {
            p++;
            s++;
        } else if (star != NULL) {
            p = star;
            s = ++again;
        } else {
            return 0;
        }
    }
    while (p < end && *p == '*')
        p++;
    return p == end;
}

static int is_usual(const char *library)
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

int tc_deep_stops(const char *library, const char *globs)
{
    static const char usual[] = "default";

    if (globs[0] == 0)
        return is_usual(library);
    while (*globs != 0) {
        const char *end = globs;
        while (*end != 0 && *end != '|')
            end++;
        if ((size_t)(end - globs) == sizeof usual - 1 &&
            memcmp(globs, usual, sizeof usual - 1) == 0 && is_usual(library))
            return 1;
        if (end > globs && matches(globs, end, library))
            return 1;
        globs = *end != 0 ? end + 1 : end;
    }
    return 0;
}
