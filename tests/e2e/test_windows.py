"""Functions whose end, or a neighbour's branch, lies in the bytes that the jump would take: hooked by entry where padding follows, else by
symbol if they are exported, else refused."""
import collections
import json

from harness import contains, equal

SUPPORT = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void ran(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
        _exit(99);
    close(fd);
}
"""
# Its code is n bytes: it goes on, by a short jump or by running on, at `NAME_on`, beyond what follows it. Code, no padding, is in front.
FUNCTION = """
__asm__(".section .text.windows,\\"ax\\"\\n.balign 16\\n"
        "{name}_front:\\n .skip 11, 0xf8\\n mov $1,%eax\\n"
        "{export}.type {name},@function\\n{name}:\\n {code}\\n.size {name},.-{name}\\n"
        "{behind}"
        "{name}_on: jmp {name}_body\\n.balign 16, 0xcc\\n.text\\n");
int {name}(int x);
__attribute__((used, visibility("hidden"))) int {name}_body(int x) {{ ran("{name}"); return x * {factor}; }}
__attribute__((visibility("default"))) int (*get_{name}(void))(int) {{ return {name}; }}
"""
BEHIND = {
    "padding": ".skip 16, {fill}\\n",
    "function": ".type {name}_next,@function\\n{name}_next:\\n {next}\\n.size {name}_next,.-{name}_next\\n",
}
PROGRAM = """
#include <stdio.h>
{declarations}
int main(void)
{{
{calls}    return 0;
}}
"""


def source(cases):
    """cases: {name: (bytes of code, behind, exported)}"""
    out = [SUPPORT]
    for i, (name, (n, behind, exported)) in enumerate(cases.items()):
        runs_on = n == 1
        code = "nop" if runs_on else "nop\\n " * (n - 2) + f"jmp {name}_on" if n <= 4 or behind == "padding" else f"jmp.d32 {name}_on"
        text = BEHIND[behind].format(name=name, fill="0x90" if runs_on else "0xcc", next="clc" if runs_on else "mov $7,%eax\\n ret")
        export = f".globl {name}\\n" if exported else ""
        out.append(FUNCTION.format(name=name, code=code, behind=text, export=export, factor=3 + i))
        if not exported:
            out[-1] = out[-1].replace(f"int {name}(int x);", f'int {name}(int x) __attribute__((visibility("hidden")));')
    return "".join(out)


def run(t, cases, hook):
    """{name: state or reason}, {name: (bodies of the first run, of the second)}"""
    t.cc(source(cases), "libwindows.so", ("-O1", "-shared", "-fPIC", "-Wl,-z,noseparate-code"))
    declarations = "".join(f"int {n}(int), (*get_{n}(void))(int);\n" if c[2] else f"int (*get_{n}(void))(int);\n" for n, c in cases.items())
    calls = "".join(f'    printf("{n} %d %d\\n", {n if c[2] else f"get_{n}()"}(5), {n if c[2] else f"get_{n}()"}(5));\n' for n, c in cases.items())
    program = t.cc(PROGRAM.format(declarations=declarations, calls=calls), "windows",
                   ("-O1", f"-L{t.dir}", "-l:libwindows.so", f"-Wl,-rpath,{t.dir}"))
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n" + "".join(
        f"  - symbol: {n}@libwindows.so\n    hook: {hook}\n    prototype: |\n      int {n}(int x)\n" for n in cases))
    found = json.loads(t.ctl("doctor", "--json", "-c", config, program, status=None).out)["tasks"]
    states = {x["task"].split("@")[0].split(":")[-1]: x for x in found}
    bare = t.bare([program])
    counts = [bodies(t)]
    equal(counts[0], {n: 2 for n in cases})
    for _ in range(2):
        r = t.run([program], config)
        equal(r.out, bare.out)
        counts.append(bodies(t))
    return states, {n: (counts[1].get(n, 0), counts[2].get(n, 0)) for n in cases}


def bodies(t):
    names = t.body_log.read_text().split() if t.body_log.exists() else []
    t.body_log.unlink(missing_ok=True)
    return dict(collections.Counter(names))


def all_cases():
    return {f"{behind[0]}{n}{'e' if exported else 'l'}": (n, behind, exported)
            for n in range(1, 7) for behind in BEHIND for exported in (True, False)}


def taken(n, behind, exported, hook):
    """How: "entry", "symbol" or a reason. A byte that runs on into what follows has no end that padding could replace."""
    if n >= 5 or (behind == "padding" and n > 1):
        return "entry"
    return "symbol" if exported and hook == "auto" else "too-short"


def test_functions_that_end_in_the_window(t):
    cases = all_cases()
    for hook in ("auto", "entry"):
        states, counts = run(t, cases, hook)
        for name, (n, behind, exported) in cases.items():
            what = f"{hook}: {n} bytes, {behind} behind, {'exported' if exported else 'local'}"
            expected, x = taken(n, behind, exported, hook), states[name]
            equal(x["state"], "refused" if expected == "too-short" else "hookable", what)
            equal(x.get("reason"), "too-short" if expected == "too-short" else None, what)
            equal(x.get("note") is not None, expected == "symbol", what)
            if expected == "symbol":
                contains(x["note"], f"too-short: {n} bytes")
            equal(counts[name], (2, 2) if expected == "too-short" else (1, 0), what)
        t.ctl("rm", "*", "-c", t.dir / "taskcache.yaml", status=None)


NEIGHBOUR = """
__asm__(".text\\n.balign 16, 0xcc\\n{export}.type {name},@function\\n{name}:\\n xor %eax,%eax\\n lea 1(%rdi),%edi\\n jmp {name}_body\\n"
        ".size {name},.-{name}\\n.balign 16, 0xcc\\n"
        ".globl by_{name}\\n.type by_{name},@function\\nby_{name}:\\n mov %edi,%edi\\n jmp {name}+2\\n.size by_{name},.-by_{name}\\n");
