"""TASK_SOURCE and the objects behind the function's object: another library there is another key."""
import shutil

from harness import equal

INNER = r"""
int inner(int x);
int inner(int x)
{
    return x * FACTOR;
}
"""
OUTER = r"""
#include <stdio.h>
#include <stdlib.h>
int inner(int x);
int outer(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("outer\n", log);
    fclose(log);
    return inner(x) + 1;
}
"""
MAIN = r"""
#include <stdio.h>
int outer(int x);
int main(void)
{
    printf("%d\n", outer(7));
    return 0;
}
"""


def test_another_library_behind_the_same_object_is_another_key(t):
    for name, factor in (("one", 10), ("two", 20)):
        (t.dir / name).mkdir()
        source = t.write(f"{name}/inner.c", INNER)
        t.execute(["gcc", "-O2", "-shared", "-fPIC", f"-DFACTOR={factor}", "-Wl,-soname,libinner.so", "-o", t.dir / name / "libinner.so", source])
    shutil.copy(t.dir / "one" / "libinner.so", t.dir / "libinner.so")
    outer = t.write("outer.c", OUTER)
    t.execute(["gcc", "-O2", "-shared", "-fPIC", "-o", t.dir / "libouter.so", outer, f"-L{t.dir}", "-linner", f"-Wl,-rpath,{t.dir}"])
    program = t.cc(MAIN, "program", ("-O2", f"-L{t.dir}", "-louter", f"-Wl,-rpath,{t.dir}", f"-Wl,-rpath-link,{t.dir}"))
    config = t.config("tasks:\n  - symbol: outer@libouter.so\n    prototype: |\n      int outer(int x)\n    cache_policy: INPUTS + TASK_SOURCE\n")
    for library, result, bodies in (("one", "71\n", 1), ("one", "71\n", 0), ("two", "141\n", 1), ("two", "141\n", 0), ("one", "71\n", 0)):
        (t.dir / "libinner.so").unlink()
        shutil.copy(t.dir / library / "libinner.so", t.dir / "libinner.so")
        equal((t.run([program], config).text, t.bodies()), (result, bodies), library)
