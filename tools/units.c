#include "tools/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

/* Three significant digits: 1.23, 12.3, 123. */
static void scaled(double value, const char *unit, char ret[TC_UNITS_BYTES])
{
    int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    (void)snprintf(ret, TC_UNITS_BYTES, "%.*f %s", digits, value, unit);
}

char *tc_units_duration(int64_t ns, char ret[TC_UNITS_BYTES])
{
    uint64_t n = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, s = n / S;
    char *out = ret;
    if (ns < 0)
        *out++ = '-';
    if (n < US)
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%llu ns", (unsigned long long)n);
    else if (n < MS)
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%.*f us", n < 100 * US, (double)n / US);
    else if (n < S)
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%.*f ms", n < 100 * MS, (double)n / MS);
    else if (s < 60)
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%.*f s", n < 10 * S ? 2 : 1, (double)n / S);
    else if (s < 3600)
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%d min %02d s", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%d h %02d min", (int)(s / 3600),
                       (int)(s / 60 % 60));
    else
        (void)snprintf(out, TC_UNITS_BYTES - 1, "%llu d %02d h", (unsigned long long)(s / 86400),
                       (int)(s / 3600 % 24));
    return ret;
}

char *tc_units_bytes(uint64_t bytes, char ret[TC_UNITS_BYTES])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(ret, TC_UNITS_BYTES, "%u B", (unsigned)bytes);
        return ret;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.5 and more would be printed as 1024. */
    while (value >= 1023.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    uint64_t hundredths = (uint64_t)(value * 100 + 0.5);
    if (hundredths % 100 == 0)
        (void)snprintf(ret, TC_UNITS_BYTES, "%u %s", (unsigned)(hundredths / 100), units[unit]);
    else
        scaled(value, units[unit], ret);
    return ret;
}

char *tc_units_time(int64_t ns, char ret[TC_UNITS_BYTES])
{
    time_t seconds = (time_t)(ns / (int64_t)S);
    struct tm tm;
    if (!localtime_r(&seconds, &tm) || !strftime(ret, TC_UNITS_BYTES, "%Y-%m-%d %H:%M:%S", &tm))
        (void)snprintf(ret, TC_UNITS_BYTES, "?");
    return ret;
}

struct unit {
    const char *name;
    int64_t ns;
};

static const struct unit *unit_at(const char *text)
{
    /* The longer names first: "ms" isn't "m" and something. */
    static const struct unit units[] = {
        {"ns", 1},
        {"us", US},
        {"ms", MS},
        {"s", S},
        {"m", 60 * (int64_t)S},
        {"h", 3600 * (int64_t)S},
        {"d", 86400 * (int64_t)S},
        {"w", 7 * 86400 * (int64_t)S},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strncmp(text, units[i].name, strlen(units[i].name)) == 0)
            return &units[i];
    return NULL;
}

int tc_parse_duration(const char *text, int64_t *ret_ns)
{
    bool negative = *text == '-';
    int64_t total = 0;
    text += negative;
    if (!*text)
        return -EINVAL;
    for (const char *p = text; *p;) {
        if (!isdigit((unsigned char)*p))
            return -EINVAL;
        char *end;
        errno = 0;
        long long n = strtoll(p, &end, 10);
        if (errno)
            return -ERANGE;
        /* A bare number is seconds, but only when it is all there is. */
        const struct unit *unit = *end ? unit_at(end) : p == text ? unit_at("s") : NULL;
        int64_t part;
        if (!unit)
            return -EINVAL;
        if (__builtin_mul_overflow((int64_t)n, unit->ns, &part) ||
            __builtin_add_overflow(total, part, &total))
            return -ERANGE;
        p = *end ? end + strlen(unit->name) : end;
    }
    *ret_ns = negative ? -total : total;
    return 0;
}

static char *mark_as_real(char *text)
{
    if (!strpbrk(text, ".en"))
        strcat(text, ".0");
    return text;
}

char *tc_units_double(double value, char ret[TC_UNITS_BYTES])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(ret, TC_UNITS_BYTES, "%.*g", digits, value);
        if (isnan(value) || strtod(ret, NULL) == value)
            break;
    }
    return mark_as_real(ret);
}

char *tc_units_float(float value, char ret[TC_UNITS_BYTES])
{
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(ret, TC_UNITS_BYTES, "%.*g", digits, (double)value);
        if (isnan(value) || strtof(ret, NULL) == value)
            break;
    }
    return mark_as_real(ret);
}
