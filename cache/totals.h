/*
 * Totals that survive: the values of the store's table "tasks", into which the service folds the
 * shared page's counters about once a second. What a person wants to see is the sum of both.
 *
 * The key is the identity as the page's slot holds it (at most 127 bytes); "*" collects the calls
 * of tasks for which the page had no free slot. Two identities that agree in 127 bytes share an
 * entry: `task` is then the one that was folded last.
 *
 * A plain layout. A reader takes as many bytes as both sides know (`bytes`) and the rest as 0.
 */
#ifndef TC_CACHE_TOTALS_H
#define TC_CACHE_TOTALS_H

#include <stdint.h>

#include "cache/miss.h"
#include "cache/shared_page.h"

#define TC_TOTALS_OVERFLOW "*"

struct tc_totals {
    uint32_t bytes; /* of the writer's struct */
    uint32_t reserved;
    uint64_t task; /* XXH3-64 of the identity, 0 for TC_TOTALS_OVERFLOW */
    uint64_t hits, misses, stored;
    uint64_t saved_ns, missed_ns;
    int64_t first_ns, last_ns; /* when the first and the last of them was folded in */
    uint64_t bypass[TC_PAGE_REASONS];
};

enum tc_details_flag {
    TC_DETAILS_RUN = 1u << 0, /* the key holds RUN_ID: `without_run` is its digest without */
};

/* The values of table "details", under the same key as the record: who stored it, and why its call
 * missed. Followed by `head_bytes` of struct tc_string_head. */
struct tc_details {
    uint32_t bytes; /* of the writer's struct */
    uint32_t pid;
    int64_t stored_ns; /* when the service took it */
    uint64_t record_id;
    char program[32]; /* NUL-terminated */
    uint64_t task;    /* XXH3-64 of the identity */
    uint64_t without_run[2];
    int64_t expired_ns; /* of the record that the look-up found, with TC_FOUND_EXPIRED */
    uint32_t found;     /* enum tc_found */
    uint32_t flags;     /* enum tc_details_flag */
    uint32_t head_bytes;
    uint32_t pad;
};

#endif
