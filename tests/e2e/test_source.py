"""cachectl source: what enters a digest, and what differs in two builds."""
import json

from harness import equal

PROGRAM = r"""
#include <stdio.h>
static const char *const names[] = {"one", TWO};
__attribute__((noinline, noclone)) static int helper(int x) { __asm__ volatile(""); return x + HELPER; }
__attribute__((noinline)) int task(int x) { puts(names[x & 1]); return helper(x); }
int main(int c, char **v) { (void)v; return task(c); }
"""


def build(t, name, two="two", helper=1):
    return t.cc(str(t.write("prog.c", PROGRAM)), name, ("-O2", f'-DTWO="{two}"', f"-DHELPER={helper}"))


def test_the_tree_has_what_the_function_refers_to(t):
    old = build(t, "old")
    tree = json.loads(t.ctl("source", "--json", old, "task").out)
    labels = {r["label"] for r in tree["references"]}
    for wanted in ("two", "puts@GLIBC_2.2.5"):
        equal(wanted in labels, True, f"{wanted} in {labels}")
    equal(any("helper" in label for label in labels), True, "the callee")
    equal(tree["digest"] in t.ctl("source", old, "task").text, True, "the digest, as text")
    equal(t.ctl("source", old, "nosuch", status=2).status, 2, "no such function")


def test_two_builds_are_compared(t):
    old, same = build(t, "old"), build(t, "same")
    other, deeper = build(t, "other", two="twO"), build(t, "deeper", helper=2)
    equal(t.ctl("source", "--diff", old, same, "task").text, "task: the same\n", "the same build")
    text = t.ctl("source", "--diff", old, other, "task", status=1).text
    equal(("twO" in text, "names" in text), (True, True), text)
    equal(t.ctl("source", "--diff", old, deeper, "task").text, "task: the same\n", "a callee changed")
    changes = json.loads(t.ctl("source", "--diff", "--deep", "--json", old, deeper, "task", status=1).out)[0]["differences"]
    equal([c["change"] for c in changes if "helper" in c["what"]], ["changed"], changes)
