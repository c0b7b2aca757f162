"""Isolation SERIALIZABLE: concurrent calls of one key, in threads and processes, and everything that keeps a holder from
letting go by itself."""
import ctypes
import os
import re
import signal
import subprocess
import time

from harness import TESTS, Failure, contains, equal

TASKS = """
policies:
  strict: {{ policy: INPUTS, isolation_level: SERIALIZABLE{settings} }}
tasks:
  - symbol: f
    prototype: |
      int f(int x)
    cache_policy: strict
    lock_timeout: {timeout}
  - symbol: g
    prototype: |
      int g(int x)
    cache_policy: strict
    lock_timeout: {timeout}
"""
MANAGERS = ("service", "memory")


def ready(t, manager="service", timeout="30s"):
    """Program and config; marks and body log are those of the next run."""
    program = t.cc("e2e/isolation.cc", flags=("-O2", "-std=c++17", f"-I{TESTS}/programs", "-lpthread"))
    (t.dir / "marks").mkdir(exist_ok=True)
    t.env["MARKS"] = str(t.dir / "marks")
    settings = f", lock_manager: {manager}" if manager != "service" else ""
    return program, t.config(TASKS.format(settings=settings, timeout=timeout))


def anew(t):
    for mark in (t.dir / "marks").iterdir():
        mark.unlink()
    t.bodies()


def reasons(t, config):
    return {k: v for k, v in t.stats(config)["bypass_reasons"].items() if v}


def may_look_at_others(t):
    """As the service looks: not where Yama or another user namespace forbids it."""
    child = subprocess.Popen(["sleep", "60"])
    look = ctypes.CDLL(None, use_errno=True).process_vm_readv
    vdso = next(line for line in open(f"/proc/{child.pid}/maps") if "r" in line.split()[1])
    word = ctypes.create_string_buffer(8)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(word), 8)
    there = (ctypes.c_size_t * 2)(int(vdso.split("-")[0], 16), 8)
    read = look(child.pid, here, ctypes.c_ulong(1), there, ctypes.c_ulong(1), ctypes.c_ulong(0))
    child.kill()
    child.wait()
    try:
        strict = open("/proc/sys/kernel/yama/ptrace_scope").read().strip() != "0"
    except OSError:
        strict = False
    return read == 8 and (os.geteuid() == 0 or not strict)


def seconds(result):
    return float(re.search(r"([0-9.]+) s$", result.errors.strip()).group(1))


