"""Arguments that share memory: what the function does then isn't what it does with equal bytes that lie apart."""
from harness import TESTS, equal

PROGRAM = r"""
#include <stdint.h>
#include "body.h"
struct series { const int *y; int n; };

EXPORTED_TASK(void both(int *x, int *y))
{
    body_ran("both");
    *x += 1;
    *y += 2;
}
EXPORTED_TASK(void outs(int *x, int *y))
{
    body_ran("outs");
    *(volatile int *)y = 2;
    *(volatile int *)x = 1;
}
EXPORTED_TASK(void sums(const int *a, int *b, int n))
{
    body_ran("sums");
    for (int i = 0; i < n; i++)
        b[i] = a[i] + (i > 0 ? ((volatile const int *)a)[i - 1] : 0);
}
EXPORTED_TASK(void join(char *to, const char *a, const char *b, size_t room))
{
    body_ran("join");
    memset(to, 'x', room / 2);
    to[room / 2] = 0;
    strcat(to, a);
    strcat(to, b);
}
EXPORTED_TASK(void through(const struct series *s, const struct series *r, int *b, int n))
{
    body_ran("through");
    for (int i = 0; i < n; i++)
        b[i] = s->y[i] * 2;
    for (int i = 0; i < n; i++)
        b[i] += r->y[i];
}
EXPORTED_TASK(long text(char *to, const char *from, long room))
{
    long n = 0;

    body_ran("text");
    for (; n < room - 1 && from[n] != 0 && n < 5; n++)
        to[n] = from[n] + 1;
    to[n] = 0;
    return n + 1;
}

static void show(const char *what, const void *p, size_t n)
{
    print_hex(what, p, n);
}

static void apart(void)
{
    int x = 0, y = 0, a[6] = {1, 1, 1, 1, 1, 1}, b[6] = {0};
    char to[16], one[8] = "xxxx", two[8] = "xxxx";

    both(&x, &y);
    show("both", (int[]){x, y}, 8);
    x = y = 0;
    outs(&x, &y);
    show("outs", (int[]){x, y}, 8);
    sums(a, b, 6);
    show("sums", b, sizeof b);
    memset(to, 0, sizeof to);
    join(to, one + 2, two + 2, 8);
    show("join", to, 8);
    struct series s = {a, 3}, r = {a + 3, 3};
    through(&s, &r, b, 3);
    show("through", b, 12);
    char from[16] = "hello world";
    memset(to, 0, sizeof to);
    text(to, from, 8);
    show("text", to, 8);
}

static void shared(int shift)
{
    int z[2] = {0, 0}, a[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    char to[32] = "";

    both(z + shift, z);
    show("both", z, 8);
    z[0] = z[1] = 0;
    outs(z, z + shift);
    show("outs", z, 8);
    sums(a, a + shift, 6);
    show("sums", a, sizeof a);
    memcpy(to, "xxxxxx", 7);
    join(to, to + 4, shift ? to + 4 : "xx", 8);
    show("join", to, 16);
    int c[6] = {1, 1, 1, 1, 1, 1};
    struct series s = {c, 3}, r = {c + 3, 3};
    through(&s, &r, shift ? c : c + 3, 3);
    show("through", c, sizeof c);
    char h[32] = "hello world";
    text(h + shift, h, 8);
    show("text", h, sizeof h);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == 'a')
            apart();
        else
            shared(argv[i][0] - '0');
    return 0;
}
"""

CONFIG = """
defaults: { cache_policy: POLICY }
types: |
  struct series { const int y[n]; int n; };
tasks:
  - symbol: both
    prototype: |
      void both(inout int *x, inout int *y)
  - symbol: outs
    prototype: |
      void outs(out int *x, out int *y)
  - symbol: sums
    prototype: |
      void sums(const int a[n], out int b[n], int n)
  - symbol: join
    prototype: |
      void join(out char to[room], const char *a, const char *b, size_t room)
  - symbol: through
    prototype: |
      void through(const struct series s[1], const struct series r[1], out int b[n], int n)
  - symbol: text
    prototype: |
      long text(out char to[return <= room], const char *from, long room)
"""


def build(t):
    return t.cc(PROGRAM, "overlaps", ("-O1", f"-I{TESTS}/programs", "-fno-tree-vectorize"))


def test_a_call_whose_arguments_share_memory_is_another_call(t):
    p = build(t)
    for policy in ("INPUTS", "INPUTS + TASK_SOURCE"):
        config = t.config(CONFIG.replace("POLICY", policy))
        for order in (["a", "0", "1"], ["1", "0", "a"], ["0", "a", "1"]):
            t.ctl("rm", "-c", config, "*", status=None)
            bare = t.bare([p, *order])
            t.bodies()
            for turn in ("first", "second", "third"):
                equal(t.run([p, *order], config).text, bare.text, f"{policy} {order}, the {turn} run")


def test_results_in_place_are_replayed(t):
    """The function changes its input where the output lies: a replay does that, too. (`outs` has no inputs, so no key; of what
    `through` reads by pointers only a part lies in the output, so it isn't known to be unchanged.)"""
    p = build(t)
    config = t.config(CONFIG.replace("POLICY", "INPUTS"))
    for mode, replayed in (("a", 5), ("0", 3)):
        bare = t.bare([p, mode])
        t.bodies()
        equal(t.run([p, mode], config).text, bare.text)
        equal(t.bodies(), 6)
        equal(t.run([p, mode], config).text, bare.text)
        equal(6 - t.bodies(), replayed, mode)


def test_outputs_that_share_memory_whatever_the_policy_says(t):
    p = build(t)
    config = t.config(CONFIG.replace("POLICY", "TASK_SOURCE").split("  - symbol: sums")[0])
    for order in (["a", "0", "a"], ["0", "a", "0"]):
        t.ctl("rm", "-c", config, "*", status=None)
        bare = t.bare([p, *order]).text
        lines = [line for line in bare.splitlines() if line.startswith("outs")]
        for _ in range(2):
            got = t.run([p, *order], config).text
            equal([line for line in got.splitlines() if line.startswith("outs")], lines, str(order))


ROWS = r"""
#include "body.h"

EXPORTED_TASK(void turn(int *to, int *const *rows, long n))
{
    body_ran("turn");
    to[0] = 7;
    for (long i = 0; i < n; i++)
        ++*rows[i]; /* not what the prototype says: what only was read is written to */
}

int main(void)
{
    int a[2] = {1, 2}, b = 3;
    int *const rows[2] = {&a[0], &b};

    for (int i = 0; i < 3; i++) {
        a[0] = 1;
        b = 3;
        turn(a, rows, 2);
        print_hex("a", a, sizeof a);
        print_hex("b", &b, sizeof b);
    }
    return 0;
}
"""


def test_one_row_in_the_output_excuses_no_other(t):
    p = t.cc(ROWS, "rows", ("-O1", f"-I{TESTS}/programs"))
    config = t.config('''
tasks:
  - symbol: turn
    cache_policy: INPUTS
    prototype: |
      void turn(out int to[2], const int (*rows[n])[1], long n)
''')
    bare = t.bare([p]).text
    t.bodies()
    equal(t.run([p], config).text, bare)
    equal(t.bodies(), 3, "an input that was written to: nothing is stored")
