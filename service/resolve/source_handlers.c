/*
 * The source hash: what catches exceptions in a function. Its code is the same whichever types it
 * catches: those, and which calls are inside of which `try`, are in .gcc_except_table (the layout
 * is in gcc's except.c and in the Itanium C++ ABI's "Exception Handling Tables"). The code that
 * catches may be reached from there alone.
 */
#include <string.h>

#include "service/resolve/source_work.h"

#define MAX_CHAIN 256u /* actions of one call */
#define MAX_CALLS 65536u

/* Bytes that lie at `vaddr`; `bad` once it would have left them. */
struct reader {
    const unsigned char *at, *end;
    uint64_t vaddr;
    int bad;
};

struct table {
    struct reader actions; /* all behind the calls */
    uint64_t types;        /* their end, from which they count backwards; 0: none */
    unsigned encoding;
};

enum {
    FORM_MASK = 0x0f,
    RELATIVE = 0x10, /* to the field's own address */
    RELATION_MASK = 0x70,
    INDIRECT = 0x80,
    OMITTED = 0xff,
};

static struct reader read_from(const struct tc_source_work *w, uint64_t vaddr)
{
    uint32_t flags;
    uint64_t room = tc_elf_room(w->m->im->elf, vaddr, &flags);
    const unsigned char *at = room != 0 ? tc_elf_at(w->m->im->elf, vaddr, room) : NULL;

    return (struct reader){at, at != NULL ? at + room : NULL, vaddr, at == NULL};
}

static uint64_t take(struct reader *r, unsigned bytes)
{
    uint64_t value = 0;

    if (r->bad || (size_t)(r->end - r->at) < bytes) {
        r->bad = 1;
        return 0;
    }
    memcpy(&value, r->at, bytes);
    r->at += bytes;
    r->vaddr += bytes;
    return value;
}

static uint64_t take_leb128(struct reader *r, int is_signed)
{
    uint64_t value = 0, byte;
    unsigned shift = 0;

    do {
        byte = take(r, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) && !r->bad);
    if (is_signed && shift < 64 && (byte & 0x40))
        value |= ~0ull << shift;
    return value;
}

static unsigned form_bytes(unsigned encoding)
{
    static const unsigned char bytes[16] = {8, 0, 2, 4, 8, 0, 0, 0, 8, 0, 2, 4, 8};
    return bytes[encoding & FORM_MASK];
}

/* 0: none, or one that can't be read (then `bad`). */
static uint64_t take_address(struct reader *r, unsigned encoding)
{
    uint64_t field = r->vaddr, value;
    unsigned bytes = form_bytes(encoding);

    if (bytes == 0 || ((encoding & RELATION_MASK) & ~(unsigned)RELATIVE) != 0)
        r->bad = 1;
    value = take(r, bytes);
    if ((encoding & 8) && bytes != 0 && bytes < 8 && (value >> (8 * bytes - 1)))
        value |= ~0ull << 8 * bytes;
    if (value == 0 || r->bad)
        return 0;
    return encoding & RELATIVE ? value + field : value;
}

/* A word of the linkage's own with the address of something. */
static void indirect(struct tc_source_work *w, uint64_t vaddr)
{
    const struct tc_reloc *reloc = tc_map_reloc_at(w->m, vaddr);
    struct reader r = read_from(w, vaddr);
    uint64_t word = take(&r, 8);

    if (reloc != NULL)
        tc_work_reloc(w, reloc);
    else if (r.bad)
        tc_work_give_up(w, "a table of exceptions that can't be read");
    else if (tc_work_in_image(w, word))
        tc_work_address(w, word, TC_BY_VALUE, 0);
    else
        tc_work_number(w, word);
}

static void address(struct tc_source_work *w, uint64_t vaddr, int is_indirect)
{
    tc_work_number(w, vaddr != 0);
    if (vaddr == 0)
        return;
    if (is_indirect)
        indirect(w, vaddr);
    else
        tc_work_address(w, vaddr, TC_BY_VALUE, 0);
}

static int type(struct tc_source_work *w, const struct table *t, uint64_t number)
{
    unsigned bytes = form_bytes(t->encoding);
    struct reader r;
    uint64_t vaddr;

    if (t->types == 0 || bytes == 0 || number > t->types / bytes)
        return 0;
    r = read_from(w, t->types - number * bytes);
    vaddr = take_address(&r, t->encoding & ~(unsigned)INDIRECT);
    if (r.bad)
        return 0;
    address(w, vaddr, (t->encoding & INDIRECT) != 0);
    return 1;
}

