/*
 * What enters a function's source digest, asked of a process of taskcached's own, as the file may
 * be anything (service/describe_source.h). One thread.
 */
#ifndef TC_TOOLS_SOURCE_TREE_H
#define TC_TOOLS_SOURCE_TREE_H

#include <stdio.h>
#include <sys/types.h>

#include "tools/base.h"
#include "tools/json.h"
#include "tools/libraries.h"

struct tc_source_child {
    pid_t pid;
    FILE *to, *from;
    const char *path;
};

/* `path` stays the caller's. What can't be started or read shows when it is asked. */
void tc_source_child_open(struct tc_source_child *c, const char *path);
void tc_source_child_close(struct tc_source_child *c);
/* Imports are looked for in this library, after those that were named before. */
void tc_source_child_library(struct tc_source_child *c, const char *path);
/* Those that a program starts with, and what `object` needs (source_depends.c). */
void tc_source_child_libraries(struct tc_source_child *c, const struct tc_libraries *all,
                               const char *interpreter, const char *object);
/* Where following ends from now on: a task's `deep_stop`. */
void tc_source_child_stop(struct tc_source_child *c, const char *globs);

/* The strings are the text's. */
struct tc_tree_item {
    const char *kind, *digest, *label;
    long first; /* the reference by which it was first met; -1: none */
    bool printed;
};
struct tc_tree_ref {
    size_t from;
    long to; /* -1: the name is all that enters */
    const char *why, *label;
    bool repeated; /* the same as one before it */
};
struct tc_tree_import {
    const char *name, *version, *bound; /* the last two may be "" */
    bool ends;                          /* following does there */
};
struct tc_tree_effect {
    enum tc_reason reason;
    const char *what, *path;
};
struct tc_tree_function {
    const char *name, *digest, *narrow; /* the last without what is coarse, or "" */
};
struct tc_tree {
    struct tc_text text;
    const char *digest, *indirect;
    bool whole, is_ifunc, has_unnamed;
    struct tc_tree_item *items;
    struct tc_tree_ref *refs;
    struct tc_tree_import *imports; /* none unless libraries were named */
    struct tc_tree_function *functions;
    struct tc_tree_effect *effects;
    size_t item_count, ref_count, import_count, function_count, effect_count;
    char *refused[2]; /* a reason's id, and more about it; NULL */
};
void tc_tree_free(struct tc_tree *t);

/* Free `ret` in any case. The first two say what is wrong, and return false. */
bool tc_tree_of_name(struct tc_source_child *c, const char *name, bool deep, struct tc_tree *ret);
bool tc_tree_of_range(struct tc_source_child *c, const char *name, uint64_t vaddr, uint64_t bytes,
                      bool deep, struct tc_tree *ret);
/* All functions that have names, in `functions`. */
bool tc_tree_of_all(struct tc_source_child *c, bool deep, struct tc_tree *ret);

/* These say nothing where they fail: it may be no function. */
bool tc_tree_ask_name(struct tc_source_child *c, const char *name, struct tc_tree *ret);
/* What it does beside its arguments, with calls followed inside of the file: `effects`, `imports`,
 * `indirect`, `whole`, `is_ifunc` and `has_unnamed` alone. */
bool tc_tree_ask_effects(struct tc_source_child *c, const char *name, struct tc_tree *ret);

/* source_print.c */
void tc_tree_print(struct tc_tree *t, int indent);
/* The fields of an object that is open. */
void tc_tree_json(const struct tc_tree *t, struct tc_json *j);

#endif
