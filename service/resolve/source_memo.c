#include "service/resolve/source_memo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 65536u

struct tc_label_block {
    struct tc_label_block *before;
    size_t used, bytes;
    char text[];
};

static struct tc_label_block *add_block(struct tc_labels *l, size_t least)
{
    size_t bytes = least > BLOCK_BYTES ? least : BLOCK_BYTES;
    struct tc_label_block *b = malloc(sizeof *b + bytes);

    if (b == NULL)
        return NULL;
    *b = (struct tc_label_block){.before = l->last, .bytes = bytes};
    l->last = b;
    l->bytes += sizeof *b + bytes;
    return b;
}

const char *tc_labels_add(struct tc_labels *l, const char *text, size_t bytes)
{
    struct tc_label_block *b = l->last;
    char *at;

    if (b == NULL || b->bytes - b->used <= bytes)
        b = add_block(l, bytes + 1);
    if (b == NULL)
        return NULL;
    at = b->text + b->used;
    memcpy(at, text, bytes);
    at[bytes] = 0;
    b->used += bytes + 1;
    return at;
}

void tc_labels_release(struct tc_labels *l)
{
    if (l == NULL || --l->holders != 0)
        return;
    for (struct tc_label_block *b = l->last, *before; b != NULL; b = before) {
        before = b->before;
        free(b);
    }
    free(l);
}

static struct tc_source_memo *make_memo(void)
{
    struct tc_source_memo *memo = calloc(1, sizeof *memo);
    struct tc_labels *labels = calloc(1, sizeof *labels);

    if (memo == NULL || labels == NULL) {
        free(memo);
        free(labels);
        return NULL;
    }
    labels->holders = 1;
    memo->labels = labels;
    return memo;
}

void tc_memo_free(struct tc_source_memo *memo)
{
    if (memo == NULL)
        return;
    for (size_t i = 0; i < memo->count; i++) {
        free(memo->entries[i].events);
        free(memo->entries[i].number);
    }
    free(memo->entries);
    free(memo->table);
    tc_labels_release(memo->labels);
    free(memo);
}

struct tc_source_memo *tc_memo_of(struct tc_map *m, enum tc_source_mode mode)
{
    struct tc_source_memo **own = &m->memo[mode];

    if (*own != NULL &&
        ((*own)->bytes + (*own)->labels->bytes > m->memo_bytes || (*own)->walks == UINT32_MAX)) {
        tc_memo_free(*own);
        *own = NULL;
    }
    if (*own == NULL)
        *own = make_memo();
    return *own;
}

static size_t slot_of(const struct tc_source_memo *memo, uint8_t kind, uint64_t begin, uint64_t end)
{
    uint64_t key[3] = {begin, end, kind};
    size_t at = (size_t)tc_hash64(key, sizeof key) & (memo->table_size - 1);

    for (; memo->table[at] != 0; at = (at + 1) & (memo->table_size - 1)) {
        const struct tc_memo_entry *e = &memo->entries[memo->table[at] - 1];
        if (e->kind == kind && e->begin == begin && e->end == end)
            break;
    }
    return at;
}

/* At most half full, so that searches end soon. */
static int grow(struct tc_source_memo *memo)
{
    size_t allocated = memo->allocated != 0 ? 2 * memo->allocated : 256;
    struct tc_memo_entry *entries = reallocarray(memo->entries, allocated, sizeof *entries);
    uint32_t *table = entries != NULL ? calloc(2 * allocated, sizeof *table) : NULL;

    memo->entries = entries != NULL ? entries : memo->entries;
    if (table == NULL)
        return -ENOMEM;
    free(memo->table);
    memo->table = table;
    memo->table_size = 2 * allocated;
    memo->bytes += (allocated - memo->allocated) * (sizeof *entries + 2 * sizeof *table);
    memo->allocated = allocated;
    for (size_t i = 0; i < memo->count; i++) {
        const struct tc_memo_entry *e = &memo->entries[i];
        table[slot_of(memo, e->kind, e->begin, e->end)] = (uint32_t)i + 1;
    }
    return 0;
}

uint32_t tc_memo_entry(struct tc_source_memo *memo, uint8_t kind, uint64_t begin, uint64_t end)
{
    size_t at;

    if (memo->count == memo->allocated && grow(memo) < 0)
        return TC_NO_ITEM;
    at = slot_of(memo, kind, begin, end);
    if (memo->table[at] == 0) {
        memo->entries[memo->count++] =
            (struct tc_memo_entry){.kind = kind, .begin = begin, .end = end};
        memo->table[at] = (uint32_t)memo->count;
    }
    return memo->table[at] - 1;
}

int tc_memo_keep(struct tc_source_memo *memo, uint32_t entry, const struct tc_memo_event *events,
                 size_t count)
{
    struct tc_memo_entry *e = &memo->entries[entry];

    e->events = calloc(count + 1, sizeof *events);
    if (e->events == NULL)
        return -ENOMEM;
    if (count != 0)
        memcpy(e->events, events, count * sizeof *events);
    e->event_count = (uint32_t)count;
    e->known = 1;
    memo->bytes += (count + 1) * sizeof *events;
    return 0;
}
