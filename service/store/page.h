/*
 * The shared page's file (cache/shared_page.h): adopted if a valid one is there, because targets
 * that an earlier service served still map it, else made anew and put in place by rename. Never
 * truncated, never replaced in place.
 *
 * The publishing functions never fail. One thread writes.
 */
#ifndef TC_SERVICE_STORE_PAGE_H
#define TC_SERVICE_STORE_PAGE_H

#include "cache/shared_page.h"

/* Maps the page at `path`. -ENOENT: there is none; -ESTALE: it isn't of this cache or version. */
int tc_page_adopt(const char *path, uint64_t dev, uint64_t ino, struct tc_shared_page **ret);
int tc_page_create(const char *path, uint64_t dev, uint64_t ino, uint64_t seed,
                   struct tc_shared_page **ret);
void tc_page_unmap(struct tc_shared_page *page);

/* No target shall begin to use this page. */
void tc_page_retire(struct tc_shared_page *page);

struct tc_page_data {
    const char *file; /* "store-1/data.mdb" */
    uint64_t dev, ino;
    uint64_t txnid; /* last committed; the pins have it or an older one */
    uint64_t floor;
    uint64_t bytes;
};
/* Where the data is, at a service's start and when another store takes the place of this one:
 * raises the generation if that is another file than before. */
void tc_page_set_data(struct tc_shared_page *page, const struct tc_page_data *d);

void tc_page_set_floor(struct tc_shared_page *page, uint64_t txnid);
void tc_page_set_ceiling(struct tc_shared_page *page, uint64_t txnid, uint64_t data_bytes);

#endif
