/*
 * Is the object in memory the one that the plan is about? Its build-id, read from the mapped note,
 * must be the plan's: a file that was replaced after it was mapped has another. Objects without a
 * build-id are told apart by their file's identity alone.
 */
#include <elf.h>
#include <string.h>

#include "preload/log.h"
#include "preload/state.h"

static int note_matches(const unsigned char *note, uint64_t bytes, const struct tc_object *o,
                        int *found)
{
    uint64_t at = 0;

    while (bytes - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        memcpy(&n, note + at, sizeof n);
        uint64_t name = at + sizeof n, desc = name + ((n.n_namesz + 3ull) & ~3ull);
        uint64_t next = desc + ((n.n_descsz + 3ull) & ~3ull);
        if (next > bytes || next <= at)
            return 0;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(note + name, "GNU", 4) == 0) {
            *found = 1;
            return n.n_descsz == o->build_id_bytes &&
                   memcmp(note + desc, o->build_id, n.n_descsz) == 0;
        }
        at = next;
    }
    return 0;
}

int tc_same_build(const struct tc_object *o, uint64_t base)
{
    const Elf64_Ehdr *e = (const void *)(uintptr_t)(base + o->header_vaddr);
    const Elf64_Phdr *ph;
    int found = 0, same = 0;

    if (o->build_id_bytes == 0)
        return 1;
    if (tc_sys_readable((uint64_t)(uintptr_t)e, sizeof *e) < 0 || memcmp(e, ELFMAG, SELFMAG) != 0)
        return 0;
    ph = (const void *)((uintptr_t)e + e->e_phoff);
    if (e->e_phentsize != sizeof *ph ||
        tc_sys_readable((uint64_t)(uintptr_t)ph, e->e_phnum * sizeof *ph) < 0)
        return 0;
    for (int i = 0; i < e->e_phnum && !found; i++) {
        uint64_t note = base + ph[i].p_vaddr;
        if (ph[i].p_type == PT_NOTE && tc_sys_readable(note, ph[i].p_memsz) == 0)
            same = note_matches((const void *)(uintptr_t)note, ph[i].p_memsz, o, &found);
    }
    if (!same)
        tc_log_reason(TC_LOG_WARN, tc_flat_str(&tc_state.plans_flat, o->path), TC_R_FILE_MISMATCH,
                      "");
    return same;
}
