#include "cache/places.h"

#include <errno.h>

#include "cache/flat.h"
#include "cache/hash.h"
#include "cache/wire.h"

const char *tc_env(char *const *env, const char *name)
{
    for (; env != NULL && *env != NULL; env++) {
        const char *e = *env, *n = name;

        while (*n != 0 && *e == *n) {
            e++;
            n++;
        }
        if (*n == 0 && *e == '=')
            return e + 1;
    }
    return NULL;
}

int tc_join(char *ret, size_t bytes, const char *a, const char *b, const char *c, const char *d)
{
    const char *part[4] = {a, b, c, d};
    size_t at = 0;

    for (int i = 0; i < 4; i++) {
        for (const char *p = part[i]; p != NULL && *p != 0; p++) {
            if (at + 1 >= bytes)
                goto too_long;
            ret[at++] = *p;
        }
    }
    if (bytes == 0)
        return -ENAMETOOLONG;
    ret[at] = 0;
    return 0;
too_long:
    if (bytes > 0)
        ret[0] = 0;
    return -ENAMETOOLONG;
}

/* The variable, if it holds an absolute path (the XDG base directory specification has relative
 * ones ignored). */
static const char *absolute(char *const *env, const char *name)
{
    const char *value = tc_env(env, name);

    return value != NULL && value[0] == '/' ? value : NULL;
}

static void decimal(uint32_t n, char ret[11])
{
    char digits[10];
    int count = 0;

    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    while (count > 0)
        *ret++ = digits[--count];
    *ret = 0;
}

int tc_runtime_dir(char *const *env, uint32_t uid, char *ret, size_t bytes)
{
    const char *xdg = absolute(env, "XDG_RUNTIME_DIR");
    char number[11];

    if (xdg != NULL)
        return tc_join(ret, bytes, xdg, "/taskcache", NULL, NULL);
    decimal(uid, number);
    return tc_join(ret, bytes, "/dev/shm/taskcache-", number, NULL, NULL);
}

/* systemd's CACHE_DIRECTORY may list several, separated by colons: the first. */
static int first_of_list(const char *list, char *ret, size_t bytes)
{
    int r = tc_join(ret, bytes, list, NULL, NULL, NULL);

    for (char *p = ret; r == 0 && *p != 0; p++) {
        if (*p == ':') {
            *p = 0;
            break;
        }
    }
    return r;
}

int tc_cache_dir(char *const *env, const char *config_path, char *ret, size_t bytes)
{
    const char *dir = absolute(env, "TASKCACHE_DIR");

    if (dir == NULL && config_path != NULL && config_path[0] == '/')
        dir = config_path;
    if (dir != NULL)
        return tc_join(ret, bytes, dir, NULL, NULL, NULL);
    dir = absolute(env, "XDG_CACHE_HOME");
    if (dir != NULL)
        return tc_join(ret, bytes, dir, "/taskcache", NULL, NULL);
    dir = absolute(env, "HOME");
    if (dir != NULL)
        return tc_join(ret, bytes, dir, "/.cache/taskcache", NULL, NULL);
    dir = absolute(env, "CACHE_DIRECTORY");
    if (dir != NULL)
        return first_of_list(dir, ret, bytes);
    return -ENOENT;
}

int tc_leads_home(char *const *env, const char *path)
{
    const char *home = absolute(env, "HOME");

    while (home != NULL && *path != 0 && *path == *home) {
        path++;
        home++;
    }
    return home != NULL && *path == 0 && (*home == 0 || *home == '/');
}

int tc_config_path(char *const *env, char *ret, size_t bytes)
{
    const char *path = absolute(env, "TASKCACHE_CONFIG");

    if (path != NULL)
        return tc_join(ret, bytes, path, NULL, NULL, NULL);
    path = absolute(env, "XDG_CONFIG_HOME");
    if (path != NULL)
        return tc_join(ret, bytes, path, "/taskcache/config.yaml", NULL, NULL);
    path = absolute(env, "HOME");
    if (path != NULL)
        return tc_join(ret, bytes, path, "/.config/taskcache/config.yaml", NULL, NULL);
    return -ENOENT;
}

/* As "%llx". */
static void hex_number(uint64_t n, char ret[17])
{
    static const char digits[] = "0123456789abcdef";
    int shift = 60;

    while (shift > 0 && n >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *ret++ = digits[n >> shift & 15];
    *ret = 0;
}

int tc_cache_id(uint64_t dev, uint64_t ino, char *ret, size_t bytes)
{
    char first[17], second[17];

    hex_number(dev, first);
    hex_number(ino, second);
    return tc_join(ret, bytes, first, "-", second, NULL);
}

int tc_page_path(const char *runtime, const char *id, char *ret, size_t bytes)
{
    return tc_join(ret, bytes, runtime, "/", id, ".page");
}

/* ".v5-18.sock" */
static void socket_ending(char ret[32])
{
    const unsigned versions[] = {TC_WIRE_VERSION, TC_FLAT_VERSION};
    const char *behind[] = {"-", ".sock"};

    *ret++ = '.';
    *ret++ = 'v';
    for (unsigned i = 0; i < 2; i++) {
        unsigned scale = 1;

        while (versions[i] / scale >= 10)
            scale *= 10;
        for (; scale > 0; scale /= 10)
            *ret++ = (char)('0' + versions[i] / scale % 10);
        for (const char *c = behind[i]; *c != 0; c++)
            *ret++ = *c;
    }
    *ret = 0;
}

int tc_socket_path(const char *runtime, const char *id, char *ret, size_t bytes)
{
    char ending[32];

    socket_ending(ending);
    return tc_join(ret, bytes, runtime, "/", id, ending);
}

int tc_config_flat_path(const char *runtime, const char *hex, char *ret, size_t bytes)
{
    return tc_join(ret, bytes, runtime, "/config-", hex, ".flat");
}

int tc_run_page_path(const char *runtime, const char *run_id, char *ret, size_t bytes)
{
    char hex[33];
    size_t length = 0;

    while (run_id[length] != 0)
        length++;
    tc_hash_hex(tc_hash128(run_id, length, 0), hex);
    return tc_join(ret, bytes, runtime, "/run-", hex, ".counters");
}

int tc_plans_path(const char *cache, const uint8_t digest[16], char *ret, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    char hex[33];

    for (int i = 0; i < 16; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[32] = 0;
    return tc_join(ret, bytes, cache, "/plans-", hex, ".flat");
}
