"""cachectl plugins: what there is, what is refused and why, and a new plugin that builds and passes its test."""
import json
import os
import subprocess

from harness import Failure, contains, equal, lacks


def variants(t, *names):
    return [str(t.build / "tests" / "plugins" / f"{n}.so") for n in names]


def test_installed_plugins_are_listed(t):
    text = t.ctl("plugins").text
    contains(text, "PLUGIN")
    contains(text, "lapack")
    found = json.loads(t.ctl("plugins", "--json").out)
    lapack = next(p for p in found if p["name"] == "lapack")
    equal((lapack["abi"], lapack["code"]), ("1.1", True))
    if len(lapack["tasks"]) < 10:
        raise Failure(f"only {lapack['tasks']}")


def test_a_plugin_is_shown_in_full(t):
    text = t.ctl("plugins", *variants(t, "good", "keys")).text
    for part in ("variant 1.0", "A variant", "task     f", "task     g", "one thread at a time", "licence  MIT"):
        contains(text, part)


def test_refusals_say_why(t):
    r = t.ctl("plugins", *variants(t, "wrong_magic", "other_major", "no_descriptor", "good"), "nosuch", status=1)
    for part in ("bad-plugin: its descriptor has a wrong magic number", "plugin-abi: it was built for plugin ABI 2.0",
                 "bad-plugin: it exports no object `taskcache_plugin`", "nosuch: no-such-plugin", "try:"):
        contains(r.errors, part)
    contains(r.text, "task     f")
    found = json.loads(t.ctl("plugins", "--json", *variants(t, "wrong_magic"), status=1).out)
    equal(found[0]["refused"]["reason"], "bad-plugin")


def test_nothing_of_a_plugin_is_run(t):
    """The constructors of these end the process."""
    r = t.ctl("plugins", *variants(t, "with_code"))
    contains(r.text, "variant 1.0")
    equal(r.err, b"")


def test_those_that_a_config_lists(t):
    config = t.config(f"plugins: [ lapack, {variants(t, 'good')[0]} ]\n")
    found = {p["name"]: p["tasks"] for p in json.loads(t.ctl("plugins", "-c", config, "--json").out)}
    equal(sorted(found), ["good", "lapack"])
    equal(found["good"], ["f", "g"])
    contains(t.ctl("plugins", "-c", config, "good").text, "task     f")
    contains(t.ctl("plugins", "-c", config, "redis", status=1).errors, "redis: no-such-plugin")
    contains(t.ctl("plugins", "-c", t.config("tasks:\n", "none.yaml")).text, "the config lists no plugins")
    r = t.ctl("plugins", "-c", t.config("plugins: [ lapack, nosuch ]\n", "wrong.yaml"), status=1)
    contains(r.text, "lapack")
    contains(r.errors, "nosuch")
    contains(t.ctl("plugins", "-c", "nowhere.yaml", status=1).errors, "no-config")


def test_a_plugin_that_others_may_write(t):
    path = t.cc("int x;\n", "open.so", flags=("-shared", "-fPIC"))
    os.chmod(path, 0o777)
    contains(t.ctl("plugins", path, status=1).errors, "untrusted")


def meson(t, *argv):
    r = subprocess.run(["meson", *argv], cwd=t.dir, env=t.env, capture_output=True, text=True, timeout=600, check=False)
    if r.returncode != 0:
        raise Failure(f"meson {' '.join(argv)}\n{r.stdout[-3000:]}\n{r.stderr[-2000:]}")


def test_a_new_plugin_builds_and_passes_its_test(t):
    contains(t.ctl("plugins", "new", "mylib").text, "meson setup mylib/build mylib")
    meson(t, "setup", "mylib/build", "mylib", "-Dwarning_level=3", "-Dwerror=true")
    meson(t, "test", "-C", "mylib/build")
    contains(t.ctl("plugins", str(t.dir / "mylib" / "build" / "mylib.so")).text, "mylib 0.1")


def test_a_new_plugin_needs_a_name_and_a_place(t):
    for name in ("../evil", "", "9lives", "a b", "x" * 64):
        t.ctl("plugins", "new", name, status=2)
    t.ctl("plugins", "new", status=2)
    (t.dir / "here").mkdir()
    r = t.ctl("plugins", "new", "here", status=2)
    contains(r.errors, "it is there already")
    lacks(r.text, "meson")
    equal(list((t.dir / "here").iterdir()), [])
