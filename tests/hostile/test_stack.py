"""What a hit takes of the caller's stack: 2 KiB at most, however the inputs are reached."""
import re

from harness import TESTS, Failure, equal

SOURCE = r"""
#include <stdint.h>
#include "body.h"

struct point { double x, y; };
struct table { int rows, columns; const double **cell; const char **name; const struct point **point; };
struct calls { int n; int (*f[2])(int); };

EXPORTED_TASK(double scalars(int a, double b))
{
    body_ran("scalars");
    return a * b;
}
EXPORTED_TASK(double array(const double *x, int n))
{
    body_ran("array");
    return x[0] + x[n - 1];
}
EXPORTED_TASK(void inside(const int *x, int *to, int n))
{
    body_ran("inside");
    for (int i = 0; i < n; i++)
        to[i] = x[i] + i;
}
EXPORTED_TASK(int words(const char **w, int n))
{
    body_ran("words");
    return (int)strlen(w[0]) + (int)strlen(w[n - 1]);
}
EXPORTED_TASK(double rows(const double **a, int n, int m))
{
    body_ran("rows");
    return a[0][0] + a[n - 1][m - 1];
}
EXPORTED_TASK(double through(const struct table *t))
{
    body_ran("through");
    return t->cell[t->rows - 1][t->columns - 1] + t->name[0][0] + t->point[1]->y;
}
EXPORTED_TASK(int by_pointer(int (*f)(int), int x))
{
    body_ran("by_pointer");
    return f(x);
}
EXPORTED_TASK(int by_member(struct calls c, int x))
{
    body_ran("by_member");
    return c.f[0](x) + c.f[1](x);
}
EXPORTED_TASK(int by_elements(const struct calls *c, int n, int x))
{
    body_ran("by_elements");
    return c[0].f[0](x) + c[n - 1].f[1](x);
}
EXPORTED_TASK(int from_file(const char *path))
{
    char c[8] = "";
    int fd = open(path, O_RDONLY);
    body_ran("from_file");
    if (read(fd, c, sizeof c) < 0)
        _exit(98);
    close(fd);
    return c[0];
}
EXPORTED_TASK(int named(int x))
{
    body_ran("named");
    return x + 7;
}
EXPORTED_TASK(int in_run(int x))
{
    body_ran("in_run");
    return x + 8;
}
EXPORTED_TASK(int alone(int x))
{
    body_ran("alone");
    return x + 9;
}
EXPORTED_TASK(struct point made(double x))
{
    body_ran("made");
    return (struct point){x, -x};
}

static int twice(int x) { return 2 * x; }
static int less(int x) { return x - 1; }

static const char *path;
static volatile uintptr_t here;
static volatile double sum;
#define CALL(name, ...) \
    __attribute__((noinline)) static void call_##name(void) \
    { \
        here = (uintptr_t)__builtin_frame_address(0); \
        __VA_ARGS__; \
        sum += 1; \
    }

static const double numbers[4] = {1, 2, 3, 4};
static const double *const row[2] = {numbers, numbers + 2};
static const char *const word[2] = {"one", "another"};
static const struct point points[2] = {{1, 2}, {3, 4}};
static const struct point *const point[2] = {&points[0], &points[1]};
static const struct table table = {2, 2, (const double **)row, (const char **)word, (const struct point **)point};
static const struct calls calls[2] = {{2, {twice, less}}, {2, {less, twice}}};

CALL(scalars, sum += scalars(3, 0.5))
CALL(array, sum += array(numbers, 4))
CALL(inside, int v[4] = {1, 2, 3, 4}; inside(v, v, 4); sum += v[3])
CALL(words, sum += words((const char **)word, 2))
CALL(rows, sum += rows((const double **)row, 2, 2))
CALL(through, sum += through(&table))
CALL(by_pointer, sum += by_pointer(twice, 4))
CALL(by_library, sum += by_pointer(abs, 4))
CALL(by_member, sum += by_member(calls[0], 4))
CALL(by_elements, sum += by_elements(calls, 2, 4))
CALL(from_file, sum += from_file(path))
CALL(named, sum += named(5))
CALL(in_run, sum += in_run(5))
CALL(alone, sum += alone(5))
CALL(made, sum += made(5).y)

#define WATCHED 32768

/* How far below `call`'s frame the stack was written to. */
__attribute__((noinline)) static size_t depth_of(void (*call)(void))
{
    volatile unsigned char *low = (volatile unsigned char *)__builtin_frame_address(0) - WATCHED - 512;
    size_t i;

    for (i = 0; i < WATCHED; i++)
        low[i] = 0xd3;
    call();
    for (i = 0; i < WATCHED && low[i] == 0xd3; i++)
        ;
    return here - (uintptr_t)(low + i);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*call)(void); } all[] = {
#define ONE(name) {#name, call_##name}
        ONE(scalars), ONE(array), ONE(inside), ONE(words), ONE(rows), ONE(through), ONE(by_pointer), ONE(by_library),
        ONE(by_member), ONE(by_elements), ONE(from_file), ONE(named), ONE(in_run), ONE(alone), ONE(made),
    };
    if (argc != 2)
        return 1;
    path = argv[1];
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        size_t most = 0;
        all[k].call(); /* a function's source is asked for once */
        for (int i = 0; i < 40; i++) {
            size_t n = depth_of(all[k].call);
            most = n > most ? n : most;
        }
        fprintf(stderr, "%s %zu\n", all[k].name, most);
    }
    printf("%a\n", sum);
    return 0;
}
"""

