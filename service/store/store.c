#include "service/store/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cache/hash.h"
#include "service/clock.h"
#include "service/store/page.h"

#define ROTATE_MS 2000
#define HEAT_MS   60000

int tc_mdb_errno(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case EFBIG: /* RLIMIT_FSIZE */
        return -ENOSPC;
    case MDB_VERSION_MISMATCH:
        return -EPROTONOSUPPORT;
    default:
        return rc > 0 ? -rc : -EUCLEAN;
    }
}

int tc_store_meta_put(struct tc_store *s, const char *key, const void *data, size_t bytes)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {bytes, (void *)(uintptr_t)data};

    return tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_META], &k, &v, 0));
}

int tc_store_meta_get(struct tc_store *s, MDB_txn *txn, const char *key, void *data, size_t bytes)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v;
    int rc = mdb_get(txn, s->table[TC_TABLE_META], &k, &v);

    if (rc != 0)
        return tc_mdb_errno(rc);
    if (v.mv_size != bytes)
        return -EUCLEAN;
    memcpy(data, v.mv_data, bytes);
    return 0;
}

/* After an unclean reboot pages may be missing of what was written without a sync. */
static int is_trustworthy(struct tc_store *s)
{
    struct tc_store_boot boot;

    if (tc_store_meta_get(s, s->pin[1], "boot", &boot, sizeof boot) < 0)
        return 0;
    s->marked = !boot.clean;
    return boot.clean || (boot.id[0] != 0 && memcmp(boot.id, s->boot_id, sizeof boot.id) == 0);
}

static int random_seed(uint64_t *ret)
{
    return getrandom(ret, sizeof *ret, 0) == (ssize_t)sizeof *ret ? 0 : -EIO;
}

/* The environment of store-N, checked; -EUCLEAN: not to be used. `seed` gets that of a store that
 * is refused, so that its records can be read by its successor. */
static int open_one(struct tc_store *s, uint64_t *seed, struct tc_failure *f)
{
    int r = tc_store_open_environment(s, *seed, f);

    if (r < 0)
        return r;
    if (tc_hash64(&s->state, offsetof(struct tc_store_state, checksum)) != s->state.checksum) {
        r = tc_fail(f, TC_R_STORE_DAMAGED, EUCLEAN, "store-%u: its state is damaged", s->number);
    } else {
        *seed = s->state.seed;
        r = tc_mdb_errno(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->pin[1]));
        if (r == 0 && !is_trustworthy(s))
            r = tc_fail(f, TC_R_UNCLEAN_REBOOT, EUCLEAN, "store-%u", s->number);
        tc_pins_drop(s);
    }
    if (r < 0)
        tc_store_close_environment(s);
    return r;
}

/* Opens the newest store, or sets it aside and begins the next one. */
static int open_newest(struct tc_store *s, struct tc_failure *f)
{
    uint64_t seed;
    int r = 0;

    if (s->page != NULL)
        seed = s->page->seed;
    else if (random_seed(&seed) < 0)
        return tc_fail(f, TC_R_SERVICE_FAILED, EIO, "no random numbers");
    s->number = tc_store_number(s->options.cache_fd);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (tc_store_is_marked_damaged(s))
            r = tc_fail(f, TC_R_STORE_DAMAGED, EUCLEAN, "store-%u: it crashed the service",
                        s->number);
        else
            r = open_one(s, &seed, f);
        if (r != -EUCLEAN)
            return r;
        tc_log_line(s->log, TC_LOG_ERROR, f->reason, "%s: set aside", f->text);
        if (tc_store_set_aside(s) < 0)
            return r;
        s->number++;
    }
    return r;
}

/* A page that goes with another store's seed is of no use any more, also for who maps it. */
static int settle_page(struct tc_store *s, struct tc_failure *f)
{
    const struct tc_store_options *o = &s->options;
    int r;

    if (s->page != NULL && s->page->seed != s->state.seed) {
        tc_page_retire(s->page);
        tc_page_unmap(s->page);
        s->page = NULL;
    }
    if (s->page != NULL)
        return 0;
    r = tc_page_create(o->page_path, o->cache_dev, o->cache_ino, s->state.seed, &s->page);
    if (r < 0)
        return tc_fail(f, TC_R_NO_RUNTIME_DIR, -r, "%s: %s", o->page_path, strerror(-r));
    return 0;
}

