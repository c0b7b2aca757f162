/*
 * All records of a store, their headers and identities, and picking among them. One thread.
 */
#ifndef TC_TOOLS_CATALOG_H
#define TC_TOOLS_CATALOG_H

#include "cache/key.h"
#include "cache/record.h"
#include "cache/totals.h"
#include "tools/reader.h"

#define TC_KEY_SHOWN 12 /* digits of a key that lists show */

struct tc_item {
    struct tc_record head;
    const char *identity; /* the catalog's */
    uint64_t bytes;       /* in the store, chunks included */
    char program[33];     /* who stored it, "" if not known */
    uint32_t pid;
    uint32_t found;     /* enum tc_found: why its call missed */
    int64_t expired_ns; /* with TC_FOUND_EXPIRED */
};

struct tc_catalog {
    struct tc_item *item; /* by the key's low half */
    size_t count, allocated;
    char **identity;
    size_t identity_count, identity_allocated;
    uint64_t damaged; /* records that can't be decoded; their checksums aren't looked at */
};

int tc_catalog_read(struct tc_reader *r, struct tc_catalog *ret);
void tc_catalog_free(struct tc_catalog *c);

void tc_key_hex(const struct tc_record *head, char ret[33]);

/* Does a task's identity match? Globs on "symbol@object"; a glob without '@' also on the symbol
 * alone, with or without its source file. */
bool tc_task_matches(const char *glob, const char *identity);
/* Is this text the beginning of a key: 1 to 32 hex digits? */
bool tc_is_key_prefix(const char *text);
/* Is it a whole key? */
bool tc_is_key(const char *text, struct tc_key *ret);
bool tc_key_has_prefix(const struct tc_record *head, const char *prefix);

/* The one record of a key prefix. -ENOENT, -EINVAL; -EMLINK: several, which are listed on stderr.
 */
int tc_catalog_find(const struct tc_catalog *c, const char *prefix, const struct tc_item **ret);

/* For the commands: opens the store and reads it. 1: there is none yet; 0; negative: the problem
 * was printed. */
int tc_catalog_open(const struct tc_session *s, struct tc_reader *r, struct tc_catalog *ret);

#endif
