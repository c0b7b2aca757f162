/*
 * Types of debug information as C: what a declaration of a parameter, with or without the extents
 * that a config adds, looks like. Whatever has no name in C (templates, closures) gets one made of
 * the letters that it has.
 *
 * NULL without memory; free() the results. Depth is bounded, so loops in damaged type graphs end.
 * Host code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_TEXT_H
#define TC_SERVICE_RESOLVE_DWARF_TEXT_H

#include "service/resolve/dwarf_find.h"

/* What is left behind typedefs and qualifiers. */
struct tc_dwarf_peeled {
    Dwarf_Die die; /* valid unless `is_void` */
    int tag;       /* 0: void */
    int is_void, is_const;
};

void tc_dwarf_peel(Dwarf_Die *type, int has_type, struct tc_dwarf_peeled *ret);

/* The declaration of `inner`, which is a name with what surrounds it: "*x", "x[n]", "f(int a)". */
char *tc_dwarf_declare(Dwarf_Die *type, int has_type, const char *inner);

/* Is it a pointer or reference: by its type, or by Fortran's ways? `ret` gets what it points at. */
int tc_dwarf_points_at(struct tc_dwarf_param *p, struct tc_dwarf_peeled *ret, Dwarf_Die *ret_type,
                       int *ret_has_type);

char *tc_dwarf_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The characters of `name` that C takes; NULL or "": "arg" and the number. */
char *tc_dwarf_name(const char *name, uint32_t number);

#endif
