"""`cachectl doctor` says what a function's code refers to beside its arguments."""
import json

from harness import contains, equal, lacks

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int counter;

#define TASK __attribute__((noinline, noclone))

TASK int pure(int x)
{
    int sum = 0;
    for (int i = 0; i < x; i++)
        sum += i * x;
    return sum;
}

TASK int impure(int x)
{
    counter++;
    return x + (int)time(NULL) + rand() + (getenv("A") != NULL);
}

static TASK int helper(int x)
{
    return x + (int)time(NULL);
}

TASK int deep(int x)
{
    return helper(x) * 3 + helper(x + 1);
}

TASK int calls(int (*f)(int), int x)
{
    return f(x) + f(x + 1) + (int)strlen("abc");
}

int main(void)
{
    printf("%d %d %d %d\n", pure(3), impure(1), calls(pure, 2), deep(4));
    return 0;
}
"""

CONFIG = """
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: pure
    prototype: |
      int pure(int x)
  - symbol: impure
    prototype: |
      int impure(int x)
  - symbol: calls
    prototype: |
      int calls(ignore void *f, int x)
  - symbol: deep
    prototype: |
      int deep(int x)
    cache_policy: INPUTS + TASK_SOURCE_DEEP
"""


def test_advice_by_names(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(CONFIG)
    text = t.ctl("doctor", "-c", config, program).text
    contains(text, "advice     reads-clock: time, in impure: it reads a clock")
    contains(text, "advice     uses-global: counter, in impure: it reads or writes a variable of the program")
    found = {f["task"].split("@")[0]: f for f in json.loads(t.ctl("doctor", "-c", config, "--json", program).out)["tasks"]}
    equal(sorted((a["reason"], a["what"]) for a in found["impure"]["advice"]), [
        ("reads-clock", "time"), ("reads-environment", "getenv"), ("reads-random", "rand"), ("uses-global", "counter")])
    equal((found["pure"]["advice"], found["pure"]["indirect_calls"]), ([], 0))
    equal(found["calls"]["advice"], [])
    if not found["calls"]["indirect_calls"]:
        raise AssertionError(found["calls"])
    # With TASK_SOURCE_DEEP what the function calls is looked into, too.
    equal([(a["reason"], a["path"].split(" > ")) for a in found["deep"]["advice"]], [("reads-clock", ["deep", "program.c:helper"])])
    contains(text, "indirect calls: what they do isn't known")
    # Advice refuses nothing.
    lacks(text, "refused:")
    t.run([program], config)
