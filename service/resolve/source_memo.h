/*
 * What was found out about single items, kept from one function's source to the next: an item's
 * contents, and what they refer to, are the same whoever comes to it. So a closure that many tasks
 * share is decoded once, and who comes later has the very same digest as if he had come first.
 *
 * Entries are what items are known by; what an item did to the walk that looked into it is kept as
 * a list of events, which source_items.c does again. One memo for each object and mode; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_SOURCE_MEMO_H
#define TC_SERVICE_RESOLVE_SOURCE_MEMO_H

#include "service/resolve/source.h"

/* Texts of labels, which sources hold on to when the memo has gone. */
struct tc_labels {
    struct tc_label_block *last;
    size_t bytes, holders;
};

enum tc_memo_what {
    TC_MEMO_ITEM = 1, /* `entry` is looked into */
    TC_MEMO_REF,
    TC_MEMO_REST,
    TC_MEMO_IMPORT,
    TC_MEMO_WHOLE_FILE,
};

struct tc_memo_event {
    uint8_t what;   /* enum tc_memo_what */
    uint8_t access; /* enum tc_source_access */
    uint32_t entry; /* TC_NO_ITEM: a name alone */
    union {
        struct {
            uint64_t from, place; /* of TC_MEMO_REST: from where on, and what is meant */
            const char *coarse, *label;
        };
        struct tc_source_import import;
    };
};

struct tc_memo_entry {
    uint8_t kind; /* enum tc_item_kind; of TC_ITEM_REST a part of the item */
    uint8_t known;
    uint8_t digest[16];
    uint64_t begin, end;
    uint32_t walk, item; /* in that walk, its number */
    uint32_t event_count;
    const char *label; /* NULL: not made yet */
    struct tc_memo_event *events;
    uint64_t hashed_bytes;
    size_t indirect_calls;
    uint32_t *number; /* of code: as in struct tc_listing */
    uint64_t number_bytes;
};

struct tc_source_memo {
    struct tc_memo_entry *entries;
    uint32_t *table; /* entry + 1 by kind, begin and end */
    size_t count, allocated, table_size, bytes;
    uint32_t walks; /* so many have begun */
    struct tc_labels *labels;
};

/* The map's own for the mode. NULL: no memory. */
struct tc_source_memo *tc_memo_of(struct tc_map *m, enum tc_source_mode mode);
void tc_memo_free(struct tc_source_memo *memo);

/* The entry, made if it isn't there. TC_NO_ITEM: no memory. */
uint32_t tc_memo_entry(struct tc_source_memo *memo, uint8_t kind, uint64_t begin, uint64_t end);

/* The entry becomes known. -ENOMEM */
int tc_memo_keep(struct tc_source_memo *memo, uint32_t entry, const struct tc_memo_event *events,
                 size_t count);

/* A copy that lives as long as the labels. NULL: no memory. */
const char *tc_labels_add(struct tc_labels *l, const char *text, size_t bytes);
void tc_labels_release(struct tc_labels *l);

#endif
