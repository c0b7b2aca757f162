/* The source hash: items, and the walk over code. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_work.h"

#define MAX_ITEMS  65536u
#define MAX_REFS   (1u << 21)
#define MAX_HASHED (512ull << 20)

void tc_work_bytes(struct tc_source_work *w, const void *data, size_t bytes)
{
    tc_hash_add(w->hash, data, bytes);
    w->hashed_bytes += bytes;
}

void tc_work_mark(struct tc_source_work *w, enum tc_mark mark)
{
    unsigned char byte = (unsigned char)mark;
    tc_work_bytes(w, &byte, 1);
}

void tc_work_number(struct tc_source_work *w, uint64_t n)
{
    tc_work_bytes(w, &n, sizeof n);
}

void tc_work_text(struct tc_source_work *w, const char *text)
{
    tc_work_number(w, strlen(text));
    tc_work_bytes(w, text, strlen(text));
}

static void fail(struct tc_source_work *w)
{
    if (w->r == 0)
        w->r = -ENOMEM;
}

void tc_work_ref(struct tc_source_work *w, uint32_t to, uint64_t place, const char *coarse,
                 const char *format, ...)
{
    struct tc_source_ref *ref;
    va_list args;

    if (w->r < 0)
        return;
    if (w->ref_count == MAX_REFS) {
        w->whole_file = 1;
        return;
    }
    if (w->ref_count == w->refs_allocated) {
        size_t allocated = w->refs_allocated != 0 ? 2 * w->refs_allocated : 64;
        struct tc_source_ref *refs = reallocarray(w->refs, allocated, sizeof *refs);
        if (refs == NULL) {
            fail(w);
            return;
        }
        w->refs = refs;
        w->refs_allocated = allocated;
    }
    ref = &w->refs[w->ref_count];
    *ref = (struct tc_source_ref){w->at, to, place, coarse, NULL, w->access};
    va_start(args, format);
    if (vasprintf(&ref->label, format, args) < 0) {
        ref->label = NULL;
        fail(w);
    }
    va_end(args);
    w->ref_count += ref->label != NULL;
    w->coarse_count += coarse != NULL;
    if (coarse != NULL)
        w->items[w->at].item.coarse = 1;
}

void tc_work_give_up(struct tc_source_work *w, const char *why)
{
    w->whole_file = 1;
    tc_work_ref(w, TC_NO_ITEM, 0, why, "the whole file");
}

static char *label_of(const struct tc_source_work *w, uint8_t kind, uint64_t begin, uint64_t end)
{
    char name[512], *label = NULL;
    const struct tc_datum *d;
    int r;

    if (kind == TC_ITEM_CODE) {
        tc_map_code_label(w->m, begin, name, sizeof name);
        return strdup(name);
    }
    d = kind == TC_ITEM_DATA ? tc_map_datum(w->m, begin) : NULL;
    if (d != NULL && d->begin == begin && tc_map_datum_name(w->m, d, name, sizeof name))
        return strdup(name);
    r = asprintf(&label, "%llu bytes at 0x%llx", (unsigned long long)(end - begin),
                 (unsigned long long)begin);
    return r < 0 ? NULL : label;
}

/* All of a crowded stretch, or more. */
static int is_crowded(const struct tc_map *m, uint64_t begin, uint64_t end)
{
    for (size_t i = 0; i < m->crowded_count; i++)
        if (m->crowded[i].vaddr >= begin && m->crowded[i].vaddr + m->crowded[i].bytes <= end)
            return 1;
    return 0;
}

void tc_work_check_crowd(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    if (w->mode == TC_SOURCE_DEEP && is_crowded(w->m, begin, end))
        w->too_many = 1;
}

