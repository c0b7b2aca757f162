/*
 * Code of plugins in this process: loaded by the process's own dlopen() at the first call of a task
 * that needs it, on the thread that makes that call, and called with all registers kept.
 *
 * tc_plugin_begin() says whether the code may run now: not in a signal handler, after seccomp, in a
 * forked child (unless the plugin claims it), while another thread is in it for long (likewise). No
 * lock of ours waits without a deadline, so that whatever the code does, another thread goes on.
 *
 * Allocates by mmap. Under the context's guard. 0, or an enum tc_reason; c->bad_detail says more.
 */
#ifndef TC_PRELOAD_PLUGIN_H
#define TC_PRELOAD_PLUGIN_H

#include "cache/plugin_table.h"
#include "preload/context.h"

/* What host->add() adds to. In the area, as a plugin may keep the pointer, though it mustn't. */
struct taskcache_digest {
    struct tc_hash_state *state; /* NULL: no digest() is at work */
    uint64_t bytes;
};

#define TC_PLUGIN_ROOM  4096u /* what a cursor has at first */
#define TC_PLUGIN_GUARD 1024u /* bytes behind it that must stay as they are */

/* A thread's memory for calls of plugins, mapped at its first. */
struct tc_plugin_area {
    struct taskcache_call call;
    struct taskcache_value values[TC_MAX_PARAMS + 1];
    struct taskcache_error error;
    struct taskcache_cursor cursor;
    struct taskcache_digest digest;
    char why[400];
    unsigned char room[TC_PLUGIN_ROOM + TC_PLUGIN_GUARD] __attribute__((aligned(64)));
};

enum tc_plugin_state {
    TC_PLUGIN_NEW = 0,
    TC_PLUGIN_LOADING,
    TC_PLUGIN_READY,
    TC_PLUGIN_REFUSED, /* it can't be loaded */
    TC_PLUGIN_OFF,     /* it did what can't be trusted any more */
};

struct tc_loaded_plugin {
    struct taskcache_host host; /* first: what the plugin gives back */
    const struct tc_plugin_file *file;
    const char *name;
    uint32_t state; /* enum tc_plugin_state, atomic */
    uint32_t pid;   /* that loaded it */
    uint32_t owner; /* atomic: the thread that is in it, 0: none */
    uint32_t waiters;
    struct taskcache_option *options;
    uint32_t option_count;
    struct tc_plugin_table table;
};

/* Readies the plugin of that name: loaded, and this thread in it. */
uint32_t tc_plugin_begin(struct tc_context *x, struct tc_call *c, const char *plugin,
                         struct tc_loaded_plugin **ret);
void tc_plugin_end(struct tc_loaded_plugin *p);

/* Calls code of the plugin; `what` names it in messages. It returned 0, or *it* is the matter:
 * TC_R_PLUGIN_ERROR, TC_R_PLUGIN_OFF. */
uint32_t tc_plugin_call(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                        const char *what, struct tc_host_call *call);

/* The same where argument `cursor_at` is a cursor: with as much room as it asks for, `max` at most.
 * `ret->map` is for tc_plugin_filled_free(). */
struct tc_filled {
    const unsigned char *bytes;
    uint64_t count;
    void *map;
    size_t map_bytes;
};
uint32_t tc_plugin_fill(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                        const char *what, struct tc_host_call *call, unsigned cursor_at,
                        uint64_t max, struct tc_filled *ret);
void tc_plugin_filled_free(struct tc_filled *f);

/* An error of the plugin that it didn't see itself. */
uint32_t tc_plugin_complain(struct tc_context *x, struct tc_call *c,
                            const struct tc_loaded_plugin *p, const char *what, const char *why);

#endif
