/*
 * Where functions end: the unwind entries (FDEs) of .eh_frame, found through PT_GNU_EH_FRAME or the
 * section, and the sizes of symbols. libdw hands out rows of unwind tables, not bounds, so the
 * entries are walked here; the format is in the LSB, "Exception Frames".
 *
 * Fails with -ENOMEM only; entries that can't be read are left out. Host code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_ELF_BOUNDS_H
#define TC_SERVICE_RESOLVE_ELF_BOUNDS_H

#include "service/resolve/elf_symbols.h"

struct tc_range {
    uint64_t begin, end;
    uint64_t highest_end; /* of this range and all before it */
};

/* What an unwind entry says of exceptions: addresses, 0: nothing. */
struct tc_handlers {
    uint64_t begin, end;  /* the entry's code */
    uint64_t table;       /* .gcc_except_table: where they are caught */
    uint64_t personality; /* the function that reads it, or a word with its address */
    int is_indirect;      /* the latter */
};

struct tc_bounds {
    struct tc_range *fdes;        /* by begin */
    struct tc_range *ranges;      /* FDEs and sized functions, by begin */
    struct tc_handlers *handlers; /* of entries that have a table, by begin */
    size_t fde_count, range_count, handler_count;
};

int tc_bounds_read(const struct tc_elf *e, const struct tc_symbols *s, struct tc_bounds *ret);
void tc_bounds_free(struct tc_bounds *b);

/* How many bytes the unwind entry that holds `vaddr` goes on from there; 0: there is none. */
uint64_t tc_bounds_fde_bytes(const struct tc_bounds *b, uint64_t vaddr);
/* The innermost known range around `vaddr`; NULL. */
const struct tc_range *tc_bounds_around(const struct tc_bounds *b, uint64_t vaddr);
/* Where the known ranges that begin before `vaddr` have all ended; 0: there are none. */
uint64_t tc_bounds_end_before(const struct tc_bounds *b, uint64_t vaddr);

#endif
