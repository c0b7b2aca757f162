/*
 * The protocol of cache/lmdb_read.h under load: one process writes a store with liblmdb as the
 * service does (NOSYNC, two pins, floor and ceiling in a shared page), others read it through
 * tc_lmdb_* alone from mappings without a descriptor. A read that passes the floor and is wrong all
 * the same is torn. Exit 1 when there was one, or when a process crashed.
 *
 *   churn_readers [--readers=N] [--long] [--unprotected] [SECONDS [PIN_MS]]
 *
 * --unprotected takes pins and floor away: then it must find torn reads, and still no crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/lmdb_read.h"
#include "tests/churn/churn_values.h"

enum {
    KEYS = 3000, /* the even ones are always there */
    READERS_MAX = 64,
    WALK_EVERY = 4000, /* reads */
    STOP_EVERY_MS = 700,
};

#define MAP_BYTES ((size_t)2 << 30)

struct shared {
    _Atomic uint64_t ceiling, floor;
    atomic_bool stop;
    _Atomic uint64_t commits;
    _Atomic uint64_t reads, hits, walks, torn, discarded, stopped, unsteady, remaps;
};

static struct shared *shared;
static char directory[256], data_path[300];
static unsigned seconds = 3, pin_ms = 200, reader_count = 3;
static bool unprotected;

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "churn_readers: %s: %s\n", what, mdb_strerror(rc));
    exit(2);
}

/* The writer */

struct writer {
    MDB_env *env;
    MDB_dbi records;
    MDB_txn *older, *younger;
    uint64_t version, dice;
};

static void open_store(struct writer *w)
{
    MDB_txn *txn;

    must(mdb_env_create(&w->env), "create");
    must(mdb_env_set_maxdbs(w->env, 4), "set_maxdbs");
    must(mdb_env_set_mapsize(w->env, MAP_BYTES), "set_mapsize");
    must(mdb_env_open(w->env, directory, MDB_NOSYNC | MDB_NOTLS, 0600), "open");
    must(mdb_txn_begin(w->env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, "records", MDB_CREATE | MDB_INTEGERKEY, &w->records), "dbi_open");
    for (uint64_t number = 0; number < KEYS; number++) {
        uint64_t name = churn_mix(number);
        MDB_val key = {sizeof(name), &name}, value = {churn_value_bytes(name, 0), NULL};
        must(mdb_put(txn, w->records, &key, &value, MDB_RESERVE), "put");
        churn_value_write(value.mv_data, value.mv_size, name, 0);
    }
    uint64_t txnid = mdb_txn_id(txn);
    must(mdb_txn_commit(txn), "commit");
    must(mdb_txn_begin(w->env, NULL, MDB_RDONLY, &w->older), "pin");
    must(mdb_txn_begin(w->env, NULL, MDB_RDONLY, &w->younger), "pin");
    shared->floor = txnid;
    shared->ceiling = txnid;
    if (unprotected) {
        mdb_txn_reset(w->older);
        mdb_txn_reset(w->younger);
    }
}

static void rotate_pins(struct writer *w)
{
    MDB_txn *released = w->older;

    if (unprotected)
        return;
    shared->floor = mdb_txn_id(w->younger);
    mdb_txn_reset(released);
    must(mdb_txn_renew(released), "renew");
    w->older = w->younger;
    w->younger = released;
}

static int change_one(struct writer *w, MDB_txn *txn)
{
    uint64_t number = (w->dice = churn_mix(w->dice)) % KEYS;
    uint64_t name = churn_mix(number);
    MDB_val key = {sizeof(name), &name}, value;

    if (number % 2 && w->dice >> 60 < 4) {
        int rc = mdb_del(txn, w->records, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    value.mv_size = churn_value_bytes(name, ++w->version);
    int rc = mdb_put(txn, w->records, &key, &value, MDB_RESERVE);
    if (rc == 0)
        churn_value_write(value.mv_data, value.mv_size, name, w->version);
    return rc;
}

static int write_some(struct writer *w)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(w->env, NULL, 0, &txn);

    must(rc, "begin");
    uint64_t txnid = mdb_txn_id(txn);
    for (unsigned n = 1 + (unsigned)(w->dice >> 32) % 20; n > 0 && rc == 0; n--)
        rc = change_one(w, txn);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0) {
        shared->ceiling = txnid;
        shared->commits++;
    }
    return rc;
}

static void write_until_stop(struct writer *w)
{
    uint64_t rotate_at = now_ms() + pin_ms;

    while (!shared->stop) {
        int rc = write_some(w);
        if (rc == MDB_MAP_FULL && !unprotected) {
            rotate_pins(w); /* early: costs slow readers their result, nothing else */
            rotate_pins(w);
        } else {
            must(rc, "write");
        }
        if (now_ms() >= rotate_at) {
            rotate_pins(w);
            rotate_at = now_ms() + pin_ms;
        }
    }
}

