/* The source hash: from the first item to the digest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_work.h"

#define MAX_HASHED (512ull << 20)

static void note_from_here(struct tc_source_work *w, uint8_t kind)
{
    w->is_noting = 1;
    w->is_cut = 0;
    w->event_count = 0;
    w->bytes_before = w->hashed_bytes;
    w->calls_before = w->indirect_calls;
    tc_hash_begin(w->hash, kind);
}

/* What was found since `note_from_here` is what the next walk finds, too. */
static void keep(struct tc_source_work *w, uint32_t entry, const struct tc_hash128 *digest)
{
    struct tc_memo_entry *e = &w->memo->entries[entry];

    w->is_noting = 0;
    if (w->r < 0 || w->too_many || w->is_cut || e->known)
        return;
    memcpy(e->digest, &digest->low, 8);
    memcpy(e->digest + 8, &digest->high, 8);
    e->hashed_bytes = w->hashed_bytes - w->bytes_before;
    e->indirect_calls = w->indirect_calls - w->calls_before;
    w->r = tc_memo_keep(w->memo, entry, w->events, w->event_count);
}

/* The instructions have done their part; their numbers are asked for at the end. */
static void drop_listing(struct tc_source_work *w)
{
    struct tc_work_item *item = &w->items[w->at];
    struct tc_memo_entry *e = &w->memo->entries[item->entry];

    free(item->code.insns);
    free(item->code.offsets);
    item->code.insns = NULL;
    item->code.offsets = NULL;
    if (!e->known)
        return;
    e->number = item->code.number;
    e->number_bytes = item->code.bytes;
    w->memo->bytes += item->code.number != NULL ? (e->number_bytes + 1) * sizeof *e->number : 0;
    item->is_borrowed = 1;
}

static void walk_item(struct tc_source_work *w, uint32_t at)
{
    uint32_t entry = w->items[at].entry;
    uint8_t kind = w->items[at].item.kind;
    struct tc_hash128 digest;

    w->at = at;
    if (w->memo->entries[entry].known) {
        const struct tc_memo_entry *e = &w->memo->entries[entry];
        memcpy(w->items[at].item.digest, e->digest, sizeof e->digest);
        w->items[at].code.number = e->number;
        w->items[at].code.bytes = e->number_bytes;
        w->items[at].is_borrowed = 1;
        tc_work_again(w, entry);
        return;
    }
    note_from_here(w, kind);
    if (kind == TC_ITEM_CODE)
        tc_work_code(w);
    else
        tc_work_contents(w, w->items[at].item.begin, w->items[at].item.end);
    digest = tc_hash_end128(w->hash);
    memcpy(w->items[at].item.digest, &digest.low, 8);
    memcpy(w->items[at].item.digest + 8, &digest.high, 8);
    keep(w, entry, &digest);
    drop_listing(w);
}

/* [begin, end) of a region's rest, in front of what was looked into before. */
static struct tc_hash128 rest_digest(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    uint32_t entry = tc_memo_entry(w->memo, TC_ITEM_REST, begin, end);
    struct tc_hash128 digest = {0, 0};

    if (entry == TC_NO_ITEM) {
        w->r = -ENOMEM;
    } else if (w->memo->entries[entry].known) {
        memcpy(&digest.low, w->memo->entries[entry].digest, 8);
        memcpy(&digest.high, w->memo->entries[entry].digest + 8, 8);
        tc_work_again(w, entry);
    } else {
        note_from_here(w, TC_ITEM_REST);
        tc_work_contents(w, begin, end);
        digest = tc_hash_end128(w->hash);
        keep(w, entry, &digest);
    }
    return digest;
}

static void walk_rest(struct tc_source_work *w, uint32_t at)
{
    struct {
        uint8_t before[16];
        struct tc_hash128 more;
    } both;
    struct tc_hash128 sum;
    uint64_t begin = w->items[at].item.begin, end = w->items[at].done;

    w->at = at;
    w->items[at].done = begin;
    both.more = rest_digest(w, begin, end);
    memcpy(both.before, w->items[at].item.digest, sizeof both.before);
    sum = tc_hash128(&both, sizeof both, 0);
    memcpy(w->items[at].item.digest, &sum.low, 8);
    memcpy(w->items[at].item.digest + 8, &sum.high, 8);
}