/* An exception specification: a list of types. */
static int specification(struct tc_source_work *w, const struct table *t, uint64_t offset)
{
    struct reader r = read_from(w, t->types + offset);
    uint64_t number;

    if (t->types == 0)
        return 0;
    while ((number = take_leb128(&r, 0)) != 0 && !r.bad)
        if (!type(w, t, number))
            return 0;
    return !r.bad;
}

/* What a call's exceptions are compared with, in order. */
static int actions(struct tc_source_work *w, const struct table *t, uint64_t first)
{
    struct reader r = t->actions;

    if (first - 1 > (uint64_t)(r.end - r.at))
        return 0;
    r.at += first - 1;
    r.vaddr += first - 1;
    for (unsigned i = 0; i < MAX_CHAIN && w->r == 0; i++) {
        int64_t filter = (int64_t)take_leb128(&r, 1), next;
        struct reader from = r;
        tc_work_number(w, (uint64_t)(filter > 0 ? 1 : filter < 0 ? 2 : 0));
        tc_work_number(w, (uint64_t)filter);
        if (filter > 0 && !type(w, t, (uint64_t)filter))
            return 0;
        if (filter < 0 && !specification(w, t, (uint64_t)-filter - 1))
            return 0;
        next = (int64_t)take_leb128(&r, 1);
        if (r.bad || next == 0)
            return !r.bad;
        r = from;
        if (next < 0 ? (uint64_t)-next > from.vaddr - t->actions.vaddr
                     : (uint64_t)next > (uint64_t)(r.end - r.at))
            return 0;
        r.at += next;
        r.vaddr += (uint64_t)next;
    }
    return 0;
}

static int calls(struct tc_source_work *w, struct reader r, unsigned encoding, uint64_t base,
                 const struct table *t)
{
    unsigned bytes = form_bytes(encoding);

    for (unsigned i = 0; r.at < r.end && w->r == 0; i++) {
        uint64_t field[4];
        for (unsigned k = 0; k < 4; k++)
            field[k] = k == 3 || bytes == 0 ? take_leb128(&r, 0) : take(&r, bytes);
        if (r.bad || i == MAX_CALLS)
            return 0;
        tc_work_number(w, field[0]);
        tc_work_number(w, field[1]);
        tc_work_number(w, field[2] != 0);
        if (field[2] != 0)
            tc_work_code_ref(w, base + field[2]);
        tc_work_number(w, field[3] != 0);
        if (field[3] != 0 && !actions(w, t, field[3]))
            return 0;
    }
    return 1;
}

static int table(struct tc_source_work *w, const struct tc_handlers *h)
{
    struct reader r = read_from(w, h->table), sites;
    struct table t = {.encoding = OMITTED};
    unsigned encoding = (unsigned)take(&r, 1);
    uint64_t base = h->begin, bytes;

    if (encoding != OMITTED)
        base = take_address(&r, encoding);
    t.encoding = (unsigned)take(&r, 1);
    if (t.encoding != OMITTED) {
        bytes = take_leb128(&r, 0);
        t.types = r.vaddr + bytes;
    }
    encoding = (unsigned)take(&r, 1);
    bytes = take_leb128(&r, 0);
    if (r.bad || bytes > (uint64_t)(r.end - r.at))
        return 0;
    sites = r;
    sites.end = r.at + bytes;
    t.actions = r;
    t.actions.at += bytes;
    t.actions.vaddr += bytes;
    return calls(w, sites, encoding, base, &t);
}

void tc_work_handlers(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    const struct tc_bounds *b = &w->m->im->bounds;

    for (size_t i = 0; i < b->handler_count && b->handlers[i].begin < end; i++) {
        const struct tc_handlers *h = &b->handlers[i];
        if (h->end <= begin)
            continue;
        tc_work_mark(w, TC_MARK_HANDLERS);
        tc_work_number(w, h->begin - begin);
        address(w, h->personality, h->is_indirect);
        if (!table(w, h))
            tc_work_give_up(w, "a table of exceptions that can't be read");
    }
}
