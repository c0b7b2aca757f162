"""Each reason for which a task isn't hooked: a program that provokes it, its sentence and its remedy in `cachectl doctor`."""
import json
import os
import re
import shutil
import struct
import subprocess

from harness import Failure, ROOT, contains, equal

ASSEMBLER = r"""
#include <stdio.h>
#define FUNCTION(name, code) __asm__(".text\n.balign 16\n.globl " #name "\n.type " #name ",@function\n" #name ":\n" code "\n.size " #name ",.-" #name)
FUNCTION(tiny, "ret");
__asm__(".zero 8");
FUNCTION(loops, "sub $1,%edi\n jg loops\n mov $7,%eax\n ret");
FUNCTION(into, "xor %eax,%eax\n 1: add %edi,%eax\n dec %edi\n jg 1b\n ret");
FUNCTION(asks_kernel, "mov %eax,%eax\n syscall\n nop\n nop\n ret");
FUNCTION(same, "mov %edi,%eax\n add $1,%eax\n ret");
__asm__(".globl alias_of_same\n.type alias_of_same,@function\n.set alias_of_same, same\n");
__asm__(".text\n.balign 16\n.globl endless\nendless:\n mov %edi,%eax\n add $3,%eax\n ret\n");
__asm__(".text\n.balign 16\n.globl enormous\n.type enormous,@function\nenormous:\n mov %edi,%eax\n add $3,%eax\n ret\n.size enormous, 1 << 30\n");
__attribute__((noinline, noclone, used)) static int hidden_one(int x) { return x * 3 + 1; }
int some_data = 5;
static int one(int x) { return x + 1; }
static int (*choose(void))(int) { return one; }
int chosen(int) __attribute__((ifunc("choose")));
int main(void) { return hidden_one(some_data) + chosen(1) - 18; }
"""
DEBUG = r"""
#include <stdio.h>
struct big { long a, b, c; };
static int global;
__attribute__((noinline)) static int first_only(const struct big *b, int n) { return (int)b->a * n + global; }
__attribute__((noinline)) static int unused_result(int x) { global += x * 3; return global; }
static inline __attribute__((always_inline)) int always(int x) { return x * global + 3; }
__attribute__((noinline)) int pointed(const double *x, int n) { return (int)x[0] + n; }
__attribute__((noinline)) int with_more(const char *f, ...) { return f[0]; }
int main(int argc, char **argv)
{
    struct big b = {argc, 2, 3};
    double d[2] = {argc, 2};
    (void)argv;
    unused_result(argc);
    printf("%d %d %d %d\n", first_only(&b, argc), always(argc), pointed(d, 2), with_more("x", 1));
    return 0;
}
"""
LATE = "__attribute__((visibility(\"default\"))) int from_text(int x);\n__asm__(\".text\\n.quad some\\n.data\\nsome: .quad 1\\n.text\\n\");\n" \
       "int from_text(int x) { return x + 1; }\n"


def about():
    """Sentence and remedy of every reason, from the one list of them."""
    found = {}
    text = (ROOT / "cache" / "reasons.def").read_text()
    for m in re.finditer(r'TC_REASON\(\w+, "([^"]*)", (\w+), "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)', text):
        found[m[1]] = (m[2], m[3].replace('\\"', '"'), m[4].replace('\\"', '"'))
    return found


def tasks(*entries):
    lines = ["defaults: { cache_policy: INPUTS }", "tasks:"]
    for symbol, prototype, *more in entries:
        lines += [f"  - symbol: {symbol}"] + ([f"    prototype: |\n      {prototype}"] if prototype else []) + [f"    {m}" for m in more]
    return "\n".join(lines) + "\n"


def check(t, program, config, expected):
    """`expected`: {function: reason}."""
    reasons = about()
    found = {}
    for x in json.loads(t.ctl("doctor", "--json", "-c", config, program, status=None).out)["tasks"]:
        found.setdefault(re.sub(r"@.*|.*:", "", x["task"]), x)
    text = t.ctl("doctor", "-c", config, program, status=None).text
    for name, reason in expected.items():
        x = found.get(name, {})
        equal(x.get("reason"), reason, f"{name}: {x}\n{text}")
        _, sentence, remedy = reasons[reason]
        if reason != "not-found":
            contains(x["sentence"], sentence)
        if remedy and reason not in ("stripped", "prototype-abi-mismatch", "return-dropped", "extent-missing", "prototype-missing"):
            equal(x["remedy"], remedy, name)
        if remedy and not x["remedy"]:
            raise Failure(f"{name}: {reason} says nothing to do")
        contains(text, x["sentence"])
        if x["remedy"]:
            contains(text, f"try: {x['remedy']}")


