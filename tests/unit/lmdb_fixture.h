/*
 * Stores written by liblmdb for the tests of cache/lmdb_read: a directory that goes away, two
 * tables
 * ("ints" with 8-byte integer keys, "bytes" with byte keys), filled at random from a seed, and
 * copies of the data file in plain memory. Failures end the test.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/lmdb_read.h"

struct store {
    char dir[64];
    MDB_env *env;
    MDB_dbi ints, bytes;
};

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t limit);

void store_open(struct store *s);
void store_close(struct store *s);

struct fill {
    unsigned transactions;
    unsigned changes;  /* puts and deletes in each */
    unsigned distinct; /* keys to choose from, in each table */
    size_t value_max;  /* most values are small; up to this */
};
void store_fill(struct store *s, struct random *r, const struct fill *fill);

/* The key with a number: an integer, or 1 to 60 bytes at `buffer` (of 64 bytes). */
uint64_t int_key(unsigned number);
size_t byte_key(unsigned number, unsigned char *buffer);

/* The data file's bytes in malloc'ed memory of exactly that size. */
struct tc_lmdb store_copy(const struct store *s);

/* A mapping of the file's present length, its descriptor closed; munmap it. */
struct tc_lmdb store_map(const struct store *s);
