/*
 * A struct of debug information while its declaration is written (dwarf_members.c), and how sure
 * its alignment is (dwarf_align.c). Host code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_RECORD_H
#define TC_SERVICE_RESOLVE_DWARF_RECORD_H

#include "service/resolve/dwarf_types.h"

struct tc_dwarf_member {
    char *text;        /* "double x", ": 3" behind it if it has bits */
    uint64_t at, bits; /* place in bits; width of a bit-field, 0: none */
    uint64_t align;    /* given, 0: none */
    struct tc_dwarf_size size;
};

struct tc_dwarf_record {
    struct tc_dwarf_types *t;
    Dwarf_Die *die;
    struct tc_dwarf_member *member; /* in order of their places */
    size_t count, allocated;
    uint64_t bytes, align; /* of the whole; the alignment is one that was given */
    int forgot;            /* alignments of members, which don't go with their places */
};

/* Debug information tells alignments that were given, and never whether a struct is packed. Could
 * values of this one, which `whole` is the alignment of by C's rules, be elsewhere on the stack? */
int tc_dwarf_is_unsure(const struct tc_dwarf_record *r, uint64_t whole);

#endif
