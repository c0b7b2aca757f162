"""`private:`: the store holds nothing from which the inputs can be read."""
import json

from harness import contains, equal, lacks

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline, noclone)) int check(const char *secret, int pin)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fputs("check\n", f);
    fclose(f);
    return (int)strlen(secret) * 1000 + pin % 7;
}

int main(int argc, char **argv)
{
    printf("%d\n", check(argv[1], argc > 2 ? atoi(argv[2]) : 0));
    return 0;
}
"""

CONFIG = """
tasks:
  - symbol: check
    prototype: |
      int check(const char *secret, int pin)
    cache_policy: INPUTS
"""

SECRET = "correct-horse-battery-staple"


def stored_bytes(t):
    return b"".join(p.read_bytes() for p in t.dir.glob("cache/**/*") if p.is_file())


def run(t, program, config, *words, bodies):
    r = t.run([program, *words], config)
    equal(t.bodies(), bodies, words)
    equal(r.out, t.bare([program, *words]).out)
    t.bodies()


def test_nothing_of_the_inputs_is_in_the_store(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(CONFIG + "    private: true\n    success: 'return != 28004'\n")
    run(t, program, config, SECRET, "1", bodies=1)
    run(t, program, config, SECRET, "1", bodies=0)
    run(t, program, config, SECRET, "2", bodies=1)
    run(t, program, config, "x" + SECRET[1:], "1", bodies=1)
    run(t, program, config, SECRET, "4", bodies=1)  # fails: told to the service, not stored
    run(t, program, config, SECRET, "4", bodies=1)
    run(t, program, config, SECRET * 300, "1", bodies=1)  # longer than the key's material
    run(t, program, config, SECRET * 300, "1", bodies=0)
    records = t.records(config)
    equal([(r["program"], r["pid"]) for r in records], [(None, 0)] * 4)
    t.ctl("service", "stop")
    lacks(stored_bytes(t).decode("latin-1"), SECRET[1:])
    shown = json.loads(t.ctl("show", "-c", config, "--json", records[0]["key"]).out)
    equal([(i["name"], len(i["value"])) for i in shown["inputs"]], [("=private", 64)])
    why = t.ctl("why", "-c", config, "check").text
    contains(why, "something private")
    lacks(why, SECRET[1:])
    # Without the option it is all there: the test can fail.
    plain = t.config(CONFIG, "plain.yaml")
    run(t, program, plain, SECRET, "1", bodies=1)
    t.ctl("service", "stop")
    contains(stored_bytes(t).decode("latin-1"), SECRET)


def test_a_verification_names_no_bytes(t):
    program = t.cc(PROGRAM.replace("pin % 7", 'pin % 7 + (getenv("HIDDEN") != NULL)'), "program")
    config = t.config(CONFIG + "    private: true\n    verify: 100%\n")
    run(t, program, config, SECRET, "1", bodies=1)
    run(t, program, config, SECRET, "1", bodies=1)
    t.run([program, SECRET, "1"], config, env={"HIDDEN": "1"})
    equal(t.bodies(), 1)
    (wrong,) = t.stats(config)["wrong"]
    equal(wrong["detail"], "output 'return' differs from byte 0 on")
    equal(wrong["program"], None)
