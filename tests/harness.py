"""What end-to-end tests stand on: a place of their own for each test, programs built in it, runs bare and cached.

A test proves that a body ran by the line that the body itself appends to $BODY_LOG, and a replay by comparing output bytes with
those of a bare run; never by the product's own counters alone.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
LONG = False  # of the run: for modules that generate their tests


class Failure(AssertionError):
    pass


class Later(Exception):
    """A test that waits for what isn't built yet, or needs what this machine lacks: neither passed nor failed."""


class Result:
    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def errors(self):
        return self.err.decode(errors="replace")


class Fixture:
    """One test's place: own HOME, runtime and cache directories, own service."""

    def __init__(self, build, long=False):
        self.build = pathlib.Path(build).resolve()
        self.long = long
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tc-", dir="/tmp"))
        for name in ("run", "cache", "home"):
            (self.dir / name).mkdir(mode=0o700)
        self.cachectl = str(self.build / "tools" / "cachectl")
        self.library = str(self.build / "preload" / "libtaskcache.so")
        self.taskcached = str(self.build / "service" / "taskcached")
        self.body_log = self.dir / "body.log"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.dir / "home"),
            "XDG_RUNTIME_DIR": str(self.dir / "run"),
            "XDG_CACHE_HOME": str(self.dir / "cache"),
            "LC_ALL": "C.UTF-8",
            "BODY_LOG": str(self.body_log),
            # On a busy machine a service answers late; tests about lateness set their own.
            "TASKCACHE_TEST_DEADLINE_MS": "20000",
        }
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def close(self):
        try:
            subprocess.run([self.cachectl, "service", "stop"], env=self.env, capture_output=True, timeout=60)
        except subprocess.TimeoutExpired:
            pass
        for pid in self.service_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def service_pids(self):
        """Services of this fixture: processes whose environment or arguments name its directory."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (p / "comm").read_text().strip() != "taskcached":
                    continue
                if str(self.dir) in (p / "cmdline").read_text() + (p / "environ").read_text():
                    found.append(int(p.name))
            except OSError:
                continue
        return found

    # Programs and files.
    def write(self, name, text):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def cc(self, source, name=None, flags=("-O2",), compiler=None):
        """Compiles a file under tests/ or a text; returns the program's path."""
        if "\n" in source:
            source = self.write((name or "program") + ".c", source)
        elif not os.path.isabs(source):
            source = str(TESTS / source)
        out = str(self.dir / (name or pathlib.Path(source).stem))
        if compiler is None:
            compiler = "g++" if source.endswith((".cc", ".cpp")) else "gcc"
        command = [compiler, *[f for f in flags if not f.startswith("-l")], "-o", out, source, *[f for f in flags if f.startswith("-l")]]
        r = subprocess.run(command, capture_output=True, text=True, cwd=self.dir)
        if r.returncode != 0:
            raise Failure(f"{' '.join(command)}\n{r.stderr}")
        return out

    def config(self, text, name="taskcache.yaml"):
        return self.write(name, text)

    # Runs.
    def execute(self, argv, env=None, status=0, timeout=120, stdin=None, cwd=None):
        e = dict(self.env)
        for k, v in (env or {}).items():
            if v is None:
                e.pop(k, None)
            else:
                e[k] = str(v)
        start = time.monotonic()
        p = subprocess.run([str(a) for a in argv], env=e, capture_output=True, timeout=timeout, input=stdin, cwd=cwd or self.dir)
        r = Result(p.returncode, p.stdout, p.stderr, time.monotonic() - start)
        if status is not None and p.returncode != status:
            raise Failure(f"{argv}: status {p.returncode}, expected {status}\nstdout: {r.text[-2000:]}\nstderr: {r.errors[-3000:]}")
        return r

    def bare(self, argv, **kw):
        return self.execute(argv, **kw)

    def run(self, argv, config=None, options=(), **kw):
        """By `cachectl run`."""
        c = ["-c", config] if config else []
        return self.execute([self.cachectl, "run", *c, *options, "--", *argv], **kw)

    def preload(self, argv, config, env=None, **kw):
        """By hand: LD_PRELOAD and TASKCACHE_CONFIG."""
        return self.execute(argv, env={"LD_PRELOAD": self.library, "TASKCACHE_CONFIG": config, **(env or {})}, **kw)

    def ctl(self, *argv, **kw):
        return self.execute([self.cachectl, *argv], **kw)

    def stats(self, config=None):
        c = ["-c", config] if config else []
        return json.loads(self.ctl("stats", *c, "--json").out)

    def records(self, config=None):
        c = ["-c", config] if config else []
        return json.loads(self.ctl("ls", *c, "--json").out)

    # What bodies did.
    def bodies(self):
        """How many bodies ran since the last question, by their own side effect."""
        if not self.body_log.exists():
            return 0
        n = len(self.body_log.read_bytes().splitlines())
        self.body_log.unlink()
        return n

    def kill_services(self, sig=signal.SIGKILL):
        for pid in self.service_pids():
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass  # a child that went with its service
        if sig == signal.SIGKILL:
            self.wait(lambda: not self.service_pids(), "the service to die")

    @staticmethod
    def wait(condition, what, seconds=60):
        """For what another process does by itself. The limit is for what never comes: a busy machine may need long."""
        seconds = max(seconds, 60)
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failure(f"waited {seconds} s for {what}")
            time.sleep(0.02)


def equal(got, expected, what=""):
    if got != expected:
        raise Failure(f"{what}\n  expected: {expected!r}\n  got:      {got!r}")


def contains(text, part):
    if part not in text:
        raise Failure(f"expected {part!r} in:\n{text}")


def lacks(text, part):
    if part in text:
        raise Failure(f"{part!r} must not be in:\n{text}")


def alone(f):
    """Marks a test that must not run beside others (it measures, or needs the machine)."""
    f.alone = True
    return f