/* The readers */

struct reader {
    struct tc_lmdb db;
    unsigned char *copy;
    uint64_t dice, stop_at_ms;
    bool stops; /* in the middle of a copy, on purpose, for longer than the pins hold */
};

static void map_store(struct reader *r)
{
    struct stat st;
    int fd = open(data_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        must(errno, data_path);
    if (r->db.map)
        munmap((void *)r->db.map, r->db.bytes);
    r->db.bytes = (size_t)st.st_size;
    r->db.map = mmap(NULL, r->db.bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (r->db.map == MAP_FAILED)
        must(errno, "mmap");
    close(fd);
    shared->remaps++;
}

static int take_snapshot(const struct reader *r, struct tc_lmdb_snapshot *ret)
{
    for (;;) {
        uint64_t ceiling = atomic_load_explicit(&shared->ceiling, memory_order_acquire);
        int rc = tc_lmdb_snapshot(&r->db, ceiling, ret);
        if (atomic_load_explicit(&shared->ceiling, memory_order_relaxed) == ceiling)
            return rc;
        shared->unsteady++;
    }
}

/* True when all pages of the snapshot were protected up to now. */
static bool was_protected(const struct tc_lmdb_snapshot *s)
{
    atomic_thread_fence(memory_order_acquire);
    return unprotected || atomic_load_explicit(&shared->floor, memory_order_relaxed) <= s->txnid;
}

static void copy_slowly(struct reader *r, const unsigned char *data, size_t bytes)
{
    memcpy(r->copy, data, bytes / 2);
    if (r->stops && now_ms() >= r->stop_at_ms) {
        shared->stopped++;
        sleep_ms(3 * pin_ms);
        r->stop_at_ms = now_ms() + STOP_EVERY_MS;
    } else if (unprotected) {
        sleep_ms(20); /* long enough for its pages to be used again */
    }
    memcpy(r->copy + bytes / 2, data + bytes / 2, bytes - bytes / 2);
}

/* One look-up with a copy. -ENOENT, or 0 and *ret_bytes of r->copy; else what went wrong. */
static int read_one(struct reader *r, const struct tc_lmdb_snapshot *s, uint64_t name,
                    size_t *ret_bytes)
{
    struct tc_lmdb_table t;
    const void *data;
    size_t bytes;
    int rc = tc_lmdb_table(&r->db, s, "records", 7, &t);

    if (rc < 0)
        return rc == -ENOENT ? -EBADMSG : rc; /* the table is always there */
    rc = tc_lmdb_get(&r->db, s, &t, name, &data, &bytes);
    if (rc < 0)
        return rc;
    if (bytes > CHURN_VALUE_MAX)
        return -EBADMSG;
    copy_slowly(r, data, bytes);
    *ret_bytes = bytes;
    return 0;
}

static int walk_all(struct reader *r, const struct tc_lmdb_snapshot *s)
{
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;
    struct tc_lmdb_table t;
    uint64_t name, entries = 0;
    int rc = tc_lmdb_table(&r->db, s, "records", 7, &t);

    if (rc == 0)
        rc = tc_lmdb_first(&r->db, s, &t, &cursor, &entry);
    for (; rc == 0; rc = tc_lmdb_next(&cursor, &entry)) {
        if (entry.key_bytes != sizeof(name))
            return -EBADMSG;
        memcpy(&name, entry.key, sizeof(name));
        if (!churn_value_is_whole(entry.data, entry.bytes, name))
            return -EBADMSG;
        entries++;
    }
    if (rc != -ENOENT)
        return rc;
    return entries == t.entries && entries >= KEYS / 2 ? 0 : -EBADMSG;
}

/* Looks one record up, or walks over all; again when it was too slow or the file has grown. */
static void read_something(struct reader *r, bool walk)
{
    uint64_t number = (r->dice = churn_mix(r->dice)) % KEYS;
    uint64_t name = churn_mix(number);
    struct tc_lmdb_snapshot s = {.txnid =
                                     UINT64_MAX}; /* no snapshot under a steady ceiling: torn */
    size_t bytes = 0;

    while (!shared->stop) {
        size_t mapped = r->db.bytes;
        int rc = take_snapshot(r, &s);
        if (rc == 0)
            rc = walk ? walk_all(r, &s) : read_one(r, &s, name, &bytes);
        if (rc == -ESTALE) {
            map_store(r);
            if (r->db.bytes > mapped)
                continue;
        }
        if (!was_protected(&s)) {
            shared->discarded++;
            continue;
        }
        bool whole = walk      ? rc == 0
                     : rc == 0 ? churn_value_is_whole(r->copy, bytes, name)
                               : rc == -ENOENT && number % 2;
        shared->torn += !whole;
        shared->hits += rc == 0 && !walk;
        shared->walks += walk;
        shared->reads++;
        return;
    }
}

static void read_until_stop(unsigned index)
{
    struct reader r = {.dice = index + 1, .stops = index == 0, .copy = malloc(CHURN_VALUE_MAX)};

    if (!r.copy)
        must(ENOMEM, "malloc");
    r.stop_at_ms = now_ms() + STOP_EVERY_MS;
    map_store(&r);
    must(tc_lmdb_check(&r.db) == 0 ? 0 : EINVAL, "check");
    for (uint64_t n = 1; !shared->stop; n++)
        read_something(&r, n % WALK_EVERY == 0);
    exit(0);
}

/* The whole */

static pid_t start(void (*body)(unsigned), unsigned argument)
{
    pid_t pid = fork();

    if (pid < 0)
        must(errno, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body(argument);
        exit(0);
    }
    return pid;
}

static void run_writer(unsigned unused)
{
    struct writer w = {.dice = 1};

    (void)unused;
    open_store(&w);
    write_until_stop(&w);
    mdb_txn_abort(w.older);
    mdb_txn_abort(w.younger);
    mdb_env_close(w.env);
}

static unsigned wait_all(const pid_t *pids, unsigned count)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < count; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) < 0 || status != 0) {
            failed++;
            fprintf(stderr, "churn_readers: %s: wait status 0x%x\n", i ? "reader" : "writer",
                    (unsigned)status);
        }
    }
    return failed;
}

