/*
 * Data of a shared object as it will be once the loader has relocated it, out of the file alone:
 * bytes, and for each 8-byte word whether a relocation makes it a pointer. Addresses are the
 * object's own (load address 0).
 *
 * Fails with -EBADMSG (the file doesn't hold these bytes, or its tables lie about themselves) or
 * -ENOMEM. Reads are checked by elf_file.h, time is bounded by the relocation tables' size. Host
 * code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_PLUGIN_IMAGE_H
#define TC_SERVICE_RESOLVE_PLUGIN_IMAGE_H

#include "service/resolve/elf_file.h"

enum tc_word_kind {
    TC_WORD_PLAIN = 0, /* `value` is what the file holds */
    TC_WORD_POINTER,   /* `value` is an address in this object */
    TC_WORD_FOREIGN,   /* what it will be isn't in this file: another object's symbol, TLS, ... */
};

struct tc_word {
    uint64_t value;
    enum tc_word_kind kind;
};

/* The relocation tables of an object (PT_DYNAMIC). */
struct tc_relocations {
    const struct tc_elf *elf;
    const unsigned char *rela, *relr;
    uint64_t rela_bytes, relr_bytes;
};

int tc_relocations_find(const struct tc_elf *e, struct tc_relocations *ret);

/* The words from `vaddr` (a multiple of 8) on; `words` has room for `count`. */
int tc_relocated_words(const struct tc_relocations *r, uint64_t vaddr, size_t count,
                       struct tc_word *words);

#endif
