"""Types that debug information alone knows, together with what needs the whole prototype: templates, codecs, `depends:`."""
import importlib.util
import json
import pathlib

from harness import contains, equal

spec = importlib.util.spec_from_file_location("test_codecs_for_undeclared", pathlib.Path(__file__).parent / "test_codecs.py")
codecs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(codecs)

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
typedef struct { double x, y; } vec;
struct job { int id; const char *owner; vec at; };
int scale = 3;
static void body(const char *name)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fprintf(log, "%s\n", name);
    fclose(log);
}
__attribute__((noinline, noclone)) int cost(const struct job *j, vec by, int n)
{
    body("cost");
    return (int)(j->id * 100 + j->at.x * by.x * scale + n);
}
int main(void)
{
    static const int rows[][3] = {{1, 2, 3}, {1, 2, 4}, {2, 2, 3}, {1, 9, 3}};
    for (int i = 0; i < 4; i++) {
        struct job j = {rows[i][0], "me", {rows[i][1], 1}};
        printf("%d\n", cost(&j, (vec){2, 1}, rows[i][2]));
    }
    return 0;
}
"""
WRITTEN = """
tasks:
  - symbol: cost
    prototype: |
      int cost(in struct job *j, vec by, int n)
"""
DERIVED = """
tasks:
  - symbol: cost
    params: { j: in }
"""


def run(t, argv, config, bodies, what):
    bare = t.bare(argv)
    t.bodies()
    for expected in (bodies, 0):
        r = t.run(argv, config)
        equal((r.errors, len(r.text.splitlines())), ("", len(bare.text.splitlines())), what)
        equal(t.bodies(), expected, what)
    return r.text, bare.text


def test_templates(t):
    p = t.cc(PROGRAM, "program", ("-O1", "-g"))
    for name, text in (("written", WRITTEN), ("derived", DERIVED)):
        for key, bodies in (("cache_key_fn", 3), ("result_storage_key", 3)):
            config = t.config(text + f"    {key}: 'job-{{j->id}}-{{j->at.x}}'\n", f"{name}-{key}.yaml")
            run(t, [p], config, bodies, f"{name} {key}")
            t.ctl("rm", "*", "-c", config, status=None)
        # The template belongs to what plans depend on: another one is another key.
        config = t.config(text + "    cache_key_fn: 'job-{n}'\n", f"{name}-cache_key_fn.yaml")
        run(t, [p], config, 2, name)
    config = t.config(WRITTEN + "    cache_key_fn: '{j->idd}'\n")
    found = json.loads(t.ctl("doctor", "--json", "-c", config, p, status=None).out)["tasks"][0]
    equal((found["state"], found["reason"]), ("refused", "unknown-member"))
    contains(found["sentence"], "idd")


def test_codecs_with_debug_information(t):
    codecs.plugin(t)
    program = codecs.PROGRAM.replace("struct list { struct list *next; char *text; long padding[2]; };",
                                     "struct list { struct list *next; char *text; long padding[2]; };\ntypedef struct { int a; float b; } pair;\n"
                                     "__attribute__((noinline, noclone)) int both(const struct list *l, pair p);").replace(
        "int main(int argc", "int both(const struct list *l, pair p)\n{\n    body(\"both\");\n    return total(l) + p.a;\n}\nint main(int argc").replace(
        '        drop(l);\n        l = repeat', '        printf("both %d\\n", both(l, (pair){n, 1}));\n        drop(l);\n        l = repeat')
    p = t.cc(program, "program", ("-O1", "-g"))
    head = "plugins:\n  - ./lists.so\ndefaults: { cache_policy: INPUTS }\ntasks:\n"
    written = head + "  - symbol: both\n    prototype: |\n      int both(codec(list) const struct list *l, pair p)\n"
    derived = head + ("  - symbol: both\n    params: { l: codec(list) }\n  - symbol: make\n    params: { out: 'out codec(lists.place)' }\n"
                      "  - symbol: repeat\n    params: { text: in, return: codec(list) }\n")
    for name, text in (("written", written), ("derived", derived)):
        config = t.config(text, f"{name}.yaml")
        bare = t.bare([p, "3", "2", "1"])
        t.bodies()
        for replayed in (False, True):
            r = t.run([p, "3", "2", "1"], config)
            equal((r.text, r.errors), (bare.text, ""), name)
            bodies = t.bodies()
            # `total` is no task: two calls of it, and one more inside of `both` where that runs.
            equal(bodies, 3 * (5 + 1) if not replayed else 3 * 2 + (3 * 2 if name == "written" else 0), f"{name} {replayed}")
        t.ctl("rm", "*", "-c", config, status=None)
    config = t.config(written.replace("codec(list) const", "codec(place) const"))
    found = json.loads(t.ctl("doctor", "--json", "-c", config, p, status=None).out)["tasks"][0]
    equal((found["state"], found["reason"]), ("refused", "no-such-function"))
    contains(found["sentence"], "it has no digest()")


def test_depends_and_codecs(t):
    """Which of the names under `depends:` are variables is found out at the object, whose plan has the codec, too."""
    codecs.plugin(t)
    text = codecs.PROGRAM.replace("struct list { struct list *next;", "int scale = 3;\nstruct list { struct list *next;", 1).replace(
        "n += (int)strlen(l->text);", "n += (int)strlen(l->text) * scale;")
    config = t.config("plugins:\n  - ./lists.so\ntasks:\n  - symbol: total\n    cache_policy: INPUTS\n    depends: [ scale ]\n"
                      "    prototype: |\n      int total(codec(list) const struct list *l)\n")
    for value, expected in ((3, (1, 0)), (4, (1, 0)), (3, (0, 0))):
        p = t.cc(text.replace("scale = 3", f"scale = {value}"), "program", ("-O1", "-g"))
        bare = t.bare([p, "3"])
        t.bodies()
        for n in expected:
            r = t.run([p, "3"], config)
            equal((r.text, r.errors), (bare.text, ""), value)
            equal(t.bodies(), n + 2, f"{value}: total, make and repeat")
