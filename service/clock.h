/*
 * Wall clock and monotonic clock. Builds with -DTC_TEST_CLOCK read the wall clock as decimal ns
 * from the file that $TASKCACHE_CLOCK_FILE names, so that no test has to wait for an expiration.
 * Never fails; any thread.
 */
#ifndef TC_SERVICE_CLOCK_H
#define TC_SERVICE_CLOCK_H

#include <stdint.h>

int64_t tc_wall_ns(void);
int64_t tc_monotonic_ms(void);
/* So long is it waited for others: tests on a busy machine set $TASKCACHE_TEST_DEADLINE_MS. */
int64_t tc_patient_ms(int64_t ms);

#endif
