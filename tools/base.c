#include "tools/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/places.h"

extern char **environ;

int tc_own_failure = TC_EXIT_USAGE;

static void *need(void *p)
{
    if (p)
        return p;
    fputs("cachectl: out of memory\n", stderr);
    exit(tc_own_failure);
}

void *tc_alloc(size_t bytes)
{
    return need(calloc(1, bytes ? bytes : 1));
}

char *tc_copy(const char *s)
{
    return need(strdup(s));
}

char *tc_copyn(const char *s, size_t bytes)
{
    char *copy = tc_alloc(bytes + 1);
    memcpy(copy, s, bytes);
    return copy;
}

char *tc_format(const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    return need(n < 0 ? NULL : text);
}

void *tc_grow(void *array, size_t count, size_t *allocated, size_t entry_bytes)
{
    if (count < *allocated)
        return array;
    *allocated = *allocated ? 2 * *allocated : 16;
    return need(reallocarray(array, *allocated, entry_bytes));
}

void tc_free_text(char **p)
{
    free(*p);
    *p = NULL;
}

void tc_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void tc_text_addn(struct tc_text *t, const char *s, size_t bytes)
{
    if (t->allocated - t->bytes < bytes + 1) {
        t->allocated = 2 * t->allocated + bytes + 64;
        t->data = need(realloc(t->data, t->allocated));
    }
    memcpy(t->data + t->bytes, s, bytes);
    t->bytes += bytes;
    t->data[t->bytes] = 0;
}

void tc_text_add(struct tc_text *t, const char *format, ...)
{
    char *piece = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&piece, format, ap);
    va_end(ap);
    need(n < 0 ? NULL : piece);
    tc_text_addn(t, piece, (size_t)n);
    free(piece);
}

void tc_text_free(struct tc_text *t)
{
    free(t->data);
    *t = (struct tc_text){0};
}

int tc_cause_set(struct tc_cause *c, int error, enum tc_reason reason, const char *subject,
                 const char *sentence, ...)
{
    *c = (struct tc_cause){.reason = reason};
    (void)snprintf(c->subject, sizeof c->subject, "%s", subject);
    (void)snprintf(c->remedy, sizeof c->remedy, "%s", tc_reason_info(reason)->remedy);
    if (!sentence) {
        (void)snprintf(c->sentence, sizeof c->sentence, "%s", tc_reason_info(reason)->sentence);
        return -error;
    }
    va_list ap;
    va_start(ap, sentence);
    (void)vsnprintf(c->sentence, sizeof c->sentence, sentence, ap);
    va_end(ap);
    return -error;
}

int tc_map_file(const char *path, struct tc_mapping *ret)
{
    TC_CLEANUP(tc_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return -EPERM;
    if (st.st_size <= 0)
        return -ENODATA;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    *ret = (struct tc_mapping){.base = p, .bytes = (size_t)st.st_size};
    return 0;
}

void tc_unmap(struct tc_mapping *m)
{
    if (m->base)
        (void)munmap((void *)(uintptr_t)m->base, m->bytes);
    *m = (struct tc_mapping){0};
}

void tc_file_id_of(const void *struct_stat, struct tc_file_id *ret)
{
    const struct stat *st = struct_stat;
    *ret = (struct tc_file_id){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec,
    };
}

int tc_file_id(const char *path, struct tc_file_id *ret)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    tc_file_id_of(&st, ret);
    return 0;
}

bool tc_file_id_equal(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool make_dir(const char *path)
{
    return tc_leads_home(environ, path) ? access(path, F_OK) == 0
                                        : mkdir(path, 0700) == 0 || errno == EEXIST;
}

int tc_make_dirs(const char *path)
{
    TC_CLEANUP(tc_free_text) char *copy = tc_copy(path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (!make_dir(copy))
            return -errno;
        *p = '/';
    }
    return make_dir(copy) ? 0 : -errno;
}

#ifdef TC_TEST_CLOCK
/* As the service reads it: decimal ns. */
static bool clock_file(int64_t *ret_ns)
{
    const char *path = getenv("TASKCACHE_CLOCK_FILE");
    FILE *f = path && *path == '/' ? fopen(path, "re") : NULL;
    long long ns;
    bool set = f && fscanf(f, "%lld", &ns) == 1;
    if (set)
        *ret_ns = ns;
    if (f)
        (void)fclose(f);
    return set;
}
#endif

int64_t tc_now_ns(void)
{
    struct timespec t;
#ifdef TC_TEST_CLOCK
    int64_t set;
    if (clock_file(&set))
        return set;
#endif
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t tc_monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

const char *tc_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
