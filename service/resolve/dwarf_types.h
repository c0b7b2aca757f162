/*
 * Types of debug information as declarations for `types:`: a prototype that names `struct stats` or
 * `Vec3` gets the layout that the compiler gave it. Declarations are made so that the rules of C
 * lay them out alike; where they can't (bases that overlap, layouts that depend on the program) the
 * type isn't told, and `why` says so.
 *
 * Pointers inside are `void *`: nothing is followed, so loops in type graphs end. What is malformed
 * isn't there. Host code (the service's child processes); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_TYPES_H
#define TC_SERVICE_RESOLVE_DWARF_TYPES_H

#include <stdio.h>

#include "service/resolve/dwarf_find.h"

#define TC_DWARF_MAX_TYPES 256u

/* What a type takes in memory. */
struct tc_dwarf_size {
    uint64_t bytes, align;
    int unsure; /* values may be aligned otherwise on the stack: by 8, or more */
};

struct tc_dwarf_types {
    const struct tc_dwarf *dwarf;
    struct tc_dwarf_function *function; /* whose unit and parameters are asked first */
    struct tc_dwarf_told {
        void *addr; /* of the DIE */
        char *tag;
        struct tc_dwarf_size size;
        int open;       /* at work, or it can't be told */
        int is_typedef; /* `tag` is a typedef's name, of a struct that has none */
    } told[TC_DWARF_MAX_TYPES];
    uint32_t told_count;
    char *texts[TC_DWARF_MAX_TYPES];
    uint32_t text_count;
    uint32_t steps;
    const char *wanted; /* what the next struct is to be called; NULL: as it is */
    char why[160];      /* about the last type that can't be told */
    int no_memory;
};

/* For struct tc_proto_text: "struct stats", "enum mode", "Vec3" -> declarations, NULL: no such
 * type. `arg` is a struct tc_dwarf_types, which owns the text. */
const char *tc_dwarf_type_text(void *arg, const char *name);
void tc_dwarf_types_free(struct tc_dwarf_types *t);

/* dwarf_lookup.c: the type that a name means. 1: it is in `ret`. */
int tc_dwarf_type_named(struct tc_dwarf_types *t, const char *name, Dwarf_Die *ret);
/* The definition of what is only declared here; 1. */
int tc_dwarf_type_defined(struct tc_dwarf_types *t, Dwarf_Die *die, Dwarf_Die *ret);

/* dwarf_members.c: appends what declares a struct or class, and what it needs in front of it, to
 * `to`. NULL: it can't be told. */
const struct tc_dwarf_told *tc_dwarf_tell_record(struct tc_dwarf_types *t, Dwarf_Die *record,
                                                 FILE *to, int depth);
/* The declaration of `inner` with this type, to be freed; NULL: it can't be told. */
char *tc_dwarf_tell_member(struct tc_dwarf_types *t, Dwarf_Die *type, const char *inner, FILE *to,
                           int depth, struct tc_dwarf_size *ret_size);

#endif
