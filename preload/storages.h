/*
 * Where results may lie: the cache, whose shared page is mapped, and the storages of the config
 * that tasks use. For the constructor: one thread, before the host runs.
 */
#ifndef TC_PRELOAD_STORAGES_H
#define TC_PRELOAD_STORAGES_H

/* The cache's. -ENOENT, -EPROTONOSUPPORT; -ECONNREFUSED: there is one, and no service. */
int tc_map_page(void);

/* Fills in tc_state.storages; starts the services that are missing, where that is allowed. What
 * can't be opened is left without a page. */
void tc_open_storages(void);

#endif
