/* The source hash: what an address refers to. docs/source.md has the rules by number. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_work.h"

#define NAME_BYTES 1024u
#define MAX_DEPTH  16
int tc_work_in_image(const struct tc_source_work *w, uint64_t vaddr)
{
    return tc_map_region(w->m, vaddr) != NULL ||
           (vaddr != 0 && tc_map_region(w->m, vaddr - 1) != NULL);
}

static void add_import(struct tc_source_work *w, const struct tc_dynamic_symbol *s)
{
    tc_work_import(w, &(struct tc_source_import){s->name, s->version, s->library,
                                                 s->defined ? s->vaddr : 0, s->is_function});
}

/* The whole of a piece of code, and where in it. */
static void by_contents(struct tc_source_work *w, uint64_t vaddr)
{
    struct tc_piece range;
    char label[NAME_BYTES];
    uint32_t item;

    tc_work_mark(w, TC_MARK_CODE);
    if (!tc_map_code_range(w->m, vaddr, &range)) {
        tc_work_give_up(w, "where that code ends isn't known");
        return;
    }
    tc_map_code_label(w->m, range.vaddr, label, sizeof label);
    item = tc_work_item(w, TC_ITEM_CODE, range.vaddr, range.vaddr + range.bytes);
    tc_work_ref(w, item, vaddr - range.vaddr, NULL, "%s", label);
}

static void add_name(void *arg, const char *name, size_t bytes)
{
    tc_work_mark(arg, TC_MARK_NAME);
    tc_work_number(arg, bytes);
    tc_work_bytes(arg, name, bytes);
}

static void by_name(struct tc_source_work *w, uint64_t vaddr, const char *name)
{
    struct tc_piece range;

    tc_work_mark(w, TC_MARK_FUNCTION);
    tc_work_text(w, name);
    tc_map_all_names(w->m, vaddr, 1, add_name, w);
    if (w->mode == TC_SOURCE_OWN)
        tc_work_ref(w, TC_NO_ITEM, 0, NULL, "%s", name);
    else if (!tc_map_code_range(w->m, vaddr, &range))
        tc_work_give_up(w, "where that code ends isn't known");
    else
        tc_work_ref(w, tc_work_item(w, TC_ITEM_CODE, range.vaddr, range.vaddr + range.bytes),
                    vaddr - range.vaddr, NULL, "%s", name);
}

static void code_ref(struct tc_source_work *w, uint64_t vaddr)
{
    const struct tc_source_item *self = &w->items[w->at].item;
    const struct tc_reloc *slot;
    char name[NAME_BYTES];

    if (self->kind == TC_ITEM_CODE && vaddr >= self->begin && vaddr < self->end) {
        tc_work_mark(w, TC_MARK_INSIDE);
        tc_work_ref(w, w->at, vaddr - self->begin, NULL, "itself");
        return;
    }
    if (tc_map_function_name(w->m, vaddr, name, sizeof name)) {
        by_name(w, vaddr, name);
        return;
    }
    slot = tc_map_stub(w->m, vaddr);
    if (slot != NULL) {
        tc_work_mark(w, TC_MARK_SLOT);
        tc_work_reloc(w, slot);
        return;
    }
    by_contents(w, vaddr);
}

void tc_work_code_ref(struct tc_source_work *w, uint64_t vaddr)
{
    if (w->depth == MAX_DEPTH) {
        tc_work_give_up(w, "stubs that lead in a circle");
        return;
    }
    w->depth++;
    code_ref(w, vaddr);
    w->depth--;
}

static void symbol_contents(struct tc_source_work *w, const struct tc_dynamic_symbol *s,
                            uint64_t addend)
{
    const struct tc_region *region = tc_map_region(w->m, s->vaddr);

    if (s->is_tls)
        tc_work_thread_offset(w, s->vaddr + addend);
    else if (region != NULL && (region->flags & TC_REGION_CODE)) {
        /* A lambda or local class is part of the function that it is in, whatever it is bound by.
         */
        if (w->mode == TC_SOURCE_DEEP || strncmp(s->name, "_ZZ", 3) == 0)
            tc_work_code_ref(w, s->vaddr);
        if (addend != 0)
            tc_work_give_up(w, "an address in the middle of a function");
    } else if (region != NULL) {
        tc_work_address(w, s->vaddr + addend, TC_BY_VALUE, 0);
    } else {
        tc_work_number(w, s->vaddr); /* an absolute one, or a mark where nothing lies */
    }
}

