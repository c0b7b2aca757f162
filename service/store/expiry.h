/*
 * Table "expiry": which record expires when, in the order of time. Its key is the time and the
 * record's key_low, both big-endian; records that never expire aren't in it. Inside the open write
 * transaction.
 */
#ifndef TC_SERVICE_STORE_EXPIRY_H
#define TC_SERVICE_STORE_EXPIRY_H

#include "service/store/internal.h"

int tc_expiry_add(struct tc_store *s, int64_t expires_ns, uint64_t key_low);
int tc_expiry_remove(struct tc_store *s, int64_t expires_ns, uint64_t key_low);
/* The first one; -ENOENT. */
int tc_expiry_first(struct tc_store *s, int64_t *ret_expires_ns, uint64_t *ret_key_low);

#endif
