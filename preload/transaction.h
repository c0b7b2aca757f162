/*
 * Flows that are transactions: what their tasks store is staged for the flow alone and lands at
 * once when the flow has succeeded. Staged results lie in the store (cache/record.h), so that the
 * flow's own look-ups find them like any other; the service keeps the list of transactions.
 *
 * A transaction is known by the flow's id. A forked child has no part in its parent's. What was
 * left by a non-local exit is dropped when that is noticed, or when the process ends.
 *
 * Each storage has its own: what goes to two of them lands in one after the other.
 *
 * Under the context's guard; async-signal-safe. Waits for the service like any store.
 */
#ifndef TC_PRELOAD_TRANSACTION_H
#define TC_PRELOAD_TRANSACTION_H

#include "cache/wire.h"
#include "preload/context.h"

/* A flow opens one. */
void tc_transaction_begin(struct tc_flow *flow, uint8_t mode);

/* The innermost transaction around: `f` itself, or a flow that it was called in; NULL. */
struct tc_flow *tc_transaction_of(struct tc_context *x, const struct tc_flow *f);

/* Was anything sent to this storage for it? */
int tc_transaction_has(const struct tc_flow *flow, uint32_t storage);

/* Where the result of the call at this stack pointer goes: *ret is the flow it is staged for, NULL:
 * to everybody. 0, or an enum tc_reason: nowhere. */
uint32_t tc_transaction_for(struct tc_context *x, uint64_t entry, struct tc_flow **ret);

/* Around the request that stages a result. -ESTALE: the transaction is lost. */
void tc_transaction_sends(struct tc_flow *flow, uint32_t storage, struct tc_store_request *q);
int tc_transaction_sent(struct tc_flow *flow, uint32_t storage, int status);

/* What is sent to this storage are headers of results in others. */
void tc_transaction_sends_header(struct tc_flow *flow, uint32_t storage);

/* The flow function has returned: commits, hands over to the transaction around it, or drops. */
void tc_transaction_end(struct tc_context *x, struct tc_hook *h, struct tc_flow *flow, int success);

/* The flow was left by a non-local exit. */
void tc_transaction_abandon(const struct tc_flow *flow);

#endif
