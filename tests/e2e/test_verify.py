"""`verify:` runs the function on a share of the hits and compares: what a task's prototype doesn't say is found."""
import json
import pathlib
import re

from harness import Failure, contains, equal, lacks

PROGRAM = r"""
#include <complex.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hidden;
static jmp_buf out_of_it;

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}

#define TASK __attribute__((noinline, noclone))

TASK int pure(int x) { body("pure"); return x * 3; }
TASK float small(float x) { body("small"); return x / 3; }
TASK double complex both(double x) { body("both"); return x + 2 * x * I; }
TASK int impure(int x) { body("impure"); return x + hidden; }
TASK void scale(const double *in, double *out, size_t n)
{
    body("scale");
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * 2 + (i == 5 ? hidden : 0);
}
TASK void step(int *state, size_t n)
{
    body("step");
    for (size_t i = 0; i < n; i++)
        state[i] = state[i] * 2 + 1;
}
TASK char *find(const char *text, char *copy, size_t n)
{
    body("find");
    memcpy(copy, text, n);
    return strchr(copy, hidden ? 'b' : 'a');
}
TASK int fails(int x) { body("fails"); return hidden ? -1 : x; }
TASK int jumps(int x) { body("jumps"); if (hidden) longjmp(out_of_it, 1); return x; }
TASK size_t some(char *to, size_t room) { body("some"); memset(to, 'x', room); return hidden ? 3 : 4; }
TASK char *doubled(const char *text)
{
    char *p = malloc(2 * strlen(text) + 1);
    body("doubled");
    strcpy(p, text);
    strcat(p, hidden ? "?" : text);
    return p;
}
TASK void large(int x, unsigned char *to, size_t n) { body("large"); memset(to, x, n); to[n - 7] = (unsigned char)(x + hidden); }

int main(int argc, char **argv)
{
    static unsigned char much[1 << 20];
    double in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    char copy[16], text[8] = {0};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strncmp(a, "hidden=", 7) == 0) {
            hidden = atoi(a + 7);
        } else if (strcmp(a, "pure") == 0) {
            printf("%d\n", pure(14));
        } else if (strcmp(a, "small") == 0) {
            printf("%a\n", (double)small(1));
        } else if (strcmp(a, "both") == 0) {
            double complex z = both(1.5);
            printf("%a %a\n", creal(z), cimag(z));
        } else if (strcmp(a, "impure") == 0) {
            printf("%d\n", impure(1));
        } else if (strcmp(a, "scale") == 0) {
            memset(out, 0, sizeof out);
            scale(in, out, 8);
            for (int k = 0; k < 8; k++)
                printf("%g%c", out[k], k < 7 ? ' ' : '\n');
        } else if (strcmp(a, "step") == 0) {
            int state[4] = {1, 2, 3, 4};
            step(state, 4);
            printf("%d %d\n", state[0], state[3]);
        } else if (strcmp(a, "find") == 0) {
            char *p = find("xxabab", copy, 7);
            printf("%d %s\n", (int)(p - copy), p);
        } else if (strcmp(a, "fails") == 0) {
            printf("%d\n", fails(4));
        } else if (strcmp(a, "jumps") == 0) {
            if (setjmp(out_of_it) == 0)
                printf("%d\n", jumps(4));
            else
                puts("jumped");
        } else if (strcmp(a, "some") == 0) {
            memset(text, 0, sizeof text);
            size_t n = some(text, 4);
            printf("%zu %.8s\n", n, text);
        } else if (strcmp(a, "doubled") == 0) {
            char *p = doubled("ab");
            puts(p);
            free(p);
        } else if (strcmp(a, "large") == 0) {
            large(7, much, sizeof much);
            printf("%d %d\n", much[0], much[sizeof much - 7]);
        }
    }
    return 0;
}
"""

PROTOTYPES = {
    "pure": "int pure(int x)",
    "small": "float small(float x)",
    "both": "double _Complex both(double x)",
    "impure": "int impure(int x)",
    "scale": "void scale(const double in[n], out double to[n], size_t n)",
    "step": "void step(inout int state[n], size_t n)",
    "find": "char *find(const char text[n], out char copy[n], size_t n)",
    "fails": "int fails(int x)",
    "jumps": "int jumps(int x)",
    "some": "size_t some(out char to[return <= room], size_t room)",
    "doubled": "malloc char *doubled(const char *text)",
    "large": "void large(int x, out unsigned char to[n], size_t n)",
}