def test_entries_that_cannot_be_taken(t):
    program = t.cc(ASSEMBLER, "entries", ("-O1", "-no-pie", "-fno-pie"))
    entries = {"tiny": "too-short", "loops": "branch-to-entry", "into": "branch-into-window", "asks_kernel": "unsupported-insn",
               "alias_of_same": "already-patched", "endless": "no-bounds", "enormous": "malformed-elf", "some_data": "not-a-function",
               "gone@entries": "not-found", "later@liblater.so": "pending"}
    config = t.config(tasks(("same", "int same(int x)"), *((n, f"int {n.split('@')[0]}(int x)") for n in entries),
                            ("hidden_one", "int hidden_one(int x)", "hook: got"), ("chosen", "int chosen(int x)", "hook: entry"),
                            ("main", None), ("_dl_catch_error@ld-linux*", "int _dl_catch_error(int x)")))
    expected = {n.split("@")[0]: r for n, r in entries.items()}
    expected.update(hidden_one="not-exported", chosen="ifunc", main="prototype-missing", _dl_catch_error="used-by-runtime")
    check(t, program, config, expected)
    equal(t.run([program], config).out, b"", "the program runs")


def test_what_compilers_did(t):
    program = t.cc(DEBUG, "debug", ("-O2", "-g"))
    config = t.config(tasks(("first_only@debug", None), ("unused_result@debug", None, "success: 'return > 0'"), ("always@debug", None), ("pointed", None),
                            ("with_more", None)))
    check(t, program, config, {"always": "inlined-everywhere", "pointed": "extent-missing", "with_more": "variadic",
                               "unused_result": "return-dropped", "first_only": "prototype-abi-mismatch"})


def test_ambiguous_names(t):
    other = t.write("other.c", "__attribute__((noinline, noclone, used)) static int twice(int x) { return x + 2; }\n"
                               "int other(int x); int other(int x) { return twice(x); }\n")
    program = t.cc("int other(int);\n__attribute__((noinline, noclone, used)) static int twice(int x) { return x * 2; }\n"
                   "int main(void) { return twice(1) + other(-4); }\n", "ambiguous", ("-O1", other))
    config = t.config(tasks(("twice", "int twice(int x)"), ("other.c:twice", "int twice(int x)", "name: the other")))
    check(t, program, config, {"twice": "ambiguous-name"})


def test_stripped_and_go(t):
    stripped = t.cc(ASSEMBLER, "stripped", ("-O1", "-s"))
    config = t.config(tasks(("hidden_one@stripped", "int hidden_one(int x)")))
    check(t, stripped, config, {"hidden_one": "stripped"})
    go = t.cc(ASSEMBLER + '__asm__(".globl runtime.morestack\\n.type runtime.morestack,@function\\nruntime.morestack: ret\\n'
              '.size runtime.morestack,1\\n");\n', "gone", ("-O1",))
    config = t.config(tasks(("hidden_one@gone", "int hidden_one(int x)")), "go.yaml")
    check(t, go, config, {"hidden_one": "go-runtime"})


def test_text_relocations(t):
    t.cc(LATE, "libtextrel.so", ("-shared", "-fPIC", "-Wl,-z,notext"))
    program = t.cc("int from_text(int);\nint main(void) { return from_text(-1); }\n", "textrel",
                   (f"-L{t.dir}", "-l:libtextrel.so", f"-Wl,-rpath,{t.dir}"))
    config = t.config(tasks(("from_text", "int from_text(int x)")))
    check(t, program, config, {"from_text": "text-relocations"})
    t.run([program], config)


def whole_program(t, program, config, reason):
    remedy = about()[reason][2]
    refused = json.loads(t.ctl("doctor", "--json", "-c", config, program, status=1).out)["refused"]
    equal((refused["reason"], refused["remedy"] or ""), (reason, remedy))
    contains(t.ctl("doctor", "-c", config, program, status=1).text, f"refused: {reason}: {refused['sentence']}")


def test_whole_programs(t):
    plain = "int f(int x) { return x; }\nint main(void) { return f(0); }\n"
    config = t.config(tasks(("f", "int f(int x)")))
    whole_program(t, t.cc(plain, "static", ("-static",)), config, "static-executable")
    setuid = t.cc(plain, "setuid")
    os.chmod(setuid, 0o4755)
    whole_program(t, setuid, config, "secure-exec")
    foreign = t.cc(plain, "foreign")
    data = bytearray(open(foreign, "rb").read())
    struct.pack_into("<H", data, 18, 183)
    open(foreign, "wb").write(data)
    whole_program(t, foreign, config, "foreign-class")


