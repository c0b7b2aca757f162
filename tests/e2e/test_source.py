"""cachectl source: what enters a digest, and what differs in two builds."""
import json

from harness import contains, equal, lacks

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


LIBRARY = "int twice(int x) { return 2 * x; }\n"
TASKS = r"""
#include <stdio.h>
extern int twice(int);
static const int table[] = {3, 1, 4, 1, 5, 9, 2, 6};
__attribute__((noinline, noclone)) int own(int x) { puts("own"); return table[x & 7]; }
__attribute__((noinline, noclone)) static int helper(int x) { __asm__ volatile(""); return twice(x) + HELPER; }
__attribute__((noinline, noclone)) int deep(int x) { puts("deep"); return helper(x); }
__attribute__((noinline, noclone)) int bare(int x) { puts("bare"); return x * 3; }
__attribute__((noinline, noclone)) int calls(int (*f)(int)) { puts("calls"); return f(1) + f(2); }
int main(int c, char **v) { (void)v; return own(c) + deep(c) + bare(c) + calls(bare); }
"""
CONFIG = """
tasks:
  - symbol: own
    prototype: |
      int own(int x)
    cache_policy: INPUTS + TASK_SOURCE
  - symbol: deep
    prototype: |
      int deep(int x)
    cache_policy: INPUTS + TASK_SOURCE_DEEP
  - symbol: bare
    prototype: |
      int bare(int x)
    cache_policy: INPUTS
  - symbol: calls
    prototype: |
      int calls(ignore void *f)
    cache_policy: INPUTS + TASK_SOURCE
"""


def build_tasks(t, name, helper=1):
    t.cc(LIBRARY, "libtwice.so", ("-O2", "-shared", "-fPIC"))
    return t.cc(t.write("tasks.c", TASKS), name, ("-O2", f"-DHELPER={helper}", f"-L{t.dir}", f"-Wl,-rpath,{t.dir}", "-ltwice"))


def tree_of(t, config, program, task):
    return json.loads(t.ctl("source", "--json", "-c", config, program, task).out)["tasks"][0]["sources"]


def test_the_tasks_of_a_program_in_the_ways_of_their_policies(t):
    program, config = build_tasks(t, "program"), t.config(CONFIG)
    text = t.ctl("source", "-c", config, program).text
    blocks = {b.split("@")[0]: b for b in text.replace("\nown@", "\n\0own@").replace("\ndeep@", "\n\0deep@")
              .replace("\nbare@", "\n\0bare@").replace("\ncalls@", "\n\0calls@").split("\0")}
    contains(blocks["own"], "  TASK_SOURCE: ")
    lacks(blocks["own"], "TASK_SOURCE_DEEP")
    contains(blocks["own"], "    tasks.c:table\n")
    contains(blocks["deep"], "  TASK_SOURCE_DEEP: ")
    contains(blocks["deep"], "helper\n")
    contains(blocks["deep"], "libtwice.so: twice\n")
    contains(blocks["bare"], "its policy has no TASK_SOURCE")
    contains(blocks["calls"], "not followed: 2 calls by pointers")
    text = t.ctl("source", "-c", config, program, "d*").text
    contains(text, "deep@program in ")
    lacks(text, "own@program")
    contains(t.ctl("source", "-c", config, program, "nosuch", status=2).errors, "no task of the config")
    imports = tree_of(t, config, program, "deep")[0]["imports"]
    equal([(i["name"], i["found_in"].rpartition("/")[2]) for i in imports], [("twice", "libtwice.so")])


def test_what_is_coarse_comes_with_the_remedy(t):
    program, config = build_tasks(t, "program"), t.config(CONFIG)
    equal([r["coarse"] for r in tree_of(t, config, program, "own")[0]["references"] if r["coarse"]], [], "with .symtab")
    library = t.cc(TASKS, "libtasks.so", ("-O2", "-DHELPER=1", "-shared", "-fPIC"))
    t.execute(["strip", library])
    contains(t.ctl("source", library, "own").text, "coarse: it has no size: keep .symtab or install the debug file")


def test_the_digest_shown_is_the_one_in_the_keys(t):
    program, config = build_tasks(t, "program"), t.config(CONFIG)
    was = tree_of(t, config, program, "deep")[0]["digest"]
    build_tasks(t, "program", helper=1)
    equal(tree_of(t, config, program, "deep")[0]["digest"], was, "the same build")
    build_tasks(t, "program", helper=2)
    equal(tree_of(t, config, program, "deep")[0]["digest"] != was, True, "a callee changed")


def test_a_program_and_a_task_of_the_config_that_lies_there(t):
    program = build_tasks(t, "program")
    t.config(CONFIG)
    contains(t.ctl("source", program, "deep", cwd=t.dir).text, "TASK_SOURCE_DEEP: ")
    text = t.ctl("source", program, "helper", cwd=t.dir).text
    contains(text, f"helper in {program}: ")
    lacks(t.ctl("source", program, "deep", cwd="/").text, "TASK_SOURCE_DEEP")


