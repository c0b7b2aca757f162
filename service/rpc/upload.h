/*
 * Records that came as a memfd. They are read by pread() in pieces, never mapped: a sender that
 * truncates its file can't harm us. Each call of tc_uploads_step() writes a few chunks, so that
 * other clients' records are committed in between; the record itself comes last, so that nobody
 * sees it without its chunks.
 *
 * One thread.
 */
#ifndef TC_SERVICE_RPC_UPLOAD_H
#define TC_SERVICE_RPC_UPLOAD_H

#include "service/rpc/connection.h"
#include "service/store/store.h"

struct tc_uploads {
    struct tc_upload *first, *last;
};

/* Takes the descriptor; of `how`, `only_if_missing` and the heads. `c` isn't read until the upload
 * is through. 0 or a negative errno; then nothing was begun. */
int tc_upload_begin(struct tc_uploads *u, struct tc_connection *c, int fd,
                    const struct tc_store_request *request, const struct tc_draft *how,
                    struct tc_pending *p);

/* Is a result of this transaction under way? */
int tc_uploads_have(const struct tc_uploads *u, const uint64_t transaction[2]);

/* The connection is gone; its uploads go on. */
void tc_uploads_forget(struct tc_uploads *u, const struct tc_connection *c);

/* Writes the next piece of the first upload into the open transaction. 1: that one is through, with
 * its status in *ret_status: 0 (its reply is to be sent after the commit), or why it failed; its
 * place in line is *ret_pending. 0: it goes on, or there is none. A negative errno: the transaction
 * is spoilt; the upload will try that piece again. */
int tc_uploads_step(struct tc_uploads *u, struct tc_store *store, int *ret_status,
                    struct tc_pending **ret_pending);

/* Gives the first one up; its place in line. */
struct tc_pending *tc_uploads_cancel_first(struct tc_uploads *u);

void tc_uploads_free(struct tc_uploads *u);

#endif
