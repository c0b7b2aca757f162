/*
 * A record as far storages keep it: a complete value (cache/record.h) with its outputs inline,
 * whatever their size, and nothing in it that only one store knows (record_id, chunks).
 *
 * What comes from outside is checked before it becomes a record of ours; whether it is this call's
 * result, the target checks as with any other. One thread.
 */
#ifndef TC_SERVICE_REMOTE_BLOB_H
#define TC_SERVICE_REMOTE_BLOB_H

#include <stddef.h>

#include "cache/record.h"
#include "service/store/store.h"

#define TC_BLOB_MAX_BYTES (64u << 20)

/* Makes one of a draft, in place: 0 and its key, or -EBADMSG: no sound draft, or a mere header. */
int tc_blob_make(void *draft, size_t bytes, struct tc_key *ret_key);

/* Is it a sound and live record of this key? Else NULL becomes the sentence's end: "what it gave
 * for KEY ...". -EBADMSG, -EPROTONOSUPPORT, -ESTALE. */
int tc_blob_check(const void *blob, size_t bytes, struct tc_key key, struct tc_record_view *ret,
                  const char **ret_why);

/* Into the open transaction, as tc_store_put(). `origin`: for "details". */
int tc_blob_store(struct tc_store *s, const void *blob, size_t bytes,
                  const struct tc_record_view *v, const char *origin);

#endif
