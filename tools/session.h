/*
 * Where a sub-command works: the config that is meant, its compiled form, the cache, the service.
 * Nothing here prints. One thread.
 */
#ifndef TC_TOOLS_SESSION_H
#define TC_TOOLS_SESSION_H

#include "cache/flat.h"
#include "tools/client.h"
#include "tools/tasks.h"

enum tc_session_want {
    TC_WANT_CONFIG = 1u << 0,  /* a config there must be, compiled */
    TC_WANT_SERVICE = 1u << 1, /* started if none runs */
    TC_WANT_LOCAL = 1u << 2,   /* ./taskcache.yaml counts too */
    TC_WANT_FAR = 1u << 3,     /* `--storage` may be a far one, see `far` */
};

struct tc_session {
    char *config_path; /* absolute; NULL: there is none */
    bool config_given; /* by -c, --task or --plugin */
    struct tc_file_id config_id;
    struct tc_mapping config_map;
    struct tc_flat config_flat;
    const struct tc_config *config; /* NULL: not compiled */
    char runtime[TC_PATH_BYTES];
    char cache[TC_PATH_BYTES];    /* "": not known */
    char id[64];                  /* "": the directory doesn't exist */
    const struct tc_storage *far; /* of `config`: chosen by --storage; the rest is the cache's */
    bool is_storage;              /* `cache` is that of a storage, which has no config of its own */
    uint64_t max_size_bytes;      /* of a storage, as the config says; 0: it doesn't */
    struct tc_client client;
};

/* Opens what is wanted; what isn't there stays empty. `config` as given by -c, NULL. On failure the
 * cause is set, and what was found so far stays to be looked at (the config's problems). */
int tc_session_open(struct tc_session *s, const char *config, unsigned want,
                    struct tc_cause *ret_cause);
void tc_session_close(struct tc_session *s);

/* Connects to the service if one runs; errors as tc_client_connect(). */
int tc_session_connect(struct tc_session *s);

/* Starts the service if none runs, and connects. */
int tc_session_ensure_service(struct tc_session *s, struct tc_cause *ret_cause);

/* A session about this storage alone, connected to its service, which is started if need be, or
 * (`starts` false, no cause then) must run. */
int tc_session_of_storage(const struct tc_session *s, const struct tc_storage *storage, bool starts,
                          struct tc_session *ret, struct tc_cause *ret_cause);

/* The tasks of the config. */
const struct tc_task *tc_session_tasks(const struct tc_session *s, uint32_t *ret_count);
/* Prints the config's problems on stderr; returns how many were errors. */
unsigned tc_session_print_problems(const struct tc_session *s);

/* For the commands that inspect: opens the cache with or without config and service, prints what is
 * wrong. True: go on. */
bool tc_session_inspect(struct tc_session *s, const char *config, const char *storage,
                        unsigned want);

#endif
