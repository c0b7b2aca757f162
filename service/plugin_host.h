/*
 * The host that a plugin's code sees in a child process of the service: its options, and what its
 * `init` registers. Made in the service, used in the child.
 */
#ifndef TC_SERVICE_PLUGIN_HOST_H
#define TC_SERVICE_PLUGIN_HOST_H

#include "cache/plugin_table.h"
#include "cache/task.h"

struct tc_plugin_host {
    struct taskcache_host host; /* first: what the plugin gives back */
    struct taskcache_option *options;
    size_t option_count;
    struct tc_plugin_table table;
    int init_is_over; /* nothing is registered any more */
};

/* Adds copies of the options (struct tc_plugin_option in `f`); the first of a name counts. 0 or
 * -ENOMEM. */
int tc_plugin_host_add_options(struct tc_plugin_host *h, const struct tc_flat *f,
                               struct tc_span options);
void tc_plugin_host_free(struct tc_plugin_host *h);

/* In the child: loads the plugin and runs its `init`. 0, -ENOEXEC, or -EPROTO with the causes. */
int tc_plugin_host_load(struct tc_plugin_host *h, const char *path, struct taskcache_error *error);

#endif
