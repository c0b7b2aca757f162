"""Pointers behind pointers, and functions in structs: what they lead to counts as an input, addresses never."""
from harness import Failure, contains, equal

PROGRAM = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "types.h"

static void body(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) != 1)
        _exit(99);
    close(fd);
}
#define TASK __attribute__((noinline, noclone))

TASK double rows(const double **a, int n, int m)
{
    double r = 0;
    body("rows");
    for (int i = 0; i < n; i++)
        for (int k = 0; a[i] != NULL && k < m; k++)
            r = r * 1.25 + a[i][k];
    return r;
}

TASK int words(const char **w, int n)
{
    int r = n;
    body("words");
    for (int i = 0; i < n * 2; i++)
        r = r * 31 + (w[i] != NULL ? (int)strlen(w[i]) * 7 + w[i][0] : 1);
    return r;
}

TASK double table(const struct table *t)
{
    double r = 0;
    body("table");
    for (int i = 0; i < t->rows; i++) {
        for (int k = 0; k < t->columns; k++)
            r = r * 0.5 + t->cell[i][k];
        for (int k = 0; k < t->columns; k++)
            r += t->label[i][k] != NULL ? strlen(t->label[i][k]) : 0.125;
        r += t->point[i]->x;
    }
    for (int i = 0; i < 2; i++)
        r += t->edge[i] != NULL ? t->edge[i][t->columns - 1] : -1;
    return r;
}

TASK int call(struct calls c, int x)
{
    body("call");
    for (int i = 0; i < c.n; i++)
        x = c.many[i] != NULL ? c.many[i](x) : x - 1;
    return c.one != NULL ? c.one(x) : x;
}

TASK int each(int (**f)(int), int n, int x)
{
    body("each");
    for (int i = 0; i < n; i++)
        x = f[i](x);
    return x;
}

static int twice(int x) { return 2 * x; }
static int next(int x) { return x + 1; }

static void *copy(const void *from, size_t n)
{
    return memcpy(malloc(n), from, n);
}

int main(int argc, char **argv)
{
    (void)argv;
    static const double numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int round = 0; round < 3; round++) {
        double *a[3] = {copy(numbers, 24), copy(numbers + 1, 24), NULL};
        printf("%.17g", rows((const double **)a, 3, 3));
        a[1][2] += 0.5;
        printf(" %.17g", rows((const double **)a, 3, 3));
        a[0][2] = 9; /* behind the extent */
        printf(" %.17g", rows((const double **)a, 2, 2));
        a[0][2] = 10;
        printf(" %.17g", rows((const double **)a, 2, 2));
        a[2] = copy(numbers, 24);
        printf(" %.17g\n", rows((const double **)a, 3, 3));

        const char *w[] = {strdup("a"), NULL, "bc", strdup("d")};
        printf("%d", words(w, 2));
        w[1] = "";
        printf(" %d", words(w, 2));
        w[3] = "e";
        printf(" %d\n", words(w, 2));

        struct table t;
        memset(&t, round + 7, sizeof t);
        t.rows = 2;
        t.columns = 2;
        t.cell = malloc(2 * sizeof *t.cell);
        t.label = malloc(2 * sizeof *t.label);
        t.point = malloc(2 * sizeof *t.point);
        for (int i = 0; i < 2; i++) {
            t.cell[i] = copy(numbers + i, 2 * sizeof(double));
            t.label[i] = calloc(2, sizeof(char *));
            t.label[i][i] = strdup("label");
            t.point[i] = malloc(sizeof *t.point[i]);
            memset(t.point[i], round + 1, sizeof *t.point[i]);
            *t.point[i] = (struct point){'p', i};
        }
        t.edge[0] = t.cell[0];
        t.edge[1] = NULL;
        printf("%.17g", table(&t));
        t.cell[1][1] = 77;
        printf(" %.17g", table(&t));
        t.label[1][0] = "x";
        printf(" %.17g", table(&t));
        t.point[0]->x = 5;
        printf(" %.17g", table(&t));
        t.edge[1] = t.cell[1];
        printf(" %.17g", table(&t));
        t.scratch = &t;
        printf(" %.17g\n", table(&t));

        if (argc > 1)
            continue; /* data alone */
        int (*many[3])(int) = {twice, NULL, next};
        struct calls c;
        memset(&c, round, sizeof c);
        c.n = 3;
        c.many = many;
        c.one = NULL;
        printf("%d", call(c, 5));
        c.one = twice;
        printf(" %d", call(c, 5));
        many[1] = next;
        printf(" %d", call(c, 5));
        c.n = 2;
        many[2] = NULL;
        printf(" %d", call(c, 5));
        many[2] = twice;
        printf(" %d", call(c, 5));
        many[2] = next;
        printf(" %d", each(many, 3, 1));
        many[0] = next;
        printf(" %d\n", each(many, 3, 1));
    }
    return 0;
}
"""

HEADER = """
struct point { char tag; double x; };
struct table { short rows; int columns; double **cell; char ***label; struct point **point; double *edge[2]; void *scratch; };
struct calls { int n; int (**many)(int); int (*one)(int); };
"""

CONFIG = """
types: |
  struct point { char tag; double x; };
  struct table { short rows; int columns; double (*cell[rows])[columns]; char *(*label[rows])[columns];
                 struct point (*point[rows])[1]; double (*edge[2])[columns]; ignore void *scratch; };
  struct calls { int n; int (*many[n])(int); int (*one)(int); };
defaults:
  cache_policy: INPUTS + TASK_SOURCE
