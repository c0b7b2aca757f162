/* The side effects of values.f90's bodies. */
#include "../programs/body.h"

#define RAN(name)             \
    void ran_##name##_(void); \
    void ran_##name##_(void)  \
    {                         \
        body_ran("m_" #name); \
    }
RAN(axpy)
RAN(blanks)
RAN(mean)
RAN(bound)
