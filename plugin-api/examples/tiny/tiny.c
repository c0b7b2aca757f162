/*
 * All that a plugin can have, in one page: tasks, options, a key function, a codec, an observer, a
 * storage, a lock manager, for the functions of program.c. test.sh has a config, and runs it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <taskcache/plugin.h>
#include <time.h>
#include <unistd.h>

static const struct taskcache_task tasks[] = {
    /* The declaration from the header, and what C can't say: x points at n doubles. */
    TASKCACHE_TASK(.symbol = "slow_sum", .prototype = "double slow_sum(const double x[n], int n)"),
    TASKCACHE_TASK(.symbol = "slow_forecast", .prototype = "double slow_forecast(int64_t when)",
                   .cache_policy = "KEY(tiny.hour) + TASK_SOURCE", .skip = "when < 0"),
    TASKCACHE_TASK(.symbol = "slow_sort", .types = "typedef struct words words;",
                   .prototype = "codec(words) words *slow_sort(codec(words) const words *w)"),
};

#pragma GCC diagnostic ignored "-Wunused-parameter" /* few need all that they are given */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define CALL  void *data, const struct taskcache_call *call
#define ERROR struct taskcache_error *error

static const struct taskcache_host *host;
static int64_t hour_seconds = 3600; /* forecasts hold for so long: it is their key */

static int hour(CALL, struct taskcache_cursor *key, ERROR)
{
    const struct taskcache_value *when = taskcache_value(call, "when");

    if (when == NULL || when->kind != TASKCACHE_INTEGER)
        return -EINVAL; /* somebody's config has it for another task: that runs uncached */
    taskcache_put(key, (int64_t[]){hour_seconds, when->integer / hour_seconds}, 16);
    return 0;
}

/* Only who knows the library knows a `words`: a block that begins with its size, a size_t. */
static int digest(CALL, const void *words, struct taskcache_digest *to, ERROR)
{
    host->add(to, words, *(const size_t *)words);
    return 0;
}

static int encode(CALL, const void *words, struct taskcache_cursor *to, ERROR)
{
    taskcache_put(to, words, *(const size_t *)words);
    return 0;
}

static int decode(CALL, const void *bytes, uint64_t count, void **words, ERROR)
{
    *words = host->allocate(count);
    return *words != NULL && memcpy(*words, bytes, count) != NULL ? 0 : -ENOMEM;
}

/* The last ones run in processes of their own, not in the program. */
static void notify(void *file, const struct taskcache_event *e)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    dprintf(fd, "%s %u %llu\n", e->task, e->kind, (unsigned long long)e->count);
    close(fd);
}

static int enter(void *option, ERROR)
{
    const struct taskcache_option *o = host->option(host, option);

    return o != NULL && chdir(o->text) == 0 ? 0 : -ENOTDIR;
}

static int get(void *data, const char *key, struct taskcache_cursor *to, ERROR)
{
    char part[4096];
    int fd = open(key, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? 0 : -errno;

    while (fd >= 0 && (n = read(fd, part, sizeof part)) > 0)
        taskcache_put(to, part, (uint64_t)n); /* what there is no room for is counted */
    close(fd);
    return (int)n;
}

static int put(void *data, const char *key, const void *bytes, uint64_t count, ERROR)
{
    char part[] = "part-XXXXXX"; /* another name first: nobody gets half of it */
    int fd = mkstemp(part), whole = write(fd, bytes, count) == (ssize_t)count;

    if (close(fd) == 0 && whole && rename(part, key) == 0)
        return 0;
    unlink(part);
    return -EIO;
}

/* The key's file says until when it is whose; flock(): only one at a time looks and changes. */
static int acquire(void *is_new, const char *key, const char *owner, uint64_t ttl_ns, ERROR)
{
    int64_t lock[5] = {0}, now_s = time(NULL);
    int fd = open(key, O_RDWR | O_CREAT | O_CLOEXEC, 0600), r = 0;

    if (flock(fd, LOCK_EX) != 0 || pread(fd, lock, sizeof lock, 0) < 0)
        r = -EIO;
    else if (memcmp(&lock[1], owner, 32) != 0 && (is_new == NULL || lock[0] > now_s))
        r = is_new != NULL ? -EBUSY : -ENOENT;
    lock[0] = now_s + (int64_t)(ttl_ns / 1000000000);
    memcpy(&lock[1], owner, 32);
    if (r == 0 && pwrite(fd, lock, sizeof lock, 0) != sizeof lock)
        r = -EIO;
    close(fd);
    return r;
}

static int renew(void *data, const char *key, const char *owner, uint64_t ttl_ns, ERROR)
{
    return acquire(NULL, key, owner, ttl_ns, error);
}

static int release(void *data, const char *key, const char *owner, ERROR)
{
    return acquire(NULL, key, owner, 0, error);
}

static int init(const struct taskcache_host *h, ERROR)
{
    const struct taskcache_option *seconds = h->option(h, "hour"), *file = h->option(h, "events");
    struct taskcache_key_function key = {sizeof key, 0, "hour", NULL, hour};
    struct taskcache_codec codec = {sizeof codec, 1, "words", NULL, digest, encode, decode};
    struct taskcache_observer lines = {sizeof lines, 0, "lines", NULL, notify};
    struct taskcache_storage shelf = {sizeof shelf, 0, "shelf", (void *)"results", enter, get, put};
    struct taskcache_lock_manager m = {sizeof m, 0,       "locks", (void *)"locks",
                                       enter,    acquire, renew,   release};
    int r;

    host = h;
    if (seconds != NULL && (hour_seconds = seconds->integer) <= 0)
        h->cause(error, "option `hour` is a number of seconds");
    lines.data = file != NULL ? (void *)file->text : (void *)"/dev/null";
    r = hour_seconds <= 0 || h->add_key_function(h, &key) || h->add_codec(h, &codec) ||
        h->add_observer(h, &lines) || h->add_storage(h, &shelf) || h->add_lock_manager(h, &m);
    return r == 0 ? 0 : -EINVAL;
}

/* Nothing changes after init(): threads and forks do no harm. */
TASKCACHE_PLUGIN_WITH_CODE("tiny", "1.0", "MIT", "Functions of an imaginary libslow", tasks,
                           TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE, init);
