"""Runs the cases of cases.txt; README.md beside this file says how they are written."""
import atexit
import collections
import hashlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from harness import Failure, Later, ROOT

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / "functions.c"
CLOCK_START_S = 1_800_000_000
PATIENCE_S = 120
VARYING = {"nth"}  # whose result depends on more than its arguments
REASONS = set(re.findall(r'^TC_REASON\(\w+, "([a-z0-9-]+)"', (ROOT / "cache/reasons.def").read_text(), re.M))
PROTOTYPES = {re.search(r"(\w+)\(", p)[1]: p for p in re.findall(r"(?:/\*| \*): (.*) \*/", SOURCE.read_text())}


# Reading cases.
class Case:
    def __init__(self, line):
        self.id, self.title = line.split(None, 1)
        self.tasks, self.config, self.builds = [], [], {"v1": ("", "")}
        self.calls, self.expect = [], []
        self.says, self.counts = collections.Counter(), {}
        self.texts = []
        self.store = self.status = None
        self.stores = {}  # of storages
        self.differs = self.later = self.disk = ""
        self.by_hand = False

    @property
    def name(self):
        mark = " [differs from Prefect]" if self.differs else ""
        return f"{self.id}: {' '.join(self.calls)} -> {' '.join(self.expect)}{mark} ({self.title})"

    def read(self, key, rest):
        if key == "task" or re.fullmatch(r"task@\d+", key):
            name, _, options = rest.partition(" ")
            since = int(key[5:] or 1)
            self.tasks.append((since, name, [o.strip() for o in options.split(";") if o.strip()]))
        elif key == "config":
            self.config.append(rest)
        elif key == "build":
            name, _, how = rest.partition(" ")
            flags, slashes, text = how.partition("//")
            self.builds[name] = (flags.strip(), slashes + text)
        elif key in ("calls", "expect"):
            getattr(self, key).extend(rest.split())
        elif key == "says":
            head, _, text = rest.partition(":")
            reason, _, times = head.strip().partition(" ")
            if reason not in REASONS:
                raise Failure(f"{self.id}: cache/reasons.def has no {reason}")
            self.says[reason] += int(times or 1)
            if text.strip():
                self.texts.append(text.strip())
        elif key == "says-too":
            self.texts.append(rest)
        elif key == "counts":
            reason, times = rest.split()
            self.counts[reason] = int(times)
        elif key == "store":
            self.store = int(rest)
        elif key.startswith("store@"):
            self.stores[key[6:]] = int(rest)
        elif key == "status":
            self.status = int(rest)
        elif key in ("differs", "later", "disk"):
            setattr(self, key, rest)
        elif key == "by-hand":
            self.by_hand = True
        else:
            raise Failure(f"{self.id}: what does '{key}' mean?")

    def check(self):
        flat = [w for w in self.calls if is_call(w)]
        wanted = [w for w in self.expect if w != "|"]
        if len(flat) != len(wanted) or self.calls.count("|") != self.expect.count("|"):
            raise Failure(f"{self.id}: {len(flat)} calls, {len(wanted)} expectations, or the `|` don't fit")


def is_call(word):
    return "(" in word


def read_cases(path):
    cases = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            cases.append(Case(line.strip()))
            continue
        key, _, rest = line.strip().partition(" ")
        try:
            cases[-1].read(key, rest.strip())
        except (ValueError, IndexError) as e:
            raise Failure(f"{path.name}:{number}: {line.strip()}: {e}")
    ids = [c.id for c in cases]
    for c in cases:
        c.check()
        if ids.count(c.id) != 1:
            raise Failure(f"{path.name}: two cases are called {c.id}")
    return cases


# Building programs: each set of flags once for all cases.
programs, programs_lock = {}, threading.Lock()
programs_dir = pathlib.Path(tempfile.mkdtemp(prefix="tc-conformance-", dir="/tmp"))
atexit.register(shutil.rmtree, programs_dir, True)


