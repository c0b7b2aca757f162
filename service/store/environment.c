#include "service/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/hash.h"
#include "cache/places.h"

#define LEAST_MAP   (256ull << 20)
#define USUAL_MAP   (64ull << 30)
#define LOCK_BYTES  16384
#define MAX_READERS 16

static const struct {
    const char *name;
    unsigned flags;
} tables[TC_TABLES] = {
    [TC_TABLE_RECORDS] = {"records", MDB_INTEGERKEY},
    [TC_TABLE_CHUNKS] = {"chunks", MDB_INTEGERKEY},
    [TC_TABLE_DETAILS] = {"details", MDB_INTEGERKEY},
    [TC_TABLE_TASKS] = {"tasks", 0},
    [TC_TABLE_META] = {"meta", 0},
    [TC_TABLE_EXPIRY] = {"expiry", 0},
    [TC_TABLE_MISSES] = {"misses", MDB_INTEGERKEY},
};

/* LMDB calls abort() after this: the crash guard leaves its mark. */
static void on_assert(MDB_env *env, const char *message)
{
    struct tc_store *s = mdb_env_get_userctx(env);

    if (s != NULL)
        tc_log_line(s->log, TC_LOG_ERROR, TC_R_STORE_DAMAGED, "store-%u: %s", s->number, message);
}

/* lock.mdb is mapped for writing and made sparse by LMDB: on a full disk its first use would be
 * SIGBUS. */
static int prepare_directory(struct tc_store *s, struct tc_failure *f)
{
    char name[64];
    int fd, r;

    (void)snprintf(name, sizeof name, "store-%u", s->number);
    if (mkdirat(s->options.cache_fd, name, 0700) < 0 && errno != EEXIST)
        return tc_fail(f, errno == ENOSPC ? TC_R_STORE_FULL : TC_R_SERVICE_FAILED, errno,
                       "%s/%s: %s", s->options.cache, name, strerror(errno));
    (void)snprintf(name, sizeof name, "store-%u/lock.mdb", s->number);
    fd = openat(s->options.cache_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return tc_fail(f, TC_R_SERVICE_FAILED, errno, "%s/%s: %s", s->options.cache, name,
                       strerror(errno));
    r = posix_fallocate(fd, 0, LOCK_BYTES);
    (void)close(fd);
    if (r != 0)
        return tc_fail(f, TC_R_STORE_FULL, r, "%s/%s: %s", s->options.cache, name, strerror(r));
    return 0;
}

static int try_open(struct tc_store *s, const char *path, uint64_t map_bytes)
{
    int rc = mdb_env_create(&s->env);

    if (rc != 0)
        return rc;
    (void)mdb_env_set_userctx(s->env, s);
    (void)mdb_env_set_assert(s->env, on_assert);
    rc = mdb_env_set_maxdbs(s->env, TC_TABLES_AT_MOST);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(s->env, MAX_READERS);
    if (rc == 0)
        rc = mdb_env_set_mapsize(s->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(s->env, path, MDB_NOSYNC | MDB_NOTLS, 0600);
    if (rc != 0) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    return rc;
}

static int open_sparse(struct tc_store *s)
{
    uint64_t map = s->max_size_bytes > USUAL_MAP / 4 ? s->max_size_bytes * 4 : USUAL_MAP;
    char path[TC_PATH_BYTES + 64];
    int rc;

    map &= ~(uint64_t)((1 << 20) - 1);
    (void)snprintf(path, sizeof path, "%s/store-%u", s->options.cache, s->number);
    do {
        rc = try_open(s, path, map);
        s->map_bytes = map;
        map /= 2;
        /* ENOMEM from the kernel, EINVAL from valgrind. */
    } while ((rc == ENOMEM || rc == EINVAL) && map >= LEAST_MAP);
    return rc;
}

static int make_tables(struct tc_store *s, MDB_txn *txn, uint64_t seed)
{
    struct tc_store_boot boot = {.clean = 0};
    int rc = 0;

    for (int i = 0; i < TC_TABLES && rc == 0; i++)
        rc = mdb_dbi_open(txn, tables[i].name, tables[i].flags | MDB_CREATE, &s->table[i]);
    if (rc != 0)
        return rc;
    s->state = (struct tc_store_state){.seed = seed, .next_record = 1, .next_chunk = 1};
    s->state.checksum = tc_hash64(&s->state, offsetof(struct tc_store_state, checksum));
    memcpy(boot.id, s->boot_id, sizeof boot.id);
    s->txn = txn;
    rc = tc_store_meta_put(s, "format", TC_STORE_FORMAT, sizeof TC_STORE_FORMAT - 1);
    if (rc == 0)
        rc = tc_store_meta_put(s, "state", &s->state, sizeof s->state);
    if (rc == 0)
        rc = tc_store_meta_put(s, "boot", &boot, sizeof boot);
    s->txn = NULL;
    s->marked = 1;
    return rc == 0 ? 0 : EIO;
}

static int is_our_format(struct tc_store *s, MDB_txn *txn)
{
    MDB_val key = {4, (void *)(uintptr_t) "meta"}, value;

    if (mdb_dbi_open(txn, "meta", 0, &s->table[TC_TABLE_META]) != 0)
        return 0;
    key.mv_data = (void *)(uintptr_t) "format";
    key.mv_size = 6;
    return mdb_get(txn, s->table[TC_TABLE_META], &key, &value) == 0 &&
           value.mv_size == sizeof TC_STORE_FORMAT - 1 &&
           memcmp(value.mv_data, TC_STORE_FORMAT, value.mv_size) == 0;
}

static int find_tables(struct tc_store *s, MDB_txn *txn)
{
    int rc = 0;

    for (int i = 0; i < TC_TABLES && rc == 0; i++)
        rc = mdb_dbi_open(txn, tables[i].name, tables[i].flags, &s->table[i]);
    if (rc == 0 && tc_store_meta_get(s, txn, "state", &s->state, sizeof s->state) < 0)
        rc = MDB_CORRUPTED;
    return rc;
}

/* "misses" came later than the others: a store without it gets it, on the disk at once, as nothing
 * says yet that it lags behind. */
static int add_misses(struct tc_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, tables[TC_TABLE_MISSES].name, tables[TC_TABLE_MISSES].flags | MDB_CREATE,
                      &s->table[TC_TABLE_MISSES]);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return rc == 0 ? mdb_env_sync(s->env, 1) : rc;
}

static int find_tables_or_add(struct tc_store *s, MDB_txn **txn)
{
    int rc = find_tables(s, *txn);

    if (rc != MDB_NOTFOUND)
        return rc;
    mdb_txn_abort(*txn);
    *txn = NULL;
    rc = add_misses(s);
    if (rc == 0)
        rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn);
    return rc == 0 ? find_tables(s, *txn) : rc;
}

