#include "tests/unit/lmdb_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(what)                                                    \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                   \
        }                                                              \
    } while (0)

/* splitmix64 */
uint64_t random_next(struct random *r)
{
    uint64_t x = r->state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t random_below(struct random *r, uint64_t limit)
{
    return limit ? random_next(r) % limit : 0;
}

void store_open(struct store *s)
{
    MDB_txn *txn;

    snprintf(s->dir, sizeof(s->dir), "/tmp/tc-lmdb-XXXXXX");
    CHECK(mkdtemp(s->dir));
    CHECK(mdb_env_create(&s->env) == 0);
    CHECK(mdb_env_set_maxdbs(s->env, 300) == 0);
    CHECK(mdb_env_set_mapsize(s->env, (size_t)1 << 30) == 0);
    CHECK(mdb_env_open(s->env, s->dir, MDB_NOSYNC | MDB_NOTLS, 0600) == 0);
    CHECK(mdb_txn_begin(s->env, NULL, 0, &txn) == 0);
    CHECK(mdb_dbi_open(txn, "ints", MDB_CREATE | MDB_INTEGERKEY, &s->ints) == 0);
    CHECK(mdb_dbi_open(txn, "bytes", MDB_CREATE, &s->bytes) == 0);
    CHECK(mdb_txn_commit(txn) == 0);
}

void store_close(struct store *s)
{
    char path[128];

    mdb_env_close(s->env);
    snprintf(path, sizeof(path), "%s/data.mdb", s->dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/lock.mdb", s->dir);
    unlink(path);
    rmdir(s->dir);
}

uint64_t int_key(unsigned number)
{
    struct random r = {number};

    return number < 4 ? number : number == 4 ? UINT64_MAX : random_next(&r);
}

size_t byte_key(unsigned number, unsigned char *buffer)
{
    struct random r = {number};
    size_t bytes = sizeof(number) + random_below(&r, 50);

    /* Few distinct bytes, so that keys are prefixes of others and share long beginnings. */
    for (size_t i = 0; i < bytes; i++)
        buffer[i] = "aab\xff"[random_below(&r, 4)];
    memcpy(buffer + bytes, &number, sizeof(number));
    if (number < 40) {
        memset(buffer, 'a', number + 1);
        return number + 1;
    }
    return bytes + sizeof(number);
}

static size_t value_bytes(struct random *r, size_t max)
{
    switch (random_below(r, 40)) {
    case 0:
        return 0;
    case 1:
        return random_below(r, max);
    case 2:
        return 4080 * random_below(r, 4) + random_below(r, 32); /* around whole pages */
    case 3:
        return 1900 + random_below(r, 400); /* around the largest that fits a leaf */
    default:
        return random_below(r, 200);
    }
}

static void change(struct store *s, MDB_txn *txn, struct random *r, const struct fill *fill)
{
    unsigned number = (unsigned)random_below(r, fill->distinct);
    bool in_ints = random_below(r, 2);
    unsigned char buffer[64];
    uint64_t integer = int_key(number);
    MDB_val key = {sizeof(integer), &integer}, value;

    if (!in_ints)
        key = (MDB_val){byte_key(number, buffer), buffer};
    if (random_below(r, 4) == 0) {
        int rc = mdb_del(txn, in_ints ? s->ints : s->bytes, &key, NULL);
        CHECK(rc == 0 || rc == MDB_NOTFOUND);
        return;
    }
    value.mv_size = value_bytes(r, fill->value_max);
    CHECK(mdb_put(txn, in_ints ? s->ints : s->bytes, &key, &value, MDB_RESERVE) == 0);
    uint64_t word = random_next(r);
    for (size_t i = 0; i < value.mv_size; i++)
        ((unsigned char *)value.mv_data)[i] =
            (unsigned char)(word >> (i % 8 * 8)) ^ (uint8_t)(i >> 8);
}

void store_fill(struct store *s, struct random *r, const struct fill *fill)
{
    for (unsigned i = 0; i < fill->transactions; i++) {
        MDB_txn *txn;

        CHECK(mdb_txn_begin(s->env, NULL, 0, &txn) == 0);
        for (unsigned j = 0; j < fill->changes; j++)
            change(s, txn, r, fill);
        CHECK(mdb_txn_commit(txn) == 0);
    }
}

struct tc_lmdb store_map(const struct store *s)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/data.mdb", s->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    close(fd);
    return (struct tc_lmdb){map, (size_t)st.st_size};
}

struct tc_lmdb store_copy(const struct store *s)
{
    struct tc_lmdb map = store_map(s);
    unsigned char *copy = malloc(map.bytes);

    CHECK(copy);
    memcpy(copy, map.map, map.bytes);
    munmap((void *)map.map, map.bytes);
    return (struct tc_lmdb){copy, map.bytes};
}
