/*
 * Starting the service out of a process that was preloaded by hand. The host must not notice: the
 * child is made without an exit signal, its own child is not ours to wait for, and neither shares
 * memory that it could change.
 */
#include <errno.h>
#include <linux/sched.h>
#include <string.h>

#include "preload/client.h"
#include "preload/objects.h"
#include "preload/state.h"

#ifndef __WCLONE
#define __WCLONE 0x80000000
#endif

enum {
    MAX_ENV = 16,
};

/* What the service may know of the environment: where things lie. */
static void choose_environment(const char *ret[MAX_ENV])
{
    static const char *const kept[] = {"TASKCACHE_DIR=",
                                       "TASKCACHE_CLOCK_FILE=",
                                       "TASKCACHE_TEST_DEADLINE_MS=",
                                       "XDG_RUNTIME_DIR=",
                                       "XDG_CACHE_HOME=",
                                       "XDG_CONFIG_HOME=",
                                       "HOME=",
                                       "CACHE_DIRECTORY="};
    int n = 0;

    for (char *const *e = tc_state.env; *e != NULL && n + 1 < MAX_ENV; e++)
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (strlen(*e) >= strlen(kept[i]) && memcmp(*e, kept[i], strlen(kept[i])) == 0)
                ret[n++] = *e;
    ret[n] = NULL;
}

/* Beside our own file: in the same directory, where the build leaves it, or where it is installed.
 */
static int find_service(char *ret, size_t bytes)
{
    static const char *const places[] = {
        "/taskcached", "/../service/taskcached", "/../libexec/taskcache/taskcached",
        "/../../libexec/taskcache/taskcached", "/../../../libexec/taskcache/taskcached"};
    char dir[TC_PATH_BYTES];
    size_t n;

    if (tc_join(dir, sizeof dir, tc_own_path(), NULL, NULL, NULL) < 0)
        return -ENOENT;
    for (n = strlen(dir); n > 0 && dir[n] != '/'; n--)
        ;
    dir[n] = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (tc_join(ret, bytes, dir, places[i], NULL, NULL) == 0 &&
            TC_SYS(SYS_faccessat, AT_FDCWD, ret, 1 /* X_OK */, 0, 0, 0) == 0)
            return 0;
    }
    return -ENOENT;
}

/* Untraced: a debugger would take the child for a thread of the host, and follow it. */
static long fork_silently(void)
{
    return TC_SYS(SYS_clone, CLONE_UNTRACED, 0, 0, 0, 0, 0);
}

static char *put_decimal(char *end, uint64_t v)
{
    *--end = 0;
    do
        *--end = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    return end;
}

/* In the child: everything that the service shouldn't inherit goes. It makes itself a daemon. */
static void become_service(const char *path, const char *cache, uint64_t max_size_bytes)
{
    char limit[24];
    const char *argv[] = {path,
                          cache != NULL ? "--cache" : "--config",
                          cache != NULL ? cache : tc_state.config_path,
                          max_size_bytes != 0 ? "--max-size" : NULL,
                          put_decimal(limit + sizeof limit, max_size_bytes),
                          NULL};
    const char *env[MAX_ENV];

    choose_environment(env);
    TC_SYS(SYS_setsid, 0, 0, 0, 0, 0, 0);
    if (fork_silently() != 0)
        TC_SYS(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    if (TC_SYS(SYS_close_range, 0, ~0u, 0, 0, 0, 0) < 0)
        for (int fd = 0; fd < 1024; fd++)
            tc_sys_close(fd);
    for (int fd = 0; fd < 3; fd++)
        TC_SYS(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0, 0, 0);
    TC_SYS(SYS_execve, path, argv, env, 0, 0, 0);
    TC_SYS(SYS_exit_group, 127, 0, 0, 0, 0, 0);
}

int tc_start_service(const char *cache, uint64_t max_size_bytes)
{
    char path[TC_PATH_BYTES];
    long child;
    int status;

    if (!tc_state.constructing || find_service(path, sizeof path) < 0)
        return -ENOENT;
    child = fork_silently();
    if (child == 0)
        become_service(path, cache, max_size_bytes);
    if (child < 0)
        return (int)child;
    while (TC_SYS(SYS_wait4, child, &status, __WCLONE, NULL, 0, 0) == -EINTR)
        ;
    return 0;
}
