/*
 * Far storages and plugins' lock managers, through the service, in whose child processes their code
 * runs (TC_MSG_FAR). Nothing here prints. One thread.
 */
#ifndef TC_TOOLS_FAR_H
#define TC_TOOLS_FAR_H

#include "cache/key.h"
#include "tools/session.h"

/* Tells the connected service which config's far storages are meant; it begins those that aren't
 * there yet. Without a config: those that it knows. */
void tc_far_greet(struct tc_session *s);

/* Of all that the service has; allocated. */
int tc_far_numbers(struct tc_session *s, struct tc_far_numbers **ret, size_t *ret_count);
/* Of this one, once it is open or can't be; at most 6 s. -ENODEV. */
int tc_far_wait(struct tc_session *s, uint64_t remote, struct tc_far_numbers *ret);

/* All keys, sorted, each once; allocated. */
int tc_far_list(struct tc_session *s, uint64_t remote, struct tc_key **ret, size_t *ret_count);
/* 0, -ENOENT: it isn't there; else it can't be said. */
int tc_far_exists(struct tc_session *s, uint64_t remote, struct tc_key key);
int tc_far_remove(struct tc_session *s, uint64_t remote, struct tc_key key);
/* Of many: how many were there; on failure the first error, after the others were tried. */
int tc_far_remove_all(struct tc_session *s, uint64_t remote, const struct tc_key *key, size_t count,
                      uint64_t *ret_removed);

/* Why a storage can't be asked. */
int tc_far_cause(int error, const char *name, struct tc_cause *ret);

#endif
