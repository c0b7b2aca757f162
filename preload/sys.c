#include "preload/sys.h"

#include <errno.h>
#include <string.h>

static int id_of(int fd, const char *path, int flags, struct tc_file_id *ret, uint32_t *ret_mode,
                 uint32_t *ret_uid)
{
    struct stat st;
    long r = TC_SYS(SYS_newfstatat, fd, path, &st, flags, 0, 0);

    if (r < 0)
        return (int)r;
    *ret = (struct tc_file_id){
        .dev = st.st_dev,
        .ino = st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
        .ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec,
    };
    if (ret_mode != NULL)
        *ret_mode = st.st_mode;
    if (ret_uid != NULL)
        *ret_uid = st.st_uid;
    return 0;
}

int tc_sys_file_id(const char *path, struct tc_file_id *ret)
{
    return id_of(AT_FDCWD, path, 0, ret, NULL, NULL);
}

int tc_sys_fd_id(int fd, struct tc_file_id *ret, uint32_t *ret_mode, uint32_t *ret_uid)
{
    return id_of(fd, "", AT_EMPTY_PATH, ret, ret_mode, ret_uid);
}

void *tc_sys_map_file(const char *path, int writable, uint32_t owner, size_t *ret_bytes)
{
    int fd = tc_sys_open(path, writable ? O_RDWR : O_RDONLY, 0);
    struct tc_file_id id = {0};
    uint32_t mode = 0, uid = 0;
    void *p = NULL;

    if (fd < 0)
        return NULL;
    if (tc_sys_fd_id(fd, &id, &mode, &uid) == 0 && (mode & S_IFMT) == S_IFREG && id.size != 0 &&
        (owner == UINT32_MAX || uid == owner || uid == 0))
        p = tc_sys_mmap(NULL, id.size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd);
    tc_sys_close(fd);
    if (p != NULL)
        *ret_bytes = id.size;
    return p;
}

enum {
    PAGE = 4096, /* the smallest there is: probing more often than needed does no harm */
    BATCH = 4,   /* of a hit's stack, which is 2 KiB */
};

int tc_sys_readable(uint64_t address, uint64_t bytes)
{
    unsigned char room[BATCH];
    struct iovec there[BATCH], here;
    uint64_t at = address, end = address + bytes;

    if (bytes == 0)
        return 0;
    if (address == 0 || end < address)
        return -EFAULT;
    while (at < end) {
        int n = 0;
        for (; n < BATCH && at < end; n++, at = (at & ~(uint64_t)(PAGE - 1)) + PAGE)
            there[n] = (struct iovec){(void *)(uintptr_t)at, 1};
        here = (struct iovec){room, (size_t)n};
        long r = TC_SYS(SYS_process_vm_readv, tc_sys_getpid(), &here, 1, there, n, 0);
        if (r == -ENOSYS || r == -EPERM)
            return 0; /* can't be asked here: the guard is a help, not a promise */
        if (r != n)
            return -EFAULT;
    }
    return 0;
}

void tc_sleep_ns(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    TC_SYS(SYS_nanosleep, &t, NULL, 0, 0, 0, 0);
}
