/*
 * The program that is to run, looked at before it does: found as execvp() would find it, scripts
 * followed to their interpreters as the kernel does, and the ELF header read. Opens files for
 * reading only. Nothing here prints. One thread.
 */
#ifndef TC_TOOLS_PROGRAM_H
#define TC_TOOLS_PROGRAM_H

#include "tools/base.h"

struct tc_elf_facts {
    bool is_elf;
    uint8_t class_bits; /* 32, 64, 0: neither */
    uint16_t machine;
    uint16_t type;          /* ET_EXEC, ET_DYN, ... */
    char interpreter[1024]; /* PT_INTERP, "" without */
};

struct tc_program {
    char *path;   /* what is executed */
    char *binary; /* the ELF file that runs in the end: the script's interpreter, or `path` */
    struct tc_elf_facts elf;
    struct tc_cause finding; /* why it runs uncached; reason 0: nothing stands against it */
};

/* Finds and examines. 0, or with the cause set -ENOENT (not found), -EACCES (not executable). */
int tc_program_find(const char *name, struct tc_program *ret, struct tc_cause *ret_cause);
void tc_program_free(struct tc_program *p);

/* Reads the ELF facts of a file's first bytes and its program headers; -ENOEXEC for a damaged
 * file. What is no ELF file at all is 0 with `is_elf` unset. */
int tc_elf_facts_read(int fd, struct tc_elf_facts *ret);

/* The interpreter that "#!" names: the path, and all behind it as one argument (NULL: none), as the
 * kernel splits it. Cuts `line` to pieces. -ENOEXEC if it names none. */
int tc_script_interpreter(char *line, char **ret_path, char **ret_argument);

/* What `env` would run: the first word that is neither option nor assignment. Free it; NULL. */
char *tc_env_command(const char *argument);

#endif
