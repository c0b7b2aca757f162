#include "service/resolve/elf_bounds.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pointer encodings, LSB "DWARF Exception Header Encoding". */
enum {
    ENC_ABSPTR = 0x00,
    ENC_ULEB128 = 0x01,
    ENC_UDATA2 = 0x02,
    ENC_UDATA4 = 0x03,
    ENC_UDATA8 = 0x04,
    ENC_SLEB128 = 0x09,
    ENC_SDATA2 = 0x0a,
    ENC_SDATA4 = 0x0b,
    ENC_SDATA8 = 0x0c,
    ENC_FORM = 0x0f,
    ENC_PCREL = 0x10,
    ENC_RELATION = 0x70,
    ENC_INDIRECT = 0x80,
    ENC_OMIT = 0xff,
};

/* A reader of bytes that lie at `vaddr`; `bad` once it would have left them. */
struct reader {
    const unsigned char *at, *end;
    uint64_t vaddr;
    int bad;
};

struct list {
    struct tc_range *ranges;
    size_t count, allocated;
};

struct handlers {
    struct tc_handlers *all;
    size_t count, allocated;
};

/* A CIE, as far as its entries need it. */
struct cie {
    unsigned code, table; /* encodings of addresses; ENC_OMIT: none, or it can't be told */
    int has_data;         /* entries have augmentation data */
    uint64_t personality;
    int is_indirect;
};

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

static void skip(struct reader *r, uint64_t bytes)
{
    if (r->bad || (uint64_t)(r->end - r->at) < bytes) {
        r->bad = 1;
        return;
    }
    r->at += bytes;
    r->vaddr += bytes;
}

