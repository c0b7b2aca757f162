/* service/store: stores of other formats, damaged ones, and those that a power cut left behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "tests/unit/store_fixture.h"

static int try_open(struct place *p, struct tc_store **ret, struct tc_failure *f)
{
    *ret = NULL;
    f->text[0] = 0;
    return tc_store_open(&p->options, ret, f);
}

static struct tc_store *open_store(struct place *p)
{
    struct tc_store *s;
    struct tc_failure f;

    if (try_open(p, &s, &f) != 0)
        fail_msg("%s", f.text);
    return s;
}

static void make_with_record(struct place *p)
{
    struct tc_store *s;

    place_make(p);
    s = open_store(p);
    assert_int_equal(put(s, &(struct draft_spec){.key = 3, .output_bytes = 64, .fill = 'r'}), 0);
    assert_int_equal(tc_store_commit(s), 0);
    tc_store_close(s);
}

static unsigned generation(struct tc_store *s)
{
    struct tc_store_numbers n;

    tc_store_numbers(s, &n);
    return n.generation;
}

static int exists(const struct place *p, const char *name)
{
    return faccessat(p->cache_fd, name, F_OK, 0) == 0;
}

/* One value into a table of an LMDB file of its own or of ours. */
static void write_value(const struct place *p, const char *table, const char *key, const void *data,
                        size_t bytes)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {bytes, (void *)(uintptr_t)data};
    char path[128];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    mkdirat(p->cache_fd, "store-1", 0700);
    snprintf(path, sizeof path, "%s/store-1", p->cache);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 1 << 30), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void expect_other_format(struct place *p)
{
    struct tc_store *s;
    struct tc_failure f;
    struct stat before, after;

    assert_int_equal(fstatat(p->cache_fd, "store-1/data.mdb", &before, 0), 0);
    assert_int_equal(try_open(p, &s, &f), -EPROTONOSUPPORT);
    assert_int_equal(f.reason, TC_R_STORE_FORMAT);
    assert_int_equal(fstatat(p->cache_fd, "store-1/data.mdb", &after, 0), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_false(exists(p, "store-2"));
}

static void test_a_store_of_another_format_is_refused_and_not_touched(void **state)
{
    struct place p;

    (void)state;
    place_make(&p);
    write_value(&p, "people", "ada", "1815", 4);
    expect_other_format(&p);
    place_remove(&p);
}

static void test_a_store_of_a_later_version_is_refused_and_not_touched(void **state)
{
    struct place p;

    (void)state;
    make_with_record(&p);
    write_value(&p, "meta", "format", "taskcache-store-2", 17);
    expect_other_format(&p);
    place_remove(&p);
}

/* Opens the cache, whose store-1 is bad, and expects an empty store-2 that works. */
static void expect_set_aside(struct place *p, int same_seed, uint64_t seed)
{
    struct tc_store *s = open_store(p);
    struct tc_shared_page *page = page_map(p);

    assert_int_equal(generation(s), 2);
    assert_true(exists(p, "store-1.damaged/data.mdb"));
    assert_false(exists(p, "store-1"));
    assert_string_equal(page->data_file, "store-2/data.mdb");
    if (same_seed)
        assert_true(page->seed == seed);
    assert_false(has(p, 3, 64, 'r'));
    assert_int_equal(put(s, &(struct draft_spec){.key = 3, .output_bytes = 64, .fill = 'n'}), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(p, 3, 64, 'n'));
    munmap(page, sizeof *page);
    tc_store_close(s);
}

static void test_garbage_is_set_aside(void **state)
{
    static const char garbage[20000] = "not a database";
    struct tc_shared_page *page;
    struct place p;
    uint64_t generation_before;
    int fd;

    (void)state;
    make_with_record(&p);
    page = page_map(&p);
    generation_before = page->generation;
    fd = openat(p.cache_fd, "store-1/data.mdb", O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, garbage, sizeof garbage), sizeof garbage);
    close(fd);
    expect_set_aside(&p, 1, page->seed);
    assert_int_equal(page->generation, generation_before + 2);
    munmap(page, sizeof *page);
    place_remove(&p);
}

