#include "tools/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/output.h"

extern char **environ;

/* Absolute, links resolved: that is the name which the service compiles it under. */
static int take_config(struct tc_session *s, const char *path, bool given,
                       struct tc_cause *ret_cause)
{
    s->config_given = given;
    s->config_path = realpath(path, NULL);
    int r = s->config_path ? tc_file_id(s->config_path, &s->config_id) : -errno;
    if (r == 0)
        return 0;
    return tc_cause_set(ret_cause, -r, r == -ENOENT ? TC_R_NO_CONFIG : TC_R_CONFIG_UNREADABLE, path,
                        r == -ENOENT ? "there is no such file" : "the config can't be read: %s",
                        strerror(-r));
}

static int find_config(struct tc_session *s, const char *config, unsigned want,
                       struct tc_cause *ret_cause)
{
    char path[TC_PATH_BYTES];
    const char *set = getenv("TASKCACHE_CONFIG");
    if (config)
        return take_config(s, config, true, ret_cause);
    if (set && *set == '/')
        return take_config(s, set, true, ret_cause);
    if (want & TC_WANT_LOCAL && access("taskcache.yaml", F_OK) == 0)
        return take_config(s, "taskcache.yaml", false, ret_cause);
    if (tc_config_path(environ, path, sizeof path) == 0 && access(path, F_OK) == 0)
        return take_config(s, path, false, ret_cause);
    if (want & TC_WANT_CONFIG)
        return tc_cause_set(ret_cause, ENOENT, TC_R_NO_CONFIG, "", NULL);
    return 0;
}

static bool deps_are_unchanged(const struct tc_flat *f, const struct tc_config *config)
{
    const struct tc_dep *dep = tc_flat_at(f, config->deps.off, config->deps.count, sizeof *dep);
    for (uint32_t i = 0; i < config->deps.count; i++) {
        /* Zeroes stand for a file that wasn't there. */
        struct tc_file_id now = {0};
        if (dep)
            (void)tc_file_id(tc_flat_str(f, dep[i].path), &now);
        if (!dep || !tc_file_id_equal(&now, &dep[i].id))
            return false;
    }
    return true;
}

/* The compiled form of just this state of the config, if there is one. */
static int map_config(struct tc_session *s)
{
    char name[33], path[TC_PATH_BYTES];
    tc_config_name(s->config_path, &s->config_id, name);
    int r = tc_config_flat_path(s->runtime, name, path, sizeof path);
    struct tc_mapping map = {0};
    struct tc_flat flat;
    if (r == 0)
        r = tc_map_file(path, &map);
    if (r == 0)
        r = tc_flat_check(map.base, map.bytes, TC_FLAT_CONFIG, &flat);
    if (r == 0)
        r = tc_config_verify(&flat);
    const struct tc_config *config = r == 0 ? tc_flat_root(&flat, sizeof *config) : NULL;
    if (r == 0 && (!config || !deps_are_unchanged(&flat, config)))
        r = -ESTALE;
    if (r < 0) {
        tc_unmap(&map);
        return r;
    }
    s->config_map = map;
    s->config_flat = flat;
    s->config = config;
    return 0;
}

static int compile_config(struct tc_session *s, struct tc_cause *ret_cause)
{
    if (map_config(s) == 0)
        return 0;
    int started = tc_service_start(s->config_path, NULL, 0, ret_cause);
    /* The text may have changed while it was compiled. */
    int r = tc_file_id(s->config_path, &s->config_id);
    if (r == 0)
        r = map_config(s);
    if (started < 0)
        return started;
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_SERVICE_FAILED, s->config_path,
                            "the service left no compiled config: %s", strerror(-r));
    return 0;
}

static int find_id(struct tc_session *s)
{
    struct stat st;
    *s->id = 0;
    return stat(s->cache, &st) == 0 ? tc_cache_id(st.st_dev, st.st_ino, s->id, sizeof s->id) : 0;
}

static int find_cache(struct tc_session *s, struct tc_cause *ret_cause)
{
    const char *path = s->config ? tc_flat_str(&s->config_flat, s->config->cache_path) : "";
    int r = tc_cache_dir(environ, *path ? path : NULL, s->cache, sizeof s->cache);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_NO_CACHE_DIR, "cache", NULL);
    return find_id(s);
}

/* From now on the session is about this storage of the config. */
static int choose_storage(struct tc_session *s, const char *name, unsigned want,
                          struct tc_cause *ret_cause)
{
    const struct tc_storage *list = NULL;
    if (!s->config && s->config_path)
        (void)compile_config(s, ret_cause);
    if (s->config)
        list = tc_flat_at(&s->config_flat, s->config->storages.off, s->config->storages.count,
                          sizeof *list);
    for (uint32_t i = 0; list && i < s->config->storages.count; i++) {
        if (strcmp(tc_flat_str(&s->config_flat, list[i].name), name) != 0)
            continue;
        if (list[i].kind == TC_STORAGE_FAR && (want & TC_WANT_FAR)) {
            s->far = &list[i];
            return 0;
        }
        if (list[i].kind == TC_STORAGE_FAR)
            return tc_cause_set(ret_cause, EINVAL, TC_R_BAD_VALUE, name,
                                "it lies behind the cache: it can be listed (`ls`), and emptied "
                                "(`rm`); for all else leave `--storage` out");
        if (list[i].kind != TC_STORAGE_LMDB)
            return tc_cause_set(ret_cause, ENOSYS, TC_R_NOT_YET_KEY, name,
                                "storages of this type aren't built yet");
        tc_client_close(&s->client);
        s->is_storage = true;
        s->max_size_bytes = list[i].max_size_bytes;
        (void)snprintf(s->cache, sizeof s->cache, "%s", tc_flat_str(&s->config_flat, list[i].path));
        return find_id(s);
    }
    return tc_cause_set(ret_cause, ENOENT, TC_R_BAD_VALUE, name,
                        "the config lists no such storage");
}