uint32_t tc_work_item(struct tc_source_work *w, uint8_t kind, uint64_t begin, uint64_t end)
{
    struct tc_work_item *item;

    /* Few have many: a search from behind meets the ones of the same neighbourhood first. */
    for (size_t i = w->count; i > 0; i--) {
        const struct tc_source_item *have = &w->items[i - 1].item;
        if (have->kind == kind && have->begin == begin && have->end == end)
            return (uint32_t)(i - 1);
    }
    if (w->r < 0 || w->too_many)
        return TC_NO_ITEM;
    w->functions += kind == TC_ITEM_CODE;
    if (kind == TC_ITEM_DATA)
        tc_work_check_crowd(w, begin, end);
    if (w->mode == TC_SOURCE_DEEP && w->functions > TC_SOURCE_MAX_CLOSURE) {
        w->too_many = 1;
        return TC_NO_ITEM;
    }
    if (w->count == MAX_ITEMS) {
        w->whole_file = 1;
        return TC_NO_ITEM;
    }
    if (w->count == w->allocated) {
        size_t allocated = w->allocated != 0 ? 2 * w->allocated : 32;
        struct tc_work_item *items = reallocarray(w->items, allocated, sizeof *items);
        if (items == NULL) {
            fail(w);
            return TC_NO_ITEM;
        }
        w->items = items;
        w->allocated = allocated;
    }
    item = &w->items[w->count];
    *item = (struct tc_work_item){.item = {.kind = kind, .begin = begin, .end = end}};
    item->item.label = label_of(w, kind, begin, end);
    if (item->item.label == NULL) {
        fail(w);
        return TC_NO_ITEM;
    }
    return (uint32_t)w->count++;
}

/* A place in code. With -mcmodel=large all addresses are computed from one in the function itself,
 * by differences that say nothing. */
static void made_code(struct tc_source_work *w, uint64_t vaddr, unsigned fate)
{
    const struct tc_source_item *item = &w->items[w->at].item;
    unsigned computed = TC_FATE_COUNTED | TC_FATE_THROUGH | TC_FATE_OFFSETS | TC_FATE_ENTRIES;

    if (vaddr - item->begin < item->end - item->begin)
        computed |= TC_FATE_UNKNOWN;
    tc_work_address(w, vaddr, TC_BY_VALUE, 0);
    if (fate & computed)
        tc_work_give_up(w, "addresses that are computed from one of code");
}

/* How an address that an instruction puts into a register, or away, is to be read. */
static void made(struct tc_source_work *w, uint32_t at, const struct tc_field *f)
{
    const struct tc_work_item *item = &w->items[w->at];
    const struct tc_instruction *n = &item->code.insns[at];
    const struct tc_region *region = tc_map_region(w->m, f->value);
    unsigned fate = TC_FATE_VALUE;
    struct tc_reach reach = {0, 0, 0};
    int has_entries = item->code.has_entries;

    if (n->dest != TC_NO_REGISTER)
        fate = tc_flow_fate(w->m, &item->code, item->item.begin, at, n->dest, &reach);
    else if (n->use == TC_USE_KEEP ||
             (n->use == TC_USE_OTHER && !(n->flow == TC_FLOW_NEXT && n->reads == 0)))
        fate = TC_FATE_UNKNOWN; /* a stack slot may be read again, and be computed with */
    w->access = reach.stores ? TC_SOURCE_WRITTEN : TC_SOURCE_NOT_SAID;
    if (region != NULL && (region->flags & TC_REGION_CODE) && !f->maybe) {
        made_code(w, f->value, fate);
        return;
    }
    if (fate & TC_FATE_THROUGH)
        tc_work_reach(w, f->value, &reach);
    item = &w->items[w->at]; /* it may have moved */
    if (tc_work_branch_table(w, f->value, 4))
        return;
    /* Tables of a switch have no symbol: one of pointers leads out of the function. */
    if (fate & TC_FATE_JUMPED)
        fate = (fate & ~(unsigned)TC_FATE_JUMPED) |
               (tc_map_datum(w->m, f->value) != NULL ? 0 : TC_FATE_UNKNOWN);
    if ((fate & ~(unsigned)(TC_FATE_ENTRIES | TC_FATE_COMPARED)) == TC_FATE_OFFSETS) {
        tc_work_offsets(w, f->value, 0);
        return;
    }
    if (fate == TC_FATE_COMPARED)
        tc_work_address(w, f->value, TC_BY_COMPARISON, 0);
    else if (fate != 0 && (fate & ~(unsigned)(TC_FATE_VALUE | TC_FATE_COMPARED)) == 0)
        tc_work_address(w, f->value, TC_BY_VALUE, 0);
    else
        tc_work_address(w, f->value, TC_BY_BASE, 0);
    if ((fate & TC_FATE_ENTRIES) || ((fate & TC_FATE_UNKNOWN) && has_entries))
        tc_work_offsets(w, f->value, 1);
}

