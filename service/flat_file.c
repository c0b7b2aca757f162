#include "service/flat_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LARGEST_FILE (1 << 30)

static int map(int fd, struct tc_flat_file *ret)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size > LARGEST_FILE ||
        st.st_size < (off_t)sizeof(struct tc_flat_header))
        return -EBADMSG;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    ret->map = p;
    ret->bytes = (size_t)st.st_size;
    return 0;
}

int tc_flat_file_open(const char *path, enum tc_flat_kind kind, struct tc_flat_file *ret)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), r;
    struct tc_flat_file f;

    if (fd < 0)
        return -errno;
    r = map(fd, &f);
    (void)close(fd);
    if (r < 0)
        return r;
    r = tc_flat_check(f.map, f.bytes, kind, &f.flat);
    if (r < 0) {
        tc_flat_file_close(&f);
        return r;
    }
    *ret = f;
    return 0;
}

void tc_flat_file_close(struct tc_flat_file *f)
{
    if (f->map != NULL)
        (void)munmap(f->map, f->bytes);
    f->map = NULL;
}

struct tc_file_id tc_file_id_of(const struct stat *st)
{
    return (struct tc_file_id){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
    };
}

int tc_same_file_id(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static int matches(const char *name, const char *prefix, const char *suffix)
{
    size_t n = strlen(name), p = strlen(prefix), s = strlen(suffix);

    return n >= p + s && strncmp(name, prefix, p) == 0 && strcmp(name + n - s, suffix) == 0;
}

void tc_sweep(int dirfd, const char *prefix, const char *suffix, long age_s)
{
    int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = own >= 0 ? fdopendir(own) : NULL;
    time_t now = time(NULL);
    struct stat st;

    if (d == NULL) {
        if (own >= 0)
            (void)close(own);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (matches(e->d_name, prefix, suffix) &&
            fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            now - st.st_mtime > age_s)
            (void)unlinkat(dirfd, e->d_name, 0);
    }
    (void)closedir(d);
}
