#include "tools/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH 5   /* the kernel's limit (exec.c, exec_binprm) */
#define SCRIPT_LINE  256 /* BINPRM_BUF_SIZE */

#if defined __x86_64__
#define OUR_MACHINE EM_X86_64
#elif defined __aarch64__
#define OUR_MACHINE EM_AARCH64
#else
#error "which ELF machine is this?"
#endif

/* 0, -ENOENT, -EACCES. */
static int executable(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == EACCES ? -EACCES : -ENOENT;
    return S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : -EACCES;
}

/* As execvp(): a name without a slash is looked up in PATH, a file that may not be executed is
 * passed over and remembered. */
static int look_up(const char *name, char **ret_path)
{
    if (!*name)
        return -ENOENT;
    if (strchr(name, '/')) {
        int r = executable(name);
        if (r == 0)
            *ret_path = tc_copy(name);
        return r;
    }
    const char *p = getenv("PATH");
    int result = -ENOENT;
    for (p = p ? p : "/bin:/usr/bin";; p++) {
        size_t n = strcspn(p, ":");
        TC_CLEANUP(tc_free_text)
        char *path = n ? tc_format("%.*s/%s", (int)n, p, name) : tc_format("./%s", name);
        int r = executable(path);
        if (r == 0) {
            *ret_path = path;
            path = NULL;
            return 0;
        }
        result = r == -EACCES ? r : result;
        p += n;
        if (!*p)
            return result;
    }
}

int tc_script_interpreter(char *line, char **ret_path, char **ret_argument)
{
    if (strncmp(line, "#!", 2) != 0)
        return -ENOEXEC;
    char *path = line + 2 + strspn(line + 2, " \t");
    path[strcspn(path, "\n")] = 0;
    size_t n = strlen(path);
    while (n && (path[n - 1] == ' ' || path[n - 1] == '\t'))
        path[--n] = 0;
    if (!n)
        return -ENOEXEC;
    char *argument = path + strcspn(path, " \t");
    if (*argument) {
        *argument++ = 0;
        argument += strspn(argument, " \t");
    }
    *ret_path = path;
    *ret_argument = *argument ? argument : NULL;
    return 0;
}

char *tc_env_command(const char *argument)
{
    while (argument && *argument) {
        argument += strspn(argument, " \t");
        size_t n = strcspn(argument, " \t");
        if (n && *argument != '-' && !memchr(argument, '=', n))
            return tc_copyn(argument, n);
        argument += n;
    }
    return NULL;
}

static int cannot(struct tc_cause *ret_cause, int r, const char *path)
{
    return tc_cause_set(ret_cause, -r, r == -EACCES ? TC_R_NOT_EXECUTABLE : TC_R_NO_PROGRAM, path,
                        NULL);
}

/* One step from a file to what runs it: 1 with the next file, 0 at the end. */
static int follow(struct tc_program *p, char **binary)
{
    char line[SCRIPT_LINE + 1] = "", *path, *argument;
    TC_CLEANUP(tc_close_fd) int fd = open(*binary, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return 0; /* it may be executed but not read: nothing can be said about it */
    if (tc_elf_facts_read(fd, &p->elf) < 0 || p->elf.is_elf)
        return 0;
    ssize_t n = pread(fd, line, SCRIPT_LINE, 0);
    line[n > 0 ? n : 0] = 0;
    char *next = NULL;
    if (tc_script_interpreter(line, &path, &argument) < 0) {
        /* execvp() gives a file that is no program to the shell. */
        next = tc_copy("/bin/sh");
    } else {
        TC_CLEANUP(tc_free_text)
        char *command = strcmp(tc_basename(path), "env") == 0 ? tc_env_command(argument) : NULL;
        if (!command || look_up(command, &next) < 0)
            next = tc_copy(path);
    }
    free(*binary);
    *binary = next;
    return 1;
}

static void privileges(struct tc_program *p)
{
    struct stat st;
    if (stat(p->binary, &st) < 0)
        return;
    const char *what = NULL;
    if (st.st_mode & S_ISUID)
        what = "it is a setuid program, for which the loader ignores LD_PRELOAD";
    else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        what = "it is a setgid program, for which the loader ignores LD_PRELOAD";
    else if (geteuid() != 0 && getxattr(p->binary, "security.capability", NULL, 0) > 0)
        what = "it has file capabilities, for which the loader ignores LD_PRELOAD";
    if (what)
        (void)tc_cause_set(&p->finding, 0, TC_R_SECURE_EXEC, p->binary, "%s", what);
}

static void examine(struct tc_program *p)
{
    const struct tc_elf_facts *e = &p->elf;
    if (!e->is_elf)
        return; /* unreadable */
    if (e->class_bits != 64 || e->machine != OUR_MACHINE)
        (void)tc_cause_set(&p->finding, 0, TC_R_FOREIGN_CLASS, p->binary,
                           e->class_bits == 32 ? "it is a 32-bit program"
                                               : "it is a program for another processor");
    else if (!*e->interpreter)
        (void)tc_cause_set(&p->finding, 0, TC_R_STATIC_EXECUTABLE, p->binary, NULL);
    else if (strncmp(tc_basename(e->interpreter), "ld-musl", 7) == 0)
        (void)tc_cause_set(&p->finding, 0, TC_R_FOREIGN_CLASS, p->binary,
                           "it is built for musl; the runtime needs glibc");
    else
        privileges(p);
}

int tc_program_find(const char *name, struct tc_program *ret, struct tc_cause *ret_cause)
{
    struct tc_program p = {0};
    int r = look_up(name, &p.path);
    if (r < 0)
        return cannot(ret_cause, r, name);
    p.binary = tc_copy(p.path);
    for (int depth = 0; depth <= SCRIPT_DEPTH && follow(&p, &p.binary) > 0; depth++) {
        r = executable(p.binary);
        if (r < 0) {
            (void)cannot(ret_cause, r, p.binary);
            tc_program_free(&p);
            return r;
        }
    }
    examine(&p);
    *ret = p;
    return 0;
}

void tc_program_free(struct tc_program *p)
{
    free(p->path);
    free(p->binary);
    *p = (struct tc_program){0};
}