static void thread_field(struct tc_source_work *w, const struct tc_field *f)
{
    const struct tc_elf *e = w->m->im->elf;
    uint64_t align = e->tls_align > 1 ? e->tls_align : 1;
    uint64_t block = (e->tls.bytes + align - 1) / align * align;

    tc_work_mark(w, TC_MARK_THREAD);
    /* Only a program knows where its own variables lie from the thread pointer. */
    if (!e->has_interpreter || e->tls.bytes == 0 || (int64_t)f->value > 0) {
        tc_work_number(w, f->value);
        return;
    }
    if (f->value == 0 || f->scale != 0 || block + f->value >= e->tls.bytes)
        tc_work_thread_layout(w);
    else
        tc_work_thread_offset(w, block + f->value);
    if (f->scale != 0)
        tc_work_number(w, f->value);
}

/* A slot holds an address: what is done through that counts. */
static uint8_t access_by(const struct tc_source_work *w, uint32_t at, const struct tc_field *f)
{
    const struct tc_work_item *item = &w->items[w->at];
    const struct tc_instruction *n = &item->code.insns[at];
    struct tc_reach reach = {0, 0, 0};

    if (f->kind != TC_FIELD_ACCESS && f->kind != TC_FIELD_TABLE)
        return TC_SOURCE_NOT_SAID;
    if (f->writes)
        return TC_SOURCE_WRITTEN;
    if (tc_map_reloc_at(w->m, f->value) == NULL)
        return TC_SOURCE_READ;
    if (n->dest != TC_NO_REGISTER && n->flow == TC_FLOW_NEXT)
        (void)tc_flow_fate(w->m, &item->code, item->item.begin, at, n->dest, &reach);
    return reach.stores ? TC_SOURCE_WRITTEN : TC_SOURCE_NOT_SAID;
}

static void walk_field(struct tc_source_work *w, uint32_t at, const struct tc_field *f)
{
    w->access = access_by(w, at, f);
    switch (f->kind) {
    case TC_FIELD_THREAD:
        thread_field(w, f);
        break;
    case TC_FIELD_MADE:
        made(w, at, f);
        break;
    case TC_FIELD_COMPARED:
        tc_work_address(w, f->value, TC_BY_COMPARISON, 0);
        break;
    case TC_FIELD_ACCESS:
        tc_work_address(w, f->value, TC_BY_ACCESS, f->width);
        break;
    default:
        if (!tc_work_branch_table(w, f->value, 8))
            tc_work_address(w, f->value, TC_BY_BASE, 0);
        break;
    }
    w->access = TC_SOURCE_NOT_SAID;
}