int tc_session_connect(struct tc_session *s)
{
    if (s->client.fd >= 0)
        return 0;
    return *s->id ? tc_client_connect(&s->client, s->runtime, s->id) : -ENOENT;
}

int tc_session_ensure_service(struct tc_session *s, struct tc_cause *ret_cause)
{
    if (tc_session_connect(s) == 0)
        return 0;
    int r = tc_service_start(s->is_storage ? NULL : s->config_path, s->cache, s->max_size_bytes,
                             ret_cause);
    if (r == 0)
        r = s->is_storage ? find_id(s) : find_cache(s, ret_cause);
    if (r < 0)
        return r;
    r = tc_session_connect(s);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_SERVICE_FAILED, s->cache,
                            "the service doesn't answer: %s", strerror(-r));
    return 0;
}

int tc_session_of_storage(const struct tc_session *s, const struct tc_storage *storage, bool starts,
                          struct tc_session *ret, struct tc_cause *ret_cause)
{
    *ret = (struct tc_session){
        .client.fd = -1, .is_storage = true, .max_size_bytes = storage->max_size_bytes};
    (void)snprintf(ret->runtime, sizeof ret->runtime, "%s", s->runtime);
    (void)snprintf(ret->cache, sizeof ret->cache, "%s",
                   tc_flat_str(&s->config_flat, storage->path));
    int r = find_id(ret);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_NO_CACHE_DIR, ret->cache, NULL);
    return starts ? tc_session_ensure_service(ret, ret_cause) : tc_session_connect(ret);
}

int tc_session_open(struct tc_session *s, const char *config, unsigned want,
                    struct tc_cause *ret_cause)
{
    *s = (struct tc_session){.client.fd = -1};
    const char *dir = getenv("TASKCACHE_DIR");
    int r = tc_runtime_dir(environ, geteuid(), s->runtime, sizeof s->runtime);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_NO_RUNTIME_DIR, "runtime directory", NULL);
    r = find_config(s, config, want, ret_cause);
    /* Without TASKCACHE_DIR only the compiled config knows where the cache is. */
    if (r == 0 && s->config_path && (want & TC_WANT_CONFIG || !dir || *dir != '/'))
        r = compile_config(s, ret_cause);
    else if (r == 0 && s->config_path)
        (void)map_config(s);
    if (r < 0)
        return r;
    r = find_cache(s, ret_cause);
    if (r == 0 && want & TC_WANT_SERVICE)
        r = tc_session_ensure_service(s, ret_cause);
    return r;
}

void tc_session_close(struct tc_session *s)
{
    tc_client_close(&s->client);
    tc_unmap(&s->config_map);
    free(s->config_path);
    *s = (struct tc_session){.client.fd = -1};
}

const struct tc_task *tc_session_tasks(const struct tc_session *s, uint32_t *ret_count)
{
    *ret_count = 0;
    return s->config ? tc_config_tasks(&s->config_flat, ret_count) : NULL;
}

unsigned tc_session_print_problems(const struct tc_session *s)
{
    static const enum tc_style styles[] = {TC_PLAIN, TC_BAD, TC_WARN, TC_DIM};
    static const char *const words[] = {"", "error", "warning", "note"};
    if (!s->config)
        return 0;
    const struct tc_span span = s->config->problems;
    const struct tc_problem *p = tc_flat_at(&s->config_flat, span.off, span.count, sizeof *p);
    unsigned errors = 0;
    for (uint32_t i = 0; p && i < span.count; i++) {
        unsigned severity = p[i].severity <= TC_SEV_NOTE ? p[i].severity : TC_SEV_ERROR;
        errors += severity == TC_SEV_ERROR;
        fprintf(stderr, "cachectl: %s%s%s: %s\n", tc_style(stderr, styles[severity]),
                words[severity], tc_style(stderr, TC_PLAIN),
                tc_flat_str(&s->config_flat, p[i].text));
    }
    return errors;
}

bool tc_session_inspect(struct tc_session *s, const char *config, const char *storage,
                        unsigned want)
{
    struct tc_cause cause;
    int r = tc_session_open(s, config, want, &cause);
    /* A config that wasn't asked for by name hinders nobody who only wants to look. */
    bool ours = config || want & TC_WANT_CONFIG;
    if (r == 0 && storage)
        r = choose_storage(s, storage, want, &cause);
    unsigned errors = ours ? tc_session_print_problems(s) : 0;
    if (r < 0 && errors == 0)
        tc_problem(&cause);
    return r == 0 && errors == 0;
}
