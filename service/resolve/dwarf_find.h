/*
 * Functions in debug information: the entry that describes the machine code at an address, its
 * parameters in the order of the source, and how often a function was inlined.
 *
 * DWARF describes the source; what the compiled function does with its parameters is checked by
 * dwarf_places.h. What is malformed isn't there: steps, depths and chains of references are
 * bounded. Fails with -ENOMEM only. Host code (the service's child processes); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_FIND_H
#define TC_SERVICE_RESOLVE_DWARF_FIND_H

#include <elfutils/libdw.h>

#include "service/resolve/cxx_name.h"
#include "service/resolve/elf_function.h"

#define TC_DWARF_MAX_DEPTH 40
#define TC_DWARF_MAX_STEPS (1u << 27)

struct tc_dwarf {
    Elf *elf;
    Dwarf *dwarf;
    void *copy; /* of the file, where libelf would write into it; NULL */
};

struct tc_dwarf_param {
    const char *name; /* NULL: none */
    Dwarf_Die type;
    int has_type;
    int artificial;   /* not in the source: a hidden length, `this` */
    int by_reference; /* Fortran: the type is that of what it points at */
    int has_die;      /* the compiled function knows of it, in `die` */
    int has_location; /* and has it somewhere, at some time */
    Dwarf_Die die;
};

struct tc_dwarf_function {
    Dwarf_Die die, source; /* of the code; of the source, where names and types are */
    const char *name;
    int language; /* DW_LANG_* */
    int variadic, prototyped;
    int unoptimized; /* the producer says so */
    int by_clang;
    int meagre;  /* line tables only: parameters and types were left out */
    int nested;  /* takes the frame of the function around it as one argument more */
    int foreign; /* a calling convention of its own */
    Dwarf_Die result;
    int has_result;
    struct tc_dwarf_param params[TC_MAX_PARAMS];
    uint32_t param_count;
    int too_many;
};

/* 1: there is debug information, 0: there is none. */
int tc_dwarf_open(const struct tc_image *im, struct tc_dwarf *ret);
void tc_dwarf_close(struct tc_dwarf *d);

/* What describes the code that begins at `vaddr`; of several (folded functions) the one of this
 * name first. 1: found. */
int tc_dwarf_function_at(const struct tc_dwarf *d, uint64_t vaddr, const char *name,
                         struct tc_dwarf_function *ret);

/* How many copies of the function `name` (or, if it isn't NULL, of what `cxx` names) were inlined;
 * `*ret_defined`: the source defines one. */
uint32_t tc_dwarf_inlined(const struct tc_dwarf *d, const char *name, const struct tc_cxx_name *cxx,
                          int *ret_defined);

/* How many functions with code are named so, and where the first one begins. */
uint32_t tc_dwarf_entries(const struct tc_dwarf *d, const struct tc_cxx_name *cxx,
                          uint64_t *ret_vaddr);

int tc_dwarf_is_fortran(int language);

/* Does a namespace `std` hold the entry? */
int tc_dwarf_is_in_std(Dwarf_Die *die);

/* Where a parameter is when the function is entered. 1: `ret_ops` are valid, 0: nowhere. */
int tc_dwarf_location(struct tc_dwarf_param *p, uint64_t vaddr, Dwarf_Op **ret_ops,
                      size_t *ret_count);

/* The symbol's name, which for languages that mangle isn't the source's; NULL: none. */
const char *tc_dwarf_linkage_name(Dwarf_Die *die);
/* Can what has this tag hold functions? */
int tc_dwarf_has_scopes(int tag);
/* Follows abstract origins to their end. */
void tc_dwarf_origin(Dwarf_Die *die);

/* The value of a DIE's own reference, 1; following nothing else. */
int tc_dwarf_follow(Dwarf_Die *die, unsigned attribute, Dwarf_Die *ret);
/* Its type, 0: void or unreadable. */
int tc_dwarf_type(Dwarf_Die *die, Dwarf_Die *ret);
/* An attribute of a number, its own or inherited; `otherwise` if there is none. */
uint64_t tc_dwarf_number(Dwarf_Die *die, unsigned attribute, uint64_t otherwise);
/* The next entry of the same parent, 1; never one further ahead. */
int tc_dwarf_next(Dwarf_Die *die);

#endif
