/* Floating literals: text to the bits of a double and back. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/proto_ast.h"

/* strtod() and printf() write decimal points as the thread's locale has them. */
static locale_t enter_c_locale(struct proto *p, locale_t *ret_c)
{
    *ret_c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (*ret_c == (locale_t)0)
        proto_no_memory(p);
    return uselocale(*ret_c);
}

static void leave_c_locale(locale_t before, locale_t c)
{
    (void)uselocale(before);
    freelocale(c);
}

/* `0.1f` is the float nearest to a tenth, which isn't the double nearest to it. */
static double parse(struct proto *p, const char *text)
{
    size_t bytes = strlen(text);
    bool single = text[bytes - 1] == 'f' || text[bytes - 1] == 'F';
    locale_t c, before = enter_c_locale(p, &c);
    double v = single ? (double)strtof(text, NULL) : strtod(text, NULL);

    leave_c_locale(before, c);
    return v;
}

int proto_float_parse(struct proto *p, const char *start, const char *end, int64_t *ret_bits)
{
    const char *text = proto_copy(p, start, (size_t)(end - start));
    bool zero = strcspn(text, "123456789") >= strcspn(text, "eE");
    double v = parse(p, text);

    if (isinf(v) || (v == 0 && !zero))
        return -ERANGE;
    memcpy(ret_bits, &v, sizeof v);
    return 0;
}

const char *proto_float_text(struct proto *p, int64_t bits)
{
    char text[40];
    double v;
    int digits = 5; /* fewer would say 1e+02: %g drops zeros by itself */
    locale_t c, before = enter_c_locale(p, &c);

    memcpy(&v, &bits, sizeof v);
    do
        (void)snprintf(text, sizeof text, "%.*g", ++digits, v);
    while (digits < 17 && strtod(text, NULL) != v);
    leave_c_locale(before, c);
    /* Or it would be read as an integer. */
    return proto_format(p, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}