static void test_a_store_that_crashed_the_service_is_set_aside(void **state)
{
    struct place p;

    (void)state;
    make_with_record(&p);
    close(openat(p.cache_fd, "store-1/damaged", O_WRONLY | O_CREAT, 0600));
    expect_set_aside(&p, 0, 0);
    place_remove(&p);
}

/* "boot" of service/store/internal.h: an id of 40 bytes and the word that all is on the disk. */
static void reboot(const struct place *p, uint64_t clean)
{
    struct {
        char id[40];
        uint64_t clean;
    } boot = {"00000000-1111-2222-3333-444444444444", clean};

    write_value(p, "meta", "boot", &boot, sizeof boot);
    assert_int_equal(unlink(p->page), 0);
}

static void test_an_unclean_reboot_sets_the_store_aside_and_keeps_the_seed(void **state)
{
    struct tc_shared_page *page;
    struct place p;

    (void)state;
    make_with_record(&p);
    page = page_map(&p);
    reboot(&p, 0);
    expect_set_aside(&p, 1, page->seed);
    munmap(page, sizeof *page);
    place_remove(&p);
}

static void test_a_clean_reboot_loses_nothing(void **state)
{
    struct tc_shared_page *page;
    struct tc_store *s;
    struct place p;

    (void)state;
    make_with_record(&p);
    page = page_map(&p);
    reboot(&p, 1);
    s = open_store(&p);
    assert_int_equal(generation(s), 1);
    assert_true(tc_store_page(s)->seed == page->seed);
    assert_true(has(&p, 3, 64, 'r'));
    tc_store_close(s);
    munmap(page, sizeof *page);
    place_remove(&p);
}

static void test_recovery_begins_another_store_under_the_same_page(void **state)
{
    struct tc_failure f;
    struct tc_store *s;
    struct place p;

    (void)state;
    make_with_record(&p);
    s = open_store(&p);
    assert_int_equal(tc_store_recover(s, &f), 0);
    assert_int_equal(generation(s), 2);
    assert_false(has(&p, 3, 64, 'r'));
    assert_int_equal(put(s, &(struct draft_spec){.key = 4, .output_bytes = 64, .fill = 'z'}), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 4, 64, 'z'));
    /* Of what was set aside, the last one is kept. */
    assert_int_equal(tc_store_recover(s, &f), 0);
    assert_true(exists(&p, "store-2.damaged"));
    assert_false(exists(&p, "store-1.damaged"));
    tc_store_close(s);
    place_remove(&p);
}

static void test_a_page_of_another_cache_is_replaced(void **state)
{
    struct tc_shared_page *page;
    struct tc_store *s;
    struct place p;

    (void)state;
    make_with_record(&p);
    page = page_map(&p);
    page->cache_ino++;
    s = open_store(&p);
    assert_true(tc_store_page(s)->seed == page->seed);
    assert_int_equal(tc_store_page(s)->cache_ino, page->cache_ino - 1);
    assert_true(has(&p, 3, 64, 'r'));
    tc_store_close(s);
    munmap(page, sizeof *page);
    place_remove(&p);
}

static void test_a_page_with_another_seed_is_retired(void **state)
{
    struct tc_shared_page *page;
    struct tc_store *s;
    struct place p;

    (void)state;
    make_with_record(&p);
    page = page_map(&p);
    page->seed ^= 1;
    s = open_store(&p);
    assert_int_equal(page->ready, 0);
    assert_true(has(&p, 3, 64, 'r'));
    tc_store_close(s);
    munmap(page, sizeof *page);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_store_of_another_format_is_refused_and_not_touched),
        cmocka_unit_test(test_a_store_of_a_later_version_is_refused_and_not_touched),
        cmocka_unit_test(test_garbage_is_set_aside),
        cmocka_unit_test(test_a_store_that_crashed_the_service_is_set_aside),
        cmocka_unit_test(test_an_unclean_reboot_sets_the_store_aside_and_keeps_the_seed),
        cmocka_unit_test(test_a_clean_reboot_loses_nothing),
        cmocka_unit_test(test_recovery_begins_another_store_under_the_same_page),
        cmocka_unit_test(test_a_page_of_another_cache_is_replaced),
        cmocka_unit_test(test_a_page_with_another_seed_is_retired),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