static void symbol_ref(struct tc_source_work *w, const struct tc_reloc *r)
{
    struct tc_dynamic_symbol s;

    if (r->symbol == 0) {
        tc_work_mark(w, TC_MARK_NUMBER);
        tc_work_number(w, r->addend);
        return;
    }
    if (!tc_map_symbol(w->m, r->symbol, &s)) {
        tc_work_give_up(w, "a symbol that can't be read");
        return;
    }
    tc_work_mark(w, TC_MARK_IMPORT);
    tc_work_text(w, s.name);
    tc_work_text(w, s.version != NULL ? s.version : "");
    tc_work_number(w, r->addend);
    tc_work_ref(w, TC_NO_ITEM, 0, NULL, "%s%s%s", s.name, s.version != NULL ? "@" : "",
                s.version != NULL ? s.version : "");
    add_import(w, &s);
    if (s.defined)
        symbol_contents(w, &s, r->addend);
}

/* Another object's variable, which the loader copies into this one. */
static void copied(struct tc_source_work *w, const struct tc_reloc *r)
{
    struct tc_dynamic_symbol s;

    tc_work_mark(w, TC_MARK_COPY);
    if (!tc_map_symbol(w->m, r->symbol, &s)) {
        tc_work_give_up(w, "a symbol that can't be read");
        return;
    }
    tc_work_text(w, s.name);
    tc_work_text(w, s.version != NULL ? s.version : "");
    s.defined = 0;
    add_import(w, &s);
}

static void thread_ref(struct tc_source_work *w, const struct tc_reloc *r)
{
    const unsigned char *next;
    struct tc_dynamic_symbol s;

    tc_work_mark(w, TC_MARK_THREAD);
    if (r->symbol != 0 && tc_map_symbol(w->m, r->symbol, &s)) {
        symbol_ref(w, r);
        return;
    }
    /* Variables of this object. Of a module alone, which one isn't said. */
    tc_work_thread_layout(w);
    tc_work_number(w, r->addend);
    /* The word behind a module's number is the offset in its block. */
    if (r->bytes == 16 && tc_map_reloc_at(w->m, r->at + 8) == NULL &&
        (next = tc_elf_at(w->m->im->elf, r->at + 8, 8)) != NULL)
        tc_work_bytes(w, next, 8);
}

void tc_work_reloc(struct tc_source_work *w, const struct tc_reloc *r)
{
    switch (r->kind) {
    case TC_REL_BASE:
        tc_work_address(w, r->addend, TC_BY_VALUE, 0);
        return;
    case TC_REL_SYMBOL:
    case TC_REL_SLOT:
        symbol_ref(w, r);
        return;
    case TC_REL_CHOSEN:
        tc_work_mark(w, TC_MARK_CHOSEN);
        tc_work_code_ref(w, r->addend);
        return;
    case TC_REL_COPY:
        copied(w, r);
        return;
    case TC_REL_TLS:
        thread_ref(w, r);
        return;
    default:
        tc_work_give_up(w, "a relocation of an unknown kind");
        return;
    }
}

static void thread_image(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    const struct tc_segment *t = &w->m->im->elf->tls;

    if (end > t->file_bytes)
        end = t->file_bytes;
    if (begin < end)
        tc_work_ref(w, tc_work_item(w, TC_ITEM_DATA, t->vaddr + begin, t->vaddr + end), 0, NULL,
                    "what it starts with");
}

void tc_work_thread_offset(struct tc_source_work *w, uint64_t offset)
{
    const struct tc_datum *d = tc_map_tls(w->m, offset);
    char name[NAME_BYTES];

    if (d == NULL || !tc_map_datum_name(w->m, d, name, sizeof name)) {
        tc_work_mark(w, TC_MARK_UNNAMED);
        tc_work_number(w, offset);
        tc_work_give_up(w, "a variable of a thread without a name");
        return;
    }
    tc_work_mark(w, TC_MARK_WRITABLE);
    tc_work_text(w, name);
    tc_work_number(w, d->end - d->begin);
    tc_work_number(w, offset - d->begin);
    tc_work_ref(w, TC_NO_ITEM, 0, NULL, "%s (a variable of each thread)", name);
    thread_image(w, d->begin, d->end);
}

