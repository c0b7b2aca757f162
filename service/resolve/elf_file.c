#include "service/resolve/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "cache/reason.h"

#define MAX_HEADERS 65536u

const unsigned char *tc_elf_bytes(const struct tc_elf *e, uint64_t offset, uint64_t bytes)
{
    if (offset > e->bytes || bytes > e->bytes - offset)
        return NULL;
    return e->data + offset;
}

uint64_t tc_elf_room(const struct tc_elf *e, uint64_t vaddr, uint32_t *ret_flags)
{
    for (size_t i = 0; i < e->load_count; i++) {
        const struct tc_segment *s = &e->loads[i];
        if (vaddr >= s->vaddr && vaddr - s->vaddr < s->file_bytes) {
            *ret_flags = s->flags;
            return s->file_bytes - (vaddr - s->vaddr);
        }
    }
    return 0;
}

const unsigned char *tc_elf_at(const struct tc_elf *e, uint64_t vaddr, uint64_t bytes)
{
    for (size_t i = 0; i < e->load_count; i++) {
        const struct tc_segment *s = &e->loads[i];
        if (vaddr >= s->vaddr && vaddr - s->vaddr < s->file_bytes)
            return bytes <= s->file_bytes - (vaddr - s->vaddr)
                       ? e->data + s->offset + (vaddr - s->vaddr)
                       : NULL;
    }
    return NULL;
}

const char *tc_elf_string(const unsigned char *table, uint64_t table_bytes, uint64_t offset,
                          size_t *ret_bytes)
{
    size_t bytes = 0;

    if (table == NULL || offset >= table_bytes)
        return NULL;
    bytes = strnlen((const char *)table + offset, table_bytes - offset);
    if (bytes == table_bytes - offset)
        return NULL;
    if (ret_bytes != NULL)
        *ret_bytes = bytes;
    return (const char *)table + offset;
}

const struct tc_section *tc_elf_section(const struct tc_elf *e, const char *name, uint32_t type)
{
    for (size_t i = 0; i < e->section_count; i++) {
        const struct tc_section *s = &e->sections[i];
        if (name != NULL ? strcmp(s->name, name) == 0 : s->type == type)
            return s;
    }
    return NULL;
}

const char *tc_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void refuse(struct tc_elf *e, enum tc_reason reason)
{
    if (e->reason == 0)
        e->reason = reason;
}

static int by_vaddr(const void *a, const void *b)
{
    const struct tc_segment *x = a, *y = b;
    return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static void add_load(struct tc_elf *e, const GElf_Phdr *p)
{
    if (tc_elf_bytes(e, p->p_offset, p->p_filesz) == NULL || p->p_filesz > p->p_memsz ||
        p->p_vaddr > INT64_MAX || p->p_memsz > INT64_MAX - p->p_vaddr) {
        refuse(e, TC_R_MALFORMED_ELF);
        return;
    }
    if (p->p_filesz != 0)
        e->loads[e->load_count++] = (struct tc_segment){.vaddr = p->p_vaddr,
                                                        .offset = p->p_offset,
                                                        .file_bytes = p->p_filesz,
                                                        .bytes = p->p_memsz,
                                                        .flags = p->p_flags};
}

static void read_note(struct tc_elf *e, const Elf64_Nhdr *n, const unsigned char *name,
                      const unsigned char *desc)
{
    if (n->n_namesz == 4 && memcmp(name, "GNU", 4) == 0 && n->n_type == NT_GNU_BUILD_ID &&
        n->n_descsz <= TC_MAX_BUILD_ID) {
        e->build_id = desc;
        e->build_id_bytes = n->n_descsz;
    }
    /* The Go linker's own build id. */
    if (n->n_namesz == 4 && memcmp(name, "Go", 3) == 0 && n->n_type == 4)
        refuse(e, TC_R_GO_RUNTIME);
}

/* gABI, "Note Section"; segments of 8-byte notes pad to 8. */
static void read_notes(struct tc_elf *e, const GElf_Phdr *p)
{
    const unsigned char *at = tc_elf_bytes(e, p->p_offset, p->p_filesz);
    uint64_t left = at != NULL ? p->p_filesz : 0, mask = p->p_align == 8 ? 7 : 3;

    while (left >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        memcpy(&n, at, sizeof n);
        uint64_t desc = (sizeof n + n.n_namesz + mask) & ~mask;
        uint64_t next = (desc + n.n_descsz + mask) & ~mask;
        if (desc + n.n_descsz > left)
            return;
        read_note(e, &n, at + sizeof n, at + desc);
        if (next > left)
            return;
        at += next;
        left -= next;
    }
}

static int read_segments(struct tc_elf *e, Elf *elf)
{
    size_t count = 0;

    if (elf_getphdrnum(elf, &count) != 0 || count == 0 || count > MAX_HEADERS) {
        refuse(e, TC_R_MALFORMED_ELF);
        return 0;
    }
    e->loads = calloc(count, sizeof *e->loads);
    if (e->loads == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) == NULL) {
            refuse(e, TC_R_MALFORMED_ELF);
            return 0;
        }
        if (p.p_type == PT_LOAD)
            add_load(e, &p);
        else if (p.p_type == PT_INTERP)
            e->has_interpreter = 1;
        else if (p.p_type == PT_NOTE)
            read_notes(e, &p);
        else if (p.p_type == PT_GNU_EH_FRAME) {
            e->eh_frame_hdr = p.p_vaddr;
            e->eh_frame_hdr_bytes = p.p_filesz;
        } else if (p.p_type == PT_GNU_RELRO) {
            e->relro = p.p_vaddr;
            e->relro_bytes = p.p_memsz;
        } else if (p.p_type == PT_TLS) {
            e->tls = (struct tc_segment){p.p_vaddr, p.p_offset, p.p_filesz, p.p_memsz, p.p_flags};
            e->tls_align = p.p_align;
        }
    }
    qsort(e->loads, e->load_count, sizeof *e->loads, by_vaddr);
    return 0;
}

