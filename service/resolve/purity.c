#include "service/resolve/purity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/plan.h"

#define WRITTEN   " (written by the program)"
#define MAX_DEPTH 16

static const struct {
    enum tc_reason reason;
    const char *names; /* a blank on both sides of each */
} known[] = {
    {TC_R_READS_CLOCK,
     " time gettimeofday clock_gettime clock times ftime timespec_get clock_getres "
     "omp_get_wtime std::chrono::_V2::system_clock::now "},
    {TC_R_READS_RANDOM,
     " rand random drand48 lrand48 mrand48 getrandom getentropy arc4random arc4random_buf "
     "arc4random_uniform _gfortran_random_r8 _gfortran_random_r4 _gfortran_arandom_r8 "
     "_gfortran_arandom_r4 "},
    {TC_R_READS_ENVIRONMENT, " getenv secure_getenv environ setlocale localeconv nl_langinfo "},
    {TC_R_READS_FILES,
     " open openat fopen freopen fdopen read pread readv preadv fread fgets fgetc getc getchar "
     "gets "
     "getline getdelim scanf fscanf vscanf vfscanf stat lstat fstat fstatat statx access faccessat "
     "opendir readdir scandir nftw ftw readlink readlinkat realpath select poll epoll_wait "
     "_gfortran_st_read _gfortran_st_open "},
    {TC_R_WRITES_FILES,
     " write pwrite writev pwritev fwrite fputs fputc putc putchar puts printf fprintf vprintf "
     "vfprintf dprintf perror fflush unlink unlinkat remove rename renameat mkdir rmdir truncate "
     "ftruncate chmod chown link symlink mkstemp tmpfile syslog _gfortran_st_write "},
    {TC_R_USES_NETWORK,
     " socket connect bind listen accept accept4 send sendto sendmsg recv recvfrom recvmsg "
     "getaddrinfo getnameinfo gethostbyname gethostbyaddr res_query "},
    {TC_R_ASKS_SYSTEM,
     " getpid getppid gettid getuid geteuid getgid getcwd gethostname uname sysconf getrusage "
     "sysinfo sched_getcpu pthread_self getpagesize get_nprocs ioctl "},
    {TC_R_USES_SIGNALS,
     " signal sigaction raise kill tgkill pthread_kill alarm setitimer timer_create pause "
     "sigprocmask pthread_sigmask sigwait "},
    {TC_R_USES_STATIC_BUFFER,
     " strtok localtime gmtime ctime asctime strerror inet_ntoa getpwnam getpwuid getgrnam "
     "getgrgid "
     "strsignal ttyname basename setenv putenv unsetenv srand srandom srand48 lgamma signgam "},
    {TC_R_STARTS_OTHERS,
     " fork vfork clone system popen execve execv execvp execl posix_spawn posix_spawnp "
     "pthread_create thrd_create GOMP_parallel "},
    {TC_R_LOADS_CODE, " dlopen dlsym dlmopen "},
};

/* "__printf_chk", "__isoc99_scanf", "fopen64", "read@GLIBC_2.2.5": all are what they wrap. */
static void plain_name(const char *name, char *ret, size_t bytes)
{
    static const char isoc[] = "__isoc";
    size_t n;

    if (strncmp(name, isoc, sizeof isoc - 1) == 0 && strlen(name) > 9)
        name += 9;
    else if (strncmp(name, "__", 2) == 0)
        name += 2;
    (void)snprintf(ret, bytes, " %s", name);
    ret[strcspn(ret, "@")] = 0;
    n = strlen(ret);
    if (n > 5 && strcmp(ret + n - 4, "_chk") == 0)
        ret[n -= 4] = 0;
    if (n > 4 && strcmp(ret + n - 2, "64") == 0)
        ret[n -= 2] = 0;
    if (n + 1 < bytes)
        memcpy(ret + n, " ", 2);
}

enum tc_reason tc_purity_of_import(const char *name)
{
    char plain[128], whole[128];

    if (strlen(name) + 4 > sizeof plain)
        return TC_R_NONE;
    plain_name(name, plain, sizeof plain);
    (void)snprintf(whole, sizeof whole, " %.100s", name);
    whole[1 + strcspn(whole + 1, "@")] = 0;
    (void)strcat(whole, " ");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(known[i].names, plain) != NULL || strstr(known[i].names, whole) != NULL)
            return known[i].reason;
    return TC_R_NONE;
}

