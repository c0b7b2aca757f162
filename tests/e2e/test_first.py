"""A first program replays."""
from harness import contains, equal, lacks

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}

__attribute__((noinline, noclone)) static int local(int a, double x)
{
    body("local");
    return a * 3 + (int)(x * 2);
}

__attribute__((noinline, noclone)) double global(double x, int n)
{
    body("global");
    return x / n;
}

int main(void)
{
    printf("%d %d\n", local(1, 2.5), local(2, 2.5));
    printf("%.17g\n", global(1, 3));
    return 0;
}
"""

CONFIG = """
tasks:
  - symbol: local
    prototype: |
      int local(int a, double x)
    cache_policy: INPUTS + TASK_SOURCE
  - symbol: global
    prototype: |
      double global(double x, int n)
    cache_policy: INPUTS + TASK_SOURCE
"""


def test_a_second_run_executes_nothing(t):
    program = t.cc(PROGRAM, "first")
    config = t.config(CONFIG)
    bare = t.bare([program])
    equal(t.bodies(), 3)
    first = t.run([program], config)
    equal(first.out, bare.out)
    equal(t.bodies(), 3, "the first run executes")
    second = t.run([program], config)
    equal(second.out, bare.out)
    equal(t.bodies(), 0, "the second run replays")
    equal((first.errors, second.errors), ("", ""))
    s = t.stats(config)
    equal((s["hits"], s["misses"]), (3, 3))


def test_preloaded_by_hand_the_service_starts_itself(t):
    program = t.cc(PROGRAM, "first")
    config = t.config(CONFIG)
    bare = t.bare([program])
    t.bodies()
    for expected in (3, 0):
        r = t.preload([program], config)
        equal((r.out, r.err), (bare.out, b""))
        equal(t.bodies(), expected)


def test_a_task_from_the_command_line(t):
    program = t.cc(PROGRAM, "first")
    t.bare([program])
    t.bodies()
    for expected in (3, 2):
        t.run([program], options=["--task", "double global(double x, int n)"])
        equal(t.bodies(), expected)


def test_the_log_tells_inputs_at_debug_only(t):
    program = t.cc(r"""
#include <stdint.h>
#include <stdio.h>
__attribute__((noinline, noclone)) int many(const char *s, const double *x, long n, int8_t small, unsigned char byte, float f, double d, int secret)
{
    return (int)n + small + byte + (int)f + (int)d + s[0] + (int)x[0] + secret;
}
__attribute__((noinline, noclone)) int hidden(int x) { volatile int y = x; return y * 2 + y / 3; }
int main(void)
{
    double x[] = {1, 2};
    char s[] = "some\"text with a length that is more than is shown";
    volatile int v = -5;
    printf("%d\n", many(s, x, 2, (int8_t)v, 200, 0.5f, -2.5, 77));
    printf("%d\n", many("", x, 2, 3, 4, 1e30f, 0, 78));
    printf("%d\n", hidden(4711));
    return 0;
}
""", "inputs")
    config = t.config("""
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: many
    prototype: |
      int many(const char *s, const double x[n], long n, int8_t small, unsigned char byte, float f, double d, ignore int secret)
  - symbol: hidden
    prototype: |
      int hidden(int x)
    private: true
""")
    lacks(t.run([program], config, env={"TASKCACHE_LOG": "info"}).errors, "inputs:")
    for _ in range(2):
        said = t.run([program], config, env={"TASKCACHE_LOG": "debug"}).errors
        contains(said, 'inputs: s="some\"text with a length that is "..., x=const double *, n=2, small=-5, byte=200, f=0x1p-1, d=-0x1.4p+1\n')
        contains(said, 'inputs: s="", x=const double *, n=2, small=3, byte=4, f=0x1.93e594p+99, d=0x0p+0\n')
        lacks(said, "=4711")
        lacks(said, "secret=")


def test_the_log_speaks_as_prefect_does(t):
    program = t.cc(PROGRAM, "first")
    config = t.config(CONFIG)
    first = t.run([program], config, env={"TASKCACHE_LOG": "info"})
    contains(first.errors, "Finished in state Completed()")
    second = t.run([program], config, env={"TASKCACHE_LOG": "info"})
    contains(second.errors, "Finished in state Cached(type=COMPLETED)")
