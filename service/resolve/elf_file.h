/*
 * One ELF64 little-endian object as a file: its segments, sections and dynamic table, with every
 * access to its bytes checked against the file. libelf reads the header tables; what they say is
 * believed only after it was checked here.
 *
 * Opening fails only for want of memory or a file that can't be mapped: an object that can't be
 * hooked at all is opened with `reason` set, and its symbols can be asked for as far as they are
 * readable. Host code (service's child processes); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_ELF_FILE_H
#define TC_SERVICE_RESOLVE_ELF_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "cache/plan.h"

struct tc_segment {
    uint64_t vaddr, offset, file_bytes, bytes; /* the last: in memory */
    uint32_t flags;                            /* PF_* */
};

struct tc_section {
    const char *name;
    uint32_t type, link;
    uint64_t flags, vaddr, offset, bytes;
};

/* Addresses out of PT_DYNAMIC, in the object's own addresses; 0: absent. */
struct tc_dynamic {
    uint64_t symtab, strtab, strtab_bytes, hash, gnu_hash, versym;
    uint64_t verneed, verneed_count, verdef, verdef_count;
    uint64_t rela, rela_bytes, jmprel, jmprel_bytes, relr, relr_bytes;
    uint64_t flags, flags_1;
    int found, text_relocations;
};

struct tc_elf {
    const unsigned char *data; /* the whole file */
    size_t bytes;
    void *mapping; /* NULL: the data is the caller's */
    uint16_t type, machine;
    uint32_t reason; /* enum tc_reason: the object is refused as a whole, 0 */
    struct tc_segment *loads;
    size_t load_count;
    struct tc_section *sections;
    size_t section_count;
    struct tc_dynamic dynamic;
    uint64_t eh_frame_hdr, eh_frame_hdr_bytes; /* PT_GNU_EH_FRAME */
    uint64_t relro, relro_bytes;               /* PT_GNU_RELRO: read-only once it is relocated */
    struct tc_segment tls;                     /* PT_TLS; `bytes` 0: none */
    uint64_t tls_align;
    const char *soname; /* NULL: none */
    const unsigned char *build_id;
    uint32_t build_id_bytes;
    int has_interpreter;
};

int tc_elf_open_fd(int fd, struct tc_elf **ret);
/* `data` must outlive the object and be 8-byte aligned. */
int tc_elf_open_memory(const void *data, size_t bytes, struct tc_elf **ret);
/* A file that only describes another one: its sections and build-id, no segments. The contents of
 * what would be mapped are elsewhere (SHT_NOBITS). */
int tc_elf_open_debug_fd(int fd, struct tc_elf **ret);
int tc_elf_open_debug_memory(const void *data, size_t bytes, struct tc_elf **ret);
void tc_elf_close(struct tc_elf *e);

/* `bytes` bytes of the file at `offset`; NULL if they aren't all there. */
const unsigned char *tc_elf_bytes(const struct tc_elf *e, uint64_t offset, uint64_t bytes);
/* `bytes` bytes that a loader would map at `vaddr`; NULL if the file doesn't hold them all. */
const unsigned char *tc_elf_at(const struct tc_elf *e, uint64_t vaddr, uint64_t bytes);
/* How many bytes of the file are mapped from `vaddr` on, and with which PF_* flags. */
uint64_t tc_elf_room(const struct tc_elf *e, uint64_t vaddr, uint32_t *ret_flags);
/* A NUL-terminated string at `offset` inside a table of `table_bytes` at `table`; NULL. */
const char *tc_elf_string(const unsigned char *table, uint64_t table_bytes, uint64_t offset,
                          size_t *ret_bytes);
/* The first section of this name (or, with NULL, of this type); NULL. */
const struct tc_section *tc_elf_section(const struct tc_elf *e, const char *name, uint32_t type);

/* The part of `path` behind the last slash. */
const char *tc_basename(const char *path);

#endif
