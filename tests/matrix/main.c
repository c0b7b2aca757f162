/* Calls the tasks of values.c where they are, and, EXPORTED, by name and by pointer from here. */
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
void run_values(void);
#ifdef EXPORTED
int8_t m_small(int8_t a);
double m_sum(const double *x, int n);
#endif
#ifdef __cplusplus
}
#endif

int main(void)
{
#ifdef EXPORTED
    double (*volatile sum)(const double *, int) = m_sum;
    double x[3] = {4, 5, 6};
    printf("here %d %g\n", m_small(11), sum(x, 3));
#endif
    run_values();
    return 0;
}