static uint64_t take_leb128(struct reader *r, int is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint64_t byte = 0;

    do {
        byte = take(r, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80 && !r->bad);
    if (is_signed && shift < 64 && byte & 0x40)
        value |= ~0ull << shift;
    return value;
}

static uint64_t take_form(struct reader *r, unsigned encoding)
{
    switch (encoding & ENC_FORM) {
    case ENC_ABSPTR:
    case ENC_UDATA8:
    case ENC_SDATA8:
        return take(r, 8);
    case ENC_UDATA4:
        return take(r, 4);
    case ENC_SDATA4:
        return (uint64_t)(int64_t)(int32_t)take(r, 4);
    case ENC_UDATA2:
        return take(r, 2);
    case ENC_SDATA2:
        return (uint64_t)(int64_t)(int16_t)take(r, 2);
    case ENC_ULEB128:
    case ENC_SLEB128:
        return take_leb128(r, (encoding & ENC_FORM) == ENC_SLEB128);
    default:
        r->bad = 1;
        return 0;
    }
}

/* Only what compilers write for code addresses: absolute or relative to the field itself. */
static uint64_t take_pointer(struct reader *r, unsigned encoding)
{
    uint64_t field = r->vaddr, value = take_form(r, encoding);

    if (encoding & ENC_INDIRECT)
        r->bad = 1;
    if ((encoding & ENC_RELATION) == ENC_PCREL)
        return value + field;
    if ((encoding & ENC_RELATION) != 0)
        r->bad = 1;
    return value;
}

static void read_augmentation(struct reader *r, const char *letters, size_t length, struct cie *ret)
{
    unsigned encoding;

    for (size_t i = 1; i < length && !r->bad; i++) {
        switch (letters[i]) {
        case 'R':
            ret->code = (unsigned)take(r, 1);
            break;
        case 'P':
            encoding = (unsigned)take(r, 1);
            ret->is_indirect = (encoding & ENC_INDIRECT) != 0;
            ret->personality = take_pointer(r, encoding & ~(unsigned)ENC_INDIRECT);
            break;
        case 'L':
            ret->table = (unsigned)take(r, 1);
            break;
        default:
            break;
        }
    }
}

/* `code` is ENC_OMIT if it can't be read. */
static struct cie read_cie(struct reader r)
{
    static const struct cie unknown = {.code = ENC_OMIT, .table = ENC_OMIT};
    struct cie c = {.code = ENC_ABSPTR, .table = ENC_OMIT};
    uint64_t version = take(&r, 1);
    const char *augmentation = (const char *)r.at;
    size_t length = strnlen(augmentation, (size_t)(r.end - r.at));

    skip(&r, length + 1);
    if (r.bad || version == 0 || version > 4 || (version == 4 && take(&r, 2) != 8))
        return unknown;
    (void)take_leb128(&r, 0);
    (void)take_leb128(&r, 1);
    (void)(version == 1 ? take(&r, 1) : take_leb128(&r, 0));
    if (augmentation[0] != 'z')
        return r.bad || augmentation[0] != 0 ? unknown : c;
    c.has_data = 1;
    (void)take_leb128(&r, 0);
    read_augmentation(&r, augmentation, length, &c);
    return r.bad ? unknown : c;
}

static int append(struct list *l, uint64_t begin, uint64_t end)
{
    if (begin >= end)
        return 0;
    if (l->count == l->allocated) {
        size_t allocated = l->allocated != 0 ? 2 * l->allocated : 256;
        struct tc_range *ranges = reallocarray(l->ranges, allocated, sizeof *ranges);
        if (ranges == NULL)
            return -ENOMEM;
        l->ranges = ranges;
        l->allocated = allocated;
    }
    l->ranges[l->count++] = (struct tc_range){.begin = begin, .end = end};
    return 0;
}

static int by_begin(const void *a, const void *b)
{
    const struct tc_range *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    /* The longer first, so that the innermost is met first from behind. */
    return x->end > y->end ? -1 : x->end < y->end;
}

static int by_code(const void *a, const void *b)
{
    const struct tc_handlers *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->table < y->table ? -1 : x->table > y->table;
}

static void sort_list(struct list *l)
{
    uint64_t highest = 0;

    if (l->count != 0)
        qsort(l->ranges, l->count, sizeof *l->ranges, by_begin);
    for (size_t i = 0; i < l->count; i++) {
        highest = l->ranges[i].end > highest ? l->ranges[i].end : highest;
        l->ranges[i].highest_end = highest;
    }
}

/* The CIE at `at`, remembering the last one: entries of a CIE come in a row. */
static const struct cie *cie_at(const struct reader *frame, const unsigned char *at,
                                const unsigned char **last, struct cie *ret)
{
    struct reader r = *frame;
    uint64_t length = 0;

    if (at == *last)
        return ret;
    r.vaddr -= (uint64_t)(r.at - at);
    r.at = at;
    *last = at;
    *ret = (struct cie){.code = ENC_OMIT, .table = ENC_OMIT};
    length = take(&r, 4);
    if (r.bad || length < 4 || length >= 0xfffffff0u || (uint64_t)(r.end - r.at) < length)
        return ret;
    r.end = r.at + length;
    if (take(&r, 4) == 0)
        *ret = read_cie(r);
    return ret;
}

static int append_handlers(struct handlers *h, const struct tc_handlers *one)
{
    if (h->count == h->allocated) {
        size_t allocated = h->allocated != 0 ? 2 * h->allocated : 64;
        struct tc_handlers *all = reallocarray(h->all, allocated, sizeof *all);
        if (all == NULL)
            return -ENOMEM;
        h->all = all;
        h->allocated = allocated;
    }
    h->all[h->count++] = *one;
    return 0;
}

/* An entry behind its length and its way back to the CIE. */
static int read_fde(struct reader r, const struct cie *cie, struct list *into, struct handlers *h)
{
    struct tc_handlers one = {.personality = cie->personality, .is_indirect = cie->is_indirect};
    uint64_t bytes, field;
    int result;

    one.begin = take_pointer(&r, cie->code);
    bytes = take_form(&r, cie->code);
    if (r.bad || bytes > UINT64_MAX - one.begin)
        return 0;
    one.end = one.begin + bytes;
    result = append(into, one.begin, one.end);
    if (result < 0 || cie->table == ENC_OMIT || !cie->has_data)
        return result;
    (void)take_leb128(&r, 0);
    field = r.vaddr;
    one.table = take_pointer(&r, cie->table);
    if (r.bad || one.table == 0 || ((cie->table & ENC_PCREL) && one.table == field))
        return 0;
    return append_handlers(h, &one);
}

static int read_frame(struct reader frame, struct list *into, struct handlers *h)
{
    const unsigned char *start = frame.at, *last_cie = NULL;
    struct cie cie = {0};
    int result = 0;

    while (result == 0) {
        uint64_t length = take(&frame, 4);
        /* 0 ends the table; the 64-bit form is written by nobody for .eh_frame. */
        if (frame.bad || length == 0 || length >= 0xfffffff0u ||
            length > (uint64_t)(frame.end - frame.at))
            return 0;
        struct reader r = frame;
        r.end = r.at + length;
        skip(&frame, length);
        uint64_t here = (uint64_t)(r.at - start), back = take(&r, 4);
        if (r.bad || back == 0 || back > here)
            continue;
        if (cie_at(&frame, start + (here - back), &last_cie, &cie)->code != ENC_OMIT)
            result = read_fde(r, &cie, into, h);
    }
    return result;
}

static int find_frame(const struct tc_elf *e, struct reader *ret)
{
    const struct tc_section *section = tc_elf_section(e, ".eh_frame", 0);
    uint32_t flags = 0;
    uint64_t vaddr = 0, room = 0;

    if (e->eh_frame_hdr != 0 && e->eh_frame_hdr_bytes >= 8) {
        const unsigned char *head = tc_elf_at(e, e->eh_frame_hdr, e->eh_frame_hdr_bytes);
        if (head != NULL && head[0] == 1) {
            struct reader r = {head + 4, head + e->eh_frame_hdr_bytes, e->eh_frame_hdr + 4, 0};
            vaddr = take_pointer(&r, head[1]);
            vaddr = r.bad ? 0 : vaddr;
        }
    }
    if (vaddr == 0 && section != NULL)
        vaddr = section->vaddr;
    room = vaddr != 0 ? tc_elf_room(e, vaddr, &flags) : 0;
    if (room == 0)
        return -ENOENT;
    ret->at = tc_elf_at(e, vaddr, room);
    ret->end = ret->at + room;
    ret->vaddr = vaddr;
    ret->bad = 0;
    return 0;
}

static int add_functions(const struct tc_symbols *s, struct list *into)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[i];
        if ((symbol->type == STT_FUNC || symbol->type == STT_GNU_IFUNC) &&
            symbol->bytes <= UINT64_MAX - symbol->vaddr)
            r = append(into, symbol->vaddr, symbol->vaddr + symbol->bytes);
    }
    return r;
}