/* The bytes of the instruction without the fields that are addresses, and what those mean. */
static void walk_insn(struct tc_source_work *w, uint32_t at)
{
    /* Items may move when one is added: nothing of them is kept over that. */
    struct tc_instruction n = w->items[w->at].code.insns[at];
    uint64_t vaddr = w->items[w->at].item.begin + w->items[w->at].code.offsets[at];
    const unsigned char *code = tc_elf_at(w->m->im->elf, vaddr, n.bytes);
    unsigned char bytes[TC_INSN_LONGEST] = {0};

    if (code == NULL)
        return;
    memcpy(bytes, code, n.bytes);
    for (unsigned i = 0; i < n.field_count; i++) {
        struct tc_field *f = &n.fields[i];
        if (f->maybe && !tc_work_in_image(w, f->value))
            f->kind = 0;
        else
            memset(bytes + f->at, 0, f->bytes);
    }
    tc_work_mark(w, TC_MARK_INSN);
    tc_work_number(w, n.bytes);
    tc_work_bytes(w, bytes, n.bytes);
    for (unsigned i = 0; i < n.field_count; i++) {
        tc_work_number(w, n.fields[i].kind);
        if (n.fields[i].kind != 0)
            walk_field(w, at, &n.fields[i]);
    }
    if (n.flow == TC_FLOW_CALL_FAR_OFF && n.field_count == 0)
        w->indirect_calls++;
}

static void walk_branch(struct tc_source_work *w, const struct tc_instruction *n)
{
    tc_work_mark(w, TC_MARK_BRANCH);
    tc_work_number(w, n->mnemonic);
    tc_work_code_ref(w, n->target);
}

static int is_direct(const struct tc_instruction *n)
{
    return n->flow == TC_FLOW_BRANCH || n->flow == TC_FLOW_JUMP || n->flow == TC_FLOW_CALL;
}

/* A jump by a register goes to places that a table names, which may not have been understood: then
 * it counts where instructions lie. */
static void walk_places(struct tc_source_work *w, const struct tc_listing *l)
{
    tc_work_mark(w, TC_MARK_PLACES);
    tc_work_bytes(w, l->offsets, l->count * sizeof l->offsets[0]);
}

/* Assembly may go on into what follows. (Compilers' functions end without a jump only behind a call
 * that doesn't return.) */
static void walk_end(struct tc_source_work *w)
{
    const struct tc_work_item *item = &w->items[w->at];
    uint64_t end = item->item.end;
    const struct tc_region *r = tc_map_region(w->m, end);
    unsigned flow = item->code.count != 0 ? item->code.insns[item->code.count - 1].flow : 0;

    if ((flow != TC_FLOW_NEXT && flow != TC_FLOW_BRANCH) || r == NULL ||
        !(r->flags & TC_REGION_CODE))
        return;
    tc_work_mark(w, TC_MARK_ONWARD);
    tc_work_code_ref(w, end);
}

static void walk_code(struct tc_source_work *w)
{
    struct tc_work_item *item = &w->items[w->at];
    uint64_t begin = item->item.begin, bytes = item->item.end - begin;
    int jumps = 0;
    int r = tc_work_list(w->m, begin, bytes, &item->code);

    if (r < 0) {
        w->r = r;
        return;
    }
    tc_work_number(w, item->code.count);
    if (item->code.broken) {
        tc_work_mark(w, TC_MARK_UNREADABLE);
        tc_work_give_up(w, "not all of its code can be decoded");
        return;
    }
    for (uint32_t i = 0; i < w->items[w->at].code.count && w->r == 0 && !w->too_many; i++) {
        struct tc_instruction n = w->items[w->at].code.insns[i];
        jumps |= n.flow == TC_FLOW_JUMP_FAR_OFF && n.field_count == 0;
        if (is_direct(&n))
            walk_branch(w, &n);
        else
            walk_insn(w, i);
    }
    walk_end(w);
    tc_work_handlers(w, w->items[w->at].item.begin, w->items[w->at].item.end);
    if (jumps)
        walk_places(w, &w->items[w->at].code);
}

static void finish_item(struct tc_source_work *w, struct tc_hash128 digest)
{
    uint8_t *to = w->items[w->at].item.digest;

    memcpy(to, &digest.low, 8);
    memcpy(to + 8, &digest.high, 8);
    w->items[w->at].finished = 1;
}

