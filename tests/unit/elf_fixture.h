/*
 * ELF objects for tests: small sources compiled on the spot in a directory of the test's own. A
 * missing compiler skips the test (cmocka's skip()); a failing one fails it.
 */
#ifndef TC_TESTS_ELF_FIXTURE_H
#define TC_TESTS_ELF_FIXTURE_H

#include <stddef.h>

struct elf_dir {
    char path[64];
};

/* cmocka setup and teardown; *state is a struct elf_dir. */
int elf_dir_setup(void **state);
int elf_dir_teardown(void **state);

int elf_have(const char *tool);
void elf_write(const struct elf_dir *d, const char *name, const char *text);
/* Runs a shell command in the directory. */
void elf_sh(const struct elf_dir *d, const char *command);
/* The file's bytes in a block of exactly that size. */
unsigned char *elf_read(const struct elf_dir *d, const char *name, size_t *ret_bytes);
void elf_path(const struct elf_dir *d, const char *name, char *ret, size_t bytes);

#endif
