"""The plugin ABI only grows: plugins built against every released header load, and no member has moved."""
import re
import subprocess

from harness import Failure, ROOT, equal

HEADERS = ROOT / "tests" / "plugins" / "headers"
CURRENT = ROOT / "plugin-api" / "include"
RELEASED = sorted(p.name for p in HEADERS.iterdir())
CONFIG = "plugins:\n  - ./old.so\ntasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n    cache_policy: %s\n"
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return x * 2;
}
int main(void) { printf("%d %d\n", f(1), f(1)); return 0; }
"""
DATA = """#include <taskcache/plugin.h>
static const struct taskcache_task tasks[] = {TASKCACHE_TASK(.symbol = "f", .prototype = "int f(int x)", .cache_policy = "INPUTS")};
TASKCACHE_PLUGIN("old", "1.0", "MIT", "Data", tasks);
"""
CODE = """#include <taskcache/plugin.h>
static int key(void *data, const struct taskcache_call *call, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)error;
    const struct taskcache_value *x = taskcache_value(call, "x");
    taskcache_put(to, &x->integer, sizeof x->integer);
    return taskcache_value(call, "y") != NULL;
}
static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    static const struct taskcache_key_function f = {sizeof f, 0, "key", NULL, key};
    (void)error;
    return TASKCACHE_HAS(host, add_key_function) ? host->add_key_function(host, &f) : -1;
}
TASKCACHE_PLUGIN_OF_CODE("old", "1.0", "MIT", "Code", 0, init);
"""


def members(include):
    """(struct, member) of all public structs, as the headers write them."""
    text = "".join((include / "taskcache" / n).read_text() for n in ("value.h", "plugin.h") if (include / "taskcache" / n).exists())
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for name, body in re.findall(r"^struct (taskcache_\w+) \{\n(.*?)^\};", text, re.S | re.M):
        for line in body.split(";"):
            pointers = re.findall(r"\(\*(\w+)\)\(", line)
            for member in pointers[:1] or re.findall(r"(\w+)\s*(?:,|$)", re.sub(r"\s+", " ", line).strip()):
                yield name, member


def layout(t, include, wanted, name):
    """Offsets and sizes, by the compiler."""
    lines = "".join(f'    printf("{s}.{m} %zu %zu\\n", offsetof(struct {s}, {m}), sizeof(((struct {s} *)0)->{m}));\n' for s, m in wanted)
    program = t.cc(f"#include <stddef.h>\n#include <stdio.h>\n#include <taskcache/plugin.h>\nint main(void)\n{{\n{lines}    return 0;\n}}\n",
                   name, flags=(f"-I{include}",))
    return t.bare([program]).text


def test_the_stored_layouts_are_what_their_headers_say(t):
    for version in RELEASED:
        include = HEADERS / version
        equal(layout(t, include, list(members(include)), "dump" + version), (include / "layout.txt").read_text(), f"{version}/layout.txt")


def test_no_member_has_moved(t):
    for version in RELEASED:
        stored = (HEADERS / version / "layout.txt").read_text()
        wanted = [line.split()[0].split(".") for line in stored.splitlines()]
        equal(layout(t, CURRENT, wanted, "now" + version), stored, f"members of {version}")


def test_a_change_of_the_header_is_another_minor_version(t):
    text = (CURRENT / "taskcache" / "plugin.h").read_text()
    version = ".".join(re.search(rf"TASKCACHE_ABI_{n}\s+(\d+)", text)[1] for n in ("MAJOR", "MINOR"))
    for name in ("plugin.h", "value.h"):
        if (CURRENT / "taskcache" / name).read_text() != (HEADERS / version / "taskcache" / name).read_text():
            raise Failure(f"{name} isn't tests/plugins/headers/{version}'s: raise the minor version, or copy it if {version} isn't released")


def load(t, version, source, policy):
    t.cc(t.write("old.c", source), "old.so", flags=("-shared", "-fPIC", "-Wall", "-Werror", f"-I{HEADERS / version}"))
    program = t.cc(PROGRAM, "program")
    r = t.run([program], t.config(CONFIG % policy), env={"TASKCACHE_LOG": "warn"})
    equal((r.text, r.err, t.bodies()), ("2 2\n", b"", 1), f"a plugin built against {version}")


def test_plugins_of_every_released_header_load(t):
    for version in RELEASED:
        load(t, version, DATA, "INPUTS")
        t.ctl("rm", "-c", str(t.dir / "taskcache.yaml"), "--all")
        if version != "1.0":
            load(t, version, CODE, "KEY(old.key)")
            t.ctl("rm", "-c", str(t.dir / "taskcache.yaml"), "--all")


def test_the_header_is_c99_and_cxx11(t):
    for name, flags, compiler in (("c", "-std=c99", "gcc"), ("cc", "-std=c++11", "g++")):
        source = t.write("old." + name, CODE)
        r = subprocess.run([compiler, flags, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", f"-I{CURRENT}", source],
                           capture_output=True, text=True, check=False)
        equal((r.returncode, r.stderr), (0, ""), flags)


def test_structs_of_another_size(t):
    """A registration that is longer than the host's is taken as far as it is known; a shorter one lacks what it lacks."""
    larger = CODE.replace("static const struct taskcache_key_function f = {sizeof f, 0, \"key\", NULL, key};",
                          "static const struct { struct taskcache_key_function known; void *more[3]; } f = {{sizeof f, 0, \"key\", NULL, key}, {(void *)1}};")
    load(t, RELEASED[-1], larger.replace("(host, &f)", "(host, &f.known)"), "KEY(old.key)")
