/*
 * Numbers for people: durations, sizes, ages, and back. Results go into the caller's buffer of
 * TC_UNITS_BYTES. Pure functions, independent of the locale.
 */
#ifndef TC_TOOLS_UNITS_H
#define TC_TOOLS_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define TC_UNITS_BYTES 40

/* "340 ns", "12.5 ms", "3.2 s", "4 min 10 s", "2 h 05 min", "3 d 04 h". Returns `ret`. */
char *tc_units_duration(int64_t ns, char ret[TC_UNITS_BYTES]);
/* "17 B", "1.5 KiB", "10 GiB". */
char *tc_units_bytes(uint64_t bytes, char ret[TC_UNITS_BYTES]);
/* "2024-05-01 12:30:01", local time. */
char *tc_units_time(int64_t ns, char ret[TC_UNITS_BYTES]);

/* `[-]` and any of N(ns|us|ms|s|m|h|d|w); a bare number is seconds. -EINVAL, -ERANGE. */
int tc_parse_duration(const char *text, int64_t *ret_ns);

/* The shortest decimal text that reads back as the same value; `inf`, `nan`, and always a point
 * or an exponent, so that one sees that it is no integer. */
char *tc_units_double(double value, char ret[TC_UNITS_BYTES]);
char *tc_units_float(float value, char ret[TC_UNITS_BYTES]);

#endif
