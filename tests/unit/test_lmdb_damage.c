/*
 * cache/lmdb_read on damaged files: whatever the bytes, it reads inside them only and returns. Each
 * damaged file is read twice: in malloc'ed memory of its size (for AddressSanitizer), and with its
 * end at an inaccessible page. A hang ends in SIGALRM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/lmdb_read.h"
#include "tests/unit/lmdb_fixture.h"

enum {
    DISTINCT = 500,
    PAGE = 4096,
    HANG_S = 120,
};

static struct tc_lmdb sound;
static unsigned char *guarded; /* sound.bytes of memory before an inaccessible page */
static volatile unsigned char sink;

static const int allowed[] = {0,        -ENOENT,          -EAGAIN,  -ESTALE,
                              -EBADMSG, -EPROTONOSUPPORT, -ENOTSUP, -EINVAL};

static int known(int r)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
        if (allowed[i] == r)
            return r;
    }
    fail_msg("unexpected result %d", r);
    return r;
}

static void touch(const struct tc_lmdb *db, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    assert_true(p >= db->map && bytes <= db->bytes && (size_t)(p - db->map) <= db->bytes - bytes);
    if (bytes > 0)
        sink = p[0] ^ p[bytes - 1];
}

static void look_up_all(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                        const struct tc_lmdb_table *t)
{
    unsigned char key[64];
    const void *data;
    size_t bytes;

    for (unsigned number = 0; number < DISTINCT; number += 7) {
        if (known(tc_lmdb_get(db, s, t, int_key(number), &data, &bytes)) == 0)
            touch(db, data, bytes);
        size_t key_bytes = byte_key(number, key);
        if (known(tc_lmdb_get_bytes(db, s, t, key, key_bytes, &data, &bytes)) == 0)
            touch(db, data, bytes);
    }
}

/* Errors don't end a walk; the bound is one visit per page, and a page's nodes. */
static uint64_t walk(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                     const struct tc_lmdb_table *t)
{
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;
    uint64_t steps = 0;

    for (int r = tc_lmdb_first(db, s, t, &cursor, &entry); known(r) != -ENOENT;
         r = tc_lmdb_next(&cursor, &entry)) {
        if (r == 0) {
            touch(db, entry.key, entry.key_bytes);
            touch(db, entry.data, entry.bytes);
        }
        assert_true(++steps <= db->bytes);
    }
    return steps;
}

static void read_everything(const struct tc_lmdb *db)
{
    static const uint64_t ceilings[] = {0, 3, 5, UINT64_MAX};
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;

    known(tc_lmdb_check(db));
    for (size_t i = 0; i < sizeof(ceilings) / sizeof(*ceilings); i++) {
        if (known(tc_lmdb_snapshot(db, ceilings[i], &s)) < 0)
            continue;
        if (known(tc_lmdb_table(db, &s, "ints", 4, &t)) == 0) {
            look_up_all(db, &s, &t);
            walk(db, &s, &t);
        }
        if (known(tc_lmdb_table(db, &s, "bytes", 5, &t)) == 0) {
            look_up_all(db, &s, &t);
            walk(db, &s, &t);
        }
        t = (struct tc_lmdb_table){.root = s.main_root, .depth = s.main_depth};
        look_up_all(db, &s, &t);
        walk(db, &s, &t);
    }
}

static void read_damaged(const unsigned char *bytes, size_t size)
{
    unsigned char *exact = malloc(size ? size : 1);
    struct tc_lmdb db = {exact, size};

    assert_non_null(exact);
    memcpy(exact, bytes, size);
    read_everything(&db);
    free(exact);

    db.map = guarded + sound.bytes - size;
    memcpy(guarded + sound.bytes - size, bytes, size);
    read_everything(&db);
}

static void poke(unsigned char *bytes, size_t size, size_t at, uint64_t value, size_t width)
{
    if (at + width <= size)
        memcpy(bytes + at, &value, width);
}

