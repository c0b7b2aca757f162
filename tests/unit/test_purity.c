/* service/resolve/purity.c: what names of imports mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/resolve/purity.h"

static void names_of_imports(void **state)
{
    static const struct {
        const char *name;
        enum tc_reason reason;
    } cases[] = {
        {"time", TC_R_READS_CLOCK},
        {"time@GLIBC_2.2.5", TC_R_READS_CLOCK},
        {"clock_gettime@GLIBC_2.17", TC_R_READS_CLOCK},
        {"__printf_chk@GLIBC_2.3.4", TC_R_WRITES_FILES},
        {"__isoc99_fscanf@GLIBC_2.7", TC_R_READS_FILES},
        {"fopen64", TC_R_READS_FILES},
        {"__read_chk", TC_R_READS_FILES},
        {"read", TC_R_READS_FILES},
        {"rand", TC_R_READS_RANDOM},
        {"_gfortran_arandom_r8@GFORTRAN_8", TC_R_READS_RANDOM},
        {"__getpid", TC_R_ASKS_SYSTEM},
        {"localtime", TC_R_USES_STATIC_BUFFER},
        {"dlopen@GLIBC_2.34", TC_R_LOADS_CODE},
        {"pthread_create", TC_R_STARTS_OTHERS},
        /* none of these, though they look alike */
        {"rand_r", TC_R_NONE},
        {"localtime_r", TC_R_NONE},
        {"strtok_r", TC_R_NONE},
        {"timer", TC_R_NONE},
        {"me", TC_R_NONE},
        {"ti", TC_R_NONE},
        {"memcpy", TC_R_NONE},
        {"sqrt@GLIBC_2.2.5", TC_R_NONE},
        {"dgemm_", TC_R_NONE},
        {"64", TC_R_NONE},
        {"_chk", TC_R_NONE},
        {"__", TC_R_NONE},
        {"", TC_R_NONE},
        {" ", TC_R_NONE},
        {"time clock", TC_R_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (tc_purity_of_import(cases[i].name) != cases[i].reason)
            fail_msg("%s: %s", cases[i].name,
                     tc_reason_info(tc_purity_of_import(cases[i].name))->id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_imports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
