/* Key material and records: what is written can be read, what differs has another key, what is
 * damaged is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/expr.h"
#include "cache/key.h"
#include "cache/record.h"

#define SEED 0x5eed

struct input {
    const char *name;
    uint8_t tag;
    const void *content;
    size_t bytes;
};

static struct tc_hash_state scratch;

/* The material of a list of components, as a call makes it. */
static size_t make(const struct input *in, size_t n, unsigned char memory[TC_MATERIAL_BYTES],
                   struct tc_key *ret)
{
    struct tc_material m;

    tc_material_init(&m, memory, &scratch, SEED);
    for (size_t i = 0; i < n; i++)
        tc_material_announce(&m, strlen(in[i].name));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(
            tc_material_begin(&m, in[i].name, strlen(in[i].name), in[i].tag, in[i].bytes), 0);
        tc_material_content(&m, in[i].content, in[i].bytes / 2);
        tc_material_content(&m, (const char *)in[i].content + in[i].bytes / 2,
                            in[i].bytes - in[i].bytes / 2);
        assert_int_equal(tc_material_end(&m), 0);
    }
    *ret = tc_material_key(&m);
    return m.bytes;
}

static int same(struct tc_key a, struct tc_key b)
{
    return a.low == b.low && a.high == b.high;
}

static void reads_back_what_was_written(void **state)
{
    const struct input in[] = {{"=task", TC_TAG_BYTES, "0123456789abcdef", 16},
                               {"n", TC_TAG_SCALAR + TC_I32, "\1\0\0\0", 4},
                               {"s", TC_TAG_STRING, "", 0}};
    unsigned char memory[TC_MATERIAL_BYTES];
    struct tc_component c;
    struct tc_key key;
    size_t bytes = make(in, 3, memory, &key), at = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tc_material_next(memory, bytes, &at, &c), 1);
        assert_int_equal(c.head.name_bytes, strlen(in[i].name));
        assert_memory_equal(c.name, in[i].name, c.head.name_bytes);
        assert_int_equal(c.head.tag, in[i].tag);
        assert_int_equal(c.head.form, 0);
        assert_int_equal(c.head.content_bytes, in[i].bytes);
        if (in[i].bytes != 0)
            assert_memory_equal(c.content, in[i].content, in[i].bytes);
    }
    assert_int_equal(tc_material_next(memory, bytes, &at, &c), 0);
}

/* No two lists of inputs have the same bytes: borders between names and contents count. */
static void borders_count(void **state)
{
    const struct input a[] = {{"ab", TC_TAG_STRING, "c", 1}, {"d", TC_TAG_STRING, "e", 1}};
    const struct input b[] = {{"a", TC_TAG_STRING, "bc", 2}, {"d", TC_TAG_STRING, "e", 1}};
    const struct input c[] = {{"ab", TC_TAG_STRING, "cde", 3}};
    const struct input d[] = {{"ab", TC_TAG_ARRAY, "c", 1}, {"d", TC_TAG_STRING, "e", 1}};
    const struct input e[] = {{"ab", TC_TAG_NULL, "", 0}, {"d", TC_TAG_STRING, "e", 1}};
    const struct input f[] = {{"ab", TC_TAG_STRING, "", 0}, {"d", TC_TAG_STRING, "e", 1}};
    unsigned char memory[TC_MATERIAL_BYTES];
    struct tc_key keys[6];

    (void)state;
    make(a, 2, memory, &keys[0]);
    make(b, 2, memory, &keys[1]);
    make(c, 1, memory, &keys[2]);
    make(d, 2, memory, &keys[3]);
    make(e, 2, memory, &keys[4]);
    make(f, 2, memory, &keys[5]);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            assert_false(same(keys[i], keys[k]));
}

static void the_seed_is_part_of_the_key(void **state)
{
    unsigned char memory[TC_MATERIAL_BYTES] = "material";
    struct tc_material a, b;

    (void)state;
    tc_material_init(&a, memory, &scratch, 1);
    tc_material_init(&b, memory, &scratch, 2);
    a.bytes = b.bytes = 8;
    assert_false(same(tc_material_key(&a), tc_material_key(&b)));
}

static void large_contents_become_digests_that_see_every_byte(void **state)
{
    const size_t bytes = 100000;
    char *content = calloc(1, bytes);
    struct input in[] = {{"a", TC_TAG_ARRAY, content, bytes}, {"b", TC_TAG_ARRAY, "small", 5}};
    unsigned char memory[TC_MATERIAL_BYTES];
    struct tc_component c;
    struct tc_key first, now;
    size_t used = make(in, 2, memory, &first), at = 0;

    (void)state;
    assert_int_equal(tc_material_next(memory, used, &at, &c), 1);
    assert_int_equal(c.head.form, 1);
    assert_int_equal(c.head.content_bytes, bytes);
    assert_int_equal(tc_material_next(memory, used, &at, &c), 1);
    assert_int_equal(c.head.form, 0);
    for (size_t i = 0; i < bytes; i += 4099) {
        content[i] ^= 1;
        make(in, 2, memory, &now);
        assert_false(same(first, now));
        content[i] ^= 1;
    }
    free(content);
}

/* At the border between whole and digest nothing is cut off and nothing overflows. */
static void every_length_round_the_limit(void **state)
{
    char content[TC_MATERIAL_BYTES + 64];
    unsigned char *memory = malloc(TC_MATERIAL_BYTES); /* exact, for the sanitizer */
    struct tc_key before = {0, 0}, now;

    (void)state;
    memset(content, 'x', sizeof content);
    for (size_t n = TC_MATERIAL_BYTES - 200; n < sizeof content; n++) {
        const struct input in[] = {{"=task", TC_TAG_BYTES, "0123456789abcdef", 16},
                                   {"first", TC_TAG_STRING, content, n},
                                   {"second", TC_TAG_STRING, content, 40}};
        assert_true(make(in, 3, memory, &now) <= TC_MATERIAL_BYTES);
        assert_false(same(before, now));
        before = now;
    }
    free(memory);
}