static uint64_t lie(struct random *r)
{
    static const uint64_t lies[] = {
        0,         1,     2,     7,          8,        15,         16,
        17,        4088,  4094,  4095,       4096,     4097,       32767,
        32768,     65535, 65536, 0x7fffffff, 1u << 31, UINT32_MAX, UINT64_C(1) << 47,
        UINT64_MAX};
    size_t count = sizeof(lies) / sizeof(*lies);
    uint64_t n = random_below(r, count + 2);

    return n < count ? lies[n] : n == count ? random_next(r) : random_below(r, 300);
}

static void damage_anywhere(unsigned char *bytes, struct random *r)
{
    for (uint64_t n = 1 + random_below(r, 12); n > 0; n--) {
        size_t at = random_below(r, sound.bytes);

        if (random_below(r, 2))
            bytes[at] ^= (unsigned char)(1u << random_below(r, 8));
        else
            poke(bytes, sound.bytes, at & ~(size_t)1, lie(r), 2u << random_below(r, 3));
    }
}

/* Fields of metas, page headers, offsets and nodes, most of which a read comes by. */
static void damage_fields(unsigned char *bytes, struct random *r)
{
    static const unsigned char meta_fields[] = {0, 4, 24, 72, 76, 78, 104, 112, 120, 128};
    size_t page = random_below(r, sound.bytes / PAGE) * PAGE;
    uint16_t lower, node;

    memcpy(&lower, bytes + page + 12, 2);
    unsigned count = lower > 16 && lower < PAGE ? (lower - 16u) / 2 : 1;
    size_t slot = page + 16 + 2 * random_below(r, count);
    memcpy(&node, bytes + slot, 2);
    switch (random_below(r, 5)) {
    case 0:
        page = random_below(r, 2) * PAGE + 16 + meta_fields[random_below(r, sizeof(meta_fields))];
        poke(bytes, sound.bytes, page, lie(r), 2u << random_below(r, 3));
        break;
    case 1:
        poke(bytes, sound.bytes, page + 2 * random_below(r, 8), lie(r), 2);
        break;
    case 2:
        poke(bytes, sound.bytes, slot, lie(r), 2);
        break;
    default:
        poke(bytes, sound.bytes, page + node + 2 * random_below(r, 8), lie(r),
             2u << random_below(r, 3));
    }
}

/* One page in another's place: sound by itself, wrong where it is. */
static void damage_order(unsigned char *bytes, struct random *r)
{
    uint64_t pages = sound.bytes / PAGE;
    uint64_t from = random_below(r, pages), to = random_below(r, pages);

    memcpy(bytes + to * PAGE, sound.map + from * PAGE, PAGE);
    if (random_below(r, 2))
        memcpy(bytes + to * PAGE, &to, sizeof(to));
}

static void survives(void (*damage)(unsigned char *bytes, struct random *r), uint64_t seed,
                     unsigned rounds)
{
    struct random r = {seed};
    unsigned char *bytes = malloc(sound.bytes);

    assert_non_null(bytes);
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(bytes, sound.map, sound.bytes);
        for (uint64_t n = 1 + random_below(&r, 4); n > 0; n--)
            damage(bytes, &r);
        read_damaged(bytes, sound.bytes);
    }
    free(bytes);
}

static void survives_random_damage(void **state)
{
    (void)state;
    survives(damage_anywhere, 11, 1000);
}

static void survives_lying_fields(void **state)
{
    (void)state;
    survives(damage_fields, 12, 2500);
}

static void survives_misplaced_pages(void **state)
{
    (void)state;
    survives(damage_order, 13, 800);
}

static void survives_truncation(void **state)
{
    struct random r = {14};
    (void)state;

    for (size_t size = 0; size < 200; size++)
        read_damaged(sound.map, size);
    for (int i = 0; i < 300; i++)
        read_damaged(sound.map, random_below(&r, sound.bytes));
    for (size_t size = 0; size < sound.bytes; size += PAGE)
        read_damaged(sound.map, size);
}