/* All items; items of regions' rests last, as they may still grow. */
static void walk_items(struct tc_source_work *w)
{
    uint32_t next = 0;
    int more = 1;

    while (more && w->r == 0 && !w->too_many) {
        more = 0;
        for (; next < w->count && w->r == 0 && !w->too_many; next++) {
            if (w->items[next].item.kind == TC_ITEM_REST)
                continue;
            if (w->hashed_bytes > MAX_HASHED) {
                w->whole_file = 1;
                return;
            }
            walk_item(w, next);
            more = 1;
        }
        for (uint32_t i = 0; i < w->count && w->r == 0 && !w->too_many; i++) {
            const struct tc_work_item *item = &w->items[i];
            if (item->item.kind != TC_ITEM_REST || item->done == item->item.begin)
                continue;
            walk_rest(w, i);
            more = 1;
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
                          .indirect_calls = w->indirect_calls,
                          .labels = w->memo->labels};

    s.items = calloc(w->count + 1, sizeof *s.items);
    if (s.items == NULL)
        return -ENOMEM;
    memcpy(s.digest, &digest.low, 8);
    memcpy(s.digest + 8, &digest.high, 8);
    for (size_t i = 0; i < w->count; i++) {
        s.items[i] = w->items[i].item;
        s.functions += s.items[i].kind == TC_ITEM_CODE;
    }
    s.labels->holders++;
    w->refs = NULL;
    w->imports = NULL;
    *ret = s;
    return 0;
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
    for (size_t i = 0; i < w->count; i++)
        if (!w->items[i].is_borrowed)
            tc_work_free_list(&w->items[i].code);
    free(w->items);
    free(w->refs);
    free(w->imports);
    free(w->events);
    free(w->hash);
}

static int begin_work(struct tc_map *m, enum tc_source_mode mode, struct tc_source_work *ret)
{
    *ret = (struct tc_source_work){.m = m, .mode = mode, .memo = tc_memo_of(m, mode)};
    ret->hash = ret->memo != NULL ? aligned_alloc(64, sizeof *ret->hash) : NULL;
    if (ret->hash == NULL)
        return -ENOMEM;
    ret->walk = ++ret->memo->walks;
    return 0;
}

/* The walk ended inside of a table: does it alone lead to too many? Then the next function that
 * comes to it needn't be followed any further. */
static int note_crowded(struct tc_map *m, struct tc_source_item at)
{
    struct tc_source_work alone;
    size_t most = sizeof m->crowded / sizeof m->crowded[0];
    int r;

    if (at.kind == TC_ITEM_CODE || m->crowded_count == most)
        return 0;
    r = begin_work(m, TC_SOURCE_DEEP, &alone);
    if (r == 0 && tc_work_item(&alone, TC_ITEM_DATA, at.begin, at.end) == 0)
        walk_items(&alone);
    if (r == 0)
        r = alone.r;
    if (r == 0 && alone.too_many && !tc_work_is_crowded(m, at.begin, at.end))
        m->crowded[m->crowded_count++] = (struct tc_piece){at.begin, at.end - at.begin};
    free_work(&alone);
    return r;
}

int tc_source_make(struct tc_map *m, struct tc_piece function, enum tc_source_mode mode,
                   struct tc_source *ret)
{
    struct tc_source_work w;
    struct tc_source_item last = {0};
    int r = begin_work(m, mode, &w), too_many;

    if (r == 0 &&
        tc_work_item(&w, TC_ITEM_CODE, function.vaddr, function.vaddr + function.bytes) == 0)
        walk_items(&w);
    if (r == 0)
        r = w.r;
    too_many = w.too_many;
    if (r == 0 && too_many) {
        last = w.items[w.at].item;
    } else if (r == 0) {
        number_places(&w);
        sort_imports(&w);
        r = hand_over(&w, ret);
    }
    free_work(&w);
    if (r < 0 || !too_many)
        return r;
    r = note_crowded(m, last);
    if (r == 0)
        r = tc_source_make(m, function, TC_SOURCE_OWN, ret);
    if (r == 0)
        mix_file(m, ret);
    return r;
}

void tc_source_free(struct tc_source *s)
{
    free(s->items);
    free(s->refs);
    free(s->imports);
    tc_labels_release(s->labels);
    *s = (struct tc_source){0};
}
