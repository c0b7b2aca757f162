"""Pointers in structs: what they lead to counts as an input, addresses never."""
from harness import contains, equal

PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "types.h"

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}
#define TASK __attribute__((noinline, noclone))

TASK double total(const struct series *s)
{
    double r = 0;
    body("total");
    for (size_t i = 0; s->y != NULL && i < s->n; i++)
        r += s->y[i];
    return r + (s->label != NULL ? s->label[0] : 0);
}

TASK double every(const struct set *sets, int n)
{
    double r = 0;
    body("every");
    for (int i = 0; i < n; i++) {
        for (unsigned k = 0; k < sets[i].count; k++) {
            const struct series *s = &sets[i].all[k];
            for (size_t j = 0; j < s->n; j++)
                r = r * 1.5 + s->y[j];
            r += strlen(s->label);
        }
        for (int k = 0; k < sets[i].tags; k++)
            r += sets[i].tag[k] != NULL ? sets[i].tag[k][0] : 0.25;
        r += sets[i].one.n + sets[i].one.y[0] + (sets[i].origin != NULL ? sets[i].origin->x : 7);
    }
    return r;
}

TASK int by_value(struct small s)
{
    int r = 0;
    body("by_value");
    for (int i = 0; i < s.n; i++)
        r = r * 7 + s.p[i];
    return r;
}

TASK void bump(struct counter *c)
{
    body("bump");
    c->value++;
}

static double *copy(const double *from, size_t n)
{
    double *p = malloc(n * sizeof *p);
    memcpy(p, from, n * sizeof *p);
    return p;
}

int main(void)
{
    static const double numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int round = 0; round < 3; round++) {
        struct series a, b;
        memset(&a, round + 1, sizeof a);
        a.n = 3; a.y = copy(numbers, 3); a.label = strdup("a"); a.scratch = &round;
        b = a; b.n = 5; b.y = copy(numbers + 2, 5); b.label = strdup("bee");
        printf("%g", total(&a));
        printf(" %g", total(&b));
        a.y[2] = 30;
        printf(" %g", total(&a));
        a.label[0] = 'c';
        printf(" %g", total(&a));
        a.n = 0; a.y = NULL;
        printf(" %g", total(&a));
        a.label = NULL;
        printf(" %g", total(&a));
        a.n = 2; a.y = copy(numbers, 2); a.label = strdup("long label");
        printf("\n");
        struct point origin = {'o', 3.5};
        struct set sets[2];
        memset(sets, 7 - round, sizeof sets);
        struct series both[2] = {a, b};
        char *tags[3] = {strdup("x"), NULL, strdup("yy")};
        for (int i = 0; i < 2; i++) {
            sets[i].count = 2u - (unsigned)i; sets[i].all = both; sets[i].tags = 3; sets[i].tag = tags;
            sets[i].one = b; sets[i].origin = i == 0 ? &origin : NULL;
        }
        printf("%.17g", every(sets, 2));
        origin.tag = 'p';
        printf(" %.17g", every(sets, 2));
        tags[2][1] = 'z';
        printf(" %.17g", every(sets, 2));
        both[1].y[4] = 0.5;
        printf(" %.17g\n", every(sets, 2));
        int v[4] = {1, 2, 3, 4};
        struct small s = {3, (int *)memcpy(malloc(sizeof v), v, sizeof v)};
        printf("%d", by_value(s));
        s.p[3] = 9;
        printf(" %d", by_value(s));
        s.p[2] = 9;
        printf(" %d\n", by_value(s));
        struct counter c = {5, &round, 1};
        bump(&c);
        c.value = 5; c.mode = 1;
        bump(&c);
        printf("%d %d\n", c.value, c.owner == &round);
    }
    return 0;
}
"""

# As the program has them, and as the config says it.
HEADER = """
struct point { char tag; double x; };
struct series { size_t n; double *y; char *label; int *scratch; };
struct set { unsigned count; struct series *all; short tags; char **tag; struct series one; struct point *origin; };
struct small { int n; int *p; };
struct counter { int value; int *owner; int mode; };
"""

CONFIG = """
types: |
  struct point { char tag; double x; };
  struct series { size_t n; double y[n]; in char *label; ignore int *scratch; };
  struct set { unsigned count; struct series all[count]; short tags; char *tag[tags];
               struct series one; in struct point *origin; };
  struct small { int n; int (*p)[n]; };
  struct counter { int value; ignore int *owner; int mode; };
defaults:
  cache_policy: INPUTS + TASK_SOURCE
tasks:
  - symbol: total
    prototype: |
      double total(in struct series *s)
  - symbol: every
    prototype: |
      double every(const struct set sets[n], int n)
  - symbol: by_value
    prototype: |
      int by_value(struct small s)
  - symbol: bump
    prototype: |
      void bump(inout struct counter *c)
"""


def test_what_pointers_in_structs_lead_to_is_an_input(t):
    t.write("types.h", HEADER)
    config = t.config(CONFIG)
    p = t.cc(PROGRAM, "pointees")
    bare = t.bare([p])
    equal(t.bodies(), 3 * (6 + 4 + 3 + 2))
    first = t.run([p], config)
    equal((first.out, first.errors), (bare.out, ""))
    # Addresses, padding, what is ignored and what lies behind an extent differ in each round.
    equal(t.bodies(), 6 + 4 + 2 + 1)
    second = t.run([p], config)
    equal((second.out, second.errors), (bare.out, ""))
    equal(t.bodies(), 0)
    texts = "\n".join(t.ctl("show", "-c", config, r["key"]).text for r in t.records(config))
    contains(texts, "struct counter {value = 6, mode = 1}")


def test_a_member_that_lies_is_seen(t):
    t.write("types.h", HEADER)
    p = t.cc(r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "types.h"
__attribute__((noinline, noclone)) double total(const struct series *s)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "total\n");
    fclose(f);
    return s->y[0];
}
int main(void)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p + 4096, 4096, PROT_NONE);
    struct series s = {1000, (double *)(p + 4096 - 64), "x", NULL};
    for (int i = 0; i < 40; i++)
        printf("%g\n", total(&s));
    s.n = -1ul;
    printf("%g\n", total(&s));
    return 0;
}
""", "lies")
    config = t.config(CONFIG)
    bare = t.bare([p])
    t.bodies()
    r = t.run([p], config, env={"TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    equal(t.bodies(), 41)
    contains(r.errors, "unreadable-input")
    contains(r.errors, "'s'")