static void survives_garbage_behind_sound_metas(void **state)
{
    struct random r = {15};
    unsigned char *bytes = malloc(sound.bytes);
    (void)state;

    assert_non_null(bytes);
    for (int round = 0; round < 100; round++) {
        memcpy(bytes, sound.map, sound.bytes);
        for (size_t at = round & 1 ? 2 * PAGE : 0; at + 8 <= sound.bytes; at += 8)
            poke(bytes, sound.bytes, at, random_next(&r), 8);
        read_damaged(bytes, sound.bytes);
    }
    free(bytes);
}

static void trees_in_circles_end(void **state)
{
    struct tc_lmdb db = {malloc(sound.bytes), sound.bytes};
    unsigned char *bytes = (unsigned char *)db.map;
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;
    const void *data;
    size_t size;
    uint16_t lower, node;
    (void)state;

    memcpy(bytes, sound.map, sound.bytes);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_int_equal(tc_lmdb_table(&db, &s, "ints", 4, &t), 0);
    unsigned char *root = bytes + t.root * PAGE;
    memcpy(&lower, root + 12, 2);
    for (unsigned slot = 16; slot < lower; slot += 2) { /* every child is the root itself */
        memcpy(&node, root + slot, 2);
        memcpy(root + node, &t.root, 6);
    }
    for (t.depth = 2; t.depth <= TC_LMDB_DEPTH_MAX; t.depth++) {
        assert_int_equal(tc_lmdb_get(&db, &s, &t, int_key(9), &data, &size), -EBADMSG);
        assert_true(walk(&db, &s, &t) <= db.bytes / PAGE);
    }
    assert_int_equal(tc_lmdb_get(&db, &s, &t, 9, &data, &size), -EBADMSG);
    t.depth = UINT16_MAX;
    assert_int_equal(tc_lmdb_get(&db, &s, &t, 9, &data, &size), -EBADMSG);
    walk(&db, &s, &t);
    t.depth = 0;
    assert_int_equal(tc_lmdb_get(&db, &s, &t, 9, &data, &size), -EBADMSG);
    free(bytes);
}

static void a_walk_goes_on_behind_a_damaged_page(void **state)
{
    struct tc_lmdb db = {malloc(sound.bytes), sound.bytes};
    unsigned char *bytes = (unsigned char *)db.map;
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;
    uint16_t node;
    uint64_t child = 0;
    (void)state;

    memcpy(bytes, sound.map, sound.bytes);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_int_equal(tc_lmdb_table(&db, &s, "ints", 4, &t), 0);
    assert_int_equal(t.depth, 2);
    assert_int_equal(walk(&db, &s, &t), t.entries);
    memcpy(&node, bytes + t.root * PAGE + 16 + 2, 2);
    memcpy(&child, bytes + t.root * PAGE + node, 6);
    bytes[child * PAGE + 10] = 0;
    uint64_t steps = walk(&db, &s, &t);
    assert_true(steps < t.entries && steps > t.entries / 2);
    free(bytes);
}

/* A page as the last of its file, where whatever leaves the page leaves the file. */
static void survives_lies_in_the_last_page(void **state)
{
    struct random r = {17};
    struct tc_lmdb db = {malloc(sound.bytes + PAGE), sound.bytes + PAGE};
    unsigned char *last = (unsigned char *)db.map + sound.bytes;
    uint64_t pgno = sound.bytes / PAGE;
    struct tc_lmdb_snapshot s;
    (void)state;

    memcpy((void *)db.map, sound.map, sound.bytes);
    for (unsigned i = 0; i < 20000; i++) {
        memcpy(last, sound.map + i % pgno * PAGE, PAGE);
        memcpy(last, &pgno, sizeof(pgno));
        for (unsigned slot = 16 + 2 * (unsigned)random_below(&r, 3); slot < 200; slot += 10)
            poke(last, PAGE, slot, PAGE - random_below(&r, 30), 2);
        for (unsigned n = 0; n < 4; n++)
            poke(last, PAGE, PAGE - 2 * random_below(&r, 20), lie(&r), 2);
        assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
        s.last_page = pgno;
        struct tc_lmdb_table t = {.root = pgno, .depth = 1 + (uint16_t)(i / pgno % 2)};
        look_up_all(&db, &s, &t);
        walk(&db, &s, &t);
        t.flags = TC_LMDB_INTEGER_KEY;
        look_up_all(&db, &s, &t);
    }
    free((void *)db.map);
}

