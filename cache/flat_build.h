/*
 * Builds flat files (cache/flat.h) in memory. For the service and tests; allocates with malloc. One
 * thread.
 *
 * Entries are appended; offsets stay valid, pointers into the buffer don't survive the next append.
 * Equal content is kept once: what was added before is found again by its bytes.
 *
 * After a failed allocation the builder is "broken": appends return offset 0 and
 * tc_flat_builder_finish() says -ENOMEM, so that callers check once.
 */
#ifndef TC_CACHE_FLAT_BUILD_H
#define TC_CACHE_FLAT_BUILD_H

#include "cache/flat.h"

struct tc_flat_added;

struct tc_flat_builder {
    unsigned char *data;
    size_t bytes, allocated;
    int broken;
    struct tc_flat_added *added; /* hash table of what was added; `slots` is 0 or a power of two */
    size_t slots, added_count;
};

/* Starts a file whose root table has `root_bytes` zero bytes, to be filled in before finish. */
void tc_flat_builder_init(struct tc_flat_builder *b, enum tc_flat_kind kind, size_t root_bytes);
void tc_flat_builder_free(struct tc_flat_builder *b);

/* The root table, for writing; valid until the next append. NULL if broken. */
void *tc_flat_builder_root(struct tc_flat_builder *b);

/* Appends an array (8-byte aligned) and says where it lies; `entries` NULL appends zeroes. */
struct tc_span tc_flat_add(struct tc_flat_builder *b, const void *entries, size_t count,
                           size_t entry_bytes);

/* Appends a string; NULL gives {0, 0}, "" a string of no bytes with an offset. */
struct tc_str tc_flat_add_str(struct tc_flat_builder *b, const char *s);
struct tc_str tc_flat_add_strn(struct tc_flat_builder *b, const char *s, size_t bytes);

/* The entry at `off`; valid until the next append. Equal entries are one: a change is one of all.
 */
void *tc_flat_builder_at(struct tc_flat_builder *b, uint32_t off);

/* Completes the header. The bytes stay the builder's. */
int tc_flat_builder_finish(struct tc_flat_builder *b);

/* Writes a finished file under `path` by a temporary file beside it and rename(); mode 0600. */
int tc_flat_builder_write(const struct tc_flat_builder *b, int dirfd, const char *path);

#endif
