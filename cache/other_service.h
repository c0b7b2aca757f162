/*
 * A service of another version of taskcache: it holds the cache's lock, and listens at a socket of
 * another name. Host only.
 */
#ifndef TC_CACHE_OTHER_SERVICE_H
#define TC_CACHE_OTHER_SERVICE_H

#include <sys/types.h>

/* The pid of one that serves the cache `id` and runs as ourselves, 0 if there is none. */
pid_t tc_other_service(const char *runtime, const char *id);

#endif
