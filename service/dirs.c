#include "service/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

extern char **environ;

/* May we believe what this file or directory says: ours or root's, and not writable by everyone
 * (sticky directories are fine)? */
static int is_trusted(const struct stat *st)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return 0;
    return (st->st_mode & S_IWOTH) == 0 || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0);
}

/* Is every directory above `path` (absolute, without symbolic links) to be trusted? */
static int check_parents(const char *path, struct tc_failure *f)
{
    char part[TC_PATH_BYTES];
    struct stat st;

    for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++) {
        size_t n = slash == path ? 1 : (size_t)(slash - path);

        memcpy(part, path, n);
        part[n] = 0;
        if (lstat(part, &st) < 0)
            return tc_fail(f, TC_R_UNTRUSTED, errno, "%s: %s", part, strerror(errno));
        if (!is_trusted(&st))
            return tc_fail(f, TC_R_UNTRUSTED, EPERM,
                           "%s: others could replace what is in this directory", part);
    }
    return 0;
}

/* Opens a directory of our own and takes away others' access. `flags` may forbid symbolic links. */
static int open_own(const char *path, int flags, enum tc_reason missing, int *ret_fd,
                    struct tc_failure *f)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags), error = errno;
    struct stat st;

    if (fd < 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        return tc_fail(f, TC_R_UNTRUSTED, EPERM, "%s: it is a symbolic link", path);
    if (fd < 0)
        return tc_fail(f, missing, error, "%s: %s", path, strerror(error));
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & S_IWOTH) != 0) {
        (void)close(fd);
        return tc_fail(f, TC_R_UNTRUSTED, EPERM, "%s: it isn't yours alone to write to", path);
    }
    if ((st.st_mode & 077) != 0)
        (void)fchmod(fd, 0700);
    *ret_fd = fd;
    return 0;
}

int tc_dirs_open_runtime(struct tc_dirs *d, struct tc_failure *f)
{
    int r = tc_runtime_dir(environ, geteuid(), d->runtime, sizeof d->runtime);

    if (r < 0)
        return tc_fail(f, TC_R_NO_RUNTIME_DIR, -r, "its name is too long");
    if (mkdir(d->runtime, 0700) < 0 && errno != EEXIST)
        return tc_fail(f, TC_R_NO_RUNTIME_DIR, errno, "%s: %s", d->runtime, strerror(errno));
    return open_own(d->runtime, O_NOFOLLOW, TC_R_NO_RUNTIME_DIR, &d->runtime_fd, f);
}

static int make_path(char *path, struct tc_failure *f)
{
    for (char *slash = path + 1;; slash++) {
        char saved;

        slash += strcspn(slash, "/");
        saved = *slash;
        *slash = 0;
        if (tc_leads_home(environ, path)
                ? access(path, F_OK) < 0
                : mkdir(path, 0700) < 0 && errno != EEXIST && access(path, F_OK) < 0)
            return tc_fail(f, TC_R_NO_CACHE_DIR, errno, "%s: %s", path, strerror(errno));
        *slash = saved;
        if (saved == 0)
            return 0;
    }
}

/* Magic numbers from linux/magic.h and the file systems' own sources. LMDB's map isn't coherent
 * with what others write there, nor are its locks. */
static int is_remote(int fd)
{
    static const uint32_t magic[] = {
        0x6969,                 /* NFS */
        0x517b,     0xff534d42, /* SMB, CIFS */
        0xfe534d42,             /* SMB2 */
        0x65735546,             /* FUSE: sshfs, and nobody knows what else */
        0x01021997,             /* 9p */
        0x00c36400,             /* Ceph */
        0x5346414f, 0x6b414653, /* OpenAFS, kernel AFS */
        0x73757245,             /* Coda */
        0x564c,                 /* NCP */
        0x0bd00bd0,             /* Lustre */
        0x01161970,             /* GFS2 */
        0x7461636f,             /* OCFS2 */
        0x47504653,             /* GPFS */
        0x19830326,             /* BeeGFS */
        0xaad7aaea,             /* PanFS */
        0x61636673,             /* ACFS */
        0x20030528,             /* OrangeFS */
        0x786f4256, 0xbacbacbc, /* vboxsf, vmhgfs */
        0x7c7c6673,             /* prl_fs */
    };
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return 0;
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++) {
        if ((uint32_t)fs.f_type == magic[i])
            return 1;
    }
    return 0;
}

/* So that backup programs leave the cache out (bford.info/cachedir). */
static void write_tag(int dirfd)
{
    static const char text[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                               "# This directory is a cache of taskcache.\n";
    int fd = openat(dirfd, "CACHEDIR.TAG", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    if (write(fd, text, sizeof text - 1) < 0)
        (void)unlinkat(dirfd, "CACHEDIR.TAG", 0);
    (void)close(fd);
}

/* The existing directory `path`: where it really is, and whether it will do. */
static int settle(struct tc_dirs *d, const char *path, struct tc_failure *f)
{
    char *real = realpath(path, NULL);
    struct stat st;
    int r;

    if (real == NULL)
        return tc_fail(f, TC_R_NO_CACHE_DIR, errno, "%s: %s", path, strerror(errno));
    r = tc_join(d->cache, sizeof d->cache, real, NULL, NULL, NULL);
    free(real);
    if (r < 0)
        return tc_fail(f, TC_R_NO_CACHE_DIR, -r, "its name is too long");
    r = check_parents(d->cache, f);
    if (r == 0)
        r = open_own(d->cache, O_NOFOLLOW, TC_R_NO_CACHE_DIR, &d->cache_fd, f);
    if (r < 0)
        return r;
    if (is_remote(d->cache_fd))
        return tc_fail(f, TC_R_NETWORK_FILE_SYSTEM, EREMOTE, "%s", d->cache);
    if (fstat(d->cache_fd, &st) < 0)
        return tc_fail(f, TC_R_NO_CACHE_DIR, errno, "%s: %s", d->cache, strerror(errno));
    d->cache_dev = st.st_dev;
    d->cache_ino = st.st_ino;
    return tc_cache_id(d->cache_dev, d->cache_ino, d->id, sizeof d->id);
}

int tc_dirs_open_cache(struct tc_dirs *d, const char *path, const char *config_path,
                       struct tc_failure *f)
{
    char wanted[TC_PATH_BYTES];
    int r;

    if (path != NULL)
        r = tc_join(wanted, sizeof wanted, path, NULL, NULL, NULL);
    else
        r = tc_cache_dir(environ, config_path, wanted, sizeof wanted);
    if (r < 0 || wanted[0] != '/')
        return tc_fail(f, TC_R_NO_CACHE_DIR, r < 0 ? -r : EINVAL, "%s",
                       tc_reason_info(TC_R_NO_CACHE_DIR)->sentence);
    r = make_path(wanted, f);
    if (r == 0)
        r = settle(d, wanted, f);
    if (r == 0)
        write_tag(d->cache_fd);
    return r;
}

void tc_dirs_close(struct tc_dirs *d)
{
    if (d->cache_fd >= 0)
        (void)close(d->cache_fd);
    if (d->runtime_fd >= 0)
        (void)close(d->runtime_fd);
    d->cache_fd = d->runtime_fd = -1;
}

int tc_dirs_cache_is_there(const struct tc_dirs *d)
{
    struct stat st;

    return stat(d->cache, &st) == 0 && st.st_dev == d->cache_dev && st.st_ino == d->cache_ino;
}
