#include "tests/unit/elf_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int elf_dir_setup(void **state)
{
    struct elf_dir *d = calloc(1, sizeof *d);

    if (d == NULL)
        return -1;
    (void)snprintf(d->path, sizeof d->path, "/tmp/taskcache-elf-XXXXXX");
    *state = d;
    return mkdtemp(d->path) != NULL ? 0 : -1;
}

int elf_dir_teardown(void **state)
{
    struct elf_dir *d = *state;
    char command[128];

    (void)snprintf(command, sizeof command, "rm -r -- %s", d->path);
    int r = system(command);
    free(d);
    return r;
}

int elf_have(const char *tool)
{
    char command[128];

    (void)snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", tool);
    return system(command) == 0;
}

void elf_path(const struct elf_dir *d, const char *name, char *ret, size_t bytes)
{
    (void)snprintf(ret, bytes, "%s/%s", d->path, name);
}

void elf_write(const struct elf_dir *d, const char *name, const char *text)
{
    char path[512];

    elf_path(d, name, path, sizeof path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

void elf_sh(const struct elf_dir *d, const char *command)
{
    char line[2048];

    (void)snprintf(line, sizeof line, "cd %s && %s", d->path, command);
    if (system(line) != 0)
        fail_msg("failed: %s", command);
}

unsigned char *elf_read(const struct elf_dir *d, const char *name, size_t *ret_bytes)
{
    char path[512];
    struct stat st;

    elf_path(d, name, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    unsigned char *data = malloc((size_t)st.st_size);
    assert_non_null(data);
    assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
    (void)close(fd);
    *ret_bytes = (size_t)st.st_size;
    return data;
}