static void read_dynamic_entry(struct tc_elf *e, const Elf64_Dyn *d, uint64_t *soname)
{
    struct tc_dynamic *t = &e->dynamic;

    switch (d->d_tag) {
    case DT_SYMTAB:
        t->symtab = d->d_un.d_ptr;
        break;
    case DT_STRTAB:
        t->strtab = d->d_un.d_ptr;
        break;
    case DT_STRSZ:
        t->strtab_bytes = d->d_un.d_val;
        break;
    case DT_HASH:
        t->hash = d->d_un.d_ptr;
        break;
    case DT_GNU_HASH:
        t->gnu_hash = d->d_un.d_ptr;
        break;
    case DT_VERSYM:
        t->versym = d->d_un.d_ptr;
        break;
    case DT_VERNEED:
        t->verneed = d->d_un.d_val;
        break;
    case DT_VERNEEDNUM:
        t->verneed_count = d->d_un.d_val;
        break;
    case DT_VERDEF:
        t->verdef = d->d_un.d_val;
        break;
    case DT_VERDEFNUM:
        t->verdef_count = d->d_un.d_val;
        break;
    case DT_RELA:
        t->rela = d->d_un.d_val;
        break;
    case DT_RELASZ:
        t->rela_bytes = d->d_un.d_val;
        break;
    case DT_JMPREL:
        t->jmprel = d->d_un.d_val;
        break;
    case DT_PLTRELSZ:
        t->jmprel_bytes = d->d_un.d_val;
        break;
    case DT_RELR:
        t->relr = d->d_un.d_val;
        break;
    case DT_RELRSZ:
        t->relr_bytes = d->d_un.d_val;
        break;
    case DT_TEXTREL:
        t->text_relocations = 1;
        break;
    case DT_FLAGS:
        t->flags = d->d_un.d_val;
        break;
    case DT_FLAGS_1:
        t->flags_1 = d->d_un.d_val;
        break;
    case DT_SONAME:
        *soname = d->d_un.d_val;
        break;
    default:
        break;
    }
}

static void read_dynamic(struct tc_elf *e, Elf *elf)
{
    size_t count = 0;
    uint64_t soname = UINT64_MAX;

    if (elf_getphdrnum(elf, &count) != 0)
        return;
    for (size_t i = 0; i < count && i < MAX_HEADERS; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) == NULL || p.p_type != PT_DYNAMIC)
            continue;
        const unsigned char *at = tc_elf_bytes(e, p.p_offset, p.p_filesz);
        if (at == NULL)
            continue;
        e->dynamic.found = 1;
        for (uint64_t k = 0; k + sizeof(Elf64_Dyn) <= p.p_filesz; k += sizeof(Elf64_Dyn)) {
            Elf64_Dyn d;
            memcpy(&d, at + k, sizeof d);
            if (d.d_tag == DT_NULL)
                break;
            read_dynamic_entry(e, &d, &soname);
        }
        break;
    }
    if (e->dynamic.flags & DF_TEXTREL)
        e->dynamic.text_relocations = 1;
    if (e->dynamic.text_relocations)
        refuse(e, TC_R_TEXT_RELOCATIONS);
    e->soname = tc_elf_string(tc_elf_at(e, e->dynamic.strtab, e->dynamic.strtab_bytes),
                              e->dynamic.strtab_bytes, soname, NULL);
    if (e->soname != NULL && e->soname[0] == 0)
        e->soname = NULL;
}

