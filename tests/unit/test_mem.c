/* The copies that the code inside the target calls: every short size, at every alignment, beside a
 * loop. Compiled without built-ins, so that the names below are those of preload/mem.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

enum {
    LONGEST = 1200,
    ROOM = LONGEST + 64,
};

static unsigned char from[ROOM], to[ROOM];

static void fill(unsigned char *p, unsigned seed)
{
    for (unsigned i = 0; i < ROOM; i++)
        p[i] = (unsigned char)(i * 7 + (i >> 8) + seed);
}

/* Sizes around every threshold, all small ones among them. */
static size_t next_size(size_t n)
{
    return n < 300 ? n + 1 : n < 1000 ? n + 37 : n + 1;
}

/* How many bytes of `to` aren't as they should be: `expected(i)` inside [at, at + n), untouched
 * outside. */
static unsigned differences(size_t at, size_t n, const unsigned char *source, int value)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < ROOM; i++) {
        unsigned char old = (unsigned char)(i * 7 + (i >> 8) + 100);
        unsigned char want = i < at || i >= at + n ? old
                             : source != NULL      ? source[i - at]
                                                   : (unsigned char)value;
        wrong += to[i] != want;
    }
    return wrong;
}

static void copies_all_sizes(void **state)
{
    (void)state;
    fill(from, 3);
    for (size_t n = 0; n < LONGEST; n = next_size(n)) {
        for (size_t shift = 0; shift < 17; shift += n < 40 ? 1 : 5) {
            fill(to, 100);
            assert_ptr_equal(memcpy(to + shift, from + 16 - shift, n), to + shift);
            assert_int_equal(differences(shift, n, from + 16 - shift, 0), 0);
        }
    }
}

static void fills_all_sizes(void **state)
{
    (void)state;
    for (size_t n = 0; n < LONGEST; n = next_size(n)) {
        fill(to, 100);
        assert_ptr_equal(memset(to + n % 9, 0x1a5, n), to + n % 9);
        assert_int_equal(differences(n % 9, n, NULL, 0xa5), 0);
    }
}

static void compares_all_sizes(void **state)
{
    (void)state;
    for (size_t n = 1; n < 100; n++) {
        fill(from, 3);
        fill(to, 3);
        assert_int_equal(memcmp(from + 1, to + 1, n), 0);
        from[n + 1] ^= 1; /* behind the end */
        assert_int_equal(memcmp(from + 1, to + 1, n), 0);
        for (size_t i = 0; i < n; i++) {
            fill(from, 3);
            from[i + 1] = 0;
            to[i + 1] = 0x80; /* as unsigned bytes */
            assert_true(memcmp(from + 1, to + 1, n) < 0);
            assert_true(memcmp(to + 1, from + 1, n) > 0);
            fill(to, 3);
        }
    }
}

static void moves_and_measures(void **state)
{
    (void)state;
    fill(to, 100);
    memmove(to + 3, to, 50);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(to[i + 3], (unsigned char)(i * 7 + 100));
    fill(to, 100);
    memmove(to, to + 3, 50);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(to[i], (unsigned char)((i + 3) * 7 + 100));
    assert_int_equal(strlen(""), 0);
    assert_int_equal(strlen("abc"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_all_sizes),
        cmocka_unit_test(fills_all_sizes),
        cmocka_unit_test(compares_all_sizes),
        cmocka_unit_test(moves_and_measures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
