/*
 * What the code of one plugin has registered, and the causes of its errors: the part of
 * taskcache/plugin.h's host that the target and the service share.
 *
 * Copies structs by the size that they say they have; texts and functions in them stay the
 * plugin's. Freestanding; the table is its owner's, one thread at a time.
 */
#ifndef TC_CACHE_PLUGIN_TABLE_H
#define TC_CACHE_PLUGIN_TABLE_H

#include "plugin-api/include/taskcache/plugin.h"

#define TC_PLUGIN_FUNCTIONS  64u /* of a kind */
#define TC_PLUGIN_NAME_BYTES 63u

struct tc_plugin_table {
    struct taskcache_key_function key[TC_PLUGIN_FUNCTIONS];
    struct taskcache_codec codec[TC_PLUGIN_FUNCTIONS];
    struct taskcache_observer observer[TC_PLUGIN_FUNCTIONS];
    struct taskcache_storage storage[TC_PLUGIN_FUNCTIONS];
    struct taskcache_lock_manager lock_manager[TC_PLUGIN_FUNCTIONS];
    uint32_t key_count, codec_count, observer_count, storage_count, lock_manager_count;
};

/* 0; -EINVAL: the struct or its name can't be; -EEXIST; -ENOSPC. */
int tc_plugin_add_key(struct tc_plugin_table *t, const struct taskcache_key_function *f);
int tc_plugin_add_codec(struct tc_plugin_table *t, const struct taskcache_codec *c);
int tc_plugin_add_observer(struct tc_plugin_table *t, const struct taskcache_observer *o);
int tc_plugin_add_storage(struct tc_plugin_table *t, const struct taskcache_storage *s);
int tc_plugin_add_lock_manager(struct tc_plugin_table *t, const struct taskcache_lock_manager *m);

/* NULL: there is none. */
const struct taskcache_key_function *tc_plugin_key(const struct tc_plugin_table *t,
                                                   const char *name);
const struct taskcache_codec *tc_plugin_codec(const struct tc_plugin_table *t, const char *name);
const struct taskcache_storage *tc_plugin_storage(const struct tc_plugin_table *t,
                                                  const char *name);
const struct taskcache_lock_manager *tc_plugin_lock_manager(const struct tc_plugin_table *t,
                                                            const char *name);

/* Causes, the innermost first. */
#define TC_CAUSES      4u
#define TC_CAUSE_BYTES 120u
struct taskcache_error {
    uint32_t count;
    char text[TC_CAUSES][TC_CAUSE_BYTES + 1];
};
void tc_plugin_cause(struct taskcache_error *e, const char *text);
/* "outermost: inner: innermost", with what isn't printable left out; "" if there is none. */
void tc_plugin_causes(const struct taskcache_error *e, char *ret, size_t bytes);

#endif