static int read_sections(struct tc_elf *e, Elf *elf)
{
    size_t count = 0, names = 0;
    GElf_Shdr strings = {0};
    const unsigned char *table = NULL;

    /* An object without section headers is fine: it has its program headers. */
    if (elf_getshdrnum(elf, &count) != 0 || count == 0 || count > MAX_HEADERS)
        return 0;
    e->sections = calloc(count, sizeof *e->sections);
    if (e->sections == NULL)
        return -ENOMEM;
    if (elf_getshdrstrndx(elf, &names) == 0 && elf_getscn(elf, names) != NULL &&
        gelf_getshdr(elf_getscn(elf, names), &strings) != NULL)
        table = tc_elf_bytes(e, strings.sh_offset, strings.sh_size);
    for (size_t i = 0; i < count; i++) {
        GElf_Shdr h;
        Elf_Scn *scn = elf_getscn(elf, i);
        struct tc_section *s = &e->sections[e->section_count++];
        s->name = "";
        if (scn == NULL || gelf_getshdr(scn, &h) == NULL)
            continue;
        const char *name = tc_elf_string(table, strings.sh_size, h.sh_name, NULL);
        s->name = name != NULL ? name : "";
        /* Compressed contents can't be read in place, and nothing that is read here is. */
        s->type = h.sh_flags & SHF_COMPRESSED ? SHT_NULL : h.sh_type;
        s->link = h.sh_link;
        s->flags = h.sh_flags;
        s->vaddr = h.sh_addr;
        s->offset = h.sh_offset;
        s->bytes = h.sh_size;
    }
    return 0;
}

/* Debug files keep the notes, as sections. */
static int read_debug(struct tc_elf *e, Elf *elf)
{
    int r = read_sections(e, elf);

    for (size_t i = 0; r == 0 && i < e->section_count; i++) {
        const struct tc_section *s = &e->sections[i];
        GElf_Phdr p = {.p_offset = s->offset, .p_filesz = s->bytes, .p_align = 4};
        if (s->type == SHT_NOTE)
            read_notes(e, &p);
    }
    return r;
}

static int read_all(struct tc_elf *e, Elf *elf, int debug)
{
    GElf_Ehdr header;
    int r = 0;

    if (elf == NULL || elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &header) == NULL) {
        refuse(e, TC_R_MALFORMED_ELF);
        return 0;
    }
    e->type = header.e_type;
    e->machine = header.e_machine;
    if (e->type != ET_DYN && e->type != ET_EXEC) {
        refuse(e, TC_R_MALFORMED_ELF);
        return 0;
    }
    if (debug)
        return read_debug(e, elf);
    r = read_segments(e, elf);
    if (r < 0 || e->load_count == 0) {
        refuse(e, TC_R_MALFORMED_ELF);
        return r;
    }
    r = read_sections(e, elf);
    if (r < 0)
        return r;
    read_dynamic(e, elf);
    if (tc_elf_section(e, ".gopclntab", 0) != NULL || tc_elf_section(e, ".go.buildinfo", 0) != NULL)
        refuse(e, TC_R_GO_RUNTIME);
    if (!e->has_interpreter && (e->type == ET_EXEC || (e->dynamic.flags_1 & DF_1_PIE)))
        refuse(e, TC_R_STATIC_EXECUTABLE);
    return 0;
}

static int open_memory(const void *data, size_t bytes, int debug, struct tc_elf **ret)
{
    struct tc_elf *e = calloc(1, sizeof *e);
    const unsigned char *ident = data;
    int r = 0;

    if (e == NULL)
        return -ENOMEM;
    e->data = data;
    e->bytes = bytes;
    if (bytes < sizeof(Elf64_Ehdr) || memcmp(ident, ELFMAG, SELFMAG) != 0) {
        refuse(e, TC_R_MALFORMED_ELF);
    } else if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB ||
               (ident[offsetof(Elf64_Ehdr, e_machine)] | ident[offsetof(Elf64_Ehdr, e_machine) + 1]
                                                             << 8) != EM_X86_64) {
        refuse(e, TC_R_FOREIGN_CLASS);
    } else {
        (void)elf_version(EV_CURRENT);
        /* libelf doesn't write into an image it only reads. */
        Elf *elf = elf_memory((char *)(uintptr_t)data, bytes);
        r = read_all(e, elf, debug);
        elf_end(elf);
    }
    if (r < 0)
        tc_elf_close(e);
    else
        *ret = e;
    return r;
}

int tc_elf_open_memory(const void *data, size_t bytes, struct tc_elf **ret)
{
    return open_memory(data, bytes, 0, ret);
}

int tc_elf_open_debug_memory(const void *data, size_t bytes, struct tc_elf **ret)
{
    return open_memory(data, bytes, 1, ret);
}

static int open_fd(int fd, int debug, struct tc_elf **ret)
{
    struct stat st;
    void *map = NULL;
    int r = 0;

    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < 0)
        return -EINVAL;
    if (st.st_size == 0)
        return open_memory("\0\0\0\0\0\0\0", 0, debug, ret);
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    r = open_memory(map, (size_t)st.st_size, debug, ret);
    if (r < 0)
        munmap(map, (size_t)st.st_size);
    else
        (*ret)->mapping = map;
    return r;
}

int tc_elf_open_fd(int fd, struct tc_elf **ret)
{
    return open_fd(fd, 0, ret);
}

int tc_elf_open_debug_fd(int fd, struct tc_elf **ret)
{
    return open_fd(fd, 1, ret);
}

void tc_elf_close(struct tc_elf *e)
{
    if (e == NULL)
        return;
    free(e->loads);
    free(e->sections);
    if (e->mapping != NULL)
        munmap(e->mapping, e->bytes);
    free(e);
}
