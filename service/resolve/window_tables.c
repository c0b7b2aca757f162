#include "service/resolve/window_tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A table whose entries all lead into one function isn't longer. */
#define MAX_ENTRIES 65536u

struct search {
    const struct tc_map *m;
    struct tc_candidate **sorted; /* by entry */
    size_t count;
};

static int by_entry(const void *a, const void *b)
{
    const struct tc_candidate *x = *(struct tc_candidate *const *)a,
                              *y = *(struct tc_candidate *const *)b;

    return x->window.entry_vaddr < y->window.entry_vaddr
               ? -1
               : x->window.entry_vaddr > y->window.entry_vaddr;
}

static int is_entry(const struct tc_window *w, uint64_t vaddr)
{
    return vaddr == w->entry_vaddr || vaddr == w->patch_vaddr;
}

/* A place in the function that isn't its entry. */
static int is_label(const struct tc_candidate *c, uint64_t vaddr)
{
    return !is_entry(&c->window, vaddr) && tc_function_holds(&c->function, vaddr);
}

static int is_inside(const struct tc_window *w, uint64_t vaddr)
{
    return vaddr > w->patch_vaddr && vaddr - w->patch_vaddr < w->window_bytes;
}

static void refuse(struct tc_window *w, uint64_t target, uint64_t table)
{
    if (is_entry(w, target)) {
        w->reason = TC_R_BRANCH_TO_ENTRY;
        (void)snprintf(w->detail, sizeof w->detail, "by the table at 0x%llx",
                       (unsigned long long)table);
        return;
    }
    w->reason = TC_R_BRANCH_INTO_WINDOW;
    (void)snprintf(w->detail, sizeof w->detail, "at +%u, by the table at 0x%llx",
                   (unsigned)(target - w->patch_vaddr), (unsigned long long)table);
}

/* The word at `at` is an address; those of the words beside it are given, 0 if they are none. A
 * function's own address stands in tables of functions, too: of labels it is one beside others. */
static void seen(const struct search *s, uint64_t at, uint64_t value, uint64_t before,
                 uint64_t after)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->sorted[middle]->window.entry_vaddr <= value)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && value - s->sorted[low - 1]->window.entry_vaddr < 2u * TC_MAX_WINDOW) {
        struct tc_candidate *c = s->sorted[--low];
        if (c->window.reason == 0 &&
            (is_inside(&c->window, value) ||
             (is_entry(&c->window, value) && (is_label(c, before) || is_label(c, after)))))
            refuse(&c->window, value, at);
    }
}

static uint64_t address_in(const struct tc_map *m, size_t reloc)
{
    const struct tc_reloc *r = &m->relocs[reloc];
    struct tc_dynamic_symbol symbol;

    if (r->kind == TC_REL_BASE)
        return r->addend;
    return r->kind == TC_REL_SYMBOL && tc_map_symbol(m, r->symbol, &symbol) && symbol.defined
               ? symbol.vaddr + r->addend
               : 0;
}

static void read_relocs(const struct search *s)
{
    const struct tc_map *m = s->m;

    for (size_t i = 0; i < m->reloc_count; i++) {
        uint64_t at = m->relocs[i].at, value = address_in(m, i), before = 0, after = 0;
        if (value == 0)
            continue;
        if (i > 0 && m->relocs[i - 1].at == at - 8)
            before = address_in(m, i - 1);
        if (i + 1 < m->reloc_count && m->relocs[i + 1].at == at + 8)
            after = address_in(m, i + 1);
        seen(s, at, value, before, after);
    }
}

static uint64_t word_of(const unsigned char *at, uint64_t offset)
{
    uint64_t word;

    memcpy(&word, at + offset, sizeof word);
    return word;
}