/* Which variable is meant isn't said: all of them. */
void tc_work_thread_layout(struct tc_source_work *w)
{
    char name[NAME_BYTES];

    tc_work_mark(w, TC_MARK_THREAD);
    tc_work_number(w, w->m->tls_count);
    if (w->m->tls_count == 0 && w->m->im->elf->tls.bytes != 0)
        tc_work_give_up(w, "a variable of a thread without a name");
    for (size_t i = 0; i < w->m->tls_count; i++) {
        const struct tc_datum *d = &w->m->tls[i];
        if (!tc_map_datum_name(w->m, d, name, sizeof name))
            (void)snprintf(name, sizeof name, "-");
        tc_work_text(w, name);
        tc_work_number(w, d->begin);
        tc_work_number(w, d->end - d->begin);
    }
    tc_work_ref(w, TC_NO_ITEM, 0, NULL, "all variables of threads");
    thread_image(w, 0, w->m->im->elf->tls.bytes);
}

static void unnamed(struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr)
{
    tc_work_mark(w, TC_MARK_UNNAMED);
    tc_work_number(w, vaddr - r->begin);
    tc_work_give_up(w, "a variable without a name: keep .symtab or install the debug file");
}

static void writable(struct tc_source_work *w, const struct tc_region *r, const struct tc_datum *d,
                     uint64_t vaddr)
{
    char name[NAME_BYTES];
    const struct tc_reloc *copy;

    if (d == NULL || !tc_map_datum_name(w->m, d, name, sizeof name)) {
        unnamed(w, r, vaddr);
        return;
    }
    copy = tc_map_reloc_at(w->m, d->begin);
    tc_work_mark(w, TC_MARK_WRITABLE);
    tc_work_text(w, name);
    tc_map_all_names(w->m, d->begin, 0, add_name, w);
    tc_work_number(w, d->end - d->begin);
    tc_work_number(w, vaddr - d->begin);
    tc_work_ref(w, TC_NO_ITEM, 0, NULL, "%s (written by the program)", name);
    if (copy != NULL && copy->kind == TC_REL_COPY)
        tc_work_reloc(w, copy);
    else if (!(r->flags & TC_REGION_EMPTY))
        tc_work_ref(w, tc_work_item(w, TC_ITEM_DATA, d->begin, d->end), 0, NULL,
                    "what it starts with");
}

static void sized(struct tc_source_work *w, const struct tc_datum *d, uint64_t vaddr)
{
    uint32_t item = tc_work_item(w, TC_ITEM_DATA, d->begin, d->end);
    char name[NAME_BYTES];

    tc_work_mark(w, vaddr == d->end ? TC_MARK_END : TC_MARK_DATUM);
    tc_work_number(w, vaddr - d->begin);
    /* Whose contents are the same may be told apart by its address. */
    tc_map_all_names(w->m, d->begin, 0, add_name, w);
    if (!tc_map_datum_name(w->m, d, name, sizeof name))
        (void)snprintf(name, sizeof name, "data at 0x%llx", (unsigned long long)d->begin);
    tc_work_ref(w, item, vaddr - d->begin, NULL, "%s", name);
}

static void datum(struct tc_source_work *w, const struct tc_region *r, const struct tc_datum *d,
                  uint64_t vaddr)
{
    if (r->flags & TC_REGION_WRITABLE)
        writable(w, r, d, vaddr);
    else
        sized(w, d, vaddr);
}

static int is_text(const struct tc_source_work *w, uint64_t vaddr)
{
    uint32_t flags;
    uint64_t room = tc_elf_room(w->m->im->elf, vaddr, &flags);
    const unsigned char *at = tc_elf_at(w->m->im->elf, vaddr, room);
    uint64_t i = 0;

    for (; at != NULL && i < room && at[i] != 0; i++)
        if (at[i] < 7 || (at[i] > 13 && at[i] < 32 && at[i] != 27) || at[i] == 127)
            return 0;
    return i != 0 && i < room;
}

/* Data in the symbol table is all there is, so that what lies between is the compiler's own?
 * Symbols for the sake of backtraces are functions; `strip -x` leaves the global ones. */
int tc_work_knows_data(const struct tc_source_work *w)
{
    const struct tc_symbols *s = &w->m->im->symbols;

    if (!s->has_symtab || w->m->im->debug.mini != NULL)
        return 0;
    for (size_t i = 0; i < s->count; i++)
        if ((s->all[i].flags & TC_SYMBOL_LOCAL) && s->all[i].bytes != 0)
            return 1;
    return 0;
}

#define REMEDY "keep .symtab or install the debug file"

