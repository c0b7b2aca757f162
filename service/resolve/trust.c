#include "service/resolve/trust.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */

/* The walk: `done` is trusted and holds no symbolic link, `rest` is still to go. */
struct walk {
    uid_t uid;
    gid_t gid;
    char done[PATH_MAX], rest[PATH_MAX];
    int links;
};

static gid_t primary_group(uid_t uid)
{
    struct passwd entry, *found = NULL;
    char buffer[4096];

    if (uid == getuid())
        return getgid();
    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
        return found->pw_gid;
    return (gid_t)-1;
}

static int entry_trusted(const struct walk *w, const struct stat *st)
{
    if (st->st_uid != w->uid && st->st_uid != 0)
        return 0;
    if (S_ISLNK(st->st_mode) || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)))
        return 1;
    if (st->st_mode & S_IWOTH)
        return 0;
    return !(st->st_mode & S_IWGRP) || st->st_gid == w->gid;
}

/* Puts a link's target in front of the rest. */
static int follow(struct walk *w, const char *link)
{
    char target[PATH_MAX], joined[PATH_MAX];
    ssize_t n;
    int length;

    if (++w->links > MAX_LINKS)
        return -ELOOP;
    n = readlink(link, target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = 0;
    length = snprintf(joined, sizeof joined, "%s/%s", target, w->rest);
    if (length < 0 || (size_t)length >= sizeof joined)
        return -ENAMETOOLONG;
    memcpy(w->rest, joined, (size_t)length + 1);
    if (target[0] == '/')
        w->done[0] = 0;
    return 0;
}

/* Takes the first component off the rest; 0 at the end. */
static size_t take(struct walk *w, char *ret_name)
{
    size_t skip = strspn(w->rest, "/");
    size_t bytes = strcspn(w->rest + skip, "/");

    memcpy(ret_name, w->rest + skip, bytes);
    ret_name[bytes] = 0;
    memmove(w->rest, w->rest + skip + bytes, strlen(w->rest + skip + bytes) + 1);
    return bytes;
}

static int step(struct walk *w, const char *name, char *path, size_t bytes)
{
    struct stat st;
    int n;

    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(w->done, '/');

        if (slash != NULL)
            *slash = 0;
        return 0;
    }
    n = snprintf(path, bytes, "%s/%s", w->done, name);
    if (n < 0 || (size_t)n >= bytes)
        return -ENAMETOOLONG;
    if (lstat(path, &st) < 0)
        return -errno;
    if (!entry_trusted(w, &st))
        return -EPERM;
    if (S_ISLNK(st.st_mode))
        return follow(w, path);
    memcpy(w->done, path, (size_t)n + 1);
    return 0;
}

int tc_trusted(const char *path, uid_t uid, char *ret_culprit, size_t bytes)
{
    struct walk w = {.uid = uid, .gid = primary_group(uid)};
    char name[PATH_MAX], at[PATH_MAX] = "/";
    struct stat root;
    size_t length = strlen(path);
    int r;

    if (path[0] != '/')
        return -EINVAL;
    if (length >= sizeof w.rest)
        return -ENAMETOOLONG;
    memcpy(w.rest, path, length + 1);
    if (stat("/", &root) < 0)
        return -errno;
    r = entry_trusted(&w, &root) ? 0 : -EPERM;
    while (r == 0 && take(&w, name) > 0)
        r = step(&w, name, at, sizeof at);
    if (r == -EPERM && ret_culprit != NULL)
        (void)snprintf(ret_culprit, bytes, "%s", at);
    return r;
}
