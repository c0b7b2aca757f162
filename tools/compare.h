/*
 * Two key materials side by side. Pure functions; nothing is read beyond the given bytes. Material
 * that isn't sound ends there.
 */
#ifndef TC_TOOLS_COMPARE_H
#define TC_TOOLS_COMPARE_H

#include <string.h>

#include "cache/key.h"
#include "tools/base.h"

struct tc_material_view {
    const unsigned char *data;
    size_t bytes;
};

/* What became of one component. */
struct tc_difference {
    const char *name;
    size_t name_bytes;
    /* Of these one may be missing: its `name` is NULL. */
    struct tc_component was, is;
};

struct tc_comparison {
    struct tc_material_view was, is;
    size_t was_at, is_at;
};

static inline struct tc_comparison tc_compare(struct tc_material_view was,
                                              struct tc_material_view is)
{
    return (struct tc_comparison){was, is, 0, 0};
}

/* The next difference, by name. False: there are no more. */
bool tc_compare_next(struct tc_comparison *c, struct tc_difference *ret);

/* How near two materials are to each other. */
struct tc_nearness {
    unsigned equal;     /* components */
    unsigned different; /* that differ, or that only one has */
    unsigned inputs;    /* among these, parameters */
};
struct tc_nearness tc_compare_all(struct tc_material_view was, struct tc_material_view is);

/* Is `a` nearer than `b`? More equal components; then fewer differing ones; then fewer differing
 * parameters. */
bool tc_is_nearer(const struct tc_nearness *a, const struct tc_nearness *b);

static inline bool tc_is_named(const struct tc_difference *d, const char *name)
{
    return strlen(name) == d->name_bytes && memcmp(name, d->name, d->name_bytes) == 0;
}

/* The first element at which two arrays of one shape differ, both with their content at hand. */
bool tc_first_difference(const struct tc_component *was, const struct tc_component *is,
                         size_t element_bytes, uint64_t *ret_index);

#endif
