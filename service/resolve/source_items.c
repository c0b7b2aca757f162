/*
 * The source hash: items, and what they refer to, as the walk comes to them. What an item does here
 * is noted (source_memo.h), and done again when another function's walk comes to it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_work.h"

#define MAX_ITEMS 65536u
#define MAX_REFS  (1u << 21)

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

/* Room for one more. */
static void *grown(struct tc_source_work *w, void *array, size_t count, size_t *allocated,
                   size_t bytes)
{
    size_t more = *allocated != 0 ? 2 * *allocated : 64;
    void *larger = array;

    if (count < *allocated)
        return array;
    larger = reallocarray(array, more, bytes);
    if (larger == NULL) {
        fail(w);
        return array;
    }
    *allocated = more;
    return larger;
}

/* A walk at its limits looks into less than another one would: nothing of it is kept. */
static void reach_limit(struct tc_source_work *w)
{
    w->whole_file = 1;
    w->is_cut = 1;
}

static void note(struct tc_source_work *w, struct tc_memo_event event)
{
    if (!w->is_noting || w->r < 0)
        return;
    w->events = grown(w, w->events, w->event_count, &w->events_allocated, sizeof *w->events);
    if (w->r == 0)
        w->events[w->event_count++] = event;
}

static void push_ref(struct tc_source_work *w, const struct tc_source_ref *ref)
{
    if (w->r < 0)
        return;
    if (w->ref_count == MAX_REFS) {
        reach_limit(w);
        return;
    }
    w->refs = grown(w, w->refs, w->ref_count, &w->refs_allocated, sizeof *w->refs);
    if (w->r < 0)
        return;
    w->refs[w->ref_count++] = *ref;
    w->coarse_count += ref->coarse != NULL;
    if (ref->coarse != NULL)
        w->items[w->at].item.coarse = 1;
}

static const char *keep_label(struct tc_source_work *w, const char *format, va_list args)
{
    char text[512], *longer = NULL;
    const char *label = NULL;
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(text, sizeof text, format, args);
    if (n >= 0 && (size_t)n < sizeof text)
        label = tc_labels_add(w->memo->labels, text, (size_t)n);
    else if (vasprintf(&longer, format, again) >= 0)
        label = tc_labels_add(w->memo->labels, longer, strlen(longer));
    va_end(again);
    free(longer);
    if (label == NULL)
        fail(w);
    return label;
}

static const char *make_label(struct tc_source_work *w, const char *format, ...)
{
    va_list args;
    const char *label;

    va_start(args, format);
    label = keep_label(w, format, args);
    va_end(args);
    return label;
}

void tc_work_ref(struct tc_source_work *w, uint32_t to, uint64_t place, const char *coarse,
                 const char *format, ...)
{
    struct tc_memo_event event = {.what = TC_MEMO_REF, .access = w->access, .entry = TC_NO_ITEM};
    va_list args;

    if (w->r < 0)
        return;
    event.place = place;
    event.coarse = coarse;
    if (to != TC_NO_ITEM)
        event.entry = w->items[to].entry;
    va_start(args, format);
    event.label = keep_label(w, format, args);
    va_end(args);
    note(w, event);
    push_ref(w, &(struct tc_source_ref){w->at, to, place, coarse, event.label, w->access});
}

void tc_work_give_up(struct tc_source_work *w, const char *why)
{
    w->whole_file = 1;
    note(w, (struct tc_memo_event){.what = TC_MEMO_WHOLE_FILE});
    tc_work_ref(w, TC_NO_ITEM, 0, why, "the whole file");
}

static void push_import(struct tc_source_work *w, const struct tc_source_import *one)
{
    w->imports = grown(w, w->imports, w->import_count, &w->imports_allocated, sizeof *w->imports);
    if (w->r == 0)
        w->imports[w->import_count++] = *one;
}

void tc_work_import(struct tc_source_work *w, const struct tc_source_import *one)
{
    note(w, (struct tc_memo_event){.what = TC_MEMO_IMPORT, .import = *one});
    push_import(w, one);
}

static const char *label_of(struct tc_source_work *w, uint8_t kind, uint64_t begin, uint64_t end)
{
    char name[512];
    const struct tc_datum *d;

    if (kind == TC_ITEM_CODE) {
        tc_map_code_label(w->m, begin, name, sizeof name);
        return make_label(w, "%s", name);
    }
    d = kind == TC_ITEM_DATA ? tc_map_datum(w->m, begin) : NULL;
    if (d != NULL && d->begin == begin && tc_map_datum_name(w->m, d, name, sizeof name))
        return make_label(w, "%s", name);
    return make_label(w, "%llu bytes at 0x%llx", (unsigned long long)(end - begin),
                      (unsigned long long)begin);
}

/* All of a crowded stretch, or more. */
int tc_work_is_crowded(const struct tc_map *m, uint64_t begin, uint64_t end)
{
    for (size_t i = 0; i < m->crowded_count; i++)
        if (m->crowded[i].vaddr >= begin && m->crowded[i].vaddr + m->crowded[i].bytes <= end)
            return 1;
    return 0;
}

