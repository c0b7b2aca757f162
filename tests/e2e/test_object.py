"""The built libtaskcache.so keeps the rules of code that runs in other people's processes."""
import re
import subprocess

from harness import Failure, equal, lacks


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_needs_no_library_and_no_symbol_version(t):
    dynamic = output("readelf", "-dW", t.library)
    lacks(dynamic, "(NEEDED)")
    lacks(dynamic, "TEXTREL")
    for flag in ("INITFIRST", "NODELETE", "NOW"):
        if flag not in dynamic:
            raise Failure(f"{flag} is missing")
    versions = output("readelf", "-VW", t.library)
    lacks(versions, "GLIBC")


def test_imports_six_optional_symbols_and_exports_two(t):
    symbols = output("nm", "-D", t.library).split("\n")
    imported = sorted(s.split()[-1] for s in symbols if re.search(r" [Uuvw] ", s))
    exported = sorted(s.split()[-1] for s in symbols if re.search(r" [TtDdBbRr] ", s))
    equal(imported, ["__errno_location", "_r_debug", "dlopen", "dlsym", "free", "malloc"])
    equal(exported, ["prctl", "syscall"])


def test_uses_no_registers_that_the_stub_does_not_save(t):
    code = output("objdump", "-d", "--no-show-raw-insn", t.library)
    instructions = [line.split("\t")[1] for line in code.split("\n") if "\t" in line]
    bad = [i for i in instructions if re.search(r"%[yz]mm|%k[0-7]|%mm[0-7]", i) or re.match(r"v[a-z]", i)]
    # Results in x87's registers: read, and given, by two functions. The third saves all there is.
    apart = re.sub(r"<(tc_common|tc_arch_x87_peek|tc_arch_call_host|tc_call_host_thrown)>:.*?\n\n", "", code, flags=re.S)
    instructions = [line.split("\t")[1] for line in apart.split("\n") if "\t" in line]
    x87 = [i for i in instructions if re.match(r"f[a-z0-9]+\b", i) and not i.startswith("fnstcw")]
    equal((bad[:5], x87[:5]), ([], []))


def test_no_segment_is_writable_and_executable(t):
    for line in output("readelf", "-lW", t.library).split("\n"):
        if "LOAD" in line or "GNU_STACK" in line:
            lacks(line, "RWE")