class Place:
    def __init__(self, t, *names, options=""):
        self.t = t
        self.program = t.cc(PROGRAM, "program")
        self.config = t.config("tasks:\n" + "".join(
            f"  - symbol: {n}\n    prototype: |\n      {PROTOTYPES[n]}\n    cache_policy: INPUTS\n{options}" for n in names))

    def run(self, *words, bodies=None, options=("--verify=100%",), env=None):
        """The program behaves as it does bare; so many bodies ran."""
        bare = self.t.bare([self.program, *words], env=env)
        self.t.bodies()
        r = self.t.run([self.program, *words], self.config, options=options, env=env)
        equal(r.out, bare.out)
        ran = self.t.bodies()
        if bodies is not None:
            equal(ran, bodies, words)
        return r

    def store(self, *words):
        self.t.run([self.program, *words], self.config)
        self.t.bodies()

    def counts(self):
        s = self.t.stats(self.config)
        return {"hits": s["hits"], "misses": s["misses"], "bypasses": s["bypasses"], "saved": s["time_saved_ns"], **s["bypass_reasons"]}

    def wrong(self):
        return [(w["task"], w["detail"]) for w in self.t.stats(self.config)["wrong"]]


def test_right_records_stay_and_the_bodies_run(t):
    names = ("pure", "small", "both", "scale", "step", "find", "some", "large", "doubled")
    p = Place(t, *names)
    p.store(*names)
    p.run(*names, *names, bodies=18)
    equal(p.counts(), {"hits": 18, "misses": 9, "bypasses": 0, "saved": 0, "verified": 18})
    equal((p.wrong(), len(t.records(p.config))), ([], 9))
    p.run(*names, bodies=0, options=())
    contains(t.ctl("stats", "-c", p.config).text, "verified               18  a hit whose function ran all the same")


def test_a_hidden_global_is_caught(t):
    p = Place(t, "impure", "pure")
    p.store("impure", "pure")
    # The caller gets what the function gives; the record goes; afterwards the task runs uncached.
    p.run("hidden=5", "impure", "impure", "pure", bodies=3)
    equal(p.counts(), {"hits": 1, "misses": 3, "bypasses": 1, "saved": 0, "verified": 1, "verify-differs": 1, "switched-off": 1})
    equal(p.wrong(), [("impure@program", "output 'return' differs from byte 0 on: 0x01 in the record, 0x06 now")])
    equal([r["task"] for r in t.records(p.config)], ["pure@program"])
    contains(t.ctl("stats", "-c", p.config).text, "impure@program: verify-differs: output 'return' differs")
    doctor = t.ctl("doctor", "-c", p.config, p.program)
    contains(doctor.text, "verified   verify-differs: output 'return' differs from byte 0 on")
    found = {f["task"]: f["verify_differs"] for f in json.loads(t.ctl("doctor", "-c", p.config, "--json", p.program).out)["tasks"]}
    contains(found["impure@program"]["detail"], "output 'return'")
    equal(found["pure@program"], None)
    contains(t.ctl("log", "-c", p.config).text, "verify-differs")
    why = json.loads(t.ctl("why", "-c", p.config, "--json", "impure").out)[0]["misses"][0]
    equal((why["why"], why["detail"][:15]), ("verify-differs", "output 'return'"))
    # Another process stores again, and knows why it had to.
    p.run("hidden=6", "impure", "impure", bodies=1, options=())
    equal(json.loads(t.ctl("why", "-c", p.config, "--json", "impure").out)[0]["misses"][0]["why"], "verify-differs")


KEPT_APART = """
storages: { keys: { type: lmdb, path: keys } }
policies: { split: { policy: INPUTS, key_storage: keys } }
"""


def test_headers_kept_apart_are_verified_and_removed(t):
    p = Place(t, "impure", "pure", "large")
    p.config = t.config(KEPT_APART + pathlib.Path(p.config).read_text().replace("cache_policy: INPUTS", "cache_policy: split"))
    p.store("impure", "pure", "large")
    p.run("hidden=5", "impure", "pure", "large", bodies=3)
    equal(sorted(task for task, _ in p.wrong()), ["impure@program", "large@program"])
    # The next process stores again, header and result, and is told the truth.
    p.run("hidden=6", "impure", "impure", "pure", "large", "large", bodies=2, options=())
    p.run("hidden=6", "impure", "pure", "large", bodies=3)
    equal(p.run("hidden=6", "impure", "pure", "large", bodies=0, options=()).status, 0)


STAGED = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int hidden;
__attribute__((noinline, noclone)) int task(int x)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "task\n");
    fclose(f);
    return x + hidden;
}
/* What it steps by is seen by the second call alone. */
__attribute__((noinline, noclone)) int flow(int step)
{
    int first = task(1);
    hidden += step;
    return first * 100 + task(1);
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%d\n", strncmp(argv[i], "task=", 5) == 0 ? task(atoi(argv[i] + 5)) : flow(atoi(argv[i])));
    return 0;
}
"""
STAGED_CONFIG = """
flows:
  - symbol: flow
    prototype: 'int flow(int step)'
    transaction: true
tasks:
  - symbol: task
    prototype: 'int task(int x)'
    cache_policy: INPUTS
