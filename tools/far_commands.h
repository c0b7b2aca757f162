/*
 * What sub-commands do with far storages. These print. One thread.
 */
#ifndef TC_TOOLS_FAR_COMMANDS_H
#define TC_TOOLS_FAR_COMMANDS_H

#include "tools/catalog.h"
#include "tools/far.h"
#include "tools/json.h"
#include "tools/options.h"

/* The far storage of a session (`far`): its keys, and what the cache has of them. */
struct tc_far_view {
    uint64_t remote;
    const char *name;
    struct tc_key *key;
    size_t count;
    struct tc_reader reader;
    struct tc_catalog catalog;
};
/* The keys that `words` may mean: all, or, if these are nothing but whole keys and the storage can
 * be asked for one, those that are there. On failure the problem was printed. Always to be closed.
 */
int tc_far_open(struct tc_session *s, const struct tc_words *words, struct tc_far_view *ret);
void tc_far_close(struct tc_far_view *v);
/* NULL: the cache doesn't have it. */
const struct tc_item *tc_far_item(const struct tc_catalog *c, struct tc_key key);
/* By a task's glob, or the beginning of a key; all without words. */
bool tc_far_fits(const struct tc_item *item, struct tc_key key, const struct tc_words *words);

int tc_far_ls(struct tc_session *s, const struct tc_parsed *parsed);

/* Exit statuses. */
int tc_far_rm(struct tc_session *s, const struct tc_parsed *parsed, bool dry_run);
/* After these were removed from the cache: from all far storages that the service has. 0, or
 * TC_EXIT_FOUND: some could not be asked; that was printed. */
int tc_far_rm_too(struct tc_session *s, const struct tc_key *key, size_t count,
                  uint64_t *ret_removed);

const char *tc_far_state(uint32_t state);
/* Members of an object. */
void tc_far_json(struct tc_json *j, const struct tc_far_numbers *n);
/* For `stats`: nothing if there are none. */
void tc_far_stats_text(struct tc_session *s);
void tc_far_stats_json(struct tc_session *s, struct tc_json *j);

#endif
