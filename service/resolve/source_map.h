/*
 * What addresses of an object mean to the source hash: relocations, regions of memory, data and
 * functions with names, symbols with versions. All of it read from the file; nothing is believed
 * that wasn't checked against it.
 *
 * Opening fails with -ENOMEM only. Host code (the service's child processes, cachectl); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_SOURCE_MAP_H
#define TC_SERVICE_RESOLVE_SOURCE_MAP_H

#include "cache/hash.h"
#include "service/resolve/arch.h"
#include "service/resolve/elf_function.h"

enum tc_relocation {
    TC_REL_OTHER = 0,
    TC_REL_BASE,   /* the load address + addend */
    TC_REL_SYMBOL, /* a symbol's address + addend */
    TC_REL_SLOT,   /* the same, in a slot of the linkage tables */
    TC_REL_CHOSEN, /* what the resolver at addend returns */
    TC_REL_COPY,   /* the symbol's contents, `bytes` of them */
    TC_REL_TLS,    /* a module's, an offset, or a descriptor, of a thread's variables */
};

struct tc_reloc {
    uint64_t at, addend;
    uint32_t symbol; /* index into the dynamic symbols; 0: none */
    uint8_t kind;    /* enum tc_relocation */
    uint8_t raw;     /* the processor's number, where kinds don't tell enough */
    uint16_t bytes;
};

enum tc_region_flag {
    TC_REGION_CODE = 1u << 0,
    TC_REGION_WRITABLE = 1u << 1, /* while the program runs */
    TC_REGION_SLOTS = 1u << 2,    /* of the linkage tables */
    TC_REGION_EMPTY = 1u << 3,    /* no bytes in the file */
    TC_REGION_LISTED = 1u << 4,   /* data of many, which __start_NAME lists as one array */
};

struct tc_region {
    uint64_t begin, end;
    uint32_t flags;
};

/* Data that a symbol gives a size. */
struct tc_datum {
    uint64_t begin, end;
    uint64_t highest_end; /* of this one and all before it */
    uint32_t symbol;      /* index into the image's symbols */
};

/* A dynamic symbol. */
struct tc_dynamic_symbol {
    const char *name;    /* never NULL */
    const char *version; /* NULL: none */
    const char *library; /* that the version is asked of; NULL */
    uint64_t vaddr, bytes;
    int defined, is_function, is_tls;
};

/* An address that code, words or relocations hold. */
struct tc_taken {
    uint64_t vaddr;
    uint64_t by; /* 0: for sure; TC_TAKEN_NOT: it isn't; else where the instruction would end that
                    takes it, if one does */
};
#define TC_TAKEN_NOT UINT64_MAX

struct tc_map {
    const struct tc_image *im;
    const struct tc_arch *arch;
    int absolute;   /* a fixed address: words and fields may be addresses without relocation */
    int names_hold; /* local functions take what their names promise (docs/source.md) */
    struct tc_reloc *relocs;
    size_t reloc_count, relocs_allocated;
    struct tc_region *regions;
    size_t region_count;
    struct tc_datum *data, *tls; /* the latter at offsets in the thread's block */
    size_t data_count, tls_count;
    struct tc_taken *taken; /* by address; NULL: not asked yet */
    size_t taken_count, taken_allocated;
    struct tc_map_version {
        const char *name, *library;
    } * versions; /* by index */
    size_t version_count;
    const unsigned char *symbols, *strings, *version_indexes;
    uint64_t symbol_count, strings_bytes;
    /* Data that leads to more functions than are followed, wherever it comes up. */
    struct tc_piece crowded[8];
    size_t crowded_count;
    struct tc_source_memo *memo[2]; /* by enum tc_source_mode; NULL: not asked yet */
    size_t memo_bytes;              /* one that is larger is given up, and another one begun */
    struct tc_hash128 file;
    int has_file; /* the digest of the whole file, made when first asked for */
};

int tc_map_open(const struct tc_image *im, struct tc_map *ret);
void tc_map_close(struct tc_map *m);

struct tc_hash128 tc_map_file(struct tc_map *m);
const struct tc_region *tc_map_region(const struct tc_map *m, uint64_t vaddr);
/* The first relocation whose place isn't below `vaddr`. */
size_t tc_map_reloc(const struct tc_map *m, uint64_t vaddr);
/* The one at `vaddr`; NULL. */
const struct tc_reloc *tc_map_reloc_at(const struct tc_map *m, uint64_t vaddr);
/* 0: there is no such symbol. */
int tc_map_symbol(const struct tc_map *m, uint32_t index, struct tc_dynamic_symbol *ret);

/* The largest sized datum that holds `vaddr`, or that ends there. NULL. */
const struct tc_datum *tc_map_datum(const struct tc_map *m, uint64_t vaddr);
const struct tc_datum *tc_map_datum_before(const struct tc_map *m, uint64_t vaddr);
/* The first that begins at or behind `vaddr`. */
const struct tc_datum *tc_map_datum_from(const struct tc_map *m, uint64_t vaddr);
const struct tc_datum *tc_map_tls(const struct tc_map *m, uint64_t offset);
/* Where text of no known size at `vaddr` ends at the latest: rule 5. -ENOMEM */
int tc_map_text_end(struct tc_map *m, uint64_t vaddr, uint64_t *ret);
/* The next address behind `vaddr` that is taken; UINT64_MAX: none. -ENOMEM */
int tc_map_taken_after(struct tc_map *m, uint64_t vaddr, uint64_t *ret);

/* source_names.c */
/* The name by which the function at `vaddr` can be told from all others of its object, with
 * its version or file. 0: it has none that holds. */
int tc_map_function_name(const struct tc_map *m, uint64_t vaddr, char *ret, size_t bytes);
/* Likewise of writable or thread-local data. */
int tc_map_datum_name(const struct tc_map *m, const struct tc_datum *d, char *ret, size_t bytes);
/* All names that hold, each once, in the alphabet's order: of a function, or of data. */
typedef void tc_map_name_seen(void *arg, const char *name, size_t bytes);
void tc_map_all_names(const struct tc_map *m, uint64_t vaddr, int code, tc_map_name_seen *seen,
                      void *arg);
/* What people call the code at `vaddr`, whether or not that holds. */
void tc_map_code_label(const struct tc_map *m, uint64_t vaddr, char *ret, size_t bytes);
/* The code around `vaddr`, as far as it belongs together. 0: that isn't known. */
int tc_map_code_range(const struct tc_map *m, uint64_t vaddr, struct tc_piece *ret);
/* The code at `vaddr` is a stub of the linkage table: the relocation of its slot; NULL. */
const struct tc_reloc *tc_map_stub(const struct tc_map *m, uint64_t vaddr);
int tc_map_names_hold(const struct tc_image *im);

#endif