static void unsized(struct tc_source_work *w, uint64_t vaddr, enum tc_by by)
{
    if (by == TC_BY_BASE)
        tc_work_region(w, vaddr,
                       tc_work_knows_data(w)
                           ? "an address from which others are computed, of nothing that has a "
                             "size"
                           : "it has no size: " REMEDY);
    else if (!tc_work_knows_data(w))
        tc_work_rest(w, vaddr, "it has no size: " REMEDY);
    else
        tc_work_text_at(w, vaddr, is_text(w, vaddr));
}

/* It may be the one past the end of a datum. When it is only compared, it is. */
static void address(struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr,
                    enum tc_by by)
{
    const struct tc_datum *d = tc_map_datum(w->m, vaddr),
                          *before = tc_map_datum_before(w->m, vaddr);

    if (r != NULL && (r->flags & TC_REGION_SLOTS)) {
        tc_work_give_up(w, "addresses that are computed from the linkage table's");
        return;
    }
    if (r != NULL && tc_work_is_listed(w, r, vaddr)) {
        if (r->flags & TC_REGION_WRITABLE)
            tc_work_give_up(w, "a list that the program may write");
        else
            tc_work_region(w, vaddr, "a list of data in a section of its own");
        return;
    }
    if (before != NULL &&
        (d == NULL || d->begin != vaddr || by == TC_BY_COMPARISON || by == TC_BY_BASE)) {
        const struct tc_region *its = tc_map_region(w->m, before->begin);
        if (its != NULL)
            datum(w, its, before, vaddr);
        if (by == TC_BY_COMPARISON)
            return;
    }
    if (r == NULL)
        return;
    if (d != NULL)
        datum(w, r, d, vaddr);
    else if (r->flags & TC_REGION_WRITABLE)
        unnamed(w, r, vaddr);
    else
        unsized(w, vaddr, by);
    if (by == TC_BY_BASE && d != NULL && d->begin != vaddr && !(r->flags & TC_REGION_WRITABLE))
        tc_work_region(w, vaddr,
                       "an address from which others are computed, inside of something "
                       "else");
    if (by == TC_BY_BASE)
        tc_work_near(w, r, vaddr);
}

/* A load: those bytes. */
static void access_to(struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr,
                      unsigned width)
{
    const struct tc_reloc *slot = tc_map_reloc_at(w->m, vaddr);
    int is_slot =
        slot != NULL && width == 8 &&
        (slot->kind == TC_REL_SLOT || slot->kind == TC_REL_CHOSEN || slot->kind == TC_REL_TLS ||
         !(r->flags & TC_REGION_WRITABLE) || (r->flags & TC_REGION_SLOTS));

    if (is_slot) {
        tc_work_mark(w, TC_MARK_SLOT);
        tc_work_reloc(w, slot);
    } else if ((r->flags & TC_REGION_WRITABLE) && !(r->flags & TC_REGION_SLOTS)) {
        datum(w, r, tc_map_datum(w->m, vaddr), vaddr);
    } else {
        tc_work_mark(w, TC_MARK_BYTES);
        tc_work_contents(w, vaddr, vaddr + width);
    }
}

void tc_work_address(struct tc_source_work *w, uint64_t vaddr, enum tc_by by, unsigned width)
{
    const struct tc_region *r = tc_map_region(w->m, vaddr);
    const struct tc_reloc *slot = tc_map_reloc_at(w->m, vaddr);

    if (r == NULL && (vaddr == 0 || tc_map_region(w->m, vaddr - 1) == NULL ||
                      tc_map_datum_before(w->m, vaddr) == NULL || by == TC_BY_ACCESS)) {
        tc_work_mark(w, TC_MARK_NUMBER);
        tc_work_give_up(w, "an address that nothing lies at");
    } else if (r == NULL) {
        address(w, r, vaddr, by);
    } else if (by == TC_BY_ACCESS) {
        access_to(w, r, vaddr, width);
    } else if (r->flags & TC_REGION_CODE) {
        if (by == TC_BY_BASE)
            tc_work_region(w, vaddr, "data in between of code");
        else
            tc_work_code_ref(w, vaddr);
    } else if (slot != NULL && (slot->kind == TC_REL_TLS || slot->kind == TC_REL_SLOT)) {
        tc_work_mark(w, TC_MARK_SLOT);
        tc_work_reloc(w, slot);
    } else {
        address(w, r, vaddr, by);
    }
}