/* Everything from the directory to the published page. */
static int open_all(struct tc_store *s, struct tc_failure *f)
{
    int r = open_newest(s, f);

    if (r == 0)
        r = settle_page(s, f);
    if (r < 0)
        return r;
    tc_store_set_limit(s, s->options.max_size_bytes);
    tc_crash_enter();
    r = tc_pins_take(s);
    if (r == 0)
        r = tc_store_publish(s);
    if (r == 0)
        r = tc_store_sweep_staged(s);
    if (r == 0)
        r = tc_store_remove_uploads(s);
    tc_crash_leave();
    if (r < 0)
        return tc_fail(f, TC_R_STORE_DAMAGED, -r, "store-%u: %s", s->number, strerror(-r));
    return 0;
}

int tc_store_open(const struct tc_store_options *o, struct tc_store **ret, struct tc_failure *f)
{
    struct tc_store *s = calloc(1, sizeof *s);
    int r;

    if (s == NULL)
        return tc_fail(f, TC_R_SERVICE_FAILED, ENOMEM, "no memory");
    s->options = *o;
    s->log = o->log;
    s->max_size_bytes = o->max_size_bytes > 0 ? o->max_size_bytes : TC_DEFAULT_MAX_SIZE;
    s->value = malloc(TC_RECORD_INLINE_BYTES);
    s->moved = malloc(TC_RECORD_INLINE_BYTES);
    tc_store_read_boot_id(s->boot_id);
    if (tc_page_adopt(o->page_path, o->cache_dev, o->cache_ino, &s->page) < 0)
        s->page = NULL;
    if (s->value == NULL || s->moved == NULL || random_seed(&s->random) < 0)
        r = tc_fail(f, TC_R_SERVICE_FAILED, ENOMEM, "no memory");
    else
        r = open_all(s, f);
    if (r < 0) {
        tc_store_close_environment(s);
        tc_page_unmap(s->page);
        free(s->value);
        free(s->moved);
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int tc_store_recover(struct tc_store *s, struct tc_failure *f)
{
    int r;

    tc_log_line(s->log, TC_LOG_ERROR, TC_R_STORE_DAMAGED, "store-%u: set aside", s->number);
    tc_store_close_environment(s);
    s->epoch++;
    s->marked = s->dirty = 0;
    (void)tc_store_set_aside(s);
    r = open_all(s, f);
    if (r < 0)
        tc_page_retire(s->page);
    return r;
}

void tc_store_set_limit(struct tc_store *s, uint64_t max_size_bytes)
{
    s->max_size_bytes = max_size_bytes > 0 ? max_size_bytes : TC_DEFAULT_MAX_SIZE;
    /* Removing needs free pages too: LMDB's map must never be near its end. */
    if (s->max_size_bytes > s->map_bytes / 4)
        s->max_size_bytes = s->map_bytes / 4;
    __atomic_store_n(&s->page->max_size_bytes, s->max_size_bytes, __ATOMIC_RELAXED);
}

/* Says on the disk that it lags behind from now on, before anything else is written. */
static int mark(struct tc_store *s, int clean)
{
    struct tc_store_boot boot = {.clean = (uint64_t)clean};
    int r = tc_mdb_errno(mdb_txn_begin(s->env, NULL, 0, &s->txn));

    if (r < 0)
        return r;
    memcpy(boot.id, s->boot_id, sizeof boot.id);
    r = tc_store_meta_put(s, "boot", &boot, sizeof boot);
    if (r < 0) {
        mdb_txn_abort(s->txn);
        s->txn = NULL;
        return r;
    }
    r = tc_mdb_errno(mdb_txn_commit(s->txn));
    s->txn = NULL;
    if (r == 0)
        r = tc_store_publish(s);
    if (r == 0)
        r = tc_mdb_errno(mdb_env_sync(s->env, 1));
    if (r == 0)
        s->marked = !clean;
    return r;
}

int tc_store_begin(struct tc_store *s)
{
    int r = 0;

    if (s->txn != NULL)
        return 0;
    if (s->env == NULL)
        return -EUCLEAN;
    tc_crash_enter();
    if (!s->marked)
        r = mark(s, 0);
    if (r == 0)
        r = tc_mdb_errno(mdb_txn_begin(s->env, NULL, 0, &s->txn));
    if (r < 0)
        s->txn = NULL;
    tc_crash_leave();
    return r;
}

int tc_store_commit(struct tc_store *s)
{
    int r = 0;

    if (s->txn == NULL)
        return 0;
    tc_crash_enter();
    if (memcmp(&s->state, &s->committed, sizeof s->state) != 0) {
        s->state.checksum = tc_hash64(&s->state, offsetof(struct tc_store_state, checksum));
        r = tc_store_meta_put(s, "state", &s->state, sizeof s->state);
    }
    if (r < 0) {
        tc_store_abort(s);
    } else {
        r = tc_mdb_errno(mdb_txn_commit(s->txn));
        s->txn = NULL;
        s->dirty = 1;
        if (r < 0) {
            s->state = s->committed;
            s->staging = s->staging_committed;
        } else {
            r = tc_store_publish(s);
        }
        s->committed = s->state;
        s->staging_committed = s->staging;
    }
    tc_crash_leave();
    return r;
}

void tc_store_abort(struct tc_store *s)
{
    if (s->txn == NULL)
        return;
    mdb_txn_abort(s->txn);
    s->txn = NULL;
    s->state = s->committed;
    s->staging = s->staging_committed;
}

void tc_store_close(struct tc_store *s)
{
    if (s == NULL)
        return;
    if (s->env != NULL) {
        if (tc_store_commit(s) < 0 || tc_store_fold(s) < 0)
            tc_store_abort(s);
        tc_crash_enter();
        /* First the data, then the word that it is there. */
        if (s->marked && mdb_env_sync(s->env, 1) == 0)
            (void)mark(s, 1);
        tc_crash_leave();
    }
    tc_store_close_environment(s);
    tc_crash_guard(-1, 0);
    tc_page_unmap(s->page);
    free(s->value);
    free(s->moved);
    free(s);
}

/* A heat byte that would come to look new again stays at the oldest age. */
static void advance_heat(struct tc_shared_page *p)
{
    uint8_t epoch = (uint8_t)(p->heat_epoch + 1);

    for (size_t i = 0; i < TC_PAGE_HEAT; i++) {
        if (p->heat[i] == epoch)
            p->heat[i] = (uint8_t)(epoch + 1);
    }
    __atomic_store_n(&p->heat_epoch, epoch, __ATOMIC_RELAXED);
}

void tc_store_tick(struct tc_store *s)
{
    int64_t now = tc_monotonic_ms();

    if (s->env == NULL)
        return;
    if (now - s->rotated_ms >= ROTATE_MS)
        tc_pins_rotate(s);
    if (now - s->heated_ms >= HEAT_MS) {
        s->heated_ms = now;
        advance_heat(s->page);
    }
}

int tc_store_sync_fd(const struct tc_store *s)
{
    mdb_filehandle_t fd;

    if (s->env == NULL || !s->marked || mdb_env_get_fd(s->env, &fd) != 0)
        return -1;
    return fd;
}

void tc_store_sync_begins(struct tc_store *s)
{
    s->dirty = 0;
}

void tc_store_synced(struct tc_store *s)
{
    if (s->env == NULL || s->dirty || s->txn != NULL || !s->marked)
        return;
    tc_crash_enter();
    (void)mark(s, 1);
    tc_crash_leave();
}

unsigned tc_store_take_aside(struct tc_store *s)
{
    unsigned number = s->aside;

    s->aside = 0;
    return number;
}

uint64_t tc_store_epoch(const struct tc_store *s)
{
    return s->epoch;
}

void tc_store_numbers(const struct tc_store *s, struct tc_store_numbers *ret)
{
    ret->size_bytes = s->committed.size_bytes;
    ret->record_count = s->committed.record_count;
    ret->max_size_bytes = s->max_size_bytes;
    ret->txnid = s->last_txnid;
    ret->generation = s->number;
}

struct tc_shared_page *tc_store_page(const struct tc_store *s)
{
    return s->page;
}
