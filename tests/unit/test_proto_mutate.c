/* Mutated prototypes: every text gives tables that the target accepts, or an error that points into
 * the text. Deterministic; meant to run under the sanitizers too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto_fixture.h"

#define ROUNDS 20000u

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % below;
}

static const struct tc_proto_text seeds[] = {
    {"double mean(const double x[n], int n)", NULL, "n <= 0", "return == 0 || 1"},
    {"float g(const float x[*lo < 0.5 ? n : 2], int n, inout double lo[1], out float y[max(n, 1)])",
     NULL, "!*lo && lo[0] >= -1e-9 || x[1] != n", "return > old(*lo) && !(*y == .25f)"},
    {"int kdf(uint32_t rounds, const void pwd[n], size_t n, out uint8_t key[klen], size_t klen)"},
    {"int compress(const uint8_t in[n], size_t n, out malloc uint8_t *buf[*len], out size_t *len)"},
    {"ssize_t decode(const void in[n], size_t n, out char text[return <= cap], size_t cap)", NULL,
     NULL, "return >= 0"},
    {"malloc char *lookup(const char *name)"},
    {"double integrate(double (*f)(double, void *), ignore void *arg, double lo, double hi)"},
    {"Vec3 cross(Vec3 a, Vec3 b)", "typedef struct { double x, y, z; unsigned flag : 3; } Vec3;"},
    {"int parse(file const char *path, out struct stats *s)",
     "struct stats { double mean, dev; uint32_t n; };"},
    {"void dgesdd_(const char jobz[1], const int m[1], const int n[1], inout double a[*n][*m : "
     "*lda], const int lda[1], out double u[*jobz == 'N' ? 0 : *jobz == 'A' ? *m : min(*m, *n)]"
     "[*m : *ldu], const int ldu[1], ignore int *iwork, out int info[1], hidden size_t l)",
     NULL, "*lda == -1 || (*jobz != 'N' && *jobz != 'S')", "*info == 0"},
    {"long f(out int x[*n <= old(*n)], inout int *n, const char *names[k + strlen(s)], int k, "
     "const char *s, enum e v, const v3 w[k][2])",
     "enum e { A = -1, B = 1 << 3 | 2, C = B } ; typedef double v3[3]; union u { int i; };",
     "names[0] == NULL || names[k - 1][0] == '\\n'", "old(*n) - *n > A"},
    {"int f(in struct set *s, struct series by, out malloc char **text)",
     "enum { U = 3 }; struct point { char tag; double x; }; struct series { unsigned n : 4; short "
     "r; "
     "double y[n * U], z[r][n]; in char *name; in struct point *p; ignore void *c; int (*q)[r]; }; "
     "struct set { int k; struct series all[k]; const char *names[k]; struct series own[2]; };"},
    {"malloc(*n) struct point *f(out int *n)", "struct point { char tag; double x; };"},
    {"static(n) const int *f(int n)"},
    {"ignore_t *(*f(int (*g)(int, ...), void *const restrict p))(int a[static 3])",
     "typedef struct ignore_s ignore_t; typedef int (*fn)(ignore_t *, const int [B]);"},
};
#define SEEDS (sizeof seeds / sizeof seeds[0])

static const char *const pieces[] = {"in ",       "out ",
                                     "inout ",    "ignore ",
                                     "hidden ",   "const ",
                                     "malloc ",   "static(",
                                     "codec(x) ", "[n]",
                                     "[1]",       "[",
                                     "]",         "(",
                                     ")",         "*",
                                     ",",         " : ",
                                     " <= ",      "?",
                                     "old(",      "strlen(",
                                     "min(",      "return",
                                     "NULL",      "->x",
                                     "'N'",       "'\\",
                                     "#",         "/*",
                                     "...",       "struct ",
                                     "enum ",     "double ",
                                     "long ",     "void ",
                                     "__m128 ",   "9223372036854775807",
                                     "-",         "!",
                                     "==",        "&&",
                                     "||",        "\xff",
                                     "\n",        "{",
                                     "}",         ";",
                                     "typedef ",  "n",
                                     "0",         "1.5",
                                     "\"",        "__attribute__((packed)) ",
                                     " % 0",      "float ",
                                     "-1e-9"};
#define PIECES (sizeof pieces / sizeof pieces[0])

static void replace(char *text, size_t bytes, size_t at, size_t cut, const char *with)
{
    size_t length = strlen(text), added = strlen(with);

    cut = at + cut > length ? length - at : cut;
    if (length - cut + added >= bytes)
        return;
    memmove(text + at + added, text + at + cut, length - at - cut + 1);
    memcpy(text + at, with, added);
}

/* The words of the text, among one another: most of what comes out is grammatical. */
static void exchange_words(char *text, size_t bytes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t from = draw((uint32_t)strlen(text) + 1), to = draw((uint32_t)strlen(text) + 1);
    char word[32];

    from += strcspn(text + from, letters);
    to += strcspn(text + to, letters);
    (void)snprintf(word, sizeof word, "%.*s", (int)strspn(text + from, letters), text + from);
    replace(text, bytes, to, strspn(text + to, letters), word);
}