static void too_many_names_are_refused(void **state)
{
    unsigned char memory[TC_MATERIAL_BYTES];
    struct tc_material m;
    char name[200];

    (void)state;
    memset(name, 'n', sizeof name);
    tc_material_init(&m, memory, &scratch, SEED);
    for (int i = 0; i < 40; i++)
        tc_material_announce(&m, sizeof name);
    assert_int_equal(tc_material_begin(&m, name, sizeof name, TC_TAG_STRING, 1), -ENOSPC);
}

static void damaged_material_is_refused(void **state)
{
    const struct input in[] = {{"=task", TC_TAG_BYTES, "0123456789abcdef", 16},
                               {"n", TC_TAG_SCALAR + TC_I32, "\1\0\0\0", 4}};
    unsigned char memory[TC_MATERIAL_BYTES];
    struct tc_key key;
    size_t bytes = make(in, 2, memory, &key);

    (void)state;
    for (unsigned seed = 1; seed < 3000; seed++) {
        unsigned char *copy = malloc(bytes);
        struct tc_component c;
        size_t at = 0;
        int n = 0;
        memcpy(copy, memory, bytes);
        copy[(seed * 2654435761u) % bytes] ^= (unsigned char)(1 + seed % 255);
        while (tc_material_next(copy, bytes, &at, &c) == 1 && n < 100)
            n++;
        assert_true(n < 100);
        free(copy);
    }
}

/* A record with one output of `bytes`. */
static unsigned char *record(size_t bytes, size_t *ret_bytes)
{
    struct tc_record h = {.magic = TC_RECORD_MAGIC,
                          .version = TC_RECORD_VERSION,
                          .header_bytes = sizeof h,
                          .key_low = 1,
                          .key_high = 2,
                          .expires_ns = TC_NEVER,
                          .identity_bytes = 3,
                          .material_bytes = 5,
                          .output_count = 1,
                          .output_bytes = bytes};
    struct tc_extent e = {1, bytes, 0, 0};
    size_t total = sizeof h + 3 + 5 + sizeof e + bytes;
    unsigned char *v = malloc(total), *p = v;

    memcpy(p, &h, sizeof h);
    memcpy(p += sizeof h, "f@x", 3);
    memcpy(p += 3, "mater", 5);
    memcpy(p += 5, &e, sizeof e);
    memset(p + sizeof e, 'o', bytes);
    h.checksum = tc_record_checksum(v, total);
    memcpy(v, &h, sizeof h);
    *ret_bytes = total;
    return v;
}

static void a_record_is_decoded(void **state)
{
    size_t bytes;
    unsigned char *v = record(100, &bytes);
    struct tc_record_view view;

    (void)state;
    assert_int_equal(tc_record_decode(v, bytes, &view), 0);
    assert_memory_equal(view.identity, "f@x", 3);
    assert_memory_equal(view.material, "mater", 5);
    assert_int_equal(view.outputs[99], 'o');
    free(v);
}

static void every_flipped_bit_and_every_length_is_seen(void **state)
{
    size_t bytes;
    unsigned char *v = record(40, &bytes);
    struct tc_record_view view;

    (void)state;
    for (size_t i = 0; i < bytes * 8; i++) {
        v[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_true(tc_record_decode(v, bytes, &view) < 0);
        v[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    for (size_t n = 0; n < bytes; n++) {
        unsigned char *cut = malloc(n + 1);
        memcpy(cut, v, n);
        assert_true(tc_record_decode(cut, n, &view) < 0);
        free(cut);
    }
    free(v);
}

/* Right checksums don't make wrong sizes right. */
static void lies_behind_a_right_checksum_are_refused(void **state)
{
    size_t bytes;
    unsigned char *v = record(40, &bytes);
    struct tc_record good, h;
    struct tc_record_view view;

    (void)state;
    memcpy(&good, v, sizeof good);
#define LIE(change)                                         \
    do {                                                    \
        h = good;                                           \
        change;                                             \
        memcpy(v, &h, sizeof h);                            \
        h.checksum = tc_record_checksum(v, bytes);          \
        memcpy(v, &h, sizeof h);                            \
        assert_true(tc_record_decode(v, bytes, &view) < 0); \
    } while (0)
    LIE(h.version++);
    LIE(h.header_bytes--);
    LIE(h.identity_bytes = UINT32_MAX);
    LIE(h.material_bytes = TC_MATERIAL_BYTES + 1);
    LIE(h.output_count = TC_MAX_OUTPUTS + 1);
    LIE(h.output_count = 0);
    LIE(h.output_bytes = UINT64_MAX);
    LIE(h.output_bytes--);
    LIE(h.chunk_count = 1);
#undef LIE
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),
        cmocka_unit_test(borders_count),
        cmocka_unit_test(the_seed_is_part_of_the_key),
        cmocka_unit_test(large_contents_become_digests_that_see_every_byte),
        cmocka_unit_test(every_length_round_the_limit),
        cmocka_unit_test(too_many_names_are_refused),
        cmocka_unit_test(damaged_material_is_refused),
        cmocka_unit_test(a_record_is_decoded),
        cmocka_unit_test(every_flipped_bit_and_every_length_is_seen),
        cmocka_unit_test(lies_behind_a_right_checksum_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