def test_prototypes_that_are_told_when_they_are_read(t):
    """These are in the config's text, with position and caret, and stop `doctor`; what can't be hooked ever is a warning."""
    program = t.cc("int main(void) { return 0; }\n", "program")
    reasons = about()
    for prototype, reason, status in (("int f(const double *x)", "extent-missing", 2), ("int f(out char b[return])", "capacity-missing", 2),
                                      ("char *f(int x)", "ownership-missing", 2), ("int f(const char *s, ...)", "variadic", None),
                                      ("__m128 f(__m128 x)", "vector-type", None), ("int f(in struct list *l)", "recursive-type", None),
                                      ("int f(const _Float16 x[3])", "unsupported-type", None),
                                      ("int f(long a, long b, long c, long d, long e, __int128 x)", "place-uncertain", None),
                                      ("malloc(2) char **f(int x)", "ownership-missing", 2), ("int f(out char **end)", "ownership-missing", 2)):
        config = t.config("types: |\n  struct list { in struct list *next; };\n" + tasks(("f", prototype)))
        r = t.ctl("doctor", "-c", config, program, status=status)
        contains(r.errors, f"{reason}:")
        contains(r.errors, "^")
        contains(r.errors, "try: ")
        if reasons[reason][0] != "TC_KIND_REFUSAL":
            raise Failure(reason)


def test_a_debugger_at_the_loader(t):
    if shutil.which("gdb") is None:
        return
    program = t.cc("int main(void) { return 0; }\n", "program", ("-g",))
    config = t.config(tasks(("f", "int f(int x)")))
    t.run([program], config)
    log = t.dir / "log"
    subprocess.run(["gdb", "-nx", "-batch", "-ex", f"set exec-wrapper env LD_PRELOAD={t.library} TASKCACHE_CONFIG={config} TASKCACHE_LOG=info "
                    f"TASKCACHE_LOG_FILE={log}", "-ex", "run", program], env=t.env, capture_output=True, timeout=60, cwd=t.dir, check=False)
    contains(log.read_text() if log.exists() else "", "debugger")


BODY = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return x * 3;
}
"""
PLAIN = BODY + "int main(void) { printf(\"%d %d\\n\", f(2), f(2)); return 0; }\n"
F = ("f", "int f(int x)")


def at_run(t, argv, config, reason, bodies=2, **kw):
    """What shows when the program runs: a line with sentence and remedy in the log, and the program is as without us."""
    _, sentence, remedy = about()[reason]
    bare = t.bare(argv, **kw)
    t.bodies()
    log = t.dir / f"{reason}.log"
    env = {"TASKCACHE_LOG": "info", "TASKCACHE_LOG_FILE": log, **kw.pop("env", {})}
    r = t.preload(argv, config, env=env, **kw)
    equal((r.out, r.err, t.bodies()), (bare.out, bare.err, bodies), reason)
    text = log.read_text() if log.exists() else ""
    contains(text, reason)
    contains(text, sentence)
    if remedy:
        contains(text, remedy)


def test_no_near_memory(t):
    """Text at the lowest address, and more than 2 GiB of the program's own memory right behind it."""
    source = BODY + "char hole[0x90000000ul] __attribute__((section(\".lbss,\\\"aw\\\",@nobits#\")));\n" \
        "int main(void) { hole[5] = 1; printf(\"%d %d\\n\", f(2), f(2)); return 0; }\n"
    program = t.cc(source, "near", ("-O1", "-no-pie", "-fno-pie", "-mcmodel=medium", "-Wl,-Ttext-segment=0x10000"))
    at_run(t, [program], t.config(tasks(F)), "no-near-memory")


MDWE = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""
# mprotect (10) with this protection fails with EACCES; where `text` is set for the program's text alone.
FILTER = """
import ctypes, os, struct, sys
prot, text = int(sys.argv[1]), int(sys.argv[2])
libc = ctypes.CDLL(None)
def ins(code, jt, jf, k):
    return struct.pack("<HBBI", code, jt, jf, k)
program = [ins(0x20, 0, 0, 0), ins(0x15, 0, 8, 10), ins(0x20, 0, 0, 32), ins(0x15, 0, 6, prot)]
program += [ins(0x20, 0, 0, 20), ins(0x15, 0, 4, 0), ins(0x20, 0, 0, 16), ins(0x35, 0, 2, 0x401000), ins(0x35, 1, 0, 0x402000)] if text else \
           [ins(0x05, 0, 0, 0)] * 5
program += [ins(0x06, 0, 0, 0x00050000 | 13), ins(0x06, 0, 0, 0x7fff0000)]
raw = ctypes.create_string_buffer(b"".join(program))
class Prog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
prog = Prog(len(program), ctypes.addressof(raw))
if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(prog), 0, 0) != 0:
    sys.exit(77)
os.execv(sys.argv[3], sys.argv[3:])
"""


def wrapped(t, script, *arguments):
    """A program that runs another one under a restriction; [] where the kernel hasn't it."""
    argv = ["/usr/bin/python3", t.write("wrapper.py", script), *arguments]
    return argv if t.execute([*argv, "/bin/true"], status=None).status == 0 else []