def start(t, program, config, *arguments):
    return subprocess.Popen([t.cachectl, "run", "-c", config, "--", program, *arguments], env=t.env, cwd=t.dir,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_marked(t, name):
    t.wait((t.dir / "marks" / name).exists, name)


def for_each_manager(check):
    def test(t):
        for manager in MANAGERS:
            if manager == "memory":
                t.ctl("rm", "--all")
            check(t, manager)
    return test


@for_each_manager
def test_many_threads_one_body(t, manager):
    program, config = ready(t, manager)
    anew(t)
    r = t.run([program, "crowd", "40"], config)
    equal(r.text.split(), ["first:", "70"] + ["other:", "70"] * 40, manager)
    equal(t.bodies(), 1, manager)
    equal(reasons(t, config), {}, manager)


def test_many_processes_one_body(t):
    program, config = ready(t)
    anew(t)
    running = [start(t, program, config, "once") for _ in range(8)]
    outputs = [p.communicate(timeout=300)[0] for p in running]
    equal(outputs, ["once: 70\n"] * 8)
    equal(t.bodies(), 1)
    equal(reasons(t, config), {})


def test_memory_is_of_one_process(t):
    program, config = ready(t, "memory")
    anew(t)
    first = start(t, program, config, "lingers")
    until_marked(t, "f-runs")
    equal(t.run([program, "once"], config).text, "once: 70\n")
    equal(first.communicate(timeout=300)[0], "first: 70\nother: 70\n")
    equal(t.bodies(), 2)


@for_each_manager
def test_an_exception_lets_the_next_one_run(t, manager):
    """The thread that threw ends; the next one runs, the one after it finds its record."""
    program, config = ready(t, manager)
    anew(t)
    r = t.run([program, "throws"], config)
    equal(r.text, "first: -1\nother: 70\nother: 70\n", manager)
    equal(t.bodies(), 2, manager)


@for_each_manager
def test_a_thread_that_ends_in_its_call(t, manager):
    program, config = ready(t, manager)
    anew(t)
    r = t.run([program, "exits"], config)
    equal(r.text, "first: -2\nother: 70\nother: 70\n", manager)
    equal(t.bodies(), 2, manager)


@for_each_manager
def test_a_jump_is_noticed_at_the_next_call(t, manager):
    program, config = ready(t, manager)
    anew(t)
    r = t.run([program, "jumps"], config)
    equal(r.text, "other: 70\nin time\n", manager)
    equal(t.bodies(), 3, manager)


@for_each_manager
def test_a_jump_for_good_is_noticed_by_who_waits(t, manager):
    """The thread never calls a task again; what it does overwrites the frame of the call that it left."""
    if manager == "service" and not may_look_at_others(t):
        return  # then the lock lapses at lock_timeout
    program, config = ready(t, manager)
    anew(t)
    r = t.run([program, "jumps-for-good"], config)
    equal(r.text, "other: 70\nin time\n", manager)
    equal(t.bodies(), 2, manager)


@for_each_manager
def test_a_waiter_gives_up_on_a_slow_holder(t, manager):
    """After lock_timeout the lock is free again."""
    program, config = ready(t, manager, "300ms")
    anew(t)
    r = t.run([program, "lingers"], config)
    equal(r.text, "first: 70\nother: 70\n", manager)
    equal(t.bodies(), 2, manager)


def test_a_waiter_without_patience(t):
    """Others hold the lock in turn: who has waited for its own lock_timeout runs without storing."""
    program, config = ready(t, timeout="0")
    anew(t)
    r = t.run([program, "lingers"], config)
    equal(r.text, "first: 70\nother: 70\n")
    equal(t.bodies(), 2)
    equal(reasons(t, config), {"lock-timeout": 1})


def test_a_stopped_process_holds_nothing_for_ever(t):
    program, config = ready(t, timeout="500ms")
    anew(t)
    first = start(t, program, config, "stops")
    until_marked(t, "f-runs")
    r = t.run([program, "once"], config)
    equal(r.text, "once: 70\n")
    equal(t.bodies(), 2)
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/exe") == program:
                os.kill(int(name), signal.SIGCONT)
        except OSError:
            pass
    equal(first.communicate(timeout=300)[0], "once: 70\n")
    equal(len(t.records(config)), 1)


def test_a_killed_process_holds_nothing(t):
    program, config = ready(t, timeout="60s")
    anew(t)
    first = start(t, program, config, "lingers")
    until_marked(t, "f-runs")
    second = start(t, program, config, "once")
    time.sleep(0.3)
    begun = time.monotonic()
    first.kill()
    first.wait()
    equal(second.communicate(timeout=300)[0], "once: 70\n")
    if time.monotonic() - begun > 45:
        raise Failure("the lock of a dead process was waited for")
    equal(t.bodies(), 2)


@for_each_manager
def test_a_fork_owns_no_lock_and_waits_for_none(t, manager):
    """The child calls the same task with the same inputs, and its parent waits for the child."""
    program, config = ready(t, manager, "60s")
    anew(t)
    r = t.run([program, "forks"], config)
    equal(r.text, "child: 70\nparent: 70\n", manager)
    if seconds(r) > 45:
        raise Failure("parent and child waited for each other")
    equal(t.bodies(), 2, manager)
    equal(t.run([program, "once"], config).text, "once: 70\n")
    equal(t.bodies(), 0, manager)


@for_each_manager
def test_a_circle_of_two_threads(t, manager):
    """f calls g and g calls f: who would close the circle runs uncached."""
    program, config = ready(t, manager, "60s")
    anew(t)
    bare = t.bare([program, "circle"])
    anew(t)
    r = t.run([program, "circle"], config)
    equal(r.text, bare.text, manager)
    if seconds(r) > 45:
        raise Failure("two threads waited for each other")
    equal(reasons(t, config).get("lock-cycle"), MANAGERS.index(manager) + 1)


def test_a_circle_of_two_processes(t):
    program, config = ready(t, timeout="60s")
    anew(t)
    running = [start(t, program, config, "half-circle", str(i)) for i in range(2)]
    begun = time.monotonic()
    equal([p.communicate(timeout=300)[0] for p in running], ["half: 70\n", "half: 7\n"])
    if time.monotonic() - begun > 45:
        raise Failure("two processes waited for each other")
    equal(reasons(t, config), {"lock-cycle": 1})


@for_each_manager
def test_signals_reach_a_waiting_thread(t, manager):
    program, config = ready(t, manager)
    anew(t)
    r = t.run([program, "signalled"], config)
    equal(r.text, "signals: 5\nfirst: 70\nother: 70\n", manager)
    equal(t.bodies(), 1, manager)


def test_without_the_service(t):
    """A waiter whose service dies goes on by itself."""
    program, config = ready(t, timeout="60s")
    anew(t)
    running = start(t, program, config, "lingers")
    until_marked(t, "f-runs")
    time.sleep(0.3)
    t.kill_services()
    equal(running.communicate(timeout=300)[0], "first: 70\nother: 70\n")
    equal(t.bodies(), 2)


def test_a_new_service_knows_no_locks(t):
    program, config = ready(t, timeout="60s")
    anew(t)
    running = start(t, program, config, "lingers")
    until_marked(t, "f-runs")
    time.sleep(0.3)
    t.kill_services()
    t.execute([t.taskcached, "--config", config])
    equal(running.communicate(timeout=300)[0], "first: 70\nother: 70\n")
    equal(t.bodies() in (1, 2), True)
    equal(t.run([program, "once"], config).text, "once: 70\n")
    equal(t.bodies(), 0)


def test_refresh_runs_one_after_the_other(t):
    program, config = ready(t)
    anew(t)
    r = t.run([program, "crowd", "3"], config, env={"TASKCACHE_REFRESH_CACHE": "1"})
    equal(r.text, "first: 70\n" + "other: 70\n" * 3)
    equal(t.bodies(), 4)
    equal(t.run([program, "crowd", "3"], config).text, r.text)
    equal(t.bodies(), 0)


def test_locks_of_a_storage(t):
    """They are kept by the storage's own service."""
    program, config = ready(t)
    text = TASKS.format(settings="", timeout="30s").replace("    cache_policy: strict", "    cache_policy: strict\n    result_storage: far")
    config = t.config("storages: { far: { type: lmdb, path: ./far } }\n" + text)
    anew(t)
    r = t.run([program, "crowd", "10"], config)
    equal(r.text.split(), ["first:", "70"] + ["other:", "70"] * 10)
    equal(t.bodies(), 1)
    running = [start(t, program, config, "half-circle", str(i)) for i in range(2)]
    equal([p.communicate(timeout=300)[0] for p in running], ["half: 70\n", "half: 7\n"])


def test_doctor_says_which_isolation(t):
    program, config = ready(t, "memory", "1m30s")
    contains(t.ctl("doctor", "-c", config, program).text, "SERIALIZABLE, by locks of the process alone, which are waited for 1 min 30 s")
    program, config = ready(t)
    contains(t.ctl("doctor", "-c", config, program).text, "SERIALIZABLE, by locks of the service, which are waited for 30.0 s")
