/*
 * Values that prove themselves: all bytes follow from the key, a version and the length, which they
 * contain. So a reader recognises a value that is partly another's. Pure functions, no failure but
 * "no".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHURN_VALUE_MIN 24
#define CHURN_VALUE_MAX ((size_t)512 << 10)

uint64_t churn_mix(uint64_t x);

/* How long this version is: mostly small, some of several pages, a few of many. */
size_t churn_value_bytes(uint64_t key, uint64_t version);
void churn_value_write(void *to, size_t bytes, uint64_t key, uint64_t version);
bool churn_value_is_whole(const void *value, size_t bytes, uint64_t key);