int {name}(int x);
__attribute__((used, visibility("hidden"))) int {name}_body(int x) {{ ran("{name}"); return x * 7; }}
__attribute__((visibility("default"))) int (*get_{name}(void))(int) {{ return {name}; }}
"""


def test_a_neighbour_that_branches_into_the_window(t):
    """Found in the whole object: another function goes on in the midst of the task's first instructions."""
    text = SUPPORT + NEIGHBOUR.format(name="shown", export=".globl shown\\n") + NEIGHBOUR.format(name="inner", export="").replace(
        "int inner(int x);", 'int inner(int x) __attribute__((visibility("hidden")));')
    t.cc(text, "libneighbours.so", ("-O1", "-shared", "-fPIC"))
    program = t.cc("""
#include <stdio.h>
int shown(int), by_shown(int), by_inner(int);
int (*get_inner(void))(int);
int main(void)
{
    for (int i = 0; i < 2; i++)
        printf("%d %d %d %d\\n", shown(2), by_shown(2), get_inner()(2), by_inner(2));
    return 0;
}
""", "neighbours", ("-O1", f"-L{t.dir}", "-l:libneighbours.so", f"-Wl,-rpath,{t.dir}"))
    for hook in ("auto", "entry"):
        config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n" + "".join(
            f"  - symbol: {n}@libneighbours.so\n    hook: {hook}\n    prototype: |\n      int {n}(int x)\n" for n in ("shown", "inner")))
        found = json.loads(t.ctl("doctor", "--json", "-c", config, program, status=None).out)["tasks"]
        states = {x["task"].split("@")[0].split(":")[-1]: x for x in found}
        equal(states["inner"].get("reason"), "branch-into-window", hook)
        equal(states["shown"].get("reason"), None if hook == "auto" else "branch-into-window", hook)
        bare = t.bare([program])
        equal(bodies(t), {"shown": 4, "inner": 4})
        for by_symbol in (1, 0):
            equal(t.run([program], config).out, bare.out)
            equal(bodies(t), {"shown": 2 + by_symbol if hook == "auto" else 4, "inner": 4}, hook)
