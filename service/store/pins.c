#include "service/store/internal.h"

#include <errno.h>
#include <sys/stat.h>

#include "service/clock.h"
#include "service/store/page.h"

#define NEARLY_FULL_PERCENT 90

static int data_bytes(struct tc_store *s, struct stat *ret)
{
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(s->env, &fd);

    if (rc != 0 || fstat(fd, ret) < 0)
        return -EUCLEAN;
    return 0;
}

void tc_pins_drop(struct tc_store *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->pin[i] != NULL)
            mdb_txn_abort(s->pin[i]);
        s->pin[i] = NULL;
    }
}

int tc_pins_take(struct tc_store *s)
{
    struct tc_page_data d = {.file = s->data_file};
    struct stat st;
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++)
        rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->pin[i]);
    if (rc == 0 && data_bytes(s, &st) < 0)
        rc = MDB_CORRUPTED;
    if (rc != 0) {
        tc_pins_drop(s);
        return tc_mdb_errno(rc);
    }
    s->last_txnid = mdb_txn_id(s->pin[1]);
    d.floor = mdb_txn_id(s->pin[0]);
    d.txnid = s->last_txnid;
    d.dev = st.st_dev;
    d.ino = st.st_ino;
    d.bytes = (uint64_t)st.st_size;
    s->rotated_ms = tc_monotonic_ms();
    tc_page_set_data(s->page, &d);
    return 0;
}

/* The younger pin becomes the older one, and readers must have its state or a newer one, before the
 * older one is let go. */
void tc_pins_rotate(struct tc_store *s)
{
    MDB_txn *older = s->pin[0], *younger = s->pin[1];

    s->rotated_ms = tc_monotonic_ms();
    if (younger == NULL) {
        if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->pin[1]) != 0)
            s->pin[1] = NULL;
        return;
    }
    if (mdb_txn_id(older) >= s->last_txnid)
        return;
    tc_page_set_floor(s->page, mdb_txn_id(younger));
    mdb_txn_reset(older);
    s->pin[0] = younger;
    s->pin[1] = older;
    if (mdb_txn_renew(older) == 0)
        return;
    /* The other one still protects what `floor` says; the next rotation tries again. */
    mdb_txn_abort(older);
    s->pin[1] = NULL;
}

static int is_nearly_full(struct tc_store *s)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &stat) != 0)
        return 0;
    return (uint64_t)info.me_last_pgno * stat.ms_psize / NEARLY_FULL_PERCENT >=
           info.me_mapsize / 100;
}

int tc_store_publish(struct tc_store *s)
{
    MDB_envinfo info;
    struct stat st;
    int rc = mdb_env_info(s->env, &info);

    if (rc != 0)
        return tc_mdb_errno(rc);
    s->last_txnid = info.me_last_txnid;
    if (data_bytes(s, &st) < 0)
        return -EUCLEAN;
    tc_page_set_ceiling(s->page, s->last_txnid, (uint64_t)st.st_size);
    __atomic_store_n(&s->page->size_bytes, s->state.size_bytes + s->staging.bytes,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&s->page->record_count, s->state.record_count, __ATOMIC_RELAXED);
    __atomic_store_n(&s->page->max_size_bytes, s->max_size_bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&s->page->evicted, s->state.evicted, __ATOMIC_RELAXED);
    if (is_nearly_full(s) && tc_monotonic_ms() - s->rotated_ms > 50)
        tc_pins_rotate(s);
    return 0;
}
