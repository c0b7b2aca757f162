/*
 * The function names of an object, from all the places that have some. Each place is a source: the
 * dynamic table (through PT_DYNAMIC, so that section headers needn't be there), .symtab, and where
 * that was stripped the one of the debug file, or of .gnu_debugdata.
 *
 * All that is defined in the object is kept, data too, so that "not a function" can be told from
 * "not found". Fails with -ENOMEM only; what can't be read isn't there. Host code; one thread.
 * Names point into the bytes of the object or its debug file.
 */
#ifndef TC_SERVICE_RESOLVE_ELF_SYMBOLS_H
#define TC_SERVICE_RESOLVE_ELF_SYMBOLS_H

#include "service/resolve/debug_file.h"

enum tc_symbol_flag {
    TC_SYMBOL_EXPORTED = 1u << 0,    /* can be bound or called from other objects or units */
    TC_SYMBOL_OLD_VERSION = 1u << 1, /* NAME@VERSION, not the default NAME@@VERSION */
    TC_SYMBOL_LOCAL = 1u << 2,       /* STB_LOCAL */
    TC_SYMBOL_DEBUG = 1u << 3,       /* the object itself doesn't say this name */
    TC_SYMBOL_DYNAMIC = 1u << 4,     /* the loader can find it */
};

struct tc_symbol {
    const char *name; /* `name_bytes` long; a version may follow in place of the NUL */
    const char *file; /* basename of its STT_FILE; NULL: not known, or not static */
    uint32_t name_bytes;
    uint32_t index; /* in its own table */
    uint8_t type;   /* STT_* */
    uint8_t flags;
    uint64_t vaddr, bytes;
};

struct tc_symbols {
    struct tc_symbol *all;
    uint32_t *by_name, *by_vaddr; /* indexes into `all`, sorted */
    size_t count, allocated;
    int has_symtab; /* static functions have names */
    int is_go;
};

/* Where names come from. `read` appends by tc_symbols_add(). */
struct tc_symbol_source {
    const char *name;
    int (*read)(const struct tc_elf *e, const struct tc_debug *d, struct tc_symbols *into);
};

/* `d` NULL: no debug files. */
int tc_symbols_read(const struct tc_elf *e, const struct tc_debug *d, struct tc_symbols *ret);
void tc_symbols_free(struct tc_symbols *s);

/* For sources. */
int tc_symbols_add(struct tc_symbols *s, const struct tc_symbol *symbol);

/* The first place in `by_name` whose name isn't less than these bytes. */
size_t tc_symbols_lower(const struct tc_symbols *s, const char *name, size_t bytes);
/* The first place in `by_vaddr` that isn't below `vaddr`. */
size_t tc_symbols_at(const struct tc_symbols *s, uint64_t vaddr);

int tc_symbol_is(const struct tc_symbol *s, const char *name, size_t bytes);

#endif
