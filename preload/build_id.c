#include "preload/build_id.h"

#include <elf.h>
#include <string.h>

#include "preload/log.h"
#include "preload/state.h"

static uint32_t find_note(const unsigned char *note, uint64_t bytes, const unsigned char **ret)
{
    uint64_t at = 0;

    while (bytes - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        memcpy(&n, note + at, sizeof n);
        uint64_t name = at + sizeof n, desc = name + ((n.n_namesz + 3ull) & ~3ull);
        uint64_t next = desc + ((n.n_descsz + 3ull) & ~3ull);
        if (next > bytes || next <= at)
            return 0;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(note + name, "GNU", 4) == 0 &&
            n.n_descsz <= TC_MAX_BUILD_ID) {
            *ret = note + desc;
            return n.n_descsz;
        }
        at = next;
    }
    return 0;
}

uint32_t tc_build_id_place(uint64_t header, uint64_t base, const unsigned char **ret)
{
    const Elf64_Ehdr *e = (const void *)(uintptr_t)header;
    const Elf64_Phdr *ph;
    uint32_t bytes = 0;

    if (tc_sys_readable(header, sizeof *e) < 0 || memcmp(e, ELFMAG, SELFMAG) != 0)
        return 0;
    ph = (const void *)((uintptr_t)e + e->e_phoff);
    if (e->e_phentsize != sizeof *ph ||
        tc_sys_readable((uint64_t)(uintptr_t)ph, e->e_phnum * sizeof *ph) < 0)
        return 0;
    for (int i = 0; i < e->e_phnum && bytes == 0; i++) {
        uint64_t note = base + ph[i].p_vaddr;
        if (ph[i].p_type == PT_NOTE && tc_sys_readable(note, ph[i].p_memsz) == 0)
            bytes = find_note((const void *)(uintptr_t)note, ph[i].p_memsz, ret);
    }
    return bytes;
}

uint32_t tc_build_id_at(uint64_t header, uint64_t base, unsigned char ret[TC_MAX_BUILD_ID])
{
    const unsigned char *id;
    uint32_t bytes = tc_build_id_place(header, base, &id);

    if (bytes != 0)
        memcpy(ret, id, bytes);
    return bytes;
}

int tc_same_build(const struct tc_object *o, uint64_t base)
{
    unsigned char id[TC_MAX_BUILD_ID];
    uint32_t bytes;

    if (o->build_id_bytes == 0)
        return 1;
    bytes = tc_build_id_at(base + o->header_vaddr, base, id);
    if (bytes == o->build_id_bytes && memcmp(id, o->build_id, bytes) == 0)
        return 1;
    tc_log_reason(TC_LOG_WARN, tc_flat_str(&tc_state.plans_flat, o->path), TC_R_FILE_MISMATCH, "");
    return 0;
}
