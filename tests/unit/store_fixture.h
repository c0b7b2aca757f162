/*
 * A cache of its own in a temporary directory, drafts of records, and reading a store as a target
 * does: from the mapped file, by the shared page's floor and ceiling. Failures end the test.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"
#include "cache/shared_page.h"
#include "service/store/store.h"

struct place {
    char root[64], run[80], runtime[96], cache[80], page[128];
    int cache_fd;
    struct tc_log log;
    struct tc_store_options options;
};

void place_make(struct place *p);
void place_remove(struct place *p);

struct draft_spec {
    uint64_t key;
    const char *identity; /* NULL: "f@libt.so" */
    size_t output_bytes;
    unsigned char fill; /* of the outputs */
    int64_t expires_ns; /* 0: never */
    int64_t duration_ns;
};
/* malloc'ed. */
unsigned char *draft_make(const struct draft_spec *spec, size_t *ret_bytes);

/* Puts a record (without chunks) into the open transaction. */
int put(struct tc_store *s, const struct draft_spec *spec);

/* The page as a target maps it. */
struct tc_shared_page *page_map(const struct place *p);

/* What a target would find. `outputs` is malloc'ed, of head.output_bytes. -ENOENT: nothing. */
struct found {
    struct tc_record head;
    unsigned char *outputs;
};
int look_up(const struct place *p, uint64_t key, struct found *ret);
/* The value of a key in any table; bytes copied, at most `bytes`. The value's size or -ENOENT. */
long look_into(const struct place *p, const char *table, const void *key, size_t key_bytes,
               void *to, size_t bytes);
uint64_t entries(const struct place *p, const char *table);
/* 1: found with this fill byte everywhere. */
int has(const struct place *p, uint64_t key, size_t output_bytes, unsigned char fill);