"""


def test_what_a_transaction_has_staged_is_verified_once_it_has_landed(t):
    program, config = t.cc(STAGED, "program"), t.config(STAGED_CONFIG)
    run = lambda *words, options=("--verify=100%",): t.run([program, *words], config, options=options).text
    # Inside of the flow it is replayed: it may land, or go, while the body would run.
    equal((run("0"), t.bodies()), ("101\n", 1))
    equal((run("task=1"), t.bodies()), ("1\n", 1))
    equal((t.stats(config)["bypass_reasons"]["verified"], t.stats(config)["wrong"]), (1, []))
    t.ctl("rm", "-c", config, "--all")
    # One that is wrong outside is found there, and goes.
    equal((run("5", "task=1"), t.bodies()), ("101\n6\n", 2))
    equal([w["task"] for w in t.stats(config)["wrong"]], ["task@program"])
    equal((run("task=1", options=()), t.bodies()), ("1\n", 1))


def test_the_first_byte_that_differs_is_named(t):
    p = Place(t, "scale", "large")
    p.store("scale", "large")
    p.run("hidden=1", "scale", "large", bodies=2)
    (scale, large) = sorted(p.wrong(), reverse=True)
    # 12.0 and 13.0 differ in their seventh byte.
    equal(scale, ("scale@program", "output 'to' differs from byte 46 on: 0x28 in the record, 0x2a now"))
    equal(large, ("large@program", f"output 'to' differs from byte {(1 << 20) - 7} on: 0x07 in the record, 0x08 now"))


def test_extents_places_and_failures_count(t):
    p = Place(t, "some", "find", "doubled")
    p.store("some", "find", "doubled")
    p.run("hidden=1", "some", "find", "doubled", bodies=3)
    wrong = dict(p.wrong())
    equal(sorted(wrong), ["doubled@program", "find@program", "some@program"])
    contains(wrong["doubled@program"], "output 'return' has another extent")
    contains(wrong["some@program"], "output 'to' has another extent")
    contains(wrong["find@program"], "output 'return' differs from byte 8")
    q = Place(t, "fails", options="    success: 'return >= 0'\n")
    q.store("fails")
    q.run("hidden=1", "fails", bodies=1)
    contains(dict(q.wrong())["fails@program"], "failed by the `success:` rule")
    equal([r["task"] for r in t.records(q.config) if r["task"] == "fails@program"], [])


def test_a_jump_out_of_a_verified_call_is_a_miss(t):
    p = Place(t, "jumps", "pure")
    p.store("jumps", "pure")
    p.run("hidden=1", "jumps", "hidden=0", "pure", bodies=2)
    equal(p.counts(), {"hits": 1, "misses": 3, "bypasses": 0, "saved": 0, "verified": 1, "non-local-exit": 1})
    equal(len(t.records(p.config)), 2)


def test_misses_are_stored_as_ever(t):
    p = Place(t, "pure")
    p.run("pure", "pure", bodies=2)
    equal(p.counts(), {"hits": 1, "misses": 1, "bypasses": 0, "saved": 0, "verified": 1})


def test_a_share_of_the_hits(t):
    p = Place(t, "pure", options="    verify: 10%\n")
    p.store("pure")
    words = ["pure"] * 3000
    r = t.run([p.program, *words], p.config)
    ran = t.bodies()
    equal(len(r.text.split()), 3000)
    # 300 expected, 16 is one standard deviation.
    if not 200 <= ran <= 400:
        raise Failure(f"{ran} of 3000 calls were verified")
    equal(p.counts()["verified"], ran)
    # The command line beats the config.
    p.run(*words[:50], bodies=0, options=("--verify=0%",))
    p.run(*words[:50], bodies=50)
    contains(t.ctl("doctor", "-c", p.config, p.program).text, "10 % of the hits verified")


def test_single_calls_are_chosen_too(t):
    """Each process begins at another place: programs that call once are verified as often as others."""
    p = Place(t, "pure", options="    verify: 50%\n")
    p.store("pure")
    ran = 0
    for _ in range(24):
        t.run([p.program, "pure"], p.config)
        ran += t.bodies()
    # One in 8 million runs fails by chance alone.
    if not 1 <= ran <= 23:
        raise Failure(f"{ran} of 24")


def test_refresh_and_what_people_write_wrong(t):
    p = Place(t, "pure")
    p.store("pure")
    p.run("pure", bodies=1, env={"TASKCACHE_REFRESH_CACHE": "1"})
    lacks(str(p.counts()), "verified")
    for text in ("1", "101%", "x%", "-1%", "1 %", "%"):
        r = t.execute([t.cachectl, "run", "-c", p.config, f"--verify={text}", "--", p.program], status=125)
        contains(r.errors, "bad-share")
    bad = t.config("tasks:\n  - symbol: pure\n    verify: 200%\n", "bad.yaml")
    r = t.execute([t.cachectl, "run", "-c", bad, "--", p.program], status=125)
    contains(r.errors, "bad.yaml:3:13: bad-share: `verify` is a percentage, not '200%'")
    if not re.search(r"^ +verify: 200%\n +\^", r.errors, re.M):
        raise Failure(r.errors)
