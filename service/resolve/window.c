#include "service/resolve/window.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Code of no known function is decoded from where the last one ended, but never from farther away:
 * x86 code falls into step within a few instructions. */
#define SWEEP_BYTES 16384u
#define LONGEST     16u
#define MAX_AFTER   16u

struct scan {
    const struct tc_image *im;
    const struct tc_arch *arch;
    struct tc_candidate **sorted; /* by entry */
    size_t count;
    struct tc_code code; /* the section at work */
};

const struct tc_arch *tc_arch_for(uint16_t machine)
{
    static const struct tc_arch *const known[] = {&tc_arch_x86_64};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i]->machine == machine)
            return known[i];
    }
    return NULL;
}

/* Another function that begins inside the window would lose its first bytes. */
static void refuse_inner_entries(const struct tc_image *im, struct tc_window *w)
{
    const struct tc_symbols *s = &im->symbols;

    for (size_t i = tc_symbols_at(s, w->patch_vaddr + 1); i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[s->by_vaddr[i]];
        if (symbol->vaddr >= w->patch_vaddr + w->window_bytes)
            break;
        if (symbol->type != STT_FUNC && symbol->type != STT_GNU_IFUNC &&
            !(symbol->flags & TC_SYMBOL_EXPORTED))
            continue;
        w->reason = TC_R_BRANCH_INTO_WINDOW;
        (void)snprintf(w->detail, sizeof w->detail, "at +%u: %.*s begins there",
                       (unsigned)(symbol->vaddr - w->patch_vaddr),
                       symbol->name_bytes < 64 ? (int)symbol->name_bytes : 64, symbol->name);
        return;
    }
}

/* From `vaddr` on, as far as nothing says that something begins there. */
static size_t free_bytes(const struct tc_image *im, uint64_t vaddr)
{
    const struct tc_symbols *s = &im->symbols;
    uint32_t flags = 0;
    uint64_t room = tc_elf_room(im->elf, vaddr, &flags), count = 0;
    size_t next = tc_symbols_at(s, vaddr);

    room = room < MAX_AFTER ? room : MAX_AFTER;
    if (next < s->count && s->all[s->by_vaddr[next]].vaddr - vaddr < room)
        room = s->all[s->by_vaddr[next]].vaddr - vaddr;
    while (count < room && tc_bounds_around(&im->bounds, vaddr + count) == NULL)
        count++;
    return count;
}

int tc_window_find_short(const struct tc_image *im, const struct tc_function *f,
                         struct tc_window *ret)
{
    const struct tc_arch *arch = tc_arch_for(im->elf->machine);
    const unsigned char *front = tc_elf_at(im->elf, f->vaddr - TC_PAD_NEEDED, TC_PAD_NEEDED);
    struct tc_code code = {
        .at = tc_elf_at(im->elf, f->vaddr, f->bytes), .bytes = f->bytes, .vaddr = f->vaddr};
    struct tc_window w;

    if (arch == NULL || front == NULL || code.at == NULL || !arch->is_pad(front) ||
        free_bytes(im, f->vaddr - TC_PAD_BYTES) != TC_PAD_BYTES)
        return 0;
    arch->move(&code, 1, &w);
    if (w.reason == 0)
        refuse_inner_entries(im, &w);
    if (w.reason != 0)
        return 0;
    *ret = w;
    return 1;
}

void tc_window_find(const struct tc_image *im, const struct tc_function *f, struct tc_window *ret)
{
    const struct tc_arch *arch = tc_arch_for(im->elf->machine);
    struct tc_code code = {.at = tc_elf_at(im->elf, f->vaddr, f->bytes),
                           .bytes = f->bytes,
                           .vaddr = f->vaddr,
                           .after = free_bytes(im, f->vaddr + f->bytes)};

    *ret = (struct tc_window){.entry_vaddr = f->vaddr};
    if (arch == NULL || code.at == NULL) {
        ret->reason = arch == NULL ? TC_R_FOREIGN_CLASS : TC_R_MALFORMED_ELF;
        return;
    }
    arch->move(&code, 0, ret);
    if (ret->reason == 0)
        refuse_inner_entries(im, ret);
}

static int by_entry(const void *a, const void *b)
{
    const struct tc_candidate *x = *(struct tc_candidate *const *)a,
                              *y = *(struct tc_candidate *const *)b;

    return x->window.entry_vaddr < y->window.entry_vaddr
               ? -1
               : x->window.entry_vaddr > y->window.entry_vaddr;
}

