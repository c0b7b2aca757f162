#include "service/store/page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/clock.h"

#define SET(field, value)   __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define GET(field)          __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define PUBLISH(field, val) __atomic_store_n(&(field), (val), __ATOMIC_RELEASE)

static int map_fd(int fd, struct tc_shared_page **ret)
{
    void *p = mmap(NULL, sizeof **ret, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return -errno;
    *ret = p;
    return 0;
}

static int is_ours(const struct tc_shared_page *p, uint64_t dev, uint64_t ino)
{
    return p->magic == TC_PAGE_MAGIC && p->version == TC_PAGE_VERSION && p->bytes == sizeof *p &&
           p->cache_dev == dev && p->cache_ino == ino;
}

int tc_page_adopt(const char *path, uint64_t dev, uint64_t ino, struct tc_shared_page **ret)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct tc_shared_page *page = NULL;
    struct stat st;
    int r;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        st.st_size != (off_t)sizeof *page || posix_fallocate(fd, 0, sizeof *page) != 0) {
        (void)close(fd);
        return -ESTALE;
    }
    r = map_fd(fd, &page);
    (void)close(fd);
    if (r < 0)
        return r;
    if (!is_ours(page, dev, ino)) {
        tc_page_unmap(page);
        return -ESTALE;
    }
    *ret = page;
    return 0;
}

static void fill(struct tc_shared_page *p, uint64_t dev, uint64_t ino, uint64_t seed)
{
    p->magic = TC_PAGE_MAGIC;
    p->version = TC_PAGE_VERSION;
    p->bytes = sizeof *p;
    p->cache_dev = dev;
    p->cache_ino = ino;
    p->seed = seed;
    p->started_ns = tc_wall_ns();
    /* Epoch 0 and heat 1: as long ago as the byte can say. */
    memset(p->heat, 1, sizeof p->heat);
}

int tc_page_create(const char *path, uint64_t dev, uint64_t ino, uint64_t seed,
                   struct tc_shared_page **ret)
{
    struct tc_shared_page *page = NULL;
    char name[4096];
    int n = snprintf(name, sizeof name, "%s.%ld.tmp", path, (long)getpid());
    int fd, r;

    if (n < 0 || (size_t)n >= sizeof name)
        return -ENAMETOOLONG;
    (void)unlink(name);
    fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    /* Preallocated: a store into a hole of a full tmpfs would be SIGBUS, in targets too. */
    r = -posix_fallocate(fd, 0, sizeof *page);
    if (r == 0)
        r = map_fd(fd, &page);
    (void)close(fd);
    if (r < 0)
        goto remove;
    fill(page, dev, ino, seed);
    if (rename(name, path) < 0) {
        r = -errno;
        tc_page_unmap(page);
        goto remove;
    }
    *ret = page;
    return 0;
remove:
    (void)unlink(name);
    return r;
}

void tc_page_unmap(struct tc_shared_page *page)
{
    if (page != NULL)
        (void)munmap(page, sizeof *page);
}

void tc_page_retire(struct tc_shared_page *page)
{
    PUBLISH(page->ready, 0);
}

static int same_data(const struct tc_shared_page *p, const struct tc_page_data *d)
{
    return p->generation != 0 && (p->generation & 1) == 0 && p->data_dev == d->dev &&
           p->data_ino == d->ino && strncmp(p->data_file, d->file, sizeof p->data_file) == 0;
}

void tc_page_set_data(struct tc_shared_page *page, const struct tc_page_data *d)
{
    uint64_t generation = GET(page->generation);
    int same = same_data(page, d);

    if (!same) {
        SET(page->generation, generation | 1);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        memset(page->data_file, 0, sizeof page->data_file);
        memcpy(page->data_file, d->file, strnlen(d->file, sizeof page->data_file - 1));
        SET(page->data_dev, d->dev);
        SET(page->data_ino, d->ino);
    }
    PUBLISH(page->floor, d->floor);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    SET(page->data_bytes, d->bytes);
    PUBLISH(page->ceiling, d->txnid);
    if (!same)
        PUBLISH(page->generation, (generation | 1) + 1);
    SET(page->service_pid, (uint32_t)getpid());
    PUBLISH(page->ready, 1);
}

void tc_page_set_floor(struct tc_shared_page *page, uint64_t txnid)
{
    /* Nothing that the writer does with the pages of the released pin may come before it. */
    PUBLISH(page->floor, txnid);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void tc_page_set_ceiling(struct tc_shared_page *page, uint64_t txnid, uint64_t data_bytes)
{
    SET(page->data_bytes, data_bytes);
    PUBLISH(page->ceiling, txnid);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
