/*
 * A hit on 64 bytes of output, beside the plain call and beside liblmdb on the same store: of a
 * task of two scalars, which the in-process table serves, and of one that has an input behind a
 * pointer, which is looked up in the mapped store each time.
 *
 *   hit_small fill COUNT          runs the tasks for 0 .. COUNT-1, so that the store has the
 * records hit_small measure COUNT STORE the store's directory
 */
#include <lmdb.h>
#include <string.h>

#include "bench/bench.h"

enum {
    BATCH = 1000,
    ROUNDS = 201,
};

static unsigned long bodies;

BENCH_FUNCTION void task(int a, double b, double out[8]);
BENCH_FUNCTION void plain(int a, double b, double out[8]);
BENCH_FUNCTION void stored(const int *a, double b, double out[8]);
BENCH_FUNCTION void plain_stored(const int *a, double b, double out[8]);

static inline void body(int a, double b, double out[8])
{
    bodies++;
    for (int i = 0; i < 8; i++)
        out[i] = a + i * b;
}

void task(int a, double b, double out[8])
{
    body(a, b, out);
}

void plain(int a, double b, double out[8])
{
    body(a, b, out);
}

void stored(const int *a, double b, double out[8])
{
    body(*a, b, out);
}

void plain_stored(const int *a, double b, double out[8])
{
    body(*a, b, out);
}

static unsigned *shuffled(unsigned count)
{
    unsigned *order = malloc(count * sizeof *order);
    uint64_t seed = 88172645463325252u;

    if (order == NULL)
        abort();
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; i > 1; i--) {
        unsigned j, swap;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        j = (unsigned)(seed % i);
        swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
    return order;
}

struct store {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi records;
    uint64_t *keys;
    unsigned count;
};

static void check(int r, const char *what)
{
    if (r == 0)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, mdb_strerror(r));
    exit(1);
}

/* Opens the service's store as any reader may, and lists its keys. */
static struct store open_store(const char *directory)
{
    struct store s = {0};
    MDB_cursor *cursor;
    MDB_stat stat;
    MDB_val key, data;

    check(mdb_env_create(&s.env), "mdb_env_create");
    check(mdb_env_set_maxdbs(s.env, 16), "mdb_env_set_maxdbs");
    check(mdb_env_open(s.env, directory, MDB_RDONLY | MDB_NOTLS, 0600), directory);
    check(mdb_txn_begin(s.env, NULL, MDB_RDONLY, &s.txn), "mdb_txn_begin");
    check(mdb_dbi_open(s.txn, "records", MDB_INTEGERKEY, &s.records), "records");
    check(mdb_stat(s.txn, s.records, &stat), "mdb_stat");
    s.keys = malloc((stat.ms_entries + 1) * sizeof *s.keys);
    check(mdb_cursor_open(s.txn, s.records, &cursor), "mdb_cursor_open");
    while (s.count < stat.ms_entries && mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0)
        memcpy(&s.keys[s.count++], key.mv_data, sizeof *s.keys);
    mdb_cursor_close(cursor);
    check(mdb_txn_commit(s.txn), "mdb_txn_commit");
    check(mdb_txn_begin(s.env, NULL, MDB_RDONLY, &s.txn), "mdb_txn_begin");
    mdb_txn_reset(s.txn);
    return s;
}

static void get(const struct store *s, uint64_t key)
{
    MDB_val k = {sizeof key, &key}, v;

    check(mdb_txn_renew(s->txn), "mdb_txn_renew");
    check(mdb_get(s->txn, s->records, &k, &v), "mdb_get");
    mdb_txn_reset(s->txn);
}

/* One round of the task that the table serves. */
static void measure_table(struct bench_series series[2])
{
    double out[8], start = bench_now();

    for (unsigned i = 0; i < BATCH; i++)
        plain(0, 0.5, out);
    bench_add(&series[0], start, BATCH);
    start = bench_now();
    for (unsigned i = 0; i < BATCH; i++)
        task(0, 0.5, out);
    bench_add(&series[1], start, BATCH);
}

/* One round: plain calls, hits, liblmdb's look-ups. `order` NULL: the same key each time. */
static void measure_stored(struct bench_series series[3], const struct store *s,
                           const unsigned *order, unsigned first, unsigned count)
{
    double out[8], start = bench_now();
    int a = 0;

    for (unsigned i = 0; i < BATCH; i++) {
        a = order != NULL ? (int)order[(first + i) % count] : 0;
        plain_stored(&a, 0.5, out);
    }
    bench_add(&series[0], start, BATCH);
    start = bench_now();
    for (unsigned i = 0; i < BATCH; i++) {
        a = order != NULL ? (int)order[(first + i) % count] : 0;
        stored(&a, 0.5, out);
    }
    bench_add(&series[1], start, BATCH);
    start = bench_now();
    for (unsigned i = 0; i < BATCH; i++)
        get(s, s->keys[order != NULL ? order[(first + i) % count] : 0]);
    bench_add(&series[2], start, BATCH);
}

static void measure(unsigned count, const char *directory)
{
    static struct bench_series table[2] = {{"table_plain"}, {"table_hit"}},
                               same[3] = {{"same_plain"}, {"same_hit"}, {"same_lmdb"}},
                               random[3] = {{"random_plain"}, {"random_hit"}, {"random_lmdb"}};
    struct store s = open_store(directory);
    unsigned *order = shuffled(count);
    double out[8];

    bench_expect("records in the store", s.count, count + 1);
    for (int i = 0; i < (int)count; i++)
        stored(&i, 0.5, out);
    bench_expect("before measuring", bodies, 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        measure_table(table);
    for (unsigned i = 0; i < ROUNDS; i++)
        measure_stored(same, &s, NULL, 0, count);
    for (unsigned i = 0; i < ROUNDS; i++)
        measure_stored(random, &s, order, i * BATCH, count);
    bench_expect("while measuring", bodies, 3ul * ROUNDS * BATCH);
    for (int i = 0; i < 2; i++)
        bench_print(&table[i]);
    for (int i = 0; i < 3; i++) {
        bench_print(&same[i]);
        bench_print(&random[i]);
    }
}

/* On a busy machine the service may not answer in time, and results are dropped: again. */
static void fill(unsigned count)
{
    double out[8];

    for (int i = 0; i < 20; i++) {
        unsigned long before = bodies;
        task(0, 0.5, out);
        for (int k = 0; k < (int)count; k++)
            stored(&k, 0.5, out);
        if (bodies == before)
            return;
    }
}

int main(int argc, char **argv)
{
    unsigned count = argc > 2 ? bench_number(argv[2]) : 0;

    if (argc == 4 && strcmp(argv[1], "measure") == 0)
        measure(count, argv[3]);
    else if (argc == 3 && strcmp(argv[1], "fill") == 0)
        fill(count);
    else
        return 2;
    return 0;
}