/* Data that is known to lead to too many functions ends the walk. */
static void check_crowd(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    if (w->mode == TC_SOURCE_DEEP && tc_work_is_crowded(w->m, begin, end))
        w->too_many = 1;
}

static uint32_t push_item(struct tc_source_work *w, const struct tc_work_item *item)
{
    if (w->count == MAX_ITEMS) {
        reach_limit(w);
        return TC_NO_ITEM;
    }
    w->items = grown(w, w->items, w->count, &w->allocated, sizeof *w->items);
    if (w->r < 0)
        return TC_NO_ITEM;
    w->items[w->count] = *item;
    return (uint32_t)w->count++;
}

/* An entry's item in this walk. */
static uint32_t item_of(struct tc_source_work *w, uint32_t entry)
{
    struct tc_memo_entry *e = &w->memo->entries[entry];
    struct tc_work_item item = {.item = {.kind = e->kind, .begin = e->begin, .end = e->end},
                                .entry = entry};
    uint32_t at;

    if (e->walk == w->walk)
        return e->item;
    if (w->r < 0 || w->too_many)
        return TC_NO_ITEM;
    w->functions += e->kind == TC_ITEM_CODE;
    if (e->kind == TC_ITEM_DATA)
        check_crowd(w, e->begin, e->end);
    if (w->mode == TC_SOURCE_DEEP && w->functions > TC_SOURCE_MAX_CLOSURE) {
        w->too_many = 1;
        return TC_NO_ITEM;
    }
    if (e->label == NULL)
        e->label = label_of(w, e->kind, e->begin, e->end);
    item.item.label = e->label;
    at = w->r == 0 ? push_item(w, &item) : TC_NO_ITEM;
    if (at != TC_NO_ITEM) {
        e->walk = w->walk;
        e->item = at;
    }
    return at;
}

uint32_t tc_work_item(struct tc_source_work *w, uint8_t kind, uint64_t begin, uint64_t end)
{
    uint32_t entry = tc_memo_entry(w->memo, kind, begin, end);

    if (entry == TC_NO_ITEM) {
        fail(w);
        return TC_NO_ITEM;
    }
    note(w, (struct tc_memo_event){.what = TC_MEMO_ITEM, .entry = entry});
    return item_of(w, entry);
}

/* Regions' rests, one for each, are few. */
static uint32_t rest_of(struct tc_source_work *w, uint64_t from, uint64_t end)
{
    struct tc_work_item item = {.item = {.kind = TC_ITEM_REST, .begin = from, .end = end},
                                .entry = TC_NO_ITEM,
                                .done = end};
    uint32_t at;

    for (at = w->last_rest; at != 0; at = w->items[at].before)
        if (w->items[at].item.end == end)
            return at;
    if (w->r < 0 || w->too_many)
        return TC_NO_ITEM;
    item.before = w->last_rest;
    item.item.label = label_of(w, TC_ITEM_REST, from, end);
    at = w->r == 0 ? push_item(w, &item) : TC_NO_ITEM;
    if (at != TC_NO_ITEM)
        w->last_rest = at;
    return at;
}

static int extend(struct tc_source_work *w, const struct tc_memo_event *event)
{
    const struct tc_region *r = tc_map_region(w->m, event->place);
    uint32_t at = rest_of(w, event->from, r->end);
    struct tc_source_item *item;

    if (at == TC_NO_ITEM)
        return 0;
    item = &w->items[at].item;
    if (event->from < item->begin)
        item->begin = event->from;
    check_crowd(w, event->from, r->end);
    item->coarse = 1;
    push_ref(w, &(struct tc_source_ref){w->at, at, r->end - event->place, event->coarse,
                                        event->label, event->access});
    return 1;
}

int tc_work_extend(struct tc_source_work *w, uint64_t from, uint64_t vaddr, const char *why)
{
    struct tc_memo_event event = {.what = TC_MEMO_REST, .access = w->access, .entry = TC_NO_ITEM};

    event.from = from;
    event.place = vaddr;
    event.coarse = why;
    event.label =
        make_label(w, "all from 0x%llx to the end of its section", (unsigned long long)from);
    note(w, event);
    return extend(w, &event);
}

static void do_again(struct tc_source_work *w, const struct tc_memo_event *event)
{
    struct tc_source_ref ref = {w->at,         TC_NO_ITEM,   event->place,
                                event->coarse, event->label, event->access};

    switch (event->what) {
    case TC_MEMO_ITEM:
        (void)item_of(w, event->entry);
        break;
    case TC_MEMO_REF:
        if (event->entry != TC_NO_ITEM)
            ref.to = item_of(w, event->entry);
        push_ref(w, &ref);
        break;
    case TC_MEMO_REST:
        (void)extend(w, event);
        break;
    case TC_MEMO_IMPORT:
        push_import(w, &event->import);
        break;
    default:
        w->whole_file = 1;
        break;
    }
}

void tc_work_again(struct tc_source_work *w, uint32_t entry)
{
    const struct tc_memo_entry *e = &w->memo->entries[entry];

    w->hashed_bytes += e->hashed_bytes;
    w->indirect_calls += e->indirect_calls;
    for (uint32_t i = 0; i < e->event_count && w->r == 0 && !w->too_many; i++)
        do_again(w, &e->events[i]);
}
