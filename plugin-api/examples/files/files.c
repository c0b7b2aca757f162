/*
 * A storage: results as files of a directory, which several machines share, say; a lock manager:
 * files with an owner and the end of its time in each, so the machines' clocks are to agree.
 *
 *     plugins: [ { path: files, options: { locks: /net/locks } } ]
 *     storages: { fleet: { type: files.directory, options: { path: /net/results } } }
 *     policies:
 *       once: { policy: INPUTS, isolation_level: SERIALIZABLE, lock_manager: files.locks }
 *     tasks: [ { symbol: solve, result_storage: fleet, cache_policy: once } ]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <taskcache/plugin.h>
#include <time.h>
#include <unistd.h>

static const struct taskcache_host *host;
static const char *directory; /* one: each storage and lock manager has a process of its own */

/* -ENOENT is an answer as well, whose cause nobody reads. */
static int failed(struct taskcache_error *error, const char *what)
{
    host->cause(error, what);
    return errno != 0 ? -errno : -EIO;
}

/* Of the storage and of the locks; `option` says where. */
static int enter(void *option, struct taskcache_error *error)
{
    const struct taskcache_option *path = host->option(host, option);
    char wrong[80];

    if (path == NULL || path->text[0] != '/' || strlen(path->text) > 3000) {
        (void)snprintf(wrong, sizeof wrong, "the option `%s` is to name a directory, from the root",
                       (const char *)option);
        host->cause(error, wrong);
        return -EINVAL;
    }
    directory = path->text;
    return mkdir(directory, 0700) == 0 || errno == EEXIST ? 0 : failed(error, directory);
}

static char *name_file(char ret[4096], const char *key, const char *end)
{
    (void)snprintf(ret, 4096, "%s/%s%s", directory, key, end);
    return ret;
}

static int get(void *data, const char *key, struct taskcache_cursor *to,
               struct taskcache_error *error)
{
    char name[4096], part[4096];
    FILE *f = fopen(name_file(name, key, ""), "rbe");
    size_t n;
    int r;

    (void)data;
    if (f == NULL)
        return failed(error, name);
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        taskcache_put(to, part, n); /* what there's no room for is counted */
    r = ferror(f) != 0 ? failed(error, name) : 0;
    (void)fclose(f);
    return r;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* First under a name that nobody else has: whoever reads gets all of it, or what was there. */
static int put(void *data, const char *key, const void *bytes, uint64_t count,
               struct taskcache_error *error)
{
    char name[4096], part[4096], end[64];
    FILE *f;
    int r;

    (void)data;
    (void)snprintf(end, sizeof end, ".%ld.%llu", (long)getpid(), (unsigned long long)now_ns());
    f = fopen(name_file(part, key, end), "wbxe");
    if (f == NULL)
        return failed(error, part);
    r = fwrite(bytes, 1, count, f) == count ? 0 : failed(error, part);
    if (fclose(f) != 0 && r == 0)
        r = failed(error, part);
    if (r == 0 && rename(part, name_file(name, key, "")) != 0)
        r = failed(error, name);
    if (r != 0)
        (void)remove(part);
    return r;
}

static int remove_file(void *data, const char *key, struct taskcache_error *error)
{
    char name[4096];

    (void)data;
    return remove(name_file(name, key, "")) == 0 ? 0 : failed(error, name);
}

static int exists(void *data, const char *key, struct taskcache_error *error)
{
    char name[4096];

    (void)data;
    return access(name_file(name, key, ""), R_OK) == 0 ? 0 : failed(error, name);
}

static int list(void *data, void (*each)(void *to, const char *key), void *to,
                struct taskcache_error *error)
{
    DIR *d = opendir(directory);

    (void)data;
    if (d == NULL)
        return failed(error, directory);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strlen(e->d_name) == 32)
            each(to, e->d_name);
    (void)closedir(d);
    return 0;
}

/* Whose is it? An open and locked descriptor, so that only one looks and changes at a time. */
static int look(const char *key, char ret_owner[33], struct taskcache_error *error)
{
    char name[4096], text[80] = "";
    unsigned long long until = 0;
    int fd = open(name_file(name, key, ""), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return failed(error, name);
    if (flock(fd, LOCK_EX) != 0 || pread(fd, text, sizeof text - 1, 0) < 0) {
        (void)failed(error, name);
        (void)close(fd);
        return -EIO;
    }
    if (sscanf(text, "%32s %llu", ret_owner, &until) != 2 || until <= now_ns())
        ret_owner[0] = 0;
    return fd;
}

/* For `ttl_ns` from now on. `data`: whether it may be nobody's so far. */
static int acquire(void *data, const char *key, const char *owner, uint64_t ttl_ns,
                   struct taskcache_error *error)
{
    char who[33] = "", text[80];
    int fd = look(key, who, error), r = 0, bytes;

    if (fd < 0)
        return fd;
    bytes = snprintf(text, sizeof text, "%s %020llu\n", owner,
                     ttl_ns != 0 ? (unsigned long long)(now_ns() + ttl_ns) : 0);
    if (strcmp(who, owner) != 0 && (data == NULL || who[0] != 0))
        r = data != NULL ? -EBUSY : -ENOENT;
    else if (pwrite(fd, text, (size_t)bytes, 0) != bytes)
        r = failed(error, key);
    (void)close(fd);
    return r;
}

static int renew(void *data, const char *key, const char *owner, uint64_t ttl_ns,
                 struct taskcache_error *error)
{
    (void)data;
    return acquire(NULL, key, owner, ttl_ns, error);
}

static int release(void *data, const char *key, const char *owner, struct taskcache_error *error)
{
    (void)data;
    return acquire(NULL, key, owner, 0, error);
}

static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static const struct taskcache_storage storage = {
        sizeof storage, 0, "directory", (void *)"path", enter, get, put, remove_file, exists, list};
    static const struct taskcache_lock_manager locks = {
        sizeof locks, 0, "locks", (void *)"locks", enter, acquire, renew, release, NULL};
    int r;

    (void)error;
    host = h;
    r = h->add_storage(h, &storage);
    return r != 0 ? r : h->add_lock_manager(h, &locks);
}

TASKCACHE_PLUGIN_OF_CODE("files", "1.0", "MIT", "Results as files of a directory", 0, init);