def build(flags, text):
    with programs_lock:
        known = programs.get((flags, text))
        if known is None:
            place = programs_dir / hashlib.sha256(f"{flags}\n{text}".encode()).hexdigest()[:12]
            source = place / "conformance" / SOURCE.name  # one path in debug information: relative, by cd
            source.parent.mkdir(parents=True)
            source.write_text((text + "\n" if text else "") + SOURCE.read_text())
            for name in ("functions.h", "calls.c"):
                shutil.copy(HERE / name, source.parent)
            shutil.copytree(HERE.parent / "programs", place / "programs", ignore=lambda d, n: [f for f in n if not f.endswith(".h")])
            command = ["gcc", "-O2", *flags.split(), "-o", "../functions", SOURCE.name, "calls.c", "-lm", "-pthread"]
            r = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
            if r.returncode != 0:
                raise Failure(f"{' '.join(command)}\n{r.stderr}")
            known = programs[flags, text] = str(place / "functions")
    return known


# One process of the program, called through its stdin.
class Process:
    def __init__(self, argv, env, errors):
        self.p = subprocess.Popen([str(a) for a in argv], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=errors, bufsize=0)

    def ask(self, line):
        """The answer, or None when the process has ended instead."""
        try:
            self.p.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            return None
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([self.p.stdout], [], [], PATIENCE_S)[0]:
                self.p.kill()
                raise Failure(f"no answer to '{line}' within {PATIENCE_S} s")
            part = os.read(self.p.stdout.fileno(), 4096)
            if not part:
                return None
            answer += part
        return " ".join(sorted(re.findall(r"\S+(?: \S+)*? errno \d+", answer.decode()))) or answer.decode().strip()

    def end(self):
        self.p.stdin.close()
        try:
            status = self.p.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise Failure("the program doesn't end")
        self.p.stdout.close()
        return status


def request(word):
    """f(1,2) -> "f 1 2"; f(1)&f(1) -> "both f 1"; fork:f(1), spawn:f(1)."""
    first, _, second = word.partition("&")
    if second and second != first:
        raise Failure(f"{word}: both sides of & are one call")
    how, _, call = first.rpartition(":")
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", call).groups()
    line = " ".join([name, *arguments.split(",")]) if arguments else name
    return " ".join(filter(None, ["both" if second else how, line])), name


