"""Threads that are made inside of flows belong to them, as long as they are open."""
from harness import TESTS, equal

CONFIG = """
flows:
  - symbol: flow
    prototype: |
      int flow(int n)
tasks:
  - symbol: which
    prototype: |
      int which(int x)
    cache_policy: RUN_ID + FLOW_PARAMETERS
"""


def run(t, scenario):
    """Bodies of `which` over all flow calls, and reasons of bypasses."""
    program = t.cc("e2e/flow_threads.cc", flags=("-O2", "-std=c++17", f"-I{TESTS}/programs", "-lpthread"))
    config = t.config(CONFIG)
    bare = t.bare([program, scenario])
    t.bodies()
    equal(t.run([program, scenario], config).out, bare.out, scenario)
    return t.bodies(), {k: v for k, v in t.stats(config)["bypass_reasons"].items() if v}


def check(t, scenario, bodies, reasons=None):
    equal(run(t, scenario), (bodies, reasons or {}), scenario)


def test_four_threads_share_their_flows_results(t):
    """Two flow calls; the threads of one may all miss at once, but never find the other's."""
    bodies, reasons = run(t, "threads")
    equal(2 <= bodies <= 8, True, f"{bodies} bodies")
    equal(len(t.records(t.config(CONFIG))), 2)
    equal(reasons, {})


def test_threads_of_threads(t):
    check(t, "nested", 2)


def test_one_variable_for_all_threads(t):
    check(t, "one-variable", 2)


def test_threads_that_free_their_own_name(t):
    """Which flow it is in can't be read where the name was: never another flow's."""
    bodies, reasons = run(t, "jobs")
    equal(0 <= bodies - reasons.pop("no-flow", 0) <= 2, True, f"{bodies} bodies")
    equal(reasons, {})


def test_a_thread_that_outlives_its_flow(t):
    check(t, "outlives", 3, {"no-flow": 2})


def test_a_thread_that_opens_a_flow_of_its_own(t):
    """flow(1) and flow(101), twice."""
    check(t, "own-flow", 4)


def test_threads_outside_of_flows_belong_to_the_run(t):
    check(t, "outside", 1)


def test_many_makers_at_once(t):
    """240 flow calls on 6 threads, each with 4 threads of its own: a result of another flow would show."""
    bodies, reasons = run(t, "makers")
    equal(set(reasons) <= {"no-flow", "no-service", "send-dropped"}, True, reasons)
    equal(240 <= bodies <= 960, True, f"{bodies} bodies")
    equal(reasons.get("no-flow", 0) < 240, True, f"most threads know their flow: {reasons}")
