/*
 * What can be saved from a store that was set aside: every record whose checksums are right, read
 * by our own look-up (cache/lmdb_read.h), which no damage can lead astray. To be run in a child.
 */
#ifndef TC_SERVICE_STORE_SALVAGE_H
#define TC_SERVICE_STORE_SALVAGE_H

#include "cache/totals.h"

struct tc_salvage {
    const char *data_file; /* store-N.damaged/data.mdb */
    uint64_t seed;         /* of the new store: with another one the keys mean nothing */
    /* Takes a draft that lies in a memfd from offset 0; a negative errno ends the work. */
    int (*keep)(void *ctx, int fd, uint64_t bytes, const struct tc_details *details);
    void *ctx;
    uint64_t kept, lost;
};

/* 0; -ESTALE: another seed, or one that can't be read; -EBADMSG: no LMDB file; others. */
int tc_salvage(struct tc_salvage *s);

#endif
