"""Rules about floating values decide what is looked up and what is kept."""
from harness import TESTS, contains, equal

PROGRAM = r"""
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}

__attribute__((noinline, noclone)) double simulate(const double *grid, size_t n, int debug)
{
    double sum = 0;

    body("simulate");
    for (size_t i = 0; i < n; i++)
        sum += grid[i];
    return debug ? sum : sum;
}

__attribute__((noinline, noclone)) float halve(float x, const float *limit)
{
    body("halve");
    return x < *limit ? x / 2 : x;
}

int main(void)
{
    const double good[] = {1, 2.5}, bad[] = {1, -2.5}, none[] = {NAN, 1}, zero[] = {-0.0, 0};
    const float limit = 8;

    printf("%.17g %.17g %.17g %.17g\n", simulate(good, 2, 0), simulate(bad, 2, 0),
           simulate(none, 2, 0), simulate(zero, 2, 0));
    printf("%.9g %.9g %.9g\n", halve(3, &limit), halve(0.1f, &limit), halve(9, &limit));
    return 0;
}
"""

CONFIG = """
tasks:
  - symbol: simulate
    prototype: |
      double simulate(const double grid[n], size_t n, int debug)
    cache_policy: INPUTS + TASK_SOURCE - debug
    success: 'return >= 0'
  - symbol: halve
    prototype: |
      float halve(float x, const float limit[1])
    cache_policy: INPUTS
    skip: 'x == 0.1f'
    success: 'return != x && return < *limit'
"""


def test_failed_and_skipped_calls_run_again(t):
    program = t.cc(PROGRAM, "floating")
    config = t.config(CONFIG)
    bare = t.bare([program])
    equal(t.bodies(), 7)
    first = t.run([program], config)
    equal((first.out, first.errors), (bare.out, ""))
    equal(t.bodies(), 7)
    second = t.run([program], config)
    equal((second.out, second.errors), (bare.out, ""))
    equal(t.bodies(), 4, "the sums -1.5 and NaN, the skipped 0.1 and the unhalved 9 run again")


def test_computing_with_a_floating_value_is_refused(t):
    config = t.config(CONFIG.replace("return >= 0", "return + 1 > 0"))
    r = t.run(["true"], config, status=125)
    contains(r.errors, "bad-expression")
    contains(r.errors, "they can only be compared and tested")


HIDDEN = r"""
#include <fenv.h>
#include <immintrin.h>
#include "body.h"
EXPORTED_TASK(long thirds(int n))
{
    volatile double third = 1;

    body_ran("thirds");
    third /= 3;
    return (long)(third * 0x1p62) + n;
}
EXPORTED_TASK(int tiny(const unsigned char in[4], unsigned char *out))
{
    volatile double x = 0x1p-1000;

    body_ran("tiny");
    x *= 0x1p-50;
    *out = (unsigned char)(in[0] + (x != 0));
    return 0;
}

int main(void)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};
    const unsigned char in[4] = {1, 2, 3, 4};
    unsigned char out = 0;

    for (int i = 0; i < 5; i++) {
        fesetround(modes[i]);
        printf("%ld\n", thirds(1));
    }
    for (int i = 0; i < 3; i++) {
        _MM_SET_FLUSH_ZERO_MODE(i == 1 ? _MM_FLUSH_ZERO_ON : _MM_FLUSH_ZERO_OFF);
        tiny(in, &out);
        printf("%d\n", out);
    }
    return 0;
}
"""


def test_a_rounding_mode_counts_where_no_type_shows_it(t):
    p = t.cc(HIDDEN, "hidden", ("-O1", "-frounding-math", f"-I{TESTS}/programs", "-lm"))
    config = t.config("""
defaults: { cache_policy: INPUTS + TASK_SOURCE }
tasks:
  - symbol: thirds
    prototype: |
      long thirds(int n)
  - symbol: tiny
    prototype: |
      int tiny(const unsigned char in[4], out unsigned char *out)
""")
    bare = t.bare([p])
    t.bodies()
    for bodies in (6, 0):
        equal(t.run([p], config).text, bare.text)
        equal(t.bodies(), bodies)
