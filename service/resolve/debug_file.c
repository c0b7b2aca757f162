#include "service/resolve/debug_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *tc_debug_root = "/usr/lib/debug";

/* What .gnu_debuglink says: a file name, padding to 4 bytes, its checksum. */
struct link {
    const char *name; /* NULL: there is none */
    uint32_t crc;
};

struct search {
    const struct tc_elf *object;
    struct link link;
    struct tc_debug *found;
    int r;
};

static int has_contents(const struct tc_elf *e, const char *name)
{
    const struct tc_section *s = tc_elf_section(e, name, 0);

    return s != NULL && s->type != SHT_NOBITS && s->bytes != 0;
}

static int has_info(const struct tc_elf *e)
{
    return has_contents(e, ".debug_info") || has_contents(e, ".zdebug_info");
}

const struct tc_elf *tc_debug_info(const struct tc_elf *e, const struct tc_debug *d)
{
    if (has_info(e))
        return e;
    return d->file != NULL && has_info(d->file) ? d->file : NULL;
}

static struct link read_link(const struct tc_elf *e)
{
    const struct tc_section *s = tc_elf_section(e, ".gnu_debuglink", 0);
    const unsigned char *data = s != NULL ? tc_elf_bytes(e, s->offset, s->bytes) : NULL;
    struct link l = {0};
    size_t bytes = 0, at;

    l.name = data != NULL ? tc_elf_string(data, s->bytes, 0, &bytes) : NULL;
    at = (bytes + 4) & ~(size_t)3;
    if (l.name == NULL || bytes == 0 || strchr(l.name, '/') != NULL || at + 4 > s->bytes)
        return (struct link){0};
    memcpy(&l.crc, data + at, sizeof l.crc);
    return l;
}

static int same_build(const struct tc_elf *a, const struct tc_elf *b)
{
    return a->build_id_bytes == b->build_id_bytes &&
           memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
}

/* Does it belong to the object? A checksum is asked of files that a link names. */
static int belongs(const struct search *s, const struct tc_elf *file, int by_link)
{
    const struct tc_elf *e = s->object;

    if (file->reason != 0 || file->section_count == 0)
        return 0;
    if (e->build_id != NULL && file->build_id != NULL && !same_build(e, file))
        return 0;
    if (by_link)
        return tc_debug_crc32(file->data, file->bytes) == s->link.crc;
    return file->build_id != NULL;
}

static struct tc_file_id identity(const struct stat *st)
{
    return (struct tc_file_id){.dev = st->st_dev,
                               .ino = st->st_ino,
                               .size = (uint64_t)st->st_size,
                               .mtime_ns = st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec,
                               .ctime_ns = st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec};
}

static void open_candidate(struct search *s, int fd, int by_link)
{
    struct tc_elf *file = NULL;

    s->r = tc_elf_open_debug_fd(fd, &file);
    s->r = s->r == -ENOMEM ? -ENOMEM : 0;
    if (file != NULL && belongs(s, file, by_link))
        s->found->file = file;
    else
        tc_elf_close(file);
}

/* Takes `path` over. */
static void try(struct search *s, char *path, int by_link)
{
    struct tc_debug *d = s->found;
    struct stat st;
    int fd;

    if (path == NULL)
        s->r = -ENOMEM;
    if (s->r < 0 || d->file != NULL || d->looked_count == TC_MAX_DEBUG_FILES) {
        free(path);
        return;
    }
    d->looked[d->looked_count++].path = path;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        d->looked[d->looked_count - 1].id = identity(&st);
        open_candidate(s, fd, by_link);
    }
    (void)close(fd);
}

static char *print(const char *a, const char *b, const char *c, const char *d)
{
    char *text = NULL;

    return asprintf(&text, "%s%s%s%s", a, b, c, d) < 0 ? NULL : text;
}

/* ROOT/.build-id/xx/yyyy.debug */
static void try_build_id(struct search *s)
{
    const struct tc_elf *e = s->object;
    char hex[2 * TC_MAX_BUILD_ID + 2];
    size_t at = 0;

    if (e->build_id_bytes < 2)
        return;
    for (uint32_t i = 0; i < e->build_id_bytes; i++) {
        at +=
            (size_t)snprintf(hex + at, sizeof hex - at, i == 0 ? "%02x/" : "%02x", e->build_id[i]);
    }
    try(s, print(tc_debug_root, "/.build-id/", hex, ".debug"), 0);
}

static void try_link(struct search *s, const char *path)
{
    char *real = s->link.name != NULL ? realpath(path, NULL) : NULL;

    if (real == NULL)
        return;
    *strrchr(real, '/') = 0;
    try(s, print(real, "/", s->link.name, ""), 1);
    try(s, print(real, "/.debug/", s->link.name, ""), 1);
    try(s, print(tc_debug_root, real, "/", s->link.name), 1);
    free(real);
}

/* The symbols that distributions leave in stripped objects for the sake of backtraces. */
static int open_mini(const struct tc_elf *e, struct tc_debug *d)
{
    const struct tc_section *s = tc_elf_section(e, ".gnu_debugdata", 0);
    const unsigned char *packed = s != NULL ? tc_elf_bytes(e, s->offset, s->bytes) : NULL;
    size_t bytes = 0;
    int r;

    if (packed == NULL || s->type == SHT_NOBITS)
        return 0;
    r = tc_debug_unpack(packed, s->bytes, &d->mini_data, &bytes);
    if (r == 0)
        r = tc_elf_open_debug_memory(d->mini_data, bytes, &d->mini);
    return r == -ENOMEM ? r : 0;
}

int tc_debug_open(const struct tc_elf *e, const char *path, struct tc_debug *ret)
{
    struct tc_debug d = {0};
    struct search s = {.object = e, .found = &d};
    int named = has_contents(e, ".symtab");

    if (path != NULL && e->reason == 0 && !(named && has_info(e))) {
        s.link = read_link(e);
        try_build_id(&s);
        try_link(&s, path);
    }
    if (s.r == 0 && !named && d.file == NULL)
        s.r = open_mini(e, &d);
    if (s.r < 0)
        tc_debug_close(&d);
    else
        *ret = d;
    return s.r;
}

void tc_debug_close(struct tc_debug *d)
{
    tc_elf_close(d->file);
    tc_elf_close(d->mini);
    free(d->mini_data);
    for (uint32_t i = 0; i < d->looked_count; i++)
        free(d->looked[i].path);
    *d = (struct tc_debug){0};
}
