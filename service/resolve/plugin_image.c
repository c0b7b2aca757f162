#include "service/resolve/plugin_image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/* <elf.h> of glibc before 2.36 lacks them; gABI, "Relocation", SHT_RELR. */
#ifndef DT_RELR
#define DT_RELRSZ 35
#define DT_RELR   36
#endif

/* The words that a pass over the tables is to fill in. */
struct wanted {
    const struct tc_relocations *r;
    uint64_t vaddr;
    size_t count;
    struct tc_word *words;
};

static uint64_t load64(const unsigned char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static const unsigned char *dynamic_table(const struct tc_elf *e, uint64_t *ret_bytes)
{
    Elf64_Ehdr h;
    const unsigned char *at = tc_elf_bytes(e, 0, sizeof h);

    if (at == NULL)
        return NULL;
    memcpy(&h, at, sizeof h);
    if (h.e_phentsize != sizeof(Elf64_Phdr))
        return NULL;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        at = h.e_phoff <= e->bytes ? tc_elf_bytes(e, h.e_phoff + i * sizeof p, sizeof p) : NULL;
        if (at == NULL)
            return NULL;
        memcpy(&p, at, sizeof p);
        if (p.p_type == PT_DYNAMIC) {
            *ret_bytes = p.p_filesz;
            return tc_elf_bytes(e, p.p_offset, p.p_filesz);
        }
    }
    return NULL;
}

static int table(const struct tc_elf *e, uint64_t vaddr, uint64_t bytes, const unsigned char **ret)
{
    if (bytes == 0)
        return 0;
    *ret = tc_elf_at(e, vaddr, bytes);
    return *ret != NULL ? 0 : -EBADMSG;
}

int tc_relocations_find(const struct tc_elf *e, struct tc_relocations *ret)
{
    struct tc_relocations found = {.elf = e};
    uint64_t bytes = 0, rela = 0, relr = 0;
    const unsigned char *at = dynamic_table(e, &bytes);

    if (at == NULL)
        return -EBADMSG;
    for (; bytes >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn), bytes -= sizeof(Elf64_Dyn)) {
        Elf64_Dyn d;
        memcpy(&d, at, sizeof d);
        if (d.d_tag == DT_NULL)
            break;
        if (d.d_tag == DT_RELA)
            rela = d.d_un.d_ptr;
        else if (d.d_tag == DT_RELASZ)
            found.rela_bytes = d.d_un.d_val;
        else if (d.d_tag == DT_RELR)
            relr = d.d_un.d_ptr;
        else if (d.d_tag == DT_RELRSZ)
            found.relr_bytes = d.d_un.d_val;
    }
    if (table(e, rela, found.rela_bytes, &found.rela) < 0 ||
        table(e, relr, found.relr_bytes, &found.relr) < 0)
        return -EBADMSG;
    *ret = found;
    return 0;
}

/* The word that a relocation at `vaddr` fills in. One that lies across two words makes both of them
 * unusable. */
static struct tc_word *word_at(const struct wanted *w, uint64_t vaddr)
{
    uint64_t from = vaddr - w->vaddr; /* wraps for an address below, and so does `second` */
    uint64_t first = from / 8, second = (first + 1) % (UINT64_MAX / 8 + 1);

    if (from % 8 == 0)
        return first < w->count ? &w->words[first] : NULL;
    if (first < w->count)
        w->words[first].kind = TC_WORD_FOREIGN;
    if (second < w->count)
        w->words[second].kind = TC_WORD_FOREIGN;
    return NULL;
}

/* S + A of a symbol that this object defines itself. psABI 4.4.1. */
static struct tc_word symbol_word(const struct tc_elf *e, uint32_t symbol, uint64_t addend)
{
    struct tc_word foreign = {0, TC_WORD_FOREIGN};
    uint64_t offset = (uint64_t)symbol * sizeof(Elf64_Sym);
    Elf64_Sym s;
    const unsigned char *at = offset <= UINT64_MAX - e->dynamic.symtab
                                  ? tc_elf_at(e, e->dynamic.symtab + offset, sizeof s)
                                  : NULL;

    if (at == NULL)
        return foreign;
    memcpy(&s, at, sizeof s);
    if (s.st_shndx == SHN_UNDEF || s.st_shndx == SHN_ABS || s.st_shndx == SHN_COMMON ||
        ELF64_ST_TYPE(s.st_info) == STT_TLS || ELF64_ST_TYPE(s.st_info) == STT_GNU_IFUNC)
        return foreign;
    return (struct tc_word){s.st_value + addend, TC_WORD_POINTER};
}

static void apply_rela(const struct wanted *w)
{
    for (uint64_t i = 0; i + sizeof(Elf64_Rela) <= w->r->rela_bytes; i += sizeof(Elf64_Rela)) {
        Elf64_Rela r;
        memcpy(&r, w->r->rela + i, sizeof r);
        if (ELF64_R_TYPE(r.r_info) == R_X86_64_NONE)
            continue;
        struct tc_word *word = word_at(w, r.r_offset);
        if (word == NULL)
            continue;
        if (ELF64_R_TYPE(r.r_info) == R_X86_64_RELATIVE)
            *word = (struct tc_word){(uint64_t)r.r_addend, TC_WORD_POINTER};
        else if (ELF64_R_TYPE(r.r_info) == R_X86_64_64)
            *word = symbol_word(w->r->elf, ELF64_R_SYM(r.r_info), (uint64_t)r.r_addend);
        else
            word->kind = TC_WORD_FOREIGN;
    }
}

/* The word's addend lies in place. */
static void apply_relr_at(const struct wanted *w, uint64_t vaddr)
{
    struct tc_word *word = word_at(w, vaddr);
    if (word != NULL)
        word->kind = TC_WORD_POINTER;
}

/* An even entry is an address, an odd one a bitmap of the 63 words behind the last. gABI, SHT_RELR.
 */
static void apply_relr(const struct wanted *w)
{
    uint64_t next = 0;

    for (uint64_t i = 0; i + 8 <= w->r->relr_bytes; i += 8) {
        uint64_t entry = load64(w->r->relr + i);
        if ((entry & 1) == 0) {
            apply_relr_at(w, entry);
            next = entry + 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64; bit++)
            if (entry >> bit & 1)
                apply_relr_at(w, next + (bit - 1) * 8);
        next += 63 * 8;
    }
}

int tc_relocated_words(const struct tc_relocations *r, uint64_t vaddr, size_t count,
                       struct tc_word *words)
{
    struct wanted w = {.r = r, .vaddr = vaddr, .count = count, .words = words};
    const unsigned char *at = NULL;

    if (vaddr % 8 != 0 || count > SIZE_MAX / 16)
        return -EBADMSG;
    at = tc_elf_at(r->elf, vaddr, count * 8);
    if (at == NULL)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++)
        words[i] = (struct tc_word){load64(at + i * 8), TC_WORD_PLAIN};
    apply_rela(&w);
    apply_relr(&w);
    return 0;
}
