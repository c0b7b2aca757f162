#include "tests/churn/churn_values.h"

#include <string.h>

/* splitmix64 */
uint64_t churn_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

size_t churn_value_bytes(uint64_t key, uint64_t version)
{
    uint64_t dice = churn_mix(key ^ (version << 20));
    uint64_t rest = dice >> 16;

    switch (dice % 256) {
    case 0:
        return CHURN_VALUE_MIN + rest % (CHURN_VALUE_MAX - CHURN_VALUE_MIN);
    case 1 ... 16:
        return CHURN_VALUE_MIN + rest % 20000;
    default:
        return CHURN_VALUE_MIN + rest % 500;
    }
}

static uint64_t word_at(uint64_t key, uint64_t version, size_t i)
{
    return (churn_mix(key) ^ version) * (2 * i + 1);
}

void churn_value_write(void *to, size_t bytes, uint64_t key, uint64_t version)
{
    uint64_t head[3] = {key, version, bytes};
    unsigned char *p = to;

    memcpy(p, head, sizeof(head));
    for (size_t at = sizeof(head); at < bytes; at += 8) {
        uint64_t word = word_at(key, version, at);
        memcpy(p + at, &word, bytes - at < 8 ? bytes - at : 8);
    }
}

bool churn_value_is_whole(const void *value, size_t bytes, uint64_t key)
{
    const unsigned char *p = value;
    uint64_t head[3];

    if (bytes < sizeof(head))
        return false;
    memcpy(head, p, sizeof(head));
    if (head[0] != key || head[2] != bytes || churn_value_bytes(key, head[1]) != bytes)
        return false;
    for (size_t at = sizeof(head); at < bytes; at += 8) {
        uint64_t word = word_at(key, head[1], at);
        if (memcmp(p + at, &word, bytes - at < 8 ? bytes - at : 8) != 0)
            return false;
    }
    return true;
}
