"""Files as inputs: their content counts, not their name."""
import os

from harness import contains, equal

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct stats { long bytes; char first; };

__attribute__((noinline, noclone)) int parse(const char *path, struct stats *s)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a"), *f = fopen(path, "r");
    int c;

    fputs("parse\n", log);
    fclose(log);
    s->bytes = 0;
    s->first = '-';
    if (f == NULL)
        return -1;
    while ((c = getc(f)) != EOF)
        if (s->bytes++ == 0)
            s->first = (char)c;
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stats s;
        int r = parse(argv[i], &s);
        printf("%d %ld %c\n", r, s.bytes, s.first);
    }
    return 0;
}
"""

CONFIG = """
types: |
  struct stats { long bytes; char first; };
tasks:
  - symbol: parse
    prototype: |
      int parse(file const char *path, out struct stats *s)
    cache_policy: INPUTS
"""


def test_a_file_counts_by_its_content(t):
    program, config = t.cc(PROGRAM, "parse"), t.config(CONFIG)
    a, b, missing = t.write("a", "hello\n"), t.write("b", "hello\n"), str(t.dir / "none")
    equal(t.run([program, a, b, a], config).text, "0 6 h\n" * 3)
    equal(t.bodies(), 1)
    t.write("b", "Hello\n")  # the same size, within the same second
    equal(t.run([program, a, b, missing], config).text, "0 6 h\n0 6 H\n-1 0 -\n")
    equal(t.bodies(), 2)
    equal(t.run([program, missing, b], config).text, "-1 0 -\n0 6 H\n")
    equal(t.bodies(), 0)
    t.write("none", "now it is there\n")
    equal(t.run([program, missing], config).text, "0 16 n\n")
    equal(t.bodies(), 1)


def test_what_was_at_rest_is_noticed_when_it_changes(t):
    program, config = t.cc(PROGRAM, "parse"), t.config(CONFIG)
    old = t.write("old", "first")
    os.utime(old, (1000, 1000))
    equal(t.run([program, old, old], config).text, "0 5 f\n" * 2)
    t.write("old", "First")
    os.utime(old, (1000, 1000))  # its change time tells
    equal(t.run([program, old], config).text, "0 5 F\n")
    equal(t.bodies(), 2)


def test_directories_and_pipes_are_no_inputs(t):
    program, config = t.cc(PROGRAM, "parse"), t.config(CONFIG)
    for _ in range(2):
        equal(t.run([program, str(t.dir), "/dev/null"], config).text, "0 0 -\n" * 2)
    equal(t.bodies(), 4)
    contains(str(t.stats(config)), "unreadable-file")
