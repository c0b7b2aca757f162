"""What a function may change but left as it was, is left alone by a replay too: it may lie where nobody can write."""
from harness import equal

PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
struct point { double x, y; unsigned kind : 3, rank : 9; };
static void ran(const char *what)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs(what, log);
    fclose(log);
}
__attribute__((noinline)) double norm(struct point *p)
{
    ran("norm\n");
    if (p->x < 0)
        p->x = -p->x, p->rank++;
    return p->x + p->y + p->rank;
}
__attribute__((noinline)) double sum(double *x, int n)
{
    double s = 0;
    ran("sum\n");
    for (int i = 0; i < n; i++) {
        if (x[i] < 0)
            x[i] = 0;
        s += x[i];
    }
    return s;
}
static const struct point fixed = {3, 4, 5, 6};
static const double numbers[40000] = {1, 2, 3};
static struct point own = {-3, 4, 5, 6};
static double mine[40000] = {1, -2, 3};
int main(void)
{
    printf("%g\n", norm((struct point *)(uintptr_t)&fixed));
    printf("%g\n", norm(&own));
    printf("%g %g %u %u\n", own.x, own.y, own.kind, own.rank);
    printf("%g\n", sum((double *)(uintptr_t)numbers, 3));
    printf("%g\n", sum((double *)(uintptr_t)numbers, 40000));
    printf("%g\n", sum(mine, 40000));
    printf("%g\n", mine[1]);
    return 0;
}
"""
CONFIG = """
types: |
  struct point { double x, y; unsigned kind : 3, rank : 9; };
tasks:
  - symbol: norm
    prototype: |
      double norm(inout struct point *p)
    cache_policy: INPUTS
  - symbol: sum
    prototype: |
      double sum(inout double x[n], int n)
    cache_policy: INPUTS
"""


def test_memory_that_nobody_can_write(t):
    program, config = t.cc(PROGRAM), t.config(CONFIG)
    bare = t.bare([program])
    t.bodies()
    for bodies in (5, 0, 0):
        equal(t.run([program], config).out, bare.out)
        equal(t.bodies(), bodies)
