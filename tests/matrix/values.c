/* The tasks of one cell of the matrix, compiled as C or C++: every class of value that a prototype
 * can name, and calls that never return. LINK says how the tasks are linked; what names them is
 * their assembler name, the same in both languages. */
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "../programs/body.h"

#ifndef LINK
#define LINK
#endif
#define TASK(result, name, parameters)          \
    LINK result name parameters __asm__(#name); \
    TASK_ATTRIBUTES LINK result name parameters

#ifdef __cplusplus
extern "C" {
#endif
void run_values(void);

TASK(int64_t, m_ints,
     (int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h))
{
    body_ran("m_ints");
    return a + 2 * b + 3 * c + 4 * d + 5 * (int64_t)e + 6 * (int64_t)f + 7 * g + 8 * (int64_t)h;
}

TASK(bool, m_bool, (bool a, int b))
{
    body_ran("m_bool");
    return a ^ (b > 3);
}

TASK(int8_t, m_small, (int8_t a))
{
    body_ran("m_small");
    return (int8_t)(a * 3);
}

TASK(uint16_t, m_half, (uint16_t a))
{
    body_ran("m_half");
    return (uint16_t)(a * 3u);
}

TASK(float, m_float, (float a, double b))
{
    body_ran("m_float");
    return a * 0.5f + (float)b;
}

TASK(double, m_doubles,
     (double a, double b, double c, double d, double e, double f, double g, double h, double i,
      float j, int k))
{
    body_ran("m_doubles");
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * (double)j + k;
}

/* Uses its parameter: for one that no body reads, clang lets callers pass what happens to be there.
 */
static volatile int sink;

TASK(void, m_nothing, (int a))
{
    body_ran("m_nothing");
    sink = a;
}

TASK(double, m_sum, (const double *x, int n))
{
    double sum = 0;
    body_ran("m_sum");
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

TASK(void, m_fill, (uint8_t * b, size_t n, uint32_t seed))
{
    body_ran("m_fill");
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)(seed = seed * 1103515245u + 12345u) ^ (uint8_t)(seed >> 16);
}

TASK(int, m_scale, (float *x, int rows, int columns, int stride, float by))
{
    body_ran("m_scale");
    for (int c = 0; c < columns; c++)
        for (int r = 0; r < rows; r++)
            x[c * stride + r] *= by;
    return rows * columns;
}

TASK(size_t, m_text, (const char *s, char *upper, size_t room))
{
    size_t n = strlen(s);
    body_ran("m_text");
    for (size_t i = 0; i <= n && i < room; i++)
        upper[i] = s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 32) : s[i];
    return n + 1 < room ? n + 1 : room;
}

TASK(const char *, m_find, (const char *s, int c, char *copy, size_t n))
{
    body_ran("m_find");
    memcpy(copy, s, n);
    for (size_t i = 0; i < n; i++)
        if (copy[i] == c)
            return copy + i;
    return NULL;
}

TASK(int, m_errno, (int a))
{
    body_ran("m_errno");
    errno = a;
    return -1;
}

TASK(uint64_t, m_deep, (unsigned n))
{
    body_ran("m_deep");
    return n < 2 ? n : m_deep(n - 1) + m_deep(n - 2);
}

struct pair {
    double x;
    int64_t n;
};
struct three {
    int32_t id;
    double at[3];
};
struct narrow {
    uint8_t a;
    int16_t b;
    float c;
};

TASK(struct pair, m_pair, (struct pair p, int k))
{
    body_ran("m_pair");
    p.x *= k;
    p.n += k;
    return p;
}

TASK(struct three, m_three, (struct three t, const struct three *other, struct narrow *out))
{
    body_ran("m_three");
    for (int i = 0; i < 3; i++)
        t.at[i] += other->at[i];
    out->a = (uint8_t)t.id;
    out->b = (int16_t)-t.id;
    out->c = (float)t.at[2];
    return t;
}

TASK(struct narrow, m_narrow, (struct narrow a, struct narrow b))
{
    body_ran("m_narrow");
    a.a = (uint8_t)(a.a + b.a);
    a.b = (int16_t)(a.b - b.b);
    a.c *= b.c;
    return a;
}

TASK(long double, m_long, (long double x, double y))
{
    body_ran("m_long");
    return x * 3 + (long double)y;
}

TASK(double _Complex, m_complex, (double _Complex z, float _Complex w))
{
    double _Complex r = z;
    body_ran("m_complex");
    __real__ r = __real__ z * 2 + (double)__imag__ w;
    __imag__ r = __imag__ z - (double)__real__ w;
    return r;
}

static jmp_buf back;

TASK(int, m_jumps, (int a, int b, int c, int d, int e, int f, int g))
{
    body_ran("m_jumps");
    if (a < 0)
#ifdef __cplusplus
        throw a + g;
#else
        longjmp(back, g);
#endif
    return a + b + c + d + e + f + g;
}

static void leap(int a)
{
#ifdef __cplusplus
    try {
        printf("jumps %d\n", m_jumps(a, 2, 3, 4, 5, 6, 7));
    } catch (int thrown) {
        printf("thrown %d\n", thrown);
    }
#else
    int with = setjmp(back);
    if (with == 0)
        printf("jumps %d\n", m_jumps(a, 2, 3, 4, 5, 6, 7));
    else
        printf("jumped %d\n", with);
#endif
}

static void scalars(int k)
{
    double d = 0;
    float f = 0;

    printf("ints %lld %lld\n",
           (long long)m_ints(-1, 255, -300, 65535, -k, 4000000000u, k, 1ull << 40),
           (long long)m_ints(127, (uint8_t)k, 1, 2, 3, 4, -5, 6));
    printf("bool %d %d\n", m_bool(true, k), m_bool(false, k + 5));
    printf("small %d half %u\n", m_small((int8_t)(k + 60)), m_half((uint16_t)(k + 40000)));
    f = m_float(1.25f, k);
    print_hex("float", &f, sizeof f);
    d = m_doubles(1, 2, 3, 4, 5, 6, 7, 8, 9.5, 0.25f, k);
    print_hex("doubles", &d, sizeof d);
    m_nothing(k);
    errno = 0;
    printf("errno %d", m_errno(k + 5));
    printf(" %d\n", errno);
    printf("deep %llu\n", (unsigned long long)m_deep(12));
}

static void structs(int k)
{
    struct pair p = {1.5 * k, 7};
    struct three t = {k, {1, 2, 3}}, u = {9, {10, 20, (double)k}};
    struct narrow n, m;
    long double l = m_long(1.25L, k);
    double _Complex z;
    float _Complex w;
    unsigned char x87[10];

    memset(&n, 0, sizeof n);
    p = m_pair(p, k);
    printf("pair %a %lld\n", p.x, (long long)p.n);
    t = m_three(t, &u, &n);
    printf("three %d %a %a %a, %d %d %a\n", t.id, t.at[0], t.at[1], t.at[2], n.a, n.b, (double)n.c);
    m = m_narrow(n, n);
    printf("narrow %d %d %a\n", m.a, m.b, (double)m.c);
    memcpy(x87, &l, sizeof x87);
    print_hex("long", x87, sizeof x87);
    __real__ z = k;
    __imag__ z = 2;
    __real__ w = 0.5f;
    __imag__ w = (float)k;
    z = m_complex(z, w);
    printf("complex %a %a\n", __real__ z, __imag__ z);
}

static void buffers(int k)
{
    double x[7] = {1, 2.5, -3, 4, 5, 6, (double)k}, sum = m_sum(x, 7);
    float y[24];
    uint8_t b[67];
    char text[40];
    const char *found = NULL;

    memset(b, 0xaa, sizeof b);
    memset(text, '.', sizeof text);
    print_hex("sum", &sum, sizeof sum);
    m_fill(b + 1, 65, (uint32_t)k);
    print_hex("fill", b, sizeof b);
    for (int i = 0; i < 24; i++)
        y[i] = (float)i;
    printf("scale %d\n", m_scale(y, 3, 4, 6, (float)k));
    print_hex("scaled", y, sizeof y);
    printf("text %zu", m_text("some words", text, sizeof text));
    print_hex("", text, sizeof text);
    found = m_find("abcdef", 'd', text, 6);
    printf("found %d\n", found != NULL ? (int)(found - text) : -1);
    found = m_find("abcdef", 'z', text, 6);
    printf("found %d\n", found != NULL ? (int)(found - text) : -1);
}

void run_values(void)
{
    for (int round = 0; round < 2; round++) {
        for (int k = 1; k <= 2; k++) {
            scalars(k);
            buffers(k);
            structs(k);
        }
        leap(1);
        leap(-1);
    }
}
#ifdef __cplusplus
}
#endif
