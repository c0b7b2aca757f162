/*
 * Build-ids of what is mapped. Reads the process's own memory, probing it first; any context.
 */
#ifndef TC_PRELOAD_BUILD_ID_H
#define TC_PRELOAD_BUILD_ID_H

#include <stdint.h>

#include "cache/plan.h"

/* The build-id of the object whose ELF header is mapped at `header` with load bias `base`; returns
 * its length, 0 if there is none. */
uint32_t tc_build_id_at(uint64_t header, uint64_t base, unsigned char ret[TC_MAX_BUILD_ID]);

/* The same without a copy: where it lies. */
uint32_t tc_build_id_place(uint64_t header, uint64_t base, const unsigned char **ret);

/* The same for a shared object whose header lies at its load bias. */
static inline uint32_t tc_build_id(uint64_t base, unsigned char ret[TC_MAX_BUILD_ID])
{
    return tc_build_id_at(base, base, ret);
}

/* Is the object in memory the one that the plan is about? A file that was replaced after it was
 * mapped has another build-id. Objects without one are told apart by their file's identity alone.
 */
int tc_same_build(const struct tc_object *o, uint64_t base);

#endif
