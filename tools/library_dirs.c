/* The directories in which the loader looks (ld.so(8)), searched for the objects of tasks. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/object_glob.h"
#include "tools/libraries.h"
#include "tools/program.h"

#define INCLUDE_DEPTH 8

struct search {
    struct tc_libraries *to;
    const char *const *globs;
    size_t glob_count;
    unsigned found;
    struct {
        dev_t dev;
        ino_t ino;
    } seen[128];
    size_t seen_count;
};

static bool first_visit(struct search *s, const char *dir)
{
    struct stat st;
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return false;
    for (size_t i = 0; i < s->seen_count; i++)
        if (s->seen[i].dev == st.st_dev && s->seen[i].ino == st.st_ino)
            return false;
    if (s->seen_count == sizeof s->seen / sizeof *s->seen)
        return false;
    s->seen[s->seen_count].dev = st.st_dev;
    s->seen[s->seen_count++].ino = st.st_ino;
    return true;
}

/* Linker scripts, archives and other people's files have such names too. */
static bool is_library(const char *path)
{
    TC_CLEANUP(tc_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct tc_elf_facts facts;
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           tc_elf_facts_read(fd, &facts) == 0 && facts.is_elf && facts.class_bits == 64 &&
           facts.type == ET_DYN;
}

static bool matches(const struct search *s, const char *name)
{
    for (size_t i = 0; i < s->glob_count; i++)
        if (tc_object_glob(s->globs[i], name))
            return true;
    return false;
}

static void search_dir(struct search *s, const char *dir)
{
    if (!*dir || !first_visit(s, dir))
        return;
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && s->found < TC_LIBRARIES_GLOBBED && (e = readdir(d))) {
        if (!strstr(e->d_name, ".so") || !matches(s, e->d_name))
            continue;
        TC_CLEANUP(tc_free_text) char *path = tc_format("%s/%s", dir, e->d_name);
        if (is_library(path) && tc_libraries_add(s->to, path, TC_LIBRARY_GLOBBED) == 0)
            s->found++;
    }
    if (d)
        (void)closedir(d);
}

static void search_list(struct search *s, const char *list)
{
    while (list && *list) {
        size_t n = strcspn(list, ":;");
        TC_CLEANUP(tc_free_text) char *dir = tc_copyn(list, n);
        search_dir(s, dir);
        list += n + (list[n] != 0);
    }
}

static void read_conf(struct search *s, const char *path, int depth);

static void include(struct search *s, const char *pattern, int depth)
{
    glob_t found;
    TC_CLEANUP(tc_free_text)
    char *path = *pattern == '/' ? tc_copy(pattern) : tc_format("/etc/%s", pattern);
    if (glob(path, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            read_conf(s, found.gl_pathv[i], depth);
    globfree(&found);
}

static void read_conf(struct search *s, const char *path, int depth)
{
    FILE *f = depth < INCLUDE_DEPTH ? fopen(path, "re") : NULL;
    char line[1024];
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n")] = 0;
        char *word = line + strspn(line, " \t");
        size_t n = strlen(word);
        while (n && (word[n - 1] == ' ' || word[n - 1] == '\t'))
            word[--n] = 0;
        if (strncmp(word, "include", 7) == 0 && (word[7] == ' ' || word[7] == '\t'))
            include(s, word + 7 + strspn(word + 7, " \t"), depth + 1);
        else if (*word == '/')
            search_dir(s, word);
    }
    if (f)
        (void)fclose(f);
}

void tc_libraries_glob(struct tc_libraries *l, const char *const *globs, size_t count)
{
    static const char *const defaults[] = {"/lib/x86_64-linux-gnu",
                                           "/usr/lib/x86_64-linux-gnu",
                                           "/lib64",
                                           "/usr/lib64",
                                           "/lib",
                                           "/usr/lib"};
    if (count == 0)
        return;
    struct search s = {.to = l, .globs = globs, .glob_count = count};
    search_list(&s, getenv("LD_LIBRARY_PATH"));
    read_conf(&s, "/etc/ld.so.conf", 0);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        search_dir(&s, defaults[i]);
}
