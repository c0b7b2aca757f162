"""Simple tasks are replayed from a table in the process: always what the store would give, and never longer."""
import json
import subprocess
import time

from harness import TESTS, Failure, equal

SAME = r"""
#include <errno.h>
#include <fenv.h>
#include <stdbool.h>
#include <stdint.h>
#include "body.h"

EXPORTED_TASK(void plain(int a, double b, double *out))
{
    body_ran("plain");
    for (int i = 0; i < 8; i++)
        out[i] = a + i * b;
}
EXPORTED_TASK(int8_t small(int8_t a, uint16_t b, bool c, uint8_t d))
{
    body_ran("small");
    return (int8_t)(a + b + c + d);
}
EXPORTED_TASK(float single(float a, float b))
{
    body_ran("single");
    return a / b;
}
EXPORTED_TASK(double many(int a, int b, int c, int d, int e, int f, int g, int16_t h))
{
    body_ran("many");
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8.5 * h;
}
EXPORTED_TASK(int sized(int n, int m, int *out, long *other))
{
    body_ran("sized");
    for (int i = 0; i < n * m; i++)
        out[i] = 3 * i + n;
    if (other != NULL)
        *other = n + m;
    return other != NULL;
}
EXPORTED_TASK(void pair(int x, int *a, int *b))
{
    body_ran("pair");
    *(volatile int *)b = x + 1;
    *(volatile int *)a = x;
}
EXPORTED_TASK(int fails(int x))
{
    body_ran("fails");
    if (x & 1)
        errno = ERANGE;
    return x / 2;
}
EXPORTED_TASK(int skipped(int x, int quiet))
{
    body_ran("skipped");
    return 3 * x + quiet;
}
EXPORTED_TASK(unsigned long long rounded(unsigned long long x))
{
    body_ran("rounded");
    return (unsigned long long)((double)x / 3.0);
}

static int out[64];

static void one(int i)
{
    double d[9] = {[8] = 5};
    long other = -1;
    int two[3] = {9, 9, 9}, r;

    plain(i % 2, 0.5 * (i % 3), d);
    print_hex("plain", d, sizeof d);
    /* The same low bytes in registers whose others differ. */
    ((int8_t(*)(long, long, long, long))(void (*)(void))small)(0x5500 + i % 2, 0x70000 + i % 2, 0x300 + i % 2, 0x9900);
    r = small((int8_t)(-3 + i % 2), 7, i % 2, 200);
    print_hex("small", &r, sizeof r);
    float s = single((float)(i % 2), i % 3 ? 3.0f : -0.0f);
    print_hex("single", &s, sizeof s);
    double m = many(1, 2, 3, 4, 5, 6, 7 + i % 2, (int16_t)(-8 - i % 2));
    print_hex("many", &m, sizeof m);
    memset(out, 0x77, sizeof out);
    r = sized(1 + i % 3, i % 4, out + 1, i / 12 % 2 ? &other : NULL);
    print_hex("sized", out, sizeof out);
    printf("%d %ld\n", r, other);
    pair(5, &two[0], &two[i % 2 ? 0 : 1]);
    print_hex("pair", two, sizeof two);
    errno = 0;
    r = fails(i % 4);
    printf("%d %d\n", r, errno);
    printf("skipped %d\n", skipped(i % 2, i % 3));
    fesetround(i % 2 ? FE_UPWARD : FE_DOWNWARD);
    unsigned long long x = rounded(1ull << 53 | 1);
    fesetround(FE_TONEAREST);
    printf("%llu\n", x);
}

int main(void)
{
    for (int i = 0; i < 60; i++)
        one(i);
    return 0;
}
"""

SAME_CONFIG = """
defaults: { cache_policy: INPUTS + TASK_SOURCE }
tasks:
  - symbol: plain
    prototype: |
      void plain(int a, double b, out double out[8])
  - symbol: small
    prototype: |
      int8_t small(int8_t a, uint16_t b, bool c, uint8_t d)
  - symbol: single
    prototype: |
      float single(float a, float b)
  - symbol: many
    prototype: |
      double many(int a, int b, int c, int d, int e, int f, int g, int16_t h)
  - symbol: sized
    prototype: |
      int sized(int n, int m, out int out[n * m], out long other[1])
  - symbol: pair
    prototype: |
      void pair(int x, out int a[1], out int b[1])
  - symbol: fails
    prototype: |
      int fails(int x)
  - symbol: skipped
    prototype: |
      int skipped(int x, int quiet)
    cache_policy: INPUTS + TASK_SOURCE - quiet
    skip: 'x == 1 || quiet == 2'
  - symbol: rounded
    prototype: |
      unsigned long long rounded(unsigned long long x)
"""


def but_skipped(r):
    """Without the results of `skipped`, whose key leaves a parameter out: what that adds is the first call's."""
    return [line for line in r.text.splitlines() if not line.startswith("skipped")]


def test_it_gives_what_the_functions_would(t):
    program = t.cc(SAME, "same", flags=("-O2", "-rdynamic", "-frounding-math", f"-I{TESTS / 'programs'}", "-lm"))
    config = t.config(SAME_CONFIG)
    bare = t.bare([program])
    t.bodies()
    first = t.run([program], config)
    equal(but_skipped(first), but_skipped(bare))
    t.bodies()
    second = t.run([program], config)
    equal(second.text, first.text)
    equal(t.bodies(), sum(i % 2 == 1 or i % 3 == 2 for i in range(60)), "what is skipped runs, and nothing else")