/* All items; items of regions' rests last, as they may still grow. */
static void walk_items(struct tc_source_work *w)
{
    int more = 1;

    while (more && w->r == 0 && !w->too_many) {
        more = 0;
        for (uint32_t i = 0; i < w->count && w->r == 0; i++) {
            struct tc_work_item *item = &w->items[i];
            if (item->finished || item->item.kind == TC_ITEM_REST)
                continue;
            if (w->hashed_bytes > MAX_HASHED) {
                w->whole_file = 1;
                return;
            }
            w->at = i;
            more = 1;
            tc_hash_begin(w->hash, item->item.kind);
            if (item->item.kind == TC_ITEM_CODE)
                walk_code(w);
            else
                tc_work_contents(w, item->item.begin, item->item.end);
            finish_item(w, tc_hash_end128(w->hash));
        }
        for (uint32_t i = 0; i < w->count && w->r == 0; i++) {
            struct tc_work_item *item = &w->items[i];
            struct {
                uint8_t before[16];
                struct tc_hash128 more;
            } both;
            if (item->item.kind != TC_ITEM_REST || item->done == item->item.begin)
                continue;
            w->at = i;
            more = 1;
            uint64_t end = item->done;
            item->done = item->item.begin;
            tc_hash_begin(w->hash, TC_ITEM_REST);
            tc_work_contents(w, item->item.begin, end);
            memcpy(both.before, w->items[i].item.digest, sizeof both.before);
            both.more = tc_hash_end128(w->hash);
            finish_item(w, tc_hash128(&both, sizeof both, 0));
        }
    }
}

static int by_name(const void *a, const void *b)
{
    const struct tc_source_import *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    if (r == 0)
        r = strcmp(x->version != NULL ? x->version : "", y->version != NULL ? y->version : "");
    return r;
}

static void sort_imports(struct tc_source_work *w)
{
    size_t kept = 0;

    if (w->import_count != 0)
        qsort(w->imports, w->import_count, sizeof *w->imports, by_name);
    for (size_t i = 0; i < w->import_count; i++)
        if (kept == 0 || by_name(&w->imports[kept - 1], &w->imports[i]) != 0)
            w->imports[kept++] = w->imports[i];
    w->import_count = kept;
}

/* A place in code is an instruction's number, known once that code was listed. */
static void number_places(struct tc_source_work *w)
{
    for (size_t i = 0; i < w->ref_count; i++) {
        struct tc_source_ref *ref = &w->refs[i];
        const struct tc_listing *l;
        if (ref->to == TC_NO_ITEM || w->items[ref->to].item.kind != TC_ITEM_CODE)
            continue;
        l = &w->items[ref->to].code;
        if (l->number != NULL && ref->place <= l->bytes && l->number[ref->place] != TC_NO_NUMBER)
            ref->place = l->number[ref->place];
        else
            w->whole_file = 1;
    }
}

static struct tc_hash128 digest_of(struct tc_source_work *w)
{
    tc_hash_begin(w->hash, TC_SOURCE_RESOLVED);
    tc_work_number(w, w->mode);
    tc_work_number(w, w->count);
    for (size_t i = 0; i < w->count; i++)
        tc_work_bytes(w, w->items[i].item.digest, sizeof w->items[i].item.digest);
    for (size_t i = 0; i < w->ref_count; i++) {
        const struct tc_source_ref *ref = &w->refs[i];
        uint64_t edge[3] = {ref->from, ref->to, ref->place};
        if (ref->to != TC_NO_ITEM)
            tc_work_bytes(w, edge, sizeof edge);
    }
    if (w->whole_file) {
        struct tc_hash128 file = tc_map_file(w->m);
        tc_work_bytes(w, &file, sizeof file);
    }
    return tc_hash_end128(w->hash);
}