static void mutate(char *text, size_t bytes)
{
    size_t at = draw((uint32_t)strlen(text) + 1);
    char one[2] = {(char)(draw(255) + 1), '\0'}, copy[24];

    switch (draw(9)) {
    case 0: /* remove */
        replace(text, bytes, at, draw(8) + 1, "");
        break;
    case 1: /* any byte */
        replace(text, bytes, at, draw(2), one);
        break;
    case 2: /* move a piece of the text itself */
        (void)snprintf(copy, sizeof copy, "%.*s", (int)draw(20), text + at);
        replace(text, bytes, draw((uint32_t)strlen(text) + 1), 0, copy);
        break;
    case 3:
    case 4:
        replace(text, bytes, at, draw(3), pieces[draw(PIECES)]);
        break;
    default:
        exchange_words(text, bytes);
    }
}

static void error_is_useful(const struct compiled *c, const struct tc_proto_text *text)
{
    const char *const fields[] = {text->prototype, text->types, text->skip, text->success};

    assert_int_equal(c->status, -EINVAL);
    assert_true(c->field < TC_PROTO_FIELDS);
    assert_non_null(fields[c->field]);
    assert_true(c->error.at <= strlen(fields[c->field]));
    assert_true(c->error.sentence[0] != '\0');
    assert_true(c->error.reason != TC_R_NONE && c->error.reason < TC_REASON_COUNT);
}

/* The canonical text of what was accepted is a prototype again, and its own canonical text; types
 * are needed only for the tags of pointers. */
static void canonical_is_stable(const struct compiled *c, const struct tc_proto_text *text)
{
    const struct tc_proto_text again = {.prototype = compiled_prototype(c), .types = text->types};
    struct compiled d;

    compile_text(&d, &again);
    if (d.status != 0)
        fail_msg("%s\n%s\n%s", text->prototype, again.prototype, d.error.sentence);
    assert_string_equal(compiled_prototype(&d), again.prototype);
    assert_memory_equal(d.task.prototype_digest, c->task.prototype_digest, 16);
    compiled_free(&d);
}

/* The target accepts the tables: the same check runs when it maps a config. */
static void config_is_accepted(struct compiled *c)
{
    struct tc_flat_builder *b = &c->builder;
    struct tc_config *root;
    struct tc_flat flat;
    struct tc_span tasks;

    c->task.symbol = tc_flat_add_str(b, "f");
    c->task.origin = tc_flat_add_str(b, "test");
    tasks = tc_flat_add(b, &c->task, 1, sizeof c->task);
    root = tc_flat_builder_root(b);
    root->path = c->task.origin;
    root->tasks = tasks;
    assert_int_equal(tc_flat_builder_finish(b), 0);
    assert_int_equal(tc_flat_check(b->data, b->bytes, TC_FLAT_CONFIG, &flat), 0);
    assert_int_equal(tc_config_verify(&flat), 0);
}

static int try_text(const struct tc_proto_text *text)
{
    struct compiled c;
    int accepted;

    compile_text(&c, text);
    accepted = c.status == 0;
    if (accepted) {
        canonical_is_stable(&c, text);
        config_is_accepted(&c);
    } else {
        error_is_useful(&c, text);
    }
    compiled_free(&c);
    return accepted;
}

static void fill(char *to, size_t bytes, const char *from)
{
    (void)snprintf(to, bytes, "%s", from == NULL ? "" : from);
}

static void mutations_are_understood_or_refused(void **state)
{
    unsigned accepted = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct tc_proto_text *from = &seeds[draw(SEEDS)];
        char text[4][768];
        const struct tc_proto_text mutated = {text[0], text[1], text[2], text[3]};

        fill(text[0], sizeof text[0], from->prototype);
        fill(text[1], sizeof text[1], from->types);
        fill(text[2], sizeof text[2], from->skip);
        fill(text[3], sizeof text[3], from->success);
        for (uint32_t i = draw(3) + 1; i > 0; i--) {
            uint32_t which = draw(8);

            mutate(text[which < 4 ? which : 0], sizeof text[0]);
        }
        accepted += (unsigned)try_text(&mutated);
    }
    /* Both ways are well travelled. */
    assert_in_range(accepted, ROUNDS / 50, ROUNDS / 2);
}

static void noise_is_refused(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        char text[200];
        uint32_t bytes = draw(sizeof text - 1);
        const struct tc_proto_text noise = {text, text, text, text};

        for (uint32_t i = 0; i < bytes; i++)
            text[i] = (char)(draw(255) + 1);
        text[bytes] = '\0';
        assert_int_equal(try_text(&noise), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutations_are_understood_or_refused),
        cmocka_unit_test(noise_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