static int is_swept_branch(const struct scan *s, uint64_t field)
{
    const struct tc_code *all = &s->code;
    uint64_t begin = tc_bounds_end_before(&s->im->bounds, field), left = 0;
    struct tc_code code = {0};

    if (begin < all->vaddr || begin > field)
        begin = all->vaddr;
    if (field - begin > SWEEP_BYTES)
        begin = field - SWEEP_BYTES;
    left = all->vaddr + all->bytes - field;
    code.at = all->at + (begin - all->vaddr);
    code.vaddr = begin;
    code.bytes = field - begin + (left < LONGEST ? left : LONGEST);
    return s->arch->is_branch(&code, field);
}

/* Whether decoding the code around `field` in step meets a branch there. */
static int is_branch(const struct scan *s, uint64_t field)
{
    const struct tc_range *r = tc_bounds_around(&s->im->bounds, field);
    struct tc_code code = {0};

    if (r == NULL)
        return is_swept_branch(s, field);
    code.vaddr = r->begin;
    code.bytes = r->end - r->begin;
    code.at = tc_elf_at(s->im->elf, code.vaddr, code.bytes);
    return code.at == NULL || s->arch->is_branch(&code, field);
}

static void check_one(const struct scan *s, struct tc_candidate *c, const struct tc_branch *b)
{
    struct tc_window *w = &c->window;
    int own = tc_function_holds(&c->function, b->field);

    if (w->reason != 0)
        return;
    if (b->target == w->entry_vaddr || b->target == w->patch_vaddr) {
        /* A call of the entry, and a jump from elsewhere, bring arguments. */
        if (!own || b->is_call || !is_branch(s, b->field))
            return;
        w->reason = TC_R_BRANCH_TO_ENTRY;
        (void)snprintf(w->detail, sizeof w->detail, "from 0x%llx", (unsigned long long)b->field);
    } else if (b->target > w->patch_vaddr && b->target - w->patch_vaddr < w->window_bytes) {
        /* Branches of the window's own instructions move with them. */
        if (b->field - w->patch_vaddr < w->window_bytes || !is_branch(s, b->field))
            return;
        w->reason = TC_R_BRANCH_INTO_WINDOW;
        (void)snprintf(w->detail, sizeof w->detail, "at +%u, from 0x%llx%s",
                       (unsigned)(b->target - w->patch_vaddr), (unsigned long long)b->field,
                       own ? "" : " in another function");
    }
}

static void seen(void *arg, const struct tc_branch *b)
{
    const struct scan *s = arg;
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->sorted[middle]->window.entry_vaddr <= b->target)
            low = middle + 1;
        else
            high = middle;
    }
    /* Windows begin at most a landing pad behind the entry; functions may share one. */
    while (low > 0 && b->target - s->sorted[low - 1]->window.entry_vaddr < 2u * TC_MAX_WINDOW)
        check_one(s, s->sorted[--low], b);
}

static void scan_code(struct scan *s, const unsigned char *at, uint64_t bytes, uint64_t vaddr)
{
    const struct tc_window *last = &s->sorted[s->count - 1]->window;

    s->code = (struct tc_code){.at = at, .bytes = bytes, .vaddr = vaddr};
    if (at != NULL)
        s->arch->branches(&s->code, s->sorted[0]->window.entry_vaddr,
                          last->entry_vaddr + 2u * TC_MAX_WINDOW, seen, s);
}

/* The sections that hold code; without section headers, all that is mapped executable. */
static void scan_object(struct scan *s)
{
    const struct tc_elf *e = s->im->elf;
    int found = 0;

    for (size_t i = 0; i < e->section_count; i++) {
        const struct tc_section *x = &e->sections[i];
        if (x->type != SHT_PROGBITS || !(x->flags & SHF_EXECINSTR) || !(x->flags & SHF_ALLOC))
            continue;
        scan_code(s, tc_elf_at(e, x->vaddr, x->bytes), x->bytes, x->vaddr);
        found = 1;
    }
    for (size_t i = 0; !found && i < e->load_count; i++) {
        const struct tc_segment *x = &e->loads[i];
        if (x->flags & PF_X)
            scan_code(s, tc_elf_at(e, x->vaddr, x->file_bytes), x->file_bytes, x->vaddr);
    }
}

int tc_windows_check(const struct tc_image *im, struct tc_candidate *const *candidates,
                     size_t count)
{
    struct scan s = {.im = im, .arch = tc_arch_for(im->elf->machine)};

    s.sorted = calloc(count + 1, sizeof *s.sorted);
    if (s.sorted == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i]->function.reason == 0 && candidates[i]->window.reason == 0)
            s.sorted[s.count++] = candidates[i];
    }
    qsort(s.sorted, s.count, sizeof *s.sorted, by_entry);
    if (s.count != 0 && s.arch != NULL)
        scan_object(&s);
    free(s.sorted);
    return 0;
}
