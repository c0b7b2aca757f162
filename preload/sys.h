/*
 * The operating system, by raw system calls: nothing here goes through libc, so that nothing of it
 * can be interposed, sets the host's errno, is a cancellation point or takes a lock. All return the
 * kernel's answer: negative errno on failure.
 *
 * Any thread, any signal context. tc_sys_ functions that open something return close-on-exec
 * descriptors.
 */
#ifndef TC_PRELOAD_SYS_H
#define TC_PRELOAD_SYS_H

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "cache/task.h"
#if defined(__x86_64__)
#include "preload/arch/x86_64/syscall.h"
#endif

#define TC_SYS(n, a, b, c, d, e, f) \
    tc_syscall6((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static inline int tc_sys_open(const char *path, int flags, int mode)
{
    return (int)TC_SYS(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode, 0, 0);
}

static inline int tc_sys_close(int fd)
{
    return (int)TC_SYS(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long tc_sys_pread(int fd, void *p, size_t n, uint64_t at)
{
    return TC_SYS(SYS_pread64, fd, p, n, at, 0, 0);
}

static inline long tc_sys_pwrite(int fd, const void *p, size_t n, uint64_t at)
{
    return TC_SYS(SYS_pwrite64, fd, p, n, at, 0, 0);
}

static inline long tc_sys_write(int fd, const void *p, size_t n)
{
    return TC_SYS(SYS_write, fd, p, n, 0, 0, 0);
}

static inline void *tc_sys_mmap(void *at, size_t n, int prot, int flags, int fd)
{
    long r = TC_SYS(SYS_mmap, at, n, prot, flags, fd, 0);
    return r < 0 && r > -4096 ? NULL : (void *)r;
}

static inline int tc_sys_munmap(void *p, size_t n)
{
    return (int)TC_SYS(SYS_munmap, p, n, 0, 0, 0, 0);
}

static inline int tc_sys_mprotect(void *p, size_t n, int prot)
{
    return (int)TC_SYS(SYS_mprotect, p, n, prot, 0, 0, 0);
}

static inline int tc_sys_getpid(void)
{
    return (int)TC_SYS(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int tc_sys_gettid(void)
{
    return (int)TC_SYS(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* What identifies a file. */
int tc_sys_file_id(const char *path, struct tc_file_id *ret);
int tc_sys_fd_id(int fd, struct tc_file_id *ret, uint32_t *ret_mode, uint32_t *ret_uid);

/* Maps a whole file read-only or shared-writable, keeping no descriptor. With `owner` not
 * 0xffffffff the file must belong to it or root. */
void *tc_sys_map_file(const char *path, int writable, uint32_t owner, size_t *ret_bytes);

/* Can `bytes` at `address` be read? 0 or -EFAULT. One byte a page is tried, by process_vm_readv on
 * ourselves. */
int tc_sys_readable(uint64_t address, uint64_t bytes);

/* Nanoseconds since the epoch, as tests may set them; and a clock for durations. */
int64_t tc_now_ns(void);
int64_t tc_monotonic_ns(void);
/* So long is it waited for others: tests on a busy machine wait longer than programs would, unless
 * they are about the waiting. */
int64_t tc_patient(int64_t deadline_ns);
void tc_clock_init(const void *vdso, char *const *env);

void tc_sleep_ns(int64_t ns);

#endif