class Run:
    """A case on its way: bare, or cached."""

    def __init__(self, t, case, cached, bare=None):
        self.t, self.case, self.cached, self.bare = t, case, cached, bare
        self.number = 1  # of the process, from 1
        self.process = None
        self.aside = []  # processes that wait while { ... } runs
        self.seen, self.answers, self.statuses = [], [], []
        self.stderr = open(t.dir / "stderr", "w+b")
        self.clock = t.dir / "clock"
        self.fresh()

    def fresh(self):
        self.env, self.argv, self.build = {}, [], "v1"

    # Starting and ending.
    def start(self):
        t, env = self.t, {**self.t.env, **self.env}
        if self.cached:
            env["NTH_FILE"] = str(t.dir / "nth")
            env["CACHECTL"] = t.cachectl
        if self.clock.exists():
            env["TASKCACHE_CLOCK_FILE"] = str(self.clock)
        program = build(*self.case.builds[self.build])
        argv = [program, *self.argv]
        if self.cached and self.case.by_hand:
            env.update(LD_PRELOAD=t.library, TASKCACHE_CONFIG=self.write_config())
        elif self.cached:
            argv = [t.cachectl, "run", "-c", self.write_config(), "--", *argv]
        if self.cached and self.case.disk:
            argv = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c",
                    'mount -t tmpfs -o "size=$0,mode=0700" none "$XDG_CACHE_HOME" && exec "$@"', self.case.disk, *argv]
        self.process = Process(argv, env, self.stderr)

    def write_config(self):
        chosen = {}
        for since, name, options in self.case.tasks:
            if since <= self.number:
                chosen[name] = options
        plugins = str(self.t.build / "tests" / "plugins")
        lines = [*(c.replace("{plugins}", plugins) for c in self.case.config), "tasks:"]
        for name, options in chosen.items():
            lines += [f"  - symbol: {name}"]
            if not any(o.startswith("prototype:") for o in options):
                lines += ["    prototype: |", f"      {PROTOTYPES[name]}"]
            lines += [f"    {o}" for o in options]
        text = "\n".join(lines) + "\n"
        path = self.t.dir / "taskcache.yaml"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return str(path)

    def end(self):
        if self.process:
            self.statuses.append(self.process.end())
        self.process = None

    # Words of `calls`.
    def step(self, word):
        if word == "|":
            self.end()
            self.number += 1
            self.fresh()
        elif word == "{":
            self.aside.append(self.process)
            self.process = None
            self.fresh()
        elif word == "}":
            self.end()
            self.process = self.aside.pop()
        elif is_call(word):
            self.call(word)
        else:
            self.action(*word.partition("=")[::2])

    def action(self, name, value):
        t = self.t
        if name.isupper():
            self.env[name] = value.replace("{run}", str(t.dir))
        elif name == "build":
            self.build = value
        elif name == "argv":
            self.argv = value.split(",")
        elif name == "t":
            new = self.t.dir / "clock.new"
            new.write_text(str(int((CLOCK_START_S + float(value)) * 1e9)))
            new.rename(self.clock)
        elif name in ("fail", "errno", "round", "kill"):
            if name != "kill" or self.cached:
                self.ask(f"set {name} {value}")
        elif not self.cached:
            pass
        elif name == "rm":
            t.ctl("rm", "-c", self.write_config(), value or "--all")
        elif name.startswith("rm@"):
            t.ctl("rm", "-c", self.write_config(), "--storage", name[3:], value or "--all")
        elif name == "corrupt":
            self.corrupt(bytes.fromhex(value))
        elif name == "service" and value == "stop":
            t.ctl("service", "stop")
        elif name == "service" and value == "kill":
            t.kill_services()
        else:
            raise Failure(f"{self.case.id}: what does '{name}' mean?")

    def corrupt(self, byte):
        """Changes one byte wherever 16 of this value stand together in the store."""
        changed = 0
        for path in (self.t.dir / "cache").rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            for m in re.finditer(re.escape(byte * 16), data):
                with open(path, "r+b") as f:
                    f.seek(m.start())
                    f.write(bytes([byte[0] ^ 1]))
                changed += 1
        if not changed:
            raise Failure("nothing to corrupt was found")

    def ask(self, line):
        if self.process is None:
            self.start()
        return self.process.ask(line)

    def call(self, word):
        line, name = request(word)
        before = self.t.bodies()
        if before:
            raise Failure(f"{before} bodies ran between calls")
        answer = self.ask(line)
        self.answers.append(answer)
        if self.cached:
            self.judge(len(self.answers) - 1, name, answer, self.t.bodies())
        else:
            self.t.bodies()

    def judge(self, i, name, answer, bodies):
        """What was seen at call i, in the words of `expect`."""
        wanted = [w for w in self.case.expect if w != "|"][i]
        expected = self.bare.answers[i] if name not in VARYING else answer
        as_call = re.fullmatch(r"C(\d+)", wanted)
        if as_call:
            expected = self.answers[int(as_call[1]) - 1]
        if answer is None:
            seen = "K" if bodies == 1 else "-"
        elif bodies == 0:
            seen = wanted if as_call else "C"
        elif bodies == 1 and wanted == "F" and answer.startswith("-1 "):
            seen = "F"
        elif sorted(wanted.replace("&", "")) == sorted("E" * bodies + "C" * (wanted.count("C"))):
            seen = wanted
        else:
            seen = "&".join("E" * bodies)
        if answer is not None and answer != expected:
            seen += f"[{answer} instead of {expected}]"
        self.seen.append(seen)

    def all(self):
        try:
            for word in self.case.calls:
                self.step(word)
            self.end()
        finally:
            if self.process:
                self.process.p.kill()
            for p in self.aside:
                if p:
                    p.p.kill()
        return self

    # What was said, and where things stand afterwards.
    def messages(self):
        """Warnings and errors as (reason, line), from stderr and the service's log."""
        self.stderr.seek(0)
        found = []
        shown = {line.rstrip() for line in pathlib.Path(self.write_config()).read_text().splitlines()}
        for line in self.stderr.read().decode(errors="replace").splitlines():
            line = re.sub(r"^[\d:.]+ \| (ERROR|WARNING) +\| ", "", line)
            if line.startswith((" ", "cachectl: note:")) or line.rstrip() in shown:
                continue
            m = re.search(r": ([a-z0-9-]+): ", line)
            while m and m[1] not in REASONS:
                m = re.compile(r": ([a-z0-9-]+): ").search(line, m.end() - 2)
            found.append((m[1] if m else "?", line))
        for path in self.log_files():
            for line in path.read_text(errors="replace").splitlines():
                words = line.split(" ", 4)
                if len(words) == 5 and words[2].lower() in ("error", "warn", "warning"):
                    found.append((words[3], line))
        return found

    def log_files(self):
        if not self.case.disk:
            return [*(self.t.dir / "cache").rglob("log"), *self.t.dir.glob("*/log")]
        return [p for pid in self.t.service_pids()
                for p in pathlib.Path(f"/proc/{pid}/root{self.t.dir}/cache").rglob("log")]


