/*
 * Which files a program may load: its libraries, asked of its own loader, and the files in the
 * loader's directories that a task's object glob names. One thread.
 */
#ifndef TC_TOOLS_LIBRARIES_H
#define TC_TOOLS_LIBRARIES_H

#include "tools/base.h"

enum tc_library_origin {
    TC_LIBRARY_LISTED = 1, /* the program itself, and what its loader loads at start */
    TC_LIBRARY_GLOBBED,    /* may come by dlopen */
};

struct tc_library {
    char *path; /* as the loader has it */
    struct tc_file_id id;
    enum tc_library_origin origin;
};

struct tc_libraries {
    struct tc_library *library;
    size_t count, allocated;
};

/* Adds a file unless it is there already (by device and inode). -ENOENT and the like: not added. */
int tc_libraries_add(struct tc_libraries *l, const char *path, enum tc_library_origin origin);
void tc_libraries_free(struct tc_libraries *l);

/* The program and what `INTERPRETER --list PROGRAM` prints. */
int tc_libraries_list(struct tc_libraries *l, const char *interpreter, const char *program);

/* The files of the loader's directories whose names match. Not more than TC_LIBRARIES_GLOBBED. */
#define TC_LIBRARIES_GLOBBED 256u
void tc_libraries_glob(struct tc_libraries *l, const char *const *globs, size_t count);

/* One line of --list: the path, NULL if the line names no file. Cuts `line`. */
char *tc_list_line(char *line);

/* The library of this basename prefix ("libasan.so"), NULL. */
const struct tc_library *tc_libraries_named(const struct tc_libraries *l, const char *prefix);

#endif
