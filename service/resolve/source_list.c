/* A function's instructions, with numbers for the places that branches go to. */
#include <errno.h>
#include <stdlib.h>

#include "service/resolve/source_work.h"

#define MAX_FUNCTION (1u << 24)

void tc_work_free_list(struct tc_listing *l)
{
    free(l->insns);
    free(l->offsets);
    free(l->number);
    *l = (struct tc_listing){0};
}

/* A branch to what does nothing is one to what follows. */
static void number_offsets(struct tc_listing *l, const unsigned char *starts)
{
    uint32_t next = l->count, k = l->count;

    l->number[l->bytes] = l->count;
    for (uint64_t at = l->bytes; at > 0; at--) {
        if (k > 0 && l->offsets[k - 1] == at - 1)
            next = --k;
        l->number[at - 1] = starts[at - 1] ? next : TC_NO_NUMBER;
    }
}

static int list_insns(const struct tc_map *m, const struct tc_code *code, unsigned char *starts,
                      struct tc_listing *l)
{
    uint32_t allocated = 0;

    for (size_t at = 0; at < code->bytes;) {
        struct tc_instruction n;
        if (m->arch->decode(code, at, m->absolute, &n) < 0) {
            l->broken = 1;
            return 0;
        }
        starts[at] = 1;
        if (n.flow != TC_FLOW_NOP) {
            if (l->count == allocated) {
                allocated = allocated != 0 ? 2 * allocated : 64;
                struct tc_instruction *insns = reallocarray(l->insns, allocated, sizeof *insns);
                uint32_t *offsets = reallocarray(l->offsets, allocated, sizeof *offsets);
                l->insns = insns != NULL ? insns : l->insns;
                l->offsets = offsets != NULL ? offsets : l->offsets;
                if (insns == NULL || offsets == NULL)
                    return -ENOMEM;
            }
            l->has_downward |= n.downward;
            l->has_entries |= n.use == TC_USE_ENTRY;
            l->offsets[l->count] = (uint32_t)at;
            l->insns[l->count++] = n;
        }
        at += n.bytes;
    }
    return 0;
}

int tc_work_list(struct tc_map *m, uint64_t vaddr, uint64_t bytes, struct tc_listing *ret)
{
    struct tc_listing l = {.bytes = bytes};
    struct tc_code code = {
        .at = tc_elf_at(m->im->elf, vaddr, bytes), .bytes = bytes, .vaddr = vaddr};
    unsigned char *starts;
    int r = 0;

    if (code.at == NULL || bytes > MAX_FUNCTION) {
        l.bytes = 0;
        l.broken = 1;
        *ret = l;
        return 0;
    }
    starts = calloc(bytes + 1, 1);
    l.number = calloc(bytes + 1, sizeof *l.number);
    if (starts == NULL || l.number == NULL)
        r = -ENOMEM;
    if (r == 0)
        r = list_insns(m, &code, starts, &l);
    if (r == 0)
        number_offsets(&l, starts);
    free(starts);
    if (r < 0)
        tc_work_free_list(&l);
    else
        *ret = l;
    return r;
}
