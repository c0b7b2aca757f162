"""Files as inputs: their content counts, not their name."""
import os
import pathlib
import shutil
import tempfile

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


MAPPED = PROGRAM.split("int main(")[0].replace("#include <unistd.h>", "#include <fcntl.h>\n#include <sys/mman.h>\n#include <unistd.h>") + r"""
int main(int argc, char **argv)
{
    int fd = open(argv[1], O_RDWR);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    p[0] = 'a';
    sleep(3);
    for (int i = 0; argc > 1 && i < 4; i++) {
        struct stats s;
        p[0] = (char)('b' + i % 3); /* unseen by the file's clock: the page is still dirty */
        parse(argv[1], &s);
        printf("%ld %c\n", s.bytes, s.first);
    }
    return 0;
}
"""


def test_a_file_that_is_written_through_a_mapping(t):
    program, config = t.cc(MAPPED, "mapped"), t.config(CONFIG)
    shared = tempfile.mkdtemp(dir="/dev/shm")
    try:
        for path in (t.write("old", "first"), shared + "/old"):
            pathlib.Path(path).write_text("first")
            equal(t.run([program, path], config).text, "5 b\n5 c\n5 d\n5 b\n")
    finally:
        shutil.rmtree(shared)
    equal(t.bodies(), 3)
