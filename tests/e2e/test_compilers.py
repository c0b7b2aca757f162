"""Static and exported tasks by gcc and clang, -O0 -O2 -O3, PIE and not: hit and miss, all equal to the bare run."""
import itertools

from harness import Failure, TESTS, equal

PROGRAMS = ("basic", "buffers", "liveregs", "stackargs")


def sources():
    for line in (TESTS / "programs" / "programs.list").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in PROGRAMS:
            words = rest.split()
            yield name, [str(TESTS / "programs" / w) for w in words if not w.startswith("-")]


def cell(compiler, level, pie):
    def f(t):
        config = t.config((TESTS / "programs" / "tasks.yaml").read_text())
        flags = [level, *(("-fPIE", "-pie") if pie else ("-fno-pie", "-no-pie"))]
        for name, files in sources():
            program = str(t.dir / name)
            t.execute([compiler, "-w", *flags, "-o", program, *files, "-lpthread"])
            bare = t.bare([program])
            executed = t.bodies()
            first = t.run([program], config)
            missed = t.bodies()
            second = t.run([program], config)
            hit = t.bodies()
            for r in (first, second):
                equal((r.out, r.err), (bare.out, bare.err), f"{compiler} {flags} {name}")
            if not (0 <= hit < missed <= executed):
                raise Failure(f"{compiler} {flags} {name}: bodies bare {executed}, missed {missed}, hit {hit}")

    return f


def tests():
    for compiler, level, pie in itertools.product(("gcc", "clang"), ("-O0", "-O2", "-O3"), (True, False)):
        yield f"compilers: {compiler} {level} {'pie' if pie else 'no-pie'}", cell(compiler, level, pie)
