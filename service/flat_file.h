/*
 * Flat files as the service handles them: mapped and checked, written by a child under a temporary
 * name and put in place after a check. One thread.
 */
#ifndef TC_SERVICE_FLAT_FILE_H
#define TC_SERVICE_FLAT_FILE_H

#include <sys/stat.h>

#include "cache/flat_build.h"
#include "cache/task.h"

struct tc_flat_file {
    struct tc_flat flat;
    void *map;
    size_t bytes;
};

/* -ENOENT, -EBADMSG and others. Only files of our own are believed. */
int tc_flat_file_open(const char *path, enum tc_flat_kind kind, struct tc_flat_file *ret);
void tc_flat_file_close(struct tc_flat_file *f);

struct tc_file_id tc_file_id_of(const struct stat *st);
int tc_same_file_id(const struct tc_file_id *a, const struct tc_file_id *b);

/* Removes files PREFIX*SUFFIX of `dirfd` that are older than `age_s`. */
void tc_sweep(int dirfd, const char *prefix, const char *suffix, long age_s);

#endif
