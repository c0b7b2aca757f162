/*
 * The latest misses of some tasks, with all that the store can tell about them. One thread.
 */
#ifndef TC_TOOLS_MISSES_H
#define TC_TOOLS_MISSES_H

#include "tools/catalog.h"
#include "tools/explain.h"

struct tc_known_misses {
    struct tc_known_miss *miss; /* the newest first */
    size_t count, allocated;
};

/* Which ones: of the tasks that `task` says yes to, or of one key; at most `limit` a task. */
struct tc_miss_filter {
    bool (*task)(const void *ctx, const char *identity);
    const void *ctx;
    const struct tc_record *key; /* NULL */
    size_t limit;
};

/* The catalog has the identities: it must outlive the result. */
int tc_misses_read(struct tc_reader *r, const struct tc_catalog *catalog,
                   const struct tc_miss_filter *filter, struct tc_known_misses *ret);
/* The entries of the rings whose calls stored nothing, and those of records that were wrong. */
int tc_misses_unstored(struct tc_reader *r, struct tc_known_misses *ret);
void tc_misses_free(struct tc_known_misses *m);

/* The material of one record. -ENOENT, -EBADMSG. */
int tc_known_material_read(struct tc_reader *r, uint64_t key_low, struct tc_known_material *ret);

#endif
