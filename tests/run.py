#!/usr/bin/python3
"""Runs the tests of one part: every function test_* of tests/PART/test_*.py, each with a fixture of its own."""
import argparse
import concurrent.futures
import importlib.util
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402


def load(part):
    found = []
    for path in sorted((harness.TESTS / part).glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"{part}_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "tests"):  # generated: (name, function)
            found += list(module.tests())
        for name, f in vars(module).items():
            if name.startswith("test_") and callable(f):
                found.append((f"{path.stem[5:]}: {name[5:].replace('_', ' ')}", f))
    return found


def run_one(name, f, options):
    start = time.monotonic()
    t = harness.Fixture(options.build, options.long)
    try:
        f(t)
        error = None
    except harness.Later as e:
        error = e
    except harness.Failure as e:
        error = "".join(traceback.format_tb(e.__traceback__)[-2:]) + f"{e}\n"
    except Exception:
        error = traceback.format_exc()
    finally:
        t.close()
    return name, error, time.monotonic() - start


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build")
    p.add_argument("--long", action="store_true")
    p.add_argument("part")
    p.add_argument("names", nargs="*", help="parts of test names")
    options = p.parse_args()
    harness.LONG = options.long
    tests = [(n, f) for n, f in load(options.part) if not options.names or any(w in n for w in options.names)]
    together = [t for t in tests if not getattr(t[1], "alone", False)]
    passed = failed = later = 0

    def report(result):
        nonlocal passed, failed, later
        name, error, seconds = result
        if isinstance(error, harness.Later):
            print(f"later {name}\n      {error}", flush=True)
            later += 1
            return
        print(f"{'FAIL' if error else 'ok  '} {name} ({seconds:.1f} s)", flush=True)
        if error:
            print(error, flush=True)
            failed += 1
        else:
            passed += 1

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda t: run_one(*t, options), together):
            report(result)
    for t in tests:
        if getattr(t[1], "alone", False):
            report(run_one(*t, options))
    if later:
        print(f"{later} not counted: see `later` above for what each waits for or needs")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed + later else 0


sys.exit(main())
