/* service/remote/blob.c: what comes from a far storage is damaged in every way before it is taken.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/clock.h"
#include "service/remote/blob.h"
#include "tests/unit/store_fixture.h"

static unsigned char *blob_of(const struct draft_spec *spec, size_t *ret_bytes, struct tc_key *key)
{
    unsigned char *blob = draft_make(spec, ret_bytes);

    assert_int_equal(tc_blob_make(blob, *ret_bytes, key), 0);
    return blob;
}

static int check(const void *blob, size_t bytes, struct tc_key key)
{
    struct tc_record_view v;
    const char *why = NULL;
    int r = tc_blob_check(blob, bytes, key, &v, &why);

    assert_non_null(why);
    return r;
}

/* With its checksum made right again. */
static void seal(unsigned char *blob, size_t bytes, const struct tc_record *head)
{
    struct tc_record h = *head;

    h.checksum = 0;
    memcpy(blob, &h, sizeof h);
    h.checksum = tc_record_checksum(blob, bytes);
    memcpy(blob, &h, sizeof h);
}

static void each_byte_and_each_length(void **state)
{
    const struct draft_spec spec = {.key = 7, .output_bytes = 100, .fill = 3};
    struct tc_key key;
    size_t bytes;
    unsigned char *blob = blob_of(&spec, &bytes, &key);

    (void)state;
    assert_int_equal(key.low, 7);
    assert_int_equal(check(blob, bytes, key), 0);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char *part = malloc(i > 0 ? i : 1); /* so that a byte too far is seen */

        memcpy(part, blob, i);
        assert_true(check(part, i, key) < 0);
        free(part);
        for (int bit = 0; bit < 8; bit++) {
            blob[i] ^= (unsigned char)(1 << bit);
            assert_true(check(blob, bytes, key) < 0);
            blob[i] ^= (unsigned char)(1 << bit);
        }
    }
    free(blob);
}

/* Sealed well, but of another kind. */
static void wrong_but_whole(void **state)
{
    const struct draft_spec spec = {.key = 7, .output_bytes = 100, .fill = 3};
    struct tc_record good, h;
    struct tc_key key;
    size_t bytes;
    unsigned char *blob = blob_of(&spec, &bytes, &key);

    (void)state;
    memcpy(&good, blob, sizeof good);
    assert_int_equal(check(blob, bytes, (struct tc_key){key.low, key.high + 1}), -EBADMSG);
    assert_int_equal(check(blob, bytes, (struct tc_key){key.low + 1, key.high}), -EBADMSG);
#define WITH(member, value, result) \
    h = good;                       \
    h.member = (value);             \
    seal(blob, bytes, &h);          \
    assert_int_equal(check(blob, bytes, key), result)
    WITH(expires_ns, tc_wall_ns() - 1, -ESTALE);
    WITH(expires_ns, tc_wall_ns() + 1000000000000, 0);
    WITH(flags, TC_RECORD_HEADER, -EBADMSG);
    WITH(chunk_count, 1, -EBADMSG);
    WITH(version, 99, -EPROTONOSUPPORT);
    WITH(output_bytes, UINT64_MAX, -EBADMSG);
    WITH(output_bytes, good.output_bytes + 1, -EBADMSG);
    WITH(output_bytes, good.output_bytes - 1, -EBADMSG);
    WITH(identity_bytes, UINT32_MAX, -EBADMSG);
    WITH(material_bytes, UINT32_MAX, -EBADMSG);
    WITH(output_count, UINT32_MAX, -EBADMSG);
    WITH(header_bytes, 0, -EPROTONOSUPPORT);
    free(blob);
}

static void drafts(void **state)
{
    const struct draft_spec spec = {.key = 7, .output_bytes = 100, .fill = 3};
    struct tc_key key;
    struct tc_record h;
    size_t bytes;
    unsigned char *draft = draft_make(&spec, &bytes);

    (void)state;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char *part = malloc(i > 0 ? i : 1);

        memcpy(part, draft, i);
        assert_int_equal(tc_blob_make(part, i, &key), -EBADMSG);
        free(part);
    }
    memcpy(&h, draft, sizeof h);
    h.record_id = h.transaction[0] = h.chunk_first = 5;
    memcpy(draft, &h, sizeof h);
    assert_int_equal(tc_blob_make(draft, bytes, &key), 0);
    memcpy(&h, draft, sizeof h);
    assert_int_equal(h.record_id + h.transaction[0] + h.chunk_first, 0); /* one store's alone */
    h.flags |= TC_RECORD_HEADER;
    memcpy(draft, &h, sizeof h);
    assert_int_equal(tc_blob_make(draft, bytes, &key), -EBADMSG);
    free(draft);
}

/* There and back again, inline and in chunks. */
static void through_a_store(void **state)
{
    static const size_t sizes[] = {0, 100, 200000, 300000, TC_CHUNK_BYTES * 2, 5000001};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct draft_spec spec = {.key = 7 + i, .output_bytes = sizes[i], .fill = 3};
        struct tc_failure f;
        struct tc_record_view v;
        struct tc_store *s;
        struct place p;
        struct tc_key key;
        size_t bytes, again;
        unsigned char *blob = blob_of(&spec, &bytes, &key), *out;
        const char *why;

        place_make(&p);
        assert_int_equal(tc_store_open(&p.options, &s, &f), 0);
        assert_int_equal(tc_blob_check(blob, bytes, key, &v, &why), 0);
        assert_int_equal(tc_store_read(s, key, SIZE_MAX, &out, &again), -ENOENT);
        assert_int_equal(tc_blob_store(s, blob, bytes, &v, "fleet"), 0);
        /* Before the commit, and after it. */
        for (int committed = 0; committed < 2; committed++) {
            assert_int_equal(tc_store_read(s, key, bytes - 1, &out, &again), -EFBIG);
            assert_int_equal(
                tc_store_read(s, (struct tc_key){key.low, key.high + 1}, SIZE_MAX, &out, &again),
                -ENOENT);
            assert_int_equal(tc_store_read(s, key, bytes, &out, &again), 0);
            assert_int_equal(again, bytes);
            assert_int_equal(tc_blob_make(out, again, &key), 0);
            assert_memory_equal(out, blob, bytes);
            free(out);
            assert_int_equal(tc_store_commit(s), 0);
        }
        assert_true(has(&p, spec.key, sizes[i], 3));
        tc_store_close(s);
        place_remove(&p);
        free(blob);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_and_each_length),
        cmocka_unit_test(wrong_but_whole),
        cmocka_unit_test(drafts),
        cmocka_unit_test(through_a_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
