/* Starting the service: found beside us, never through PATH, and left to itself. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/client.h"

#define READY_MS 15000

extern char **environ;

/* `near` is relative to the directory of our own file. */
static int find_own(const char *near, const char *installed, char *ret, size_t bytes)
{
    char self[TC_PATH_BYTES], path[TC_PATH_BYTES * 2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        *(strrchr(self, '/') + 1) = 0;
        (void)snprintf(path, sizeof path, "%s%s", self, near);
        TC_CLEANUP(tc_free_text) char *real = realpath(path, NULL);
        if (real && access(real, R_OK) == 0)
            return tc_join(ret, bytes, real, NULL, NULL, NULL);
    }
    return access(installed, R_OK) == 0 ? tc_join(ret, bytes, installed, NULL, NULL, NULL)
                                        : -ENOENT;
}

int tc_find_library(char *ret, size_t bytes)
{
    return find_own("../preload/libtaskcache.so", TC_LIBDIR "/libtaskcache.so", ret, bytes);
}

int tc_find_service(char *ret, size_t bytes)
{
    return find_own("../service/taskcached", TC_LIBEXECDIR "/taskcached", ret, bytes);
}

/* Only what the service needs: nothing that a loader, an allocator or debuginfod reads. */
static char **service_environment(void)
{
    static const char *const kept[] = {
        "TASKCACHE_", "XDG_",          "HOME=",          "CACHE_DIRECTORY=", "PATH=",
        "TZ=",        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    size_t count = 0, all = 0;
    while (environ[all])
        all++;
    char **env = tc_alloc((all + 1) * sizeof *env);
    for (size_t i = 0; i < all; i++)
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            if (strncmp(environ[i], kept[k], strlen(kept[k])) == 0)
                env[count++] = environ[i];
    return env;
}

/* In the grandchild: never returns. Nothing of ours stays open, so that whoever waits for the end
 * of our output doesn't wait for the service. */
static void become_service(const char *path, char **argv, char **env, int ready)
{
    (void)setsid();
    if (chdir("/") < 0)
        _exit(127);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(127);
    if (ready != 3 && dup2(ready, 3) < 0)
        _exit(127);
    (void)fcntl(3, F_SETFD, 0);
    (void)close_range(4, ~0u, 0);
    execve(path, argv, env);
    _exit(127);
}

/* Twice forked: the service is nobody's child who could wait for it, above all not that of the
 * program that we become. */
static int spawn(const char *path, char **argv, int *ret_ready)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    TC_CLEANUP(tc_close_fd) int theirs = ends[1];
    char **env = service_environment();
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            become_service(path, argv, env, theirs);
        _exit(grandchild < 0);
    }
    int error = errno, status = 0;
    free(env);
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
    if (child < 0 || status) {
        (void)close(ends[0]);
        return child < 0 ? -error : -EAGAIN;
    }
    *ret_ready = ends[0];
    return 0;
}

/* The one line that it writes when it is ready, or gives up. */
static int read_ready(int fd, char *line, size_t bytes)
{
    int64_t end = tc_monotonic_ms() + READY_MS;
    size_t n = 0;
    for (;;) {
        int64_t left = end - tc_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return -ETIMEDOUT;
        ssize_t got = read(fd, line + n, bytes - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        n += got > 0 ? (size_t)got : 0;
        line[n] = 0;
        line[strcspn(line, "\n")] = 0;
        if (got <= 0 || n == bytes - 1 || strlen(line) < n)
            return n ? 0 : -EPIPE;
    }
}

/* "error REASON-ID text"; a text that begins with a path and a colon says whom it is about. */
static int refused(const char *line, const char *subject, struct tc_cause *ret)
{
    char id[64] = "", path[512] = "";
    int skip = 0, behind = 0;
    if (sscanf(line, "error %63s %n", id, &skip) < 1)
        return tc_cause_set(ret, EPROTO, TC_R_SERVICE_FAILED, subject, "it said: %s", line);
    enum tc_reason reason = tc_reason_by_id(id);
    const char *text = line + skip;
    reason = reason ? reason : TC_R_SERVICE_FAILED;
    if (!skip || !*text)
        return tc_cause_set(ret, EIO, reason, subject, NULL);
    if (*text == '/' && sscanf(text, "%511[^:]: %n", path, &behind) == 1 && behind)
        return tc_cause_set(ret, EIO, reason, path, "%s", text + behind);
    return tc_cause_set(ret, EIO, reason, subject, "%s", text);
}

int tc_service_start(const char *config, const char *cache, uint64_t max_size_bytes,
                     struct tc_cause *ret_cause)
{
    char path[TC_PATH_BYTES], line[2048], limit[32];
    const char *subject = config ? config : cache;
    if (tc_find_service(path, sizeof path) < 0)
        return tc_cause_set(ret_cause, ENOENT, TC_R_SERVICE_FAILED, "taskcached",
                            "the service's program is neither beside cachectl nor in %s",
                            TC_LIBEXECDIR);
    char *argv[] = {(char *)(uintptr_t) "taskcached",
                    (char *)(uintptr_t)(config ? "--config" : "--cache"),
                    (char *)(uintptr_t)subject,
                    (char *)(uintptr_t) "--ready-fd",
                    (char *)(uintptr_t) "3",
                    NULL,
                    NULL,
                    NULL};
    (void)snprintf(limit, sizeof limit, "%llu", (unsigned long long)max_size_bytes);
    if (!config && max_size_bytes) {
        argv[5] = (char *)(uintptr_t) "--max-size";
        argv[6] = limit;
    }
    TC_CLEANUP(tc_close_fd) int ready = -1;
    int r = spawn(path, argv, &ready);
    if (r == 0)
        r = read_ready(ready, line, sizeof line);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_SERVICE_FAILED, subject,
                            r == -EPIPE       ? "the service ended without a word"
                            : r == -ETIMEDOUT ? "the service isn't ready after 15 s"
                                              : "the service can't be started");
    return strcmp(line, "ok") == 0 ? 0 : refused(line, subject, ret_cause);
}
