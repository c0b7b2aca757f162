#include "tools/plugin_new.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/places.h"
#include "tools/options.h"
#include "tools/skeleton.h" /* generated: tc_skeleton_files[] */

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= 63 && (name[0] < '0' || name[0] > '9') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

/* @NAME@ is the plugin's, @CACHECTL@ our own path. */
static void fill_in(const char *from, size_t bytes, const char *name, struct tc_text *to)
{
    char self[TC_PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    for (size_t i = 0; i < bytes;) {
        const struct {
            const char *mark, *text;
        } marks[] = {{"@NAME@", name}, {"@CACHECTL@", self}};
        size_t skip = 0;
        for (size_t k = 0; !skip && k < 2; k++) {
            size_t m = strlen(marks[k].mark);
            if (bytes - i >= m && memcmp(from + i, marks[k].mark, m) == 0) {
                tc_text_add(to, "%s", marks[k].text);
                skip = m;
            }
        }
        if (!skip)
            tc_text_addn(to, from + i, 1);
        i += skip ? skip : 1;
    }
}

static int write_file(const char *path, const struct tc_text *text, bool executable)
{
    FILE *f = fopen(path, "wxe");
    if (!f)
        return -errno;
    bool failed = fwrite(text->data, 1, text->bytes, f) != text->bytes;
    failed = fclose(f) != 0 || failed;
    if (!failed && executable)
        failed = chmod(path, 0755) < 0;
    return failed ? -EIO : 0;
}

/* "plugin.c" is the plugin's name with `.c`. */
static int write_one(const char *name, const struct tc_skeleton_file *file)
{
    struct tc_text text = {0};
    TC_CLEANUP(tc_free_text)
    char *path = strcmp(file->path, "plugin.c") == 0 ? tc_format("%s/%s.c", name, name)
                                                     : tc_format("%s/%s", name, file->path);
    fill_in((const char *)file->data, file->bytes, name, &text);
    int r = write_file(path, &text, strcmp(file->path, "test.sh") == 0);
    tc_text_free(&text);
    return r;
}

static int failed(const char *name, int error)
{
    struct tc_cause cause;
    (void)tc_cause_set(&cause, error, TC_R_NOT_WRITTEN, name,
                       error == EEXIST ? "it is there already, and `new` changes nothing" : "%s",
                       strerror(error));
    tc_problem(&cause);
    return TC_EXIT_USAGE;
}

int tc_plugin_new(const struct tc_command *self, const char *name)
{
    TC_CLEANUP(tc_free_text) char *headers = tc_format("%s/taskcache", name);
    if (!is_name(name))
        return tc_usage(self, "a plugin's name is 1 to 63 of A-Z a-z 0-9 _, no digit first");
    if (mkdir(name, 0777) < 0 || mkdir(headers, 0777) < 0)
        return failed(name, errno);
    for (size_t i = 0; i < tc_skeleton_count; i++) {
        int r = write_one(name, &tc_skeleton_files[i]);
        if (r < 0)
            return failed(name, -r);
    }
    printf("%s/%s.c is a plugin for the function in %s/program.c. Build and test it:\n"
           "  meson setup %s/build %s && meson test -C %s/build\n",
           name, name, name, name, name, name);
    return TC_EXIT_DONE;
}