int tc_bounds_read(const struct tc_elf *e, const struct tc_symbols *s, struct tc_bounds *ret)
{
    struct list fdes = {0}, ranges = {0};
    struct handlers handlers = {0};
    struct reader frame;
    int r = 0;

    if (find_frame(e, &frame) == 0)
        r = read_frame(frame, &fdes, &handlers);
    for (size_t i = 0; r == 0 && i < fdes.count; i++)
        r = append(&ranges, fdes.ranges[i].begin, fdes.ranges[i].end);
    if (r == 0)
        r = add_functions(s, &ranges);
    if (r < 0) {
        free(fdes.ranges);
        free(ranges.ranges);
        free(handlers.all);
        return r;
    }
    sort_list(&fdes);
    sort_list(&ranges);
    if (handlers.count != 0)
        qsort(handlers.all, handlers.count, sizeof *handlers.all, by_code);
    *ret = (struct tc_bounds){.fdes = fdes.ranges,
                              .handlers = handlers.all,
                              .handler_count = handlers.count,
                              .fde_count = fdes.count,
                              .ranges = ranges.ranges,
                              .range_count = ranges.count};
    return 0;
}

void tc_bounds_free(struct tc_bounds *b)
{
    free(b->fdes);
    free(b->ranges);
    free(b->handlers);
    *b = (struct tc_bounds){0};
}

/* How many ranges begin at or before `vaddr`. */
static size_t begun(const struct tc_range *ranges, size_t count, uint64_t vaddr)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].begin <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct tc_range *around(const struct tc_range *ranges, size_t count, uint64_t vaddr)
{
    size_t at = begun(ranges, count, vaddr);

    for (; at > 0 && ranges[at - 1].highest_end > vaddr; at--) {
        if (ranges[at - 1].end > vaddr)
            return &ranges[at - 1];
    }
    return NULL;
}

uint64_t tc_bounds_fde_bytes(const struct tc_bounds *b, uint64_t vaddr)
{
    const struct tc_range *r = around(b->fdes, b->fde_count, vaddr);
    return r != NULL ? r->end - vaddr : 0;
}

const struct tc_range *tc_bounds_around(const struct tc_bounds *b, uint64_t vaddr)
{
    return around(b->ranges, b->range_count, vaddr);
}

uint64_t tc_bounds_end_before(const struct tc_bounds *b, uint64_t vaddr)
{
    size_t at = begun(b->ranges, b->range_count, vaddr);
    return at > 0 ? b->ranges[at - 1].highest_end : 0;
}
