#include "tools/run_env.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/hash.h"

static void append(struct tc_text *to, const char *path, size_t bytes)
{
    if (to->bytes)
        tc_text_addn(to, ":", 1);
    tc_text_addn(to, path, bytes);
}

static bool is_same(const char *word, size_t bytes, const char *path)
{
    return strlen(path) == bytes && memcmp(word, path, bytes) == 0;
}

char *tc_preload_value(const char *existing, const char *library, const char *const *sanitizers)
{
    struct tc_text value = {0};
    for (const char *const *s = sanitizers; *s; s++)
        append(&value, *s, strlen(*s));
    append(&value, library, strlen(library));
    for (const char *p = existing; p && *p;) {
        size_t n = strcspn(p, ": ");
        bool known = n == 0 || is_same(p, n, library);
        for (const char *const *s = sanitizers; !known && *s; s++)
            known = is_same(p, n, *s);
        if (!known)
            append(&value, p, n);
        p += n + (p[n] != 0);
    }
    return value.data;
}

char *tc_asan_options(const char *existing)
{
    static const char option[] = "verify_asan_link_order=0";
    if (!existing || !*existing)
        return tc_copy(option);
    return strstr(existing, option) ? tc_copy(existing) : tc_format("%s:%s", existing, option);
}

int tc_random_run_id(char ret[33])
{
    struct tc_hash128 random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EIO;
    tc_hash_hex(random, ret);
    return 0;
}

/* A link in our own directory, named by what it points at. */
static char *link_to(const char *library, const char *runtime)
{
    char hex[33], target[4096];
    tc_hash_hex(tc_hash128(library, strlen(library), 0), hex);
    TC_CLEANUP(tc_free_text) char *dir = tc_format("%s/preload-%s", runtime, hex);
    TC_CLEANUP(tc_free_text) char *path = tc_format("%s/%s", dir, tc_basename(library));
    if (strpbrk(path, ": \t\n"))
        return NULL;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return NULL;
    if (symlink(library, path) < 0 && errno != EEXIST)
        return NULL;
    ssize_t n = readlink(path, target, sizeof target);
    if (n < 0 || !is_same(target, (size_t)n, library))
        return NULL;
    return tc_copy(path);
}

char *tc_preloadable(const char *library, const char *runtime)
{
    return strpbrk(library, ": \t\n") ? link_to(library, runtime) : tc_copy(library);
}