tasks:
  - symbol: rows
    prototype: |
      double rows(const double (*a[n])[m], int n, int m)
  - symbol: words
    prototype: |
      int words(const char *w[2][n], int n)
  - symbol: table
    prototype: |
      double table(in struct table *t)
  - symbol: call
    prototype: |
      int call(struct calls c, int x)
  - symbol: each
    prototype: |
      int each(in int (*f[n])(int), int n, int x)
"""


def test_what_pointers_behind_pointers_lead_to_is_an_input(t):
    t.write("types.h", HEADER)
    config = t.config(CONFIG)
    for compiler in ("gcc", "clang"):
        p = t.cc(PROGRAM, compiler, compiler=compiler)
        bare = t.bare([p, "data"])
        equal(t.bodies(), 3 * (5 + 3 + 6), compiler)
        first = t.run([p, "data"], config)
        equal((first.out, first.errors), (bare.out, ""), compiler)
        # Addresses, padding, what is ignored and what lies behind an extent differ in each round.
        equal(t.bodies(), 4 + 3 + 5, compiler)
        second = t.run([p, "data"], config)
        equal((second.out, second.errors), (bare.out, ""), compiler)
        equal(t.bodies(), 0, compiler)


def test_functions_behind_pointers_are_inputs(t):
    t.write("types.h", HEADER)
    config = t.config(CONFIG)
    p = t.cc(PROGRAM, "p")
    bare = t.bare([p])
    t.bodies()

    # What functions do the service finds out when they come up: calls go by until it has.
    def all_known():
        equal(t.run([p], config).out, bare.out)
        return t.bodies() == 0
    t.wait(all_known, "all functions to be known", 60)
    # The same program with another function behind the same pointers.
    q = t.cc(PROGRAM.replace("return x + 1;", "return x + 3;"), "q")
    bare = t.bare([q])
    t.bodies()
    equal(t.run([q], config).out, bare.out)
    if t.bodies() == 0:
        raise Failure("no call ran, although a function changed")


def test_a_table_of_pointers_that_lies_is_seen(t):
    t.write("types.h", HEADER)
    p = t.cc(r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) double rows(const double **a, int n, int m)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "rows\n");
    fclose(f);
    return a[0][0] + n + m;
}
int main(void)
{
    double one[2] = {1, 2};
    const double *a[3] = {one, one, (const double *)16};
    for (int i = 0; i < 20; i++)
        printf("%g\n", rows(a, 3, 2));
    printf("%g\n", rows(a, 1, -1));
    return 0;
}
""", "lies")
    config = t.config(CONFIG)
    bare = t.bare([p])
    t.bodies()
    r = t.run([p], config, env={"TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    equal(t.bodies(), 21)
    contains(r.errors, "unreadable-input")
    contains(r.errors, "'a'")


def test_an_output_in_what_a_pointer_leads_to(t):
    """Equal bytes, but the call writes into one of the rows that it reads: another call each."""
    p = t.cc(r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline, noclone)) void into(const long **a, int n, int m, long *y)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "into\n");
    fclose(f);
    for (int k = 0; k < m; k++)
        y[k] = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            y[k] += a[i] != NULL ? a[i][k] : 100;
}
int main(void)
{
    for (int round = 0; round < 2; round++) {
        long one[2] = {1, 2}, two[2] = {3, 4}, y[2];
        const long *rows[2] = {one, two};
        into(rows, 2, 2, y);
        printf("%ld %ld\n", y[0], y[1]);
        into(rows, 2, 2, two);
        printf("%ld %ld\n", two[0], two[1]);
        two[0] = 3;
        two[1] = 4;
        into(rows, 2, 2, one);
        printf("%ld %ld\n", one[0], one[1]);
        one[0] = 1;
        one[1] = 2;
    }
    return 0;
}
""", "into", flags=("-O1",))
    config = t.config("tasks:\n  - symbol: into\n    cache_policy: INPUTS\n    prototype: |\n"
                      "      void into(const long (*a[n])[m], int n, int m, out long y[m])\n")
    bare = t.bare([p])
    equal(t.bodies(), 6)
    for _ in range(2):
        r = t.run([p], config)
        equal((r.out, r.errors), (bare.out, ""))
        t.bodies()


def test_extents_that_name_no_member(t):
    """Of pointers in a struct they are a promise with `in` alone; a union beside them can be declared as bytes that don't count."""
    p = t.cc(r"""
#include <stdio.h>
#include <stdlib.h>
struct p { int x; };
struct s { int a; union { double d; long l; } u; struct p (*q[2])[2]; };
__attribute__((noinline, noclone)) int both(const struct s *s)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "both\n");
    fclose(f);
    return s->a + (*s->q[0])[0].x + (*s->q[1])[1].x;
}
int main(void)
{
    struct p a[2] = {{1}, {1}}, b[2] = {{7}, {9}}, same[2] = {{7}, {9}}, other[2] = {{7}, {8}};
    struct p (*second[])[2] = {&b, &same, &other};
    for (int i = 0; i < 6; i++) {
        struct s s = {i / 3, {.l = i}, {&a, second[i % 3]}};
        printf("%d\n", both(&s));
    }
    return 0;
}
""", "both", flags=("-O1",))
    text = ("types: |\n  struct p { int x; };\n"
            "  struct s { int a; ignore char u[8] __attribute__((aligned(8))); in struct p (*q[2])[2]; };\n"
            "tasks:\n  - symbol: both\n    cache_policy: INPUTS\n    prototype: |\n      int both(const struct s s[1])\n")
    bare = t.bare([p])
    equal(t.bodies(), 6)
    r = t.run([p], t.config(text.replace("in struct p", "struct p")), env={"TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    contains(r.errors, "opaque-input")
    equal(t.bodies(), 6)
    for bodies in (4, 0):
        r = t.run([p], t.config(text))
        equal((r.out, r.errors), (bare.out, ""))
        equal(t.bodies(), bodies)