def test_all_functions_of_two_builds(t):
    old, same, new = build_tasks(t, "old"), build_tasks(t, "same"), build_tasks(t, "new", helper=2)
    equal(t.ctl("source", "--diff", old, same).text.split(",")[0], "0 functions differ")
    text = t.ctl("source", "--diff", old, new, status=1).text
    contains(text, "helper: differs\n")
    lacks(text, "deep: differs")
    contains(text, "1 functions differ, ")
    text = t.ctl("source", "--diff", "--deep", old, new, status=1).text
    contains(text, "deep: differs\n")
    lacks(text, "own: differs")
    found = {f["symbol"]: f for f in json.loads(t.ctl("source", "--diff", "--json", old, new, status=1).out)}
    equal((found["helper"]["same"], found["own"]["same"]), (False, True))
    equal([d["change"] for d in found["helper"]["differences"]], ["changed"])


def test_the_tasks_of_two_builds(t):
    old, new, config = build_tasks(t, "old"), build_tasks(t, "new", helper=2), t.config(CONFIG)
    text = t.ctl("source", "--diff", "-c", config, old, new, status=1).text
    contains(text, "own: the same\ndeep: differs\n")
    contains(text, "helper, referred to by deep")
    lacks(text, "\nhelper: ")


DEPENDS = r"""
#include <stdio.h>
extern int twice(int);
int table[4] = {1, 2, 3, 4};
__attribute__((noinline, noclone)) int helper(int x) { puts("help"); return x * HELPER; }
int (*volatile hidden)(int);
__attribute__((noinline, noclone)) int deep(int x) { puts("deep"); return twice(x) + hidden(table[x & 3]); }
int main(int c, char **v) { (void)v; hidden = helper; return deep(c); }
"""


def test_what_a_task_depends_on_and_where_it_ends(t):
    t.cc(LIBRARY, "libtwice.so", ("-O2", "-shared", "-fPIC", "-Wl,-soname,libtwice.so"))
    build = lambda name, helper: t.cc(t.write("depends.c", DEPENDS), name, (
        "-O2", f"-DHELPER={helper}", f"-L{t.dir}", f"-Wl,-rpath,{t.dir}", "-ltwice"))
    old, new = build("old", 3), build("new", 4)
    t.write("t.bin", "table")
    task = "tasks:\n  - symbol: deep\n    prototype: 'int deep(int x)'\n    cache_policy: INPUTS + TASK_SOURCE_DEEP\n"
    plain = t.config(task, "plain.yaml")
    config = t.config(task + "    deep_stop: [ default, 'libtw*' ]\n    depends: [ helper, table, ./t.bin ]\n")
    text = t.ctl("source", "-c", plain, old).text
    lacks(text, "depends on")
    lacks(text, "where following ends")
    text = t.ctl("source", "-c", config, old).text
    contains(text, "    it ends at: default|libtw*\n")
    contains(text, "libtwice.so, where following ends: only its name enters: twice\n")
    contains(text, "  depends on helper: ")
    contains(text, "    help\n")
    contains(text, "  depends on table: a variable, by what is in it at each call\n")
    contains(text, "t.bin: a file, by what is in it at each call\n")
    found = json.loads(t.ctl("source", "--json", "-c", config, old).out)["tasks"][0]
    equal([(d["name"].rpartition("/")[2], d["kind"]) for d in found["depends"]],
          [("helper", "function"), ("table", "variable"), ("t.bin", "file")])
    equal(found["depends"][0]["digest"] in text, True, "the helper's digest")
    equal((found["sources"][0]["deep_stop"], [(i["name"], i["ends_here"]) for i in found["sources"][0]["imports"]]),
          ("default|libtw*", [("twice", True)]))
    # Another helper is another key, which the two builds' comparison has to say.
    text = t.ctl("source", "--diff", "-c", config, old, new, status=1).text
    contains(text, "deep: the same\n")
    contains(text, "helper: differs\n")
    equal(t.ctl("source", "--diff", "-c", plain, old, new).text, "deep: the same\n")


COARSE = r"""
static const int table[64] = {1, 2, 3};
static const int other[64] = {TAIL, 5, 6};
__attribute__((noinline)) int looks(int i) { return table[i & 63]; }
__attribute__((noinline)) int looks_too(int i) { return other[i & 63]; }
__attribute__((noinline)) int adds(int i) { return i + ADDED; }
"""


def test_what_is_coarse_is_told_as_such_of_stripped_builds(t):
    old, tail, code = (t.cc(COARSE, name, ("-O2", "-shared", "-fPIC", "-s", f"-DTAIL={tail}", f"-DADDED={added}"))
                       for name, tail, added in (("old.so", 4, 3), ("tail.so", 9, 3), ("code.so", 4, 8)))
    coarse = "  changed: only what is coarse: keep .symtab or install the debug file\n"
    text = t.ctl("source", "--diff", old, tail, status=1).text
    contains(text, "looks: differs\n" + coarse)
    contains(text, "2 functions differ, ")
    text = t.ctl("source", "--diff", old, code, status=1).text
    contains(text, "adds: differs\n  changed: its own code, or what it refers to by name\n1 functions differ, ")
    differ = [d for d in json.loads(t.ctl("source", "--diff", "--json", old, tail, status=1).out) if not d["same"]]
    equal([(d["symbol"], [c["what"].split(":")[0] for c in d["differences"]]) for d in differ],
          [("looks", ["only what is coarse"]), ("looks_too", ["only what is coarse"])])
