"""The plugin that shows the whole API, and the guide's ten minutes, step by step."""
import re
import subprocess

from harness import Failure, ROOT, contains, equal

TINY = ROOT / "plugin-api" / "examples" / "tiny"
GUIDE = ROOT / "docs" / "plugins.md"
INCLUDE = ROOT / "plugin-api" / "include"


def test_tiny_is_short_and_passes_its_test(t):
    if len((TINY / "tiny.c").read_text().splitlines()) >= 150:
        raise Failure("tiny.c is to be under 150 lines")
    built = t.build / "plugin-api" / "examples" / "tiny"
    t.execute([TINY / "test.sh", t.cachectl, built / "tiny.so", built / "tiny_program"])


def test_tiny_stands_alone(t):
    """As its meson.build says."""
    here = t.dir / "alone"
    here.mkdir()
    for name in ("tiny.c", "program.c", "test.sh"):
        (here / name).write_bytes((TINY / name).read_bytes())
    (here / "test.sh").chmod(0o755)
    text = (TINY / "meson.build").read_text().replace("inc_plugin)", "include_directories('include'))")
    (here / "include" / "taskcache").mkdir(parents=True)
    for name in ("plugin.h", "value.h"):
        (here / "include" / "taskcache" / name).write_bytes((INCLUDE / "taskcache" / name).read_bytes())
    (here / "meson.build").write_text("project('tiny', 'c')\n" + text +
        f"test('tiny', find_program('test.sh'), args: [find_program('{t.cachectl}').full_path(), tiny, tiny_program])\n")
    for argv in (["meson", "setup", "alone/build", "alone"], ["meson", "test", "-C", "alone/build"]):
        r = subprocess.run(argv, cwd=t.dir, env=t.env, capture_output=True, text=True, timeout=600, check=False)
        if r.returncode != 0:
            raise Failure(f"{argv}\n{r.stdout[-3000:]}{r.stderr[-2000:]}")


def test_an_option_that_is_wrong_is_told(t):
    built = t.build / "plugin-api" / "examples" / "tiny"
    config = t.config(f"plugins: [ {{ path: {built}/tiny.so, options: {{ hour: soon }} }} ]\n")
    r = t.run([built / "tiny_program"], config)
    contains(r.errors, "option `hour` is a number of seconds")


def blocks():
    return re.findall(r"```(\w*)\n(.*?)```", GUIDE.read_text(), re.S)


def test_ten_minutes(t):
    """Every file of the guide's first section as it stands there, and the commands in its order."""
    commands = []
    for language, text in blocks():
        named = re.match(r"/\* (\w+\.c): (.*?) \*/\n", text)
        if language == "c" and named:
            t.write(named[1], text)
            commands.append(named[2])
        elif language == "c" and '"slow"' in text:
            t.write("slow.c", text)
    for command in commands + ["cc -shared -fPIC -I…/plugin-api/include -o slow.so slow.c"]:
        contains(GUIDE.read_text(), command)
        t.execute(["sh", "-c", command.replace("…/plugin-api", str(ROOT / "plugin-api"))])
    run = "cachectl run --plugin ./slow.so --stats -- ./program"
    equal(GUIDE.read_text().count(run), 2)
    first = t.execute(["sh", "-c", run.replace("cachectl", t.cachectl)])
    second = t.execute(["sh", "-c", run.replace("cachectl", t.cachectl)])
    equal((first.text, second.text), ("6.5\n", "6.5\n"))
    if first.seconds < 1 or second.seconds >= 1:
        raise Failure(f"{first.seconds} s, then {second.seconds} s")
    contains(first.errors, "Misses                    1 / 1")
    contains(second.errors, "Hits                      1 / 1")


def test_the_guides_key_function(t):
    """Its weather plugin and config."""
    for language, text in blocks():
        if '"weather"' in text and language == "c":
            t.cc(t.write("weather.c", text), "weather.so", flags=("-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}"))
        elif "KEY(weather.hour)" in text and language == "yaml":
            config = t.config(text)
    program = t.cc(r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) double forecast(double latitude, double longitude, int64_t when)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("forecast\n", log);
    fclose(log);
    return latitude + longitude + (double)(when / 3600);
}
int main(void)
{
    printf("%g %g %g %g\n", forecast(1, 2, 7200), forecast(1, 2, 7300), forecast(1, 3, 7300), forecast(1, 2, 3600));
    return 0;
}
""", "program")
    equal((t.run([program], config).text, t.bodies()), ("5 5 6 4\n", 3))