def test_text_write_denied(t):
    program, config = t.cc(PLAIN, "plain", ("-O1",)), t.config(tasks(F))
    t.run([program], config)
    t.ctl("rm", "*", "-c", config)
    wrapper = wrapped(t, MDWE)
    if wrapper:
        at_run(t, [*wrapper, program], config, "text-write-denied")


def without_proc(t, wrapper, program, config, env=None):
    return t.execute(["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh", *wrapper, program], status=None, env=env)


def test_text_that_may_not_be_written_or_not_become_code_again(t):
    """Without /proc, text is written through mprotect. SELinux may refuse the first step, or the way back: then the page is replaced."""
    program, config = t.cc(PLAIN, "plain", ("-O1", "-no-pie", "-fno-pie")), t.config(tasks(F))
    t.run([program], config)
    t.bodies()
    for protection, text, bodies in (("3", "0", 2), ("5", "1", 0)):
        wrapper = wrapped(t, FILTER, protection, text)
        log = t.dir / f"log-{protection}"
        env = {"LD_PRELOAD": t.library, "TASKCACHE_CONFIG": config, "TASKCACHE_LOG": "info", "TASKCACHE_LOG_FILE": log}
        if not wrapper or without_proc(t, wrapper, "/bin/true", config).status != 0:
            return
        r = without_proc(t, wrapper, program, config, env)
        equal((r.status, r.text, t.bodies()), (0, "6 6\n", bodies), f"protection {protection}")
        if bodies:
            contains(log.read_text(), "text-write-denied")


def test_file_mismatch(t):
    """A library whose path leads to another file for everybody else."""
    t.cc(BODY.replace("__attribute__", "__attribute__((visibility(\"default\"))) __attribute__"), "libgone.so", ("-O1", "-shared", "-fPIC"))
    program = t.cc(r"""
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(argv[1], O_RDONLY));
    void *library = dlopen(path, RTLD_NOW);
    int (*f)(int) = (int (*)(int))(library ? dlsym(library, "f") : 0);
    if (!f)
        return 1;
    printf("%d %d\n", f(2), f(2));
    (void)argc;
    return 0;
}
""", "opens", ("-O1", "-ldl"))
    config = t.config(tasks(("f@libgone.so", "int f(int x)"), ("f@[0-9]*", "int f(int x)", "name: by descriptor")))
    at_run(t, [program, t.dir / "libgone.so"], config, "file-mismatch")


def test_a_resolver_that_hangs(t):
    """It is stopped by SIGSTOP: the program waits for its deadline (1 s), far less than the resolver gets, and goes on without a plan."""
    t.cc(BODY, "libhangs-the-resolver.so", ("-O1", "-shared", "-fPIC"))
    program = t.cc("#include <stdio.h>\nint f(int);\nint main(void) { printf(\"%d %d\\n\", f(2), f(2)); return 0; }\n", "waits",
                   ("-O1", f"-L{t.dir}", "-l:libhangs-the-resolver.so", f"-Wl,-rpath,{t.dir}"))
    config = t.config(tasks(("f@libhangs*", "int f(int x)")))
    bare = t.bare([program])
    t.bodies()
    r = t.preload([program], config, env={"TASKCACHE_TEST_DEADLINE_MS": None})
    equal((r.out, r.err, t.bodies()), (bare.out, bare.err, 2))
    if r.seconds > 3:
        raise Failure(f"it waited for {r.seconds:.1f} s")
    t.wait(lambda: "resolver-failed" in t.ctl("log", "-c", config).text, "the resolver's end", 60)
    check(t, program, config, {"f": "resolver-failed"})
    at_run(t, [program], config, "resolver-failed")
    other = t.cc(PLAIN, "plain", ("-O1",))
    t.run([other], t.config(tasks(F), "plain.yaml"))
    equal(t.bodies(), 1, "the service goes on")


def test_resolver_failed(t):
    t.cc(BODY, "libcrashes-the-resolver.so", ("-O1", "-shared", "-fPIC"))
    program = t.cc("#include <stdio.h>\nint f(int);\nint main(void) { printf(\"%d %d\\n\", f(2), f(2)); return 0; }\n", "user",
                   ("-O1", f"-L{t.dir}", "-l:libcrashes-the-resolver.so", f"-Wl,-rpath,{t.dir}"))
    config = t.config(tasks(("f@libcrashes*", "int f(int x)")))
    check(t, program, config, {"f": "resolver-failed"})
    contains(t.ctl("log", "-c", config).text, "resolver-failed")
    at_run(t, [program], config, "resolver-failed")
    other = t.cc(PLAIN, "plain", ("-O1",))
    plain = t.config(tasks(F), "plain.yaml")
    t.run([other], plain)
    equal(t.bodies(), 1, "the service goes on")