/* Where addresses are fixed, any aligned word may be one. */
static void read_words(const struct search *s)
{
    const struct tc_map *m = s->m;

    for (size_t i = 0; m->absolute && i < m->region_count; i++) {
        const struct tc_region *region = &m->regions[i];
        uint64_t begin = (region->begin + 7) & ~7ull, bytes;
        const unsigned char *at;
        if (region->flags & TC_REGION_EMPTY || begin >= region->end)
            continue;
        bytes = (region->end - begin) & ~7ull;
        at = tc_elf_at(m->im->elf, begin, bytes);
        for (uint64_t k = 0; at != NULL && k < bytes; k += 8)
            seen(s, begin + k, word_of(at, k), k >= 8 ? word_of(at, k - 8) : 0,
                 k + 16 <= bytes ? word_of(at, k + 8) : 0);
    }
}

/* Offsets of 32 bits from the table's own beginning, as compilers make them of a `switch` in code
 * that may lie anywhere. */
static void read_offsets(const struct tc_map *m, struct tc_candidate *c, uint64_t table)
{
    for (uint32_t i = 0; i < MAX_ENTRIES; i++) {
        const unsigned char *at = tc_elf_at(m->im->elf, table + 4 * i, 4);
        int32_t offset;
        uint64_t target;
        if (at == NULL)
            return;
        memcpy(&offset, at, sizeof offset);
        target = table + (uint64_t)(int64_t)offset;
        if (!tc_function_holds(&c->function, target))
            return;
        if (is_inside(&c->window, target) || is_entry(&c->window, target)) {
            refuse(&c->window, target, table);
            return;
        }
    }
}

/* FF /4: by a register, or by memory. */
static int may_jump_by_value(const struct tc_code *code)
{
    const unsigned char *at = code->at, *end = at + code->bytes;

    while (end - at > 1 && (at = memchr(at, 0xff, (size_t)(end - at) - 1)) != NULL) {
        if ((at[1] & 0x38) == 0x20)
            return 1;
        at++;
    }
    return 0;
}

/* The tables whose addresses the function makes; or a place in its window, which it may jump to or
 * count from. */
static void read_code(const struct tc_map *m, struct tc_candidate *c, const struct tc_code *code)
{
    size_t bytes = 0;

    for (size_t at = 0; at < code->bytes && c->window.reason == 0; at += bytes) {
        uint64_t taken = m->arch->taken(code, at, m->absolute, &bytes);
        if (taken == 0)
            continue;
        if (is_inside(&c->window, taken))
            refuse(&c->window, taken, code->vaddr + at);
        else if ((taken & 3) == 0 && !tc_function_holds(&c->function, taken))
            read_offsets(m, c, taken);
    }
}

static void check_own_code(const struct tc_map *m, struct tc_candidate *c)
{
    struct tc_code code[TC_MAX_PIECES];
    int any = 0;

    for (size_t i = 0; i < c->function.piece_count; i++) {
        const struct tc_piece *p = &c->function.pieces[i];
        code[i] = (struct tc_code){
            .at = tc_elf_at(m->im->elf, p->vaddr, p->bytes), .bytes = p->bytes, .vaddr = p->vaddr};
        any |= code[i].at != NULL && may_jump_by_value(&code[i]);
    }
    for (size_t i = 0; any && i < c->function.piece_count; i++)
        if (code[i].at != NULL)
            read_code(m, c, &code[i]);
}

int tc_windows_check_tables(const struct tc_map *m, struct tc_candidate *const *candidates,
                            size_t count)
{
    struct search s = {.m = m};

    if (m->arch == NULL)
        return 0;
    s.sorted = calloc(count + 1, sizeof *s.sorted);
    if (s.sorted == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (candidates[i]->function.reason == 0 && candidates[i]->window.reason == 0) {
            check_own_code(m, candidates[i]);
            s.sorted[s.count++] = candidates[i];
        }
    qsort(s.sorted, s.count, sizeof *s.sorted, by_entry);
    if (s.count != 0) {
        read_relocs(&s);
        read_words(&s);
    }
    free(s.sorted);
    return 0;
}