static int report(unsigned crashed)
{
    struct stat st = {0};

    (void)stat(data_path, &st);
    printf("reads %llu (hits %llu, walks %llu)  torn %llu  discarded %llu  crashes %u\n",
           (unsigned long long)shared->reads, (unsigned long long)shared->hits,
           (unsigned long long)shared->walks, (unsigned long long)shared->torn,
           (unsigned long long)shared->discarded, crashed);
    printf("commits %llu  readers stopped on purpose %llu  ceiling moved %llu  maps %llu  "
           "file %llu MiB\n",
           (unsigned long long)shared->commits, (unsigned long long)shared->stopped,
           (unsigned long long)shared->unsteady, (unsigned long long)shared->remaps,
           (unsigned long long)st.st_size >> 20);
    if (shared->hits == 0)
        fprintf(stderr, "churn_readers: nothing was read\n");
    return shared->torn > 0 || crashed > 0 || shared->hits == 0;
}

static void usage(void)
{
    fprintf(stderr, "usage: churn_readers [--readers=N] [--long] [--unprotected] "
                    "[SECONDS [PIN_MS]]\n");
    exit(2);
}

static unsigned number_of(const char *text, unsigned max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*end || n == 0 || n > max)
        usage();
    return (unsigned)n;
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {{"readers", required_argument, NULL, 'r'},
                                            {"long", no_argument, NULL, 'l'},
                                            {"unprotected", no_argument, NULL, 'u'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'r')
            reader_count = number_of(optarg, READERS_MAX);
        else if (c == 'l')
            seconds = 60;
        else if (c == 'u')
            unprotected = true;
        else
            usage();
    }
    if (optind < argc)
        seconds = number_of(argv[optind++], 86400);
    if (optind < argc)
        pin_ms = number_of(argv[optind++], 60000);
    if (optind < argc)
        usage();
}

static void make_directory(void)
{
    const char *parent = getenv("TMPDIR");

    snprintf(directory, sizeof(directory), "%s/tc-churn-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory))
        must(errno, directory);
    snprintf(data_path, sizeof(data_path), "%s/data.mdb", directory);
}

static void remove_directory(void)
{
    char path[300];

    unlink(data_path);
    snprintf(path, sizeof(path), "%s/lock.mdb", directory);
    unlink(path);
    rmdir(directory);
}

int main(int argc, char **argv)
{
    pid_t pids[1 + READERS_MAX];

    parse(argc, argv);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        must(errno, "mmap");
    make_directory();
    pids[0] = start(run_writer, 0);
    for (int tries = 0; shared->ceiling == 0 && tries < 1000; tries++)
        sleep_ms(10);
    for (unsigned i = 0; i < reader_count; i++)
        pids[1 + i] = start(read_until_stop, i);
    sleep_ms((uint64_t)seconds * 1000);
    shared->stop = true;
    unsigned crashed = wait_all(pids, 1 + reader_count);
    int status = report(crashed);
    remove_directory();
    return status;
}