/* An environment that is open: our tables in it, made if it is empty. */
static int open_tables(struct tc_store *s, uint64_t seed, struct tc_failure *f)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = mdb_env_stat(s->env, &stat);

    if (rc == 0)
        rc = mdb_txn_begin(s->env, NULL, stat.ms_entries == 0 ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    if (stat.ms_entries == 0) {
        rc = make_tables(s, txn, seed);
    } else if (!is_our_format(s, txn)) {
        mdb_txn_abort(txn);
        (void)tc_fail(f, TC_R_STORE_FORMAT, EPROTONOSUPPORT, "%s/store-%u", s->options.cache,
                      s->number);
        return MDB_VERSION_MISMATCH;
    } else {
        rc = find_tables_or_add(s, &txn);
    }
    if (rc == 0)
        return mdb_txn_commit(txn);
    if (txn != NULL)
        mdb_txn_abort(txn);
    return rc;
}

int tc_store_open_environment(struct tc_store *s, uint64_t seed, struct tc_failure *f)
{
    int r = prepare_directory(s, f), dead, rc;

    if (r < 0)
        return r;
    (void)snprintf(s->data_file, sizeof s->data_file, "store-%u/data.mdb", s->number);
    tc_crash_guard(s->options.cache_fd, s->number);
    tc_crash_enter();
    rc = open_sparse(s);
    if (rc == 0) {
        (void)mdb_reader_check(s->env, &dead);
        rc = open_tables(s, seed, f);
    }
    tc_crash_leave();
    s->committed = s->state;
    memset(&s->staging, 0, sizeof s->staging);
    s->staging_committed = s->staging;
    if (rc == 0)
        return 0;
    tc_store_close_environment(s);
    r = tc_mdb_errno(rc);
    if (rc == MDB_VERSION_MISMATCH)
        return tc_fail(f, TC_R_STORE_FORMAT, EPROTONOSUPPORT, "%s/store-%u", s->options.cache,
                       s->number);
    if (r == -EUCLEAN)
        return tc_fail(f, TC_R_STORE_DAMAGED, EUCLEAN, "%s/store-%u: %s", s->options.cache,
                       s->number, mdb_strerror(rc));
    return tc_fail(f, r == -ENOSPC ? TC_R_STORE_FULL : TC_R_SERVICE_FAILED, -r, "%s/store-%u: %s",
                   s->options.cache, s->number, mdb_strerror(rc));
}

void tc_store_close_environment(struct tc_store *s)
{
    if (s->env == NULL)
        return;
    if (s->txn != NULL)
        mdb_txn_abort(s->txn);
    s->txn = NULL;
    tc_pins_drop(s);
    mdb_env_close(s->env);
    s->env = NULL;
}

void tc_store_read_boot_id(char ret[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    memset(ret, 0, 40);
    if (fd < 0)
        return;
    n = read(fd, ret, 36);
    (void)close(fd);
    if (n != 36)
        memset(ret, 0, 40);
}
