/*
 * Time without libc: the vDSO's clock_gettime, found once in its ELF symbols (vdso(7)), else the
 * system call.
 */
#include <elf.h>
#include <string.h>

#include "cache/places.h"
#include "preload/state.h"

typedef int clock_function(clockid_t, struct timespec *);

static clock_function *vdso_clock;
#ifdef TC_TEST_CLOCK
static char clock_file[TC_PATH_BYTES];
#endif

#if defined(__x86_64__)
#define VDSO_CLOCK "__vdso_clock_gettime"
#else
#define VDSO_CLOCK "__kernel_clock_gettime"
#endif

static const Elf64_Dyn *dynamic_of(const unsigned char *base, uint64_t *ret_bias)
{
    const Elf64_Ehdr *e = (const void *)base;
    const Elf64_Phdr *ph = (const void *)(base + e->e_phoff);
    const Elf64_Dyn *dyn = NULL;
    int loads = 0;

    for (int i = 0; i < e->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && loads++ == 0)
            *ret_bias = (uint64_t)(uintptr_t)base + ph[i].p_offset - ph[i].p_vaddr;
        if (ph[i].p_type == PT_DYNAMIC)
            dyn = (const void *)(base + ph[i].p_offset);
    }
    return loads > 0 ? dyn : NULL;
}

/* The kernel's own image: it is trusted to be well-formed. */
static clock_function *find_vdso_clock(const unsigned char *base)
{
    const char *strings = NULL;
    const Elf64_Sym *symbols = NULL;
    uint64_t bias = 0, count = 0;
    const Elf64_Dyn *d;

    if (base == NULL || memcmp(base, ELFMAG, SELFMAG) != 0)
        return NULL;
    d = dynamic_of(base, &bias);
    for (; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB)
            strings = (const void *)(bias + d->d_un.d_ptr);
        else if (d->d_tag == DT_SYMTAB)
            symbols = (const void *)(bias + d->d_un.d_ptr);
        else if (d->d_tag == DT_HASH)
            count = ((const uint32_t *)(bias + d->d_un.d_ptr))[1];
    }
    if (strings == NULL || symbols == NULL)
        return NULL;
    for (uint64_t i = 0; i < count; i++) {
        const char *name = strings + symbols[i].st_name;
        if (symbols[i].st_shndx != SHN_UNDEF && strlen(name) == sizeof VDSO_CLOCK - 1 &&
            memcmp(name, VDSO_CLOCK, sizeof VDSO_CLOCK) == 0)
            return (clock_function *)(uintptr_t)(bias + symbols[i].st_value);
    }
    return NULL;
}

void tc_clock_init(const void *vdso, char *const *env)
{
    vdso_clock = find_vdso_clock(vdso);
#ifdef TC_TEST_CLOCK
    tc_join(clock_file, sizeof clock_file, tc_env(env, "TASKCACHE_CLOCK_FILE"), NULL, NULL, NULL);
#else
    (void)env;
#endif
}

/* Not in a sandbox: strict mode kills who reads the time stamp counter. */
static int64_t read_clock(clockid_t id)
{
    struct timespec t = {0, 0};

    if (tc_is_sandboxed())
        return 0;
    if (vdso_clock == NULL || vdso_clock(id, &t) != 0)
        TC_SYS(SYS_clock_gettime, id, &t, 0, 0, 0, 0);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int64_t tc_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

#ifdef TC_TEST_CLOCK
static int64_t test_clock_ns(void)
{
    char text[32];
    int fd = tc_sys_open(clock_file, O_RDONLY, 0);
    long n = fd < 0 ? -1 : tc_sys_pread(fd, text, sizeof text, 0);
    int64_t ns = 0;

    if (fd >= 0)
        tc_sys_close(fd);
    if (n <= 0)
        return -1;
    for (long i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        ns = ns * 10 + (text[i] - '0');
    return ns;
}
#endif

int64_t tc_now_ns(void)
{
#ifdef TC_TEST_CLOCK
    if (clock_file[0] != 0 && !tc_is_sandboxed()) {
        int64_t ns = test_clock_ns();
        if (ns >= 0)
            return ns;
    }
#endif
    return read_clock(CLOCK_REALTIME);
}

#ifdef TC_TEST_CLOCK
int64_t tc_patient(int64_t deadline_ns)
{
    const char *ms = tc_env(tc_state.env, "TASKCACHE_TEST_DEADLINE_MS");
    int64_t ns = 0;

    for (; ms != NULL && *ms >= '0' && *ms <= '9'; ms++)
        ns = ns * 10 + (*ms - '0') * 1000000ll;
    return ns > deadline_ns ? ns : deadline_ns;
}
#else
int64_t tc_patient(int64_t deadline_ns)
{
    return deadline_ns;
}
#endif