/* Who refers to this item first, 0 for the function itself. Items are found in the order of a walk:
 * that one comes before. */
static uint32_t parent_of(const struct tc_source *s, uint32_t item)
{
    for (size_t i = 0; i < s->ref_count; i++)
        if (s->refs[i].to == item && s->refs[i].from != item)
            return s->refs[i].from;
    return 0;
}

/* "f > helper > inner" */
void tc_purity_path(const struct tc_source *s, uint32_t item, char *ret, size_t bytes)
{
    uint32_t chain[MAX_DEPTH];
    size_t depth = 0, n = 0;

    ret[0] = 0;
    for (; depth < MAX_DEPTH - 1 && item != 0; item = parent_of(s, item))
        chain[depth++] = item;
    chain[depth++] = 0;
    while (depth > 0 && n < bytes) {
        const char *label = s->items[chain[--depth]].label;
        n += (size_t)snprintf(ret + n, bytes - n, "%s%.200s", n > 0 ? " > " : "",
                              label != NULL ? label : "?");
    }
}

static enum tc_reason reason_of(const struct tc_source_ref *ref, size_t *ret_name_bytes)
{
    size_t n = strlen(ref->label), written = sizeof WRITTEN - 1;

    if (ref->to != TC_NO_ITEM)
        return TC_R_NONE;
    if (n > written && strcmp(ref->label + n - written, WRITTEN) == 0) {
        *ret_name_bytes = n - written;
        return ref->access == TC_SOURCE_WRITTEN ? TC_R_WRITES_GLOBAL : TC_R_USES_GLOBAL;
    }
    *ret_name_bytes = strcspn(ref->label, "@");
    return tc_purity_of_import(ref->label);
}

/* NULL: it isn't there yet. */
static struct tc_effect *find(struct tc_effect *list, uint32_t count, const struct tc_effect *e)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].bytes == e->bytes && memcmp(list[i].what, e->what, e->bytes) == 0)
            return &list[i];
    return NULL;
}

uint32_t tc_purity_find(const struct tc_source *s, struct tc_effect list[TC_MAX_PURITY])
{
    uint32_t count = 0;

    for (size_t i = 0; i < s->ref_count && count < TC_MAX_PURITY; i++) {
        struct tc_effect e = {.what = s->refs[i].label, .item = s->refs[i].from}, *before;

        e.reason = reason_of(&s->refs[i], &e.bytes);
        if (e.reason == TC_R_NONE)
            continue;
        before = find(list, count, &e);
        /* Who writes it is what matters. */
        if (before != NULL && before->reason == TC_R_USES_GLOBAL && e.reason == TC_R_WRITES_GLOBAL)
            *before = e;
        if (before == NULL)
            list[count++] = e;
    }
    return count;
}

/* "grid", "mesh.c:grid", "grid@@V1" */
static int is_named(const struct tc_flat *config, const struct tc_task *task, const char *label,
                    size_t bytes)
{
    const struct tc_global_text *g =
        tc_flat_at(config, task->globals.off, task->globals.count, sizeof *g);
    const char *colon = memrchr(label, ':', bytes);
    const char *name = colon != NULL ? colon + 1 : label;
    size_t n = bytes - (size_t)(name - label);

    n = strcspn(name, "@") < n ? strcspn(name, "@") : n;
    for (uint32_t i = 0; g != NULL && i < task->globals.count; i++)
        if (g[i].name.bytes == n && memcmp(tc_flat_str(config, g[i].name), name, n) == 0)
            return 1;
    return 0;
}

struct tc_span tc_purity_add(const struct tc_source *s, const struct tc_flat *config,
                             const struct tc_task *task, struct tc_flat_builder *out)
{
    struct tc_effect found[TC_MAX_PURITY];
    struct tc_purity list[TC_MAX_PURITY];
    uint32_t count = 0, n = tc_purity_find(s, found);
    char path[1024];

    for (uint32_t i = 0; i < n; i++) {
        const struct tc_effect *e = &found[i];

        if ((e->reason == TC_R_USES_GLOBAL || e->reason == TC_R_WRITES_GLOBAL) &&
            is_named(config, task, e->what, e->bytes))
            continue;
        tc_purity_path(s, e->item, path, sizeof path);
        list[count++] = (struct tc_purity){tc_flat_add_strn(out, e->what, e->bytes),
                                           tc_flat_add_str(out, path), e->reason, 0};
    }
    return tc_flat_add(out, list, count, sizeof list[0]);
}
