/* Buffers: in, out, inout; strides; strings; NULL; extents known afterwards; results that point
 * into an argument. Guard bytes around each buffer are printed, too. */
#include <stdint.h>

#include "body.h"

EXPORTED_TASK(double mean(const double *x, int n))
{
    double sum = 0;
    body_ran("mean");
    if (x == NULL)
        return -1;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return n > 0 ? sum / n : 0;
}

EXPORTED_TASK(void fill(uint8_t *b, size_t n, uint32_t seed))
{
    body_ran("fill");
    for (size_t i = 0; b != NULL && i < n; i++)
        b[i] = (uint8_t)((seed = seed * 1103515245u + 12345u) >> 16);
}

EXPORTED_TASK(void scale_columns(double *a, int rows, int cols, int ld, double by))
{
    body_ran("scale_columns");
    for (int j = 0; j < cols; j++)
        for (int i = 0; i < rows; i++)
            a[j * ld + i] *= by;
}

EXPORTED_TASK(size_t count_words(const char *s))
{
    size_t n = 0;
    body_ran("count_words");
    for (; s != NULL && *s != '\0'; s++)
        n += *s != ' ' && (s[1] == ' ' || s[1] == '\0');
    return n;
}

EXPORTED_TASK(int join(const char *const *names, int n, char *text, size_t cap))
{
    size_t at = 0;
    body_ran("join");
    for (int i = 0; i < n; i++) {
        size_t bytes = strlen(names[i]);
        if (at + bytes > cap)
            return -1;
        memcpy(text + at, names[i], bytes);
        at += bytes;
    }
    return (int)at;
}

EXPORTED_TASK(int produce(uint8_t *b, size_t cap, size_t *len, int x))
{
    body_ran("produce");
    *len = (size_t)x < cap ? (size_t)x : cap;
    memset(b, x, *len);
    return x > 7;
}

EXPORTED_TASK(void minmax(const int *x, int n, int *lo, int *hi))
{
    body_ran("minmax");
    if (lo != NULL)
        *lo = x[0];
    if (hi != NULL)
        *hi = x[0];
    for (int i = 1; i < n; i++) {
        if (lo != NULL && x[i] < *lo)
            *lo = x[i];
        if (hi != NULL && x[i] > *hi)
            *hi = x[i];
    }
}

EXPORTED_TASK(char *place(char *b, size_t n, int c, int at))
{
    body_ran("place");
    memset(b, '.', n);
    if (at < 0 || (size_t)at >= n)
        return NULL;
    b[at] = (char)c;
    return b + at;
}

static void arrays(void)
{
    double x[5] = {1.5, -2, 1e300, 4, 0.25};

    for (int i = 0; i < 2; i++) {
        printf("mean %.17g %.17g %.17g %.17g\n", mean(x, 5), mean(x, 2), mean(NULL, 5), mean(x, 0));
        x[4] = i == 0 ? x[4] : 7; /* beyond the second call's extent */
    }
    x[0] = 9;
    printf("mean %.17g\n", mean(x, 5));
}

static void outputs(void)
{
    for (int i = 0; i < 2; i++) {
        uint8_t b[24];
        memset(b, 0xa5 + i, sizeof b);
        fill(b + 4, 16, 42);
        print_hex("fill", b, sizeof b);
        fill(b + 4, 0, 42);
        fill(NULL, 16, 42);
        print_hex("fill", b, sizeof b);
    }
}

static void strides(void)
{
    for (int i = 0; i < 2; i++) {
        double a[12];
        for (int k = 0; k < 12; k++)
            a[k] = k + (k % 4 == 3) * i * 100; /* the padding differs, the matrix doesn't */
        scale_columns(a, 3, 3, 4, 0.5);
        for (int k = 0; k < 12; k++)
            printf("%g%c", a[k], k < 11 ? ' ' : '\n');
    }
}

static void strings(void)
{
    static const char *const names[] = {"ab", "", "cde", "f"};
    char text[20];

    for (int i = 0; i < 2; i++) {
        char copy[] = "three small words";
        printf("count_words %zu %zu %zu\n", count_words(copy), count_words(""), count_words(NULL));
        memset(text, '#', sizeof text);
        printf("join %d", join(names, 4, text + 2, 10));
        printf(" %d\n", join(names, 4, text + 14, 4)); /* fails after it wrote a part */
        print_hex("join", text, sizeof text);
    }
}

static void known_afterwards(void)
{
    for (int i = 0; i < 2; i++)
        for (int x = 0; x < 12; x += 5) {
            uint8_t b[12];
            size_t len = 99;
            memset(b, 0xee, sizeof b);
            printf("produce %d", produce(b + 1, 10, &len, x));
            printf(" len %zu\n", len);
            print_hex("produce", b, sizeof b);
        }
}

static void single_elements(void)
{
    const int x[] = {3, -8, 12, 5};

    for (int i = 0; i < 2; i++) {
        int v[4] = {-1, -1, -1, -1};
        minmax(x, 4, &v[1], &v[2]);
        printf("minmax %d %d %d %d\n", v[0], v[1], v[2], v[3]);
        v[2] = 55;
        minmax(x, 4, &v[0], NULL);
        printf("minmax %d %d\n", v[0], v[2]);
    }
}

static void results_into_arguments(void)
{
    for (int i = 0; i < 2; i++) {
        char b[2][8];
        char *p = place(b[i], 8, 'x', 3), *q = NULL;
        printf("place %td %.8s", p - b[i], b[i]);
        q = place(b[i], 8, 'x', 8);
        printf(" %s %.8s\n", q == NULL ? "NULL" : "?", b[i]);
    }
}

int main(void)
{
    arrays();
    outputs();
    strides();
    strings();
    known_afterwards();
    single_elements();
    results_into_arguments();
    return 0;
}