PROGRAM = r"""
#include <sys/wait.h>
#include "body.h"
EXPORTED_TASK(int f(int x))
{
    const char *value = getenv("VALUE");
    body_ran("f");
    return 1000 * x + (value != NULL ? atoi(value) : 0);
}
EXPORTED_TASK(int brief(int x))
{
    body_ran("brief");
    return x + 1;
}
int main(void)
{
    char name[16];
    int x, times, r = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (scanf("%15s %d %d", name, &x, &times) == 3) {
        int child = strcmp(name, "fork") == 0;
        if (child && fork() != 0) {
            wait(NULL);
            continue;
        }
        for (int i = 0; i < times; i++)
            r = strcmp(name, "brief") == 0 ? brief(x) : f(x);
        printf("%d\n", r);
        if (child)
            exit(0);
    }
    return 0;
}
"""

CONFIG = """
defaults: { cache_policy: INPUTS + TASK_SOURCE }
tasks:
  - symbol: f
    prototype: |
      int f(int x)
  - symbol: brief
    prototype: |
      int brief(int x)
    cache_expiration: 10s
"""


class Talk:
    """The program by a line in and a line out; the bodies that it took."""

    def __init__(self, t, **env):
        self.t = t
        program = t.cc(PROGRAM, "talk", flags=("-O2", "-rdynamic", f"-I{TESTS / 'programs'}"))
        self.config = t.config(CONFIG)
        self.argv = [t.cachectl, "run", "-c", self.config, "--", program]
        self.p = subprocess.Popen(self.argv, env={**t.env, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, name, x, times):
        self.p.stdin.write(f"{name} {x} {times}\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().strip()
        if not answer:
            raise Failure(f"no answer to {name} {x}")
        return int(answer), self.t.bodies()

    def end(self):
        self.p.stdin.close()
        equal(self.p.wait(30), 0)


def test_what_is_removed_is_gone_at_the_next_call(t):
    talk = Talk(t)
    for _ in range(5):
        equal(talk.ask("f", 3, 50), (3000, 1))
        equal(talk.ask("f", 3, 50), (3000, 0))
        t.ctl("rm", "-c", talk.config, "f")
    equal(talk.ask("f", 3, 50), (3000, 1))
    talk.end()


def test_a_newer_result_of_another_process_is_seen_at_the_next_call(t):
    talk = Talk(t)
    equal(talk.ask("f", 3, 50), (3000, 1))
    for value in (1, 2, 3):
        r = t.execute(talk.argv, env={"VALUE": value, "TASKCACHE_REFRESH_CACHE": "1"}, stdin=b"f 3 1\n")
        equal((int(r.text), t.bodies()), (3000 + value, 1))
        equal(talk.ask("f", 3, 50), (3000 + value, 0))
    talk.end()


def test_what_has_expired_is_not_replayed(t):
    clock = t.dir / "clock"

    def set_clock(second):
        new = t.dir / "clock.new"
        new.write_text(str(second * 10**9))
        new.rename(clock)

    set_clock(1000)
    talk = Talk(t, TASKCACHE_CLOCK_FILE=str(clock))
    equal(talk.ask("brief", 5, 50), (6, 1))
    set_clock(1009)
    equal(talk.ask("brief", 5, 50), (6, 0))
    set_clock(1010)
    equal(talk.ask("brief", 5, 1), (6, 1))
    equal(talk.ask("brief", 5, 50), (6, 0))
    set_clock(1005)  # set back: it was written later than now
    equal(talk.ask("brief", 5, 1), (6, 1))
    talk.end()


def test_a_forked_child_sees_what_its_parent_would(t):
    talk = Talk(t)
    equal(talk.ask("f", 3, 50), (3000, 1))
    equal(talk.ask("fork", 3, 50), (3000, 0))
    t.ctl("rm", "-c", talk.config, "f")
    equal(talk.ask("fork", 3, 50), (3000, 1))
    equal(talk.ask("f", 3, 50), (3000, 0))
    talk.end()


def damage(t):
    """Every record in the store, behind the service's back and without a commit."""
    for path in t.dir.glob("cache/taskcache/store-*/data.mdb"):
        with open(path, "r+b") as f:
            data = f.read()
            at = data.find(b"TCRC")
            while at >= 0:
                f.seek(at)
                f.write(b"XXXX")
                at = data.find(b"TCRC", at + 1)


def test_it_does_not_read_the_store(t):
    talk = Talk(t)
    until = time.monotonic() + 60
    # The service commits its counters about once a second: then the store is read, and the body runs.
    while time.monotonic() < until:
        talk.ask("f", 3, 50)
        damage(t)
        value, bodies = talk.ask("f", 3, 50)
        equal(value, 3000)
        if bodies == 0:
            break
    else:
        raise Failure("each time the body ran: there is no table")
    talk.end()


def test_its_hits_are_counted(t):
    talk = Talk(t)
    equal(talk.ask("f", 3, 501), (3000, 1))
    talk.end()
    totals = json.loads(t.ctl("stats", "-c", talk.config, "--json").out)
    equal((totals["hits"], totals["misses"]), (500, 1))