CONFIG = """
policies: { strict: { policy: INPUTS, isolation_level: SERIALIZABLE } }
defaults: { cache_policy: INPUTS + TASK_SOURCE }
types: |
  struct point { double x, y; };
  struct table { int rows, columns; double (*cell[rows])[columns]; const char *name[rows]; struct point (*point[rows])[1]; };
  struct calls { int n; int (*f[2])(int); };
tasks:
  - symbol: scalars
    prototype: |
      double scalars(int a, double b)
  - symbol: array
    prototype: |
      double array(const double x[n], int n)
  - symbol: inside
    prototype: |
      void inside(const int x[n], out int to[n], int n)
  - symbol: words
    prototype: |
      int words(const char *w[n], int n)
  - symbol: rows
    prototype: |
      double rows(const double (*a[n])[m], int n, int m)
  - symbol: through
    prototype: |
      double through(in struct table *t)
  - symbol: by_pointer
    prototype: |
      int by_pointer(int (*f)(int), int x)
  - symbol: by_member
    prototype: |
      int by_member(struct calls c, int x)
  - symbol: by_elements
    prototype: |
      int by_elements(const struct calls c[n], int n, int x)
  - symbol: from_file
    prototype: |
      int from_file(file const char *path)
  - symbol: named
    prototype: |
      int named(int x)
    result_storage_key: 'named {x}'
  - symbol: in_run
    prototype: |
      int in_run(int x)
    cache_policy: INPUTS + RUN_ID + FLOW_PARAMETERS
  - symbol: alone
    prototype: |
      int alone(int x)
    cache_policy: strict
  - symbol: made
    prototype: |
      struct point made(double x)
"""


def test_a_hit_takes_2_kib_of_stack_at_most(t):
    program = t.cc(SOURCE, "stack", flags=("-O2", "-rdynamic", f"-I{TESTS / 'programs'}"))
    config, argv = t.config(CONFIG), [program, t.write("input", "x")]
    bare = t.bare(argv)
    t.bodies()
    t.run(argv, config)
    t.bodies()
    r = t.run(argv, config, env={"TASKCACHE_RUN_ID": "one"})
    equal((r.text, t.bodies()), (bare.text, 1), "all but the one of this run alone are replayed")
    found = {name: int(n) for name, n in re.findall(r"^(\w+) (\d+)$", r.errors, re.M)}
    if len(found) != 15 or max(found.values()) > 2048:
        raise Failure(r.errors)