def run_case(t, case):
    bare = Run(t, case, False).all()
    (t.dir / "clock").unlink(missing_ok=True)
    t.bodies()
    run = Run(t, case, True, bare).all()
    wrong = []

    def must(what, seen, expected):
        if seen != expected:
            wrong.append(f"{what}: expected {expected}, seen {seen}")

    must("calls", " ".join(run.seen), " ".join(w for w in case.expect if w != "|"))
    must("exit statuses", sorted(set(run.statuses)), sorted(statuses_of(case)))
    config = ["-c", run.write_config()]
    if case.store is not None:
        must("records in the store", len(json.loads(t.ctl("ls", *config, "--json").out)), case.store)
    for name, wanted in case.stores.items():
        must(f"records in {name}", len(json.loads(t.ctl("ls", *config, "--storage", name, "--json").out)), wanted)
    if case.counts:
        reasons = json.loads(t.ctl("stats", *config, "--json").out)["bypass_reasons"]
        must("bypasses", {k: reasons.get(k, 0) for k in case.counts}, case.counts)
    said = run.messages()
    until = time.monotonic() + 20  # what targets tell the service isn't waited for
    while len(said) < sum(case.says.values()) and time.monotonic() < until:
        time.sleep(0.02)
        said = run.messages()
    must("messages", dict(collections.Counter(r for r, _ in said)), dict(case.says))
    for text in case.texts:
        must(f"a message with '{text}'", any(text in line for _, line in said), True)
    if wrong:
        said = "".join(f"\n    {line}" for _, line in said)
        raise Failure(f"{case.id}: {case.title}\n  calls  {' '.join(case.calls)}\n  " + "\n  ".join(wrong) +
                      (f"\n  said:{said}" if said else ""))


def statuses_of(case):
    ends = {case.status if case.status is not None else 0}
    if "K" in case.expect:
        ends.add(-signal.SIGKILL)
        if len(case.expect) == 1:
            ends.discard(0)
    return ends


def as_test(case):
    def test(t):
        if not case.later:
            run_case(t, case)
            return
        try:
            run_case(t, case)
        except Exception as e:
            lines = [line.strip() for line in str(e).splitlines()]
            wrong = [line for line in lines[2:] if re.match(r"[a-z ]+: expected ", line)]
            raise Later(f"waits for {case.later}; {'; '.join(wrong or lines)}") from None
        raise Later(f"{case.later}; it passes already: take the mark away")

    return test


def tests():
    return [(c.name, as_test(c)) for c in read_cases(HERE / "cases.txt")]