static int hand_over(struct tc_source_work *w, struct tc_source *ret)
{
    struct tc_hash128 digest = digest_of(w);
    struct tc_source s = {.refs = w->refs,
                          .ref_count = w->ref_count,
                          .imports = w->imports,
                          .import_count = w->import_count,
                          .item_count = w->count,
                          .coarse_count = w->coarse_count,
                          .indirect_calls = w->indirect_calls};

    s.items = calloc(w->count + 1, sizeof *s.items);
    if (s.items == NULL)
        return -ENOMEM;
    memcpy(s.digest, &digest.low, 8);
    memcpy(s.digest + 8, &digest.high, 8);
    for (size_t i = 0; i < w->count; i++) {
        s.items[i] = w->items[i].item;
        w->items[i].item.label = NULL;
        s.functions += s.items[i].kind == TC_ITEM_CODE;
    }
    w->refs = NULL;
    w->imports = NULL;
    w->ref_count = 0;
    *ret = s;
    return 0;
}

static void free_refs(struct tc_source_ref *refs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(refs[i].label);
    free(refs);
}

static void mix_file(struct tc_map *m, struct tc_source *s)
{
    struct {
        uint8_t source[16];
        struct tc_hash128 file;
    } both;
    struct tc_hash128 sum;

    memcpy(both.source, s->digest, sizeof both.source);
    both.file = tc_map_file(m);
    sum = tc_hash128(&both, sizeof both, TC_SOURCE_DEEP);
    memcpy(s->digest, &sum, sizeof s->digest);
    s->whole = 1;
}

static void free_work(struct tc_source_work *w)
{
    for (size_t i = 0; i < w->count; i++) {
        tc_work_free_list(&w->items[i].code);
        free(w->items[i].item.label);
    }
    free(w->items);
    free_refs(w->refs, w->ref_count);
    free(w->imports);
}

/* The walk ended inside of a table: does it alone lead to too many? Then the next function that
 * comes to it needn't be followed any further. */
static int note_crowded(struct tc_source_work *w)
{
    const struct tc_source_item *at = &w->items[w->at].item;
    struct tc_source_work alone = {.m = w->m, .mode = w->mode, .hash = w->hash};
    size_t most = sizeof w->m->crowded / sizeof w->m->crowded[0];

    if (at->kind == TC_ITEM_CODE || w->m->crowded_count == most)
        return 0;
    if (tc_work_item(&alone, TC_ITEM_DATA, at->begin, at->end) == 0)
        walk_items(&alone);
    if (alone.r == 0 && alone.too_many && !is_crowded(w->m, at->begin, at->end))
        w->m->crowded[w->m->crowded_count++] = (struct tc_piece){at->begin, at->end - at->begin};
    free_work(&alone);
    return alone.r;
}

int tc_source_make(struct tc_map *m, struct tc_piece function, enum tc_source_mode mode,
                   struct tc_source *ret)
{
    struct tc_hash_state *hash = aligned_alloc(64, sizeof *hash);
    struct tc_source_work w = {.m = m, .mode = mode, .hash = hash};

    if (hash == NULL)
        return -ENOMEM;
    if (tc_work_item(&w, TC_ITEM_CODE, function.vaddr, function.vaddr + function.bytes) == 0)
        walk_items(&w);
    if (w.r == 0 && w.too_many) {
        w.r = note_crowded(&w);
        if (w.r == 0)
            w.r = tc_source_make(m, function, TC_SOURCE_OWN, ret);
        if (w.r == 0)
            mix_file(m, ret);
    } else if (w.r == 0) {
        number_places(&w);
        sort_imports(&w);
        w.r = hand_over(&w, ret);
    }
    free_work(&w);
    free(hash);
    return w.r;
}

void tc_source_free(struct tc_source *s)
{
    for (size_t i = 0; i < s->item_count; i++)
        free(s->items[i].label);
    free(s->items);
    free_refs(s->refs, s->ref_count);
    free(s->imports);
    *s = (struct tc_source){0};
}
