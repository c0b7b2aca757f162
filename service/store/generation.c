#include "service/store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* N of "store-N" followed by `suffix`, 0 if it isn't that. */
static unsigned number_of(const char *name, const char *suffix)
{
    char *end;
    unsigned long n;

    if (strncmp(name, "store-", 6) != 0 || name[6] < '1' || name[6] > '9')
        return 0;
    n = strtoul(name + 6, &end, 10);
    return strcmp(end, suffix) == 0 && n < 1000000000 ? (unsigned)n : 0;
}

static DIR *open_dir(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = own >= 0 ? fdopendir(own) : NULL;

    if (d == NULL && own >= 0)
        (void)close(own);
    return d;
}

unsigned tc_store_number(int cache_fd)
{
    DIR *d = open_dir(cache_fd);
    unsigned newest = 0, aside = 0;

    if (d == NULL)
        return 1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        unsigned n = number_of(e->d_name, ""), a = number_of(e->d_name, ".damaged");
        newest = n > newest ? n : newest;
        aside = a > aside ? a : aside;
    }
    (void)closedir(d);
    return newest != 0 ? newest : aside + 1;
}

static void remove_store(int cache_fd, const char *name)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "damaged"};
    int fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)unlinkat(fd, files[i], 0);
    (void)close(fd);
    (void)unlinkat(cache_fd, name, AT_REMOVEDIR);
}

static void remove_older_damaged(int cache_fd, unsigned kept)
{
    DIR *d = open_dir(cache_fd);

    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        unsigned n = number_of(e->d_name, ".damaged");
        if (n != 0 && n != kept)
            remove_store(cache_fd, e->d_name);
    }
    (void)closedir(d);
}

int tc_store_set_aside(struct tc_store *s)
{
    char from[64], to[80];

    (void)snprintf(from, sizeof from, "store-%u", s->number);
    (void)snprintf(to, sizeof to, "store-%u.damaged", s->number);
    if (renameat(s->options.cache_fd, from, s->options.cache_fd, to) < 0)
        return -errno;
    remove_older_damaged(s->options.cache_fd, s->number);
    s->aside = s->number;
    return 0;
}

int tc_store_is_marked_damaged(const struct tc_store *s)
{
    char name[64];
    struct stat st;

    (void)snprintf(name, sizeof name, "store-%u/damaged", s->number);
    return fstatat(s->options.cache_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