/* An integer key whose value lies in overflow pages of a copy of the sound file. */
struct large {
    struct tc_lmdb db;
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;
    uint64_t key;
    unsigned char *node, *first_page, *root_page;
};

static int get_large(const struct large *l)
{
    const void *data;
    size_t bytes;

    return tc_lmdb_get(&l->db, &l->s, &l->t, l->key, &data, &bytes);
}

static void find_large(struct large *l)
{
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;

    assert_int_equal(tc_lmdb_snapshot(&l->db, UINT64_MAX, &l->s), 0);
    assert_int_equal(tc_lmdb_table(&l->db, &l->s, "ints", 4, &l->t), 0);
    int r = tc_lmdb_first(&l->db, &l->s, &l->t, &cursor, &entry);
    while (r == 0 && entry.bytes < PAGE)
        r = tc_lmdb_next(&cursor, &entry);
    assert_int_equal(r, 0);
    memcpy(&l->key, entry.key, sizeof(l->key));
    l->node = (unsigned char *)entry.key - 8;
    l->first_page = (unsigned char *)entry.data - 16;
    l->root_page = (unsigned char *)l->db.map + l->t.root * PAGE;
    assert_int_equal(get_large(l), 0);
}

static void refuses(const struct large *l, unsigned char *at, uint64_t value, size_t width, int r)
{
    uint64_t truth;

    memcpy(&truth, at, width);
    memcpy(at, &value, width);
    assert_int_equal(get_large(l), r);
    memcpy(at, &truth, width);
    assert_int_equal(get_large(l), 0);
}

static void each_lie_is_refused(void **state)
{
    struct large l = {.db = {malloc(sound.bytes), sound.bytes}};
    (void)state;

    memcpy((void *)l.db.map, sound.map, sound.bytes);
    find_large(&l);
    refuses(&l, l.root_page, l.t.root + 1, 8, -EBADMSG);      /* another page's number */
    refuses(&l, l.root_page + 10, 2, 2, -EBADMSG);            /* another kind */
    refuses(&l, l.root_page + 12, PAGE + 2, 2, -EBADMSG);     /* too many nodes */
    refuses(&l, l.root_page + 12, 16, 2, -EBADMSG);           /* no nodes */
    refuses(&l, l.first_page, 0, 8, -EBADMSG);                /* of the value: number, */
    refuses(&l, l.first_page + 10, 2, 2, -EBADMSG);           /* kind, */
    refuses(&l, l.first_page + 12, 1, 4, -EBADMSG);           /* too few pages, */
    refuses(&l, l.node, UINT32_MAX, 4, -EBADMSG);             /* more bytes than the file */
    refuses(&l, l.node + 6, 16, 2, -EBADMSG);                 /* a key that isn't an integer */
    refuses(&l, l.node + 4, 4, 2, -EBADMSG);                  /* inline, and too large for that */
    refuses(&l, l.node + 16, l.s.last_page + 1, 8, -EBADMSG); /* behind the last page */
    refuses(&l, l.node + 16, l.s.last_page, 8, -EBADMSG);     /* begins in it, ends behind it */
    refuses(&l, l.node + 16, 0, 8, -EBADMSG);                 /* a meta page */
    refuses(&l, (unsigned char *)&l.t.root, l.s.last_page + 1, 8, -EBADMSG);
    refuses(&l, (unsigned char *)&l.t.root, l.s.last_page + 9, 8, -EBADMSG);
    refuses(&l, (unsigned char *)&l.t.root, UINT64_MAX, 8, -ENOENT); /* LMDB's empty table */
    refuses(&l, (unsigned char *)&l.t.depth, 1, 2, -EBADMSG);
    refuses(&l, (unsigned char *)&l.t.depth, TC_LMDB_DEPTH_MAX + 1, 2, -EBADMSG);

    unsigned char *name = memmem(l.db.map + l.s.main_root * PAGE, PAGE, "ints", 4);
    assert_non_null(name);
    name[-8]--; /* the size of the table's description */
    assert_int_equal(tc_lmdb_table(&l.db, &l.s, "ints", 4, &l.t), -EBADMSG);
    unsigned char *second = (unsigned char *)l.db.map + PAGE;
    assert_int_equal(tc_lmdb_check(&l.db), 0);
    second[16] ^= 1;
    assert_int_equal(tc_lmdb_check(&l.db), -EBADMSG);
    poke((unsigned char *)l.db.map, PAGE, 40, 65536, 4);
    assert_int_equal(tc_lmdb_snapshot(&l.db, UINT64_MAX, &l.s), -EBADMSG);
    free((void *)l.db.map);
}

struct scribbler {
    unsigned char *bytes;
    atomic_bool stop;
};

/* Puts lies into fields and the truth back, as fast as it can. */
static void *scribble(void *argument)
{
    struct scribbler *scribbler = argument;
    struct random r = {16};

    while (!scribbler->stop) {
        for (int i = 0; i < 20; i++)
            damage_fields(scribbler->bytes, &r);
        memcpy(scribbler->bytes, sound.map, sound.bytes);
    }
    return NULL;
}

/* What was checked once must not be loaded again: the bytes may have changed in between. */
static void survives_changes_while_it_reads(void **state)
{
    struct scribbler scribbler = {.bytes = malloc(sound.bytes)};
    struct tc_lmdb db = {scribbler.bytes, sound.bytes};
    pthread_t thread;
    (void)state;

    memcpy(scribbler.bytes, sound.map, sound.bytes);
    assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler), 0);
    for (int i = 0; i < 3000; i++)
        read_everything(&db);
    scribbler.stop = true;
    pthread_join(thread, NULL);
    free(scribbler.bytes);
}

static int make_sound_file(void **state)
{
    struct fill fill = {.transactions = 6, .changes = 250, .distinct = DISTINCT, .value_max = 9000};
    struct random r = {10};
    struct store store;
    (void)state;

    alarm(HANG_S);
    store_open(&store);
    store_fill(&store, &r, &fill);
    sound = store_copy(&store);
    store_close(&store);
    guarded =
        mmap(NULL, sound.bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return guarded == MAP_FAILED || sound.bytes % PAGE ||
           mprotect(guarded + sound.bytes, PAGE, PROT_NONE) < 0;
}

static int free_sound_file(void **state)
{
    (void)state;
    free((void *)sound.map);
    return munmap(guarded, sound.bytes + PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_random_damage),
        cmocka_unit_test(survives_lying_fields),
        cmocka_unit_test(survives_misplaced_pages),
        cmocka_unit_test(survives_truncation),
        cmocka_unit_test(survives_garbage_behind_sound_metas),
        cmocka_unit_test(trees_in_circles_end),
        cmocka_unit_test(a_walk_goes_on_behind_a_damaged_page),
        cmocka_unit_test(survives_lies_in_the_last_page),
        cmocka_unit_test(each_lie_is_refused),
        cmocka_unit_test(survives_changes_while_it_reads),
    };
    return cmocka_run_group_tests(tests, make_sound_file, free_sound_file);
}
